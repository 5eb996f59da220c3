//! No document costs more than its length, and none can make a check panic.

use proptest::prelude::*;

use super::made::{self, byte, item, receipt, vln, word};
use super::report::{MAX_PER_PATH, MAX_PER_RULE};
use super::*;
use crate::fixtures;

fn judge(bytes: &[u8], register: Option<&RegisterState>) -> Vec<Finding> {
    let document = Document::decode(bytes).unwrap();
    let around = Surroundings { claimed: None, received_at: RECEIVED, operator_inn: None, register };
    check(&document, &around, &Severities::default())
}

fn of_rule(findings: &[Finding], rule: &str) -> usize {
    findings.iter().filter(|finding| finding.rule == rule).count()
}

/// The largest receipt: 8,000 records without a value.
#[test]
fn thousands_of_empty_records_give_a_few_findings() {
    let made = |tag: fn(u16) -> u16| {
        let records: Vec<_> = (0..8_000).map(|number| (tag(number), &[] as &[u8])).collect();
        fixtures::document(3, &records)
    };
    let findings = judge(&made(|_| 1021), None);
    assert_eq!(of_rule(&findings, "structure.repeat"), MAX_PER_PATH);
    assert!(findings.iter().any(|finding| finding.text_ru.contains("и ещё 7979 таких нарушений")));
    let findings = judge(&made(|number| 10_000 + number), None);
    assert_eq!(of_rule(&findings, "structure.undeclared"), MAX_PER_RULE);
    let findings = judge(&made(|_| tags::ITEM), None);
    assert!(findings.len() < 200, "{}", findings.len());
}

#[test]
fn a_receipt_of_1500_faulty_items_gives_a_few_findings() {
    let faulty = item(4).with(&[1023], vec![0, 2]).with(&[1199], byte(77)).without(&[2108]);
    let small = faulty.without(&[1030]).without(&[1214]);
    let made = (0..1_500).fold(receipt(3, 4, 4, 2), |made, _| made.and_group(small.clone()));
    let findings = judge(&made.bytes(), None);
    for rule in ["item.cost", "value.unknown", "item.measure", "structure.mandatory"] {
        assert_eq!(of_rule(&findings, rule), MAX_PER_PATH, "{rule}");
    }
    assert!(findings.len() < 200, "{}", findings.len());
}

#[test]
fn sums_past_64_bits_are_compared_or_left_alone_but_never_wrap() {
    let huge = item(4).with(&[1043], vln(u64::MAX)).with(&[1079], vln(u64::MAX)).with(&[1200], vln(u64::MAX));
    let made = receipt(3, 4, 4, 2).and_group(huge.clone()).and_group(huge);
    let made = [1020, 1031, 1081, 1215, 1216, 1217, 1102]
        .into_iter()
        .fold(made, |made, tag| made.with(&[tag], vln(u64::MAX)));
    let rules: Vec<_> = judge(&made.bytes(), None).into_iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["sum.payments", "sum.items", "vat.totals"]);
}

#[test]
fn the_last_number_of_all_has_no_next() {
    let last = receipt(3, 4, u32::MAX, 1).with(&[1012], word(u32::MAX)).with(&[1038], word(u32::MAX));
    let register = state(std::slice::from_ref(&last));
    let next = made::shift_open(4, 3, u32::MAX).with(&[1040], word(u32::MAX));
    assert_eq!(judge(&next.bytes(), Some(&register)), []);
}

fn any_life() -> impl Strategy<Value = RegisterState> {
    prop::collection::vec(fixtures::any_document(), 0..4).prop_map(|life| {
        let mut state = state(&[made::registration(1, 4, 1), made::shift_open(4, 2, 1)]);
        life.iter().for_each(|bytes| state.apply(&Document::decode(bytes).unwrap()));
        state
    })
}

proptest! {
    #[test]
    fn no_document_makes_a_check_panic(
        bytes in fixtures::any_document(),
        register in any_life(),
        received_at in any::<u32>(),
    ) {
        let document = Document::decode(&bytes).unwrap();
        let claimed = Claimed {
            fn_number: FN.parse().unwrap(),
            fd_number: FdNumber::new(4).unwrap(),
            form: FormCode(3),
        };
        let around = Surroundings {
            claimed: Some(claimed),
            received_at,
            operator_inn: Some(OPERATOR.parse().unwrap()),
            register: Some(&register),
        };
        let findings = check(&document, &around, &Severities::default());
        for finding in &findings {
            prop_assert!(rule(finding.rule).is_some() && !finding.text_ru.is_empty());
        }
        let again = check(&document, &around, &Severities::default());
        prop_assert_eq!(findings, again);
    }

    #[test]
    fn no_damage_of_a_good_document_makes_a_check_panic(
        form in prop::sample::select(vec![1, 2, 3, 31, 5, 6, 21, 82]),
        version in 2..=4_u8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let good = match form {
            1 => made::registration(1, version, 1),
            2 => made::shift_open(version, 4, 2),
            5 => made::shift_close(version, 4, 1, 0),
            6 => made::fn_close(version, 4),
            21 => made::state_report(version, 4),
            82 => made::notification(),
            _ => receipt(form, version, 4, 2),
        };
        let mut bytes = good.bytes();
        for (place, value) in damage {
            *place.get_mut(&mut bytes) = value;
        }
        let register = state(&[made::registration(1, 4, 1), made::shift_open(4, 2, 1)]);
        if let Ok(document) = Document::decode(&bytes) {
            let around =
                Surroundings { claimed: None, received_at: RECEIVED, operator_inn: None, register: Some(&register) };
            for finding in check(&document, &around, &Severities::default()) {
                prop_assert!(rule(finding.rule).is_some());
            }
        }
    }
}
