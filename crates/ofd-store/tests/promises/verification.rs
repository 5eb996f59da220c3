//! Everything is read anew, and what cannot be read is told in its place.

use super::*;
use crate::care::VerifyRow;
use crate::records::{FindingSeverity, NewDocument, StoredFinding};
use crate::rows::DocumentFilter;
use crate::support::{PLAIN_FN, document};

promises!(every_row_with_everything, unreadable_rows_do_not_hide_the_others);

/// Walks to the end by pages of at most `limit`.
fn walk(bench: &Bench, limit: usize) -> Vec<VerifyRow> {
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let page = bench.reader().verify_page(after, limit);
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
        VerifyRow::Unreadable { .. } => "unreadable".to_owned(),
        VerifyRow::Missing { from, to } => format!("{from}-{to} missing"),
        VerifyRow::Elsewhere { seq, .. } => format!("{seq} elsewhere"),
    });
    words.collect()
}

fn filled(on: On, documents: u32) -> Bench {
    let mut bench = Bench::new(on);
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

fn every_row_with_everything(on: On) {
    let bench = filled(on, 20);
    let mut whole = bench.reader().documents(&DocumentFilter::default(), 100);
    whole.reverse();
    for limit in [1, 7, 20, 100] {
        let rows = walk(&bench, limit).into_iter().map(|row| match row {
            VerifyRow::Document(document) => *document,
            other => panic!("{other:?}"),
        });
        assert_eq!(rows.collect::<Vec<_>>(), whole, "by {limit}");
    }
    // The bound is 4096 bytes in tests, and three rows are read at once.
    assert_eq!(bench.reader().verify_page(0, 100).rows.len(), 6);
    assert_eq!(Bench::new(on).reader().verify_page(0, 10), crate::VerifyPage::default());
}

fn unreadable_rows_do_not_hide_the_others(on: On) {
    let bench = filled(on, 9);
    bench.execute(&format!("UPDATE journal SET forward = 9 WHERE seq = {}", bench.at(7)));
    bench.execute(&format!("UPDATE journal SET form = -1 WHERE seq = {}", bench.at(8)));
    let words = ["1", "2", "3", "4", "5", "6", "unreadable", "unreadable", "9"];
    for limit in [1, 3, 100] {
        assert_eq!(in_words(&walk(&bench, limit)), words);
    }
}
