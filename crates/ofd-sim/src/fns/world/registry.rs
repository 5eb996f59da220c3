//! The registry of registers: numbers given out, reports, cards.

use std::collections::HashMap;

use ffd::{FdNumber, FnNumber};
use serde::{Deserialize, Serialize};

use super::documents::DocIndex;
use crate::fns::card::Card;
use crate::fns::wire::{Device, Modes, Party, Place, TypedReport};

/// A register.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::fns) struct Kkt {
    pub(in crate::fns) rnm: String,
    pub(in crate::fns) user: Party,
    pub(in crate::fns) device: Device,
    pub(in crate::fns) fn_model: String,
    pub(in crate::fns) place: Place,
    pub(in crate::fns) modes: Modes,
    pub(in crate::fns) tax_office: String,
    pub(in crate::fns) ofd_inn: String,
    /// The storage named by the application.
    pub(in crate::fns) expected_fn: Option<FnNumber>,
    /// Storages it had.
    pub(in crate::fns) storages: Vec<KktStorage>,
    /// The newest report that was taken.
    pub(in crate::fns) report: Option<Report>,
    /// Whether the card of the newest report (or of the typed values) was made.
    pub(in crate::fns) completed: bool,
    /// Values typed before any report came.
    pub(in crate::fns) typed: Option<TypedReport>,
    /// The newest card.
    pub(in crate::fns) card: Option<Box<Card>>,
    /// The newest report was refused.
    pub(in crate::fns) refused: bool,
    /// When it was struck off, seconds of the register's clock.
    pub(in crate::fns) deregistered_at: Option<u32>,
}

/// A storage of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::fns) struct KktStorage {
    pub(in crate::fns) fn_number: FnNumber,
    /// A report of this storage came.
    pub(in crate::fns) reported: bool,
    /// A card names it.
    pub(in crate::fns) carded: bool,
}

/// A registration report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::fns) struct Report {
    pub(in crate::fns) doc: DocIndex,
    /// 1 or 11.
    pub(in crate::fns) kind: u16,
    pub(in crate::fns) fn_number: FnNumber,
    pub(in crate::fns) fd_number: FdNumber,
    pub(in crate::fns) date_time: u32,
    pub(in crate::fns) fiscal_sign: u32,
}

impl Kkt {
    /// Where its registration stands, as endpoint 7 says it.
    pub(in crate::fns) fn state(&self) -> &'static str {
        match (self.deregistered_at, self.refused, self.completed, &self.report) {
            (Some(_), ..) => "deregistered",
            (_, true, ..) => "refused",
            (_, _, true, _) => "registered",
            (_, _, _, Some(_)) => "reportReceived",
            (.., None) => "issued",
        }
    }

    /// The storage with this number.
    pub(in crate::fns) fn storage(&self, fn_number: &FnNumber) -> Option<&KktStorage> {
        self.storages.iter().find(|storage| storage.fn_number == *fn_number)
    }

    /// The entry of a storage, made when there is none.
    pub(in crate::fns) fn storage_mut(&mut self, fn_number: FnNumber) -> &mut KktStorage {
        let place = self.storages.iter().position(|storage| storage.fn_number == fn_number);
        let place = place.unwrap_or_else(|| {
            self.storages.push(KktStorage { fn_number, reported: false, carded: false });
            self.storages.len() - 1
        });
        self.storages.get_mut(place).expect("found or just pushed")
    }

    /// The storage a card is made for: of the newest report, else of the application.
    pub(in crate::fns) fn card_storage(&self) -> Option<FnNumber> {
        self.report.as_ref().map(|report| report.fn_number).or(self.expected_fn)
    }
}

/// All registers, by the number of their РНМ in [`super::documents::Words`].
#[derive(Debug, Default)]
pub(in crate::fns) struct Registry {
    kkts: HashMap<u32, Kkt>,
    /// Ordinals of РНМ given out.
    pub(in crate::fns) issued: u64,
    /// Cards made.
    pub(in crate::fns) cards: u64,
}

impl Registry {
    /// One register.
    pub(in crate::fns) fn get(&self, rnm: u32) -> Option<&Kkt> {
        self.kkts.get(&rnm)
    }

    /// One register, to change it.
    pub(in crate::fns) fn get_mut(&mut self, rnm: u32) -> Option<&mut Kkt> {
        self.kkts.get_mut(&rnm)
    }

    /// Adds a register, or gives the one that is there.
    pub(in crate::fns) fn entry(&mut self, rnm: u32, new: impl FnOnce() -> Kkt) -> &mut Kkt {
        self.kkts.entry(rnm).or_insert_with(new)
    }

    /// How many there are.
    pub(in crate::fns) fn len(&self) -> usize {
        self.kkts.len()
    }

    /// All, in no order.
    pub(in crate::fns) fn iter(&self) -> impl Iterator<Item = (u32, &Kkt)> {
        self.kkts.iter().map(|(rnm, kkt)| (*rnm, kkt))
    }
}
