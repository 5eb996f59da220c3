//! `fiscald check-config`: reads everything `serve` would read, opens nothing.

use std::process::ExitCode;

use anyhow::Result;

use super::output::Output;
use crate::cli::CheckConfigArgs;
use crate::config::{NOT_YET, load};
use crate::run::keys;

/// Says that the configuration is right, or every fault with the key's path; then what `serve` still lacks on this
/// machine, which is no fault of the configuration: it may be checked where the keys are not.
///
/// # Errors
/// [`crate::config::BadConfig`].
pub(crate) fn run(args: &CheckConfigArgs, out: &mut Output) -> Result<ExitCode> {
    let loaded = load(args.config.config.as_deref())?;
    out.line(format!("the configuration is right ({})", loaded.source))?;
    for name in &loaded.overrides {
        out.line(format!("  overridden by the environment: {name}"))?;
    }
    for section in &loaded.unbuilt {
        out.line(format!("  [{section}] is checked, but its part is not built yet"))?;
    }
    for remark in NOT_YET {
        out.line(format!("  {remark}"))?;
    }
    let mut lacks = Vec::new();
    if loaded.settings.operator.inn.is_none() {
        lacks.push("operator.inn is not set".to_owned());
    }
    if let Err(error) = keys::load(&loaded.settings.signs) {
        lacks.push(format!("{error:#}"));
    }
    if !lacks.is_empty() {
        out.line("\n`serve` would not start here yet:")?;
        for lack in lacks {
            out.line(format!("- {lack}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
