//! The daemon against what the machine can do: one table for each target, by one command each.
//!
//! A plain program, because what it measures are processes: `README.md` of the benchmarks tells how to run and read it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a benchmark: a broken assumption must stop it at once, and its figures are its output"
)]

mod decode;
mod disk;
mod grid;
mod idle;
mod latency;
mod memory;
mod quiet;
mod servers;

use std::path::PathBuf;
use std::time::Duration;

use fiscald_benches::processes::program;
use serde_json::Value;

const USAGE: &str = "\
The daemon against bare baselines, and the targets that stand beside them.

Usage: cargo bench -p fiscald-benches --bench ratios -- --table NAME [OPTIONS]

  --table NAME      sqlite      documents a second, signs required and off, against bare group-committed SQLite
                    sqlite-required, sqlite-off   the same with one of them
                    postgres    the same, signs required, against bare PostgreSQL, on a cluster of its own
                    ceiling     bare servers alone: echo, preallocated log, SQLite
                    latency     p99 at a quarter of capacity against p99 of fdatasync
                    idle        resident memory with registers that only stay connected
                    decode      bytes to the JSON text of the tax service against a bare walk of the same bytes
                    memory      resident memory over many documents
  --rounds N        rounds, servers interleaved in each (default 5)
  --seconds S       measured seconds of a run (default 4; latency 10; idle 30)
  --warm S          seconds before them that are not counted (default 1)
  --cell NAME       only this cell: persistent-256, persistent-1000, per-document-64 or window-16-64; repeatable
  --items N         lines of a receipt as for kkt-sim load, in the tables of documents a second (default 2: one or two,
                    some 470 bytes; =5 for five, some 745 bytes)
  --registers N     registers of idle (default 10000)
  --documents N     documents of memory (default 10000000)
  --foreign P       percent of the machine that others may use before a run is thrown away and repeated (default 12)
  --patience S      seconds to wait for a quiet machine before a run (default 60)
  --json            one JSON object on stdout instead of the table

The programs are looked for beside this one: cargo build --release -p fiscald -p ofd-sim -p fiscald-baseline
Stores lie in TMPDIR: it must be on the disk to be measured, not in memory.";

/// What was asked for.
struct Settings {
    table: String,
    rounds: usize,
    seconds: Option<u64>,
    warm: u64,
    cells: Vec<String>,
    items: String,
    registers: u64,
    documents: u64,
    foreign: f64,
    patience: Duration,
    json: bool,
}

/// The programs under measurement.
struct Programs {
    fiscald: PathBuf,
    kkt_sim: PathBuf,
    baseline: PathBuf,
}

impl Programs {
    fn find() -> Self {
        let [fiscald, kkt_sim, baseline] = ["fiscald", "kkt-sim", "baseline"].map(program);
        Self { fiscald, kkt_sim, baseline }
    }
}

fn main() {
    let settings = settings();
    let (text, json): (String, Value) = match settings.table.as_str() {
        "sqlite" | "sqlite-required" | "sqlite-off" | "postgres" | "ceiling" => {
            grid::run(&Programs::find(), &settings)
        }
        "latency" => latency::run(&Programs::find(), &settings),
        "idle" => idle::run(&Programs::find(), &settings),
        "decode" => decode::run(&settings),
        "memory" => memory::run(&Programs::find(), &settings),
        _ => wrong_usage("--table"),
    };
    if settings.json {
        println!("{json}");
    } else {
        print!("{text}");
    }
}

fn settings() -> Settings {
    let mut settings = Settings {
        table: String::new(),
        rounds: 5,
        seconds: None,
        warm: 1,
        cells: Vec::new(),
        items: "2".to_owned(),
        registers: 10_000,
        documents: 10_000_000,
        foreign: 0.12,
        patience: Duration::from_secs(60),
        json: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut text = || arguments.next().unwrap_or_else(|| wrong_usage(&argument));
        let number = |text: String| text.parse::<u32>().unwrap_or_else(|_| wrong_usage(&argument));
        match argument.as_str() {
            "--table" => settings.table = text(),
            "--rounds" => settings.rounds = usize::try_from(number(text()).max(1)).unwrap(),
            "--seconds" => settings.seconds = Some(number(text()).max(1).into()),
            "--warm" => settings.warm = number(text()).into(),
            "--cell" => settings.cells.push(text()),
            "--items" => settings.items = text(),
            "--registers" => settings.registers = number(text()).into(),
            "--documents" => settings.documents = number(text()).into(),
            "--foreign" => settings.foreign = f64::from(number(text())) / 100.0,
            "--patience" => settings.patience = Duration::from_secs(number(text()).into()),
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
