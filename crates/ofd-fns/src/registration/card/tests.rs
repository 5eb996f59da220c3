//! Reading cards: the layout, and hostile input.

use proptest::prelude::*;

use super::*;

const CARD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<card knd="1110066" xmlns="urn:x">
  <cardNumber>SIM-1</cardNumber>
  <rnm>0000000005008570    </rnm>
  <registeredAt>2017-03-03</registeredAt>
  <user><inn>7702203276</inn><name>ООО РАПКАТ-центр</name></user>
  <kkt><model>М</model><serial> 000000000002 </serial></kkt>
  <fn><model>М</model><serial>9999078900005488</serial></fn>
  <place><address>г. Москва</address></place>
</card>"#;

#[test]
fn a_card_is_read_with_its_padding_cut_away() {
    let facts = read_xml(CARD.as_bytes()).unwrap();
    let expected = CardFacts {
        kind: CardKind::Registration,
        number: Some("SIM-1".to_owned()),
        rnm: "0000000005008570".to_owned(),
        kkt_serial: Some("000000000002".to_owned()),
        fn_number: Some("9999078900005488".parse().unwrap()),
        inn: Some("7702203276".to_owned()),
        dated: Some("2017-03-03".to_owned()),
    };
    assert_eq!(facts, expected);
    let with_mark = format!(
        "\u{feff}{}",
        CARD.replace("knd=\"1110066\"", "").replace("<rnm>", "<knd>1110067</knd><rnm>")
    );
    assert_eq!(
        read_xml(with_mark.as_bytes()).unwrap(),
        CardFacts { kind: CardKind::Deregistration, ..expected.clone() }
    );
    let json = r#"{"knd": "1110066", "rnm": "0000000005008570", "registeredAt": "2017-03-03",
        "user": {"inn": "7702203276"}, "kkt": {"serial": "000000000002"}, "fn": {"serial": "9999078900005488"},
        "cardNumber": "SIM-1"}"#;
    assert_eq!(read_json(&serde_json::from_str(json).unwrap()).unwrap(), expected);
}

#[test]
fn what_is_no_card_is_refused_with_its_place() {
    let check = |text: &str, part: &str| {
        let fault = read_xml(text.as_bytes()).expect_err(text).to_string();
        assert!(fault.contains(part), "{fault}");
    };
    check("", "no readable XML");
    check("<card", "no readable XML");
    check("<other/>", "<other>");
    check("<card/>", "knd: is missing");
    check("<card knd=\"1110061\"/>", "1110061");
    check("<card knd=\"1110066\"/>", "rnm: is missing");
    check(&CARD.replace("0000000005008570", "12"), "rnm");
    check(&CARD.replace("2017-03-03", "вчера"), "registeredAt");
    check(&CARD.replace("SIM-1", &"9".repeat(101)), "cardNumber");
    let windows = CARD.as_bytes().iter().chain(&[0xC0]).copied().collect::<Vec<u8>>();
    assert!(matches!(read_xml(&windows), Err(CardFault::Xml(_))));
}

#[test]
fn hostile_xml_is_refused() {
    let check =
        |text: &str| assert!(matches!(read_xml(text.as_bytes()), Err(CardFault::Xml(_))), "{text:.80}");
    check("<!DOCTYPE card><card knd=\"1110066\"/>");
    check("<!DOCTYPE card [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><card>&b;</card>");
    check("<!DOCTYPE card [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><card><rnm>&a;</rnm></card>");
    check("<card>&unknown;</card>");
    check(&format!("<card>{}</card>", "<a/>".repeat(30_000)));
    let nested = |depth: usize, between: &str| {
        format!("{}{}", format!("<card>{between}").repeat(depth), "</card>".repeat(depth))
    };
    for between in
        ["", "<!-- </card> -->", "<![CDATA[</card>]]>", "<?x </card> ?>", "<a b='/>'></a>", "<a b=\"'>\"/>"]
    {
        check(&nested(20_000, between));
        check(&nested(33, between));
        // Deep enough for any card: refused for what it says.
        assert!(
            matches!(read_xml(nested(31, between).as_bytes()), Err(CardFault::Field { .. })),
            "{between}"
        );
    }
    check(&"<card>".repeat(100_000));
    check(&"<card b='".repeat(100_000));
}

#[test]
fn the_length_has_a_limit() {
    let padded = |len: usize| format!("{CARD}{}", " ".repeat(len - CARD.len()));
    assert!(read_xml(padded(MAX_XML_BYTES).as_bytes()).is_ok());
    let limit = MAX_XML_BYTES;
    assert_eq!(read_xml(padded(limit + 1).as_bytes()), Err(CardFault::TooLong { len: limit + 1, limit }));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(read_xml(&bytes).is_err());
    }

    #[test]
    fn no_damaged_card_panics(at in 0usize..CARD.len(), byte in any::<u8>(), cut in 0usize..CARD.len()) {
        let mut bytes = CARD.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(facts) = read_xml(&bytes) {
            prop_assert_eq!(facts.rnm.len(), 16);
        }
        prop_assert!(read_xml(&CARD.as_bytes()[..cut]).is_err());
    }
}
