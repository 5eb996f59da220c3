//! The envelope of one document in a batch.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::body::Body;
use crate::json;
use crate::run::Outcome;
use crate::table::{Names, Table};
use crate::{KINDS, records};

/// Bytes of the message sign (ФПС) behind the document in `rawData`.
const SIGN_LEN: usize = 8;

/// Checks a document as it was sent; `journal` is its row in the daemon's export.
pub(crate) fn check(table: &Table, names: Names, item: &str, journal: &Value, outcome: &mut Outcome) {
    let members = json::members(item);
    let expected = ["ack", "docKey", "docSha256", "document", "protocolVersion", "receiveDate", "subtype"];
    assert!(members.keys().eq(expected), "{:?}", members.keys());
    let text = |name: &str| json::string(members[name].get());
    let moment = text("receiveDate");
    assert!(moment.len() == "2017-03-03T08:38:11Z".len() && moment.ends_with('Z'), "{moment}");
    let ack = json::members(members["ack"].get());
    assert!(ack.keys().eq(["dateTime", "ofdResponseCode"]), "{:?}", ack.keys());
    assert_eq!(json::integer(ack["ofdResponseCode"].get()), 0, "honest registers");
    assert!(json::integer(ack["dateTime"].get()) > 0);

    let document = json::members(members["document"].get());
    let [(kind, body)] = Vec::from_iter(&document)[..] else { panic!("one kind: {:?}", document.keys()) };
    assert_eq!(*kind, text("subtype"));
    let (form, kind) = KINDS.into_iter().find(|(_, name)| name == kind).unwrap();
    let body = json::members(body.get());
    let raw = STANDARD.decode(json::string(body["rawData"].get())).unwrap();
    let (bytes, sign) = raw.split_at(raw.len() - SIGN_LEN);
    let [(root, content)] = records::of(bytes)[..] else { panic!("one document in rawData") };
    assert_eq!(root, form, "root tag of {kind}");
    assert_eq!(hex::encode(Sha256::digest(&raw)), text("docSha256"));
    assert_eq!(STANDARD.encode(bytes), journal["document"], "the document as it was received");

    let version = text("protocolVersion");
    Body { table, names: names_of(names, &version), version: &version, form, sign, outcome }.object(
        kind,
        &body,
        &records::of(content),
    );
    let number = |name: &str| json::integer(body[name].get());
    let fn_number = json::string(body["fiscalDriveNumber"].get());
    assert_eq!(text("docKey"), format!("{}-{}", fn_number.trim_end(), number("fiscalDocumentNumber")));
    let said = ["", "1.0", "1.05", "1.1", "1.2"].iter().position(|word| *word == version);
    assert_eq!(Some(number("fiscalDocumentFormatVer")), said.and_then(|said| u64::try_from(said).ok()));
    outcome.documents.insert((kind.to_owned(), version));
}

/// Documents of ФФД 1.2 have the names of their own time whatever is set.
fn names_of(names: Names, version: &str) -> Names {
    if version == "1.2" { Names::Modern } else { names }
}
