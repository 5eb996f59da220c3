//! Places with made-up time, and lines of the log.

use super::*;

fn take(limits: &Arc<ConnectionLimits>, address: IpAddr) -> Result<Place, Exceeded> {
    limits.take(address, limits.epoch, CancellationToken::new())
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn places_are_limited_in_all_and_given_back() {
    let limits = ConnectionLimits::new(2, 2);
    let first = take(&limits, address("192.0.2.1")).unwrap();
    let second = take(&limits, address("192.0.2.2")).unwrap();
    assert_eq!(take(&limits, address("192.0.2.3")).unwrap_err(), Exceeded::InAll);
    drop(first);
    assert_eq!(limits.open(), 1);
    let third = take(&limits, address("192.0.2.3")).unwrap();
    drop((second, third));
    assert_eq!(limits.open(), 0);
    assert!(limits.lock().by_address.is_empty());
}

#[test]
fn places_are_limited_per_address() {
    let limits = ConnectionLimits::new(10, 2);
    let _first = take(&limits, address("192.0.2.1")).unwrap();
    let second = take(&limits, address("::ffff:192.0.2.1")).unwrap();
    assert_eq!(take(&limits, address("192.0.2.1")).unwrap_err(), Exceeded::PerAddress);
    let _other = take(&limits, address("192.0.2.2")).unwrap();
    drop(second);
    let _again = take(&limits, address("192.0.2.1")).unwrap();
    assert_eq!(limits.open(), 3);
}

#[test]
fn an_ipv6_network_counts_as_one_address() {
    let limits = ConnectionLimits::new(10, 1);
    let _first = take(&limits, address("2001:db8::1")).unwrap();
    assert_eq!(take(&limits, address("2001:db8::ffff:2")).unwrap_err(), Exceeded::PerAddress);
    let _other = take(&limits, address("2001:db8:0:1::1")).unwrap();
}

#[test]
fn the_longest_idle_makes_room_for_a_newcomer() {
    let limits = ConnectionLimits::new(3, 3);
    let at = |seconds| limits.epoch + Duration::from_secs(seconds);
    let stops: Vec<CancellationToken> = (0..6).map(|_| CancellationToken::new()).collect();
    let enter = |number: usize, seconds| {
        limits.take(address(&format!("192.0.2.{number}")), at(seconds), stops[number].clone())
    };
    let [busy, older, younger] = [0, 1, 2].map(|number| enter(number, 0).unwrap());
    for place in [&busy, &older, &younger] {
        place.busy();
    }
    older.idle(at(1));
    younger.idle(at(2));
    younger.idle(at(3));
    assert_eq!(enter(3, 2).unwrap_err(), Exceeded::InAll, "nobody has been idle for long enough");
    let third = enter(3, 10).unwrap();
    assert!(third.made_room() && older.is_evicted() && stops[1].is_cancelled());
    assert_eq!(limits.open(), 3);
    drop(older);
    assert_eq!(limits.open(), 3, "an evicted connection has no place to give back");
    let fourth = enter(4, 20).unwrap();
    assert!(younger.is_evicted() && !third.is_evicted() && !busy.is_evicted());
    third.busy();
    fourth.busy();
    assert_eq!(enter(5, 30).unwrap_err(), Exceeded::InAll, "nobody is idle");
    drop(busy);
    assert!(!enter(5, 30).unwrap().made_room());
}

#[test]
fn unfinished_messages_make_room_when_nobody_is_idle() {
    let limits = ConnectionLimits::new(5, 10);
    let at = |seconds| limits.epoch + Duration::from_secs(seconds);
    let enter = |from, seconds| limits.take(address(from), at(seconds), CancellationToken::new());
    let alone = enter("192.0.2.1", 0).unwrap();
    let [owed, first, second] = [0; 3].map(|_| enter("192.0.2.2", 0).unwrap());
    let idle = enter("192.0.2.3", 0).unwrap();
    alone.begun(at(0));
    owed.begun(at(0));
    owed.busy();
    first.begun(at(2));
    first.begun(at(9));
    second.begun(at(3));
    let places = [&alone, &owed, &first, &second, &idle];
    let check = |newcomer_at, expected: [bool; 5]| {
        let newcomer = enter("192.0.2.4", newcomer_at);
        newcomer.iter().for_each(Place::busy);
        assert_eq!(places.map(|place| place.is_evicted()), expected, "at {newcomer_at} s");
        newcomer
    };
    let _room = [
        check(3, [false, false, false, false, true]),
        // Its address has the most places.
        check(4, [false, false, true, false, true]),
        check(5, [false, false, true, true, true]),
        check(6, [true, false, true, true, true]),
    ];
    assert_eq!(enter("192.0.2.4", 60).unwrap_err(), Exceeded::InAll, "the last one is owed an answer");
}

#[test]
fn probes_and_halves_of_them_keep_no_place() {
    let limits = ConnectionLimits::new(1, 10);
    let at = |seconds| limits.epoch + Duration::from_secs(seconds);
    let enter = |seconds| limits.take(address("192.0.2.1"), at(seconds), CancellationToken::new());
    let check = |stages: &[fn(&Place, Instant)], evicted: bool| {
        let place = enter(0).unwrap();
        place.busy();
        for (stage, seconds) in stages.iter().zip(10..) {
            stage(&place, at(seconds));
        }
        let last = 9 + u64::try_from(stages.len()).unwrap();
        assert_eq!(enter(last).is_ok(), evicted, "{} stages", stages.len());
        assert_eq!(place.is_evicted(), evicted);
        limits.lock().last_search = None;
    };
    check(&[Place::idle], false);
    check(&[Place::idle, Place::begun, Place::idle], true);
    check(&[Place::begun, Place::idle, Place::begun], true);
    check(&[Place::idle, Place::idle, Place::begun], false);
    check(&[Place::begun, |place, _| place.busy(), Place::begun], false);
}

#[test]
fn a_stage_is_told_by_its_number() {
    for since_ms in [0, 1, 2_000, u64::MAX >> 2] {
        for stage in [Stage::Idle { since_ms }, Stage::Begun { since_ms }, Stage::Busy] {
            assert_eq!(Stage::from_number(stage.number()), stage);
        }
    }
}

#[test]
fn an_address_past_its_own_limit_pushes_nobody_out() {
    let limits = ConnectionLimits::new(2, 1);
    let later = limits.epoch + Duration::from_secs(60);
    let first = take(&limits, address("192.0.2.1")).unwrap();
    let second = take(&limits, address("192.0.2.2")).unwrap();
    let refused = limits.take(address("192.0.2.2"), later, CancellationToken::new());
    assert_eq!(refused.unwrap_err(), Exceeded::PerAddress);
    assert!(!first.is_evicted() && !second.is_evicted());
}

#[test]
fn a_flood_of_newcomers_searches_now_and_then() {
    let limits = ConnectionLimits::new(1, 10);
    let later = limits.epoch + Duration::from_secs(60);
    let place = take(&limits, address("192.0.2.1")).unwrap();
    place.busy();
    let enter = |now| limits.take(address("192.0.2.1"), now, CancellationToken::new());
    assert!(enter(later).is_err());
    place.idle(limits.epoch);
    assert!(enter(later).is_err(), "the last search was this very moment");
    assert!(enter(later + SEARCH_PAUSE).is_ok());
}

#[test]
fn more_idle_connections_than_one_search_finds_leave_oldest_first() {
    let count = SEARCH_FINDS_AT_MOST * 2;
    let limits = ConnectionLimits::new(count, count * 3);
    let at = |index: usize| limits.epoch + Duration::from_millis(u64::try_from(index).unwrap());
    let enter = |now| limits.take(address("192.0.2.1"), now, CancellationToken::new()).unwrap();
    let idle: Vec<Place> = (0..count).map(|index| enter(at(index))).collect();
    let mut newcomers = Vec::new();
    for evicted in 0..count {
        newcomers.push(enter(at(3_600_000 + evicted * 50)));
        let gone = idle.iter().filter(|place| place.is_evicted()).count();
        assert_eq!(gone, evicted + 1);
        assert!(idle[evicted].is_evicted());
    }
}

#[test]
fn a_reason_writes_so_many_lines_a_second() {
    let limiter = LogLimiter::default();
    let start = Instant::now();
    for line in 0..MAX_LOG_LINES_PER_SECOND {
        assert_eq!(limiter.admit("a", start), Some(0), "line {line}");
    }
    assert_eq!(limiter.admit("a", start), None);
    assert_eq!(limiter.admit("a", start + Duration::from_millis(999)), None);
    assert_eq!(limiter.admit("b", start), Some(0), "another reason has lines of its own");
    assert_eq!(limiter.admit("a", start + Duration::from_secs(1)), Some(2));
    assert_eq!(limiter.admit("a", start + Duration::from_secs(1)), Some(0));
}

#[test]
fn the_tail_of_a_burst_is_told_once() {
    let limiter = LogLimiter::default();
    let start = Instant::now();
    for _ in 0..MAX_LOG_LINES_PER_SECOND + 3 {
        limiter.admit("a", start);
    }
    limiter.admit("b", start);
    let age = Duration::from_secs(2);
    assert_eq!(limiter.take_left_out(age, start + Duration::from_millis(1999)), []);
    assert_eq!(limiter.take_left_out(age, start + age), [("a", 3)]);
    assert_eq!(limiter.take_left_out(age, start + age), []);
    assert_eq!(limiter.admit("a", start + age), Some(0), "it is not told twice");
}
