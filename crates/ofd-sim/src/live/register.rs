//! One register's day.

use std::sync::atomic::Ordering;

use ffd::FfdVersion;
use kkt_proto::header::CrcMode;
use tokio_util::sync::CancellationToken;

use super::options::{Connections, FfdMix, LiveOptions, pace};
use super::progress::{LiveProgress, RegisterReport};
use crate::fleet::{debug_fn, encrypts};
use crate::kkt::{Kkt, KktError, KktSettings};
use crate::link::{Fate, Link, LinkCounts, LinkSettings, Silence};
use crate::rng::Rng;
use crate::storage::Reread;

/// Most lines of a receipt.
const MOST_ITEMS: u64 = 5;
/// One receipt of this many is the refund of the sale before it.
const REFUND_EVERY: u32 = 7;

/// What a register does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Register,
    OpenShift,
    Sell,
    Refund,
    Correct,
    CloseShift,
}

/// What is to happen around a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Incident {
    Nothing,
    /// The connection breaks before the answer is read.
    LostAnswer,
    /// The acknowledged document is sent once more.
    Repeat,
}

/// Why a register stopped.
enum Trouble {
    Cancelled,
    Failed(String),
}

impl From<KktError> for Trouble {
    fn from(error: KktError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Lives one day; the counts go to `progress` as they happen.
pub(super) async fn live(
    options: &LiveOptions,
    index: u32,
    progress: &LiveProgress,
    token: &CancellationToken,
) -> RegisterReport {
    let number = options.fn_base.saturating_add(u64::from(index));
    let settings = match settings(options, index, number) {
        Ok(settings) => settings,
        Err(failure) => {
            LiveProgress::add(&progress.registers_failed, 1);
            let fn_number = debug_fn(0).expect("zero fits twelve digits");
            return RegisterReport { fn_number, documents: 0, waiting: 0, failure: Some(failure) };
        }
    };
    LiveProgress::add(&progress.registers_started, 1);
    let mut day = match Day::new(options, &settings, progress, token) {
        Ok(day) => day,
        Err(error) => {
            LiveProgress::add(&progress.registers_failed, 1);
            let failure = Some(error.to_string());
            return RegisterReport { fn_number: settings.fn_number, documents: 0, waiting: 0, failure };
        }
    };
    let outcome = day.live(&plan(options.receipts)).await;
    day.publish();
    let failure = match outcome {
        Ok(()) => {
            LiveProgress::add(&progress.registers_finished, 1);
            None
        }
        Err(Trouble::Cancelled) => Some("cancelled".to_owned()),
        Err(Trouble::Failed(reason)) => {
            LiveProgress::add(&progress.registers_failed, 1);
            Some(reason)
        }
    };
    let storage = day.kkt.storage();
    RegisterReport {
        fn_number: settings.fn_number,
        documents: storage.next_fd() - 1,
        waiting: storage.waiting(),
        failure,
    }
}

/// The acts of a day; the incidents sit on the first sale and on the one after it, so that even the shortest
/// day has them (a day without sales has them on its shift opening and closing).
fn plan(receipts: u32) -> Vec<(Act, Incident)> {
    let mut acts = vec![(Act::Register, Incident::Nothing), (Act::OpenShift, Incident::Nothing)];
    for receipt in 1..=receipts {
        let act = if receipt % REFUND_EVERY == 0 { Act::Refund } else { Act::Sell };
        acts.push((act, Incident::Nothing));
    }
    acts.push((Act::Correct, Incident::Nothing));
    acts.push((Act::CloseShift, Incident::Nothing));
    for (place, incident) in [(2, Incident::LostAnswer), (3, Incident::Repeat)] {
        if let Some((_, slot)) = acts.get_mut(place) {
            *slot = incident;
        }
    }
    acts
}

fn settings(options: &LiveOptions, index: u32, number: u64) -> Result<KktSettings, String> {
    let ffd = match options.ffd {
        FfdMix::V1_05 => FfdVersion::V1_05,
        FfdMix::V1_2 => FfdVersion::V1_2,
        FfdMix::Mixed if index % 3 == 1 => FfdVersion::V1_05,
        FfdMix::Mixed => FfdVersion::V1_2,
    };
    Ok(KktSettings {
        fn_number: debug_fn(number).map_err(|error| error.to_string())?,
        ffd,
        encrypted: encrypts(options.seed, index, options.encrypted_percent),
        reread: Reread::EncryptAnew,
        seed: Rng::split(options.seed, number).next_u64(),
        clock: options.day_start,
        pace: pace(options.receipts),
        operator: options.operator.clone(),
    })
}

struct Day<'a> {
    options: &'a LiveOptions,
    progress: &'a LiveProgress,
    token: &'a CancellationToken,
    kkt: Kkt,
    link: Link,
    /// What of the link's counts is in `progress` already.
    published: LinkCounts,
    turnover: u64,
}

impl<'a> Day<'a> {
    fn new(
        options: &'a LiveOptions,
        settings: &KktSettings,
        progress: &'a LiveProgress,
        token: &'a CancellationToken,
    ) -> Result<Self, KktError> {
        let kkt = Kkt::new(settings, &options.keys)?;
        let link = Link::new(LinkSettings {
            to: options.to,
            fn_number: settings.fn_number,
            p_version: kkt.p_version(),
            crc_mode: CrcMode::None,
            persistent: options.connections == Connections::Persistent,
            timing: options.timing,
        });
        Ok(Self { options, progress, token, kkt, link, published: LinkCounts::default(), turnover: 0 })
    }

    async fn live(&mut self, plan: &[(Act, Incident)]) -> Result<(), Trouble> {
        for (act, incident) in plan {
            if self.token.is_cancelled() {
                return Err(Trouble::Cancelled);
            }
            self.perform(*act)?;
            self.deliver(*incident).await?;
            if !self.options.pause.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(self.options.pause) => {}
                    () = self.token.cancelled() => {}
                }
            }
        }
        Ok(())
    }

    /// Makes the document of an act.
    fn perform(&mut self, act: Act) -> Result<(), KktError> {
        let kkt = &mut self.kkt;
        match act {
            Act::Register => kkt.register(),
            Act::OpenShift => kkt.open_shift(),
            Act::Sell => kkt.sell(MOST_ITEMS),
            Act::Refund => kkt.refund(),
            Act::Correct => kkt.correct(),
            Act::CloseShift => kkt.close_shift(),
        }?;
        LiveProgress::add(&self.progress.documents, 1);
        let totals = self.kkt.totals();
        let turnover = totals.sales.total().saturating_sub(totals.refunds.total());
        if turnover >= self.turnover {
            LiveProgress::add(&self.progress.turnover_kopecks, turnover - self.turnover);
        } else {
            self.progress.turnover_kopecks.fetch_sub(self.turnover - turnover, Ordering::Relaxed);
        }
        self.turnover = turnover;
        Ok(())
    }

    /// Sends the first document of the queue until its acknowledgement is accepted.
    async fn deliver(&mut self, incident: Incident) -> Result<(), Trouble> {
        let mut fate = if incident == Incident::LostAnswer { Fate::LoseAnswer } else { Fate::Honest };
        let mut tries = 0;
        loop {
            // What is lost on purpose says nothing about the operator, so it uses up no try.
            tries += u32::from(fate == Fate::Honest);
            let Some(front) = self.kkt.storage().front() else { return Ok(()) };
            let (container, form) = (front.container.clone(), front.form);
            let outcome = self.link.attempt(&container, fate, self.token).await;
            self.publish();
            fate = Fate::Honest;
            let (reason, another) = match outcome {
                Ok(reply) => match self.kkt.storage_mut().acknowledge(&reply.body) {
                    Ok(accepted) => {
                        self.progress.count_acknowledged(form, accepted.code);
                        break self.repeat_if(incident, &container).await;
                    }
                    Err(refusal) => {
                        self.progress.count_refusal(refusal);
                        (format!("the storage refuses the acknowledgement, reason {refusal}"), true)
                    }
                },
                Err(Silence::Cancelled) => return Err(Trouble::Cancelled),
                Err(silence) => (silence.to_string(), !silence.is_final()),
            };
            if !another || !self.options.timing.allows_another(tries) {
                let fd_number = self.kkt.storage().front().map_or(0, |front| front.fd_number.get());
                return Err(Trouble::Failed(format!("document {fd_number}: {reason}")));
            }
            self.kkt.storage_mut().reread_front();
            self.link.pause(self.token).await;
        }
    }

    /// The deliberate repeat of a document that is acknowledged already.
    async fn repeat_if(&mut self, incident: Incident, container: &[u8]) -> Result<(), Trouble> {
        if incident != Incident::Repeat {
            return Ok(());
        }
        let outcome = self.link.exchange(container, self.token).await;
        self.publish();
        match outcome {
            Ok(_) => Ok(()),
            Err(Silence::Cancelled) => Err(Trouble::Cancelled),
            Err(silence) => Err(Trouble::Failed(format!("deliberate repeat: {silence}"))),
        }
    }

    /// Brings the link's counts into the shared ones.
    fn publish(&mut self) {
        let (now, then, shared) = (self.link.counts(), self.published, self.progress);
        for (counter, now, then) in [
            (&shared.messages, now.messages, then.messages),
            (&shared.repeats, now.repeats, then.repeats),
            (&shared.reconnects, now.reconnects, then.reconnects),
            (&shared.silences, now.silences, then.silences),
            (&shared.lost_answers, now.lost_answers, then.lost_answers),
            (&shared.repeats_equal, now.repeats_equal, then.repeats_equal),
            (&shared.repeats_different, now.repeats_different, then.repeats_different),
        ] {
            LiveProgress::add(counter, now - then);
        }
        self.published = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_both_incidents_and_its_documents() {
        for receipts in [0, 1, 2, 7, 30] {
            let plan = plan(receipts);
            assert_eq!(plan.len(), usize::try_from(super::super::documents_of_day(receipts)).unwrap());
            let count = |wanted| plan.iter().filter(|(_, incident)| *incident == wanted).count();
            assert_eq!((count(Incident::LostAnswer), count(Incident::Repeat)), (1, 1));
            assert_eq!(plan.first().map(|(act, _)| *act), Some(Act::Register));
            assert_eq!(plan.last().map(|(act, _)| *act), Some(Act::CloseShift));
        }
        assert!(plan(7).iter().any(|(act, _)| *act == Act::Refund));
    }
}
