//! The statements of a batch.

use tokio_postgres::{Client, Error, Statement};

use super::copy;

pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The end of a batch that may have written nothing, and a commit of nothing at all. A repeat that was found may stand
/// on a row that the synchronous standby does not have; a commit behind it does not return before the standby has both.
pub(super) const CONFIRM_AND_COMMIT: &str = "SELECT pg_logical_emit_message(true, 'fiscald', ''); COMMIT";
pub(super) const CONFIRM: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_logical_emit_message(true, 'fiscald', ''); COMMIT";

/// Gives back the lock under which positions are taken, should this session hold it. It holds others for life.
pub(super) const RELEASE: &str = "SELECT pg_advisory_unlock(1179861828, 2) FROM pg_locks WHERE locktype = 'advisory' \
     AND classid = 1179861828 AND objid = 2 AND objsubid = 2 AND granted AND pid = pg_backend_pid()";

/// Commits that have been waiting for a synchronous standby too long, and for which one.
pub(super) const WAITING_COMMITS: &str = "SELECT count(*), current_setting('synchronous_standby_names') FROM \
     pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database() \
     AND query_start < clock_timestamp() - interval '3 s'";

/// Taken in this order by whoever needs several.
pub(super) const LOCK_JOURNAL: &str = "LOCK TABLE journal_lock IN EXCLUSIVE MODE;";
pub(super) const LOCK_REGISTERS: &str = "LOCK TABLE registers_lock IN EXCLUSIVE MODE;";
pub(super) const LOCK_QUARANTINE: &str = "LOCK TABLE quarantine_lock IN EXCLUSIVE MODE;";

const TAKE: &str = "SELECT journal_take($1)";

/// Writes keys, all of them: a known one is an error. Costs a third less than `ON CONFLICT DO NOTHING`, and nearly every
/// batch is all new.
const KEYS: &str = "INSERT INTO journal_keys (fd, chain, conflict_no, seq, fn, identity) SELECT unnest($1::bigint[]), \
     0, 0, unnest($2::bigint[]), unnest($3::text[]), unnest($4::bytea[])";

/// Takes the positions of a batch, writes the keys that are new, and tells which these are.
const NEW_AMONG: &str = "WITH base AS MATERIALIZED (SELECT journal_take($1) AS first), \
     k AS (INSERT INTO journal_keys (fd, chain, conflict_no, seq, fn, identity) \
     SELECT r.fd, 0, 0, (SELECT first FROM base) + r.ordinal, r.fn, r.identity FROM (SELECT unnest($2::bigint[]), \
     unnest($3::bigint[]), unnest($4::text[]), unnest($5::bytea[])) AS r (fd, ordinal, fn, identity) \
     WHERE NOT EXISTS (SELECT FROM journal_keys AS known WHERE known.fn = r.fn AND known.fd = r.fd \
     AND known.chain = 0 AND known.conflict_no = 0) RETURNING seq) \
     SELECT first, (SELECT array_agg(k.seq - first) FROM k) FROM base";

/// The acknowledgements of repeats of what came first under its number.
const REPEATS: &str = "SELECT r.ordinal, k.seq, j.acknowledgement FROM (SELECT unnest($1::bigint[]), \
     unnest($2::bigint[]), unnest($3::text[]), unnest($4::bytea[])) AS r (fd, ordinal, fn, identity) \
     JOIN journal_keys AS k ON k.fn = r.fn AND k.fd = r.fd AND k.chain = 0 AND k.conflict_no = 0 \
     AND k.identity = r.identity JOIN journal AS j ON j.seq = k.seq";

const FINDINGS: &str = "INSERT INTO findings (seq, ordinal, path, rule, severity, text) SELECT unnest($1::bigint[]), \
     unnest($2::bigint[]), unnest($3::text[]), unnest($4::text[]), unnest($5::bigint[]), unnest($6::text[])";

/// Compiled once for each session.
pub(super) struct Statements {
    pub(super) take: Statement,
    pub(super) keys: Statement,
    pub(super) new_among: Statement,
    pub(super) repeats: Statement,
    pub(super) findings: Statement,
    pub(super) copy: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            take: client.prepare(TAKE).await?,
            keys: client.prepare(KEYS).await?,
            new_among: client.prepare(NEW_AMONG).await?,
            repeats: client.prepare(REPEATS).await?,
            findings: client.prepare(FINDINGS).await?,
            copy: client.prepare(copy::COPY).await?,
        })
    }
}
