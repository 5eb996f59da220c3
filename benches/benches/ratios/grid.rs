//! Documents a second in four ways of sending, the daemon beside a bare server with the same database.
//!
//! One run is one server with a fresh store and one sender. Servers take turns within a round, so that a slow moment of
//! the machine meets all of them; every other round they take turns backwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fiscald_benches::processes::{kkt_sim, kkt_sim_with_words, machine, median_and_spread, real};
use pg_testing::Cluster;
use serde_json::{Value, json};

use crate::quiet::{Run, undisturbed};
use crate::servers::{Server, Signs};
use crate::{Programs, Settings, disk};

/// Measured seconds of a run.
const SECONDS: u64 = 4;
/// First ФН number: every run has a fresh store, so all of them send the same numbers.
const FN_BASE: &str = "500000000000";

/// A way of sending.
struct Cell {
    name: &'static str,
    title: &'static str,
    mode: &'static str,
    registers: u32,
    /// Documents a second that messages are prepared for before anything was measured.
    expect: f64,
    /// Targets: SQLite with signs, without them, PostgreSQL.
    targets: [f64; 3],
}

const CELLS: [Cell; 4] = [
    Cell {
        name: "persistent-256",
        title: "persistent x256",
        mode: "persistent",
        registers: 256,
        expect: 60_000.0,
        targets: [0.80, 0.90, 0.80],
    },
    Cell {
        name: "persistent-1000",
        title: "persistent x1000",
        mode: "persistent",
        registers: 1000,
        expect: 60_000.0,
        targets: [0.65, 0.85, 0.65],
    },
    Cell {
        name: "per-document-64",
        title: "per-document x64",
        mode: "per-document",
        registers: 64,
        expect: 16_000.0,
        targets: [0.90, 0.95, 0.85],
    },
    Cell {
        name: "window-16-64",
        title: "window=16 x64",
        mode: "window=16",
        registers: 64,
        expect: 110_000.0,
        targets: [0.40, 0.75, 0.45],
    },
];

/// The runs of a table, by cell and server.
struct Grid {
    title: &'static str,
    servers: Vec<Server>,
    cells: Vec<&'static Cell>,
    runs: BTreeMap<(usize, usize), Vec<Run>>,
    /// Documents a second that messages are prepared for, by cell: raised when they did not last.
    expected: Vec<f64>,
    thrown_away: u32,
    /// What the sender said about the size of its messages.
    sizes: String,
    disk: Vec<disk::Syncs>,
}

pub(crate) fn run(programs: &Programs, settings: &Settings) -> (String, Value) {
    let (title, servers) = match settings.table.as_str() {
        "sqlite" => (
            "SQLite engine against bare group-committed SQLite",
            vec![Server::BareSqlite, Server::Sqlite(Signs::Required), Server::Sqlite(Signs::Off)],
        ),
        "sqlite-required" => (
            "SQLite engine against bare group-committed SQLite",
            vec![Server::BareSqlite, Server::Sqlite(Signs::Required)],
        ),
        "sqlite-off" => (
            "SQLite engine against bare group-committed SQLite",
            vec![Server::BareSqlite, Server::Sqlite(Signs::Off)],
        ),
        "postgres" => {
            ("PostgreSQL engine against bare PostgreSQL", vec![Server::BarePostgres, Server::Postgres])
        }
        _ => ("bare servers against the echo", vec![Server::Echo, Server::Log, Server::BareSqlite]),
    };
    let wanted =
        |cell: &&Cell| settings.cells.is_empty() || settings.cells.iter().any(|name| name == cell.name);
    let cells: Vec<&'static Cell> = CELLS.iter().filter(wanted).collect();
    assert!(!cells.is_empty(), "no such cell; there are {:?}", CELLS.map(|cell| cell.name));
    let cluster = (settings.table == "postgres").then(|| {
        Cluster::builder().setting("shared_buffers", "1GB").setting("synchronous_commit", "on").start()
    });
    let mut grid = Grid {
        title,
        expected: cells.iter().map(|cell| cell.expect).collect(),
        servers,
        cells,
        runs: BTreeMap::new(),
        thrown_away: 0,
        sizes: String::new(),
        disk: Vec::new(),
    };
    grid.prove(programs, cluster.as_ref(), &settings.items);
    for round in 0..settings.rounds {
        grid.disk.push(disk::fdatasync(disk::FILE_BYTES, 1000, true));
        grid.round(round, programs, cluster.as_ref(), settings);
    }
    (grid.text(settings.rounds), grid.json())
}

impl Grid {
    /// Before anything is measured without checks: every answer of the daemon is right, checked as a register does.
    fn prove(&self, programs: &Programs, cluster: Option<&Cluster>, items: &str) {
        for server in self.servers.iter().filter(|server| server.is_daemon()) {
            // Without signs there is nothing that a register could check.
            let check = if *server == Server::Sqlite(Signs::Off) { "none" } else { "full" };
            for cell in &self.cells {
                let running = server.start(programs, cluster);
                let registers = cell.registers.to_string();
                let amount = ["load", "--registers", &registers, "--documents", "5000"];
                let kind =
                    ["--mode", cell.mode, "--items", items, "--check", check, "--base", FN_BASE, "--genuine"];
                let report =
                    kkt_sim(&programs.kkt_sim, &running.registers, &[amount.as_slice(), &kind].concat());
                assert_eq!(report["errors"], 0, "{} {}", server.name(), cell.title);
                running.must_have_accepted_everything();
            }
        }
    }

    fn round(&mut self, round: usize, programs: &Programs, cluster: Option<&Cluster>, settings: &Settings) {
        for at in 0..self.cells.len() {
            let mut order: Vec<usize> = (0..self.servers.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for which in order {
                let (cell, server) = (self.cells[at], self.servers[which]);
                eprint!("round {} of {}: {}, {}", round + 1, settings.rounds, cell.title, server.name());
                let measured = self.measure(at, server, programs, cluster, settings);
                eprintln!(
                    ": {:.0} documents/s, idle {:.0} %, others {:.0} %, load before {}{}",
                    measured.rate(),
                    measured.figure("idle_share") * 100.0,
                    measured.figure("foreign_share") * 100.0,
                    measured.load,
                    if measured.disturbed { ", DISTURBED" } else { "" }
                );
                self.runs.entry((at, which)).or_default().push(measured);
            }
        }
    }

    /// One run that nothing disturbed, or the last try.
    fn measure(
        &mut self,
        at: usize,
        server: Server,
        programs: &Programs,
        cluster: Option<&Cluster>,
        settings: &Settings,
    ) -> Run {
        let wanted = settings.seconds.unwrap_or(SECONDS);
        let run = undisturbed(settings, || {
            loop {
                let report = self.send(at, server, programs, cluster, settings);
                if report["seconds"].as_f64().unwrap_or_default() >= real(wanted) / 2.0 {
                    return report;
                }
                eprint!(" (once more: the messages did not last)");
                self.expected[at] *= 1.5;
            }
        });
        self.thrown_away += run.thrown_away;
        run
    }

    fn send(
        &mut self,
        at: usize,
        server: Server,
        programs: &Programs,
        cluster: Option<&Cluster>,
        settings: &Settings,
    ) -> Value {
        let cell = self.cells[at];
        let running = server.start(programs, cluster);
        let numbers = [
            u64::from(cell.registers),
            settings.seconds.unwrap_or(SECONDS),
            settings.warm.max(1),
            self.expected(at),
        ]
        .map(|number| number.to_string());
        let [registers, seconds, warm, expect] = numbers.each_ref().map(String::as_str);
        let watched: Vec<String> = running.processes.iter().map(ToString::to_string).collect();
        let mut arguments = vec![
            "load",
            "--mode",
            cell.mode,
            "--items",
            &settings.items,
            "--check",
            "none",
            "--base",
            FN_BASE,
            "--genuine",
        ];
        arguments.extend([
            "--registers",
            registers,
            "--seconds",
            seconds,
            "--warm",
            warm,
            "--expect",
            expect,
        ]);
        for process in &watched {
            arguments.extend(["--watch", process]);
        }
        let (report, said) = kkt_sim_with_words(&programs.kkt_sim, &running.registers, &arguments);
        assert_eq!(
            (&report["errors"], &report["repeats"]),
            (&json!(0), &json!(0)),
            "{}: {said}",
            server.name()
        );
        running.must_have_accepted_everything();
        if let Some((_, sizes)) = said.lines().next().unwrap_or_default().rsplit_once("; ") {
            sizes.clone_into(&mut self.sizes);
        }
        report
    }

    /// The rate to prepare messages for: the best of this cell in the rounds before and a fifth more, so that the first
    /// round alone has too many. All servers of a cell get equally many, so that they get the same.
    fn expected(&self, at: usize) -> u64 {
        let rates = (0..self.servers.len()).flat_map(|which| self.runs(at, which)).map(Run::rate);
        let complete = (0..self.servers.len()).all(|which| !self.runs(at, which).is_empty());
        let best = rates.fold(0.0, f64::max) * 1.2;
        let expected = if complete && best < self.expected[at] { best } else { self.expected[at] };
        format!("{expected:.0}").parse().unwrap()
    }

    fn runs(&self, at: usize, which: usize) -> &[Run] {
        self.runs.get(&(at, which)).map_or(&[], Vec::as_slice)
    }

    /// Ratio of the medians, then median, least and largest ratio of neighbouring runs.
    fn ratios(&self, at: usize, which: usize) -> (f64, [f64; 3]) {
        let rate = |which| median_and_spread(self.runs(at, which).iter().map(Run::rate)).0;
        let pairs =
            self.runs(at, which).iter().zip(self.runs(at, 0)).map(|(one, bare)| one.rate() / bare.rate());
        let mut pairs: Vec<f64> = pairs.collect();
        pairs.sort_by(f64::total_cmp);
        let least_and_most = (pairs.first().copied().unwrap_or(0.0), pairs.last().copied().unwrap_or(0.0));
        let median = median_and_spread(pairs).0;
        (rate(which) / rate(0).max(f64::MIN_POSITIVE), [median, least_and_most.0, least_and_most.1])
    }

    fn target(&self, at: usize, which: usize) -> Option<f64> {
        let targets = self.cells[at].targets;
        match self.servers[which] {
            Server::Sqlite(Signs::Required) => Some(targets[0]),
            Server::Sqlite(Signs::Off) => Some(targets[1]),
            Server::Postgres => Some(targets[2]),
            _ => None,
        }
    }

    fn text(&self, rounds: usize) -> String {
        let mut text = format!("{}: documents a second, medians of {rounds} rounds\n\n", self.title);
        writeln!(
            text,
            "{:<17} {:<15} {:>7} {:>6} {:>7} {:>8} {:>9} {:>9} {:>5} {:>6}  {:>5} {:>18}  target",
            "cell",
            "server",
            "docs/s",
            "spread",
            "p50 us",
            "p99 us",
            "server us",
            "sender us",
            "idle",
            "others",
            "ratio",
            "of neighbours"
        )
        .unwrap();
        for at in 0..self.cells.len() {
            for which in 0..self.servers.len() {
                self.write_line(&mut text, at, which);
            }
        }
        let disturbed = self.runs.values().flatten().filter(|run| run.disturbed).count();
        let syncs = median_and_spread(self.disk.iter().map(|syncs| syncs.p50_us)).0;
        writeln!(
            text,
            "\nsigned receipts, {}; the same for all servers\n\
             server us, sender us: processor time for each document; idle and others: shares of the machine\n\
             spread: (largest - smallest) / median; ratio: of the medians; of neighbours: median (least-largest)\n\
             thrown away and repeated: {} runs; kept though disturbed: {disturbed}\n\
             fdatasync of 4096 bytes, preallocated: p50 {syncs:.0} us; {}",
            self.sizes,
            self.thrown_away,
            machine()
        )
        .unwrap();
        text
    }

    fn write_line(&self, text: &mut String, at: usize, which: usize) {
        let runs = self.runs(at, which);
        let median = |member: &str| median_and_spread(runs.iter().map(|run| run.figure(member))).0;
        let (rate, spread) = median_and_spread(runs.iter().map(Run::rate));
        write!(
            text,
            "{:<17} {:<15} {rate:>7.0} {:>5.0}% {:>7.0} {:>8.0} {:>9.1} {:>9.1} {:>4.0}% {:>5.0}%",
            self.cells[at].title,
            self.servers[which].name(),
            spread * 100.0,
            median("p50_us"),
            median("p99_us"),
            median("watched_cpu_us"),
            median("sender_cpu_us"),
            median("idle_share") * 100.0,
            median("foreign_share") * 100.0,
        )
        .unwrap();
        if which > 0 {
            let (ratio, [pairs, least, most]) = self.ratios(at, which);
            write!(text, "  {ratio:>5.2} {pairs:>5.2} ({least:.2}-{most:.2})").unwrap();
            if let Some(target) = self.target(at, which) {
                let reached = if ratio >= target { "reached" } else { "MISSED" };
                write!(text, "  >= {target:.2} {reached}").unwrap();
            }
        }
        text.push('\n');
    }

    fn json(&self) -> Value {
        let mut rows = Vec::new();
        for at in 0..self.cells.len() {
            for which in 0..self.servers.len() {
                let runs: Vec<&Value> = self.runs(at, which).iter().map(|run| &run.report).collect();
                let (rate, spread) = median_and_spread(self.runs(at, which).iter().map(Run::rate));
                let (ratio, [pairs, least, most]) = self.ratios(at, which);
                rows.push(json!({
                    "cell": self.cells[at].title,
                    "server": self.servers[which].name(),
                    "documents_per_second": rate,
                    "spread": spread,
                    "ratio": ratio,
                    "ratio_of_neighbours": { "median": pairs, "least": least, "most": most },
                    "target": self.target(at, which),
                    "runs": runs,
                }));
            }
        }
        json!({
            "table": self.title,
            "messages": self.sizes,
            "thrown_away": self.thrown_away,
            "machine": machine(),
            "rows": rows,
        })
    }
}
