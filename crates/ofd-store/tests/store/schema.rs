//! Files of every earlier version open, and files that are not ours or newer do not.

use std::fs;
use std::path::Path;

use ofd_store::{
    Announced, AppendOutcome, DocumentFilter, ExportFilter, FindingFilter, FindingSeverity, KktKey, Operator,
    QuarantineFilter, Reader, RegisterAdd, RegistrationState, RegistryReader, Standing, Store, StoreConfig,
    StoreError, TaskFilter, TaskKind,
};
use rusqlite::Connection;

use crate::support::{document, fd_number, fn_number, moment};
use crate::{GRACE, url};

/// One text per released version (3 never was one by itself); a new version adds its own.
const EARLIER: &[(i64, &str)] = &[
    (1, include_str!("data/schema-v1.sql")),
    (2, include_str!("data/schema-v2.sql")),
    (4, include_str!("data/schema-v4.sql")),
    (5, include_str!("data/schema-v5.sql")),
    (6, include_str!("data/schema-v6.sql")),
    (7, include_str!("data/schema-v7.sql")),
];

fn config(folder: &Path) -> StoreConfig {
    StoreConfig { url: url(folder), ..StoreConfig::default() }
}

fn raw(folder: &Path) -> Connection {
    Connection::open(folder.join("store.db")).expect("a file")
}

/// Everything the file says about its tables and indexes.
fn schema_of(folder: &Path) -> Vec<String> {
    let connection = raw(folder);
    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")
        .expect("a schema");
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    rows.map(|row| row.expect("text")).collect()
}

fn pragma(folder: &Path, name: &str) -> i64 {
    raw(folder).pragma_query_value(None, name, |row| row.get(0)).expect("a number")
}

async fn open_and_close(folder: &Path) {
    Store::open(&config(folder)).expect("a store").close(GRACE).await.expect("closed");
}

#[tokio::test]
async fn a_file_of_every_earlier_version_opens_and_works() {
    let fresh = tempfile::tempdir().unwrap();
    open_and_close(fresh.path()).await;
    for &(version, text) in EARLIER {
        let folder = tempfile::tempdir().unwrap();
        raw(folder.path()).execute_batch(text).unwrap();
        assert_eq!(pragma(folder.path(), "user_version"), version, "the text says which version it is");

        let store = Store::open(&config(folder.path())).unwrap();
        assert_eq!(
            store.facts().standing(&fn_number("9999078900000001"), moment(0)).standing,
            Standing::Known
        );
        // The last document of the text is the newest, whether or not a clock was confirmed before it.
        assert_eq!(store.newest_acknowledged().unwrap(), Some(moment(5_000_000)));
        let confirmed = store.clock_confirmations().borrow().map(|confirmation| confirmation.after_seq);
        assert_eq!(confirmed, (version >= 2).then_some(2));
        let stranger = fn_number("8710000100000099");
        assert_eq!(store.facts().announced(&stranger, "0077", None, moment(0)), Announced::Yes);
        // The stored acknowledgement of a repeat, then a new document.
        let mut known = document("9999078900000001", 2, 3, "");
        known.identity = sha256(b"b");
        let pending = store.journal().append(known).await.unwrap();
        let acknowledgement = b"acknowledgement b".to_vec();
        assert_eq!(pending.await, Ok(AppendOutcome::Repeat { seq: 2, acknowledgement }));
        let new = document("9999078900000001", 3, 3, "new");
        let pending = store.journal().append(new).await.unwrap();
        assert_eq!(pending.await, Ok(AppendOutcome::Appended { seq: 6 }));
        store.close(GRACE).await.unwrap();

        let reader = Reader::open(&url(folder.path())).unwrap();
        check_rows(&reader);
        let detached = reader.detached_files().unwrap();
        assert_eq!(
            detached.iter().map(|file| file.until_seq).collect::<Vec<_>>(),
            vec![1; usize::from(version >= 7)]
        );
        check_registrations(&RegistryReader::open(&url(folder.path())).unwrap(), version);
        assert_eq!(schema_of(folder.path()), schema_of(fresh.path()), "upgraded from {version}");
    }
    assert_eq!(Some(pragma(fresh.path(), "user_version")), EARLIER.last().map(|(version, _)| *version));
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

/// What the texts hold (each the same as the one before and some more), and the document added above.
fn check_rows(reader: &Reader) {
    let rows = reader.export_page(0, &ExportFilter::default(), 100).expect("rows");
    let places: Vec<_> =
        rows.iter().map(|row| (row.seq, row.fd_number.get(), row.chain, row.conflict_no)).collect();
    assert_eq!(places, [(1, 1, 0, 0), (2, 2, 0, 0), (3, 2, 0, 1), (4, 1, 1, 0), (5, 5, 0, 0), (6, 3, 1, 0)]);
    let debug = fn_number("9999078900000001");
    let found = reader.document(&debug, fd_number(2)).expect("rows");
    let first = found.first().expect("a document");
    assert_eq!((first.code, first.flk_mark), (14, true));
    assert_eq!(first.opened.as_deref(), Some(b"opened b".as_slice()));
    assert_eq!(first.derived.fiscal_sign, Some(3_000_000_000));
    let finding = first.findings.first().expect("a finding");
    assert_eq!((finding.path.as_slice(), finding.severity), ([1059, 1079].as_slice(), FindingSeverity::Hard));
    let register = reader.register(&debug).expect("rows").expect("a register");
    assert_eq!((register.kkt_serial.as_deref(), register.source.as_str()), (Some("0042"), "report"));
    assert_eq!(reader.registers().expect("rows").len(), 2);
    let held = reader.quarantine(&QuarantineFilter::default(), 10).expect("rows");
    assert_eq!(held.first().map(|row| row.container.as_slice()), Some(b"held".as_slice()));
    let counts = reader.counts().expect("rows");
    assert_eq!((counts.documents, counts.conflicts, counts.quarantine), (6, 1, 1));
    check_searches(reader);
}

/// Tasks of reception moved to where all tasks are; what an operator stated is a register from the first step of the
/// registration on, what reported is left to the follower of the journal.
fn check_registrations(reader: &RegistryReader, version: i64) {
    let filter = TaskFilter { kind: Some(TaskKind::Conflict), ..TaskFilter::default() };
    let tasks = reader.tasks(&filter, 10).expect("rows");
    assert_eq!(tasks.iter().map(|task| task.seq).collect::<Vec<_>>(), [Some(3)]);
    let stated = reader.kkt(KktKey::Serial("0077")).expect("rows").expect("a register");
    assert_eq!((stated.state, stated.line_id), (RegistrationState::Contracted, None));
    let reports = reader.reports_after(0, 10).expect("rows");
    assert_eq!(reports.iter().map(|report| report.seq).collect::<Vec<_>>(), [1, 4]);
    let under_contract = reader.kkt(KktKey::Serial("0099")).expect("rows");
    let states = reader.state_counts().expect("rows");
    if version < 4 {
        assert_eq!((under_contract, reader.cursors().expect("cursors").reports), (None, 0));
        assert_eq!(states, [(RegistrationState::Contracted, 1)]);
        return;
    }
    let kkt = under_contract.expect("a register");
    assert_eq!((kkt.state, kkt.rnm_confirmed), (RegistrationState::Linked, true));
    let card = reader.card(kkt.card_id.expect("a card")).expect("rows").expect("a card");
    assert_eq!((card.key.as_str(), card.kkt_id), ("SIM-1", Some(kkt.id)));
    assert_eq!(reader.line_of("0099", "7704358518").expect("rows").and_then(|line| line.rnm), kkt.rnm);
    assert_eq!(reader.fn_history(kkt.id).expect("rows").len(), 1);
    assert_eq!(reader.cursors().expect("cursors").reports, 1);
    assert_eq!(reader.recalled_cards().expect("rows"), (version >= 5).then_some(0));
}

/// What the indexes of later versions lead to in rows of earlier ones.
fn check_searches(reader: &Reader) {
    let history =
        reader.register_history(&fn_number("9999078900000001"), 10).expect("rows").expect("a history");
    // Too short for a container, so there is no document in them.
    assert_eq!((history.registration, history.shift.len(), history.cut), (None, 2, false));
    let check = |filter: DocumentFilter, expected: &[i64]| {
        let rows = reader.summaries(&filter, 10).expect("rows");
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), expected, "{filter:?}");
    };
    let rule = FindingFilter::Rule("identity.time".to_owned());
    check(DocumentFilter { findings: Some(rule), ..DocumentFilter::default() }, &[2]);
    check(DocumentFilter { code: Some(14), ..DocumentFilter::default() }, &[2]);
    check(DocumentFilter { conflicts_only: true, ..DocumentFilter::default() }, &[3]);
}

#[tokio::test]
async fn a_newer_file_is_refused_by_everybody_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    open_and_close(folder.path()).await;
    let newer = pragma(folder.path(), "user_version") + 1;
    raw(folder.path()).pragma_update(None, "user_version", newer).unwrap();
    let before = fs::read(folder.path().join("store.db")).unwrap();
    let refused = [
        Store::open(&config(folder.path())).err(),
        Reader::open(&url(folder.path())).err(),
        Operator::open(&url(folder.path())).err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(StoreError::NewerSchema { found, .. }) if i64::from(found) == newer));
    }
    assert_eq!(fs::read(folder.path().join("store.db")).unwrap(), before);
}

#[tokio::test]
async fn an_older_file_is_upgraded_only_by_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    open_and_close(folder.path()).await;
    raw(folder.path()).pragma_update(None, "user_version", 0).unwrap();
    for error in [Reader::open(&url(folder.path())).err(), Operator::open(&url(folder.path())).err()] {
        let Some(StoreError::Refused { reason }) = error else { panic!("{error:?}") };
        assert!(reason.contains("version 0") && reason.contains("start `fiscald serve` once"), "{reason}");
    }
}

#[tokio::test]
async fn files_of_others_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let others: [Box<dyn Fn()>; 3] = [
        Box::new(|| raw(folder.path()).execute_batch("CREATE TABLE t (x)").unwrap()),
        Box::new(|| {
            raw(folder.path()).execute_batch("PRAGMA application_id = 77; CREATE TABLE t (x)").unwrap()
        }),
        Box::new(|| fs::write(&path, "Дорогой дневник! ".repeat(100)).unwrap()),
    ];
    for make in others {
        make();
        let before = fs::read(&path).unwrap();
        let refused = [
            Store::open(&config(folder.path())).err(),
            Reader::open(&url(folder.path())).err(),
            Operator::open(&url(folder.path())).err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(StoreError::ForeignFile { .. })), "{error:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn folder_and_file_are_made_for_the_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let (deep, url) =
        (folder.path().join("a/b"), format!("sqlite:{}", folder.path().join("a/b/s.db").display()));
    assert!(Reader::open(&url).unwrap_err().is_unavailable());
    let error = Operator::open(&url).unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("`fiscald serve` makes one"), "{error}");
    assert!(!folder.path().join("a").exists(), "neither a reader nor an operator makes anything");
    let store = Store::open(&StoreConfig { url: url.clone(), ..StoreConfig::default() }).unwrap();
    let mut operator = Operator::open(&url).unwrap();
    let by_serial = RegisterAdd { kkt_serial: Some("0042".to_owned()), ..RegisterAdd::default() };
    operator.register_add(&by_serial).unwrap();
    assert!(matches!(operator.register_add(&RegisterAdd::default()), Err(StoreError::Refused { .. })));
    let reader = Reader::open(&url).unwrap();
    assert_eq!(reader.registers().unwrap().len(), 1);
    assert_eq!(reader.documents(&DocumentFilter::default(), 10).unwrap(), []);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&deep), 0o700);
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        for name in ["s.db", "s.db-wal", "s.db-shm"] {
            assert_eq!(mode(&deep.join(name)), 0o600, "{name}");
        }
    }
    store.close(GRACE).await.unwrap();
}
