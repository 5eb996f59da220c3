use ffd::{Document, Inn, Node, RnmCheck};

use super::*;
use crate::storage::Reread;

mod dictionary;
mod spoiled;

const VERSIONS: [FfdVersion; 3] = [FfdVersion::V1_05, FfdVersion::V1_1, FfdVersion::V1_2];

fn settings(ffd: FfdVersion, seed: u64) -> KktSettings {
    KktSettings {
        fn_number: FnNumber::from_padded(b"9999000000000001").unwrap(),
        ffd,
        encrypted: false,
        reread: Reread::SameBytes,
        seed,
        clock: 1_790_000_000,
        pace: Pace::new(40, 150),
        operator: OperatorCard::default(),
    }
}

fn kkt(settings: &KktSettings) -> Kkt {
    Kkt::new(settings, &SimKeys::published()).unwrap()
}

/// A register of a trade whose receipts hold everything.
fn whole(settings: &KktSettings, trade: Trade) -> Kkt {
    let character = Character { trade: Some(trade), variety: Variety::Whole, ..Character::default() };
    Kkt::with_character(settings, character, &SimKeys::published()).unwrap()
}

/// Two shifts with everything, and then a new storage: all forms.
fn live(kkt: &mut Kkt) -> Vec<(FnNumber, Outgoing)> {
    let mut made = Vec::new();
    let drain = |kkt: &mut Kkt, made: &mut Vec<_>| {
        let number = kkt.storage().number();
        made.extend(std::iter::from_fn(|| kkt.storage_mut().take_front()).map(|made| (number, made)));
    };
    kkt.register().unwrap();
    for shift in 0..2 {
        kkt.open_shift().unwrap();
        for receipt in 0..12 {
            match receipt {
                3 | 7 => kkt.refund(),
                9 => kkt.pay_out(),
                10 => kkt.refund_payout(),
                _ => kkt.sell(5),
            }
            .unwrap();
        }
        kkt.correct().unwrap();
        kkt.report_state().unwrap();
        kkt.close_shift().unwrap();
        let cause = [Cause::Address, Cause::Operator, Cause::Model, Cause::UserName][shift];
        kkt.change(cause).unwrap();
        drain(kkt, &mut made);
    }
    kkt.close_fn().unwrap();
    drain(kkt, &mut made);
    let next = FnNumber::from_padded(b"9999000000000002").unwrap();
    kkt.replace_fn(next, FfdVersion::V1_2, FnLife::default(), &SimKeys::published()).unwrap();
    drain(kkt, &mut made);
    made
}

#[test]
fn check_digits_of_the_registration_are_right() {
    for (seed, trade) in (0..50).zip(Trade::ALL.into_iter().cycle()) {
        let mut kkt = whole(&settings(FfdVersion::V1_2, seed), trade);
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
    for ffd in VERSIONS {
        for (seed, trade) in (0..27).zip(Trade::ALL.into_iter().cycle()) {
            let made = live(&mut whole(&settings(ffd, seed), trade));
            for (_, made) in made.iter().filter(|(_, made)| FormCode(made.form).is_receipt_like()) {
                check_sums(&Document::decode(&made.document).unwrap());
            }
        }
    }
}

fn check_sums(document: &Document<'_>) {
    let sum = |tag| document.unsigned(tag).unwrap();
    assert_eq!(sum(1020), sum(1031) + sum(1081) + sum(1215) + sum(1216) + sum(1217));
    let items: Vec<_> = document.nodes_of(1059).collect();
    if items.is_empty() {
        assert!(matches!(document.form(), FormCode::RECEIPT_CORRECTION | FormCode::BSO_CORRECTION));
        assert_eq!(document.version(), FfdVersion::V1_05);
        return;
    }
    let (mut costs, mut by_rate) = (0, [0; 13]);
    for item in &items {
        let value = |tag| item.child(tag).and_then(Node::unsigned);
        let quantity = item.child(1023).and_then(Node::decimal).unwrap();
        let cost = value(1043).unwrap();
        let exact = value(1079).unwrap() * quantity.mantissa;
        let scale = 10_u64.pow(u32::from(quantity.scale));
        assert!((cost * scale).abs_diff(exact) <= scale, "1043 = 1079 x 1023 within a kopeck");
        costs += cost;
        let rate = usize::try_from(value(1199).unwrap()).unwrap();
        by_rate[rate] += if matches!(rate, 5 | 6) { cost } else { value(1200).unwrap() };
    }
    assert_eq!(costs / 100, sum(1020) / 100, "only kopecks may be rounded away");
    for (rate, tag) in [(1, 1102), (2, 1103), (3, 1106), (4, 1107), (5, 1104), (6, 1105)] {
        assert_eq!(document.unsigned(tag).unwrap_or(0), by_rate[rate], "rate {rate}");
    }
    for block in document.node(1115).iter().flat_map(|block| block.children()) {
        let value = |tag| block.child(tag).and_then(Node::unsigned).unwrap();
        assert_eq!(value(1120), by_rate[usize::try_from(value(1199)).unwrap()]);
    }
}

#[test]
fn reports_count_what_was_made() {
    for ffd in [FfdVersion::V1_1, FfdVersion::V1_2] {
        let mut kkt = whole(&settings(ffd, 3), Trade::Grocery);
        let first = kkt.storage().number();
        let made = live(&mut kkt);
        let (mut total_of_fn, mut shift_total, mut closes, mut last_clock) = (0, 0, 0, 0);
        for (fd, (_, made)) in (1..).zip(made.iter().filter(|(number, _)| *number == first)) {
            assert_eq!(made.fd_number.get(), fd);
            let document = Document::decode(&made.document).unwrap();
            let clock = document.time(1012).unwrap().get();
            assert!(clock > last_clock || last_clock == 0);
            last_clock = clock;
            match document.form() {
                FormCode::SHIFT_OPEN => shift_total = 0,
                FormCode::RECEIPT if document.unsigned(1054) == Some(1) => {
                    shift_total += document.unsigned(1020).unwrap();
                }
                FormCode::SHIFT_CLOSE => {
                    closes += 1;
                    total_of_fn += shift_total;
                    assert_eq!(document.unsigned(1038), Some(closes));
                    assert_eq!(document.unsigned(1118), Some(13));
                    assert_eq!(document.unsigned(1111), Some(16));
                    let sales = |tag: u16| {
                        let group = document.node(tag).unwrap();
                        let sum =
                            group.child(1129).and_then(|block| block.child(1201)).and_then(Node::unsigned);
                        (group.child(1134).and_then(Node::unsigned).unwrap(), sum.unwrap())
                    };
                    assert_eq!(sales(1194), (13, shift_total));
                    assert_eq!(sales(1157), (13 * closes, total_of_fn));
                    let corrections = document.node(1194).unwrap().child(1133).unwrap();
                    assert_eq!(corrections.child(1144).and_then(Node::unsigned), Some(1));
                }
                _ => {}
            }
        }
        assert_eq!(closes, 2);
    }
}

#[test]
fn the_rate_follows_the_year() {
    for (clock, rate, tag) in [(1_760_000_000, 1, 1102), (1_790_000_000, 11, 1115)] {
        // Hardware sells nothing but goods of the general rate.
        let character = Character { trade: Some(Trade::Hardware), ..Character::default() };
        let settings = KktSettings { clock, ..settings(FfdVersion::V1_2, 0) };
        let mut kkt = Kkt::with_character(&settings, character, &SimKeys::published()).unwrap();
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
        let made = live(&mut whole(&settings(FfdVersion::V1_05, seed), Trade::Internet));
        made.into_iter().map(|(_, document)| document.container).collect()
    };
    assert_eq!(bytes(9), bytes(9));
    assert_ne!(bytes(9), bytes(10));
}

#[test]
fn the_order_of_a_life_is_kept() {
    let mut kkt = kkt(&settings(FfdVersion::V1_2, 1));
    let next = FnNumber::from_padded(b"9999000000000002").unwrap();
    let replace = |kkt: &mut Kkt| {
        let made = kkt.replace_fn(next, FfdVersion::V1_2, FnLife::default(), &SimKeys::published());
        made.map(|made| made.fd_number.get())
    };
    let out_of_order = |result: Result<u32, KktError>| matches!(result, Err(KktError::OutOfOrder(_)));
    let number = |made: &Outgoing| made.fd_number.get();
    assert!(out_of_order(kkt.open_shift().map(number)));
    assert!(out_of_order(kkt.sell(1).map(number)));
    assert!(out_of_order(kkt.change(Cause::Other).map(number)));
    assert!(out_of_order(kkt.report_state().map(number)));
    kkt.register().unwrap();
    assert!(out_of_order(kkt.register().map(number)));
    assert!(out_of_order(kkt.close_shift().map(number)));
    kkt.open_shift().unwrap();
    assert!(out_of_order(kkt.open_shift().map(number)));
    assert!(out_of_order(kkt.change(Cause::Other).map(number)));
    assert!(out_of_order(kkt.close_fn().map(number)));
    kkt.close_shift().unwrap();
    assert!(out_of_order(kkt.close_fn().map(number)), "documents are waiting");
    while kkt.storage_mut().take_front().is_some() {}
    assert!(out_of_order(replace(&mut kkt)), "the old ФН is not closed");
    kkt.close_fn().unwrap();
    assert!(out_of_order(kkt.open_shift().map(number)), "a closed ФН makes nothing");
    assert!(out_of_order(replace(&mut kkt)), "form 6 waits");
    kkt.storage_mut().take_front();
    assert_eq!(replace(&mut kkt), Ok(1));
    assert_eq!(kkt.storage().number(), next);
    let wrong = Kkt::new(&settings(FfdVersion::V1_0, 1), &SimKeys::published());
    assert!(matches!(wrong, Err(KktError::Version(_))));
}

#[test]
fn the_registration_number_follows_the_first_storage() {
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
    // Five minutes to midnight; two documents before it, the close after it.
    let clock = 1_790_000_000 / DAY_S * DAY_S + DAY_S - 300;
    let mut kkt = kkt(&KktSettings { clock, pace: Pace::new(4, 1), ..settings(FfdVersion::V1_2, 1) });
    kkt.register().unwrap();
    kkt.open_shift().unwrap();
    kkt.wait_until(clock + 602);
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
fn a_storage_near_its_end_warns() {
    let check = |fn_life: FnLife, days_passed: u32, expected: [bool; 3]| {
        let character = Character { fn_life, ..Character::default() };
        let mut kkt =
            Kkt::with_character(&settings(FfdVersion::V1_2, 1), character, &SimKeys::published()).unwrap();
        kkt.register().unwrap();
        kkt.wait_until(1_790_000_000 + days_passed * DAY_S);
        let report = kkt.open_shift().unwrap().document.clone();
        let report = Document::decode(&report).unwrap();
        assert_eq!([1050, 1051, 1052].map(|tag| report.node(tag).is_some()), expected, "{fn_life:?}");
        assert_eq!(report.node(1053).is_some(), days_passed >= 2);
    };
    let life = |days, capacity| FnLife { days, capacity };
    check(life(410, 1_000), 0, [false; 3]);
    check(life(410, 1_000), 390, [true, false, false]);
    check(life(410, 1_000), 409, [true, true, false]);
    check(life(5, 1_000), 500, [true, true, false]);
    check(life(410, 2), 0, [false, false, true]);
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
