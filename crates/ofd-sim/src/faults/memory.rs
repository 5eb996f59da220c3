//! What a spoiled register remembers: enough to know which faults the operator would see now, and what it will say of
//! honest documents because of earlier ones.

use std::collections::BTreeMap;

use ffd::{FnNumber, FormCode, tags};

use super::body::Body;
use super::fault::{After, Fault};
use crate::kkt::Draft;

/// Items with a product code or a supplier that a register without an operator may have in a receipt.
const MAX_CODED_OFFLINE: usize = 10;
/// Bit of excisable goods in the conditions of use (1290).
const USAGE_EXCISE: u64 = 0x40;

/// Numbers that the register has left out, and a clock that it cannot set back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Skips {
    /// Added to every number of a shift.
    pub(super) shifts: u64,
    /// Added to every number of a receipt until the shift ends.
    pub(super) receipts: u64,
    /// No document shows an earlier time.
    pub(super) not_before: u64,
}

/// The shift as the operator knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shift {
    /// It does not.
    #[default]
    Unknown,
    Closed,
    Open,
}

/// A register with its faults so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// How often each fault was made.
    made: BTreeMap<&'static str, u32>,
    chain: Chain,
}

/// What is of one ФН.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    fn_number: Option<FnNumber>,
    /// What comes of the last fault.
    pending: Option<After>,
    /// Nothing is spoiled until a shift has opened.
    rests: bool,
    /// Numbers are missing.
    missing: bool,
    skips: Skips,
    pub(super) shift: Shift,
    /// Till time of the opening of the shift.
    pub(super) opened_at: Option<u64>,
    /// Every document of the shift is known and reads.
    pub(super) is_whole: bool,
    /// The last total of all receipts (1134 in 1157).
    pub(super) receipts: Option<u64>,
    /// Whether excisable goods are registered.
    pub(super) excise: Option<bool>,
    /// The last report says that the register works without an operator.
    pub(super) offline: bool,
}

impl Memory {
    /// How often a fault was made.
    pub(super) fn made(&self, rule: &str) -> u32 {
        self.made.get(rule).copied().unwrap_or(0)
    }

    /// What is of the present ФН.
    pub(super) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Looks at the number of the storage: a new one begins anew.
    pub(super) fn meet(&mut self, fn_number: FnNumber) {
        if self.chain.fn_number != Some(fn_number) {
            self.chain = Chain { fn_number: Some(fn_number), ..Chain::default() };
        }
    }

    /// Writes the numbers and the time that follow from earlier faults into an honest document.
    pub(super) fn carry_on(&mut self, form: FormCode, body: &mut Body) {
        let skips = &mut self.chain.skips;
        if form == FormCode::SHIFT_OPEN {
            skips.receipts = 0;
        }
        let shown = body.number(&[tags::DATE_TIME]).unwrap_or(u64::MAX);
        // Only what the document has is changed; the additions cannot leave four bytes.
        if skips.shifts > 0 {
            let _ = body.add_u32(&[tags::SHIFT_NUMBER], skips.shifts);
        }
        if skips.receipts > 0 {
            let _ = body.add_u32(&[tags::RECEIPT_NUMBER], skips.receipts);
        }
        if shown < skips.not_before {
            let _ = body.put_u32(&[tags::DATE_TIME], skips.not_before);
        }
    }

    /// The rules that an honest document breaks because of what went before; takes note that they have come.
    pub(super) fn echoes(&mut self, form: FormCode, body: &Body) -> Vec<&'static str> {
        let chain = &mut self.chain;
        let due = match chain.pending {
            Some(After::Next(rule)) => Some(rule),
            Some(After::Opening(rule)) if form == FormCode::SHIFT_OPEN => Some(rule),
            Some(After::Closing(rule)) if form == FormCode::SHIFT_CLOSE => {
                if !body.has(&[tags::SHIFT_TOTALS]) {
                    chain.pending = None;
                }
                chain.pending.map(|_| rule)
            }
            _ => None,
        };
        if due.is_some() {
            chain.pending = None;
        }
        let is_coded = |item: &&Body| item.has(&[tags::PRODUCT_CODE]) || item.has(&[tags::SUPPLIER_INN]);
        let too_many = chain.offline
            && form.is_receipt_like()
            && body.items().iter().filter(is_coded).count() > MAX_CODED_OFFLINE;
        // The closing of the ФН speaks of all numbers that are missing, the last one among them.
        let misses = chain.missing && form == FormCode::FN_CLOSE;
        let due = due.filter(|rule| !misses || *rule != "numbering.document");
        let at_once =
            [too_many.then_some("receipt.offline-items"), misses.then_some("closing.unacknowledged")];
        due.into_iter().chain(at_once.into_iter().flatten()).collect()
    }

    /// Whether the document must stay honest.
    pub(super) fn rests(&self) -> bool {
        self.chain.rests
    }

    /// Notes a fault that was made.
    pub(super) fn note(&mut self, fault: &Fault, skips: Skips) {
        *self.made.entry(fault.rule).or_default() += 1;
        let chain = &mut self.chain;
        chain.skips = skips;
        chain.pending = (fault.after != After::Nothing).then_some(fault.after);
        chain.rests = fault.rests;
        chain.missing |= fault.loses;
    }

    /// What the register keeps to.
    pub(super) fn skips(&self) -> Skips {
        self.chain.skips
    }

    /// Remembers a document as it goes to the storage.
    pub(super) fn remember(&mut self, draft: &Draft, body: &Body, fd: u32) {
        let (form, chain) = (draft.form, &mut self.chain);
        if form.is_registration() {
            chain.offline = body.number(&[tags::OFFLINE_MODE]) == Some(1);
            let usage = body.number(&[tags::USAGE]).map(|mask| mask & USAGE_EXCISE != 0);
            chain.excise = body.number(&[tags::EXCISE_SIGN]).map(|sign| sign != 0).or(usage);
            if fd == 1 && draft.lost_before == 0 {
                chain.shift = Shift::Closed;
            }
        }
        if form == FormCode::SHIFT_OPEN {
            chain.shift = Shift::Open;
            chain.opened_at = body.number(&[tags::DATE_TIME]);
            chain.is_whole = true;
            // What follows from a shift that was never closed is over, too: this is the document that says so.
            chain.rests = chain.pending.is_some();
        }
        if form == FormCode::SHIFT_CLOSE {
            chain.shift = Shift::Closed;
            chain.is_whole = false;
        }
        chain.receipts = body.number(&[tags::FN_TOTALS, tags::ALL_COUNT]).or(chain.receipts);
    }
}
