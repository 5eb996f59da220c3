//! Ways to misbehave.

use std::time::{Duration, Instant};

use super::*;

#[tokio::test]
async fn down_cuts_old_connections_and_new_ones() {
    let mut stand = Stand::new().await;
    assert_eq!(stand.main.get("/v1/ping").await.status, 200);
    stand.configure(serde_json::json!({ "mode": "down" })).await;
    for _ in 0..2 {
        assert!(stand.main.request("GET", "/v1/ping", &[], b"").await.is_err());
    }
    stand.configure(serde_json::json!({ "mode": "ok" })).await;
    assert_eq!(stand.main.get("/v1/ping").await.status, 200);
}

#[tokio::test]
async fn busy_services_say_when_to_come_back() {
    let mut stand = Stand::new().await;
    for (mode, status, code) in [("429", 429, "TOO_MANY_REQUESTS"), ("503", 503, "UNAVAILABLE")] {
        stand.configure(serde_json::json!({ "mode": mode, "retryAfterS": 7 })).await;
        let reply = stand.main.get("/v1/ofds/ofd1/events").await;
        assert_eq!((reply.status, reply.problem().as_str()), (status, code));
        assert_eq!(reply.header("retry-after"), Some("7"));
    }
}

#[tokio::test]
async fn slow_and_late_answers_come() {
    let mut stand = Stand::new().await;
    for change in [
        serde_json::json!({ "mode": "slow", "slowMs": 150 }),
        serde_json::json!({ "mode": "ok", "latencyMs": 150 }),
    ] {
        stand.configure(change).await;
        let begun = Instant::now();
        assert_eq!(stand.main.get("/v1/ping").await.status, 200);
        assert!(begun.elapsed() >= Duration::from_millis(150));
    }
}

#[tokio::test]
async fn a_lost_answer_makes_no_double() {
    let mut stand = Stand::new().await;
    let life = opened(10, 3);
    stand.configure(serde_json::json!({ "mode": "drop_after_accept" })).await;
    let id = new_id();
    let items: Vec<String> = life.iter().map(|made| made.item().text()).collect();
    let body = batch_of(&id, &items);
    for _ in 0..3 {
        assert!(stand.main.try_batch(&id, &body).await.is_err());
    }
    // Other requests are answered.
    assert_eq!(stand.main.get("/v1/ping").await.status, 200);
    stand.configure(serde_json::json!({ "mode": "ok" })).await;
    assert_eq!(outcomes(&stand.main.batch(&id, &body).await), ["duplicate"; 5]);
    let requests = stand.control.get("/sim/requests").await.json();
    assert_eq!((&requests["documents"], &requests["counts"]["answers"]["0"]), (&5.into(), &3.into()));
    let answered: Vec<bool> =
        requests["batches"].as_array().unwrap().iter().map(|batch| batch["answered"] == true).collect();
    assert_eq!(answered, [false, false, false, true]);
}

#[tokio::test]
async fn busy_documents_hold_those_behind_them() {
    let mut stand = Stand::configured(|config| config.fail_rate = 1.0).await;
    let life = opened(20, 4);
    assert_eq!(stand.outcomes(&life).await, ["BUSY"; 6]);
    stand.configure(serde_json::json!({ "failRate": 0.3 })).await;
    let mut rounds = 0;
    loop {
        let outcomes = stand.outcomes(&life).await;
        rounds += 1;
        let busy_from = outcomes.iter().position(|outcome| outcome == "BUSY").unwrap_or(outcomes.len());
        assert!(outcomes[busy_from..].iter().all(|outcome| outcome == "BUSY"), "{outcomes:?}");
        if busy_from == outcomes.len() {
            break;
        }
        assert!(rounds < 10_000, "a third of all documents is refused, not all of them");
    }
    for made in &life {
        assert_eq!(stand.verdict(made).await, "accepted", "no document overtook another");
    }
}

#[tokio::test]
async fn a_poisonous_document_spoils_its_batch() {
    let mut stand = Stand::new().await;
    let life = opened(30, 1);
    stand.configure(serde_json::json!({ "poison": [life[1].key()] })).await;
    let reply = stand.send(&life).await;
    assert_eq!((reply.status, reply.problem().as_str()), (422, "BATCH_INVALID"));
    assert_eq!(stand.outcomes(&life[..1]).await, ["received"]);
    assert_eq!(stand.send(&life[1..2]).await.status, 422);
    assert_eq!(stand.outcomes(&life[2..]).await, ["received"]);
    stand.configure(serde_json::json!({ "poison": [] })).await;
    stand.receive(&life[1..2]).await;
    assert_eq!(stand.verdict(&life[1]).await, "accepted", "it is late by our fault");
}

#[tokio::test]
async fn the_configuration_is_checked() {
    let mut stand = Stand::new().await;
    for body in
        ["", "[]", r#"{"autocard":true}"#, r#"{"failRate":2}"#, r#"{"mode":"up"}"#, r#"{"latencyMs":-1}"#]
    {
        let reply = stand.control.send("PUT", "/sim/config", body).await;
        assert_eq!(reply.status, 422, "{body}");
        reply.problem();
    }
    assert_eq!(stand.sim.config(), SimConfig::default());
    stand.configure(serde_json::json!({ "autoCard": false, "verdictDelayMs": 5 })).await;
    let config = stand.control.get("/sim/config").await.json();
    assert_eq!((&config["autoCard"], &config["verdictDelayMs"]), (&false.into(), &5.into()));
}
