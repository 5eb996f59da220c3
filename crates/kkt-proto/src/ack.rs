//! Document 7, the operator's acknowledgement (подтверждение оператора), made and read.
//!
//! The operator makes one with [`AckFields`]: the records without ФПО, which the crypto device puts in
//! while it seals (`pkz`). A register, or a test, reads one with [`Acknowledgement`]. Numbers in records
//! are little-endian (FFD order, table 35). The time is UTC, unlike that of every other document.

use ffd::dict::FfdVersion;
use ffd::ids::{FdNumber, FnNumber, Inn};
use ffd::{tags, tlv};

use crate::error::{Flaw, Malformed, TooLong};

/// Form code of the acknowledgement.
pub const FORM: u16 = 7;
/// Largest document 7, head included, in bytes (FFD order, sizes of documents).
pub const MAX_ACK_LEN: usize = 512;

/// Form code and length before the records.
const HEAD_LEN: usize = 4;
/// Tag and length before a value.
const RECORD_HEAD_LEN: usize = 4;

/// The operator's answer, tag 1022 (FFD order, table 36). All known codes end the document for the ФН.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperatorCode(pub u8);

impl OperatorCode {
    /// Accepted.
    pub const ACCEPTED: Self = Self(0);
    /// The content of the document was not recognised.
    pub const UNRECOGNISED: Self = Self(11);
    /// The document failed the format and logic control (ФЛК).
    pub const FORMAT_LOGIC: Self = Self(14);
}

/// Bits of the operator's message, tag 1206 (FFD 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperatorNotice(pub u8);

impl OperatorNotice {
    /// The document failed the format and logic control. The only bit whose mask is sure enough to send.
    pub const FORMAT_LOGIC: Self = Self(0x02);
}

/// Which record carries the operator's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckFormat {
    /// Record 1068 with a code: FFD 1.0, 1.05, 1.2, and whatever could not be read.
    Message1068,
    /// Bit register 1206, only when there is something to say: FFD 1.1.
    Register1206,
}

impl AckFormat {
    /// The format for an answer to a document of `version` (`None`: it could not be read). Code 11 can
    /// only be said in 1068.
    #[must_use]
    pub fn for_document(version: Option<FfdVersion>, code: OperatorCode) -> Self {
        match version {
            Some(FfdVersion::V1_1) if code != OperatorCode::UNRECOGNISED => Self::Register1206,
            _ => Self::Message1068,
        }
    }
}

/// What the operator says about one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckFields {
    /// ИНН of the operator, tag 1017.
    pub ofd_inn: Inn,
    /// ФН that made the document, tag 1041.
    pub fn_number: FnNumber,
    /// Number of the document, tag 1040.
    pub fd_number: FdNumber,
    /// Moment of reception, UTC, seconds since 1970-01-01, tag 1012.
    pub datetime: u32,
    /// The answer.
    pub code: OperatorCode,
    /// How the answer is written.
    pub format: AckFormat,
}

/// Records of a document 7 that waits for its ФПО.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckItems {
    /// The records 1017, 1041, 1040, 1012, then 1068 or, with something to say, 1206.
    pub bytes: Vec<u8>,
    /// Where record 1078 goes: after 1017, as real operators write it.
    pub fpo_offset: usize,
}

impl AckFields {
    /// The records, without ФПО.
    #[must_use]
    pub fn items(&self) -> AckItems {
        let mut bytes = Vec::with_capacity(80);
        record(&mut bytes, tags::OFD_INN, &self.ofd_inn.padded());
        let fpo_offset = bytes.len();
        record(&mut bytes, tags::FN_NUMBER, &self.fn_number.padded());
        record(&mut bytes, tags::FD_NUMBER, &self.fd_number.get().to_le_bytes());
        record(&mut bytes, tags::DATE_TIME, &self.datetime.to_le_bytes());
        match self.format {
            AckFormat::Message1068 => record_message(&mut bytes, self.code),
            AckFormat::Register1206 if self.code == OperatorCode::FORMAT_LOGIC => {
                record(&mut bytes, tags::OPERATOR_MESSAGE, &[OperatorNotice::FORMAT_LOGIC.0]);
            }
            AckFormat::Register1206 => {}
        }
        AckItems { bytes, fpo_offset }
    }
}

impl AckItems {
    /// The whole document 7: see [`document`].
    pub fn document(&self, fpo: Option<&[u8]>) -> Result<Vec<u8>, TooLong> {
        document(&self.bytes, self.fpo_offset, fpo)
    }
}

/// A whole document 7: form code and length, then `items` with record 1078 put in at `fpo_offset` when
/// there is a ФПО. Errors: more than [`MAX_ACK_LEN`] bytes.
pub fn document(items: &[u8], fpo_offset: usize, fpo: Option<&[u8]>) -> Result<Vec<u8>, TooLong> {
    let body_len = items.len() + fpo.map_or(0, |fpo| RECORD_HEAD_LEN + fpo.len());
    let whole = HEAD_LEN + body_len;
    let too_long = TooLong { value: whole, limit: MAX_ACK_LEN };
    let length = u16::try_from(body_len).map_err(|_| too_long)?;
    if whole > MAX_ACK_LEN {
        return Err(too_long);
    }
    let (before, after) = items.split_at(fpo_offset.min(items.len()));
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend_from_slice(&FORM.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(before);
    if let Some(fpo) = fpo {
        record(&mut bytes, tags::OPERATOR_SIGN, fpo);
    }
    bytes.extend_from_slice(after);
    Ok(bytes)
}

/// A document 7 as a register reads it. The order of its records and records of unknown tags are kept,
/// so that [`Acknowledgement::encode`] gives back the bytes that [`Acknowledgement::decode`] took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// ИНН of the operator, without padding, as text.
    pub ofd_inn: Inn,
    /// ФН that made the acknowledged document.
    pub fn_number: FnNumber,
    /// Number of the acknowledged document.
    pub fd_number: FdNumber,
    /// Moment of reception by the operator, UTC, seconds since 1970-01-01.
    pub datetime: u32,
    /// The answer: tag 1022, or what tag 1206 (or its absence) says in the format of FFD 1.1.
    pub code: OperatorCode,
    /// Which record carries the answer.
    pub format: AckFormat,
    /// Tag 1206, when present.
    pub notice: Option<OperatorNotice>,
    /// Operator's sign (ФПО), tag 1078: type, length, value; empty when absent.
    pub fpo: Vec<u8>,
    order: Vec<Item>,
}

/// Place of a record; what a field of [`Acknowledgement`] says is not said again here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    OfdInn,
    FnNumber,
    FdNumber,
    DateTime,
    Message,
    Notice,
    Fpo,
    Other { tag: u16, value: Vec<u8> },
}

/// Fields gathered while the records are read.
#[derive(Default)]
struct Gathered {
    ofd_inn: Option<Inn>,
    fn_number: Option<FnNumber>,
    fd_number: Option<FdNumber>,
    datetime: Option<u32>,
    code: Option<OperatorCode>,
    notice: Option<OperatorNotice>,
    fpo: Option<Vec<u8>>,
    order: Vec<Item>,
}

impl Acknowledgement {
    /// Reads a document 7, its 4-byte head included.
    ///
    /// Errors: another form code, lengths that do not fit, more than [`MAX_ACK_LEN`] bytes, a known
    /// record of another length than the FFD order gives, one of them twice, 1017, 1041, 1040 or 1012
    /// absent. Signs are not checked here.
    pub fn decode(document: &[u8]) -> Result<Self, Malformed> {
        if document.len() > MAX_ACK_LEN {
            return Err(Malformed::size(Flaw::AckLength, 0, document.len()).expected_size(MAX_ACK_LEN));
        }
        let Some((&[form_low, form_high, len_low, len_high], records)) = document.split_first_chunk() else {
            return Err(Malformed::size(Flaw::AckLength, 0, document.len()).expected_size(HEAD_LEN));
        };
        let form = u16::from_le_bytes([form_low, form_high]);
        if form != FORM {
            return Err(Malformed::number(Flaw::AckForm, 0, form).expected(FORM));
        }
        let length = u16::from_le_bytes([len_low, len_high]);
        if usize::from(length) != records.len() {
            return Err(Malformed::number(Flaw::AckLength, 2, length).expected_size(records.len()));
        }
        let records = tlv::records(records, HEAD_LEN)
            .map_err(|_| Malformed::number(Flaw::AckLength, HEAD_LEN, length))?;
        let mut gathered = Gathered::default();
        for record in &records {
            gathered.take(record)?;
        }
        gathered.finish()
    }

    /// The document 7 with its records in the order they came. Errors: a ФПО grown past what fits.
    pub fn encode(&self) -> Result<Vec<u8>, TooLong> {
        if self.fpo.len() > MAX_ACK_LEN {
            return Err(TooLong { value: self.fpo.len(), limit: MAX_ACK_LEN });
        }
        let mut records = Vec::with_capacity(MAX_ACK_LEN);
        for item in &self.order {
            match item {
                Item::OfdInn => record(&mut records, tags::OFD_INN, &self.ofd_inn.padded()),
                Item::FnNumber => record(&mut records, tags::FN_NUMBER, &self.fn_number.padded()),
                Item::FdNumber => record(&mut records, tags::FD_NUMBER, &self.fd_number.get().to_le_bytes()),
                Item::DateTime => record(&mut records, tags::DATE_TIME, &self.datetime.to_le_bytes()),
                Item::Message => record_message(&mut records, self.code),
                Item::Notice => {
                    record(&mut records, tags::OPERATOR_MESSAGE, self.notice.map(|bits| bits.0).as_slice())
                }
                Item::Fpo => record(&mut records, tags::OPERATOR_SIGN, &self.fpo),
                Item::Other { tag, value } => record(&mut records, *tag, value),
            }
        }
        document(&records, 0, None)
    }
}

impl Gathered {
    fn take(&mut self, record: &tlv::Tlv<'_>) -> Result<(), Malformed> {
        let wrong = || Malformed::bytes(Flaw::AckField, record.offset, record.value).expected(record.tag);
        let value = record.value;
        let (fresh, item) = match record.tag {
            tags::OFD_INN => {
                let inn = fixed::<12>(value).and_then(|text| Inn::from_padded(&text).ok());
                (self.ofd_inn.replace(inn.ok_or_else(wrong)?).is_none(), Item::OfdInn)
            }
            tags::FN_NUMBER => {
                let number = fixed::<16>(value).and_then(|text| FnNumber::from_padded(&text).ok());
                (self.fn_number.replace(number.ok_or_else(wrong)?).is_none(), Item::FnNumber)
            }
            tags::FD_NUMBER => {
                let number = fixed(value).and_then(|bytes| FdNumber::new(u32::from_le_bytes(bytes)).ok());
                (self.fd_number.replace(number.ok_or_else(wrong)?).is_none(), Item::FdNumber)
            }
            tags::DATE_TIME => {
                let seconds = fixed(value).map(u32::from_le_bytes);
                (self.datetime.replace(seconds.ok_or_else(wrong)?).is_none(), Item::DateTime)
            }
            tags::MESSAGE_FOR_FN => {
                let code = message_code(value);
                (self.code.replace(code.ok_or_else(wrong)?).is_none(), Item::Message)
            }
            tags::OPERATOR_MESSAGE => {
                let bits = fixed(value).map(|[bits]| OperatorNotice(bits));
                (self.notice.replace(bits.ok_or_else(wrong)?).is_none(), Item::Notice)
            }
            tags::OPERATOR_SIGN => (self.fpo.replace(value.to_vec()).is_none(), Item::Fpo),
            tag => (true, Item::Other { tag, value: value.to_vec() }),
        };
        if !fresh {
            return Err(wrong());
        }
        self.order.push(item);
        Ok(())
    }

    fn finish(self) -> Result<Acknowledgement, Malformed> {
        let missing = |tag: u16| Malformed::number(Flaw::AckMissing, HEAD_LEN, tag);
        let format = if self.code.is_some() { AckFormat::Message1068 } else { AckFormat::Register1206 };
        let failed_control = self.notice.is_some_and(|notice| notice.0 & OperatorNotice::FORMAT_LOGIC.0 != 0);
        let code = match self.code {
            Some(code) => code,
            None if failed_control => OperatorCode::FORMAT_LOGIC,
            None => OperatorCode::ACCEPTED,
        };
        Ok(Acknowledgement {
            ofd_inn: self.ofd_inn.ok_or_else(|| missing(tags::OFD_INN))?,
            fn_number: self.fn_number.ok_or_else(|| missing(tags::FN_NUMBER))?,
            fd_number: self.fd_number.ok_or_else(|| missing(tags::FD_NUMBER))?,
            datetime: self.datetime.ok_or_else(|| missing(tags::DATE_TIME))?,
            code,
            format,
            notice: self.notice,
            fpo: self.fpo.unwrap_or_default(),
            order: self.order,
        })
    }
}

/// The code in the value of record 1068, which holds record 1022 and nothing else.
fn message_code(value: &[u8]) -> Option<OperatorCode> {
    let records = tlv::records(value, 0).ok()?;
    match records.as_slice() {
        [code] if code.tag == tags::OPERATOR_CODE => fixed(code.value).map(|[code]| OperatorCode(code)),
        _ => None,
    }
}

fn fixed<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    value.try_into().ok()
}

fn record_message(out: &mut Vec<u8>, code: OperatorCode) {
    let mut inner = Vec::with_capacity(RECORD_HEAD_LEN + 1);
    record(&mut inner, tags::OPERATOR_CODE, &[code.0]);
    record(out, tags::MESSAGE_FOR_FN, &inner);
}

/// Appends a record. Every caller has bounded the value by [`MAX_ACK_LEN`] or made it of a few bytes.
fn record(out: &mut Vec<u8>, tag: u16, value: &[u8]) {
    tlv::write_record(out, tag, value)
        .expect("a value inside a document of 512 bytes fits 16 bits of length");
}

#[cfg(test)]
mod tests;
