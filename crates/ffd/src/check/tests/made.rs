//! Made-up documents: a good one of each form, and ways to spoil it.

use crate::ids::FnNumber;
use crate::tlv::{write_group, write_record};
use crate::value::{cp866, vln_bytes};

/// A document, or a group in it, that can be changed record by record.
#[derive(Debug, Clone)]
pub(in crate::check) struct Made {
    tag: u16,
    records: Vec<Record>,
}

#[derive(Debug, Clone)]
enum Record {
    Value(u16, Vec<u8>),
    Group(Made),
}

impl Record {
    fn tag(&self) -> u16 {
        match self {
            Self::Value(tag, _) => *tag,
            Self::Group(group) => group.tag,
        }
    }
}

impl Made {
    pub(in crate::check) fn new(tag: u16, records: Vec<(u16, Vec<u8>)>) -> Self {
        Self { tag, records: records.into_iter().map(|(tag, value)| Record::Value(tag, value)).collect() }
    }

    /// The group at this path (the first of its tag), made if it is not there.
    fn group(&mut self, path: &[u16]) -> &mut Self {
        let Some((&tag, rest)) = path.split_first() else { return self };
        let place = self.records.iter().position(|record| record.tag() == tag);
        let place = place.unwrap_or_else(|| {
            self.records.push(Record::Group(Self::new(tag, Vec::new())));
            self.records.len() - 1
        });
        match &mut self.records[place] {
            Record::Group(group) => group.group(rest),
            Record::Value(..) => panic!("{tag} is no group"),
        }
    }

    /// Gives the first record at this path another value, or adds it.
    pub(in crate::check) fn with(mut self, path: &[u16], value: Vec<u8>) -> Self {
        let (&tag, parents) = path.split_last().unwrap();
        let group = self.group(parents);
        match group.records.iter_mut().find(|record| record.tag() == tag) {
            Some(record) => *record = Record::Value(tag, value),
            None => group.records.push(Record::Value(tag, value)),
        }
        self
    }

    /// Adds one more record at this path.
    pub(in crate::check) fn and(mut self, path: &[u16], value: Vec<u8>) -> Self {
        let (&tag, parents) = path.split_last().unwrap();
        self.group(parents).records.push(Record::Value(tag, value));
        self
    }

    /// Adds one more group to the top level.
    pub(in crate::check) fn and_group(mut self, group: Self) -> Self {
        self.records.push(Record::Group(group));
        self
    }

    /// Takes the records at this path away.
    pub(in crate::check) fn without(mut self, path: &[u16]) -> Self {
        let (&tag, parents) = path.split_last().unwrap();
        self.group(parents).records.retain(|record| record.tag() != tag);
        self
    }

    pub(in crate::check) fn has(&self, tag: u16) -> bool {
        self.records.iter().any(|record| record.tag() == tag)
    }

    pub(in crate::check) fn fn_number(&self) -> FnNumber {
        self.value(1041).map(|value| FnNumber::from_padded(value).unwrap()).unwrap()
    }

    /// The number of the version.
    pub(in crate::check) fn version(&self) -> u8 {
        self.value(1209).unwrap()[0]
    }

    fn value(&self, tag: u16) -> Option<&[u8]> {
        self.records.iter().find_map(|record| match record {
            Record::Value(found, value) if *found == tag => Some(value.as_slice()),
            _ => None,
        })
    }

    pub(in crate::check) fn form(&self) -> u16 {
        self.tag
    }

    /// The number in a record of the top level.
    pub(in crate::check) fn number(&self, tag: u16) -> u32 {
        u32::from_le_bytes(self.value(tag).unwrap().try_into().unwrap())
    }

    pub(in crate::check) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        let inside = |out: &mut Vec<u8>| {
            for record in &self.records {
                match record {
                    Record::Value(tag, value) => write_record(out, *tag, value)?,
                    Record::Group(group) => group.write(out),
                }
            }
            Ok(())
        };
        write_group(out, self.tag, inside).unwrap();
    }
}

pub(in crate::check) fn byte(number: u8) -> Vec<u8> {
    vec![number]
}

pub(in crate::check) fn word(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

pub(in crate::check) fn vln(number: u64) -> Vec<u8> {
    vln_bytes(number)
}

pub(in crate::check) fn text(text: &str) -> Vec<u8> {
    cp866::encode(text).unwrap()
}

pub(in crate::check) fn padded(value: &str, len: usize) -> Vec<u8> {
    text(&format!("{value:len$}"))
}

pub(in crate::check) const FN: &str = "9280440300012345";
pub(in crate::check) const RNM: &str = "0000000005008570";
pub(in crate::check) const SERIAL: &str = "000000000002";
pub(in crate::check) const USER: &str = "7702203276";
pub(in crate::check) const OPERATOR: &str = "7704358518";
const PLACE: &str = "магазин Ромашка";
const ADDRESS: &str = "111141, Москва, Кусковская ул., 20А";

/// 2026-03-02 09:00 of the till's clock: the registration. Each further document is a minute later.
pub(in crate::check) const START: u32 = 1_772_442_000;

/// What every document of a register begins with.
fn head(form: u16, version: u8, fd: u32) -> Made {
    Made::new(
        form,
        vec![
            (1041, text(FN)),
            (1037, padded(RNM, 20)),
            (1018, padded(USER, 12)),
            (1040, word(fd)),
            (1012, word(START.saturating_add((fd - 1).saturating_mul(60)))),
            (1077, vec![0x31, 0x04, 1, 2, 3, 4]),
            (1209, byte(version)),
        ],
    )
}

/// A report on registration (form 1) or on its change (form 11).
pub(in crate::check) fn registration(form: u16, version: u8, fd: u32) -> Made {
    let made = head(form, version, fd)
        .with(&[1048], text("ООО Ромашка"))
        .with(&[1013], padded(SERIAL, 20))
        .with(&[1009], text(ADDRESS))
        .with(&[1187], text(PLACE))
        .with(&[1021], text("Иванова"))
        .with(&[1002], byte(0))
        .with(&[1001], byte(0))
        .with(&[1056], byte(0))
        .with(&[1188], text("1.0"))
        .with(&[1189], byte(version))
        .with(&[1190], byte(version))
        .with(&[1213], vec![0x90, 1])
        .with(&[1062], byte(0x03))
        .with(&[1017], padded(OPERATOR, 12))
        .with(&[1046], text("ОФД"))
        .with(&[1060], text("nalog.gov.ru"));
    let made = match version {
        4 => made.with(&[1290], word(0)),
        _ => [1221, 1110, 1108, 1207, 1193, 1126, 1109]
            .into_iter()
            .fold(made, |made, tag| made.with(&[tag], byte(0))),
    };
    match (form, version) {
        (11, 2) => made.with(&[1101], byte(3)),
        (11, _) => totals(made.with(&[1205], word(8)), 1157, 0, 0),
        _ => made,
    }
}

pub(in crate::check) fn shift_open(version: u8, fd: u32, shift: u32) -> Made {
    head(2, version, fd)
        .with(&[1038], word(shift))
        .with(&[1021], text("Иванова"))
        .with(&[1188], text("1.0"))
        .with(&[1189], byte(version))
}

/// One item for 100 roubles with VAT of 20 per cent.
pub(in crate::check) fn item(version: u8) -> Made {
    let item = Made::new(
        1059,
        vec![
            (1030, text("Молоко")),
            (1079, vln(10_000)),
            (1023, vec![3, 0xE8, 3]),
            (1043, vln(10_000)),
            (1199, byte(1)),
            (1200, vln(1_667)),
            (1212, byte(1)),
            (1214, byte(4)),
        ],
    );
    if version == 4 { item.with(&[2108], byte(0)) } else { item }
}

/// A receipt or correction (3, 31, 4, 41) of one item for 100 roubles in cash.
pub(in crate::check) fn receipt(form: u16, version: u8, fd: u32, number: u32) -> Made {
    let made = head(form, version, fd)
        .with(&[1038], word(1))
        .with(&[1042], word(number))
        .with(&[1054], byte(1))
        .with(&[1055], byte(1))
        .with(&[1009], text(ADDRESS))
        .with(&[1187], text(PLACE))
        .with(&[1021], text("Иванова"))
        .and_group(item(version))
        .with(&[1020], vln(10_000))
        .with(&[1031], vln(10_000))
        .with(&[1081], vln(0))
        .with(&[1215], vln(0))
        .with(&[1216], vln(0))
        .with(&[1217], vln(0))
        .with(&[1102], vln(1_667));
    if !matches!(form, 31 | 41) {
        return made;
    }
    let made = made.with(&[1173], byte(0)).with(&[1174, 1178], word(START - START % 86_400));
    if version == 2 { made.with(&[1174, 1179], text("1")) } else { made }
}

/// Adds totals: so many sales of 100 roubles in cash, so many corrections of the same kind.
pub(in crate::check) fn totals(made: Made, tag: u16, sales: u32, corrections: u32) -> Made {
    let block = |made: Made, path: &[u16], count: u32| {
        let at = |tag| [path, &[tag]].concat();
        let sum = vln(u64::from(count) * 10_000);
        let made = made.with(&at(1135), word(count)).with(&at(1136), sum.clone()).with(&at(1201), sum);
        [1138, 1218, 1219, 1220].into_iter().fold(made, |made, tag| made.with(&at(tag), vln(0)))
    };
    let made = made.with(&[tag, 1134], word(sales + corrections));
    let made = block(made, &[tag, 1129], sales);
    let made = [1130, 1131, 1132].into_iter().fold(made, |made, group| block(made, &[tag, group], 0));
    let made = made.with(&[tag, 1133, 1144], word(corrections));
    block(made, &[tag, 1133, 1145], corrections)
}

/// The end of a shift of `sales` receipts and `corrections`, opened by document 2.
pub(in crate::check) fn shift_close(version: u8, fd: u32, sales: u32, corrections: u32) -> Made {
    let made = head(5, version, fd)
        .with(&[1038], word(1))
        .with(&[1021], text("Иванова"))
        .with(&[1118], word(sales + corrections))
        .with(&[1111], word(fd - 1))
        .with(&[1097], word(0))
        .with(&[1213], vec![0x90, 1]);
    totals(totals(made, 1194, sales, corrections), 1157, sales, corrections)
}

/// A report on the state of settlements.
pub(in crate::check) fn state_report(version: u8, fd: u32) -> Made {
    let made = head(21, version, fd).with(&[1097], word(0));
    let made = if version == 4 { made.with(&[1213], vec![0x90, 1]) } else { made };
    let made = if version == 2 { made } else { made.with(&[1158, 1144], word(0)) };
    totals(made, 1157, 1, 0)
}

/// The closing of a storage after its first shift.
pub(in crate::check) fn fn_close(version: u8, fd: u32) -> Made {
    let made = head(6, version, fd)
        .with(&[1048], text("ООО Ромашка"))
        .with(&[1009], text(ADDRESS))
        .with(&[1187], text(PLACE))
        .with(&[1038], word(1))
        .with(&[1021], text("Иванова"));
    totals(made, 1157, 1, 0)
}

/// A notification about marked goods sold.
pub(in crate::check) fn notification() -> Made {
    let goods = Made::new(
        2007,
        vec![
            (2000, text("0104607069580000215abcdef")),
            (2100, byte(1)),
            (2101, text("04607069580000")),
            (2110, byte(1)),
            (2106, byte(15)),
            (2102, byte(0)),
            (1214, byte(4)),
            (1030, text("Молоко")),
            (1079, vln(10_000)),
            (1043, vln(10_000)),
            (1199, byte(1)),
            (1200, vln(1_667)),
        ],
    );
    Made::new(
        82,
        vec![
            (2002, word(1)),
            (1012, word(START)),
            (1041, text(FN)),
            (1055, byte(1)),
            (1054, byte(1)),
            (2116, byte(1)),
            (1018, padded(USER, 12)),
            (1011, byte(2)),
            (2040, word(3)),
        ],
    )
    .and_group(goods)
}
