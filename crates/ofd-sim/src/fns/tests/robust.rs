//! Whatever comes is answered and never ends the simulator.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

use super::*;

/// Runs the cases against one simulator.
fn cases<S: Strategy>(
    strategy: S,
    test: impl Fn(&Runtime, &mut Stand, S::Value) -> Result<(), TestCaseError>,
) {
    let runtime = Runtime::new().unwrap();
    let stand = std::cell::RefCell::new(runtime.block_on(Stand::new()));
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) });
    let done = runner.run(&strategy, |value| test(&runtime, &mut stand.borrow_mut(), value));
    done.unwrap();
    let mut stand = stand.into_inner();
    let alive = runtime.block_on(stand.main.get("/v1/ping"));
    assert_eq!(alive.status, 200);
}

#[test]
fn any_body_of_a_batch_is_answered() {
    cases("\\PC{0,200}", |runtime, stand, body| {
        let reply = runtime.block_on(stand.main.batch(&new_id(), &body));
        prop_assert!(matches!(reply.status, 400 | 422), "{:?}", reply);
        Ok(())
    });
}

#[test]
fn a_batch_damaged_anywhere_is_answered() {
    let life = opened(10, 1);
    let items: Vec<String> = life.iter().map(|made| made.item().text()).collect();
    let id = new_id();
    let body = batch_of(&id, &items);
    cases((0..body.len(), any::<u8>()), |runtime, stand, (place, byte)| {
        let mut bytes = body.clone().into_bytes();
        bytes[place] = byte;
        let headers = [("content-type", "application/json"), ("idempotency-key", id.as_str())];
        let reply = runtime
            .block_on(stand.main.request("POST", "/v1/ofds/ofd1/documents", &headers, &bytes))
            .unwrap();
        prop_assert!(matches!(reply.status, 202 | 400 | 409 | 422), "{:?}", reply);
        Ok(())
    });
}

#[test]
fn raw_data_damaged_anywhere_is_answered() {
    let made = opened(10, 1).pop().unwrap();
    cases((0..made.bytes.len(), any::<u8>()), |runtime, stand, (place, byte)| {
        let mut spoiled = made.clone();
        spoiled.bytes[place] = byte;
        // The operator makes an honest envelope of what it has, as far as it can be read at all.
        let Ok(document) = Document::decode(&spoiled.bytes) else { return Ok(()) };
        let json =
            serde_json::to_string(&FnsJson::new(&document, Some(spoiled.sign), Names::Modern)).unwrap();
        let item = Item {
            sha256: spoiled.sha256(),
            document: json,
            version: document.version().as_str().to_owned(),
            ..made.item()
        };
        let reply = runtime.block_on(stand.send_items(&[item.text()]));
        prop_assert_eq!(reply.status, 202, "{:?}", reply);
        Ok(())
    });
}

#[test]
fn any_body_of_the_other_endpoints_is_answered() {
    const PATHS: [&str; 9] = [
        "/v1/ofds/ofd1/applications",
        "/v1/kkts/1/registration-report",
        "/sim/kkts",
        "/sim/kkts/1/card",
        "/sim/applications/A-1/decide",
        "/sim/registration-refused",
        "/sim/deregister",
        "/sim/verdicts",
        "/cabinet",
    ];
    let body = prop_oneof![
        "\\PC{0,60}",
        r#"\{"(rnm|docKey|inn|at|codes|kind)":("\PC{0,8}"|[0-9]{1,20}|null|\[\])\}"#
    ];
    cases((0..PATHS.len(), body), |runtime, stand, (path, body)| {
        let client = if path < 2 { &mut stand.main } else { &mut stand.control };
        let reply = runtime.block_on(client.send("POST", PATHS[path], &body));
        prop_assert!((400..500).contains(&reply.status), "{:?}", reply);
        Ok(())
    });
}

#[test]
fn any_query_of_the_feed_is_answered() {
    cases("[a-z0-9=&%+-]{0,40}", |runtime, stand, query| {
        let reply = runtime.block_on(stand.main.get(&format!("/v1/ofds/ofd1/events?wait=0&{query}")));
        prop_assert!(matches!(reply.status, 200 | 400 | 410), "{:?}", reply);
        Ok(())
    });
}
