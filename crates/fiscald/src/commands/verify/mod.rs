//! `fiscald verify`: everything that is stored, read anew and held against itself.
//!
//! Works on a running daemon's store and on a copy alike. Documents are read page by page, each page in a transaction of
//! its own. The database is checked by one statement for each table (`--full`: one for the whole file), and each of these
//! reads one state from beginning to end: meanwhile the daemon's log grows, so it gives up before the disk runs short.

mod examine;

use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use indicatif::HumanBytes;
use ofd_store::{DocumentFilter, IntegrityDepth, Reader, StoreError, Unavailability, VerifyRow};
use serde_json::json;

use super::output::Output;
use super::progress::Along;
use super::{progress, reader};
use crate::cli::VerifyArgs;
use examine::{Fault, FaultKind, examine};

/// Rows of one page, at most; the store cuts heavy pages shorter.
const PAGE_ROWS: usize = 2_000;

/// Faults listed in JSON; more are only counted. Lines of text have no such limit.
const MAX_LISTED: usize = 10_000;

/// Reads everything, prints each fault as it is found, then a summary. Exit code 1 when there was any.
///
/// # Errors
/// The store cannot be opened; the disk got too short for a long read beside the daemon.
pub(crate) fn run(args: &VerifyArgs, out: &mut Output) -> Result<ExitCode> {
    let reader = reader(&args.table.config)?;
    let depth = depth(args);
    let began = Instant::now();
    let mut walk = Walk::default();
    let mut listed = Vec::new();
    {
        let mut found = |problem: Problem| -> io::Result<()> {
            if !args.table.json {
                return out.line(problem.to_string());
            }
            if listed.len() < MAX_LISTED {
                listed.push(problem);
            }
            Ok(())
        };
        // Trouble of one stage is a finding, and the others go on.
        let read = journal(&reader, args.from_seq, &mut walk, &mut found);
        walk.stage(read, "the journal cannot be read further", &mut found)?;
        if let Some(depth) = depth {
            let checked = database(&reader, depth, &mut walk, &mut found);
            walk.stage(checked, "the database cannot be checked", &mut found)?;
        }
        let counted = count_gaps(&reader, &mut walk);
        walk.stage(counted, "missing numbers cannot be counted", &mut found)?;
    }
    let seconds = began.elapsed().as_secs_f64();
    if args.table.json {
        out.json(&walk.as_json(&listed, seconds, depth))?;
    } else {
        out.text(&walk.told(seconds, depth))?;
    }
    Ok(if walk.problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How the database is looked at; not at all when only later documents are.
fn depth(args: &VerifyArgs) -> Option<IntegrityDepth> {
    match args {
        VerifyArgs { full: true, .. } => Some(IntegrityDepth::Full),
        VerifyArgs { from_seq: 1, .. } => Some(IntegrityDepth::Quick),
        VerifyArgs { .. } => None,
    }
}

/// A fault and its place.
struct Problem {
    place: Option<Place>,
    fault: Fault,
}

/// Position, and the document's numbers as far as they can be read.
struct Place {
    seq: i64,
    document: Option<(String, u32)>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Some(Place { seq, document: Some((fn_number, fd)) }) => {
                write!(f, "#{seq} ФН {fn_number} ФД {fd}: {}", self.fault)
            }
            Some(Place { seq, document: None }) => write!(f, "#{seq}: {}", self.fault),
            None => write!(f, "database: {}", self.fault),
        }
    }
}

impl Problem {
    fn as_json(&self) -> serde_json::Value {
        let document = self.place.as_ref().and_then(|place| place.document.as_ref());
        json!({
            "seq": self.place.as_ref().map(|place| place.seq),
            "fn": document.map(|(fn_number, _)| fn_number),
            "fd": document.map(|(_, fd)| fd),
            "what": self.fault.what,
            "do": self.fault.kind.advice(),
        })
    }
}

/// What was read.
#[derive(Default)]
struct Walk {
    documents: u64,
    bytes: u64,
    by_code: BTreeMap<u8, u64>,
    /// Documents whose bytes lie in a file that cannot be read: nothing was judged.
    elsewhere: u64,
    elsewhere_told: Option<String>,
    /// Encrypted acknowledgements: of these only the container was judged.
    sealed_answers: u64,
    conflicts: u64,
    gaps: usize,
    missing_numbers: u64,
    problems: u64,
}

type Found<'f> = dyn FnMut(Problem) -> io::Result<()> + 'f;

fn journal(reader: &Reader, from_seq: i64, walk: &mut Walk, found: &mut Found<'_>) -> Result<()> {
    let newest = reader.summaries(&DocumentFilter::default(), 1)?.first().map_or(0, |row| row.seq);
    let along = Along::to(newest, "positions");
    let bar = &along.bar;
    let mut next = Some(from_seq.saturating_sub(1));
    while let Some(after) = next {
        let page = reader.verify_page(after, PAGE_ROWS)?;
        for row in &page.rows {
            walk.row(row, &mut |problem| bar.suspend(|| found(problem)))?;
        }
        next = page.next;
        along.at(next.unwrap_or(newest), walk.documents);
    }
    bar.finish_and_clear();
    Ok(())
}

fn database(reader: &Reader, depth: IntegrityDepth, walk: &mut Walk, found: &mut Found<'_>) -> Result<()> {
    let spinner = progress::working();
    let sentences = reader.integrity_check(depth, &mut |step| {
        spinner.set_message(format!("database: {step}"));
        spinner.tick();
    })?;
    let of_index = reader.index_check(&mut |step| {
        spinner.set_message(format!("database: {step}"));
        spinner.tick();
    })?;
    spinner.finish_and_clear();
    let sentences = sentences.into_iter().map(|what| (FaultKind::Database, what));
    for (kind, what) in sentences.chain(of_index.into_iter().map(|what| (FaultKind::Column, what))) {
        walk.problems += 1;
        found(Problem { place: None, fault: Fault { kind, what } })?;
    }
    Ok(())
}

fn count_gaps(reader: &Reader, walk: &mut Walk) -> Result<()> {
    let gaps = reader.gaps(None)?;
    walk.gaps = gaps.len();
    walk.missing_numbers =
        gaps.iter().map(|gap| u64::from(gap.to.saturating_sub(gap.from)).saturating_add(1)).sum();
    Ok(())
}

impl Walk {
    /// What the store could not do is a fault of the database; what our own output could not do ends the command, and so
    /// does a disk that gets short, which is no fault of the database.
    fn stage(&mut self, outcome: Result<()>, what: &str, found: &mut Found<'_>) -> Result<()> {
        let Err(error) = outcome else { return Ok(()) };
        match error.downcast_ref() {
            None | Some(StoreError::Unavailable { why: Unavailability::DiskLow, .. }) => return Err(error),
            Some(_) => {}
        }
        self.problems += 1;
        let fault = Fault { kind: FaultKind::Database, what: format!("{what}: {error:#}") };
        Ok(found(Problem { place: None, fault })?)
    }

    fn row(&mut self, row: &VerifyRow, found: &mut Found<'_>) -> io::Result<()> {
        match row {
            VerifyRow::Document(row) => {
                self.documents += 1;
                let parts = [Some(&row.container), row.opened.as_ref(), Some(&row.acknowledgement)];
                self.bytes += parts.into_iter().flatten().map(|part| part.len() as u64).sum::<u64>();
                *self.by_code.entry(row.code).or_default() += 1;
                self.conflicts += u64::from(row.conflict_no > 0);
                self.sealed_answers += u64::from(row.opened.is_some());
                for fault in examine(row) {
                    let document = Some((row.fn_number.to_string(), row.fd_number.get()));
                    self.report(Place { seq: row.seq, document }, fault, found)?;
                }
                Ok(())
            }
            VerifyRow::Unreadable { seq, why } => {
                let fault = Fault { kind: FaultKind::Document, what: format!("cannot be read: {why}") };
                self.report(Place { seq: *seq, document: None }, fault, found)
            }
            VerifyRow::Elsewhere { seq, why } => {
                self.elsewhere += 1;
                // One line for each file and trouble; all that follow from it are counted.
                if self.elsewhere_told.as_ref() == Some(why) {
                    return Ok(());
                }
                self.elsewhere_told = Some(why.clone());
                let fault = Fault { kind: FaultKind::File, what: why.clone() };
                self.report(Place { seq: *seq, document: None }, fault, found)
            }
            VerifyRow::Missing { from, to } => {
                let what = match to - from {
                    0 => "the document of this position is gone".to_owned(),
                    more => format!("the documents of this position and the next {more} are gone"),
                };
                let fault = Fault { kind: FaultKind::Document, what };
                self.report(Place { seq: *from, document: None }, fault, found)
            }
        }
    }

    fn report(&mut self, place: Place, fault: Fault, found: &mut Found<'_>) -> io::Result<()> {
        self.problems += 1;
        found(Problem { place: Some(place), fault })
    }

    /// The summary for people.
    fn told(&self, seconds: f64, depth: Option<IntegrityDepth>) -> String {
        let codes: Vec<String> =
            self.by_code.iter().map(|(code, count)| format!("{count} with code {code}")).collect();
        let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
        let database = match depth {
            Some(IntegrityDepth::Full) => "checked, indexes held against their tables",
            Some(IntegrityDepth::Quick) => "checked (--full: indexes held against their tables too)",
            None => "not checked (--from-seq)",
        };
        let elsewhere = match self.elsewhere {
            0 => String::new(),
            count => format!("not looked at    {count} documents in files that cannot be read\n"),
        };
        let verdict = match self.problems {
            0 => "nothing is wrong".to_owned(),
            count => format!("PROBLEMS: {count}"),
        };
        format!(
            "documents        {}{codes}, {} in {seconds:.1} s\n\
             conflicts        {}\n\
             sealed answers   {} (encrypted: container and addressee checked, not the code inside)\n\
             missing numbers  {} in {} gaps (`fiscald documents gaps`; not a fault of the store)\n\
             {elsewhere}database         {database}\n\
             {verdict}\n",
            self.documents,
            HumanBytes(self.bytes),
            self.conflicts,
            self.sealed_answers,
            self.missing_numbers,
            self.gaps,
        )
    }

    fn as_json(&self, listed: &[Problem], seconds: f64, depth: Option<IntegrityDepth>) -> serde_json::Value {
        let by_code = self.by_code.iter().map(|(code, count)| (code.to_string(), (*count).into()));
        json!({
            "documents": self.documents,
            "bytes": self.bytes,
            "seconds": seconds,
            "by_code": by_code.collect::<serde_json::Map<_, _>>(),
            "conflicts": self.conflicts,
            "sealed_answers": self.sealed_answers,
            "elsewhere": self.elsewhere,
            "gaps": self.gaps,
            "missing_numbers": self.missing_numbers,
            "database": depth.map(|depth| match depth {
                IntegrityDepth::Quick => "quick",
                IntegrityDepth::Full => "full",
            }),
            "problem_count": self.problems,
            "problems": listed.iter().map(Problem::as_json).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests;
