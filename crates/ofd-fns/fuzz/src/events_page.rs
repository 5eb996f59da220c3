//! A page of events: an event is what it is whatever stands beside it, and one that cannot be read hides no other.

use std::fmt::Write as _;

use ofd_fns::client::wire::{DocKey, Event, EventKind, EventsPage};
use ofd_fns::registration::card::read_json;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{card, rewritten};

/// Most characters that are kept of an event that does not read.
const MAX_KEPT_CHARS: usize = 2_000;

/// The events of a page as they came.
#[derive(Deserialize)]
struct Texts<'a> {
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
}

/// Checks one page, and the input as one event of a page.
pub fn check(input: &[u8]) {
    if let Ok(page) = serde_json::from_slice::<EventsPage>(input) {
        let texts: Texts<'_> = serde_json::from_slice(input).expect("the page reads");
        let texts: Vec<&str> = texts.events.iter().map(|event| event.get()).collect();
        assert_eq!(page.events.len(), texts.len());
        for (event, text) in page.events.iter().zip(&texts) {
            judged(event, text);
        }
        beside_a_broken_one(&page.events, &texts);
    }
    if let Ok(text) = str::from_utf8(input)
        && let Ok(event) = serde_json::from_str::<Event>(text)
    {
        judged(&event, text.trim_matches([' ', '\t', '\n', '\r']));
    }
}

/// The same events with a broken one before each.
fn beside_a_broken_one(events: &[Event], texts: &[&str]) {
    let mut page = r#"{"cursor":"c","events":["#.to_owned();
    for text in texts {
        write!(page, r#"{{"type":"ticket","docKey":7}},{text},"#).unwrap();
    }
    page.push_str("7]}");
    let page: EventsPage = serde_json::from_str(&page).expect("the events read alone");
    assert_eq!(page.events.len(), events.len() * 2 + 1);
    for (index, event) in page.events.iter().enumerate() {
        if index % 2 == 1 {
            assert_eq!(event, &events[index / 2]);
        } else {
            assert!(matches!(event.kind, EventKind::Malformed { .. }));
        }
    }
}

fn judged(event: &Event, text: &str) {
    match &event.kind {
        EventKind::Ticket(ticket) => {
            key(&ticket.doc_key);
            rewritten::same(ticket);
        }
        EventKind::RegistrationCard(event) => {
            assert!(event.card.is_some());
            rewritten::same(event);
            card::judged(&read_json(event.card.as_ref().unwrap()));
        }
        EventKind::DeregistrationCard(event) => {
            rewritten::same(event);
            event.card.iter().for_each(|card| card::judged(&read_json(card)));
        }
        EventKind::RegistrationRefused { doc_key, codes } => {
            key(doc_key);
            codes.iter().for_each(rewritten::same);
        }
        EventKind::ApplicationAccepted { .. } | EventKind::Unknown { .. } => {}
        EventKind::ApplicationRefused { codes, .. } => codes.iter().for_each(rewritten::same),
        EventKind::Malformed { reason, text: kept, .. } => {
            assert!(!reason.is_empty());
            assert!(kept.chars().count() <= MAX_KEPT_CHARS && text.starts_with(kept.as_str()));
        }
    }
}

fn key(key: &DocKey) {
    assert_eq!(key.to_string().parse::<DocKey>().as_ref(), Ok(key));
}
