//! What is looked at before a journal is opened.

use super::*;
use crate::Unavailability;

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

#[test]
fn schemas_one_step_newer_are_worked_with_and_no_others() {
    let mut node = Node::new();
    let set = |version: i64| {
        run(&node.url, &format!("UPDATE fiscald_schema SET version = {version}"));
    };
    let newest = crate::postgres::schema::newest();
    set(newest + 2);
    assert!(matches!(open(&node.url, &Opening::Start, PATIENCE), Err(StoreError::NewerSchema { .. })));
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
