use std::collections::HashSet;

use base64::Engine as _;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value as Json, json};

use super::*;
use crate::dict::{FfdVersion, dictionary};
use crate::fixtures;
use crate::tlv::write_record;

/// JSON text of a document of this form with these records.
fn text(form: u16, records: &[(u16, &[u8])], names: Names) -> (String, Omitted) {
    let bytes = fixtures::document(form, records);
    let document = Document::decode(&bytes).unwrap();
    let view = FnsJson::new(&document, None, names);
    (serde_json::to_string(&view).unwrap(), view.omitted())
}

/// Members of a receipt with these records, modern names, `code` and `rawData` taken away.
fn check(records: &[(u16, &[u8])], expected: Json) {
    check_form(3, "receipt", records, Names::Modern, expected);
}

fn check_form(form: u16, root: &str, records: &[(u16, &[u8])], names: Names, expected: Json) {
    let (text, omitted) = text(form, records, names);
    let mut members = serde_json::from_str::<Json>(&text).unwrap()[root].take();
    let object = members.as_object_mut().unwrap_or_else(|| panic!("no {root} in {text}"));
    let own = ["code", "receiptCode", "receiptCorrectionCode", "bsoCode", "bsoCorrectionCode", "rawData"];
    object.retain(|name, _| !own.contains(&name.as_str()));
    assert_eq!(members, expected, "{text}");
    assert_eq!(omitted, Omitted::default(), "{text}");
}

fn group(records: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (tag, value) in records {
        write_record(&mut bytes, *tag, value).unwrap();
    }
    bytes
}

#[test]
fn worked_example_comes_out_equal_to_the_letter() {
    let capture = fixtures::find("msg_reg11_ffd105");
    let document = Document::decode(capture.document()).unwrap();
    let view = FnsJson::new(&document, capture.message_sign(), Names::Modern);
    let expected = fixtures::read("fns-json/C5.json");
    assert_eq!(serde_json::to_string_pretty(&view).unwrap() + "\n", expected);
    assert_eq!(serde_json::to_value(view).unwrap(), serde_json::from_str::<Json>(&expected).unwrap());
    assert_eq!(view.omitted(), Omitted::default());
}

#[test]
fn every_capture_gives_its_expected_json() {
    let mut seen = 0;
    for capture in fixtures::documents() {
        let Some(expected) = capture.fns_text() else { continue };
        let document = Document::decode(capture.document()).unwrap();
        let view = FnsJson::new(&document, capture.message_sign(), Names::Modern);
        assert_eq!(serde_json::to_string(&view).unwrap(), expected, "{}", capture.name);
        seen += 1;
    }
    assert!(seen >= 7, "only {seen} captures are documents");
}

#[test]
fn numbers_are_exact() {
    let (text, _) = text(
        3,
        &[(1020, &[0xFF; 8]), (1059, &group(&[(1023, &[3, 0xDC, 0x05]), (1079, &[])])), (1012, &[0xFF; 4])],
        Names::Modern,
    );
    assert!(
        text.contains(
            r#""totalSum":18446744073709551615,"items":[{"quantity":1.500,"price":0}],"dateTime":4294967295"#
        ),
        "{text}"
    );
}

#[test]
fn decimals_keep_the_digits_of_the_wire() {
    let quantity = |wire: &[u8]| {
        let (text, _) = text(3, &[(1059, &group(&[(1023, wire)]))], Names::Modern);
        let start = text.find("\"quantity\":").unwrap() + "\"quantity\":".len();
        text[start..].split('}').next().unwrap().to_owned()
    };
    assert_eq!(quantity(&[0, 5]), "5");
    assert_eq!(quantity(&[0]), "0");
    assert_eq!(quantity(&[3]), "0.000");
    assert_eq!(quantity(&[6, 1]), "0.000001");
    assert_eq!(quantity(&[3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), "72057594037927.935");
    assert_eq!(quantity(&[19, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), "0.0072057594037927935");
}

#[test]
fn message_sign_is_read_high_byte_first_and_ends_the_raw_data() {
    let bytes = fixtures::document(3, &[]);
    let document = Document::decode(&bytes).unwrap();
    let sign = [0x81, 0x06, 0xFA, 0xFE, 0x4D, 0xEC, 0x31, 0x67];
    let view = serde_json::to_string(&FnsJson::new(&document, Some(sign), Names::Modern)).unwrap();
    assert_eq!(
        view,
        r#"{"receipt":{"code":3,"messageFiscalSign":9297394450888929639,"rawData":"AwAAAIEG+v5N7DFn"}}"#
    );
}

#[test]
fn texts_keep_padding_and_line_ends() {
    check(
        &[(1018, b"7702203276  "), (1009, b"a\r\nb \"c\"\\ "), (1021, &[0x8F, 0xE0])],
        json!({"userInn": "7702203276  ", "retailPlaceAddress": "a\r\nb \"c\"\\ ", "operator": "Пр"}),
    );
}

#[test]
fn numbers_of_user_operator_and_register_have_one_width() {
    let check = |records: &[(u16, &[u8])], expected: Json| {
        for names in [Names::Modern, Names::Legacy] {
            check_form(1, "fiscalReport", records, names, expected.clone());
        }
    };
    check(&[(1018, b"7702203276")], json!({"userInn": "7702203276  "}));
    check(&[(1018, b"7702203276 ")], json!({"userInn": "7702203276  "}));
    check(&[(1018, b"771234567890")], json!({"userInn": "771234567890"}));
    check(&[(1018, b"")], json!({"userInn": "            "}));
    // What is too long already stays: cutting it would say something else than the till.
    check(&[(1018, b"7702203276   ")], json!({"userInn": "7702203276   "}));
    // Two bytes of UTF-8 each, one character.
    check(&[(1018, &[0x80, 0x81])], json!({"userInn": "АБ          "}));
    check(&[(1017, b"7704358518")], json!({"ofdInn": "7704358518  "}));
    check(&[(1037, b"0000000005008570")], json!({"kktRegId": "0000000005008570    "}));
    check(&[(1018, b"1"), (1018, b"2")], json!({"userInn": ["1           ", "2           "]}));
    // Other numbers go out as they came, and so does the document itself.
    check(
        &[(1203, b"7702203276"), (1013, b"0012")],
        json!({"operatorInn": "7702203276", "kktNumber": "0012"}),
    );
    let bytes = fixtures::document(3, &[(1018, b"7702203276"), (1228, b"7702203276")]);
    let document = Document::decode(&bytes).unwrap();
    let shown = serde_json::to_value(FnsJson::new(&document, None, Names::Modern)).unwrap();
    assert_eq!(shown["receipt"]["rawData"], STANDARD.encode(&bytes));
    assert_eq!(shown["receipt"]["buyerInn"], "7702203276");
}

#[test]
fn repeated_tags_become_arrays_where_they_first_stood() {
    check(&[(1073, b"+7001")], json!({"paymentAgentPhone": "+7001"}));
    let (text, _) = text(3, &[(1073, b"+7001"), (1020, &[1]), (1073, b"+7002")], Names::Modern);
    assert!(text.contains(r#""paymentAgentPhone":["+7001","+7002"],"totalSum":1,"#), "{text}");
    check(&[(1059, &[])], json!({"items": [{}]}));
    check(
        &[(1059, &group(&[(1030, b"a")])), (1059, &group(&[(1030, b"b"), (1030, b"c")]))],
        json!({"items": [{"name": "a"}, {"name": ["b", "c"]}]}),
    );
}

#[test]
fn vat_block_holds_an_array() {
    let amount = group(&[(1199, &[11]), (1120, &[0xDE, 0x38])]);
    let records: [(u16, &[u8]); 2] = [(1209, &[4]), (1115, &group(&[(1119, &amount)]))];
    check(
        &records,
        json!({"fiscalDocumentFormatVer": 4, "amountsReceiptNds": {"amountsNds": [{"nds": 11, "ndsSum": 14558}]}}),
    );
}

#[test]
fn codes_of_goods() {
    check(
        &[(1209, &[2]), (1059, &group(&[(1162, &[0x44, 0x4D, 0])]))],
        json!({"fiscalDocumentFormatVer": 2, "items": [{"productCode": "RE0A"}]}),
    );
    let codes = group(&[(1302, b"4600605024225"), (1305, b"0104605035006964215OoyE8qxeIOn>")]);
    check(
        &[(1209, &[4]), (1059, &group(&[(1163, &codes)]))],
        json!({"fiscalDocumentFormatVer": 4, "items": [{"productCodeNew": {
            "ean13": {"rawProductCode": "4600605024225"},
            "gs1m": {"rawProductCode": "0104605035006964215OoyE8qxeIOn>"},
        }}]}),
    );
}

#[test]
fn user_details_are_an_object_and_an_array_with_legacy_names() {
    let details: [(u16, &[u8]); 1] = [(1084, &group(&[(1085, b"k"), (1086, b"v")]))];
    let object = json!({"propertyName": "k", "propertyValue": "v"});
    check(&details, json!({"properties": object}));
    check_form(3, "receipt", &details, Names::Legacy, json!({"properties": [object]}));
}

#[test]
fn reasons_of_a_change() {
    let name = "fiscalReportCorrection";
    let mask: [(u16, &[u8]); 2] = [(1209, &[3]), (1205, &[0x0D, 0, 0, 0x80])];
    let number = 0x8000_000D_u32;
    check_form(
        11,
        name,
        &mask,
        Names::Modern,
        json!({
            "fiscalDocumentFormatVer": 3, "correctionKktReasonCode": number, "correctionReasonCode": [1, 3, 4, 32],
        }),
    );
    check_form(
        11,
        name,
        &mask,
        Names::Legacy,
        json!({
            "fiscalDocumentFormatVer": 3, "correctionKktReasonCode": [1, 3, 4, 32],
        }),
    );
    check_form(11, name, &[(1101, &[4])], Names::Modern, json!({"correctionReasonCode": [4]}));
    check_form(
        11,
        name,
        &[(1101, &[4]), (1101, &[2])],
        Names::Legacy,
        json!({"correctionReasonCode": [4, 2]}),
    );
    check_form(
        11,
        name,
        &[(1209, &[3]), (1205, &[0; 4])],
        Names::Modern,
        json!({
            "fiscalDocumentFormatVer": 3, "correctionKktReasonCode": 0,
        }),
    );
    // Both at once break the rules, yet each name stands once.
    check_form(
        11,
        name,
        &[(1205, &[1, 0, 0, 0]), (1101, &[4])],
        Names::Modern,
        json!({
            "correctionKktReasonCode": 1, "correctionReasonCode": [4],
        }),
    );
}

#[test]
fn names_depend_on_the_parent() {
    let records: [(u16, &[u8]); 2] = [(1209, &[4]), (1213, &[0x9A, 0x01])];
    let legacy = json!({"fiscalDocumentFormatVer": 4, "fnKeyResource": 410});
    check_form(
        5,
        "closeShift",
        &records,
        Names::Modern,
        json!({"fiscalDocumentFormatVer": 4, "fdKeyResource": 410}),
    );
    check_form(
        21,
        "currentStateReport",
        &records,
        Names::Modern,
        json!({"fiscalDocumentFormatVer": 4, "keyResource": 410}),
    );
    check_form(21, "currentStateReport", &records, Names::Legacy, legacy.clone());
    check_form(5, "closeShift", &records, Names::Legacy, legacy);
    check_form(1, "fiscalReport", &[(1062, &[1])], Names::Legacy, json!({"taxationType": 1}));
}

#[test]
fn legacy_names() {
    let agent: [(u16, &[u8]); 5] = [(1005, b"a"), (1016, b"i"), (1026, b"n"), (1074, b"r"), (1075, b"t")];
    let taxes: [(u16, &[u8]); 4] = [(1055, &[1]), (1060, b"s"), (1106, &[1]), (1107, &[2])];
    let old = [&[(1209_u16, &[2_u8][..])], &agent[..], &taxes[..]].concat();
    check_form(
        3,
        "receipt",
        &old,
        Names::Legacy,
        json!({
            "fiscalDocumentFormatVer": 2,
            "operatorTransferAddress": "a", "operatorTransferInn": "i", "operatorTransferName": "n",
            "operatorToReceivePhone": "r", "operatorPhoneToTransfer": "t",
            "taxationType": 1, "fnsSite": "s", "ndsCalculated18": 1, "ndsCalculated10": 2,
        }),
    );
    check_form(
        3,
        "receipt",
        &old,
        Names::Modern,
        json!({
            "fiscalDocumentFormatVer": 2,
            "transferOperatorAddress": "a", "transferOperatorInn": "i", "transferOperatorName": "n",
            "paymentOperatorPhone": "r", "transferOperatorPhone": "t",
            "appliedTaxationType": 1, "fnsUrl": "s", "nds18118": 1, "nds10110": 2,
        }),
    );
    let counters = group(&[(1134, &[2, 0, 0, 0]), (1129, &group(&[(1135, &[1, 0, 0, 0])]))]);
    let shift: [(u16, &[u8]); 3] = [(1209, &[3]), (1118, &[1, 0, 0, 0]), (1194, &counters)];
    check_form(
        5,
        "closeShift",
        &shift,
        Names::Legacy,
        json!({
            "fiscalDocumentFormatVer": 3, "receiptsQuantity": 1,
            "shiftSumReports": {"receiptCount": 2, "sellOper": {"receiptCount": 1}},
        }),
    );
    check_form(
        5,
        "closeShift",
        &shift,
        Names::Modern,
        json!({
            "fiscalDocumentFormatVer": 3, "receiptQuantity": 1,
            "shiftSumReports": {"totalReceiptBsoCount": 2, "sellOper": {"receiptBsoCount": 1}},
        }),
    );
    check_form(
        1,
        "fiscalReport",
        &[(1209, &[2]), (1190, &[2])],
        Names::Legacy,
        json!({
            "fiscalDocumentFormatVer": 2, "documentFnVersion": 2,
        }),
    );
}

#[test]
fn code_comes_first_under_the_name_of_its_time() {
    let cases = [
        (1, "fiscalReport", "code"),
        (11, "fiscalReportCorrection", "code"),
        (2, "openShift", "code"),
        (21, "currentStateReport", "code"),
        (3, "receipt", "receiptCode"),
        (31, "receiptCorrection", "receiptCorrectionCode"),
        (4, "bso", "bsoCode"),
        (41, "bsoCorrection", "bsoCorrectionCode"),
        (5, "closeShift", "code"),
        (6, "closeArchive", "code"),
    ];
    for (form, root, legacy) in cases {
        let modern = text(form, &[(1021, b"x")], Names::Modern).0;
        assert!(
            modern.starts_with(&format!(r#"{{"{root}":{{"code":{form},"operator":"x","rawData":"#)),
            "{modern}"
        );
        let old = text(form, &[(1021, b"x")], Names::Legacy).0;
        assert!(
            old.starts_with(&format!(r#"{{"{root}":{{"{legacy}":{form},"operator":"x","rawData":"#)),
            "{old}"
        );
    }
    assert!(text(82, &[], Names::Modern).0.starts_with(r#"{"form82":{"code":82,"#));
}

#[test]
fn what_is_left_out_is_counted() {
    let omitted = |records: &[(u16, &[u8])]| {
        let (text, omitted) = text(3, records, Names::Modern);
        let members = serde_json::from_str::<Json>(&text).unwrap()["receipt"].as_object().unwrap().len();
        (omitted, members - 2)
    };
    let none = Omitted::default();
    assert_eq!(omitted(&[(1000, b"title")]), (none, 0));
    assert_eq!(omitted(&[(1999, b"?"), (1020, &[1])]), (Omitted { unknown: 1, ..none }, 1));
    assert_eq!(omitted(&[(1012, &[1, 2]), (1012, &[0; 4])]), (Omitted { broken: 1, ..none }, 1));
    assert_eq!(omitted(&[(1077, &[1, 2])]), (Omitted { broken: 1, ..none }, 0));
    assert_eq!(omitted(&[(1077, &[0; 7])]), (Omitted { broken: 1, ..none }, 0));
    assert_eq!(omitted(&[(1077, &[0; 6])]), (none, 1));
    assert_eq!(omitted(&[(1061, b"site")]), (Omitted { unnamed: 1, ..none }, 0));
    let item = group(&[(1999, b"?"), (1043, &[0; 9])]);
    assert_eq!(omitted(&[(1059, &item), (1059, &item)]), (Omitted { unknown: 2, broken: 2, ..none }, 1));
    // 1055 and 1062 share a name in the JSON of 2017; the first one keeps it.
    let bytes = fixtures::document(1, &[(1062, &[1]), (1055, &[2])]);
    let document = Document::decode(&bytes).unwrap();
    let view = FnsJson::new(&document, None, Names::Legacy);
    assert_eq!(view.omitted(), Omitted { clashing: 1, ..none });
    assert_eq!(serde_json::to_value(view).unwrap()["fiscalReport"]["taxationType"], json!(1));
}

#[test]
fn no_name_of_the_dictionary_meets_a_member_of_our_own() {
    for tag in 0..=u16::MAX {
        for parent in [1, 3, 5, 11, 21, 1059, 1119] {
            for version in [FfdVersion::V1_0, FfdVersion::V1_05, FfdVersion::V1_1, FfdVersion::V1_2] {
                let Some(def) = dictionary().tag(tag, parent, version) else { continue };
                for name in
                    [Names::Modern.tag(def, parent), Names::Legacy.tag(def, parent)].into_iter().flatten()
                {
                    assert!(name.is_ascii() && !name.is_empty(), "{tag}: {name}");
                    assert!(
                        !["code", "receiptCode", "rawData", "messageFiscalSign"].contains(&name),
                        "{tag}"
                    );
                }
            }
        }
    }
}

/// JSON in which no object has a name twice.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without doubled names")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, _)) = map.next_entry::<String, Strict>()? {
            if !names.insert(name.clone()) {
                return Err(serde::de::Error::custom(format!("{name} twice")));
            }
        }
        Ok(Strict)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strict, A::Error> {
        while seq.next_element::<Strict>()?.is_some() {}
        Ok(Strict)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
        Ok(Strict)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
        Ok(Strict)
    }
    fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
        Ok(Strict)
    }
}

proptest! {
    #[test]
    fn any_tree_gives_valid_json(bytes in fixtures::any_document(), sign in proptest::option::of(any::<[u8; 8]>())) {
        let document = Document::decode(&bytes).unwrap();
        for names in [Names::Modern, Names::Legacy] {
            let view = FnsJson::new(&document, sign, names);
            let text = serde_json::to_string(&view).unwrap();
            serde_json::from_str::<Strict>(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            let _ = view.omitted();
        }
    }
}
