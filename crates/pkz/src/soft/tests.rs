use std::time::Duration;

use ffd::{FdNumber, Inn};
use kkt_proto::container::{ContainerHeader, ContainerKind, encode};
use proptest::prelude::*;

use super::*;
use crate::{NoPkz, derive::message_iv, keystore, test_keys};

const NOW: i64 = 1_800_000_000;
const FORM: u8 = 3;

fn fn_number() -> FnNumber {
    FnNumber::from_padded(b"9999078900000017").unwrap()
}

fn generation(number: u8) -> Generation {
    Generation::new(number).unwrap()
}

fn header(open_len: usize) -> ContainerHeader {
    ContainerHeader {
        kind: ContainerKind::FROM_FN,
        form: FORM,
        version: 1,
        service1: [0x10, 0x09],
        fn_number: fn_number(),
        fd_number: FdNumber::new(77).unwrap(),
        iv: message_iv([1, 2, 3, 4, 5], FdNumber::new(77).unwrap()),
        service2: [0, 2],
        open_len: u16::try_from(open_len).unwrap(),
    }
}

/// A document of one record with this value.
fn document(value: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    ffd::tlv::write_record(&mut records, 1020, value).unwrap();
    let mut document = vec![FORM, 0];
    document.extend_from_slice(&u16::try_from(records.len()).unwrap().to_le_bytes());
    document.extend_from_slice(&records);
    document
}

fn keys(number: u8) -> FnKeys {
    let store = Keystore::parse(test_keys::message_keystore(), Purpose::Message).unwrap();
    FnKeys::derive(&fn_number(), store.record(generation(number)).unwrap().key(), None).unwrap()
}

/// A container as a storage makes it.
fn sealed(document: &[u8], generation: u8, encrypt: bool) -> Vec<u8> {
    let (keys, header) = (keys(generation), header(document.len()));
    let sign = keys.fps(document);
    let mut data = document.to_vec();
    if encrypt {
        keys.crypt_up(&header.iv, &mut data);
    }
    encode(&header, &data, sign).unwrap()
}

fn open(device: &impl FiscalSignVerifier, container: &[u8]) -> (Option<Vec<u8>>, bool, Verdict) {
    let container = Container::decode(container).unwrap();
    let outcome = device.open(&RawContainer { fn_number: container.header.fn_number, container });
    assert_eq!(outcome.sign, container.sign);
    (outcome.document.map(Cow::into_owned), outcome.was_encrypted, outcome.verdict)
}

/// The container with another sign.
fn with_sign(container: &[u8], sign: [u8; 8]) -> Vec<u8> {
    let parsed = Container::decode(container).unwrap();
    encode(&parsed.header, parsed.data, sign).unwrap()
}

/// The container with other data under the same header and sign.
fn with_data(container: &[u8], data: &[u8]) -> Vec<u8> {
    let parsed = Container::decode(container).unwrap();
    encode(&parsed.header, data, parsed.sign).unwrap()
}

#[test]
fn verdicts_come_in_the_order_of_the_profile() {
    use Verdict::{Invalid, Unverifiable};
    let device = test_keys::soft_pkz(NOW);
    let check = |sign: [u8; 8], encrypt: bool, readable: bool, expected: Verdict| {
        let container = with_sign(&sealed(&document(b"x"), 1, encrypt), sign);
        let (document, _, verdict) = open(&device, &container);
        assert_eq!(verdict, expected, "{sign:02x?}");
        assert_eq!(document.is_some(), readable, "{sign:02x?}");
    };
    for encrypt in [false, true] {
        for first in [0x21, 0x31, 0x81, 0x82, 0x88, 0x00, 0x01, 0xA1, 0xB1] {
            // The type comes before everything else, a wrong length byte included.
            check(
                [first, 9, 0, 0, 0, 0, 0, 0],
                encrypt,
                !encrypt,
                Unverifiable(UnverifiableReason::ForeignScheme),
            );
        }
        for first in [0xC1, 0xE1, 0xF1, 0xCF] {
            check([first, 9, 0, 0, 0, 0, 0, 0], encrypt, !encrypt, Invalid(InvalidReason::WrongKind));
        }
        // The length byte comes before the generation.
        check([0xD9, 7, 0, 0, 0, 0, 0, 0], encrypt, !encrypt, Invalid(InvalidReason::Malformed));
        check(
            [0xD9, 6, 0, 0, 0, 0, 0, 0],
            encrypt,
            !encrypt,
            Unverifiable(UnverifiableReason::UnknownGeneration),
        );
        // Generation 2 is there, but another key: an encrypted body does not come out right.
        check([0xD2, 6, 0, 0, 0, 0, 0, 0], encrypt, !encrypt, Invalid(InvalidReason::Mismatch));
        check([0xD1, 6, 0, 0, 0, 0, 0, 0], encrypt, true, Invalid(InvalidReason::Mismatch));
    }
}

#[test]
fn a_document_of_the_wrong_length_is_malformed_before_any_mac() {
    let device = test_keys::soft_pkz(NOW);
    let good = document(b"value");
    let sign = keys(1).fps(&good);
    let malformed = Verdict::Invalid(InvalidReason::Malformed);
    for document in [&good[..good.len() - 1], &[&good[..], &[0]].concat(), &good[..3], &[]] {
        assert_eq!(device.verify(&fn_number(), document, &keys(1).fps(document)), malformed);
    }
    assert!(device.verify(&fn_number(), &good, &sign).is_valid());
    let longer = with_data(&sealed(&good, 1, false), &[&good[..], &[0]].concat());
    assert_eq!(open(&device, &longer).2, malformed);
}

#[test]
fn an_encrypted_body_of_another_length_is_a_mismatch() {
    let device = test_keys::soft_pkz(NOW);
    let container = sealed(&document(b"value"), 1, true);
    let data = Container::decode(&container).unwrap().data.to_vec();
    for data in [&data[..data.len() - 1], &[&data[..], &[0]].concat(), &[]] {
        let (document, was_encrypted, verdict) = open(&device, &with_data(&container, data));
        assert_eq!((document, was_encrypted), (None, true));
        assert_eq!(verdict, Verdict::Invalid(InvalidReason::Mismatch));
    }
}

fn stores(message_rest: &str) -> (Keystore, Keystore) {
    let message = test_keys::message_keystore().replacen('}', message_rest, 1);
    (
        Keystore::parse(&message, Purpose::Message).unwrap(),
        Keystore::parse(test_keys::operator_keystore(), Purpose::Operator).unwrap(),
    )
}

#[test]
fn revoked_and_expired_generations_become_unknown() {
    let (message, operator) = stores(r#","revoked_at":1800000100}"#);
    let device = SoftPkz::new(message, operator, NOW).unwrap();
    let first = sealed(&document(b"x"), 1, false);
    let second = sealed(&document(b"x"), 2, false);
    let unknown = Verdict::Unverifiable(UnverifiableReason::UnknownGeneration);
    assert!(open(&device, &first).2.is_valid());
    device.set_now(1_800_000_099);
    assert!(open(&device, &first).2.is_valid());
    device.set_now(1_800_000_100);
    assert_eq!(open(&device, &first).2, unknown, "although its keys are cached");
    assert!(open(&device, &second).2.is_valid());
    let not_after = 4_102_444_800; // 2100-01-01
    device.set_now(not_after + keystore::VERIFY_GRACE_S);
    assert!(open(&device, &second).2.is_valid());
    device.set_now(not_after + keystore::VERIFY_GRACE_S + 1);
    assert_eq!(open(&device, &second).2, unknown);
}

#[test]
fn a_device_says_until_when_its_keys_are_usable() {
    let end_s = 4_102_444_800; // 2100-01-01
    let (message, operator) = stores(r#","revoked_at":1800000100}"#);
    let both = SoftPkz::new(message, operator, NOW).unwrap();
    // Of the first generation only, revoked at a moment that is known.
    let parse = |text: &str, purpose| Keystore::parse(text.lines().next().unwrap(), purpose).unwrap();
    let revoked = test_keys::message_keystore().replacen('}', r#","revoked_at":1800000100}"#, 1);
    let operator = parse(test_keys::operator_keystore(), Purpose::Operator);
    let first = SoftPkz::new(parse(&revoked, Purpose::Message), operator, NOW).unwrap();
    for (device, now_unix, expected) in [
        (&both, NOW, Some(end_s)),
        (&both, end_s + keystore::VERIFY_GRACE_S, Some(end_s)),
        (&both, end_s + keystore::VERIFY_GRACE_S + 1, None),
        (&first, NOW, Some(1_800_000_100)),
        (&first, 1_800_000_100, None),
    ] {
        device.set_now(now_unix);
        assert_eq!(device.usable_until(), expected, "{now_unix}");
    }
}

#[test]
fn a_device_needs_both_keys_of_every_generation() {
    let (message, operator) = stores("}");
    assert!(matches!(SoftPkz::new(operator, message, NOW), Err(SetupError::Purpose { .. })));
    let (message, _) = stores("}");
    let first_line = test_keys::operator_keystore().lines().next().unwrap();
    let operator = Keystore::parse(first_line, Purpose::Operator).unwrap();
    assert_eq!(SoftPkz::new(message, operator, NOW).unwrap_err(), SetupError::NoOperatorKey(generation(2)));
}

#[test]
fn nothing_secret_is_printed() {
    let device = test_keys::soft_pkz(NOW);
    let shown = format!("{device:?} {:?}", keys(1));
    assert!(shown.contains("cd345967") && shown.contains("600fac86"), "{shown}");
    for secret in ["d4eed2", "9fda4e", "212, 238", "159, 218"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn only_right_signs_enter_the_cache() {
    let device = test_keys::soft_pkz(NOW);
    let good = sealed(&document(b"x"), 1, false);
    open(&device, &with_sign(&good, [0xD1, 6, 0, 0, 0, 0, 0, 0]));
    assert_eq!(device.cache.len(), 0);
    for _ in 0..3 {
        open(&device, &good);
    }
    assert_eq!(device.cache.len(), 1);
    open(&device, &sealed(&document(b"x"), 2, true));
    assert_eq!(device.cache.len(), 2);
}

/// Two storages, a cache for one of them: the answers do not depend on it.
#[test]
fn a_small_cache_changes_nothing() {
    let device = test_keys::soft_pkz(NOW).with_cache_entries(1);
    for _ in 0..40 {
        for (number, encrypt) in [(1, false), (2, true), (1, true), (2, false)] {
            assert!(open(&device, &sealed(&document(b"x"), number, encrypt)).2.is_valid());
        }
    }
}

fn ask<'a>(reply_to: &'a ContainerHeader, items: &'a [u8], fpo_offset: usize) -> AckRequest<'a> {
    AckRequest {
        fn_number: fn_number(),
        generation: None,
        fd_number: reply_to.fd_number,
        ofd_inn: Inn::from_padded(b"7700000001").unwrap(),
        datetime: 1_800_000_000,
        items,
        fpo_offset,
        reply_to,
        iv: [9; 8],
        encrypt: false,
    }
}

#[test]
fn the_newest_generation_answers_when_none_is_named() {
    let device = test_keys::soft_pkz(NOW);
    let reply_to = header(4);
    let sealed = device.seal(&ask(&reply_to, &[], 0)).unwrap();
    assert_eq!(sealed.fpp[0], 0xE2);
    assert_eq!(sealed.fpo.unwrap()[0], 0xF2);
    let named =
        device.seal(&AckRequest { generation: Some(generation(1)), ..ask(&reply_to, &[], 0) }).unwrap();
    assert_eq!(named.fpp[0], 0xE1);

    // Past its period a generation is accepted for a while, and as long answers go out under it.
    let device = device_of("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z");
    let end: i64 = 1_738_368_000;
    device.set_now(end + keystore::VERIFY_GRACE_S);
    assert!(device.seal(&ask(&reply_to, &[], 0)).is_ok());
    device.set_now(end + keystore::VERIFY_GRACE_S + 1);
    assert_eq!(
        device.seal(&ask(&reply_to, &[], 0)),
        Err(SealError::Refused(RefusedReason::UnknownGeneration))
    );
}

/// A device of one generation with this period.
fn device_of(not_before: &str, not_after: &str) -> SoftPkz {
    let line = |purpose: &str| {
        format!(
            r#"{{"purpose":"{purpose}","generation":3,"not_before":"{not_before}","not_after":"{not_after}","key_hex":"{}"}}"#,
            "0123456789abcdeffedcba98765432105a5b5c5d5e5f606162636465666768a9"
        )
    };
    let message = Keystore::parse(&line("msg"), Purpose::Message).unwrap();
    let operator = Keystore::parse(&line("opr"), Purpose::Operator).unwrap();
    SoftPkz::new(message, operator, 0).unwrap()
}

#[test]
fn requests_that_cannot_be_sealed_are_refused() {
    let device = test_keys::soft_pkz(NOW);
    let reply_to = header(4);
    let check = |request: AckRequest<'_>, reason| {
        assert_eq!(device.seal(&request), Err(SealError::Refused(reason)));
    };
    let good = ask(&reply_to, &[], 0);
    assert!(device.seal(&good).is_ok());
    check(AckRequest { generation: Some(generation(9)), ..good.clone() }, RefusedReason::UnknownGeneration);
    check(AckRequest { fd_number: FdNumber::new(78).unwrap(), ..good.clone() }, RefusedReason::OtherDocument);
    let other = FnNumber::from_padded(b"9999078900000018").unwrap();
    check(AckRequest { fn_number: other, ..good.clone() }, RefusedReason::OtherDocument);
    check(AckRequest { fpo_offset: 1, ..good.clone() }, RefusedReason::FpoOffset);
    check(AckRequest { items: &[0; 65_536], ..good.clone() }, RefusedReason::TooLong);
    device.set_now(i64::MAX);
    check(good, RefusedReason::UnknownGeneration);
}

#[test]
fn service_bytes_and_numbers_are_echoed() {
    let device = test_keys::soft_pkz(NOW);
    let reply_to = ContainerHeader { service1: [0xAB, 0xCD], service2: [0, 4], ..header(4) };
    let container = device.seal(&ask(&reply_to, &[], 0)).unwrap().container;
    let reply = Container::decode(&container).unwrap().header;
    assert_eq!(reply.kind, ContainerKind::FROM_OFD);
    assert_eq!((reply.form, reply.service1, reply.service2), (7, [0xAB, 0xCD], [0, 2]));
    assert_eq!((reply.fn_number, reply.fd_number, reply.iv), (fn_number(), reply_to.fd_number, [9; 8]));
}

#[test]
fn without_keys_nothing_is_checked_and_nothing_signed() {
    let disabled = Verdict::Unverifiable(UnverifiableReason::Disabled);
    let clear = document(b"x");
    assert_eq!(open(&NoPkz, &sealed(&clear, 1, false)), (Some(clear.clone()), false, disabled));
    assert_eq!(open(&NoPkz, &sealed(&clear, 1, true)), (None, true, disabled));
    let reply_to = header(4);
    let items = [1, 0, 1, 0, 7];
    let sealed = NoPkz.seal(&ask(&reply_to, &items, 0)).unwrap();
    assert_eq!((sealed.fpo, sealed.fpp), (None, [0; 8]));
    let container = Container::decode(&sealed.container).unwrap();
    assert_eq!((container.data, container.sign), (&[7, 0, 5, 0, 1, 0, 1, 0, 7][..], [0; 8]));
    let encrypted = NoPkz.seal(&AckRequest { encrypt: true, ..ask(&reply_to, &[], 0) });
    assert_eq!(encrypted, Err(SealError::Refused(RefusedReason::CannotEncrypt)));
}

#[test]
fn verdict_names_differ() {
    let names = [
        Verdict::Valid { scheme: Scheme::SoftGost1, generation: generation(1) },
        Verdict::Invalid(InvalidReason::Mismatch),
        Verdict::Invalid(InvalidReason::Malformed),
        Verdict::Invalid(InvalidReason::WrongKind),
        Verdict::Unverifiable(UnverifiableReason::ForeignScheme),
        Verdict::Unverifiable(UnverifiableReason::UnknownGeneration),
        Verdict::Unverifiable(UnverifiableReason::Disabled),
        Verdict::Unverifiable(UnverifiableReason::CannotDecrypt),
        Verdict::Unavailable { retry_after: Duration::from_secs(1) },
    ]
    .map(|verdict| verdict.name());
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}

#[test]
fn batches_answer_like_single_calls() {
    let device = test_keys::soft_pkz(NOW);
    let containers = [sealed(&document(b"a"), 1, false), sealed(&document(b"b"), 2, true)];
    let raw: Vec<_> = containers
        .iter()
        .map(|bytes| RawContainer { fn_number: fn_number(), container: Container::decode(bytes).unwrap() })
        .collect();
    let singly: Vec<_> = raw.iter().map(|container| device.open(container)).collect();
    assert_eq!(device.open_many(&raw), singly);
    let reply_to = header(4);
    let requests = [ask(&reply_to, &[], 0), ask(&reply_to, &[], 1)];
    let singly: Vec<_> = requests.iter().map(|request| device.seal(request)).collect();
    assert_eq!(device.seal_many(&requests), singly);
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_a_storage_seals_is_opened(value in values(), number in 1u8..=2, encrypt: bool) {
        let device = test_keys::soft_pkz(NOW);
        let document = document(&value);
        let (opened, was_encrypted, verdict) = open(&device, &sealed(&document, number, encrypt));
        prop_assert_eq!(opened, Some(document));
        prop_assert_eq!(was_encrypted, encrypt);
        prop_assert_eq!(verdict, Verdict::Valid { scheme: Scheme::SoftGost1, generation: generation(number) });
    }

    #[test]
    fn a_flipped_bit_of_the_data_is_never_valid(value in values(), encrypt: bool, at: prop::sample::Index, bit in 0u8..8) {
        let device = test_keys::soft_pkz(NOW);
        let container = sealed(&document(&value), 1, encrypt);
        let mut data = Container::decode(&container).unwrap().data.to_vec();
        let at = at.index(data.len());
        data[at] ^= 1 << bit;
        let (opened, _, verdict) = open(&device, &with_data(&container, &data));
        prop_assert_eq!(verdict, Verdict::Invalid(InvalidReason::Mismatch));
        // In the first four bytes the body no longer fits its header and is not opened at all.
        prop_assert_eq!(opened.is_some(), at >= 4);
    }

    #[test]
    fn a_flipped_bit_of_the_sign_is_never_valid(value in values(), encrypt: bool, at in 0usize..8, bit in 0u8..8) {
        let device = test_keys::soft_pkz(NOW);
        let container = sealed(&document(&value), 1, encrypt);
        let mut sign = Container::decode(&container).unwrap().sign;
        sign[at] ^= 1 << bit;
        let verdict = open(&device, &with_sign(&container, sign)).2;
        match at {
            0 => prop_assert!(!verdict.is_valid()),
            1 => prop_assert_eq!(verdict, Verdict::Invalid(InvalidReason::Malformed)),
            _ => prop_assert_eq!(verdict, Verdict::Invalid(InvalidReason::Mismatch)),
        }
    }

    #[test]
    fn foreign_types_are_never_judged(first in 0u8..0xC0, rest: [u8; 7], encrypt: bool) {
        let [a, b, c, d, e, f, g] = rest;
        let container = with_sign(&sealed(&document(b"x"), 1, encrypt), [first, a, b, c, d, e, f, g]);
        let verdict = open(&test_keys::soft_pkz(NOW), &container).2;
        prop_assert_eq!(verdict, Verdict::Unverifiable(UnverifiableReason::ForeignScheme));
    }

    #[test]
    fn a_sealed_acknowledgement_opens_at_the_storage(value in values(), iv: [u8; 8], encrypt: bool) {
        let device = test_keys::soft_pkz(NOW);
        let reply_to = header(4);
        let items = document(&value).split_off(4);
        let request = AckRequest { iv, encrypt, generation: Some(generation(1)), ..ask(&reply_to, &items, items.len()) };
        let sealed = device.seal(&request).unwrap();
        let container = Container::decode(&sealed.container).unwrap();
        let (mut document, keys) = (container.data.to_vec(), keys(1));
        if encrypt {
            keys.crypt_down(&iv, &mut document);
        }
        prop_assert!(keys.check_fpp(&document, &container.sign));
        prop_assert!(document.ends_with(&sealed.fpo.unwrap()));
    }

    #[test]
    fn any_container_is_judged_without_panic(data in values(), sign: [u8; 8], form: u8, open_len: u16) {
        let header = ContainerHeader { form, open_len, ..header(4) };
        let container = encode(&header, &data, sign).unwrap();
        let verdict = open(&test_keys::soft_pkz(NOW), &container).2;
        prop_assert!(!verdict.is_valid());
    }
}
