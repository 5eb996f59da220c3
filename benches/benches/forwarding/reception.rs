//! Reception with forwarding on and off, in turn.

use fiscald_benches::processes::{Daemon, FnsSim, Used, kkt_sim, median_and_spread, real};
use serde_json::{Value, json};

use super::{Programs, Settings, busy_threads};

/// One measurement.
struct Measured {
    documents: u64,
    rate: f64,
    p50_us: u64,
    p99_us: u64,
    errors: u64,
    /// CPU of the daemon.
    cpu_s: f64,
    /// CPU of the simulated tax service.
    fns_cpu_s: f64,
    written: u64,
    /// Documents that the service had when the last answer to a register came.
    delivered: u64,
    /// Verdicts that the daemon had by then.
    verdicts: f64,
    threads: String,
}

/// One mode, off or on.
struct Cell {
    mode: String,
    forwarding: bool,
    runs: Vec<Measured>,
}

/// All of it: cells off and on of one mode stand side by side.
pub(super) struct Reception(Vec<Cell>);

/// Measures.
pub(super) fn run(programs: &Programs, settings: &Settings) -> Reception {
    let modes = ["persistent".to_owned(), format!("window={}", settings.window)];
    let cell = |mode: &String, forwarding| Cell { mode: mode.clone(), forwarding, runs: Vec::new() };
    let mut cells: Vec<Cell> =
        modes.iter().flat_map(|mode| [false, true].map(|forwarding| cell(mode, forwarding))).collect();
    for round in 0..settings.rounds {
        for cell in &mut cells {
            let measured = measure(programs, settings, &cell.mode, cell.forwarding);
            eprintln!(
                "round {} of {}: {}, forwarding {}: {:.0} documents/s",
                round + 1,
                settings.rounds,
                cell.mode,
                on_or_off(cell.forwarding),
                measured.rate
            );
            cell.runs.push(measured);
        }
    }
    Reception(cells)
}

fn measure(programs: &Programs, settings: &Settings, mode: &str, forwarding: bool) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let sim = forwarding.then(|| FnsSim::start(&programs.fns_sim, &folder.path().join("certs")));
    let link = sim.as_ref().map(FnsSim::settings).unwrap_or_default();
    let daemon = Daemon::start(&programs.fiscald, folder.path(), &link);
    let used = |sim: &Option<FnsSim>| sim.as_ref().map_or(Used::default(), |sim| sim.process.used());
    let (before, fns_before) = (daemon.process.used(), used(&sim));
    let (registers, documents) = (settings.registers.to_string(), settings.documents.to_string());
    let amount = ["--registers", &registers, "--documents", &documents];
    let kind = ["--items", "retail", "--encrypted", "33", "--mode", mode, "--check", "full"];
    let report = kkt_sim(&programs.kkt_sim, &daemon.registers, &[&["load"], &amount[..], &kind].concat());
    let (after, fns_after) = (daemon.process.used(), used(&sim));
    Measured {
        documents: report["documents"].as_u64().unwrap().max(1),
        rate: report["documents_per_second"].as_f64().unwrap(),
        p50_us: report["p50_us"].as_u64().unwrap(),
        p99_us: report["p99_us"].as_u64().unwrap(),
        errors: report["errors"].as_u64().unwrap(),
        cpu_s: after.cpu_s - before.cpu_s,
        fns_cpu_s: fns_after.cpu_s - fns_before.cpu_s,
        written: after.written - before.written,
        delivered: sim.as_ref().map_or(0, FnsSim::documents),
        verdicts: if forwarding { verdicts(&daemon) } else { 0.0 },
        threads: busy_threads(&daemon.process),
    }
}

/// Verdicts that the daemon has stored.
fn verdicts(daemon: &Daemon) -> f64 {
    daemon
        .metrics()
        .iter()
        .filter(|(name, _)| name.starts_with("fns_docs_total"))
        .map(|(_, count)| count)
        .sum()
}

fn on_or_off(forwarding: bool) -> &'static str {
    if forwarding { "on" } else { "off" }
}

impl Cell {
    fn median(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        median_and_spread(self.runs.iter().map(figure)).0
    }

    fn rate(&self) -> (f64, f64) {
        median_and_spread(self.runs.iter().map(|run| run.rate))
    }

    fn errors(&self) -> u64 {
        self.runs.iter().map(|run| run.errors).sum()
    }

    fn json(&self) -> Value {
        json!({
            "mode": self.mode,
            "forwarding": self.forwarding,
            "rates": self.runs.iter().map(|run| run.rate).collect::<Vec<f64>>(),
            "documents_per_second": self.rate().0,
            "documents_per_second_spread": self.rate().1,
            "p50_us": self.median(|run| real(run.p50_us)),
            "p99_us": self.median(|run| real(run.p99_us)),
            "cpu_us_per_document": self.median(cpu_us),
            "fns_sim_cpu_s": self.median(|run| run.fns_cpu_s),
            "written_bytes_per_document": self.median(|run| real(run.written) / real(run.documents)),
            "delivered": self.median(|run| real(run.delivered)),
            "verdicts": self.median(|run| run.verdicts),
            "errors": self.errors(),
        })
    }
}

fn cpu_us(run: &Measured) -> f64 {
    run.cpu_s * 1e6 / real(run.documents)
}

impl Reception {
    /// For each mode: medians on / off, and the median of the quotients of neighbouring runs.
    fn ratios(&self) -> Vec<(String, f64, f64, f64)> {
        let ratio = |pair: &[Cell]| {
            let paired = pair[0].runs.iter().zip(&pair[1].runs).map(|(off, on)| on.rate / off.rate);
            let (median, spread) = median_and_spread(paired);
            (pair[0].mode.clone(), pair[1].rate().0 / pair[0].rate().0, median, spread)
        };
        self.0.chunks(2).map(ratio).collect()
    }

    pub(super) fn json(&self) -> Value {
        let ratios: Vec<Value> = (self.ratios().into_iter())
            .map(|(mode, ratio, paired, spread)| {
                json!({ "mode": mode, "on_to_off": ratio, "paired_median": paired, "paired_spread": spread })
            })
            .collect();
        json!({ "cells": self.0.iter().map(Cell::json).collect::<Vec<_>>(), "ratios": ratios })
    }

    pub(super) fn print(&self) {
        println!(
            "{:<11} {:<10} {:>8} {:>7} {:>8} {:>8} {:>7} {:>9} {:>9} {:>9} {:>9} {:>6}",
            "mode",
            "forwarding",
            "docs/s",
            "spread",
            "p50 us",
            "p99 us",
            "CPU us",
            "written B",
            "fns CPU s",
            "delivered",
            "verdicts",
            "errors"
        );
        for cell in &self.0 {
            let (rate, spread) = cell.rate();
            println!(
                "{:<11} {:<10} {:>8.0} {:>6.0}% {:>8.0} {:>8.0} {:>7.0} {:>9.0} {:>9.2} {:>9.0} {:>9.0} {:>6}",
                cell.mode,
                on_or_off(cell.forwarding),
                rate,
                spread * 100.0,
                cell.median(|run| real(run.p50_us)),
                cell.median(|run| real(run.p99_us)),
                cell.median(cpu_us),
                cell.median(|run| real(run.written) / real(run.documents)),
                cell.median(|run| run.fns_cpu_s),
                cell.median(|run| real(run.delivered)),
                cell.median(|run| run.verdicts),
                cell.errors()
            );
        }
        for (mode, ratio, paired, spread) in self.ratios() {
            println!(
                "{mode}: on / off = {ratio:.3} of the medians; {paired:.3} median of the pairs, spread {:.0} %",
                spread * 100.0
            );
        }
        for cell in &self.0 {
            if let Some(run) = cell.runs.last() {
                println!("CPU s by thread, {} {}: {}", cell.mode, on_or_off(cell.forwarding), run.threads);
            }
        }
    }
}
