//! Which faults are asked for, how often, and their making.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::body::Body;
use super::fault::{Fault, Work};
use super::memory::Memory;
use crate::kkt::{Draft, Place, Tamper};
use crate::rng::Rng;

/// Share of the documents that fit, when none is given, percent.
const DEFAULT_PERCENT: u8 = 10;
/// The fault that needs storages with genuine numbers.
const NEEDS_GENUINE: &str = "rnm.checksum";

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// Percent of the documents.
    Percent(u8),
    /// Once in the life of a register, at the first document that fits.
    Once,
}

/// Some faults of which a document gets one.
#[derive(Clone, Debug)]
struct Wish {
    faults: Vec<&'static Fault>,
    share: Share,
}

/// The faults that a run is to make.
#[derive(Clone, Debug)]
pub struct Faults {
    wishes: Vec<Wish>,
    /// What a right clock shows; the clock of this machine when not given.
    now: Option<u32>,
}

impl Faults {
    /// With a clock that stands still: for documents that are judged later.
    #[cfg(test)]
    pub(super) fn at(self, now: u32) -> Self {
        Self { now: Some(now), ..self }
    }

    /// Whether the storages need numbers that are not for tests.
    pub(crate) fn need_genuine_storages(&self) -> bool {
        self.names().any(|name| name == NEEDS_GENUINE)
    }

    /// The names of all faults asked for.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.wishes.iter().flat_map(|wish| wish.faults.iter().map(|fault| fault.rule))
    }

    fn now(&self) -> u32 {
        let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
        self.now.unwrap_or_else(|| u32::try_from(seconds()).unwrap_or(u32::MAX))
    }

    /// Makes one of the faults asked for, if the dice want it and one fits.
    fn make<'m>(&self, work: &Work<'m>, rng: &mut Rng) -> Option<(Work<'m>, Option<&'static Fault>)> {
        self.wishes.iter().find_map(|wish| {
            if matches!(wish.share, Share::Percent(percent) if !rng.percent(percent)) {
                return None;
            }
            wish.make(work, rng)
        })
    }
}

impl Wish {
    /// Of the faults that fit the one made least often so far.
    fn make<'m>(&self, work: &Work<'m>, rng: &mut Rng) -> Option<(Work<'m>, Option<&'static Fault>)> {
        let mut order: Vec<_> =
            self.faults.iter().map(|fault| (work.memory.made(fault.rule), rng.next_u64(), *fault)).collect();
        order.sort_by_key(|(made, drawn, _)| (*made, *drawn));
        order.into_iter().filter(|(made, ..)| *made == 0 || self.share != Share::Once).find_map(
            |(.., fault)| {
                let mut spoilt = work.clone();
                if (fault.spoil)(&mut spoilt).is_some() {
                    return Some((spoilt, Some(fault)));
                }
                let mut prepared = work.clone();
                fault.prepare?(&mut prepared).map(|()| (prepared, None))
            },
        )
    }
}

impl FromStr for Faults {
    type Err = String;

    /// Names with commas between them, each with `:PERCENT` or `:once` if wanted; `all` is every fault that an operator
    /// can judge, of which a document gets one.
    fn from_str(text: &str) -> Result<Self, String> {
        let faults = Self::read(text)?;
        let unsent = faults.wishes.iter().flat_map(|wish| &wish.faults).find(|fault| fault.is_unsent);
        unsent.map_or(Ok(faults.clone()), |fault| Err(format!("{}: {}", fault.rule, fault.done)))
    }
}

impl Faults {
    /// As [`Self::from_str`], with faults that no operator judges if they are named.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let every = super::all();
        let wishes = text.split(',').map(|wish| {
            let (name, share) = wish.split_once(':').unwrap_or((wish, ""));
            let share = match share {
                "" => Share::Percent(DEFAULT_PERCENT),
                "once" => Share::Once,
                percent => match percent.parse() {
                    Ok(percent @ 1..=100) => Share::Percent(percent),
                    _ => return Err(format!("{percent}: expected 1 to 100 percent, or once")),
                },
            };
            let faults: Vec<_> = every
                .iter()
                .copied()
                .filter(|fault| fault.rule == name || (name == "all" && !fault.is_unsent))
                .collect();
            if faults.is_empty() {
                return Err(format!("no fault {name}; `--faults list` shows them all"));
            }
            Ok(Wish { faults, share })
        });
        Ok(Self { wishes: wishes.collect::<Result<_, _>>()?, now: None })
    }
}

impl Tamper for Faults {
    fn tamper(&self, draft: &mut Draft, place: &Place, memory: &mut Memory, rng: &mut Rng) {
        let Some(mut body) = Body::read(&draft.body) else { return };
        memory.meet(place.fn_number);
        memory.carry_on(draft.form, &mut body);
        // Only documents of the register itself can be held against others.
        let is_own = draft.form.is_kkt_document();
        draft.echoes = if is_own { memory.echoes(draft.form, &body) } else { Vec::new() };
        let Some(ffd) = body.ffd().or((!is_own).then_some(ffd::FfdVersion::V1_2)) else { return };
        let mut work = Work {
            body,
            draft: draft.clone(),
            ffd,
            fd: place.fd,
            is_debug: place.fn_number.is_debug(),
            now: self.now(),
            memory,
            skips: memory.skips(),
        };
        let mut made = None;
        if draft.echoes.is_empty()
            && !memory.rests()
            && let Some((spoilt, fault)) = self.make(&work, rng)
            && spoilt.body.bytes().is_some()
        {
            (work, made) = (spoilt, fault);
        }
        let Work { body, draft: mut changed, skips, .. } = work;
        if let Some(bytes) = body.bytes() {
            changed.body = bytes;
        }
        changed.fault = made.map(|fault| fault.rule);
        *draft = changed;
        if let Some(fault) = made {
            memory.note(fault, skips);
        }
        if is_own {
            memory.remember(draft, &body, place.fd);
        }
    }
}
