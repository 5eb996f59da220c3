//! Reports on registration (form 1) and on its change (form 11).

use ffd::FfdVersion;

use super::fields::{FieldError, Fields};
use super::{Kkt, TAX_SITE};

/// Why a change report is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// A new ФН.
    NewFn,
    /// A new ФН, and with it another version of the format.
    NewFnAndVersion,
    /// Another operator: from now on this one.
    Operator,
    /// The user's name.
    UserName,
    /// The address of settlements.
    Address,
    /// The version of the register's model.
    Model,
    /// The list of taxation systems.
    Taxation,
    /// The number of the automatic device.
    Automat,
    /// Something else.
    Other,
}

impl Cause {
    /// Value of tag 1101, FFD 1.05.
    fn code(self) -> u8 {
        match self {
            Self::NewFn | Self::NewFnAndVersion => 1,
            Self::Operator => 2,
            Self::UserName | Self::Address => 3,
            Self::Model | Self::Taxation | Self::Automat | Self::Other => 4,
        }
    }

    /// Bits of tag 1205, FFD 1.1 and 1.2.
    fn bits(self) -> u32 {
        match self {
            Self::NewFn => 0x1,
            Self::NewFnAndVersion => 0x20_0001,
            Self::Operator => 0x2,
            Self::UserName => 0x4,
            Self::Address => 0x8,
            Self::Model => 0x40,
            Self::Taxation => 0x80,
            Self::Automat => 0x100,
            Self::Other => 0x8000_0000,
        }
    }

    fn brings_new_fn(self) -> bool {
        matches!(self, Self::NewFn | Self::NewFnAndVersion)
    }
}

/// The fields of form 1, or of form 11 when there is a cause.
pub(super) fn report(kkt: &Kkt, cause: Option<Cause>) -> Result<Vec<u8>, FieldError> {
    let shop = &kkt.shop;
    let mut fields = Fields::new();
    fields.byte(1209, kkt.ffd.code());
    fields.text(1048, &shop.user_name).padded(1018, shop.user_inn.as_str(), 12).byte(1062, shop.taxation);
    fields.u32(1012, kkt.clock).padded(1037, shop.rnm.as_str(), 20);
    fields.byte(1002, 0).byte(1056, u8::from(kkt.storage.encrypted()));
    fields.byte(1001, u8::from(shop.automat.is_some()));
    if let Some(number) = shop.automat {
        fields.text(1036, &number.to_string());
    }
    usage(kkt, &mut fields);
    fields.text(1013, &shop.kkt_serial).text(1021, shop.cashier).text(1009, &shop.address);
    fields.text(1187, &shop.place).text(1060, TAX_SITE).text(1117, shop.sender_email);
    fields.padded(1017, kkt.operator.inn.as_str(), 12).text(1046, &kkt.operator.name);
    fields.text(1188, &kkt.model_version()).byte(1189, kkt.ffd.code());
    if kkt.counts() {
        fields.byte(1190, kkt.ffd.code()).u16(1213, kkt.key_resource_days());
    }
    if let Some(cause) = cause {
        if kkt.counts() {
            fields.u32(1205, cause.bits());
        } else {
            fields.byte(1101, cause.code());
        }
        if kkt.counts() && !cause.brings_new_fn() {
            fields.group(1157, |totals| kkt.fn_totals.write(totals));
        }
    }
    fields.finish()
}

/// The conditions of use: one mask in FFD 1.2, flags of their own before.
fn usage(kkt: &Kkt, fields: &mut Fields) {
    let (shop, trade) = (&kkt.shop, kkt.shop.trade);
    if kkt.ffd == FfdVersion::V1_2 {
        fields.u32(1290, shop.usage());
        return;
    }
    fields.byte(1221, u8::from(trade.automatic())).byte(1110, u8::from(trade.strict_forms()));
    fields.byte(1108, u8::from(trade == crate::trade::Trade::Internet));
    fields.byte(1109, u8::from(trade.only_services())).byte(1207, u8::from(trade.excisable()));
    if kkt.ffd == FfdVersion::V1_1 {
        fields.byte(1193, 0).byte(1126, 0);
    }
    if !shop.agencies.is_empty() {
        fields.byte(1057, shop.agencies.iter().fold(0, |bits, agency| bits | agency.kind.bit()));
    }
}
