//! Registers: fed by reports, stated by operators.

use super::*;
use crate::records::{NewDocument, RegisterAdd, RegisterChange};
use crate::support::{PLAIN_FN, document, fd_number, fn_number, moment, registration};

#[test]
fn registers_are_fed_and_completed() {
    let mut bench = Bench::new();
    let other = "8710000100000002";
    // An operator knows only a serial number.
    let by_serial = RegisterAdd { kkt_serial: Some(" 0042 ".to_owned()), ..RegisterAdd::default() };
    let add = |bench: &Bench, add: &RegisterAdd| registers_sql::add(bench.db(), add, moment(0)).unwrap();
    assert_eq!(add(&bench, &by_serial), RegisterChange::Added);
    assert_eq!(add(&bench, &by_serial), RegisterChange::Updated);
    let facts = registers_sql::facts_after(bench.db(), 0).unwrap();
    let stated = |serial: &str, inn: Option<&str>| (serial.to_owned(), inn.map(str::to_owned));
    assert_eq!((facts.changes.known, facts.changes.stated), (vec![], vec![stated("0042", None)]));
    let version = facts.version;
    // Its report completes the row.
    bench.append(&[registration(PLAIN_FN, "0042"), registration(other, "0043")]);
    let row = registers_sql::find(bench.db(), &fn_number(PLAIN_FN)).unwrap().unwrap();
    assert_eq!(
        (row.kkt_serial.as_deref(), row.source.as_str(), row.report_seq),
        (Some("0042"), "operator", Some(1))
    );
    assert_eq!((row.rnm.as_deref(), row.inn.as_deref()), (Some("0000000001024546"), Some("7704358518")));
    let row = registers_sql::find(bench.db(), &fn_number(other)).unwrap().unwrap();
    assert_eq!((row.kkt_serial.as_deref(), row.source.as_str()), (Some("0043"), "report"));
    assert_eq!(registers_sql::list(bench.db()).unwrap().len(), 2);
    let facts = registers_sql::facts_after(bench.db(), version).unwrap();
    assert_eq!(facts.changes.known.len(), 2);
    let door = [stated("0042", None)];
    assert_eq!(facts.changes.stated, door, "neither a serial nor an ИНН that only a report told about");
    assert_eq!(facts.version, version + 1, "once a batch");
    let newest = facts.version;
    assert_eq!(registers_sql::facts_after(bench.db(), newest).unwrap().changes.known, []);

    // A repeat changes nothing; a conflict changes no fact; a report does not overwrite an operator's serial.
    bench.append(&[registration(PLAIN_FN, "0042")]);
    assert_eq!(registers_sql::facts_after(bench.db(), newest).unwrap().version, newest);
    bench.append(&[registration(other, "disputed")]);
    let row = registers_sql::find(bench.db(), &fn_number(other)).unwrap().unwrap();
    assert_eq!((row.kkt_serial.as_deref(), row.report_seq), (Some("0043"), Some(2)));
    let change = NewDocument { fd_number: fd_number(9), form: 11, ..registration(PLAIN_FN, "0099") };
    bench.append(&[NewDocument { identity: [9; 32], ..change }]);
    let row = registers_sql::find(bench.db(), &fn_number(PLAIN_FN)).unwrap().unwrap();
    assert_eq!((row.kkt_serial.as_deref(), row.report_seq), (Some("0042"), Some(4)));

    // A serial stated later by the operator, then stated together with its ФН: one row.
    let spare = RegisterAdd { kkt_serial: Some("0077".to_owned()), ..RegisterAdd::default() };
    add(&bench, &spare);
    assert_eq!(registers_sql::list(bench.db()).unwrap().len(), 3);
    let both = RegisterAdd { fn_number: Some(fn_number(other)), inn: Some("1".to_owned()), ..spare };
    assert_eq!(add(&bench, &both), RegisterChange::Updated);
    let rows = registers_sql::list(bench.db()).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[1].kkt_serial.as_deref(), rows[1].inn.as_deref()), (Some("0077"), Some("1")));
    let facts = registers_sql::facts_after(bench.db(), newest).unwrap();
    assert!(facts.changes.stated.contains(&stated("0077", Some("1"))), "{facts:?}");
}

#[test]
fn a_disputed_report_makes_only_the_number_known() {
    let mut bench = Bench::new();
    bench.append(&[document(PLAIN_FN, 1, 3, "receipt"), registration(PLAIN_FN, "0042")]);
    let row = registers_sql::find(bench.db(), &fn_number(PLAIN_FN)).unwrap().unwrap();
    assert_eq!((row.kkt_serial, row.rnm, row.inn), (None, None, None));
}

#[test]
fn joining_two_rows_keeps_what_was_stated() {
    let mut bench = Bench::new();
    // The operator announces a register by its serial number; its ФН becomes known by a release, later by hand.
    let announced = RegisterAdd {
        kkt_serial: Some("0077".to_owned()),
        rnm: Some("0000000001024546".to_owned()),
        inn: Some("7704358518".to_owned()),
        fn_number: None,
    };
    registers_sql::add(bench.db(), &announced, moment(1)).unwrap();
    bench.keep(vec![crate::support::quarantined(PLAIN_FN, 1, "x")]);
    registers_sql::release(bench.db(), &fn_number(PLAIN_FN), moment(2)).unwrap();
    let both = RegisterAdd {
        fn_number: Some(fn_number(PLAIN_FN)),
        kkt_serial: announced.kkt_serial.clone(),
        ..RegisterAdd::default()
    };
    registers_sql::add(bench.db(), &both, moment(3)).unwrap();
    let row = registers_sql::find(bench.db(), &fn_number(PLAIN_FN)).unwrap().unwrap();
    assert_eq!((row.kkt_serial, row.rnm, row.inn), (announced.kkt_serial, announced.rnm, announced.inn));
    assert_eq!((row.created_at, row.updated_at), (moment(1), moment(3)));
    assert_eq!(registers_sql::list(bench.db()).unwrap().len(), 1);
}
