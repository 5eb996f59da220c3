//! The engine against real servers.

mod appending;
mod encrypted;
mod faults;
mod nodes;
mod opening;

use std::time::{Duration, Instant};

use pg_testing::Cluster;

use super::engine::PgEngine;
use super::line::Opening;
use super::target::Target;
use crate::engine::{Engine as _, EngineError, WriteItem, WriteOutcome};
use crate::support::document;
use crate::{AppendOutcome, NewDocument, NewQuarantine, StoreError};

/// Longer than any answer of a healthy server on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
const ROOM: u64 = 1 << 20;

/// A database of its own with a journal on it.
struct Node {
    url: String,
    engine: PgEngine,
}

impl Node {
    /// On a server that many tests share.
    fn new() -> Self {
        let cluster = pg_testing::shared_without_sync();
        Self::on(&cluster.url(&cluster.create_database()))
    }

    fn on(url: &str) -> Self {
        Self { url: url.to_owned(), engine: open(url, &Opening::Start, PATIENCE).unwrap() }
    }

    /// Another node on the same database.
    fn beside(&self) -> Self {
        Self::on(&self.url)
    }

    fn commit(&mut self, batch: &[WriteItem]) -> Vec<WriteOutcome> {
        self.engine.commit(batch).unwrap()
    }

    fn append(&mut self, document: NewDocument) -> AppendOutcome {
        match self.commit(&[item(document)]).remove(0) {
            WriteOutcome::Append(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// What the database answers to one question with one row of one text.
    fn ask(&self, sql: &str) -> String {
        ask(&self.url, sql)
    }
}

fn open(url: &str, opening: &Opening, patience: Duration) -> Result<PgEngine, StoreError> {
    PgEngine::open(&Target::parse(url)?, ROOM, opening, patience)
}

fn ask(url: &str, sql: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.query_one(&format!("SELECT ({sql})::text"), &[]).await.unwrap().get(0)
    })
}

/// Waits until it is so: as long as somebody is at work on it, and not for ever.
fn until(what: &str, is_at_work: impl Fn() -> bool, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let goes_on = is_at_work() && Instant::now() < deadline;
        if is_so() {
            return;
        }
        assert!(goes_on, "{what} did not come");
    }
}

fn item(document: NewDocument) -> WriteItem {
    WriteItem::Document(Box::new(document))
}

fn copy(copy: NewQuarantine) -> WriteItem {
    WriteItem::Quarantine(Box::new(copy))
}

/// A ФН in production, by number.
fn fn_text(number: usize) -> String {
    format!("871000{number:010}")
}

/// `count` new documents of as many ФН.
fn receipts(count: usize, fd: u32) -> Vec<WriteItem> {
    (0..count).map(|number| item(document(&fn_text(number), fd, 3, "receipt"))).collect()
}

fn seq_of(outcome: &WriteOutcome) -> i64 {
    match outcome {
        WriteOutcome::Append(
            AppendOutcome::Appended { seq }
            | AppendOutcome::Conflict { seq }
            | AppendOutcome::Repeat { seq, .. },
        ) => *seq,
        other => panic!("{other:?}"),
    }
}

/// A cluster with a synchronous standby `b`, and the address of a new database.
fn with_standby() -> (Cluster, Cluster, String) {
    let primary = Cluster::start();
    let standby = primary.standby("b");
    primary.set_synchronous(&["b"]);
    let url = primary.url(&primary.create_database());
    (primary, standby, url)
}

fn failed(result: Result<Vec<WriteOutcome>, EngineError>) -> String {
    match result {
        Err(EngineError::Failed(words)) => words,
        other => panic!("{other:?}"),
    }
}

/// Runs statements.
fn run(url: &str, sql: &str) {
    drop(hold(url, sql));
}

/// Runs statements and keeps the session open.
fn hold(url: &str, sql: &str) -> (tokio_postgres::Client, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
        client
    });
    (client, runtime)
}
