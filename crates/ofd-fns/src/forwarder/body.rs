//! The body of a batch (B5.1): envelopes around the documents' own JSON, written straight into gzip.
//!
//! The same documents, key, moment and mapping give the same bytes, in every process: a batch that is sent again after a
//! restart is built anew from the journal and must be the same under the same key.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use ffd::Document;
use ffd::ids::Inn;
use ffd::json::{FnsJson, Names};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use ofd_store::{BatchId, DocumentBody};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::client::BatchRequest;
use crate::client::wire::{DocKey, FORMAT_VERSION};
use crate::config::FnsNames;

/// Number of the mapping of documents to JSON. Raised whenever it writes other bytes for a document it wrote before, so
/// that no batch of an earlier program is sent again under its key with another content.
///
/// 2: `userInn`, `ofdInn` and `kktRegId` have their widths also when the till left out the spaces. 1: the first.
const MAPPING: u32 = 2;

/// Compression: documents are much alike, so the fastest saves nearly as much as the best.
const LEVEL: Compression = Compression::fast();

/// What is the same for all batches.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) ofd_inn: Inn,
    /// Most bytes of JSON, of a batch of more than one document.
    pub(crate) max_bytes: u64,
}

/// What a batch is built under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) id: BatchId,
    pub(crate) created_at: Timestamp,
    pub(crate) map_ver: u32,
}

/// A batch ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) request: BatchRequest,
    /// `docSha256` of the documents that went in: the first ones of those given.
    pub(crate) hashes: Vec<[u8; 32]>,
    /// Where each document stands in the JSON.
    items: Vec<Range<usize>>,
}

/// The first document cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the document cannot be written as JSON: {0}")]
pub(crate) struct Unwritable(String);

/// The version of the mapping with these names.
pub(crate) fn map_version(names: FnsNames) -> u32 {
    MAPPING * 2 + u32::from(names == FnsNames::Legacy)
}

/// The names of a version of the mapping, if this program still writes it.
pub(crate) fn names_of(map_ver: u32) -> Option<Names> {
    let names = if map_ver.is_multiple_of(2) { Names::Modern } else { Names::Legacy };
    (map_ver / 2 == MAPPING).then_some(names)
}

/// Builds a batch of the first documents: as many as fit, at least one.
///
/// # Errors
/// [`Unwritable`] for the first document. One further behind ends the batch before it.
pub(crate) fn build(
    envelope: &Envelope,
    identity: Identity,
    documents: &[DocumentBody],
) -> Result<Built, Unwritable> {
    let names = names_of(identity.map_ver)
        .ok_or_else(|| Unwritable(format!("unknown version {} of the mapping", identity.map_ver)))?;
    let mut out = Counting { gzip: GzEncoder::new(Vec::new(), LEVEL), written: 0 };
    let failed = |error: &dyn std::fmt::Display| Unwritable(error.to_string());
    let head = head(envelope, identity).map_err(|error| failed(&error))?;
    out.write_all(&head).map_err(|error| failed(&error))?;
    let (mut items, mut hashes) = (Vec::new(), Vec::new());
    let mut item = Vec::new();
    for document in documents {
        item.clear();
        let hash = match write_item(&mut item, document, names) {
            Ok(hash) => hash,
            Err(error) if items.is_empty() => return Err(error),
            Err(_) => break,
        };
        let end = out.written.saturating_add(item.len()).saturating_add(FOOT.len() + 1);
        if !items.is_empty() && u64::try_from(end).unwrap_or(u64::MAX) > envelope.max_bytes {
            break;
        }
        if !items.is_empty() {
            out.write_all(b",").map_err(|error| failed(&error))?;
        }
        let start = out.written;
        out.write_all(&item).map_err(|error| failed(&error))?;
        items.push(start..out.written);
        hashes.push(hash);
    }
    out.write_all(FOOT).map_err(|error| failed(&error))?;
    let gzip = out.gzip.finish().map_err(|error| failed(&error))?;
    let request = BatchRequest { batch_id: identity.id.to_string(), gzip: Arc::new(gzip) };
    Ok(Built { request, hashes, items })
}

impl Built {
    /// The JSON of one document, exactly as it was sent; `json` is that of the batch.
    pub(crate) fn item(&self, json: &[u8], index: usize) -> Vec<u8> {
        let range = self.items.get(index).cloned().unwrap_or_default();
        json.get(range).map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// The whole JSON, exactly as it was sent.
    pub(crate) fn json(&self) -> Vec<u8> {
        let mut json = Vec::new();
        // We packed it ourselves, in memory; what cannot be unpacked leaves no evidence and no harm.
        let _ = GzDecoder::new(self.request.gzip.as_slice()).read_to_end(&mut json);
        json
    }
}

const FOOT: &[u8] = b"]}";

fn head(envelope: &Envelope, identity: Identity) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'a> {
        batch_id: String,
        format_version: u32,
        ofd_inn: &'a str,
        created_at: String,
    }
    let mut head = serde_json::to_vec(&Head {
        batch_id: identity.id.to_string(),
        format_version: FORMAT_VERSION,
        ofd_inn: envelope.ofd_inn.as_str(),
        created_at: seconds(identity.created_at),
    })?;
    head.pop();
    head.extend_from_slice(b",\"documents\":[");
    Ok(head)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    doc_key: DocKey,
    doc_sha256: String,
    subtype: &'static str,
    protocol_version: &'static str,
    receive_date: String,
    ack: Ack,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    marks: Vec<&'static str>,
    document: FnsJson<'a, 'a>,
}

/// Tag 1209 of ФФД 1.2.
const FFD_1_2: u8 = 4;

/// What the register was told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ack {
    date_time: u32,
    ofd_response_code: u8,
}

fn write_item(out: &mut Vec<u8>, body: &DocumentBody, names: Names) -> Result<[u8; 32], Unwritable> {
    let failed = |error: &dyn std::fmt::Display| Unwritable(error.to_string());
    let document = Document::decode(&body.opened).map_err(|error| failed(&error))?;
    let subtype = document.form().json_name().ok_or_else(|| failed(&"its form has no name"))?;
    let hash: [u8; 32] =
        Sha256::new().chain_update(document.bytes()).chain_update(body.message_sign).finalize().into();
    let item = Item {
        doc_key: DocKey { fn_number: body.fn_number, fd_number: body.fd_number },
        doc_sha256: hex(&hash),
        subtype,
        protocol_version: version_word(body.ffd_version),
        receive_date: seconds(body.received_at),
        ack: Ack { date_time: body.acknowledged_at, ofd_response_code: body.code },
        marks: mark_words(body.marks),
        document: FnsJson::new(&document, Some(body.message_sign), names_in(names, body.ffd_version)),
    };
    serde_json::to_writer(out, &item).map_err(|error| failed(&error))?;
    Ok(hash)
}

/// The names for a document of a version: those of 2017 are older than ФФД 1.2, whose documents never had them.
fn names_in(names: Names, version: Option<u8>) -> Names {
    if version == Some(FFD_1_2) { Names::Modern } else { names }
}

/// Word of tag 1209; a document without it is of the first version.
fn version_word(version: Option<u8>) -> &'static str {
    match version {
        Some(2) => "1.05",
        Some(3) => "1.1",
        Some(FFD_1_2) => "1.2",
        _ => "1.0",
    }
}

/// Words of the marks. That of a failed control (bit 1) is left out: the code of the acknowledgement says it.
fn mark_words(marks: u8) -> Vec<&'static str> {
    [(2, "sign"), (4, "fn_changed"), (8, "after_deregistration")]
        .into_iter()
        .filter(|(bit, _)| marks & bit != 0)
        .map(|(_, word)| word)
        .collect()
}

/// RFC 3339 in UTC, whole seconds.
fn seconds(moment: Timestamp) -> String {
    format!("{moment:.0}")
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0F)]).collect()
}

/// Counts what goes into the compression.
struct Counting {
    gzip: GzEncoder<Vec<u8>>,
    written: usize,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.gzip.write(bytes)?;
        self.written = self.written.saturating_add(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.gzip.flush()
    }
}

#[cfg(test)]
mod tests;
