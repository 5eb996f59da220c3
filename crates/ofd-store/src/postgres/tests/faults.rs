//! Servers that fail in the middle of a batch, and standbys that are lost: nobody gets a false answer.

use std::thread;
use std::time::Instant;

use pg_testing::Stop;

use super::*;

/// Short for tests; nothing is asserted about how long anything took.
const SHORT: Duration = Duration::from_secs(2);

#[test]
fn a_killed_server_gives_no_answer_and_keeps_what_it_answered() {
    let cluster = Cluster::start();
    let url = cluster.url(&cluster.create_database());
    let mut node = Node::on(&url);
    let mut answered = 0;
    let words = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for fd in 1.. {
                match node.engine.commit(&receipts(200, fd)) {
                    Ok(outcomes) => answered += outcomes.len(),
                    result => return failed(result),
                }
            }
            unreachable!("numbers of documents ended")
        });
        until(
            "a thousand rows",
            || !writer.is_finished(),
            || ask(&url, "SELECT count(*) > 1000 FROM journal") == "true",
        );
        cluster.kill();
        writer.join().unwrap()
    });
    assert!(!words.is_empty());
    let opening = Opening::AfterFailure { store_id: node.engine.store_id().to_owned() };
    assert!(open(&url, &opening, SHORT).is_err());
    cluster.start_again();
    let mut node = Node { engine: open(&url, &opening, PATIENCE).unwrap(), url };
    let kept: usize = node.ask("SELECT count(*) FROM journal").parse().unwrap();
    assert!(kept == answered || kept == answered + 200, "{kept} {answered}");
    assert_eq!(node.ask("SELECT count(*) FROM journal_keys JOIN journal USING (seq)"), kept.to_string());
    // What was answered once is a repeat.
    assert!(
        node.commit(&receipts(200, 1))
            .iter()
            .all(|outcome| { matches!(outcome, WriteOutcome::Append(AppendOutcome::Repeat { .. })) })
    );
}

#[test]
fn a_lost_standby_means_silence_until_it_is_back() {
    let (primary, standby, url) = with_standby();
    let mut node = Node { engine: open(&url, &Opening::Start, SHORT).unwrap(), url };
    node.commit(&receipts(3, 1));
    standby.stop(Stop::Immediate);
    let words = failed(node.engine.commit(&receipts(3, 2)));
    assert!(words.contains("synchronous_standby_names"), "{words}");
    let opening = Opening::AfterFailure { store_id: node.engine.store_id().to_owned() };
    // Every further attempt says why, and does not leave another session waiting for ever.
    for _ in 0..3 {
        let error = open(&node.url, &opening, SHORT).err().unwrap().to_string();
        assert!(error.contains("synchronous_standby_names"), "{error}");
    }
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let count: u32 = primary.psql(waiting).trim().parse().unwrap();
    assert!(count <= 2, "{count} sessions wait");
    standby.start_again();
    primary.wait_for(waiting, "0");
    let mut node = Node { engine: open(&node.url, &opening, PATIENCE).unwrap(), url: node.url };
    let outcomes = node.commit(&receipts(3, 2));
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, WriteOutcome::Append(AppendOutcome::Repeat { .. })))
    );
    assert_eq!(node.ask("SELECT count(*) FROM journal"), "6");
}

/// Lets a batch hang at its commit, does something to its session, and gives what the engine said.
fn while_it_waits(primary: &Cluster, standby: &Cluster, node: &mut Node, sql: &str) -> String {
    standby.stop(Stop::Immediate);
    thread::scope(|scope| {
        let writer = scope.spawn(|| failed(node.engine.commit(&receipts(3, 2))));
        primary.wait_for("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1");
        primary.psql(&format!("SELECT {sql}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"));
        writer.join().unwrap()
    })
}

#[test]
fn a_cancelled_wait_is_no_answer() {
    let (primary, standby, url) = with_standby();
    let mut node = Node::on(&url);
    let words = while_it_waits(&primary, &standby, &mut node, "pg_cancel_backend");
    assert!(words.contains("synchronous replication"), "{words}");
}

#[test]
fn a_repeat_of_what_the_standby_does_not_have_waits_for_it() {
    let (primary, standby, url) = with_standby();
    let mut node = Node::on(&url);
    let mut other = node.beside();
    while_it_waits(&primary, &standby, &mut node, "pg_terminate_backend");
    // Everybody sees the rows by now, and the standby does not have them.
    assert_eq!(node.ask("SELECT count(*) FROM journal"), "3");
    thread::scope(|scope| {
        let repeating = scope.spawn(|| other.commit(&receipts(3, 2)));
        primary.wait_for("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1");
        assert!(!repeating.is_finished());
        standby.start_again();
        let outcomes = repeating.join().unwrap();
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, WriteOutcome::Append(AppendOutcome::Repeat { .. })))
        );
    });
}

#[test]
fn a_promoted_standby_is_found_among_the_hosts() {
    let (primary, standby, url) = with_standby();
    let database = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let both = pg_testing::url_of(&[&primary, &standby], &database);
    let mut node = Node::on(&both);
    node.commit(&receipts(3, 1));
    primary.kill();
    failed(node.engine.commit(&receipts(3, 2)));
    let opening = Opening::AfterFailure { store_id: node.engine.store_id().to_owned() };
    let error = open(&both, &opening, SHORT).err().unwrap().to_string();
    assert!(error.contains("only a standby answers") || error.contains("is the server running"), "{error}");
    standby.promote();
    let mut node = Node { engine: open(&both, &opening, PATIENCE).unwrap(), url: both };
    let outcomes = node.commit(&receipts(3, 1));
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, WriteOutcome::Append(AppendOutcome::Repeat { .. })))
    );
    node.commit(&receipts(3, 3));
}

#[test]
fn a_server_that_stands_still_is_given_up() {
    let cluster = Cluster::builder().without_sync().start();
    let url = cluster.url(&cluster.create_database());
    let mut node = Node { engine: open(&url, &Opening::Start, SHORT).unwrap(), url };
    cluster.pause();
    let words = failed(node.engine.commit(&receipts(3, 1)));
    assert!(words.contains("no answer"), "{words}");
    cluster.resume();
}

#[test]
fn statements_that_are_cancelled_are_tried_again() {
    let mut node = Node::new();
    let mut other = node.beside();
    other.commit(&receipts(1, 1));
    let holder =
        hold(&node.url, "BEGIN; INSERT INTO journal_keys VALUES (2, 0, 0, 1, '8710000000000000', '')");
    let mut cancelled = || {
        thread::scope(|scope| {
            let writer = scope.spawn(|| match node.engine.commit(&receipts(1, 2)) {
                Err(EngineError::Busy(words)) => words,
                other => panic!("{other:?}"),
            });
            let waiting =
                "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
            while !writer.is_finished() && ask(&other.url, &format!("SELECT count(*) {waiting}")) != "1" {}
            run(&other.url, &format!("SELECT pg_cancel_backend(pid) {waiting}"));
            writer.join().unwrap()
        })
    };
    // On a machine that stands still meanwhile, the lock is given up before anybody cancels the waiting.
    let deadline = Instant::now() + PATIENCE;
    let mut words = cancelled();
    while words.contains("55P03") && Instant::now() < deadline {
        words = cancelled();
    }
    assert!(words.contains("57014"), "{words}");
    // Nobody is held up by the positions of the one that was cancelled.
    other.commit(&receipts(1, 3));
    drop(holder);
    node.commit(&receipts(1, 2));
}

#[test]
fn an_idle_journal_notices_that_its_server_is_gone() {
    let cluster = Cluster::builder().without_sync().start();
    let mut node = Node::on(&cluster.url(&cluster.create_database()));
    cluster.restart();
    assert!(matches!(node.engine.probe(), Err(EngineError::Failed(_))));
}
