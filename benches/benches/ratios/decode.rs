//! From the bytes of a document to the JSON text that the tax service takes, beside a bare walk over the same bytes.
//!
//! The walk reads tag and length of every record, goes into groups, and copies nothing: the least that any decoder does.
//! Both are counted in processor time of the thread, which a busy machine spoils little.

use std::fmt::Write as _;
use std::hint::black_box;

use ffd::Document;
use ffd::json::{FnsJson, Names};
use fiscald_benches::processes::{machine, median_and_spread};
use fiscald_benches::{captures, receipt_of_five_items};
use nom::bytes::complete::take;
use nom::number::complete::le_u16;
use nom::{IResult, Parser};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::Settings;

/// How many times the walk the decoder may take.
const TARGET: f64 = 50.0;
/// Processor time of one series, seconds.
const SERIES_S: f64 = 0.2;

/// Nanoseconds of one document.
struct Figures {
    name: &'static str,
    bytes: usize,
    leaves: usize,
    json_bytes: usize,
    walk: f64,
    decode: f64,
    json: f64,
    spread: f64,
}

pub(crate) fn run(settings: &Settings) -> (String, Value) {
    let receipt = receipt_of_five_items();
    let mut inputs: Vec<(&'static str, &[u8])> =
        captures().iter().map(|capture| (capture.name, capture.document)).collect();
    inputs.push(("receipt of 5 lines", &receipt));
    let figures: Vec<Figures> =
        inputs.iter().map(|(name, bytes)| measure(name, bytes, settings.rounds)).collect();
    (text(&figures, settings.rounds), json(&figures))
}

fn measure(name: &'static str, bytes: &[u8], rounds: usize) -> Figures {
    let (mut walks, mut decodes, mut jsons) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        walks.push(nanoseconds(|| {
            let mut sum = 0;
            black_box(walk(black_box(bytes), &mut sum));
            black_box(sum);
        }));
        decodes.push(nanoseconds(|| {
            black_box(Document::decode(black_box(bytes)).is_ok());
        }));
        jsons.push(nanoseconds(|| {
            black_box(json_text(black_box(bytes)));
        }));
    }
    let (json, spread) = median_and_spread(jsons);
    let mut sum = 0;
    Figures {
        name,
        bytes: bytes.len(),
        leaves: walk(bytes, &mut sum),
        json_bytes: json_text(bytes).len(),
        walk: median_and_spread(walks).0,
        decode: median_and_spread(decodes).0,
        json,
        spread,
    }
}

fn json_text(bytes: &[u8]) -> Vec<u8> {
    let document = Document::decode(bytes).expect("every input is a document");
    serde_json::to_vec(&FnsJson::new(&document, Some([0x81, 6, 1, 2, 3, 4, 5, 6]), Names::Modern)).unwrap()
}

fn record(input: &[u8]) -> IResult<&[u8], (u16, &[u8])> {
    let (input, (tag, length)) = (le_u16, le_u16).parse(input)?;
    let (input, value) = take(length)(input)?;
    Ok((input, (tag, value)))
}

/// Whether a record holds records.
const fn is_group(tag: u16) -> bool {
    matches!(tag, 1..=41 | 1059 | 1084 | 1223 | 1224 | 1256 | 1260..=1261 | 1290..=1292)
}

/// Depth first; the number of records without records in them.
fn walk(mut input: &[u8], sum: &mut u64) -> usize {
    let mut leaves = 0;
    while !input.is_empty() {
        let Ok((rest, (tag, value))) = record(input) else { return leaves };
        if is_group(tag) {
            leaves += walk(value, sum);
        } else {
            leaves += 1;
            *sum += u64::from(tag) + value.first().copied().map_or(0, u64::from);
        }
        input = rest;
    }
    leaves
}

/// Processor seconds of this thread.
fn processor_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    f64::from(u32::try_from(time.tv_sec).unwrap()) + f64::from(u32::try_from(time.tv_nsec).unwrap()) / 1e9
}

fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let (began, mut times) = (processor_s(), 0.0);
    loop {
        for _ in 0..200 {
            work();
        }
        times += 200.0;
        let used = processor_s() - began;
        if used >= SERIES_S {
            return used * 1e9 / times;
        }
    }
}

fn text(figures: &[Figures], rounds: usize) -> String {
    let mut text = format!(
        "bytes to the JSON text of the tax service against a bare walk; nanoseconds of one document, medians of {rounds} \
         rounds\n\n{:<20} {:>6} {:>7} {:>7} {:>8} {:>8} {:>8} {:>7} {:>6}  target\n",
        "document", "bytes", "leaves", "JSON", "walk", "decode", "to JSON", "spread", "ratio"
    );
    for one in figures {
        let ratio = one.json / one.walk;
        writeln!(
            text,
            "{:<20} {:>6} {:>7} {:>7} {:>8.0} {:>8.0} {:>8.0} {:>6.0}% {ratio:>6.1}  <= {TARGET:.0} {}",
            one.name,
            one.bytes,
            one.leaves,
            one.json_bytes,
            one.walk,
            one.decode,
            one.json,
            one.spread * 100.0,
            if ratio <= TARGET { "reached" } else { "MISSED" }
        )
        .unwrap();
    }
    writeln!(text, "\ndecode is a part of to JSON; {}", machine()).unwrap();
    text
}

fn json(figures: &[Figures]) -> Value {
    let documents: Vec<Value> = figures
        .iter()
        .map(|one| {
            json!({
                "document": one.name,
                "bytes": one.bytes,
                "leaves": one.leaves,
                "json_bytes": one.json_bytes,
                "walk_ns": one.walk,
                "decode_ns": one.decode,
                "to_json_ns": one.json,
                "ratio": one.json / one.walk,
            })
        })
        .collect();
    json!({ "table": "decode", "documents": documents, "machine": machine() })
}
