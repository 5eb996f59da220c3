//! What the filled database remembers of the move: whose store it takes, and how far it has come. Written in the
//! transactions that move rows, so that it is true whenever the process ends.

use super::source::Month;
use super::tables::{TABLES, Table};
use super::target::Target;
use crate::StoreError;

/// Columns that number their rows.
pub(super) const NUMBERED: &str = "SELECT table_name::text, column_name::text FROM information_schema.columns \
     WHERE table_schema = current_schema() AND is_identity = 'YES' ORDER BY 1";
/// Where positions by months begin; smaller ones came from SQLite.
const FIRST_MONTHLY: i64 = 2_000_010_000_000_000;

/// Indexes that would be filled at random, and references that go in circles, wait until the rows are there; so do those
/// of indexes of the table of keys. What makes them anew is kept.
const POSTPONE: &str = "
    CREATE TABLE fiscald_migration_later (n bigint PRIMARY KEY, sql text NOT NULL);
    INSERT INTO fiscald_migration_later
        SELECT row_number() OVER (ORDER BY rank, sql), sql FROM (
            SELECT CASE contype WHEN 'p' THEN 1 ELSE 3 END AS rank,
                format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS sql
            FROM pg_constraint
            WHERE connamespace = current_schema()::regnamespace AND conparentid = 0
                AND (contype = 'f' OR contype = 'p' AND conrelid = 'journal_keys'::regclass)
            UNION ALL
            SELECT 2, indexdef FROM pg_indexes
            WHERE schemaname = current_schema() AND tablename = 'journal_keys'
                AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = 'journal_keys'::regclass)
        ) AS later;
    DO $$
    DECLARE
        what record;
    BEGIN
        FOR what IN SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND tablename = 'journal_keys'
            AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = 'journal_keys'::regclass)
        LOOP
            EXECUTE format('DROP INDEX %I', what.indexname);
        END LOOP;
        FOR what IN SELECT conrelid::regclass AS place, conname FROM pg_constraint
            WHERE connamespace = current_schema()::regnamespace AND conparentid = 0
                AND (contype = 'f' OR contype = 'p' AND conrelid = 'journal_keys'::regclass)
        LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', what.place, what.conname);
        END LOOP;
    END $$;";

/// A move that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) fingerprint: [u8; 32],
    pub(super) phase: Phase,
}

/// How far a move has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Copying,
    Comparing,
    Done,
}

/// How far a table has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) is_whole: bool,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Copying, Self::Comparing, Self::Done];

    fn name(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Comparing => "comparing",
            Self::Done => "done",
        }
    }
}

/// The move that was begun in this database, if any was.
pub(super) fn begun(target: &Target) -> Result<Option<Begun>, StoreError> {
    if !target.row("SELECT to_regclass('fiscald_migration') IS NOT NULL", &[])?.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = target.row("SELECT fingerprint, phase FROM fiscald_migration", &[])?;
    let (fingerprint, name): (Vec<u8>, String) = (row.get(0), row.get(1));
    let phase = Phase::ALL.into_iter().find(|phase| phase.name() == name);
    match (<[u8; 32]>::try_from(fingerprint), phase) {
        (Ok(fingerprint), Some(phase)) => Ok(Some(Begun { fingerprint, phase })),
        _ => Err(StoreError::corrupt(format!("{}: its note of the move cannot be read", target.masked()))),
    }
}

/// A database in which somebody works already is not filled. What the schema itself puts into its tables is nobody's
/// work.
pub(super) fn require_empty(target: &Target) -> Result<(), StoreError> {
    const PRESET: [&str; 6] = [
        "facts_version",
        "quarantine_usage",
        "registration_cursors",
        "outbox_counts",
        "outbox_cursors",
        "fns_slots",
    ];
    for table in TABLES.into_iter().filter(|table| !PRESET.contains(&table.name)) {
        if target.row(&format!("SELECT EXISTS (SELECT 1 FROM {})", table.name), &[])?.get::<_, bool>(0) {
            return Err(StoreError::refused(format!(
                "{} is not empty: there are rows in {}. A store is moved into a database of its own",
                target.masked(),
                table.name
            )));
        }
    }
    Ok(())
}

/// Notes the beginning, and prepares the tables. Months of the source become partitions, so that old ones can be
/// detached as any other.
pub(super) fn begin(
    target: &Target,
    source: &str,
    fingerprint: &[u8; 32],
    months: &[Month],
) -> Result<(), StoreError> {
    target.run(&format!(
        "BEGIN;
         CREATE TABLE fiscald_migration (
             id bigint PRIMARY KEY CHECK (id = 1), source text NOT NULL, fingerprint bytea NOT NULL,
             phase text NOT NULL, began_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz);
         CREATE TABLE fiscald_migration_tables (
             name text PRIMARY KEY, moved_rows bigint NOT NULL, moved_bytes bigint NOT NULL, is_whole boolean NOT NULL);
         -- No daemon takes the half of a store for one, and none that lost its connection before goes on in the whole one
         -- with what it knew of the empty one.
         UPDATE fiscald_schema SET version = -version, store_id = gen_random_uuid()::text;
         {POSTPONE}
         {}",
        partitions(months)
    ))?;
    // What the schema put there comes from the source too.
    for table in TABLES {
        target.run(&format!("DELETE FROM {}", table.name))?;
    }
    let insert =
        "INSERT INTO fiscald_migration (id, source, fingerprint, phase) VALUES (1, $1, $2, 'copying')";
    target.execute(insert, &[&source, &fingerprint.as_slice()])?;
    target.commit()
}

fn partitions(months: &[Month]) -> String {
    if months.is_empty() {
        return String::new();
    }
    let mut sql = "DROP TABLE journal_before;\n".to_owned();
    for (index, month) in months.iter().enumerate() {
        let from = if index == 0 { "MINVALUE".to_owned() } else { month.from.to_string() };
        let to = months.get(index + 1).map_or(FIRST_MONTHLY, |next| next.from);
        sql.push_str(&format!(
            "CREATE TABLE journal_before_{} PARTITION OF journal FOR VALUES FROM ({from}) TO ({to});\n",
            month.number
        ));
    }
    sql
}

/// How far a table has come.
pub(super) fn moved(target: &Target, table: Table) -> Result<Moved, StoreError> {
    let sql = "SELECT moved_rows, moved_bytes, is_whole FROM fiscald_migration_tables WHERE name = $1";
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    Ok(target.rows(sql, &[&table.name])?.first().map_or_else(Moved::default, |row| Moved {
        rows: number(row.get(0)),
        bytes: number(row.get(1)),
        is_whole: row.get(2),
    }))
}

/// Notes how far a table has come, in the transaction that is open.
pub(super) fn note(target: &Target, table: Table, moved: Moved) -> Result<(), StoreError> {
    let sql = "INSERT INTO fiscald_migration_tables (name, moved_rows, moved_bytes, is_whole) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (name) DO UPDATE SET moved_rows = excluded.moved_rows, moved_bytes = excluded.moved_bytes, \
         is_whole = excluded.is_whole";
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    target
        .execute(sql, &[&table.name, &number(moved.rows), &number(moved.bytes), &moved.is_whole])
        .map(|_| ())
}

/// What was postponed and is still to be made, in its order.
pub(super) fn postponed(target: &Target) -> Result<Vec<(i64, String)>, StoreError> {
    let rows = target.rows("SELECT n, sql FROM fiscald_migration_later ORDER BY n", &[])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Makes something that was postponed.
pub(super) fn make(target: &Target, n: i64, sql: &str) -> Result<(), StoreError> {
    target.run(&format!("BEGIN; SET LOCAL maintenance_work_mem = '256MB'; {sql}"))?;
    target.execute("DELETE FROM fiscald_migration_later WHERE n = $1", &[&n])?;
    target.commit()
}

/// Notes how far the move has come.
pub(super) fn enter(target: &Target, phase: Phase) -> Result<(), StoreError> {
    target.run("BEGIN")?;
    let sql = "UPDATE fiscald_migration SET phase = $1, ended_at = CASE WHEN $1 = 'done' THEN now() END";
    target.execute(sql, &[&phase.name()])?;
    if phase == Phase::Done {
        target.run("UPDATE fiscald_schema SET version = -version")?;
    }
    target.commit()
}
