//! Faults of single values: times, taxpayer numbers, lists.

use ffd::{FormCode, tags};

use super::body::padded;
use super::fault::{After, Fault};

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;
/// 2016-08-31 23:59:59, before the reform.
const BEFORE_THE_REFORM: u64 = 1_472_687_999;

pub(super) const FAULTS: &[Fault] = &[
    Fault::new("inn.digits", "a receipt whose cashier's ИНН (1203) has wrong check digits", |work| {
        work.receipt()?.put(&[tags::CASHIER_INN], b"500100732258")
    }),
    Fault::new("inn.format", "an item whose supplier's ИНН (1226) has two digits", |work| {
        work.settlement()?.change_item(|_| true, |item| item.put(&[tags::SUPPLIER_INN], &padded("77", 12)))
    }),
    Fault::new("inn.person", "a receipt whose cashier's ИНН (1203) has two digits", |work| {
        work.receipt()?.put(&[tags::CASHIER_INN], &padded("12", 12))
    }),
    Fault::new("time.ahead", "a closing of a shift 18 hours ahead of UTC", |work| {
        work.of(&[FormCode::SHIFT_CLOSE])?;
        work.set_time(u64::from(work.now) + 18 * HOUR_S)
    })
    .then(After::Next("time.order")),
    Fault::new("time.earliest", "the first report of a storage, of August 2016", |work| {
        work.registration()?;
        // Later reports follow a document that the operator has.
        if work.fd != 1 {
            return None;
        }
        work.set_time(BEFORE_THE_REFORM)
    }),
    Fault::new("time.future", "a closing of a shift two days ahead", |work| {
        work.of(&[FormCode::SHIFT_CLOSE])?;
        work.set_time(u64::from(work.now) + 2 * DAY_S)
    })
    .then(After::Next("time.order")),
    Fault::new("time.order", "a receipt two days older than the document before it", |work| {
        work.settlement()?;
        let time = work.time()?;
        work.set_time(time.checked_sub(2 * DAY_S)?)
    }),
    Fault::new("value.operation", "a receipt of the kind of settlement 5 (1054)", |work| {
        work.receipt()?.put(&[tags::OPERATION_TYPE], &[5])
    })
    .resting(),
    Fault::new("value.taxation", "a receipt under two taxation systems at once (1055)", |work| {
        work.receipt()?.put(&[tags::APPLIED_TAXATION], &[3])
    }),
    // No simulated shop has the automatic simplified system.
    Fault::new(
        "value.taxation-registered",
        "a receipt under a taxation system that is not registered (1055)",
        |work| work.receipt()?.put(&[tags::APPLIED_TAXATION], &[0x40]),
    ),
    Fault::new("value.unknown", "an item of the unknown kind 99 (1212)", |work| {
        work.settlement()?.change_item(|_| true, |item| item.put(&[tags::ITEM_TYPE], &[99]))
    }),
];
