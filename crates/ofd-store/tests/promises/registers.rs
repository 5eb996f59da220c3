//! Registers: fed by reports, stated by operators.

use super::*;
use crate::Announced;
use crate::records::{NewDocument, RegisterAdd, RegisterChange};
use crate::support::{DEBUG_FN, PLAIN_FN, document, fd_number, fn_number, moment, registration};

promises!(
    registers_are_fed_and_completed,
    a_disputed_report_makes_only_the_number_known,
    joining_two_rows_keeps_what_was_stated,
);

fn registers_are_fed_and_completed(on: On) {
    let mut bench = Bench::new(on);
    let other = "8710000100000002";
    // An operator knows only a serial number.
    let by_serial = RegisterAdd { kkt_serial: Some(" 0042 ".to_owned()), ..RegisterAdd::default() };
    let add = |bench: &Bench, add: &RegisterAdd| bench.operator().register_add(add).unwrap();
    assert_eq!(add(&bench, &by_serial), RegisterChange::Added);
    assert_eq!(add(&bench, &by_serial), RegisterChange::Updated);
    let facts = bench.facts();
    assert_eq!(facts.sizes(), (0, 1));
    assert_eq!(facts.announced(&fn_number(PLAIN_FN), "0042", None, moment(0)), Announced::Yes);
    // Its report completes the row.
    bench.append(&[registration(PLAIN_FN, "0042"), registration(other, "0043")]);
    let row = bench.reader().register(PLAIN_FN).unwrap();
    assert_eq!(
        (row.kkt_serial.as_deref(), row.source.as_str(), row.report_seq),
        (Some("0042"), "operator", Some(1))
    );
    assert_eq!((row.rnm.as_deref(), row.inn.as_deref()), (Some("0000000001024546"), Some("7704358518")));
    let row = bench.reader().register(other).unwrap();
    assert_eq!((row.kkt_serial.as_deref(), row.source.as_str()), (Some("0043"), "report"));
    assert_eq!(bench.reader().registers().len(), 2);
    let facts = bench.facts();
    assert_eq!(facts.sizes(), (2, 1), "neither a serial nor an ИНН that only a report told about");
    assert_eq!(facts.announced(&fn_number(DEBUG_FN), "0043", None, moment(0)), Announced::No);

    // A repeat changes nothing; a conflict changes no fact; a report does not overwrite an operator's serial.
    let before = bench.reader().registers();
    bench.append(&[registration(PLAIN_FN, "0042")]);
    assert_eq!(bench.reader().registers(), before);
    bench.append(&[registration(other, "disputed")]);
    let row = bench.reader().register(other).unwrap();
    assert_eq!((row.kkt_serial.as_deref(), row.report_seq), (Some("0043"), Some(2)));
    let change = NewDocument { fd_number: fd_number(9), form: 11, ..registration(PLAIN_FN, "0099") };
    bench.append(&[NewDocument { identity: [9; 32], ..change }]);
    let row = bench.reader().register(PLAIN_FN).unwrap();
    assert_eq!((row.kkt_serial.as_deref(), row.report_seq), (Some("0042"), Some(4)));

    // A serial stated later by the operator, then stated together with its ФН: one row.
    let spare = RegisterAdd { kkt_serial: Some("0077".to_owned()), ..RegisterAdd::default() };
    add(&bench, &spare);
    assert_eq!(bench.reader().registers().len(), 3);
    let both = RegisterAdd { fn_number: Some(fn_number(other)), inn: Some("1".to_owned()), ..spare };
    assert_eq!(add(&bench, &both), RegisterChange::Updated);
    let rows = bench.reader().registers();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[1].kkt_serial.as_deref(), rows[1].inn.as_deref()), (Some("0077"), Some("1")));
    let facts = bench.facts();
    assert_eq!(facts.announced(&fn_number(DEBUG_FN), "0077", Some("1"), moment(0)), Announced::Yes);
}

fn a_disputed_report_makes_only_the_number_known(on: On) {
    let mut bench = Bench::new(on);
    bench.append(&[document(PLAIN_FN, 1, 3, "receipt"), registration(PLAIN_FN, "0042")]);
    let row = bench.reader().register(PLAIN_FN).unwrap();
    assert_eq!((row.kkt_serial, row.rnm, row.inn), (None, None, None));
}

fn joining_two_rows_keeps_what_was_stated(on: On) {
    let mut bench = Bench::new(on);
    // The operator announces a register by its serial number; its ФН becomes known by a release, later by hand.
    let announced = RegisterAdd {
        kkt_serial: Some("0077".to_owned()),
        rnm: Some("0000000001024546".to_owned()),
        inn: Some("7704358518".to_owned()),
        fn_number: None,
    };
    bench.operator().register_add(&announced).unwrap();
    let first = bench.reader().registers()[0].clone();
    bench.keep(vec![crate::support::quarantined(PLAIN_FN, 1, "x")]);
    bench.operator().quarantine_release(&fn_number(PLAIN_FN)).unwrap();
    let both = RegisterAdd {
        fn_number: Some(fn_number(PLAIN_FN)),
        kkt_serial: announced.kkt_serial.clone(),
        ..RegisterAdd::default()
    };
    bench.operator().register_add(&both).unwrap();
    let row = bench.reader().register(PLAIN_FN).unwrap();
    assert_eq!((row.kkt_serial, row.rnm, row.inn), (announced.kkt_serial, announced.rnm, announced.inn));
    assert_eq!(row.created_at, first.created_at);
    assert!(row.updated_at > first.updated_at);
    assert_eq!(bench.reader().registers().len(), 1);
}
