//! `kkt-sim live`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ffd::Kopecks;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::{interruptible, keys, resolve};
use crate::args::LiveArgs;
use crate::kkt::OperatorCard;
use crate::link::LinkTiming;
use crate::live::{self, LiveCounts, LiveOptions, LiveProgress, LiveReport};

pub(super) async fn run(args: &LiveArgs) -> anyhow::Result<bool> {
    let options = options(args).await?;
    let total = options.documents();
    let wanted: BTreeSet<_> = options.faults.iter().flat_map(|faults| faults.names()).collect();
    let progress = Arc::new(LiveProgress::default());
    let shown = CancellationToken::new();
    let display = tokio::spawn(show(total, Arc::clone(&progress), shown.clone()));
    let report = live::run(options, progress, interruptible()).await;
    shown.cancel();
    // The display only draws; its end is waited for so that it does not draw over the report.
    let _ = display.await;
    for register in report.registers.iter().filter(|register| register.failure.is_some()).take(10) {
        let failure = register.failure.as_deref().unwrap_or_default();
        eprintln!("kkt-sim: ФН {}: {failure} ({} waiting)", register.fn_number, register.waiting);
    }
    let never: Vec<_> =
        wanted.into_iter().filter(|name| !report.counts.by_fault.contains_key(name)).collect();
    if !never.is_empty() {
        eprintln!("kkt-sim: faults that no document was spoiled with: {}", never.join(", "));
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print_text(&report);
    }
    Ok(report.is_clean())
}

async fn options(args: &LiveArgs) -> anyhow::Result<LiveOptions> {
    let to = resolve(&args.to).await?;
    let mut options = LiveOptions::starting_now(to, args.registers, args.receipts);
    options.seed = args.seed;
    options.fn_base = args.base.unwrap_or(options.fn_base);
    options.days = args.days;
    options.offline_days = args.offline_days;
    options.end_now();
    options.day_start = args.clock.unwrap_or(options.day_start);
    options.trades = args.trade.clone();
    options.zones = args.zones.clone();
    options.clock_error_s = args.clock_error_s;
    options.encrypted_percent = args.encrypted;
    options.ffd = args.ffd.clone();
    options.faults = args.faults.clone().map(Arc::new);
    options.connections = args.connections;
    options.pause = Duration::from_millis(args.pause_ms);
    options.keys = keys(&args.keys)?;
    options.timing = LinkTiming {
        connect_timeout: args.timeout_s,
        answer_timeout: args.timeout_s,
        attempts: args.attempts,
        ..options.timing
    };
    if let Some(inn) = args.operator_inn {
        options.operator = OperatorCard { inn, ..options.operator };
    }
    if let Some(name) = &args.operator_name {
        options.operator.name.clone_from(name);
    }
    Ok(options)
}

/// Draws the counters on stderr until cancelled; nothing when stderr is no terminal.
async fn show(total: u64, progress: Arc<LiveProgress>, shown: CancellationToken) {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} documents, {elapsed}, {msg}") {
        bar.set_style(style);
    }
    loop {
        let counts = progress.snapshot();
        bar.set_position(counts.acknowledged());
        bar.set_message(format!(
            "{} registers done, {} refused, {} repeats",
            counts.registers_finished,
            counts.refused(),
            counts.repeats
        ));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = shown.cancelled() => break,
        }
    }
    bar.finish_and_clear();
}

fn print_text(report: &LiveReport) {
    let counts = &report.counts;
    let LiveCounts { registers_started, registers_finished, registers_failed, .. } = *counts;
    println!(
        "registers     {registers_started} started, {registers_finished} finished, {registers_failed} gave up"
    );
    println!("documents     {} made, {} acknowledged", counts.documents, counts.acknowledged());
    let forms: Vec<String> = counts.by_form.iter().map(|(form, count)| format!("{form}: {count}")).collect();
    println!("forms         {}", forms.join(", "));
    println!(
        "codes         0: {}, 11: {}, 14: {}, other: {}",
        counts.accepted, counts.unrecognised, counts.format_logic, counts.other_codes
    );
    if !counts.by_fault.is_empty() {
        let faults: Vec<_> = counts.by_fault.iter().map(|(rule, count)| format!("{rule}: {count}")).collect();
        println!("faults        {}", faults.join(", "));
        println!("codes         {} other than the documents were made for", counts.unexpected_codes);
    }
    println!(
        "refused       1 sign: {}, 2 format: {}, 3 ФД number: {}, 4 ФН number: {}",
        counts.refused_sign, counts.refused_format, counts.refused_fd_number, counts.refused_fn_number
    );
    println!(
        "messages      {} sent, {} repeats, {} answers lost on purpose, {} silences, {} reconnects",
        counts.messages, counts.repeats, counts.lost_answers, counts.silences, counts.reconnects
    );
    println!(
        "repeats       {} answered with the same bytes, {} with others",
        counts.repeats_equal, counts.repeats_different
    );
    println!("turnover      {} roubles", Kopecks::new(counts.turnover_kopecks));
    println!("time          {:.1} s{}", report.seconds, if report.cancelled { ", interrupted" } else { "" });
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};
    use crate::test_operator::TestOperator;

    /// The containers an operator gets, in the order of their numbers.
    async fn containers(line: &str) -> Vec<Vec<u8>> {
        let operator = TestOperator::honest().await;
        let line = format!("kkt-sim live --to {} --registers 3 --receipts 3 {line}", operator.address);
        let Command::Live(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
            panic!("{line} is a live run");
        };
        let options = options(&args).await.unwrap();
        assert!(live::run(options, Arc::default(), CancellationToken::new()).await.is_clean());
        operator.kept().into_iter().map(|(_, kept)| kept.container).collect()
    }

    #[tokio::test]
    async fn the_same_seed_base_and_clock_make_the_same_bytes() {
        let same = "--seed 7 --encrypted 50 --base 42 --clock 2026-03-01T08:00:00+03:00";
        let first = containers(same).await;
        assert_eq!(first.len(), 3 * 7);
        assert_eq!(first, containers(same).await);
        for other in [same.replace("seed 7", "seed 8"), same.replace("42", "43"), same.replace("08:", "09:")]
        {
            assert_ne!(first, containers(&other).await, "{other}");
        }
    }
}
