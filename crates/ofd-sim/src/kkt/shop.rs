//! Who stands behind a simulated register: an invented user, shop, cashier and the register's own numbers.
//!
//! INN begin with 7700, a tax office that does not exist, and carry right check digits; the registration
//! number carries the right check value for its INN and serial.

use ffd::ids::{Inn, Rnm};

use crate::rng::Rng;

/// The trade of a shop: decides its goods and its taxation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trade {
    /// A grocery on the general taxation system.
    Grocery,
    /// A hardware shop on the general taxation system.
    Hardware,
    /// A coffee house on the simplified system, without VAT.
    Coffee,
    /// A repair workshop on the simplified system, without VAT.
    Repairs,
}

/// The data of one user and one register.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    /// What it sells.
    pub(crate) trade: Trade,
    /// Tag 1048.
    pub(crate) user_name: String,
    /// Tag 1018.
    pub(crate) user_inn: Inn,
    /// Tag 1009.
    pub(crate) address: String,
    /// Tag 1187.
    pub(crate) place: &'static str,
    /// Tag 1021.
    pub(crate) cashier: &'static str,
    /// Tag 1117.
    pub(crate) sender_email: &'static str,
    /// Tag 1013, digits only, so that the registration number can be checked.
    pub(crate) kkt_serial: String,
    /// Tag 1037.
    pub(crate) rnm: Rnm,
}

const TRADES: [Trade; 4] = [Trade::Grocery, Trade::Hardware, Trade::Coffee, Trade::Repairs];
const COMPANIES: [&str; 6] =
    ["Ромашка", "Берёзка", "Северный ветер", "Вкус дня", "Добрый мастер", "Уютный дом"];
const OWNERS: [&str; 4] =
    ["Петров Илья Олегович", "Орлова Анна Юрьевна", "Сомов Павел Ильич", "Белова Вера Львовна"];
const CASHIERS: [&str; 6] =
    ["Смирнова А. В.", "Кузнецов Д. П.", "Соколова Е. И.", "Попова М. С.", "Лебедев К. А.", "Новикова О. Р."];
const STREETS: [&str; 6] =
    ["ул. Ленина", "ул. Садовая", "пр-т Мира", "ул. Школьная", "Лесная ул.", "ул. Гагарина"];
const CITIES: [&str; 5] = [
    "101000, г. Москва",
    "190000, г. Санкт-Петербург",
    "630000, г. Новосибирск",
    "620000, г. Екатеринбург",
    "420000, г. Казань",
];

impl Shop {
    /// An invented shop with the `ordinal`-th registration number; nothing when a check value cannot be made
    /// (it always can for ordinals of at most 10 digits).
    #[must_use]
    pub(crate) fn invent(rng: &mut Rng, ordinal: u64) -> Option<Self> {
        let trade = *rng.pick(&TRADES)?;
        let company = *rng.pick(&COMPANIES)?;
        let sole_trader = rng.percent(40);
        let (user_name, digits) = if sole_trader {
            (format!("ИП {}", rng.pick(&OWNERS)?), format!("7700{:06}", rng.below(1_000_000)))
        } else {
            (format!("ООО «{company}»"), format!("7700{:05}", rng.below(100_000)))
        };
        let user_name = user_name.replace(['«', '»'], "\"");
        let user_inn = with_check_digits(&digits)?;
        let kkt_serial = format!("00106900{:06}", rng.below(1_000_000));
        let rnm = Rnm::compute(ordinal, user_inn.as_str(), &kkt_serial)?;
        Some(Self {
            trade,
            user_name,
            user_inn,
            address: format!("{}, {}, д. {}", rng.pick(&CITIES)?, rng.pick(&STREETS)?, rng.range(1, 120)),
            place: trade.place(),
            cashier: rng.pick(&CASHIERS)?,
            sender_email: "noreply@example.ru",
            kkt_serial,
            rnm,
        })
    }

    /// Mask of the taxation system, tags 1062 and 1055.
    #[must_use]
    pub(crate) fn taxation(&self) -> u8 {
        match self.trade {
            Trade::Grocery | Trade::Hardware => 0x01,
            Trade::Coffee => 0x02,
            Trade::Repairs => 0x04,
        }
    }

    /// Mask of the conditions of use, tag 1290.
    #[must_use]
    pub(crate) fn usage(&self) -> u32 {
        match self.trade {
            Trade::Grocery | Trade::Hardware => 0,
            Trade::Coffee => 0x8000,
            Trade::Repairs => 0x200,
        }
    }
}

impl Trade {
    fn place(self) -> &'static str {
        match self {
            Self::Grocery => "Магазин \"Продукты\"",
            Self::Hardware => "Хозтовары",
            Self::Coffee => "Кофейня",
            Self::Repairs => "Мастерская",
        }
    }
}

/// The INN that begins with 9 (organisation) or 10 (person) digits: the one continuation with right check digits.
fn with_check_digits(digits: &str) -> Option<Inn> {
    let candidates = (0..100).map(|check| match digits.len() {
        9 => format!("{digits}{check}"),
        _ => format!("{digits}{check:02}"),
    });
    candidates.filter_map(|text| Inn::from_padded(text.as_bytes()).ok()).find(Inn::check_digits_ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_of_real_numbers() {
        for inn in ["7702203276", "7704358518", "7825392986", "500100732259", "112233445573"] {
            let body = inn.len() - if inn.len() == 10 { 1 } else { 2 };
            assert_eq!(with_check_digits(&inn[..body]).unwrap().as_str(), inn);
        }
    }

    #[test]
    fn invented_shops_are_valid_and_repeatable() {
        for seed in 0..200 {
            let shop = Shop::invent(&mut Rng::new(seed), seed + 1).unwrap();
            assert!(shop.user_inn.check_digits_ok(), "{}", shop.user_inn);
            assert_eq!(
                shop.rnm.verify(shop.user_inn.as_str(), &shop.kkt_serial),
                ffd::ids::RnmCheck::Ok,
                "seed {seed}"
            );
            let again = Shop::invent(&mut Rng::new(seed), seed + 1).unwrap();
            assert_eq!(format!("{shop:?}"), format!("{again:?}"));
        }
    }
}
