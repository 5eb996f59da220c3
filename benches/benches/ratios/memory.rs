//! Resident memory over very many documents: it must not follow their number.
//!
//! They come in pieces, each from registers of its own, because a sender keeps its messages in memory. What the daemon
//! remembers of a register (some KiB) therefore grows with the pieces; it is stated beside the figures.

use std::fmt::Write as _;

use fiscald_benches::processes::{kkt_sim, machine, real};
use serde_json::{Value, json};

use crate::servers::{Server, Signs};
use crate::{Programs, Settings};

const PIECE: u64 = 500_000;
const REGISTERS: u64 = 64;
const MIB: f64 = 1_048_576.0;

/// After one piece.
struct Piece {
    documents: u64,
    rate: f64,
    resident: f64,
    peak: f64,
    written: f64,
}

pub(crate) fn run(programs: &Programs, settings: &Settings) -> (String, Value) {
    let running = Server::Sqlite(Signs::Required).start(programs, None);
    let process = &running.daemon().unwrap().process;
    let registers = REGISTERS.to_string();
    let (mut pieces, mut documents): (Vec<Piece>, u64) = (Vec::new(), 0);
    let mut text = format!(
        "resident memory over {} documents: receipts of one line, window=16, {REGISTERS} new registers in every piece, \
         signs required, SQLite\n\ndocuments   docs/s  resident MiB  peak MiB  written bytes/document\n",
        settings.documents
    );
    while documents < settings.documents {
        let amount = PIECE.min(settings.documents - documents).to_string();
        let base = (600_000_000_000 + documents).to_string();
        let load = ["load", "--mode", "window=16", "--registers", &registers, "--documents", &amount];
        let rest = ["--base", &base, "--items", "1", "--check", "none", "--genuine"];
        let before = process.used().written;
        let report = kkt_sim(&programs.kkt_sim, &running.registers, &[load.as_slice(), &rest].concat());
        assert_eq!(report["errors"], 0);
        let here = report["documents"].as_u64().unwrap();
        documents += here;
        let piece = Piece {
            documents,
            rate: report["documents_per_second"].as_f64().unwrap(),
            resident: real(process.memory("VmRSS")) / MIB,
            peak: real(process.memory("VmHWM")) / MIB,
            written: real(process.used().written - before) / real(here),
        };
        let line = format!(
            "{:>9} {:>8.0} {:>13.1} {:>9.1} {:>23.0}",
            piece.documents, piece.rate, piece.resident, piece.peak, piece.written
        );
        eprintln!("{line}");
        writeln!(text, "{line}").unwrap();
        pieces.push(piece);
    }
    running.must_have_accepted_everything();
    // The first pieces fill caches of a fixed size.
    let half = &pieces[pieces.len() / 2..];
    let (first, last) = (&half[0], &half[half.len() - 1]);
    let growth = last.resident - first.resident;
    writeln!(
        text,
        "\nsecond half: {growth:+.1} MiB in {} documents and {} registers\n{}",
        last.documents - first.documents,
        (last.documents - first.documents).div_ceil(PIECE) * REGISTERS,
        machine()
    )
    .unwrap();
    let course: Vec<Value> = pieces
        .iter()
        .map(|piece| {
            json!({
                "documents": piece.documents,
                "documents_per_second": piece.rate,
                "resident_mib": piece.resident,
                "peak_mib": piece.peak,
                "written_bytes_per_document": piece.written,
            })
        })
        .collect();
    (
        text,
        json!({ "table": "memory", "growth_of_second_half_mib": growth, "course": course, "machine": machine() }),
    )
}
