//! Tag 1059: a line of a receipt as the version of the format has it.

use ffd::FfdVersion;

use super::Kkt;
use super::basket::Basket;
use super::fields::Fields;
use super::goods::{Item, Mark};
use super::vat::VatRate;
use crate::trade::{Measure, Trade};

/// Positive result of every check of a marking code, tags 2106 and 2005.
pub(super) const CHECKED: u8 = 0x0F;

pub(super) fn write(kkt: &Kkt, line: &Item, basket: &Basket, receipt: &mut Fields) {
    let is_1_2 = kkt.ffd == FfdVersion::V1_2;
    receipt.group(1059, |item| {
        item.byte(1214, line.method.code()).byte(1212, kind(line, is_1_2));
        if let Some(agency) = basket.agency.as_ref().filter(|_| line.as_agent) {
            agency.write_item(is_1_2, item);
        }
        item.text(1030, &line.name);
        if is_1_2 {
            item.byte(2108, unit(line.measure));
        } else {
            item.text(1197, unit_name(line.measure));
        }
        if let Some(mark) = line.scanned() {
            write_mark(kkt, mark, item);
        }
        if let Some(excise) = line.excise {
            item.vln(1229, excise);
        }
        if let Some((country, declaration)) = line.imported {
            item.padded(1230, country, 3).text(1231, declaration);
        }
        item.vln(1079, line.price).fvln(1023, line.quantity).byte(1199, line.vat.code());
        if line.vat != VatRate::None {
            item.vln(1200, line.tax());
        }
        item.vln(1043, line.cost);
    });
}

/// Tag 1212: FFD 1.2 has kinds of its own for goods subject to marking, with a code and without.
fn kind(line: &Item, is_1_2: bool) -> u8 {
    match (&line.mark, line.scanned(), line.kind) {
        (Some(_), Some(_), 2) if is_1_2 => 31,
        (Some(_), None, 2) if is_1_2 => 30,
        (Some(_), Some(_), _) if is_1_2 => 33,
        (Some(_), None, _) if is_1_2 => 32,
        (_, _, kind) => kind,
    }
}

fn write_mark(kkt: &Kkt, mark: &Mark, item: &mut Fields) {
    if kkt.ffd != FfdVersion::V1_2 {
        item.raw(1162, &mark.product_code());
        return;
    }
    item.group(1163, |code| _ = code.text(1305, &mark.identifier()));
    item.byte(2106, CHECKED).byte(2102, 0);
    write_part(mark, item);
    if kkt.shop.trade == Trade::Pharmacy {
        item.group(1260, |details| {
            details.text(1262, "030").text(1263, "21.11.2023").text(1264, "1944");
            details.text(1265, "UUID=6ba7b810-9dad-41d1-80b4-00c04fd430c8&Time=1790000000000");
        });
    }
}

/// Tag 1291, when a part of a pack is sold.
pub(super) fn write_part(mark: &Mark, item: &mut Fields) {
    if let Some((taken, parts)) = mark.part {
        item.group(1291, |part| _ = part.vln(1293, taken).vln(1294, parts));
    }
}

/// Value of tag 2108.
pub(super) fn unit(measure: Measure) -> u8 {
    match measure {
        Measure::Piece | Measure::Service => 0,
        Measure::Kilogram => 11,
        Measure::Metre => 22,
        Measure::Litre => 41,
    }
}

fn unit_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Piece => "шт",
        Measure::Kilogram => "кг",
        Measure::Metre => "м",
        Measure::Litre => "л",
        Measure::Service => "усл",
    }
}
