//! How long an answer takes at a quarter of capacity, beside what a sync of the same disk takes.
//!
//! Capacity is what the daemon does with 256 persistent registers in the same session. Then the same registers send a
//! quarter of it, evenly spread, whatever the answers do: a document that had to wait for the answer before it counts
//! from the moment it was due. Bare servers get the same rate in turn: what a database, a log file and the sender alone
//! leave of the target.

use std::fmt::Write as _;

use fiscald_benches::processes::{kkt_sim, machine, median_and_spread};
use serde_json::{Value, json};

use crate::disk::{FILE_BYTES, Syncs, fdatasync};
use crate::quiet::{undisturbed, wait};
use crate::servers::{Server, Signs};
use crate::{Programs, Settings};

const REGISTERS: &str = "256";
/// How many times the p99 of a sync the p99 of an answer may take.
const TARGET: f64 = 3.0;
const SYNCS: usize = 1000;
const DAEMON: Server = Server::Sqlite(Signs::Required);
/// The daemon first.
const SERVERS: [Server; 4] = [DAEMON, Server::BareSqlite, Server::Log, Server::Echo];

struct Round {
    growing: Syncs,
    preallocated: Syncs,
    /// What the sender says, in the order of [`SERVERS`].
    reports: [Value; SERVERS.len()],
    /// Runs that were thrown away because others used the machine.
    thrown_away: u32,
}

pub(crate) fn run(programs: &Programs, settings: &Settings) -> (String, Value) {
    let seconds = settings.seconds.unwrap_or(10).to_string();
    let warm = settings.warm.max(1).to_string();
    let capacities: Vec<f64> = (0..3).map(|_| capacity(programs, settings)).collect();
    let capacity = median_and_spread(capacities.iter().copied()).0;
    let rate = format!("{:.0}", capacity / 4.0);
    let rounds: Vec<Round> = (0..settings.rounds)
        .map(|round| {
            eprintln!("round {} of {}: {rate} documents/s", round + 1, settings.rounds);
            wait(settings);
            let (growing, preallocated) =
                (fdatasync(FILE_BYTES, SYNCS, false), fdatasync(FILE_BYTES, SYNCS, true));
            let arguments = ["--rate", &rate, "--seconds", &seconds, "--warm", &warm];
            // Every other round backwards: what drifts meets all of them.
            let mut order: Vec<usize> = (0..SERVERS.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            let mut reports = [const { Value::Null }; SERVERS.len()];
            let mut thrown_away = 0;
            for which in order {
                eprint!("  {}", SERVERS[which].name());
                let run = undisturbed(settings, || send(SERVERS[which], programs, &arguments));
                eprintln!(": p99 {:.0} us", run.figure("p99_us"));
                reports[which] = run.report;
                thrown_away += run.thrown_away;
            }
            Round { growing, preallocated, reports, thrown_away }
        })
        .collect();
    (text(&rounds, &rate, capacity), json(&rounds, capacity))
}

fn capacity(programs: &Programs, settings: &Settings) -> f64 {
    let arguments = ["--seconds", "4", "--warm", "1", "--expect", "60000"];
    eprint!("capacity");
    let report = undisturbed(settings, || send(DAEMON, programs, &arguments)).report;
    let rate = report["documents_per_second"].as_f64().unwrap();
    eprintln!(": {rate:.0} documents/s");
    rate
}

fn send(server: Server, programs: &Programs, arguments: &[&str]) -> Value {
    let running = server.start(programs, None);
    let watch = running.processes[0].to_string();
    let load = [
        "load",
        "--registers",
        REGISTERS,
        "--items",
        "=5",
        "--check",
        "none",
        "--genuine",
        "--watch",
        &watch,
    ];
    let report = kkt_sim(&programs.kkt_sim, &running.registers, &[load.as_slice(), arguments].concat());
    assert_eq!(report["errors"], 0);
    running.must_have_accepted_everything();
    report
}

/// Median of a figure over the rounds.
fn median(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    median_and_spread(rounds.iter().map(figure)).0
}

/// Of what the sender says about one of [`SERVERS`].
fn figure(round: &Round, server: usize, member: &str) -> f64 {
    round.reports[server][member].as_f64().unwrap()
}

fn p99(round: &Round) -> f64 {
    figure(round, 0, "p99_us")
}

fn text(rounds: &[Round], rate: &str, capacity: f64) -> String {
    let mut text = format!(
        "p99 at a quarter of capacity: {rate} of {capacity:.0} documents/s, {REGISTERS} persistent registers, signs \
         required\n\nround  answer p50 us  p99 us  p99.9 us | fdatasync, growing p50 us  p99 us | preallocated p50 us  \
         p99 us | p99 to p99: growing  preallocated\n"
    );
    for (number, round) in rounds.iter().enumerate() {
        writeln!(
            text,
            "{:>5} {:>14.0} {:>7.0} {:>9.0} | {:>25.0} {:>7.0} | {:>19.0} {:>7.0} | {:>19.2} {:>13.2}",
            number + 1,
            figure(round, 0, "p50_us"),
            figure(round, 0, "p99_us"),
            figure(round, 0, "p999_us"),
            round.growing.p50_us,
            round.growing.p99_us,
            round.preallocated.p50_us,
            round.preallocated.p99_us,
            p99(round) / round.growing.p99_us,
            p99(round) / round.preallocated.p99_us,
        )
        .unwrap();
    }
    writeln!(text, "\nat the same rate, medians (spread)").unwrap();
    for (place, server) in SERVERS.iter().enumerate() {
        let of = |member: &str| {
            let (median, spread) = median_and_spread(rounds.iter().map(|round| figure(round, place, member)));
            format!("{median:.0} ({:.0} %)", spread * 100.0)
        };
        writeln!(
            text,
            "{:<15} p50 {:>12} us, p99 {:>12} us, p99.9 {:>12} us",
            server.name(),
            of("p50_us"),
            of("p99_us"),
            of("p999_us")
        )
        .unwrap();
    }
    let thrown_away: u32 = rounds.iter().map(|round| round.thrown_away).sum();
    writeln!(text, "runs in which others used the machine, thrown away and repeated: {thrown_away}").unwrap();
    let answer = median(rounds, p99);
    let [growing, preallocated] =
        [median(rounds, |round| round.growing.p99_us), median(rounds, |round| round.preallocated.p99_us)];
    let verdict = |sync: f64| if answer <= TARGET * sync { "reached" } else { "MISSED" };
    writeln!(
        text,
        "\nmedians: p99 of answers {answer:.0} us; of fdatasync {growing:.0} us growing: ratio {:.2} (<= {TARGET}: {}), \
         {preallocated:.0} us preallocated: ratio {:.2} (<= {TARGET}: {})\n{}",
        answer / growing,
        verdict(growing),
        answer / preallocated,
        verdict(preallocated),
        machine()
    )
    .unwrap();
    text
}

fn json(rounds: &[Round], capacity: f64) -> Value {
    let syncs = |syncs: &Syncs| json!({ "p50_us": syncs.p50_us, "p99_us": syncs.p99_us });
    let rounds: Vec<Value> = rounds
        .iter()
        .map(|round| {
            json!({
                "answers": SERVERS.iter().zip(&round.reports).map(|(server, report)| {
                    json!({ "server": server.name(), "report": report })
                }).collect::<Vec<_>>(),
                "thrown_away": round.thrown_away,
                "growing": syncs(&round.growing),
                "preallocated": syncs(&round.preallocated),
            })
        })
        .collect();
    json!({ "table": "latency", "capacity": capacity, "rounds": rounds, "machine": machine() })
}
