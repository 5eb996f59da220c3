use super::*;
use crate::fixtures;
use crate::tags::{DATE_TIME, FD_NUMBER, FISCAL_SIGN, FN_NUMBER, RNM};

const FN: &[u8; 16] = b"9999078900005488";

/// The requisites of a good document: tag and value, in the order of genuine ones.
fn good() -> Vec<(u16, Vec<u8>)> {
    vec![
        (FN_NUMBER, FN.to_vec()),
        (RNM, b"0000000005008570    ".to_vec()),
        (FD_NUMBER, 7_u32.to_le_bytes().to_vec()),
        (DATE_TIME, 1_488_541_080_u32.to_le_bytes().to_vec()),
        (FISCAL_SIGN, vec![0x21, 0x04, 0xAA, 0x10, 0x75, 0x41]),
    ]
}

fn document(form: u16, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let records: Vec<_> = records.iter().map(|(tag, value)| (*tag, value.as_slice())).collect();
    fixtures::document(form, &records)
}

fn claimed(form: u16) -> Claimed {
    Claimed {
        fn_number: FnNumber::from_padded(FN).unwrap(),
        fd_number: FdNumber::new(7).unwrap(),
        form: FormCode(form),
    }
}

fn rules(bytes: &[u8], claimed: &Claimed) -> Vec<&'static str> {
    let findings = identity(&Document::decode(bytes).unwrap(), claimed);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Hard && !finding.text_ru.is_empty()));
    findings.iter().map(|finding| finding.rule).collect()
}

/// A good document of this form with one value changed (or taken away by `None`).
fn check(form: u16, tag: u16, value: Option<&[u8]>, expected: &[&str]) {
    let mut records = good();
    records.retain(|(other, _)| *other != tag);
    records.extend(value.map(|value| (tag, value.to_vec())));
    let bytes = document(form, &records);
    assert_eq!(rules(&bytes, &claimed(form)), expected, "form {form}, tag {tag}, value {value:?}");
}

const KKT_FORMS: [u16; 10] = [1, 11, 2, 21, 3, 31, 4, 41, 5, 6];

#[test]
fn every_form_of_a_register_demands_all_five_requisites() {
    for form in KKT_FORMS {
        assert_eq!(rules(&document(form, &good()), &claimed(form)), [""; 0], "form {form}");
        check(form, FN_NUMBER, None, &["identity.fn"]);
        check(form, FD_NUMBER, None, &["identity.fd"]);
        check(form, DATE_TIME, None, &["identity.time"]);
        check(form, FISCAL_SIGN, None, &["identity.sign"]);
        check(form, RNM, None, &["identity.rnm"]);
        let all = ["identity.fn", "identity.fd", "identity.time", "identity.sign", "identity.rnm"];
        assert_eq!(rules(&document(form, &[]), &claimed(form)), all, "form {form}");
    }
}

#[test]
fn every_version_demands_them() {
    for version in [None, Some(0), Some(1), Some(2), Some(3), Some(4), Some(9)] {
        let mut records = good();
        records.retain(|(tag, _)| *tag != RNM);
        records.extend(version.map(|version| (1209, vec![version])));
        assert_eq!(rules(&document(3, &records), &claimed(3)), ["identity.rnm"], "1209 = {version:?}");
    }
}

#[test]
fn a_value_is_compared_with_the_container() {
    check(3, FN_NUMBER, Some(b"9999078900005489"), &["identity.fn"]);
    check(3, FN_NUMBER, Some(b"999907890000548 "), &["identity.fn"]);
    check(3, FN_NUMBER, Some(b"not a number    "), &["identity.fn"]);
    check(3, FN_NUMBER, Some(b""), &["identity.fn"]);
    check(3, FD_NUMBER, Some(&8_u32.to_le_bytes()), &["identity.fd"]);
    check(3, FD_NUMBER, Some(&[7, 0, 0, 1]), &["identity.fd"]);
    check(3, FD_NUMBER, Some(&[7, 0]), &["identity.fd"]);
    check(3, DATE_TIME, Some(&[0; 5]), &["identity.time"]);
    check(3, FISCAL_SIGN, Some(&[0; 5]), &["identity.sign"]);
    check(3, FISCAL_SIGN, Some(&[0; 7]), &["identity.sign"]);
    check(3, RNM, Some(b"                    "), &["identity.rnm"]);
    check(3, RNM, Some(b""), &["identity.rnm"]);
}

#[test]
fn genuine_oddities_pass() {
    check(3, RNM, Some(b"120000130000        "), &[]);
    let fifteen = Claimed { fn_number: FnNumber::from_padded(b"999907891234567").unwrap(), ..claimed(1) };
    let mut records = good();
    records[0].1 = b"999907891234567 ".to_vec();
    assert_eq!(rules(&document(1, &records), &fifteen), [""; 0]);
}

#[test]
fn a_repeated_number_must_not_contradict() {
    let with = |tag, value: &[u8]| {
        let mut records = good();
        records.push((tag, value.to_vec()));
        rules(&document(3, &records), &claimed(3))
    };
    assert_eq!(with(FN_NUMBER, FN), [""; 0]);
    assert_eq!(with(FN_NUMBER, b"9999078900005489"), ["identity.fn"]);
    assert_eq!(with(FD_NUMBER, &[8, 0, 0, 0]), ["identity.fd"]);
    let mut many = good();
    many.extend((0..100).map(|_| (FD_NUMBER, vec![9, 0, 0, 0])));
    assert_eq!(rules(&document(3, &many), &claimed(3)), ["identity.fd"]);
}

#[test]
fn another_form_than_announced_is_found() {
    let bytes = document(3, &good());
    assert_eq!(rules(&bytes, &claimed(31)), ["identity.form"]);
    assert_eq!(rules(&bytes, &claimed(200)), ["identity.form"]);
}

#[test]
fn other_forms_demand_what_the_dictionary_says() {
    // 7 has no sign and no registration number; 81 and 82 carry the storage's number but no document number.
    let all = ["identity.fn", "identity.fd", "identity.time"];
    assert_eq!(rules(&document(7, &[]), &claimed(7)), all);
    assert_eq!(rules(&document(7, &good()[..4]), &claimed(7)), [""; 0]);
    assert_eq!(rules(&document(81, &[]), &claimed(81)), ["identity.fn"]);
    assert_eq!(rules(&document(82, &[]), &claimed(82)), ["identity.fn", "identity.time"]);
    assert_eq!(rules(&document(84, &[]), &claimed(84)), ["identity.time"]);
    // Of an unknown form nothing is demanded, but what is there is compared.
    assert_eq!(rules(&document(200, &[]), &claimed(200)), [""; 0]);
    assert_eq!(rules(&document(200, &[(FN_NUMBER, b"1".to_vec())]), &claimed(200)), ["identity.fn"]);
}

#[test]
fn a_finding_says_where_and_what_in_russian() {
    let mut records = good();
    records[0].1 = b"9999078900005489".to_vec();
    let bytes = document(3, &records);
    let findings = identity(&Document::decode(&bytes).unwrap(), &claimed(3));
    assert_eq!(findings[0].path, [FN_NUMBER]);
    assert_eq!(
        findings[0].text_ru,
        "значение номера ФН (тег 1041) 9999078900005489 не совпадает с контейнером: 9999078900005488"
    );
}

#[test]
fn every_capture_is_what_its_container_says() {
    for capture in fixtures::documents() {
        let (name, expected) = (&capture.name, &capture.expected);
        let document = Document::decode(capture.document()).unwrap();
        let claimed = Claimed {
            fn_number: expected.fn_number.parse().unwrap(),
            fd_number: FdNumber::new(expected.fd_number).unwrap(),
            form: FormCode(expected.form),
        };
        assert_eq!(identity(&document, &claimed), [], "{name}");
        assert_eq!(document.version().as_str(), expected.ffd, "{name}");
        assert_eq!(document.fiscal_sign(), expected.fiscal_sign, "{name}");
        assert_eq!(document.nodes().count(), expected.records, "{name}");
        assert_eq!(document.nodes().map(count_nested).sum::<usize>(), expected.records_nested, "{name}");
    }
}

fn count_nested(node: Node<'_>) -> usize {
    node.children().map(|inner| 1 + count_nested(inner)).sum()
}
