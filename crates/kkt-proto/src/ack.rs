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
mod tests {
    use ffd::dict::FfdVersion;
    use ffd::ids::{FdNumber, FnNumber, Inn};
    use proptest::prelude::*;

    use super::{
        AckFields, AckFormat, Acknowledgement, Item, MAX_ACK_LEN, OperatorCode, OperatorNotice, document,
        record,
    };
    use crate::container::Container;
    use crate::testing::{ACK_TAXCOM, any_fd_number, any_fn_number, crypto_messages, hex_field};

    const ACCEPTED: OperatorCode = OperatorCode::ACCEPTED;
    const UNRECOGNISED: OperatorCode = OperatorCode::UNRECOGNISED;
    const FORMAT_LOGIC: OperatorCode = OperatorCode::FORMAT_LOGIC;

    fn taxcom() -> &'static [u8] {
        Container::decode(ACK_TAXCOM).unwrap().data
    }

    fn taxcom_fields() -> AckFields {
        AckFields {
            ofd_inn: Inn::from_padded(b"7704211201").unwrap(),
            fn_number: FnNumber::from_padded(b"9999078902013267").unwrap(),
            fd_number: FdNumber::new(1).unwrap(),
            datetime: 1_726_400_816, // 2024-09-15 11:46:56 UTC
            code: FORMAT_LOGIC,
            format: AckFormat::Message1068,
        }
    }

    #[test]
    fn a_real_acknowledgement_is_read_and_comes_back_unchanged() {
        let fields = taxcom_fields();
        let ack = Acknowledgement::decode(taxcom()).unwrap();
        assert_eq!(ack.ofd_inn.as_str(), "7704211201");
        assert_eq!((ack.fn_number, ack.fd_number), (fields.fn_number, fields.fd_number));
        assert_eq!(ack.datetime, fields.datetime);
        assert_eq!((ack.code, ack.format, ack.notice), (FORMAT_LOGIC, AckFormat::Message1068, None));
        assert_eq!(ack.fpo, [0x88, 0x06, 0x86, 0xCE, 0x88, 0x30, 0x00, 0x03]);
        assert_eq!(ack.encode().unwrap(), taxcom());

        // and made anew from its fields, down to the container
        let made = fields.items().document(Some(&ack.fpo)).unwrap();
        assert_eq!(made, taxcom());
        let container = Container::decode(ACK_TAXCOM).unwrap();
        let sealed = crate::container::encode(&container.header, &made, container.sign).unwrap();
        assert_eq!(sealed, ACK_TAXCOM);
    }

    #[test]
    fn vectors_of_the_stand_in_signs() {
        for message in crypto_messages() {
            let ack = &message["ack"];
            let body = hex_field(ack, "body");
            let read = Acknowledgement::decode(&body).unwrap();
            assert_eq!(read.ofd_inn.as_str(), ack["ofd_inn"].as_str().unwrap());
            assert_eq!(u64::from(read.datetime), ack["datetime"].as_u64().unwrap());
            assert_eq!(read.fpo, hex_field(ack, "fpo"));
            assert_eq!(read.code, ACCEPTED);
            assert_eq!(read.encode().unwrap(), body);
        }
    }

    #[test]
    fn without_a_sign_it_is_twelve_bytes_shorter() {
        let items = taxcom_fields().items();
        assert_eq!(items.fpo_offset, 16);
        let unsigned = items.document(None).unwrap();
        assert_eq!(unsigned.len() + 12, taxcom().len());
        let read = Acknowledgement::decode(&unsigned).unwrap();
        assert!(read.fpo.is_empty());
        assert_eq!(read.encode().unwrap(), unsigned);
    }

    #[test]
    fn format_follows_the_document() {
        let check = |version, code, expected| assert_eq!(AckFormat::for_document(version, code), expected);
        for code in [ACCEPTED, UNRECOGNISED, FORMAT_LOGIC] {
            check(None, code, AckFormat::Message1068);
            for version in [FfdVersion::V1_0, FfdVersion::V1_05, FfdVersion::V1_2] {
                check(Some(version), code, AckFormat::Message1068);
            }
        }
        check(Some(FfdVersion::V1_1), ACCEPTED, AckFormat::Register1206);
        check(Some(FfdVersion::V1_1), FORMAT_LOGIC, AckFormat::Register1206);
        check(Some(FfdVersion::V1_1), UNRECOGNISED, AckFormat::Message1068);
    }

    /// Format and code, the last records, and what a register makes of them.
    #[test]
    fn answers() {
        let cases: &[(AckFormat, OperatorCode, &[u8], Option<OperatorNotice>)] = &[
            (AckFormat::Message1068, ACCEPTED, &[0x2C, 4, 5, 0, 0xFE, 3, 1, 0, 0], None),
            (AckFormat::Message1068, UNRECOGNISED, &[0x2C, 4, 5, 0, 0xFE, 3, 1, 0, 11], None),
            (AckFormat::Message1068, FORMAT_LOGIC, &[0x2C, 4, 5, 0, 0xFE, 3, 1, 0, 14], None),
            (AckFormat::Register1206, ACCEPTED, &[], None),
            (AckFormat::Register1206, FORMAT_LOGIC, &[0xB6, 4, 1, 0, 2], Some(OperatorNotice::FORMAT_LOGIC)),
        ];
        for (format, code, tail, notice) in cases {
            let items = AckFields { format: *format, code: *code, ..taxcom_fields() }.items();
            assert_eq!(items.bytes[52..], **tail);
            let read = Acknowledgement::decode(&items.document(Some(&[1; 8])).unwrap()).unwrap();
            assert_eq!((read.format, read.code, read.notice), (*format, *code, *notice));
        }
    }

    fn records(change: impl FnOnce(&mut Vec<(u16, Vec<u8>)>)) -> Vec<u8> {
        let mut list = vec![
            (1017, b"7704211201  ".to_vec()),
            (1041, b"9999078902013267".to_vec()),
            (1040, vec![1, 0, 0, 0]),
            (1012, vec![1, 2, 3, 4]),
            (1068, vec![0xFE, 3, 1, 0, 0]),
        ];
        change(&mut list);
        let mut items = Vec::new();
        for (tag, value) in &list {
            record(&mut items, *tag, value);
        }
        document(&items, 0, None).unwrap()
    }

    #[test]
    fn wrong_documents() {
        let check = |bytes: &[u8], expected: Result<(), &str>| {
            let seen = Acknowledgement::decode(bytes);
            if let Ok(ack) = &seen {
                assert_eq!(ack.encode().unwrap(), bytes);
            }
            assert_eq!(seen.map(|_| ()).map_err(|malformed| malformed.reason()), expected, "{bytes:02x?}");
        };
        check(&records(|_| {}), Ok(()));
        check(&records(|list| list.reverse()), Ok(()));
        check(&records(|list| list.push((4000, vec![1]))), Ok(()));
        check(&records(|list| list.push((1206, vec![0x42]))), Ok(()));
        for (position, tag) in [1017, 1041, 1040, 1012].into_iter().enumerate() {
            let absent = records(|list| drop(list.remove(position)));
            let missing = Acknowledgement::decode(&absent).unwrap_err();
            assert_eq!(
                (missing.reason(), missing.value),
                ("ack_missing", super::super::error::Seen::Number(tag))
            );
            check(&records(|list| list.push(list[position].clone())), Err("ack_field"));
            check(&records(|list| list[position].1.truncate(3)), Err("ack_field"));
            check(&records(|list| list[position].1.push(b' ')), Err("ack_field"));
        }
        check(&records(|list| list[0].1[3] = b'x'), Err("ack_field"));
        check(&records(|list| list[2].1 = b"0001".to_vec()), Err("ack_field")); // a number in letters: too large
        check(&records(|list| list[2].1 = vec![0; 4]), Err("ack_field"));
        check(&records(|list| list[4].1[0] = 0xFD), Err("ack_field")); // not 1022
        check(&records(|list| list[4].1 = vec![]), Err("ack_field"));
        check(&records(|list| list[4].1.extend([0xFE, 3, 1, 0, 0])), Err("ack_field"));
        check(&records(|list| list.push((1206, vec![]))), Err("ack_field"));

        check(&[], Err("ack_length"));
        check(&[7, 0, 0], Err("ack_length"));
        check(&[8, 0, 0, 0], Err("ack_form"));
        check(&[7, 0, 0, 0], Err("ack_missing"));
        check(&[7, 0, 1, 0], Err("ack_length"));
        check(&[7, 0, 3, 0, 1, 2, 3], Err("ack_length"));
    }

    #[test]
    fn size_limit() {
        let empty = records(|_| {}).len() + 4;
        check_size(MAX_ACK_LEN - empty, true);
        check_size(MAX_ACK_LEN - empty + 1, false);

        fn check_size(filler: usize, expected: bool) {
            let mut items = records(|_| {}).split_off(4);
            record(&mut items, 4000, &vec![0; filler]);
            assert_eq!(document(&items, 0, None).is_ok(), expected, "{filler}");
            let length = u16::try_from(items.len()).unwrap();
            let bytes = [&[7, 0], length.to_le_bytes().as_slice(), &items].concat();
            assert_eq!(Acknowledgement::decode(&bytes).is_ok(), expected, "{filler}");
        }
        let mut ack = Acknowledgement::decode(taxcom()).unwrap();
        ack.fpo = vec![0; 70_000];
        assert!(ack.encode().is_err());
    }

    prop_compose! {
        fn any_ack()(
            ofd_inn in "[0-9]{10}([0-9]{2})?",
            fn_number in any_fn_number(),
            fd_number in any_fd_number(),
            datetime in any::<u32>(),
            message in prop::option::of(any::<u8>()),
            notice in prop::option::of(any::<u8>()),
            fpo in prop::option::of(prop::collection::vec(any::<u8>(), 0..19)),
            other in prop::option::of((2000_u16.., prop::collection::vec(any::<u8>(), 0..30))),
        )(
            order in {
                let mut order = vec![Item::OfdInn, Item::FnNumber, Item::FdNumber, Item::DateTime];
                order.extend(message.map(|_| Item::Message));
                order.extend(notice.map(|_| Item::Notice));
                order.extend(fpo.as_ref().map(|_| Item::Fpo));
                order.extend(other.map(|(tag, value)| Item::Other { tag, value }));
                Just(order).prop_shuffle()
            },
            (ofd_inn, fn_number, fd_number, datetime, message, notice, fpo) in
                Just((ofd_inn, fn_number, fd_number, datetime, message, notice, fpo)),
        ) -> Acknowledgement {
            let derived = match notice {
                Some(bits) if bits & 2 != 0 => FORMAT_LOGIC,
                _ => ACCEPTED,
            };
            Acknowledgement {
                ofd_inn: Inn::from_padded(ofd_inn.as_bytes()).unwrap(),
                fn_number,
                fd_number,
                datetime,
                code: message.map_or(derived, OperatorCode),
                format: if message.is_some() { AckFormat::Message1068 } else { AckFormat::Register1206 },
                notice: notice.map(OperatorNotice),
                fpo: fpo.unwrap_or_default(),
                order,
            }
        }
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(ack in any_ack()) {
            let bytes = ack.encode().unwrap();
            prop_assert_eq!(Acknowledgement::decode(&bytes), Ok(ack));
        }

        #[test]
        fn encode_undoes_decode(position in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = taxcom().to_vec();
            *position.get_mut(&mut bytes) = byte;
            if let Ok(ack) = Acknowledgement::decode(&bytes) {
                prop_assert_eq!(ack.encode().unwrap(), bytes);
            }
        }

        #[test]
        fn garbage_never_panics(records in prop::collection::vec(any::<u8>(), 0..100)) {
            let length = u16::try_from(records.len()).unwrap();
            let bytes = [&[7, 0], length.to_le_bytes().as_slice(), &records].concat();
            prop_assert!(Acknowledgement::decode(&bytes).is_err());
            prop_assert!(Acknowledgement::decode(&records).is_err());
        }
    }
}
