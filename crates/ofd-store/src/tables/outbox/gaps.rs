//! Holes in the ФД numbers of lanes, noticed while documents are derived. They stop nothing: they are counted.

use std::collections::HashMap;

use ffd::ids::{FdNumber, FnNumber};
use rusqlite::{Connection, OptionalExtension, params};

use super::derive::Document;
use crate::outbox::{DeriveReport, LaneGap, MAX_REPORTED_GAPS};
use crate::tables::columns::FdColumn;

/// Lanes remembered, some 16 MiB; past it all are forgotten and looked up anew.
const MAX_LANES: usize = if cfg!(test) { 4 } else { 1 << 18 };

pub(super) const LOWER: &str = "SELECT fd FROM journal INDEXED BY journal_identity \
     WHERE fn = ?1 AND fd < ?2 AND chain = ?3 ORDER BY fd DESC LIMIT 1";
pub(super) const HIGHER: &str = "SELECT seq FROM journal INDEXED BY journal_identity \
     WHERE fn = ?1 AND fd > ?2 AND chain = ?3 ORDER BY fd LIMIT 1";

/// The highest number of lanes: saves the look into the index for a document that follows it.
#[derive(Debug, Default)]
pub(super) struct Lanes(HashMap<(FnNumber, u32), FdNumber>);

impl Lanes {
    /// Notes a document and reports what is missing before it, by what the journal holds by now.
    pub(super) fn note(
        &mut self,
        connection: &Connection,
        document: &Document,
        report: &mut DeriveReport,
    ) -> rusqlite::Result<()> {
        if self.0.len() >= MAX_LANES {
            self.0.clear();
        }
        let fd = document.fd_number;
        let highest = self.0.entry((document.fn_number, document.chain)).or_insert(fd);
        let follows = highest.get().saturating_add(1) == fd.get();
        *highest = fd.max(*highest);
        if follows || fd == FdNumber::FIRST {
            return Ok(());
        }
        let key = params![document.fn_number.as_str(), fd.get(), document.chain];
        let after = connection
            .prepare_cached(LOWER)?
            .query_row(key, |row| Ok(row.get::<_, FdColumn>(0)?.0))
            .optional()?;
        let higher: Option<i64> =
            connection.prepare_cached(HIGHER)?.query_row(key, |row| row.get(0)).optional()?;
        let late = higher.is_some_and(|higher| higher < document.seq);
        let has_gap = after.is_none_or(|after| after.get().saturating_add(1) != fd.get());
        if late {
            report.late = report.late.saturating_add(1);
        } else if has_gap {
            report.gaps = report.gaps.saturating_add(1);
        } else {
            return Ok(());
        }
        if report.examples.len() < MAX_REPORTED_GAPS {
            report.examples.push(LaneGap { fn_number: document.fn_number, fd_number: fd, after, late });
        }
        Ok(())
    }
}
