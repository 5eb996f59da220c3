//! Keys follow the journal: at any moment, after any crash, every document is found exactly once.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::identity::{Model, any_document};
use super::*;
use crate::records::NewDocument;
use crate::support::{DEBUG_FN, PLAIN_FN, document};

/// Runs of three keys, windows of eight, merged two by two: every document crosses every border.
fn small() -> Pace {
    Pace::of(3, 8, (2, 4), Duration::ZERO)
}

fn open(path: &Path) -> SqliteEngine {
    let mut engine = SqliteEngine::open(path, ROOM, Opening::Start, OpenFiles::default()).unwrap();
    engine.keys.set_pace(small());
    engine
}

fn items(documents: &[NewDocument]) -> Vec<WriteItem> {
    documents.iter().map(|document| WriteItem::Document(Box::new(document.clone()))).collect()
}

fn append(engine: &mut SqliteEngine, documents: &[NewDocument]) -> Vec<AppendOutcome> {
    let outcomes = engine.commit(&items(documents)).unwrap();
    outcomes
        .into_iter()
        .map(|outcome| match outcome {
            WriteOutcome::Append(outcome) => outcome,
            other => panic!("{other:?}"),
        })
        .collect()
}

type Row = (String, u32, u32, u32, i64);

fn rows(connection: &Connection, table: &str) -> Vec<Row> {
    let sql = format!("SELECT fn, fd, chain, conflict_no, seq FROM {table} ORDER BY seq, fn, fd");
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

/// The index is the journal, whatever lies where.
#[track_caller]
fn check_index(connection: &Connection) {
    assert_eq!(rows(connection, "journal_index"), rows(connection, "journal"));
}

/// Documents of three registers that come in order, out of order, again, and with other content.
fn traffic(count: u32) -> Vec<NewDocument> {
    let mut seed = 7_u32;
    let mut below = |limit: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % limit
    };
    (0..count)
        .map(|step| {
            let fn_text =
                [PLAIN_FN, "8710000100000002", "87100001", DEBUG_FN][usize::try_from(below(4)).unwrap()];
            let fd = 1 + (step / 6 + below(4)).saturating_sub(below(12));
            let form = if fd == 1 { 1 } else { 3 };
            // Mostly one content for each number; a debug ФН begins anew from time to time.
            let content = if below(8) == 0 { format!("other {}", below(3)) } else { "usual".to_owned() };
            if fn_text == DEBUG_FN && below(9) == 0 {
                return document(fn_text, 1, 1, &format!("begins anew {}", below(4)));
            }
            document(fn_text, fd, form, &content)
        })
        .collect()
}

/// Opens what a crash at this moment would leave, and lets it go on: with everything it has, and with what comes.
#[track_caller]
fn check_copy(path: &Path, model: &Model, sent: &[NewDocument], coming: &[NewDocument]) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("store.db");
    fs::copy(path, &copy).unwrap();
    fs::copy(disk::beside(path, "-wal"), disk::beside(&copy, "-wal")).unwrap();
    let mut engine = open(&copy);
    check_index(&engine.connection);
    let mut model = model.clone();
    let mut all = sent.to_vec();
    all.extend_from_slice(coming);
    let expected: Vec<_> = all.iter().map(|document| model.append(document)).collect();
    assert_eq!(append(&mut engine, &all), expected);
    engine.tend().unwrap();
    check_index(&engine.connection);
    while engine.follow(false).unwrap() {}
    check_index(&engine.connection);
    assert_eq!(engine.keys.unindexed(), 0);
    let again: Vec<_> = all.iter().map(|document| model.append(document)).collect();
    assert!(again.iter().all(|outcome| matches!(outcome, AppendOutcome::Repeat { .. })));
    assert_eq!(append(&mut engine, &all), again, "with everything in its place");
}

#[test]
fn every_document_is_known_after_a_crash_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut engine = open(&path);
    let (mut model, traffic) = (Model::default(), traffic(130));
    let (mut done, mut size, mut places) = (0, 1, BTreeMap::new());
    while done < traffic.len() {
        let until = (done + size).min(traffic.len());
        let batch = &traffic[done..until];
        let expected: Vec<_> = batch.iter().map(|document| model.append(document)).collect();
        assert_eq!(append(&mut engine, batch), expected);
        (done, size) = (until, size % 4 + 1);
        let coming = &traffic[done..(done + 5).min(traffic.len())];
        check_copy(&path, &model, &traffic[..done], coming);
        engine.tend().unwrap();
        check_copy(&path, &model, &traffic[..done], coming);
        // A pause now and then, cut short by the next batch.
        if size == 2 {
            engine.follow(false).unwrap();
            check_copy(&path, &model, &traffic[..done], coming);
        }
        for table in ["journal_keys", "journal_keys_even", "journal_keys_odd"] {
            let sql = format!("SELECT count(*) FROM {table}");
            let count: u32 = engine.connection.query_row(&sql, [], |row| row.get(0)).unwrap();
            let (least, most) = places.entry(table).or_insert((u32::MAX, 0));
            (*least, *most) = (count.min(*least), count.max(*most));
        }
    }
    // The way was through all tables, and those of runs were emptied again.
    assert!(places["journal_keys"].1 > 20, "{places:?}");
    assert!(places.values().skip(1).all(|(least, most)| *least == 0 && *most > 3), "{places:?}");
}

#[derive(Debug, Clone)]
enum Act {
    Append(Vec<NewDocument>),
    Tend,
    Follow,
    Reopen,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => prop::collection::vec(any_document(), 1..6).prop_map(Act::Append),
        4 => Just(Act::Tend),
        1 => Just(Act::Follow),
        1 => Just(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is done in whatever order, documents become what the plain list says.
    #[test]
    fn any_course(acts in prop::collection::vec(any_act(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let (mut engine, mut model) = (Some(open(&path)), Model::default());
        for act in acts {
            let open_engine = engine.get_or_insert_with(|| open(&path));
            match act {
                Act::Append(documents) => {
                    let expected: Vec<_> = documents.iter().map(|document| model.append(document)).collect();
                    prop_assert_eq!(append(open_engine, &documents), expected);
                }
                Act::Tend => open_engine.tend().unwrap(),
                Act::Follow => drop(open_engine.follow(false).unwrap()),
                Act::Reopen => engine = None,
            }
            let found = engine.get_or_insert_with(|| open(&path));
            check_index(&found.connection);
        }
    }
}

#[test]
fn what_others_write_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (mut one, mut other) = (open(&path), open(&path));
    let mut model = Model::default();
    for (step, document) in traffic(60).iter().enumerate() {
        // Both append and both let the keys follow, in turns of different lengths.
        let engine = if step % 7 < 3 { &mut one } else { &mut other };
        assert_eq!(append(engine, std::slice::from_ref(document)), [model.append(document)]);
        let follower = if step % 5 < 3 { &mut other } else { &mut one };
        follower.tend().unwrap();
        check_index(&one.connection);
    }
}

#[test]
fn a_batch_that_comes_to_nothing_leaves_nothing_in_memory() {
    let mut bench = Bench::new();
    bench.engine.keys.set_pace(small());
    let documents: Vec<_> = (1..=5).map(|fd| document(PLAIN_FN, fd, 3, "x")).collect();
    bench.append(&documents[..2]);
    let other = Connection::open(bench.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    bench.engine.connection.busy_timeout(Duration::ZERO).unwrap();
    let refused = bench.engine.commit(&items(&documents)).unwrap_err();
    assert!(matches!(refused, EngineError::Busy(_)), "{refused:?}");
    bench.engine.tend().unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    // A chain of conflicts past its end, a constraint, in the middle of a batch: the others are written anew.
    bench.sql().execute_batch("CREATE TRIGGER refuse BEFORE INSERT ON journal WHEN new.fd = 4 BEGIN SELECT RAISE(ABORT, 'no'); END").unwrap();
    let outcomes = bench.write(items(&documents));
    assert!(matches!(outcomes[3], WriteOutcome::Refused { .. }), "{outcomes:?}");
    bench.sql().execute_batch("DROP TRIGGER refuse").unwrap();
    let again: Vec<_> = [1, 2, 3, 4].map(|seq| (seq, if seq == 4 { 5 } else { seq })).into();
    for (seq, fd) in again {
        let known = document(PLAIN_FN, u32::try_from(fd).unwrap(), 3, "x");
        assert_eq!(bench.append(std::slice::from_ref(&known)), [repeat(seq, &known)]);
    }
    assert_eq!(bench.append(&documents[3..4]), [appended(5)]);
    bench.engine.tend().unwrap();
    check_index(bench.sql());
}

#[test]
fn commits_are_synced_again_after_a_step_without() {
    let mut bench = Bench::new();
    bench.engine.keys.set_pace(small());
    let synchronous = |bench: &Bench| -> i64 {
        bench.sql().pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap()
    };
    for fd in 1..=30 {
        bench.append(&[document(PLAIN_FN, fd, 3, "x")]);
        bench.engine.tend().unwrap();
        assert_eq!(synchronous(&bench), 2);
    }
    let other = Connection::open(bench.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    bench.engine.connection.busy_timeout(Duration::ZERO).unwrap();
    assert!(matches!(bench.engine.follow(false), Err(EngineError::Busy(_))));
    assert_eq!(synchronous(&bench), 2);
    other.execute_batch("ROLLBACK").unwrap();
    while bench.engine.follow(false).unwrap() {}
    assert_eq!((synchronous(&bench), bench.engine.keys.unindexed()), (2, 0));
}

#[test]
fn a_key_that_is_there_already_is_damage_and_not_passed_over() {
    let mut bench = Bench::new();
    bench.engine.keys.set_pace(small());
    bench.append(&[document(PLAIN_FN, 1, 3, "x")]);
    bench
        .sql()
        .execute(
            "INSERT INTO journal_keys (fn, fd, chain, conflict_no, seq) VALUES (?1, 1, 0, 0, 77)",
            [PLAIN_FN],
        )
        .unwrap();
    let Err(EngineError::Corrupt(words)) = bench.engine.follow(false) else { panic!("passed over") };
    assert!(words.contains("fiscald reindex"), "{words}");
}

#[test]
fn more_registers_than_are_remembered() {
    let mut bench = Bench::new();
    bench.engine.keys.set_pace(small());
    let mut model = Model::default();
    for round in 0..3_u32 {
        for register in 0..20_u32 {
            let sent = document(&format!("87100001000000{register:02}"), 1 + round, 3, "x");
            assert_eq!(bench.append(std::slice::from_ref(&sent)), [model.append(&sent)]);
            bench.engine.tend().unwrap();
        }
    }
    check_index(bench.sql());
}

/// A store with keys in every place.
fn spread() -> (Bench, Model) {
    let mut bench = Bench::new();
    bench.engine.keys.set_pace(small());
    let mut model = Model::default();
    let is_spread = |bench: &Bench| {
        let empty = ["journal_keys", "journal_keys_even", "journal_keys_odd"].iter().find(|table| {
            let sql = format!("SELECT NOT EXISTS (SELECT 1 FROM {table})");
            bench.sql().query_row(&sql, [], |row| row.get(0)).unwrap()
        });
        empty.is_none() && bench.engine.keys.unindexed() > 4
    };
    for sent in traffic(200) {
        if is_spread(&bench) {
            break;
        }
        assert_eq!(bench.append(std::slice::from_ref(&sent)), [model.append(&sent)]);
        bench.engine.tend().unwrap();
    }
    assert!(is_spread(&bench));
    (bench, model)
}

fn disagreements(bench: &Bench) -> Vec<String> {
    let room = room::Room::around(&bench.path(), 0);
    verify::index(bench.sql(), &room, &mut |_| {}).unwrap()
}

#[test]
fn an_index_that_does_not_agree_is_noticed_and_made_anew() {
    let check = |change: &str, words: &str| {
        let (mut bench, mut model) = spread();
        assert_eq!(disagreements(&bench), Vec::<String>::new());
        bench.sql().execute_batch(change).unwrap();
        let found = disagreements(&bench);
        assert!(found.first().is_some_and(|first| first.contains(words)), "{change}: {found:?}");
        let transaction = bench.engine.connection.transaction().unwrap();
        keys::check::rebuild(&transaction).unwrap();
        transaction.commit().unwrap();
        assert_eq!(disagreements(&bench), Vec::<String>::new(), "{change}");
        // The engine goes on with what it finds.
        for sent in traffic(30) {
            assert_eq!(bench.append(std::slice::from_ref(&sent)), [model.append(&sent)], "{change}");
            bench.engine.tend().unwrap();
        }
        check_index(bench.sql());
    };
    // The last one of a table is not merged yet.
    let last = "fn DESC, fd DESC, chain DESC, conflict_no DESC LIMIT 1";
    for table in ["journal_keys", "journal_keys_odd", "journal_keys_even"] {
        check(
            &format!("DELETE FROM {table} WHERE seq = (SELECT seq FROM {table} ORDER BY {last})"),
            "does not lead to",
        );
    }
    check("UPDATE journal_keys SET seq = seq + 1 WHERE fd = 1", "does not lead to");
    check(
        "INSERT INTO journal_keys (fn, fd, chain, conflict_no, seq) VALUES ('1', 1, 0, 0, 1)",
        "places for",
    );
}

#[test]
fn keys_that_somebody_put_right_are_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let fifth = document(PLAIN_FN, 5, 3, "x");
    let mut engine = open(&path);
    append(&mut engine, std::slice::from_ref(&fifth));
    while engine.follow(true).unwrap() {}
    drop(engine);
    // Damage took the key away, and the engine has learnt from the tables that there is nothing above the first.
    let other = Connection::open(&path).unwrap();
    other.execute("DELETE FROM journal_keys", []).unwrap();
    let mut engine = open(&path);
    append(&mut engine, &[document(PLAIN_FN, 1, 3, "x")]);
    keys::check::rebuild(&other).unwrap();
    let again = append(&mut engine, &[fifth]);
    assert!(matches!(again.as_slice(), [AppendOutcome::Repeat { seq: 1, .. }]), "{again:?}");
    check_index(&engine.connection);
}
