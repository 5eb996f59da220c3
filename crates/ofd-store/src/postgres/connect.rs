//! Sessions with the server: opened, looked at before they are used, and watched while they live.

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, SimpleQueryMessage};

use super::schema;
use super::target::Target;
use crate::{StoreError, Unavailability};

/// Oldest server that is used.
const LEAST_VERSION: u32 = 15;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The journal.
    Journal,
    /// Writing beside it: forwarder, registrations, operators.
    Writing,
    /// Reading only.
    Reading,
    /// Making and upgrading the schema, which may take long.
    Schema,
}

/// Drives the connection until it ends; has to be polled for anything to happen.
pub(crate) type Wire = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An open session.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) wire: Wire,
    pub(crate) watch: Arc<WireWatch>,
}

/// What was noticed on the wire.
#[derive(Debug, Default)]
pub(crate) struct WireWatch {
    warnings: AtomicU64,
    words: Mutex<Option<String>>,
}

impl WireWatch {
    /// How many warnings the server has sent.
    ///
    /// A commit during which one came must not be believed: the wait for a synchronous standby was cancelled, the server
    /// reports success, and the transaction may be lost with its machine. That is all a server has to warn of at a
    /// commit; its words are not looked at, because they depend on its language.
    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Acquire)
    }

    /// The newest thing that the server warned of or that the connection ended with.
    pub(crate) fn words(&self) -> Option<String> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, words: String) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }
}

impl Session {
    /// Opens a session with the first host that takes writes, and makes it ready for its purpose.
    ///
    /// To be called within a tokio runtime; the wire has then to be polled in it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when nobody answers or nobody takes writes, [`StoreError::Refused`] when the server
    /// or its settings are not fit for a journal.
    pub(crate) async fn open(target: &Target, purpose: Purpose) -> Result<Self, StoreError> {
        let opening = Self::open_patiently(target, purpose);
        match tokio::time::timeout(target.patience(), opening).await {
            Ok(result) => result,
            Err(_) => Err(cannot_open(
                target,
                &format!("no answer within {} s; is the server running?", target.patience().as_secs()),
            )),
        }
    }

    async fn open_patiently(target: &Target, purpose: Purpose) -> Result<Self, StoreError> {
        let watch = Arc::new(WireWatch::default());
        let failed = |error: tokio_postgres::Error| cannot_open(target, &connect_words(&error));
        let (client, mut wire) = match target.tls() {
            Some(tls) => {
                let (client, connection) = target.config().connect(tls.clone()).await.map_err(failed)?;
                (client, driven(connection, Arc::clone(&watch)))
            }
            None => {
                let (client, connection) = target.config().connect(NoTls).await.map_err(failed)?;
                (client, driven(connection, Arc::clone(&watch)))
            }
        };
        tokio::select! {
            result = prepare(target, &client, purpose) => result?,
            () = &mut wire => {
                let words = watch.words().unwrap_or_else(|| "the connection ended".to_owned());
                return Err(cannot_open(target, &words));
            }
        }
        Ok(Self { client, wire, watch })
    }
}

/// Polls the connection to its end; keeps what the server said by itself.
fn driven<S, T>(mut connection: Connection<S, T>, watch: Arc<WireWatch>) -> Wire
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(async move {
        loop {
            match poll_fn(|context| match connection.poll_message(context) {
                Poll::Ready(message) => Poll::Ready(message),
                Poll::Pending => Poll::Pending,
            })
            .await
            {
                Some(Ok(AsyncMessage::Notice(notice))) => {
                    let is_warning = notice.parsed_severity() == Some(Severity::Warning);
                    if is_warning {
                        tracing::warn!(notice = notice.message(), "PostgreSQL warns");
                        watch.note(notice.message().to_owned());
                        watch.warnings.fetch_add(1, Ordering::AcqRel);
                    } else {
                        tracing::debug!(notice = notice.message(), "PostgreSQL says");
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    watch.note(in_words(&error));
                    break;
                }
                None => break,
            }
        }
    })
}

/// Sets what our statements rely on, and looks whether the server keeps its word about commits.
async fn prepare(target: &Target, client: &Client, purpose: Purpose) -> Result<(), StoreError> {
    let failed = |error: tokio_postgres::Error| cannot_open(target, &in_words(&error));
    let settings = format!(
        "{}; {}; SELECT current_setting('server_version_num'), current_setting('server_encoding'), \
         current_setting('synchronous_commit'), current_setting('fsync')",
        // The server notices in time that one of us is gone, with its machine or without.
        "SET TimeZone = 'UTC'; SET jit = off; SET client_min_messages = warning; SET idle_session_timeout = 0; \
         SET default_transaction_isolation = 'read committed'; \
         SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
         SET tcp_user_timeout = '20s'",
        purpose.settings()
    );
    let messages = client.simple_query(&settings).await.map_err(failed)?;
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let cell = |index: usize| row.and_then(|row| row.try_get(index).ok().flatten()).unwrap_or_default();
    let version = cell(0).parse::<u32>().unwrap_or_default() / 10_000;
    if version < LEAST_VERSION {
        return Err(unfit(
            target,
            &format!(
                "the server is PostgreSQL {version}, {LEAST_VERSION} is the oldest that is used: upgrade the server"
            ),
        ));
    }
    if cell(1) != "UTF8" {
        return Err(unfit(
            target,
            &format!(
                "the database has the encoding {}: make it anew, CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
                cell(1)
            ),
        ));
    }
    let commits = cell(2);
    let lies = matches!(commits, "off" | "local");
    if lies && !target.allows_asynchronous_commit() && purpose != Purpose::Reading {
        return Err(unfit(
            target,
            &format!(
                "synchronous_commit is {commits}: documents would be acknowledged that a power cut or the loss of the server \
             takes away. Set it to on for this user (ALTER ROLE ... SET synchronous_commit = on), or say \
             store.allow_asynchronous_commit = true if that is meant"
            ),
        ));
    }
    if purpose == Purpose::Journal {
        if lies {
            tracing::warn!(
                synchronous_commit = commits,
                "documents are acknowledged before they are safe: store.allow_asynchronous_commit is set"
            );
        }
        if cell(3) != "on" {
            tracing::warn!("fsync is off at the PostgreSQL server: a power cut destroys the whole database");
        }
    }
    if purpose != Purpose::Reading && !target.allows_asynchronous_commit() {
        // A reload of the server's configuration changes sessions that are open, unless they have said so themselves.
        let pin = format!("SET synchronous_commit = '{commits}'");
        client.batch_execute(&pin).await.map_err(failed)?;
    }
    if matches!(purpose, Purpose::Journal | Purpose::Writing) {
        schema::enter(target, client).await?;
    }
    Ok(())
}

impl Purpose {
    /// Time-outs end what would hold others up: a node that stands still in the middle of a transaction must not keep
    /// its locks. None is set for waiting for a synchronous standby: that cannot be cancelled without a false answer.
    fn settings(self) -> &'static str {
        match self {
            // The statements of a batch are always the same, and each is best through an index, however small the
            // tables are at the moment it is planned.
            Self::Journal => {
                "SET lock_timeout = '3s'; SET idle_in_transaction_session_timeout = '10s'; \
                 SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off; \
                 SET enable_mergejoin = off"
            }
            // Every statement leads over an index to few rows, whatever the planner thinks of tables that it has never
            // looked at.
            Self::Writing => {
                "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '30s'; \
                 SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
            }
            Self::Reading => {
                "SET default_transaction_read_only = on; SET idle_in_transaction_session_timeout = '5min'"
            }
            Self::Schema => "SET lock_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'",
        }
    }
}

/// An error of the client in one line: what the server said with its code, or the chain of causes.
pub(crate) fn in_words(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        let detail = said.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
        return format!("{}{detail} [{}]", said.message(), said.code().code());
    }
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !words.contains(&said) {
            words.push_str(": ");
            words.push_str(&said);
        }
        cause = next.source();
    }
    words
}

/// The same at the connecting, with what is to be done about it.
fn connect_words(error: &tokio_postgres::Error) -> String {
    let words = in_words(error);
    let advice = match error.code() {
        Some(code)
            if *code == SqlState::INVALID_PASSWORD
                || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
        {
            "check user and password (store.password_file) and the server's pg_hba.conf"
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
            "make the database first: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        }
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => "raise max_connections at the server",
        Some(_) => return words,
        None if words.contains("database does not allow writes") => {
            "only a standby answers: name all hosts in store.url, or promote one"
        }
        None if words.contains("certificate") || words.contains("Certificate") => {
            "check store.ca and that the certificate names the host as store.url does"
        }
        None if words.contains("does not support TLS") => "turn on ssl at the server, or say sslmode=disable",
        None => "is the server running, and are hosts and ports in store.url right?",
    };
    format!("{words}; {advice}")
}

fn cannot_open(target: &Target, words: &str) -> StoreError {
    StoreError::unavailable(Unavailability::CannotOpen, format!("{}: {words}", target.masked()))
}

fn unfit(target: &Target, words: &str) -> StoreError {
    StoreError::refused(format!("{}: {words}", target.masked()))
}
