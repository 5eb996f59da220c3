//! Leases that somebody else has, and a store that is not there any more.

use std::sync::mpsc;

use ofd_store::{ClaimOrder, HolderId};

use super::*;

/// Somebody holds everything for ten minutes.
fn hold(bench: &Bench, name: &str) -> (Forwarding, HolderId) {
    let mut way = Forwarding::open(&url(&bench.folder)).unwrap();
    let (holder, now) = (HolderId::new(name).unwrap(), jiff::Timestamp::now());
    let until = now + Duration::from_secs(600);
    let order = ClaimOrder { holder: holder.clone(), now, until, lanes: true, registrar: true };
    assert_eq!(way.claim(&order).unwrap().leases.len(), 257);
    (way, holder)
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_a_process_that_has_ended_are_not_waited_for() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    bench.receive(A, 1..=3).await;
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().replace('-', "");
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap().display().to_string();
    let space = space.trim_start_matches("pid:[").trim_end_matches(']');
    hold(&bench, &format!("{}.{space}.{}.1.0", &boot[..16], child.id()));
    let running = bench.run().await;
    bench.until(OutboxState::Delivered, 3).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_said_whose_leases_are_waited_for() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    bench.receive(A, 1..=3).await;
    let (mut way, holder) = hold(&bench, "somebody");
    let config = FnsConfig { lease_s: 4, timeout_s: 2, ..bench.config.clone() };
    let running = bench.run_with(config).await;
    let handle = running.handle.clone();
    let waits = || {
        let trouble = handle.trouble().unwrap_or_default();
        trouble.contains("waits for leases of somebody until ")
    };
    wait_for(waits).await;
    assert_eq!(bench.tax.seen().len(), 0);
    way.leave(&holder).unwrap();
    bench.until(OutboxState::Delivered, 3).await;
    wait_for(|| !waits()).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_ends_when_another_file_is_in_the_place_of_the_store() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    let running = bench.run().await;
    bench.receive(A, 1..=3).await;
    bench.until(OutboxState::Delivered, 3).await;
    let (place, other) = (bench.folder.path().join("fiscald.db"), bench.folder.path().join("other.db"));
    std::fs::copy(&place, &other).unwrap();
    let before = std::fs::read(&other).unwrap();
    std::fs::rename(&other, &place).unwrap();
    let handle = running.handle.clone();
    let ended = tokio::time::timeout(Duration::from_secs(120), running.task).await;
    assert!(!ended.expect("it ends").unwrap(), "not in order");
    assert!(handle.trouble().is_some_and(|words| words.contains("the store is lost")));
    assert_eq!(std::fs::read(&place).unwrap(), before, "nothing is written into it");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the tax service of the test is meant to stand still")]
async fn an_answer_is_recorded_before_its_registers_go_to_another_process() {
    let ((reached, asked), (answer, may_answer)) = (mpsc::channel(), mpsc::channel::<()>());
    let bench = Bench::new(move |_, _| {
        // Both ends are gone when the test has failed.
        let _ = reached.send(());
        let _ = tokio::task::block_in_place(|| may_answer.recv());
        Reply::Accept
    })
    .await;
    bench.receive(A, 1..=3).await;
    // Leases are claimed every second, and the answer may be waited for much longer.
    let config = FnsConfig { lease_s: 62, timeout_s: 60, ..bench.config.clone() };
    let running = bench.run_with(config).await;
    wait_for(|| asked.try_recv().is_ok()).await;
    let mut way = Forwarding::open(&url(&bench.folder)).unwrap();
    let (newcomer, now) = (HolderId::new("newcomer").unwrap(), jiff::Timestamp::now());
    let until = now + Duration::from_secs(600);
    let order = ClaimOrder { holder: newcomer, now, until, lanes: true, registrar: false };
    assert_eq!(way.claim(&order).unwrap().gained, [], "all is held");
    let mut lanes = || way.holdings().unwrap()[0].lanes;
    wait_for(|| lanes() == 129).await;
    drop(answer);
    wait_for(|| lanes() == 128).await;
    let depths = Forwarding::open(&url(&bench.folder)).unwrap().depths().unwrap();
    assert_eq!(depths.of(OutboxState::Delivered), 3, "{depths:?}");
    running.end().await;
}
