//! Writing commands of an operator, beside a running daemon or without one.

use ffd::ids::FnNumber;
use jiff::Timestamp;

use crate::care::{MAX_REINDEX_ROWS, OpenedRow, RebuiltTables, ReindexPage};
use crate::clock::ClockConfirmation;
use crate::operator_store::OperatorStore;
use crate::records::{QuarantineRelease, RegisterAdd, RegisterChange};
use crate::sql::{self, Db};
use crate::tables::{clock, registers, reindex};
use crate::{Derived, StoreError};

/// A connection for short writing commands: one transaction each, waiting up to 5 s for the daemon's writer.
#[derive(Debug)]
pub struct Operator {
    store: OperatorStore,
}

impl Operator {
    /// Opens the store behind `url`; it must exist (a mistyped path must not become an empty store). An older
    /// store is not upgraded here but at the start of the daemon.
    ///
    /// # Errors
    /// [`StoreError`]: no such store, not ours, newer or older than this program, cannot be opened, busy.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self { store: OperatorStore::open(url)? })
    }

    /// For what other modules write: one short transaction.
    pub(crate) fn write<T>(&mut self, work: impl FnMut(Db<'_>) -> sql::Result<T>) -> Result<T, StoreError> {
        self.store.write(work)
    }

    /// States facts about a register. A running daemon knows them within a second. A register of which nothing is known
    /// stands in [`crate::RegistrationState::Contracted`] from then on, without a contract; empty places of one that
    /// is there are filled.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when neither ФН nor serial number is given; else as [`Operator::open`].
    pub fn register_add(&mut self, register: &RegisterAdd) -> Result<RegisterChange, StoreError> {
        let has_serial = register.kkt_serial.as_deref().is_some_and(|serial| !serial.trim().is_empty());
        if register.fn_number.is_none() && !has_serial {
            return Err(StoreError::refused("a register needs a ФН or the serial number of its ККТ"));
        }
        let now = Timestamp::now();
        self.store.write(|db| registers::add(db, register, now))
    }

    /// Lifts the hold of a ФН: it becomes known, its quarantined copies are marked and stay as evidence. The
    /// documents enter the journal when the register sends them again.
    ///
    /// A ФН of which messages were only counted can be released too. Those counted together with others
    /// ([`crate::QuarantineCount::fn_number`] absent) cannot be told apart, so while there are any, every ФН
    /// may be among them.
    ///
    /// # Errors
    /// As [`Operator::open`].
    pub fn quarantine_release(&mut self, fn_number: &FnNumber) -> Result<QuarantineRelease, StoreError> {
        let now = Timestamp::now();
        self.store.write(|db| registers::release(db, fn_number, now))
    }

    /// Confirms that the machine's clock is right: documents received before this moment, by whatever clock, say nothing
    /// about the time any more. A running daemon knows it within a second.
    ///
    /// # Errors
    /// As [`Operator::open`].
    pub fn clock_confirm(&mut self, now: Timestamp) -> Result<ClockConfirmation, StoreError> {
        self.store.write(|db| clock::confirm(db, now))
    }

    /// Takes the columns of the next documents after `after_seq` (0 at the beginning) anew out of them, at most `limit`
    /// (and [`MAX_REINDEX_ROWS`]) and some 16 MiB. `recompute` is asked for each row outside of any transaction; `None`
    /// leaves its columns as they are. Rows with other columns than before are written in one transaction.
    ///
    /// Between two pages the daemon's writer gets its turn: after a page that changed something this waits as long as the
    /// page held the lock, at most 100 ms.
    ///
    /// # Errors
    /// As [`Operator::open`]. After [`crate::Unavailability::Busy`] the same page may be tried again.
    pub fn reindex_page(
        &mut self,
        after_seq: i64,
        limit: usize,
        recompute: &mut dyn FnMut(&OpenedRow<'_>) -> Option<Derived>,
    ) -> Result<ReindexPage, StoreError> {
        reindex::page(&mut self.store, after_seq, limit.clamp(1, MAX_REINDEX_ROWS), recompute)
    }

    /// Makes the index of the journal anew if it does not lead to every document, and tells whether it did: to be called
    /// before anything else is taken from the journal. Looks at every key; making them anew is one transaction, for which
    /// the daemon's writer waits. On a server the keys decide what is a repeat, and are left alone.
    ///
    /// # Errors
    /// As [`Operator::open`].
    pub fn rebuild_index(&mut self) -> Result<bool, StoreError> {
        self.store.rebuild_index()
    }

    /// Rebuilds from the journal what else follows from it, to be called after the last page of
    /// [`Operator::reindex_page`]: РНМ, ИНН and serial number of registers that nobody restated since their newest report,
    /// and the newest chain of each debug ФН.
    ///
    /// Not rebuilt: findings and tasks (they say what was judged at reception, and the code given for it stands), facts
    /// that an operator stated, the quarantine and its counters (it is no part of the journal), and the registrations:
    /// cards, contracts and people moved them beside the documents.
    ///
    /// # Errors
    /// As [`Operator::open`].
    pub fn rebuild_tables(&mut self) -> Result<RebuiltTables, StoreError> {
        reindex::tables(&mut self.store)
    }
}
