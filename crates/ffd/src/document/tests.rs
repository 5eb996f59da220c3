use proptest::prelude::*;

use super::*;
use crate::error::{Lengths, ValueError};
use crate::fixtures;
use crate::tlv::MAX_DEPTH;
use crate::value::{Value, vln_bytes};

/// A document of `form` with the records that `write` appends.
fn build(form: FormCode, write: impl FnOnce(&mut Vec<u8>) -> Result<(), TlvError>) -> Vec<u8> {
    let mut bytes = Vec::new();
    tlv::write_group(&mut bytes, form.0, write).unwrap();
    bytes
}

#[test]
fn captures_read_without_a_loss_and_without_a_fault() {
    for capture in fixtures::documents() {
        let (name, bytes) = (&capture.name, capture.document());
        let document = Document::decode(bytes).unwrap();
        assert_eq!(document.encode(), bytes, "{name}");
        assert!(document.version_known(), "{name}");
        assert_eq!(document.unreadable_group(), None, "{name}");
        every_node(document.nodes(), &mut |node| {
            let is_read = matches!(node.content(), Content::Value(_) | Content::Group(_));
            assert!(is_read, "{name}: tag {} at {}: {:?}", node.tag, node.offset, node.content());
            assert!(node.is_readable() && !node.is_broken(), "{name}: tag {}", node.tag);
            let value = node.offset + HEADER_LEN;
            assert_eq!(&bytes[value..value + node.raw.len()], node.raw, "{name}: offset");
        });
        match capture.message_sign() {
            Some(sign) => assert!(capture.after_document().starts_with(&sign), "{name}"),
            None => assert_eq!(capture.after_document(), [0; 0], "{name}"),
        }
    }
}

fn every_node<'n>(nodes: Nodes<'n>, visit: &mut impl FnMut(Node<'n>)) {
    for node in nodes {
        visit(node);
        every_node(node.children(), visit);
    }
}

#[test]
fn captures_say_what_is_published_about_them() {
    let check = |name: &str, form: FormCode, version: FfdVersion, sign: Option<u32>, records: usize| {
        let capture = fixtures::find(name);
        let document = Document::decode(capture.document()).unwrap();
        let found = (document.form(), document.version(), document.fiscal_sign(), document.nodes().count());
        assert_eq!(found, (form, version, sign, records), "{name}");
    };
    check("msg_reg11_ffd105", FormCode::REGISTRATION_CHANGE, FfdVersion::V1_05, Some(2_853_205_313), 29);
    check("msg_reg11_ffd12_", FormCode::REGISTRATION_CHANGE, FfdVersion::V1_2, Some(612_230_899), 24);
}

#[test]
fn the_report_of_the_container_description_reads_as_written_there() {
    let capture = fixtures::find("msg_reg11_ffd12_");
    let document = Document::decode(capture.document()).unwrap();
    assert_eq!(document.bytes(), capture.document());
    assert_eq!(document.text(1041).as_deref(), Some("9999078902013267"));
    assert_eq!(document.text(1037).as_deref(), Some("0000000000024136"), "padding is stripped");
    assert_eq!(document.text(1018).as_deref(), Some("7802781104"));
    assert_eq!(document.text(1046).as_deref(), Some("           "), "spaces of a free text stay");
    assert_eq!(document.raw(1018), Some(b"7802781104  ".as_slice()));
    assert_eq!(document.time(1012).unwrap().to_string(), "2024-09-14 21:24:00");
    assert_eq!(document.unsigned(1213), Some(410));
    assert_eq!(document.unsigned(1290), Some(320));
    assert_eq!(document.node(1290).unwrap().value(), Some(Value::Bits { mask: 320, width: 4 }));
    assert_eq!(document.text(1213), None, "a number is no text");
    assert_eq!(document.unsigned(1041), None, "a text is no number");
    assert_eq!(document.node(1059), None);
}

#[test]
fn items_of_a_receipt_are_groups() {
    let capture = fixtures::find("raw_receipt3_9999078900011918");
    let document = Document::decode(capture.document()).unwrap();
    let item = document.node(1059).unwrap();
    assert!(item.child(1030).unwrap().text().is_some());
    assert!(item.child(1023).unwrap().decimal().is_some());
    assert!(item.child(1079).unwrap().unsigned().is_some());
    assert_eq!(item.value(), None);
    assert!(document.node(1020).unwrap().children().is_empty());
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
    let nodes: Vec<_> = document.nodes().collect();
    let [unknown, time, item, total] = nodes[..] else { panic!("four records") };
    assert_eq!((unknown.def, unknown.content()), (None, Content::Unknown));
    let wrong_length = ValueError::Length { tag: 1012, len: 3, expected: Lengths::Exactly(4) };
    assert_eq!(time.content(), Content::Broken(wrong_length));
    // Records begin at 4, 11, 18; the group's own value at 22.
    let cut_short = TlvError::TruncatedHeader { offset: 22, available: 3 };
    assert_eq!(item.content(), Content::Broken(ValueError::Group { tag: 1059, source: cut_short }));
    assert_eq!(total.unsigned(), Some(5));
    for node in [unknown, time, item] {
        assert_eq!(node.raw, [1, 2, 3]);
        assert!(!node.is_readable() && node.is_broken() == node.def.is_some());
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
    assert!(Document::decode(&[3, 0, 0, 0]).unwrap().nodes().is_empty(), "no records are no damage");
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
        (depth, node.content() == too_deep)
    };
    assert_eq!(innermost(&nested(MAX_DEPTH)), (MAX_DEPTH, false));
    assert_eq!(innermost(&nested(MAX_DEPTH + 1)), (MAX_DEPTH + 1, true));
    assert_eq!(innermost(&nested(10_000)), (MAX_DEPTH + 1, true));
}

#[test]
fn a_group_that_does_not_read_is_found() {
    let check = |version: u8, records: &str, expected: Option<(u16, usize)>| {
        let records = hex::decode(records.replace(' ', "")).unwrap();
        let bytes = build(FormCode::RECEIPT, |out| {
            tlv::write_record(out, 1209, &[version])?;
            out.extend_from_slice(&records);
            Ok(())
        });
        let document = Document::decode(&bytes).unwrap();
        let found = document.unreadable_group().map(|node| (node.tag, node.offset));
        assert_eq!(found, expected, "version {version}, {records:x?}");
    };
    // The records begin at 9. An item: whole, empty, with a child that overruns it, with bytes left over.
    check(2, "23 04 05 00 FF 03 01 00 00", None);
    check(2, "23 04 00 00", None);
    check(2, "23 04 07 00 06 04 64 00 61 62 63", Some((1059, 9)));
    check(2, "23 04 08 00 FF 03 02 00 00 01 00 00", Some((1059, 9)));
    check(1, "23 04 07 00 06 04 64 00 61 62 63", Some((1059, 9)));
    // The base of a correction (1174) of one byte; behind a record that is no group.
    check(2, "96 04 01 00 00", Some((1174, 9)));
    check(4, "FC 03 01 00 05 96 04 01 00 00", Some((1174, 14)));
    // The supplier's data (1224) inside an item, then a second one that is damaged too.
    check(2, "23 04 06 00 C8 04 02 00 00 00 96 04 01 00 00", Some((1224, 13)));
    // What is no group or is unknown has no records to lose: a time of two bytes, tag 9999.
    check(2, "F4 03 02 00 00 00 0F 27 01 00 00", None);
    // Details of the user (1084), a reversed item (1071): any format in 1.0, records later. A damaged group inside
    // them is their format too.
    check(1, "3C 04 01 00 00", None);
    check(1, "2F 04 01 00 00", None);
    check(1, "2F 04 05 00 23 04 01 00 00", None);
    check(2, "3C 04 01 00 00", Some((1084, 9)));
    check(4, "3C 04 01 00 00", Some((1084, 9)));
}

#[test]
fn whatever_1_0_gives_any_format_never_counts_there() {
    for tag in ANY_FORMAT_IN_1_0 {
        for version in [None, Some(1)] {
            let bytes = build(FormCode::RECEIPT, |out| {
                version.map_or(Ok(()), |version| tlv::write_record(out, 1209, &[version]))?;
                tlv::write_record(out, tag, &[1, 2, 3])?;
                tlv::write_group(out, 1059, |item| tlv::write_record(item, tag, &[1, 2, 3]))
            });
            assert_eq!(Document::decode(&bytes).unwrap().unreadable_group(), None, "tag {tag}");
        }
    }
}

#[test]
fn a_group_past_the_limit_of_depth_does_not_read() {
    let found = |depth| {
        let bytes = nested(depth);
        let document = Document::decode(&bytes).unwrap();
        document.unreadable_group().map(|node| (node.tag, node.offset))
    };
    assert_eq!(found(MAX_DEPTH), None);
    assert_eq!(found(MAX_DEPTH + 1), Some((1059, HEADER_LEN * (MAX_DEPTH + 1))));
}

#[test]
fn the_longest_document_reads() {
    let bytes =
        build(FormCode::RECEIPT, |out| tlv::write_record(out, 1084, &[0; tlv::MAX_VALUE_LEN - HEADER_LEN]));
    assert_eq!(bytes.len(), HEADER_LEN + tlv::MAX_VALUE_LEN);
    assert_eq!(Document::decode(&bytes).unwrap().encode(), bytes);
}

#[test]
fn a_record_of_the_top_level_is_found_by_its_tag() {
    let tags = [1020, 2007, 999, 1299, 1300, 1059, 1000, 1020, 1059, 2007, 1020, 65_535];
    let bytes = build(FormCode::RECEIPT, |out| {
        tags.iter().try_for_each(|&tag| match tag {
            1059 => tlv::write_group(out, tag, |item| {
                [1020, 2108, 2007].iter().try_for_each(|&tag| tlv::write_record(item, tag, &[1]))
            }),
            _ => tlv::write_record(out, tag, &[2]),
        })
    });
    let document = Document::decode(&bytes).unwrap();
    for tag in 0..=u16::MAX {
        let expected: Vec<_> = document.nodes().filter(|node| node.tag == tag).collect();
        assert_eq!(expected.len(), tags.iter().filter(|&&other| other == tag).count(), "tag {tag}");
        assert_eq!(document.nodes_of(tag).collect::<Vec<_>>(), expected, "tag {tag}");
        assert_eq!(document.node(tag), expected.first().copied(), "tag {tag}");
        assert_eq!(document.raw(tag), expected.first().map(|node| node.raw), "tag {tag}");
    }
}

#[test]
fn a_document_of_the_shortest_records_is_read_to_its_end() {
    let bytes = build(FormCode::RECEIPT, |out| {
        (0..tlv::MAX_VALUE_LEN / HEADER_LEN - 1).try_for_each(|_| tlv::write_record(out, 1020, &[]))?;
        tlv::write_group(out, 1059, |_| Ok(()))
    });
    let document = Document::decode(&bytes).unwrap();
    assert_eq!(document.encode(), bytes);
    assert_eq!((document.nodes().count(), document.nodes_of(1020).count()), (16_383, 16_382));
    assert_eq!(document.node(1059).map(|node| node.offset), Some(65_532));
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

/// A document that reads is written as it was; every view of a node may be asked for.
fn reads_or_is_refused(bytes: &[u8]) {
    let Ok(document) = Document::decode(bytes) else { return };
    assert_eq!(document.encode(), bytes);
    let _ = document.fiscal_sign();
    let mut first_broken = None;
    every_node(document.nodes(), &mut |node| {
        let is_group =
            matches!(node.content(), Content::Broken(ValueError::Group { .. } | ValueError::TooDeep { .. }));
        assert_eq!(node.is_broken(), matches!(node.content(), Content::Broken(_)));
        assert_eq!(node.is_group(), matches!(node.content(), Content::Group(_)));
        assert_eq!(node.value().is_some(), matches!(node.content(), Content::Value(_)));
        assert_eq!(node.unsigned(), node.value().and_then(|value| value.unsigned()));
        if is_group && first_broken.is_none() {
            first_broken = Some(node);
        }
    });
    if document.version() != FfdVersion::V1_0 {
        assert_eq!(document.unreadable_group(), first_broken);
    } else if first_broken.is_none() {
        assert_eq!(document.unreadable_group(), None);
    }
    every_node(document.nodes(), &mut |node| {
        assert_eq!(&bytes[node.offset + HEADER_LEN..][..node.raw.len()], node.raw);
        let _ = (node.text(), node.unsigned(), node.decimal().map(|number| number.to_string()));
        let _ = node.time().map(|time| time.to_string());
    });
}

proptest! {
    #[test]
    fn a_random_tree_is_read_and_written_back(bytes in fixtures::any_document()) {
        let document = Document::decode(&bytes).unwrap();
        prop_assert_eq!(document.encode(), bytes);
    }

    #[test]
    fn a_truncated_tree_is_an_error_or_a_tree(bytes in fixtures::any_document(), keep in any::<prop::sample::Index>()) {
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
    fn a_flipped_bit_never_panics(bytes in fixtures::any_document(), place in any::<prop::sample::Index>(), bit in 0..8_u32) {
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
    for capture in fixtures::documents() {
        for len in 0..capture.document().len() {
            let cut = &capture.document()[..len];
            assert!(Document::decode(cut).is_err(), "{} cut to {len}", capture.name);
            if let Some(body) = cut.get(HEADER_LEN..) {
                let mut honest = Vec::new();
                tlv::write_record(&mut honest, 3, body).unwrap();
                reads_or_is_refused(&honest);
            }
        }
    }
}
