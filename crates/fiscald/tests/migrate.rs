//! `fiscald migrate`, killed again and again, and the commands of an operator on both stores afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;
use ofd_store::{
    Derived, Forward, NewDocument, Operator, RegisterAdd, RegisterReport, SignRecord, Store, StoreConfig,
};
use pg_testing::Cluster;
use sha2::{Digest as _, Sha256};

/// Enough for several transactions of the move.
const DOCUMENTS: u32 = 2_500;
const BODY_BYTES: usize = 20_000;
/// More than any state of these tests takes to come, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(120);

fn fn_number(n: u32) -> FnNumber {
    format!("87100001{:08}", n % 50).parse().unwrap()
}

fn document(n: u32) -> NewDocument {
    let mut container = vec![u8::try_from(n % 256).unwrap(); BODY_BYTES];
    container.extend(n.to_be_bytes());
    NewDocument {
        fn_number: fn_number(n),
        fd_number: FdNumber::new(n / 50 + 1).unwrap(),
        form: if n < 50 { 1 } else { 3 },
        received_at: Timestamp::from_microsecond(1_795_262_400_000_000 + i64::from(n)).unwrap(),
        peer: None,
        identity: Sha256::digest(&container).into(),
        container,
        opened: None,
        acknowledgement: format!("acknowledgement of {n}").into_bytes(),
        code: 0,
        sign: SignRecord { verdict: "valid", scheme: Some("soft-gost-1"), generation: Some(1) },
        forward: Forward::Yes,
        flk_mark: false,
        sign_mark: false,
        fn_changed_mark: false,
        after_deregistration_mark: false,
        findings: Vec::new(),
        task: None,
        register: (n < 50)
            .then(|| RegisterReport { kkt_serial: Some(format!("{n:04}")), ..RegisterReport::default() }),
        derived: Derived::default(),
    }
}

/// A store with documents of fifty registers.
fn fill(url: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&StoreConfig { url: url.to_owned(), ..StoreConfig::default() }).unwrap();
        let mut pending = Vec::new();
        for n in 0..DOCUMENTS {
            pending.push(store.journal().append(document(n)).await.unwrap());
        }
        for pending in pending {
            pending.await.unwrap();
        }
        store.close(PATIENCE).await.unwrap();
    });
    let stated = RegisterAdd { kkt_serial: Some("7777".to_owned()), ..RegisterAdd::default() };
    Operator::open(url).unwrap().register_add(&stated).unwrap();
}

fn fiscald(folder: &Path, arguments: &[&str], store: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fiscald"));
    command.current_dir(folder).args(arguments).env("FISCALD__STORE__URL", store);
    command
}

fn run(folder: &Path, arguments: &[&str], store: &str) -> Output {
    fiscald(folder, arguments, store).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lets it run until the database says so, and then kills it.
fn kill_when(mut child: Child, cluster: &Cluster, database: &str, sql: &str) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        let said = cluster.try_psql(database, sql);
        if said.is_ok_and(|said| said.trim() == "t") {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        assert!(Instant::now() < deadline, "it did not come to: {sql}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killed_at_any_moment_it_goes_on_and_the_commands_say_the_same_on_both_stores() {
    let folder = tempfile::tempdir().unwrap();
    let from = format!("sqlite:{}", folder.path().join("fiscald.db").display());
    fill(&from);
    let cluster = pg_testing::shared_without_sync();
    let database = cluster.create_database();
    let to = cluster.url(&database);
    let arguments = ["migrate", "--from", &from];
    let moved =
        |rows: u32| format!("SELECT coalesce(sum(moved_rows), 0) >= {rows} FROM fiscald_migration_tables");
    let points = [
        "SELECT count(*) = 1 FROM fiscald_migration".to_owned(),
        moved(1),
        moved(DOCUMENTS / 2),
        moved(DOCUMENTS),
        "SELECT phase = 'comparing' FROM fiscald_migration".to_owned(),
    ];
    let mut kills = 0;
    for point in &points {
        let mut command = fiscald(folder.path(), &arguments, &to);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        kills += usize::from(kill_when(child, cluster, &database, point));
    }
    assert!(kills >= 3, "{kills} kills in time");
    if cluster.psql_in(&database, "SELECT phase FROM fiscald_migration").trim() != "done" {
        // No daemon starts on a half of a store.
        let refused = run(folder.path(), &["documents", "list"], &to);
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stdout));
        let done = run(folder.path(), &arguments, &to);
        assert!(done.status.success(), "{}", text(&done.stderr));
        assert!(text(&done.stdout).starts_with("2,500 documents"), "{}", text(&done.stdout));
        assert!(text(&done.stdout).contains("earlier attempt"), "{}", text(&done.stdout));
    }

    // Whatever an operator asks, both stores answer the same.
    for question in [
        &["export", "--fn", "8710000100000007", "--as", "jsonl"][..],
        &["registers", "list", "--json"],
        &["documents", "list", "--limit", "20", "--json"],
        &["outbox", "list", "--json"],
        &["tasks", "list", "--json"],
        &["contracts", "list", "--json"],
        &["cards", "list", "--json"],
        &["quarantine", "list", "--json"],
    ] {
        let (here, there) = (run(folder.path(), question, &from), run(folder.path(), question, &to));
        assert!(here.status.success(), "{question:?}: {}", text(&here.stderr));
        assert!(there.status.success(), "{question:?}: {}", text(&there.stderr));
        assert!(here.stdout == there.stdout, "{question:?}: the two stores say different things");
    }
}

#[test]
fn what_cannot_be_moved_is_said_and_leaves_with_the_right_code() {
    let folder = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], store: &str, code: i32, expected: &str| {
        let output = run(folder.path(), arguments, store);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("secret"), "{said}");
    };
    let nowhere = "postgres://u:secret@127.0.0.1:1/d";
    check(&["migrate"], nowhere, 2, "--from");
    check(&["migrate", "--from", "postgres://u:secret@h/d"], nowhere, 2, "sqlite:PATH");
    check(&["migrate", "--from", "sqlite:x.db"], "sqlite:y.db", 2, "PostgreSQL");
    check(&["migrate", "--from", "sqlite:x.db"], nowhere, 1, "127.0.0.1");
    let cluster = pg_testing::shared_without_sync();
    let there = cluster.url(&cluster.create_database());
    check(&["migrate", "--from", "sqlite:x.db"], &there, 1, "there is no store at");
}
