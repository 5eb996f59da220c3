//! Events over a real store: any order, any number of times.

use ofd_store::{CardSource, RegistrationState as State};

use super::*;
use crate::registration::bench::{
    Bench, FN, OTHER_FN, PERIODS, REPORT, RNM, SERIAL, at, card, deregistration, ticket,
};

fn cards(bench: &Bench) -> Vec<ofd_store::Card> {
    bench.registry.cards(None, 0, 100).unwrap()
}

#[test]
fn card_and_tickets_in_any_order_any_number_of_times_link_once() {
    let events = [ticket(1, "soft"), card("SIM-1", FN), ticket(1, "accepted")];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        for one_page in [true, false] {
            let mut bench = Bench::with_line();
            bench.receive(&REPORT, 1);
            let ordered: Vec<String> = order.iter().map(|index| events[*index].clone()).collect();
            for _ in 0..2 {
                if one_page {
                    bench.events(&ordered.join(","), 2);
                } else {
                    for event in &ordered {
                        bench.events(event, 2);
                    }
                }
            }
            bench.is(State::Linked, "Подключена");
            assert_eq!(cards(&bench).len(), 1, "{order:?}");
            assert_eq!(bench.open_kinds(), Vec::<&str>::new());
        }
    }
}

#[test]
fn the_way_of_a_report_ticket_by_ticket() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    // The follower has not run: the page makes it.
    let applied = bench.events(&ticket(1, "soft"), 2);
    assert_eq!((applied.events, applied.moved, applied.repeated, applied.stale), (1, 1, 0, false));
    bench.is(State::ReportForwarded, "Отчёт получен, ожидаем карточку");
    bench.events(&ticket(1, "accepted"), 3);
    bench.is(State::ReportForwarded, "Отчёт получен, ожидаем карточку");
    let applied = bench.events(&card("SIM-1", FN), 4);
    assert_eq!((applied.moved, applied.repeated), (1, 0));
    let stored = cards(&bench).remove(0);
    assert_eq!((stored.source, stored.body.as_slice()), (CardSource::Event, b"<card/>".as_slice()));
    assert_eq!(
        (stored.signature.as_deref(), stored.kkt_id),
        (Some([0u8, 1, 2].as_slice()), Some(bench.kkt().id))
    );
    assert_eq!(bench.kkt().card_id, Some(stored.id));
    assert!(stored.applied_at.is_some() && stored.confirmed_at.is_none());
    let again = bench.events(&card("SIM-1", FN), 5);
    assert_eq!((again.moved, again.repeated), (0, 1));
    assert_eq!(cards(&bench).remove(0).confirmed_at, Some(at(5)));
    // A ticket after the link changes nothing.
    bench.events(&ticket(1, "hard"), 6);
    bench.is(State::Linked, "Подключена");
}

#[test]
fn refusals() {
    for event in [
        ticket(1, "hard"),
        format!(
            r#"{{"id": "R", "type": "registrationRefused", "docKey": "{FN}-1", "codes": [{{"code": 904, "text": "ИНН"}}]}}"#
        ),
    ] {
        let mut bench = Bench::with_line();
        bench.receive(&REPORT, 1);
        bench.events(&event, 2);
        bench.is(State::ReportRefused, "Отказ ФНС");
        assert_eq!(bench.open_kinds(), ["report_refused"]);
        bench.events(&event, 3);
        assert_eq!(bench.open_kinds(), ["report_refused"]);
        bench.receive(&crate::registration::bench::Till { fd: 2, ..REPORT }, 4);
        bench.follow(4);
        bench.is(State::ReportReceived, "Отчёт получен, ожидаем карточку");
        assert_eq!(bench.open_kinds(), Vec::<&str>::new());
        // The refusal of the report before says nothing about the new one.
        bench.events(&event, 5);
        bench.is(State::ReportReceived, "Отчёт получен, ожидаем карточку");
    }
}

#[test]
fn a_card_that_differs_changes_nothing_and_asks_a_person_once() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&card("SIM-1", OTHER_FN), 2);
    bench.is(State::ReportReceived, "Отчёт получен, ожидаем карточку");
    assert_eq!(bench.open_kinds(), ["card_mismatch"]);
    assert!(cards(&bench)[0].applied_at.is_none());
    let task = bench.open_tasks().remove(0);
    crate::registration::ops::task_close(&mut bench.registry, task.id, Some("сверено"), at(3)).unwrap();
    bench.events(&card("SIM-1", OTHER_FN), 4);
    assert_eq!((bench.open_kinds().len(), cards(&bench).len()), (0, 1), "a repeat asks nobody again");
}

#[test]
fn what_is_unknown_is_counted_and_never_stops_the_feed() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    let page = [
        r#"{"id": "1", "type": "newThing", "x": 1}"#.to_owned(),
        r#"{"id": "2", "type": "ticket", "docKey": "nonsense", "verdict": "soft"}"#.to_owned(),
        r#"{"id": "3", "type": "ticket", "docKey": "8710000100009999-5", "verdict": "soft"}"#.to_owned(),
        r#"{"id": "4", "type": "registrationRefused", "docKey": "8710000100009999-5", "codes": []}"#
            .to_owned(),
        r#"{"id": "5", "type": "applicationAccepted", "applicationId": "A", "rnm": "0000000005008570"}"#
            .to_owned(),
        r#"{"id": "6", "type": "applicationAccepted", "applicationId": "A", "rnm": "short"}"#.to_owned(),
        card("SIM-9", OTHER_FN).replace(RNM, "0000000006000000").replace(SERIAL, "77"),
        card("SIM-1", FN).replace("1110066", "5"),
        ticket(1, "accepted"),
    ];
    let applied = bench.events(&page.join(","), 2);
    assert_eq!((applied.events, applied.skipped, applied.unknown, applied.moved), (9, 4, 3, 1));
    assert_eq!(bench.registry.cursors().unwrap().events.as_deref(), Some("1"));
    bench.is(State::ReportForwarded, "Отчёт получен, ожидаем карточку");
    assert_eq!(bench.open_kinds(), ["card_unknown", "card_unknown", "card_unknown"]);
}

#[test]
fn the_cursor_guards_a_page() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&ticket(1, "soft"), 2);
    let page: EventsPage = serde_json::from_str(&format!(
        r#"{{"events": [{}], "cursor": "7", "more": false}}"#,
        card("SIM-1", FN)
    ))
    .unwrap();
    let elsewhere = apply_page(&mut bench.registry, None, &PERIODS, Some("5"), &page, at(3)).unwrap();
    assert!(elsewhere.stale);
    bench.is(State::ReportForwarded, "Отчёт получен, ожидаем карточку");
    let here = apply_page(&mut bench.registry, None, &PERIODS, Some("1"), &page, at(3)).unwrap();
    assert!(!here.stale);
    assert_eq!(bench.registry.cursors().unwrap().events.as_deref(), Some("7"));
    assert!(begin_anew(&mut bench.registry, None, "7").unwrap());
    assert_eq!(bench.registry.cursors().unwrap().events, None);
    assert!(!begin_anew(&mut bench.registry, None, "7").unwrap());
}

#[test]
fn the_end_of_a_registration_twice() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&card("SIM-1", FN), 2);
    bench.events(&deregistration(), 3);
    let applied = bench.events(&deregistration(), 4);
    assert_eq!((applied.moved, applied.repeated), (0, 1));
    bench.is(State::Deregistered, "Снята с учёта");
    // An old card that comes once more brings nobody back.
    bench.events(&card("SIM-1", FN), 5);
    bench.is(State::Deregistered, "Снята с учёта");
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());
    bench.events(&card("SIM-2", FN), 6);
    bench.is(State::Deregistered, "Снята с учёта");
    assert_eq!(bench.open_kinds(), ["card_mismatch"]);
}

#[test]
fn verdicts_that_were_asked_for_are_like_tickets() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    let verdict = DocumentVerdict {
        fn_number: FN.parse().unwrap(),
        fd_number: ffd::ids::FdNumber::FIRST,
        ticket_id: None,
        verdict: ofd_store::Verdict::Accepted,
        codes: Vec::new(),
        at: at(2),
    };
    let applied = apply_verdicts(&mut bench.registry, None, &PERIODS, &[verdict], at(3)).unwrap();
    assert_eq!(applied.moved, 1);
    bench.is(State::ReportForwarded, "Отчёт получен, ожидаем карточку");
    assert_eq!(bench.registry.cursors().unwrap().events, None);
}

#[test]
fn a_card_does_not_take_the_fn_of_another_register() {
    let mut bench = Bench::new();
    let rnm = RNM.parse().unwrap();
    let inn = crate::registration::bench::INN.parse().unwrap();
    let announced = crate::registration::ops::register_add;
    announced(&mut bench.registry, Some(SERIAL), None, Some((&rnm, false)), Some(&inn), at(0)).unwrap();
    let fn_number = FN.parse().unwrap();
    announced(&mut bench.registry, Some("9"), Some(&fn_number), None, None, at(0)).unwrap();
    let applied = bench.events(&card("SIM-1", FN), 1);
    assert!(!applied.stale, "the feed goes on");
    bench.is(State::RnmAssigned, "Присвоен РНМ, ожидаем отчёт о регистрации");
    assert_eq!(bench.open_kinds(), ["card_mismatch"]);
}
