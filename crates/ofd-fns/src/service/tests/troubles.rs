//! A tax service that is well on the whole, and not with everything.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_document_over_which_the_service_fails_holds_up_only_its_storage() {
    let broken = Arc::new(Mutex::new(true));
    let switch = Arc::clone(&broken);
    let poison = format!("{A}-3");
    let bench =
        Bench::new(move |_, batch| match *switch.lock().unwrap() && batch.documents.contains(&poison) {
            true => Reply::Refuse("500 Internal Server Error"),
            false => Reply::Accept,
        })
        .await;
    let others: Vec<String> = (0..20).map(|number| format!("87100002{number:08}")).collect();
    bench.receive(A, 1..=5).await;
    for number in &others {
        bench.receive(number, 1..=4).await;
    }
    let running = bench.run().await;
    bench.until(OutboxState::Delivered, 82).await;
    for number in &others {
        bench.receive(number, 5..=6).await;
    }
    bench.until(OutboxState::Delivered, 122).await;
    *broken.lock().unwrap() = false;
    bench.until(OutboxState::Delivered, 125).await;
    bench.until(OutboxState::Dead, 0).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_cannot_be_told_holds_up_no_other() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    bench.tax.has(&status_page(1), "not a status".to_owned());
    for number in 2..=3 {
        bench.tax.has(&status_page(number), accepted());
    }
    bench.receive(A, 1..=3).await;
    let config = FnsConfig { status_after_s: 1, status_retry_s: 1, ..bench.config.clone() };
    let running = bench.run_with(config).await;
    bench.until(OutboxState::Accepted, 2).await;
    wait_for(|| bench.tax.times_asked(&status_page(1)) > 1).await;
    bench.tax.has(&status_page(1), accepted());
    bench.until(OutboxState::Accepted, 3).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_does_not_wait_for_news_is_not_asked_without_pause() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    let asked: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = Arc::clone(&asked);
    *bench.tax.feed.lock().unwrap() = Box::new(move |after| {
        noted.lock().unwrap().push(Instant::now());
        ("200 OK", no_events(after.unwrap_or("0")))
    });
    let running = bench.run_with(FnsConfig { events_wait_s: 20, ..bench.config.clone() }).await;
    wait_for(|| asked.lock().unwrap().len() >= 4).await;
    running.end().await;
    let asked = asked.lock().unwrap();
    assert!(asked[3] - asked[0] >= Duration::from_secs(1), "{asked:?}");
}
