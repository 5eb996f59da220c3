//! The months of the journal: made ahead, by whichever node comes first.

use tokio_postgres::{Client, Error};

use super::schema::{LOCK_CLASS, PARTITION_LOCK};

/// Positions of one month.
const MONTH: i64 = 10_000_000_000;
/// Months beyond the present one that are there before they begin.
const AHEAD: u8 = 2;

/// A month as its positions begin: 202611.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Month(i64);

impl Month {
    fn next(self) -> Self {
        if self.0.rem_euclid(100) >= 12 {
            Self(self.0.saturating_add(89))
        } else {
            Self(self.0.saturating_add(1))
        }
    }

    fn table(self) -> String {
        format!("journal_{}", self.0)
    }

    /// First position, and the first that is not of it any more.
    fn bounds(self) -> (i64, i64) {
        (self.0.saturating_mul(MONTH), self.0.saturating_add(1).saturating_mul(MONTH))
    }
}

/// Makes the partitions that are missing, by the server's clock. Nobody who writes or reads the journal is held up: a
/// table of its own is made and then attached.
pub(super) async fn make_ahead(client: &Client) -> Result<(), Error> {
    let now = client
        .query_one(
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMM')::bigint, \
             (SELECT last_value FROM journal_seq) / 10000000000",
            &[],
        )
        .await?;
    // A clock of the server that was set back does not set positions back.
    let mut month = Month(now.try_get::<_, i64>(0)?.max(now.try_get(1)?));
    for _ in 0..=AHEAD {
        if !is_there(client, month).await? {
            make(client, month).await?;
        }
        month = month.next();
    }
    Ok(())
}

async fn is_there(client: &Client, month: Month) -> Result<bool, Error> {
    client
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'journal'::regclass \
             AND inhrelid = to_regclass($1))",
            &[&month.table()],
        )
        .await?
        .try_get(0)
}

async fn make(client: &Client, month: Month) -> Result<(), Error> {
    let lock = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK_CLASS}, {PARTITION_LOCK})");
    let made = async {
        client.batch_execute(&lock).await?;
        if is_there(client, month).await? { Ok(()) } else { attach(client, month).await }
    };
    match made.await {
        Ok(()) => client.batch_execute("COMMIT").await,
        Err(error) => {
            // The session is the journal's, and goes on: whatever failed, the wait for the lock as well.
            client.batch_execute("ROLLBACK").await?;
            Err(error)
        }
    }
}

async fn attach(client: &Client, month: Month) -> Result<(), Error> {
    let (table, (from, to)) = (month.table(), month.bounds());
    client
        .batch_execute(&format!(
            "CREATE TABLE {table} (LIKE journal INCLUDING ALL); \
             ALTER TABLE journal ATTACH PARTITION {table} FOR VALUES FROM ({from}) TO ({to})"
        ))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_each_other() {
        assert_eq!(Month(202_611).next(), Month(202_612));
        assert_eq!(Month(202_612).next(), Month(202_701));
        assert_eq!(Month(202_612).bounds(), (2_026_120_000_000_000, 2_026_130_000_000_000));
        assert_eq!(Month(202_701).table(), "journal_202701");
    }
}
