//! Receipts (form 3) and strict reporting forms (БСО, form 4).

use ffd::FfdVersion;

use super::basket::Basket;
use super::fields::{FieldError, Fields};
use super::{Kkt, Settlement, TAX_SITE, item};
use crate::trade::Trade;

/// Till time of 2025-09-01 00:00: the sign of a settlement in the internet (1125) and the details of card
/// payments (1234).
const INTERNET_SIGN_SINCE: u32 = 1_756_684_800;

pub(super) fn receipt(kkt: &Kkt, settlement: Settlement, basket: &Basket) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::new();
    head(kkt, settlement, basket, &mut fields);
    for line in &basket.items {
        item::write(kkt, line, basket, &mut fields);
    }
    sums(basket, &mut fields);
    tail(kkt, basket, &mut fields);
    fields.finish()
}

/// Who settles with whom, when and where: also of corrections.
pub(super) fn head(kkt: &Kkt, settlement: Settlement, basket: &Basket, fields: &mut Fields) {
    let shop = &kkt.shop;
    fields.byte(1209, kkt.ffd.code());
    fields.text(1048, &shop.user_name).padded(1018, shop.user_inn.as_str(), 12);
    fields.u32(1042, kkt.receipt_in_shift).u32(1012, kkt.clock).u32(1038, kkt.shift);
    fields.byte(1054, settlement.code()).byte(1055, basket.taxation);
    shop.write_cashier(fields);
    fields.padded(1037, shop.rnm.as_str(), 20);
    if let Some(number) = shop.automat {
        fields.text(1036, &number.to_string());
    }
    fields.text(1009, &shop.address).text(1187, &shop.place);
}

/// The total, its payments and its VAT.
pub(super) fn sums(basket: &Basket, fields: &mut Fields) {
    let paid = &basket.payments;
    fields.vln(1020, basket.total()).vln(1031, paid.cash).vln(1081, paid.cashless);
    fields.vln(1215, paid.prepaid).vln(1216, paid.credit).vln(1217, paid.counter);
    basket.vat().write(fields);
}

fn tail(kkt: &Kkt, basket: &Basket, fields: &mut Fields) {
    let (shop, is_1_2) = (&kkt.shop, kkt.ffd == FfdVersion::V1_2);
    if let Some(contact) = &basket.contact {
        fields.text(1008, contact).text(1117, shop.sender_email);
    }
    match &basket.buyer {
        Some(buyer) if is_1_2 => buyer.write_block(fields),
        Some(buyer) => buyer.write_flat(fields),
        None => {}
    }
    if !is_1_2 && shop.trade == Trade::Internet {
        fields.byte(1108, 1);
    }
    let for_others = basket.items.iter().any(|line| line.as_agent);
    if let Some(agency) = basket.agency.as_ref().filter(|_| for_others && !is_1_2) {
        agency.write_receipt(fields);
    }
    fields.text(1060, TAX_SITE);
    if shop.trade == Trade::Taxi {
        fields.group(1084, |detail| {
            detail.text(1085, "Номер заказа").text(1086, &kkt.receipt_in_shift.to_string());
        });
    }
    if kkt.clock >= INTERNET_SIGN_SINCE {
        internet(kkt, basket, fields);
    }
    if is_1_2 && basket.has_marked() {
        fields.byte(2107, 0);
        if shop.trade == Trade::Pharmacy {
            fields.group(1261, |details| {
                details.text(1262, "020").text(1263, "14.12.2018").text(1264, "1556");
                details.text(1265, "tm=mdlp&sid=00000000105200&");
            });
        }
    }
}

fn internet(kkt: &Kkt, basket: &Basket, fields: &mut Fields) {
    if !kkt.shop.trade.in_internet() || basket.contact.is_none() {
        return;
    }
    fields.byte(1125, 1);
    if let Some(reference) = basket.card_reference.filter(|_| basket.payments.cashless > 0) {
        fields.group(1234, |all| {
            all.group(1235, |one| {
                one.vln(1082, basket.payments.cashless).byte(1236, 1);
                one.text(1237, &reference.to_string()).text(1238, "Карта");
            });
        });
    }
}
