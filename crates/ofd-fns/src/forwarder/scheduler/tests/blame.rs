//! A service that fails over certain documents and is well otherwise, and one that is not well at all.

use std::collections::BTreeMap;

use super::*;
use crate::forwarder::gate::Sign;

/// Runs the service for some hours: it fails over batches with a document of `poison`, until it is `healed`. Gives the
/// moments, in seconds, at which documents were received.
fn deliver(bench: &mut Bench, poison: &[&str], healed: Duration, end: Duration) -> BTreeMap<String, u64> {
    let workers = bench.scheduler.workers.len();
    let mut delivered = BTreeMap::new();
    while bench.now < end && bench.scheduler.len() > 0 {
        bench.sends();
        for worker in 0..workers {
            let sending = bench.scheduler.batch(worker).filter(|batch| batch.phase == Phase::Sending);
            let Some(items) = sending.map(|batch| batch.items.clone()) else { continue };
            let fails = bench.now < healed && items.iter().any(|item| poison.contains(&name(item).as_str()));
            let answer = if fails {
                Err(CallError::refused(Refusal { status: 500, ..Refusal::default() }))
            } else {
                for item in &items {
                    let again = delivered.insert(name(item), bench.now.as_secs());
                    assert_eq!(again, None, "{}", name(item));
                }
                let result = |item: &Item| format!(r#"{{"docKey":"{}","result":"received"}}"#, doc_key(item));
                let results: Vec<String> = items.iter().map(result).collect();
                Ok(serde_json::from_str(&format!(r#"{{"results":[{}]}}"#, results.join(","))).unwrap())
            };
            let effect = bench.scheduler.answered(worker, answer, bench.now, u64::MAX);
            bench.recorded.extend(effect.steps);
        }
        bench.pass(SECOND);
    }
    delivered
}

#[test]
fn a_document_over_which_the_service_fails_holds_up_its_own_lane_only() {
    // Documents; those the service fails over; those that wait for them. All others are there after so many seconds.
    let check = |workers: usize, documents: &str, poison: &[&str], waiting: &[&str], within: u64| {
        let words = format!("{workers} {documents} {poison:?}");
        let mut bench = Bench::with(SchedulerSettings { workers, ..settings() });
        bench.put(documents);
        let hour = Duration::from_secs(3_600);
        let delivered = deliver(&mut bench, poison, hour, 3 * hour);
        for document in documents.split(' ') {
            let at = delivered.get(document).copied();
            let at = at.unwrap_or_else(|| panic!("{words}: {document} is lost: {delivered:?}"));
            if waiting.contains(&document) {
                assert!((3_600..=3_600 + 600).contains(&at), "{words}: {document} at {at}");
            } else {
                assert!(at <= within, "{words}: {document} at {at}");
            }
        }
        let dead = |step: &&Step| matches!(step.kind, StepKind::Dead { .. });
        assert_eq!(bench.recorded.iter().filter(dead).count(), 0, "{words}");
    };
    check(1, "a1 b1", &[], &[], 10);
    check(1, "a1", &["a1"], &["a1"], 0);
    check(1, "a1 b1 c1 d1", &["a1"], &["a1"], 600);
    check(1, "a1 b1 c1 d1", &["d1"], &["d1"], 600);
    check(1, "a1 a2 b1 b2 c1 c2 d1 d2 e1 e2 f1 f2", &["b1"], &["b1", "b2"], 600);
    check(1, "a1 a2 b1 b2 c1 c2 d1 d2 e1 e2 f1 f2", &["b2", "e1"], &["b2", "e1", "e2"], 1_200);
    check(2, "a1 a2 b1 b2 c1 c2 d1 d2 e1 e2 f1 f2", &["b1", "c2"], &["b1", "b2", "c2"], 1_200);
    check(8, "a1 a2 b1 b2 c1 c2 d1 d2 e1 e2 f1 f2", &["b1"], &["b1", "b2"], 600);
}

#[test]
fn a_batch_is_blamed_only_when_others_are_accepted() {
    // Letters: `f` it fails, `a` another one is accepted. How many failures make it be taken apart?
    let check = |happens: &str, split: bool| {
        let mut bench = Bench::with(SchedulerSettings {
            gate: GateSettings { failures: 1_000, ..settings().gate },
            ..settings()
        });
        bench.put("a1 b1");
        assert_eq!(bench.pass(SECOND).sent().as_deref(), Some("a1 b1"));
        let id = bench.scheduler.batch(0).unwrap().id;
        let mut was_split = false;
        for letter in happens.chars() {
            match letter {
                'a' => bench.scheduler.accepted += 1,
                _ => {
                    was_split = bench.down().split;
                    bench.pass(Duration::from_secs(300)).sent();
                }
            }
        }
        assert_eq!(was_split, split, "{happens}");
        assert_eq!(bench.scheduler.batch(0).unwrap().id == id, !split, "{happens}");
    };
    check("f", false);
    check("af", false);
    check("ffffffff", false);
    check("aaaaaaaaf", false);
    check("fafafafafaf", false);
    check("afafafafafaf", true);
    check("fafafafffffafaf", false);
    check("fafafafffffafafaf", true);
}

#[test]
fn a_parked_document_goes_alone_and_does_not_open_the_breaker() {
    let mut bench = Bench::new();
    bench.put("a1");
    bench.pass(SECOND).sent();
    for _ in 0..3 {
        bench.scheduler.accepted += 1;
        bench.down();
        assert_eq!(bench.pass(Duration::from_secs(300)).sent().as_deref(), Some("a1"));
    }
    bench.put("b1");
    // The others were accepted all the time.
    for _ in 0..3 {
        bench.scheduler.gate.answered(Sign::Alive, false, None, bench.now);
        bench.scheduler.accepted += 1;
        let parked = bench.down().parked.map(|item| name(&item));
        if parked.is_some() {
            assert_eq!(parked.as_deref(), Some("a1"));
            break;
        }
        assert_eq!(bench.pass(Duration::from_secs(300)).sent().as_deref(), Some("a1"));
    }
    assert_eq!(bench.sent().as_deref(), Some("b1"));
    bench.results("r");
    for _ in 0..20 {
        bench.put("a2");
        assert_eq!(bench.pass(Duration::from_secs(300)).sent().as_deref(), Some("a1"));
        let effect = bench.down();
        assert_eq!((effect.turn, &effect.parked), (None, &None));
        assert!(matches!(effect.steps[0].kind, StepKind::Dissolve { pause: Some(_), .. }), "{effect:?}");
        assert_eq!(bench.sent(), None);
    }
    assert_eq!(bench.scheduler.breaker(bench.now), BreakerState::Closed);
    assert_eq!(bench.pass(Duration::from_secs(300)).sent().as_deref(), Some("a1"));
    bench.results("r");
    assert_eq!(bench.drain(), ["a2"]);
}
