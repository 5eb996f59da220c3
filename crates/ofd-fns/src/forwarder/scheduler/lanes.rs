//! The documents of one worker that wait to be sent: a lane per ФН, in the order of the numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ffd::ids::FnNumber;
use ofd_store::Slot;

use crate::forwarder::Moment;

/// A document on its way; what it says stays in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Position in the journal.
    pub(crate) seq: i64,
    /// Its lane.
    pub(crate) fn_number: FnNumber,
    /// Chain and ФД: the place within the lane.
    pub(crate) place: (u32, u32),
    /// Slot of the lane.
    pub(crate) slot: Slot,
    /// Goes before others, and does not linger.
    pub(crate) urgent: bool,
    /// Requests that had it.
    pub(crate) attempts: u32,
    /// Not before.
    pub(crate) ready_at: Moment,
    /// Since when it lies here.
    pub(crate) arrived: Moment,
    /// The service fails over it: goes in a batch of its own, so that it takes no other with it.
    pub(crate) alone: bool,
}

type Place = (u32, u32, i64);

#[derive(Debug, Default)]
struct Lane {
    items: BTreeMap<Place, Item>,
    urgent: usize,
    indexed: Option<Index>,
}

/// Where a lane stands in the order of lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index {
    /// May be sent: (not urgent, position of its head).
    Ready(bool, i64),
    /// Its head has to wait.
    Blocked(Moment),
}

/// All lanes of a worker.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: HashMap<FnNumber, Lane>,
    /// Urgent lanes first, then by the age of the head.
    ready: BTreeSet<(bool, i64, FnNumber)>,
    blocked: BTreeSet<(Moment, FnNumber)>,
    ready_items: usize,
    items: usize,
}

impl Lanes {
    /// Puts a document into its lane. False if it is there.
    pub(crate) fn insert(&mut self, item: Item, now: Moment) -> bool {
        let fn_number = item.fn_number;
        self.unindex(&fn_number);
        let lane = self.lanes.entry(fn_number).or_default();
        let urgent = item.urgent;
        let added = lane.items.insert(place(&item), item).is_none();
        if added {
            lane.urgent += usize::from(urgent);
            self.items += 1;
        }
        self.index(&fn_number, now);
        added
    }

    /// Documents waiting.
    pub(crate) fn len(&self) -> usize {
        self.items
    }

    /// Documents in lanes that may be sent now.
    pub(crate) fn ready_len(&self) -> usize {
        self.ready_items
    }

    /// Whether an urgent lane may be sent now.
    pub(crate) fn has_urgent(&self) -> bool {
        self.ready.first().is_some_and(|(not_urgent, ..)| !not_urgent)
    }

    /// Since when the oldest document that may be sent now lies here.
    pub(crate) fn waiting_since(&self) -> Option<Moment> {
        let (_, _, fn_number) = self.ready.first()?;
        Some(self.lanes.get(fn_number)?.items.first_key_value()?.1.arrived)
    }

    /// When the next blocked lane may be sent.
    pub(crate) fn next_ready(&self) -> Option<Moment> {
        self.blocked.first().map(|(moment, _)| *moment)
    }

    /// Lanes whose time has come may be sent.
    pub(crate) fn advance(&mut self, now: Moment) {
        while let Some((moment, fn_number)) = self.blocked.first().copied()
            && moment <= now
        {
            self.unindex(&fn_number);
            self.index(&fn_number, now);
        }
    }

    /// Whether a lane other than these may be sent now.
    pub(crate) fn has_ready_besides(&self, items: &[Item]) -> bool {
        self.ready.iter().any(|(_, _, fn_number)| items.iter().all(|item| item.fn_number != *fn_number))
    }

    /// Takes one document for a probe: of those whose turn it is the one that was tried least often, because the service
    /// may fail over a certain one.
    pub(crate) fn take_least_tried(&mut self, now: Moment) -> Option<Item> {
        let head = |(_, _, fn_number): &(bool, i64, FnNumber)| {
            let (place, item) = self.lanes.get(fn_number)?.items.first_key_value()?;
            Some((item.attempts, *fn_number, *place))
        };
        let (_, fn_number, place) =
            self.ready.iter().filter_map(head).min_by_key(|(attempts, ..)| *attempts)?;
        self.take_head(&fn_number, now, |head, _| *head == place)
    }

    /// Takes up to `limit` documents in the order in which they came, of each lane its beginning: what came together lies
    /// together in the store. One that goes alone is taken alone.
    pub(crate) fn take(&mut self, limit: usize, now: Moment) -> Vec<Item> {
        let mut taken = Vec::with_capacity(limit.min(self.ready_items));
        while taken.len() < limit
            && let Some((_, _, fn_number)) = self.ready.first().copied()
        {
            self.unindex(&fn_number);
            let others = self.ready.first().map(|(not_urgent, seq, _)| (*not_urgent, *seq));
            let Some(lane) = self.lanes.get_mut(&fn_number) else { continue };
            let mut alone = false;
            while taken.len() < limit
                && let Some(head) = lane.items.first_entry()
                && head.get().ready_at <= now
                && others.is_none_or(|others| (lane.urgent == 0, head.get().seq) <= others)
            {
                alone = head.get().alone;
                if alone && !taken.is_empty() {
                    break;
                }
                let item = head.remove();
                lane.urgent -= usize::from(item.urgent);
                self.items -= 1;
                taken.push(item);
                if alone {
                    break;
                }
            }
            self.index(&fn_number, now);
            if alone {
                break;
            }
        }
        taken
    }

    /// Takes these documents, in the order asked for, those of them whose turn it is: behind a document that has to wait,
    /// or that came since, they stay.
    pub(crate) fn take_these(&mut self, wanted: &[(FnNumber, Place)], now: Moment) -> Vec<Item> {
        let mut taken = Vec::with_capacity(wanted.len());
        for (fn_number, place) in wanted {
            taken.extend(self.take_head(fn_number, now, |head, item| head == place && !item.alone));
        }
        taken
    }

    /// Takes the head of a lane if its time has come and it is the one that is meant.
    fn take_head(
        &mut self,
        fn_number: &FnNumber,
        now: Moment,
        is_meant: impl FnOnce(&Place, &Item) -> bool,
    ) -> Option<Item> {
        self.unindex(fn_number);
        let mut taken = None;
        if let Some(lane) = self.lanes.get_mut(fn_number)
            && let Some(head) = lane.items.first_entry()
            && head.get().ready_at <= now
            && is_meant(head.key(), head.get())
        {
            let item = head.remove();
            lane.urgent -= usize::from(item.urgent);
            self.items -= 1;
            taken = Some(item);
        }
        self.index(fn_number, now);
        taken
    }

    /// Forgets the lanes of these slots.
    pub(crate) fn forget(&mut self, is_lost: impl Fn(Slot) -> bool) {
        let slot_of = |lane: &Lane| lane.items.first_key_value().map(|(_, item)| item.slot);
        let lost: Vec<FnNumber> = self
            .lanes
            .iter()
            .filter(|(_, lane)| slot_of(lane).is_some_and(&is_lost))
            .map(|(fn_number, _)| *fn_number)
            .collect();
        for fn_number in lost {
            self.unindex(&fn_number);
            if let Some(lane) = self.lanes.remove(&fn_number) {
                self.items -= lane.items.len();
            }
        }
    }

    fn index(&mut self, fn_number: &FnNumber, now: Moment) {
        let Some(lane) = self.lanes.get_mut(fn_number) else { return };
        let Some((_, head)) = lane.items.first_key_value() else {
            self.lanes.remove(fn_number);
            return;
        };
        let index = if head.ready_at > now {
            self.blocked.insert((head.ready_at, *fn_number));
            Index::Blocked(head.ready_at)
        } else {
            self.ready.insert((lane.urgent == 0, head.seq, *fn_number));
            self.ready_items += lane.items.len();
            Index::Ready(lane.urgent == 0, head.seq)
        };
        lane.indexed = Some(index);
    }

    /// Takes a lane out of the order of lanes, before it is changed.
    fn unindex(&mut self, fn_number: &FnNumber) {
        let Some(lane) = self.lanes.get_mut(fn_number) else { return };
        match lane.indexed.take() {
            Some(Index::Ready(not_urgent, seq)) => {
                self.ready.remove(&(not_urgent, seq, *fn_number));
                self.ready_items -= lane.items.len();
            }
            Some(Index::Blocked(moment)) => {
                self.blocked.remove(&(moment, *fn_number));
            }
            None => {}
        }
    }
}

/// The place of a document within its lane; the position tells contents under one number apart.
pub(crate) fn place(item: &Item) -> Place {
    (item.place.0, item.place.1, item.seq)
}
