//! What forwarding to the tax service costs: reception with it and without it, and the drain of a backlog.
//!
//! A plain program, because what it measures are processes: `README.md` of the benchmarks tells how to run and read it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a benchmark: a broken assumption must stop it at once, and its figures are its output"
)]

mod backlog;
mod reception;

use std::path::PathBuf;

use fiscald_benches::processes::{Process, machine, program};
use serde_json::json;

const USAGE: &str = "\
Forwarding benchmark of fiscald: reception speed with forwarding on against off, and the drain of a backlog.

Usage: cargo bench -p fiscald-benches --bench forwarding -- [--rounds N] [--backlog N] [OPTIONS] [--json]

  --rounds N      rounds of reception off, on, off, on ... for each mode (default 5; 0: this part is left out)
  --documents N   documents of each measurement of reception (default 100000)
  --registers N   registers that send them (default 256)
  --window W      documents on their way in the mode window=W (default 16)
  --backlog N     documents of the backlog (default 100000; 0: this part is left out)
  --trickle R     documents a second that come in while it drains (default 100; 0: none)
  --json          one JSON object on stdout instead of the tables

The programs are looked for beside this one: cargo build --release -p fiscald -p ofd-sim";

/// What was asked for.
struct Settings {
    rounds: usize,
    documents: u64,
    registers: u64,
    window: u64,
    backlog: u64,
    trickle: u64,
    json: bool,
}

/// The programs under measurement.
struct Programs {
    fiscald: PathBuf,
    kkt_sim: PathBuf,
    fns_sim: PathBuf,
}

fn main() {
    let settings = settings();
    let [fiscald, kkt_sim, fns_sim] = ["fiscald", "kkt-sim", "fns-sim"].map(program);
    let programs = Programs { fiscald, kkt_sim, fns_sim };
    let reception = (settings.rounds > 0).then(|| reception::run(&programs, &settings));
    let backlog = (settings.backlog > 0).then(|| backlog::run(&programs, &settings));
    if settings.json {
        let reception = reception.as_ref().map(reception::Reception::json);
        let backlog = backlog.as_ref().map(backlog::Backlog::json);
        println!("{}", json!({ "machine": machine(), "reception": reception, "backlog": backlog }));
        return;
    }
    if let Some(reception) = reception {
        reception.print();
    }
    if let Some(backlog) = backlog {
        backlog.print();
    }
    println!("machine: {}", machine());
}

fn settings() -> Settings {
    let mut settings = Settings {
        rounds: 5,
        documents: 100_000,
        registers: 256,
        window: 16,
        backlog: 100_000,
        trickle: 100,
        json: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = |least: u64| -> u64 {
            let text = arguments.next().unwrap_or_default();
            text.parse().ok().filter(|number| *number >= least).unwrap_or_else(|| wrong_usage(&argument))
        };
        match argument.as_str() {
            "--rounds" => settings.rounds = usize::try_from(number(0)).unwrap(),
            "--documents" => settings.documents = number(1),
            "--registers" => settings.registers = number(1),
            "--window" => settings.window = number(1),
            "--backlog" => settings.backlog = number(0),
            "--trickle" => settings.trickle = number(0),
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

/// CPU seconds of the threads of a process, largest first: those above a hundredth of all, short.
fn busy_threads(process: &Process) -> String {
    let threads = process.threads();
    let all: f64 = threads.values().sum();
    let mut threads: Vec<_> = threads.into_iter().filter(|(_, cpu_s)| *cpu_s > all / 100.0).collect();
    threads.sort_by(|a, b| b.1.total_cmp(&a.1));
    threads.iter().map(|(name, cpu_s)| format!("{name} {cpu_s:.1}")).collect::<Vec<_>>().join(", ")
}
