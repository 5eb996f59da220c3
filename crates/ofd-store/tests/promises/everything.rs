//! A store with something of everything that can be in one.

use super::sender::{A, B, DEBUG, Sender, dead, not_forwarded, waiting};
use super::*;
use crate::support::{document, fd_number, fn_number, moment, quarantined, registration};
use crate::{
    Application, ApplicationState, Card, CardKind, CardSource, Client, Commit, Contract, ContractLine,
    ContractState, Derived, DocumentVerdict, FindingSeverity, Kkt, KktKey, NewDocument, NewTask,
    OutboxChange, RegisterAdd, RegistrationState, RegistryChange, StoredFinding, TaskKind, Verdict, row,
};

const INN: &str = "7704358518";
const SERIAL: &str = "0042";
/// More copies than are kept of one ФН.
const MANY: u32 = 1_001;

/// Makes one; gives the forwarder that has batches under way in it.
pub(crate) fn everything(on: On) -> (Bench, Sender) {
    let mut bench = Bench::new(on);
    documents(&mut bench);
    registrations(&bench);
    let sender = forwarded(&mut bench);
    let copies = (1..=MANY).map(|fd| quarantined("8710000100000077", fd, "held"));
    bench.keep(copies.collect());
    bench.operator().clock_confirm(moment(90)).unwrap();
    (bench, sender)
}

/// 1..12: of a ФН that is forwarded, with a repeat, a conflict and findings; 13..15: of a debug ФН that begins anew;
/// 16..18: of one that is not known; 19..: of one of which more is there than may be open.
fn documents(bench: &mut Bench) {
    let finding = |rule: &str| StoredFinding {
        path: vec![1059, 1079],
        rule: rule.to_owned(),
        severity: FindingSeverity::Soft,
        text: "нет реквизита".to_owned(),
    };
    bench.append(&[registration(A, SERIAL)]);
    bench.append(&(2..=10).map(|fd| document(A, fd, 3, "")).collect::<Vec<_>>());
    let full = NewDocument {
        opened: Some(vec![7; 3_000]),
        findings: vec![finding("sum.items"), finding("item.vat")],
        task: Some(TaskKind::UnknownForm),
        peer: None,
        // A till may send what is no text for PostgreSQL.
        derived: Derived {
            ffd_version: Some(4),
            local_time: Some(u32::MAX),
            rnm: Some("0000000001024546".to_owned()),
            user_inn: Some(INN.to_owned()),
            kkt_serial: Some("00\u{0}42".to_owned()),
            shift: Some(7),
            receipt_number: Some(8),
            operation: Some(1),
            total_kopecks: Some(1_234_567),
            fiscal_sign: Some(u32::MAX),
        },
        ..document(A, 11, 3, "")
    };
    bench.append(&[full.clone(), full, document(A, 11, 3, "other content")]);
    bench.append(&[document(DEBUG, 1, 1, "a"), document(DEBUG, 2, 3, "a"), document(DEBUG, 1, 1, "b")]);
    bench.append(&[waiting("8710000100000055", 1), not_forwarded(A, 12), waiting("8710000100000055", 2)]);
    bench.append(&(1..=60).map(|fd| document(B, fd, 3, "")).collect::<Vec<_>>());
}

fn done(bench: &Bench, change: RegistryChange) {
    assert!(matches!(bench.registry().commit(&change).unwrap(), Commit::Done(_)));
}

/// A client with a contract, its register with a card and an application, tasks, and the cursors.
fn registrations(bench: &Bench) {
    let (now, number) = (moment(1), Some(fn_number(A)));
    let contract = Contract {
        id: 0,
        version: 0,
        number: "Д-1".to_owned(),
        inn: INN.to_owned(),
        state: ContractState::Active,
        created_at: now,
        active_at: Some(now),
        stopped_at: None,
    };
    let line = ContractLine {
        id: 0,
        version: 0,
        contract_id: row(0),
        inn: INN.to_owned(),
        kkt_serial: SERIAL.to_owned(),
        kkt_model: Some("АТОЛ 1Ф".to_owned()),
        fn_number: number,
        fn_model: None,
        rnm: None,
        created_at: now,
        closed_at: None,
    };
    let kkt = Kkt {
        serial: Some(SERIAL.to_owned()),
        inn: Some(INN.to_owned()),
        fn_number: number,
        line_id: Some(row(0)),
        report_seq: Some(bench.at(1)),
        mismatch: vec!["inn".to_owned()],
        ..Kkt::new(RegistrationState::ReportReceived, now)
    };
    let application = Application {
        id: 0,
        version: 0,
        case_id: "case 1".to_owned(),
        kkt_id: row(0),
        kind: "registration".to_owned(),
        state: ApplicationState::New,
        application_id: None,
        request: "{}".to_owned(),
        rnm: None,
        refusal: None,
        attempts: 0,
        next_at: Some(moment(5)),
        last_error: None,
        created_at: now,
        updated_at: now,
    };
    let task = NewTask {
        kind: TaskKind::Mismatch,
        seq: None,
        kkt_id: Some(row(0)),
        text: "сверить".to_owned(),
        at: now,
    };
    done(
        bench,
        RegistryChange {
            clients: vec![Client {
                inn: INN.to_owned(), name: "ООО РАПКАТ".to_owned(), created_at: now
            }],
            contracts: vec![contract],
            lines: vec![line],
            kkts: vec![kkt],
            applications: vec![application],
            tasks: vec![task],
            reports_cursor: Some((0, bench.at(1))),
            events_cursor: Some((None, Some("E-7".to_owned()))),
            ..RegistryChange::default()
        },
    );
    let kkt = bench.registry().kkt(KktKey::Serial(SERIAL)).unwrap().unwrap();
    let card = Card {
        id: 0,
        kind: CardKind::Registration,
        rnm: "0000000001024546".to_owned(),
        key: "SIM-1".to_owned(),
        kkt_id: Some(kkt.id),
        kkt_serial: Some(SERIAL.to_owned()),
        fn_number: number,
        inn: Some(INN.to_owned()),
        dated: Some("2026-11-21".to_owned()),
        source: CardSource::Event,
        media_type: "application/json".to_owned(),
        body: b"{}".to_vec(),
        signature: Some(vec![0, 1, 2, 255]),
        received_at: moment(5),
        applied_at: None,
        confirmed_at: None,
    };
    // Register and card refer to each other.
    let linked = Kkt { state: RegistrationState::Linked, card_id: Some(row(0)), ..kkt };
    done(bench, RegistryChange { kkts: vec![linked], cards: vec![card], ..RegistryChange::default() });
    let stated = RegisterAdd { kkt_serial: Some("0077".to_owned()), ..RegisterAdd::default() };
    bench.operator().register_add(&stated).unwrap();
}

/// Documents in every state, batches under way and ended, what is refused, parked and waiting.
fn forwarded(bench: &mut Bench) -> Sender {
    let mut sender = bench.sender("one");
    while sender.derive(1_000, 1_000).more {}
    sender.deliver(&[1, 2, 3, 4]);
    let (id, _) = sender.begin(&[5, 6]);
    sender.settle(id, vec![(5, dead("SCHEMA_INVALID")), (6, dead("X"))]);
    bench.operator().outbox_supersede(bench.at(6), moment(7)).unwrap();
    let verdict = |fd: u32, verdict| DocumentVerdict {
        fn_number: fn_number(A),
        fd_number: fd_number(fd),
        ticket_id: None,
        verdict,
        codes: Vec::new(),
        at: moment(8),
    };
    let verdicts = vec![verdict(1, Verdict::Accepted), verdict(2, Verdict::Soft), verdict(3, Verdict::Hard)];
    sender.way.commit(&OutboxChange { verdicts, ..sender.change() }).unwrap();
    // One batch is on its way, another waits for its next attempt.
    sender.begin(&[7, 8]);
    let (id, _) = sender.begin(&[9, 10]);
    let retry = crate::BatchStep::Retry { id, next_at: moment(60), error: "time-out".to_owned() };
    sender.step(retry);
    done(bench, RegistryChange { refresh: vec![fn_number(A)], ..RegistryChange::default() });
    done(bench, RegistryChange { recall: Some(moment(50)), ..RegistryChange::default() });
    sender
}
