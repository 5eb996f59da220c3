//! Load with valid signed receipts: prepared in memory first, then sent as fast as the operator answers.
//!
//! Each register sends its registration report and shift opening before the clock starts (they are not in
//! the figures), then only receipts. A connection that falls silent or breaks is opened anew and everything
//! unanswered on it is sent again, the same bytes, which is what `repeats` counts; the latency of such a
//! document runs from its first writing. With a time instead of a number the messages are sized by an
//! expected rate; the run ends early, and says so, when the first register has nothing left, because fewer
//! registers would be another load.
//!
//! `--check none` with `--seconds` and `--warm` is how a server is measured: messages lie ready, an answer costs a look at
//! its length, and the figures of [`Cost`] say what sender, server and the rest of the machine did meanwhile.
//!
//! Till time advances by a second a receipt in one shift, which ends before the run begins: no document is in the
//! future. A register with more receipts than seconds in a shift makes several in one second.

mod histogram;
mod lane;
mod meter;
mod options;
mod prepare;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use histogram::Histogram;
use lane::{Ended, Lane, Rules};
pub(crate) use meter::Cost;
use meter::Meter;
pub(crate) use options::{Amount, Check, Items, LoadMode, LoadOptions};
pub(crate) use prepare::{OPENING_DOCUMENTS, RegisterLoad, prepare};

/// Counters of a running load, to be read at will.
#[derive(Debug, Default)]
pub(crate) struct LoadProgress {
    /// Receipts answered in time and right.
    pub(crate) documents: AtomicU64,
    /// Answers that were refused or had another code than 0, and documents given up.
    pub(crate) errors: AtomicU64,
    /// Documents sent again.
    pub(crate) repeats: AtomicU64,
    /// Latencies of receipts.
    pub(crate) latencies: Histogram,
}

impl LoadProgress {
    /// Forgets the documents answered so far: the warm-up is over. Errors and repeats are never forgotten.
    fn begin_anew(&self) {
        self.documents.store(0, Ordering::Relaxed);
        self.latencies.clear();
    }
}

/// The figures of a run: exactly these members are printed as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LoadReport {
    /// Receipts with a right answer.
    pub(crate) documents: u64,
    /// Wall time from the first receipt to the last answer.
    pub(crate) seconds: f64,
    /// Their quotient.
    pub(crate) documents_per_second: f64,
    /// Median latency, microseconds.
    pub(crate) p50_us: u64,
    /// 99 % of the latencies do not exceed this.
    pub(crate) p99_us: u64,
    /// 99.9 % of the latencies do not exceed this.
    pub(crate) p999_us: u64,
    /// Receipts with a wrong answer, or without one when their register gave up.
    pub(crate) errors: u64,
    /// Documents sent again after silence or a lost connection.
    pub(crate) repeats: u64,
    /// Processor time meanwhile.
    #[serde(flatten)]
    pub(crate) cost: Cost,
}

/// A run with what is to be said beside its figures.
#[derive(Clone, Debug)]
pub(crate) struct LoadOutcome {
    /// The figures.
    pub(crate) report: LoadReport,
    /// Sentences for people: early end, registers that gave up, and why.
    pub(crate) notes: Vec<String>,
    /// Cancelled from outside.
    pub(crate) cancelled: bool,
}

/// Sends everything; ends with the last answer, the time, the first dry register (with a time), or `token`.
///
/// # Errors
/// No register could be opened; the text says why.
pub(crate) async fn run(
    loads: Vec<RegisterLoad>,
    options: &LoadOptions,
    progress: Arc<LoadProgress>,
    token: CancellationToken,
) -> Result<LoadOutcome, String> {
    let stop = token.child_token();
    let rules = Rules::new(options);
    let mut notes = Vec::new();
    let lanes = open(loads, options.to, rules, &stop, &mut notes).await;
    if lanes.is_empty() {
        let reason = notes.first().cloned().unwrap_or_else(|| "there are no registers".to_owned());
        return Err(reason);
    }
    // Repeats of the opening are not part of the measured run.
    let mut window = Window::open(options);
    let mut running = JoinSet::new();
    for lane in lanes {
        let (stop, progress) = (stop.clone(), Arc::clone(&progress));
        running.spawn(async move { lane.run(&progress, &stop).await });
    }
    if !options.warm.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(options.warm) => {}
            () = token.cancelled() => {}
        }
        progress.begin_anew();
        window = Window::open(options);
    }
    let measured = wait(&mut running, options, &stop, &window, &progress, &mut notes).await;
    Ok(LoadOutcome { report: measured, notes, cancelled: token.is_cancelled() })
}

/// The measured part of a run.
struct Window {
    started: Instant,
    meter: Meter,
}

impl Window {
    /// A window that begins now.
    fn open(options: &LoadOptions) -> Self {
        let meter = Meter::start(&options.watch);
        Self { started: Instant::now(), meter }
    }

    /// The figures of a window that ends now.
    fn close(&self, progress: &LoadProgress) -> LoadReport {
        let seconds = self.started.elapsed().as_secs_f64();
        report(progress, seconds, self.meter.stop(progress.documents.load(Ordering::Relaxed)))
    }
}

fn report(progress: &LoadProgress, seconds: f64, cost: Cost) -> LoadReport {
    let documents = progress.documents.load(Ordering::Relaxed);
    let count = u32::try_from(documents).map_or(f64::from(u32::MAX), f64::from);
    LoadReport {
        documents,
        seconds,
        documents_per_second: if seconds > 0.0 { count / seconds } else { 0.0 },
        p50_us: progress.latencies.per_mille(500),
        p99_us: progress.latencies.per_mille(990),
        p999_us: progress.latencies.per_mille(999),
        errors: progress.errors.load(Ordering::Relaxed),
        repeats: progress.repeats.load(Ordering::Relaxed),
        cost,
    }
}

/// Sends the opening documents of all registers; those that fail are noted and left out.
async fn open(
    loads: Vec<RegisterLoad>,
    to: SocketAddr,
    rules: Rules,
    stop: &CancellationToken,
    notes: &mut Vec<String>,
) -> Vec<Lane> {
    let mut opening = JoinSet::new();
    for (index, load) in loads.into_iter().enumerate() {
        let stop = stop.clone();
        let mut lane = Lane::new(load, to, u64::try_from(index).unwrap_or(0), rules);
        opening.spawn(async move {
            let opened = lane.open(&stop).await;
            (lane, opened)
        });
    }
    let mut lanes = Vec::with_capacity(opening.len());
    let mut failed = 0_u32;
    while let Some(joined) = opening.join_next().await {
        match joined {
            Ok((lane, Ok(()))) => lanes.push(lane),
            Ok((_, Err(reason))) => {
                failed += 1;
                if failed == 1 {
                    notes.push(format!("opening a register: {reason}"));
                }
            }
            Err(error) => notes.push(format!("opening a register: {error}")),
        }
    }
    if failed > 1 {
        notes.push(format!("{failed} registers could not be opened and took no part"));
    }
    lanes
}

/// Waits for the end; returns the figures as of its moment, with the answers that were just being taken.
async fn wait(
    running: &mut JoinSet<Ended>,
    options: &LoadOptions,
    stop: &CancellationToken,
    window: &Window,
    progress: &LoadProgress,
    notes: &mut Vec<String>,
) -> LoadReport {
    let timed = match options.amount {
        Amount::Seconds(time) => Some(time),
        Amount::Documents(_) => None,
    };
    let alarm = tokio::time::sleep(timed.unwrap_or(Duration::MAX));
    tokio::pin!(alarm);
    let mut measured = None;
    let mut gave_up = 0_u32;
    loop {
        tokio::select! {
            () = &mut alarm, if timed.is_some() && measured.is_none() => {
                measured = Some(window.close(progress));
                stop.cancel();
            }
            joined = running.join_next() => match joined {
                None => return measured.unwrap_or_else(|| window.close(progress)),
                Some(Ok(Ended::Dry)) if timed.is_some() && measured.is_none() => {
                    let report = window.close(progress);
                    notes.push(format!(
                        "ended after {:.1} s: a register had sent all that was prepared; a larger --expect prepares more",
                        report.seconds
                    ));
                    measured = Some(report);
                    stop.cancel();
                }
                Some(Ok(Ended::GaveUp(reason))) => {
                    gave_up += 1;
                    if gave_up == 1 {
                        notes.push(format!("a register gave up: {reason}"));
                    }
                }
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
