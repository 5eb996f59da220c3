//! What registers cost that only stay connected: resident memory of the daemon.
//!
//! All of them have sent their registration report and their shift opening over the connection that they keep. A hundred
//! receipts a second then come in over all of them together, so that each is quiet for most of the run and none is
//! forgotten.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use fiscald_benches::processes::{kkt_sim, machine, median_and_spread, real};
use serde_json::{Value, json};

use crate::servers::{Server, Signs};
use crate::{Programs, Settings};

/// Most resident memory, MiB.
const TARGET_MIB: f64 = 100.0;
const MIB: f64 = 1_048_576.0;

struct Round {
    empty: f64,
    connections: f64,
    /// Resident memory while they were quiet, MiB: each half second.
    resident: Vec<f64>,
    peak: f64,
}

pub(crate) fn run(programs: &Programs, settings: &Settings) -> (String, Value) {
    let rounds: Vec<Round> = (0..settings.rounds)
        .map(|round| {
            eprintln!("round {} of {}: {} registers", round + 1, settings.rounds, settings.registers);
            measure(programs, settings)
        })
        .collect();
    let medians: Vec<f64> = rounds.iter().map(Round::median).collect();
    let (median, spread) = median_and_spread(medians.iter().copied());
    let mut text = format!(
        "{} registers connected, 100 documents a second over all of them; resident memory of the daemon, MiB\n\n\
         round  open connections  empty  median  largest  peak of the process\n",
        settings.registers
    );
    for (number, round) in rounds.iter().enumerate() {
        let largest = round.resident.iter().copied().fold(0.0, f64::max);
        writeln!(
            text,
            "{:>5} {:>17.0} {:>6.1} {:>7.1} {:>8.1} {:>20.1}",
            number + 1,
            round.connections,
            round.empty,
            round.median(),
            largest,
            round.peak
        )
        .unwrap();
    }
    let verdict = if median <= TARGET_MIB { "reached" } else { "MISSED" };
    writeln!(
        text,
        "\nmedian {median:.1} MiB, spread {:.0} %; target <= {TARGET_MIB:.0} MiB: {verdict}\n{}",
        spread * 100.0,
        machine()
    )
    .unwrap();
    let rounds: Vec<Value> = rounds
        .iter()
        .map(|round| {
            json!({
                "connections": round.connections,
                "empty_mib": round.empty,
                "median_mib": round.median(),
                "peak_mib": round.peak,
                "samples_mib": round.resident,
            })
        })
        .collect();
    (
        text,
        json!({ "table": "idle", "registers": settings.registers, "rounds": rounds, "machine": machine() }),
    )
}

impl Round {
    fn median(&self) -> f64 {
        median_and_spread(self.resident.iter().copied()).0
    }
}

fn measure(programs: &Programs, settings: &Settings) -> Round {
    let running = Server::Sqlite(Signs::Required).start(programs, None);
    let daemon = running.daemon().unwrap();
    let memory = |which: &str| real(daemon.process.memory(which)) / MIB;
    let empty = memory("VmRSS");
    let open = || daemon.metrics().get("fiscald_connections_open").copied().unwrap_or(0.0);
    let (mut resident, mut connections) = (Vec::new(), 0.0_f64);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let [registers, seconds] =
                [settings.registers, settings.seconds.unwrap_or(30)].map(|number| number.to_string());
            let load = ["load", "--registers", &registers, "--rate", "100", "--seconds", &seconds];
            let rest = ["--timeout-s", "60", "--items", "=5", "--check", "full", "--genuine"];
            kkt_sim(&programs.kkt_sim, &running.registers, &[load.as_slice(), &rest].concat())
        });
        while !sender.is_finished() {
            thread::sleep(Duration::from_millis(500));
            let now = open();
            connections = connections.max(now);
            // While they come and go the figure belongs to another number of registers.
            if now >= real(settings.registers) {
                resident.push(memory("VmRSS"));
            }
        }
        assert_eq!(sender.join().unwrap()["errors"], 0);
    });
    running.must_have_accepted_everything();
    assert!(
        !resident.is_empty(),
        "never more than {connections} of the registers were connected: see ulimit -n"
    );
    Round { empty, connections, resident, peak: memory("VmHWM") }
}
