//! Endpoint 1: a batch of documents.

use std::io::Read as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::StatusCode;
use flate2::read::MultiGzDecoder;
use serde_json::error::Category;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{Answer, Cut, Incoming, Problem, json};
use crate::fns::config::{Mode, SimConfig};
use crate::fns::door::{DocKey, Door, key_text};
use crate::fns::shared::{BatchRecord, Shared, now};
use crate::fns::wire::{Batch, BatchAnswer, FORMAT_VERSION, ItemResult, Outcome, is_moment, moment};
use crate::fns::world::KeyUse;

/// How the body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
}

pub(super) async fn receive(shared: &Arc<Shared>, incoming: Incoming) -> Result<Answer, Problem> {
    let config = shared.config();
    let unsupported =
        |detail| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail);
    if incoming.media_type() != "application/json" {
        return Err(unsupported("Content-Type is application/json"));
    }
    let encoding = match incoming.header("content-encoding").map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "identity") => Encoding::Plain,
        Some("gzip") => Encoding::Gzip,
        Some(_) => return Err(unsupported("Content-Encoding is gzip or identity")),
    };
    let key = incoming.header("idempotency-key").map(str::to_owned);
    let body = incoming.read(config.max_batch_bytes, "BATCH_TOO_LARGE").await?;
    let shared = Arc::clone(shared);
    // A batch is milliseconds of work, too long for the threads that serve connections.
    let work = move || take(&shared, &config, encoding, key.as_deref(), &body);
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "the simulator failed at this batch"))
    })
}

/// What the service would say about the JSON of a batch, without taking any of it: for each document the code of its
/// refusal at the door or none. `now_s` is the moment, seconds of UTC.
///
/// # Errors
/// The code of a refusal of the whole batch.
pub fn examine(text: &[u8], now_s: i64) -> Result<Vec<Option<&'static str>>, &'static str> {
    let batch = read(text).map_err(|problem| problem.code())?;
    let config = SimConfig::default();
    check(&batch, Some(&batch.batch_id), &config).map_err(|problem| problem.code())?;
    let format_known = batch.format_version == FORMAT_VERSION;
    let door = Door { now_s, check_future: config.check_future, signs: None, format_known };
    let code = |item: &&RawValue| door.check(item).err().map(|refusal| refusal.code.as_str());
    Ok(batch.documents.iter().map(code).collect())
}

fn take(
    shared: &Shared,
    config: &SimConfig,
    encoding: Encoding,
    key: Option<&str>,
    body: &Bytes,
) -> Result<Answer, Problem> {
    let unpacked;
    let text = match encoding {
        Encoding::Plain => body.as_ref(),
        Encoding::Gzip => {
            unpacked = unpack(body, config.max_batch_bytes)?;
            unpacked.as_slice()
        }
    };
    let batch = read(text)?;
    check(&batch, key, config)?;
    let content: [u8; 32] = Sha256::digest(text).into();
    let key_use = shared.with(|world, _| {
        world.counts.batches += 1;
        let key_use = world.use_key(&batch.batch_id, content);
        world.counts.repeated_batches += u64::from(key_use == KeyUse::Again);
        key_use
    });
    if key_use == KeyUse::Reused {
        let detail = "this Idempotency-Key came with other content before";
        return Err(Problem::new(StatusCode::CONFLICT, "BATCH_KEY_REUSED", detail));
    }
    let doc_keys: Vec<String> = batch.documents.iter().map(|item| key_text(item)).collect();
    if let Some(poison) = doc_keys.iter().find(|key| config.poison.contains(*key)) {
        if let Some(key) = DocKey::parse(poison) {
            shared.with(|world, _| world.note_refused(&key));
        }
        return Err(Problem::invalid("BATCH_INVALID", format!("the document {poison} cannot be digested")));
    }
    let outcomes = take_documents(shared, config, &batch, &doc_keys);
    let is_cut = config.mode == Mode::DropAfterAccept;
    let is = |test: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| test(outcome)).count();
    shared.log_batch(BatchRecord {
        at: moment(now()),
        batch_id: batch.batch_id.to_string(),
        content: hex::encode(content).chars().take(16).collect(),
        repeated: key_use == KeyUse::Again,
        answered: !is_cut,
        documents: outcomes.len(),
        duplicates: is(|outcome| matches!(outcome, Outcome::Received { duplicate: true, .. })),
        refused: is(|outcome| matches!(outcome, Outcome::Refused { .. })),
        doc_keys: doc_keys.clone(),
    });
    let results = doc_keys
        .into_iter()
        .zip(outcomes)
        .map(|(doc_key, outcome)| ItemResult { doc_key, outcome })
        .collect();
    let mut answer = json(StatusCode::ACCEPTED, &BatchAnswer { batch_id: &batch.batch_id, results });
    if is_cut {
        answer.extensions_mut().insert(Cut);
    }
    Ok(answer)
}

/// Checks the documents without the lock, then takes them under it.
fn take_documents(
    shared: &Shared,
    config: &SimConfig,
    batch: &Batch<'_>,
    doc_keys: &[String],
) -> Vec<Outcome> {
    let door = Door {
        now_s: now() / 1000,
        check_future: config.check_future,
        signs: shared.signs.as_ref(),
        format_known: batch.format_version == FORMAT_VERSION,
    };
    let body = |item: &&'_ RawValue| shared.keep_bodies.then(|| item.get().to_owned());
    let bodies: Vec<Option<String>> = batch.documents.iter().map(body).collect();
    let items: Vec<_> =
        batch.documents.iter().zip(&bodies).map(|(item, body)| (door.check(item), body.as_deref())).collect();
    let refused: Vec<DocKey> = items
        .iter()
        .zip(doc_keys)
        .filter(|((item, _), _)| item.is_err())
        .filter_map(|(_, key)| DocKey::parse(key))
        .collect();
    shared.with(|world, now| {
        let outcomes = world.receive(items, now);
        for key in &refused {
            world.note_refused(key);
        }
        outcomes
    })
}

/// Unpacks at most `limit` bytes; a bomb ends there.
fn unpack(body: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut unpacked = Vec::with_capacity(body.len().saturating_mul(4).min(limit));
    let read = MultiGzDecoder::new(body).take(bound).read_to_end(&mut unpacked);
    if let Err(error) = read {
        let detail = format!("the body is not gzip: {error}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "BAD_JSON", detail));
    }
    if unpacked.len() > limit {
        let detail = format!("the batch unpacks to more than {limit} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BATCH_TOO_LARGE", detail));
    }
    Ok(unpacked)
}

fn read(text: &[u8]) -> Result<Batch<'_>, Problem> {
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        Category::Data => Problem::invalid("BATCH_INVALID", format!("the batch: {error}")),
        Category::Io | Category::Syntax | Category::Eof => {
            Problem::new(StatusCode::BAD_REQUEST, "BAD_JSON", error.to_string())
        }
    })
}

fn check(batch: &Batch<'_>, key: Option<&str>, config: &SimConfig) -> Result<(), Problem> {
    let invalid = |detail: &str| Err(Problem::invalid("BATCH_INVALID", detail));
    if uuid::Uuid::parse_str(&batch.batch_id).is_err() {
        return invalid("batchId is no UUID");
    }
    match key {
        None => return invalid("the header Idempotency-Key is missing"),
        Some(key) if key != batch.batch_id => return invalid("Idempotency-Key is not the batchId"),
        Some(_) => {}
    }
    let is_inn =
        matches!(batch.ofd_inn.len(), 10 | 12) && batch.ofd_inn.bytes().all(|byte| byte.is_ascii_digit());
    if !is_inn {
        return invalid("ofdInn has 10 or 12 digits");
    }
    if !is_moment(&batch.created_at) {
        return invalid("createdAt is no RFC 3339 time of UTC with Z");
    }
    if batch.documents.is_empty() {
        return invalid("documents is empty");
    }
    if batch.documents.len() > config.max_batch_documents {
        let (count, limit) = (batch.documents.len(), config.max_batch_documents);
        let detail = format!("the batch has {count} documents, {limit} are taken");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BATCH_TOO_LARGE", detail));
    }
    Ok(())
}
