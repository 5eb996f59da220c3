//! Several nodes on one PostgreSQL.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::*;
use crate::RegistryReader;
use crate::fixture::{On, append, postgres_engine};
use crate::second::{Family, SecondWriter};

const PATIENCE: Duration = Duration::from_secs(60);

fn bench() -> Bench {
    On::Postgres.choose();
    Bench::new()
}

/// Positions sent, by whom.
type Sent = Arc<Mutex<Vec<(i64, String)>>>;

/// Sends what comes until so many are sent by all together.
fn work(mut sender: Sender, sent: &Sent, all: usize) {
    let deadline = Instant::now() + PATIENCE;
    while sent.lock().unwrap().len() < all {
        assert!(Instant::now() < deadline, "only {:?} were sent", sent.lock().unwrap().len());
        sender.derive(60, 50);
        let mut open = sender.open_rows(0);
        open.retain(|row| row.state == OutboxState::New);
        open.sort_by_key(|row| row.serial);
        let some: Vec<i64> = open.iter().take(10).map(|row| row.seq).collect();
        if some.is_empty() {
            std::thread::yield_now();
            continue;
        }
        sender.deliver(&some);
        let name = sender.holder.as_str();
        sent.lock().unwrap().extend(some.into_iter().map(|seq| (seq, name.to_owned())));
    }
}

#[test]
fn two_nodes_share_the_lanes_and_send_everything_once_and_in_order() {
    const LANES: u32 = 40;
    const DOCUMENTS: u32 = 12;
    let bench = bench();
    let (mut one, mut two) = (bench.sender("one"), bench.sender("two"));
    let excess = one.claim().excess;
    let given: Vec<Slot> = one.leases.iter().map(|lease| lease.slot).take(excess).collect();
    one.way.release(&one.holder, &given).unwrap();
    one.claim();
    two.claim();
    assert_eq!((one.leases.len(), two.leases.len()), (129, 128));
    // Each node has a journal too, and both append at the same time.
    let journals = [1, 2].map(|node| {
        let url = bench.url();
        std::thread::spawn(move || {
            let mut engine = postgres_engine(&url);
            for fd in 1..=DOCUMENTS {
                let lanes = (1..=LANES).filter(|lane| lane % 2 == node % 2);
                let documents = lanes.map(|lane| document(&format!("87100001{lane:08}"), fd, 3, ""));
                append(&mut *engine, documents.collect());
            }
        })
    });
    let all = usize::try_from(LANES * DOCUMENTS).unwrap();
    let sent = Sent::default();
    std::thread::scope(|scope| {
        for sender in [one, two] {
            let sent = Arc::clone(&sent);
            scope.spawn(move || work(sender, &sent, all));
        }
    });
    journals.into_iter().for_each(|journal| journal.join().unwrap());
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), all);
    let mut lanes: BTreeMap<FnNumber, Vec<u32>> = BTreeMap::new();
    for (seq, name) in &*sent {
        let row = bench.row(*seq);
        assert_eq!((row.state, row.attempts), (OutboxState::Delivered, 1), "{seq} was sent by {name}");
        lanes.entry(row.fn_number).or_default().push(row.fd_number.get());
    }
    assert!(lanes.values().all(|numbers| numbers.iter().copied().eq(1..=DOCUMENTS)), "{lanes:?}");
    assert!(["one", "two"].iter().all(|name| sent.iter().any(|(_, sender)| sender == name)));
    assert_eq!(bench.reader().outbox_depths().unwrap().backlog, 0);
    bench.check_counts();
}

#[test]
fn another_node_takes_over_from_one_whose_session_was_killed() {
    let mut bench = bench();
    bench.receipts(A, 1..=2);
    let mut one = bench.sender("one");
    one.derive_all();
    let (id, _) = one.begin(&[1, 2]);
    // In the middle of a transaction of its own.
    let stuck = bench.look();
    stuck.batch("BEGIN; LOCK TABLE outbox_lock IN EXCLUSIVE MODE");
    let other = bench.look();
    let ended = other.number(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert!(ended >= 2, "{ended}");
    let mut two = bench.sender("two");
    two.now = one.now + LEASE;
    let gained = two.claim().gained;
    let adoption = two.way.adopt(&two.holder, &two.leases, &gained).unwrap();
    assert_eq!(adoption.batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), [id]);
    assert_eq!(two.settle(id, vec![(1, taken(1)), (2, taken(2))]).delivered, 2);
    // The first one has lost its session; with another one it sees that it has lost its leases.
    let answer = BatchStep::Settle { id, results: vec![DocumentResult { seq: 1, outcome: again("late") }] };
    let change = OutboxChange { steps: vec![answer], ..one.change() };
    let deadline = Instant::now() + PATIENCE;
    let report = loop {
        match one.way.commit(&change) {
            Ok(report) => break report,
            Err(error) => assert!(error.is_unavailable() && Instant::now() < deadline, "{error}"),
        }
    };
    assert_eq!((report.lost.len(), report.stale), (257, vec![1]));
    assert_eq!(bench.states(), [(1, OutboxState::Delivered), (2, OutboxState::Delivered)]);
    bench.check_counts();
}

/// A row of the journal in all its columns, as a node writes it.
fn insert(look: &Look, seq: i64, fn_text: &str, form: u16) {
    look.batch(&format!(
        "INSERT INTO journal_keys (fn, fd, chain, conflict_no, seq, identity) VALUES ('{fn_text}', 1, 0, 0, {seq}, '');
         INSERT INTO journal (seq, received_at, fd, chain, conflict_no, form, code, forward, marks, fn, identity, verdict,
             acknowledgement, container)
         VALUES ({seq}, 0, 1, 0, 0, {form}, 0, 1, 0, '{fn_text}', '', 'valid', '', 'container')"
    ));
}

#[test]
fn nobody_passes_a_node_that_stands_still_in_the_middle_of_its_transaction() {
    let mut bench = bench();
    let mut sender = bench.sender("one");
    let registry = RegistryReader::open(&bench.url()).unwrap();
    bench.receipts(A, [1]);
    assert_eq!(sender.derive_all().derived, 1);
    let paused = bench.look();
    paused.batch("BEGIN");
    let seq = paused.number("SELECT journal_take(1)");
    // Others go on, and are seen.
    bench.receipts(A, [2]);
    bench.append(vec![document(DEBUG, 1, 1, "report")]);
    assert_eq!(bench.look().number("SELECT count(*) FROM journal"), 3);
    for _ in 0..3 {
        let report = sender.derive_all();
        assert_eq!((report.derived, report.cursor), (0, seq - 1), "it might be overtaken");
        assert_eq!(registry.reports_after(0, 100).unwrap(), []);
    }
    insert(&paused, seq, B, 1);
    paused.batch("COMMIT");
    let report = sender.derive_all();
    assert_eq!((report.derived, report.gaps, report.cursor), (3, 0, seq + 2));
    assert_eq!(sender.open(), [seq - 1, seq, seq + 1, seq + 2]);
    let reports: Vec<i64> =
        registry.reports_after(0, 100).unwrap().into_iter().map(|report| report.seq).collect();
    assert_eq!(reports, [seq, seq + 2]);
    // One that comes to nothing is waited for no longer.
    paused.batch("BEGIN");
    paused.number("SELECT journal_take(1)");
    bench.receipts(A, [3]);
    assert_eq!(sender.derive_all().derived, 0);
    paused.batch("ROLLBACK");
    assert_eq!(sender.derive_all().derived, 1);
    bench.check_counts();
}

#[test]
fn a_transaction_that_met_another_one_is_done_again() {
    let bench = bench();
    let mut writer = SecondWriter::open(&bench.url(), Family::Outbox).unwrap();
    let other = bench.look();
    let mut attempts = 0;
    let raise = "UPDATE facts_version SET version = version + 1 WHERE id = 1";
    writer
        .write(|db| {
            attempts += 1;
            db.query_row("SELECT version FROM facts_version", [], |row| row.get::<i64>(0))?;
            if attempts == 1 {
                other.batch(raise);
            }
            db.execute(raise, []).map(|_| ())
        })
        .unwrap();
    assert_eq!((attempts, other.number("SELECT version FROM facts_version")), (2, 2));
}

#[test]
fn who_waits_for_the_lock_sees_what_was_done_under_it() {
    let bench = bench();
    let holder = bench.look();
    holder.batch("BEGIN; LOCK TABLE outbox_lock IN EXCLUSIVE MODE; UPDATE outbox_cursors SET serial = 41");
    let url = bench.url();
    let waiter = std::thread::spawn(move || {
        let mut writer = SecondWriter::open(&url, Family::Outbox).unwrap();
        let raise = "UPDATE outbox_cursors SET serial = serial + 1 RETURNING serial";
        let mut attempts = 0;
        let serial = writer.write(|db| {
            attempts += 1;
            db.query_row(raise, [], |row| row.get::<i64>(0))
        });
        (serial.unwrap(), attempts)
    });
    let deadline = Instant::now() + PATIENCE;
    let waits =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST('outbox_lock' AS regclass)";
    while bench.look().number(waits) == 0 {
        assert!(Instant::now() < deadline && !waiter.is_finished(), "nobody waits");
        std::thread::yield_now();
    }
    holder.batch("COMMIT");
    assert_eq!(waiter.join().unwrap(), (42, 1));
}

#[test]
fn leases_are_counted_by_the_clock_of_the_server() {
    let bench = bench();
    let way = |name: &str| (Forwarding::open(&bench.url()).unwrap(), HolderId::new(name).unwrap());
    let order = |holder: &HolderId, now: Timestamp, lease: Duration| ClaimOrder {
        holder: holder.clone(),
        now,
        until: now + lease,
        lanes: true,
        registrar: true,
    };
    // The clocks of these two are years apart, and neither is right.
    let (early, late) = (Timestamp::UNIX_EPOCH, moment(0) + Duration::from_secs(4_000_000_000));
    let ((mut one, first), (mut two, second)) = (way("one"), way("two"));
    let claim = one.claim(&order(&first, early, PATIENCE)).unwrap();
    assert_eq!(claim.leases.len(), 257);
    let until = claim.leases.iter().map(|lease| lease.until.as_microsecond()).max().unwrap();
    let server =
        bench.look().number("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)");
    assert!((until - server).abs() <= 61_000_000, "{until} {server}");
    assert_eq!(two.claim(&order(&second, late, PATIENCE)).unwrap().leases.len(), 0);
    one.leave(&first).unwrap();
    assert_eq!(two.claim(&order(&second, late, Duration::from_millis(300))).unwrap().leases.len(), 257);
    let deadline = Instant::now() + PATIENCE;
    while one.claim(&order(&first, early, PATIENCE)).unwrap().leases.len() < 257 {
        assert!(Instant::now() < deadline, "they do not run out");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_month_that_turns_is_no_backlog_and_hides_nothing() {
    let mut bench = bench();
    let look = bench.look();
    let month = |ahead: u32| {
        look.number(&format!(
            "SELECT CAST(to_char(now() AT TIME ZONE 'UTC' + interval '{ahead} month', 'YYYYMM') AS BIGINT) * 10000000000"
        ))
    };
    let (this, next) = (month(0), month(1));
    bench.append(vec![not_forwarded(A, 1), document(A, 2, 3, "")]);
    let mut begins = |begin: i64, numbers: std::ops::RangeInclusive<u32>| {
        look.number(&format!("SELECT setval('journal_seq', {begin})"));
        bench.receipts(A, numbers);
    };
    begins(this, 3..=5);
    begins(next, 6..=9);
    let backlog = |bench: &Bench| bench.reader().outbox_depths().unwrap().backlog;
    let owed_since = |bench: &Bench| bench.reader().oldest_undelivered().unwrap();
    assert_eq!((backlog(&bench), owed_since(&bench)), (9, Some(moment(2))));
    let mut sender = bench.sender("one");
    // The last of the old store, then the last of a month: what is next lies in another one.
    assert_eq!(sender.derive(1, 100).cursor, 2);
    assert_eq!(backlog(&bench), 7);
    sender.deliver(&[2]);
    assert_eq!(owed_since(&bench), Some(moment(3)));
    assert_eq!(sender.derive(3, 100).cursor, this + 3);
    assert_eq!(backlog(&bench), 4);
    sender.deliver(&[this + 1, this + 2, this + 3]);
    assert_eq!(owed_since(&bench), Some(moment(6)));
    let report = sender.derive_all();
    assert_eq!((report.derived, report.gaps, report.late), (4, 0, 0));
    assert_eq!((report.cursor, backlog(&bench)), (next + 4, 0));
    // Pages of the list go over the gaps too.
    assert_eq!(bench.rows().len(), 8);
}
