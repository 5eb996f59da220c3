//! `fiscald reindex`: the derived columns made anew from the documents.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result};
use ofd_ingest::derived::identity;
use ofd_store::{
    Derived, DocumentFilter, MAX_REINDEX_ROWS, OpenedRow, Operator, RebuiltTables, StoreError, Unavailability,
};

use super::columns::contents;
use super::output::Output;
use super::progress::Along;
use super::{open_operator, open_reader, settings};
use crate::cli::ReindexArgs;

/// How often a page is tried while the daemon's writer holds the store.
const TRIES: u32 = 5;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Report {
    read: u64,
    changed: u64,
    /// Documents that are not what came: their columns may be the only true thing left of them.
    damaged: u64,
    tables: RebuiltTables,
    /// The index of the journal did not lead to every document.
    index: bool,
}

/// Takes the columns of every document out of it anew and says how many were wrong. Exit code 1 when a document is
/// damaged.
///
/// # Errors
/// The store cannot be used, or stays busy.
pub(crate) fn run(args: &ReindexArgs, out: &mut Output) -> Result<ExitCode> {
    let url = settings(&args.config)?.store.address();
    let newest =
        open_reader(&url)?.summaries(&DocumentFilter::default(), 1)?.first().map_or(0, |row| row.seq);
    let along = Along::to(newest, "documents");
    let report = rebuild(&mut open_operator(&url)?, |seq, read| along.at(seq, read))?;
    along.bar.finish_and_clear();
    out.line(format!("documents read         {}", report.read))?;
    out.line(format!("rows put right         {}", report.changed))?;
    if report.damaged > 0 {
        out.line(format!("DAMAGED, left alone    {} (`fiscald verify` names them)", report.damaged))?;
    }
    out.line(format!("registers put right    {}", report.tables.registers))?;
    out.line(format!("debug chains put right {}", report.tables.chains))?;
    if report.index {
        out.line("index of the journal   made anew")?;
    }
    Ok(if report.damaged == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The columns of a document; none if it is not the one that came. A page may be tried twice, so positions are kept.
fn columns(row: &OpenedRow<'_>, damaged: &mut BTreeSet<i64>) -> Option<Derived> {
    if identity(row.document)[..] != *row.identity {
        damaged.insert(row.seq);
        return None;
    }
    Some(contents(row.document, row.form).derived())
}

fn rebuild(operator: &mut Operator, mut at: impl FnMut(i64, u64)) -> Result<Report> {
    let mut report = Report { index: retried(|| operator.rebuild_index())?, ..Report::default() };
    let mut damaged = BTreeSet::new();
    let mut next = Some(0);
    while let Some(after) = next {
        let page = retried(|| {
            operator.reindex_page(after, MAX_REINDEX_ROWS, &mut |row| columns(row, &mut damaged))
        })?;
        report.read += page.read;
        report.changed += page.changed;
        next = page.next;
        at(next.unwrap_or(after), report.read);
    }
    report.damaged = u64::try_from(damaged.len())?;
    report.tables = retried(|| operator.rebuild_tables())?;
    Ok(report)
}

/// Once more while somebody else writes; each try waits some seconds by itself.
fn retried<T>(mut work: impl FnMut() -> Result<T, StoreError>) -> Result<T> {
    let mut tries = 0;
    loop {
        tries += 1;
        match work() {
            Err(StoreError::Unavailable { why: Unavailability::Busy, .. }) if tries < TRIES => {}
            result => {
                return result.with_context(|| {
                    "what was put right stays right; run `fiscald reindex` again for the rest".to_owned()
                });
            }
        }
    }
}
