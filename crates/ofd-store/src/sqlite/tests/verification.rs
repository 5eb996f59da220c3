//! Everything is read anew, and what cannot be read is told in its place.

use super::room::Room;
use super::*;
use crate::care::{IntegrityDepth, VerifyRow};
use crate::records::{FindingSeverity, StoredFinding};
use crate::support::{PLAIN_FN, document};

/// Walks to the end by pages of at most `limit`.
fn walk(bench: &Bench, limit: usize) -> Vec<VerifyRow> {
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let page = rows::page(bench.db(), after, limit).unwrap();
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        let Some(next) = page.next else { return rows };
        assert!(next > after, "a page gets on");
        after = next;
    }
}

fn in_words(rows: &[VerifyRow]) -> Vec<String> {
    let words = rows.iter().map(|row| match row {
        VerifyRow::Document(document) => document.seq.to_string(),
        VerifyRow::Unreadable { seq, .. } => format!("{seq} unreadable"),
        VerifyRow::Missing { from, to } => format!("{from}-{to} missing"),
        VerifyRow::Elsewhere { seq, .. } => format!("{seq} elsewhere"),
    });
    words.collect()
}

/// A disk of which nothing has to stay free.
fn at_rest(bench: &Bench) -> Room {
    Room::around(&bench.path(), 0)
}

fn filled(documents: u32) -> Bench {
    let mut bench = Bench::new();
    let finding = StoredFinding {
        path: vec![1059],
        rule: "sum".to_owned(),
        severity: FindingSeverity::Soft,
        text: String::new(),
    };
    let documents = (1..=documents).map(|fd| NewDocument {
        // So large that few of them share a page.
        container: vec![7; 1000],
        opened: Some(fd.to_string().into_bytes()),
        findings: vec![finding.clone()],
        ..document(PLAIN_FN, fd, 3, "x")
    });
    bench.append(&documents.collect::<Vec<_>>());
    bench
}

#[test]
fn holes_and_unreadable_rows_do_not_hide_the_others() {
    let bench = filled(9);
    bench
        .sql()
        .execute_batch(
            "PRAGMA foreign_keys = OFF; DELETE FROM journal WHERE seq IN (1, 4, 5); \
             UPDATE journal SET forward = 9 WHERE seq = 7; UPDATE journal SET identity = x'00' WHERE seq = 8",
        )
        .unwrap();
    let words = ["1-1 missing", "2", "3", "4-5 missing", "6", "7 unreadable", "8 unreadable", "9"];
    for limit in [1, 3, 100] {
        assert_eq!(in_words(&walk(&bench, limit)), words);
    }
    for depth in [IntegrityDepth::Quick, IntegrityDepth::Full] {
        let mut steps = Vec::new();
        let wrong =
            verify::integrity(bench.sql(), &at_rest(&bench), depth, &mut |step| steps.push(step.to_owned()))
                .unwrap();
        assert_eq!(wrong, ["a row of findings has no row of journal"; 3], "{depth:?}");
        let tables: u16 = bench
            .sql()
            .query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(
            steps.len(),
            if depth == IntegrityDepth::Full { 2 } else { usize::from(tables) + 1 },
            "{steps:?}"
        );
    }
}

#[test]
fn a_sound_file_is_sound() {
    let bench = filled(9);
    for depth in [IntegrityDepth::Quick, IntegrityDepth::Full] {
        assert_eq!(
            verify::integrity(bench.sql(), &at_rest(&bench), depth, &mut |_| {}).unwrap(),
            [] as [&str; 0]
        );
    }
}

#[test]
fn a_damaged_page_hides_only_its_rows() {
    let bench = filled(40);
    // A leaf of the journal with rows in the middle, as the file has it.
    let sql = "SELECT pageno FROM dbstat WHERE name = 'journal' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 3";
    let (path, folder) = (bench.path(), bench.folder);
    // The writer reads the newest rows at its start, while their keys are in no table.
    let mut engine = bench.engine;
    while engine.follow(true).unwrap() {}
    drop(engine);
    let page = Connection::open(&path).unwrap().query_row(sql, [], |row| row.get::<_, i64>(0));
    let page = page.unwrap_or(0);
    assert!(page > 1, "the file has several leaves");
    damage::overwrite(&path, u64::try_from(page).unwrap());
    let engine = SqliteEngine::open(&path, ROOM, Opening::Start, OpenFiles::default()).unwrap();
    let bench = Bench { engine, folder };
    let words = in_words(&walk(&bench, 100));
    assert_eq!(words.len(), 40);
    let unreadable = words.iter().filter(|word| word.ends_with("unreadable")).count();
    assert!((1..10).contains(&unreadable), "{words:?}");
    for depth in [IntegrityDepth::Quick, IntegrityDepth::Full] {
        let wrong = verify::integrity(bench.sql(), &at_rest(&bench), depth, &mut |_| {}).unwrap();
        assert!(!wrong.is_empty(), "{depth:?}");
    }
}

/// More than any disk has.
const MORE_THAN_ANY_DISK: u64 = u64::MAX;

fn is_disk_low(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { why: Unavailability::DiskLow, detail } if detail.contains("given up"))
}

#[test]
fn a_check_gives_up_before_the_log_fills_the_disk() {
    let mut bench = filled(9);
    let reader = open_reader(&bench.path()).unwrap();
    for depth in [IntegrityDepth::Quick, IntegrityDepth::Full] {
        let room = Room::around(&bench.path(), MORE_THAN_ANY_DISK);
        // On a short disk under a store at rest it goes on: its end would free nothing.
        assert_eq!(verify::integrity(&reader, &room, depth, &mut |_| {}).unwrap(), [] as [&str; 0]);
        let first = if depth == IntegrityDepth::Quick { 10 } else { 500 };
        let mut fd = first;
        let mut grow = |_: &str| {
            fd += 1;
            bench.append(&[NewDocument {
                container: vec![7; 60_000],
                ..document("8710000200000009", fd, 3, "x")
            }]);
        };
        let error = verify::integrity(&reader, &room, depth, &mut grow).unwrap_err();
        assert!(is_disk_low(&error), "{depth:?}: {error}");
        assert_eq!(fd, first + 1, "{depth:?}: it ended at the first look");
        // With enough room a log that grows does not matter.
        let room = Room::around(&bench.path(), 1);
        assert!(verify::integrity(&reader, &room, depth, &mut |_| {}).is_ok());
        assert!(at_rest(&bench).check().is_ok());
    }
}

#[test]
fn a_statement_under_way_is_ended_when_the_disk_gets_short() {
    let mut bench = filled(1);
    let reader = open_reader(&bench.path()).unwrap();
    let room = Room::around(&bench.path(), MORE_THAN_ANY_DISK);
    let endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    let ended = room.watch(&reader, || {
        bench.append(&[document(PLAIN_FN, 2, 3, "x")]);
        Ok(reader.query_row(endless, [], |row| row.get::<_, i64>(0))?)
    });
    assert!(is_disk_low(&ended.unwrap_err()));
    // The connection is as good as before.
    assert_eq!(at_rest(&bench).watch(&reader, || documents::newest_seq(Db::from(&reader))), Ok(2));
    // A read that fails by itself says so.
    let room = Room::around(&bench.path(), 1);
    let failed = room.watch(&reader, || Ok(reader.query_row("SELECT nothing", [], |_| Ok(()))?));
    assert!(!is_disk_low(&failed.unwrap_err()));
}

#[test]
fn an_index_is_held_against_its_table_only_by_the_full_check() {
    let bench = filled(9);
    bench
        .sql()
        .execute_batch(
            "PRAGMA writable_schema = ON; \
             UPDATE sqlite_schema SET sql = replace(sql, 'code > 0', 'code >= 0') WHERE name = 'journal_refused'",
        )
        .unwrap();
    let reader = open_reader(&bench.path()).unwrap();
    let wrong = |depth| verify::integrity(&reader, &at_rest(&bench), depth, &mut |_| {}).unwrap();
    assert_eq!(wrong(IntegrityDepth::Quick), [] as [&str; 0]);
    assert!(wrong(IntegrityDepth::Full).iter().any(|sentence| sentence.contains("journal_refused")));
}
