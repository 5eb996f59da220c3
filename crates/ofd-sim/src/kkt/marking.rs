//! Marking documents of FFD 1.2 as data: request (81) and answer (83) about a code, notification of a sale (82)
//! and its receipt (84).
//!
//! They travel to the marking service, never to the operator's port of fiscal documents. The register's own two
//! are signed with the message key of its storage; those of the service carry no sign here, since nothing
//! public says how it signs.

use ffd::{FfdVersion, FnNumber, FormCode};

use super::basket::{Basket, Variety};
use super::fields::{FieldError, Fields};
use super::goods::{Item, Mark};
use super::{Character, Draft, Kkt, KktError, KktSettings, OperatorCard, Pace, Settlement, item};
use crate::keys::SimKeys;
use crate::storage::Reread;
use crate::trade::Trade;

/// Code with a check part of four characters, tag 2100.
const SHORT_CHECK_CODE: u8 = 5;
/// The check part of every invented code, tag 2115.
const CHECK_PART: &str = "dGVz";

/// A document of the marking exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkingMessage {
    /// 81, 82, 83 or 84.
    pub form: FormCode,
    /// Form, length (both little-endian u16) and TLV records.
    pub document: Vec<u8>,
    /// Message sign of the storage; absent in the service's documents 83 and 84.
    pub sign: Option<[u8; 8]>,
}

/// The marking exchange of an invented pharmacy over so many sales: every form, in the order of the dialogue.
/// Deterministic; the published test keys.
///
/// # Panics
/// Never: the register is of the version and trade that have marked goods.
#[must_use]
pub fn marking_messages(fn_number: FnNumber, seed: u64, sales: u32) -> Vec<MarkingMessage> {
    exchange(fn_number, seed, sales).expect("an invented pharmacy of FFD 1.2 can sell")
}

fn exchange(fn_number: FnNumber, seed: u64, sales: u32) -> Result<Vec<MarkingMessage>, KktError> {
    let settings = KktSettings {
        fn_number,
        ffd: FfdVersion::V1_2,
        encrypted: false,
        reread: Reread::SameBytes,
        seed,
        clock: 1_790_000_000,
        pace: Pace::new(u64::from(sales) + 4, 60),
        operator: OperatorCard::default(),
    };
    let character = Character {
        trade: Some(Trade::Pharmacy),
        variety: Variety::Whole,
        keeps_marking: true,
        ..Character::default()
    };
    let mut kkt = Kkt::with_character(&settings, character, &SimKeys::published())?;
    kkt.register()?;
    kkt.open_shift()?;
    for _ in 0..sales {
        kkt.sell(3)?;
    }
    kkt.refund()?;
    Ok(std::mem::take(&mut kkt.marking.kept))
}

/// Counts the messages of a register, and keeps them where somebody wants them.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk {
    pub(super) keeps: bool,
    pub(super) kept: Vec<MarkingMessage>,
    requests: u32,
    notifications: u32,
}

impl Desk {
    pub(super) fn new(keeps: bool) -> Self {
        Self { keeps, ..Self::default() }
    }
}

#[cfg(test)]
impl Kkt {
    /// The marking exchange so far, of a register that keeps it.
    pub(crate) fn marking_messages(&self) -> &[MarkingMessage] {
        &self.marking.kept
    }
}

/// The exchange around a receipt with the number `receipt_fd`.
pub(super) fn around(
    kkt: &mut Kkt,
    settlement: Settlement,
    basket: &Basket,
    receipt_fd: u32,
) -> Result<(), FieldError> {
    if !kkt.marking.keeps || kkt.ffd != FfdVersion::V1_2 || !basket.has_marked() {
        return Ok(());
    }
    let marks = |line: &Item| line.scanned().cloned();
    for mark in basket.items.iter().filter_map(marks) {
        kkt.marking.requests += 1;
        let (request, answer) = (request(kkt, settlement, &mark)?, answer(kkt, &mark)?);
        keep(kkt, 81, &request);
        keep(kkt, 83, &answer);
    }
    kkt.marking.notifications += 1;
    let (notification, receipt) = (notification(kkt, settlement, basket, receipt_fd)?, receipt(kkt)?);
    let notification = kkt.spoiled(Draft::new(FormCode(82), notification));
    keep(kkt, 82, &notification.body);
    keep(kkt, 84, &receipt);
    Ok(())
}

fn keep(kkt: &mut Kkt, form: u16, fields: &[u8]) {
    let mut document = form.to_le_bytes().to_vec();
    document.extend(u16::try_from(fields.len()).unwrap_or(u16::MAX).to_le_bytes());
    document.extend_from_slice(fields);
    let sign = matches!(form, 81 | 82).then(|| kkt.storage.sign_message(&document));
    kkt.marking.kept.push(MarkingMessage { form: FormCode(form), document, sign });
}

/// Tags 2003 and 2110: what becomes of the piece, or of the pack a part was taken from.
fn status(settlement: Settlement, mark: &Mark) -> u8 {
    match (settlement, mark.part) {
        (Settlement::Sale | Settlement::PayoutRefund, None) => 1,
        (Settlement::Sale | Settlement::PayoutRefund, Some(_)) => 2,
        (_, None) => 3,
        (_, Some(_)) => 4,
    }
}

fn request(kkt: &Kkt, settlement: Settlement, mark: &Mark) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::new();
    fields.u32(2001, kkt.marking.requests).padded(1018, kkt.shop.user_inn.as_str(), 12);
    fields.u32(2114, kkt.clock).raw(1041, &kkt.storage.number().padded());
    fields.byte(2004, 0x03).byte(2003, status(settlement, mark));
    fields.fvln(1023, ffd::Decimal { mantissa: 1, scale: 0 }).byte(2108, 0);
    item::write_part(mark, &mut fields);
    fields.byte(2100, SHORT_CHECK_CODE).text(2000, &mark.scanned()).byte(2102, 0);
    fields.finish()
}

fn answer(kkt: &Kkt, mark: &Mark) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::new();
    fields.u32(2001, kkt.marking.requests).u32(2114, kkt.clock).byte(2102, 0);
    fields.byte(2100, SHORT_CHECK_CODE).byte(2109, 1).text(2101, &mark.identifier());
    fields.byte(2105, 0).byte(2005, item::CHECKED);
    fields.finish()
}

fn notification(
    kkt: &Kkt,
    settlement: Settlement,
    basket: &Basket,
    receipt_fd: u32,
) -> Result<Vec<u8>, FieldError> {
    let shop = &kkt.shop;
    let mut fields = Fields::new();
    fields.u32(2002, kkt.marking.notifications).u32(1012, kkt.clock);
    fields.raw(1041, &kkt.storage.number().padded()).padded(1018, shop.user_inn.as_str(), 12);
    fields.text(1009, &shop.address).byte(1055, basket.taxation).byte(1054, settlement.code());
    fields.byte(2116, 0x01);
    for line in &basket.items {
        if let Some(mark) = line.scanned() {
            fields.group(2007, |sold| write_sold(settlement, line, mark, sold));
        }
    }
    // Zone 1 is two hours ahead of UTC, and so on.
    fields.byte(1011, kkt.zone_h.saturating_sub(1)).u32(2040, receipt_fd);
    fields.finish()
}

fn write_sold(settlement: Settlement, line: &Item, mark: &Mark, sold: &mut Fields) {
    sold.text(2000, &mark.scanned()).byte(2100, SHORT_CHECK_CODE).text(2101, &mark.identifier());
    sold.text(2115, CHECK_PART).byte(2110, status(settlement, mark)).byte(2106, item::CHECKED);
    sold.fvln(1023, line.quantity).byte(2108, item::unit(line.measure));
    item::write_part(mark, sold);
    sold.byte(2102, 0).byte(1214, line.method.code()).text(1030, &line.name);
    sold.vln(1079, line.price).vln(1043, line.cost).byte(1199, line.vat.code()).vln(1200, line.tax());
}

fn receipt(kkt: &Kkt) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::new();
    fields.u32(2002, kkt.marking.notifications).u32(1012, kkt.clock).byte(2111, 0).byte(2006, 0);
    fields.finish()
}
