//! The control port: how a test looks into the tax service and makes it misbehave. Plain HTTP on loopback.
//!
//! | method, path | does |
//! | --- | --- |
//! | `GET /sim/config` | the behaviour, see [`SimConfig`] |
//! | `PUT /sim/config` | changes the members it names |
//! | `GET /sim/documents?fn=&verdict=&after=&limit=` | documents in the order of coming, `after` = how many to skip |
//! | `GET /sim/documents/{docKey}` | one document; with `--keep-bodies` its `item` as it came |
//! | `GET /sim/kkts`, `GET /sim/kkts/{rnm}` | registers |
//! | `POST /sim/kkts` | a register with a number got past the operator: `{inn, kktSerial, fnSerial, rnm?, name?, kktModel?, fnModel?}` |
//! | `POST /sim/kkts/{rnm}/card` | sends the card (again); a body is merged into it, for a card that differs |
//! | `GET /sim/applications` | applications |
//! | `POST /sim/applications/{id}/decide` | `{"decision": "accept"}` or `{"decision": "refuse", "codes": [{code, text}]}` |
//! | `POST /sim/registration-refused` | `{docKey or rnm, codes?}`: event `registrationRefused` |
//! | `POST /sim/deregister` | `{rnm, at?}`: event `deregistrationCard`; `at` = `yyyy-mm-ddThh:mm:ss` of the register's clock |
//! | `POST /sim/verdicts` | `{docKey, codes: [..]}`: the verdict of a document that is here or still to come; no code = accepted |
//! | `GET /sim/requests` | counts, and the newest batches |
//! | `POST /sim/snapshot` | writes the snapshot now |
//! | `POST /sim/reset` | forgets everything but the behaviour |
//! | `GET /cabinet` | the taxpayer's page with «Завершить регистрацию» |
//! | `GET /cabinet/card?rnm=` | the card of a register as the taxpayer gets it, XML |

mod page;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use ffd::FnNumber;
use serde::Deserialize;
use serde_json::{Value, json};

use super::codes::Codes;
use super::config::SimConfig;
use super::connection::Peer;
use super::door::DocKey;
use super::http::applications::entry_json;
use super::http::kkts::kkt_json;
use super::http::{Answer, Incoming, Problem, json as answer, new_request_id, with_type};
use super::shared::Shared;
use super::world::{CardError, Doc, DocIndex, Reason, SeedKkt, World};

/// Most bytes of a request.
const MAX_BYTES: usize = 1 << 20;
/// Most documents of a page.
const MAX_PAGE: u64 = 10_000;
/// What a refused application or report says when nobody gave a reason.
const NO_REASON: u32 = 950;

/// The service behind the control port.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Answer {
    let id = new_request_id();
    let incoming = Incoming::new(request, Peer::default());
    let mut answer = match Box::pin(respond(&shared, incoming)).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_answer(&id),
    };
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert("x-request-id", id);
    }
    answer
}

async fn respond(shared: &Shared, incoming: Incoming) -> Result<Answer, Problem> {
    check_host(&incoming)?;
    let (method, path) = (incoming.method.clone(), incoming.path.clone());
    let segments: Vec<&str> = path.split('/').skip(1).filter(|segment| !segment.is_empty()).collect();
    if let ["sim", rest @ ..] = segments.as_slice() {
        return match method {
            Method::GET => read(shared, rest, &incoming),
            Method::PUT | Method::POST => {
                let body = incoming.read(MAX_BYTES, "BODY_TOO_LARGE").await?;
                write(shared, &method, rest, &body)
            }
            _ => Err(Problem::not_allowed("GET, PUT, POST")),
        };
    }
    match (segments.as_slice(), method) {
        ([] | ["cabinet"], Method::GET) => Ok(page::show(shared, None)),
        (["cabinet", "card"], Method::GET) => taxpayers_card(shared, &incoming),
        (["cabinet"], Method::POST) => {
            let body = incoming.read(MAX_BYTES, "BODY_TOO_LARGE").await?;
            Ok(page::submit(shared, &body))
        }
        _ => Err(nothing_here()),
    }
}

/// The card that the taxpayer mails to the operator.
fn taxpayers_card(shared: &Shared, incoming: &Incoming) -> Result<Answer, Problem> {
    let rnm = incoming.parameter("rnm").unwrap_or_default();
    let card = shared.with(|world, _| world.kkt(&rnm).and_then(|kkt| kkt.card.clone()));
    let card = card.ok_or_else(|| Problem::not_found("NO_CARD", "this register has no card"))?;
    Ok(with_type(StatusCode::OK, "application/xml", card.xml()))
}

/// A page of another site in the same browser has no business here, whatever its name resolves to.
fn check_host(incoming: &Incoming) -> Result<(), Problem> {
    let host = incoming.header(header::HOST.as_str()).unwrap_or("");
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_site = |value: &str| incoming.header("sec-fetch-site") == Some(value);
    if matches!(name, "localhost" | "127.0.0.1" | "[::1]" | "") && !is_site("cross-site") {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "NOT_LOOPBACK", "the control port serves this machine only"))
}

fn nothing_here() -> Problem {
    Problem::not_found("NOT_FOUND", "there is nothing at this path and method")
}

fn read(shared: &Shared, segments: &[&str], incoming: &Incoming) -> Result<Answer, Problem> {
    match segments {
        ["config"] => Ok(answer(StatusCode::OK, &shared.config())),
        ["documents"] => documents(shared, incoming),
        ["documents", key] => shared.with(|world, _| {
            let index = DocKey::parse(key).and_then(|key| world.find_document(&key));
            let found = index.and_then(|index| Some((index, world.document(index)?)));
            let (index, doc) =
                found.ok_or_else(|| Problem::not_found("UNKNOWN_DOCUMENT", "this document never came"))?;
            Ok(answer(StatusCode::OK, &doc_json(world, index, doc, true)))
        }),
        ["kkts"] => Ok(shared.with(|world, _| {
            let kkts: Vec<Value> = world.kkts().into_iter().map(kkt_json).collect();
            answer(StatusCode::OK, &json!({ "kkts": kkts }))
        })),
        ["kkts", rnm] => shared.with(|world, _| match world.kkt(rnm) {
            Some(kkt) => Ok(answer(StatusCode::OK, &kkt_json(kkt))),
            None => Err(unknown_rnm()),
        }),
        ["applications"] => Ok(shared.with(|world, _| {
            let applications: Vec<Value> = world.applications().iter().map(entry_json).collect();
            answer(StatusCode::OK, &json!({ "applications": applications }))
        })),
        ["requests"] => {
            let batches = shared.batches();
            let body = shared.with(|world, _| {
                json!({ "counts": world.counts, "documents": world.document_count(),
                        "newestEvent": world.newest_event(), "batches": batches })
            });
            Ok(answer(StatusCode::OK, &body))
        }
        _ => Err(nothing_here()),
    }
}

fn write(shared: &Shared, method: &Method, segments: &[&str], body: &Bytes) -> Result<Answer, Problem> {
    let done = || answer(StatusCode::OK, &json!({ "done": true }));
    match (segments, method) {
        (["config"], &Method::PUT) => configure(shared, body),
        (["kkts"], &Method::POST) => {
            let seed: SeedKkt = parse(body)?;
            let rnm = shared.with(|world, _| world.seed(seed));
            let taken = || Problem::new(StatusCode::CONFLICT, "ALREADY_REGISTERED", "the number is taken");
            Ok(answer(StatusCode::CREATED, &json!({ "rnm": rnm.ok_or_else(taken)? })))
        }
        (["kkts", rnm, "card"], &Method::POST) => {
            let change: Value = if body.is_empty() { Value::Null } else { parse(body)? };
            match shared.with(|world, now| world.send_card(rnm, &change, now)) {
                Ok(()) => Ok(done()),
                Err(CardError::UnknownRnm) => Err(unknown_rnm()),
                Err(CardError::Invalid(error)) => Err(Problem::invalid("CARD_INVALID", error)),
            }
        }
        (["applications", id, "decide"], &Method::POST) => decide(shared, id, body),
        (["registration-refused"], &Method::POST) => refuse_registration(shared, body),
        (["deregister"], &Method::POST) => deregister(shared, body),
        (["verdicts"], &Method::POST) => plan(shared, body),
        (["snapshot"], &Method::POST) => match shared.save() {
            Ok(true) => Ok(done()),
            Ok(false) => {
                Err(Problem::new(StatusCode::CONFLICT, "NO_SNAPSHOT_FILE", "started without --snapshot"))
            }
            Err(error) => {
                Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "SNAPSHOT_FAILED", format!("{error:#}")))
            }
        },
        (["reset"], &Method::POST) => {
            shared.with(|world, _| world.reset());
            shared.forget_batches();
            Ok(done())
        }
        _ => Err(nothing_here()),
    }
}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::invalid("BODY_INVALID", error.to_string()))
}

fn unknown_rnm() -> Problem {
    Problem::not_found("UNKNOWN_RNM", "there is no register with this number")
}

fn configure(shared: &Shared, body: &Bytes) -> Result<Answer, Problem> {
    let change: serde_json::Map<String, Value> = parse(body)?;
    let invalid = |error: String| Problem::invalid("CONFIG_INVALID", error);
    let mut merged = serde_json::to_value(shared.config()).map_err(|error| invalid(error.to_string()))?;
    if let Some(members) = merged.as_object_mut() {
        members.extend(change);
    }
    let config: SimConfig = serde_json::from_value(merged).map_err(|error| invalid(error.to_string()))?;
    config.validate().map_err(|error| invalid(error.to_string()))?;
    shared.with(|world, now| world.set_config(config, now));
    Ok(answer(StatusCode::OK, &shared.config()))
}

fn documents(shared: &Shared, incoming: &Incoming) -> Result<Answer, Problem> {
    let after = incoming.number("after", 0..=u64::from(u32::MAX), 0)?;
    let limit = incoming.number("limit", 1..=MAX_PAGE, 1000)?;
    let (after, limit) = (usize::try_from(after).unwrap_or(0), usize::try_from(limit).unwrap_or(1));
    let fn_number = match incoming.parameter("fn") {
        None => None,
        Some(text) => Some(text.parse::<FnNumber>().map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "PARAMETER_INVALID", format!("fn: {error}"))
        })?),
    };
    let verdict = incoming.parameter("verdict");
    Ok(shared.with(|world, _| {
        let mut next = None;
        let mut found = Vec::new();
        for (index, doc) in world.documents_from(after) {
            let verdict_of_doc = doc.verdict.map_or(json!("waiting"), |verdict| json!(verdict));
            let wanted = verdict.as_ref().is_none_or(|verdict| verdict_of_doc == json!(verdict));
            if !wanted || fn_number.is_some_and(|number| number != doc.fn_number) {
                continue;
            }
            if found.len() == limit {
                next = Some(index);
                break;
            }
            found.push(doc_json(world, index, doc, false));
        }
        let body = json!({ "total": world.document_count(), "documents": found, "next": next });
        answer(StatusCode::OK, &body)
    }))
}

/// A document as the control port shows it. `position` is its place in the order of coming, from 0.
fn doc_json(world: &World, index: DocIndex, doc: &Doc, with_item: bool) -> Value {
    let mut value = json!({
        "position": index,
        "status": world.status(index),
        "docKey": doc.key().to_string(),
        "fn": doc.fn_number,
        "fd": doc.fd_number,
        "form": doc.form,
        "chain": doc.chain,
        "sha256": hex::encode(doc.sha256),
        "messageFiscalSign": doc.message_sign,
        "fiscalSign": doc.fiscal_sign,
        "rnm": world.word(doc.rnm),
        "inn": world.word(doc.inn),
        "dateTime": doc.date_time,
        "verdict": doc.verdict,
        "codes": doc.codes.numbers(),
        "times": doc.times,
    });
    if with_item
        && let Some(item) = world.body(index)
        && let Some(members) = value.as_object_mut()
    {
        // As text: a JSON value of this program would round decimals.
        members.insert("item".to_owned(), item.into());
    }
    value
}

fn decide(shared: &Shared, id: &str, body: &Bytes) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        decision: String,
        #[serde(default)]
        codes: Vec<Reason>,
    }
    let order: Order = parse(body)?;
    let refusal = match order.decision.as_str() {
        "accept" => None,
        "refuse" => Some(reasons(order.codes, "отказано")),
        _ => return Err(Problem::invalid("BODY_INVALID", "decision is accept or refuse")),
    };
    shared.with(|world, now| {
        let decided = world.decide(id, refusal, now).and_then(|_| world.application(id));
        let unknown = || Problem::not_found("UNKNOWN_APPLICATION", "there is no such application");
        Ok(answer(StatusCode::OK, &entry_json(decided.ok_or_else(unknown)?)))
    })
}

fn reasons(codes: Vec<Reason>, text: &str) -> Vec<Reason> {
    if codes.is_empty() { vec![Reason { code: NO_REASON, text: text.to_owned(), path: None }] } else { codes }
}

fn refuse_registration(shared: &Shared, body: &Bytes) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        #[serde(default)]
        doc_key: Option<String>,
        #[serde(default)]
        rnm: Option<String>,
        #[serde(default)]
        codes: Vec<Reason>,
    }
    let order: Order = parse(body)?;
    let codes = reasons(order.codes, "в регистрации отказано");
    shared.with(|world, now| {
        let by_key = order.doc_key.as_deref().and_then(DocKey::parse);
        let key = by_key.or_else(|| world.report_of(order.rnm.as_deref()?));
        if key.is_some_and(|key| world.refuse_report(key, codes, now)) {
            return Ok(answer(StatusCode::OK, &json!({ "docKey": key.map(|key| key.to_string()) })));
        }
        Err(Problem::not_found("UNKNOWN_DOCUMENT", "no such registration report came"))
    })
}

fn deregister(shared: &Shared, body: &Bytes) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        rnm: String,
        #[serde(default)]
        at: Option<jiff::civil::DateTime>,
    }
    let order: Order = parse(body)?;
    let seconds = |at: jiff::civil::DateTime| {
        let moment = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        u32::try_from(moment.as_second()).ok()
    };
    let at = match order.at.map(seconds) {
        None => None,
        Some(Some(at)) => Some(at),
        Some(None) => return Err(Problem::invalid("BODY_INVALID", "at is out of range")),
    };
    if shared.with(|world, now| world.deregister(&order.rnm, at, now)) {
        return Ok(answer(StatusCode::OK, &json!({ "done": true })));
    }
    Err(unknown_rnm())
}

fn plan(shared: &Shared, body: &Bytes) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        doc_key: String,
        codes: Vec<u16>,
    }
    let order: Order = parse(body)?;
    let invalid = |what: String| Problem::invalid("BODY_INVALID", what);
    let key = DocKey::parse(&order.doc_key).ok_or_else(|| invalid("docKey is <ФН>-<ФД>".to_owned()))?;
    let codes = Codes::from_numbers(&order.codes)
        .map_err(|unknown| invalid(format!("there is no code {unknown}")))?;
    shared.with(|world, now| world.plan(key, codes, now));
    Ok(answer(StatusCode::OK, &json!({ "docKey": order.doc_key, "verdict": codes.verdict() })))
}
