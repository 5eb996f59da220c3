//! What is not simply new: repeats, conflicts, debug chains, and whatever a document brings with it beside its row.
//!
//! Runs in the open transaction of a batch, after its ordinary new documents, one item after another.

use rusqlite::params;

use super::copy::Position;
use crate::engine::WriteOutcome;
use crate::placing::{self, Known, MAX_CONFLICTS, Place, too_many_conflicts};
use crate::records::{
    AppendOutcome, Forward, KnownContent, NewDocument, NewQuarantine, QuarantineOutcome, TaskKind,
};
use crate::sql::{self, Db, OptionalExtension as _};
use crate::tables::chains::{newest_chain, open_chain};
use crate::tables::columns::{kopecks_column, marks_column};
use crate::tables::registers::{self, Source, Statement};
use crate::tables::{quarantine, tasks};

const FIRST: &str = "SELECT seq, identity FROM journal_keys \
     WHERE fn = ?1 AND fd = ?2 AND chain = 0 AND conflict_no = 0";
const OTHER: &str = "SELECT seq FROM journal_keys \
     WHERE fn = ?1 AND fd = ?2 AND identity = ?3 AND (conflict_no > 0 OR chain > 0)";
const LAST_CONFLICT: &str = "SELECT conflict_no FROM journal_keys WHERE fn = ?1 AND fd = ?2 AND chain = ?3 \
     ORDER BY conflict_no DESC LIMIT 1";
const INSERT_KEY: &str = "INSERT INTO journal_keys (fd, chain, conflict_no, seq, fn, identity) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const INSERT: &str = "INSERT INTO journal (fn, fd, chain, conflict_no, form, received_at, code, forward, marks, \
     verdict, sign_scheme, sign_generation, identity, peer, ffd_version, local_time, rnm, user_inn, kkt_serial, \
     shift, receipt_number, operation, total_kopecks, fiscal_sign, acknowledgement, container, opened, seq) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, \
     ?22, ?23, ?24, ?25, ?26, ?27, ?28)";

/// The open transaction of a batch.
pub(super) struct Judge<'c> {
    db: Db<'c>,
    quarantine_max_bytes: u64,
    /// The version of the register facts in this transaction, raised at the first change.
    facts_version: Option<i64>,
    /// Positions of the documents that were written here. Their findings are left to the caller.
    written: Vec<i64>,
}

impl<'c> Judge<'c> {
    pub(super) fn new(db: Db<'c>, quarantine_max_bytes: u64) -> Self {
        Self { db, quarantine_max_bytes, facts_version: None, written: Vec::new() }
    }

    /// Positions of the documents that were written here.
    pub(super) fn written(&self) -> &[i64] {
        &self.written
    }

    /// A document that is not simply new; `seq` is its position, should it be written.
    pub(super) fn append(&mut self, document: &NewDocument, seq: i64) -> sql::Result<WriteOutcome> {
        let outcome = match placing::place(self, document)? {
            Place::Full => return Ok(WriteOutcome::Refused { reason: too_many_conflicts(document) }),
            Place::Repeat { seq } => match self.acknowledgement(seq)? {
                Some(acknowledgement) => AppendOutcome::Repeat { seq, acknowledgement },
                None => return Ok(WriteOutcome::Refused { reason: put_away(document) }),
            },
            Place::New { chain } => self.write_new(document, Position { seq, chain, conflict_no: 0 })?,
            Place::NewChain { chain } => {
                open_chain(self.db, document.fn_number.as_str(), chain)?;
                self.write_new(document, Position { seq, chain, conflict_no: 0 })?
            }
            Place::Conflict { chain, conflict_no } => {
                self.write(document, Position { seq, chain, conflict_no }, Forward::No)?;
                self.write_task(document, seq, document.task)?;
                self.write_task(document, seq, Some(TaskKind::Conflict))?;
                self.write_register(document, seq, Source::DisputedReport)?;
                if conflict_no == MAX_CONFLICTS {
                    tracing::warn!(reason = too_many_conflicts(document), "the last conflict that is kept");
                }
                AppendOutcome::Conflict { seq }
            }
        };
        Ok(WriteOutcome::Append(outcome))
    }

    /// What a new document whose row is written brings with it.
    pub(super) fn accompany(&mut self, document: &NewDocument, seq: i64) -> sql::Result<()> {
        self.write_task(document, seq, document.task)?;
        self.write_register(document, seq, Source::Report)
    }

    /// A copy for the quarantine. What lies in the journal at `not_from` or later came after it.
    pub(super) fn quarantine(&mut self, copy: &NewQuarantine, not_from: i64) -> sql::Result<WriteOutcome> {
        let outcome = match self.acknowledged(copy, not_from)? {
            Some(known) => known,
            None => quarantine::keep(self.db, self.quarantine_max_bytes, copy)?,
        };
        Ok(WriteOutcome::Quarantine(outcome))
    }

    fn acknowledged(
        &mut self,
        copy: &NewQuarantine,
        not_from: i64,
    ) -> sql::Result<Option<QuarantineOutcome>> {
        let (KnownContent::Acknowledged, Some(identity)) = (copy.known_content, copy.identity) else {
            return Ok(None);
        };
        let (key, fd) = (copy.fn_number.as_str(), copy.fd_number.get());
        let first: Option<(i64, [u8; 32])> =
            self.db.query_row(FIRST, params![key, fd], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let known = match first {
            Some((seq, found)) if found == identity => Some(seq),
            _ => self.db.query_row(OTHER, params![key, fd, identity], |row| row.get(0)).optional()?,
        };
        let Some(seq) = known.filter(|seq| *seq < not_from) else { return Ok(None) };
        let acknowledgement = self.acknowledgement(seq)?;
        Ok(acknowledgement.map(|acknowledgement| QuarantineOutcome::Acknowledged { seq, acknowledgement }))
    }

    fn write_new(&mut self, document: &NewDocument, position: Position) -> sql::Result<AppendOutcome> {
        self.write(document, position, document.forward)?;
        self.accompany(document, position.seq)?;
        Ok(AppendOutcome::Appended { seq: position.seq })
    }

    fn write(&mut self, document: &NewDocument, position: Position, forward: Forward) -> sql::Result<()> {
        let Position { seq, chain, conflict_no } = position;
        let (key, fd) = (document.fn_number.as_str(), document.fd_number.get());
        self.db.execute(INSERT_KEY, params![fd, chain, conflict_no, seq, key, document.identity])?;
        let derived = &document.derived;
        self.db.execute(
            INSERT,
            params![
                key,
                fd,
                chain,
                conflict_no,
                document.form,
                document.received_at.as_microsecond(),
                document.code,
                forward.number(),
                marks_column(document),
                document.sign.verdict,
                document.sign.scheme,
                document.sign.generation,
                document.identity,
                document.peer,
                derived.ffd_version,
                derived.local_time,
                derived.rnm,
                derived.user_inn,
                derived.kkt_serial,
                derived.shift,
                derived.receipt_number,
                derived.operation,
                kopecks_column(derived),
                derived.fiscal_sign,
                document.acknowledgement,
                document.container,
                document.opened,
                seq,
            ],
        )?;
        self.written.push(seq);
        Ok(())
    }

    fn write_task(&self, document: &NewDocument, seq: i64, kind: Option<TaskKind>) -> sql::Result<()> {
        match kind {
            Some(kind) => tasks::add(self.db, kind, seq, document.received_at),
            None => Ok(()),
        }
    }

    fn write_register(&mut self, document: &NewDocument, seq: i64, source: Source) -> sql::Result<()> {
        let Some(report) = &document.register else {
            return Ok(());
        };
        let version = match self.facts_version {
            Some(version) => version,
            None => registers::raise_version(self.db)?,
        };
        self.facts_version = Some(version);
        registers::learn(
            self.db,
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

    /// None when its month was detached.
    fn acknowledgement(&self, seq: i64) -> sql::Result<Option<Vec<u8>>> {
        self.db
            .query_row("SELECT acknowledgement FROM journal WHERE seq = ?1", [seq], |row| row.get(0))
            .optional()
    }
}

/// Why a repeat gets no answer.
fn put_away(document: &NewDocument) -> String {
    format!(
        "ФН {} ФД {} is a repeat of a document whose month was detached from the journal: attach it to have it answered",
        document.fn_number.as_str(),
        document.fd_number.get()
    )
}

impl Known for Judge<'_> {
    type Error = sql::Error;

    fn newest_chain(&mut self, document: &NewDocument) -> sql::Result<Option<u32>> {
        newest_chain(self.db, document.fn_number.as_str())
    }

    fn first(&mut self, document: &NewDocument) -> sql::Result<Option<(i64, [u8; 32])>> {
        let key = params![document.fn_number.as_str(), document.fd_number.get()];
        self.db.query_row(FIRST, key, |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    fn among_others(&mut self, document: &NewDocument) -> sql::Result<Option<i64>> {
        let key = params![document.fn_number.as_str(), document.fd_number.get(), document.identity];
        self.db.query_row(OTHER, key, |row| row.get(0)).optional()
    }

    fn last_conflict(&mut self, document: &NewDocument, chain: u32) -> sql::Result<Option<u32>> {
        let key = params![document.fn_number.as_str(), document.fd_number.get(), chain];
        self.db.query_row(LAST_CONFLICT, key, |row| row.get(0)).optional()
    }
}
