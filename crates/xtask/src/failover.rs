//! The long form of the suite of several nodes: `cargo xtask failover`. Nodes, primary, standby and balancer are killed and
//! paused in turn, under load. Says commit and seed first, so that a figure can be traced and a failure repeated.

use anyhow::{Context, Result, bail};

use crate::faults::{commit, new_seed, run_suite};

/// Rounds of the random test when nothing is said; some ten minutes.
const DEFAULT_ROUNDS: u64 = 100;

/// Runs the suite at length.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut rounds, mut seed) = (DEFAULT_ROUNDS, new_seed()?);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{arg} needs a number"))?;
        let value: u64 = value.parse().with_context(|| format!("{arg} {value}: not a number"))?;
        match arg.as_str() {
            "--rounds" => rounds = value,
            "--seed" => seed = value,
            _ => bail!("{arg} is not known; there are --rounds and --seed"),
        }
    }
    eprintln!("xtask: failover at commit {}, seed {seed}, {rounds} rounds", commit());
    super::packages::need_c_compiler()?;
    super::packages::need_servers()?;
    super::cargo(&["build", "--workspace", "--bins", "--locked"], &[])?;
    run_suite("nodes", seed, &[("FISCALD_TEST_FAILOVER_ROUNDS", rounds.to_string())])
}
