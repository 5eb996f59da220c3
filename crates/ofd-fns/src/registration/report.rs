//! What a report of the journal says about its register: the facts that the guards of the state machine compare.

use ffd::ids::{FdNumber, FnNumber};
use ffd::{Document, tags};
use jiff::Timestamp;
use ofd_store::ReportRow;

/// Form code of the report of registration (отчёт о регистрации).
pub const FORM_REGISTRATION: u16 = 1;
/// Form code of the report of the closing of a ФН.
pub const FORM_CLOSING: u16 = 6;
/// Form code of the report of changed parameters.
pub const FORM_CHANGE: u16 = 11;

/// Reason "replacement of the ФН" of tag 1101 (ФФД 1.0 and 1.05).
const REASON_FN: u64 = 1;
/// The same as a bit of tag 1205 (ФФД 1.1 and later).
const REASON_FN_BIT: u64 = 1;

/// Which report it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportForm {
    /// Of registration (form 1).
    Registration,
    /// Of changed parameters (form 11).
    Change,
}

/// Facts of a report of registration or of its change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFacts {
    /// Position in the journal.
    pub seq: i64,
    /// Which report it is.
    pub form: ReportForm,
    /// ФН.
    pub fn_number: FnNumber,
    /// ФД.
    pub fd_number: FdNumber,
    /// Tag 1037 without padding.
    pub rnm: Option<String>,
    /// Tag 1013 without padding.
    pub kkt_serial: Option<String>,
    /// Tag 1018 without padding.
    pub inn: Option<String>,
    /// Whether the reasons of a change name the replacement of the ФН; none when no reason can be read.
    pub replaces_fn: Option<bool>,
    /// When it came, our clock.
    pub received_at: Timestamp,
}

impl ReportFacts {
    /// Of a row of the journal; none of another form.
    pub fn of(row: &ReportRow) -> Option<Self> {
        let form = match row.form {
            FORM_REGISTRATION => ReportForm::Registration,
            FORM_CHANGE => ReportForm::Change,
            _ => return None,
        };
        Some(Self {
            seq: row.seq,
            form,
            fn_number: row.fn_number,
            fd_number: row.fd_number,
            rnm: plain(row.derived.rnm.as_deref()),
            kkt_serial: plain(row.derived.kkt_serial.as_deref()),
            inn: plain(row.derived.user_inn.as_deref()),
            replaces_fn: replaces_fn(&row.opened),
            received_at: row.received_at,
        })
    }
}

/// Text without the padding of the wire; none when nothing is left.
pub(crate) fn plain(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn replaces_fn(opened: &[u8]) -> Option<bool> {
    let document = Document::decode(opened).ok()?;
    if let Some(mask) = document.unsigned(tags::REASON_MASK) {
        return Some(mask & REASON_FN_BIT != 0);
    }
    let mut codes = document.nodes_of(tags::REASON_CODE).filter_map(ffd::Node::unsigned).peekable();
    codes.peek()?;
    Some(codes.any(|code| code == REASON_FN))
}
