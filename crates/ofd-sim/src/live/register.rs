//! One register's life over a socket.

use ffd::FnNumber;
use kkt_proto::header::CrcMode;
use tokio_util::sync::CancellationToken;

use super::options::{Connections, LiveOptions};
use super::progress::{LiveProgress, RegisterReport, SpoiledDocument};
use crate::fleet::debug_fn;
use crate::life::{Act, Life, LifeError, Scene};
use crate::link::{Fate, Link, LinkCounts, LinkSettings, Silence};

/// What is to happen around a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Incident {
    Nothing,
    /// The connection breaks before the answer is read.
    LostAnswer,
    /// The acknowledged document is sent once more.
    Repeat,
}

impl Incident {
    /// The incidents sit on the third and the fourth time that something is sent, so that even the shortest
    /// day has them: on the first sale and the one after it, or on the correction and the closing of a day
    /// without sales.
    fn of_sending(number: u32) -> Self {
        match number {
            3 => Self::LostAnswer,
            4 => Self::Repeat,
            _ => Self::Nothing,
        }
    }
}

/// Why a register stopped.
enum Trouble {
    Cancelled,
    Failed(String),
}

impl From<LifeError> for Trouble {
    fn from(error: LifeError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Lives one life; the counts go to `progress` as they happen. One report for each ФН.
pub(super) async fn live(
    options: &LiveOptions,
    index: u32,
    progress: &LiveProgress,
    token: &CancellationToken,
) -> Vec<RegisterReport> {
    let settings = options.life(index);
    let number = settings.fn_number(settings.number);
    let life = match Life::new(settings, &options.keys) {
        Ok(life) => life,
        Err(error) => {
            LiveProgress::add(&progress.registers_failed, 1);
            let fn_number = number.or_else(|_| debug_fn(0)).expect("zero fits twelve digits");
            let failure = Some(error.to_string());
            return vec![RegisterReport {
                fn_number,
                documents: 0,
                waiting: 0,
                failure,
                spoiled: Vec::new(),
            }];
        }
    };
    LiveProgress::add(&progress.registers_started, 1);
    let mut player = Player::new(options, life, progress, token);
    let outcome = player.play().await;
    player.publish();
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
    player.report_storage(failure);
    player.reports
}

/// Plays the script of a life.
struct Player<'a> {
    options: &'a LiveOptions,
    progress: &'a LiveProgress,
    token: &'a CancellationToken,
    life: Life,
    link: Link,
    /// What of the link's counts is in `progress` already.
    published: LinkCounts,
    turnover: i64,
    /// Times that something was sent.
    sendings: u32,
    reports: Vec<RegisterReport>,
    /// Spoiled documents of the present storage.
    spoiled: Vec<SpoiledDocument>,
}

impl<'a> Player<'a> {
    fn new(
        options: &'a LiveOptions,
        life: Life,
        progress: &'a LiveProgress,
        token: &'a CancellationToken,
    ) -> Self {
        let link = link_of(options, &life);
        let turnover = life.kkt().turnover();
        Self {
            options,
            progress,
            token,
            life,
            link,
            published: LinkCounts::default(),
            turnover,
            sendings: 0,
            reports: Vec::new(),
            spoiled: Vec::new(),
        }
    }

    async fn play(&mut self) -> Result<(), Trouble> {
        while let Some(Scene { act, online }) = self.life.next_scene() {
            if self.token.is_cancelled() {
                return Err(Trouble::Cancelled);
            }
            self.perform(act)?;
            if !online {
                continue;
            }
            self.sendings += 1;
            let mut incident = Incident::of_sending(self.sendings);
            while self.life.kkt().storage().front().is_some() {
                self.deliver(incident).await?;
                incident = Incident::Nothing;
            }
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
    fn perform(&mut self, act: Act) -> Result<(), LifeError> {
        let before = self.number();
        if act == Act::ReplaceFn {
            self.report_storage(None);
        }
        self.life.perform(act, &self.options.keys)?;
        if self.number() != before {
            self.publish();
            (self.link, self.published) = (link_of(self.options, &self.life), LinkCounts::default());
        }
        LiveProgress::add(&self.progress.documents, 1);
        let turnover = self.life.kkt().turnover();
        // Sums below zero wrap and come back: a day may begin with a refund, in the end sales outweigh.
        LiveProgress::add(
            &self.progress.turnover_kopecks,
            turnover.wrapping_sub(self.turnover).cast_unsigned(),
        );
        self.turnover = turnover;
        Ok(())
    }

    fn number(&self) -> FnNumber {
        self.life.kkt().storage().number()
    }

    /// Notes how the present storage stands.
    fn report_storage(&mut self, failure: Option<String>) {
        let waiting = self.life.kkt().storage().waiting();
        let documents = self.life.documents();
        let spoiled = std::mem::take(&mut self.spoiled);
        self.reports.push(RegisterReport { fn_number: self.number(), documents, waiting, failure, spoiled });
    }

    /// Sends the first document of the queue until its acknowledgement is accepted.
    async fn deliver(&mut self, incident: Incident) -> Result<(), Trouble> {
        let mut fate = if incident == Incident::LostAnswer { Fate::LoseAnswer } else { Fate::Honest };
        let mut tries = 0;
        loop {
            // What is lost on purpose says nothing about the operator, so it uses up no try.
            tries += u32::from(fate == Fate::Honest);
            let Some(front) = self.life.kkt().storage().front() else { return Ok(()) };
            let (container, form) = (front.container.clone(), front.form);
            let (fd_number, fault, echoes) = (front.fd_number, front.fault, front.echoes.clone());
            let outcome = self.link.attempt(&container, fate, self.token).await;
            self.publish();
            fate = Fate::Honest;
            let (reason, another) = match outcome {
                Ok(reply) => match self.life.kkt_mut().storage_mut().acknowledge(&reply.body) {
                    Ok(accepted) => {
                        self.progress.count_acknowledged(form, accepted.code, fault);
                        if fault.is_some() || !echoes.is_empty() {
                            let code = accepted.code;
                            self.spoiled.push(SpoiledDocument { fd_number, fault, echoes, code });
                        }
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
                let fd_number = self.life.kkt().storage().front().map_or(0, |front| front.fd_number.get());
                return Err(Trouble::Failed(format!("document {fd_number}: {reason}")));
            }
            self.life.kkt_mut().storage_mut().reread_front();
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

fn link_of(options: &LiveOptions, life: &Life) -> Link {
    Link::new(LinkSettings {
        to: options.to,
        fn_number: life.kkt().storage().number(),
        p_version: life.kkt().p_version(),
        crc_mode: CrcMode::None,
        persistent: options.connections == Connections::Persistent,
        timing: options.timing,
    })
}
