//! Appending documents inside the transaction of a batch: repeat, conflict or new.

use ffd::ids::{FdNumber, FnNumber};
use rusqlite::{Connection, OptionalExtension, params};

use super::keys::{self, Key, Keys};
use super::rows::{self, NewRow, Rows};
use crate::engine::WriteOutcome;
use crate::placing::{self, Known, MAX_CONFLICTS, Place, too_many_conflicts};
use crate::records::{
    AppendOutcome, Forward, KnownContent, MAX_STORED_FINDINGS, NewDocument, NewQuarantine, QuarantineOutcome,
    StoredFinding, TaskKind,
};
use crate::tables::registers::{self, Source, Statement};
use crate::tables::tasks;

const IDENTITY: &str = "SELECT identity FROM journal WHERE seq = ?1";
/// Everything else under it, by what it is: the index has only these rows.
pub(super) const OTHER: &str = "SELECT seq FROM journal INDEXED BY journal_others \
     WHERE fn = ?1 AND fd = ?2 AND identity = ?3 AND (conflict_no > 0 OR chain > 0)";

/// Appends the documents of one batch. Borrows the open transaction.
pub(super) struct BatchWriter<'c, 'b> {
    connection: &'c Connection,
    keys: &'c mut Keys,
    rows: Rows<'c, 'b>,
    /// The version of the register facts in this transaction, raised at the first change.
    facts_version: Option<i64>,
}

/// Whether the tables and indexes of the file are those that the statements of a batch need.
pub(super) fn fits(connection: &Connection) -> rusqlite::Result<()> {
    [OTHER, IDENTITY].iter().try_for_each(|sql| connection.prepare_cached(sql).map(|_| ()))?;
    rows::fits(connection)?;
    Keys::fits(connection)
}

impl<'c, 'b> BatchWriter<'c, 'b> {
    /// `keys` must have been told that the transaction began. With `together` rows may be written several by one
    /// statement: [`Self::finish`] then writes the last of them.
    pub(super) fn new(
        connection: &'c Connection,
        keys: &'c mut Keys,
        together: bool,
    ) -> rusqlite::Result<Self> {
        Ok(Self { connection, keys, rows: Rows::new(connection, together)?, facts_version: None })
    }

    /// Writes what is not written yet.
    pub(super) fn finish(&mut self) -> rusqlite::Result<()> {
        self.rows.flush()
    }

    /// Whether a failure may be that of another document than the one it came with.
    pub(super) fn have_failed_together(&self) -> bool {
        self.rows.have_failed_together()
    }

    /// Writes one document with everything that belongs to it, or finds it known, or refuses it.
    pub(super) fn append(&mut self, document: &'b NewDocument) -> rusqlite::Result<WriteOutcome> {
        let place = placing::place(self, document)?;
        self.put(document, place).map(|outcome| match outcome {
            Some(outcome) => WriteOutcome::Append(outcome),
            None => WriteOutcome::Refused { reason: too_many_conflicts(document) },
        })
    }

    /// The acknowledgement of a message for quarantine, if it is to be looked for and the journal knows the content.
    pub(super) fn acknowledged(
        &mut self,
        copy: &NewQuarantine,
    ) -> rusqlite::Result<Option<QuarantineOutcome>> {
        let (KnownContent::Acknowledged, Some(identity)) = (copy.known_content, copy.identity) else {
            return Ok(None);
        };
        let known = match self.first_of(copy.fn_number, copy.fd_number)? {
            Some((seq, found)) if found == identity => Some(seq),
            _ => self.others_of(copy.fn_number, copy.fd_number, &identity)?,
        };
        let Some(seq) = known else { return Ok(None) };
        Ok(Some(QuarantineOutcome::Acknowledged { seq, acknowledgement: self.acknowledgement(seq)? }))
    }

    /// None for a document that is refused.
    fn put(&mut self, document: &'b NewDocument, place: Place) -> rusqlite::Result<Option<AppendOutcome>> {
        let outcome = match place {
            Place::Full => return Ok(None),
            Place::Repeat { seq } => {
                AppendOutcome::Repeat { seq, acknowledgement: self.acknowledgement(seq)? }
            }
            Place::New { chain } => self.write_new(document, chain)?,
            Place::NewChain { chain } => {
                self.keys.open_chain(self.connection, document.fn_number, chain)?;
                self.write_new(document, chain)?
            }
            Place::Conflict { chain, conflict_no } => {
                let seq = self.write(document, chain, conflict_no, Forward::No)?;
                self.write_task(document, seq, document.task)?;
                self.write_task(document, seq, Some(TaskKind::Conflict))?;
                self.write_register(document, seq, Source::DisputedReport)?;
                if conflict_no == MAX_CONFLICTS {
                    tracing::warn!(reason = too_many_conflicts(document), "the last conflict that is kept");
                }
                AppendOutcome::Conflict { seq }
            }
        };
        Ok(Some(outcome))
    }

    fn write_new(&mut self, document: &'b NewDocument, chain: u32) -> rusqlite::Result<AppendOutcome> {
        let seq = self.write(document, chain, 0, document.forward)?;
        self.write_task(document, seq, document.task)?;
        self.write_register(document, seq, Source::Report)?;
        Ok(AppendOutcome::Appended { seq })
    }

    fn first_of(
        &mut self,
        fn_number: FnNumber,
        fd_number: FdNumber,
    ) -> rusqlite::Result<Option<(i64, [u8; 32])>> {
        self.rows.flush()?;
        let Some(seq) = self.keys.first(self.connection, fn_number, fd_number)? else { return Ok(None) };
        let identity = self.connection.prepare_cached(IDENTITY)?.query_row([seq], |row| row.get(0))?;
        Ok(Some((seq, identity)))
    }

    /// The same content among conflicts and in later chains.
    fn others_of(
        &mut self,
        fn_number: FnNumber,
        fd_number: FdNumber,
        identity: &[u8; 32],
    ) -> rusqlite::Result<Option<i64>> {
        self.rows.flush()?;
        self.connection
            .prepare_cached(OTHER)?
            .query_row(params![fn_number.as_str(), fd_number.get(), identity], |row| row.get(0))
            .optional()
    }

    fn acknowledgement(&mut self, seq: i64) -> rusqlite::Result<Vec<u8>> {
        self.rows.flush()?;
        self.connection
            .prepare_cached("SELECT acknowledgement FROM journal WHERE seq = ?1")?
            .query_row([seq], |row| row.get(0))
    }

    fn write(
        &mut self,
        document: &'b NewDocument,
        chain: u32,
        conflict_no: u32,
        forward: Forward,
    ) -> rusqlite::Result<i64> {
        let seq = self.keys.next_seq();
        self.rows.add(NewRow { seq, document, chain, conflict_no, forward })?;
        let place =
            keys::Place { fn_number: document.fn_number, fd: document.fd_number.get(), chain, conflict_no };
        self.keys.note(Key { place, seq });
        if !is_all_in_its_row(document, conflict_no) {
            self.rows.flush()?;
        }
        for (ordinal, finding) in (0_u32..).zip(document.findings.iter().take(MAX_STORED_FINDINGS)) {
            self.write_finding(seq, ordinal, finding)?;
        }
        Ok(seq)
    }

    fn write_finding(&self, seq: i64, ordinal: u32, finding: &StoredFinding) -> rusqlite::Result<()> {
        let path = finding.path.iter().map(u16::to_string).collect::<Vec<_>>().join(".");
        self.connection
            .prepare_cached(
                "INSERT INTO findings (seq, ordinal, path, rule, severity, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![seq, ordinal, path, finding.rule, finding.severity.number(), finding.text])?;
        Ok(())
    }

    fn write_task(&self, document: &NewDocument, seq: i64, kind: Option<TaskKind>) -> rusqlite::Result<()> {
        match kind {
            Some(kind) => Ok(tasks::add(self.connection.into(), kind, seq, document.received_at)?),
            None => Ok(()),
        }
    }

    fn write_register(&mut self, document: &NewDocument, seq: i64, source: Source) -> rusqlite::Result<()> {
        let Some(report) = &document.register else {
            return Ok(());
        };
        let version = match self.facts_version {
            Some(version) => version,
            None => registers::raise_version(self.connection.into())?,
        };
        self.facts_version = Some(version);
        registers::learn(
            self.connection.into(),
            &Statement {
                fn_number: Some(document.fn_number),
                kkt_serial: report.kkt_serial.as_deref(),
                rnm: report.rnm.as_deref(),
                inn: report.inn.as_deref(),
                source,
                report_seq: Some(seq),
                at: document.received_at,
                version,
            },
        )?;
        Ok(())
    }
}

/// The look-ups by which it is decided where a document belongs.
impl Known for BatchWriter<'_, '_> {
    type Error = rusqlite::Error;

    fn newest_chain(&mut self, document: &NewDocument) -> rusqlite::Result<Option<u32>> {
        Ok(self.keys.newest_chain(self.connection, document.fn_number)?)
    }

    fn is_above_all(&mut self, document: &NewDocument) -> rusqlite::Result<bool> {
        Ok(document.fd_number.get() > self.keys.highest(self.connection, document.fn_number)?)
    }

    fn first(&mut self, document: &NewDocument) -> rusqlite::Result<Option<(i64, [u8; 32])>> {
        self.first_of(document.fn_number, document.fd_number)
    }

    fn among_others(&mut self, document: &NewDocument) -> rusqlite::Result<Option<i64>> {
        self.others_of(document.fn_number, document.fd_number, &document.identity)
    }

    fn last_conflict(&mut self, document: &NewDocument, chain: u32) -> rusqlite::Result<Option<u32>> {
        self.keys.last_conflict(self.connection, document.fn_number, document.fd_number, chain)
    }
}

/// Whether nothing is written beside the row that refers to it.
fn is_all_in_its_row(document: &NewDocument, conflict_no: u32) -> bool {
    conflict_no == 0 && document.findings.is_empty() && document.task.is_none() && document.register.is_none()
}
