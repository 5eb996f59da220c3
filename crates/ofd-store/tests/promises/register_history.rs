//! Histories: which documents of a ФН are given out, and that only its newest chain counts.

use super::*;
use crate::NewDocument;
use crate::support::{DEBUG_FN, PLAIN_FN, document};

promises!(
    the_newest_shift_and_the_report_before_it,
    a_document_that_is_not_what_it_claims_says_nothing,
    without_an_opening_it_begins_where_the_store_does,
    only_the_newest_chain_counts,
    it_is_bounded_by_bytes_too,
    an_open_container_is_cut_out_of_its_frame,
);

/// A document whose opened form is its name.
fn named(fn_text: &str, fd: u32, form: u16, name: &str) -> NewDocument {
    NewDocument { opened: Some(name.as_bytes().to_vec()), ..document(fn_text, fd, form, name) }
}

/// Registration if any, documents of the shift, whether the beginning is missing.
type Expected<'e> = Option<(Option<&'e str>, &'e [&'e str], bool)>;

#[track_caller]
fn check(bench: &Bench, fn_text: &str, most: usize, expected: Expected<'_>) {
    let found = bench.reader().register_history(fn_text, most);
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let found = found.map(|found| {
        (found.registration.as_ref().map(text), found.shift.iter().map(text).collect::<Vec<_>>(), found.cut)
    });
    let expected = expected.map(|(registration, shift, cut)| {
        (registration.map(str::to_owned), shift.iter().map(|name| (*name).to_owned()).collect(), cut)
    });
    assert_eq!(found, expected, "{fn_text}, at most {most}");
}

fn the_newest_shift_and_the_report_before_it(on: On) {
    let mut bench = Bench::new(on);
    check(&bench, PLAIN_FN, 10, None);
    bench.append(&[named(PLAIN_FN, 1, 1, "report")]);
    check(&bench, PLAIN_FN, 10, Some((None, &["report"], false)));
    bench.append(&[
        named(PLAIN_FN, 2, 2, "open 1"),
        named(PLAIN_FN, 3, 5, "close 1"),
        named(PLAIN_FN, 4, 11, "change"),
    ]);
    check(&bench, PLAIN_FN, 10, Some((Some("report"), &["open 1", "close 1", "change"], false)));
    bench.append(&[
        named(PLAIN_FN, 5, 2, "open 2"),
        named(PLAIN_FN, 6, 3, "first"),
        // Out of order, as a repaired register sends them.
        named(PLAIN_FN, 9, 3, "third"),
        named(PLAIN_FN, 8, 3, "second"),
        named(PLAIN_FN, 6, 3, "another first"),
        // A report that nobody can have meant: it does not count.
        NewDocument { opened: Some(b"disputed".to_vec()), ..document(PLAIN_FN, 4, 1, "disputed") },
    ]);
    let shift = ["open 2", "first", "second", "third"];
    check(&bench, PLAIN_FN, 10, Some((Some("change"), &shift, false)));
    check(&bench, PLAIN_FN, 4, Some((Some("change"), &shift, false)));
    check(&bench, PLAIN_FN, 3, Some((Some("change"), &shift[1..], true)));
    check(&bench, PLAIN_FN, 0, Some((Some("change"), &shift[3..], true)));
    check(&bench, "8710000100000002", 10, None);
}

/// As one that is not what its container says, or that could not be read.
fn strange(mut document: NewDocument, rule: &str, code: u8) -> NewDocument {
    let finding = crate::StoredFinding {
        path: vec![1040],
        rule: rule.to_owned(),
        severity: crate::FindingSeverity::Hard,
        text: String::new(),
    };
    document.findings = vec![finding];
    NewDocument { code, ..document }
}

fn a_document_that_is_not_what_it_claims_says_nothing(on: On) {
    let mut bench = Bench::new(on);
    bench.append(&[strange(named(PLAIN_FN, 1, 1, "foreign"), "identity.fn", 14)]);
    check(&bench, PLAIN_FN, 10, None);
    bench.append(&[
        named(PLAIN_FN, 2, 1, "report"),
        named(PLAIN_FN, 3, 2, "open"),
        strange(named(PLAIN_FN, 4, 3, "wrong sum"), "sum.items", 14),
        strange(named(PLAIN_FN, 5, 2, "other number"), "identity.fd", 14),
        named(PLAIN_FN, 6, 3, "receipt"),
        NewDocument { code: 11, ..named(PLAIN_FN, 7, 2, "unreadable") },
    ]);
    check(&bench, PLAIN_FN, 10, Some((Some("report"), &["open", "wrong sum", "receipt"], false)));
    bench.append(&[
        strange(named(PLAIN_FN, 8, 11, "other form"), "identity.form", 14),
        named(PLAIN_FN, 9, 2, "open 2"),
    ]);
    check(&bench, PLAIN_FN, 10, Some((Some("report"), &["open 2"], false)));
}

fn without_an_opening_it_begins_where_the_store_does(on: On) {
    let mut bench = Bench::new(on);
    bench.append(&[named(PLAIN_FN, 700, 3, "a"), named(PLAIN_FN, 701, 3, "b")]);
    check(&bench, PLAIN_FN, 10, Some((None, &["a", "b"], true)));
}

fn only_the_newest_chain_counts(on: On) {
    let mut bench = Bench::new(on);
    bench.append(&[
        named(DEBUG_FN, 1, 1, "report a"),
        named(DEBUG_FN, 2, 2, "open a"),
        named(DEBUG_FN, 3, 3, "receipt a"),
        named(DEBUG_FN, 1, 1, "report b"),
    ]);
    check(&bench, DEBUG_FN, 10, Some((None, &["report b"], false)));
    bench.append(&[named(DEBUG_FN, 2, 2, "open b"), named(DEBUG_FN, 4, 3, "receipt b")]);
    check(&bench, DEBUG_FN, 10, Some((Some("report b"), &["open b", "receipt b"], false)));
}

fn it_is_bounded_by_bytes_too(on: On) {
    let mut bench = Bench::new(on);
    // The bound is 4096 bytes in tests; the document that passes it is the last one taken.
    let large =
        |fd, form| NewDocument { opened: Some(vec![b'x'; 1500]), ..document(PLAIN_FN, fd, form, "x") };
    bench.append(&[large(1, 1), large(2, 2), large(3, 3), large(4, 3)]);
    let found = bench.reader().register_history(PLAIN_FN, 10).unwrap();
    assert_eq!((found.shift.len(), found.cut, found.registration.is_some()), (3, false, true));
    bench.append(&[large(5, 3)]);
    let found = bench.reader().register_history(PLAIN_FN, 10).unwrap();
    assert_eq!((found.shift.len(), found.cut, found.registration.is_some()), (3, true, true));
}

fn an_open_container_is_cut_out_of_its_frame(on: On) {
    let mut bench = Bench::new(on);
    let container = [[0xA5; 32].as_slice(), b"tlv", &[0; 10]].concat();
    bench.append(&[NewDocument { container, ..document(PLAIN_FN, 1, 1, "x") }]);
    check(&bench, PLAIN_FN, 1, Some((None, &["tlv"], false)));
}
