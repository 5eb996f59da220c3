//! One change, one transaction: all of it or nothing.

use super::*;
use crate::facts::FnChange;
use crate::registration::{
    Application, ApplicationFilter, ApplicationState, Card, CardKind, CardSource, Client, Commit, CommitIds,
    Contract, ContractLine, ContractState, Cursors, Kkt, KktKey, LineKey, NewTask, RegistrationState,
    RegistryChange, TaskClose, row,
};
use crate::support::{DEBUG_FN, PLAIN_FN, moment};
use crate::tables::registration::{contracts, kkts, papers};
use crate::{Registry, StoreError, TaskKind};

const INN: &str = "7704358518";

fn registry(bench: &Bench) -> Registry {
    bench.registry()
}

fn done(registry: &mut Registry, change: &RegistryChange) -> CommitIds {
    match registry.commit(change).unwrap() {
        Commit::Done(ids) => ids,
        Commit::Stale => panic!("stale: {change:?}"),
    }
}

fn client() -> Client {
    Client { inn: INN.to_owned(), name: "ООО РАПКАТ-центр".to_owned(), created_at: moment(1) }
}

fn contract(number: &str) -> Contract {
    Contract {
        id: 0,
        version: 0,
        number: number.to_owned(),
        inn: INN.to_owned(),
        state: ContractState::Draft,
        created_at: moment(1),
        active_at: None,
        stopped_at: None,
    }
}

fn line(contract_id: i64, serial: &str, fn_text: &str) -> ContractLine {
    ContractLine {
        id: 0,
        version: 0,
        contract_id,
        inn: INN.to_owned(),
        kkt_serial: serial.to_owned(),
        kkt_model: Some("АТОЛ 1Ф".to_owned()),
        fn_number: Some(fn_number(fn_text)),
        fn_model: None,
        rnm: None,
        created_at: moment(1),
        closed_at: None,
    }
}

fn draft(serial: &str, fn_text: &str, line_id: i64) -> Kkt {
    Kkt {
        serial: Some(serial.to_owned()),
        inn: Some(INN.to_owned()),
        fn_number: Some(fn_number(fn_text)),
        line_id: Some(line_id),
        ..Kkt::new(RegistrationState::ContractDraft, moment(1))
    }
}

fn card(kkt_id: Option<i64>, key: &str) -> Card {
    Card {
        id: 0,
        kind: CardKind::Registration,
        rnm: "0000000001024546".to_owned(),
        key: key.to_owned(),
        kkt_id,
        kkt_serial: Some("0042".to_owned()),
        fn_number: Some(fn_number(PLAIN_FN)),
        inn: Some(INN.to_owned()),
        dated: Some("2026-11-21".to_owned()),
        source: CardSource::Event,
        media_type: "application/json".to_owned(),
        body: b"{}".to_vec(),
        signature: Some(vec![1, 2]),
        received_at: moment(5),
        applied_at: Some(moment(5)),
        confirmed_at: None,
    }
}

fn application(kkt_id: i64, case_id: &str) -> Application {
    Application {
        id: 0,
        version: 0,
        case_id: case_id.to_owned(),
        kkt_id,
        kind: "registration".to_owned(),
        state: ApplicationState::New,
        application_id: None,
        request: "{}".to_owned(),
        rnm: None,
        refusal: None,
        attempts: 0,
        next_at: Some(moment(5)),
        last_error: None,
        created_at: moment(1),
        updated_at: moment(1),
    }
}

/// Client, contract N-1, one line, its register, an application, a task: all in one change.
fn first() -> RegistryChange {
    RegistryChange {
        clients: vec![client()],
        contracts: vec![contract("N-1")],
        lines: vec![line(row(0), "0042", PLAIN_FN)],
        kkts: vec![draft("0042", PLAIN_FN, row(0))],
        applications: vec![application(row(0), "case 1")],
        tasks: vec![task(Some(row(0)), "look")],
        ..RegistryChange::default()
    }
}

fn task(kkt_id: Option<i64>, text: &str) -> NewTask {
    NewTask { kind: TaskKind::Mismatch, seq: None, kkt_id, text: text.to_owned(), at: moment(2) }
}

/// Everything that a change may touch, as it lies in the file.
fn dump(bench: &Bench) -> Vec<String> {
    let tables = [
        "clients",
        "contracts",
        "contract_lines",
        "kkts",
        "kkt_fns",
        "cards",
        "applications",
        "human_tasks",
        "registration_cursors",
        "facts_version",
    ];
    let mut lines = Vec::new();
    for table in tables {
        let mut statement = bench.db().prepare(&format!("SELECT * FROM {table}")).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells = (0..).map_while(|column| row.get_ref(column).ok().map(|cell| format!("{cell:?}")));
            lines.push(format!("{table}: {}", cells.collect::<Vec<_>>().join(" ")));
        }
    }
    lines
}

fn rows_of_one_change_find_each_other_and_come_back() {
    let bench = Bench::new();
    let mut registry = registry(&bench);
    let ids = done(&mut registry, &first());
    assert_eq!((ids.contracts.as_slice(), ids.lines.as_slice()), ([1].as_slice(), [1].as_slice()));
    assert_eq!((ids.kkts.as_slice(), ids.tasks.as_slice()), ([1].as_slice(), [1].as_slice()));
    assert_eq!(registry.client(INN).unwrap(), Some(client()));
    let stored = Contract { id: 1, version: 1, ..contract("N-1") };
    assert_eq!(registry.contract("N-1").unwrap().as_ref(), Some(&stored));
    assert_eq!(registry.contract_by_id(1).unwrap().as_ref(), Some(&stored));
    assert_eq!(registry.contracts(0, 10).unwrap(), [stored]);
    let stored = ContractLine { id: 1, version: 1, ..line(1, "0042", PLAIN_FN) };
    assert_eq!(registry.line_of(" 0042 ", "7704358518  ").unwrap().as_ref(), Some(&stored));
    assert_eq!(registry.line_of("0042", "7702203276").unwrap(), None);
    assert_eq!(registry.line_of_fn(&fn_number(PLAIN_FN)).unwrap().as_ref(), Some(&stored));
    assert_eq!(registry.line(1).unwrap().as_ref(), Some(&stored));
    assert_eq!(registry.lines(1, 0, 10).unwrap(), [stored]);
    let stored = Kkt { id: 1, version: 1, ..draft("0042", PLAIN_FN, 1) };
    assert_eq!(registry.kkt(KktKey::Line(1)).unwrap().as_ref(), Some(&stored));
    let of_kkt =
        ApplicationFilter { kkt_id: Some(1), due_at: Some(moment(5)), ..ApplicationFilter::default() };
    let stored = Application { id: 1, version: 1, ..application(1, "case 1") };
    assert_eq!(registry.applications(&of_kkt, 10).unwrap(), [stored]);
    let of_kkt = TaskFilter { kkt_id: Some(1), ..TaskFilter::default() };
    let tasks = registry.tasks(&of_kkt, 10).unwrap();
    assert_eq!((tasks[0].text.as_str(), tasks[0].fn_number), ("look", Some(fn_number(PLAIN_FN))));

    // A card that links the register: each names the other.
    let linked = Kkt {
        state: RegistrationState::Linked,
        mismatch: vec!["inn".to_owned()],
        rnm: Some("0000000001024546".to_owned()),
        rnm_confirmed: true,
        card_id: Some(row(0)),
        report_seq: Some(7),
        due_at: Some(moment(9)),
        deregistered_at: Some(u32::MAX),
        updated_at: moment(5),
        ..registry.kkt(KktKey::Id(1)).unwrap().unwrap()
    };
    let change = RegistryChange {
        kkts: vec![linked.clone()],
        cards: vec![card(Some(1), "SIM-1")],
        ..RegistryChange::default()
    };
    let ids = done(&mut registry, &change);
    let stored = registry.kkt(KktKey::Rnm("0000000001024546")).unwrap().unwrap();
    assert_eq!(stored, Kkt { version: 2, card_id: Some(ids.cards[0]), ..linked });
    let kept = registry.card(ids.cards[0]).unwrap().unwrap();
    assert_eq!(kept, Card { id: 1, ..card(Some(1), "SIM-1") });
    // The same card comes again.
    let again = Card { confirmed_at: Some(moment(6)), body: Vec::new(), ..kept.clone() };
    done(&mut registry, &RegistryChange { cards: vec![again], ..RegistryChange::default() });
    let confirmed = registry.card_by_key(CardKind::Registration, &kept.rnm, "SIM-1").unwrap().unwrap();
    assert_eq!(confirmed, Card { confirmed_at: Some(moment(6)), ..kept });
    assert_eq!(registry.cards(Some(1), 0, 10).unwrap(), [confirmed]);
    assert_eq!(registry.cards(Some(2), 0, 10).unwrap(), []);
}

fn of_two_that_read_the_same_row_one_is_stale_and_writes_nothing() {
    let bench = Bench::new();
    let (mut one, mut other) = (registry(&bench), registry(&bench));
    done(&mut one, &first());
    let read = |registry: &Registry| registry.kkt(KktKey::Id(1)).unwrap().unwrap();
    let (by_one, by_other) = (read(&one), read(&other));
    let moved = |kkt: Kkt, state| RegistryChange {
        kkts: vec![Kkt { state, ..kkt }],
        tasks: vec![task(None, "of the same change")],
        reports_cursor: Some((0, 5)),
        ..RegistryChange::default()
    };
    done(&mut one, &moved(by_one, RegistrationState::Contracted));
    let before = dump(&bench);
    let late = RegistryChange { reports_cursor: None, ..moved(by_other, RegistrationState::Linked) };
    assert_eq!(other.commit(&late), Ok(Commit::Stale));
    assert_eq!(dump(&bench), before);
    // Read anew it goes.
    let now = read(&other);
    assert_eq!((now.state, now.version), (RegistrationState::Contracted, 2));
    let anew = RegistryChange { reports_cursor: None, ..moved(now, RegistrationState::Linked) };
    done(&mut other, &anew);
    assert_eq!(read(&one).state, RegistrationState::Linked);
}

fn whatever_is_not_as_it_was_read_makes_all_of_it_stale() {
    let bench = Bench::new();
    let mut registry = registry(&bench);
    done(&mut registry, &first());
    let cards = vec![card(None, "SIM-1")];
    done(&mut registry, &RegistryChange { cards, ..RegistryChange::default() });
    let events =
        |from: Option<&str>, to: Option<&str>| Some((from.map(str::to_owned), to.map(str::to_owned)));
    let cursors = RegistryChange {
        reports_cursor: Some((0, 5)),
        events_cursor: events(None, Some("E1")),
        ..RegistryChange::default()
    };
    done(&mut registry, &cursors);
    let found = registry.cursors().unwrap();
    assert_eq!((found.reports, found.events.as_deref()), (5, Some("E1")));
    assert!(found.events_at.is_some());
    let before = dump(&bench);
    let mut check = |change: RegistryChange| {
        let change = RegistryChange { clients: vec![Client { name: "x".to_owned(), ..client() }], ..change };
        assert_eq!(registry.commit(&change), Ok(Commit::Stale), "{change:?}");
        assert_eq!(dump(&bench), before, "{change:?}");
    };
    let change = RegistryChange::default;
    check(cursors);
    check(RegistryChange { reports_cursor: Some((6, 7)), ..change() });
    check(RegistryChange { events_cursor: events(None, Some("E2")), ..change() });
    check(RegistryChange { events_cursor: events(Some("E2"), None), ..change() });
    check(RegistryChange { contracts: vec![Contract { id: 1, ..contract("N-1") }], ..change() });
    check(RegistryChange { lines: vec![ContractLine { id: 1, ..line(1, "0042", PLAIN_FN) }], ..change() });
    check(RegistryChange {
        applications: vec![Application { id: 1, ..application(1, "case 1") }],
        ..change()
    });
    check(RegistryChange { kkts: vec![Kkt { id: 9, ..draft("0099", DEBUG_FN, 1) }], ..change() });
    // Added by somebody else meanwhile.
    check(RegistryChange { kkts: vec![draft("0099", PLAIN_FN, 1)], ..change() });
    check(RegistryChange { cards: vec![card(None, "SIM-1")], ..change() });
    check(RegistryChange { applications: vec![application(1, "case 1")], ..change() });
    check(RegistryChange {
        lease: Some(crate::LeaseProof {
            holder: crate::HolderId::new("nobody").unwrap(),
            slot: crate::Slot::REGISTRAR,
            epoch: 1,
        }),
        ..change()
    });
}

fn what_people_do_wrong_is_told_and_writes_nothing() {
    let bench = Bench::new();
    let mut registry = registry(&bench);
    done(&mut registry, &first());
    let before = dump(&bench);
    let mut check = |change: RegistryChange, expected: &str| {
        let change = RegistryChange { tasks: vec![task(None, "x")], ..change };
        let error = registry.commit(&change).unwrap_err();
        assert!(matches!(&error, StoreError::Refused { reason } if reason.contains(expected)), "{error}");
        assert_eq!(dump(&bench), before, "{expected}");
    };
    let change = RegistryChange::default;
    check(RegistryChange { contracts: vec![contract("N-1")], ..change() }, "number of the contract");
    check(RegistryChange { lines: vec![line(1, "0042", DEBUG_FN)], ..change() }, "serial number");
    check(RegistryChange { lines: vec![line(1, "0043", PLAIN_FN)], ..change() }, "ФН");
    check(RegistryChange { lines: vec![line(9, "0043", DEBUG_FN)], ..change() }, "not there");
    check(RegistryChange { lines: vec![line(row(0), "0043", DEBUG_FN)], ..change() }, "not there");
    check(RegistryChange { kkts: vec![draft("0043", DEBUG_FN, row(7))], ..change() }, "not there");
    check(RegistryChange { cards: vec![card(Some(i64::MIN), "SIM-1")], ..change() }, "not there");
}

fn a_change_that_fails_at_its_last_step_leaves_nothing() {
    let bench = Bench::new();
    let mut registry = registry(&bench);
    let before = dump(&bench);
    bench.look.batch(match On::here() {
        On::Sqlite => {
            "CREATE TRIGGER trouble BEFORE INSERT ON human_tasks BEGIN SELECT RAISE (FAIL, 'trouble'); END"
        }
        On::Postgres => {
            "CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trouble''; END';
             CREATE TRIGGER trouble BEFORE INSERT ON human_tasks EXECUTE FUNCTION trouble()"
        }
    });
    assert!(registry.commit(&first()).is_err());
    assert_eq!(dump(&bench), before);
    bench.look.batch(match On::here() {
        On::Sqlite => "DROP TRIGGER trouble",
        On::Postgres => "DROP TRIGGER trouble ON human_tasks",
    });
    done(&mut registry, &first());
}

fn a_register_changes_its_fn_and_its_contract() {
    let bench = Bench::new();
    let mut registry = registry(&bench);
    done(&mut registry, &first());
    let second = RegistryChange { contracts: vec![contract("N-2")], ..RegistryChange::default() };
    let second = done(&mut registry, &second).contracts[0];
    // The line of the first contract ends and one of the second begins, with the same ККТ.
    let old = registry.line(1).unwrap().unwrap();
    let kkt = registry.kkt(KktKey::Id(1)).unwrap().unwrap();
    let change = RegistryChange {
        lines: vec![line(second, "0042", PLAIN_FN), ContractLine { closed_at: Some(moment(3)), ..old }],
        kkts: vec![Kkt { line_id: Some(row(0)), ..kkt }],
        ..RegistryChange::default()
    };
    let ids = done(&mut registry, &change);
    assert_eq!(ids.lines, [2, 1], "in the order of the change");
    let open = registry.open_line(LineKey::Serial("0042")).unwrap().unwrap();
    assert_eq!((open.id, open.contract_id), (2, second));
    assert_eq!(
        registry
            .kkts(&crate::KktFilter { contract_id: Some(second), ..Default::default() }, 9)
            .unwrap()
            .len(),
        1
    );
    let version = registers_sql::facts_after(bench.db(), -1).unwrap().version;

    // A typing error in the ФН is put right.
    let kkt = registry.kkt(KktKey::Id(1)).unwrap().unwrap();
    let change = RegistryChange {
        kkts: vec![Kkt { fn_number: Some(fn_number(DEBUG_FN)), updated_at: moment(4), ..kkt }],
        withdrawn_fns: vec![(1, fn_number(PLAIN_FN)), (1, fn_number(DEBUG_FN))],
        ..RegistryChange::default()
    };
    done(&mut registry, &change);
    let history = registry.fn_history(1).unwrap();
    let told: Vec<_> = history.iter().map(|part| (part.fn_number, part.to_at, part.withdrawn)).collect();
    let (wrong, right) = (fn_number(PLAIN_FN), fn_number(DEBUG_FN));
    assert_eq!(told, [(wrong, Some(moment(4)), true), (right, None, false)], "the one in use stays");
    let facts = registers_sql::facts_after(bench.db(), version).unwrap();
    let of =
        |fn_number, contract| FnChange { fn_number, contract, line_closed_at: None, deregistered_at: None };
    assert_eq!(facts.changes.fns, [of(wrong, None), of(right, Some(second))]);
    assert_eq!(registry.kkt(KktKey::FnEver(&wrong)).unwrap(), None);

    // A move of the state alone is nothing that reception has to know.
    let kkt = registry.kkt(KktKey::Id(1)).unwrap().unwrap();
    let moved = Kkt { state: RegistrationState::ReportReceived, ..kkt };
    done(&mut registry, &RegistryChange { kkts: vec![moved], ..RegistryChange::default() });
    assert_eq!(registers_sql::facts_after(bench.db(), facts.version).unwrap().version, facts.version);
}

fn registers_exchange_their_fn_in_one_change() {
    let bench = Bench::new();
    let mut registry = registry(&bench);
    done(&mut registry, &first());
    let second = Kkt { line_id: None, ..draft("0043", DEBUG_FN, 1) };
    done(&mut registry, &RegistryChange { kkts: vec![second], ..RegistryChange::default() });
    let kkt = |registry: &Registry, id| registry.kkt(KktKey::Id(id)).unwrap().unwrap();
    let (one, two) = (kkt(&registry, 1), kkt(&registry, 2));
    let swapped = vec![
        Kkt { fn_number: two.fn_number, updated_at: moment(7), ..one.clone() },
        Kkt { fn_number: one.fn_number, updated_at: moment(7), ..two.clone() },
    ];
    done(&mut registry, &RegistryChange { kkts: swapped, ..RegistryChange::default() });
    assert_eq!((kkt(&registry, 1).fn_number, kkt(&registry, 2).fn_number), (two.fn_number, one.fn_number));
    // One gives its ФН up, the other takes it.
    let moved = vec![
        Kkt { fn_number: two.fn_number, updated_at: moment(8), ..kkt(&registry, 2) },
        Kkt { fn_number: None, updated_at: moment(8), ..kkt(&registry, 1) },
    ];
    done(&mut registry, &RegistryChange { kkts: moved, ..RegistryChange::default() });
    let ends = |id| -> Vec<_> {
        let history = registry.fn_history(id).unwrap();
        history.iter().map(|part| (part.fn_number, part.to_at)).collect()
    };
    let (plain, debug) = (fn_number(PLAIN_FN), fn_number(DEBUG_FN));
    assert_eq!(ends(1), [(plain, Some(moment(7))), (debug, Some(moment(8)))]);
    assert_eq!(ends(2), [(debug, Some(moment(7))), (plain, Some(moment(8))), (debug, None)]);
}

fn a_fn_of_a_deregistered_register_may_be_registered_anew() {
    let bench = Bench::new();
    let mut registry = registry(&bench);
    done(&mut registry, &first());
    let old = registry.kkt(KktKey::Id(1)).unwrap().unwrap();
    let gone = Kkt { state: RegistrationState::Deregistered, deregistered_at: Some(1_700_000_000), ..old };
    done(&mut registry, &RegistryChange { kkts: vec![gone], ..RegistryChange::default() });
    let version = registers_sql::facts_after(bench.db(), -1).unwrap().version;
    let anew = Kkt { line_id: None, state: RegistrationState::ReportReceived, ..draft("0042", PLAIN_FN, 1) };
    done(&mut registry, &RegistryChange { kkts: vec![anew], ..RegistryChange::default() });
    assert_eq!(registry.kkt(KktKey::Fn(&fn_number(PLAIN_FN))).unwrap().unwrap().id, 2);
    assert_eq!(registry.kkt(KktKey::Serial("0042")).unwrap().unwrap().id, 2);
    let facts = registers_sql::facts_after(bench.db(), version).unwrap();
    let now = FnChange {
        fn_number: fn_number(PLAIN_FN),
        contract: None,
        line_closed_at: None,
        deregistered_at: None,
    };
    assert_eq!(facts.changes.fns, [now], "its newest holder has the last word");
    // Both at once: the facts of all time say the same.
    assert_eq!(registers_sql::facts_after(bench.db(), -1).unwrap().changes.fns, [now]);
}

fn tasks_are_made_once_and_closed() {
    let bench = Bench::new();
    let mut registry = registry(&bench);
    done(&mut registry, &first());
    let tasks = |registry: &mut Registry, tasks: Vec<NewTask>| {
        done(registry, &RegistryChange { tasks, ..RegistryChange::default() }).tasks
    };
    assert_eq!(
        tasks(&mut registry, vec![task(Some(1), "newer"), task(None, "a"), task(None, "b")]),
        [1, 2, 3]
    );
    assert_eq!(tasks(&mut registry, vec![task(None, "b")]), [3], "the same words");
    let other_kind = NewTask { kind: TaskKind::ManualCompletion, ..task(Some(1), "type in") };
    assert_eq!(tasks(&mut registry, vec![other_kind]), [4]);
    assert_eq!(registry.task(1).unwrap().unwrap().text, "newer");
    assert_eq!(registry.open_tasks().unwrap(), 4);
    let ids = |registry: &Registry, filter: TaskFilter| -> Vec<i64> {
        registry.tasks(&filter, 10).unwrap().iter().map(|task| task.id).collect()
    };
    assert_eq!(ids(&registry, TaskFilter::default()), [4, 3, 2, 1]);
    assert_eq!(ids(&registry, TaskFilter { before_id: Some(3), ..TaskFilter::default() }), [2, 1]);
    let mismatch = || TaskFilter { kind: Some(TaskKind::Mismatch), ..TaskFilter::default() };
    assert_eq!(ids(&registry, mismatch()), [3, 2, 1]);

    let note = Some("сверено".to_owned());
    let close = |which: Vec<TaskClose>| RegistryChange { close_tasks: which, ..RegistryChange::default() };
    let of_kkt = TaskClose::OfKkt { kind: TaskKind::Mismatch, kkt_id: 1, at: moment(8), note: note.clone() };
    let by_id = TaskClose::Id { id: 2, at: moment(8), note: None };
    assert_eq!(done(&mut registry, &close(vec![of_kkt.clone(), by_id.clone()])).closed_tasks, 2);
    assert_eq!(done(&mut registry, &close(vec![of_kkt, by_id])).closed_tasks, 0, "once");
    assert_eq!(ids(&registry, mismatch()), [3]);
    assert_eq!(ids(&registry, TaskFilter { with_closed: true, ..mismatch() }), [3, 2, 1]);
    let closed = registry.task(1).unwrap().unwrap();
    assert_eq!((closed.closed_at, closed.note), (Some(moment(8)), note));
    // A new occasion is a new task.
    assert_eq!(tasks(&mut registry, vec![task(Some(1), "again")]), [5]);
    assert_eq!(registry.task(99).unwrap(), None);
}

fn an_empty_change_says_so() {
    assert!(RegistryChange::default().is_empty());
    assert!(!first().is_empty());
    let bench = Bench::new();
    let mut registry = registry(&bench);
    assert_eq!(registry.commit(&RegistryChange::default()), Ok(Commit::Done(CommitIds::default())));
    assert_eq!(registry.cursors().unwrap(), Cursors::default());
    assert_eq!(contracts::list(bench.db(), 0, 10).unwrap(), []);
    assert_eq!(kkts::counts(bench.db()).unwrap(), []);
    assert_eq!(papers::cards(bench.db(), None, 0, 10).unwrap(), []);
}

on_both_engines!(
    rows_of_one_change_find_each_other_and_come_back,
    of_two_that_read_the_same_row_one_is_stale_and_writes_nothing,
    whatever_is_not_as_it_was_read_makes_all_of_it_stale,
    what_people_do_wrong_is_told_and_writes_nothing,
    a_change_that_fails_at_its_last_step_leaves_nothing,
    a_register_changes_its_fn_and_its_contract,
    registers_exchange_their_fn_in_one_change,
    a_fn_of_a_deregistered_register_may_be_registered_anew,
    tasks_are_made_once_and_closed,
    an_empty_change_says_so,
);
