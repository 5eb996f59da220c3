//! The long form of the fault suite: `cargo xtask faults`. Says commit and seed first, so that a figure can be traced
//! and a failure repeated.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// How much of what, and the variable by which the tests hear of it.
const MEASURES: [(&str, &str, u64); 3] = [
    ("--kills", "FISCALD_TEST_KILLS", 200),
    ("--rounds", "FISCALD_TEST_FAULT_ROUNDS", 5),
    ("--standstill-s", "FISCALD_TEST_STANDSTILL_S", 60),
];

/// Runs every fault at length.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut amounts = MEASURES.map(|(_, variable, long)| (variable, long));
    let mut seed = new_seed()?;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{arg} needs a number"))?;
        let value: u64 = value.parse().with_context(|| format!("{arg} {value}: not a number"))?;
        match MEASURES.iter().position(|(name, ..)| name == arg) {
            Some(place) => {
                if let Some(amount) = amounts.get_mut(place) {
                    amount.1 = value;
                }
            }
            None if arg == "--seed" => seed = value,
            None => bail!("{arg} is not known; there are --kills, --rounds, --standstill-s and --seed"),
        }
    }
    eprintln!("xtask: faults at commit {}, seed {seed}, {amounts:?}", commit());
    super::packages::need_c_compiler()?;
    super::cargo(&["build", "--workspace", "--bins", "--locked"], &[])?;
    let amounts = amounts.map(|(variable, amount)| (variable, amount.to_string()));
    run_suite("faults", seed, &amounts)
}

/// Runs one suite of the system tests at length, its tests one after another: what one of them breaks or measures is
/// not to stand beside another's load.
pub(crate) fn run_suite(test: &str, seed: u64, amounts: &[(&str, String)]) -> Result<()> {
    let mut environment = vec![("FISCALD_TEST_SEED", seed.to_string())];
    environment.extend(amounts.iter().cloned());
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let suite = ["-p", "fiscald-tests", "--test", test, "--locked"];
    if super::has_nextest() {
        let runner = ["nextest", "run", "--profile", "long", "--no-capture"];
        super::cargo(&[&runner, suite.as_slice()].concat(), &environment)
    } else {
        let runner_args = ["--", "--nocapture", "--test-threads", "1"];
        super::cargo(&[&["test"], suite.as_slice(), &runner_args].concat(), &environment)
    }
}

/// The commit the tree stands on, and whether it was changed since.
pub(crate) fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    if changed { format!("{commit} (changed)") } else { commit }
}

pub(crate) fn new_seed() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs())
}
