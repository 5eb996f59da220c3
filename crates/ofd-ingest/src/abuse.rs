//! Who may still have a sign looked at: limits on wrong fiscal signs.
//!
//! A message sign is a MAC of 48 bits, so tries must be counted. The number of an ФН is not authenticated: whoever
//! counted tries by ФН alone would let anybody silence a shop. Penalties therefore hold for a pair of address and ФН,
//! and for an address, and never for an ФН:
//!
//! * after [`MAX_INVALID_IN_A_ROW`] wrong signs in a row a pair is refused for [`FIRST_PENALTY`]; each wrong sign after
//!   that doubles it, up to [`LONGEST_PENALTY`];
//! * past [`MAX_INVALID_PER_ADDRESS_PER_MINUTE`] wrong signs in a minute an address is refused until the minute is
//!   over, except for pairs that had a valid sign from this address within [`TRUST_LASTS`] and for pairs of a known ФН
//!   without a wrong sign since their last valid one. So honest tills behind the address of a shopping centre, a
//!   provider or a balancer go on, also after a restart, when nobody has shown a valid sign yet;
//! * an honest till and a forger of its own ФН may share an address too. A refused pair with such a recent valid sign
//!   has [`TRUSTED_TRIES_PER_SECOND`], so its till is served while its forger sends fewer messages than that, has a
//!   chance with each repeat while it sends more, and guessing stays hopeless. Without a recent valid sign there is
//!   nothing to tell the two apart: such a till waits until a penalty ends, and must then be faster than its forger;
//! * a *new* document with a valid sign ends the penalty of its pair. A repeat does not: else a forger with one captured
//!   message could buy itself new tries for ever.
//!
//! Only wrong signs in mode `required` are counted here. A sign of a foreign scheme is no attack (a certified ФН that
//! met the stand-in), an encrypted body without a key is no sign at all, and in `log-only` nobody is refused.
//!
//! Memory is bounded by constants, whatever addresses and numbers are made up; what is pushed out costs a forger's
//! penalty, never a till's service. All of it is lost at a restart and is not shared between nodes, which gives a
//! forger some tries more and no hope. The time comes from the caller; nothing here logs or counts.

mod reception;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ffd::FnNumber;
use ofd_store::Standing;

use crate::limits::counted_as;

/// Wrong signs in a row after which a pair is refused.
pub(crate) const MAX_INVALID_IN_A_ROW: u32 = 5;

/// How long a pair is refused at first.
pub(crate) const FIRST_PENALTY: Duration = Duration::from_secs(60);

/// How long a pair is refused at most.
pub(crate) const LONGEST_PENALTY: Duration = Duration::from_secs(3600);

/// Wrong signs of one address (an IPv6 address counts by its /64) in a minute.
pub(crate) const MAX_INVALID_PER_ADDRESS_PER_MINUTE: u32 = 50;

/// The window in which wrong signs of an address are counted.
const ADDRESS_WINDOW: Duration = Duration::from_secs(60);

/// How long a valid sign is recent. A shop that was closed over a long weekend is still known on its first morning.
pub(crate) const TRUST_LASTS: Duration = Duration::from_secs(4 * 24 * 3600);

/// How many messages of a refused pair with a recent valid sign are looked at in a second, at some 15 µs each. 720,000
/// guesses an hour leave 2^48 out of reach.
pub(crate) const TRUSTED_TRIES_PER_SECOND: u32 = 200;

/// How much of that may be used at once.
const TRUSTED_TRIES_SAVED_FOR: Duration = Duration::from_secs(1);

/// Parts with a lock of their own, so that tasks on different cores seldom meet.
const SHARDS: usize = 16;

/// Pairs with wrong signs that are remembered, in all. Some 100 bytes each.
const MAX_SUSPECT_PAIRS: usize = 65_536;

/// Pairs with a valid sign that are remembered, in all: the registers of one node, and then some. Some 60 bytes each.
const MAX_TRUSTED_PAIRS: usize = 262_144;

/// Addresses with wrong signs that are remembered, in all. Some 40 bytes each.
const MAX_ADDRESSES: usize = 65_536;

/// Why a message is refused before anybody looks at its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Penalty {
    /// Too many wrong signs in a row from this address under this ФН.
    Pair,
    /// The same, but the pair had a valid sign lately and has only used up its tries for the moment.
    TrustedPair,
    /// Too many wrong signs from this address, and nothing that speaks for this ФН.
    Address,
}

impl Penalty {
    /// Label of metrics and logs.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Pair | Self::TrustedPair => "pair_refused",
            Self::Address => "address_refused",
        }
    }
}

/// The limits of this module; every task of reception shares one table.
#[derive(Debug)]
pub(crate) struct AbuseTable {
    hasher: RandomState,
    pairs: Vec<Mutex<Pairs>>,
    addresses: Vec<Mutex<Recent<IpAddr, Window>>>,
}

type PairKey = (IpAddr, FnNumber);

#[derive(Debug)]
struct Pairs {
    suspects: Recent<PairKey, Suspect>,
    /// When the last valid sign of the pair came.
    trusted: Recent<PairKey, Instant>,
}

/// A pair whose last sign was wrong.
#[derive(Debug, Clone, Copy)]
struct Suspect {
    invalid_in_a_row: u32,
    refused_until: Instant,
    penalty: Duration,
    /// Tries of a refused pair with a recent valid sign are paid for up to here.
    tries_paid_until: Instant,
}

/// Wrong signs of one address since the window began.
#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    invalid: u32,
}

impl AbuseTable {
    pub(crate) fn new() -> Self {
        Self::with_capacities(MAX_SUSPECT_PAIRS, MAX_TRUSTED_PAIRS, MAX_ADDRESSES)
    }

    fn with_capacities(suspects: usize, trusted: usize, addresses: usize) -> Self {
        let pairs = || {
            Mutex::new(Pairs {
                suspects: Recent::new(suspects / SHARDS),
                trusted: Recent::new(trusted / SHARDS),
            })
        };
        Self {
            hasher: RandomState::new(),
            pairs: (0..SHARDS).map(|_| pairs()).collect(),
            addresses: (0..SHARDS).map(|_| Mutex::new(Recent::new(addresses / SHARDS))).collect(),
        }
    }

    /// Whether a message of this ФН, known or not, from this address is worth a look at its sign. To be asked before
    /// anything is computed; a refused message gets no answer, as every other with a wrong sign.
    pub(crate) fn check(
        &self,
        address: IpAddr,
        fn_number: FnNumber,
        standing: Standing,
        now: Instant,
    ) -> Result<(), Penalty> {
        let address = counted_as(address);
        let key = (address, fn_number);
        {
            let Some(mut pairs) = self.pairs_of(&key) else { return Ok(()) };
            let trusted = pairs.is_trusted(&key, now);
            let suspect = pairs.suspects.get_mut(&key);
            let is_suspect = suspect.is_some();
            if let Some(suspect) = suspect
                && now < suspect.refused_until
            {
                if !trusted {
                    return Err(Penalty::Pair);
                }
                if !suspect.take_try(now) {
                    return Err(Penalty::TrustedPair);
                }
            }
            // Whoever makes numbers up does not hit a known one, and has one guess of each that it knows.
            if trusted || (standing != Standing::Unknown && !is_suspect) {
                return Ok(());
            }
        }
        let over = |window: &mut Window| {
            now.duration_since(window.began) < ADDRESS_WINDOW
                && window.invalid >= MAX_INVALID_PER_ADDRESS_PER_MINUTE
        };
        let address_is_over = self
            .window_of(&address)
            .and_then(|mut windows| windows.get_mut(&address).map(over))
            .unwrap_or(false);
        if address_is_over { Err(Penalty::Address) } else { Ok(()) }
    }

    /// A wrong sign. Says for how long the pair is refused, if that begins now.
    pub(crate) fn invalid(&self, address: IpAddr, fn_number: FnNumber, now: Instant) -> Option<Duration> {
        let address = counted_as(address);
        let key = (address, fn_number);
        if let Some(mut windows) = self.window_of(&address) {
            let window = windows.get_or_insert(address, Window { began: now, invalid: 0 });
            if now.duration_since(window.began) >= ADDRESS_WINDOW {
                *window = Window { began: now, invalid: 0 };
            }
            window.invalid = window.invalid.saturating_add(1);
        }
        self.pairs_of(&key)?.suspects.get_or_insert(key, Suspect::new(now)).add_invalid(now)
    }

    /// A valid sign under a document that is new in the journal.
    pub(crate) fn valid(&self, address: IpAddr, fn_number: FnNumber, now: Instant) {
        let key = (counted_as(address), fn_number);
        if let Some(mut pairs) = self.pairs_of(&key) {
            pairs.suspects.remove(&key);
            *pairs.trusted.get_or_insert(key, now) = now;
        }
    }

    /// Ends every penalty: with other keys, other signs are wrong. Trust was earned and stays.
    pub(crate) fn forget_penalties(&self) {
        for shard in &self.pairs {
            lock(shard).suspects.clear();
        }
        for shard in &self.addresses {
            lock(shard).clear();
        }
    }

    /// Pairs that are refused at this moment. Looks at every suspect, one shard after another: for a gauge now and then.
    pub(crate) fn refused_pairs(&self, now: Instant) -> usize {
        let of_shard = |shard: &Mutex<Pairs>| {
            lock(shard).suspects.values().filter(|suspect| now < suspect.refused_until).count()
        };
        self.pairs.iter().map(of_shard).sum()
    }

    /// Always some: the shard is chosen modulo their number.
    fn pairs_of(&self, key: &PairKey) -> Option<MutexGuard<'_, Pairs>> {
        self.pairs.get(self.shard(key)).map(lock)
    }

    fn window_of(&self, address: &IpAddr) -> Option<MutexGuard<'_, Recent<IpAddr, Window>>> {
        self.addresses.get(self.shard(address)).map(lock)
    }

    fn shard(&self, key: &impl Hash) -> usize {
        let shards = u64::try_from(SHARDS).unwrap_or(1);
        usize::try_from(self.hasher.hash_one(key) % shards).unwrap_or_default()
    }
}

impl Pairs {
    fn is_trusted(&mut self, key: &PairKey, now: Instant) -> bool {
        let last_valid = self.trusted.get_mut(key);
        last_valid.is_some_and(|last_valid| now.duration_since(*last_valid) < TRUST_LASTS)
    }
}

impl Suspect {
    fn new(now: Instant) -> Self {
        Self { invalid_in_a_row: 0, refused_until: now, penalty: Duration::ZERO, tries_paid_until: now }
    }

    fn add_invalid(&mut self, now: Instant) -> Option<Duration> {
        self.invalid_in_a_row = self.invalid_in_a_row.saturating_add(1);
        // A try that was under way when the penalty began, or one of a trusted pair, does not lengthen it.
        if self.invalid_in_a_row < MAX_INVALID_IN_A_ROW || now < self.refused_until {
            return None;
        }
        self.penalty = (self.penalty * 2).clamp(FIRST_PENALTY, LONGEST_PENALTY);
        self.refused_until = now + self.penalty;
        Some(self.penalty)
    }

    /// A bucket that fills at [`TRUSTED_TRIES_PER_SECOND`] and holds what gathers in [`TRUSTED_TRIES_SAVED_FOR`].
    fn take_try(&mut self, now: Instant) -> bool {
        let paid_until = self.tries_paid_until.max(now) + Duration::from_secs(1) / TRUSTED_TRIES_PER_SECOND;
        let is_left = paid_until <= now + TRUSTED_TRIES_SAVED_FOR;
        if is_left {
            self.tries_paid_until = paid_until;
        }
        is_left
    }
}

/// A panic elsewhere leaves nothing half done that matters: each change is one field.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A map of bounded size that forgets what was not used for longest, in two generations: what is used moves to the
/// young one; when that is full, it becomes the old one and the former old one is forgotten at once. No clock, no list
/// of ages, every operation at constant cost.
#[derive(Debug)]
struct Recent<K, V> {
    /// Most entries of a generation; at most twice as many are held.
    generation_len: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Copy, V: Copy> Recent<K, V> {
    /// Holds at most `capacity` entries, and at least the last half of that.
    fn new(capacity: usize) -> Self {
        Self { generation_len: (capacity / 2).max(1), young: HashMap::new(), old: HashMap::new() }
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let value = self.old.remove(key)?;
            self.insert_young(*key, value);
        }
        self.young.get_mut(key)
    }

    fn get_or_insert(&mut self, key: K, value: V) -> &mut V {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key).unwrap_or(value);
            self.insert_young(key, value);
        }
        self.young.entry(key).or_insert(value)
    }

    fn insert_young(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation_len {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: &K) {
        // Asked with every valid document; nearly always there is nothing at all.
        if !self.young.is_empty() || !self.old.is_empty() {
            self.young.remove(key);
            self.old.remove(key);
        }
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn values(&self) -> impl Iterator<Item = &V> {
        self.young.values().chain(self.old.values())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests;
