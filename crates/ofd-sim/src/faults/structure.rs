//! Faults of structure: records that are missing, strange, repeated, too long or unreadable.

use ffd::{FfdVersion, FormCode, tags};

use super::body::Body;
use super::fault::{Fault, Work};

/// Longest value of a receipt.
const MAX_RECEIPT_LEN: usize = 32_768;
/// Records that the storage adds: 1040, 1041 and 1077.
const OWN_LEN: usize = 8 + 20 + 10;
/// Method of settlement «оплата кредита», which stands alone.
const CREDIT_PAID: u64 = 7;

pub(super) const FAULTS: &[Fault] = &[
    Fault::new(
        "structure.conditional",
        "a shift report or report on settlements without the day of the oldest unsent document (1098)",
        |work| {
            let body = work.of(&[FormCode::SHIFT_CLOSE, FormCode::STATE_REPORT])?;
            body.number(&[tags::UNSENT_COUNT]).filter(|&count| count > 0)?;
            body.remove(&[tags::UNSENT_SINCE])
        },
    ),
    Fault::new("structure.length", "a receipt with a cashier (1021) of 65 letters", |work| {
        work.receipt()?.put(&[1021], &[b'x'; 65])
    }),
    Fault::new("structure.mandatory", "a receipt without the applied taxation (1055)", |work| {
        work.receipt()?.remove(&[tags::APPLIED_TAXATION])
    }),
    Fault::new("structure.repeat", "a receipt that names its user (1048) twice", |work| {
        let body = work.receipt()?;
        let name = body.raw(&[1048])?;
        body.append(1048, &name);
        Some(())
    }),
    Fault::new("structure.size", "a receipt past 32,768 bytes, of items that cost nothing", oversize),
    Fault::new("structure.type", "an item whose quantity (1023) has 99 digits after the point", |work| {
        work.settlement()?
            .change_item(|item| item.has(&[tags::QUANTITY]), |item| item.put(&[tags::QUANTITY], &[99, 1]))
    }),
    Fault::new("structure.undeclared", "a receipt with a tag that no table has (1998)", |work| {
        work.receipt()?.append(1998, &[1]);
        Some(())
    }),
    // The operator answers an unknown version as the newest, which a storage of FFD 1.1 would refuse.
    Fault::new("structure.version", "an opening of a shift of FFD version 9 (1209); FFD 1.05, 1.2", |work| {
        if work.ffd == FfdVersion::V1_1 {
            return None;
        }
        work.of(&[FormCode::SHIFT_OPEN])?.put(&[tags::FFD_VERSION], &[9])
    }),
    Fault::new(
        "version.tags",
        "a shift report with a tag of another version: 1206 in FFD 1.05, 1101 in 1.1 and 1.2",
        |work| {
            let is_newer = work.is_newer();
            let body = work.of(&[FormCode::SHIFT_OPEN, FormCode::SHIFT_CLOSE])?;
            let (tag, value) = if is_newer { (tags::REASON_CODE, 3) } else { (tags::OPERATOR_MESSAGE, 2) };
            body.append(tag, &[value]);
            Some(())
        },
    ),
];

/// Copies an item, free of charge, until the receipt is too long; the message around it still has room.
fn oversize(work: &mut Work<'_>) -> Option<()> {
    let body = work.settlement()?;
    let copy = free_copy(body)?;
    while body.len() + OWN_LEN <= MAX_RECEIPT_LEN {
        body.append(tags::ITEM, &copy);
    }
    Some(())
}

/// A copy of the first item that costs nothing.
pub(super) fn free_copy(body: &Body) -> Option<Vec<u8>> {
    let first =
        body.items().into_iter().find(|item| item.number(&[tags::PAYMENT_METHOD]) != Some(CREDIT_PAID));
    let mut item = first?;
    for tag in [tags::PRICE, tags::ITEM_COST, tags::ITEM_VAT] {
        if item.has(&[tag]) {
            item.put(&[tag], &[0])?;
        }
    }
    item.bytes()
}
