//! Keys and filters of what is read, and what only reading gives.

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;

use crate::{Derived, Forward, RegistrationState, TaskKind};

/// By what one register is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KktKey<'a> {
    /// Number of its row.
    Id(i64),
    /// Registration number without padding. Of several the one that is not deregistered, then one for which a document
    /// confirmed it, then the newest.
    Rnm(&'a str),
    /// The ФН that is in it now. Of several the one that is not deregistered, then the newest.
    Fn(&'a FnNumber),
    /// A ФН that is or was in it (typing errors left out); of several the newest holder.
    FnEver(&'a FnNumber),
    /// Serial number of the ККТ without padding. Of several the one that is not deregistered, then the newest.
    Serial(&'a str),
    /// The contract line it belongs to.
    Line(i64),
}

/// By what one contract line that is not closed is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKey<'a> {
    /// Serial number of the ККТ without padding.
    Serial(&'a str),
    /// The ФН.
    Fn(&'a FnNumber),
}

/// Which registers to list; an empty filter takes all, several conditions must hold together. In the order of their
/// numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KktFilter {
    /// In this state.
    pub state: Option<RegistrationState>,
    /// Of this ИНН.
    pub inn: Option<String>,
    /// With this registration number (without padding), confirmed or not.
    pub rnm: Option<String>,
    /// Under this contract.
    pub contract_id: Option<i64>,
    /// Only those whose newest report differs from what was agreed.
    pub mismatch_only: bool,
    /// Only rows with a greater number: the next page. 0 at the beginning.
    pub after_id: i64,
}

/// Which applications to list; an empty filter takes all. In the order of their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplicationFilter {
    /// Of this register.
    pub kkt_id: Option<i64>,
    /// With the tax service's identifier.
    pub application_id: Option<String>,
    /// Only those with something to do at or before this moment.
    pub due_at: Option<Timestamp>,
    /// Only rows with a greater number: the next page. 0 at the beginning.
    pub after_id: i64,
}

/// Which tasks to list; an empty filter takes all that are open. Newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Of this kind.
    pub kind: Option<TaskKind>,
    /// About this register.
    pub kkt_id: Option<i64>,
    /// Closed ones too.
    pub with_closed: bool,
    /// Only rows with a smaller number: the next page.
    pub before_id: Option<i64>,
}

/// How far the journal and the feed were followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursors {
    /// Position of the newest report that has had its effect; 0 at the beginning.
    pub reports: i64,
    /// Cursor of the events feed; none at the beginning.
    pub events: Option<String>,
    /// When the feed's cursor last moved.
    pub events_at: Option<Timestamp>,
}

/// A report of the journal (form 1, 6 or 11; for a shift 2 or 5), without what only forwarding needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// Position in the journal.
    pub seq: i64,
    /// ФН.
    pub fn_number: FnNumber,
    /// ФД.
    pub fd_number: FdNumber,
    /// Form code.
    pub form: u16,
    /// Chain of a debug ФН.
    pub chain: u32,
    /// Code of the acknowledgement.
    pub code: u8,
    /// Whether it is forwarded.
    pub forward: Forward,
    /// When it came, our clock.
    pub received_at: Timestamp,
    /// Mark "the ФН of the register changed".
    pub fn_changed_mark: bool,
    /// Columns taken out of the document.
    pub derived: Derived,
    /// The opened document: form, length, TLV.
    pub opened: Vec<u8>,
}

/// The documents that tell the state of a ФН, of its newest chain. A conflict is none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FnDocuments {
    /// The newest opening or closing of a shift (form 2 or 5).
    pub shift: Option<ReportRow>,
    /// The newest report of registration or of its change (form 1 or 11).
    pub report: Option<ReportRow>,
    /// The report of its closing (form 6).
    pub closing: Option<ReportRow>,
}
