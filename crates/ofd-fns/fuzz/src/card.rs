//! A card, in JSON or in XML: it is refused with a reason, or it says what a card must, and the same in the other form.

use ofd_fns::client::wire::CardJson;
use ofd_fns::registration::card::{
    CardFacts, CardFault, KND_DEREGISTRATION, KND_REGISTRATION, MAX_XML_BYTES, read_json, read_xml,
};
use ofd_store::CardKind;

use super::rewritten;

/// Checks one file as either form.
pub fn check(input: &[u8]) {
    if let Some(card) = rewritten::read::<CardJson>(input) {
        judged(&read_json(&card));
    }
    let from_xml = read_xml(input);
    judged(&from_xml);
    if from_xml.is_ok() {
        assert!(input.len() <= MAX_XML_BYTES);
        assert!(!contains(input, b"<!DOCTYPE"));
    }
}

/// What holds for the facts of any card and for any refusal.
pub(crate) fn judged(read: &Result<CardFacts, CardFault>) {
    let facts = match read {
        Ok(facts) => facts,
        Err(fault) => return assert!(!fault.to_string().is_empty()),
    };
    assert!(facts.rnm.len() == 16 && facts.rnm.bytes().all(|byte| byte.is_ascii_digit()), "{facts:?}");
    for text in [&facts.number, &facts.kkt_serial, &facts.inn, &facts.dated].into_iter().flatten() {
        assert!(!text.is_empty() && text.trim() == text, "{text:?}");
    }
    assert_eq!(read_json(&json(facts)).as_ref(), Ok(facts));
    let xml = xml(facts);
    // Control characters have no place in XML, and line ends do not survive it.
    if !xml.contains(|char: char| char.is_control() || matches!(char, '\u{FFFE}' | '\u{FFFF}')) {
        assert_eq!(read_xml(xml.as_bytes()).as_ref(), Ok(facts), "{xml}");
    }
}

fn form(facts: &CardFacts) -> &'static str {
    match facts.kind {
        CardKind::Registration => KND_REGISTRATION,
        CardKind::Deregistration => KND_DEREGISTRATION,
    }
}

fn json(facts: &CardFacts) -> CardJson {
    let mut card = CardJson {
        knd: form(facts).to_owned(),
        rnm: facts.rnm.clone(),
        registered_at: facts.dated.clone(),
        card_number: facts.number.clone(),
        ..CardJson::default()
    };
    card.kkt.serial = facts.kkt_serial.clone().unwrap_or_default();
    card.fn_storage.serial = facts.fn_number.map(|number| number.to_string()).unwrap_or_default();
    card.user.inn = facts.inn.clone().unwrap_or_default();
    card
}

fn xml(facts: &CardFacts) -> String {
    let element = |name: &str, value: &Option<String>| {
        let text = value.as_deref().unwrap_or_default().replace('&', "&amp;").replace('<', "&lt;");
        format!("<{name}>{}</{name}>", text.replace('>', "&gt;"))
    };
    let inner = |name: &str, inside: &str, value| format!("<{name}>{}</{name}>", element(inside, value));
    [
        format!("<card knd=\"{}\">", form(facts)),
        element("cardNumber", &facts.number),
        element("rnm", &Some(facts.rnm.clone())),
        element("registeredAt", &facts.dated),
        inner("user", "inn", &facts.inn),
        inner("kkt", "serial", &facts.kkt_serial),
        inner("fn", "serial", &facts.fn_number.map(|number| number.to_string())),
        "</card>".to_owned(),
    ]
    .concat()
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}
