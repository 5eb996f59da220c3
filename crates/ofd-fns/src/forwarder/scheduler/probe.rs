//! Asking whether the service is back, or takes us again: with one document.

use super::batch::Doubt;
use super::{Job, Phase, Piece, Scheduler, Step, StepKind, Worker, wanted};
use crate::forwarder::Moment;

/// Failures of a batch of one after which other documents are probed first.
const PROBES: u32 = 8;

impl Scheduler {
    /// One batch of one document. A worker with such a batch is taken first, then one that can make it, then one whose
    /// batch has to be given up for it: whatever was received of that counts as a duplicate when it comes again. The
    /// service may fail over a certain document and be well otherwise: one that has failed too often comes last.
    pub(super) fn probe_job(&mut self, now: Moment, steps: &mut Vec<Step>) -> Option<Job> {
        if let Some(index) = self.probe {
            return self.send_probe(index, now);
        }
        let waiting = |(index, worker): (usize, &Worker)| {
            let batch = worker.batch.as_ref().filter(|batch| batch.waits())?;
            Some((index, batch.items.len(), batch.failures))
        };
        let waiting: Vec<(usize, usize, u32)> = self.workers.iter().enumerate().filter_map(waiting).collect();
        let single =
            |(index, size, failures): &(usize, usize, u32)| (*size == 1).then_some((*failures, *index));
        let tried_least = waiting.iter().filter_map(single).min();
        if let Some((failures, index)) = tried_least
            && failures < PROBES
        {
            self.probe = Some(index);
            return self.send_probe(index, now);
        }
        let able = |worker: &Worker| {
            worker.batch.is_none() && worker.building.is_none() && worker.lanes.ready_len() > 0
        };
        let larger = waiting.iter().find(|(_, size, _)| *size > 1);
        let index = match (self.workers.iter().position(able), larger) {
            (Some(index), _) => index,
            (None, Some((index, ..))) => {
                let index = *index;
                steps.extend(self.give_up_for_probe(index, now));
                index
            }
            (None, None) => {
                let (_, index) = tried_least?;
                self.probe = Some(index);
                return self.send_probe(index, now);
            }
        };
        let worker = self.workers.get_mut(index)?;
        let items = vec![worker.lanes.take_least_tried(now)?];
        worker.building_piece = false;
        worker.building_doubt = Some(Doubt { accepted: self.accepted, strikes: 0, suspected: true });
        worker.building = Some(items.clone());
        self.probe = Some(index);
        Some(Job::Build { worker: index, items })
    }

    /// If the probe goes well, it may be that batch over which the service fails.
    fn give_up_for_probe(&mut self, index: usize, now: Moment) -> Option<Step> {
        let worker = self.workers.get_mut(index)?;
        let batch = worker.batch.take()?;
        let step = batch.step(StepKind::Dissolve {
            pause: None,
            error: "given up for a probe of one document".to_owned(),
        });
        if batch.failures > 0 {
            let doubt = Some(Doubt { suspected: true, ..batch.doubt });
            let wanted = batch.items.iter().map(wanted).collect();
            worker.pieces.push_front(Piece { wanted, ready_at: now, doubt });
        }
        self.put_back(batch.items, now);
        Some(step)
    }

    fn send_probe(&mut self, index: usize, now: Moment) -> Option<Job> {
        let (held, timeout) = (&self.held, self.settings.timeout);
        let worker = self.workers.get_mut(index)?;
        match &mut worker.batch {
            Some(batch) if batch.waits() && batch.is_held(held, now, timeout) => {
                batch.phase = Phase::Sending;
                self.gate.probe_begins();
                Some(Job::Send { worker: index })
            }
            Some(_) => None,
            None if worker.building.is_some() => None,
            // It was given up meanwhile.
            None => {
                self.probe = None;
                None
            }
        }
    }

    pub(super) fn call_off_probe(&mut self, worker: usize) {
        if self.probe == Some(worker) {
            self.probe = None;
            self.gate.probe_called_off();
        }
    }
}
