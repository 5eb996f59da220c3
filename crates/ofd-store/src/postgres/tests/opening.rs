//! What is looked at before a journal is opened.

use super::*;
use crate::operator_store::OperatorStore;
use crate::postgres::Purpose;
use crate::postgres::schema::{IN_USE_LOCK, LOCK_CLASS};
use crate::sql::{Db, PgSession};
use crate::{Forwarding, Reader, Unavailability};

#[track_caller]
fn refused(url: &str, words: &str) {
    match open(url, &Opening::Start, PATIENCE) {
        Err(error) => assert!(error.to_string().contains(words), "{error}"),
        Ok(_) => panic!("{url} was opened"),
    }
}

#[test]
fn asynchronous_commits_are_refused_unless_told() {
    let cluster = pg_testing::shared_without_sync();
    let database = cluster.create_database();
    let url = cluster.url(&database);
    for value in ["off", "local"] {
        cluster.psql(&format!("ALTER DATABASE {database} SET synchronous_commit = {value}"));
        refused(&url, "synchronous_commit");
        let mark = if url.contains('?') { '&' } else { '?' };
        open(&format!("{url}{mark}allow_asynchronous_commit=true"), &Opening::Start, PATIENCE).unwrap();
    }
}

/// Whatever the server is told while a session is open, what it promised at the opening is what it does.
#[test]
fn a_reload_of_the_server_takes_no_promise_back() {
    let cluster = Cluster::builder().without_sync().start();
    let url = cluster.url(&cluster.create_database());
    let unsafe_url = format!("{url}?allow_asynchronous_commit=true");
    let check = |url: &str, purpose: Purpose, expected: &str| {
        cluster.set("synchronous_commit", "on");
        cluster.set("work_mem", "5MB");
        cluster.wait_for("SHOW work_mem", "5MB");
        let session = PgSession::new(Target::parse(url).unwrap(), purpose);
        let shown = |name: &str| -> String {
            let sql = format!("SELECT current_setting('{name}')");
            Db::Postgres(&session).query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(shown("synchronous_commit"), "on");
        cluster.psql("ALTER SYSTEM SET synchronous_commit = off");
        cluster.set("work_mem", "6MB");
        // Both were read at the same moment.
        until("the reload", || true, || shown("work_mem") == "6MB");
        assert_eq!(shown("synchronous_commit"), expected, "{purpose:?} {url}");
    };
    check(&url, Purpose::Journal, "on");
    check(&url, Purpose::Writing, "on");
    check(&url, Purpose::Schema, "on");
    check(&unsafe_url, Purpose::Journal, "off");
}

/// From before the schema says so: who comes while a move begins is told, and does not wait.
#[test]
fn a_database_that_is_being_filled_is_not_opened() {
    let node = Node::new();
    let (url, store_id) = (node.url, node.engine.store_id().to_owned());
    drop(node.engine);
    let lock = format!("SELECT pg_advisory_lock({LOCK_CLASS}, {IN_USE_LOCK})");
    let (holder, runtime) = hold(&url, &lock);
    let refused = |result: Result<(), StoreError>| {
        assert!(
            matches!(&result, Err(StoreError::Refused { reason }) if reason.contains("`fiscald migrate`")),
            "{result:?}"
        );
    };
    let after_failure = Opening::AfterFailure { store_id };
    for opening in [&Opening::Start, &after_failure] {
        refused(open(&url, opening, PATIENCE).map(drop));
    }
    refused(Forwarding::open(&url).map(drop));
    refused(OperatorStore::open(&url).map(drop));
    Reader::open(&url).unwrap();
    runtime.block_on(holder.batch_execute("SELECT pg_advisory_unlock_all()")).unwrap();
    open(&url, &after_failure, PATIENCE).unwrap();
}

#[test]
fn schemas_one_step_newer_are_worked_with_and_no_others() {
    let mut node = Node::new();
    let set = |version: i64| {
        run(&node.url, &format!("UPDATE fiscald_schema SET version = {version}"));
    };
    let newest = crate::postgres::schema::newest();
    set(newest + 2);
    assert!(matches!(open(&node.url, &Opening::Start, PATIENCE), Err(StoreError::NewerSchema { .. })));
    assert!(matches!(OperatorStore::open(&node.url), Err(StoreError::NewerSchema { .. })));
    // The half of a store that a move left behind.
    set(-newest);
    assert!(matches!(OperatorStore::open(&node.url), Err(StoreError::Refused { .. })));
    set(newest + 1);
    let mut newer = node.beside();
    newer.commit(&receipts(1, 1));
    node.commit(&receipts(1, 2));
}

#[test]
fn a_database_of_somebody_else_is_left_alone() {
    let cluster = pg_testing::shared_without_sync();
    let database = cluster.create_database();
    cluster.psql_in(&database, "CREATE TABLE registers (id int)");
    refused(&cluster.url(&database), "somebody else");
    assert_eq!(cluster.psql_in(&database, "SELECT to_regclass('fiscald_schema') IS NULL").trim(), "t");
}

#[test]
fn encodings_and_missing_databases_are_told() {
    let cluster = pg_testing::shared_without_sync();
    let name = format!("{}_latin", cluster.create_database());
    cluster.psql(&format!(
        "CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    ));
    refused(&cluster.url(&name), "ENCODING 'UTF8'");
    refused(&cluster.url("nowhere"), "CREATE DATABASE");
    let port = pg_testing::free_port();
    refused(&format!("postgres://postgres@127.0.0.1:{port}/x"), "is the server running");
}

#[test]
fn after_a_failure_only_the_same_store_is_opened() {
    let node = Node::new();
    let opening = Opening::AfterFailure { store_id: node.engine.store_id().to_owned() };
    open(&node.url, &opening, PATIENCE).unwrap();
    let other = Node::new();
    for url in [
        &other.url,
        &pg_testing::shared_without_sync().url(&pg_testing::shared_without_sync().create_database()),
    ] {
        match open(url, &opening, PATIENCE) {
            Err(StoreError::Unavailable { why: Unavailability::CannotOpen, detail }) => {
                assert!(detail.contains("not in this database"), "{detail}");
            }
            other => panic!("{:?}", other.err()),
        }
    }
}

#[test]
fn passwords_are_read_from_a_file_and_wrong_ones_are_not_shown() {
    let cluster = Cluster::builder().without_sync().password("geheim").start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let base = format!("postgres://postgres@127.0.0.1:{}/postgres", cluster.port());
    let url = format!("{base}?password_file={}", file.display());
    refused(&url, "password_file");
    std::fs::write(&file, "falsch\n").unwrap();
    match open(&url, &Opening::Start, PATIENCE) {
        Err(error) => {
            let words = error.to_string();
            assert!(words.contains("pg_hba.conf") && !words.contains("falsch"), "{words}");
        }
        Ok(_) => panic!("opened"),
    }
    std::fs::write(&file, "geheim\n").unwrap();
    open(&url, &Opening::Start, PATIENCE).unwrap();
}
