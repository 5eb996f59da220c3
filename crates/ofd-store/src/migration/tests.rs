//! A store with something of everything moves, whole, however often the move is cut off.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jiff::Timestamp;
use pg_testing::Cluster;
use rusqlite::Connection;

use super::tables::{LEFT_BEHIND, TABLES};
use super::*;
use crate::fixture::{On, postgres_engine};
use crate::promises::{Bench, ClosedBench, block_on, everything};
use crate::support::{document, fn_number};
use crate::{
    AppendOutcome, ApplicationFilter, ClaimOrder, DeriveOrder, DocumentFilter, ExportFilter, Forwarding,
    HolderId, KktFilter, OutboxChange, OutboxFilter, OutboxState, QuarantineFilter, Reader, RegistryReader,
    Store, TaskFilter,
};

/// Tables that only a store in use has rows in.
const MAY_BE_EMPTY: [&str; 0] = [];

struct Database {
    cluster: &'static Cluster,
    name: String,
}

impl Database {
    fn new() -> Self {
        let cluster = pg_testing::shared_without_sync();
        Self { cluster, name: cluster.create_database() }
    }

    fn config(&self) -> StoreConfig {
        StoreConfig { url: self.cluster.url(&self.name), ..StoreConfig::default() }
    }

    fn number(&self, sql: &str) -> i64 {
        self.cluster.psql_in(&self.name, sql).trim().parse().unwrap()
    }
}

fn filled() -> ClosedBench {
    let (bench, sender) = everything(On::Sqlite);
    drop(sender);
    bench.closed()
}

fn go_on(_: &MigrationProgress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn refused(error: MigrationError, expected: &str) {
    assert!(
        matches!(&error, MigrationError::Store(StoreError::Refused { reason }) if reason.contains(expected)),
        "{error}"
    );
}

#[test]
fn every_table_of_a_store_is_moved_or_left_on_purpose() {
    let bench = filled();
    let sql = Connection::open(bench.file()).unwrap();
    let mut names = sql.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names: Vec<String> =
        names.query_map([], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect();
    for name in names {
        let is_left = LEFT_BEHIND.contains(&name.as_str()) || name.starts_with("sqlite_");
        assert!(is_left || TABLES.iter().any(|table| table.name == name), "{name}");
    }
    // So that what moves below is everything.
    for table in TABLES.into_iter().filter(|table| !MAY_BE_EMPTY.contains(&table.name)) {
        let rows: i64 =
            sql.query_row(&format!("SELECT count(*) FROM {}", table.name), [], |row| row.get(0)).unwrap();
        assert!(rows > 0, "{} is empty", table.name);
    }
}

#[test]
fn everything_moves() {
    let (bench, database) = (filled(), Database::new());
    let mut seen = Vec::new();
    let report = migrate(&bench.url(), &database.config(), &mut |progress| {
        assert!(progress.done_rows <= progress.total_rows, "{progress:?}");
        if seen.last() != Some(&progress.step) {
            seen.push(progress.step);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen, [MigrationStep::Copying, MigrationStep::Indexing, MigrationStep::Comparing]);
    assert_eq!((report.documents, report.resumed_rows, report.tables.len()), (78, 0, TABLES.len() + 1));
    assert_eq!(database.number("SELECT count(*) FROM journal_keys"), 78);
    // The table that decides is as the schema wants it.
    let keys =
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'journal_keys'::regclass AND contype = 'p'";
    assert_eq!(database.number(keys), 1);
    assert_eq!(database.number("SELECT count(*) FROM fiscald_migration_later"), 0);
    assert!(database.number("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") > 5);
    let next =
        "SELECT nextval(pg_get_serial_sequence('quarantine', 'id')) - (SELECT max(id) FROM quarantine)";
    assert_eq!(database.number(next), 1);
    // Once is enough.
    refused(migrate(&bench.url(), &database.config(), &mut go_on).unwrap_err(), "moved into it already");
}

#[test]
fn a_move_that_is_cut_off_goes_on_where_it_was() {
    let bench = filled();
    let whole = migrate(&bench.url(), &Database::new().config(), &mut go_on).unwrap();
    for abrupt in [false, true] {
        let database = Database::new();
        let (mut cuts, mut steps) = (0, 0_u64);
        let report = loop {
            // Each attempt gets a little further than the one before; the first ends before anything was done.
            let mut left = cuts * cuts;
            let attempt = catch_unwind(AssertUnwindSafe(|| {
                migrate(&bench.url(), &database.config(), &mut |_| {
                    left -= 1;
                    assert!(!abrupt || left > 0, "the process ends here");
                    if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })
            }));
            steps += 1;
            match attempt {
                Ok(Ok(report)) => break report,
                Ok(Err(error)) => assert_eq!(error, MigrationError::Stopped),
                Err(_) => assert!(abrupt),
            }
            cuts += 1;
        };
        assert!(steps > 5, "{steps} attempts");
        assert!(report.resumed_rows > 0);
        let sums = |report: &MigrationReport| {
            report.tables.iter().map(|table| (table.name, table.rows, table.sha256)).collect::<Vec<_>>()
        };
        assert_eq!(sums(&report), sums(&whole), "{abrupt}");
        assert_eq!((report.rows, report.bytes), (whole.rows, whole.bytes));
    }
}

#[test]
fn a_source_that_is_in_use_or_was_changed_is_refused() {
    let (bench, database) = (filled(), Database::new());
    let (url, file) = (bench.url(), bench.file());
    let mut left = 20;
    let stopped = migrate(&url, &database.config(), &mut |_| {
        // While it moves nobody gets in.
        let other = Connection::open(&file).unwrap();
        other.busy_timeout(Duration::ZERO).unwrap();
        assert!(other.query_row("SELECT count(*) FROM clients", [], |row| row.get::<_, i64>(0)).is_err());
        left -= 1;
        if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert_eq!(stopped, Err(MigrationError::Stopped));
    let other = Connection::open(&file).unwrap();
    other.query_row("SELECT count(*) FROM clients", [], |row| row.get::<_, i64>(0)).unwrap();
    refused(migrate(&url, &database.config(), &mut go_on).unwrap_err(), "is in use");
    other.execute_batch("UPDATE facts_version SET version = version + 1").unwrap();
    drop(other);
    refused(migrate(&url, &database.config(), &mut go_on).unwrap_err(), "was changed since its move began");
}

#[test]
fn a_database_in_use_is_not_filled() {
    let (bench, database) = (filled(), Database::new());
    let first = migrate(&Bench::new(On::Sqlite).closed().url(), &database.config(), &mut go_on).unwrap();
    assert_eq!((first.documents, first.rows > 200), (0, true), "an empty store moves too");
    refused(migrate(&bench.url(), &database.config(), &mut go_on).unwrap_err(), "moved into it already");
    let used = Database::new();
    drop(postgres_engine(&used.config().url));
    used.cluster.psql_in(&used.name, "INSERT INTO clients VALUES ('7704358518', '', 0)");
    refused(migrate(&bench.url(), &used.config(), &mut go_on).unwrap_err(), "there are rows in clients");
}

#[test]
fn a_database_in_which_somebody_serves_is_not_filled() {
    let (bench, database) = (filled(), Database::new());
    let url = format!("{}?application_name=node-7", database.config().url);
    let node = postgres_engine(&url);
    let store_id = "SELECT store_id FROM fiscald_schema";
    let before = database.cluster.psql_in(&database.name, store_id);
    refused(
        migrate(&bench.url(), &database.config(), &mut go_on).unwrap_err(),
        "a node is serving on it: node-7 (127.0.0.1)",
    );
    assert_eq!(database.number("SELECT version FROM fiscald_schema"), 1, "nothing was begun");
    drop(node);
    let forwarder = Forwarding::open(&url).unwrap();
    refused(migrate(&bench.url(), &database.config(), &mut go_on).unwrap_err(), "node-7 (127.0.0.1)");
    drop(forwarder);
    let mut tried = 0;
    migrate(&bench.url(), &database.config(), &mut |_| {
        if tried < 3 {
            tried += 1;
            let words = Forwarding::open(&url).map(drop).unwrap_err().to_string();
            assert!(words.contains("being filled by `fiscald migrate`"), "{words}");
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    // A node that knew the empty store is not to go on in this one: it finds another.
    assert_ne!(database.cluster.psql_in(&database.name, store_id), before);
    drop(postgres_engine(&url));
}

/// Who begins the same move again is told that it is done, whoever serves there now.
#[test]
fn a_move_that_is_done_is_told_while_a_node_serves() {
    let (bench, database) = (Bench::new(On::Sqlite).closed(), Database::new());
    migrate(&bench.url(), &database.config(), &mut go_on).unwrap();
    let _node = postgres_engine(&database.config().url);
    refused(migrate(&bench.url(), &database.config(), &mut go_on).unwrap_err(), "moved into it already");
}

#[test]
fn what_is_not_equal_at_the_end_is_told() {
    let (bench, database) = (filled(), Database::new());
    let mut harmed = false;
    let error = migrate(&bench.url(), &database.config(), &mut |progress| {
        if progress.step == MigrationStep::Comparing && !harmed {
            harmed = true;
            database.cluster.psql_in(&database.name, "UPDATE outbox SET attempts = 9 WHERE seq = 7");
        }
        ControlFlow::Continue(())
    });
    assert!(matches!(error, Err(MigrationError::Different { table: "outbox", .. })), "{error:?}");
}

/// Whatever is read, both stores say the same.
#[test]
fn both_stores_read_alike() {
    let (bench, database) = (filled(), Database::new());
    migrate(&bench.url(), &database.config(), &mut go_on).unwrap();
    let (here, there) = (bench.url(), database.config().url);
    let read = |url: &str| {
        let (reader, registry) = (Reader::open(url).unwrap(), RegistryReader::open(url).unwrap());
        let (mut journal, mut after) = (Vec::new(), 0);
        loop {
            let page = reader.export_page(after, &ExportFilter::default(), 7).unwrap();
            let Some(last) = page.last() else { break };
            after = last.seq;
            journal.extend(page);
        }
        let (mut outbox, mut filter) = (Vec::new(), OutboxFilter::default());
        loop {
            let page = reader.outbox_page(&filter, 100).unwrap();
            outbox.extend(page.rows);
            filter.before_seq = page.next_before_seq;
            if filter.before_seq.is_none() {
                break;
            }
        }
        let of_a = fn_number("8710000100000001");
        let batches: Vec<_> =
            outbox.iter().filter_map(|row| row.batch_id).map(|id| reader.outbox_batch(id).unwrap()).collect();
        let kkts = registry.kkts(&KktFilter::default(), 100).unwrap();
        let tasks = TaskFilter { with_closed: true, ..TaskFilter::default() };
        [
            format!("{journal:?}"),
            format!("{:?}", reader.summaries(&DocumentFilter::default(), 100).unwrap()),
            format!("{:?}", reader.counts().unwrap()),
            format!("{:?}", reader.gaps(None).unwrap()),
            format!("{:?}", reader.registers().unwrap()),
            format!("{:?}", reader.quarantine(&QuarantineFilter::default(), 10_000).unwrap()),
            format!("{:?}", reader.quarantine_counts().unwrap()),
            format!("{:?}", reader.register_history(&of_a, 100).unwrap()),
            format!("{:?} {:?}", reader.newest_acknowledged(), reader.clock_confirmation()),
            format!("{outbox:?} {batches:?}"),
            format!("{:?} {:?}", reader.outbox_depths().unwrap(), reader.oldest_undelivered().unwrap()),
            format!("{:?}", reader.dead_letters(5).unwrap()),
            format!("{kkts:?}"),
            format!("{:?}", registry.contracts(0, 100).unwrap()),
            format!("{:?}", registry.lines(1, 0, 100).unwrap()),
            format!("{:?}", registry.cards(None, 0, 100).unwrap()),
            format!("{:?}", registry.applications(&ApplicationFilter::default(), 100).unwrap()),
            format!("{:?}", registry.tasks(&tasks, 100).unwrap()),
            format!("{:?}", registry.cursors().unwrap()),
            format!("{:?}", kkts.iter().map(|kkt| registry.fn_history(kkt.id).unwrap()).collect::<Vec<_>>()),
        ]
    };
    for (here, there) in read(&here).into_iter().zip(read(&there)) {
        // A character that PostgreSQL does not keep.
        assert_eq!(here.replace("\\0", "\u{fffd}"), there);
    }
}

/// A repeat gets its acknowledgement, a batch on its way is adopted under its key, and what was sent is not sent again.
#[test]
fn the_daemon_goes_on_where_it_was() {
    let (bench, database) = (filled(), Database::new());
    let sent_before = sent(&bench.url());
    migrate(&bench.url(), &database.config(), &mut go_on).unwrap();
    let url = database.config().url;
    block_on(async {
        let store = Store::open(&database.config()).unwrap();
        let known = document("8710000100000001", 2, 3, "");
        let outcome = store.journal().append(known.clone()).await.unwrap().await.unwrap();
        assert_eq!(outcome, AppendOutcome::Repeat { seq: 2, acknowledgement: known.acknowledgement });
        let again = store.journal().append(document("8710000100000001", 2, 3, "other")).await.unwrap().await;
        assert!(matches!(again, Ok(AppendOutcome::Conflict { .. })), "{again:?}");
        let new = store.journal().append(document("8710000100000001", 13, 3, "")).await.unwrap().await;
        let Ok(AppendOutcome::Appended { seq }) = new else { panic!("{new:?}") };
        assert!(seq > 1_000_000, "it comes after everything that was moved");
        let reader = Reader::open(&url).unwrap();
        let newest = reader.summaries(&DocumentFilter::default(), 1).unwrap();
        assert_eq!(newest[0].seq, seq, "and readers see it");
        store.close(Duration::from_secs(60)).await.unwrap();
    });
    let mut way = Forwarding::open(&url).unwrap();
    let now = Timestamp::now();
    let holder = HolderId::new("two").unwrap();
    let order = ClaimOrder {
        holder: holder.clone(),
        now,
        until: now + Duration::from_secs(600),
        lanes: true,
        registrar: true,
    };
    way.dismiss(&|holder| holder.as_str() == "one").unwrap();
    let claim = way.claim(&order).unwrap();
    assert_eq!(claim.gained.len(), 257);
    let adoption = way.adopt(&holder, &claim.leases, &claim.gained).unwrap();
    let mut batches: Vec<_> = adoption.batches.iter().map(|batch| batch.documents.clone()).collect();
    batches.sort_unstable();
    assert_eq!(batches, [[7, 8], [9, 10]]);
    // Everything that was in the outbox before is there once and as it was; only what came is new.
    let change = OutboxChange {
        leases: claim.leases,
        derive: Some(DeriveOrder { window: 10_000, scan: 10_000 }),
        ..OutboxChange::new(holder, now)
    };
    while way.commit(&change).unwrap().derived.unwrap().more {}
    let sent_after = sent(&url);
    assert!(sent_before.iter().all(|row| sent_after.contains(row)), "{sent_before:?} {sent_after:?}");
}

/// What was taken by the tax service or has its verdict.
fn sent(url: &str) -> Vec<(i64, OutboxState)> {
    let (reader, mut filter, mut found) = (Reader::open(url).unwrap(), OutboxFilter::default(), Vec::new());
    loop {
        let page = reader.outbox_page(&filter, 100).unwrap();
        found.extend(page.rows.iter().filter(|row| !row.state.is_open()).map(|row| (row.seq, row.state)));
        filter.before_seq = page.next_before_seq;
        if filter.before_seq.is_none() {
            return found;
        }
    }
}
