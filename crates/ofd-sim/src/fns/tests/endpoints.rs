//! Endpoints 2 to 5, 7 to 9, and the feed.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

#[tokio::test]
async fn paths_and_methods_that_do_not_exist() {
    let mut stand = Stand::new().await;
    let mut check = async |method: &str, path: &str, status: u16, code: &str| {
        let reply = stand.main.request(method, path, &[], b"").await.unwrap();
        assert_eq!((reply.status, reply.problem().as_str()), (status, code), "{method} {path}");
    };
    check("GET", "/", 404, "NOT_FOUND").await;
    check("GET", "/v1/ofds/ofd1", 404, "NOT_FOUND").await;
    check("GET", "/v1/ofds/ofd1/documents/", 404, "NOT_FOUND").await;
    check("GET", "/v2/ping", 404, "NOT_FOUND").await;
    check("POST", "/v1/ping", 405, "METHOD_NOT_ALLOWED").await;
    check("GET", "/v1/ofds/ofd1/documents", 405, "METHOD_NOT_ALLOWED").await;
    check("DELETE", "/v1/ofds/ofd1/events", 405, "METHOD_NOT_ALLOWED").await;
    check("GET", "/v1/kkts/1/registration-report", 405, "METHOD_NOT_ALLOWED").await;
    check("GET", "/v1/ofds/ofd2/events", 403, "OFD_MISMATCH").await;
    check("GET", "/v1/ofds/ofd1/fss/9999000000000001/documents/1", 404, "UNKNOWN_DOCUMENT").await;
    check("GET", "/v1/ofds/ofd1/fss/x/documents/y", 404, "UNKNOWN_DOCUMENT").await;
    check("GET", "/v1/ofds/ofd1/applications/A-1", 404, "UNKNOWN_APPLICATION").await;
    check("GET", "/v1/ofds/ofd1/applications/A-0", 404, "UNKNOWN_APPLICATION").await;
    check("GET", "/v1/ofds/ofd1/kkts/1", 404, "UNKNOWN_RNM").await;
    check("GET", "/v1/ofds/ofd1/kkts/1/card", 404, "NO_CARD").await;
    check("GET", "/v1/ofds/ofd1/events?limit=0", 400, "PARAMETER_INVALID").await;
    check("GET", "/v1/ofds/ofd1/events?limit=501", 400, "PARAMETER_INVALID").await;
    check("GET", "/v1/ofds/ofd1/events?wait=31", 400, "PARAMETER_INVALID").await;
    check("GET", "/v1/ofds/ofd1/events?after=x", 410, "CURSOR_EXPIRED").await;
    check("GET", "/v1/ofds/ofd1/events?after=1", 410, "CURSOR_EXPIRED").await;
    let reply = stand.main.get("/v1/ping").await;
    assert!(reply.header("x-request-id").unwrap().starts_with("R-"));
    assert!(reply.json()["time"].as_str().unwrap().ends_with('Z') && reply.json()["version"].is_string());
}

#[tokio::test]
async fn the_feed_is_paged_and_waits_for_news() {
    let mut stand = Stand::new().await;
    let empty = stand.main.get("/v1/ofds/ofd1/events").await.json();
    assert_eq!(empty, json!({ "events": [], "cursor": "0", "more": false }));
    let life = opened(10, 2);
    stand.receive(&life).await;
    let page = stand.main.get("/v1/ofds/ofd1/events?limit=2").await.json();
    assert_eq!(
        (&page["cursor"], &page["more"], &page["events"][0]["id"]),
        (&"2".into(), &true.into(), &"E1".into())
    );
    let rest = stand.main.get("/v1/ofds/ofd1/events?after=2&limit=500&wait=30").await.json();
    assert_eq!((rest["events"].as_array().unwrap().len(), &rest["cursor"]), (4, &"6".into()));
    let begun = Instant::now();
    let nothing = stand.main.get("/v1/ofds/ofd1/events?after=6&wait=1").await.json();
    assert_eq!(nothing, json!({ "events": [], "cursor": "6", "more": false }));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let mut waiting = Client::plain(stand.sim.address());
    let polled = tokio::spawn(async move { waiting.get("/v1/ofds/ofd1/events?after=6&wait=30").await });
    let polls = async |stand: &mut Stand| {
        stand.control.get("/sim/requests").await.json()["counts"]["eventPolls"].as_u64()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while polls(&mut stand).await < Some(5) {
        assert!(Instant::now() < deadline, "the long poll did not arrive");
    }
    stand.receive(&opened(11, 0)).await;
    let page = polled.await.unwrap().json();
    assert_eq!(page["events"][0]["type"], "ticket");
}

#[tokio::test]
async fn forgotten_events_are_gone() {
    let mut stand = Stand::configured(|config| config.retention_s = 0).await;
    stand.receive(&opened(10, 0)).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let reply = stand.main.get("/v1/ofds/ofd1/events?after=0").await;
        if reply.status == 410 {
            assert_eq!(reply.problem(), "CURSOR_EXPIRED");
            break;
        }
        assert!(Instant::now() < deadline, "nothing was forgotten");
    }
    let page = stand.main.get("/v1/ofds/ofd1/events").await.json();
    assert_eq!(page, json!({ "events": [], "cursor": "4", "more": false }));
    assert_eq!(stand.main.get("/v1/ofds/ofd1/events?after=4").await.status, 200);
}

#[tokio::test]
async fn verdicts_and_cards_take_their_time() {
    let mut stand = Stand::configured(|config| {
        config.verdict_delay_ms = 86_400_000;
        config.card_delay_ms = 0;
    })
    .await;
    let life = opened(10, 0);
    stand.receive(&life).await;
    assert_eq!(stand.verdict(&life[0]).await, "waiting");
    // The card comes before the ticket.
    assert_eq!(stand.events().await, [format!("registrationCard {}", life[0].rnm())]);
    stand.configure(json!({ "verdictDelayMs": 30, "cardDelayMs": 86_400_000 })).await;
    let other = opened(11, 0);
    stand.receive(&other).await;
    let page = stand.main.get("/v1/ofds/ofd1/events?after=1&wait=30").await.json();
    assert_eq!(event_line(&page["events"][0]), format!("{} soft 901", other[0].key()));
}

fn application(change: impl FnOnce(&mut Value)) -> String {
    let mut application = json!({
        "knd": "1110061", "kind": "registration",
        "user": { "inn": "7702203276", "kpp": "770201001", "name": "ООО РАПКАТ-центр" },
        "kkt": { "model": "Модель", "serial": "000000000002" },
        "fn": { "model": "ФН-1.2", "serial": "9999078900005488" },
        "place": { "addressFias": null, "address": "Москва", "name": "Касса" },
        "ofd": { "inn": "7704358518", "name": "ОФД" },
        "modes": { "service": true, "automatNumber": null },
        "taxOffice": "7702", "signer": { "name": "И. И. Иванов", "position": "директор" },
        "xmlBase64": null, "signatureBase64": null
    });
    change(&mut application);
    application.to_string()
}

const APPLICATIONS: &str = "/v1/ofds/ofd1/applications";

#[tokio::test]
async fn applications_are_checked_accepted_and_refused() {
    let mut stand = Stand::configured(|config| config.auto_applications = false).await;
    let mut bad = async |change: fn(&mut Value), field: &str| {
        let reply = stand.main.send("POST", APPLICATIONS, &application(change)).await;
        assert_eq!((reply.status, reply.problem().as_str()), (422, "APPLICATION_INVALID"));
        let fields: Vec<Value> =
            reply.json()["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
        assert_eq!(fields, [field]);
    };
    bad(|application| application["kind"] = "sale".into(), "kind").await;
    bad(|application| application["knd"] = "1110062".into(), "knd").await;
    bad(|application| application["user"]["inn"] = "77".into(), "user.inn").await;
    bad(|application| application["user"]["name"] = " ".into(), "user.name").await;
    bad(|application| application["kkt"]["model"] = "".into(), "kkt.model").await;
    bad(|application| application["kkt"]["serial"] = "".into(), "kkt.serial").await;
    bad(|application| application["fn"]["model"] = Value::Null, "fn.model").await;
    bad(|application| application["fn"]["serial"] = "999907890000548".into(), "fn.serial").await;
    bad(|application| application["ofd"] = json!({}), "ofd.inn").await;
    bad(|application| application["kind"] = "reregistration".into(), "rnm").await;
    assert_eq!(stand.main.send("POST", APPLICATIONS, "{").await.problem(), "BAD_JSON");
    assert_eq!(stand.main.send("POST", APPLICATIONS, "7").await.problem(), "APPLICATION_INVALID");

    let headers = [("content-type", "application/json"), ("idempotency-key", "one")];
    for _ in 0..2 {
        let body = application(|_| ());
        let reply = stand.main.request("POST", APPLICATIONS, &headers, body.as_bytes()).await.unwrap();
        assert_eq!(
            (reply.status, reply.json()),
            (202, json!({ "applicationId": "A-1", "state": "received" }))
        );
    }
    let state = stand.main.get("/v1/ofds/ofd1/applications/A-1").await.json();
    assert_eq!(state, json!({ "applicationId": "A-1", "kind": "registration", "state": "received" }));
    let order = r#"{"decision":"refuse","codes":[{"code":77,"text":"нет"}]}"#;
    assert_eq!(stand.control.send("POST", "/sim/applications/A-1/decide", order).await.status, 200);
    let state = stand.main.get("/v1/ofds/ofd1/applications/A-1").await.json();
    assert_eq!(state["refusal"]["codes"], json!([{ "code": 77, "text": "нет", "path": null }]));
    // A decision stays.
    let order = r#"{"decision":"accept"}"#;
    let again = stand.control.send("POST", "/sim/applications/A-1/decide", order).await.json();
    assert_eq!(again["state"], "refused");
    stand.main.send("POST", APPLICATIONS, &application(|_| ())).await;
    let accepted = stand.control.send("POST", "/sim/applications/A-2/decide", order).await.json();
    let rnm = accepted["rnm"].as_str().unwrap().to_owned();
    assert_eq!(rnm.len(), 16);
    let check = rnm.parse::<ffd::Rnm>().unwrap().verify("7702203276", "000000000002");
    assert_eq!(check, ffd::RnmCheck::Ok);
    assert_eq!(stand.events().await, ["applicationRefused A-1", &format!("applicationAccepted {rnm}")]);
    assert_eq!(stand.main.get(&format!("/v1/ofds/ofd1/kkts/{rnm}")).await.json()["state"], "issued");
    let reply = stand.main.send("POST", APPLICATIONS, &application(|_| ())).await;
    assert_eq!((reply.status, reply.problem().as_str()), (409, "ALREADY_REGISTERED"));
    assert_eq!(stand.control.send("POST", "/sim/applications/A-9/decide", order).await.status, 404);
    assert_eq!(stand.control.send("POST", "/sim/applications/A-2/decide", "{}").await.status, 422);
    assert_eq!(
        stand.control.get("/sim/applications").await.json()["applications"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn applications_are_accepted_by_themselves_and_end_a_registration() {
    let mut stand = Stand::new().await;
    stand.main.send("POST", APPLICATIONS, &application(|_| ())).await;
    let rnm =
        stand.main.get("/v1/ofds/ofd1/applications/A-1").await.json()["rnm"].as_str().unwrap().to_owned();
    assert_eq!(rnm, "0000000001".to_owned() + &rnm[10..]);
    let change = |application: &mut Value, kind: &str, knd: &str| {
        application["kind"] = kind.into();
        application["knd"] = knd.into();
        application["rnm"] = rnm.clone().into();
    };
    let body = application(|application| change(application, "reregistration", "1110061"));
    assert_eq!(stand.main.send("POST", APPLICATIONS, &body).await.status, 202);
    let body = application(|application| change(application, "deregistration", "1110062"));
    assert_eq!(stand.main.send("POST", APPLICATIONS, &body).await.status, 202);
    let expected =
        ["applicationAccepted", "applicationAccepted", "applicationAccepted", "deregistrationCard"]
            .map(|kind| format!("{kind} {rnm}"));
    assert_eq!(stand.events().await, expected);
    assert_eq!(stand.main.get(&format!("/v1/ofds/ofd1/kkts/{rnm}")).await.json()["state"], "deregistered");
    // The register is free again.
    assert_eq!(stand.main.send("POST", APPLICATIONS, &application(|_| ())).await.status, 202);
}

#[tokio::test]
async fn the_control_port_shows_what_came() {
    let mut stand = Stand::with(FnsSimOptions { keep_bodies: true, ..FnsSimOptions::default() }).await;
    let life = opened(10, 3);
    stand.receive(&life).await;
    let page = stand.control.get("/sim/documents?limit=2&after=1").await.json();
    assert_eq!((&page["total"], &page["next"]), (&5.into(), &3.into()));
    assert_eq!(page["documents"][0]["docKey"], life[1].key());
    let filtered =
        stand.control.get(&format!("/sim/documents?fn={}&verdict=accepted", storage(10))).await.json();
    assert_eq!(filtered["documents"].as_array().unwrap().len(), 5);
    let filtered = stand.control.get("/sim/documents?verdict=hard").await.json();
    assert_eq!(filtered["documents"].as_array().unwrap().len(), 0);
    let shown = stand.control.get(&format!("/sim/documents/{}", life[3].key())).await.json();
    assert_eq!(shown["item"], life[3].item().text());
    assert_eq!(stand.control.get("/sim/kkts").await.json()["kkts"][0]["rnm"], life[0].rnm());
    assert_eq!(
        stand.control.get(&format!("/sim/kkts/{}", life[0].rnm())).await.json()["state"],
        "registered"
    );
    for path in ["/sim/kkts/1", "/sim/documents/1-1", "/sim/else", "/else"] {
        assert_eq!(stand.control.get(path).await.status, 404, "{path}");
    }
    assert_eq!(stand.control.get("/sim/documents?fn=x").await.problem(), "PARAMETER_INVALID");
    assert_eq!(stand.control.send("POST", "/sim/snapshot", "").await.problem(), "NO_SNAPSHOT_FILE");
    let totals = stand.sim.totals();
    assert_eq!((totals.documents, totals.accepted, totals.registered), (5, 5, 1));

    assert_eq!(stand.control.send("POST", "/sim/reset", "").await.status, 200);
    assert_eq!(stand.control.get("/sim/requests").await.json()["documents"], 0);
    // Old cursors, but the newest, are of another life.
    assert_eq!(stand.main.get("/v1/ofds/ofd1/events?after=1").await.status, 410);
    assert_eq!(stand.outcomes(&life).await, ["received"; 5]);
    let ticket = stand.control.get(&format!("/sim/documents/{}", life[0].key())).await.json();
    assert_eq!(ticket["status"]["ticketId"], "T-0000000000000006");
}

#[tokio::test]
async fn the_control_port_is_not_for_other_sites() {
    let mut stand = Stand::new().await;
    let reply =
        stand.control.request("GET", "/sim/config", &[("sec-fetch-site", "cross-site")], b"").await.unwrap();
    assert_eq!((reply.status, reply.problem().as_str()), (403, "NOT_LOOPBACK"));
}
