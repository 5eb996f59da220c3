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

    /// Takes up to `limit` documents: lane by lane, of each lane its beginning.
    pub(crate) fn take(&mut self, limit: usize, now: Moment) -> Vec<Item> {
        let mut taken = Vec::with_capacity(limit.min(self.ready_items));
        while taken.len() < limit
            && let Some((_, _, fn_number)) = self.ready.first().copied()
        {
            self.unindex(&fn_number);
            let Some(lane) = self.lanes.get_mut(&fn_number) else { continue };
            while taken.len() < limit
                && let Some(head) = lane.items.first_entry()
                && head.get().ready_at <= now
            {
                let item = head.remove();
                lane.urgent -= usize::from(item.urgent);
                self.items -= 1;
                taken.push(item);
            }
            self.index(&fn_number, now);
        }
        taken
    }

    /// Takes these documents, in the order asked for, those of them whose turn it is: behind a document that has to wait,
    /// or that came since, they stay.
    pub(crate) fn take_these(&mut self, wanted: &[(FnNumber, Place)], now: Moment) -> Vec<Item> {
        let mut taken = Vec::with_capacity(wanted.len());
        for (fn_number, place) in wanted {
            self.unindex(fn_number);
            if let Some(lane) = self.lanes.get_mut(fn_number)
                && let Some(head) = lane.items.first_entry()
                && head.key() == place
                && head.get().ready_at <= now
            {
                let item = head.remove();
                lane.urgent -= usize::from(item.urgent);
                self.items -= 1;
                taken.push(item);
            }
            self.index(fn_number, now);
        }
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
