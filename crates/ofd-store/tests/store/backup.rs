//! A copy of a store that serves: complete, private, and never half there.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ofd_store::{
    AppendOutcome, BackupError, IntegrityDepth, JournalHandle, NewDocument, Reader, Store, StoreConfig,
    StoreError, Unavailability,
};

use crate::support::{PLAIN_FN, document, wait_until};
use crate::{GRACE, url};

fn open(folder: &Path) -> Store {
    Store::open(&StoreConfig { url: url(folder), ..StoreConfig::default() }).expect("a store")
}

fn reader(folder: &Path) -> Reader {
    Reader::open(&url(folder)).expect("a reader")
}

fn go_on(_: ofd_store::BackupProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A document of some size, so that a backup takes more than one step.
fn large(fn_text: &str, fd: u32) -> NewDocument {
    NewDocument { container: vec![7; 32 << 10], ..document(fn_text, fd, 3, "x") }
}

async fn append(journal: &JournalHandle, document: NewDocument) {
    let outcome = journal.append(document).await.expect("no trouble").await.expect("no trouble");
    assert!(matches!(outcome, AppendOutcome::Appended { .. }), "{outcome:?}");
}

/// What lies in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("no trouble")
        .map(|entry| entry.expect("no trouble").file_name().into_string().expect("no trouble"))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_under_load_holds_everything_acknowledged_before_it_began() {
    let (folder, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path());
    let (journal, stop) = (store.journal(), Arc::new(AtomicBool::new(false)));
    for fd in 1..=400 {
        append(&journal, large(PLAIN_FN, fd)).await;
    }
    let mut writers = Vec::new();
    for number in 0..4 {
        let (journal, stop) = (journal.clone(), Arc::clone(&stop));
        let fn_text = format!("871000020000000{number}");
        writers.push(tokio::spawn(async move {
            let mut fd = 0;
            while !stop.load(Ordering::SeqCst) {
                fd += 1;
                append(&journal, large(&fn_text, fd)).await;
            }
            fd
        }));
    }
    let (from, to) = (folder.path().to_path_buf(), aside.path().join("store.db"));
    let (copied, commits) = tokio::task::spawn_blocking(move || {
        let reader = reader(&from);
        let before = reader.export_page(0, &ofd_store::ExportFilter::default(), 10_000).unwrap().len();
        let (mut commits, mut done) = (0, 0);
        let report = reader.backup(&to, 0, &mut |progress| {
            assert!(progress.done_bytes >= done && progress.done_bytes <= progress.total_bytes);
            done = progress.done_bytes;
            // Between two steps the daemon commits: without one transaction over all of them the copy would begin anew
            // each time and never end.
            let newest = Reader::open(&url(&from)).unwrap();
            let counts = newest.summaries(&ofd_store::DocumentFilter::default(), 1).unwrap();
            let seen = counts.first().map_or(0, |row| row.seq);
            let deadline = Instant::now() + GRACE;
            while newest.summaries(&ofd_store::DocumentFilter::default(), 1).unwrap()[0].seq == seen {
                assert!(Instant::now() < deadline, "nobody commits any more");
                std::thread::yield_now();
            }
            commits += 1;
            ControlFlow::Continue(())
        });
        let report = report.unwrap();
        assert_eq!(done, report.bytes);
        assert!(usize::try_from(report.newest_seq).unwrap() >= before);
        (report, commits)
    })
    .await
    .unwrap();
    assert!(commits > 1, "the copy took several steps");
    stop.store(true, Ordering::SeqCst);
    let mut written = 400;
    for writer in writers {
        written += writer.await.unwrap();
    }
    // The log that grew meanwhile is cut after the backup.
    let log = folder.path().join("store.db-wal");
    wait_until("a short log", || fs::metadata(&log).unwrap().len() < 64 << 20).await;
    store.close(GRACE).await.unwrap();

    assert_eq!(names(aside.path()), ["store.db"], "one file and nothing beside it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(aside.path().join("store.db")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
    let copy = open(aside.path());
    let read = reader(aside.path());
    let counts = read.counts().unwrap();
    assert_eq!(i64::try_from(counts.documents).unwrap(), copied.newest_seq);
    assert!((400..u64::from(written)).contains(&counts.documents), "{counts:?} of {written}");
    assert_eq!(read.integrity_check(IntegrityDepth::Full, &mut |_| {}).unwrap(), [] as [&str; 0]);
    // A repeat gets its acknowledgement from the copy.
    for fd in [1, 400] {
        let sent = large(PLAIN_FN, fd);
        let outcome = copy.journal().append(sent.clone()).await.unwrap().await.unwrap();
        let AppendOutcome::Repeat { acknowledgement, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(acknowledgement, sent.acknowledgement);
    }
    copy.close(GRACE).await.unwrap();
}

/// A small closed store.
async fn small() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("no trouble");
    let store = open(folder.path());
    for fd in 1..=40 {
        append(&store.journal(), large(PLAIN_FN, fd)).await;
    }
    store.close(GRACE).await.expect("no trouble");
    folder
}

#[tokio::test]
async fn without_a_daemon_too_and_nothing_is_ever_replaced() {
    let (folder, aside) = (small().await, tempfile::tempdir().unwrap());
    let reader = reader(folder.path());
    let to = aside.path().join("copy.db");
    let taken = |path: PathBuf| {
        fs::write(&path, "mine").unwrap();
        let error = reader.backup(&to, 0, &mut go_on).unwrap_err();
        assert!(matches!(error, BackupError::Store(StoreError::Refused { .. })), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        fs::remove_file(&path).unwrap();
        assert_eq!(names(aside.path()), [] as [&str; 0]);
    };
    for name in ["copy.db", "copy.db-wal", "copy.db-shm", "copy.db-journal", ".copy.db.part"] {
        taken(aside.path().join(name));
    }
    let report = reader.backup(&to, 0, &mut go_on).unwrap();
    assert_eq!(report.newest_seq, 40);
    assert_eq!(fs::metadata(&to).unwrap().len(), report.bytes);
    let again = reader.backup(&to, 0, &mut go_on).unwrap_err();
    assert!(again.to_string().contains("never replaces"), "{again}");
    assert_eq!(names(aside.path()), ["copy.db"]);
    let copy = Reader::open(&format!("sqlite:{}", to.display())).unwrap();
    assert_eq!(copy.counts().unwrap(), reader.counts().unwrap());
}

#[tokio::test]
async fn an_unfinished_copy_vanishes() {
    let (folder, aside) = (small().await, tempfile::tempdir().unwrap());
    let reader = reader(folder.path());
    let to = aside.path().join("copy.db");
    let stopped = reader.backup(&to, 0, &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped, Err(BackupError::Stopped));
    assert_eq!(names(aside.path()), [] as [&str; 0]);
    let too_large = reader.backup(&to, u64::MAX, &mut go_on).unwrap_err();
    assert!(too_large.to_string().contains("have to stay free"), "{too_large}");
    assert_eq!(names(aside.path()), [] as [&str; 0]);
    for nowhere in [aside.path().join("no/copy.db"), aside.path().join("..")] {
        assert!(matches!(reader.backup(&nowhere, 0, &mut go_on), Err(BackupError::Store(_))), "{nowhere:?}");
    }
    // Somebody takes the name while the copy is made.
    let mut take = |_| {
        fs::write(&to, "mine").unwrap();
        ControlFlow::Continue(())
    };
    assert!(reader.backup(&to, 0, &mut take).unwrap_err().to_string().contains("never replaces"));
    assert_eq!((names(aside.path()), fs::read(&to).unwrap()), (vec!["copy.db".to_owned()], b"mine".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_gives_up_before_the_log_fills_the_disk_of_the_store() {
    let (folder, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path());
    let journal = store.journal();
    // More than one step of a copy.
    for fd in 1..=400 {
        append(&journal, large(PLAIN_FN, fd)).await;
    }
    let (from, to) = (folder.path().to_path_buf(), aside.path().join("copy.db"));
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        // No disk has as much; but a log that does not grow harms nobody.
        let reader = reader(&from).keeping_free(u64::MAX);
        reader.backup(&to, 0, &mut go_on).unwrap();
        fs::remove_file(&to).unwrap();
        let log_bytes = || fs::metadata(from.join("store.db-wal")).unwrap().len();
        let (mut fd, before) = (400, log_bytes());
        let error = reader.backup(&to, 0, &mut |_| {
            // First what was copied into the file is written over.
            while log_bytes() <= before {
                fd += 1;
                runtime.block_on(append(&journal, large(PLAIN_FN, fd)));
            }
            ControlFlow::Continue(())
        });
        let Err(BackupError::Store(StoreError::Unavailable { why, detail })) = error else {
            panic!("{error:?}")
        };
        assert!(why == Unavailability::DiskLow && detail.contains("given up"), "{why} {detail}");
        assert_eq!(names(to.parent().unwrap()), [] as [&str; 0]);
    })
    .await
    .unwrap();
    store.close(GRACE).await.unwrap();
}
