//! The steps by which the tables follow.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::pace::{Fresh, Plan};
use super::tables::{self, State};
use super::{Key, Keys, Merge};

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Moved,
    /// Somebody else changed the tables.
    Stale,
}

impl Plan {
    fn is_empty(&self, keys: &Keys) -> bool {
        self.fresh == Fresh::Leave && self.merge == 0 && !(self.turn && keys.may_turn(self))
    }
}

impl Keys {
    /// What is due between two batches.
    pub(in crate::sqlite) fn tend(&mut self, connection: &mut Connection) -> rusqlite::Result<()> {
        let plan = self.between_batches();
        self.carry_out(connection, plan)
    }

    /// A step of what is left while no batch comes. False when there is none to do now.
    pub(in crate::sqlite) fn follow(
        &mut self,
        connection: &mut Connection,
        at_once: bool,
    ) -> rusqlite::Result<bool> {
        let Some(plan) = self.in_a_pause(at_once) else { return Ok(false) };
        self.carry_out(connection, plan)?;
        Ok(self.in_a_pause(at_once).is_some())
    }

    /// In one transaction that needs no sync, see the head of this module. The connection syncs its commits again when
    /// this returns, or it returns an error and must not be used any more.
    fn carry_out(&mut self, connection: &mut Connection, plan: Plan) -> rusqlite::Result<()> {
        if plan.is_empty(self) {
            return Ok(());
        }
        connection.pragma_update(None, "synchronous", "normal")?;
        let result = self.attempt(connection, plan);
        connection.pragma_update(None, "synchronous", "full")?;
        if result? == Done::Stale {
            tracing::info!("the key tables were changed by somebody else: they are read anew");
            *self = Self::load(connection, self.pace)?;
        }
        Ok(())
    }

    fn attempt(&mut self, connection: &mut Connection, plan: Plan) -> rusqlite::Result<Done> {
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
        if tables::state(&transaction)? != self.state {
            return Ok(Done::Stale);
        }
        let mut state = self.state.clone();
        let run = self.write_fresh(&transaction, plan.fresh, &mut state)?;
        let merged = plan.merge > 0;
        if merged {
            let keys = self.merge.take(plan.merge);
            tables::add_keys(&transaction, keys)?;
            let is_last = keys.len() == self.merge.left();
            let side = state.gathering.other();
            if is_last {
                tables::clear(&transaction, side)?;
                state.set_runs(side, 0);
                state.done = None;
            } else {
                state.done = self.merge.take(0).last().map(|key| key.place);
            }
        }
        let turns = plan.turn && state.runs(state.gathering.other()) == 0 && state.runs(state.gathering) > 0;
        if turns {
            state.gathering = state.gathering.other();
        }
        state.write(&transaction)?;
        transaction.commit()?;
        self.settle(state, run, merged, turns, plan.fresh);
        Ok(Done::Moved)
    }

    /// Writes the rows that are in no table, in the order of their keys.
    fn write_fresh(
        &self,
        transaction: &Connection,
        fresh: Fresh,
        state: &mut State,
    ) -> rusqlite::Result<Option<Vec<Key>>> {
        let Some(newest) = self.fresh.last() else { return Ok(None) };
        if fresh == Fresh::Leave {
            return Ok(None);
        }
        let mut keys = self.fresh.clone();
        keys.sort_unstable();
        state.seq = newest.seq;
        if fresh == Fresh::Place {
            tables::add_keys(transaction, &keys)?;
        } else {
            let number = state.runs(state.gathering).saturating_add(1);
            tables::add_run(transaction, state.gathering, number, &keys)?;
            state.set_runs(state.gathering, number);
        }
        Ok(Some(keys))
    }

    /// What was committed is true in memory too.
    fn settle(&mut self, state: State, run: Option<Vec<Key>>, merged: bool, turns: bool, fresh: Fresh) {
        if let Some(run) = run {
            self.fresh.clear();
            let since = self.times.fresh.take();
            if fresh == Fresh::Run {
                self.times.gathered = self.times.gathered.or(since);
                self.gathered.push(run);
            }
        }
        if merged {
            self.merge.confirm();
            if self.merge.is_empty() {
                self.times.merge = None;
            }
        }
        if turns {
            self.merge = Merge::of(std::mem::take(&mut self.gathered));
            self.times.merge = self.times.gathered.take();
        }
        self.state = state;
    }

    /// Whether there will be something gathered and nothing to merge when the plan is carried out.
    fn may_turn(&self, plan: &Plan) -> bool {
        let gathers = !self.gathered.is_empty() || (plan.fresh == Fresh::Run && !self.fresh.is_empty());
        gathers && plan.merge >= self.merge.left()
    }
}
