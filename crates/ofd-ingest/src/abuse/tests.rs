//! The table with made-up time: who is refused, for how long, and who never is.

use proptest::prelude::*;

use super::*;
use crate::clock;

const HONEST: &str = "192.0.2.1";
const FORGER: &str = "198.51.100.7";
const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    table: AbuseTable,
    began: Instant,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        Self::of(AbuseTable::new())
    }

    fn of(table: AbuseTable) -> Self {
        let now = clock::monotonic_now();
        Self { table, began: now, now }
    }

    fn at(&mut self, since_began: Duration) -> &mut Self {
        self.now = self.began + since_began;
        self
    }

    fn invalid(&self, from: &str, number: u32) -> Option<Duration> {
        self.table.invalid(address(from), till(number), self.now)
    }

    fn valid(&self, from: &str, number: u32) {
        self.table.valid(address(from), till(number), self.now);
    }

    #[track_caller]
    fn check(&self, from: &str, number: u32, expected: Result<(), Penalty>) {
        self.check_standing(from, number, Standing::Unknown, expected);
    }

    #[track_caller]
    fn check_standing(&self, from: &str, number: u32, standing: Standing, expected: Result<(), Penalty>) {
        assert_eq!(self.table.check(address(from), till(number), standing, self.now), expected);
    }

    /// As many wrong signs as make a pair refused.
    fn silence_pair(&self, from: &str, number: u32) {
        for _ in 0..MAX_INVALID_IN_A_ROW {
            self.invalid(from, number);
        }
    }

    /// As many wrong signs of as many ФН as make an address refused.
    fn silence_address(&self, from: &str) {
        for number in 0..MAX_INVALID_PER_ADDRESS_PER_MINUTE {
            self.invalid(from, 1_000_000 + number);
        }
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn till(number: u32) -> FnNumber {
    FnNumber::from_padded(format!("99990789{number:08}").as_bytes()).unwrap()
}

#[test]
fn the_fifth_wrong_sign_in_a_row_refuses_the_pair() {
    let scene = Scene::new();
    for _ in 1..MAX_INVALID_IN_A_ROW {
        assert_eq!(scene.invalid(FORGER, 1), None);
        scene.check(FORGER, 1, Ok(()));
    }
    assert_eq!(scene.invalid(FORGER, 1), Some(FIRST_PENALTY));
    scene.check(FORGER, 1, Err(Penalty::Pair));
    assert_eq!(scene.table.refused_pairs(scene.now), 1);
}

#[test]
fn nobody_else_is_refused_for_it() {
    let scene = Scene::new();
    scene.silence_pair(FORGER, 1);
    scene.check(HONEST, 1, Ok(()));
    scene.check("198.51.100.8", 1, Ok(()));
    scene.check(FORGER, 2, Ok(()));
    scene.silence_address(FORGER);
    scene.check(HONEST, 1, Ok(()));
    scene.check(HONEST, 2, Ok(()));
}

#[test]
fn a_penalty_doubles_from_a_minute_to_an_hour() {
    let mut scene = Scene::new();
    scene.silence_pair(FORGER, 1);
    let mut moment = Duration::ZERO;
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        let penalty = Duration::from_secs(minutes * 60);
        scene.at(moment + penalty - SECOND).check(FORGER, 1, Err(Penalty::Pair));
        moment += penalty;
        scene.at(moment).check(FORGER, 1, Ok(()));
        assert_eq!(scene.table.refused_pairs(scene.now), 0);
        let next = (penalty * 2).min(LONGEST_PENALTY);
        assert_eq!(scene.invalid(FORGER, 1), Some(next), "after {minutes} minutes");
    }
}

#[test]
fn tries_under_way_do_not_lengthen_a_penalty() {
    let mut scene = Scene::new();
    scene.silence_pair(FORGER, 1);
    scene.silence_pair(FORGER, 1);
    scene.at(FIRST_PENALTY).check(FORGER, 1, Ok(()));
}

#[test]
fn a_valid_sign_begins_the_count_anew() {
    let mut scene = Scene::new();
    for _ in 0..100 {
        for _ in 1..MAX_INVALID_IN_A_ROW {
            scene.invalid(HONEST, 1);
        }
        scene.valid(HONEST, 1);
        scene.check(HONEST, 1, Ok(()));
    }
    scene.silence_pair(HONEST, 1);
    scene.at(FIRST_PENALTY).valid(HONEST, 1);
    assert_eq!(scene.invalid(HONEST, 1), None, "the penalty does not go on where it was");
}

#[test]
fn past_fifty_a_minute_only_tills_that_were_valid_from_there_go_on() {
    let mut scene = Scene::new();
    scene.valid(HONEST, 1);
    for number in 1..MAX_INVALID_PER_ADDRESS_PER_MINUTE {
        scene.invalid(HONEST, 1_000_000 + number);
    }
    scene.check(HONEST, 2, Ok(()));
    scene.invalid(HONEST, 2_000_000);
    scene.check(HONEST, 2, Err(Penalty::Address));
    scene.check(HONEST, 1, Ok(()));
    scene.check("::ffff:192.0.2.1", 2, Err(Penalty::Address));
    scene.at(ADDRESS_WINDOW - SECOND).check(HONEST, 2, Err(Penalty::Address));
    scene.at(ADDRESS_WINDOW).check(HONEST, 2, Ok(()));
    scene.invalid(HONEST, 3);
    scene.check(HONEST, 2, Ok(()));
}

#[test]
fn trust_is_forgotten_after_some_days() {
    let mut scene = Scene::new();
    scene.valid(HONEST, 1);
    scene.at(TRUST_LASTS - SECOND).silence_address(HONEST);
    scene.check(HONEST, 1, Ok(()));
    scene.at(TRUST_LASTS).check(HONEST, 1, Err(Penalty::Address));
}

#[test]
fn a_till_that_shares_its_address_with_its_forger_has_two_hundred_tries_a_second() {
    let mut scene = Scene::new();
    scene.valid(HONEST, 1);
    scene.silence_pair(HONEST, 1);
    for _ in 0..TRUSTED_TRIES_PER_SECOND {
        scene.check(HONEST, 1, Ok(()));
        scene.invalid(HONEST, 1);
    }
    scene.check(HONEST, 1, Err(Penalty::TrustedPair));
    // One more each 5 ms, and no more saved than a second's.
    for tries in 1..=10 {
        scene.at(Duration::from_millis(5) * tries).check(HONEST, 1, Ok(()));
        scene.check(HONEST, 1, Err(Penalty::TrustedPair));
    }
    scene.at(SECOND * 30);
    for _ in 0..TRUSTED_TRIES_PER_SECOND {
        scene.check(HONEST, 1, Ok(()));
    }
    scene.check(HONEST, 1, Err(Penalty::TrustedPair));
    scene.valid(HONEST, 1);
    scene.check(HONEST, 1, Ok(()));
}

#[test]
fn past_fifty_a_minute_known_tills_without_a_wrong_sign_go_on_too() {
    let scene = Scene::new();
    scene.silence_address(HONEST);
    scene.check_standing(HONEST, 1, Standing::Known, Ok(()));
    scene.check_standing(HONEST, 2, Standing::Unknown, Err(Penalty::Address));
    scene.invalid(HONEST, 1);
    scene.check_standing(HONEST, 1, Standing::Known, Err(Penalty::Address));
    scene.check_standing(HONEST, 3, Standing::Known, Ok(()));
    scene.silence_pair(HONEST, 1);
    scene.check_standing(HONEST, 1, Standing::Known, Err(Penalty::Pair));
    scene.valid(HONEST, 1);
    scene.check_standing(HONEST, 1, Standing::Known, Ok(()));
}

#[test]
fn forgetting_penalties_leaves_trust() {
    let scene = Scene::new();
    scene.valid(HONEST, 1);
    scene.silence_pair(FORGER, 2);
    scene.silence_address(FORGER);
    scene.table.forget_penalties();
    scene.check(FORGER, 2, Ok(()));
    scene.check(FORGER, 3, Ok(()));
    assert_eq!(scene.table.refused_pairs(scene.now), 0);
    scene.silence_address(HONEST);
    scene.check(HONEST, 1, Ok(()));
    scene.check(HONEST, 2, Err(Penalty::Address));
}

#[test]
fn an_ipv6_network_is_one_address() {
    let scene = Scene::new();
    for host in 0..MAX_INVALID_IN_A_ROW {
        scene.invalid(&format!("2001:db8::{host}"), 1);
    }
    scene.check("2001:db8::ffff", 1, Err(Penalty::Pair));
    scene.check("2001:db8:0:1::1", 1, Ok(()));
}

#[test]
fn memory_is_bounded_whatever_is_made_up() {
    let capacity = 64 * SHARDS;
    let scene = Scene::of(AbuseTable::with_capacities(capacity, capacity, capacity));
    scene.valid(HONEST, 1);
    for number in 0..20_000_u32 {
        let [_, high, middle, low] = number.to_be_bytes();
        scene.invalid(&format!("10.{high}.{middle}.{low}"), number);
    }
    let (mut suspects, mut windows) = (0, 0);
    for shard in 0..SHARDS {
        suspects += lock(&scene.table.pairs[shard]).suspects.len();
        windows += lock(&scene.table.addresses[shard]).len();
    }
    assert!((capacity / 4..=capacity).contains(&suspects), "{suspects} pairs");
    assert!((capacity / 4..=capacity).contains(&windows), "{windows} addresses");
    scene.silence_address(HONEST);
    scene.check(HONEST, 1, Ok(()));
}

#[test]
fn what_is_in_use_outlives_what_is_not() {
    let mut recent = Recent::new(8);
    for number in 0..100 {
        recent.get_or_insert(1000, ());
        recent.get_or_insert(number, ());
        assert!(recent.len() <= 8, "{} entries", recent.len());
    }
    assert!(recent.get_mut(&1000).is_some() && recent.get_mut(&99).is_some());
    assert!(recent.get_mut(&0).is_none());
    recent.remove(&1000);
    assert!(recent.get_mut(&1000).is_none());
}

proptest! {
    /// Whatever others do, a till whose own signs are right is never refused at an address of its own.
    #[test]
    fn no_forger_silences_a_till_elsewhere(
        deeds in prop::collection::vec((0_u8..4, 0_u32..3, any::<bool>(), 0_u64..3600), 0..400),
    ) {
        let mut scene = Scene::new();
        let mut moment = Duration::ZERO;
        for (from, number, right, seconds) in deeds {
            moment += Duration::from_secs(seconds / 60);
            scene.at(moment);
            let from = format!("198.51.100.{from}");
            if right { scene.valid(&from, number) } else { scene.invalid(&from, number); }
            scene.check(HONEST, number, Ok(()));
        }
    }
}
