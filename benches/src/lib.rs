//! Inputs shared by the benchmarks: genuine captures, a made-up receipt of average size, and one exchange of a
//! register with the operator, open and encrypted. And what measures whole programs: [`processes`].
//!
//! Absolute figures of one machine say little; compare runs of the same session. Run with
//! `cargo bench -p fiscald-benches`.

pub mod good;
pub mod processes;

use ffd::{FdNumber, FnNumber, Inn, TlvError, tlv};
use kkt_proto::ack::{AckFields, AckFormat, AckItems, OperatorCode};
use kkt_proto::container::{self, Container, ContainerHeader, ContainerKind};
use pkz::derive::{FnKeys, Purpose, message_iv};
use pkz::{AckRequest, Generation, Keystore, RawContainer, test_keys};

/// A moment inside the period of the published test keys, unix seconds.
pub const NOW_UNIX: i64 = 1_800_000_000;
/// The same moment as tag 1012 of an acknowledgement.
pub const RECEIVED_AT: u32 = 1_800_000_000;

const FN_NUMBER: &[u8] = b"9999078900000017";
const OFD_INN: &[u8] = b"7700000001";
const FORM_RECEIPT: u16 = 3;

/// A genuine document and the name of the capture it is cut from.
#[derive(Clone, Copy, Debug)]
pub struct Capture {
    /// Short name for the report.
    pub name: &'static str,
    /// `form | length | records`.
    pub document: &'static [u8],
}

/// Genuine documents of different forms and sizes.
///
/// # Panics
/// When a capture is shorter than its document says: the files were damaged.
#[must_use]
pub fn captures() -> [Capture; 4] {
    [
        capture(
            "registration 1.05",
            include_bytes!("../../proto-fixtures/captures/msg_reg11_ffd105_9999078900005488_fd1.bin"),
            62,
        ),
        capture(
            "registration 1.2",
            include_bytes!("../../proto-fixtures/captures/msg_reg11_ffd12_9999078902013267_fd1.bin"),
            62,
        ),
        capture(
            "receipt 1.0",
            include_bytes!("../../proto-fixtures/captures/raw_receipt3_9999078900011918_fd132.bin"),
            0,
        ),
        capture(
            "receipt 1.05",
            include_bytes!("../../proto-fixtures/captures/raw_receipt3_9280440300332772_fd10756.bin"),
            0,
        ),
    ]
}

fn capture(name: &'static str, file: &'static [u8], before: usize) -> Capture {
    let rest = file.get(before..).expect("a capture is longer than what stands before its document");
    let Some([_, _, low, high]) = rest.first_chunk::<4>() else { panic!("{name}: no document") };
    let len = 4 + usize::from(u16::from_le_bytes([*low, *high]));
    Capture { name, document: rest.get(..len).expect("a capture holds its document whole") }
}

/// A receipt of FFD 1.05 with five items, about what a shop sends.
///
/// # Panics
/// Never: its records are short.
#[must_use]
pub fn receipt_of_five_items() -> Vec<u8> {
    let mut receipt = Vec::new();
    tlv::write_group(&mut receipt, FORM_RECEIPT, write_receipt).expect("every record is short");
    receipt
}

fn write_receipt(out: &mut Vec<u8>) -> Result<(), TlvError> {
    let records: [(u16, &[u8]); 12] = [
        (1041, FN_NUMBER),
        (1037, b"0000000001002370    "),
        (1018, b"7707083893  "),
        (1040, &77_u32.to_le_bytes()),
        (1012, &RECEIVED_AT.to_le_bytes()),
        (1077, &[0x31, 0x04, 1, 2, 3, 4]),
        (1038, &12_u32.to_le_bytes()),
        (1042, &34_u32.to_le_bytes()),
        (1054, &[1]),
        (1055, &[1]),
        (1209, &[2]),
        (1020, &[0x79, 0xC2]),
    ];
    for (tag, value) in records {
        tlv::write_record(out, tag, value)?;
    }
    for number in 1..=5_u8 {
        tlv::write_group(out, 1059, |item| write_item(item, number))?;
    }
    for (tag, value) in [(1031, &[0][..]), (1081, &[0x79, 0xC2]), (1215, &[0]), (1216, &[0]), (1217, &[0])] {
        tlv::write_record(out, tag, value)?;
    }
    // «Кассир Иванова» in cp866.
    let cashier = b"\x8A\xA0\xE1\xE1\xA8\xE0 \x88\xA2\xA0\xAD\xAE\xA2\xA0";
    tlv::write_record(out, 1021, cashier)
}

fn write_item(out: &mut Vec<u8>, number: u8) -> Result<(), TlvError> {
    // «Молоко питьевое 3,2% 0,9 л» in cp866, a digit in front.
    let mut name = vec![b'0' + number];
    name.extend_from_slice(b". \x8C\xAE\xAB\xAE\xAA\xAE \xAF\xA8\xE2\xEC\xA5\xA2\xAE\xA5 3,2% 0,9 \xAB");
    tlv::write_record(out, 1030, &name)?;
    for (tag, value) in [(1079, &[0xF4, 0x26][..]), (1023, &[3, 0xDC, 5]), (1043, &[0x6E, 0x3A])] {
        tlv::write_record(out, tag, value)?;
    }
    for (tag, value) in [(1199, [2]), (1200, [0x55]), (1212, [1]), (1214, [4])] {
        tlv::write_record(out, tag, &value)?;
    }
    Ok(())
}

/// One document on its way in and what its acknowledgement is made of, signed with the published test keys.
#[derive(Clone, Debug)]
pub struct Exchange {
    fn_number: FnNumber,
    fd_number: FdNumber,
    container: Vec<u8>,
    items: AckItems,
    encrypted: bool,
}

impl Exchange {
    /// A container around `document` as a fiscal storage makes it.
    ///
    /// # Panics
    /// When `document` is longer than a container holds.
    #[must_use]
    pub fn new(document: &[u8], encrypted: bool) -> Self {
        Self::of(fn_number(), fd_number(), document, encrypted)
    }

    /// The same of another storage and number.
    ///
    /// # Panics
    /// When `document` is longer than a container holds.
    #[must_use]
    pub fn of(fn_number: FnNumber, fd_number: FdNumber, document: &[u8], encrypted: bool) -> Self {
        let keys = storage_keys(&fn_number);
        let header = ContainerHeader {
            kind: ContainerKind::FROM_FN,
            form: document.first().copied().unwrap_or_default(),
            version: container::FORMAT_VERSION,
            service1: container::SERVICE_1,
            fn_number,
            fd_number,
            iv: message_iv([1, 2, 3, 4, 5], fd_number),
            service2: container::SERVICE_2,
            open_len: u16::try_from(document.len()).expect("a document fits its container"),
        };
        let sign = keys.fps(document);
        let mut data = document.to_vec();
        if encrypted {
            keys.crypt_up(&header.iv, &mut data);
        }
        let container = container::encode(&header, &data, sign).expect("a document fits its container");
        let fields = AckFields {
            ofd_inn: ofd_inn(),
            fn_number,
            fd_number,
            datetime: RECEIVED_AT,
            code: OperatorCode(0),
            format: AckFormat::Message1068,
        };
        Self { fn_number, fd_number, container, items: fields.items(), encrypted }
    }

    /// The container's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.container
    }

    /// The container, read and checked.
    ///
    /// # Panics
    /// Never: it was made whole.
    #[must_use]
    pub fn raw_container(&self) -> RawContainer<'_> {
        let container = Container::decode(&self.container).expect("made whole a moment ago");
        RawContainer { fn_number: self.fn_number, container }
    }

    /// The question to the signer that answers `header`.
    #[must_use]
    pub fn ack_request<'a>(&'a self, header: &'a ContainerHeader) -> AckRequest<'a> {
        AckRequest {
            fn_number: self.fn_number,
            generation: Some(generation()),
            fd_number: self.fd_number,
            ofd_inn: ofd_inn(),
            datetime: RECEIVED_AT,
            items: &self.items.bytes,
            fpo_offset: self.items.fpo_offset,
            reply_to: header,
            iv: message_iv([5, 4, 3, 2, 1], self.fd_number),
            encrypt: self.encrypted,
        }
    }
}

fn storage_keys(fn_number: &FnNumber) -> FnKeys {
    let store = Keystore::parse(test_keys::message_keystore(), Purpose::Message).expect("the published keys");
    let record = store.record(generation()).expect("the published keys have a generation 1");
    FnKeys::derive(fn_number, record.key(), None).expect("a message master")
}

fn generation() -> Generation {
    Generation::new(1).expect("1 is a generation")
}

fn fn_number() -> FnNumber {
    FnNumber::from_padded(FN_NUMBER).expect("sixteen digits")
}

fn fd_number() -> FdNumber {
    FdNumber::new(77).expect("77 is an ФД number")
}

fn ofd_inn() -> Inn {
    Inn::from_padded(OFD_INN).expect("ten digits")
}

#[cfg(test)]
mod tests {
    use ffd::Document;
    use pkz::{AckSigner, FiscalSignVerifier};

    use super::*;

    #[test]
    fn inputs_are_what_they_claim() {
        for capture in captures() {
            assert!(Document::decode(capture.document).is_ok(), "{}", capture.name);
        }
        let bytes = receipt_of_five_items();
        let receipt = Document::decode(&bytes).unwrap();
        assert_eq!(receipt.nodes_of(1059).count(), 5);
        assert_eq!(receipt.unsigned(1020), Some(0xC279));
    }

    #[test]
    fn exchanges_are_opened_and_answered() {
        let device = test_keys::soft_pkz(NOW_UNIX);
        for encrypted in [false, true] {
            let exchange = Exchange::new(&receipt_of_five_items(), encrypted);
            let raw = exchange.raw_container();
            let outcome = device.open(&raw);
            assert!(outcome.verdict.is_valid() && outcome.was_encrypted == encrypted);
            assert!(device.seal(&exchange.ack_request(&raw.container.header)).is_ok());
        }
    }
}
