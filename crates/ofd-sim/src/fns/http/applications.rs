//! Endpoints 4 and 5: applications.

use axum::http::StatusCode;
use serde_json::json;

use super::{Answer, Incoming, Problem};
use crate::fns::shared::Shared;
use crate::fns::wire::Application;
use crate::fns::world::{ApplicationEntry, ApplicationError, Decision};

/// Most bytes of an application: the signed XML inside is some kilobytes.
const MAX_BYTES: usize = 1 << 20;

pub(super) async fn apply(shared: &Shared, incoming: Incoming) -> Result<Answer, Problem> {
    if incoming.media_type() != "application/json" {
        let detail = "Content-Type is application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail));
    }
    let key = incoming.header("idempotency-key").filter(|key| key.len() <= 256).map(str::to_owned);
    let body = incoming.read(MAX_BYTES, "APPLICATION_TOO_LARGE").await?;
    let application: Application = serde_json::from_slice(&body).map_err(|error| {
        if error.is_data() {
            Problem::invalid("APPLICATION_INVALID", error.to_string())
        } else {
            Problem::new(StatusCode::BAD_REQUEST, "BAD_JSON", error.to_string())
        }
    })?;
    match shared.with(|world, now| world.apply(&application, key.as_deref(), now)) {
        Ok(id) => Ok(super::json(StatusCode::ACCEPTED, &json!({ "applicationId": id, "state": "received" }))),
        Err(ApplicationError::AlreadyRegistered) => {
            let detail = "this register or storage has a registration number";
            Err(Problem::new(StatusCode::CONFLICT, "ALREADY_REGISTERED", detail))
        }
        Err(ApplicationError::Invalid(errors)) => {
            Err(Problem::invalid("APPLICATION_INVALID", "the application is not complete")
                .with_errors(errors))
        }
    }
}

pub(super) fn state(shared: &Shared, id: &str) -> Result<Answer, Problem> {
    shared.with(|world, _| match world.application(id) {
        Some(entry) => Ok(super::json(StatusCode::OK, &entry_json(entry))),
        None => Err(Problem::not_found("UNKNOWN_APPLICATION", "there is no such application")),
    })
}

/// State of an application as endpoint 5 says it.
pub(in crate::fns) fn entry_json(entry: &ApplicationEntry) -> serde_json::Value {
    let id = &entry.id;
    match &entry.decision {
        None => json!({ "applicationId": id, "kind": entry.kind, "state": "received" }),
        Some(Decision::Accepted { rnm }) => {
            json!({ "applicationId": id, "kind": entry.kind, "state": "accepted", "rnm": rnm })
        }
        Some(Decision::Refused { codes }) => {
            json!({ "applicationId": id, "kind": entry.kind, "state": "refused", "refusal": { "codes": codes } })
        }
    }
}
