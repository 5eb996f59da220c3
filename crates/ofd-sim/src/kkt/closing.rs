//! Report on the closing of the ФН (form 6).

use super::Kkt;
use super::fields::{FieldError, Fields};

pub(super) fn report(kkt: &Kkt) -> Result<Vec<u8>, FieldError> {
    let shop = &kkt.shop;
    let mut fields = Fields::new();
    fields.byte(1209, kkt.ffd.code()).text(1048, &shop.user_name);
    fields.padded(1018, shop.user_inn.as_str(), 12);
    shop.write_cashier(&mut fields);
    fields.text(1009, &shop.address).text(1187, &shop.place).u32(1012, kkt.clock).u32(1038, kkt.shift);
    fields.padded(1037, shop.rnm.as_str(), 20);
    if kkt.counts() {
        fields.group(1157, |totals| kkt.fn_totals.write(totals));
    }
    fields.finish()
}
