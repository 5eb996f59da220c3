//! Who stands behind a simulated register: an invented user, shop, cashier and the register's own numbers.
//!
//! INN begin with 7700, a tax office that does not exist, and carry right check digits; the registration
//! number carries the right check value for its INN and serial.

use ffd::FfdVersion;
use ffd::ids::{Inn, Rnm};

use super::agents::Agency;
use super::vat::{SIMPLIFIED_RATES_SINCE, VatRate};
use crate::rng::Rng;
use crate::trade::{Trade, VatClass};

/// The data of one user and one register, as its last registration report has them.
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
    pub(crate) place: String,
    /// Tag 1021.
    pub(crate) cashier: &'static str,
    /// Tag 1203: an INN, twelve zeros for a cashier without one, or absent.
    pub(crate) cashier_inn: Option<String>,
    /// Tag 1117.
    pub(crate) sender_email: &'static str,
    /// Tag 1013, digits only, so that the registration number can be checked.
    pub(crate) kkt_serial: String,
    /// Tag 1037.
    pub(crate) rnm: Rnm,
    /// Tag 1062.
    pub(crate) taxation: u8,
    /// Tag 1036 of a register in an automatic device.
    pub(crate) automat: Option<u32>,
    /// Version of the register's model, tag 1188.
    pub(crate) model_version: u8,
    /// Whom it settles for.
    pub(crate) agencies: Vec<Agency>,
    /// The rate that a payer of the simplified system has from 2025 on.
    simplified_rate: VatRate,
}

/// Serial numbers of the simulated model: 14 digits, the last seven count.
const SERIALS: u64 = 10_000_000;
const COMPANIES: [&str; 6] =
    ["Ромашка", "Берёзка", "Северный ветер", "Вкус дня", "Добрый мастер", "Уютный дом"];
const OWNERS: [&str; 4] =
    ["Петров Илья Олегович", "Орлова Анна Юрьевна", "Сомов Павел Ильич", "Белова Вера Львовна"];
const CASHIERS: [&str; 6] =
    ["Смирнова А. В.", "Кузнецов Д. П.", "Соколова Е. И.", "Попова М. С.", "Лебедев К. А.", "Новикова О. Р."];
const STREETS: [&str; 6] =
    ["ул. Ленина", "ул. Садовая", "пр-т Мира", "ул. Школьная", "Лесная ул.", "ул. Гагарина"];
/// Cities with their hours ahead of UTC.
const CITIES: [(&str, u8); 15] = [
    ("236000, г. Калининград", 2),
    ("101000, г. Москва", 3),
    ("190000, г. Санкт-Петербург", 3),
    ("420000, г. Казань", 3),
    ("603000, г. Нижний Новгород", 3),
    ("443000, г. Самара", 4),
    ("620000, г. Екатеринбург", 5),
    ("644000, г. Омск", 6),
    ("660000, г. Красноярск", 7),
    ("664000, г. Иркутск", 8),
    ("677000, г. Якутск", 9),
    ("690000, г. Владивосток", 10),
    ("685000, г. Магадан", 11),
    ("683000, г. Петропавловск-Камчатский", 12),
    ("689000, г. Анадырь", 12),
];

impl Shop {
    /// An invented shop of `trade` in the time zone `zone_h` (hours ahead of UTC) with the `ordinal`-th
    /// registration number; nothing when a check value cannot be made (it always can for ordinals of at most
    /// 10 digits).
    #[must_use]
    pub(crate) fn invent(rng: &mut Rng, trade: Trade, zone_h: u8, ordinal: u64) -> Option<Self> {
        let company = *rng.pick(&COMPANIES)?;
        let sole_trader = rng.percent(40);
        let user_inn = invented_inn(rng, sole_trader)?;
        let user_name = match sole_trader {
            true => format!("ИП {}", rng.pick(&OWNERS)?),
            false => format!("ООО \"{company}\""),
        };
        // Registers of a run differ in it, as devices do; the draw that once made it stays, so that seeds keep their shops.
        let _ = rng.below(1_000_000);
        let kkt_serial = format!("0010690{:07}", ordinal % SERIALS);
        let rnm = Rnm::compute(ordinal, user_inn.as_str(), &kkt_serial)?;
        let cashier_inn = match rng.below(3) {
            0 => Some(invented_inn(rng, true)?.as_str().to_owned()),
            1 => Some("0".repeat(12)),
            _ => None,
        };
        let simplified_rate = *rng.pick(&[VatRate::None, VatRate::Five, VatRate::Seven])?;
        Some(Self {
            trade,
            user_name,
            user_inn,
            address: address(rng, zone_h)?,
            place: trade.place().to_owned(),
            cashier: rng.pick(&CASHIERS)?,
            cashier_inn,
            sender_email: "noreply@example.ru",
            kkt_serial,
            rnm,
            taxation: trade.taxation(),
            automat: if trade.automatic() { u32::try_from(rng.range(1, 9_999)).ok() } else { None },
            model_version: 1,
            agencies: Agency::invent(rng, trade),
            simplified_rate,
        })
    }

    /// Moves to another address in the same zone.
    pub(super) fn move_away(&mut self, rng: &mut Rng, zone_h: u8) {
        if let Some(address) = address(rng, zone_h) {
            self.address = address;
        }
    }

    /// One of the registered taxation systems, tag 1055.
    pub(super) fn applied_taxation(&self, rng: &mut Rng) -> u8 {
        let registered: Vec<u8> = (0..8).map(|bit| 1 << bit).filter(|bit| self.taxation & bit != 0).collect();
        rng.pick(&registered).copied().unwrap_or(1)
    }

    /// The rate of a good of `class` sold under the system `applied` at `clock`.
    pub(super) fn rate(&self, class: VatClass, applied: u8, clock: u32) -> VatRate {
        const GENERAL: u8 = 0x01 | 0x10;
        const PATENT: u8 = 0x20;
        match class {
            VatClass::Exempt => VatRate::None,
            VatClass::Zero => VatRate::Zero,
            _ if applied & PATENT != 0 => VatRate::None,
            VatClass::Reduced if applied & GENERAL != 0 => VatRate::Ten,
            VatClass::General if applied & GENERAL != 0 => VatRate::general_at(clock),
            _ if clock >= SIMPLIFIED_RATES_SINCE => self.simplified_rate,
            _ => VatRate::None,
        }
    }

    /// Mask of the conditions of use, tag 1290 (FFD 1.2).
    #[must_use]
    pub(crate) fn usage(&self) -> u32 {
        let trade = self.trade;
        [
            (0x2, trade.automatic()),
            (0x4, trade.strict_forms()),
            (0x20, trade == Trade::Internet),
            (0x40, trade.excisable()),
            (0x100, trade.marked()),
            (0x200, trade.only_services()),
            (0x4000, trade.automatic()),
            (0x8000, trade == Trade::Coffee),
        ]
        .into_iter()
        .filter_map(|(bit, set)| set.then_some(bit))
        .sum()
    }

    /// Writes 1021 and 1203; nobody stands at an automatic device.
    pub(super) fn write_cashier(&self, into: &mut super::Fields) {
        if self.automat.is_some() {
            return;
        }
        into.text(1021, self.cashier);
        if let Some(inn) = &self.cashier_inn {
            into.padded(1203, inn, 12);
        }
    }

    /// Whether notices of sales of marked goods are sent by a register of this version.
    pub(super) fn notifies(&self, ffd: FfdVersion) -> bool {
        ffd == FfdVersion::V1_2 && self.trade.marked()
    }
}

fn address(rng: &mut Rng, zone_h: u8) -> Option<String> {
    let near: Vec<&str> =
        CITIES.iter().filter(|(_, hours)| *hours == zone_h).map(|(city, _)| *city).collect();
    let city = rng.pick(&near).copied().unwrap_or("101000, г. Москва");
    Some(format!("{city}, {}, д. {}", rng.pick(&STREETS)?, rng.range(1, 120)))
}

/// An INN with right check digits: 12 digits of a person, 10 of an organisation.
pub(super) fn invented_inn(rng: &mut Rng, person: bool) -> Option<Inn> {
    with_check_digits(&match person {
        true => format!("7700{:06}", rng.below(1_000_000)),
        false => format!("7700{:05}", rng.below(100_000)),
    })
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
        for (seed, trade) in (0..200).zip(Trade::ALL.into_iter().cycle()) {
            let invent = || Shop::invent(&mut Rng::new(seed), trade, 3, seed + 1).unwrap();
            let shop = invent();
            assert!(shop.user_inn.check_digits_ok(), "{}", shop.user_inn);
            assert_eq!(
                shop.rnm.verify(shop.user_inn.as_str(), &shop.kkt_serial),
                ffd::ids::RnmCheck::Ok,
                "seed {seed}"
            );
            assert_eq!(format!("{shop:?}"), format!("{:?}", invent()));
            assert_eq!(shop.applied_taxation(&mut Rng::new(seed)).count_ones(), 1);
        }
    }

    #[test]
    fn every_zone_has_its_city() {
        for zone_h in 2..=12 {
            let address = address(&mut Rng::new(1), zone_h).unwrap();
            assert!(zone_h == 3 || !address.contains("Москва"), "{address}");
        }
    }

    #[test]
    fn rates_follow_the_system_and_the_year() {
        let mut shop = Shop::invent(&mut Rng::new(1), Trade::Coffee, 3, 1).unwrap();
        shop.simplified_rate = VatRate::Five;
        let check = |class, applied, clock, expected| {
            assert_eq!(shop.rate(class, applied, clock), expected, "{class:?} {applied:#x} {clock}");
        };
        let (then, later, now) = (1_719_000_000, 1_750_000_000, 1_770_000_000);
        for clock in [then, later] {
            check(VatClass::General, 1, clock, VatRate::Twenty);
            check(VatClass::Reduced, 0x10, clock, VatRate::Ten);
        }
        check(VatClass::General, 1, now, VatRate::TwentyTwo);
        check(VatClass::General, 2, then, VatRate::None);
        check(VatClass::Reduced, 4, later, VatRate::Five);
        check(VatClass::General, 0x20, now, VatRate::None);
        check(VatClass::Zero, 2, now, VatRate::Zero);
        check(VatClass::Exempt, 1, now, VatRate::None);
    }
}
