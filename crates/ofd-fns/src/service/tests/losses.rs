//! Events, documents and cards that got lost on the way, and what is told meanwhile.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_come_by_the_feed_also_when_its_beginning_is_gone() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    let ticket = |number: u32, cursor: &str| {
        format!(
            r#"{{"events":[{{"id":"E{number}","type":"ticket","at":"2026-11-22T00:00:00Z","docKey":"{A}-{number}",
                "ticketId":"T-{A}-{number}","verdict":"accepted","codes":[]}}],"cursor":"{cursor}","more":true}}"#
        )
    };
    let seen = Arc::clone(&bench.tax.seen);
    let mut expired = false;
    *bench.tax.feed.lock().unwrap() = Box::new(move |after| {
        let sent = !seen.lock().unwrap().is_empty();
        match after {
            None if expired => ("200 OK", ticket(2, "9")),
            None => ("200 OK", no_events("0")),
            Some("0") if sent => ("200 OK", ticket(1, "5")),
            Some("5") => {
                expired = true;
                ("410 Gone", r#"{"code":"CURSOR_EXPIRED"}"#.to_owned())
            }
            Some(cursor) => ("200 OK", no_events(cursor)),
        }
    });
    bench.tax.has(&status_page(3), r#"{"docKey":""}"#.to_owned());
    bench.receive(A, 1..=3).await;
    let running = bench.run().await;
    bench.until(OutboxState::Accepted, 2).await;
    bench.until(OutboxState::Delivered, 1).await;
    running.end().await;
    assert_eq!(bench.registration().1, [TaskKind::EventsLost]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_events_were_lost_every_document_and_every_register_is_asked_for() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    for number in 1..=3 {
        bench.tax.has(&status_page(number), accepted());
    }
    bench.tax.has(&card_page(), card());
    let (seen, feed) = (Arc::clone(&bench.tax.seen), Arc::clone(&bench.tax.feed));
    *feed.lock().unwrap() = Box::new(move |after| match after {
        Some("0") if !seen.lock().unwrap().is_empty() => ("200 OK", ticket(2, "soft", "5")),
        after => ("200 OK", no_events(after.unwrap_or("0"))),
    });
    bench.receive_report(A).await;
    bench.receive(A, 2..=3).await;
    let running = bench.run().await;
    bench.until(OutboxState::Soft, 1).await;
    bench.until(OutboxState::Delivered, 2).await;
    running.end().await;
    assert_eq!((bench.tax.times_asked(&card_page()), bench.registration().1), (0, vec![]));

    // The verdicts and the card came while nobody listened, and are forgotten by now.
    *feed.lock().unwrap() = Box::new(|after| match after {
        Some("5") => ("410 Gone", r#"{"code":"CURSOR_EXPIRED"}"#.to_owned()),
        after => ("200 OK", no_events(after.unwrap_or("9"))),
    });
    let running = bench.run().await;
    bench.until(OutboxState::Accepted, 3).await;
    wait_for(|| bench.registration().0 == Some(RegistrationState::Linked)).await;
    let registry = Registry::open(&url(&bench.folder)).unwrap();
    wait_for(|| registry.recalled_cards().unwrap().is_none()).await;
    running.end().await;
    assert_eq!(bench.registration().1, [TaskKind::EventsLost]);
    assert_eq!(bench.tax.times_asked(&card_page()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_asked_for_before_a_person_is_bothered() {
    let check = async |has_card: bool, expected: RegistrationState, tasks: &[TaskKind]| {
        let mut bench = Bench::new(|_, _| Reply::Accept).await;
        bench.periods.t_card_s = 1;
        if has_card {
            bench.tax.has(&card_page(), card());
        }
        let seen = Arc::clone(&bench.tax.seen);
        *bench.tax.feed.lock().unwrap() = Box::new(move |after| match after {
            Some("0") if !seen.lock().unwrap().is_empty() => ("200 OK", ticket(1, "accepted", "5")),
            after => ("200 OK", no_events(after.unwrap_or("0"))),
        });
        bench.receive_report(A).await;
        let running = bench.run().await;
        wait_for(|| bench.registration().0 == Some(expected)).await;
        running.end().await;
        assert_eq!((bench.registration().1.as_slice(), bench.tax.times_asked(&card_page())), (tasks, 1));
    };
    check(true, RegistrationState::Linked, &[]).await;
    check(false, RegistrationState::AwaitingManualCompletion, &[TaskKind::ManualCompletion]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tax_service_has_lost_is_sent_again() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    bench.receive(A, 1..=1).await;
    let config = FnsConfig { status_after_s: 1, status_again_s: 1, ..bench.config.clone() };
    let running = bench.run_with(config).await;
    wait_for(|| bench.tax.seen().len() == 2).await;
    bench.tax.has(&status_page(1), accepted());
    bench.until(OutboxState::Accepted, 1).await;
    running.end().await;
    let seen = bench.tax.seen();
    assert_eq!(seen[0].documents, seen[1].documents);
    assert_ne!(seen[0].key, seen[1].key);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_the_feed_grows_while_it_fails() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    *bench.tax.feed.lock().unwrap() = Box::new(|_| ("503 Service Unavailable", "{}".to_owned()));
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    // So long a pause that only something beside the reader can tell the age.
    let config = FnsConfig { retry_base_ms: 300_000, retry_cap_s: 300, ..bench.config.clone() };
    let running = bench.run_counted(config, Some(recorder)).await;
    wait_for(|| gauge(&metrics, "fns_events_cursor_age_seconds") > 2.0).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn depths_are_told_also_where_nothing_is_sent() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    bench.receive(A, 1..=3).await;
    bench.receive_unknown(B).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let running = bench.run_counted(FnsConfig::default(), Some(recorder)).await;
    wait_for(|| gauge(&metrics, "fns_outbox_backlog_documents") == 4.0).await;
    assert_eq!(gauge(&metrics, "fns_outbox_oldest_age_seconds"), 0.0);
    running.end().await;
    // With one the document of the unknown storage waits, and says so.
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let running = bench.run_counted(bench.config.clone(), Some(recorder)).await;
    bench.until(OutboxState::Delivered, 3).await;
    wait_for(|| gauge(&metrics, "fns_outbox_depth{state=\"waiting\"}") == 1.0).await;
    running.end().await;
}
