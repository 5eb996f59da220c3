//! What an answer, or its absence, means for a batch and for what comes after it.

use std::time::Duration;

use super::batch::Doubt;
use super::{Batch, Effect, Phase, Piece, Scheduler, StepKind, Wanted, doc_key, wanted};
use crate::client::wire::BatchAnswer;
use crate::client::{CallError, ErrorClass};
use crate::forwarder::Moment;
use crate::forwarder::answers::{Outcome, outcomes};
use crate::forwarder::gate::{Permit, Sign, Turn};

impl Scheduler {
    /// An answer to the batch of a worker came, or none.
    pub(crate) fn answered(
        &mut self,
        worker: usize,
        answer: Result<BatchAnswer, CallError>,
        now: Moment,
        random: u64,
    ) -> Effect {
        let probe = self.probe == Some(worker);
        if probe {
            self.probe = None;
        }
        let Some(batch) = self.workers.get_mut(worker).and_then(|worker| worker.batch.take()) else {
            return Effect::default();
        };
        let (sign, retry_after) = match &answer {
            Ok(_) => (Sign::Alive, None),
            Err(error) => (sign_of(error.class()), error.retry_after()),
        };
        // That the service fails over a certain document is known, and says nothing about the service.
        let known = sign == Sign::Down && !probe && batch.goes_alone();
        let turn = if known { None } else { self.gate.answered(sign, probe, retry_after, now) };
        let mut effect = match answer {
            Ok(answer) => {
                self.accepted = self.accepted.saturating_add(1);
                self.settle(batch, answer, now, random)
            }
            Err(error) if sign == Sign::Down => self.not_done(worker, batch, &error, probe, now, random),
            Err(error) => self.failed(worker, batch, &error, now, random),
        };
        effect.turn = turn;
        if matches!(turn, Some(Turn::Closed | Turn::Admitted)) {
            self.go_on(now, random);
        }
        // A batch that comes to wait although a slot of it is to be given back would never be sent.
        effect.steps.extend(self.drop_foreign(now));
        effect
    }

    fn settle(&mut self, batch: Batch, answer: BatchAnswer, now: Moment, random: u64) -> Effect {
        let keys: Vec<String> = batch.items.iter().map(doc_key).collect();
        let mut settled = Vec::with_capacity(batch.items.len());
        let mut again = Vec::new();
        for (mut item, outcome) in batch.items.iter().cloned().zip(outcomes(&keys, answer)) {
            item.attempts = item.attempts.saturating_add(1);
            let pause = matches!(outcome, Outcome::Busy { .. })
                .then(|| self.settings.backoff.pause(item.attempts, random, None));
            if let Some(pause) = pause {
                item.ready_at = now.saturating_add(pause);
                again.push(item.clone());
            }
            settled.push((item, outcome, pause));
        }
        self.put_back(again, now);
        Effect { steps: vec![batch.step(StepKind::Settle(settled))], ..Effect::default() }
    }

    fn failed(
        &mut self,
        worker: usize,
        mut batch: Batch,
        error: &CallError,
        now: Moment,
        random: u64,
    ) -> Effect {
        let words = error.to_string();
        match error.class() {
            ErrorClass::Invalid if batch.items.len() == 1 => {
                let code = code_of(error);
                let kind =
                    batch.items.first().cloned().map(|item| StepKind::Dead { item, code, error: words });
                Effect { steps: kind.map(|kind| batch.step(kind)).into_iter().collect(), ..Effect::default() }
            }
            ErrorClass::Invalid => self.halve(worker, batch, None, words, now),
            ErrorClass::KeyReused => {
                // A new key is made at once, but not again and again.
                let failures = batch.items.iter().map(|item| item.attempts).max().unwrap_or(0);
                let pause = self.settings.backoff.pause(failures.saturating_add(1), random, None);
                let step = batch.step(StepKind::Dissolve { pause: Some(pause), error: words });
                for item in &mut batch.items {
                    item.attempts = item.attempts.saturating_add(1);
                    item.ready_at = now.saturating_add(pause);
                }
                self.put_back(batch.items, now);
                Effect { steps: vec![step], ..Effect::default() }
            }
            class => {
                batch.failures = batch.failures.saturating_add(1);
                let pause = match class {
                    // The gate says when.
                    ErrorClass::Unauthorised | ErrorClass::Foreign | ErrorClass::Gone => Duration::ZERO,
                    _ => self.settings.backoff.pause(batch.failures, random, error.retry_after()),
                };
                batch.phase = Phase::Waiting(now.saturating_add(pause));
                let step = batch.step(StepKind::Retry { pause, error: words });
                if let Some(hand) = self.workers.get_mut(worker) {
                    hand.batch = Some(batch);
                }
                Effect { steps: vec![step], ..Effect::default() }
            }
        }
    }

    /// No answer, or one of a service in trouble. In an outage a batch stays as it is; one that fails again and again
    /// while others are accepted is taken apart until the document is found over which the service fails.
    fn not_done(
        &mut self,
        worker: usize,
        mut batch: Batch,
        error: &CallError,
        probe: bool,
        now: Moment,
        random: u64,
    ) -> Effect {
        let to_blame = batch.doubt.failed(self.accepted);
        match batch.items.len() {
            1 if to_blame || batch.goes_alone() => self.park(batch, error, now, random),
            2.. if to_blame => {
                let doubt = Doubt { accepted: self.accepted, strikes: 0, suspected: true };
                self.halve(worker, batch, Some(doubt), error.to_string(), now)
            }
            _ if (probe || batch.doubt.suspected) && self.has_others(worker, &batch) => {
                self.let_others_pass(worker, batch, error, now, random)
            }
            _ => self.failed(worker, batch, error, now, random),
        }
    }

    /// The halves go one after the other, before anything else.
    fn halve(
        &mut self,
        worker: usize,
        batch: Batch,
        doubt: Option<Doubt>,
        error: String,
        now: Moment,
    ) -> Effect {
        let step = batch.step(StepKind::Dissolve { pause: None, error });
        let middle = batch.items.len().div_ceil(2);
        let halves: Vec<Vec<Wanted>> =
            batch.items.chunks(middle).map(|half| half.iter().map(wanted).collect()).collect();
        if let Some(hand) = self.workers.get_mut(worker) {
            for wanted in halves.into_iter().rev() {
                hand.pieces.push_front(Piece { wanted, ready_at: now, doubt });
            }
        }
        self.put_back(batch.items, now);
        Effect { steps: vec![step], split: true, ..Effect::default() }
    }

    /// The document over which the service fails waits in its lane, and goes alone from now on. Never dead: nobody has
    /// refused it.
    fn park(&mut self, mut batch: Batch, error: &CallError, now: Moment, random: u64) -> Effect {
        let parked = batch.items.first().filter(|item| !item.alone).cloned();
        let pause = self.back_off(&mut batch, error, now, random);
        batch.items.iter_mut().for_each(|item| item.alone = true);
        let step = batch.step(StepKind::Dissolve { pause: Some(pause), error: error.to_string() });
        self.put_back(batch.items, now);
        Effect { steps: vec![step], parked, ..Effect::default() }
    }

    /// Nobody knows yet whether it is the batch or the service: others will show.
    fn let_others_pass(
        &mut self,
        worker: usize,
        mut batch: Batch,
        error: &CallError,
        now: Moment,
        random: u64,
    ) -> Effect {
        let pause = self.back_off(&mut batch, error, now, random);
        let step = batch.step(StepKind::Dissolve { pause: Some(pause), error: error.to_string() });
        let doubt = Some(Doubt { suspected: true, ..batch.doubt });
        let wanted = batch.items.iter().map(wanted).collect();
        if let Some(hand) = self.workers.get_mut(worker) {
            hand.pieces.push_back(Piece { wanted, ready_at: now.saturating_add(pause), doubt });
        }
        self.put_back(batch.items, now);
        Effect { steps: vec![step], ..Effect::default() }
    }

    /// The documents of a batch are to wait, each time longer. How long.
    fn back_off(&self, batch: &mut Batch, error: &CallError, now: Moment, random: u64) -> Duration {
        let attempts = batch.items.iter().map(|item| item.attempts).max().unwrap_or(0).saturating_add(1);
        let pause = self.settings.backoff.pause(attempts, random, error.retry_after());
        for item in &mut batch.items {
            item.attempts = attempts;
            item.ready_at = now.saturating_add(pause);
        }
        pause
    }

    /// Whether other lanes of the worker could be sent instead.
    fn has_others(&self, worker: usize, batch: &Batch) -> bool {
        self.workers.get(worker).is_some_and(|hand| hand.lanes.has_ready_besides(&batch.items))
    }

    /// The service is back: what waits need not wait for the end of a pause drawn in an outage.
    fn go_on(&mut self, now: Moment, random: u64) {
        let (held, backoff) = (self.gate.permit(now), self.settings.backoff);
        for (index, worker) in (1_u64..).zip(&mut self.workers) {
            if held == Permit::Free
                && let Some(Batch { phase: Phase::Waiting(until), .. }) = &mut worker.batch
            {
                let pause = backoff.pause(1, random.wrapping_mul(index.wrapping_mul(2) | 1), None);
                *until = (*until).min(now.saturating_add(pause));
            }
        }
    }
}

fn sign_of(class: ErrorClass) -> Sign {
    match class {
        ErrorClass::Down => Sign::Down,
        ErrorClass::Unauthorised | ErrorClass::Foreign | ErrorClass::Gone => Sign::Barred,
        ErrorClass::Throttled | ErrorClass::Invalid | ErrorClass::KeyReused => Sign::Alive,
    }
}

fn code_of(error: &CallError) -> String {
    match error {
        CallError::Refused(refusal) => {
            refusal.problem.code.clone().unwrap_or_else(|| format!("HTTP_{}", refusal.status))
        }
        CallError::Transport { .. } | CallError::Unreadable { .. } => "UNREADABLE".to_owned(),
    }
}
