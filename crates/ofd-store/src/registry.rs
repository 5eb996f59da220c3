//! The way to clients, contracts, registers, cards, applications and tasks.

use std::path::Path;

use ffd::ids::FnNumber;
use jiff::Timestamp;

use crate::reading::ReadStore;
use crate::registration::{
    Application, ApplicationFilter, Card, Client, Commit, Contract, ContractLine, Cursors, FnDocuments, Kkt,
    KktFilter, KktFn, KktKey, LineKey, RegistrationState, RegistryChange, ReportRow, Task, TaskFilter,
};
use crate::second::{Family, SecondWriter};
use crate::sql::{Db, store_error};
use crate::sqlite::second::Beside;
use crate::tables::registration::{self, contracts, fns, kkts, papers};
use crate::tables::{outbox, tasks};
use crate::{FnsSummary, MAX_PAGE_ROWS, StoreError};

/// Reads what is stored of the registration. Beside a running daemon or without one; every call is one short
/// transaction, given out at most [`MAX_PAGE_ROWS`] rows.
#[derive(Debug)]
pub struct RegistryReader {
    store: ReadStore,
}

/// Reads and writes what is stored of the registration, one short transaction for each change. Reads as
/// [`RegistryReader`] does.
///
/// Blocks: meant for a thread of its own, or a command.
#[derive(Debug)]
pub struct Registry {
    reader: RegistryReader,
    writer: SecondWriter,
}

impl Registry {
    /// Opens the store behind `url` for a command, or for a process without a journal; it must exist and be of this
    /// program's version. A change is tried for half a minute while others hold the file. Beside a journal of the same
    /// process use [`crate::Store::registry`].
    ///
    /// # Errors
    /// [`StoreError`]: no such store, not ours, newer or older than this program, cannot be opened, busy.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        // Reading through a connection of its own, which cannot write by mistake.
        let reader = RegistryReader::open(url)?;
        Ok(Self { reader, writer: SecondWriter::open(url, Family::Registration)? })
    }

    /// Inside the daemon it takes turns with the journal's writer instead of polling for the lock.
    pub(crate) fn beside(path: &Path, beside: Beside) -> Result<Self, StoreError> {
        let reader = RegistryReader { store: ReadStore::open_path(path)? };
        Ok(Self { reader, writer: SecondWriter::beside(path, beside)? })
    }

    /// Writes all of a change in one transaction, or nothing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when a contract number, or the serial number or ФН of an open contract line, is taken by
    /// another one, and when a row refers to one that is not there; else as [`Registry::open`].
    pub fn commit(&mut self, change: &RegistryChange) -> Result<Commit, StoreError> {
        registration::commit(&mut self.writer, change, Timestamp::now())
    }
}

impl std::ops::Deref for Registry {
    type Target = RegistryReader;

    fn deref(&self) -> &RegistryReader {
        &self.reader
    }
}

impl RegistryReader {
    /// Opens the store behind `url` for reading only; it must exist.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self { store: ReadStore::open(url)? })
    }

    fn db(&self) -> Db<'_> {
        self.store.db()
    }

    /// One register.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read, as everywhere below.
    pub fn kkt(&self, key: KktKey<'_>) -> Result<Option<Kkt>, StoreError> {
        kkts::find(self.db(), key).map_err(store_error)
    }

    /// Registers that pass the filter, at most `limit`, in the order of their numbers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn kkts(&self, filter: &KktFilter, limit: usize) -> Result<Vec<Kkt>, StoreError> {
        kkts::list(self.db(), filter, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// Registers whose timer has run out, the longest ago first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Kkt>, StoreError> {
        kkts::due(self.db(), now, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// How many registers are in each state; states without any are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn state_counts(&self) -> Result<Vec<(RegistrationState, u64)>, StoreError> {
        kkts::counts(self.db()).map_err(store_error)
    }

    /// All ФН that a register had, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fn_history(&self, kkt_id: i64) -> Result<Vec<KktFn>, StoreError> {
        kkts::history(self.db(), kkt_id, MAX_PAGE_ROWS).map_err(store_error)
    }

    /// A client by ИНН.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn client(&self, inn: &str) -> Result<Option<Client>, StoreError> {
        contracts::client(self.db(), inn).map_err(store_error)
    }

    /// A contract by its number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn contract(&self, number: &str) -> Result<Option<Contract>, StoreError> {
        contracts::by_number(self.db(), number).map_err(store_error)
    }

    /// A contract by the number of its row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn contract_by_id(&self, id: i64) -> Result<Option<Contract>, StoreError> {
        contracts::by_id(self.db(), id).map_err(store_error)
    }

    /// Contracts after the row `after_id` (0 at the beginning), at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn contracts(&self, after_id: i64, limit: usize) -> Result<Vec<Contract>, StoreError> {
        contracts::list(self.db(), after_id, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// Lines of a contract, closed ones too, after the row `after_id` (0 at the beginning), at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn lines(
        &self,
        contract_id: i64,
        after_id: i64,
        limit: usize,
    ) -> Result<Vec<ContractLine>, StoreError> {
        contracts::lines(self.db(), contract_id, after_id, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// A contract line by the number of its row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn line(&self, id: i64) -> Result<Option<ContractLine>, StoreError> {
        contracts::line(self.db(), id).map_err(store_error)
    }

    /// The line, not closed, that names this ККТ or this ФН.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_line(&self, key: LineKey<'_>) -> Result<Option<ContractLine>, StoreError> {
        contracts::open_line(self.db(), key).map_err(store_error)
    }

    /// The line, not closed, of this serial number and this ИНН. Padding does not matter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn line_of(&self, kkt_serial: &str, inn: &str) -> Result<Option<ContractLine>, StoreError> {
        let line = self.open_line(LineKey::Serial(kkt_serial.trim()))?;
        Ok(line.filter(|line| line.inn == inn.trim()))
    }

    /// The line, not closed, that names this ФН.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn line_of_fn(&self, fn_number: &FnNumber) -> Result<Option<ContractLine>, StoreError> {
        self.open_line(LineKey::Fn(fn_number))
    }

    /// Reports (forms 1, 11 and 6, no conflicts) after position `after_seq` in order of arrival, at most `limit` and some
    /// 16 MiB. A short page is not the end, an empty one is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reports_after(&self, after_seq: i64, limit: usize) -> Result<Vec<ReportRow>, StoreError> {
        let (horizon, most) = (self.store.horizon()?, self.store.most_of_a_transaction());
        let limit = limit.clamp(1, MAX_PAGE_ROWS.min(most));
        fns::reports_after(self.db(), after_seq, horizon, limit).map_err(store_error)
    }

    /// The document at a position, of whatever form.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn report(&self, seq: i64) -> Result<Option<ReportRow>, StoreError> {
        fns::report(self.db(), seq).map_err(store_error)
    }

    /// The first content under (ФН, ФД) in the newest chain that has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn report_of(
        &self,
        fn_number: &FnNumber,
        fd_number: ffd::ids::FdNumber,
    ) -> Result<Option<ReportRow>, StoreError> {
        fns::report_of(self.db(), fn_number, fd_number).map_err(store_error)
    }

    /// When the newest document of a ФН came: one look-up by index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_seen(&self, fn_number: &FnNumber) -> Result<Option<Timestamp>, StoreError> {
        fns::last_seen(self.db(), fn_number).map_err(store_error)
    }

    /// The documents that tell the state of a ФН: three look-ups by index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fn_documents(&self, fn_number: &FnNumber) -> Result<FnDocuments, StoreError> {
        fns::documents(self.db(), fn_number).map_err(store_error)
    }

    /// How the tax service took the documents of a ФН.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fns_summary(&self, fn_number: &FnNumber) -> Result<FnsSummary, StoreError> {
        outbox::summary(self.db(), fn_number).map_err(store_error)
    }

    /// How far the journal and the feed were followed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn cursors(&self) -> Result<Cursors, StoreError> {
        papers::cursors(self.db()).map_err(store_error)
    }

    /// The number of the register up to which cards were asked for one by one after events were lost, 0 at the
    /// beginning; none when nothing is left to be asked for. Moved by [`RegistryChange::recalled_cards`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn recalled_cards(&self) -> Result<Option<i64>, StoreError> {
        outbox::recall::cards(self.db()).map_err(store_error)
    }

    /// Applications that pass the filter, at most `limit`, in the order of their numbers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn applications(
        &self,
        filter: &ApplicationFilter,
        limit: usize,
    ) -> Result<Vec<Application>, StoreError> {
        papers::applications(self.db(), filter, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// Cards after the row `after_id` (0 at the beginning), of one register or all, at most `limit` and some 16 MiB.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn cards(&self, kkt_id: Option<i64>, after_id: i64, limit: usize) -> Result<Vec<Card>, StoreError> {
        papers::cards(self.db(), kkt_id, after_id, limit.clamp(1, MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// Cards of a registration number that have moved no register, of whichever register they were taken to be, oldest
    /// first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn waiting_cards(&self, rnm: &str, limit: usize) -> Result<Vec<Card>, StoreError> {
        papers::cards_of_rnm(self.db(), rnm, limit.clamp(1, MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// A card by the number of its row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn card(&self, id: i64) -> Result<Option<Card>, StoreError> {
        papers::card(self.db(), id).map_err(store_error)
    }

    /// The card of a registration number with this [`Card::key`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn card_by_key(
        &self,
        kind: crate::CardKind,
        rnm: &str,
        key: &str,
    ) -> Result<Option<Card>, StoreError> {
        papers::card_by_key(self.db(), kind, rnm, key).map_err(store_error)
    }

    /// Tasks that pass the filter, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tasks(&self, filter: &TaskFilter, limit: usize) -> Result<Vec<Task>, StoreError> {
        tasks::list(self.db(), filter, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// One task.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn task(&self, id: i64) -> Result<Option<Task>, StoreError> {
        tasks::find(self.db(), id).map_err(store_error)
    }

    /// How many tasks are open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_tasks(&self) -> Result<u64, StoreError> {
        tasks::count_open(self.db()).map_err(store_error)
    }
}
