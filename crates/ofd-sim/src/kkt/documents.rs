//! The documents themselves: which tags, in which order, from which state of the register.
//!
//! 1040, 1041 and 1077 are the storage's and follow at the end. Tag sets: FFD order, tables of forms 1, 2, 3,
//! 31 and 5; tags stand here as the numbers of those tables, and a test holds every document made here against
//! the dictionary.

use ffd::{Decimal, Document, FfdVersion, tags};

use super::fields::{FieldError, Fields};
use super::goods::{Basket, Item, VatRate};
use super::{Kkt, Settlement};

/// Version of the register's model, tag 1188.
const KKT_VERSION: &str = "001";
/// Remaining life of the storage's keys in days, tag 1213.
const KEY_RESOURCE_DAYS: u16 = 410;
/// Tag 1060.
const TAX_SITE: &str = "www.nalog.gov.ru";
const DAY_S: u32 = 86_400;

pub(super) fn registration(kkt: &Kkt) -> Result<Vec<u8>, FieldError> {
    let shop = &kkt.shop;
    let mut fields = Fields::new();
    version(kkt, &mut fields);
    fields.text(1048, &shop.user_name).padded(1018, shop.user_inn.as_str(), 12).byte(1062, shop.taxation());
    fields.u32(1012, kkt.clock).padded(1037, shop.rnm.as_str(), 20);
    fields.byte(1002, 0).byte(1056, u8::from(kkt.storage.encrypted())).byte(1001, 0);
    if is_1_2(kkt) {
        fields.u32(1290, shop.usage());
    } else {
        fields.byte(1221, 0).byte(1110, 0).byte(1108, 0).byte(1109, u8::from(shop.usage() & 0x200 != 0));
    }
    fields.text(1013, &shop.kkt_serial).text(1021, shop.cashier).text(1009, &shop.address);
    fields.text(1187, shop.place).text(1060, TAX_SITE).text(1117, shop.sender_email);
    fields.padded(1017, kkt.operator.inn.as_str(), 12).text(1046, &kkt.operator.name);
    fields.text(1188, KKT_VERSION).byte(1189, kkt.ffd.code());
    if is_1_2(kkt) {
        fields.byte(1190, kkt.ffd.code()).u16(1213, KEY_RESOURCE_DAYS);
    }
    fields.finish()
}

pub(super) fn shift_open(kkt: &Kkt) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::new();
    version(kkt, &mut fields);
    fields.padded(1018, kkt.shop.user_inn.as_str(), 12).text(1021, kkt.shop.cashier).u32(1012, kkt.clock);
    fields.u32(1038, kkt.shift).padded(1037, kkt.shop.rnm.as_str(), 20);
    fields.text(1188, KKT_VERSION).byte(1189, kkt.ffd.code());
    fields.finish()
}

pub(super) fn receipt(kkt: &Kkt, settlement: Settlement, basket: &Basket) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::new();
    receipt_head(kkt, settlement, &mut fields);
    for line in &basket.items {
        item(kkt, line, &mut fields);
    }
    sums(basket, &mut fields);
    fields.text(1060, TAX_SITE);
    fields.finish()
}

pub(super) fn correction(kkt: &Kkt, basket: &Basket) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::new();
    receipt_head(kkt, Settlement::Sale, &mut fields);
    fields.byte(1173, 0);
    fields.group(1174, |basis| {
        basis.u32(1178, midnight(kkt.clock).saturating_sub(DAY_S));
        if !is_1_2(kkt) {
            // FFD 1.05 demands a number even when nobody has ordered the correction.
            basis.text(1179, "б/н");
        }
    });
    if is_1_2(kkt) {
        for line in &basket.items {
            item(kkt, line, &mut fields);
        }
    }
    sums(basket, &mut fields);
    fields.text(1060, TAX_SITE);
    fields.finish()
}

pub(super) fn shift_close(kkt: &Kkt) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::new();
    version(kkt, &mut fields);
    fields.padded(1018, kkt.shop.user_inn.as_str(), 12).text(1021, kkt.shop.cashier).u32(1012, kkt.clock);
    fields.u32(1038, kkt.shift).padded(1037, kkt.shop.rnm.as_str(), 20);
    fields.u32(1118, kkt.shift_totals.receipts()).u32(1111, kkt.documents_in_shift);
    // The report itself waits for the operator too, so at least one document always does.
    let waiting = u32::try_from(kkt.storage.waiting()).unwrap_or(u32::MAX).saturating_add(1);
    fields.u32(1097, waiting).u32(1098, midnight(oldest_waiting(kkt)));
    if is_1_2(kkt) {
        fields.group(1194, |totals| kkt.shift_totals.write(totals));
        fields.group(1157, |totals| kkt.fn_totals.write(totals));
        fields.u16(1213, KEY_RESOURCE_DAYS);
    }
    fields.finish()
}

fn receipt_head(kkt: &Kkt, settlement: Settlement, fields: &mut Fields) {
    let shop = &kkt.shop;
    version(kkt, fields);
    fields.text(1048, &shop.user_name).padded(1018, shop.user_inn.as_str(), 12);
    fields.u32(1042, kkt.receipt_in_shift).u32(1012, kkt.clock).u32(1038, kkt.shift);
    fields.byte(1054, settlement.code()).byte(1055, shop.taxation()).text(1021, shop.cashier);
    fields.padded(1037, shop.rnm.as_str(), 20).text(1009, &shop.address).text(1187, shop.place);
}

fn item(kkt: &Kkt, line: &Item, fields: &mut Fields) {
    fields.group(1059, |item| {
        item.byte(1214, 4).byte(1212, line.item_type).text(1030, line.name).vln(1079, line.price);
        item.fvln(1023, Decimal { mantissa: line.quantity, scale: line.quantity_scale });
        if is_1_2(kkt) {
            item.byte(2108, line.unit);
        }
        item.byte(1199, line.vat.code());
        if line.vat != VatRate::None {
            item.vln(1200, line.tax());
        }
        item.vln(1043, line.cost);
    });
}

fn sums(basket: &Basket, fields: &mut Fields) {
    fields.vln(1020, basket.total()).vln(1031, basket.cash).vln(1081, basket.cashless);
    fields.vln(1215, 0).vln(1216, 0).vln(1217, 0);
    let vat = basket.vat();
    for (tag, amount) in [(1102, vat.twenty), (1103, vat.ten), (1105, vat.without)] {
        if let Some(amount) = amount {
            fields.vln(tag, amount);
        }
    }
    if let Some(amount) = vat.twenty_two {
        fields.group(1115, |rates| {
            rates.group(1119, |rate| {
                rate.byte(1199, VatRate::TwentyTwo.code()).vln(1120, amount);
            });
        });
    }
}

fn version(kkt: &Kkt, fields: &mut Fields) {
    fields.byte(1209, kkt.ffd.code());
}

fn is_1_2(kkt: &Kkt) -> bool {
    kkt.ffd == FfdVersion::V1_2
}

/// Till time of the oldest document without an acknowledgement: the first of the queue, or the one being made.
fn oldest_waiting(kkt: &Kkt) -> u32 {
    let front = kkt.storage.front().and_then(|front| Document::decode(&front.document).ok());
    front.and_then(|document| document.time(tags::DATE_TIME)).map_or(kkt.clock, ffd::LocalTime::get)
}

fn midnight(clock: u32) -> u32 {
    clock / DAY_S * DAY_S
}
