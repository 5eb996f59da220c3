//! What the tax service has, counted: for whoever compares it with the other sides.

use std::collections::BTreeMap;

use ffd::FnNumber;

use super::codes::Verdict;
use super::world::World;

/// Counts of everything that was received so far; a document received twice counts once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FnsTally {
    /// Documents accepted.
    pub accepted: u64,
    /// Documents in soft quarantine.
    pub soft: u64,
    /// Documents refused by the control.
    pub hard: u64,
    /// Documents without a verdict yet.
    pub waiting: u64,
    /// Registers with a card.
    pub cards: u64,
    /// Documents by form.
    pub by_form: BTreeMap<u16, u64>,
    /// Documents by ФН.
    pub by_fn: BTreeMap<FnNumber, u64>,
}

impl FnsTally {
    pub(super) fn of(world: &World) -> Self {
        let mut tally = Self::default();
        for (_, document) in world.documents_from(0) {
            let count = match document.verdict {
                Some(Verdict::Accepted) => &mut tally.accepted,
                Some(Verdict::Soft) => &mut tally.soft,
                Some(Verdict::Hard) => &mut tally.hard,
                None => &mut tally.waiting,
            };
            *count += 1;
            *tally.by_form.entry(document.form.0).or_default() += 1;
            *tally.by_fn.entry(document.fn_number).or_default() += 1;
        }
        let carded = world.kkts().into_iter().filter(|kkt| kkt.card.is_some());
        tally.cards = u64::try_from(carded.count()).unwrap_or(u64::MAX);
        tally
    }
}
