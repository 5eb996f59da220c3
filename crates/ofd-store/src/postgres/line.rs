//! The journal's own session: opened with everything in order, driven by the journal's thread.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::Client;

use super::connect::{Purpose, Session, WireWatch, in_words};
use super::schema::{self, Found};
use super::target::Target;
use super::{partitions, statements};
use crate::sql::PgSession;
use crate::{StoreError, Unavailability};

/// How long making or upgrading the schema may take: a new index reads the whole journal.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(6 * 60 * 60);

/// On what occasion the journal opens its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// At the start: makes a store where there is none, and upgrades an older one.
    Start,
    /// After a failure: the same store, wherever it is now.
    AfterFailure {
        /// Its mark.
        store_id: String,
    },
}

/// The session.
pub(super) struct Line {
    pub(super) client: Arc<Client>,
    pub(super) statements: statements::Statements,
    pub(super) watch: Arc<WireWatch>,
    /// The same connection for the portable statements; always within the transaction of a batch.
    pub(super) session: PgSession,
    pub(super) store_id: String,
    /// What the server waits for at a commit; empty for nobody.
    pub(super) standbys: String,
    patience: Duration,
    // The last to go: its tasks hold the connection.
    runtime: Arc<Runtime>,
}

impl Line {
    pub(super) fn open(target: &Target, opening: &Opening, patience: Duration) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::unavailable(Unavailability::CannotOpen, error.to_string()))?;
        let runtime = Arc::new(runtime);
        let (client, watch, statements, store_id, standbys) =
            runtime.block_on(Self::ready(target, opening, patience))?;
        let client = Arc::new(client);
        let session = PgSession::adopted(
            target.clone(),
            Arc::clone(&client),
            Arc::clone(&watch),
            Arc::clone(&runtime),
            patience,
        );
        Ok(Self { client, statements, watch, session, store_id, standbys, patience, runtime })
    }

    async fn ready(
        target: &Target,
        opening: &Opening,
        patience: Duration,
    ) -> Result<(Client, Arc<WireWatch>, statements::Statements, String, String), StoreError> {
        let store_id = match opening {
            Opening::Start => prepare_store(target).await?,
            Opening::AfterFailure { store_id } => store_id.clone(),
        };
        let Session { client, wire, watch } = Session::open(target, Purpose::Journal).await?;
        tokio::spawn(wire);
        let work = async {
            let failed = |error: tokio_postgres::Error| cannot_open(target, &in_words(&error));
            match schema::examine(target, &client).await? {
                Found::Ours { version, store_id: found } if found == store_id => schema::fits(version)?,
                _ => return Err(another_store(target)),
            }
            let standbys = confirms(target, &client, &watch, patience).await?;
            let statements = statements::Statements::prepare(&client).await.map_err(failed)?;
            Ok((statements, standbys))
        };
        // The commit within has a time-out of its own, with words of its own.
        let (statements, standbys) = tokio::time::timeout(patience.saturating_mul(2), work)
            .await
            .map_err(|_| cannot_open(target, "the server does not answer"))??;
        Ok((client, watch, statements, store_id, standbys))
    }

    /// Waits for what was asked; none when that took longer than the patience. What was asked may then still be done.
    pub(super) fn wait<F: Future>(&self, asked: F) -> Option<F::Output> {
        self.wait_at_most(self.patience, asked)
    }

    pub(super) fn wait_at_most<F: Future>(&self, patience: Duration, asked: F) -> Option<F::Output> {
        self.runtime.block_on(async { tokio::time::timeout(patience, asked).await.ok() })
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }
}

/// Schema and partitions, in a session of their own that may take its time.
pub(crate) async fn prepare_store(target: &Target) -> Result<String, StoreError> {
    let Session { client, wire, watch: _ } = Session::open(target, Purpose::Schema).await?;
    let driver = tokio::spawn(wire);
    let work = async {
        let store_id = schema::upgrade(target, &client).await?;
        partitions::make_ahead(&client).await.map_err(|error| cannot_open(target, &in_words(&error)))?;
        Ok(store_id)
    };
    let result = tokio::time::timeout(UPGRADE_PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(cannot_open(target, "the schema could not be made in time")));
    drop(client);
    driver.abort();
    result
}

/// Proves that a commit is confirmed, which at the same time confirms everything that can be read by now: what became
/// visible without its standby (its session was ended while it waited, the server was restarted) lies before it.
///
/// The names of the standbys that the server waits for.
async fn confirms(
    target: &Target,
    client: &Client,
    watch: &WireWatch,
    patience: Duration,
) -> Result<String, StoreError> {
    let failed = |error: tokio_postgres::Error| cannot_open(target, &in_words(&error));
    let row = client.query_one(statements::WAITING_COMMITS, &[]).await.map_err(failed)?;
    let (waiting, standbys): (i64, String) = (row.get(0), row.get(1));
    if waiting > 0 {
        // Another one would only wait as they do, and for ever.
        return Err(unconfirmed(target, waiting, &standbys));
    }
    let warnings = watch.warnings();
    match tokio::time::timeout(patience, client.batch_execute(statements::CONFIRM)).await {
        Ok(result) => result.map_err(failed)?,
        Err(_) => return Err(unconfirmed(target, 1, &standbys)),
    }
    if watch.warnings() != warnings {
        return Err(cannot_open(target, &watch.words().unwrap_or_default()));
    }
    Ok(standbys)
}

fn unconfirmed(target: &Target, waiting: i64, standbys: &str) -> StoreError {
    cannot_open(target, &format!("{waiting} commits are not confirmed; {}", why_unconfirmed(standbys)))
}

/// What a commit without an answer waits for.
pub(super) fn why_unconfirmed(standbys: &str) -> String {
    if standbys.is_empty() {
        return "the server or the way to it stands still".to_owned();
    }
    format!(
        "the server waits for a synchronous standby (synchronous_standby_names = '{standbys}'): start the standby or \
         mend its connection. Taking it out of synchronous_standby_names lets the server acknowledge alone, and a \
         document acknowledged then is lost with it"
    )
}

fn another_store(target: &Target) -> StoreError {
    StoreError::unavailable(
        Unavailability::CannotOpen,
        format!("{}: the store that was in use is not in this database any more", target.masked()),
    )
}

fn cannot_open(target: &Target, words: &str) -> StoreError {
    StoreError::unavailable(Unavailability::CannotOpen, format!("{}: {words}", target.masked()))
}
