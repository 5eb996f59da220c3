//! Several nodes on one database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::postgres::horizon::{HOLDERS, Horizon, NEWEST};
use crate::postgres::schema::{IN_USE_LOCK, LOCK_CLASS, PARTITION_LOCK};
use crate::support::{PLAIN_FN, registration};

#[test]
fn the_same_documents_on_two_nodes_are_one() {
    let one = Node::new();
    let mut nodes = [one.beside(), one];
    let url = nodes[0].url.clone();
    let mut all = [Vec::new(), Vec::new()];
    for fd in 1..=20 {
        let mut batch = receipts(50, fd);
        batch.push(item(registration(PLAIN_FN, "0042")));
        let reversed: Vec<_> = batch.iter().rev().cloned().collect();
        let [one, other] = &mut nodes;
        let [answers, mut reversed_answers] = thread::scope(|scope| {
            let one = scope.spawn(|| patiently(one, &batch));
            let other = scope.spawn(|| patiently(other, &reversed));
            [one, other].map(|thread| thread.join().unwrap())
        });
        reversed_answers.reverse();
        all[0].extend(answers);
        all[1].extend(reversed_answers);
    }
    for (one, other) in all[0].iter().zip(&all[1]) {
        assert_eq!(seq_of(one), seq_of(other));
        let new = [one, other].iter().filter(|outcome| is_new(outcome)).count();
        assert!(new <= 1, "{one:?} {other:?}");
    }
    assert_eq!(ask(&url, "SELECT count(*) FROM journal"), "1001");
    assert_eq!(ask(&url, "SELECT count(*) FROM registers"), "1");
    assert_eq!(ask(&url, "SELECT count(*) FROM human_tasks"), "0");
}

fn is_new(outcome: &WriteOutcome) -> bool {
    matches!(outcome, WriteOutcome::Append(AppendOutcome::Appended { .. }))
}

/// As the journal does.
fn patiently(node: &mut Node, batch: &[WriteItem]) -> Vec<WriteOutcome> {
    for _ in 0..50 {
        match node.engine.commit(batch) {
            Err(EngineError::Busy(words)) => {
                assert!(!words.contains("deadlock"), "{words}");
                thread::yield_now();
            }
            result => return result.unwrap(),
        }
    }
    panic!("busy for ever")
}

/// A reader of positions.
struct Follower {
    client: tokio_postgres::Client,
    runtime: tokio::runtime::Runtime,
    horizon: Horizon,
    cursor: i64,
    seen: Vec<i64>,
}

impl Follower {
    fn on(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Self { client, runtime, horizon: Horizon::default(), cursor: 0, seen: Vec::new() }
    }

    fn look(&mut self) {
        let newest = self.query(NEWEST, None)[0].get(0);
        let holders = self.query(HOLDERS, None).iter().map(|row| row.get(0)).collect();
        let settled = self.horizon.advance(newest, holders);
        let rows =
            self.query("SELECT seq FROM journal WHERE seq > $1 AND seq <= $2 ORDER BY seq", Some(settled));
        self.seen.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        // The cursor moves to the horizon, whether or not there was a row.
        self.cursor = self.cursor.max(settled);
    }

    fn query(&self, sql: &str, settled: Option<i64>) -> Vec<tokio_postgres::Row> {
        self.runtime.block_on(async {
            match settled {
                Some(settled) => self.client.query(sql, &[&self.cursor, &settled]).await.unwrap(),
                None => self.client.query(sql, &[]).await.unwrap(),
            }
        })
    }
}

/// A mark that is set at the end of a test, however that ends.
struct Raised<'a>(&'a AtomicBool);

impl Raised<'_> {
    fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.raise();
    }
}

#[test]
fn a_follower_meets_every_row_once_although_one_node_pauses_in_its_transaction() {
    let node = Node::new();
    let url = node.url.clone();
    let done = AtomicBool::new(false);
    let mut follower = Follower::on(&url);
    thread::scope(|scope| {
        // Whatever fails here, the one that pauses must not wait for ever.
        let end = Raised(&done);
        let writers: Vec<_> = (0..3_usize)
            .map(|writer| {
                let url = url.clone();
                scope.spawn(move || {
                    let mut node = Node::on(&url);
                    for fd in 1..=40 {
                        let batch: Vec<_> = (0..5)
                            .map(|number| item(document(&fn_text(writer * 100 + number), fd, 3, "x")))
                            .collect();
                        patiently(&mut node, &batch);
                    }
                })
            })
            .collect();
        // Takes positions, and writes under them only when all others are long done.
        let pausing = scope.spawn(|| {
            let pausing = Follower::on(&url);
            pausing.runtime.block_on(async {
                pausing.client.batch_execute("BEGIN").await.unwrap();
                let first: i64 =
                    pausing.client.query_one("SELECT journal_take(3)", &[]).await.unwrap().get(0);
                while !done.load(Ordering::SeqCst) {
                    pausing.client.simple_query("SELECT 1").await.unwrap();
                }
                for seq in first..first + 3 {
                    pausing
                        .client
                        .batch_execute(&format!(
                            "INSERT INTO journal (seq, received_at, fd, chain, conflict_no, form, code, forward, marks, fn, \
                             identity, verdict, acknowledgement, container) VALUES ({seq}, 0, 1, 0, 0, 3, 0, 1, 0, 'x', \
                             '', '', '', '')"
                        ))
                        .await
                        .unwrap();
                }
                pausing.client.batch_execute("COMMIT").await.unwrap();
                first
            })
        });
        for writer in writers {
            while !writer.is_finished() {
                follower.look();
            }
            writer.join().unwrap();
        }
        follower.look();
        let before = follower.seen.len();
        end.raise();
        let first = pausing.join().unwrap();
        assert!(follower.seen.iter().all(|seq| *seq < first), "passed by the paused one at {first}");
        follower.look();
        follower.look();
        assert!(follower.seen.len() > before);
    });
    assert_eq!(follower.seen.len(), 603);
    assert!(follower.seen.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn three_nodes_make_the_schema_together() {
    let cluster = pg_testing::shared_without_sync();
    let url = cluster.url(&cluster.create_database());
    let ids: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..3).map(|_| scope.spawn(|| Node::on(&url).engine.store_id().to_owned())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(ask(&url, "SELECT version FROM fiscald_schema"), "1");
    let months = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'journal'::regclass";
    assert_eq!(ask(&url, months), "4");
}

#[test]
fn the_month_turns_once_and_missing_months_are_made() {
    let mut node = Node::new();
    let before = seq_of(&node.commit(&receipts(1, 1))[0]);
    // As if everything so far had been written in an earlier month.
    run(&node.url, "TRUNCATE journal, journal_keys");
    let earlier = before - 20_000_000_000;
    node.ask(&format!("SELECT setval('journal_seq', {earlier})"));
    let turned = seq_of(&node.commit(&receipts(1, 2))[0]);
    assert_eq!(turned % 10_000_000_000, 1);
    // A clock that was set back does not take positions back.
    let later = before + 10_000_000_000 * 4;
    node.ask(&format!("SELECT setval('journal_seq', {later})"));
    let ahead = seq_of(&patiently(&mut node, &receipts(1, 3))[0]);
    // The first attempt met a month that was not made yet.
    assert_eq!(ahead, later + 2);
    assert_eq!(node.ask(&format!("SELECT count(*) FROM journal WHERE seq = {ahead}")), "1");
}

/// Somebody else is at the months and takes his time: that is a pause of this session, not its end.
#[test]
fn a_month_that_cannot_be_made_now_leaves_the_session_whole() {
    let mut node = Node::new();
    let before = seq_of(&node.commit(&receipts(1, 1))[0]);
    node.ask(&format!("SELECT setval('journal_seq', {})", before + 10_000_000_000 * 4));
    let lock = format!("SELECT pg_advisory_lock({LOCK_CLASS}, {PARTITION_LOCK})");
    let (holder, runtime) = hold(&node.url, &lock);
    for _ in 0..2 {
        let busy = node.engine.commit(&receipts(1, 2));
        assert!(matches!(&busy, Err(EngineError::Busy(words)) if words.contains("55P03")), "{busy:?}");
    }
    runtime.block_on(holder.batch_execute("SELECT pg_advisory_unlock_all()")).unwrap();
    assert!(is_new(&patiently(&mut node, &receipts(1, 2))[0]));
}

/// What a batch that failed held is given back, and nothing else.
#[test]
fn a_batch_that_failed_leaves_the_store_in_use() {
    let mut node = Node::new();
    let held = |node: &Node, when: &str| {
        let held = node.ask(&format!(
            "SELECT string_agg(objid || mode, ' ') FROM pg_locks WHERE locktype = 'advisory' \
             AND classid = {LOCK_CLASS} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ));
        assert_eq!(held, format!("{IN_USE_LOCK}ShareLock"), "{when}");
    };
    held(&node, "at the opening");
    node.engine.commit(&receipts(3, 1)).unwrap();
    held(&node, "after a batch");
    // Known numbers: the batch is given up and done anew with more care.
    node.engine.commit(&receipts(4, 1)).unwrap();
    held(&node, "after one that was given up");
}

#[test]
fn a_repeat_of_a_detached_month_is_refused_alone() {
    let mut node = Node::new();
    let seq = seq_of(&node.commit(&receipts(1, 1))[0]);
    let month = format!("journal_{}", seq / 10_000_000_000);
    run(
        &node.url,
        &format!("ALTER TABLE journal DETACH PARTITION {month}; ALTER TABLE {month} RENAME TO kept"),
    );
    let outcomes = patiently(&mut node, &[receipts(1, 1), receipts(2, 2)].concat());
    assert!(matches!(outcomes[0], WriteOutcome::Refused { .. }), "{:?}", outcomes[0]);
    assert!(is_new(&outcomes[1]) && is_new(&outcomes[2]));
    // Its number stays taken.
    let conflict = node.append(document(&fn_text(0), 1, 3, "other"));
    assert!(matches!(conflict, AppendOutcome::Conflict { .. }));
}

/// As the guide in `config/POSTGRESQL.md` describes it.
#[test]
fn a_month_that_was_detached_and_put_back_is_answered_again() {
    let mut node = Node::new();
    let sent = document(&fn_text(0), 1, 3, "receipt");
    node.append(sent.clone());
    const BOUNDS: &str = "FOR VALUES FROM (2021010000000000) TO (2021020000000000)";
    run(
        &node.url,
        &format!(
            "CREATE TABLE journal_202101 (LIKE journal INCLUDING ALL); \
             ALTER TABLE journal ATTACH PARTITION journal_202101 {BOUNDS}; \
             UPDATE journal SET seq = 2021010000000001; UPDATE journal_keys SET seq = 2021010000000001; \
             INSERT INTO findings (seq, ordinal, path, rule, severity, text) VALUES (2021010000000001, 0, '', 'x', 0, '')"
        ),
    );
    let repeat =
        AppendOutcome::Repeat { seq: 2_021_010_000_000_001, acknowledgement: sent.acknowledgement.clone() };
    assert_eq!(node.append(sent.clone()), repeat);
    // A copy takes the month's place, as on its way to another disk.
    run(
        &node.url,
        &format!(
            "CREATE TABLE slow_202101 (LIKE journal INCLUDING ALL); INSERT INTO slow_202101 SELECT * FROM journal_202101; \
             ALTER TABLE slow_202101 ADD CHECK (seq >= 2021010000000000 AND seq < 2021020000000000); BEGIN; \
             ALTER TABLE journal DETACH PARTITION journal_202101; \
             ALTER TABLE journal ATTACH PARTITION slow_202101 {BOUNDS}; COMMIT; DROP TABLE journal_202101"
        ),
    );
    assert_eq!(node.append(sent.clone()), repeat);
    run(&node.url, "ALTER TABLE journal DETACH PARTITION slow_202101 CONCURRENTLY");
    for _ in 0..2 {
        let outcomes = patiently(&mut node, &[item(sent.clone()), item(document(&fn_text(1), 1, 3, "x"))]);
        let reason = "a repeat of a document whose month was detached";
        assert!(
            matches!(&outcomes[0], WriteOutcome::Refused { reason: told } if told.contains(reason)),
            "{outcomes:?}"
        );
        assert!(matches!(&outcomes[1], WriteOutcome::Append(_)), "{outcomes:?}");
    }
    assert!(matches!(node.append(document(&fn_text(0), 1, 3, "other")), AppendOutcome::Conflict { .. }));
    // Nothing was written for the repeats, and nothing is lost.
    assert_eq!(node.ask("SELECT count(*) FROM journal_keys"), "3");
    let reader = crate::Reader::open(&node.url).unwrap();
    let wrong = reader.integrity_check(crate::IntegrityDepth::Full, &mut |_| {}).unwrap();
    assert_eq!(wrong, Vec::<String>::new());
    run(&node.url, &format!("ALTER TABLE journal ATTACH PARTITION slow_202101 {BOUNDS}"));
    assert_eq!(node.append(sent), repeat);
}
