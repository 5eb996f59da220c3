//! How the store's insertion rate, its reads and its size change as it grows.
//!
//! A plain program: `README.md` beside it tells how to run and read it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a benchmark: a broken assumption must stop it at once, and its figures are its output"
)]

mod documents;
mod picture;
mod reads;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fiscald_benches::processes::{machine, median_and_spread, real};
use serde_json::{Value, json};

use self::documents::Stream;
use self::picture::{Curve, draw};
use self::reads::Reads;
use self::store::{Filled, writer_cpu_s};

const USAGE: &str = "\
Growth benchmark of the SQLite engine.

Usage: cargo bench -p fiscald-benches --bench growth -- [--rows N] [--registers N] [--batch N] [--reads N] [--rounds N]
       [--bare] [--folder PATH] [--picture PATH] [--json]

  --rows N        documents in the store at the end (default 5000000)
  --registers N   registers that send them, in random order (default 10000)
  --batch N       most documents of a transaction (default 512)
  --reads N       point reads a second from another connection (default 1000; 0: none)
  --rounds N      fresh stores for the sizes up to 100000, whose stretches are short (default 5)
  --bare          also a bare table with a unique index over (ФН, ФД), up to 2000000 rows
  --folder PATH   where the stores are made (default: the folder for temporary files)
  --picture PATH  where the curve is drawn (default: growth.svg beside the README)
  --json          one JSON object on stdout instead of the table";

/// Where the rate is taken, and over how many documents: some windows of the index work at the large sizes.
const SIZES: [(u64, u64); 8] = [
    (10_000, 10_000),
    (30_000, 30_000),
    (100_000, 100_000),
    (300_000, 300_000),
    (1_000_000, 800_000),
    (2_000_000, 800_000),
    (3_500_000, 800_000),
    (5_000_000, 800_000),
];
/// Sizes up to here are measured in several stores.
const SHORT: u64 = 100_000;
/// A bare table is not followed further: it takes too long.
const BARE_ROWS: u64 = 2_000_000;

struct Settings {
    rows: u64,
    registers: u64,
    batch: usize,
    reads: u64,
    rounds: usize,
    bare: bool,
    folder: PathBuf,
    picture: PathBuf,
    json: bool,
}

/// One size, over all stores that reached it.
struct Size {
    at: u64,
    rates: Vec<f64>,
    written: Vec<f64>,
    cpu_us: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    reads: usize,
    file_bytes: u64,
}

fn main() {
    let settings = settings();
    let store = follow(&settings, false, settings.rows);
    let bare = settings.bare.then(|| follow(&settings, true, settings.rows.min(BARE_ROWS)));
    let curves: Vec<(&str, &Vec<Size>)> =
        [Some(("store", &store)), bare.as_ref().map(|bare| ("bare table with a unique index", bare))]
            .into_iter()
            .flatten()
            .collect();
    let title = format!("SQLite engine, {} registers in random order", settings.registers);
    let lines = curves.iter().map(|(name, sizes)| Curve {
        name: (*name).to_owned(),
        points: sizes.iter().map(|size| (real(size.at), size.rate().0)).collect(),
    });
    fs::write(&settings.picture, draw(&title, &lines.collect::<Vec<_>>())).unwrap();
    if settings.json {
        let curves: Vec<Value> = curves
            .iter()
            .map(|(name, sizes)| json!({ "of": name, "sizes": sizes.iter().map(Size::json).collect::<Vec<_>>() }))
            .collect();
        println!("{}", json!({ "machine": machine(), "registers": settings.registers, "curves": curves }));
        return;
    }
    println!(
        "machine: {}; registers: {}; picture: {}",
        machine(),
        settings.registers,
        settings.picture.display()
    );
    for (name, sizes) in curves {
        print_table(name, sizes);
    }
}

fn settings() -> Settings {
    let mut settings = Settings {
        rows: 5_000_000,
        registers: 10_000,
        batch: 512,
        reads: 1000,
        rounds: 5,
        bare: false,
        folder: std::env::temp_dir(),
        picture: Path::new(env!("CARGO_MANIFEST_DIR")).join("growth.svg"),
        json: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut text = || arguments.next().unwrap_or_else(|| wrong_usage(&argument));
        match argument.as_str() {
            "--bare" => settings.bare = true,
            "--json" => settings.json = true,
            "--folder" => settings.folder = text().into(),
            "--picture" => settings.picture = text().into(),
            // What cargo bench adds.
            "--bench" => {}
            "--rows" | "--registers" | "--batch" | "--reads" | "--rounds" => {
                let number: u64 = text().parse().unwrap_or_else(|_| wrong_usage(&argument));
                match argument.as_str() {
                    "--rows" => settings.rows = number,
                    "--registers" => settings.registers = number.max(1),
                    "--batch" => settings.batch = usize::try_from(number).unwrap().max(1),
                    "--reads" => settings.reads = number,
                    _ => settings.rounds = usize::try_from(number).unwrap().max(1),
                }
            }
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

/// Fills stores: some to the short sizes, one to the end.
fn follow(settings: &Settings, bare: bool, rows: u64) -> Vec<Size> {
    let mut sizes: Vec<Size> =
        SIZES.iter().filter(|(at, _)| *at <= rows).map(|(at, _)| Size::new(*at)).collect();
    for round in 0..settings.rounds {
        let until = if round + 1 == settings.rounds { rows } else { rows.min(SHORT) };
        fill(settings, bare, until, &mut sizes);
    }
    sizes
}

fn fill(settings: &Settings, bare: bool, until: u64, sizes: &mut [Size]) {
    let folder = tempfile::tempdir_in(&settings.folder).unwrap();
    let registers = usize::try_from(settings.registers).unwrap();
    let make = if bare { Filled::bare } else { Filled::store };
    let mut filled = make(folder.path(), settings.batch);
    let mut stream = Stream::new(registers);
    let reads = (settings.reads > 0).then(|| Reads::begin(folder.path(), bare, registers, settings.reads));
    let mut done = 0;
    for (size, (at, stretch)) in sizes.iter_mut().zip(SIZES).filter(|(_, (at, _))| *at <= until) {
        filled.fill(&mut stream, at.saturating_sub(done));
        done = done.max(at);
        if let Some(reads) = &reads {
            reads.each_has((done / settings.registers).max(1));
            reads.taken();
        }
        let (began, written, cpu_s) = (Instant::now(), written(), writer_cpu_s());
        filled.fill(&mut stream, stretch);
        let seconds = began.elapsed().as_secs_f64();
        done += stretch;
        size.rates.push(real(stretch) / seconds);
        size.written.push(real(self::written() - written) / real(stretch));
        size.cpu_us.push((writer_cpu_s() - cpu_s) * 1e6 / real(stretch));
        if let Some(reads) = &reads {
            let (p50, p99, count) = reads.taken();
            size.p50.push(p50);
            size.p99.push(p99);
            size.reads += count;
        }
        size.file_bytes = bytes(&folder.path().join("store.db")) / done;
        eprintln!("{} at {at}: {:.0}/s", if bare { "bare" } else { "store" }, real(stretch) / seconds);
    }
    if let Some(reads) = reads {
        reads.end();
    }
    filled.close();
    if let Some(last) = sizes.iter_mut().rfind(|size| size.at <= until) {
        last.file_bytes = bytes(&folder.path().join("store.db")) / done;
    }
}

/// Bytes that this process had the disk write.
fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}

fn bytes(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

impl Size {
    fn new(at: u64) -> Self {
        Self {
            at,
            rates: Vec::new(),
            written: Vec::new(),
            cpu_us: Vec::new(),
            p50: Vec::new(),
            p99: Vec::new(),
            reads: 0,
            file_bytes: 0,
        }
    }

    fn rate(&self) -> (f64, f64) {
        median_and_spread(self.rates.iter().copied())
    }

    fn json(&self) -> Value {
        let median = |figures: &[f64]| median_and_spread(figures.iter().copied()).0;
        let (rate, spread) = self.rate();
        json!({
            "documents": self.at, "rate": rate, "rate_spread": spread, "read_p50_us": median(&self.p50),
            "read_p99_us": median(&self.p99), "writer_cpu_us": median(&self.cpu_us), "reads": self.reads, "written_per_document": median(&self.written),
            "file_per_document": self.file_bytes,
        })
    }
}

fn print_table(name: &str, sizes: &[Size]) {
    let median = |figures: &[f64]| median_and_spread(figures.iter().copied()).0;
    println!("\n{name}");
    println!("documents  docs/s  spread  of first  CPU us  read p50 us  p99 us  written B  file B");
    let first = sizes.first().map_or(0.0, |size| size.rate().0);
    for size in sizes {
        let (rate, spread) = size.rate();
        println!(
            "{:>9} {rate:>7.0} {:>6.0}% {:>9.2} {:>7.1} {:>12.0} {:>7.0} {:>10.0} {:>7}",
            size.at,
            spread * 100.0,
            rate / first,
            median(&size.cpu_us),
            median(&size.p50),
            median(&size.p99),
            median(&size.written),
            size.file_bytes
        );
    }
}
