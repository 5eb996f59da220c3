//! `kkt-sim load`.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::{interruptible, keys, resolve};
use crate::args::LoadArgs;
use crate::fleet::{fresh_fn_base, till_clock_now};
use crate::load::{self, Amount, LoadOptions, LoadOutcome, LoadProgress, OPENING_DOCUMENTS, RegisterLoad};

pub(super) async fn run(args: &LoadArgs) -> anyhow::Result<bool> {
    let options = options(args).await?;
    let token = interruptible();
    let loads = prepare(&options, &token).await?;
    let progress = Arc::new(LoadProgress::default());
    let shown = CancellationToken::new();
    let display = tokio::spawn(show(options.clone(), Arc::clone(&progress), shown.clone()));
    let outcome = load::run(loads, &options, progress, token).await;
    shown.cancel();
    // The display only draws; its end is waited for so that it does not draw over the figures.
    let _ = display.await;
    let outcome = outcome.map_err(|reason| anyhow!(reason))?;
    for note in &outcome.notes {
        eprintln!("kkt-sim: {note}");
    }
    if args.json {
        println!("{}", serde_json::to_string(&outcome.report)?);
    } else {
        print_text(args, &outcome);
    }
    Ok(outcome.report.errors == 0)
}

async fn options(args: &LoadArgs) -> anyhow::Result<LoadOptions> {
    let amount = match (args.documents, args.seconds) {
        (Some(documents), _) => Amount::Documents(documents),
        (None, Some(time)) => Amount::Seconds(time),
        (None, None) => return Err(anyhow!("--documents or --seconds is needed")),
    };
    let mut options = LoadOptions {
        to: resolve(&args.to).await?,
        registers: args.registers,
        amount,
        items: args.items,
        mode: args.mode,
        check: args.check,
        warm: args.warm.unwrap_or_default(),
        watch: args.watch.clone(),
        fn_base: args.base.unwrap_or_else(fresh_fn_base),
        genuine: args.genuine,
        seed: args.seed,
        clock: 0,
        keys: keys(&args.keys)?,
        encrypted_percent: args.encrypted,
        expected_rate: args.expect.or(args.rate).unwrap_or_else(|| args.mode.expected_rate()),
        rate: args.rate,
        answer_timeout: args.timeout_s,
        retry_pause: Duration::from_millis(200),
        give_up: args.give_up_s,
    };
    options.clock = args.clock.unwrap_or_else(|| till_clock_now().saturating_sub(options.till_time_s()));
    Ok(options)
}

/// Makes the messages on threads of their own, with a progress bar.
async fn prepare(options: &LoadOptions, token: &CancellationToken) -> anyhow::Result<Vec<RegisterLoad>> {
    let opening = u64::from(options.registers) * u64::try_from(OPENING_DOCUMENTS).unwrap_or(0);
    let bar = ProgressBar::new(options.receipts() + opening);
    if let Ok(style) = ProgressStyle::with_template("preparing {bar:30} {pos}/{len} documents, {per_sec}") {
        bar.set_style(style);
    }
    let began = Instant::now();
    let prepared = Arc::new(AtomicU64::new(0));
    let mut work = tokio::task::spawn_blocking({
        let (options, token, prepared) = (options.clone(), token.clone(), Arc::clone(&prepared));
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        move || load::prepare(&options, threads, &prepared, &token)
    });
    let loads = loop {
        tokio::select! {
            done = &mut work => break done.context("preparing documents")??,
            () = tokio::time::sleep(Duration::from_millis(100)) => bar.set_position(prepared.load(Ordering::Relaxed)),
        }
    };
    bar.finish_and_clear();
    let mebibytes = loads.iter().map(RegisterLoad::byte_len).sum::<usize>() >> 20;
    let mut sizes: Vec<usize> = loads.iter().flat_map(RegisterLoad::sizes).collect();
    sizes.sort_unstable();
    let size =
        |per_mille: usize| sizes.get(sizes.len().saturating_sub(1) * per_mille / 1000).copied().unwrap_or(0);
    eprintln!(
        "kkt-sim: {} documents of {} registers prepared in {:.1} s, {mebibytes} MiB; ФН from {}{:012}; messages of \
         p50 {}, p99 {}, mean {} bytes",
        prepared.load(Ordering::Relaxed),
        loads.len(),
        began.elapsed().as_secs_f64(),
        if options.genuine { 9280 } else { 9999 },
        options.fn_base,
        size(500),
        size(990),
        sizes.iter().sum::<usize>() / sizes.len().max(1)
    );
    Ok(loads)
}

/// Draws the counters on stderr until cancelled; nothing when stderr is no terminal.
async fn show(options: LoadOptions, progress: Arc<LoadProgress>, shown: CancellationToken) {
    let bar = match options.amount {
        Amount::Documents(documents) => ProgressBar::new(documents),
        Amount::Seconds(_) => ProgressBar::new_spinner(),
    };
    if let Ok(style) = ProgressStyle::with_template("{elapsed} {pos} documents, {per_sec}, {msg}") {
        bar.set_style(style);
    }
    loop {
        bar.set_position(progress.documents.load(Ordering::Relaxed));
        let (errors, repeats) = (&progress.errors, &progress.repeats);
        bar.set_message(format!(
            "{} errors, {} repeats",
            errors.load(Ordering::Relaxed),
            repeats.load(Ordering::Relaxed)
        ));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = shown.cancelled() => break,
        }
    }
    bar.finish_and_clear();
}

fn print_text(args: &LoadArgs, outcome: &LoadOutcome) {
    let LoadOutcome { report, cancelled, .. } = outcome;
    let interrupted = if *cancelled { ", interrupted" } else { "" };
    println!("mode        {}, {} registers", args.mode, args.registers);
    println!("documents   {} in {:.3} s{interrupted}", report.documents, report.seconds);
    println!("rate        {:.0} documents/s", report.documents_per_second);
    println!("latency     p50 {} us, p99 {} us, p99.9 {} us", report.p50_us, report.p99_us, report.p999_us);
    println!("errors      {}", report.errors);
    println!("repeats     {}", report.repeats);
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    async fn parsed(line: &str) -> LoadOptions {
        let line = format!("kkt-sim load --to 127.0.0.1:1 --registers 3 --encrypted 50 {line}");
        let Command::Load(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
            panic!("{line} is a load");
        };
        options(&args).await.unwrap()
    }

    fn bytes(options: &LoadOptions) -> Vec<u8> {
        let made = load::prepare(options, 2, &AtomicU64::new(0), &CancellationToken::new()).unwrap();
        made.iter().flat_map(|load| load.bytes(load.span(0, load.len())).to_vec()).collect()
    }

    #[tokio::test]
    async fn the_same_seed_base_and_clock_make_the_same_bytes() {
        let same = "--documents 20 --seed 5 --base 42 --clock 2026-03-01T08:00:00+03:00";
        let first = bytes(&parsed(same).await);
        assert_eq!(first, bytes(&parsed(same).await));
        for other in [same.replace("seed 5", "seed 6"), same.replace("42", "43"), same.replace("08:", "09:")]
        {
            assert_ne!(first, bytes(&parsed(&other).await), "{other}");
        }
    }

    #[tokio::test]
    async fn a_run_ends_before_now_unless_a_clock_is_given() {
        for amount in ["--documents 20", "--documents 5000000", "--seconds 600"] {
            let options = parsed(amount).await;
            let now = till_clock_now();
            assert!(options.clock + options.till_time_s() <= now, "{amount}");
            assert!(now - options.clock < 24 * 3600, "{amount}");
        }
        let set = parsed("--documents 1 --clock 2026-03-01T08:00:00+03:00").await;
        assert_eq!(set.clock, 1_772_352_000);
    }
}
