//! From the contract to the card, as an operator sees it.

use ofd_store::{Commit, Kkt, KktKey, RegistrationState, Registry, RegistryChange};

use super::{Bench, On, sessions};

sessions!(
    from_the_contract_to_the_card,
    what_scripts_read_of_a_register,
    a_register_that_only_reception_knows_is_listed_too,
    a_register_is_announced_without_a_contract,
    a_store_is_made_by_the_daemon_only,
    an_import_is_all_or_nothing,
    a_card_is_read_from_its_xml,
    applications_are_stored_for_the_daemon,
);

/// A report of the public test data: ККТ 000000000002 of 7702203276, РНМ 0000000005008570.
const REPORT: &str = "msg_reg11_ffd105_9999078900005488_fd1";
const FN: &str = "9999078900005488";

/// What time alone would do: the register comes to another state.
fn put(bench: &Bench, state: RegistrationState) {
    let mut registry = Registry::open(&bench.url).unwrap();
    let number = FN.parse().unwrap();
    let kkt = registry.kkt(KktKey::Fn(&number)).unwrap().unwrap();
    let change = RegistryChange { kkts: vec![Kkt { state, ..kkt }], ..RegistryChange::default() };
    assert!(matches!(registry.commit(&change).unwrap(), Commit::Done(_)));
}

fn from_the_contract_to_the_card(on: On) {
    let bench = Bench::new(on);
    let mut session = bench.session(&[
        "contracts list",
        "contracts show 17-КЗ",
        "contracts add 17-КЗ --inn 7702203276 --name 'ООО РАПКАТ-центр'",
        "contracts add 17-КЗ --inn 7702203276 --name 'ООО РАПКАТ-центр'",
        "contracts line 17-КЗ --kkt-serial 000000000002 --fn 9999078900005488 --model 'Модель 1Ф'",
        "registers list",
        "contracts sign 17-КЗ",
        "contracts sign 17-КЗ",
        "registers rnm 000000000002 0000000005008571",
        "registers rnm 000000000002 0000000005008570",
        "registers show 9999078900005488",
    ]);
    bench.receive(REPORT);
    session += &bench.session(&["registers show 0000000005008570"]);
    put(&bench, RegistrationState::AwaitingManualCompletion);
    let card = bench.file("card.pdf", "%PDF-1.7");
    let confirmed = format!("cards upload {card} --confirm --rnm 0000000005008570 --kkt-serial 000000000002");
    session += &bench.session(&[
        "registers show 0000000005008570",
        &format!("cards upload {card}"),
        &format!("{confirmed} --fn 9999078900005489 --inn 7702203276"),
        "tasks list",
        &format!("{confirmed} --fn 9999078900005488 --inn 7702203276 --card-number 77-1 --dated 2017-03-03"),
        &format!("{confirmed} --fn 9999078900005488 --inn 7702203276 --card-number 77-1 --dated 2017-03-03"),
        "cards list",
        "cards show 2",
        "tasks list",
        "tasks close 1 --note 'клиент прислал другую карточку'",
        "tasks close 1000",
        "tasks list --all",
        "registers list",
        "contracts show 17-КЗ",
        "contracts stop 17-КЗ",
        "registers list --contract 17-КЗ --state linked",
        "contracts resume 17-КЗ",
        "contracts close-line 000000000002",
        "contracts list",
    ]);
    insta::assert_snapshot!("from_the_contract_to_the_card", session);
}

fn what_scripts_read_of_a_register(on: On) {
    let bench = Bench::new(on);
    bench.run("contracts add 17-КЗ --inn 7702203276 --name Ромашка --active");
    bench.run("contracts line 17-КЗ --kkt-serial 000000000002 --fn 9999078900005488");
    bench.receive(REPORT);
    put(&bench, RegistrationState::AwaitingManualCompletion);
    for line in ["registers show 0000000005008570", "registers show 9999078900005488"] {
        let shown = bench.json(line);
        for (key, expected) in [
            ("rnm", "0000000005008570"),
            ("fn", FN),
            ("kkt_serial", "000000000002"),
            ("inn", "7702203276"),
            ("state", "AWAITING_MANUAL_COMPLETION"),
            ("label", "Завершите регистрацию вручную"),
            ("contract", "active"),
            ("liveness", "online"),
            ("fn_state", "ok"),
            ("fns", "waiting"),
            ("contract_number", "17-КЗ"),
        ] {
            assert_eq!(shown[key], expected, "{line}: {key}");
        }
        let manual = serde_json::json!({
            "date_time": "03.03.2017 11:38", "fd": 1, "fiscal_sign": "2853205313"
        });
        assert_eq!(shown["manual"], manual);
    }
    let listed = bench.json("registers list");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(listed[0]["state"], "AWAITING_MANUAL_COMPLETION");
    assert_eq!(bench.json("registers list --state linked"), serde_json::json!([]));
    assert_eq!(bench.json("contracts show 17-КЗ")["lines"][0]["state"], "AWAITING_MANUAL_COMPLETION");
    let missing = bench.run("registers show 0000000000000001");
    assert!(missing.end.contains("no register with РНМ or ФН 0000000000000001"), "{}", missing.end);
    let missing = bench.run("registers list --contract 18-КЗ");
    assert!(
        missing.end.contains("there is no contract 18-КЗ; see `fiscald contracts list`"),
        "{}",
        missing.end
    );
}

fn a_register_that_only_reception_knows_is_listed_too(on: On) {
    let bench = Bench::new(on);
    bench.append(REPORT);
    let listed = bench.json("registers list");
    assert_eq!((&listed[0]["fn"], &listed[0]["source"]), (&FN.into(), &"report".into()));
    assert!(listed[0]["state"].is_null(), "{listed}");
    assert_eq!(bench.json("registers list --inn 7802781104"), serde_json::json!([]));
    assert_eq!(bench.json(&format!("registers show {FN}"))["rnm"], "0000000005008570");
    assert!(bench.run(&format!("registers show {FN}")).text.contains("known to reception (source: report)"));
    bench.receive("msg_reg11_ffd12_9999078902013267_fd1");
    let listed = bench.json("registers list");
    let states: Vec<&str> =
        listed.as_array().unwrap().iter().filter_map(|register| register["state"].as_str()).collect();
    assert_eq!(states, ["REPORT_RECEIVED"; 2]);
}

fn a_register_is_announced_without_a_contract(on: On) {
    let bench = Bench::new(on);
    let session = bench.session(&[
        "registers list",
        "registers add --fn 9999078900005488 --inn 7702203275",
        "registers add --fn 9999078900005488 --kkt-serial 000000000002 --inn 7702203276",
        "registers add --fn 9999078900005488 --kkt-serial 000000000002",
        "registers add --fn 9999078900005488 --kkt-serial 000000000003",
        "registers list",
        "registers show 9999078900005488",
    ]);
    insta::assert_snapshot!("a_register_is_announced_without_a_contract", session);
}

fn a_store_is_made_by_the_daemon_only(on: On) {
    let bench = Bench::without_store(on);
    for line in [
        "registers add --fn 9999078900005488",
        "registers list",
        "contracts add 17-КЗ --inn 7702203276 --name Ромашка",
        "tasks list",
        "outbox summary",
    ] {
        let said = bench.run(line);
        assert!(
            said.end.contains("there is no store ") && said.end.contains("`fiscald serve` makes one"),
            "{}",
            said.end
        );
    }
    assert!(!std::path::Path::new(&bench.path("fiscald.db")).exists());
}

fn an_import_is_all_or_nothing(on: On) {
    let bench = Bench::new(on);
    bench.run("contracts add 17-КЗ --inn 7702203276 --name Ромашка --active");
    bench.run("contracts add 18-КЗ --inn 7802781104 --name Лютик --active");
    bench.run("contracts line 18-КЗ --kkt-serial 9 --fn 9999078900000009");
    let good =
        bench.file("good.csv", "kkt_serial;fn;kkt_model\n1;9999078900000001;Модель\n2;9999078900000002;\n");
    let bad = bench.file(
        "bad.csv",
        "kkt_serial;fn\n3;9999078900000003\n4;nothing\n9;9999078900000019\n5;9999078900000009\n",
    );
    let count = || bench.json("registers list --contract 17-КЗ").as_array().map_or(0, Vec::len);
    let import = |file: &str, options: &str| {
        bench.json(&format!("registers import {file} --contract 17-КЗ {options}"))
    };
    let check = |report: serde_json::Value, written: bool, added: u64, there: u64, bad: &[u64]| {
        let told = (&report["written"], &report["added"], &report["already_there"]);
        assert_eq!(told, (&written.into(), &added.into(), &there.into()), "{report}");
        let lines: Vec<u64> =
            report["bad"].as_array().unwrap().iter().filter_map(|bad| bad["line"].as_u64()).collect();
        assert_eq!(lines, bad, "{report}");
    };
    check(import(&good, "--dry-run"), false, 2, 0, &[]);
    assert_eq!(count(), 0);
    check(import(&good, ""), true, 2, 0, &[]);
    check(import(&good, ""), true, 0, 2, &[]);
    assert_eq!(count(), 2);
    check(import(&bad, ""), false, 1, 0, &[3, 4, 5]);
    assert_eq!(count(), 2);
    assert_eq!(bench.run(&format!("registers import {bad} --contract 17-КЗ")).end, "1");
    check(import(&bad, "--skip-bad"), true, 1, 0, &[3, 4, 5]);
    assert_eq!(count(), 3);
    let numbered = bench.file("numbered.csv", "kkt_serial;fn;rnm\n6;9999078900000026;0000000005000001\n");
    check(import(&numbered, ""), false, 0, 0, &[2]);
    check(import(&numbered, "--unchecked"), true, 1, 0, &[]);
    let same = bench.file("same.csv", "kkt_serial;fn;rnm\n7;9999078900000027;0000000005000001\n");
    check(import(&same, "--unchecked"), false, 0, 0, &[2]);
    let unknown = bench.run(&format!("registers import {good} --contract 19-КЗ"));
    assert!(unknown.end.contains("there is no contract 19-КЗ"), "{}", unknown.end);
    let absent = bench.run("registers import nowhere.csv --contract 17-КЗ");
    assert!(absent.end.contains("cannot read nowhere.csv"), "{}", absent.end);
}

fn a_card_is_read_from_its_xml(on: On) {
    let bench = Bench::new(on);
    bench.run("contracts add 17-КЗ --inn 7702203276 --name Ромашка --active");
    bench.run("contracts line 17-КЗ --kkt-serial 000000000002 --fn 9999078900005488");
    bench.receive(REPORT);
    put(&bench, RegistrationState::ReportForwarded);
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<card knd=\"1110066\"><cardNumber>77-1</cardNumber>\
        <rnm>0000000005008570</rnm><registeredAt>2017-03-03</registeredAt><user><inn>7702203276</inn></user>\
        <kkt><serial>000000000002</serial></kkt><fn><serial>9999078900005488</serial></fn></card>";
    let card = bench.file("card.xml", xml);
    let signature = bench.file("card.sig", [1, 2, 3]);
    let upload = format!("cards upload {card} --signature {signature}");
    let check = |line: &str, outcome: &str, state: &str| {
        let told = bench.json(line);
        assert_eq!(
            (&told["outcome"], &told["register"]["state"]),
            (&outcome.into(), &state.into()),
            "{told}"
        );
    };
    check(&upload, "applied", "LINKED");
    check(&upload, "confirmed", "LINKED");
    let other = bench.file("other.xml", xml.replace("5008570", "5008571").replace("000002", "000003"));
    let told = bench.json(&format!("cards upload {other}"));
    assert_ne!(told["outcome"], "applied", "{told}");
    assert!(told["task"].is_number(), "{told}");
    assert_eq!(bench.run(&format!("cards upload {other}")).end, "1");
    let saved = bench.path("saved.xml");
    let shown = bench.run(&format!("cards show 1 --save {saved}"));
    assert!(shown.text.contains("<rnm>0000000005008570</rnm>"), "{}", shown.text);
    assert_eq!(std::fs::read_to_string(saved).unwrap(), xml);
    assert_eq!(bench.json("cards show 1")["signature"], "AQID");
    assert_eq!(bench.json("cards list --rnm 0000000005008570").as_array().map(Vec::len), Some(1));
    let confirmed = format!(
        "cards upload {card} --confirm --rnm 0000000005008570 --kkt-serial 000000000002 --fn {FN} --inn 7702203276"
    );
    assert!(bench.run(&confirmed).end.contains("is XML and is read as it is"));
    let broken = bench.file("broken.xml", "<card>");
    assert!(bench.run(&format!("cards upload {broken}")).end.contains("broken.xml"));
    let word = bench.file("card.doc", "word");
    assert!(bench.run(&format!("cards upload {word}")).end.contains("is neither XML nor PDF"));
}

fn applications_are_stored_for_the_daemon(on: On) {
    let bench = Bench::new(on);
    bench.run("contracts add 17-КЗ --inn 7702203276 --name Ромашка --active");
    bench.run("contracts line 17-КЗ --kkt-serial 000000000002 --fn 9999078900005488 --model 'Модель 1Ф'");
    let incomplete = bench.run("registers apply 000000000002");
    assert_ne!(incomplete.end, "0");
    let whole = "registers apply 000000000002 --fn-model 'ФН-1.2' --address 'г. Москва' --place Магазин \
                 --tax-office 7702 --signer 'Шеннон К.' --position директор --mode internet,excise";
    let session = bench.session(&[
        "registers apply 000000000002",
        "registers apply 000000000003",
        whole,
        whole,
        "registers applications",
        "registers applications --open",
        "registers show 9999078900005488",
    ]);
    insta::assert_snapshot!("applications_are_stored_for_the_daemon", session);
    let request = bench.json("registers applications")[0]["request"].clone();
    assert_eq!(request["knd"], "1110061");
    assert_eq!(request["ofd"], serde_json::json!({ "inn": "7704358518", "name": "ООО Оператор" }));
    assert_eq!(request["kkt"], serde_json::json!({ "model": "Модель 1Ф", "serial": "000000000002" }));
    assert_eq!((&request["modes"]["internet"], &request["modes"]["bso"]), (&true.into(), &false.into()));
    let file = bench.file("application.json", request.to_string());
    let again = bench.run(&format!("registers apply 000000000002 --file {file}"));
    assert_ne!(again.end, "0", "one is under way");
    let broken = bench.file("broken.json", "{\"knd\":\"1110061\"}");
    let broken = bench.run(&format!("registers apply 000000000002 --file {broken}"));
    assert!(broken.end.contains("broken.json is no application:\n   "), "{}", broken.end);
}
