//! Bounded cache of derived keys by (ФН, generation): a few shards, each a small clock.
//!
//! Losing an entry only costs the time of deriving it anew. An evicted entry wipes itself when its last user
//! lets go of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{derive::FnKeys, verdict::Generation};

const SHARDS: usize = 16;

/// FN8 and generation.
pub(crate) type CacheKey = ([u8; 8], Generation);

pub(crate) struct KeyCache {
    shards: [Mutex<Shard>; SHARDS],
    entries_per_shard: usize,
}

#[derive(Default)]
struct Shard {
    slots: Vec<Slot>,
    places: HashMap<CacheKey, usize>,
    /// The next slot to be judged when room is needed.
    hand: usize,
}

struct Slot {
    key: CacheKey,
    keys: Arc<FnKeys>,
    /// Used since the hand passed last.
    used: bool,
}

impl KeyCache {
    /// Room for about `entries`, at least one in each shard; 0 keeps nothing.
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::default())),
            entries_per_shard: entries.div_ceil(SHARDS),
        }
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<Arc<FnKeys>> {
        let mut shard = self.shard(key)?;
        let place = shard.places.get(key).copied()?;
        let slot = shard.slots.get_mut(place)?;
        slot.used = true;
        Some(Arc::clone(&slot.keys))
    }

    pub(crate) fn insert(&self, key: CacheKey, keys: Arc<FnKeys>) {
        let Some(mut shard) = self.shard(&key) else { return };
        if shard.places.contains_key(&key) {
            return;
        }
        let slot = Slot { key, keys, used: false };
        if shard.slots.len() < self.entries_per_shard {
            let place = shard.slots.len();
            shard.slots.push(slot);
            shard.places.insert(key, place);
        } else {
            shard.replace(slot);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().slots.len()).sum()
    }

    /// Multiplicative hashing: ФН numbers come in ranges of packed decimals, the top bits of the product spread
    /// them. A poisoned lock is taken as it is: no step in here leaves a shard half changed.
    fn shard(&self, (fn8, generation): &CacheKey) -> Option<MutexGuard<'_, Shard>> {
        let number = u64::from_be_bytes(*fn8) ^ u64::from(generation.get());
        let [top, ..] = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        let shard = self.shards.get(usize::from(top) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    /// Clock: an entry used since the last round gets another one, the first unused one goes.
    fn replace(&mut self, new: Slot) {
        let place = loop {
            let count = self.slots.len();
            let Some(slot) = self.slots.get_mut(self.hand) else { return };
            let place = self.hand;
            self.hand = (self.hand + 1) % count;
            if !std::mem::take(&mut slot.used) {
                break place;
            }
        };
        let Some(slot) = self.slots.get_mut(place) else { return };
        self.places.insert(new.key, place);
        let old = std::mem::replace(slot, new);
        self.places.remove(&old.key);
    }
}

#[cfg(test)]
mod tests {
    use ffd::FnNumber;

    use super::*;
    use crate::{Keystore, derive::Purpose, test_keys};

    fn keys(number: u64) -> (CacheKey, Arc<FnKeys>) {
        let fn_number =
            FnNumber::from_padded(format!("{:016}", 9_999_000_000_000_000 + number).as_bytes()).unwrap();
        let store = Keystore::parse(test_keys::message_keystore(), Purpose::Message).unwrap();
        let keys = FnKeys::derive(&fn_number, store.records()[0].key(), None).unwrap();
        ((fn_number.to_bcd(), keys.generation()), Arc::new(keys))
    }

    #[test]
    fn never_grows_past_its_bound() {
        let cache = KeyCache::new(32);
        for number in 0..400 {
            let (key, value) = keys(number);
            cache.insert(key, value);
            assert!(cache.get(&key).is_some(), "just inserted");
        }
        assert_eq!(cache.len(), 32);
        let places: usize = cache.shards.iter().map(|shard| shard.lock().unwrap().places.len()).sum();
        assert_eq!(places, 32);
    }

    #[test]
    fn no_room_keeps_nothing() {
        let cache = KeyCache::new(0);
        let (key, value) = keys(0);
        cache.insert(key, value);
        assert!(cache.get(&key).is_none());
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn entries_in_use_outlive_idle_ones() {
        let cache = KeyCache::new(64);
        let (busy, value) = keys(0);
        cache.insert(busy, value);
        for number in 1..2000 {
            assert!(cache.get(&busy).is_some(), "evicted at {number}");
            let (key, value) = keys(number);
            cache.insert(key, value);
        }
    }

    #[test]
    fn evicted_entries_are_dropped() {
        let cache = KeyCache::new(1);
        let (first, value) = keys(0);
        let watch = Arc::downgrade(&value);
        cache.insert(first, value);
        for number in 1..200 {
            let (key, value) = keys(number);
            cache.insert(key, value);
        }
        assert!(cache.get(&first).is_none());
        assert!(watch.upgrade().is_none(), "an evicted entry still holds its keys");
    }
}
