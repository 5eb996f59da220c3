//! Endpoints 6, 7 and 8: registers and their cards.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Incoming, Problem, with_type};
use crate::fns::shared::Shared;
use crate::fns::wire::TypedReport;
use crate::fns::world::{CompletionError, Kkt};

/// Most bytes of the typed values.
const MAX_BYTES: usize = 16 << 10;

/// Endpoint 6: the taxpayer's «Завершить регистрацию».
pub(super) async fn complete(shared: &Shared, rnm: &str, incoming: Incoming) -> Result<Answer, Problem> {
    let body = incoming.read(MAX_BYTES, "REPORT_TOO_LARGE").await?;
    let typed: TypedReport = serde_json::from_slice(&body).map_err(|error| {
        if error.is_data() {
            Problem::invalid("REPORT_MISMATCH", error.to_string())
        } else {
            Problem::new(StatusCode::BAD_REQUEST, "BAD_JSON", error.to_string())
        }
    })?;
    match shared.with(|world, now| world.complete(rnm, typed, now)) {
        Ok(()) => Ok(super::json(StatusCode::OK, &json!({ "state": "registered" }))),
        Err(CompletionError::UnknownRnm) => {
            Err(Problem::not_found("UNKNOWN_RNM", "there is no register with this number"))
        }
        Err(CompletionError::AlreadyCompleted) => {
            let detail = "the registration is complete, or the register was struck off";
            Err(Problem::new(StatusCode::CONFLICT, "ALREADY_COMPLETED", detail))
        }
        Err(CompletionError::Mismatch(name)) => {
            let detail = format!("{name} is not that of the report");
            Err(Problem::invalid("REPORT_MISMATCH", detail)
                .with_errors(vec![(name, "is not that of the report")]))
        }
    }
}

/// Endpoint 7.
pub(super) fn entry(shared: &Shared, rnm: &str) -> Result<Answer, Problem> {
    shared.with(|world, _| match world.kkt(rnm) {
        Some(kkt) => Ok(super::json(StatusCode::OK, &kkt_json(kkt))),
        None => Err(Problem::not_found("UNKNOWN_RNM", "there is no register with this number")),
    })
}

/// Endpoint 8.
pub(super) fn card(shared: &Shared, rnm: &str, incoming: &Incoming) -> Result<Answer, Problem> {
    let card = shared.with(|world, _| world.kkt(rnm).and_then(|kkt| kkt.card.clone()));
    let card = card.ok_or_else(|| Problem::not_found("NO_CARD", "the register has no card"))?;
    let wants_xml = incoming.header("accept").is_some_and(|accept| {
        let mut types = accept.split(',').filter_map(|item| item.split(';').next()).map(str::trim);
        types.next() == Some("application/xml")
    });
    if wants_xml {
        return Ok(with_type(StatusCode::OK, "application/xml", card.xml()));
    }
    Ok(super::json(StatusCode::OK, &card))
}

/// A register as endpoint 7 says it.
pub(in crate::fns) fn kkt_json(kkt: &Kkt) -> Value {
    let storage = kkt.card_storage().map(|number| number.to_string());
    let report = kkt.report.as_ref().map(|report| format!("{}-{}", report.fn_number, report.fd_number));
    let storages: Vec<Value> = kkt
        .storages
        .iter()
        .map(|storage| {
            json!({ "serial": storage.fn_number, "reported": storage.reported, "registered": storage.carded })
        })
        .collect();
    json!({
        "rnm": kkt.rnm,
        "state": kkt.state(),
        "user": kkt.user,
        "kkt": kkt.device,
        "fn": { "model": kkt.fn_model, "serial": storage },
        "storages": storages,
        "report": report,
        "cardNumber": kkt.card.as_ref().map(|card| card.card_number.clone()),
        "registeredAt": kkt.card.as_ref().map(|card| card.registered_at.clone()),
        "deregisteredAt": kkt.deregistered_at.map(|at| ffd::LocalTime::new(at).civil().to_string()),
    })
}
