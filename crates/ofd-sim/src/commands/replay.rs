//! `kkt-sim replay`.

use std::fs::File;
use std::io::{BufReader, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{interruptible, keys, resolve};
use crate::args::{AnswerCheck, ReplayArgs};
use crate::replay::{
    self, CaptureCounts, CapturedFlow, FolderRecording, Plan, ReplayOptions, ReplayProgress, ReplayReport,
    Speed, name, plan,
};

/// Where the messages come from.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    Capture(CaptureCounts),
    Folder { left_out: Vec<String> },
}

/// The whole JSON output.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    report: &'a ReplayReport,
    source: &'a Source,
}

/// One line of `--list`.
#[derive(Serialize)]
struct Line {
    /// Number of the captured connection, from 0, by its first segment.
    flow: usize,
    register: String,
    operator: String,
    /// Seconds since 1970-01-01 UTC.
    at: f64,
    name: String,
    message: String,
    answered_at: Option<f64>,
    answer: Option<String>,
}

pub(super) async fn run(args: &ReplayArgs) -> anyhow::Result<bool> {
    let (flows, source) = read(args)?;
    for line in left_out(&source) {
        eprintln!("kkt-sim: {line}");
    }
    if args.list {
        list(&flows)?;
        return Ok(true);
    }
    let limit = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let plan = plan(flows, args.mode, args.speed, limit);
    if plan.messages() == 0 {
        bail!("{} holds no messages of registers to an operator", args.capture.display());
    }
    announce(&plan, args.speed);
    let options = ReplayOptions {
        to: resolve(args.to.as_deref().unwrap_or_default()).await?,
        patience: args.timeout_s,
        keys: match args.check {
            AnswerCheck::Form => None,
            AnswerCheck::Signs => Some(keys(&args.keys)?),
        },
    };
    let progress = Arc::new(ReplayProgress::default());
    let shown = CancellationToken::new();
    let total = u64::try_from(plan.messages()).unwrap_or(u64::MAX);
    let display = tokio::spawn(show(total, Arc::clone(&progress), shown.clone()));
    let report = replay::run(plan, options, progress, interruptible()).await;
    shown.cancel();
    // The display only draws; its end is waited for so that it does not draw over the figures.
    let _ = display.await;
    for problem in &report.problems {
        eprintln!("kkt-sim: {problem}");
    }
    if args.json {
        println!("{}", serde_json::to_string(&Output { report: &report, source: &source })?);
    } else {
        print_text(&report);
    }
    Ok(report.is_clean())
}

fn read(args: &ReplayArgs) -> anyhow::Result<(Vec<CapturedFlow>, Source)> {
    if args.capture.is_dir() {
        let FolderRecording { flows, left_out } = replay::read_folder(&args.capture)?;
        return Ok((flows, Source::Folder { left_out }));
    }
    let path = args.capture.display();
    let file = File::open(&args.capture).with_context(|| format!("opening {path}"))?;
    let recording = replay::read_capture(BufReader::new(file)).with_context(|| format!("reading {path}"))?;
    Ok((recording.flows, Source::Capture(recording.counts)))
}

/// What is not replayed, a line each; nothing when everything is.
fn left_out(source: &Source) -> Vec<String> {
    let counts = match source {
        Source::Folder { left_out } => {
            return left_out.iter().map(|text| format!("left out: {text}")).collect();
        }
        Source::Capture(counts) => counts,
    };
    let told = [
        (counts.gaps, "directions end at a hole of the capture"),
        (counts.truncated, "segments were captured in part (a larger snapshot length keeps them whole)"),
        (counts.fragments, "fragments of IP packets are not read"),
        (counts.unknown_frames, "frames have an unknown link layer"),
        (counts.over_limit, "segments belong to connections past the limit"),
        (counts.unfinished, "messages have no end in the capture"),
        (counts.sister, "messages of the marking service are not sent"),
        (counts.malformed, "messages have a forbidden session header"),
        (counts.damaged, "messages of registers are damaged"),
        (counts.unmatched_answers, "answers belong to no captured message"),
        (u64::from(counts.cut_short), "block at the end of the file is cut short"),
    ];
    told.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

fn list(flows: &[CapturedFlow]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for (flow, captured) in flows.iter().enumerate() {
        for exchange in &captured.exchanges {
            let line = Line {
                flow,
                register: captured.register.to_string(),
                operator: captured.operator.to_string(),
                at: exchange.message.at.as_secs_f64(),
                name: name(&exchange.message),
                message: hex::encode(&exchange.message.bytes),
                answered_at: exchange.answer.as_ref().map(|answer| answer.at.as_secs_f64()),
                answer: exchange.answer.as_ref().map(|answer| hex::encode(&answer.bytes)),
            };
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        }
    }
    Ok(())
}

fn announce(plan: &Plan, speed: Speed) {
    let time = match speed {
        Speed::Unlimited => "without pauses".to_owned(),
        Speed::Times(times) => format!("in {:.1} s", plan.span.as_secs_f64() / times),
    };
    eprintln!(
        "kkt-sim: {} messages of {} storages on {} connections, captured over {:.1} s, replayed {time}",
        plan.messages(),
        plan.storages.len(),
        plan.lanes.len(),
        plan.span.as_secs_f64()
    );
}

/// Draws the counters on stderr until cancelled; nothing when stderr is no terminal.
async fn show(total: u64, progress: Arc<ReplayProgress>, shown: CancellationToken) {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} messages, {elapsed}, {msg}") {
        bar.set_style(style);
    }
    loop {
        bar.set_position(progress.finished());
        bar.set_message(format!("{} missing, wrong or different", progress.failures()));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = shown.cancelled() => break,
        }
    }
    bar.finish_and_clear();
}

fn print_text(report: &ReplayReport) {
    let ReplayReport { sent, documents, missing, wrong, .. } = *report;
    println!("messages      {sent} sent, {documents} right answers, {missing} missing, {wrong} wrong");
    let codes: Vec<String> = report.codes.iter().map(|(code, count)| format!("{code}: {count}")).collect();
    let codes = if codes.is_empty() { "none".to_owned() } else { codes.join(", ") };
    println!("codes         {codes}; {} encrypted, {} probes", report.codes_unknown, report.probes);
    if report.no_answer_expected > 0 {
        println!("silent        {} messages ask for no answer", report.no_answer_expected);
    }
    println!(
        "captured      {} answers say the same, {} have another code, {} differ otherwise, {} cannot be compared",
        report.same_as_captured, report.other_code, report.other_bytes, report.not_comparable
    );
    println!("connections   {}, {} of them anew", report.connections, report.reconnects);
    println!("latency       p50 {} us, p99 {} us, p99.9 {} us", report.p50_us, report.p99_us, report.p999_us);
    let interrupted = if report.interrupted { ", interrupted" } else { "" };
    let late = Duration::from_micros(report.most_late_us);
    println!(
        "time          {:.3} s, {:.0} documents/s, at most {:.1} ms late{interrupted}",
        report.seconds,
        report.documents_per_second,
        late.as_secs_f64() * 1000.0
    );
}
