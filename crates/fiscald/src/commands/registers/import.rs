//! Many registers for one contract from a file: all of them or none.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::Timestamp;
use ofd_fns::registration::ops::{LineOutcome, NewLine, OpsError, line_add, line_check};
use ofd_store::{Registry, RegistryReader};
use serde_json::{Value, json};

use super::super::output::Output;
use super::super::{progress, registry};
use super::no_contract;
use super::table_file::{BadLine, Entered, MAX_FILE_BYTES, TableFile};
use crate::cli::RegisterImportArgs;

/// What is to be done with the lines of a file, after each was looked at.
#[derive(Debug, Default)]
struct Plan {
    lines: Vec<(Entered, LineOutcome)>,
    bad: Vec<BadLine>,
}

/// What was done, for people and scripts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    added: u64,
    joined: u64,
    already_there: u64,
}

/// Looks at every line, then writes.
///
/// # Errors
/// The file cannot be read or understood; no such contract; the store cannot be used.
pub(super) fn run(args: &RegisterImportArgs, out: &mut Output) -> Result<ExitCode> {
    let shown = args.file.display();
    let bytes = read(&args.file).with_context(|| format!("cannot read {shown}"))?;
    let file = TableFile::read(&bytes).with_context(|| format!("{shown}"))?;
    let (mut registry, place) = registry(&args.table.config)?;
    registry.contract(&args.contract)?.with_context(|| no_contract(&args.contract))?;
    let plan = plan(file, &args.contract, args.unchecked, &registry)?;
    for bad in &plan.bad {
        eprintln!("line {}: {}", bad.line, bad.reason);
    }
    let refused = !plan.bad.is_empty() && !args.skip_bad;
    let (tally, warnings) = if refused || args.dry_run {
        (plan.tally(), Vec::new())
    } else {
        write(&plan, &args.contract, args.unchecked, &mut registry)?
    };
    for (line, warning) in &warnings {
        eprintln!("line {line}: imported, but {warning}");
    }
    let written = !refused && !args.dry_run;
    if args.table.json {
        out.json(&as_json(&tally, &plan.bad, &warnings, written))?;
    } else {
        out.line(told(&tally, plan.bad.len(), written, args, &place))?;
    }
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(File::open(path)?) };
    let mut bytes = Vec::new();
    // One more than the limit, so that the reader of the table sees that it is passed.
    source.take(u64::try_from(MAX_FILE_BYTES)?.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What would become of each line. Writes nothing.
fn plan(file: TableFile, contract: &str, unchecked: bool, registry: &RegistryReader) -> Result<Plan> {
    let now = Timestamp::now();
    let bar = progress::bar(u64::try_from(file.entered.len())?, "lines checked");
    let mut plan = Plan { bad: file.bad, ..Plan::default() };
    for entered in file.entered {
        match line_check(registry, contract, &new_line(&entered, unchecked), now) {
            Ok(outcome) => plan.lines.push((entered, outcome)),
            Err(OpsError::Refused(reason) | OpsError::NotFound(reason)) => {
                plan.bad.push(BadLine { line: entered.line, reason });
            }
            Err(error) => return Err(error.into()),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    plan.bad.sort_by_key(|bad| bad.line);
    Ok(plan)
}

/// One transaction a line: ended in the middle, the same file can simply be imported again.
fn write(
    plan: &Plan,
    contract: &str,
    unchecked: bool,
    registry: &mut Registry,
) -> Result<(Tally, Vec<(u64, String)>)> {
    let (mut tally, mut warnings) = (Tally::default(), Vec::new());
    let bar = progress::bar(u64::try_from(plan.lines.len())?, "lines");
    for (entered, _) in &plan.lines {
        let new = new_line(entered, unchecked);
        let added = line_add(registry, contract, &new, Timestamp::now()).with_context(|| {
            format!(
                "line {}: nothing after it was imported; put it right and import the file again, what is there stays",
                entered.line
            )
        })?;
        tally.count(added.outcome);
        warnings.extend(added.warnings.into_iter().map(|warning| (entered.line, warning)));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((tally, warnings))
}

fn new_line(entered: &Entered, unchecked: bool) -> NewLine {
    NewLine {
        kkt_serial: entered.kkt_serial.clone(),
        kkt_model: entered.kkt_model.clone(),
        fn_number: entered.fn_number,
        fn_model: entered.fn_model.clone(),
        rnm: entered.rnm,
        unchecked,
    }
}

impl Plan {
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.lines.iter().for_each(|(_, outcome)| tally.count(*outcome));
        tally
    }
}

impl Tally {
    fn count(&mut self, outcome: LineOutcome) {
        let counter = match outcome {
            LineOutcome::Added => &mut self.added,
            LineOutcome::Joined => &mut self.joined,
            LineOutcome::AlreadyThere => &mut self.already_there,
        };
        *counter = counter.saturating_add(1);
    }
}

fn as_json(tally: &Tally, bad: &[BadLine], warnings: &[(u64, String)], written: bool) -> Value {
    let bad = bad.iter().map(|bad| json!({ "line": bad.line, "reason": bad.reason }));
    let warnings = warnings.iter().map(|(line, text)| json!({ "line": line, "warning": text }));
    json!({
        "written": written,
        "added": tally.added,
        "joined": tally.joined,
        "already_there": tally.already_there,
        "bad": bad.collect::<Vec<_>>(),
        "warnings": warnings.collect::<Vec<_>>(),
    })
}

fn told(tally: &Tally, bad: usize, written: bool, args: &RegisterImportArgs, place: &str) -> String {
    let Tally { added, joined, already_there } = tally;
    let counts = format!(
        "new: {added}, known before and now under the contract: {joined}, in it already: {already_there}"
    );
    let contract = &args.contract;
    match (written, bad) {
        (true, 0) => format!("contract {contract} in {place}: {counts}"),
        (true, _) => format!("contract {contract} in {place}: {counts}; bad lines left out: {bad}"),
        (false, 0) => format!("nothing was written (--dry-run); contract {contract} would get: {counts}"),
        (false, _) if args.skip_bad => format!(
            "nothing was written (--dry-run); contract {contract} would get: {counts}; bad lines left out: {bad}"
        ),
        (false, _) => format!(
            "nothing was written: {bad} bad lines (good ones: {counts}); put them right, or leave them out with --skip-bad"
        ),
    }
}
