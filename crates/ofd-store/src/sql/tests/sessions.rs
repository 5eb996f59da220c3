//! Statements, transactions, and sessions that break.

use std::time::Duration;

use rusqlite::params;

use super::*;
use crate::{StoreError, Unavailability};

const INSERT: &str = "INSERT INTO kinds (id, number) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";

#[test]
fn many_at_once_are_done_in_their_order() {
    let bench = Bench::new();
    for db in bench.both() {
        let mut insert = db.prepare(INSERT).unwrap();
        // More than are on their way at the same time.
        let rows = (0_i64..1500).map(|id| [id % 1200, id]);
        let changed = insert.execute_many(rows).unwrap();
        assert_eq!(changed.len(), 1500);
        assert_eq!((changed[0], changed[1199], changed[1200], changed[1499]), (1, 1, 0, 0));
        let mut find = db.prepare("SELECT number FROM kinds WHERE id = ?").unwrap();
        let found: Vec<Option<i64>> = find.query_many([[7], [5000], [1199]], |row| row.get(0)).unwrap();
        assert_eq!(found, [Some(7), None, Some(1199)]);
        assert!(find.query_many(Vec::<[i64; 1]>::new(), |row| row.get::<i64>(0)).unwrap().is_empty());
        let error =
            db.prepare("INSERT INTO kinds (id) VALUES (?)").unwrap().execute_many([[9000], [7], [9001]]);
        assert!(matches!(error.unwrap_err().constraint(), Some(Constraint::Unique { .. })));
    }
}

#[test]
fn rows_one_by_one_and_statements_between_them() {
    let bench = Bench::new();
    for db in bench.both() {
        db.prepare(INSERT).unwrap().execute_many([[1, 10], [2, 20], [3, 30]]).unwrap();
        let mut statement = db.prepare("SELECT id, number FROM kinds WHERE id >= ? ORDER BY id").unwrap();
        let mut rows = statement.query([2]).unwrap();
        let mut update = db.prepare("UPDATE kinds SET number = ?2 WHERE id = ?1").unwrap();
        while let Some(row) = rows.next().unwrap() {
            let (id, number): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
            assert_eq!(update.execute(params![id, number + 1]).unwrap(), 1);
        }
        let sum = "SELECT CAST(sum(number) AS BIGINT) FROM kinds";
        assert_eq!(db.query_row(sum, [], |row| row.get::<i64>(0)).unwrap(), 62);
        let returned = "UPDATE kinds SET number = number + 1 WHERE id = ?1 RETURNING number";
        assert_eq!(db.query_row(returned, [1], |row| row.get::<i64>(0)).unwrap(), 11);
        let none = db.query_row(returned, [9], |row| row.get::<i64>(0));
        assert_eq!(none.optional().unwrap(), None);
        assert!(db.prepare("SELECT id FROM kinds WHERE id = ?").unwrap().execute([1, 2]).is_err());
        assert!(!db.prepare("SELECT 1 FROM kinds WHERE id = ?").unwrap().exists([9]).unwrap());
    }
}

#[test]
fn constraints_are_told_apart() {
    let bench = Bench::new();
    for db in bench.both() {
        if let Db::Sqlite(connection) = db {
            connection.pragma_update(None, "foreign_keys", true).unwrap();
        }
        db.execute("CREATE TABLE other (id bigint REFERENCES kinds (id), word text CHECK (word <> 'x'))", [])
            .unwrap();
        db.execute(INSERT, [1, 1]).unwrap();
        let broken = |sql: &str| db.execute(sql, []).unwrap_err().constraint();
        let unique = broken("INSERT INTO kinds (id) VALUES (1)");
        assert!(
            matches!(&unique, Some(Constraint::Unique { what }) if what.ends_with("kinds.id") || what == "kinds_pkey"),
            "{unique:?}"
        );
        assert_eq!(broken("INSERT INTO other (id) VALUES (2)"), Some(Constraint::Reference));
        let other = broken("INSERT INTO other (word) VALUES ('x')");
        assert!(matches!(other, Some(Constraint::Other { .. })), "{other:?}");
        assert_eq!(broken("SELECT nothing FROM kinds"), None);
    }
}

#[test]
fn one_state_is_read() {
    let bench = Bench::new();
    let reader = session(&bench.url, Purpose::Reading);
    let db = Db::Postgres(&reader);
    let before = db.read(|db| {
        assert!(ids(db).is_empty());
        bench.postgres().execute(INSERT, [1, 1])?;
        // A reading within it is a part of it.
        db.read(|db| Ok(ids(db)))
    });
    assert!(before.unwrap().is_empty());
    assert_eq!(ids(db), [1]);
    let error = store_error(db.execute(INSERT, [2, 2]).unwrap_err());
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(ids(db), [1]);
}

#[test]
fn a_transaction_is_done_or_not() {
    let bench = Bench::new();
    let (db, session) = (bench.postgres(), &bench.postgres);
    let done = session.transaction("BEGIN", || db.execute(INSERT, [1, 1]));
    assert_eq!((done.unwrap(), ids(db)), (1, vec![1]));
    let given_up = session.transaction("BEGIN", || {
        db.execute(INSERT, [2, 2])?;
        Err::<(), _>(Error::no_rows())
    });
    assert!(given_up.unwrap_err().is_no_rows());
    assert_eq!(ids(db), [1]);
    // The server would answer the commit as if all were well.
    let passed_over = session.transaction("BEGIN", || {
        db.execute(INSERT, [2, 2])?;
        let _ = db.execute("INSERT INTO kinds (id) VALUES (1)", []);
        Ok(())
    });
    assert!(passed_over.is_err());
    assert_eq!(ids(db), [1]);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        session.transaction("BEGIN", || -> Result<()> {
            db.execute(INSERT, [2, 2])?;
            panic!("a mistake")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(ids(db), [1]);
    assert_eq!(session.transaction("BEGIN", || db.execute(INSERT, [3, 3])).unwrap(), 1);
}

#[test]
fn who_comes_second_is_told_to_do_it_again() {
    let bench = Bench::new();
    let (first, second) = (&bench.postgres, session(&bench.url, Purpose::Writing));
    bench.postgres().execute(INSERT, [1, 0]).unwrap();
    let add = |session: &PgSession| {
        Db::Postgres(session).execute("UPDATE kinds SET number = number + 1 WHERE id = ?", [1])
    };
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
    let result = first.transaction(begin, || {
        ids(Db::Postgres(first));
        second.transaction(begin, || add(&second))?;
        add(first)
    });
    let error = result.unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(matches!(store_error(error), StoreError::Unavailable { why: Unavailability::Busy, .. }));
    assert_eq!(first.transaction(begin, || add(first)).unwrap(), 1);
}

fn backend(db: Db<'_>) -> i64 {
    db.query_row("SELECT pg_backend_pid()", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_broken_session_is_told_once_and_opened_anew() {
    let bench = Bench::new();
    let (db, other) = (bench.postgres(), session(&bench.url, Purpose::Writing));
    let end = |pid: i64| {
        Db::Postgres(&other)
            .query_row("SELECT pg_terminate_backend(CAST(?1 AS int))", [pid], |_| Ok(()))
            .unwrap();
    };
    let pid = backend(db);
    let error = bench
        .postgres
        .transaction("BEGIN", || {
            db.execute(INSERT, [1, 1])?;
            end(pid);
            // The end may be on its way still.
            while db.execute(INSERT, [2, 2]).is_ok() {}
            // Not on another connection, where it would be outside of the transaction.
            db.execute(INSERT, [3, 3])
        })
        .unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error}");
    assert!(store_error(error).is_unavailable());
    assert!(ids(db).is_empty());
    assert_ne!(backend(db), pid);
    // Between two statements nobody is hurt, once it is known.
    end(backend(db));
    let found = (0..2).find_map(|_| db.query_row("SELECT 1", [], |row| row.get::<i64>(0)).ok());
    assert_eq!(found, Some(1));
}

#[test]
fn nobody_is_waited_for_for_ever() {
    let bench = Bench::new();
    let impatient = session(&bench.url, Purpose::Reading).with_patience(Duration::from_millis(500));
    let db = Db::Postgres(&impatient);
    let error = db.query_row("SELECT pg_sleep(600)", [], |_| Ok(())).unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error}");
    // Nothing listens there.
    let port = pg_testing::free_port();
    let nowhere = session(&format!("postgres://postgres@127.0.0.1:{port}/x"), Purpose::Reading);
    let error = store_error(nowhere.open().unwrap_err());
    assert!(error.is_unavailable() && error.to_string().contains("refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_inside_of_a_task_and_in_any_thread() {
    let bench = Bench::new();
    bench.postgres().execute(INSERT, [1, 1]).unwrap();
    assert_eq!(ids(bench.postgres()), [1]);
    let session = bench.postgres;
    let session = tokio::spawn(async move {
        assert_eq!(ids(Db::Postgres(&session)), [1]);
        session
    });
    let session = session.await.unwrap();
    std::thread::spawn(move || assert_eq!(ids(Db::Postgres(&session)), [1])).join().unwrap();
}

#[test]
fn a_commit_that_did_not_wait_for_its_standby_is_not_believed() {
    let cluster = pg_testing::Cluster::builder().without_sync().start();
    let url = cluster.url(&cluster.create_database());
    let writer = session(&url, Purpose::Writing);
    let db = Db::Postgres(&writer);
    db.execute("CREATE TABLE kinds (id bigint PRIMARY KEY, number bigint)", []).unwrap();
    cluster.set("synchronous_standby_names", "nobody");
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            cluster.wait_for(&format!("SELECT count(*) {waiting}"), "1");
            cluster.psql(&format!("SELECT pg_cancel_backend(pid) {waiting}"));
        });
        // The server may take a moment to know of the setting.
        let mut commits =
            (1..=10_000).map(|id| (id, writer.transaction("BEGIN", || db.execute(INSERT, [id, 1]))));
        commits.find(|(_, result)| result.is_err()).unwrap()
    });
    let (id, error) = (result.0, result.1.unwrap_err());
    assert!(matches!(error, Error::Lost(_)), "{error}");
    // It is there all the same: nobody knows for how long.
    assert_eq!(ids(db).last(), Some(&id));
}
