//! The four dimensions at their edges.

use jiff::SignedDuration;

use super::*;
use crate::registration::bench::{Bench, REPORT, Till, at, fn_number};

fn contract(state: ContractState, stopped: Option<i64>) -> Contract {
    Contract {
        id: 1,
        version: 1,
        number: "1".to_owned(),
        inn: "7702203276".to_owned(),
        state,
        created_at: at(0),
        active_at: None,
        stopped_at: stopped.map(at),
    }
}

fn line(closed: Option<i64>) -> ContractLine {
    ContractLine {
        id: 1,
        version: 1,
        contract_id: 1,
        inn: "7702203276".to_owned(),
        kkt_serial: "2".to_owned(),
        kkt_model: None,
        fn_number: None,
        fn_model: None,
        rnm: None,
        created_at: at(0),
        closed_at: closed.map(at),
    }
}

#[test]
fn the_standing_of_a_contract() {
    let check = |contract: Option<Contract>, closed: Option<i64>, now: i64, expected: &str| {
        let standing = ContractStanding::of(contract.as_ref(), Some(&line(closed)), 100, at(now));
        assert_eq!(standing.name(), expected, "{contract:?} {closed:?} {now}");
    };
    check(None, None, 0, "none");
    check(Some(contract(ContractState::Draft, None)), None, 9, "draft");
    check(Some(contract(ContractState::Active, None)), None, 9, "active");
    check(Some(contract(ContractState::Stopped, Some(10))), None, 10, "grace");
    check(Some(contract(ContractState::Stopped, Some(10))), None, 109, "grace");
    check(Some(contract(ContractState::Stopped, Some(10))), None, 110, "stopped");
    check(Some(contract(ContractState::Active, None)), Some(50), 149, "grace");
    check(Some(contract(ContractState::Active, None)), Some(50), 150, "stopped");
    check(Some(contract(ContractState::Stopped, Some(10))), Some(50), 110, "stopped");
}

#[test]
fn liveness_by_the_newest_document() {
    let check = |age_s: u64, silent_s: u64, expected: &str| {
        let seen = at(0).checked_sub(SignedDuration::from_secs(i64::try_from(age_s).unwrap())).unwrap();
        assert_eq!(Liveness::of(Some(seen), silent_s, at(0)).name(), expected);
    };
    const MONTH: u64 = 30 * DAY_S;
    assert_eq!(Liveness::of(None, MONTH, at(0)).name(), "never");
    check(0, MONTH, "online");
    check(DAY_S - 1, MONTH, "online");
    check(DAY_S, MONTH, "silent_24h");
    check(2 * DAY_S - 1, MONTH, "silent_24h");
    check(2 * DAY_S, MONTH, "silent_48h");
    check(MONTH - 1, MONTH, "silent_48h");
    check(MONTH, MONTH, "silent_30d");
    check(5, 5, "silent_5s");
    // A clock that was set back.
    assert_eq!(Liveness::of(Some(at(10)), 5, at(0)).name(), "online");
}

#[test]
fn the_worst_that_is_known_of_the_fn() {
    let check = |documents: &[Till], expected: &str| {
        let mut bench = Bench::new();
        for document in documents {
            bench.receive(document, 1);
        }
        let found = bench.registry.fn_documents(&fn_number(REPORT.fn_number)).unwrap();
        assert_eq!(FnCondition::of(&found, at(2)).name(), expected);
    };
    let shift = |fd: u32, more: Vec<(u16, Vec<u8>)>| Till { fd, form: 5, more, ..REPORT };
    let days = |days: u16| (tags::KEY_RESOURCE, days.to_le_bytes().to_vec());
    check(&[], "ok");
    check(&[REPORT], "ok");
    check(&[Till { more: vec![days(31)], ..REPORT }], "ok");
    check(&[Till { more: vec![days(30)], ..REPORT }], "expiring_30d");
    check(&[Till { more: vec![days(10)], ..REPORT }, shift(2, vec![days(400)])], "ok");
    check(&[REPORT, shift(2, vec![(MEMORY_ALMOST_FULL, vec![1]), days(3)])], "memory_90");
    check(
        &[REPORT, shift(2, vec![(MEMORY_ALMOST_FULL, vec![1]), (REPLACE_REQUIRED, vec![1])])],
        "replace_required",
    );
    check(&[REPORT, shift(2, vec![(EXHAUSTED, vec![1]), (REPLACE_REQUIRED, vec![1])])], "exhausted");
    check(&[REPORT, shift(2, vec![(EXHAUSTED, vec![1])]), shift(3, vec![(EXHAUSTED, vec![0])])], "ok");
    check(&[REPORT, Till { fd: 9, form: 6, ..REPORT }], "closed");
}

#[test]
fn days_of_the_keys_are_counted_on() {
    let mut bench = Bench::new();
    bench.receive(&Till { more: vec![(tags::KEY_RESOURCE, 40u16.to_le_bytes().to_vec())], ..REPORT }, 0);
    let found = bench.registry.fn_documents(&fn_number(REPORT.fn_number)).unwrap();
    let after_days = |days: i64| FnCondition::of(&found, at(days * 86_400));
    assert_eq!((after_days(9), after_days(10)), (FnCondition::Ok, FnCondition::Expiring30d));
}

#[test]
fn the_worst_of_its_documents() {
    let check = |waiting: u64, soft: u64, hard: u64, expected: &str| {
        assert_eq!(FnsCondition::of(FnsSummary { waiting, soft, hard }).name(), expected);
    };
    check(0, 0, 0, "ok");
    check(3, 0, 0, "waiting");
    check(3, 1, 0, "has_soft");
    check(3, 1, 1, "has_hard");
}
