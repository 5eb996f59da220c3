//! Asking whether the service is back, or takes us again: with one document.

use super::{Batch, Job, Phase, Scheduler, Step, StepKind, Worker};
use crate::forwarder::Moment;

impl Scheduler {
    /// One batch of one document. A worker with such a batch is taken first, then one that can make it, then one whose
    /// batch has to be given up for it: whatever was received of that counts as a duplicate when it comes again.
    pub(super) fn probe_job(&mut self, now: Moment, steps: &mut Vec<Step>) -> Option<Job> {
        if let Some(index) = self.probe {
            return self.send_probe(index, now);
        }
        let single = |worker: &Worker| {
            worker.batch.as_ref().is_some_and(|batch| batch.waits() && batch.items.len() == 1)
        };
        if let Some(index) = self.workers.iter().position(single) {
            self.probe = Some(index);
            return self.send_probe(index, now);
        }
        let able = |worker: &Worker| {
            worker.batch.is_none() && worker.building.is_none() && worker.lanes.ready_len() > 0
        };
        let index = match self.workers.iter().position(able) {
            Some(index) => index,
            None => {
                let waits = |worker: &Worker| worker.batch.as_ref().is_some_and(Batch::waits);
                let index = self.workers.iter().position(waits)?;
                let batch = self.workers.get_mut(index)?.batch.take()?;
                steps.push(batch.step(StepKind::Dissolve {
                    pause: None,
                    error: "given up for a probe of one document".to_owned(),
                }));
                self.put_back(batch.items, now);
                index
            }
        };
        let job = self.begin(index, 1, now)?;
        self.probe = Some(index);
        Some(job)
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
