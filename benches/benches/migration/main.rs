//! A store moves from SQLite to PostgreSQL: how long that takes, and in how much memory.
//!
//! A plain program, which starts its own PostgreSQL (durable, as in production) on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    dead_code,
    reason = "a benchmark: a broken assumption must stop it at once, and its figures are its output; the documents are \
              those of the growth benchmark, which does more with them"
)]

#[path = "../growth/documents.rs"]
mod documents;
#[path = "../growth/store.rs"]
mod store;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ofd_store::{DeriveOrder, Forwarding, HolderId, MigrationStep, OutboxChange, StoreConfig, migrate};
use pg_testing::Cluster;

use self::documents::Stream;
use self::store::{Filled, url};

const USAGE: &str = "\
Moves a store of many documents from SQLite to PostgreSQL.

Usage: cargo bench -p fiscald-benches --bench migration -- [--documents N] [--registers N] [--rounds N] [--folder PATH]

  --documents N   documents in the store (default 1000000)
  --registers N   registers that sent them, in random order (default 10000)
  --rounds N      moves, each into a fresh database (default 3)
  --folder PATH   where store and database are made (default: the folder for temporary files)";

struct Settings {
    documents: u64,
    registers: usize,
    rounds: usize,
    folder: PathBuf,
}

impl Settings {
    fn of_command_line() -> Result<Self, String> {
        let mut settings =
            Self { documents: 1_000_000, registers: 10_000, rounds: 3, folder: std::env::temp_dir() };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            let number = || value.parse::<u64>().map_err(|_| format!("{argument} {value}\n{USAGE}"));
            match argument.as_str() {
                "--documents" => settings.documents = number()?,
                "--registers" => settings.registers = usize::try_from(number()?).unwrap(),
                "--rounds" => settings.rounds = usize::try_from(number()?).unwrap(),
                "--folder" => settings.folder = value.into(),
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(settings)
    }
}

fn main() -> Result<(), String> {
    let settings = Settings::of_command_line()?;
    let folder = tempfile::tempdir_in(&settings.folder).unwrap();
    fill(folder.path(), &settings);
    let size = std::fs::metadata(folder.path().join("store.db")).unwrap().len();
    println!(
        "{} documents in {} MiB of SQLite; memory {} MiB before",
        settings.documents,
        size >> 20,
        resident()
    );
    println!(
        "| round | copied, s | indexed, s | compared, s | whole, s | documents/s | MiB/s | memory at a quarter, half, end, MiB |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |");
    let mut wholes = Vec::new();
    for round in 1..=settings.rounds {
        wholes.push(one_move(folder.path(), &settings, round));
    }
    wholes.sort_by(f64::total_cmp);
    let median = wholes[wholes.len() / 2];
    let documents = f64::from(u32::try_from(settings.documents).unwrap());
    println!(
        "\nmedian {median:.1} s, {:.0} documents/s, from {:.1} to {:.1} s",
        documents / median,
        wholes[0],
        wholes[wholes.len() - 1]
    );
    Ok(())
}

/// Documents of many registers, and for a tenth of them rows of the outbox.
fn fill(folder: &Path, settings: &Settings) {
    let began = Instant::now();
    let mut filled = Filled::store(folder, 512);
    filled.fill(&mut Stream::new(settings.registers), settings.documents);
    filled.close();
    let mut forwarding = Forwarding::open(&url(folder)).unwrap();
    let holder = HolderId::new("bench").unwrap();
    let window = usize::try_from(settings.documents / 10).unwrap();
    let derive = Some(DeriveOrder { window, scan: 10_000 });
    let mut report: Option<(bool, bool)> = None;
    while report.is_none_or(|(more, full)| more && !full) {
        let change = OutboxChange { derive, ..OutboxChange::new(holder.clone(), Timestamp::now()) };
        let derived = forwarding.commit(&change).unwrap().derived.unwrap();
        report = Some((derived.more, derived.window_full));
    }
    eprintln!("the store was filled in {:.0} s", began.elapsed().as_secs_f64());
}

fn one_move(folder: &Path, settings: &Settings, round: usize) -> f64 {
    let cluster = Cluster::builder().folder(folder).start();
    let to = StoreConfig { url: cluster.url(&cluster.create_database()), ..StoreConfig::default() };
    let began = Instant::now();
    let mut steps: Vec<(MigrationStep, Duration)> = Vec::new();
    let mut memory: [Option<u64>; 2] = [None; 2];
    let report = migrate(&url(folder), &to, &mut |progress| {
        if steps.last().is_none_or(|(step, _)| *step != progress.step) {
            steps.push((progress.step, began.elapsed()));
        }
        if progress.step == MigrationStep::Copying {
            for (index, part) in [4, 2].into_iter().enumerate() {
                if progress.done_rows >= progress.total_rows / part && memory[index].is_none() {
                    memory[index] = Some(resident());
                }
            }
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    let whole = began.elapsed();
    let from = |step| steps.iter().find(|(found, _)| *found == step).map_or(whole, |(_, at)| *at);
    let (indexing, comparing) = (from(MigrationStep::Indexing), from(MigrationStep::Comparing));
    let seconds = whole.as_secs_f64();
    assert!(report.documents <= settings.documents);
    let mib = f64::from(u32::try_from(report.bytes >> 20).unwrap());
    println!(
        "| {round} | {:.1} | {:.1} | {:.1} | {seconds:.1} | {:.0} | {:.1} | {} {} {} |",
        indexing.as_secs_f64(),
        (comparing - indexing).as_secs_f64(),
        (whole - comparing).as_secs_f64(),
        f64::from(u32::try_from(report.documents).unwrap()) / seconds,
        mib / seconds,
        memory[0].unwrap_or_default(),
        memory[1].unwrap_or_default(),
        resident()
    );
    seconds
}

/// What this process has in memory, MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}
