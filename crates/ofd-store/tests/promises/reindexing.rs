//! Columns and tables taken out of the documents anew.

use super::*;
use crate::care::{OpenedRow, RebuiltTables, ReindexPage};
use crate::records::{Derived, NewDocument, RegisterAdd, RegisterReport};
use crate::rows::DocumentFilter;
use crate::support::{DEBUG_FN, PLAIN_FN, document, fn_number, moment, registration};

promises!(
    columns_come_out_as_the_function_says,
    pages_are_bounded_by_bytes,
    tables_follow_the_journal_and_keep_an_operators_word,
);

fn columns_come_out_as_the_function_says(on: On) {
    let mut bench = Bench::new(on);
    let fine = Derived { shift: Some(1), total_kopecks: Some(100), ..Derived::default() };
    let documents = (1..=30).map(|fd| NewDocument {
        opened: Some(format!("document {fd}").into_bytes()),
        derived: if fd % 3 == 0 { Derived::default() } else { fine.clone() },
        ..document(PLAIN_FN, fd, 3, "x")
    });
    bench.append(&documents.collect::<Vec<_>>());
    let before = bench.reader().documents(&DocumentFilter::default(), 100);
    let mut operator = bench.operator();
    let mut run = |wanted: &dyn Fn(&OpenedRow<'_>) -> Option<Derived>| {
        let (mut after, mut sums) = (Some(0), (0, 0));
        while let Some(position) = after {
            let mut recompute = |row: &OpenedRow<'_>| wanted(row);
            let page = operator.reindex_page(position, 7, &mut recompute).unwrap();
            sums = (sums.0 + page.read, sums.1 + page.changed);
            after = page.next;
        }
        sums
    };
    assert_eq!(run(&|_| None), (30, 0), "what cannot be read stays as it is");
    let full = Derived {
        ffd_version: Some(4),
        local_time: Some(u32::MAX),
        rnm: Some("0000000001024546".to_owned()),
        user_inn: Some("7704358518".to_owned()),
        kkt_serial: Some("0042".to_owned()),
        shift: Some(7),
        receipt_number: Some(8),
        operation: Some(1),
        total_kopecks: Some(1_234_567),
        fiscal_sign: Some(u32::MAX),
    };
    let wanted = |row: &OpenedRow<'_>| {
        assert_eq!(row.document, format!("document {}", row.fd_number.get()).as_bytes());
        assert_eq!((row.fn_number, row.form), (fn_number(PLAIN_FN), 3));
        assert_eq!(row.received_at, moment(bench.place(row.seq)));
        Some(match bench.place(row.seq) {
            5 => full.clone(),
            // Past what a column can hold, and so nothing.
            6 => Derived { total_kopecks: Some(u64::MAX), ..Derived::default() },
            _ => fine.clone(),
        })
    };
    assert_eq!(run(&wanted), (30, 10), "nine without columns, one with wrong ones");
    assert_eq!(run(&wanted), (30, 0), "nothing is left to change");
    let after = bench.reader().documents(&DocumentFilter::default(), 100);
    for (mut old, new) in before.into_iter().zip(after) {
        let expected = match new.seq {
            5 => full.clone(),
            6 => Derived::default(),
            _ => fine.clone(),
        };
        assert_eq!(new.derived, expected);
        old.summary.derived = expected;
        assert_eq!(old, new, "nothing else changes");
    }
}

fn pages_are_bounded_by_bytes(on: On) {
    let mut bench = Bench::new(on);
    // The bound is 4096 bytes in tests.
    let documents =
        (1..=6).map(|fd| NewDocument { opened: Some(vec![0; 3000]), ..document(PLAIN_FN, fd, 3, "x") });
    bench.append(&documents.collect::<Vec<_>>());
    let mut operator = bench.operator();
    let mut page = |after| operator.reindex_page(bench.at(after), 100, &mut |_| None).unwrap();
    assert_eq!(page(0), ReindexPage { read: 2, changed: 0, next: Some(bench.at(2)) });
    assert_eq!(page(4), ReindexPage { read: 2, changed: 0, next: None });
    assert_eq!(page(6), ReindexPage { read: 0, changed: 0, next: None });
}

fn tables_follow_the_journal_and_keep_an_operators_word(on: On) {
    let mut bench = Bench::new(on);
    let fns = ["8710000100000001", "8710000100000002", "8710000100000003"];
    let reports = fns.map(|number| NewDocument {
        derived: Derived {
            rnm: Some("0000000001024546".to_owned()),
            user_inn: Some("7704358518".to_owned()),
            kkt_serial: Some("0042  ".to_owned()),
            ..Derived::default()
        },
        // What a program with a mistake once took out of it.
        register: Some(RegisterReport { rnm: Some("wrong".to_owned()), ..RegisterReport::default() }),
        ..registration(number, "0042")
    });
    bench.append(&reports);
    // An operator knows better about the second, and stated a serial number for the third before its report came.
    let stated = RegisterAdd {
        fn_number: Some(fn_number(fns[1])),
        rnm: Some("0000000000000001".to_owned()),
        ..RegisterAdd::default()
    };
    bench.operator().register_add(&stated).unwrap();
    bench.execute(&format!(
        "UPDATE registers SET kkt_serial = '0077', serial_by_operator = 1 WHERE fn = '{}'",
        fns[2]
    ));
    bench.append(&[
        document(DEBUG_FN, 1, 1, "a"),
        document(DEBUG_FN, 1, 1, "b"),
        document(DEBUG_FN, 2, 2, "b"),
    ]);
    bench.execute("UPDATE debug_chains SET chain = 0");

    let mut operator = bench.operator();
    assert_eq!(operator.rebuild_tables().unwrap(), RebuiltTables { registers: 2, chains: 1 });
    assert_eq!(operator.rebuild_tables().unwrap(), RebuiltTables::default());
    let rows = bench.reader().registers();
    let places: Vec<_> =
        rows.iter().map(|row| (row.rnm.as_deref(), row.inn.as_deref(), row.kkt_serial.as_deref())).collect();
    let (rnm, inn) = (Some("0000000001024546"), Some("7704358518"));
    assert_eq!(
        places,
        [(rnm, inn, Some("0042")), (Some("0000000000000001"), None, None), (rnm, inn, Some("0077")),]
    );
    // The next document of the debug ФН goes where it belongs.
    bench.append(&[document(DEBUG_FN, 3, 3, "b")]);
    assert_eq!(bench.chains(DEBUG_FN, 3), [(1, 0)]);
    bench.execute("DELETE FROM debug_chains");
    assert_eq!(operator.rebuild_tables().unwrap(), RebuiltTables { registers: 0, chains: 1 });
}
