//! From the report to the card, by itself and by hand, and every code of the registry.

use serde_json::json;

use super::*;

fn complete_path(rnm: &str) -> String {
    format!("/v1/kkts/{rnm}/registration-report")
}

#[tokio::test]
async fn a_report_makes_its_card_and_lifts_the_soft_quarantine() {
    let mut stand = Stand::configured(|config| config.card_delay_ms = 86_400_000).await;
    let life = opened(10, 1);
    stand.receive(&life).await;
    let soft: Vec<String> = life.iter().map(|made| format!("{} soft 901", made.key())).collect();
    assert_eq!(stand.events().await, soft);
    assert_eq!(
        stand.control.send("POST", &format!("/sim/kkts/{}/card", life[0].rnm()), "").await.status,
        200
    );
    let mut expected = soft;
    expected.push(format!("registrationCard {}", life[0].rnm()));
    expected.extend(life.iter().map(|made| format!("{} accepted", made.key())));
    assert_eq!(stand.events().await, expected);
    let events = stand.main.get("/v1/ofds/ofd1/events").await.json();
    let event = &events["events"][3];
    assert_eq!(event["basis"]["docKey"], life[0].key());
    let card = &event["card"];
    assert_eq!(
        (&card["knd"], &card["rnm"], &card["cardNumber"]),
        (&"1110066".into(), &life[0].rnm().into(), &"SIM-1".into())
    );
    assert_eq!(card["fn"]["serial"], life[0].fn_number.as_str());
    assert_eq!(card["kkt"]["serial"], life[0].text(1013));
    let xml = String::from_utf8(STANDARD.decode(event["xmlBase64"].as_str().unwrap()).unwrap()).unwrap();
    let path = format!("/v1/ofds/ofd1/kkts/{}/card", life[0].rnm());
    let asked = stand.main.request("GET", &path, &[("accept", "application/xml")], b"").await.unwrap();
    assert_eq!((asked.header("content-type"), asked.text()), (Some("application/xml"), xml));
    assert_eq!(stand.main.get(&path).await.json(), *card);
}

#[tokio::test]
async fn december_2016() {
    let mut stand = Stand::configured(|config| config.auto_card = false).await;
    let life = opened(10, 1);
    stand.receive(&life).await;
    let path = complete_path(&life[0].rnm());
    for (name, value) in [
        ("userInn", json!("7702203276")),
        ("reportKind", json!(11)),
        ("dateTime", json!("2017-03-03T11:38")),
        ("fdNumber", json!(2)),
        ("fiscalSign", json!("1")),
        ("fiscalSign", json!("+1")),
        ("fiscalSign", json!("")),
    ] {
        let mut typed = life[0].typed();
        typed[name] = value;
        let reply = stand.main.send("POST", &path, &typed.to_string()).await;
        assert_eq!((reply.status, reply.problem().as_str()), (422, "REPORT_MISMATCH"));
        assert_eq!(reply.json()["errors"][0]["field"], name);
    }
    assert_eq!(stand.main.send("POST", &path, "{").await.problem(), "BAD_JSON");
    assert_eq!(stand.main.send("POST", &path, "{}").await.problem(), "REPORT_MISMATCH");
    let unknown = stand.main.send("POST", &complete_path("1"), &life[0].typed().to_string()).await;
    assert_eq!((unknown.status, unknown.problem().as_str()), (404, "UNKNOWN_RNM"));
    let mut typed = life[0].typed();
    // Leading zeros may be left out.
    typed["fiscalSign"] = typed["fiscalSign"].as_str().unwrap().trim_start_matches('0').into();
    let reply = stand.main.send("POST", &path, &typed.to_string()).await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "state": "registered" })));
    let reply = stand.main.send("POST", &path, &typed.to_string()).await;
    assert_eq!((reply.status, reply.problem().as_str()), (409, "ALREADY_COMPLETED"));
    let events = stand.events().await;
    assert_eq!(
        events[3..],
        [
            format!("registrationCard {}", life[0].rnm()),
            format!("{} accepted", life[0].key()),
            format!("{} accepted", life[1].key()),
            format!("{} accepted", life[2].key()),
        ]
    );
}

#[tokio::test]
async fn switching_the_automatic_card_on_makes_the_cards_that_wait() {
    let mut stand = Stand::configured(|config| config.auto_card = false).await;
    let (first, second) = (opened(10, 0), opened(11, 0));
    stand.receive(&first).await;
    stand.receive(&second).await;
    stand.configure(json!({ "autoCard": true })).await;
    for made in first.iter().chain(&second) {
        assert_eq!(stand.verdict(made).await, "accepted");
    }
}

/// A register that got its number past the operator.
fn seed(report: &Made) -> Value {
    json!({ "rnm": report.rnm(), "inn": report.text(1018), "kktSerial": report.text(1013), "fnSerial": report.fn_number })
}

#[tokio::test]
async fn values_typed_before_the_report_are_checked_when_it_comes() {
    let (right, wrong) = (opened_in(genuine(10), 0), opened_in(genuine(11), 0));
    let mut stand = Stand::configured(|config| config.auto_card = false).await;
    for life in [&right, &wrong] {
        let report = &life[0];
        assert_eq!(stand.control.send("POST", "/sim/kkts", &seed(report).to_string()).await.status, 201);
        // Documents before the report: it is missing, not the card.
        stand.receive(&life[1..]).await;
        assert_eq!(stand.verdict(&life[1]).await, "soft 906");
    }
    assert_eq!(stand.control.send("POST", "/sim/kkts", &seed(&right[0]).to_string()).await.status, 409);
    let typed = right[0].typed();
    assert_eq!(
        stand.main.send("POST", &complete_path(&right[0].rnm()), &typed.to_string()).await.status,
        200
    );
    let mut typed = wrong[0].typed();
    typed["fdNumber"] = 9.into();
    let other_owner = json!({ "userInn": "7702203276" });
    let mut strange = typed.clone();
    strange["userInn"] = other_owner["userInn"].clone();
    let refused = stand.main.send("POST", &complete_path(&wrong[0].rnm()), &strange.to_string()).await;
    assert_eq!(refused.problem(), "REPORT_MISMATCH");
    assert_eq!(
        stand.main.send("POST", &complete_path(&wrong[0].rnm()), &typed.to_string()).await.status,
        200
    );
    stand.configure(json!({ "checkOrder": false })).await;
    stand.receive(&right[..1]).await;
    stand.receive(&wrong[..1]).await;
    assert_eq!(stand.verdict(&right[0]).await, "accepted");
    assert_eq!(stand.verdict(&right[1]).await, "accepted");
    assert_eq!(stand.verdict(&wrong[0]).await, "soft 907");
    let refusal = format!("registrationRefused {} 907", wrong[0].key());
    assert_eq!(stand.events().await.last().unwrap(), &refusal);
}

#[tokio::test]
async fn every_code_of_the_registry() {
    let mut stand = Stand::new().await;
    // 902: nobody ever heard of the register.
    let life = opened_in(genuine(10), 1);
    stand.receive(&life[1..]).await;
    assert_eq!(stand.verdict(&life[1]).await, "soft 902");
    // A late report is behind its shift, so it is hard, and the register stays unknown.
    stand.receive(&life[..1]).await;
    assert_eq!(stand.verdict(&life[0]).await, "hard 911");
    assert_eq!(stand.verdict(&life[1]).await, "soft 902");
    stand.configure(json!({ "checkOrder": false })).await;
    // 904 and 903: the application named another owner, another storage, another register.
    let check = async |stand: &mut Stand, number: u64, member: &str, value: Value, codes: [&str; 2]| {
        let life = opened(number, 0);
        let mut known = seed(&life[0]);
        known[member] = value;
        stand.control.send("POST", "/sim/kkts", &known.to_string()).await;
        stand.receive(&life).await;
        assert_eq!([stand.verdict(&life[0]).await, stand.verdict(&life[1]).await], codes, "{member}");
    };
    check(&mut stand, 20, "inn", json!("7702203276"), ["soft 904 906", "soft 904 906"]).await;
    check(&mut stand, 21, "fnSerial", json!("9999000000099999"), ["soft 903 906", "soft 906"]).await;
    check(&mut stand, 22, "kktSerial", json!("1"), ["soft 903 906", "soft 906"]).await;
    // 903 for a storage that the register never reported, 905 after the end.
    let life = whole_life(30, FfdVersion::V1_2);
    let (old, new): (Vec<Made>, Vec<Made>) = life.into_iter().partition(|made| made.fn_number == storage(30));
    stand.receive(&old).await;
    stand.receive(&new[1..]).await;
    assert_eq!(stand.verdict(&new[1]).await, "soft 903");
    stand.receive(&new[..1]).await;
    assert_eq!(stand.verdict(&new[0]).await, "accepted");
    assert_eq!(stand.verdict(&new[1]).await, "accepted");
    let cards = stand.events().await.iter().filter(|event| event.starts_with("registrationCard")).count();
    assert_eq!(cards, 4, "one for the registration, two changes and the new storage");

    let mut kkt = register(storage(40), FfdVersion::V1_2, 40);
    kkt.register().unwrap();
    kkt.open_shift().unwrap();
    let begin = drain(&mut kkt);
    stand.receive(&begin).await;
    let order = json!({ "rnm": begin[0].rnm(), "at": "2024-01-01T00:00:00" });
    assert_eq!(stand.control.send("POST", "/sim/deregister", &order.to_string()).await.status, 200);
    assert_eq!(stand.events().await.last().unwrap(), &format!("deregistrationCard {}", begin[0].rnm()));
    kkt.sell(1).unwrap();
    kkt.wait_until(1_710_000_000);
    kkt.sell(1).unwrap();
    let end = drain(&mut kkt);
    stand.receive(&end).await;
    assert_eq!([stand.verdict(&end[0]).await, stand.verdict(&end[1]).await], ["accepted", "soft 905"]);
    assert_eq!(stand.control.send("POST", "/sim/deregister", r#"{"rnm":"1"}"#).await.status, 404);
}

#[tokio::test]
async fn flaws_of_the_document_itself() {
    let spoil = |made: &Made, change: &dyn Fn(&mut Vec<u8>)| {
        let mut spoiled = made.clone();
        change(&mut spoiled.bytes);
        let len = u16::try_from(spoiled.bytes.len() - 4).unwrap().to_le_bytes();
        spoiled.bytes[2..4].copy_from_slice(&len);
        spoiled
    };
    /// Place of a record of the top level.
    fn place(made: &Made, tag: u16) -> std::ops::Range<usize> {
        let document = made.document();
        let node = document.node(tag).unwrap();
        node.offset..node.offset + 4 + node.raw.len()
    }
    let mut stand = Stand::with(FnsSimOptions { check_signs: true, ..FnsSimOptions::default() }).await;
    let check = async |stand: &mut Stand, made: Made, expected: &str| {
        stand.receive(std::slice::from_ref(&made)).await;
        assert_eq!(stand.verdict(&made).await, expected);
    };
    let life = opened(10, 8);
    stand.receive(&life[..2]).await;
    let time = |made: &Made, seconds: u32| {
        let at = place(made, 1012).start + 4;
        spoil(made, &|bytes| bytes[at..at + 4].copy_from_slice(&seconds.to_le_bytes()))
    };
    check(&mut stand, time(&life[2], 1_400_000_000), "hard 503 910").await;
    check(&mut stand, time(&life[3], u32::MAX), "hard 502 910").await;
    let number = place(&life[4], 1042);
    let without = spoil(&life[4], &|bytes| drop(bytes.drain(number.clone())));
    check(&mut stand, without, "hard 420 910").await;
    let cash = place(&life[5], 1031);
    let more = spoil(&life[5], &|bytes| bytes[cash.start + 4] ^= 1);
    check(&mut stand, more, "hard 507 910").await;
    check(&mut stand, life[6].with_other_sign(), "hard 910").await;
    check(&mut stand, life[8].clone(), "accepted").await;
    check(&mut stand, life[7].clone(), "hard 911").await;
    // A hard document does not stop its storage.
    check(&mut stand, life[9].clone(), "accepted").await;
}

#[tokio::test]
async fn refusals_and_verdicts_on_demand() {
    let mut stand = Stand::configured(|config| config.auto_card = false).await;
    let life = opened(10, 2);
    let plan = |made: &Made, codes: &[u16]| json!({ "docKey": made.key(), "codes": codes }).to_string();
    stand.control.send("POST", "/sim/verdicts", &plan(&life[3], &[507])).await;
    stand.receive(&life).await;
    assert_eq!(stand.verdict(&life[3]).await, "hard 507");
    stand.control.send("POST", "/sim/verdicts", &plan(&life[2], &[])).await;
    assert_eq!(stand.verdict(&life[2]).await, "accepted");
    stand.control.send("POST", "/sim/verdicts", &plan(&life[2], &[904])).await;
    assert_eq!(stand.verdict(&life[2]).await, "soft 904");
    assert_eq!(stand.control.send("POST", "/sim/verdicts", &plan(&life[2], &[1])).await.status, 422);
    let order = json!({ "rnm": life[0].rnm(), "codes": [{ "code": 77, "text": "нет" }] }).to_string();
    assert_eq!(stand.control.send("POST", "/sim/registration-refused", &order).await.status, 200);
    assert_eq!(stand.events().await.last().unwrap(), &format!("registrationRefused {} 77", life[0].key()));
    assert_eq!(
        stand.main.get(&format!("/v1/ofds/ofd1/kkts/{}", life[0].rnm())).await.json()["state"],
        "refused"
    );
    for order in
        [r#"{"rnm":"1"}"#.to_owned(), json!({ "docKey": life[1].key() }).to_string(), "{}".to_owned()]
    {
        assert_eq!(
            stand.control.send("POST", "/sim/registration-refused", &order).await.status,
            404,
            "{order}"
        );
    }
}

#[tokio::test]
async fn cards_are_sent_again_and_differing_ones_too() {
    let mut stand = Stand::new().await;
    let life = opened(10, 0);
    stand.receive(&life).await;
    let path = format!("/sim/kkts/{}/card", life[0].rnm());
    stand.control.send("POST", &path, "").await;
    stand.control.send("POST", &path, r#"{"kkt":{"serial":"other"},"cardNumber":"SIM-X"}"#).await;
    let events = stand.main.get("/v1/ofds/ofd1/events").await.json();
    let cards: Vec<&Value> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["type"] == "registrationCard")
        .collect();
    assert_eq!(cards.len(), 3);
    assert_eq!(cards[0]["card"], cards[1]["card"]);
    assert_eq!(
        (&cards[2]["card"]["kkt"]["serial"], &cards[2]["card"]["cardNumber"]),
        (&"other".into(), &"SIM-X".into())
    );
    assert_eq!(cards[2]["card"]["fn"], cards[0]["card"]["fn"]);
    // The registry keeps the right one.
    let kept = stand.main.get(&format!("/v1/ofds/ofd1/kkts/{}/card", life[0].rnm())).await.json();
    assert_eq!(kept, cards[0]["card"]);
    assert_eq!(stand.control.send("POST", &path, r#"{"kkt":7}"#).await.problem(), "CARD_INVALID");
    assert_eq!(stand.control.send("POST", "/sim/kkts/1/card", "").await.problem(), "UNKNOWN_RNM");
}

#[tokio::test]
async fn the_taxpayers_page() {
    let mut stand = Stand::configured(|config| config.auto_card = false).await;
    let life = opened(10, 0);
    let page = stand.control.get("/cabinet").await.text();
    assert!(page.contains("Завершить регистрацию") && page.contains("Пока нет ни одной"));
    stand.receive(&life).await;
    let report = &life[0];
    let typed = report.typed();
    let shown = report.document().time(1012).unwrap().civil().strftime("%d.%m.%Y+%H:%M").to_string();
    let form = |sign: &str, kind: &str| {
        let inn = typed["userInn"].as_str().unwrap();
        format!("rnm={}&inn={inn}&kind={kind}&date_time={shown}&fd=1&sign={sign}", report.rnm())
    };
    let sign = typed["fiscalSign"].as_str().unwrap();
    let mut check = async |body: &str, status: u16, text: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let reply = stand.control.request("POST", "/cabinet", &headers, body.as_bytes()).await.unwrap();
        assert_eq!(reply.status, status, "{body}");
        assert!(reply.text().contains(text), "{body}: {}", reply.text());
    };
    check("", 422, "Дата и время указываются").await;
    check(&form("1", "1"), 422, "Сведения не совпадают с отчётом о регистрации: фискальный признак.").await;
    check(&form(sign, "11"), 422, "вид отчёта").await;
    check(&form(sign, "1").replace(&report.rnm(), "%3Cb%3E"), 422, "не присваивался").await;
    check(&form(sign, "1"), 200, "завершена").await;
    check(&form(sign, "1"), 422, "уже завершена").await;
    let page = stand.control.get("/").await.text();
    assert!(page.contains("Зарегистрирована"), "{page}");
    assert_eq!(stand.verdict(report).await, "accepted");
}
