//! Bare servers: what this machine and its database can do at most, so that the daemon can be measured against it.
//!
//! A server reads a message by the length in its session header, makes it durable together with whatever else is
//! waiting, and answers a fixed frame of 180 bytes. Nothing is decoded, checked or signed: its rate is an upper bound
//! for any daemon with the same database.
//!
//! * `echo`: answers at once. What the sockets cost.
//! * `log`: appends to a file that was filled with zeros beforehand, one `fdatasync` a batch. What the disk costs.
//! * `sqlite`: one transaction a batch, WAL, `synchronous=FULL`, a rowid table and a unique index.
//! * `postgres`: one `INSERT ... SELECT FROM unnest ... ON CONFLICT DO NOTHING` a batch.
//!
//! `frame` is what is known of the wire, `front` the sockets, `writer` the batches, `store` the three stores.

mod frame;
mod front;
mod store;
mod writer;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use store::{Log, Postgres, Sqlite};
use tokio::net::TcpListener;

/// Frame in, fixed frame out.
#[derive(Debug, Parser)]
#[command(name = "baseline")]
struct Arguments {
    /// Where registers connect
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: String,
    /// Threads that serve sockets; 0 is one for each core
    #[arg(long, value_name = "N", default_value_t = 0)]
    workers: usize,
    #[command(subcommand)]
    kind: Kind,
}

/// What happens before the answer.
#[derive(Debug, Subcommand)]
enum Kind {
    /// Nothing
    Echo,
    /// Append to FILE, which is made anew
    Log {
        /// The log
        file: PathBuf,
        /// Zeros written beforehand, MiB
        #[arg(long, value_name = "MIB", default_value_t = 2048)]
        preallocate: u64,
    },
    /// Insert into the SQLite database FILE
    Sqlite {
        /// The database
        file: PathBuf,
    },
    /// Insert into a PostgreSQL database
    Postgres {
        /// postgres://USER@HOST:PORT/DATABASE
        url: String,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let documents = match arguments.kind {
        Kind::Echo => None,
        Kind::Log { file, preallocate } => Some(writer::start(Log::create(&file, preallocate)?)?),
        Kind::Sqlite { file } => Some(writer::start(Sqlite::open(&file)?)?),
        Kind::Postgres { url } => Some(writer::start(Postgres::connect(&url)?)?),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if arguments.workers > 0 {
        runtime.worker_threads(arguments.workers);
    }
    runtime.enable_all().build().context("starting the runtime")?.block_on(async {
        let listener = TcpListener::bind(&arguments.listen).await.context("listening")?;
        writeln!(std::io::stdout(), "ready {}", listener.local_addr()?)?;
        // Accepting on a worker thread spares a wake-up for each connection.
        tokio::spawn(front::accept(listener, documents)).await.context("accepting")
    })
}
