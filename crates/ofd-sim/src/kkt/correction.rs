//! Corrections of receipts (form 31) and of strict reporting forms (form 41).

use ffd::FfdVersion;

use super::basket::Basket;
use super::fields::{FieldError, Fields};
use super::{DAY_S, Kkt, Settlement, TAX_SITE, item, receipt, shift};

/// Who demands a correction, tag 1173.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// 0: the user, by himself.
    Own,
    /// 1: the tax authority, by an order with this number.
    Order(u32),
}

/// The kinds of settlement that corrections of this version know: FFD 1.05 only sale and payout.
pub(super) fn settlements(ffd: FfdVersion) -> &'static [Settlement] {
    match ffd {
        FfdVersion::V1_0 | FfdVersion::V1_05 => &[Settlement::Sale, Settlement::Payout],
        FfdVersion::V1_1 | FfdVersion::V1_2 => &Settlement::ALL,
    }
}

/// A settlement of the day before that went past the register.
pub(super) fn correction(
    kkt: &Kkt,
    settlement: Settlement,
    demand: Demand,
    basket: &Basket,
) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::new();
    receipt::head(kkt, settlement, basket, &mut fields);
    fields.byte(1173, u8::from(demand != Demand::Own));
    fields.group(1174, |basis| {
        basis.u32(1178, shift::midnight(kkt.clock).saturating_sub(DAY_S));
        match demand {
            Demand::Order(number) => _ = basis.text(1179, &format!("15-08/{number}")),
            // FFD 1.05 demands a number even when nobody has ordered the correction.
            Demand::Own if kkt.ffd == FfdVersion::V1_05 => _ = basis.text(1179, "б/н"),
            Demand::Own => {}
        }
        if kkt.ffd == FfdVersion::V1_05 {
            basis.text(1177, "Неприменение ККТ");
        }
    });
    if kkt.counts() {
        for line in &basket.items {
            item::write(kkt, line, basket, &mut fields);
        }
    }
    receipt::sums(basket, &mut fields);
    fields.text(1060, TAX_SITE);
    fields.finish()
}
