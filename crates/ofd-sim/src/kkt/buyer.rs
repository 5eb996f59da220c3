//! Buyers, where they are known: flat tags before FFD 1.2, a block of their own in it.

use super::fields::Fields;
use super::shop::invented_inn;
use crate::rng::Rng;

/// Who bought, where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Buyer {
    /// An organisation: tags 1227 and 1228.
    Business {
        /// Its name.
        name: &'static str,
        /// Its INN.
        inn: String,
    },
    /// A person without an INN: birthday and passport in FFD 1.2.
    Person {
        /// The person's name.
        name: &'static str,
        /// Number of the passport.
        passport: u64,
    },
}

impl Buyer {
    pub(super) fn invent(rng: &mut Rng) -> Option<Self> {
        if rng.percent(60) {
            let inn = invented_inn(rng, false)?.as_str().to_owned();
            return Some(Self::Business { name: "ООО \"Покупатель\"", inn });
        }
        Some(Self::Person {
            name: "Иванов Иван Иванович", passport: rng.range(100_000, 999_999)
        })
    }

    /// Tags 1227 and 1228 of FFD 1.05 and 1.1.
    pub(super) fn write_flat(&self, receipt: &mut Fields) {
        let zeros = "0".repeat(12);
        let (name, inn) = match self {
            Self::Business { name, inn } => (name, inn),
            Self::Person { name, .. } => (name, &zeros),
        };
        receipt.text(1227, name).padded(1228, inn, 12);
    }

    /// Block 1256 of FFD 1.2.
    pub(super) fn write_block(&self, receipt: &mut Fields) {
        receipt.group(1256, |block| match self {
            Self::Business { name, inn } => {
                block.text(1227, name).padded(1228, inn, 12);
            }
            Self::Person { name, passport } => {
                block.text(1227, name).text(1243, "17.05.1987").padded(1244, "643", 3);
                block.text(1245, "21").text(1246, &format!("4509 {passport}"));
                block.text(1254, "101000, г. Москва, ул. Мира, д. 1");
            }
        });
    }
}
