//! Holes in the ФД numbers of lanes, noticed while documents are derived. They stop nothing: they are counted.

use std::collections::HashMap;

use ffd::ids::{FdNumber, FnNumber};
use rusqlite::types::Value;

use super::derive::Document;
use crate::outbox::{DeriveReport, LaneGap, MAX_REPORTED_GAPS};
use crate::sql::{self, Db};
use crate::tables::columns::FdColumn;

/// Lanes remembered, some 16 MiB; past it all are forgotten and looked up anew.
const MAX_LANES: usize = if cfg!(test) { 4 } else { 1 << 18 };

pub(super) const LOWER: &str = "SELECT fd FROM journal_index \
     WHERE fn = ?1 AND fd < ?2 AND chain = ?3 ORDER BY fd DESC LIMIT 1";
pub(super) const HIGHER: &str = "SELECT seq, fd FROM journal_index \
     WHERE fn = ?1 AND fd > ?2 AND chain = ?3 ORDER BY fd LIMIT 1";

/// The highest number of lanes: saves the look into the index for a document that follows it.
#[derive(Debug, Default)]
pub(super) struct Lanes(HashMap<(FnNumber, u32), FdNumber>);

impl Lanes {
    /// Notes documents in their order and reports what is missing before them, by what the journal holds by now.
    pub(super) fn note(
        &mut self,
        db: Db<'_>,
        documents: &[Document],
        report: &mut DeriveReport,
    ) -> sql::Result<()> {
        let doubtful: Vec<&Document> = documents
            .iter()
            .filter(|document| !document.is_conflict && !self.follows(document))
            .filter(|document| document.fd_number != FdNumber::FIRST)
            .collect();
        let key = |document: &&Document| {
            let (fd, chain) = (document.fd_number.get(), document.chain);
            [Value::from(document.fn_number.as_str().to_owned()), Value::from(fd), Value::from(chain)]
        };
        let lower =
            db.prepare(LOWER)?.query_many(doubtful.iter().map(key), |row| Ok(row.get::<FdColumn>(0)?.0))?;
        let higher = db.prepare(HIGHER)?.query_many(doubtful.iter().map(key), |row| row.get::<i64>(0))?;
        for ((document, lower), higher) in doubtful.into_iter().zip(lower).zip(higher) {
            judge(document, lower, higher, report);
        }
        Ok(())
    }

    /// Whether a document follows the highest one of its lane that is remembered. It is remembered from now on.
    fn follows(&mut self, document: &Document) -> bool {
        if self.0.len() >= MAX_LANES {
            self.0.clear();
        }
        let fd = document.fd_number;
        let highest = self.0.entry((document.fn_number, document.chain)).or_insert(fd);
        let follows = highest.get().saturating_add(1) == fd.get();
        *highest = fd.max(*highest);
        follows
    }
}

/// A document, the next lower number of its lane that is there, and the position of the next higher one.
fn judge(document: &Document, lower: Option<FdNumber>, higher: Option<i64>, report: &mut DeriveReport) {
    let fd = document.fd_number;
    let late = higher.is_some_and(|higher| higher < document.seq);
    let has_gap = lower.is_none_or(|lower| lower.get().saturating_add(1) != fd.get());
    if late {
        report.late = report.late.saturating_add(1);
    } else if has_gap {
        report.gaps = report.gaps.saturating_add(1);
    } else {
        return;
    }
    if report.examples.len() < MAX_REPORTED_GAPS {
        report.examples.push(LaneGap { fn_number: document.fn_number, fd_number: fd, after: lower, late });
    }
}
