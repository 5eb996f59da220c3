//! Batches: the ordinary ones in two round trips, everything else in the same transaction, one item after another.

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::error::SqlState;
use tokio_postgres::{CopyInSink, Error};

use super::connect::in_words;
use super::judge::Judge;
use super::line::{Line, Opening, why_unconfirmed};
use super::plan::{Findings, Keys, Plan, ordinal, position};
use super::target::Target;
use super::{partitions, statements};
use crate::StoreError;
use crate::engine::{Engine, EngineError, WriteItem, WriteOutcome};
use crate::records::AppendOutcome;
use crate::sql::{self, Db};

/// After a batch with a known number in it, the next so many are looked up before they are written: repeats come in
/// crowds, after a pause of the network or of us.
const CAREFUL_BATCHES: u32 = 64;
/// How often a batch is begun anew by itself when another node was quicker.
const MOST_ATTEMPTS: u32 = 4;
/// How often an idle session is asked whether it still stands, and how long that may take.
const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether the next months are there.
const PARTITIONS_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The writing session.
pub(crate) struct PgEngine {
    line: Line,
    quarantine_max_bytes: u64,
    /// Batches that are still to be looked up before.
    careful: u32,
    /// Whether there is a transaction to be given up should something go wrong.
    is_open: Cell<bool>,
    used_at: Instant,
    partitions_at: Instant,
}

/// Why one attempt of a batch came to nothing.
enum Fault {
    /// The server said no; nothing was written.
    Said(Error),
    /// The same, in the words of the portable statements.
    Table(sql::Error),
    /// The end of the session or of our patience: what became of the batch is not known.
    Unknown(String),
}

/// What is to be done after a fault.
enum Remedy {
    /// Again, looking before writing.
    Carefully,
    /// One of the items is to blame: each for itself.
    Singly(String),
    /// The caller decides.
    Give(EngineError),
}

impl PgEngine {
    /// Opens the session.
    pub(crate) fn open(
        target: &Target,
        quarantine_max_bytes: u64,
        opening: &Opening,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let line = Line::open(target, opening, patience)?;
        let now = Instant::now();
        let is_open = Cell::new(false);
        Ok(Self { line, quarantine_max_bytes, careful: 0, is_open, used_at: now, partitions_at: now })
    }

    /// Which store it is, to be the same after a failure.
    pub(crate) fn store_id(&self) -> &str {
        &self.line.store_id
    }

    /// One transaction over the batch.
    fn attempt(&mut self, batch: &[WriteItem]) -> Result<Vec<WriteOutcome>, Fault> {
        let warnings = self.line.watch.warnings();
        let mut plan = Plan::of(batch);
        let Begun { first, new, copy, keys } = self.begin(&mut plan)?;
        let mut outcomes = Outcomes::of(batch.len());
        let mut findings = Findings::default();
        for &index in &new {
            let seq = position(first, index);
            outcomes.put(index, WriteOutcome::Append(AppendOutcome::Appended { seq }));
            if let Some(document) = plan.document(index) {
                findings.push(document, seq);
            }
        }
        let brings = |index: &usize| {
            plan.document(*index)
                .is_some_and(|document| document.task.is_some() || document.register.is_some())
        };
        let accompanied: Vec<usize> = new.iter().copied().filter(brings).collect();
        let rows = plan.rows(&new, first).finish();
        let keys = keys.map(|keys| {
            let seqs = keys.ordinals.iter().map(|ordinal| first.saturating_add(*ordinal)).collect();
            (keys, seqs)
        });
        let last = Last { rows, copy, keys };
        if plan.single().is_empty() && accompanied.is_empty() {
            self.finish(last, &findings, true)?;
        } else {
            self.finish(last, &findings, false)?;
            self.judge(&plan, first, &accompanied, &mut outcomes)?;
            self.is_open.set(false);
            self.answer(self.line.client.batch_execute(statements::CONFIRM_AND_COMMIT), At::Commit)?;
        }
        if self.line.watch.warnings() != warnings {
            let words = self.line.watch.words().unwrap_or_default();
            return Err(Fault::Unknown(format!("the server warned at a commit: {words}")));
        }
        outcomes.all().ok_or_else(|| Fault::Unknown("an item of the batch was passed over".to_owned()))
    }

    /// First round trip: the transaction, the positions, and the beginning of the rows. Ordinary documents are taken for
    /// new ones: their keys go with the rows, and should one be known, all is begun anew with more care.
    ///
    /// With care the keys come first, in a round trip of their own that tells which are new.
    fn begin<'b>(&self, plan: &mut Plan<'b>) -> Result<Begun<'b>, Fault> {
        let line = &self.line;
        let wanted = ordinal(plan.batch.len());
        self.is_open.set(true);
        if self.careful > 0 {
            let Keys { fds, ordinals, fns, identities } = plan.keys();
            let asked = async {
                let params: Params<'_, 5> = [&wanted, &fds, &ordinals, &fns, &identities];
                let begin = line.client.batch_execute(statements::BEGIN);
                let (begun, keys) =
                    tokio::join!(begin, line.client.query_one(&line.statements.new_among, &params));
                begun.and(keys)
            };
            let row = self.answer(asked, At::Statement)?;
            let first = row.try_get(0).map_err(Fault::Said)?;
            let written: Option<Vec<i64>> = row.try_get(1).map_err(Fault::Said)?;
            let new = plan.part(Some(&written.unwrap_or_default()));
            let copy = match new.is_empty() {
                true => None,
                false => Some(self.broken_by(line.client.copy_in(&line.statements.copy))?),
            };
            return Ok(Begun { first, new, copy, keys: None });
        }
        let keys = plan.keys();
        let has_rows = !keys.fds.is_empty();
        let asked = async {
            let params: Params<'_, 1> = [&wanted];
            let copying = async {
                match has_rows {
                    true => line.client.copy_in(&line.statements.copy).await.map(Some),
                    false => Ok(None),
                }
            };
            let begin = line.client.batch_execute(statements::BEGIN);
            let (begun, taken, copy) =
                tokio::join!(begin, line.client.query_one(&line.statements.take, &params), copying);
            begun?;
            Ok((taken?, copy?))
        };
        let (row, copy) = self.broken_by(asked)?;
        let first = row.try_get(0).map_err(Fault::Said)?;
        Ok(Begun { first, new: plan.part(None), copy, keys: Some(keys).filter(|_| has_rows) })
    }

    /// Second round trip: rows, keys and findings, and the commit if nothing else is to be done.
    fn finish(&self, last: Last<'_>, findings: &Findings, commit: bool) -> Result<(), Fault> {
        let line = &self.line;
        let Last { rows, copy, keys } = last;
        let asked = async {
            let sending = async {
                let Some(sink) = copy else { return Ok(()) };
                let mut sink = std::pin::pin!(sink);
                sink.send(rows).await?;
                sink.finish().await.map(|_| ())
            };
            let keying = async {
                let Some((Keys { fds, fns, identities, .. }, seqs)) = &keys else { return Ok(()) };
                let params: Params<'_, 4> = [fds, seqs, fns, identities];
                line.client.execute(&line.statements.keys, &params).await.map(|_| ())
            };
            let finding = async {
                if findings.is_empty() {
                    return Ok(());
                }
                let Findings { seqs, ordinals, paths, rules, severities, texts } = findings;
                let params: Params<'_, 6> = [seqs, ordinals, paths, rules, severities, texts];
                line.client.execute(&line.statements.findings, &params).await.map(|_| ())
            };
            let committing =
                async { if commit { line.client.batch_execute("COMMIT").await } else { Ok(()) } };
            let (sent, keyed, found, committed) = tokio::join!(sending, keying, finding, committing);
            // A commit behind a statement that failed has rolled back, whatever it says.
            sent.and(keyed).and(found)?;
            Ok(committed)
        };
        // Whatever comes of it, behind a commit there is no transaction any more.
        self.is_open.set(!commit);
        match self.answer(asked, At::Statement)? {
            Ok(()) => Ok(()),
            Err(error) => Err(Fault::Unknown(in_words(&error))),
        }
    }

    /// What is not simply new, in the order of the batch.
    fn judge(
        &self,
        plan: &Plan<'_>,
        first: i64,
        accompanied: &[usize],
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        self.find_repeats(plan, outcomes)?;
        let mut open: Vec<usize> =
            plan.single().iter().copied().filter(|index| !outcomes.has(*index)).collect();
        open.extend_from_slice(accompanied);
        open.sort_unstable();
        if open.is_empty() {
            return Ok(());
        }
        self.lock(plan, &open, outcomes)?;
        let mut judge = Judge::new(Db::Postgres(&self.line.session), self.quarantine_max_bytes);
        for index in open {
            let seq = position(first, index);
            match plan.batch.get(index) {
                Some(WriteItem::Document(document)) if outcomes.has(index) => {
                    judge.accompany(document, seq).map_err(Fault::Table)?;
                }
                Some(WriteItem::Document(document)) => {
                    outcomes.put(index, judge.append(document, seq).map_err(Fault::Table)?);
                }
                Some(WriteItem::Quarantine(copy)) => {
                    outcomes.put(index, judge.quarantine(copy, seq).map_err(Fault::Table)?);
                }
                None => {}
            }
        }
        let mut findings = Findings::default();
        for &seq in judge.written() {
            let index = usize::try_from(seq.saturating_sub(first)).unwrap_or(usize::MAX);
            if let Some(document) = plan.document(index) {
                findings.push(document, seq);
            }
        }
        if findings.is_empty() { Ok(()) } else { self.finish(Last::default(), &findings, false) }
    }

    /// Most of what is known already is a repeat of what came first: all of these at once.
    fn find_repeats(&self, plan: &Plan<'_>, outcomes: &mut Outcomes) -> Result<(), Fault> {
        let Keys { fds, ordinals, fns, identities } = plan.keys_of(plan.single());
        if fds.is_empty() {
            return Ok(());
        }
        let line = &self.line;
        let rows = self.answer(
            async {
                let params: Params<'_, 4> = [&fds, &ordinals, &fns, &identities];
                line.client.query(&line.statements.repeats, &params).await
            },
            At::Statement,
        )?;
        for row in rows {
            let ordinal: i64 = row.try_get(0).map_err(Fault::Said)?;
            let seq = row.try_get(1).map_err(Fault::Said)?;
            let acknowledgement = row.try_get(2).map_err(Fault::Said)?;
            let index = usize::try_from(ordinal).unwrap_or(usize::MAX);
            outcomes.put(index, WriteOutcome::Append(AppendOutcome::Repeat { seq, acknowledgement }));
        }
        Ok(())
    }

    /// Whoever writes something else than new ordinary documents takes turns with those who do the same.
    fn lock(&self, plan: &Plan<'_>, open: &[usize], outcomes: &Outcomes) -> Result<(), Fault> {
        let (mut journal, mut registers, mut quarantine) = ("", "", "");
        for &index in open {
            match plan.batch.get(index) {
                Some(WriteItem::Document(document)) => {
                    if !outcomes.has(index) {
                        journal = statements::LOCK_JOURNAL;
                    }
                    if document.register.is_some() {
                        registers = statements::LOCK_REGISTERS;
                    }
                }
                Some(WriteItem::Quarantine(_)) => quarantine = statements::LOCK_QUARANTINE,
                None => {}
            }
        }
        let locks = format!("{journal}{registers}{quarantine}");
        if locks.is_empty() {
            return Ok(());
        }
        self.answer(self.line.client.batch_execute(&locks), At::Statement)
    }

    /// Waits for an answer without which the session is of no more use: a COPY that did not begin leaves the client
    /// library and the server with different counts of what was answered.
    fn broken_by<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
        self.answer(asked, At::Commit)
    }

    /// Waits for an answer.
    fn answer<T>(&self, asked: impl Future<Output = Result<T, Error>>, at: At) -> Result<T, Fault> {
        match self.line.wait(asked) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) if error.is_closed() || error.as_db_error().is_none() => {
                let words = self.line.watch.words().unwrap_or_else(|| in_words(&error));
                Err(Fault::Unknown(words))
            }
            // Of a commit: what the server refuses there is not told apart from what it did and could not tell.
            Some(Err(error)) if at == At::Commit => Err(Fault::Unknown(in_words(&error))),
            Some(Err(error)) => Err(Fault::Said(error)),
            None => Err(Fault::Unknown(format!(
                "no answer within {} s; {}",
                self.line.patience().as_secs(),
                why_unconfirmed(&self.line.standbys)
            ))),
        }
    }

    /// Ends the transaction of a batch that came to nothing.
    fn give_up(&self) -> Result<(), EngineError> {
        // A statement may have been ended while it held the lock of the positions, for a moment and for itself.
        let sql = if self.is_open.replace(false) {
            "ROLLBACK; SELECT pg_advisory_unlock_all()"
        } else {
            "SELECT pg_advisory_unlock_all()"
        };
        match self.line.wait(self.line.client.batch_execute(sql)) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(EngineError::Failed(in_words(&error))),
            None => Err(EngineError::Failed("the server does not answer".to_owned())),
        }
    }

    /// What a fault asks for. The transaction is over afterwards, or the session is.
    fn remedy(&mut self, fault: Fault) -> Remedy {
        let (said, words) = match &fault {
            Fault::Unknown(words) => return Remedy::Give(EngineError::Failed(words.clone())),
            Fault::Said(error) | Fault::Table(sql::Error::Postgres(error)) => {
                (error.as_db_error(), in_words(error))
            }
            Fault::Table(error) => return Remedy::Give(EngineError::Failed(error.to_string())),
        };
        let code = said.map(|said| said.code().clone());
        // A missing partition is called a broken check as well, but of no constraint.
        let no_partition =
            said.is_some_and(|said| *said.code() == SqlState::CHECK_VIOLATION && said.constraint().is_none());
        if let Err(error) = self.give_up() {
            return Remedy::Give(error);
        }
        let Some(code) = code else { return Remedy::Give(EngineError::Failed(words)) };
        if code == SqlState::UNIQUE_VIOLATION {
            return Remedy::Carefully;
        }
        if no_partition {
            return Remedy::Give(match self.make_partitions() {
                Ok(()) => EngineError::Busy("the journal's next month was made".to_owned()),
                Err(error) => error,
            });
        }
        if is_passing(&code) {
            return Remedy::Give(EngineError::Busy(words));
        }
        match code.code().get(..2) {
            Some("22" | "23" | "54") => Remedy::Singly(words),
            Some("XX") => Remedy::Give(EngineError::Corrupt(format!(
                "the database is damaged: {words}; look into the server's log before anything else"
            ))),
            _ => Remedy::Give(EngineError::Failed(words)),
        }
    }

    /// Each item in a transaction of its own, so that only the one to blame is refused.
    fn singly(&mut self, batch: &[WriteItem], words: &str) -> Result<Vec<WriteOutcome>, EngineError> {
        if batch.len() <= 1 {
            tracing::error!(reason = words, "an item breaks a rule of the store and is refused");
            return Ok(vec![WriteOutcome::Refused { reason: words.to_owned() }; batch.len()]);
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        for item in batch.chunks(1) {
            outcomes.extend(self.commit(item)?);
        }
        Ok(outcomes)
    }

    fn make_partitions(&mut self) -> Result<(), EngineError> {
        self.partitions_at = Instant::now();
        match self.line.wait(partitions::make_ahead(&self.line.client)) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) if error.code().is_some_and(is_passing) => {
                Err(EngineError::Busy(in_words(&error)))
            }
            Some(Err(error)) => Err(EngineError::Failed(in_words(&error))),
            None => Err(EngineError::Failed("the server does not answer".to_owned())),
        }
    }

    fn ping(&mut self) -> Result<(), EngineError> {
        self.used_at = Instant::now();
        match self.line.wait_at_most(PING_PATIENCE, self.line.client.simple_query("SELECT 1")) {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => {
                Err(EngineError::Failed(self.line.watch.words().unwrap_or_else(|| in_words(&error))))
            }
            None => Err(EngineError::Failed("the server does not answer".to_owned())),
        }
    }
}

impl Engine for PgEngine {
    fn commit(&mut self, batch: &[WriteItem]) -> Result<Vec<WriteOutcome>, EngineError> {
        let mut attempts = 1_u32;
        loop {
            self.used_at = Instant::now();
            let fault = match self.attempt(batch) {
                Ok(outcomes) => {
                    self.careful = self.careful.saturating_sub(1);
                    return Ok(outcomes);
                }
                Err(fault) => fault,
            };
            match self.remedy(fault) {
                Remedy::Carefully if attempts < MOST_ATTEMPTS => {
                    self.careful = CAREFUL_BATCHES;
                    attempts = attempts.saturating_add(1);
                }
                Remedy::Carefully => {
                    return Err(EngineError::Busy("other nodes write the same documents".to_owned()));
                }
                Remedy::Singly(words) => return self.singly(batch, &words),
                Remedy::Give(error) => return Err(error),
            }
        }
    }

    fn tend(&mut self) -> Result<(), EngineError> {
        if self.partitions_at.elapsed() >= PARTITIONS_INTERVAL {
            self.make_partitions()?;
        }
        if self.used_at.elapsed() >= PING_INTERVAL { self.ping() } else { Ok(()) }
    }

    fn probe(&mut self) -> Result<(), EngineError> {
        self.ping()
    }
}

/// At which point an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Within the transaction: an error of the server ends it.
    Statement,
    /// At the commit, or where a session is lost with whatever goes wrong.
    Commit,
}

/// A batch that is begun.
struct Begun<'b> {
    /// Its first position.
    first: i64,
    /// New ordinary documents, in the order of the batch.
    new: Vec<usize>,
    /// The way for their rows.
    copy: Option<CopyInSink<Bytes>>,
    /// Their keys, unless they are written.
    keys: Option<Keys<'b>>,
}

/// What is left to be sent.
#[derive(Default)]
struct Last<'b> {
    rows: Bytes,
    copy: Option<CopyInSink<Bytes>>,
    /// With their positions.
    keys: Option<(Keys<'b>, Vec<i64>)>,
}

type Params<'p, const N: usize> = [&'p (dyn tokio_postgres::types::ToSql + Sync); N];

/// What became of the items so far.
struct Outcomes(Vec<Option<WriteOutcome>>);

impl Outcomes {
    fn of(items: usize) -> Self {
        Self(vec![None; items])
    }

    fn put(&mut self, index: usize, outcome: WriteOutcome) {
        if let Some(place) = self.0.get_mut(index) {
            *place = Some(outcome);
        }
    }

    fn has(&self, index: usize) -> bool {
        self.0.get(index).is_some_and(Option::is_some)
    }

    fn all(self) -> Option<Vec<WriteOutcome>> {
        self.0.into_iter().collect()
    }
}

/// Whether the same batch may be tried again in the same session: a lock, a deadlock, a cancelled statement. None of
/// these is said of a commit.
fn is_passing(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
    ]
    .contains(code)
}
