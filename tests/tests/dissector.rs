//! The Wireshark dissector of `config/kkt.lua`, proved by tshark on the recorded stream: every field it shows is held
//! against what `kkt-proto` and `ffd` read from the same bytes.
//!
//! The table of tags in the file is made from the dictionary: `UPDATE_DISSECTOR=1 cargo test -p fiscald-tests --test
//! dissector` writes it anew after a change of the dictionary.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use ffd::dict::{FfdVersion, TagDef, ValueKind, dictionary};
use ffd::document::Nodes;
use ffd::value::Value;
use ffd::{Document, tlv};
use fiscald_tests::daemon::program;
use fiscald_tests::{capture, fixtures, tshark};
use kkt_proto::container::{Container, ContainerKind};
use kkt_proto::header::{CrcMode, Header};

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/kkt.lua")
}

const BEGIN: &str = "-- BEGIN TAGS";
const END: &str = "-- END TAGS";

fn kind_name(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Byte => "byte",
        ValueKind::U16 => "u16",
        ValueKind::U32 => "u32",
        ValueKind::Bits => "bits",
        ValueKind::Vln => "vln",
        ValueKind::Fvln => "fvln",
        ValueKind::Text => "text",
        ValueKind::Bytes => "bytes",
        ValueKind::Time => "time",
        ValueKind::Group => "group",
    }
}

/// One meaning as a Lua table; place and versions only where a number has several.
fn meaning(def: &TagDef, several: bool) -> String {
    let name = def.name_ru.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = format!("{{ \"{}\", \"{name}\"", kind_name(def.kind));
    if several {
        let versions = [FfdVersion::V1_0, FfdVersion::V1_05, FfdVersion::V1_1, FfdVersion::V1_2];
        let mask: u8 =
            (0..).zip(versions).map(|(bit, version)| u8::from(def.versions.contains(version)) << bit).sum();
        let parents: Vec<String> = def.parents.iter().map(ToString::to_string).collect();
        write!(text, ", {mask}, {{ {} }}", parents.join(", ")).unwrap();
    }
    text + " }"
}

/// The table of tags as it must stand in the script.
fn tag_table() -> String {
    let mut text = "local TAGS = {\n".to_owned();
    for tag in 0..=u16::MAX {
        let meanings = dictionary().meanings(tag);
        if meanings.is_empty() {
            continue;
        }
        let parts: Vec<String> = meanings.iter().map(|def| meaning(def, meanings.len() > 1)).collect();
        writeln!(text, "    [{tag}] = {{ {} }},", parts.join(", ")).unwrap();
    }
    text + "}\n"
}

#[test]
fn the_table_of_tags_is_the_dictionary() {
    let text = std::fs::read_to_string(script()).unwrap();
    let begin = text.find(BEGIN).unwrap();
    let begin = begin + text[begin..].find('\n').unwrap() + 1;
    let end = text.find(END).unwrap();
    let expected = tag_table();
    if text[begin..end] == expected {
        return;
    }
    if std::env::var_os("UPDATE_DISSECTOR").is_some() {
        std::fs::write(script(), [&text[..begin], &expected, &text[end..]].concat()).unwrap();
        return;
    }
    panic!("the table of tags in config/kkt.lua is stale: run this test once with UPDATE_DISSECTOR=1");
}

/// What the dissector must show of one session message, by field.
type Shown = BTreeMap<String, Vec<String>>;

/// The filter name of a tag's field: a number with meanings of several types has a field for each.
fn field_of(def: &TagDef) -> String {
    let several = dictionary().meanings(def.tag).iter().any(|other| other.kind != def.kind);
    let suffix = if several { format!(".{}", kind_name(def.kind)) } else { String::new() };
    format!("kkt.t{}{suffix}", def.tag)
}

fn expect_nodes(nodes: Nodes<'_>, parent: u16, version: FfdVersion, shown: &mut Shown) {
    for node in nodes {
        shown.entry("kkt.tlv.tag".to_owned()).or_default().push(node.tag.to_string());
        let def = dictionary().tag(node.tag, parent, version).unwrap();
        let value = match node.value() {
            None => None,
            Some(Value::Bits { mask, .. }) => Some(format!("0x{mask:08x}")),
            Some(Value::Fvln(number)) => Some(number.to_string()),
            Some(Value::Text(text)) => Some(text.to_string()),
            Some(Value::Bytes(bytes)) => Some(hex::encode(bytes)),
            Some(Value::Time(time)) => Some(time.to_string().replace('T', " ")),
            Some(number) => Some(number.unsigned().unwrap().to_string()),
        };
        match value {
            Some(value) => shown.entry(field_of(def)).or_default().push(value),
            None if node.is_group() => expect_nodes(node.children(), node.tag, version, shown),
            None => panic!("tag {} of a recorded document is broken", node.tag),
        }
    }
}

/// What `kkt-proto` and `ffd` read from a message.
fn expected(message: &[u8]) -> Shown {
    let header = Header::decode(message.first_chunk().unwrap()).unwrap();
    let mut shown = Shown::new();
    let mut show = |field: &str, value: String| shown.entry(format!("kkt.{field}")).or_default().push(value);
    show("signature", hex::encode(header.signature.0));
    show("s_version", format!("0x{}", hex::encode(header.s_version.0)));
    show("p_version", format!("0x{}", hex::encode(header.p_version.0)));
    show("fn", header.fn_number.to_string());
    show("body_len", header.body_len.to_string());
    show("flags", format!("0x{:04x}", header.flags.bits()));
    show("flags.container", u8::from(header.flags.has_container()).to_string());
    show("flags.answer", u8::from(header.flags.expects_answer()).to_string());
    show("flags.priority", header.flags.priority().to_string());
    show("crc", format!("0x{:04x}", header.crc));
    let mode = header.flags.crc_mode();
    show(
        "flags.crc_mode",
        (0..)
            .zip([CrcMode::None, CrcMode::Header, CrcMode::HeaderAndBody])
            .find(|(_, known)| *known == mode)
            .unwrap()
            .0
            .to_string(),
    );
    let status = match mode {
        CrcMode::None => 2,
        _ => u8::from(header.check_crc(&message[30..]).is_ok()),
    };
    show("crc.status", status.to_string());
    if header.is_probe() || header.body_len == 0 {
        show("probe", "1".to_owned());
        return shown;
    }
    let body = &message[30..];
    let container = Container::decode(body).unwrap();
    let inner = container.header;
    show("container.length", body.len().to_string());
    show("container.crc", format!("0x{:04x}", u16::from_le_bytes([body[2], body[3]])));
    show("container.crc.status", "1".to_owned());
    show("container.kind", format!("0x{:02x}", inner.kind.0));
    show("container.form", inner.form.to_string());
    show("container.version", inner.version.to_string());
    show("container.service1", hex::encode(inner.service1));
    show("container.fn", inner.fn_number.to_string());
    show("container.fd", inner.fd_number.get().to_string());
    show("container.iv", hex::encode(inner.iv));
    show("container.service2", hex::encode(inner.service2));
    show("container.open_len", inner.open_len.to_string());
    show("container.encrypted", u8::from(!container.is_open()).to_string());
    show("container.sign", hex::encode(container.sign));
    show("container.tail", hex::encode(container.tail));
    if !container.is_open() {
        show("container.ciphertext", hex::encode(container.data));
        return shown;
    }
    show("document.form", inner.form.to_string());
    show("document.length", (inner.open_len - 4).to_string());
    let document = Document::decode(container.data).unwrap();
    expect_nodes(document.nodes(), inner.form.into(), document.version(), &mut shown);
    shown
}

/// Session messages of a recording in both directions, each with the number of its TCP connection.
fn messages(stream: &str) -> Vec<Vec<u8>> {
    let path = fixtures().join("streams").join(stream);
    let output = Command::new(program("kkt-sim")).arg("replay").arg(path).arg("--list").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for member in ["message", "answer"] {
            found.extend(line[member].as_str().map(|text| hex::decode(text).unwrap()));
        }
    }
    found
}

/// Runs tshark with the dissector; none of the ways in which a script fails silently may show.
fn dissect(arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .arg("-X")
        .arg(format!("lua_script:{}", script().display()))
        .args(arguments)
        .output()
        .unwrap();
    let (text, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {errors}");
    assert!(!errors.contains("Lua:"), "{arguments:?}: {errors}");
    assert!(!text.contains("_ws.lua.error") && !text.contains("Lua Error"), "{arguments:?}: {text}");
    text
}

/// The named fields of every session message in a file, one message each.
fn shown(file: &str, fields: &[String]) -> Vec<Shown> {
    let mut arguments =
        vec!["-r", file, "-Y", "kkt", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=^"];
    for field in fields {
        arguments.extend(["-e", field]);
    }
    let text = dissect(&arguments);
    let row = |line: &str| {
        let cells = line.split('\t').zip(fields).filter(|(cell, _)| !cell.is_empty());
        cells
            .map(|(cell, field)| (field.clone(), cell.split('^').map(str::to_owned).collect::<Vec<_>>()))
            .collect::<Shown>()
    };
    text.lines().map(row).collect()
}

#[test]
fn tshark_shows_the_recorded_stream_field_by_field() {
    if !tshark::is_there() {
        return;
    }
    for stream in ["live.pcapng", "live.pcap"] {
        let mut expected: Vec<Shown> = messages(stream).iter().map(|message| expected(message)).collect();
        let mut fields: Vec<String> = expected.iter().flat_map(|shown| shown.keys().cloned()).collect();
        fields.sort();
        fields.dedup();
        // What must not be there at all is looked for too.
        fields
            .extend(["kkt.tlv.unknown", "kkt.tlv.unreadable", "kkt.tlv.rest", "kkt.body"].map(str::to_owned));
        let file = fixtures().join("streams").join(stream);
        let mut found = shown(file.to_str().unwrap(), &fields);
        assert_eq!(found.len(), expected.len(), "{stream}: messages");
        // The order of the two differs only between connections.
        let order = |shown: &Shown| format!("{shown:?}");
        expected.sort_by_key(order);
        found.sort_by_key(order);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{stream}");
        }
        // Only the full view names errors of the script that no asked field shows.
        dissect(&["-r", file.to_str().unwrap(), "-Y", "kkt", "-T", "pdml"]);
        let receipts = expected.iter().filter(|shown| shown.contains_key("kkt.t1020")).count();
        let codes =
            expected.iter().filter(|shown| shown.get("kkt.t1022").is_some_and(|code| code[0] == "0")).count();
        assert!(receipts > 3 && codes > 3, "{stream}: {receipts} totals, {codes} codes 0");
    }
}

/// A classic capture of one connection: each message a segment of its own, from the port 40000 to `port`.
fn one_way(port: u16, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = fiscald_tests::pcap::Writer::new();
    let mut sequence = 1;
    for message in messages {
        writer.frame([40_000, port], sequence, fiscald_tests::pcap::ACK, message);
        sequence += u32::try_from(message.len()).unwrap();
    }
    writer.bytes()
}

fn message_of(container: &[u8], flags: u16) -> Vec<u8> {
    fiscald_tests::wire::message("9999078902013267", [1, 0x20], flags, container)
}

fn check(name: &str, port: u16, messages: &[Vec<u8>], expected: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.pcap");
    std::fs::write(&path, one_way(port, messages)).unwrap();
    let fields: Vec<String> = expected.iter().map(|(field, _)| (*field).to_owned()).collect();
    let found = shown(path.to_str().unwrap(), &fields);
    dissect(&["-r", path.to_str().unwrap(), "-T", "pdml"]);
    assert_eq!(found.len(), 1, "{name}: frames");
    for (field, value) in expected {
        let found = found[0].get(*field).map(|values| values.join("^")).unwrap_or_default();
        assert_eq!(found, *value, "{name}: {field}");
    }
}

#[test]
fn tshark_shows_what_the_recording_does_not_hold() {
    if !tshark::is_there() {
        return;
    }
    use fiscald_tests::wire::{FLAGS_FULL_CRC, FLAGS_HEADER_CRC, FLAGS_PLAIN, seal};
    let container = &capture("msg_reg11_ffd12_9999078902013267_fd1")[30..];
    let plain = message_of(container, FLAGS_PLAIN);
    check("code of the header", 7777, &[message_of(container, FLAGS_HEADER_CRC)], &[("kkt.crc.status", "1")]);
    let whole = message_of(container, FLAGS_FULL_CRC);
    check(
        "code of the message",
        7777,
        std::slice::from_ref(&whole),
        &[("kkt.crc.status", "1"), ("kkt.flags.crc_mode", "2")],
    );
    let mut damaged = whole;
    damaged[100] ^= 1;
    let marks = [
        ("kkt.crc.status", "0"),
        ("kkt.container.crc.status", "0"),
        ("_ws.expert.message", "Wrong check code^Wrong check code"),
    ];
    check("damage", 7777, &[damaged], &marks);
    // Another port, by the first bytes; the marking service on its own.
    check(
        "another port",
        9000,
        std::slice::from_ref(&plain),
        &[("kkt.fn", "9999078902013267"), ("kkt.container.fd", "1")],
    );
    let mut sister = plain.clone();
    sister[..8].copy_from_slice(&[0xDD, 0x80, 0xCA, 0xA1, 0x82, 0xA2, 0x00, 0x01]);
    let marks = [("kkt.signature", "dd80caa1"), ("kkt.container.fd", "1"), ("_ws.col.Protocol", "KKT-OISM")];
    check("the marking service", 9001, &[sister], &marks);
    // A message in three segments is put together.
    let pieces: Vec<Vec<u8>> = plain.chunks(120).map(<[u8]>::to_vec).collect();
    check(
        "three segments",
        7777,
        &pieces,
        &[("kkt.t1012", "2024-09-14 21:24:00"), ("kkt.t1018", "7802781104  ")],
    );
    // Records that are wrong: an unknown tag, empty values, a value of a wrong length, bytes that are no record.
    let mut records = tlv_record(9999, &[1, 2, 3]);
    for empty in [9998, 1077, 1048, 1054, 1020, 1023, 1059] {
        records.extend(tlv_record(empty, &[]));
    }
    records.extend(tlv_record(1040, &[1, 0]));
    records.extend([1, 2]);
    let mut document = vec![3, 0];
    document.extend(u16::try_from(records.len()).unwrap().to_le_bytes());
    document.extend(records);
    let mut odd = fiscald_tests::wire::container(
        0xA5,
        3,
        "9999078902013267",
        7,
        &document,
        [0x81, 6, 1, 2, 3, 4, 5, 6],
    );
    seal(&mut odd);
    let marks = [
        ("kkt.tlv.tag", "9999^9998^1077^1048^1054^1020^1023^1059^1040"),
        ("kkt.tlv.unknown", "010203"),
        ("kkt.t1054", "0"),
        ("kkt.t1020", "0"),
        ("kkt.tlv.unreadable", "0100"),
        ("kkt.tlv.rest", "0102"),
        ("kkt.container.sign", "8106010203040506"),
    ];
    check("odd records", 7777, &[message_of(&odd, FLAGS_PLAIN)], &marks);
    assert_eq!(ContainerKind::FROM_FN.0, 0xA5);
}

fn tlv_record(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    tlv::write_record(&mut bytes, tag, value).unwrap();
    bytes
}

#[test]
fn code_page_866_is_whole() {
    if !tshark::is_there() {
        return;
    }
    // All letters of the upper half in one text; what tshark escapes in its output is left out.
    let bytes: Vec<u8> = (0x80..=0xFE).collect();
    let text = ffd::value::cp866::decode(&bytes).into_owned();
    let document = {
        let records = tlv_record(1048, &bytes);
        let mut document = vec![3, 0];
        document.extend(u16::try_from(records.len()).unwrap().to_le_bytes());
        document.extend(records);
        document
    };
    let container = fiscald_tests::wire::container(
        0xA5,
        3,
        "9999078902013267",
        7,
        &document,
        [0x81, 6, 1, 2, 3, 4, 5, 6],
    );
    check("cp866", 7777, &[message_of(&container, 0x14)], &[("kkt.t1048", &text)]);
}
