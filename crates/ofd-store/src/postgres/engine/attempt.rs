//! One attempt of a batch: what it asks of the server, and in how many round trips.

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::CopyInSink;

use super::{At, Fault, PgEngine};
use crate::engine::{WriteItem, WriteOutcome};
use crate::postgres::connect::in_words;
use crate::postgres::judge::Judge;
use crate::postgres::plan::{Findings, Keys, Plan, ordinal, position};
use crate::postgres::statements;
use crate::records::AppendOutcome;
use crate::sql::Db;

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

impl PgEngine {
    /// One transaction over the batch.
    pub(super) fn attempt(&mut self, batch: &[WriteItem]) -> Result<Vec<WriteOutcome>, Fault> {
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
}
