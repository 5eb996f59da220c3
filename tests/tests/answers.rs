//! What a register sees on the wire: framing, check codes, flags, order, repeats, document 7.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests: a broken assumption must stop the test at once"
)]

use fiscald_tests::daemon::Setup;
use fiscald_tests::wire::{
    FLAGS_FULL_CRC, FLAGS_HEADER_CRC, FLAGS_PLAIN, Register, Storage, crc, message, records, tlv,
};

const FN: &str = "9999078900000017";

#[test]
fn a_receipt_is_answered_with_document_7_that_its_storage_accepts() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let sent = storage.send(5, &storage.receipt(5, 1000));
    let answer = Register::connect(daemon.registers).exchange(&sent);

    // Signature, versions and ФН of the request, the size of the container, flags 0x0014, no check code.
    let mut header = sent[..24].to_vec();
    header.extend((answer.body.len() as u16).to_le_bytes());
    header.extend([0x14, 0, 0, 0]);
    assert_eq!(answer.header, header);
    assert_eq!(storage.check_answer(&answer, 5), 0);

    let document = &answer.body[32..answer.body.len() - 10];
    let fields = records(&document[4..]);
    let inn = fields.iter().find(|(tag, _)| *tag == 1017).unwrap();
    assert_eq!(inn.1, b"7704211201  ");
    assert_eq!(document.len(), 77, "document 7 of FFD 1.05 has the length of a real operator's");
}

#[test]
fn the_operators_time_is_utc_of_reception() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let unix = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let before = unix();
    let answer = Register::connect(daemon.registers).exchange(&storage.send(5, &storage.receipt(5, 1000)));
    let after = unix();
    let fields = records(&answer.body[36..answer.body.len() - 10]);
    let time = &fields.iter().find(|(tag, _)| *tag == 1012).unwrap().1;
    let time = u64::from(u32::from_le_bytes(time.as_slice().try_into().unwrap()));
    assert!((before..=after).contains(&time), "{before} <= {time} <= {after}");
}

#[test]
fn a_reply_uses_the_check_code_mode_of_its_request() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    for (fd_number, flags) in [(1, FLAGS_PLAIN), (2, FLAGS_HEADER_CRC), (3, FLAGS_FULL_CRC)] {
        let container = storage.wrap(fd_number, &storage.receipt(fd_number, 700));
        let answer = register.exchange(&message(FN, [1, 5], flags, &container));
        assert_eq!(answer.header[26..28], flags.to_le_bytes(), "flags of the reply");
        let expected = match flags {
            FLAGS_HEADER_CRC => crc(&answer.header[..28]),
            FLAGS_FULL_CRC => crc(&[&answer.header[..28], answer.body.as_slice()].concat()),
            _ => 0,
        };
        assert_eq!(answer.header[28..30], expected.to_le_bytes());
        assert_eq!(storage.check_answer(&answer, fd_number), 0);
    }
}

#[test]
fn a_check_code_in_mode_none_is_ignored() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut sent = storage.send(4, &storage.receipt(4, 100));
    sent[28..30].copy_from_slice(&[0xAB, 0xCD]);
    let answer = Register::connect(daemon.registers).exchange(&sent);
    assert_eq!(storage.check_answer(&answer, 4), 0);
}

#[test]
fn the_reply_repeats_the_p_version_of_the_request() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    for (index, version) in [[0, 1], [0, 2], [1, 0], [1, 5], [1, 0x10], [1, 0x20]].into_iter().enumerate() {
        let fd_number = index as u32 + 1;
        let container = storage.wrap(fd_number, &storage.receipt(fd_number, 5));
        let answer = register.exchange(&message(FN, version, FLAGS_PLAIN, &container));
        assert_eq!(answer.header[6..8], version);
    }
}

#[test]
fn a_probe_is_answered_with_cleared_flags_and_the_connection_stays() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    for flags in [0x0010, 0x0011, 0x0001] {
        let answer = register.exchange(&message(FN, [1, 5], flags, &[]));
        assert_eq!(answer.header, message(FN, [1, 5], 0, &[]), "flags {flags:#06x}");
        assert!(answer.body.is_empty());
    }
    let answer = register.exchange(&storage.send(1, &storage.receipt(1, 1)));
    assert_eq!(storage.check_answer(&answer, 1), 0);
    assert!(setup.export().len() == 1, "a probe leaves nothing in the journal");
}

#[test]
fn messages_sent_together_are_answered_in_order() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    let mut stream = Vec::new();
    for fd_number in 1..=200 {
        stream.extend(storage.send(fd_number, &storage.receipt(fd_number, 100)));
        if fd_number % 50 == 0 {
            stream.extend(message(FN, [1, 5], 0x0010, &[]));
        }
    }
    register.write(&stream);
    for fd_number in 1..=200 {
        assert_eq!(storage.check_answer(&register.answer(), fd_number), 0);
        if fd_number % 50 == 0 {
            assert!(register.answer().body.is_empty(), "the probe after {fd_number}");
        }
    }
}

#[test]
fn a_client_that_half_closes_still_gets_its_answers() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    register.write(&storage.send(1, &storage.receipt(1, 100)));
    register.write(&storage.send(2, &storage.receipt(2, 100)));
    register.finish();
    assert_eq!(storage.check_answer(&register.answer(), 1), 0);
    assert_eq!(storage.check_answer(&register.answer(), 2), 0);
    assert!(register.closed_silently());
}

#[test]
fn a_client_that_asks_for_no_answer_is_stored_in_silence() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    register.write(&message(FN, [1, 5], 0x0004, &storage.wrap(1, &storage.receipt(1, 100))));
    // The next answer on the wire belongs to the next message, so the first has been passed over.
    let answer = register.exchange(&storage.send(2, &storage.receipt(2, 100)));
    assert_eq!(storage.check_answer(&answer, 2), 0);
    assert_eq!(setup.export().len(), 2);
}

#[test]
fn a_repeat_gets_the_stored_answer_byte_for_byte_even_from_a_new_process() {
    let setup = Setup::new();
    let storage = Storage::new(FN);
    let sent = storage.send(7, &storage.receipt(7, 12_345));
    let daemon = setup.start();
    let first = Register::connect(daemon.registers).exchange(&sent);
    let again = Register::connect(daemon.registers).exchange(&sent);
    assert_eq!(first, again);
    assert!(daemon.stop().success());
    let daemon = setup.start();
    let after_restart = Register::connect(daemon.registers).exchange(&sent);
    assert_eq!(first, after_restart);
    // The session header and the vector of the container do not belong to the identity of a document.
    let mut container = storage.wrap(7, &storage.receipt(7, 12_345));
    container[20] ^= 0xFF;
    fiscald_tests::wire::seal(&mut container);
    let re_read = Register::connect(daemon.registers).exchange(&message(FN, [1, 5], FLAGS_PLAIN, &container));
    assert_eq!(first.body, re_read.body);
    assert_eq!(setup.export().len(), 1);
}

#[test]
fn other_content_under_a_known_number_is_a_conflict_with_its_own_answer() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new("9280440300000001");
    let one = storage.send(7, &storage.receipt(7, 100));
    let other = storage.send(7, &storage.receipt(7, 200));
    let mut register = Register::connect(daemon.registers);
    let first = register.exchange(&one);
    let second = register.exchange(&other);
    assert_ne!(first.body, second.body);
    assert_eq!(storage.check_answer(&second, 7), 0);
    let listed = setup.json(&["documents", "show", "9280440300000001", "7", "--json"]);
    assert!(listed.to_string().contains("\"conflict_no\":1"), "{listed}");
    assert_eq!(register.exchange(&one), first, "the first keeps its answer");
    assert_eq!(register.exchange(&other), second, "so does the conflicting one");
    assert_eq!(setup.export().len(), 2, "both contents are kept");
}

#[test]
fn a_gap_is_accepted_and_shown() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    for fd_number in [1, 2, 5] {
        let answer = register.exchange(&storage.send(fd_number, &storage.receipt(fd_number, 100)));
        assert_eq!(storage.check_answer(&answer, fd_number), 0);
    }
    let gaps = setup.json(&["documents", "gaps", "--json"]);
    assert_eq!(gaps.as_array().map(Vec::len), Some(1), "{gaps}");
    assert_eq!(
        (&gaps[0]["fn"], &gaps[0]["from"], &gaps[0]["to"]),
        (&FN.into(), &3.into(), &4.into()),
        "{gaps}"
    );
}

#[test]
fn a_debug_storage_starts_a_new_chain_with_a_new_first_report() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    let mut exchange = |fd_number: u32, document: &[u8]| {
        let answer = register.exchange(&storage.send(fd_number, document));
        assert_eq!(storage.check_answer(&answer, fd_number), 0);
        answer
    };
    let old = exchange(1, &storage.registration(1, "0001"));
    exchange(2, &storage.receipt(2, 100));
    exchange(1, &storage.registration(1, "0002"));
    exchange(2, &storage.receipt(2, 300));
    assert_eq!(exchange(1, &storage.registration(1, "0001")), old, "known in the older chain");
    let listed = setup.json(&["documents", "list", "--json"]);
    for row in listed.as_array().unwrap() {
        assert_eq!(row["conflict_no"], 0, "{row}");
    }
    assert_eq!(setup.export().len(), 4);
}

#[test]
fn a_document_without_identity_is_kept_and_answered_with_14() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    // The document says ФД 9, its container ФД 8.
    let document = storage.receipt(9, 100);
    let mut register = Register::connect(daemon.registers);
    let answer = register.exchange(&storage.send(8, &document));
    assert_eq!(storage.check_answer(&answer, 8), 14);
    let kept = setup.export();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["code"], 14);
    assert_eq!(kept[0]["fd"], 8);
}

#[test]
fn an_unreadable_document_or_unknown_form_is_answered_with_11() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    // A record that says it is longer than the document.
    let mut broken = storage.receipt(1, 100);
    let last = broken.len() - 8;
    broken[last] = 0xFF;
    let answer = register.exchange(&storage.send(1, &broken));
    assert_eq!(storage.check_answer(&answer, 1), 11);
    let unknown = storage.document(99, 2, &[]);
    let answer = register.exchange(&storage.send(2, &unknown));
    assert_eq!(storage.check_answer(&answer, 2), 11);
    // An item whose only record runs past the end of the item: unreadable inside.
    let nested = storage.document(3, 3, &tlv(1059, &[0x06, 0x04, 0x64, 0x00, b'a', b'b', b'c']));
    let answer = register.exchange(&storage.send(3, &nested));
    assert_eq!(storage.check_answer(&answer, 3), 11);
    assert_eq!(setup.export().len(), 3);
}

#[test]
fn ffd_1_1_is_answered_through_1206_and_others_through_1068() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    let versions = [(1u32, Some(3u8), 14u8), (2, Some(2), 14), (3, Some(4), 14), (4, None, 14)];
    for (fd_number, version, expected) in versions {
        let extra = version.map(|value| tlv(1209, &[value])).unwrap_or_default();
        // Wrong number inside: code 14, so that 1.1 has something to say.
        let document = storage.document(3, fd_number + 100, &extra);
        let answer = register.exchange(&storage.send(fd_number, &document));
        assert_eq!(storage.check_answer(&answer, fd_number), expected);
        let fields = records(&answer.body[36..answer.body.len() - 10]);
        let has = |tag: u16| fields.iter().any(|(found, _)| *found == tag);
        assert_eq!((has(1068), has(1206)), (version != Some(3), version == Some(3)), "1209 = {version:?}");
    }
    let document = storage.document(3, 9, &storage.receipt_records(3, 9, 100, 100));
    let answer = register.exchange(&storage.send(9, &document));
    let fields = records(&answer.body[36..answer.body.len() - 10]);
    assert!(
        !fields.iter().any(|(tag, _)| *tag == 1206 || *tag == 1068),
        "1.1 with nothing to say says nothing"
    );
}
