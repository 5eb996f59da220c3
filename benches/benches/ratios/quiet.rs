//! Runs that nobody else disturbs: the machine is waited for, and a run in which others had it is thrown away.

use fiscald_benches::processes::wait_for_quiet;
use serde_json::Value;

use crate::Settings;

/// How busy the machine may be before a run, as a share.
const QUIET: f64 = 0.12;
/// How often a disturbed run is thrown away; the last one counts whatever it was, and the table says so.
const TRIES: u32 = 4;

/// A run that counts.
pub(crate) struct Run {
    /// What the sender said.
    pub(crate) report: Value,
    /// How busy the machine was before it, in words.
    pub(crate) load: String,
    /// Whether others had the machine meanwhile, in this last try.
    pub(crate) disturbed: bool,
    /// Runs before it that were thrown away.
    pub(crate) thrown_away: u32,
}

impl Run {
    /// A figure of the report.
    pub(crate) fn figure(&self, member: &str) -> f64 {
        self.report[member].as_f64().unwrap_or_default()
    }

    /// Documents a second.
    pub(crate) fn rate(&self) -> f64 {
        self.figure("documents_per_second")
    }
}

/// Waits until nobody else uses the machine, or for as long as was asked. How busy it was, in words.
pub(crate) fn wait(settings: &Settings) -> String {
    wait_for_quiet(QUIET, settings.patience).1
}

/// A run of `send`, repeated until others left the machine alone, or the last try. Says what it throws away on the line of
/// progress that the caller has begun.
pub(crate) fn undisturbed(settings: &Settings, mut send: impl FnMut() -> Value) -> Run {
    let mut thrown_away = 0;
    loop {
        let load = wait(settings);
        let report = send();
        let foreign = report["foreign_share"].as_f64().unwrap_or(1.0);
        let disturbed = foreign > settings.foreign;
        if !disturbed || thrown_away + 1 == TRIES {
            return Run { report, load, disturbed, thrown_away };
        }
        eprint!(" (thrown away: others had {:.0} %)", foreign * 100.0);
        thrown_away += 1;
    }
}
