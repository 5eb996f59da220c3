//! What people are told: log lines, remarks, metrics.

use std::time::Duration;

use jiff::Timestamp;
use ofd_store::{Claim, DeriveReport, Holding};
use tracing::{debug, error, info, warn};

use super::{Look, Session};
use crate::forwarder::Moment;
use crate::forwarder::ages::Level;
use crate::forwarder::gate::Turn;
use crate::forwarder::scheduler::{Item, doc_key};
use crate::service::remarks::Remark;

/// A window that is full for so long is worth a remark.
const FULL_FOR: Duration = Duration::from_secs(60);

impl Session<'_> {
    /// Trouble with the store is over when there is something to work with.
    pub(super) fn tell_waiting(&mut self, claim: &Claim, others: &[Holding]) {
        let has_lanes = claim.leases.iter().any(|lease| lease.slot.has_lanes());
        let is_waiting = self.driver.tax.is_some() && !has_lanes;
        if !is_waiting {
            if std::mem::take(&mut self.is_waiting) {
                info!("leases of others are not waited for any more");
            }
            self.driver.remarks.set(Remark::Store, None);
            return;
        }
        let names: Vec<String> = others
            .iter()
            .filter(|other| other.lanes > 0)
            .map(|other| format!("{} until {}", other.holder, other.until))
            .collect();
        let words = format!("forwarding waits for leases of {}", names.join(", "));
        if !std::mem::replace(&mut self.is_waiting, true) {
            warn!("{words}");
        }
        self.driver.remarks.set(Remark::Store, Some(words));
    }

    /// A window that stays full: the tax service takes less than registers send, or does not take what is in it.
    fn tell_window(&mut self, is_full: bool, now: Moment) {
        if !is_full {
            self.full_since = None;
            self.driver.remarks.set(Remark::Window, None);
            return;
        }
        let since = *self.full_since.get_or_insert(now);
        if now.saturating_sub(since) >= FULL_FOR {
            let words =
                "documents come faster than the tax service takes them: the window of open ones is full";
            self.driver.remarks.set(Remark::Window, Some(words.to_owned()));
        }
    }

    pub(super) fn turned(&self, turn: Turn) {
        match turn {
            Turn::Opened(pause) => {
                let pause_s = pause.as_secs();
                warn!(
                    pause_s,
                    "the tax service is out of order or cannot be reached; nothing is sent for a while, documents are kept"
                );
                self.driver.remarks.set(Remark::Link, Some("the tax service cannot be reached".to_owned()));
            }
            Turn::Barred => {
                let probe_s = self.driver.config.probe_s;
                error!(
                    probe_s,
                    "the tax service does not take our certificate or our address: ALL SENDING IS STOPPED, one document is tried again and again; look at fns.cert, fns.ofd_id and fns.url"
                );
                let words = "the tax service refuses our certificate or address: all sending is stopped";
                self.driver.remarks.set(Remark::Link, Some(words.to_owned()));
            }
            Turn::Closed | Turn::Admitted => {
                info!("the tax service takes documents again");
                self.driver.remarks.set(Remark::Link, None);
            }
        }
    }

    pub(super) fn parked(&self, item: &Item) {
        let (document, seq) = (doc_key(item), item.seq);
        error!(
            document,
            seq,
            "the tax service fails over a document while it takes others; it is tried again and again by itself, and the documents of its storage wait behind it"
        );
    }

    pub(super) fn looked(&mut self, look: &Look) {
        self.driver.metrics.depths(&look.depths);
        // Without a tax service nothing is owed to anybody.
        let oldest = look.oldest.filter(|_| self.driver.tax.is_some());
        let age = oldest.map(|oldest| Timestamp::now().duration_since(oldest));
        let age = age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
        self.driver.metrics.oldest_age.set(age.as_secs_f64());
        debug!(in_memory = self.scheduler.len(), backlog = look.depths.backlog, "the outbox");
        let (age_s, open) = (age.as_secs(), look.depths.open());
        match self.alarm.observe(age) {
            None => {}
            Some(Level::Fine) => info!(age_s, "the oldest document not delivered is young again"),
            Some(Level::Warn) => {
                warn!(age_s, open, "the oldest document not delivered to the tax service is old")
            }
            Some(Level::High) => {
                error!(age_s, open, "the oldest document not delivered to the tax service is very old")
            }
            Some(Level::Critical) => error!(
                age_s,
                open, "documents are not delivered to the tax service for far too long: somebody has to act"
            ),
        }
    }

    pub(super) fn derived(&mut self, report: &DeriveReport, now: Moment) {
        self.tell_window(report.window_full, now);
        if report.more && !report.window_full {
            self.derive_due = now;
        }
        self.driver.metrics.gaps.increment(report.gaps);
        for gap in &report.examples {
            let (fn_number, fd_number) = (gap.fn_number.as_str(), gap.fd_number.get());
            let after = gap.after.map(ffd::ids::FdNumber::get);
            if gap.late {
                info!(
                    fn_number,
                    fd_number, "a document came after higher numbers of its storage; it is sent at once"
                );
            } else {
                warn!(
                    fn_number,
                    fd_number, after, "document numbers of a storage are missing; what is there is sent"
                );
            }
        }
    }
}
