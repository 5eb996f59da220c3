//! Nodes are upgraded one after another: those that are not yet work on a schema one step newer than their own.

use std::time::Duration;

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::wire::{Register, Storage};
use pg_testing::Cluster;

const FN: &str = "8710000100000017";

/// A store of a node, and somebody newer who changes its schema.
struct Upgraded {
    setup: Setup,
    cluster: Cluster,
    database: String,
    storage: Storage,
    answers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Upgraded {
    fn new() -> Self {
        let cluster = Cluster::start();
        let database = cluster.create_database();
        let setup = Setup::new().with("store.url", &cluster.url(&database));
        Self { setup, cluster, database, storage: Storage::new(FN), answers: Vec::new() }
    }

    /// What a step may do: it adds. The version is written in its transaction.
    fn step(&self) {
        let sql = "BEGIN; SELECT pg_advisory_xact_lock(1179861828, 3); \
                   ALTER TABLE journal ADD COLUMN added_later text COLLATE \"C\"; \
                   ALTER TABLE journal_keys ADD COLUMN added_later bigint; \
                   ALTER TABLE registers ADD COLUMN added_later text COLLATE \"C\"; \
                   ALTER TABLE outbox ADD COLUMN added_later bigint DEFAULT 0; \
                   CREATE INDEX journal_added_later ON journal (added_later) WHERE added_later IS NOT NULL; \
                   CREATE TABLE added_later (id bigint PRIMARY KEY); \
                   UPDATE fiscald_schema SET version = version + 1; COMMIT";
        self.cluster.psql_in(&self.database, sql);
    }

    /// New documents, and everything before them once more.
    fn serve(&mut self, daemon: &Daemon) {
        let mut register = Register::connect(daemon.registers);
        for (message, answer) in &self.answers {
            assert_eq!(register.exchange(message).body, *answer, "a repeat");
        }
        let first = u32::try_from(self.answers.len()).unwrap() + 1;
        for fd_number in first..first + 3 {
            let document = match fd_number {
                1 => self.storage.registration(1, "0128003270"),
                _ => self.storage.receipt(fd_number, 100),
            };
            let message = self.storage.send(fd_number, &document);
            let answer = register.exchange(&message);
            assert_eq!(self.storage.check_answer(&answer, fd_number), 0, "ФД {fd_number}");
            assert_eq!(register.exchange(&message), answer, "a repeat");
            self.answers.push((message, answer.body));
        }
        assert_eq!(self.setup.export().len(), self.answers.len());
    }
}

#[test]
fn a_node_serves_on_a_schema_one_step_newer_than_its_own() {
    let mut store = Upgraded::new();
    let daemon = store.setup.start();
    store.serve(&daemon);
    // Another node is upgraded, while this one serves.
    store.step();
    store.serve(&daemon);
    assert_eq!(daemon.admin("/readyz").0, 200);
    assert!(daemon.stop().success());
    // It may be started anew before its turn comes, and an operator may work.
    let mut daemon = store.setup.start();
    store.serve(&daemon);
    let added = store.setup.run(&["registers", "add", "--fn", "8710000100000018"]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    assert!(store.setup.run(&["verify"]).status.success());
    // Its session is lost, and opened anew in the same schema.
    store.cluster.restart();
    let (message, answer) = &store.answers[0];
    daemon.wait_for("an answer as before", |daemon| {
        // Nobody is answered by a lost session: a register comes again.
        let mut register = Register::try_connect(daemon.registers, Duration::from_secs(2)).ok()?;
        register.try_write(message).ok()?;
        (register.try_answer().ok()?.body == *answer).then_some(())
    });
    store.serve(&daemon);
    assert!(daemon.stop().success());
}

#[test]
fn two_steps_are_refused_with_words() {
    let mut store = Upgraded::new();
    let daemon = store.setup.start();
    store.serve(&daemon);
    assert!(daemon.stop().success());
    store.step();
    store.cluster.psql_in(&store.database, "UPDATE fiscald_schema SET version = version + 1");
    for command in [&["serve"][..], &["documents", "list"], &["registers", "add", "--fn", FN]] {
        let output = store.setup.run(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("the store has schema version 3, this program knows 1"), "{command:?}: {said}");
        assert!(said.contains("use the newer program"), "{command:?}: {said}");
    }
    assert_eq!(store.cluster.psql_in(&store.database, "SELECT count(*) FROM journal").trim(), "3");
}
