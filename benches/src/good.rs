//! The first documents of a register of ФФД 1.2 that the control finds nothing in: registration report, opening of a
//! shift, receipt.

use ffd::check::{Claimed, RegisterState, Surroundings};
use ffd::value::vln_bytes;
use ffd::{Document, FdNumber, FnNumber, FormCode, TlvError, tlv};

/// The fiscal storage, no debug one.
pub const FN_NUMBER: &[u8] = b"9280440300012345";
/// Its checksum fits the owner and the serial number below.
const RNM: &[u8] = b"0000000005008570    ";
const USER_INN: &[u8] = b"7702203276  ";
const OPERATOR_INN: &[u8] = b"7704358518  ";
const SERIAL: &[u8] = b"000000000002";
const PLACE: &[u8] = b"example shop";
/// 2026-03-02 09:00 of the till's clock.
const START: u32 = 1_772_442_000;
const PRICE: u64 = 9_972;
const VAT: u64 = 1_662;

fn head(out: &mut Vec<u8>, fd: u32) -> Result<(), TlvError> {
    let records: [(u16, &[u8]); 7] = [
        (1041, FN_NUMBER),
        (1037, RNM),
        (1018, USER_INN),
        (1040, &fd.to_le_bytes()),
        (1012, &(START + 60 * fd).to_le_bytes()),
        (1077, &[0x31, 0x04, 1, 2, 3, 4]),
        (1209, &[4]),
    ];
    records.into_iter().try_for_each(|(tag, value)| tlv::write_record(out, tag, value))
}

fn write(form: u16, fd: u32, records: &[(u16, &[u8])], items: u64) -> Vec<u8> {
    let mut document = Vec::new();
    tlv::write_group(&mut document, form, |out| {
        head(out, fd)?;
        for _ in 0..items {
            tlv::write_group(out, 1059, item)?;
        }
        records.iter().try_for_each(|(tag, value)| tlv::write_record(out, *tag, value))
    })
    .expect("every record is short");
    document
}

fn item(out: &mut Vec<u8>) -> Result<(), TlvError> {
    let (price, vat) = (vln_bytes(PRICE), vln_bytes(VAT));
    let records: [(u16, &[u8]); 9] = [
        // «Молоко питьевое» in cp866.
        (1030, b"\x8C\xAE\xAB\xAE\xAA\xAE \xAF\xA8\xE2\xEC\xA5\xA2\xAE\xA5"),
        (1079, &price),
        (1023, &[3, 0xE8, 3]),
        (1043, &price),
        (1199, &[1]),
        (1200, &vat),
        (1212, &[1]),
        (1214, &[4]),
        (2108, &[0]),
    ];
    records.into_iter().try_for_each(|(tag, value)| tlv::write_record(out, tag, value))
}

/// The registration report, ФД 1.
#[must_use]
pub fn registration() -> Vec<u8> {
    let records: [(u16, &[u8]); 17] = [
        (1048, PLACE),
        (1013, SERIAL),
        (1009, PLACE),
        (1187, PLACE),
        (1021, PLACE),
        (1002, &[0]),
        (1001, &[0]),
        (1056, &[0]),
        (1188, b"1.0"),
        (1189, &[4]),
        (1190, &[4]),
        (1213, &[0x90, 1]),
        (1062, &[1]),
        (1290, &[0; 4]),
        (1017, OPERATOR_INN),
        (1046, PLACE),
        (1060, b"nalog.gov.ru"),
    ];
    write(1, 1, &records, 0)
}

/// The opening of the shift, ФД 2.
#[must_use]
pub fn shift_open() -> Vec<u8> {
    write(2, 2, &[(1038, &[1, 0, 0, 0]), (1021, PLACE), (1188, b"1.0"), (1189, &[4])], 0)
}

/// A receipt, ФД 3.
#[must_use]
pub fn receipt(items: u64) -> Vec<u8> {
    let (total, vat) = (vln_bytes(items * PRICE), vln_bytes(items * VAT));
    let records: [(u16, &[u8]); 14] = [
        (1038, &[1, 0, 0, 0]),
        (1042, &[1, 0, 0, 0]),
        (1054, &[1]),
        (1055, &[1]),
        (1009, PLACE),
        (1187, PLACE),
        (1021, PLACE),
        (1020, &total),
        (1031, &[0]),
        (1081, &total),
        (1215, &[0]),
        (1216, &[0]),
        (1217, &[0]),
        (1102, &vat),
    ];
    write(3, 3, &records, items)
}

/// What is remembered of the register when the receipt comes.
///
/// # Panics
/// Never: the documents were made whole.
#[must_use]
pub fn register() -> RegisterState {
    let mut register = RegisterState::default();
    for bytes in [registration(), shift_open()] {
        register.apply(&Document::decode(&bytes).expect("made whole a moment ago"));
    }
    register
}

/// What stands around the receipt when it is judged.
///
/// # Panics
/// Never: the numbers are right.
#[must_use]
pub fn around(register: &RegisterState) -> Surroundings<'_> {
    Surroundings {
        claimed: Some(Claimed {
            fn_number: FnNumber::from_padded(FN_NUMBER).expect("sixteen digits"),
            fd_number: FdNumber::new(3).expect("3 is an ФД number"),
            form: FormCode::RECEIPT,
        }),
        received_at: START - 3 * 3600,
        operator_inn: None,
        register: Some(register),
    }
}
