//! Good documents of all forms and versions have no finding, alone and in their order.

use super::made::*;
use super::*;

/// A whole short life of a storage, document by document.
fn life(version: u8) -> Vec<Made> {
    vec![
        registration(1, version, 1),
        shift_open(version, 2, 1),
        receipt(3, version, 3, 1),
        receipt(31, version, 4, 2),
        shift_close(version, 5, 1, 1),
        totals(state_report(version, 6), 1157, 1, 1),
        totals(registration(11, version, 7), 1157, 1, 1),
        totals(fn_close(version, 8), 1157, 1, 1),
    ]
}

#[test]
fn a_good_life_has_no_finding() {
    for version in [2, 3, 4] {
        let mut register = RegisterState::default();
        for made in life(version) {
            assert_eq!(findings(&made, None), [], "version {version}, form {} alone", made.form());
            assert_eq!(findings(&made, Some(&register)), [], "version {version}, form {}", made.form());
            register.apply(&Document::decode(&made.bytes()).unwrap());
            assert_eq!(findings(&made, Some(&register)), [], "version {version}, form {} again", made.form());
        }
        assert_eq!(findings(&registration(1, version, 1), Some(&register)), [], "a new chain");
    }
    assert_eq!(findings(&notification(), None), []);
    for form in [4, 41] {
        assert_eq!(findings(&receipt(form, 4, 4, 2), None), []);
    }
}

/// A correction of ФФД 1.05 has no items, and then there is nothing to add up.
#[test]
fn a_correction_of_1_05_needs_no_items() {
    assert_eq!(findings(&receipt(31, 2, 4, 2).without(&[1059]), None), []);
}

#[test]
fn an_unknown_version_or_form_is_one_warning() {
    let check = |made: Made, rule| {
        let found: Vec<_> =
            findings(&made, None).into_iter().map(|found| (found.rule, found.severity)).collect();
        assert_eq!(found, [(rule, Severity::Soft)]);
    };
    check(receipt(3, 4, 4, 2).with(&[1209], byte(5)), "structure.version");
    check(receipt(3, 4, 4, 2).with(&[1209], byte(5)).without(&[1055]), "structure.version");
    check(Made::new(200, Vec::new()), "structure.undeclared");
    // Its sums are still judged, as a warning.
    let faulty = receipt(3, 4, 4, 2).with(&[1209], byte(5)).with(&[1081], vln(1));
    let found: Vec<_> =
        findings(&faulty, None).into_iter().map(|found| (found.rule, found.severity)).collect();
    assert_eq!(found, [("structure.version", Severity::Soft), ("sum.payments", Severity::Soft)]);
    // A version that does not read is no version; nothing follows from it.
    let faulty = receipt(3, 4, 4, 2).with(&[1209], vec![4, 0]);
    let found: Vec<_> =
        findings(&faulty, None).into_iter().map(|found| (found.rule, found.severity)).collect();
    assert_eq!(found, [("structure.type", Severity::Hard)]);
}

#[test]
fn in_1_0_only_identity_is_hard() {
    let made = receipt(3, 4, 4, 2).without(&[1209]).with(&[1020], vln(5)).without(&[1055]);
    assert!(findings(&made, None).iter().all(|found| found.severity == Severity::Soft));
    let made = made.without(&[1037]);
    let hard: Vec<_> = findings(&made, None)
        .into_iter()
        .filter(|found| found.severity == Severity::Hard)
        .map(|found| found.rule)
        .collect();
    assert_eq!(hard, ["identity.rnm"]);
}

#[test]
fn one_fault_is_one_finding() {
    let good = || receipt(3, 4, 4, 2);
    let check = |made: Made, expected: &[&str]| {
        let found: Vec<_> = findings(&made, None).into_iter().map(|found| found.rule).collect();
        assert_eq!(found, expected);
    };
    // What identity says is not said again, and sums are not added up of what is missing or does not read.
    check(good().without(&[1041]), &["identity.fn"]);
    check(good().with(&[1018], vec![b'7'; 13]), &["structure.length"]);
    check(good().without(&[1031]), &["structure.mandatory"]);
    check(good().with(&[1031], vec![1; 9]), &["structure.type"]);
    check(good().without(&[1059, 1043]), &["structure.mandatory"]);
    check(good().with(&[1059, 1043], vec![1; 9]), &["structure.type"]);
    check(good().with(&[1059], vec![1, 2, 3]), &["structure.type"]);
    check(good().with(&[1059, 1200], vec![1; 9]), &["structure.type"]);
    check(good().with(&[1012], vec![1; 3]), &["identity.time"]);
    check(good().without(&[1059]), &["structure.mandatory"]);
}

#[test]
fn numbers_may_be_padded_with_zeros() {
    let made = receipt(3, 4, 4, 2)
        .with(&[1020], vec![0x10, 0x27, 0, 0, 0, 0, 0, 0])
        .with(&[1081], Vec::new())
        .with(&[1059, 1023], vec![0, 1, 0, 0, 0, 0, 0, 0])
        .with(&[1059, 2108], Vec::new());
    assert_eq!(findings(&made, None), []);
}
