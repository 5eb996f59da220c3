//! Documents that were moved into a file: read from there, answered as before, moved whole whatever comes between.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ffd::ids::FnNumber;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::fixture::Place;
use crate::support::{DEBUG_FN, PLAIN_FN, document, fd_number, fn_number};
use crate::{
    AppendOutcome, Derived, DetachError, DetachOrder, DetachReport, DetachStep, ExportFilter, ExportRow,
    Forward, NewDocument, OpenedRow, Operator, Reader, StoreConfig, StoreError, VerifyRow, detach, migrate,
};

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Received on this day of 2025, at a time by its number.
fn on(day: &str, fd: u32, fn_text: &str, form: u16) -> NewDocument {
    let received_at = moment(&format!("2025-{day}T12:00:00Z"));
    let encrypted = fd.is_multiple_of(2);
    NewDocument {
        received_at: received_at + jiff::SignedDuration::from_secs(i64::from(fd)),
        forward: Forward::No,
        opened: encrypted.then(|| format!("opened {fn_text} {fd}").into_bytes()),
        container: vec![u8::try_from(fd % 250).unwrap(); 700],
        ..document(fn_text, fd, form, "x")
    }
}

/// Two shifts of a ФН in October and November, another ФН that fell silent in October, and a third one of November.
fn stocked() -> (Place, Vec<NewDocument>) {
    let mut place = Place::new();
    let mut documents = vec![on("10-01", 1, PLAIN_FN, 1), on("10-02", 2, PLAIN_FN, 2)];
    documents.extend((3..=12).map(|fd| on("10-02", fd, PLAIN_FN, 3)));
    // Other content under a known number, and a silent ФН whose last shift stays whole.
    documents.push(NewDocument { identity: [7; 32], ..on("10-02", 5, PLAIN_FN, 3) });
    documents
        .extend([(1, 2), (2, 3), (3, 5), (4, 2), (5, 3)].map(|(fd, form)| on("10-03", fd, DEBUG_FN, form)));
    documents.push(on("11-02", 13, PLAIN_FN, 2));
    documents.extend((14..=16).map(|fd| on("11-02", fd, PLAIN_FN, 3)));
    place.append(documents.clone());
    (place, documents)
}

/// Positions of which the bytes leave the store with November's beginning: all of October but the report, and the last
/// shift of the ФН that is silent since.
const MOVED: [i64; 15] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

fn order(to: &Path) -> DetachOrder<'_> {
    let before = moment("2025-11-01T00:00:00Z");
    DetachOrder { before, to, keep_free_bytes: 0, now: moment("2026-01-15T00:00:00Z") }
}

fn whole(place: &Place, to: &Path) -> Result<DetachReport, DetachError> {
    detach(place.url(), order(to), &mut |_| ControlFlow::Continue(()))
}

fn file_of(place: &Place) -> PathBuf {
    place.path().with_file_name("before-2025-11.db")
}

fn everything(place: &Place) -> Vec<ExportRow> {
    everything_at(place.url())
}

fn everything_at(url: &str) -> Vec<ExportRow> {
    let reader = Reader::open(url).unwrap();
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let page = reader.export_page(after, &ExportFilter::default(), 100).unwrap();
        let Some(last) = page.last() else { return rows };
        after = last.seq;
        rows.extend(page);
    }
}

fn emptied(place: &Place) -> Vec<i64> {
    let store = Connection::open(place.path()).unwrap();
    let mut statement = store
        .prepare("SELECT seq FROM journal WHERE container = x'' AND opened IS NULL ORDER BY seq")
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_was_moved_is_read_from_its_file_and_answered_as_before() {
    let (mut place, documents) = stocked();
    let (before, file) = (everything(&place), file_of(&place));
    let report = whole(&place, &file).unwrap();
    assert_eq!(report.moved, 15);
    let told = report.file.unwrap();
    assert_eq!((told.before.as_str(), told.from_seq, told.until_seq, told.documents), ("2025-11", 1, 18, 15));
    assert!(told.is_whole && told.path == file);
    assert_eq!(emptied(&place), MOVED);

    // Every reader.
    assert!(everything(&place) == before);
    let reader = Reader::open(place.url()).unwrap();
    assert_eq!(reader.detached_files().unwrap(), [told]);
    let of_number = reader.document(&fn_number(PLAIN_FN), fd_number(5)).unwrap();
    let rows: Vec<_> = of_number.iter().map(|row| (row.seq, row.container.len(), row.identity)).collect();
    assert_eq!(rows, [(5, 700, documents[4].identity), (13, 700, [7; 32])]);
    let page = reader.verify_page(0, 100).unwrap();
    assert!(page.rows.iter().all(|row| matches!(row, VerifyRow::Document(_))), "{page:?}");
    let mut seen = BTreeMap::new();
    let mut look = |row: &OpenedRow<'_>| -> Option<Derived> {
        seen.insert(row.seq, row.document.len());
        None
    };
    Operator::open(place.url()).unwrap().reindex_page(0, 100, &mut look).unwrap();
    assert_eq!(seen.values().filter(|length| **length == 0).count(), 0, "{seen:?}");
    let bodies = crate::tables::outbox::reading::bodies(place.look().db(), &[2, 3]).unwrap();
    assert_eq!(bodies[0].as_ref().unwrap().opened, format!("opened {PLAIN_FN} 2").as_bytes());
    assert_eq!(bodies[1].as_ref().unwrap().opened, vec![3; 658]);

    // Repeats by the stored acknowledgement, conflicts by their numbers, new ones behind the others.
    let outcomes = place.append(documents.clone());
    for ((seq, sent), outcome) in (1..).zip(&documents).zip(outcomes) {
        let acknowledgement = sent.acknowledgement.clone();
        assert_eq!(outcome, AppendOutcome::Repeat { seq, acknowledgement });
    }
    let conflict = NewDocument { identity: [8; 32], ..on("11-02", 5, PLAIN_FN, 3) };
    assert_eq!(place.append(vec![conflict]), [AppendOutcome::Conflict { seq: 23 }]);
    assert_eq!(reader.document(&fn_number(PLAIN_FN), fd_number(5)).unwrap()[2].conflict_no, 2);
    assert_eq!(place.append(vec![on("11-03", 17, PLAIN_FN, 3)]), [AppendOutcome::Appended { seq: 24 }]);
    let wrong = reader.integrity_check(crate::IntegrityDepth::Full, &mut |_| {}).unwrap();
    assert_eq!((wrong, reader.index_check(&mut |_| {}).unwrap()), (vec![], vec![]));
}

#[test]
fn what_reception_reads_of_a_register_stays() {
    let (place, _) = stocked();
    let histories = |place: &Place| {
        let reader = Reader::open(place.url()).unwrap();
        [PLAIN_FN, DEBUG_FN].map(|text: &str| reader.register_history(&fn_number(text), 100).unwrap())
    };
    let before = histories(&place);
    whole(&place, &file_of(&place)).unwrap();
    fs::remove_file(file_of(&place)).unwrap();
    assert_eq!(histories(&place), before);
    // A shift that was not opened reaches back to what was moved: there it is cut, and no file is asked for.
    place.look().batch("UPDATE journal SET form = 3 WHERE seq = 19");
    let reader = Reader::open(place.url()).unwrap();
    let history = reader.register_history(&fn_number(PLAIN_FN), 100).unwrap().unwrap();
    assert_eq!((history.shift.len(), history.cut, history.registration.is_some()), (4, true, true));
}

#[test]
fn a_move_that_is_killed_at_any_point_goes_on() {
    let (reference, _) = stocked();
    let expected = everything(&reference);
    let sum = whole(&reference, &file_of(&reference)).unwrap().file.unwrap().sha256;
    let mut steps = Vec::new();
    for stop_after in 0.. {
        let (mut place, documents) = stocked();
        let (file, mut told) = (file_of(&place), 0);
        let first = detach(place.url(), order(&file), &mut |progress| {
            told += 1;
            steps.push(progress.step);
            if told > stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let is_over = first.is_ok();
        assert!(is_over || first == Err(DetachError::Stopped), "{first:?}");
        // In the middle, everything is there and is answered; afterwards too.
        assert!(everything(&place) == expected, "{stop_after}");
        assert!(
            place.append(documents).iter().all(|outcome| matches!(outcome, AppendOutcome::Repeat { .. }))
        );
        if !is_over {
            whole(&place, &file).unwrap();
        }
        assert!(everything(&place) == expected, "{stop_after}");
        assert_eq!(emptied(&place), MOVED, "{stop_after}");
        let told = Reader::open(place.url()).unwrap().detached_files().unwrap();
        assert_eq!(told.iter().map(|file| (file.sha256, file.is_whole)).collect::<Vec<_>>(), [(sum, true)]);
        if is_over {
            break;
        }
    }
    use DetachStep::{Compared, Copied, Emptied, Made, Noted};
    for step in [Made, Noted, Copied, Compared, Emptied] {
        assert!(steps.contains(&step), "{step:?}");
    }
}

#[test]
fn what_must_not_be_moved_is_refused() {
    let check = |words: &str, meddle: &dyn Fn(&Place, &Path), change: &dyn Fn(&mut DetachOrder<'_>)| {
        let (place, _) = stocked();
        let file = file_of(&place);
        meddle(&place, &file);
        let mut order = order(&file);
        change(&mut order);
        let found = detach(place.url(), order, &mut |_| ControlFlow::Continue(()));
        match found {
            Err(DetachError::Store(error)) => assert!(error.to_string().contains(words), "{words}: {error}"),
            other => panic!("{words}: {other:?}"),
        }
        assert_eq!(emptied(&place), Vec::<i64>::new(), "{words}");
    };
    let sql = |text: &'static str| move |place: &Place, _: &Path| place.look().batch(text);
    let as_it_is = |_: &mut DetachOrder<'_>| {};
    let nothing = |_: &Place, _: &Path| {};
    check("too new", &nothing, &|order| order.now = moment("2025-11-30T23:59:59Z"));
    check("whole months", &nothing, &|order| order.before = moment("2025-11-01T00:00:01Z"));
    check("there already", &|_, file| fs::write(file, "a letter").unwrap(), &as_it_is);
    check("MiB have to stay", &nothing, &|order| order.keep_free_bytes = u64::MAX / 2);
    check("put in line", &sql("UPDATE journal SET forward = 1 WHERE seq = 3"), &as_it_is);
    const ROW: &str = "UPDATE outbox_cursors SET derived = 22; INSERT INTO outbox (seq, fn, fd, chain, kind, slot, \
         state, serial, attempts, created_at) VALUES (3, '8710000100000001', 3, 0, 3, 0, 0, 1, 0, 0); ";
    for (state, words) in
        [(0, "1 to be sent"), (1, "1 to be sent"), (2, "without a verdict"), (4, "soft"), (6, "dead")]
    {
        let meddle = |place: &Place, _: &Path| {
            place.look().batch(&format!("{ROW} UPDATE outbox SET state = {state}"));
        };
        check(words, &meddle, &as_it_is);
    }
    check("not known yet", &sql("INSERT INTO outbox_waiting (seq, fn) VALUES (4, 'x')"), &as_it_is);
    // Settled ones, and those of later months, are no hindrance.
    for state in [3, 5, 7] {
        let (place, _) = stocked();
        place.look().batch(&format!("{ROW} UPDATE outbox SET state = {state}"));
        place
            .look()
            .batch("UPDATE journal SET forward = 1 WHERE seq = 22; UPDATE outbox_cursors SET derived = 21");
        assert_eq!(whole(&place, &file_of(&place)).unwrap().moved, 15);
    }
}

#[test]
fn an_unfinished_move_is_gone_on_with_before_another_begins() {
    let (place, _) = stocked();
    let file = file_of(&place);
    let stop = &mut |progress: crate::DetachProgress| match progress.step {
        DetachStep::Emptied => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    assert_eq!(detach(place.url(), order(&file), stop), Err(DetachError::Stopped));
    let other = file.with_file_name("other.db");
    let error = whole(&place, &other).unwrap_err().to_string();
    assert!(
        error.contains("fiscald detach --before 2025-11 --to ") && error.contains("before-2025-11.db"),
        "{error}"
    );
    assert!(!other.exists());
    whole(&place, &file).unwrap();
    // Nothing is left for the same month; a later one takes a file of its own.
    let again = whole(&place, &other).unwrap();
    assert_eq!((again.file, again.moved, other.exists()), (None, 0, false));
    let later = DetachOrder { before: moment("2025-12-01T00:00:00Z"), ..order(&file) };
    let error = detach(place.url(), later, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("there already"), "{error}");
    let report =
        detach(place.url(), DetachOrder { to: &other, ..later }, &mut |_| ControlFlow::Continue(())).unwrap();
    let told = report.file.unwrap();
    // The newest shift stays.
    assert_eq!((told.from_seq, told.until_seq, report.moved), (19, 22, 0));
    assert_eq!(everything(&place).len(), 22);
}

#[test]
fn a_file_that_is_gone_or_another_is_named_and_is_no_damage() {
    let (place, _) = stocked();
    let (before, file) = (everything(&place), file_of(&place));
    whole(&place, &file).unwrap();
    let aside = file.with_file_name("aside.db");
    fs::rename(&file, &aside).unwrap();
    let check = |words: &str| {
        let reader = Reader::open(place.url()).unwrap();
        let error = reader.export_page(0, &ExportFilter::default(), 100).unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, StoreError::Elsewhere { .. }), "{said}");
        assert!(said.contains("documents received before 2025-11 lie in ") && said.contains(words), "{said}");
        let page = reader.verify_page(0, 100).unwrap();
        let elsewhere: Vec<i64> = page
            .rows
            .iter()
            .filter_map(|row| match row {
                VerifyRow::Document(_) => None,
                VerifyRow::Elsewhere { seq, why } if why.contains(words) => Some(*seq),
                other => panic!("{words}: {other:?}"),
            })
            .collect();
        assert_eq!((elsewhere, page.rows.len()), (MOVED.to_vec(), 22), "{words}");
        // Lists and repeats ask for no file.
        let known: FnNumber = fn_number(PLAIN_FN);
        let filter = crate::DocumentFilter { fn_number: Some(known), ..crate::DocumentFilter::default() };
        assert_eq!(reader.summaries(&filter, 100).unwrap().len(), 17);
    };
    check("which is not there");
    fs::write(&file, "a letter to somebody, which is no database at all").unwrap();
    check("cannot be read");
    let (other, _) = stocked();
    whole(&other, &file_of(&other)).unwrap();
    fs::copy(file_of(&other), &file).unwrap();
    check("is another file");
    fs::copy(&aside, &file).unwrap();
    Connection::open(&file).unwrap().execute_batch("DELETE FROM documents").unwrap();
    check("which lacks position ");
    // Put back, or beside a store that was taken elsewhere.
    fs::rename(&aside, &file).unwrap();
    assert!(everything(&place) == before);
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("store.db");
    let reader = Reader::open(place.url()).unwrap();
    reader.backup(&copy, 0, &mut |_| ControlFlow::Continue(())).unwrap();
    fs::rename(&file, elsewhere.path().join(file.file_name().unwrap())).unwrap();
    assert!(everything_at(&format!("sqlite:{}", copy.display())) == before);
}

#[test]
fn freed_pages_are_used_before_the_file_grows() {
    let mut place = Place::new();
    let of = |day: &str, fds: std::ops::RangeInclusive<u32>| -> Vec<NewDocument> {
        fds.map(|fd| on(day, fd, PLAIN_FN, 3)).collect()
    };
    place.append(of("10-02", 1..=400));
    let report = whole(&place, &file_of(&place)).unwrap();
    assert_eq!(report.moved, 399);
    assert!(report.free_bytes > report.store_bytes / 3, "{report:?}");
    place.append(of("11-02", 401..=500));
    let pages = place.look().number("PRAGMA page_count");
    assert_eq!(pages * 4096, i64::try_from(report.store_bytes).unwrap());
}

#[test]
fn a_store_moves_to_a_server_with_what_was_detached() {
    let (place, _) = stocked();
    let (before, file) = (everything(&place), file_of(&place));
    whole(&place, &file).unwrap();
    let copy = file.with_file_name("copy.db");
    Reader::open(place.url()).unwrap().backup(&copy, 0, &mut |_| ControlFlow::Continue(())).unwrap();
    let cluster = pg_testing::shared_without_sync();
    let config = StoreConfig { url: cluster.url(&cluster.create_database()), ..StoreConfig::default() };
    let migrated =
        || migrate(&format!("sqlite:{}", copy.display()), &config, &mut |_| ControlFlow::Continue(()));
    let aside = file.with_file_name("aside.db");
    fs::rename(&file, &aside).unwrap();
    let error = migrated().unwrap_err().to_string();
    assert!(error.contains("documents received before 2025-11 lie in "), "{error}");
    fs::rename(&aside, &file).unwrap();
    assert_eq!(migrated().unwrap().documents, 22);
    assert!(everything_at(&config.url) == before);
}
