use std::collections::HashSet;

use ffd::check::{Claimed, identity};
use ffd::{Content, Document, Fixed, FormDef, Node, Requirement, RnmCheck, dictionary};

use super::shop::Trade;
use super::*;

/// Groups whose official length is smaller than their own members.
const COUNTER_GROUPS: [u16; 12] = [1129, 1130, 1131, 1132, 1133, 1145, 1146, 1157, 1158, 1194, 1232, 1233];

fn settings(ffd: FfdVersion, seed: u64) -> KktSettings {
    KktSettings {
        fn_number: FnNumber::from_padded(b"9999000000000001").unwrap(),
        ffd,
        encrypted: false,
        reread: Reread::SameBytes,
        seed,
        clock: 1_790_000_000,
        pace: Pace::new(25, 150),
        operator: OperatorCard::default(),
    }
}

fn kkt(settings: &KktSettings) -> Kkt {
    Kkt::new(settings, &SimKeys::published()).unwrap()
}

/// Two shifts with everything.
fn live(kkt: &mut Kkt) -> Vec<Outgoing> {
    kkt.register().unwrap();
    for _ in 0..2 {
        kkt.open_shift().unwrap();
        for receipt in 0..9 {
            if receipt % 4 == 3 {
                kkt.refund().unwrap()
            } else {
                kkt.sell(5).unwrap()
            };
        }
        kkt.correct().unwrap();
        kkt.close_shift().unwrap();
    }
    std::iter::from_fn(|| kkt.storage_mut().take_front()).collect()
}

/// Everything the dictionary has to say against the children of `parent`.
fn objections(form: &FormDef, parent: u16, nodes: &[Node<'_>], found: &mut Vec<String>) {
    for field in form.children(parent) {
        let demanded = field.requirement == Requirement::Mandatory;
        if demanded && !nodes.iter().any(|node| node.tag == field.tag) {
            found.push(format!("{} lacks {}", parent, field.tag));
        }
    }
    let mut seen = HashSet::new();
    for node in nodes {
        let Some(field) = form.field(parent, node.tag) else {
            // The tables name a group's members once; what they do not list at all is known by its parents.
            let known = node.def.is_some_and(|def| def.parents.contains(&parent));
            if !known || !form.children(parent).is_empty() {
                found.push(format!("{} has undeclared {}", parent, node.tag));
            }
            continue;
        };
        if !seen.insert(node.tag) && !field.repeatable {
            found.push(format!("{} repeats {}", parent, node.tag));
        }
    }
    for node in nodes {
        let Some(def) = node.def else { continue };
        let length = u32::try_from(node.raw.len()).unwrap();
        let right = match def.fixed {
            Fixed::Padded(wanted) | Fixed::Exact(wanted) => length == wanted,
            Fixed::Variable => {
                COUNTER_GROUPS.contains(&node.tag) || def.max_len.is_none_or(|most| length <= most)
            }
        };
        if !right {
            found.push(format!("{} of {length} bytes", node.tag));
        }
        match &node.content {
            Content::Group(children) => objections(form, node.tag, children, found),
            Content::Value(_) => {
                let listed = def.enum_name.zip(node.unsigned());
                if let Some((list, value)) = listed
                    && !matches!(def.kind, ffd::ValueKind::Bits)
                    && dictionary().enum_meaning(list, value, form.version).is_none()
                {
                    found.push(format!("{} has unknown value {value}", node.tag));
                }
            }
            Content::Broken(error) => found.push(format!("{}: {error}", node.tag)),
            Content::Unknown => found.push(format!("{} is unknown", node.tag)),
        }
    }
}

#[test]
fn every_document_agrees_with_the_dictionary() {
    for ffd in [FfdVersion::V1_05, FfdVersion::V1_2] {
        for seed in 0..24 {
            let mut kkt = kkt(&settings(ffd, seed));
            let mut forms = HashSet::new();
            for made in live(&mut kkt) {
                let document = Document::decode(&made.document).unwrap();
                assert_eq!(document.version(), ffd);
                forms.insert(made.form);
                let form = dictionary().form(document.form(), ffd).unwrap();
                let mut found = Vec::new();
                objections(form, made.form, document.nodes(), &mut found);
                assert!(found.is_empty(), "form {} of FFD {ffd:?}, seed {seed}: {found:?}", made.form);
                let claimed = Claimed {
                    fn_number: kkt.storage().number(),
                    fd_number: made.fd_number,
                    form: FormCode(made.form),
                };
                assert!(identity(&document, &claimed).is_empty());
            }
            assert_eq!(forms, HashSet::from([1, 2, 3, 31, 5]));
        }
    }
}

#[test]
fn check_digits_of_the_registration_are_right() {
    for seed in 0..50 {
        let mut kkt = kkt(&settings(FfdVersion::V1_2, seed));
        let report = kkt.register().unwrap().document.clone();
        let report = Document::decode(&report).unwrap();
        let inn = report.text(1018).unwrap();
        assert!(Inn::from_padded(inn.as_bytes()).unwrap().check_digits_ok(), "{inn}");
        let operator = report.text(1017).unwrap();
        assert!(Inn::from_padded(operator.as_bytes()).unwrap().check_digits_ok(), "{operator}");
        let rnm = ffd::Rnm::from_padded(report.raw(1037).unwrap()).unwrap();
        assert_eq!(rnm.verify(&inn, &report.text(1013).unwrap()), RnmCheck::Ok);
        assert_eq!(report.unsigned(1040), Some(1));
        assert_eq!(report.unsigned(1056), Some(0));
    }
}

#[test]
fn receipts_add_up() {
    for ffd in [FfdVersion::V1_05, FfdVersion::V1_2] {
        for seed in 0..20 {
            for made in
                live(&mut kkt(&settings(ffd, seed))).iter().filter(|made| made.form == 3 || made.form == 31)
            {
                check_sums(&Document::decode(&made.document).unwrap());
            }
        }
    }
}

fn check_sums(document: &Document<'_>) {
    let sum = |tag| document.unsigned(tag).unwrap();
    assert_eq!(sum(1020), sum(1031) + sum(1081) + sum(1215) + sum(1216) + sum(1217));
    let items: Vec<_> = document.nodes_of(1059).collect();
    let (mut costs, mut tax_of_ten, mut tax_of_22, mut without) = (0, 0, 0, 0);
    for item in &items {
        let value = |tag| item.child(tag).and_then(Node::unsigned);
        let quantity = item.child(1023).and_then(Node::decimal).unwrap();
        let cost = value(1043).unwrap();
        let exact = value(1079).unwrap() * quantity.mantissa;
        let scale = 10_u64.pow(u32::from(quantity.scale));
        assert!((cost * scale).abs_diff(exact) <= scale, "1043 = 1079 x 1023 within a kopeck");
        costs += cost;
        match value(1199).unwrap() {
            2 => tax_of_ten += value(1200).unwrap(),
            6 => {
                assert_eq!(value(1200), None);
                without += cost;
            }
            11 => tax_of_22 += value(1200).unwrap(),
            other => panic!("rate {other}"),
        }
    }
    if items.is_empty() {
        assert_eq!(document.form(), FormCode::RECEIPT_CORRECTION);
        return;
    }
    assert_eq!(costs, sum(1020));
    assert_eq!(document.unsigned(1103).unwrap_or(0), tax_of_ten);
    assert_eq!(document.unsigned(1105).unwrap_or(0), without);
    let block = document.node(1115).and_then(|block| block.child(1119));
    assert_eq!(block.and_then(|rate| rate.child(1120)).and_then(Node::unsigned).unwrap_or(0), tax_of_22);
}

#[test]
fn reports_count_what_was_made() {
    let mut kkt = kkt(&settings(FfdVersion::V1_2, 3));
    let made = live(&mut kkt);
    let mut total_of_fn = 0;
    let mut shift: Vec<Document<'_>> = Vec::new();
    let (mut closes, mut last_clock, mut fd) = (0, 0, 0);
    for document in &made {
        fd += 1;
        assert_eq!(document.fd_number.get(), fd);
        let document = Document::decode(&document.document).unwrap();
        let clock = document.time(1012).unwrap().get();
        assert!(clock > last_clock || last_clock == 0);
        last_clock = clock;
        match document.form() {
            FormCode::SHIFT_OPEN => shift.clear(),
            FormCode::RECEIPT => {
                assert_eq!(document.unsigned(1042), Some(u64::try_from(shift.len()).unwrap() + 1));
                shift.push(document);
            }
            FormCode::RECEIPT_CORRECTION => shift.push(document),
            FormCode::SHIFT_CLOSE => {
                closes += 1;
                assert_eq!(document.unsigned(1038), Some(closes));
                assert_eq!(document.unsigned(1118), Some(10));
                assert_eq!(document.unsigned(1111), Some(12));
                let of_sales = |tag: u16| {
                    let group = document.node(tag).unwrap();
                    let block = group.child(1129).unwrap();
                    (
                        group.child(1134).and_then(Node::unsigned),
                        block.child(1201).and_then(Node::unsigned).unwrap(),
                    )
                };
                let sales =
                    shift.iter().filter(|d| d.form() == FormCode::RECEIPT && d.unsigned(1054) == Some(1));
                let expected: u64 = sales.map(|receipt| receipt.unsigned(1020).unwrap()).sum();
                total_of_fn += expected;
                assert_eq!(of_sales(1194), (Some(10), expected));
                assert_eq!(of_sales(1157), (Some(10 * closes), total_of_fn));
                let corrections = document.node(1194).unwrap().child(1133).unwrap();
                assert_eq!(corrections.child(1144).and_then(Node::unsigned), Some(1));
            }
            _ => {}
        }
    }
    assert_eq!(closes, 2);
    assert_eq!(kkt.totals().sales.total(), total_of_fn);
}

#[test]
fn the_rate_follows_the_year() {
    for (clock, rate, tag) in [(1_760_000_000, 1, 1102), (1_790_000_000, 11, 1115)] {
        // Hardware sells nothing but goods of the general rate; look for such a shop.
        let mut settings = settings(FfdVersion::V1_2, 0);
        settings.clock = clock;
        let mut kkt = (0..100)
            .map(|seed| kkt(&KktSettings { seed, ..settings.clone() }))
            .find(|kkt| kkt.shop().trade == Trade::Hardware)
            .unwrap();
        kkt.register().unwrap();
        kkt.open_shift().unwrap();
        let receipt = kkt.sell(1).unwrap().document.clone();
        let receipt = Document::decode(&receipt).unwrap();
        assert_eq!(receipt.node(1059).unwrap().child(1199).and_then(Node::unsigned), Some(rate));
        assert!(receipt.node(tag).is_some());
    }
}

#[test]
fn the_same_settings_make_the_same_bytes() {
    let bytes = |seed| -> Vec<Vec<u8>> {
        let made = live(&mut kkt(&settings(FfdVersion::V1_05, seed)));
        made.into_iter().map(|document| document.container).collect()
    };
    assert_eq!(bytes(9), bytes(9));
    assert_ne!(bytes(9), bytes(10));
}

#[test]
fn the_order_of_a_day_is_kept() {
    let mut kkt = kkt(&settings(FfdVersion::V1_2, 1));
    let out_of_order = |result: Result<&Outgoing, KktError>| matches!(result, Err(KktError::OutOfOrder(_)));
    assert!(out_of_order(kkt.open_shift()));
    assert!(out_of_order(kkt.sell(1)));
    kkt.register().unwrap();
    assert!(out_of_order(kkt.register()));
    assert!(out_of_order(kkt.close_shift()));
    kkt.open_shift().unwrap();
    assert!(out_of_order(kkt.open_shift()));
    let wrong = Kkt::new(&settings(FfdVersion::V1_0, 1), &SimKeys::published());
    assert!(matches!(wrong, Err(KktError::Version(_))));
}

#[test]
fn the_registration_number_follows_the_storage() {
    for (number, ordinal) in [
        ("9999000000000001", "0000000001"),
        ("9999123456789012", "3456789012"),
        ("9999999999999999", "9999999999"),
    ] {
        let fn_number = FnNumber::from_padded(number.as_bytes()).unwrap();
        let kkt = kkt(&KktSettings { fn_number, ..settings(FfdVersion::V1_2, 1) });
        assert_eq!(&kkt.shop().rnm.as_str()[..10], ordinal);
    }
}

#[test]
fn a_close_names_the_date_of_the_oldest_waiting_document() {
    const DAY_S: u32 = 86_400;
    // Five minutes to midnight; two documents before it, the close after it.
    let clock = 1_790_000_000 / DAY_S * DAY_S + DAY_S - 300;
    let mut kkt = kkt(&KktSettings { clock, pace: Pace::new(4, 1), ..settings(FfdVersion::V1_2, 1) });
    kkt.register().unwrap();
    kkt.open_shift().unwrap();
    kkt.clock += 600;
    let mut check = |close: bool, waiting: u64, date: u32| {
        let made = if close { kkt.close_shift() } else { kkt.open_shift() }.unwrap().document.clone();
        let made = Document::decode(&made).unwrap();
        if close {
            assert_eq!(made.unsigned(1097), Some(waiting));
            assert_eq!(made.time(1098).unwrap().get(), date);
        }
        while close && kkt.storage_mut().take_front().is_some() {}
    };
    let today = clock / DAY_S * DAY_S;
    check(true, 3, today);
    check(false, 0, 0);
    check(true, 2, today + DAY_S);
}

#[test]
fn a_long_life_stays_within_one_shift() {
    let pace = Pace::new(200_000, 150);
    let start = 1_790_000_000;
    let mut kkt = kkt(&KktSettings { clock: start, pace, ..settings(FfdVersion::V1_05, 1) });
    kkt.register().unwrap();
    kkt.open_shift().unwrap();
    let mut last = start;
    for made in 3..=30 {
        let receipt = kkt.sell(1).unwrap().document.clone();
        let clock = Document::decode(&receipt).unwrap().time(1012).unwrap().get();
        assert_eq!(clock, start + (made - 1) / 3, "three documents to a second");
        assert!(clock >= last && clock <= start + pace.length_s(u64::from(made)));
        last = clock;
    }
}
