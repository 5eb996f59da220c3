use proptest::prelude::*;

use super::*;

#[track_caller]
fn event(text: &str) -> Event {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_page_of_the_notes_is_read() {
    let page: EventsPage = serde_json::from_str(
        r#"{ "events": [
          { "id": "E1", "type": "ticket", "at": "2017-03-03T08:38:15Z", "docKey": "9999078900005488-1",
            "ticketId": "T-0000000000000001", "verdict": "soft",
            "codes": [ { "code": 901, "text": "карточка регистрации не сформирована", "path": null } ] },
          { "id": "E2", "type": "registrationCard", "at": "2017-03-03T08:39:00Z", "rnm": "0000000005008570",
            "basis": { "docKey": "9999078900005488-1" },
            "card": { "knd": "1110066", "rnm": "0000000005008570", "registeredAt": "2017-03-03",
              "user": { "inn": "7702203276", "name": "ООО РАПКАТ-центр" },
              "kkt": { "model": "М", "serial": "000000000002" },
              "fn": { "model": "Н", "serial": "9999078900005488" },
              "place": { "address": "а", "name": "б" }, "ofd": { "inn": "7704358518" },
              "modes": { "service": true }, "taxOffice": "7702", "validFrom": "2017-03-03", "cardNumber": "SIM-1" },
            "xmlBase64": "PGE+", "signatureBase64": "AA==" }
         ], "cursor": "3", "more": false }"#,
    )
    .unwrap();
    assert_eq!((page.cursor.as_str(), page.more, page.events.len()), ("3", false, 2));
    let EventKind::Ticket(ticket) = &page.events[0].kind else { panic!("{page:?}") };
    assert_eq!((ticket.doc_key.to_string().as_str(), ticket.verdict), ("9999078900005488-1", Verdict::Soft));
    assert_eq!((ticket.codes[0].code, ticket.codes[0].path.as_deref()), (901, None));
    let EventKind::RegistrationCard(event) = &page.events[1].kind else { panic!("{page:?}") };
    let card = event.card.as_ref().unwrap();
    assert_eq!((card.fn_storage.serial.as_str(), card.modes.service), ("9999078900005488", true));
    assert_eq!(card.card_number.as_deref(), Some("SIM-1"));
}

#[test]
fn every_type_is_known_and_a_broken_event_hides_nothing() {
    let check = |text: &str, expected: fn(&EventKind) -> bool| {
        let event = event(text);
        assert!(expected(&event.kind), "{text}: {event:?}");
    };
    check(r#"{"type":"ticket","docKey":"1-1","verdict":"hard"}"#, |k| matches!(k, EventKind::Ticket(_)));
    check(r#"{"type":"deregistrationCard","rnm":"1"}"#, |k| matches!(k, EventKind::DeregistrationCard(_)));
    check(
        r#"{"type":"registrationRefused","docKey":"1-1","codes":[{"code":1}]}"#,
        |k| matches!(k, EventKind::RegistrationRefused { codes, .. } if codes.len() == 1),
    );
    check(r#"{"type":"applicationAccepted","applicationId":"A","rnm":"1"}"#, |k| {
        matches!(k, EventKind::ApplicationAccepted { .. })
    });
    check(r#"{"type":"applicationRefused","applicationId":"A"}"#, |k| {
        matches!(k, EventKind::ApplicationRefused { .. })
    });
    check(r#"{"type":"news"}"#, |k| matches!(k, EventKind::Unknown { kind } if kind == "news"));
    let malformed = |k: &EventKind| matches!(k, EventKind::Malformed { .. });
    check(r#"{"type":"ticket","docKey":"x","verdict":"hard"}"#, malformed);
    check(r#"{"type":"ticket","docKey":"1-1","verdict":"maybe"}"#, malformed);
    check(r#"{"type":"registrationCard","rnm":"1"}"#, malformed);
    check(r#"{"type":7}"#, malformed);
    check("7", malformed);
    let page: EventsPage =
        serde_json::from_str(r#"{"events":[7,{"type":"news","id":"E9","at":"nonsense"}],"cursor":"c"}"#)
            .unwrap();
    assert_eq!((page.events[1].id.as_str(), page.events[1].at), ("E9", None));
}

#[test]
fn keys_of_documents() {
    let check = |text: &str, fine: bool| {
        let key = text.parse::<DocKey>();
        assert_eq!(key.is_ok(), fine, "{text}");
        if let Ok(key) = key {
            assert_eq!(key.to_string(), text);
        }
    };
    check("9999078900005488-1", true);
    check("1-16777215", true);
    check("9999078900005488-16777216", false);
    check("9999078900005488-0", false);
    check("9999078900005488-+1", false);
    check("9999078900005488", false);
    check("-1", false);
    check("99990789000054881-1", false);
    check("", false);
}

#[test]
fn stages_of_an_application() {
    let check = |text: &str, expected: ApplicationStage| {
        assert_eq!(serde_json::from_str::<ApplicationState>(text).unwrap().stage(), expected, "{text}");
    };
    check(r#"{"state":"received"}"#, ApplicationStage::Pending);
    check(r#"{"state":"accepted","rnm":"1"}"#, ApplicationStage::Accepted { rnm: "1".to_owned() });
    check(r#"{"state":"accepted"}"#, ApplicationStage::AcceptedWithoutRnm);
    check(r#"{"state":"refused"}"#, ApplicationStage::Refused { codes: vec![] });
    let codes = vec![CodeJson { code: 5, text: "t".to_owned(), path: None }];
    check(
        r#"{"state":"refused","refusal":{"codes":[{"code":5,"text":"t"}]}}"#,
        ApplicationStage::Refused { codes },
    );
}

proptest! {
    #[test]
    fn whatever_comes_is_read_without_a_panic(text in any::<String>()) {
        let _ = Event::read(&text);
        let _ = serde_json::from_str::<EventsPage>(&text);
        let _ = serde_json::from_str::<BatchAnswer>(&text);
        let _ = serde_json::from_str::<Problem>(&text);
        let _ = text.parse::<DocKey>();
    }
}
