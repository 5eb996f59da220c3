//! The outbox in a few numbers.

use anyhow::Result;
use jiff::Timestamp;
use ofd_store::{Cursors, Holding, LANE_SLOTS, OutboxDepths};
use serde_json::{Value, json};

use super::super::output::Output;
use super::super::{optional, reader, registry_reader, tax_service};
use crate::cli::TableArgs;

/// What is asked of the store, all at one moment.
struct Summary {
    depths: OutboxDepths,
    oldest: Option<Timestamp>,
    cursors: Cursors,
    holdings: Vec<Holding>,
    now: Timestamp,
}

/// Prints depths, ages, cursors and leases.
///
/// # Errors
/// The store cannot be read.
pub(super) fn run(table: &TableArgs, out: &mut Output) -> Result<()> {
    let reader = reader(&table.config)?;
    let summary = Summary {
        depths: reader.outbox_depths()?,
        oldest: reader.oldest_undelivered()?,
        cursors: registry_reader(&table.config)?.cursors()?,
        holdings: reader.outbox_holdings()?,
        now: Timestamp::now(),
    };
    if table.json { out.json(&summary.as_json()) } else { Ok(out.text(&summary.text())?) }
}

impl Summary {
    /// Seconds since a moment; 0 when the clock was set back.
    fn age_s(&self, since: Timestamp) -> u64 {
        u64::try_from(self.now.duration_since(since).as_secs()).unwrap_or(0)
    }

    fn as_json(&self) -> Value {
        let states: serde_json::Map<String, Value> = self
            .depths
            .states
            .iter()
            .map(|(state, number)| (state.name().to_owned(), (*number).into()))
            .collect();
        let holders = self.holdings.iter().map(|held| {
            json!({
                "holder": held.holder,
                "lanes": held.lanes,
                "registrar": held.registrar,
                "until": held.until.to_string(),
                "expired": held.until <= self.now,
            })
        });
        json!({
            "states": states,
            "waiting_for_fn": self.depths.waiting,
            "backlog": self.depths.backlog,
            "oldest_at": self.oldest.map(|at| at.to_string()),
            "oldest_age_s": self.oldest.map(|at| self.age_s(at)),
            "reports_cursor": self.cursors.reports,
            "events_cursor": self.cursors.events,
            "events_at": self.cursors.events_at.map(|at| at.to_string()),
            "events_age_s": self.cursors.events_at.map(|at| self.age_s(at)),
            "holders": holders.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut text = String::from("documents\n");
        for (state, number) in &self.depths.states {
            let label = tax_service::of_state(*state).label;
            text += &format!("   {:<12} {number:>12}   {label}\n", state.name());
        }
        text += &format!("   {:<12} {:>12}   until their ФН is known\n", "waiting", self.depths.waiting);
        text += &format!(
            "   {:<12} {:>12}   positions of the journal not looked at yet\n",
            "backlog", self.depths.backlog
        );
        let oldest = self.oldest.map_or_else(
            || "none: the tax service has everything".to_owned(),
            |at| format!("{at}, {} s ago", self.age_s(at)),
        );
        text += &format!("\noldest not delivered   {oldest}\n");
        text += &format!("reports followed to    position {}\n", self.cursors.reports);
        let moved =
            self.cursors.events_at.map_or_else(String::new, |at| format!(", {} s ago", self.age_s(at)));
        text += &format!("events feed            {}{moved}\n", optional(self.cursors.events.as_ref()));
        if self.holdings.is_empty() {
            return text + "holders                none: no process forwards\n";
        }
        for (position, held) in self.holdings.iter().enumerate() {
            let name = if position == 0 { "holders" } else { "" };
            let registrar = if held.registrar { " and the registrar's work" } else { "" };
            let until = if held.until <= self.now { "expired" } else { "until" };
            text += &format!(
                "{name:<22} {}: {} of {LANE_SLOTS} slots{registrar}, {until} {}\n",
                held.holder, held.lanes, held.until
            );
        }
        text
    }
}
