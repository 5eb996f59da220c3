//! What only this engine has: its files, its log, its locks, and what damage does to them. What both engines promise is
//! in `tests/promises`.

mod beside;
mod damage;
mod file;
mod following;
mod identity;
mod log_copies;
mod trouble;
mod verification;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::placing::MAX_CONFLICTS;
use crate::records::{AppendOutcome, NewDocument, NewQuarantine, QuarantineOutcome};
use crate::sql::Db;
use crate::support::{fd_number, fn_number};
use crate::tables::{documents, export, search, verify as rows};

const ROOM: u64 = 64 << 20;
const AGAIN: Opening = Opening::AfterFailure { same: None };

struct Bench {
    engine: SqliteEngine,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with_room(ROOM)
    }

    fn with_room(quarantine_max_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::open(
            &folder.path().join("store.db"),
            quarantine_max_bytes,
            Opening::Start,
            OpenFiles::default(),
        );
        let mut engine = engine.unwrap();
        engine.log.look_pause = std::time::Duration::ZERO;
        Self { engine, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    fn write(&mut self, items: Vec<WriteItem>) -> Vec<WriteOutcome> {
        self.engine.commit(&items).unwrap()
    }

    /// Appends a batch.
    fn append(&mut self, documents: &[NewDocument]) -> Vec<AppendOutcome> {
        let items =
            documents.iter().map(|document| WriteItem::Document(Box::new(document.clone()))).collect();
        let outcomes = self.write(items).into_iter().map(|outcome| match outcome {
            WriteOutcome::Append(outcome) => outcome,
            other => panic!("{other:?}"),
        });
        outcomes.collect()
    }

    fn keep(&mut self, copies: Vec<NewQuarantine>) -> Vec<QuarantineOutcome> {
        let items = copies.into_iter().map(|copy| WriteItem::Quarantine(Box::new(copy))).collect();
        let outcomes = self.write(items).into_iter().map(|outcome| match outcome {
            WriteOutcome::Quarantine(outcome) => outcome,
            other => panic!("{other:?}"),
        });
        outcomes.collect()
    }

    /// The connection itself, for reading and for operator's functions.
    fn sql(&self) -> &Connection {
        &self.engine.connection
    }

    fn db(&self) -> Db<'_> {
        Db::from(self.sql())
    }

    fn chains(&self, fn_text: &str, fd: u32) -> Vec<(u32, u32)> {
        let rows = documents::find(self.db(), &fn_number(fn_text), fd_number(fd)).unwrap();
        rows.iter().map(|row| (row.chain, row.conflict_no)).collect()
    }
}

fn appended(seq: i64) -> AppendOutcome {
    AppendOutcome::Appended { seq }
}

fn conflict(seq: i64) -> AppendOutcome {
    AppendOutcome::Conflict { seq }
}

fn repeat(seq: i64, of: &NewDocument) -> AppendOutcome {
    AppendOutcome::Repeat { seq, acknowledgement: of.acknowledgement.clone() }
}
