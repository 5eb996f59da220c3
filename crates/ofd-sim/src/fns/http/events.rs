//! Endpoint 3: the events feed, with a long poll.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Answer, Incoming, Problem};
use crate::fns::shared::Shared;
use crate::fns::wire::{moment, ticket};
use crate::fns::world::{Event, OtherEvent, Stamped, World};

/// Most events of a page.
const MAX_LIMIT: u64 = 500;
/// Events of a page when nobody says.
const DEFAULT_LIMIT: u64 = 100;
/// The longest wait for news, seconds.
const MAX_WAIT_S: u64 = 30;

pub(super) async fn page(shared: &Shared, incoming: Incoming) -> Result<Answer, Problem> {
    let limit = incoming.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT)?;
    let limit = usize::try_from(limit).unwrap_or(1);
    let wait_s = incoming.number("wait", 0..=MAX_WAIT_S, 0)?;
    let expired =
        || Problem::new(StatusCode::GONE, "CURSOR_EXPIRED", "events behind this cursor are forgotten");
    // The cursor is ours to invent: one that we never gave is as good as an old one.
    let after = match incoming.parameter("after").filter(|after| !after.is_empty()) {
        Some(text) => Some(text.parse::<u64>().map_err(|_| expired())?),
        None => None,
    };
    let until = Instant::now() + Duration::from_secs(wait_s);
    let mut news = shared.news.subscribe();
    shared.with(|world, _| world.counts.event_polls += 1);
    loop {
        news.mark_unchanged();
        let (body, is_empty) = shared.with(|world, _| read(world, after, limit)).ok_or_else(expired)?;
        if !is_empty || Instant::now() >= until || shared.stop.is_cancelled() {
            return Ok(super::json(StatusCode::OK, &body));
        }
        tokio::select! {
            _ = news.changed() => {}
            () = tokio::time::sleep_until(until) => {}
            () = shared.stop.cancelled() => {}
        }
    }
}

/// The page, and whether nothing is on it.
fn read(world: &World, after: Option<u64>, limit: usize) -> Option<(Value, bool)> {
    let page = world.events(after, limit)?;
    let events: Vec<Value> =
        page.events.iter().map(|(number, stamped)| event(world, *number, stamped)).collect();
    let is_empty = events.is_empty();
    let body = json!({ "events": events, "cursor": page.cursor.to_string(), "more": page.more });
    Some((body, is_empty))
}

fn event(world: &World, number: u64, stamped: &Stamped) -> Value {
    let mut value = match &stamped.event {
        Event::Ticket { doc, verdict, codes } => {
            let key = world.document(*doc).map(|doc| doc.key().to_string());
            json!({ "type": "ticket", "docKey": key, "ticketId": ticket(world.ticket_number(*doc)),
                    "verdict": verdict, "codes": codes.json() })
        }
        Event::Other(other) => other_event(other),
    };
    if let Some(members) = value.as_object_mut() {
        members.insert("id".to_owned(), format!("E{number}").into());
        members.insert("at".to_owned(), moment(stamped.at).into());
    }
    value
}

fn other_event(event: &OtherEvent) -> Value {
    match event {
        OtherEvent::RegistrationCard { rnm, basis, card } => {
            let (xml, signature) = card.signed();
            let basis = basis.as_ref().map(|key| json!({ "docKey": key }));
            json!({ "type": "registrationCard", "rnm": rnm, "basis": basis, "card": card,
                    "xmlBase64": xml, "signatureBase64": signature })
        }
        OtherEvent::DeregistrationCard { rnm, card } => {
            let (xml, signature) = card.signed();
            json!({ "type": "deregistrationCard", "rnm": rnm, "deregisteredAt": card.deregistered_at, "card": card,
                    "xmlBase64": xml, "signatureBase64": signature })
        }
        OtherEvent::RegistrationRefused { doc_key, codes } => {
            json!({ "type": "registrationRefused", "docKey": doc_key, "codes": codes })
        }
        OtherEvent::ApplicationAccepted { application_id, rnm } => {
            json!({ "type": "applicationAccepted", "applicationId": application_id, "rnm": rnm })
        }
        OtherEvent::ApplicationRefused { application_id, codes } => {
            json!({ "type": "applicationRefused", "applicationId": application_id, "codes": codes })
        }
    }
}
