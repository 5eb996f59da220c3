use proptest::prelude::*;

use super::*;
use crate::captures;
use crate::value::vln_bytes;

/// A document of `form` with the records that `write` appends.
fn build(form: FormCode, write: impl FnOnce(&mut Vec<u8>) -> Result<(), TlvError>) -> Vec<u8> {
    let mut bytes = Vec::new();
    tlv::write_group(&mut bytes, form.0, write).unwrap();
    bytes
}

#[test]
fn captures_read_without_a_loss_and_without_a_fault() {
    let all = captures::all();
    assert_eq!(all.len(), 8);
    for capture in all {
        let document = Document::decode(capture.document).unwrap();
        assert_eq!(document.encode(), capture.document, "{}", capture.name);
        assert!(document.version_known(), "{}", capture.name);
        every_node(document.nodes(), &mut |node| {
            assert!(
                !matches!(node.content, Content::Broken(_) | Content::Unknown),
                "{}: tag {} at {}: {:?}",
                capture.name,
                node.tag,
                node.offset,
                node.content
            );
            let value = node.offset + HEADER_LEN;
            assert_eq!(
                &capture.document[value..value + node.raw.len()],
                node.raw,
                "{}: offset",
                capture.name
            );
        });
        let after_is_sign = matches!(capture.after, [] | [0x81 | 0x82, 6, ..]);
        assert!(after_is_sign, "{}: {:x?}", capture.name, capture.after);
    }
}

fn every_node<'n>(nodes: &'n [Node<'n>], visit: &mut impl FnMut(&'n Node<'n>)) {
    for node in nodes {
        visit(node);
        every_node(node.children(), visit);
    }
}

#[test]
fn captures_say_what_is_published_about_them() {
    let check = |name: &str, form: FormCode, version: FfdVersion, sign: Option<u32>, records: usize| {
        let document = Document::decode(captures::document(name)).unwrap();
        let found = (document.form(), document.version(), document.fiscal_sign(), document.nodes().len());
        assert_eq!(found, (form, version, sign, records), "{name}");
    };
    check("msg_reg11_ffd105", FormCode::REGISTRATION_CHANGE, FfdVersion::V1_05, Some(2_853_205_313), 29);
    check("msg_reg11_ffd12_", FormCode::REGISTRATION_CHANGE, FfdVersion::V1_2, Some(612_230_899), 24);
    let receipts = captures::all().into_iter().filter(|capture| capture.name.starts_with("raw_receipt3"));
    for capture in receipts {
        let document = Document::decode(capture.document).unwrap();
        assert_eq!(document.form(), FormCode::RECEIPT, "{}", capture.name);
        assert!(document.nodes_of(1059).count() > 0, "{}", capture.name);
        let number = capture.name.split_once("_fd").unwrap().1;
        assert_eq!(document.unsigned(1040).unwrap().to_string(), number);
        assert!(capture.name.contains(document.text(1041).unwrap().as_ref()), "{}", capture.name);
    }
}

#[test]
fn the_report_of_the_container_description_reads_as_written_there() {
    let bytes = captures::document("msg_reg11_ffd12_");
    let document = Document::decode(bytes).unwrap();
    assert_eq!(document.bytes(), bytes);
    assert_eq!(document.text(1041).as_deref(), Some("9999078902013267"));
    assert_eq!(document.text(1037).as_deref(), Some("0000000000024136"), "padding is stripped");
    assert_eq!(document.text(1018).as_deref(), Some("7802781104"));
    assert_eq!(document.text(1046).as_deref(), Some("           "), "spaces of a free text stay");
    assert_eq!(document.raw(1018), Some(b"7802781104  ".as_slice()));
    assert_eq!(document.time(1012).unwrap().to_string(), "2024-09-14 21:24:00");
    assert_eq!(document.unsigned(1213), Some(410));
    assert_eq!(document.unsigned(1290), Some(320));
    assert_eq!(document.node(1290).unwrap().value(), Some(&Value::Bits { mask: 320, width: 4 }));
    assert_eq!(document.text(1213), None, "a number is no text");
    assert_eq!(document.unsigned(1041), None, "a text is no number");
    assert_eq!(document.node(1059), None);
}

#[test]
fn items_of_a_receipt_are_groups() {
    let document = Document::decode(captures::document("raw_receipt3_9999078900011918")).unwrap();
    let item = document.node(1059).unwrap();
    assert!(item.child(1030).unwrap().text().is_some());
    assert!(item.child(1023).unwrap().decimal().is_some());
    assert!(item.child(1079).unwrap().unsigned().is_some());
    assert_eq!(item.value(), None);
    assert_eq!(document.node(1020).unwrap().children(), []);
}

#[test]
fn the_version_is_the_one_declared() {
    let check = |value: Option<&[u8]>, expected: (FfdVersion, bool)| {
        let bytes = build(FormCode::RECEIPT, |out| {
            tlv::write_record(out, 1020, &[1])?;
            value.map_or(Ok(()), |value| tlv::write_record(out, 1209, value))
        });
        let document = Document::decode(&bytes).unwrap();
        assert_eq!((document.version(), document.version_known()), expected, "{value:?}");
    };
    check(None, (FfdVersion::V1_0, true));
    check(Some(&[]), (FfdVersion::V1_0, true));
    check(Some(&[0]), (FfdVersion::V1_0, true));
    check(Some(&[1]), (FfdVersion::V1_0, true));
    check(Some(&[2]), (FfdVersion::V1_05, true));
    check(Some(&[3]), (FfdVersion::V1_1, true));
    check(Some(&[4]), (FfdVersion::V1_2, true));
    check(Some(&[5]), (FfdVersion::V1_2, false));
    check(Some(&[2, 0]), (FfdVersion::V1_2, false));
}

#[test]
fn a_version_inside_a_group_is_not_the_documents() {
    let bytes = build(FormCode::RECEIPT, |out| {
        tlv::write_group(out, 1059, |item| tlv::write_record(item, 1209, &[4]))?;
        tlv::write_record(out, 1209, &[2])
    });
    assert_eq!(Document::decode(&bytes).unwrap().version(), FfdVersion::V1_05);
}

#[test]
fn a_reused_tag_is_read_by_place_and_version() {
    let vat = |version: u8| {
        build(FormCode::RECEIPT, |out| {
            tlv::write_record(out, 1209, &[version])?;
            tlv::write_group(out, 1115, |sums| {
                tlv::write_group(sums, 1119, |sum| {
                    tlv::write_record(sum, 1199, &[11])?;
                    tlv::write_record(sum, 1120, &vln_bytes(14_558))
                })
            })
        })
    };
    let bytes = vat(2);
    let document = Document::decode(&bytes).unwrap();
    let sum = document.node(1115).unwrap().child(1119).unwrap();
    assert_eq!(sum.child(1120).unwrap().unsigned(), Some(14_558));
    assert_eq!(sum.child(1199).unwrap().def.unwrap().parents, [1119]);

    let bytes = vat(1);
    let document = Document::decode(&bytes).unwrap();
    assert!(document.node(1115).unwrap().text().is_some(), "in 1.0 it is the address of a site");
}

#[test]
fn unknown_and_broken_records_stay_as_they_are() {
    let bytes = build(FormCode::RECEIPT, |out| {
        tlv::write_record(out, 9999, &[1, 2, 3])?;
        tlv::write_record(out, 1012, &[1, 2, 3])?;
        tlv::write_record(out, 1059, &[1, 2, 3])?;
        tlv::write_record(out, 1020, &[5, 0, 0, 0])
    });
    let document = Document::decode(&bytes).unwrap();
    assert_eq!(document.encode(), bytes);
    let [unknown, time, item, total] = document.nodes() else { panic!("four records") };
    assert_eq!((unknown.def, &unknown.content), (None, &Content::Unknown));
    let wrong_length = ValueError::Length { tag: 1012, len: 3, expected: "4 bytes" };
    assert_eq!(time.content, Content::Broken(wrong_length));
    // Records begin at 4, 11, 18; the group's own value at 22.
    let cut_short = TlvError::TruncatedHeader { offset: 22, available: 3 };
    assert_eq!(item.content, Content::Broken(ValueError::Group { tag: 1059, source: cut_short }));
    assert_eq!(total.unsigned(), Some(5));
    for node in [unknown, time, item] {
        assert_eq!(node.raw, [1, 2, 3]);
        assert_eq!((node.value(), node.text(), node.unsigned(), node.decimal()), (None, None, None, None));
    }
    assert_eq!(document.time(1012), None);
    assert_eq!(document.raw(1012), Some([1, 2, 3].as_slice()));
}

#[test]
fn only_the_top_level_can_fail() {
    let check =
        |bytes: &[u8], expected| assert_eq!(Document::decode(bytes).unwrap_err(), expected, "{bytes:x?}");
    check(&[], DecodeError::TooShort { len: 0 });
    check(&[3, 0, 0], DecodeError::TooShort { len: 3 });
    check(&[3, 0, 1, 0], DecodeError::LengthMismatch { form: 3, declared: 1, actual: 0 });
    check(&[3, 0, 0, 0, 9], DecodeError::LengthMismatch { form: 3, declared: 0, actual: 1 });
    let source = TlvError::TruncatedHeader { offset: 4, available: 1 };
    check(&[3, 0, 1, 0, 9], DecodeError::TopLevel { form: 3, source });
    let source = TlvError::Overrun { offset: 9, tag: 1012, declared: 4, available: 1 };
    let cut = [3, 0, 10, 0, 0xFC, 3, 1, 0, 7, 0xF4, 3, 4, 0, 1];
    check(&cut, DecodeError::TopLevel { form: 3, source });
    assert_eq!(Document::decode(&[3, 0, 0, 0]).unwrap().nodes(), [], "no records are no damage");
}

/// A document of `depth` items, each inside the one before.
fn nested(depth: usize) -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 0..depth {
        let mut outer = Vec::new();
        tlv::write_record(&mut outer, 1059, &inner).unwrap();
        inner = outer;
    }
    build(FormCode::RECEIPT, |out| {
        out.extend_from_slice(&inner);
        Ok(())
    })
}

#[test]
fn groups_nest_to_the_limit_and_not_past_it() {
    let innermost = |bytes: &[u8]| -> (usize, bool) {
        let document = Document::decode(bytes).unwrap();
        assert_eq!(document.encode(), bytes);
        let mut node = document.node(1059).unwrap();
        let mut depth = 1;
        while let Some(child) = node.child(1059) {
            node = child;
            depth += 1;
        }
        let too_deep = Content::Broken(ValueError::TooDeep { tag: 1059, limit: MAX_DEPTH });
        (depth, node.content == too_deep)
    };
    assert_eq!(innermost(&nested(MAX_DEPTH)), (MAX_DEPTH, false));
    assert_eq!(innermost(&nested(MAX_DEPTH + 1)), (MAX_DEPTH + 1, true));
    assert_eq!(innermost(&nested(10_000)), (MAX_DEPTH + 1, true));
}

#[test]
fn the_longest_document_reads() {
    let bytes =
        build(FormCode::RECEIPT, |out| tlv::write_record(out, 1084, &[0; tlv::MAX_VALUE_LEN - HEADER_LEN]));
    assert_eq!(bytes.len(), HEADER_LEN + tlv::MAX_VALUE_LEN);
    assert_eq!(Document::decode(&bytes).unwrap().encode(), bytes);
}

#[test]
fn the_fiscal_sign_is_the_printed_number() {
    let check = |value: &[u8], expected| {
        let bytes = build(FormCode::RECEIPT, |out| tlv::write_record(out, 1077, value));
        assert_eq!(Document::decode(&bytes).unwrap().fiscal_sign(), expected, "{value:x?}");
    };
    check(&[0x21, 4, 0xAA, 0x10, 0x75, 0x41], Some(2_853_205_313));
    check(&[0x31, 4, 0xF7, 0x27, 0x4C, 0xF8], Some(4_146_547_960));
    check(&[0x31, 4, 0, 0, 0, 0], Some(0));
    check(&[0xF7, 0x27, 0x4C, 0xF8], None);
    check(&[0x31, 4, 0xF7, 0x27, 0x4C, 0xF8, 0], None);
}

#[test]
fn the_length_of_a_document_is_the_declared_one() {
    let check = |bytes: &[u8], expected| assert_eq!(document_len(bytes), expected, "{bytes:x?}");
    check(&[], None);
    check(&[3, 0, 0], None);
    check(&[3, 0, 0, 0], Some(4));
    check(&[3, 0, 1, 0], None);
    check(&[3, 0, 1, 0, 9, 0x81, 6], Some(5));
}

/// Tags of every type, groups, reused numbers, unknown numbers.
fn any_tag() -> impl Strategy<Value = u16> {
    let met = vec![
        1011, 1012, 1018, 1020, 1023, 1030, 1038, 1055, 1077, 1082, 1084, 1115, 1119, 1120, 1125, 1199, 1205,
        1209, 1213, 1234, 1235, 1290, 2108, 65001,
    ];
    prop_oneof![8 => prop::sample::select(met), 1 => any::<u16>()]
}

/// Records of a random tree as bytes: leaves of random bytes, groups of further records.
fn any_records() -> impl Strategy<Value = Vec<u8>> {
    let leaf = (any_tag(), prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(tag, value)| {
        let mut out = Vec::new();
        tlv::write_record(&mut out, tag, &value).unwrap();
        out
    });
    leaf.prop_recursive(12, 60, 6, |inner| {
        let groups = prop::sample::select(vec![1059_u16, 1115, 1119, 1157, 1129, 1223, 1084]);
        (groups, prop::collection::vec(inner, 0..6)).prop_map(|(tag, children)| {
            let mut out = Vec::new();
            tlv::write_record(&mut out, tag, &children.concat()).unwrap();
            out
        })
    })
}

fn any_document() -> impl Strategy<Value = Vec<u8>> {
    let forms = prop::sample::select(vec![1_u16, 3, 5, 7, 11, 31, 82, 500]);
    (forms, prop::collection::vec(any_records(), 0..8)).prop_map(|(form, records)| {
        let mut out = Vec::new();
        tlv::write_record(&mut out, form, &records.concat()).unwrap();
        out
    })
}

/// A document that reads is written as it was; every view of a node may be asked for.
fn reads_or_is_refused(bytes: &[u8]) {
    let Ok(document) = Document::decode(bytes) else { return };
    assert_eq!(document.encode(), bytes);
    let _ = document.fiscal_sign();
    every_node(document.nodes(), &mut |node| {
        assert_eq!(&bytes[node.offset + HEADER_LEN..][..node.raw.len()], node.raw);
        let _ = (node.text(), node.unsigned(), node.decimal().map(|number| number.to_string()));
        let _ = node.time().map(|time| time.to_string());
    });
}

proptest! {
    #[test]
    fn a_random_tree_is_read_and_written_back(bytes in any_document()) {
        let document = Document::decode(&bytes).unwrap();
        prop_assert_eq!(document.encode(), bytes);
    }

    #[test]
    fn a_truncated_tree_is_an_error_or_a_tree(bytes in any_document(), keep in any::<prop::sample::Index>()) {
        let cut = &bytes[..keep.index(bytes.len())];
        prop_assert!(Document::decode(cut).is_err(), "its length cannot match");
        // The same loss with a header that admits to it.
        if let Some(body) = cut.get(HEADER_LEN..) {
            let mut honest = bytes[..2].to_vec();
            honest.extend_from_slice(&u16::try_from(body.len()).unwrap().to_le_bytes());
            honest.extend_from_slice(body);
            reads_or_is_refused(&honest);
        }
    }

    #[test]
    fn a_flipped_bit_never_panics(bytes in any_document(), place in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut damaged = bytes;
        let place = place.index(damaged.len());
        damaged[place] ^= 1 << bit;
        reads_or_is_refused(&damaged);
    }

    #[test]
    fn random_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        reads_or_is_refused(&body);
        let mut framed = Vec::new();
        tlv::write_record(&mut framed, 3, &body).unwrap();
        reads_or_is_refused(&framed);
    }
}

#[test]
fn every_truncation_of_every_capture_is_an_error_or_a_tree() {
    for capture in captures::all() {
        for len in 0..capture.document.len() {
            let cut = &capture.document[..len];
            assert!(Document::decode(cut).is_err(), "{} cut to {len}", capture.name);
            if let Some(body) = cut.get(HEADER_LEN..) {
                let mut honest = Vec::new();
                tlv::write_record(&mut honest, 3, body).unwrap();
                reads_or_is_refused(&honest);
            }
        }
    }
}
