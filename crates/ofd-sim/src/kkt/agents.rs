//! Settlements as an agent: tags 1057, 1222 to 1226 and the data of the agent and the supplier.

use ffd::ids::Inn;

use super::fields::Fields;
use super::shop::invented_inn;
use crate::rng::Rng;
use crate::trade::Trade;

/// The kind of agent a shop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentKind {
    /// Банковский платёжный агент.
    Bank,
    /// Платёжный агент.
    Payments,
    /// Комиссионер.
    Commission,
    /// Иной агент: a taxi service for its carriers.
    Other,
}

impl AgentKind {
    /// The bit of tags 1057 and 1222.
    pub(crate) fn bit(self) -> u8 {
        match self {
            Self::Bank => 0x01,
            Self::Payments => 0x04,
            Self::Commission => 0x20,
            Self::Other => 0x40,
        }
    }

    /// Pays for others, who need their data in the receipt.
    fn pays(self) -> bool {
        matches!(self, Self::Bank | Self::Payments)
    }
}

/// A shop as an agent of one supplier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agency {
    /// Its kind.
    pub(crate) kind: AgentKind,
    /// Tag 1226.
    pub(crate) supplier_inn: Inn,
    /// Tag 1225.
    supplier_name: &'static str,
    /// Tag 1171.
    supplier_phone: String,
    /// Tags 1073 and 1074.
    agent_phone: String,
    /// Tag 1016 of the transfer operator.
    operator_inn: Inn,
}

const SUPPLIERS: [&str; 4] =
    ["ООО \"Связь-Пример\"", "АО \"Коммунальный расчёт\"", "ООО \"Мануфактура\"", "ООО \"Перевозчик\""];

impl Agency {
    /// The agencies of a shop of this trade; none where it sells only its own goods.
    pub(crate) fn invent(rng: &mut Rng, trade: Trade) -> Vec<Self> {
        let kinds: &[AgentKind] = match trade {
            Trade::Taxi => &[AgentKind::Other],
            Trade::Agent => &[AgentKind::Bank, AgentKind::Payments, AgentKind::Commission],
            _ => &[],
        };
        kinds.iter().filter_map(|kind| Self::of_kind(rng, *kind)).collect()
    }

    fn of_kind(rng: &mut Rng, kind: AgentKind) -> Option<Self> {
        Some(Self {
            kind,
            supplier_inn: invented_inn(rng, false)?,
            supplier_name: rng.pick(&SUPPLIERS)?,
            supplier_phone: phone(rng),
            agent_phone: phone(rng),
            operator_inn: invented_inn(rng, false)?,
        })
    }

    /// Tags 1222 to 1226 of an item. `whole`: the receipt level has no agent's data of its own (FFD 1.2), so
    /// the item carries them.
    pub(super) fn write_item(&self, whole: bool, item: &mut Fields) {
        item.byte(1222, self.kind.bit());
        if whole && self.kind.pays() {
            item.group(1223, |data| self.write_paying(data));
        }
        item.group(1224, |supplier| {
            supplier.text(1171, &self.supplier_phone).text(1225, self.supplier_name);
        });
        item.padded(1226, self.supplier_inn.as_str(), 12);
    }

    /// Tag 1057 and what goes with it at the level of the receipt, FFD 1.05 and 1.1.
    pub(super) fn write_receipt(&self, receipt: &mut Fields) {
        receipt.byte(1057, self.kind.bit());
        if self.kind.pays() {
            self.write_paying(receipt);
        }
        receipt.text(1171, &self.supplier_phone);
    }

    fn write_paying(&self, into: &mut Fields) {
        if self.kind == AgentKind::Bank {
            into.text(1075, "+78005550102").text(1044, "Перевод").text(1026, "НКО \"Перевод-Пример\"");
            into.text(1005, "101000, г. Москва, ул. Садовая, д. 5");
            into.padded(1016, self.operator_inn.as_str(), 12);
        }
        into.text(1073, &self.agent_phone);
        if self.kind == AgentKind::Payments {
            into.text(1074, "+78005550101");
        }
    }
}

/// An invented mobile number.
pub(super) fn phone(rng: &mut Rng) -> String {
    format!("+7900{:07}", rng.below(10_000_000))
}
