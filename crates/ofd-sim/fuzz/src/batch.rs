//! The body of a batch at the door of the tax service: a document that is taken is a document, and its JSON is what its
//! bytes say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ffd::Document;
use ofd_sim::fns::examine_batch;
use serde_json::Value;

/// 2026-11-22.
const NOW_S: i64 = 1_795_305_600;

/// Bytes of the message sign (ФПС) behind the document in `rawData`.
const SIGN_LEN: usize = 8;

/// Checks one body.
pub fn check(input: &[u8]) {
    let codes = match examine_batch(input, NOW_S) {
        Ok(codes) => codes,
        Err(code) => {
            return assert!(matches!(code, "BAD_JSON" | "BATCH_INVALID" | "BATCH_TOO_LARGE"), "{code}");
        }
    };
    let Ok(batch) = serde_json::from_slice::<Value>(input) else { return };
    let items = batch["documents"].as_array().expect("the door read it");
    assert_eq!(items.len(), codes.len());
    for (item, code) in items.iter().zip(codes) {
        match code {
            Some(code) => assert_ne!(code, "BUSY"),
            None => taken(item),
        }
    }
}

fn taken(item: &Value) {
    let kinds = item["document"].as_object().expect("a document is an object");
    assert_eq!(kinds.len(), 1);
    let (kind, body) = kinds.iter().next().unwrap();
    assert_eq!(item["subtype"], **kind);
    let raw = STANDARD.decode(body["rawData"].as_str().unwrap()).unwrap();
    let (bytes, sign) = raw.split_at(raw.len() - SIGN_LEN);
    let document = Document::decode(bytes).expect("the door read it");
    assert_eq!(document.form().json_name(), Some(kind.as_str()));
    assert_eq!(body["messageFiscalSign"], u64::from_be_bytes(sign.try_into().unwrap()));
    if let Some(sum) = document.unsigned(1020) {
        assert_eq!(body["totalSum"], sum);
    }
}
