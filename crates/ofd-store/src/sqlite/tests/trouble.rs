//! A log that grows, readers that hold it, damage, a full disk, a file that goes away.

use std::fs;

use super::*;
use crate::rows::DocumentFilter;
use crate::support::{PLAIN_FN, document};
use crate::{AppendOutcome, NewDocument};

fn open(path: &Path, opening: Opening) -> Result<SqliteEngine, StoreError> {
    SqliteEngine::open(path, ROOM, opening, OpenFiles::default())
}

/// A document of some eight pages.
fn large(fd: u32) -> NewDocument {
    NewDocument { container: vec![7; 32 << 10], ..document(PLAIN_FN, fd, 3, "x") }
}

impl Bench {
    fn log(&self) -> log::LogState {
        log::checkpoint(self.sql(), "NOOP").unwrap()
    }

    fn commit(&mut self, fd: u32) -> Result<Vec<WriteOutcome>, EngineError> {
        self.engine.commit(&[WriteItem::Document(Box::new(document(PLAIN_FN, fd, 3, "x")))])
    }
}

#[test]
fn a_long_log_is_copied_between_batches_as_far_as_readers_allow() {
    let mut bench = Bench::new();
    // In this thread, so that each step is done when it returns.
    bench.engine.log.aside_from_pages = log::LONG_FROM_PAGES;
    let mut fd = 0;
    let mut fill = |bench: &mut Bench, pages: i64| {
        while bench.log().pages < pages {
            let batch: Vec<_> = (fd + 1..=fd + 50).map(large).collect();
            fd += 50;
            bench.append(&batch);
        }
    };
    fill(&mut bench, 3000);
    bench.engine.tend().unwrap();
    assert_eq!(bench.log().copied, 0, "short enough");
    fill(&mut bench, 4000);
    assert_eq!(bench.log().copied, 0, "nobody copies behind our back");
    bench.engine.tend().unwrap();
    assert_eq!(bench.log().copied, bench.log().pages);
    bench.commit(90_001).unwrap();
    assert!(bench.log().pages < 100, "the log begins anew");

    let reader = Connection::open(bench.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM journal").unwrap();
    let seen = bench.log().pages;
    fill(&mut bench, 4000);
    bench.engine.tend().unwrap();
    assert!(bench.log().copied <= seen, "what the reader may need stays");
    reader.execute_batch("COMMIT").unwrap();
    bench.engine.tend().unwrap();
    assert_eq!(bench.log().copied, bench.log().pages);

    let log_bytes = |bench: &Bench| fs::metadata(disk::beside(&bench.path(), "-wal")).unwrap().len();
    reader.execute_batch("BEGIN; SELECT count(*) FROM journal").unwrap();
    fill(&mut bench, 8001);
    reader.execute_batch("COMMIT; BEGIN; SELECT count(*) FROM journal").unwrap();
    bench.engine.tend().unwrap();
    assert!(log_bytes(&bench) > 8000 * 4096, "a reader at the end of the log is not waited for");
    reader.execute_batch("COMMIT").unwrap();
    bench.engine.tend().unwrap();
    assert_eq!(log_bytes(&bench), 0, "a log that a reader has made large gives its room back");
    bench.commit(90_002).unwrap();
}

#[test]
fn an_open_reader_does_not_prevent_a_start_but_a_reopening_after_a_failure() {
    let mut bench = Bench::new();
    bench.commit(1).unwrap();
    let reader = Connection::open(bench.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM journal").unwrap();
    bench.commit(2).unwrap();
    let started = open(&bench.path(), Opening::Start).unwrap();
    assert_eq!(search::list(Db::from(&started.connection), &DocumentFilter::default(), 9).unwrap().len(), 2);
    let error = open(&bench.path(), AGAIN).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { why: Unavailability::Busy, .. }), "{error:?}");
    let hint = format!("fuser {}-wal", bench.path().display());
    assert!(error.to_string().contains(&hint), "{error}");
    reader.execute_batch("COMMIT").unwrap();
    open(&bench.path(), AGAIN).unwrap();
}

/// Overwrites the page at the root of a table or index.
fn damage(path: &Path, name: &str) {
    use std::os::unix::fs::FileExt as _;
    let root: u64 = {
        let connection = Connection::open(path).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        let root: i64 = connection.query_row(sql, [name], |row| row.get(0)).unwrap();
        u64::try_from(root).unwrap()
    };
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0xEE; 4096], (root - 1) * 4096).unwrap();
}

#[test]
fn damage_is_told_apart_and_seen_before_service_begins_again() {
    let check = |name: &str, opens: bool| {
        let mut bench = Bench::new();
        bench.commit(1).unwrap();
        let (path, folder) = (bench.path(), bench.folder);
        drop(bench.engine);
        damage(&path, name);
        match open(&path, AGAIN) {
            Ok(engine) => {
                assert!(opens, "{name}");
                let mut bench = Bench { engine, folder };
                let Err(EngineError::Corrupt(words)) = bench.commit(2) else { panic!("{name}") };
                assert!(words.contains("restore the store from a copy"), "{words}");
            }
            Err(error) => {
                assert!(!opens, "{name}: {error}");
                assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
            }
        }
    };
    check("journal", false);
    check("facts_version", false);
    check("journal_keys", true);
}

#[test]
fn a_store_without_its_indexes_is_refused_at_the_start() {
    let bench = Bench::new();
    bench.sql().execute_batch("DROP INDEX journal_others").unwrap();
    let (path, _folder) = (bench.path(), bench.folder);
    drop(bench.engine);
    let error = open(&path, Opening::Start).unwrap_err();
    assert!(error.to_string().contains("journal_others"), "{error}");
}

#[test]
fn missing_folders_are_made_for_a_new_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c/store.db");
    assert!(open(&path, Opening::Start).is_ok());
    assert!(open(&path, Opening::Start).is_ok());
    fs::write(folder.path().join("file"), "x").unwrap();
    assert!(open(&folder.path().join("file/b/store.db"), Opening::Start).unwrap_err().is_unavailable());
}

#[test]
fn a_full_disk_is_named_with_its_place() {
    let mut bench = Bench::new();
    let pages: i64 = bench.sql().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    bench.sql().pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    let error = bench.engine.commit(&[WriteItem::Document(Box::new(large(1)))]).unwrap_err();
    let EngineError::Failed(words) = error else { panic!("{error:?}") };
    let place = bench.path().display().to_string();
    assert!(words.contains(&place) && words.contains("MiB free"), "{words}");
}

#[test]
fn nothing_is_acknowledged_into_a_file_that_is_gone() {
    let log = |path: &Path| disk::beside(path, "-wal");
    type Act = Box<dyn Fn(&Path)>;
    let acts: [(&str, Act); 4] = [
        ("removed", Box::new(|path| fs::remove_file(path).unwrap())),
        ("moved away", Box::new(|path| fs::rename(path, path.with_extension("old")).unwrap())),
        (
            "replaced",
            Box::new(|path| {
                fs::copy(path, path.with_extension("copy")).unwrap();
                fs::rename(path.with_extension("copy"), path).unwrap();
            }),
        ),
        ("removed", Box::new(move |path| fs::remove_file(log(path)).unwrap())),
    ];
    for (word, act) in acts {
        let mut bench = Bench::new();
        assert!(bench.commit(1).is_ok());
        act(&bench.path());
        let Err(EngineError::Lost(words)) = bench.commit(2) else { panic!("{word}") };
        assert!(words.contains(word) && words.contains("restart"), "{words}");
    }
}

#[test]
fn a_log_without_its_store_is_left_alone() {
    let mut bench = Bench::new();
    bench.commit(1).unwrap();
    let path = bench.path();
    fs::rename(&path, path.with_extension("aside")).unwrap();
    let error = open(&path, Opening::Start).unwrap_err();
    assert!(error.to_string().contains("put the store back"), "{error}");
    assert!(!path.exists() && fs::metadata(disk::beside(&path, "-wal")).unwrap().len() > 0);
    fs::rename(path.with_extension("aside"), &path).unwrap();
    let found = open(&path, Opening::Start).unwrap();
    assert_eq!(search::list(Db::from(&found.connection), &DocumentFilter::default(), 9).unwrap().len(), 1);
}

#[test]
fn after_a_failure_only_the_same_file_is_opened() {
    let bench = Bench::new();
    let path = bench.path();
    let same = Opening::AfterFailure { same: SqliteEngine::file_id(&path) };
    drop(bench.engine);
    assert!(open(&path, same).is_ok(), "the log that a regular close removed is no loss");
    fs::rename(&path, path.with_extension("old")).unwrap();
    let error = open(&path, same).unwrap_err();
    assert!(
        matches!(error, StoreError::Unavailable { why: Unavailability::CannotOpen, .. }),
        "it may come back"
    );
    fs::copy(path.with_extension("old"), &path).unwrap();
    let error = open(&path, same).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { why: Unavailability::FileLost, .. }), "{error:?}");
}

#[test]
fn many_conflicts_cost_the_writer_no_more_than_few() {
    let mut bench = Bench::new();
    let conflict = |n: u32| document(PLAIN_FN, 1, 3, &n.to_string());
    let steps = |bench: &Bench, sql: &str, values: &[&dyn rusqlite::ToSql]| {
        let mut statement = bench.sql().prepare(sql).unwrap();
        let found = statement.query(values).unwrap().next().unwrap().is_some();
        assert!(found);
        statement.get_status(rusqlite::StatementStatus::VmStep)
    };
    let last = conflict(1);
    let costs = |bench: &mut Bench| {
        // Everything to its place first.
        while bench.engine.follow(true).unwrap() {}
        let bench = &*bench;
        [
            steps(bench, keys::FIRST, &[&PLAIN_FN, &1]),
            steps(bench, append::OTHER, &[&PLAIN_FN, &1, &last.identity]),
            steps(bench, keys::LAST_CONFLICT, &[&PLAIN_FN, &1, &0]),
        ]
    };
    bench.append(&(0..5).map(conflict).collect::<Vec<_>>());
    let few = costs(&mut bench);
    let outcomes = bench.append(&(5..=MAX_CONFLICTS).map(conflict).collect::<Vec<_>>());
    assert!(outcomes.iter().all(|outcome| matches!(outcome, AppendOutcome::Conflict { .. })));
    assert_eq!(costs(&mut bench), few);
    assert_eq!(bench.append(&[conflict(MAX_CONFLICTS)]), [repeat(101, &conflict(MAX_CONFLICTS))]);
}
