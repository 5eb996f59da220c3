//! A session with PostgreSQL for readers and second writers: blocking, one statement at a time, from whatever thread.
//!
//! A session that broke is opened anew by the next statement, unless a transaction was open in it. Whoever met the
//! break is told: whether the statement was done, nobody knows.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Poll;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, Statement};

use super::value::{self, Param};
use super::wait::{self, wait};
use super::{Error, Params, Result, dialect};
use crate::postgres::{Purpose, Session, Target, WireWatch, in_words};

/// How long a statement may take at the server. Every one reads or writes a bounded piece.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(1);
/// How long an answer is waited for: longer than the server may take, so that it is the one who gives up.
const PATIENCE: Duration = Duration::from_secs(75);
/// Statements kept compiled. Past it all are forgotten: only texts made for one question are so many.
const MOST_STATEMENTS: usize = 500;
/// Requests on their way at the same time.
const PIPELINE: usize = 512;

/// A session. Blocks its caller; opened when first needed.
pub(crate) struct PgSession {
    target: Target,
    purpose: Purpose,
    live: RefCell<Option<Arc<Live>>>,
    is_in_transaction: Cell<bool>,
    /// Something went wrong in the open transaction, so that it cannot be committed, whoever passed over the error.
    is_spoilt: Cell<bool>,
    patience: Cell<Duration>,
}

/// What is there while the connection stands.
struct Live {
    client: Arc<Client>,
    statements: Mutex<HashMap<Box<str>, Statement>>,
    watch: Arc<WireWatch>,
    driver: Driver,
}

/// Who serves the socket.
enum Driver {
    /// A task of the shared runtime.
    Task(AbortHandle),
    /// The thread that waits, in a runtime of its own.
    Waiter(Arc<Runtime>),
}

/// A statement of a session.
pub(crate) struct Prepared<'c> {
    session: &'c PgSession,
    live: Arc<Live>,
    statement: Statement,
}

/// An open transaction; dropped without an end (in a panic), the connection goes with it.
struct Open<'s> {
    session: &'s PgSession,
    ended: bool,
}

impl PgSession {
    /// A session that is opened at its first use.
    pub(crate) fn new(target: Target, purpose: Purpose) -> Self {
        Self {
            target,
            purpose,
            live: RefCell::new(None),
            is_in_transaction: Cell::new(false),
            is_spoilt: Cell::new(false),
            patience: Cell::new(PATIENCE),
        }
    }

    /// The connection of somebody who has opened it and keeps its transactions, for statements within these. It is
    /// never opened anew.
    pub(crate) fn adopted(
        target: Target,
        client: Arc<Client>,
        watch: Arc<WireWatch>,
        runtime: Arc<Runtime>,
        patience: Duration,
    ) -> Self {
        let live = Live { client, statements: Mutex::default(), watch, driver: Driver::Waiter(runtime) };
        Self {
            target,
            purpose: Purpose::Journal,
            live: RefCell::new(Some(Arc::new(live))),
            is_in_transaction: Cell::new(true),
            is_spoilt: Cell::new(false),
            patience: Cell::new(patience),
        }
    }

    /// Opens the connection unless it stands.
    pub(crate) fn open(&self) -> Result<()> {
        self.live().map(|_| ())
    }

    /// Answers are waited for no longer than this.
    #[cfg(test)]
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        self.patience.set(patience);
        self
    }

    /// Runs statements without parameters or answers.
    #[cfg(test)]
    pub(crate) fn batch(&self, sql: &str) -> Result<()> {
        let live = self.live()?;
        self.answer(&live, live.client.batch_execute(sql))
    }

    /// One transaction, begun by `begin` (which may take locks in the same breath). It is committed when `work` is
    /// done with success; [`Error::is_busy`] tells that all of it may be done again.
    pub(crate) fn transaction<T>(&self, begin: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.is_in_transaction.get() {
            return Err(Error::Lost("a transaction within a transaction".to_owned()));
        }
        let live = self.live()?;
        let open = Open { session: self, ended: false };
        self.is_spoilt.set(false);
        self.is_in_transaction.set(true);
        let result = self.answer(&live, live.client.batch_execute(begin)).and_then(|()| work());
        open.end(&live, result)
    }

    /// One state of the database for all that `work` reads. Within a transaction it is that one.
    pub(super) fn read<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.is_in_transaction.get() {
            return work();
        }
        self.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", work)
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<Prepared<'_>> {
        let live = self.live()?;
        let known = live.statements().get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let statement = self.answer(&live, compile(&live.client, &dialect::translate(sql)))?;
                let mut statements = live.statements();
                if statements.len() >= MOST_STATEMENTS {
                    statements.clear();
                }
                statements.insert(sql.into(), statement.clone());
                statement
            }
        };
        Ok(Prepared { session: self, live, statement })
    }

    /// The connection, opened anew if it broke.
    fn live(&self) -> Result<Arc<Live>> {
        let mut live = self.live.borrow_mut();
        if let Some(live) = &*live
            && !live.client.is_closed()
        {
            return Ok(Arc::clone(live));
        }
        if self.is_in_transaction.get() {
            return Err(Error::Lost("the connection broke within a transaction".to_owned()));
        }
        *live = None;
        let made = Arc::new(Live::open(&self.target, self.purpose)?);
        let settings = format!("SET statement_timeout = {}", STATEMENT_TIMEOUT.as_millis());
        match wait(made.client.batch_execute(&settings), self.patience.get()) {
            Some(result) => result?,
            None => return Err(made.abandoned()),
        }
        *live = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Waits for an answer and looks whether the connection is of any more use.
    fn answer<T>(
        &self,
        live: &Live,
        asked: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        let error = match live.driver.wait(asked, self.patience.get()) {
            Some(Ok(value)) => return Ok(value),
            Some(Err(error)) if error.is_closed() => live.ended(&error),
            Some(Err(error)) => Error::Postgres(error),
            None => live.abandoned(),
        };
        self.is_spoilt.set(true);
        if error.ends_session() {
            self.live.borrow_mut().take();
        }
        Err(error)
    }
}

/// Lets the server find the types of the parameters by what they stand beside; numbers are wide in any case, so that a
/// comparison with a small one in the text takes large ones too.
async fn compile(client: &Client, sql: &str) -> std::result::Result<Statement, tokio_postgres::Error> {
    let statement = client.prepare(sql).await?;
    if !statement.params().iter().any(is_narrow) {
        return Ok(statement);
    }
    let wide = |ty: &Type| if is_narrow(ty) { Type::INT8 } else { ty.clone() };
    let types: Vec<Type> = statement.params().iter().map(wide).collect();
    client.prepare_typed(sql, &types).await
}

fn is_narrow(ty: &Type) -> bool {
    [Type::INT2, Type::INT4].contains(ty)
}

impl Driver {
    fn wait<F: Future>(&self, asked: F, patience: Duration) -> Option<F::Output> {
        match self {
            Self::Task(_) => wait(asked, patience),
            Self::Waiter(runtime) => {
                runtime.block_on(async { tokio::time::timeout(patience, asked).await.ok() })
            }
        }
    }

    fn stop(&self) {
        match self {
            Self::Task(task) => task.abort(),
            // It serves nothing unless it waits; whoever lent it drops the connection.
            Self::Waiter(_) => {}
        }
    }
}

impl Live {
    fn statements(&self) -> MutexGuard<'_, HashMap<Box<str>, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server ended the connection, or it broke.
    fn ended(&self, error: &tokio_postgres::Error) -> Error {
        Error::Lost(self.watch.words().unwrap_or_else(|| in_words(error)))
    }

    /// Nothing came in time. Nobody waits for that answer any more, and nothing is cancelled: a commit that waits for a
    /// standby would be called done.
    fn abandoned(&self) -> Error {
        self.driver.stop();
        Error::Lost("no answer in time".to_owned())
    }
}

impl Open<'_> {
    /// Commits after success, else gives up what was done.
    fn end<T>(mut self, live: &Live, result: Result<T>) -> Result<T> {
        let session = self.session;
        let result = match result {
            Ok(_) if session.is_spoilt.get() => {
                Err(Error::Lost("a statement of the transaction failed and nobody minded".to_owned()))
            }
            result => result,
        };
        let result = match result {
            Ok(value) => live.commit(session).map(|()| value),
            Err(error) => {
                // One that cannot be given up in words is given up with the connection.
                if session.live.borrow().is_some()
                    && session.answer(live, live.client.batch_execute("ROLLBACK")).is_err()
                {
                    session.live.borrow_mut().take();
                }
                Err(error)
            }
        };
        self.ended = true;
        session.is_in_transaction.set(false);
        result
    }
}

impl Live {
    /// Connects, in the runtime of the sockets.
    fn open(target: &Target, purpose: Purpose) -> Result<Self> {
        let sockets = wait::sockets().map_err(Error::Lost)?;
        let (send, receive) = mpsc::sync_channel(1);
        let target = target.clone();
        // It has a patience of its own.
        sockets.spawn(async move {
            let made = Session::open(&target, purpose)
                .await
                .map(|Session { client, wire, watch }| (client, watch, tokio::spawn(wire).abort_handle()));
            // Should nobody be there any more, the client is dropped, and with it the connection.
            let _ = send.send(made);
        });
        let made = receive.recv().map_err(|_| Error::Lost("the connecting broke down".to_owned()))?;
        let (client, watch, wire) = made.map_err(Error::Store)?;
        let (client, driver) = (Arc::new(client), Driver::Task(wire));
        Ok(Self { client, statements: Mutex::default(), watch, driver })
    }

    /// What the server warns of at a commit is that it did not wait for its standby.
    fn commit(&self, session: &PgSession) -> Result<()> {
        let warnings = self.watch.warnings();
        session.answer(self, self.client.batch_execute("COMMIT"))?;
        if self.watch.warnings() == warnings {
            return Ok(());
        }
        session.live.borrow_mut().take();
        Err(Error::Lost(self.watch.words().unwrap_or_default()))
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.session.live.borrow_mut().take();
            self.session.is_in_transaction.set(false);
        }
    }
}

impl std::fmt::Debug for PgSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgSession")
            .field("target", &self.target)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

impl Prepared<'_> {
    pub(super) fn execute(&mut self, params: &impl Params) -> Result<usize> {
        let params = value::params(params)?;
        let changed = self.session.answer(&self.live, self.run(&params))?;
        Ok(number(changed))
    }

    pub(super) fn query(&mut self, params: &impl Params) -> Result<Vec<Row>> {
        let params = value::params(params)?;
        self.session.answer(&self.live, self.rows(&params))
    }

    pub(super) fn execute_many<P: Params>(
        &mut self,
        rows: impl IntoIterator<Item = P>,
    ) -> Result<Vec<usize>> {
        let rows: Vec<P> = rows.into_iter().collect();
        let mut changed = Vec::with_capacity(rows.len());
        for rows in rows.chunks(PIPELINE) {
            let params = rows.iter().map(value::params).collect::<Result<Vec<_>>>()?;
            let asked = params.iter().map(|params| Box::pin(self.run(params))).collect();
            let answers = self.session.answer(&self.live, pipelined(asked))?;
            changed.extend(answers.into_iter().map(number));
        }
        Ok(changed)
    }

    pub(super) fn query_all<P: Params, T>(
        &mut self,
        rows: impl IntoIterator<Item = P>,
        mut read: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Vec<Vec<T>>> {
        let rows: Vec<P> = rows.into_iter().collect();
        let mut found = Vec::with_capacity(rows.len());
        for rows in rows.chunks(PIPELINE) {
            let params = rows.iter().map(value::params).collect::<Result<Vec<_>>>()?;
            let asked = params.iter().map(|params| Box::pin(self.rows(params))).collect();
            for answer in self.session.answer(&self.live, pipelined(asked))? {
                found.push(answer.iter().map(&mut read).collect::<Result<_>>()?);
            }
        }
        Ok(found)
    }

    async fn run(&self, params: &[Param<'_>]) -> std::result::Result<u64, tokio_postgres::Error> {
        self.live.client.execute_raw(&self.statement, params).await
    }

    async fn rows(&self, params: &[Param<'_>]) -> std::result::Result<Vec<Row>, tokio_postgres::Error> {
        self.live.client.query_raw(&self.statement, params).await?.try_collect().await
    }
}

/// Sends all requests, then waits for their answers, in their order.
async fn pipelined<T, F>(mut asked: Vec<Pin<Box<F>>>) -> std::result::Result<Vec<T>, tokio_postgres::Error>
where
    F: Future<Output = std::result::Result<T, tokio_postgres::Error>>,
{
    let mut early = Vec::with_capacity(asked.len());
    // A request is sent when it is first looked at.
    poll_fn(|context| {
        early.extend(asked.iter_mut().map(|asked| match asked.as_mut().poll(context) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }));
        Poll::Ready(())
    })
    .await;
    let mut answers = Vec::with_capacity(asked.len());
    for (asked, early) in asked.into_iter().zip(early) {
        answers.push(match early {
            Some(answer) => answer?,
            None => asked.await?,
        });
    }
    Ok(answers)
}

fn number(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
