//! What the registration reads of the journal, and what operators state.

use ffd::ids::FnNumber;

use super::*;
use crate::records::{Derived, RegisterAdd, StoredFinding, TaskKind};
use crate::registration::{Kkt, KktFilter, KktKey, RegistrationState};
use crate::support::{DEBUG_FN, PLAIN_FN, document, moment, registration};
use crate::tables::registration::{fns, kkts};
use crate::{FindingSeverity, Forward};

fn kkt(bench: &Bench, key: KktKey<'_>) -> Kkt {
    kkts::find(bench.db(), key).unwrap().unwrap()
}

fn reports_come_in_order_of_arrival_and_receipts_do_not_come() {
    let mut bench = Bench::new();
    let other = "8710000100000002";
    bench.append(&[
        registration(PLAIN_FN, "0042"),
        document(PLAIN_FN, 2, 3, "receipt"),
        NewDocument { code: 14, forward: Forward::WhenKnown, ..registration(other, "0043") },
        document(PLAIN_FN, 2, 3, "a conflict"),
        registration(PLAIN_FN, "a conflict of the report"),
        NewDocument {
            opened: Some(vec![7; 4096]),
            fn_changed_mark: true,
            derived: Derived { rnm: Some("0000000001024546".to_owned()), ..Derived::default() },
            ..document(PLAIN_FN, 3, 11, "change")
        },
        document(PLAIN_FN, 4, 6, "closing"),
    ]);
    let check = |after: i64, limit: usize, expected: &[i64]| {
        let reports = fns::reports_after(bench.db(), after, i64::MAX, limit).unwrap();
        assert_eq!(reports.iter().map(|report| report.seq).collect::<Vec<_>>(), expected, "{after} {limit}");
    };
    check(0, 100, &[1, 3, 6]);
    check(0, 2, &[1, 3]);
    check(3, 100, &[6]);
    check(6, 100, &[7]);
    check(7, 100, &[]);
    let report = fns::report(bench.db(), 3).unwrap().unwrap();
    assert_eq!((report.form, report.code, report.forward), (1, 14, Forward::WhenKnown));
    assert!(!report.fn_changed_mark);
    let change = fns::report(bench.db(), 6).unwrap().unwrap();
    assert_eq!((change.opened.len(), change.fn_changed_mark), (4096, true));
    assert_eq!(change.derived.rnm.as_deref(), Some("0000000001024546"));
    assert_eq!(fns::report(bench.db(), 8).unwrap(), None);
    let by_number = fns::report_of(bench.db(), &fn_number(PLAIN_FN), fd_number(1)).unwrap().unwrap();
    assert_eq!(by_number.seq, 1, "not the conflict");
}

#[test]
fn lists_need_no_sorting() {
    let bench = Bench::new();
    let file = rusqlite::Connection::open(bench.place.path()).unwrap();
    let check = |sql: &str, index: &str| {
        let mut statement = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let steps = steps.map(|step| step.unwrap()).collect::<Vec<_>>().join("; ");
        assert!(steps.contains(index) && !steps.contains("TEMP B-TREE"), "{sql}: {steps}");
    };
    let in_order = fns::IN_ORDER.replace("?1", "0").replace("?2", "10").replace("?3", "1000");
    check(&in_order, "journal_reports_in_order");
    check("SELECT * FROM kkts WHERE TRUE AND state = 'LINKED' AND id > 5 ORDER BY id LIMIT 9", "kkts_state");
    check("SELECT * FROM kkts WHERE TRUE AND inn = '1' AND id > 5 ORDER BY id LIMIT 9", "kkts_inn");
    check("SELECT * FROM kkts WHERE TRUE AND id > 5 AND mismatch <> '' ORDER BY id LIMIT 9", "kkts_mismatch");
    check("SELECT state, count(*) FROM kkts GROUP BY state", "kkts_state");
    let open = "t.closed_at IS NULL ORDER BY t.id DESC LIMIT 9";
    check(&format!("{} WHERE TRUE AND {open}", tasks::TASK), "human_tasks_open");
    let of_kind = format!("{} WHERE TRUE AND t.kind = 'mismatch' AND {open}", tasks::TASK);
    check(&of_kind, "human_tasks_open_kind");
}

fn the_documents_that_tell_how_a_fn_is() {
    let mut bench = Bench::new();
    let seqs = |bench: &Bench, fn_text: &str| {
        let found = fns::documents(bench.db(), &fn_number(fn_text)).unwrap();
        let seq = |report: Option<crate::ReportRow>| report.map(|report| report.seq);
        (seq(found.shift), seq(found.report), seq(found.closing))
    };
    assert_eq!(seqs(&bench, PLAIN_FN), (None, None, None));
    let unbelievable = StoredFinding {
        path: vec![1041],
        rule: "identity.fn".to_owned(),
        severity: FindingSeverity::Hard,
        text: String::new(),
    };
    bench.append(&[
        registration(PLAIN_FN, "0042"),
        document(PLAIN_FN, 2, 2, "opening"),
        document(PLAIN_FN, 3, 3, "receipt"),
        NewDocument { code: 11, ..document(PLAIN_FN, 4, 5, "unreadable") },
        NewDocument { findings: vec![unbelievable], ..document(PLAIN_FN, 5, 5, "of another ФН") },
        document(PLAIN_FN, 6, 3, "receipt"),
    ]);
    assert_eq!(seqs(&bench, PLAIN_FN), (Some(2), Some(1), None));
    bench.append(&[document(PLAIN_FN, 7, 5, "closing"), document(PLAIN_FN, 8, 6, "the end")]);
    assert_eq!(seqs(&bench, PLAIN_FN), (Some(7), Some(1), Some(8)));
    // A debug ФН that begins anew is not closed any more.
    bench.append(&[
        registration(DEBUG_FN, "0077"),
        document(DEBUG_FN, 2, 6, "the end"),
        registration(DEBUG_FN, "0078"),
    ]);
    assert_eq!(seqs(&bench, DEBUG_FN), (None, Some(11), None));

    let seen = |fn_text: &str| fns::last_seen(bench.db(), &fn_number(fn_text)).unwrap();
    assert_eq!(seen(PLAIN_FN), Some(moment(8)));
    assert_eq!(seen(DEBUG_FN), Some(moment(1)), "of the newest chain");
    assert_eq!(seen("8710000100000009"), None);
}

fn an_operator_states_registers() {
    let bench = Bench::new();
    let add = |fn_text: Option<&str>, serial: Option<&str>, inn: Option<&str>, at: i64| {
        let stated = RegisterAdd {
            fn_number: fn_text.map(fn_number),
            kkt_serial: serial.map(str::to_owned),
            inn: inn.map(str::to_owned),
            rnm: None,
        };
        registers_sql::add(bench.db(), &stated, moment(at)).unwrap();
    };
    add(None, Some(" 0042 "), Some("7704358518"), 1);
    let made = kkt(&bench, KktKey::Serial("0042"));
    assert_eq!((made.state, made.line_id, made.version), (RegistrationState::Contracted, None, 1));
    assert_eq!((made.inn.as_deref(), made.fn_number), (Some("7704358518"), None));
    add(None, Some("0042"), Some("7704358518"), 2);
    assert_eq!(kkt(&bench, KktKey::Id(made.id)), made, "the same word changes nothing");
    // Its ФН, then another one: nothing was reported yet, so the newest word counts.
    add(Some(PLAIN_FN), Some("0042"), None, 3);
    add(Some(DEBUG_FN), Some("0042"), None, 4);
    let renamed = kkt(&bench, KktKey::Fn(&fn_number(DEBUG_FN)));
    assert_eq!((renamed.id, renamed.version), (made.id, 3));
    let history = kkts::history(bench.db(), made.id, 10).unwrap();
    let ends: Vec<_> = history.iter().map(|part| (part.fn_number, part.from_at, part.to_at)).collect();
    assert_eq!(
        ends,
        [(fn_number(PLAIN_FN), moment(3), Some(moment(4))), (fn_number(DEBUG_FN), moment(4), None),]
    );
    assert_eq!(kkts::find(bench.db(), KktKey::Fn(&fn_number(PLAIN_FN))).unwrap(), None);
    assert_eq!(kkt(&bench, KktKey::FnEver(&fn_number(PLAIN_FN))).id, made.id);
    // The same serial number of another user is another register.
    add(None, Some("0042"), Some("7702203276"), 5);
    assert_eq!(kkts::list(bench.db(), &KktFilter::default(), 10).unwrap().len(), 2);
    // What a report said stands: only empty places are filled.
    let reported = Kkt { state: RegistrationState::ReportReceived, rnm: Some("1".to_owned()), ..renamed };
    kkts::put(bench.db(), &reported, || Ok(99)).unwrap().unwrap();
    let stated = RegisterAdd {
        fn_number: Some(fn_number(DEBUG_FN)),
        kkt_serial: Some("0099".to_owned()),
        rnm: Some("2".to_owned()),
        inn: None,
    };
    registers_sql::add(bench.db(), &stated, moment(6)).unwrap();
    let kept = kkt(&bench, KktKey::Id(made.id));
    assert_eq!((kept.serial.as_deref(), kept.rnm.as_deref()), (Some("0042"), Some("1")));
}

fn lists_come_in_pages() {
    let bench = Bench::new();
    for index in 0..6_u64 {
        let fn_text = format!("87100001000000{index:02}");
        let number: FnNumber = fn_text.parse().unwrap();
        let state = if index % 2 == 0 { RegistrationState::Linked } else { RegistrationState::Contracted };
        let mismatch = if index == 4 { vec!["kkt_serial".to_owned(), "inn".to_owned()] } else { Vec::new() };
        let kkt = Kkt {
            fn_number: Some(number),
            inn: Some(format!("{}", index / 3)),
            due_at: (index < 3).then(|| moment(100 - i64::try_from(index).unwrap())),
            mismatch,
            ..Kkt::new(state, moment(0))
        };
        kkts::put(bench.db(), &kkt, || Ok(1)).unwrap().unwrap();
    }
    let ids = |filter: KktFilter, limit: usize| -> Vec<i64> {
        kkts::list(bench.db(), &filter, limit).unwrap().iter().map(|kkt| kkt.id).collect()
    };
    let linked = Some(RegistrationState::Linked);
    assert_eq!(ids(KktFilter::default(), 4), [1, 2, 3, 4]);
    assert_eq!(ids(KktFilter { after_id: 4, ..KktFilter::default() }, 4), [5, 6]);
    assert_eq!(ids(KktFilter { state: linked, ..KktFilter::default() }, 2), [1, 3]);
    assert_eq!(ids(KktFilter { state: linked, after_id: 3, ..KktFilter::default() }, 2), [5]);
    let of_user = KktFilter { inn: Some("1".to_owned()), ..KktFilter::default() };
    assert_eq!(ids(of_user, 9), [4, 5, 6]);
    assert_eq!(ids(KktFilter { mismatch_only: true, ..KktFilter::default() }, 9), [5]);
    assert!(ids(KktFilter { contract_id: Some(1), ..KktFilter::default() }, 9).is_empty());
    assert_eq!(kkt(&bench, KktKey::Id(5)).mismatch, ["kkt_serial", "inn"]);
    let due = |at: i64, limit: usize| -> Vec<i64> {
        kkts::due(bench.db(), moment(at), limit).unwrap().iter().map(|kkt| kkt.id).collect()
    };
    assert_eq!((due(97, 9), due(99, 9), due(100, 1)), (vec![], vec![3, 2], vec![3]));
    let counts = kkts::counts(bench.db()).unwrap();
    assert_eq!(counts, [(RegistrationState::Contracted, 3), (RegistrationState::Linked, 3)]);
}

fn tasks_of_reception_are_tasks_for_people() {
    let mut bench = Bench::new();
    let unreadable =
        NewDocument { code: 11, task: Some(TaskKind::Unreadable), ..document(PLAIN_FN, 1, 3, "unreadable") };
    bench.append(&[unreadable, document(PLAIN_FN, 1, 3, "a conflict")]);
    let open = tasks::list(bench.db(), &TaskFilter::default(), 10).unwrap();
    let told: Vec<_> =
        open.iter().map(|task| (task.kind, task.seq, task.fn_number, task.fd_number)).collect();
    let (fn_number, fd_number) = (Some(fn_number(PLAIN_FN)), Some(fd_number(1)));
    assert_eq!(
        told,
        [
            (TaskKind::Conflict, Some(2), fn_number, fd_number),
            (TaskKind::Unreadable, Some(1), fn_number, fd_number),
        ]
    );
    assert_eq!(tasks::count_open(bench.db()).unwrap(), 2);
    if On::here() == On::Sqlite {
        let old = bench.look.number("SELECT count(*) FROM tasks");
        assert_eq!(old, 0, "nothing is written to the table of earlier versions");
    }
}

on_both_engines!(
    reports_come_in_order_of_arrival_and_receipts_do_not_come,
    the_documents_that_tell_how_a_fn_is,
    an_operator_states_registers,
    lists_come_in_pages,
    tasks_of_reception_are_tasks_for_people,
);
