//! Replay against the real daemon: the captured stream and a synthetic one, in three connection modes.
//!
//! A plain program, because what it measures are processes: `README.md` beside it tells how to run and read it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a benchmark: a broken assumption must stop it at once, and its figures are its output"
)]

use std::path::Path;

use fiscald_benches::processes::{Daemon, kkt_sim, machine, median_and_spread, program, real};
use serde_json::{Value, json};

const USAGE: &str = "\
Replay benchmark of fiscald.

Usage: cargo bench -p fiscald-benches --bench replay -- [--rounds N] [--documents N] [--registers N] [--window W] [--json]

  --rounds N      rounds over all cells, interleaved (default 3)
  --documents N   documents of the synthetic stream in each cell (default 20000)
  --registers N   registers of the synthetic stream (default 64)
  --window W      documents on their way in the mode window=W (default 16)
  --replays N     fresh stores that the captured stream goes into in each cell (default 10)
  --json          one JSON object on stdout instead of the table

The programs are looked for beside this one: cargo build --release -p fiscald -p ofd-sim";

struct Settings {
    rounds: usize,
    documents: u64,
    registers: u64,
    window: u64,
    replays: usize,
    json: bool,
}

fn main() {
    let settings = settings();
    let [fiscald, sender] = ["fiscald", "kkt-sim"].map(program);
    let modes = ["persistent".to_owned(), "per-document".to_owned(), format!("window={}", settings.window)];
    let mut cells: Vec<Cell> = ["captured", "synthetic"]
        .iter()
        .flat_map(|stream| modes.iter().map(|mode| Cell::new(stream, mode)))
        .collect();
    for round in 0..settings.rounds {
        for cell in &mut cells {
            eprintln!("round {} of {}: {}, {}", round + 1, settings.rounds, cell.stream, cell.mode);
            let measured = match cell.stream {
                "captured" => captured(&fiscald, &sender, &cell.mode, &settings),
                _ => synthetic(&fiscald, &sender, &cell.mode, &settings),
            };
            cell.runs.push(measured);
        }
    }
    if settings.json {
        let cells: Vec<Value> = cells.iter().map(Cell::json).collect();
        println!("{}", json!({ "machine": machine(), "rounds": settings.rounds, "cells": cells }));
    } else {
        print_table(&cells);
    }
}

fn settings() -> Settings {
    let mut settings =
        Settings { rounds: 3, documents: 20_000, registers: 64, window: 16, replays: 10, json: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> u64 {
            let text = arguments.next().unwrap_or_default();
            text.parse().ok().filter(|number| *number > 0).unwrap_or_else(|| wrong_usage(&argument))
        };
        match argument.as_str() {
            "--rounds" => settings.rounds = usize::try_from(number()).unwrap(),
            "--documents" => settings.documents = number(),
            "--registers" => settings.registers = number(),
            "--window" => settings.window = number(),
            "--replays" => settings.replays = usize::try_from(number()).unwrap(),
            "--json" => settings.json = true,
            // What cargo bench adds.
            "--bench" => {}
            _ => wrong_usage(&argument),
        }
    }
    settings
}

fn wrong_usage(argument: &str) -> ! {
    if !matches!(argument, "--help" | "-h") {
        eprintln!("wrong or incomplete: {argument}\n");
    }
    eprintln!("{USAGE}");
    std::process::exit(2)
}

/// One run of one cell.
struct Measured {
    documents: u64,
    seconds: f64,
    percentiles_us: [u64; 3],
    /// CPU time of the daemon while the documents came, seconds.
    cpu_s: f64,
    /// Bytes that the daemon had the disk write meanwhile.
    written: u64,
    errors: u64,
}

/// One stream in one mode.
struct Cell {
    stream: &'static str,
    mode: String,
    runs: Vec<Measured>,
}

impl Cell {
    fn new(stream: &'static str, mode: &str) -> Self {
        Self { stream, mode: mode.to_owned(), runs: Vec::new() }
    }

    /// The median over the rounds, and how far the rounds lie apart as a share of it.
    fn over_rounds(&self, figure: impl Fn(&Measured) -> f64) -> (f64, f64) {
        median_and_spread(self.runs.iter().map(figure))
    }

    fn json(&self) -> Value {
        let median = |figure: &dyn Fn(&Measured) -> f64| self.over_rounds(figure).0;
        let (rate, spread) = self.over_rounds(rate);
        json!({
            "stream": self.stream,
            "mode": self.mode,
            "documents": self.runs.iter().map(|run| run.documents).sum::<u64>(),
            "errors": self.runs.iter().map(|run| run.errors).sum::<u64>(),
            "documents_per_second": rate,
            "documents_per_second_spread": spread,
            "p50_us": median(&|run| real(run.percentiles_us[0])),
            "p99_us": median(&|run| real(run.percentiles_us[1])),
            "p999_us": median(&|run| real(run.percentiles_us[2])),
            "cpu_us_per_document": median(&cpu_us),
            "written_bytes_per_document": median(&written),
        })
    }
}

fn rate(run: &Measured) -> f64 {
    real(run.documents) / run.seconds
}

fn cpu_us(run: &Measured) -> f64 {
    run.cpu_s * 1e6 / real(run.documents)
}

fn written(run: &Measured) -> f64 {
    real(run.written) / real(run.documents)
}

/// The recorded stream, once into each of several fresh stores: in a used one it would be all repeats.
fn captured(fiscald: &Path, sender: &Path, mode: &str, settings: &Settings) -> Measured {
    let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto-fixtures/streams/live.pcapng");
    let runs: Vec<Measured> = (0..settings.replays)
        .map(|_| {
            let arguments = ["replay", stream, "--speed", "max", "--mode", mode, "--check", "signs"];
            measure(fiscald, sender, &arguments, |report| {
                let problems = ["missing", "wrong", "other_code"];
                problems.iter().map(|member| report[*member].as_u64().unwrap()).sum()
            })
        })
        .collect();
    let percentile = |which: usize| {
        let mut all: Vec<u64> = runs.iter().map(|run| run.percentiles_us[which]).collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    Measured {
        documents: runs.iter().map(|run| run.documents).sum(),
        seconds: runs.iter().map(|run| run.seconds).sum(),
        percentiles_us: [percentile(0), percentile(1), percentile(2)],
        cpu_s: runs.iter().map(|run| run.cpu_s).sum(),
        written: runs.iter().map(|run| run.written).sum(),
        errors: runs.iter().map(|run| run.errors).sum(),
    }
}

/// Receipts of a retail distribution of lines, a third of the registers encrypted, into one fresh store.
fn synthetic(fiscald: &Path, sender: &Path, mode: &str, settings: &Settings) -> Measured {
    let (registers, documents) = (settings.registers.to_string(), settings.documents.to_string());
    let amount = ["--registers", &registers, "--documents", &documents];
    let kind = ["--items", "retail", "--encrypted", "33", "--mode", mode, "--check", "full"];
    let arguments = [&["load"], amount.as_slice(), &kind].concat();
    measure(fiscald, sender, &arguments, |report| report["errors"].as_u64().unwrap())
}

/// One run of `kkt-sim` against a daemon with a fresh store.
fn measure(fiscald: &Path, sender: &Path, arguments: &[&str], errors: impl Fn(&Value) -> u64) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(fiscald, folder.path(), &[]);
    let before = daemon.process.used();
    let report = kkt_sim(sender, &daemon.registers, arguments);
    let after = daemon.process.used();
    let errors = errors(&report);
    if errors > 0 {
        eprintln!("kkt-sim {arguments:?}: {errors} errors");
    }
    Measured {
        documents: report["documents"].as_u64().unwrap().max(1),
        seconds: report["seconds"].as_f64().unwrap(),
        percentiles_us: ["p50_us", "p99_us", "p999_us"].map(|member| report[member].as_u64().unwrap()),
        cpu_s: after.cpu_s - before.cpu_s,
        written: after.written - before.written,
        errors,
    }
}

fn print_table(cells: &[Cell]) {
    println!(
        "{:<10} {:<13} {:>9} {:>7} {:>9} {:>9} {:>9} {:>8} {:>9} {:>7}",
        "stream", "mode", "docs/s", "spread", "p50 us", "p99 us", "p99.9 us", "CPU us", "written B", "errors"
    );
    for cell in cells {
        let (rate, spread) = cell.over_rounds(rate);
        let median = |which: usize| cell.over_rounds(|run| real(run.percentiles_us[which])).0;
        println!(
            "{:<10} {:<13} {:>9.0} {:>6.0}% {:>9.0} {:>9.0} {:>9.0} {:>8.0} {:>9.0} {:>7}",
            cell.stream,
            cell.mode,
            rate,
            spread * 100.0,
            median(0),
            median(1),
            median(2),
            cell.over_rounds(cpu_us).0,
            cell.over_rounds(written).0,
            cell.runs.iter().map(|run| run.errors).sum::<u64>()
        );
    }
    println!(
        "medians of the rounds; spread is (largest - smallest) / median of docs/s; load {}",
        machine()["load"]
    );
}
