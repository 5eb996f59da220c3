//! The three stores.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use rusqlite::{Connection, params};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};

use crate::frame::{fd_number, fn_number, form};
use crate::writer::{Document, Store};

/// Stands for the time and total of a receipt, which only decoding would tell.
const SOME_TIME: i32 = 1_790_000_000;
const SOME_TOTAL: i64 = 13_940;

/// Stands for the register's number: sixteen digits that differ from storage to storage.
fn some_register(fn_number: i64) -> String {
    format!("{:016}", fn_number % 10_000_000_000)
}

/// Microseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A file of messages, zeros beforehand: a sync then has neither size nor extents to record.
pub(crate) struct Log {
    file: File,
    buffer: Vec<u8>,
}

impl Log {
    pub(crate) fn create(path: &Path, preallocate_mib: u64) -> anyhow::Result<Self> {
        let mut file = File::create(path).context("making the log")?;
        let zeros = vec![0; 1 << 20];
        for _ in 0..preallocate_mib {
            file.write_all(&zeros)?;
        }
        file.sync_all()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file, buffer: Vec::new() })
    }
}

impl Store for Log {
    fn commit(&mut self, batch: &[Document]) -> anyhow::Result<()> {
        self.buffer.clear();
        for Document { frame, .. } in batch {
            self.buffer.extend_from_slice(frame);
        }
        self.file.write_all(&self.buffer)?;
        Ok(self.file.sync_data()?)
    }
}

const SQLITE_SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA cache_size = -262144;
    CREATE TABLE documents(id INTEGER PRIMARY KEY, fn INTEGER NOT NULL, fd INTEGER NOT NULL, form INTEGER NOT NULL,
        time INTEGER NOT NULL, received INTEGER NOT NULL, register TEXT NOT NULL, total INTEGER NOT NULL,
        raw BLOB NOT NULL);
    CREATE UNIQUE INDEX documents_key ON documents(fn, fd);";

const SQLITE_INSERT: &str = "
    INSERT INTO documents(fn, fd, form, time, received, register, total, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT(fn, fd) DO NOTHING";

/// A new SQLite database.
pub(crate) struct Sqlite(Connection);

impl Sqlite {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(path).context("opening the database")?;
        connection.execute_batch(SQLITE_SETTINGS).context("making the table")?;
        Ok(Self(connection))
    }
}

impl Store for Sqlite {
    fn commit(&mut self, batch: &[Document]) -> anyhow::Result<()> {
        let transaction = self.0.transaction()?;
        let mut insert = transaction.prepare_cached(SQLITE_INSERT)?;
        let received = now();
        for Document { frame, .. } in batch {
            let number = fn_number(frame);
            insert.execute(params![
                number,
                fd_number(frame),
                form(frame),
                SOME_TIME,
                received,
                some_register(number),
                SOME_TOTAL,
                &frame[..]
            ])?;
        }
        drop(insert);
        Ok(transaction.commit()?)
    }
}

const POSTGRES_TABLE: &str = "
    DROP TABLE IF EXISTS baseline_documents;
    CREATE TABLE baseline_documents(fn bigint NOT NULL, fd int NOT NULL, form smallint NOT NULL, time int NOT NULL,
        received timestamptz NOT NULL DEFAULT now(), total bigint NOT NULL, raw bytea NOT NULL, PRIMARY KEY (fn, fd));
    ALTER TABLE baseline_documents ALTER raw SET STORAGE EXTERNAL;";

const POSTGRES_INSERT: &str = "
    INSERT INTO baseline_documents(fn, fd, form, time, total, raw)
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::smallint[], $4::int[], $5::bigint[], $6::bytea[])
    ON CONFLICT DO NOTHING";

/// A table in a PostgreSQL database, made anew; one session.
pub(crate) struct Postgres {
    /// Of the writing thread alone: the session's messages move while it waits for its answer.
    runtime: Runtime,
    client: Client,
    insert: Statement,
}

impl Postgres {
    pub(crate) fn connect(url: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (client, insert) = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connecting")?;
            tokio::spawn(connection);
            client.batch_execute(POSTGRES_TABLE).await.context("making the table")?;
            let insert = client.prepare(POSTGRES_INSERT).await.context("preparing the statement")?;
            anyhow::Ok((client, insert))
        })?;
        Ok(Self { runtime, client, insert })
    }
}

impl Store for Postgres {
    fn commit(&mut self, batch: &[Document]) -> anyhow::Result<()> {
        let frames = || batch.iter().map(|document| &document.frame);
        let numbers: Vec<i64> = frames().map(|frame| fn_number(frame)).collect();
        let fds: Vec<i32> =
            frames().map(|frame| i32::try_from(fd_number(frame))).collect::<Result<_, _>>()?;
        let forms: Vec<i16> = frames().map(|frame| form(frame).into()).collect();
        let (times, totals) = (vec![SOME_TIME; batch.len()], vec![SOME_TOTAL; batch.len()]);
        let raw: Vec<&[u8]> = frames().map(|frame| &frame[..]).collect();
        self.runtime.block_on(async {
            self.client.execute(&self.insert, &[&numbers, &fds, &forms, &times, &totals, &raw]).await
        })?;
        Ok(())
    }
}
