//! The snapshot: a restart changes nothing that an operator can see.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let options = || {
        let mut options = FnsSimOptions {
            snapshot: Some(folder.path().join("state.jsonl")),
            keep_bodies: true,
            ..FnsSimOptions::default()
        };
        options.config.auto_card = false;
        options
    };
    let mut stand = Stand::with(options()).await;
    let life = whole_life(10, FfdVersion::V1_2);
    stand.receive(&life[..10]).await;
    // A storage that began again.
    let again = |seed| {
        let mut kkt = register(storage(50), FfdVersion::V1_2, seed);
        kkt.register().unwrap();
        kkt.open_shift().unwrap();
        drain(&mut kkt)
    };
    stand.receive(&again(1)).await;
    stand.receive(&again(2)).await;
    let id = new_id();
    let body = batch_of(&id, &[life[10].item().text()]);
    stand.main.batch(&id, &body).await;
    stand
        .control
        .send("POST", "/sim/verdicts", &json!({ "docKey": life[11].key(), "codes": [507] }).to_string())
        .await;
    stand.configure(json!({ "verdictDelayMs": 86_400_000 })).await;
    let waiting = opened(60, 0);
    stand.receive(&waiting).await;
    let shown = async |stand: &mut Stand| {
        let mut all = Vec::new();
        for path in ["/sim/documents", "/sim/kkts", "/sim/applications"] {
            all.push(stand.control.get(path).await.json());
        }
        all.push(stand.main.get("/v1/ofds/ofd1/events?limit=500").await.json());
        all
    };
    let mut before = shown(&mut stand).await;
    let key = format!("/sim/documents/{}", life[3].key());
    let item = stand.control.get(&key).await.json()["item"].clone();
    assert_eq!(stand.control.send("POST", "/sim/snapshot", "").await.status, 200);
    stand.sim.stop().await.unwrap();

    let mut stand = Stand::with(options()).await;
    // Verdicts that waited are there, as at once; all else is as it was.
    for made in &waiting {
        assert_eq!(stand.verdict(made).await, "soft 901");
    }
    let mut after = shown(&mut stand).await;
    let count = before[3]["events"].as_array().unwrap().len();
    assert_eq!(after[3]["events"].as_array().unwrap()[..count], before[3]["events"].as_array().unwrap()[..]);
    for all in [&mut before, &mut after] {
        let documents = all[0]["documents"].as_array_mut().unwrap();
        documents.retain(|document| document["fn"] != storage(60).as_str());
        all.truncate(3);
    }
    assert_eq!(before, after);
    assert_eq!(stand.control.get(&key).await.json()["item"], item);
    let cursor = stand.main.get(&format!("/v1/ofds/ofd1/events?after={count}")).await;
    assert_eq!(cursor.status, 200);
    assert_eq!(outcomes(&stand.main.batch(&id, &body).await), ["duplicate"]);
    assert_eq!(stand.main.batch(&id, &batch_of(&id, &[life[0].item().text()])).await.status, 409);
    assert_eq!(stand.outcomes(&again(1)).await, ["duplicate"; 2]);
    stand.receive(&life[11..]).await;
    assert_eq!(stand.verdict(&life[11]).await, "hard 507");
    assert_eq!(stand.sim.totals().documents, life.len() + 6);
    // Soft documents are found again when their card comes.
    let path = format!("/v1/kkts/{}/registration-report", waiting[0].rnm());
    let reply = stand.main.send("POST", &path, &waiting[0].typed().to_string()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(stand.verdict(&waiting[1]).await, "accepted");
}

#[tokio::test]
async fn cards_that_waited_come_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = |card_delay_ms| {
        let mut options =
            FnsSimOptions { snapshot: Some(folder.path().join("s")), ..FnsSimOptions::default() };
        options.config.card_delay_ms = card_delay_ms;
        options
    };
    let mut stand = Stand::with(options(86_400_000)).await;
    let life = opened(10, 0);
    stand.receive(&life).await;
    assert_eq!(stand.verdict(&life[1]).await, "soft 901");
    stand.sim.stop().await.unwrap();
    let mut stand = Stand::with(options(0)).await;
    assert_eq!(stand.verdict(&life[1]).await, "accepted");
}

#[tokio::test]
async fn what_is_no_snapshot_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    for (content, reason) in [
        ("{}\n", "line 1"),
        ("{\"key\":[\"a\",\"b\"]}\n", "not a snapshot"),
        (
            "{\"fnsSim\":{\"version\":2,\"forgottenEvents\":0,\"ticketsBefore\":0,\"issued\":0,\"cards\":0,\"counts\":{}}}\n",
            "version 2",
        ),
    ] {
        std::fs::write(&path, content).unwrap();
        let options = FnsSimOptions { snapshot: Some(path.clone()), ..FnsSimOptions::default() };
        let error = FnsSim::start(options).await.unwrap_err();
        assert!(format!("{error:#}").contains(reason), "{error:#}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}
