//! What the operator remembers of one ФН between its documents: the last registration report, the last numbers, the
//! running shift.
//!
//! Everything comes out of the documents themselves, in the order of their numbers. What cannot be known (documents
//! are missing, the beginning of a shift was cut off, a requisite does not read) is not guessed: checks that would need
//! it are silent.

use std::sync::Arc;

use crate::dict::{FfdVersion, FormCode};
use crate::document::{Document, Node};
use crate::ids::FnNumber;
use crate::tags;
use crate::value::cp866;

mod sums;

pub(super) use sums::{OPERATIONS, ShiftSums, Totals};

/// Runs of missing numbers that are remembered; of more, the oldest are forgotten.
const MAX_MISSING_RUNS: usize = 8;

/// What the operator remembers of one ФН.
///
/// Cheap to clone. After a restart it is built anew by applying the newest registration report of the chain and then
/// all documents of the newest shift in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RegisterState {
    registration: Option<Arc<Registration>>,
    /// Fiscal sign (tag 1077) of the chain's first report.
    first_sign: Option<[u8; 6]>,
    last_fd: Option<u32>,
    last_time: Option<u32>,
    last_form: Option<FormCode>,
    /// Whether the next document may follow a stretch that was left out on purpose.
    is_cut: bool,
    pub(super) shift: Shift,
    pub(super) totals: Option<Totals>,
    /// Numbers that never came: first and last of each run.
    missing: Vec<(u32, u32)>,
}

/// What the last report on registration or on its change says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Registration {
    /// Texts as they stand on the wire, without white space at either end.
    pub(super) rnm: Option<Box<[u8]>>,
    pub(super) user_inn: Option<Box<[u8]>>,
    pub(super) address: Option<Box<[u8]>>,
    pub(super) place: Option<Box<[u8]>>,
    /// Tag 1062.
    pub(super) taxation: Option<u64>,
    /// Tag 1057; none in ФФД 1.2, which has it in items only.
    pub(super) agent: Option<u64>,
    /// Tag 1207, or its bit in 1290.
    pub(super) excise: Option<bool>,
    /// Tag 1002.
    pub(super) offline: Option<bool>,
}

/// The newest shift.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Shift {
    /// Its number; 0 before the first one.
    pub(super) number: Option<u64>,
    pub(super) is_open: Option<bool>,
    /// Number of the document that opened it.
    pub(super) opened_fd: Option<u32>,
    /// When it was opened, seconds of the till's clock.
    pub(super) opened_at: Option<u32>,
    pub(super) last_receipt: Option<u64>,
    /// Its receipts; none when one of them is missing or does not read.
    pub(super) sums: Option<Arc<ShiftSums>>,
}

/// Longest text of a registration that is remembered, counted as UTF-8: 256 letters of two bytes, what the format allows. A
/// longer one is against the rules, and states of many ФН are kept in memory.
const MAX_TEXT_BYTES: usize = 512;

/// Bit of «подакцизные товары» in tag 1290.
const USAGE_EXCISE: u64 = 0x40;

impl RegisterState {
    /// Takes a document into account, all numbers from the document itself (1040, 1038, 1042, 1012 and so on).
    ///
    /// A document not newer than what is known changes nothing but the list of numbers still missing. A registration
    /// report with ФД 1 and another fiscal sign than the chain's first report begins a new chain, as a debug storage
    /// does; where that first report is not known, only a debug storage (9999...) is believed to do so.
    pub fn apply(&mut self, doc: &Document<'_>) {
        let number = doc.unsigned(tags::FD_NUMBER).and_then(|number| u32::try_from(number).ok());
        let Some(fd) = number.filter(|_| doc.form().is_kkt_document()) else { return };
        if fd == 1 && doc.form().is_registration() && self.is_another_chain(doc) {
            *self = Self::default();
        }
        match self.last_fd {
            Some(last) if fd <= last => return self.came_late(fd),
            Some(last) => self.follow(last, fd, doc.form()),
            None => {}
        }
        self.last_fd = Some(fd);
        self.last_form = Some(doc.form());
        self.last_time = doc.time(tags::DATE_TIME).map(|time| time.get()).or(self.last_time);
        self.take(doc, fd);
        if !doc.form().is_registration() {
            self.is_cut = false;
        }
    }

    /// Says that the documents applied next do not begin with the opening of their shift: its sums stay unknown, and
    /// the stretch before them is no gap.
    pub fn cut(&mut self) {
        self.is_cut = true;
        self.shift = Shift::default();
    }

    /// Number (1040) of the newest document known.
    pub fn last_fd(&self) -> Option<u32> {
        self.last_fd
    }

    /// Time (1012) of the newest document known, seconds of the till's clock.
    pub(super) fn last_time(&self) -> Option<u32> {
        self.last_time
    }

    pub(super) fn registration(&self) -> Option<&Registration> {
        self.registration.as_deref()
    }

    /// How many numbers before the newest document are known to have never come.
    pub(super) fn missing(&self) -> u64 {
        self.missing.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    fn is_another_chain(&self, doc: &Document<'_>) -> bool {
        let is_debug = || {
            let number = doc.raw(tags::FN_NUMBER).and_then(|raw| FnNumber::from_padded(raw).ok());
            number.is_some_and(|number| number.is_debug())
        };
        match (self.last_fd, self.first_sign) {
            (None, _) => false,
            (Some(_), Some(sign)) => doc.raw(tags::FISCAL_SIGN).is_some_and(|raw| raw != sign),
            (Some(_), None) => is_debug(),
        }
    }

    /// A number that was missing has come: it is no longer missing, and changes nothing else.
    fn came_late(&mut self, fd: u32) {
        let Some(place) = self.missing.iter().position(|&(first, last)| (first..=last).contains(&fd)) else {
            return;
        };
        let (first, last) = self.missing.remove(place);
        if fd < last {
            self.missing.insert(place, (fd + 1, last));
        }
        if first < fd {
            self.missing.insert(place, (first, fd - 1));
        }
        self.missing.truncate(MAX_MISSING_RUNS);
    }

    /// Looks at what lies between the last document and this one.
    fn follow(&mut self, last: u32, fd: u32, form: FormCode) {
        if fd - last == 1 {
            return;
        }
        // Memory is rebuilt from the registration report and the newest shift: what lay between was left out.
        let is_left_out =
            form == FormCode::SHIFT_OPEN && self.last_form.is_some_and(FormCode::is_registration);
        if !self.is_cut && !is_left_out {
            if self.missing.len() == MAX_MISSING_RUNS {
                self.missing.remove(0);
            }
            self.missing.push((last + 1, fd - 1));
        }
        self.shift = Shift::default();
    }

    /// What the document says for later ones.
    fn take(&mut self, doc: &Document<'_>, fd: u32) {
        let number = || doc.unsigned(tags::SHIFT_NUMBER);
        match doc.form() {
            FormCode::REGISTRATION | FormCode::REGISTRATION_CHANGE => {
                self.registration = Some(Arc::new(Registration::read(doc)));
                if fd == 1 {
                    self.first_sign = doc.raw(tags::FISCAL_SIGN).and_then(|raw| raw.try_into().ok());
                    self.shift = Shift { number: Some(0), is_open: Some(false), ..Shift::default() };
                }
            }
            FormCode::SHIFT_OPEN => {
                self.shift = Shift {
                    number: number(),
                    is_open: Some(true),
                    opened_fd: Some(fd),
                    opened_at: self.last_time.filter(|_| doc.time(tags::DATE_TIME).is_some()),
                    last_receipt: Some(0),
                    sums: Some(Arc::default()),
                };
            }
            form if form.is_receipt_like() => {
                self.shift.number = number().or(self.shift.number);
                self.shift.is_open = Some(true);
                self.shift.last_receipt = doc.unsigned(tags::RECEIPT_NUMBER);
                self.shift.sums = self.shift.sums.take().and_then(|mut sums| {
                    Arc::make_mut(&mut sums).add(doc)?;
                    Some(sums)
                });
            }
            FormCode::SHIFT_CLOSE => {
                self.shift.number = number().or(self.shift.number);
                self.shift.is_open = Some(false);
                self.shift.last_receipt = None;
                self.shift.sums = None;
            }
            _ => {}
        }
        if let Some(totals) = doc.node(tags::FN_TOTALS) {
            self.totals = Some(Totals::read(totals));
        }
    }
}

impl Registration {
    fn read(doc: &Document<'_>) -> Self {
        let text = |tag| {
            let raw = cp866::trim(doc.node(tag).filter(|node| node.is_text())?.raw);
            let is_kept = !raw.is_empty() && cp866::decode(raw).len() <= MAX_TEXT_BYTES;
            is_kept.then(|| raw.into())
        };
        let flag = |tag| doc.unsigned(tag).map(|value| value != 0);
        let is_1_2 = doc.version() == FfdVersion::V1_2;
        let usage = doc.unsigned(tags::USAGE).filter(|_| is_1_2);
        Self {
            rnm: text(tags::RNM),
            user_inn: text(tags::USER_INN),
            address: text(tags::ADDRESS),
            place: text(tags::PLACE),
            taxation: doc.unsigned(tags::TAXATION).filter(|&mask| mask != 0),
            // Before 1.2 a register that is no agent leaves the mask out.
            agent: match doc.node(tags::AGENT) {
                Some(node) => node.unsigned(),
                None if is_1_2 || doc.version() == FfdVersion::V1_0 => None,
                None => Some(0),
            },
            excise: flag(tags::EXCISE_SIGN).or(usage.map(|mask| mask & USAGE_EXCISE != 0)),
            offline: flag(tags::OFFLINE_MODE),
        }
    }
}

/// The number inside a group.
fn inner(group: Node<'_>, tag: u16) -> Option<u64> {
    group.child(tag).and_then(Node::unsigned)
}

#[cfg(test)]
mod tests;
