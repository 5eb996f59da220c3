//! Every row of the three tables is understood, and what is read is what stands there. The cells are compared with
//! what a plain reading of the CSV gives, so a row that is dropped or shifted shows.

use std::collections::BTreeSet;

use super::*;
use crate::dict::{TABLES, dictionary};

/// Numbers that the table lists and no source assigns.
const UNASSIGNED: [u16; 3] = [85, 1137, 2117];

fn plain(table: usize) -> (Vec<String>, Vec<csv::StringRecord>) {
    let mut reader = csv::Reader::from_reader(TABLES[table].as_bytes());
    let header = reader.headers().unwrap().iter().map(str::to_owned).collect();
    (header, reader.records().map(Result::unwrap).collect())
}

fn cell<'a>(header: &[String], row: &'a csv::StringRecord, column: &str) -> &'a str {
    &row[header.iter().position(|name| name == column).unwrap()]
}

#[test]
fn every_row_of_tags_is_a_meaning() {
    let (header, rows) = plain(0);
    let mut left_out = Vec::new();
    let mut taken = 0;
    for row in &rows {
        let tag: u16 = cell(&header, row, "tag").parse().unwrap();
        let name = cell(&header, row, "name_ru");
        let json = cell(&header, row, "json_name");
        let parents: BTreeSet<u16> =
            cell(&header, row, "parents").split(';').filter_map(|parent| parent.parse().ok()).collect();
        let is_row = |def: &&TagDef| {
            def.name_ru == name
                && def.json_name.unwrap_or_default() == json
                && def.parents.iter().copied().collect::<BTreeSet<_>>() == parents
                && def.max_len.map(|len| len.to_string()).unwrap_or_default() == cell(&header, row, "max_len")
                && def.enum_name.unwrap_or_default() == cell(&header, row, "enum")
                && def.repeatable == (cell(&header, row, "repeatable") == "yes")
        };
        match dictionary().meanings(tag).iter().filter(is_row).count() {
            0 => left_out.push(tag),
            1 => taken += 1,
            many => panic!("tag {tag}: {many} meanings of one row"),
        }
    }
    assert_eq!(left_out, UNASSIGNED);
    assert_eq!(taken, dictionary().tags.len(), "no meaning without a row");
}

#[test]
fn types_and_lengths_agree() {
    for def in &dictionary().tags {
        let expected = match def.kind {
            ValueKind::Byte => Fixed::Exact(1),
            ValueKind::U16 => Fixed::Exact(2),
            ValueKind::U32 | ValueKind::Time => Fixed::Exact(4),
            ValueKind::Bits if matches!(def.tag, 1205 | 1290) => Fixed::Exact(4),
            ValueKind::Bits => Fixed::Exact(1),
            ValueKind::Vln | ValueKind::Fvln | ValueKind::Group => Fixed::Variable,
            ValueKind::Text | ValueKind::Bytes => def.fixed,
        };
        assert_eq!(def.fixed, expected, "tag {}", def.tag);
        if let Fixed::Exact(len) | Fixed::Padded(len) = def.fixed {
            assert_eq!(def.max_len, Some(len), "tag {}", def.tag);
        }
    }
}

#[test]
fn every_row_of_documents_is_a_field_with_a_known_tag() {
    let (header, rows) = plain(1);
    for row in &rows {
        let form = FormCode(cell(&header, row, "document_code").parse().unwrap());
        let version = cell(&header, row, "ffd_version");
        let version = FfdVersion::ALL.into_iter().find(|known| known.as_str() == version).unwrap();
        let tag: u16 = cell(&header, row, "tag").parse().unwrap();
        let parent = cell(&header, row, "parent_tag").parse().unwrap_or(form.0);

        let place = format!("form {form} {version}: {tag} in {parent}");
        let field = dictionary().form(form, version).unwrap().field(parent, tag).expect(&place);
        assert_eq!(
            format!("{:?}", field.requirement).to_lowercase(),
            cell(&header, row, "requirement"),
            "{place}"
        );
        assert_eq!(field.condition, cell(&header, row, "condition"), "{place}");
        assert_eq!(field.repeatable, cell(&header, row, "repeatable") == "yes", "{place}");
        assert!(dictionary().tag(tag, parent, version).is_some(), "{place}");
    }
    let fields: usize = dictionary().forms.iter().map(|form| form.fields.len()).sum();
    assert_eq!(fields, rows.len(), "no field without a row, none twice");
}

#[test]
fn every_form_and_version_is_found_by_number() {
    for def in &dictionary().forms {
        let found = dictionary().form(def.form, def.version).unwrap();
        assert_eq!((found.form, found.version), (def.form, def.version));
        assert!(def.form.is_known(), "form {}", def.form);
    }
    for form in FormCode::OF_KKT {
        assert!(dictionary().form(form, FfdVersion::V1_2).is_some(), "form {form}");
    }
}

#[test]
fn every_row_of_enums_is_a_value() {
    let (header, rows) = plain(2);
    for row in &rows {
        let (name, value) = (cell(&header, row, "enum"), cell(&header, row, "value"));
        let meaning = cell(&header, row, "meaning_ru");
        let list = dictionary().enumeration(name).unwrap();
        let entries =
            list.values.iter().filter(|entry| entry.spelling == value && entry.meaning_ru == meaning);
        assert_eq!(entries.count(), 1, "{name} {value}");

        let versions = VersionSet::parse(cell(&header, row, "ffd_versions")).unwrap();
        for version in FfdVersion::ALL.into_iter().filter(|&version| versions.contains(version)) {
            let found = match EnumCode::parse(value).unwrap() {
                EnumCode::Number(number) => list.meaning(number, version),
                EnumCode::Bit(bit) => list.meaning(bit.into(), version),
                EnumCode::Word => list.meaning_of_text(value, version),
            };
            assert_eq!(found, Some(meaning), "{name} {value} in {version}");
        }
    }
    let values: usize = dictionary().enums.iter().map(|list| list.values.len()).sum();
    assert_eq!(values, rows.len(), "no value without a row");
}

#[test]
fn a_list_is_either_bits_or_not() {
    for list in &dictionary().enums {
        let bits = list.values.iter().filter(|value| matches!(value.code, EnumCode::Bit(_))).count();
        assert!(bits == 0 || bits == list.values.len(), "{}", list.name);
    }
    for def in &dictionary().tags {
        let Some(name) = def.enum_name else { continue };
        let list = dictionary().enumeration(name).unwrap();
        let is_mask = list.values.iter().all(|value| matches!(value.code, EnumCode::Bit(_)));
        assert_eq!(def.kind == ValueKind::Bits, is_mask, "tag {}", def.tag);
    }
}

const TAG_HEADER: &str =
    "tag,name_ru,json_name,type,max_len,fixed,repeatable,parents,ffd_versions,enum,note,sure\n";
const FIELD_HEADER: &str = "document_code,document_name_ru,json_name,ffd_version,tag,parent_tag,requirement,condition,repeatable,sure\n";
const ENUM_HEADER: &str = "enum,value,meaning_ru,meaning_en,ffd_versions,sure\n";

/// Reads a table of one row beside two empty ones and says what it is refused for.
fn refusal(tag_row: &str, field_row: &str, enum_row: &str) -> String {
    let tables = [(TAG_HEADER, tag_row), (FIELD_HEADER, field_row), (ENUM_HEADER, enum_row)];
    let [tags, documents, enums] = tables.map(|(header, row)| format!("{header}{row}"));
    Dictionary::parse(&tags, &documents, &enums).map_or_else(|error| error.to_string(), |_| "read".to_owned())
}

#[test]
fn a_tag_that_is_not_understood_is_refused_with_its_place() {
    let check = |row, expected| assert_eq!(refusal(row, "", ""), expected);
    check("1020,Сумма,s,vln,6,false,no,3;4,1.0;1.2,,,", "read");
    check("1020,Сумма,s,float,6,false,no,3;4,1.0,,,", "tags.csv, line 2: column type holds \"float\"");
    check("1020,Сумма,s,vln,6,true (6),no,3;4,1.0,,,", "tags.csv, line 2: column fixed holds \"true (6)\"");
    check("1020,Сумма,s,vln,6,false,maybe,3;4,1.0,,,", "tags.csv, line 2: column repeatable holds \"maybe\"");
    check("1020,Сумма,s,vln,6,false,no,3;x,1.0,,,", "tags.csv, line 2: column parents holds \"3;x\"");
    check("1020,Сумма,s,vln,6,false,no,3,1.3,,,", "tags.csv, line 2: column ffd_versions holds \"1.3\"");
    check("1020,Сумма,s,vln,6,false,no,3,1.0,colours,,", "tags.csv, line 2: column enum holds \"colours\"");
    assert!(refusal("1020,Сумма", "", "").starts_with("tags.csv: "));
    assert!(refusal("Сумма,1020,s,vln,6,false,no,3,1.0,,,", "", "").starts_with("tags.csv: "));
}

#[test]
fn a_field_or_value_that_is_not_understood_is_refused_with_its_place() {
    let field = |row, expected| assert_eq!(refusal("", row, ""), expected);
    field("3,Чек,receipt,1.2,1020,,mandatory,form=PE; total,no,", "read");
    field(
        "3,Чек,receipt,2.0,1020,,mandatory,,no,",
        "documents.csv, line 2: column ffd_version holds \"2.0\"",
    );
    field("3,Чек,receipt,1.2,1020,,must,,no,", "documents.csv, line 2: column requirement holds \"must\"");
    field(
        "3,Чек,receipt,1.2,1020,,mandatory,form=X,no,",
        "documents.csv, line 2: column condition holds \"form=X\"",
    );
    field("3,Чек,receipt,1.2,1020,,mandatory,,,", "documents.csv, line 2: column repeatable holds \"\"");
    let value = |row, expected| assert_eq!(refusal("", "", row), expected);
    value("rate,bit 1 (0x02),да,yes,1.2,", "read");
    value("rate,bit 1 (0x04),да,yes,1.2,", "enums.csv, line 2: column value holds \"bit 1 (0x04)\"");
    value("rate,1,да,yes,1.2;,", "enums.csv, line 2: column ffd_versions holds \"1.2;\"");
}
