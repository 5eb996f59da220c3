//! Trades: what a shop sells, and what its kind of trade means for the register.
//!
//! Names and price ranges are invented; only the classes (VAT, excise, marking, units) matter to documents.

mod catalogue;

use std::str::FromStr;

use catalogue::{AGENT, COFFEE, GROCERY, HARDWARE, INTERNET, PHARMACY, REPAIRS, TAXI, VENDING};
pub(crate) use catalogue::{Good, MarkClass, Measure, VatClass};

/// The trade of a shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trade {
    /// A grocery on the general taxation system: weighed, marked and excisable goods.
    Grocery,
    /// A hardware shop on the general system: advances, credit, business buyers.
    Hardware,
    /// A coffee house on the simplified system and a patent.
    Coffee,
    /// A repair workshop on the simplified system: strict reporting forms (БСО).
    Repairs,
    /// A pharmacy on the general system: marked medicines, also by the blister.
    Pharmacy,
    /// A taxi service on a patent that settles as an agent of carriers, in an application.
    Taxi,
    /// An internet shop on the general system: prepaid orders.
    Internet,
    /// A payment point: bank agent, payment agent or commission trade.
    Agent,
    /// A milk vending machine of a farm (ЕСХН).
    Vending,
}

impl Trade {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Grocery,
        Self::Repairs,
        Self::Internet,
        Self::Coffee,
        Self::Pharmacy,
        Self::Agent,
        Self::Hardware,
        Self::Taxi,
        Self::Vending,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Grocery => "grocery",
            Self::Hardware => "hardware",
            Self::Coffee => "coffee",
            Self::Repairs => "repairs",
            Self::Pharmacy => "pharmacy",
            Self::Taxi => "taxi",
            Self::Internet => "internet",
            Self::Agent => "agent",
            Self::Vending => "vending",
        }
    }

    /// Taxation systems, tag 1062.
    pub(crate) fn taxation(self) -> u8 {
        match self {
            Self::Grocery | Self::Hardware | Self::Pharmacy | Self::Internet => 0x01,
            Self::Coffee => 0x22,
            Self::Agent => 0x02,
            Self::Repairs => 0x04,
            Self::Taxi => 0x20,
            Self::Vending => 0x10,
        }
    }

    /// Place of settlement, tag 1187; for settlements in the internet the site.
    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::Grocery => "Магазин \"Продукты\"",
            Self::Hardware => "Хозтовары",
            Self::Coffee => "Кофейня",
            Self::Repairs => "Мастерская",
            Self::Pharmacy => "Аптечный пункт",
            Self::Taxi => "https://taxi.example.ru",
            Self::Internet => "https://shop.example.ru",
            Self::Agent => "Платёжный пункт",
            Self::Vending => "Молокомат у входа",
        }
    }

    /// Settlements happen in the internet.
    pub(crate) fn in_internet(self) -> bool {
        matches!(self, Self::Taxi | Self::Internet)
    }

    /// Strict reporting forms instead of receipts.
    pub(crate) fn strict_forms(self) -> bool {
        self == Self::Repairs
    }

    /// Nothing but services is sold.
    pub(crate) fn only_services(self) -> bool {
        matches!(self, Self::Repairs | Self::Taxi)
    }

    /// The register stands in an automatic device.
    pub(crate) fn automatic(self) -> bool {
        self == Self::Vending
    }

    pub(crate) fn excisable(self) -> bool {
        self.goods().iter().any(|good| good.excise > 0)
    }

    pub(crate) fn marked(self) -> bool {
        self.goods().iter().any(|good| good.mark != MarkClass::None)
    }

    pub(crate) fn goods(self) -> &'static [Good] {
        match self {
            Self::Grocery => &GROCERY,
            Self::Hardware => &HARDWARE,
            Self::Coffee => &COFFEE,
            Self::Repairs => &REPAIRS,
            Self::Pharmacy => &PHARMACY,
            Self::Taxi => &TAXI,
            Self::Internet => &INTERNET,
            Self::Agent => &AGENT,
            Self::Vending => &VENDING,
        }
    }
}

impl FromStr for Trade {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|trade| trade.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no such trade; there are {names}, and mixed for all of them")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trade_has_a_name_goods_and_one_system_at_least() {
        for trade in Trade::ALL {
            assert_eq!(trade.name().parse(), Ok(trade));
            assert!(!trade.goods().is_empty() && trade.taxation() != 0, "{trade:?}");
            assert!(trade.goods().iter().all(|good| good.low_roubles < good.high_roubles));
        }
        assert!("florist".parse::<Trade>().unwrap_err().contains("vending"));
        let count = |with: fn(Trade) -> bool| Trade::ALL.into_iter().filter(|trade| with(*trade)).count();
        assert_eq!((count(Trade::marked), count(Trade::excisable), count(Trade::automatic)), (3, 1, 1));
    }
}
