//! Chores of the project, run as `cargo xtask NAME`.
//!
//! `test` is the whole test run of the README: it looks for what a fresh machine may lack, installs it where it
//! may, builds the programs the system tests start, and runs every test. `ci` puts the style checks before it. `deb`
//! builds the Debian package and tries it in a clean root; it takes minutes and needs root, so it is no part of `ci`.
//! `fuzz` runs the fuzz targets of the crates.
#![allow(clippy::print_stderr, reason = "a chore talks to the person who started it")]

mod deb;
mod failover;
mod faults;
mod fuzz;
mod packages;
mod promtool;
mod record;

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
Chores of fiscald.

Usage: cargo xtask <COMMAND> [-- ARGUMENTS FOR THE TEST RUNNER]

Commands:
  test    build the programs, then run all tests (unit, property, system, documentation)
  check   format, clippy and rustdoc, warnings as errors
  ci      check, then test: what the continuous integration runs
  record-stream    make the captured streams of proto-fixtures/streams anew (needs tshark and port 7777)
  faults [--kills N] [--rounds N] [--standstill-s N] [--seed N]
          the fault suite at length: 200 kills, every fault of disk, file and clock several times
  failover [--rounds N] [--seed N]
          several nodes on PostgreSQL behind HAProxy: N times (100) something of it is killed or paused under load
  fuzz [TARGET...] [--seconds N] [--seed N] [--keep]
          fuzz the readers of hostile bytes, each for N seconds (60); --keep adds what was learnt to the corpus
  deb     build the Debian package, then install, run, remove and purge it in a clean root (as root)

Examples:
  cargo xtask test
  cargo xtask test -- -p ffd
  cargo xtask ci
  cargo xtask deb
  cargo xtask faults --kills 50 --seed 1
  cargo xtask failover --rounds 500
  cargo xtask fuzz container --seconds 1260";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let command = args.next();
    let rest: Vec<String> = args.skip_while(|arg| arg == "--").collect();
    let result = match command.as_deref() {
        Some("test") => test(&rest),
        Some("check") => check(),
        Some("deb") => deb::run(&rest),
        Some("failover") => failover::run(&rest),
        Some("faults") => faults::run(&rest),
        Some("fuzz") => fuzz::run(&rest),
        Some("ci") => check().and_then(|()| test(&rest)),
        Some("record-stream") => record_stream(),
        Some("help" | "--help" | "-h") => {
            eprintln!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Format, lints and documentation; each as an error.
fn check() -> Result<()> {
    packages::need_c_compiler()?;
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[])?;
    cargo(
        &["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )
}

/// Everything a fresh machine needs, then every test.
fn test(runner_args: &[String]) -> Result<()> {
    packages::need_c_compiler()?;
    if let Err(missing) = packages::need_servers() {
        // Whoever asked for all tests would wait long for those to fail; a part may need none of it.
        if runner_args.is_empty() {
            return Err(missing);
        }
        eprintln!("xtask: {missing:#}; tests that need them will fail");
    }
    if let Err(missing) = packages::need_tshark() {
        eprintln!(
            "xtask: {missing:#}; the tests of the dissector and of the reassembly will say that they prove nothing"
        );
    }
    if let Err(missing) = promtool::need() {
        eprintln!(
            "xtask: {missing:#}; the tests of the alert rules and of the dashboard will say what they do not prove"
        );
    }
    // The system tests start the real programs, so these are built before the runner starts.
    cargo(&["build", "--workspace", "--bins", "--locked"], &[])?;
    let extra: Vec<&str> = runner_args.iter().map(String::as_str).collect();
    let whole = if extra.is_empty() { vec!["--workspace"] } else { extra.clone() };
    if has_nextest() {
        cargo(&[&["nextest", "run", "--locked"], whole.as_slice()].concat(), &[])?;
    } else {
        eprintln!(
            "xtask: cargo-nextest is not installed, falling back to cargo test (`cargo install cargo-nextest --locked` makes this faster)"
        );
        let all: &[&str] = if extra.is_empty() { &["--lib", "--bins", "--tests"] } else { &[] };
        cargo(&[&["test", "--locked"], all, whole.as_slice()].concat(), &[])?;
    }
    if runner_args.is_empty() {
        cargo(&["test", "--workspace", "--doc", "--locked"], &[])?;
    }
    Ok(())
}

/// Records what the tests and the benchmark replay.
fn record_stream() -> Result<()> {
    packages::need_c_compiler()?;
    packages::need_tshark()?;
    cargo(&["build", "--package", "fiscald", "--package", "ofd-sim", "--bins", "--locked"], &[])?;
    record::streams(&target().join("debug"), &root().join("proto-fixtures/streams"))
}

fn has_nextest() -> bool {
    succeeds("cargo", &["nextest", "--version"])
}

fn succeeds(program: impl AsRef<OsStr>, args: &[&str]) -> bool {
    let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs one cargo command from the root of the workspace, so that `cargo xtask` works from any folder.
fn cargo(args: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    eprintln!("xtask: cargo {}", args.join(" "));
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program)
        .args(args)
        .envs(environment.iter().copied())
        .current_dir(root())
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo {}` failed", args.join(" "));
    }
    Ok(())
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
