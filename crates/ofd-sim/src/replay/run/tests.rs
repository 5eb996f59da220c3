use std::time::Duration;

use super::*;
use crate::load::LoadMode;
use crate::replay::{CapturedFlow, Shape, Speed, plan, read_capture};
use crate::test_operator::{TestOperator, Trick};

fn stream(name: &str) -> Vec<CapturedFlow> {
    let path = format!("{}/../../proto-fixtures/streams/{name}", env!("CARGO_MANIFEST_DIR"));
    read_capture(std::fs::File::open(path).unwrap()).unwrap().flows
}

/// Documents of a recording, repeats left out.
fn distinct(flows: &[CapturedFlow]) -> usize {
    let names: std::collections::BTreeSet<String> = documents(flows).collect();
    names.len()
}

fn documents(flows: &[CapturedFlow]) -> impl Iterator<Item = String> {
    let all = flows.iter().flat_map(|flow| &flow.exchanges);
    all.filter(|exchange| !exchange.message.header.is_probe()).map(|exchange| name(&exchange.message))
}

async fn replay(
    operator: &TestOperator,
    flows: Vec<CapturedFlow>,
    shape: Shape,
    speed: Speed,
) -> ReplayReport {
    let options = ReplayOptions {
        to: operator.address,
        patience: Duration::from_secs(20),
        keys: Some(Arc::new(SimKeys::published())),
    };
    let plan = plan(flows, shape, speed, usize::MAX);
    run(plan, options, Arc::default(), CancellationToken::new()).await
}

#[tokio::test]
async fn every_shape_brings_every_document_and_keeps_the_order_of_storages() {
    let flows = stream("live.pcap");
    let messages = u64::try_from(documents(&flows).count()).unwrap();
    for shape in [
        Shape::Captured,
        Shape::Mode(LoadMode::Persistent),
        Shape::Mode(LoadMode::PerDocument),
        Shape::Mode(LoadMode::Window(4)),
    ] {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let operator = TestOperator::with({
            let seen = Arc::clone(&seen);
            move |fd, before| {
                seen.lock().unwrap().push((fd.get(), before));
                Trick::Honest
            }
        })
        .await;
        let report = replay(&operator, flows.clone(), shape, Speed::Unlimited).await;
        assert!(report.is_clean(), "{shape:?}: {:?}", report.problems);
        assert_eq!((report.sent, report.documents), (messages, messages), "{shape:?}");
        assert_eq!(report.codes.get(&0), Some(&messages));
        // The test operator has an INN of its own; its codes are those of the recording.
        assert_eq!((report.other_bytes, report.other_code), (messages, 0));
        assert_eq!(operator.kept().len(), distinct(&flows));
        // A document met for the first time follows the one before it.
        let mut last = std::collections::BTreeMap::new();
        let news: Vec<u32> =
            seen.lock().unwrap().iter().filter(|(_, before)| *before == 0).map(|(fd, _)| *fd).collect();
        for fd in news {
            // Two registers take turns: each number comes once from each, and never before its predecessor.
            let count = last.entry(fd).or_insert(0);
            *count += 1;
            let predecessors = if fd == 1 { 2 } else { last[&(fd - 1)] };
            assert!(last[&fd] <= predecessors, "{shape:?}: ФД {fd} came early");
        }
    }
}

#[tokio::test]
async fn original_timing_is_kept() {
    let flows = stream("live.pcap");
    let span = plan(flows.clone(), Shape::Captured, Speed::Unlimited, usize::MAX).span;
    let operator = TestOperator::honest().await;
    let report = replay(&operator, flows, Shape::Captured, Speed::Times(1.0)).await;
    assert!(report.is_clean(), "{:?}", report.problems);
    assert!(report.seconds >= span.as_secs_f64(), "{} < {span:?}", report.seconds);
}

#[tokio::test]
async fn connections_are_as_captured() {
    let flows = stream("live.pcap");
    let connections = u64::try_from(flows.len()).unwrap();
    let operator = TestOperator::honest().await;
    let report = replay(&operator, flows, Shape::Captured, Speed::Unlimited).await;
    assert_eq!((report.connections, report.reconnects), (connections, 0));
}

#[tokio::test]
async fn missing_and_wrong_answers_are_counted_and_the_rest_goes_on() {
    let check = |trick: Trick, expected: fn(&ReplayReport) -> (u64, u64, u64)| async move {
        let flows = stream("live.pcap");
        let messages = u64::try_from(documents(&flows).count()).unwrap();
        let operator =
            TestOperator::with(move |fd, _| if fd.get() == 4 { trick } else { Trick::Honest }).await;
        let options = ReplayOptions {
            to: operator.address,
            // Only for the silent one; every other answer of this operator comes at once.
            patience: Duration::from_secs(if trick == Trick::Silent { 2 } else { 20 }),
            keys: Some(Arc::new(SimKeys::published())),
        };
        let plan = plan(flows, Shape::Captured, Speed::Unlimited, usize::MAX);
        let report = run(plan, options, Arc::default(), CancellationToken::new()).await;
        assert!(!report.is_clean(), "{trick:?}");
        let (bad, documents, reconnects) = expected(&report);
        assert!(bad >= 2, "{trick:?}: {report:?}");
        assert_eq!(report.sent, messages, "{trick:?}");
        assert_eq!(documents + report.missing + report.wrong, messages, "{trick:?}");
        assert!(!report.problems.is_empty());
        assert_eq!(reconnects > 0, matches!(trick, Trick::Close | Trick::Silent), "{trick:?}");
    };
    check(Trick::Close, |report| (report.missing, report.documents, report.reconnects)).await;
    check(Trick::Silent, |report| (report.missing, report.documents, report.reconnects)).await;
    check(Trick::WrongSign, |report| (report.wrong, report.documents, report.reconnects)).await;
    check(Trick::WrongFdNumber, |report| (report.wrong, report.documents, report.reconnects)).await;
    check(Trick::Code(14), |report| (report.other_code, report.documents, report.reconnects)).await;
}

#[tokio::test]
async fn nobody_listens() {
    // A port that was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    drop(listener);
    let flows = stream("live.pcap");
    let messages = u64::try_from(documents(&flows).count()).unwrap();
    let options = ReplayOptions { to, patience: Duration::from_secs(20), keys: None };
    let plan = plan(flows, Shape::Captured, Speed::Unlimited, usize::MAX);
    let report = run(plan, options, Arc::default(), CancellationToken::new()).await;
    assert_eq!((report.missing, report.sent, report.documents), (messages, 0, 0));
    assert!(report.problems[0].contains("no connection"), "{:?}", report.problems);
}

#[tokio::test]
async fn a_cancelled_replay_ends_and_says_so() {
    let operator = TestOperator::honest().await;
    let options = ReplayOptions { to: operator.address, patience: Duration::from_secs(20), keys: None };
    let plan = plan(stream("live.pcap"), Shape::Captured, Speed::Times(0.001), usize::MAX);
    let token = CancellationToken::new();
    token.cancel();
    let report = run(plan, options, Arc::default(), token).await;
    assert!(report.interrupted && !report.is_clean());
}
