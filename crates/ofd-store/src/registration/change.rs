//! What is written: one change, one transaction.

use ffd::ids::FnNumber;
use jiff::Timestamp;

use super::{Application, Card, Client, Contract, ContractLine, Kkt};
use crate::{DocumentVerdict, LeaseProof, TaskKind, VerdictReport};

/// Everything that one event changes, written in one transaction or not at all. [`RegistryChange::default`] changes
/// nothing.
///
/// A row with the number 0 is added. Any other replaces the stored one, provided that this still has the `version` that
/// the row was read with. A row that refers to one added by the same change gives [`row`] for its number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryChange {
    /// Nothing is written unless this lease is held.
    pub lease: Option<LeaseProof>,
    /// Moves the cursor of reports: from where it must stand, to where.
    pub reports_cursor: Option<(i64, i64)>,
    /// Moves the cursor of the events feed: from where it must stand, to where; `None` is the beginning.
    pub events_cursor: Option<(Option<String>, Option<String>)>,
    /// Clients, added or named anew.
    pub clients: Vec<Client>,
    /// Contracts.
    pub contracts: Vec<Contract>,
    /// Contract lines.
    pub lines: Vec<ContractLine>,
    /// Registers. The history of their ФН follows from [`Kkt::fn_number`].
    pub kkts: Vec<Kkt>,
    /// ФН that never were in the register of this number: typing errors put right. Those in use are not touched.
    pub withdrawn_fns: Vec<(i64, FnNumber)>,
    /// Cards. Of a stored one only the register, `applied_at` and `confirmed_at` can change.
    pub cards: Vec<Card>,
    /// Applications.
    pub applications: Vec<Application>,
    /// Tasks for people.
    pub tasks: Vec<NewTask>,
    /// Tasks that are done.
    pub close_tasks: Vec<TaskClose>,
    /// What the tax service said about documents.
    pub verdicts: Vec<DocumentVerdict>,
    /// ФН whose softly quarantined documents are to be asked about anew.
    pub refresh: Vec<FnNumber>,
    /// Events were lost, as was noticed then: from now on every document without a final verdict is marked to be asked
    /// about ([`crate::Forwarding::recall_statuses`]), and every register is due for its card
    /// ([`crate::RegistryReader::recalled_cards`]). One that is under way begins anew.
    pub recall: Option<Timestamp>,
    /// How far cards were asked for: from where it must stand, to where; `None` is the end.
    pub recalled_cards: Option<(i64, Option<i64>)>,
}

impl RegistryChange {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { lease: self.lease.clone(), ..Self::default() }
    }
}

/// Stands in a change for the number that the `index`-th row of a kind (from 0) gets when it is written.
#[must_use]
pub fn row(index: usize) -> i64 {
    i64::try_from(index).map_or(i64::MIN, |index| -1 - index)
}

/// A task to be made. One of the same kind about the same register that is open is not made again: it gets the new text
/// and document. Without a register the same holds for the document, without both for the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Why.
    pub kind: TaskKind,
    /// The document it is about.
    pub seq: Option<i64>,
    /// The register it is about.
    pub kkt_id: Option<i64>,
    /// What is to be done, Russian.
    pub text: String,
    /// When it came up.
    pub at: Timestamp,
}

/// Which open tasks are done. Those closed before are passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskClose {
    /// One.
    Id {
        /// Number of its row.
        id: i64,
        /// When.
        at: Timestamp,
        /// What was done.
        note: Option<String>,
    },
    /// All of a kind about no register and no document that say this.
    OfText {
        /// Of which kind.
        kind: TaskKind,
        /// Their text.
        text: String,
        /// When.
        at: Timestamp,
        /// What was done.
        note: Option<String>,
    },
    /// All of a kind about one register.
    OfKkt {
        /// Of which kind.
        kind: TaskKind,
        /// The register.
        kkt_id: i64,
        /// When.
        at: Timestamp,
        /// What was done.
        note: Option<String>,
    },
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commit {
    /// All of it is on disk.
    Done(CommitIds),
    /// Nothing was written: somebody else changed one of the rows since it was read, added the same, moved the cursor, or
    /// has the lease. Read anew and decide anew.
    Stale,
}

/// Numbers of the rows of a change, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitIds {
    /// Of the contracts.
    pub contracts: Vec<i64>,
    /// Of the lines.
    pub lines: Vec<i64>,
    /// Of the registers.
    pub kkts: Vec<i64>,
    /// Of the cards.
    pub cards: Vec<i64>,
    /// Of the applications.
    pub applications: Vec<i64>,
    /// Of the tasks; that of an open one that was there already too.
    pub tasks: Vec<i64>,
    /// How many tasks were closed.
    pub closed_tasks: usize,
    /// What the verdicts did to the outbox.
    pub verdicts: VerdictReport,
}
