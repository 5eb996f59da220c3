//! The door: what is checked of a document before it is taken, without any knowledge of other documents.
//!
//! The document is read again from `rawData` and its JSON is made anew with [`ffd`]; every mapped field must be equal.
//! So an operator cannot send a JSON that says something else than the bytes the register signed.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ffd::json::{FnsJson, Names};
use ffd::{Document, FdNumber, FfdVersion, FnNumber, FormCode, tags};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::codes::Codes;
use super::flk;
use super::json::{self, Json};
use super::signs::SignCheck;
use super::wire::{self, Item, ItemKey, Modes, Place};

/// Texts of one width, in characters; shorter values are filled with spaces on the right (spec, "JSON of a document").
/// Said here once more, since a comparison with what [`ffd`] makes would never find a fault of [`ffd`].
const WIDTHS: [(&str, usize); 3] = [("userInn", 12), ("ofdInn", 12), ("kktRegId", 20)];

/// Bytes of the message sign (ФПС) behind the document in `rawData`.
const SIGN_LEN: usize = 8;

/// Refusals of the door (spec, "Batch answer"). All are permanent but [`DoorCode::Busy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoorCode {
    /// The envelope or the document's object is not of the right shape.
    SchemaInvalid,
    /// `rawData` is no base64, not of the length it declares, or not of the hash given.
    RawdataInvalid,
    /// The JSON says something else than `rawData`.
    RawdataMismatch,
    /// The document is known with other content.
    ConflictHash,
    /// A version or a kind of document that is not taken.
    UnsupportedFormat,
    /// `docKey` names another document.
    KeyMismatch,
    /// Not now.
    Busy,
}

impl DoorCode {
    /// As answers spell it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::SchemaInvalid => "SCHEMA_INVALID",
            Self::RawdataInvalid => "RAWDATA_INVALID",
            Self::RawdataMismatch => "RAWDATA_MISMATCH",
            Self::ConflictHash => "CONFLICT_HASH",
            Self::UnsupportedFormat => "UNSUPPORTED_FORMAT",
            Self::KeyMismatch => "KEY_MISMATCH",
            Self::Busy => "BUSY",
        }
    }
}

/// A refusal with its explanation.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: DoorCode,
    pub(super) detail: String,
}

fn refuse<T>(code: DoorCode, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, detail: detail.into() })
}

/// Name of a document: ФН and ФД number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DocKey {
    pub(super) fn_number: FnNumber,
    pub(super) fd_number: FdNumber,
}

impl DocKey {
    /// Reads `<ФН>-<ФД>`, both without padding.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (fn_number, fd_number) = text.split_once('-')?;
        let key = Self { fn_number: fn_number.parse().ok()?, fd_number: fd_number.parse().ok()? };
        (key.to_string() == text).then_some(key)
    }
}

impl fmt::Display for DocKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.fn_number, self.fd_number)
    }
}

/// What the simulator keeps of a document that passed the door.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) key: DocKey,
    pub(super) form: FormCode,
    pub(super) sha256: [u8; 32],
    /// The message sign as the JSON has it.
    pub(super) message_sign: u64,
    /// The printed sign, 0 when the document has none.
    pub(super) fiscal_sign: u32,
    /// Tag 1037 without padding; empty when absent.
    pub(super) rnm: String,
    /// Tag 1018 without padding; empty when absent.
    pub(super) inn: String,
    /// Tag 1012, seconds of the register's clock; 0 when absent.
    pub(super) date_time: u32,
    /// What the control finds in the document alone.
    pub(super) codes: Codes,
    /// What a registration report says of its register.
    pub(super) report: Option<Box<ReportFacts>>,
}

/// What a card takes from a registration report.
#[derive(Debug, Clone, Default)]
pub(super) struct ReportFacts {
    pub(super) kkt_serial: String,
    pub(super) user_name: String,
    pub(super) place: Place,
    pub(super) ofd_inn: String,
    pub(super) modes: Modes,
}

/// What the checks need to know besides the document.
pub(super) struct Door<'d> {
    /// Seconds of UTC.
    pub(super) now_s: i64,
    /// Whether documents from the future are hard.
    pub(super) check_future: bool,
    /// Checks signs, when that is wanted.
    pub(super) signs: Option<&'d SignCheck>,
    /// Whether the batch says a version of the format that is taken.
    pub(super) format_known: bool,
}

/// The key a document is answered under, as far as it can be read.
pub(super) fn key_text(item: &RawValue) -> String {
    serde_json::from_str::<ItemKey<'_>>(item.get())
        .map_or_else(|_| String::new(), |key| key.doc_key.into_owned())
}

impl Door<'_> {
    /// All checks of one document.
    pub(super) fn check(&self, item: &RawValue) -> Result<Checked, Refusal> {
        let item: Item<'_> = match serde_json::from_str(item.get()) {
            Ok(item) => item,
            Err(error) => return refuse(DoorCode::SchemaInvalid, format!("the envelope: {error}")),
        };
        check_envelope(&item)?;
        let Some(key) = DocKey::parse(&item.doc_key) else {
            return refuse(DoorCode::KeyMismatch, "docKey is not <ФН>-<ФД>");
        };
        let version = FfdVersion::ALL.into_iter().find(|version| version.as_str() == item.protocol_version);
        let Some(version) = version.filter(|_| self.format_known) else {
            return refuse(DoorCode::UnsupportedFormat, "formatVersion or protocolVersion is not taken");
        };
        let Some(sent) = json::parse(item.document.get()) else {
            return refuse(DoorCode::SchemaInvalid, "document is no object of plain JSON");
        };
        let (kind, raw_data) = body_of(&sent, &item)?;
        let raw = decode_raw_data(raw_data, &item.doc_sha256)?;
        let (bytes, sign) = raw.split();
        let document = match Document::decode(bytes) {
            Ok(document) => document,
            Err(error) => return refuse(DoorCode::RawdataInvalid, format!("rawData: {error}")),
        };
        if document.form().json_name() != Some(kind) {
            return refuse(DoorCode::RawdataMismatch, format!("rawData is of form {}", document.form()));
        }
        // A version that nobody knows is not compared: it is the control's matter.
        if document.version_known() && document.version() != version {
            let actual = document.version();
            return refuse(DoorCode::RawdataMismatch, format!("protocolVersion: rawData is of ФФД {actual}"));
        }
        compare(&sent, item.document.get(), &document, sign)?;
        check_key(key, &document)?;
        Ok(self.facts(key, &document, sign, raw.sha256))
    }

    fn facts(&self, key: DocKey, document: &Document<'_>, sign: [u8; SIGN_LEN], sha256: [u8; 32]) -> Checked {
        let text = |tag| document.text(tag).map(Cow::into_owned).unwrap_or_default();
        let mut codes = flk::codes(document, self.check_future.then_some(self.now_s));
        if self.signs.is_some_and(|signs| !signs.are_right(&key.fn_number, document, &sign)) {
            codes.add(910);
        }
        let form = document.form();
        Checked {
            key,
            form,
            sha256,
            message_sign: u64::from_be_bytes(sign),
            fiscal_sign: document.fiscal_sign().unwrap_or(0),
            rnm: text(tags::RNM),
            inn: text(tags::USER_INN),
            date_time: document.time(tags::DATE_TIME).map_or(0, |time| time.get()),
            codes,
            report: form.is_registration().then(|| Box::new(report_facts(document))),
        }
    }
}

fn check_envelope(item: &Item<'_>) -> Result<(), Refusal> {
    let wrong = |what: &str| refuse(DoorCode::SchemaInvalid, what);
    if !wire::is_moment(&item.receive_date) {
        return wrong("receiveDate is no RFC 3339 time of UTC with Z");
    }
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if item.doc_sha256.len() != 64 || !item.doc_sha256.as_bytes().iter().all(is_hex) {
        return wrong("docSha256 is not 64 lower-case hexadecimal digits");
    }
    if !matches!(item.ack.ofd_response_code, 0 | 14) {
        return wrong("ack.ofdResponseCode is neither 0 nor 14");
    }
    if item.ack.date_time == 0 {
        return wrong("ack.dateTime is no time");
    }
    if item.marks.len() > 16 || item.marks.iter().any(|mark| mark.is_empty() || mark.len() > 64) {
        return wrong("marks are at most 16 short words");
    }
    Ok(())
}

/// Kind of the document and its `rawData`.
fn body_of<'j>(sent: &'j Json<'_>, item: &Item<'_>) -> Result<(&'j str, &'j str), Refusal> {
    let Some((kind, Json::Object(members))) = sent.single_member() else {
        return refuse(DoorCode::SchemaInvalid, "document is not an object of one object");
    };
    if kind != item.subtype {
        return refuse(DoorCode::SchemaInvalid, "subtype is not the kind of the document");
    }
    if !FormCode::OF_KKT.iter().any(|form| form.json_name() == Some(kind)) {
        return refuse(DoorCode::UnsupportedFormat, "documents of this kind are not taken");
    }
    for (name, width) in WIDTHS {
        let value = members.iter().find(|(member, _)| member == name).map(|(_, value)| value);
        if value.is_some_and(|value| !has_width(value, width)) {
            return refuse(
                DoorCode::SchemaInvalid,
                format!("{kind}.{name} is no text of {width} characters"),
            );
        }
    }
    match members.iter().find(|(name, _)| name == "rawData") {
        Some((_, Json::Text(raw_data))) => Ok((kind, raw_data)),
        _ => refuse(DoorCode::SchemaInvalid, "rawData is missing or no text"),
    }
}

/// Whether a text is of this width; of a repeated tag, each.
fn has_width(value: &Json<'_>, width: usize) -> bool {
    match value {
        Json::Text(text) => text.chars().count() == width,
        Json::Array(values) => values.iter().all(|value| has_width(value, width)),
        _ => false,
    }
}

/// Decoded `rawData` of the declared length and hash.
struct RawData {
    bytes: Vec<u8>,
    sha256: [u8; 32],
}

impl RawData {
    fn split(&self) -> (&[u8], [u8; SIGN_LEN]) {
        self.bytes.split_last_chunk::<SIGN_LEN>().map_or((&[], [0; SIGN_LEN]), |(bytes, sign)| (bytes, *sign))
    }
}

fn decode_raw_data(text: &str, sha256_hex: &str) -> Result<RawData, Refusal> {
    let Ok(bytes) = STANDARD.decode(text) else {
        return refuse(DoorCode::RawdataInvalid, "rawData is no base64");
    };
    let declared = match bytes.get(2..4) {
        Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
        _ => return refuse(DoorCode::RawdataInvalid, "rawData is too short"),
    };
    if bytes.len() != 4 + declared + SIGN_LEN {
        let detail = format!("rawData has {} bytes instead of 4 + {declared} + {SIGN_LEN}", bytes.len());
        return refuse(DoorCode::RawdataInvalid, detail);
    }
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    if hex::encode(sha256) != sha256_hex {
        return refuse(DoorCode::RawdataInvalid, "docSha256 is not the hash of rawData");
    }
    Ok(RawData { bytes, sha256 })
}

/// Compares what was sent with what `rawData` makes, under today's names, then under those of 2017.
fn compare(
    sent: &Json<'_>,
    sent_text: &str,
    document: &Document<'_>,
    sign: [u8; SIGN_LEN],
) -> Result<(), Refusal> {
    let mut first = None;
    for names in [Names::Modern, Names::Legacy] {
        let Ok(made) = serde_json::to_string(&FnsJson::new(document, Some(sign), names)) else {
            return refuse(DoorCode::RawdataInvalid, "rawData cannot be written as JSON");
        };
        if made == sent_text {
            return Ok(());
        }
        let difference = match json::parse(&made) {
            Some(expected) => sent.difference(&expected),
            None => Some(String::new()),
        };
        match difference {
            None => return Ok(()),
            Some(path) => first = first.or(Some(path)),
        }
    }
    let path = first.unwrap_or_default();
    refuse(DoorCode::RawdataMismatch, format!("{path}: the JSON says something else than rawData"))
}

/// A document without its numbers cannot contradict its key.
fn check_key(key: DocKey, document: &Document<'_>) -> Result<(), Refusal> {
    let fn_number = document.text(tags::FN_NUMBER);
    let fd_number = document.unsigned(tags::FD_NUMBER);
    let same_fn = fn_number.is_none_or(|number| number == key.fn_number.as_str());
    let same_fd = fd_number.is_none_or(|number| number == u64::from(key.fd_number.get()));
    if same_fn && same_fd {
        return Ok(());
    }
    refuse(DoorCode::KeyMismatch, "docKey is not the ФН and the ФД number of the document")
}

fn report_facts(document: &Document<'_>) -> ReportFacts {
    let text = |tag| document.text(tag).map(|text| text.trim().to_owned()).unwrap_or_default();
    let flag = |tag| document.unsigned(tag) == Some(1);
    let mut modes = Modes {
        offline: flag(tags::OFFLINE_MODE),
        automat: flag(tags::AUTO_MODE),
        automat_number: Some(text(tags::AUTOMAT_NUMBER)).filter(|number| !number.is_empty()),
        internet: flag(1108),
        bso: flag(1110),
        service: flag(1109),
        excise: flag(tags::EXCISE_SIGN),
        gambling: flag(1193),
        lottery: flag(1126),
        payment_agent: document.unsigned(tags::AGENT).is_some_and(|mask| mask & 0b1100 != 0),
        bank_payment_agent: document.unsigned(tags::AGENT).is_some_and(|mask| mask & 0b0011 != 0),
        mobile_trade: false,
    };
    // The usage mask of ФФД 1.2 replaces flags of earlier versions.
    let usage = document.unsigned(tags::USAGE).unwrap_or(0);
    let has = |bit: u32| usage >> bit & 1 == 1;
    modes.bso |= has(2);
    modes.internet |= has(5);
    modes.excise |= has(6);
    modes.service |= has(9);
    modes.gambling |= has(10);
    modes.lottery |= has(11);
    ReportFacts {
        kkt_serial: text(tags::KKT_SERIAL),
        user_name: text(1048),
        place: Place { address: text(tags::ADDRESS), name: text(tags::PLACE) },
        ofd_inn: text(tags::OFD_INN),
        modes,
    }
}
