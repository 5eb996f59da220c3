//! A list of registers as a spreadsheet writes it: CSV with one of three separators, in UTF-8, UTF-16 or CP1251.
//!
//! Reads text only; what a line means for the contract is the importer's matter.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::{Context, Result, bail};
use csv::{ReaderBuilder, StringRecord};
use ffd::ids::{FnNumber, Rnm};

/// Bytes of a file that is read at all: some hundred thousand registers, and room for a few long names.
pub(super) const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;
/// Characters of a serial number: the width of tag 1013.
const MAX_SERIAL_CHARS: usize = 20;
/// Characters of a model's name.
const MAX_MODEL_CHARS: usize = 256;
/// Characters of a bad value that are repeated in the reason.
const SHOWN_CHARS: usize = 40;

/// The columns that are understood.
const COLUMNS: [&str; 5] = ["kkt_serial", "fn", "kkt_model", "fn_model", "rnm"];

/// One register of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entered {
    /// Line of the file, the heading being 1.
    pub(super) line: u64,
    pub(super) kkt_serial: String,
    pub(super) fn_number: FnNumber,
    pub(super) kkt_model: Option<String>,
    pub(super) fn_model: Option<String>,
    pub(super) rnm: Option<Rnm>,
}

/// A line that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: u64,
    pub(super) reason: String,
}

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct TableFile {
    pub(super) entered: Vec<Entered>,
    pub(super) bad: Vec<BadLine>,
}

/// Where each column stands in a line.
struct Places {
    kkt_serial: usize,
    fn_number: usize,
    kkt_model: Option<usize>,
    fn_model: Option<usize>,
    rnm: Option<usize>,
}

impl TableFile {
    /// Reads everything; bad lines are collected, not the end of it.
    ///
    /// # Errors
    /// The file is too long, is no text, or its heading is not understood.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_FILE_BYTES {
            bail!("the file has more than {} MiB: import it in parts", MAX_FILE_BYTES / 1024 / 1024);
        }
        let text = text(bytes)?;
        let mut reader = ReaderBuilder::new()
            .delimiter(separator(text.lines().next().unwrap_or_default()))
            .flexible(true)
            .from_reader(text.as_bytes());
        let heading = reader.headers().context("the first line")?.clone();
        let places = Places::find(&heading)?;
        let mut file = Self::default();
        let mut lines = Lines { text: text.as_bytes(), counted: 0, line: 1 };
        let mut record = StringRecord::new();
        while reader.read_record(&mut record)? {
            if record.iter().all(|value| value.trim().is_empty()) {
                continue;
            }
            let start = record.position().and_then(|position| usize::try_from(position.byte()).ok());
            let line = lines.at(start.unwrap_or(usize::MAX));
            match places.entered(line, &record, heading.len()) {
                Ok(entered) => file.entered.push(entered),
                Err(reason) => file.bad.push(BadLine { line, reason }),
            }
        }
        file.part_doubles();
        Ok(file)
    }

    /// A ККТ has one ФН and one registration number, so each number may stand in the file once. The first line that names it counts.
    fn part_doubles(&mut self) {
        let mut serials: HashMap<String, u64> = HashMap::new();
        let mut numbers: HashMap<FnNumber, u64> = HashMap::new();
        let mut rnms: HashMap<Rnm, u64> = HashMap::new();
        let bad = &mut self.bad;
        self.entered.retain(|entered| {
            let (serial, number) =
                (serials.entry(entered.kkt_serial.clone()), numbers.entry(entered.fn_number));
            let reason = match (serial, number) {
                (Entry::Occupied(first), _) => {
                    format!("kkt_serial {} stands in line {} already", entered.kkt_serial, first.get())
                }
                (_, Entry::Occupied(first)) => {
                    format!("fn {} stands in line {} already", entered.fn_number, first.get())
                }
                (Entry::Vacant(_), Entry::Vacant(_))
                    if let Some((rnm, first)) = entered.rnm.and_then(|rnm| Some((rnm, rnms.get(&rnm)?))) =>
                {
                    format!("rnm {rnm} stands in line {first} already")
                }
                (Entry::Vacant(serial), Entry::Vacant(number)) => {
                    rnms.extend(entered.rnm.map(|rnm| (rnm, entered.line)));
                    serial.insert(entered.line);
                    number.insert(entered.line);
                    return true;
                }
            };
            bad.push(BadLine { line: entered.line, reason });
            false
        });
        bad.sort_by_key(|bad| bad.line);
    }
}

/// Lines as an editor counts them. The reader's own count takes neither empty lines nor CR LF as an editor does.
struct Lines<'a> {
    text: &'a [u8],
    counted: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a record that the reader began at this byte, line ends before it included. To be asked in order.
    fn at(&mut self, start: usize) -> u64 {
        let rest = self.text.get(self.counted..).unwrap_or_default();
        let mut before = start.saturating_sub(self.counted);
        before += rest.iter().skip(before).take_while(|&&byte| matches!(byte, b'\r' | b'\n')).count();
        let mut bytes = rest.iter().take(before).peekable();
        while let Some(byte) = bytes.next() {
            let ends = *byte == b'\n' || *byte == b'\r' && bytes.peek() != Some(&&b'\n');
            self.line = self.line.saturating_add(u64::from(ends));
        }
        self.counted = self.counted.saturating_add(before);
        self.line
    }
}

impl Places {
    fn find(heading: &StringRecord) -> Result<Self> {
        let names: Vec<String> = heading.iter().map(|name| name.trim().to_lowercase()).collect();
        for (place, name) in names.iter().enumerate() {
            if !COLUMNS.contains(&name.as_str()) {
                let known = COLUMNS.join(", ");
                bail!("the first line has the unknown column \"{}\"; columns are {known}", shortened(name));
            }
            if names.iter().take(place).any(|earlier| earlier == name) {
                bail!("the first line has the column {name} twice");
            }
        }
        let place = |wanted: &str| names.iter().position(|name| name == wanted);
        let required = |wanted: &str| {
            place(wanted).with_context(|| format!("the first line has no column {wanted}, which is required"))
        };
        Ok(Self {
            kkt_serial: required("kkt_serial")?,
            fn_number: required("fn")?,
            kkt_model: place("kkt_model"),
            fn_model: place("fn_model"),
            rnm: place("rnm"),
        })
    }

    fn entered(&self, line: u64, record: &StringRecord, columns: usize) -> Result<Entered, String> {
        if record.len() != columns {
            return Err(format!("{} values, the first line has {columns} columns", record.len()));
        }
        let value = |place: usize| record.get(place).unwrap_or_default().trim();
        let optional = |place: Option<usize>| place.map(value).filter(|value| !value.is_empty());
        let model = |column: &str, place: Option<usize>| match optional(place) {
            Some(model) if model.chars().count() > MAX_MODEL_CHARS => {
                Err(format!("{column} has more than {MAX_MODEL_CHARS} characters"))
            }
            model => Ok(model.map(str::to_owned)),
        };
        Ok(Entered {
            line,
            kkt_serial: serial(value(self.kkt_serial))?,
            fn_number: number("fn", value(self.fn_number))?,
            kkt_model: model("kkt_model", self.kkt_model)?,
            fn_model: model("fn_model", self.fn_model)?,
            rnm: optional(self.rnm).map(|text| number("rnm", text)).transpose()?,
        })
    }
}

fn serial(text: &str) -> Result<String, String> {
    match text.chars().count() {
        0 => Err("kkt_serial is empty".to_owned()),
        1..=MAX_SERIAL_CHARS if text.chars().all(|c| !c.is_control()) => Ok(text.to_owned()),
        _ => Err(format!(
            "kkt_serial \"{}\" is no serial number of a ККТ (1 to {MAX_SERIAL_CHARS} characters)",
            shortened(text)
        )),
    }
}

fn number<T: std::str::FromStr<Err = ffd::ids::IdError>>(column: &str, text: &str) -> Result<T, String> {
    if text.is_empty() {
        return Err(format!("{column} is empty"));
    }
    text.parse().map_err(|error| {
        let hint = if text.contains(['E', 'e', '.', ',']) {
            " (a spreadsheet rewrote it: give the column the format \"text\")"
        } else {
            ""
        };
        format!("{column} \"{}\": {error}{hint}", shortened(text))
    })
}

/// Enough of a value to find it again.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The file as text: by its byte order mark, else UTF-8 if it is, else CP1251.
fn text(bytes: &[u8]) -> Result<Cow<'_, str>> {
    let (text, encoding, damaged) = match (encoding_rs::Encoding::for_bom(bytes), str::from_utf8(bytes)) {
        (None, Ok(text)) => return plain(Cow::Borrowed(text)),
        (Some((encoding, _)), _) => encoding.decode(bytes),
        (None, Err(_)) => encoding_rs::WINDOWS_1251.decode(bytes),
    };
    if damaged {
        bail!("the file is damaged: it is no {} text", encoding.name());
    }
    plain(text)
}

fn plain(text: Cow<'_, str>) -> Result<Cow<'_, str>> {
    if text.contains('\0') {
        bail!("the file is no text; save the table as CSV first");
    }
    Ok(text)
}

/// The separator that stands most often in the heading.
fn separator(heading: &str) -> u8 {
    let count = |separator: u8| heading.bytes().filter(|&byte| byte == separator).count();
    // The last of equals wins: with none at all the comma, as the name of the format says.
    [b'\t', b';', b','].into_iter().max_by_key(|&separator| count(separator)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    const FN: &str = "9999078900000017";

    fn read(text: &str) -> TableFile {
        TableFile::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_table_in_each_dress() {
        let expected = Entered {
            line: 2,
            kkt_serial: "0128003270".to_owned(),
            fn_number: FN.parse().unwrap(),
            kkt_model: Some("Касса, 1Ф".to_owned()),
            fn_model: None,
            rnm: Some("0000000001036105".parse().unwrap()),
        };
        let check = |bytes: &[u8]| {
            let file = TableFile::read(bytes).unwrap();
            assert_eq!(file.bad, []);
            assert_eq!(file.entered, std::slice::from_ref(&expected));
        };
        let semicolons =
            format!("kkt_serial;FN;kkt_model;rnm\r\n0128003270; {FN} ;Касса, 1Ф;0000000001036105\r\n\r\n");
        check(semicolons.as_bytes());
        check(format!("\u{feff}{semicolons}").as_bytes());
        check(&encoding_rs::WINDOWS_1251.encode(&semicolons).0);
        let utf_16 = [0xFF, 0xFE].into_iter().chain(semicolons.encode_utf16().flat_map(u16::to_le_bytes));
        check(&utf_16.collect::<Vec<u8>>());
        check(
            format!("rnm,kkt_model,fn,kkt_serial\n0000000001036105,\"Касса, 1Ф\",{FN},0128003270").as_bytes(),
        );
        check(semicolons.replace(';', "\t").as_bytes());
    }

    #[test]
    fn optional_columns_may_be_absent_or_empty() {
        for text in
            [format!("fn;kkt_serial\n{FN};1"), format!("fn;kkt_serial;rnm;kkt_model\n{FN};1;;\n;;;\n")]
        {
            let file = read(&text);
            assert_eq!(file.bad, []);
            let [entered] = file.entered.as_slice() else { panic!("{:?}", file.entered) };
            assert_eq!((&entered.rnm, &entered.kkt_model), (&None, &None));
        }
        assert!(read("fn;kkt_serial\n").entered.is_empty());
    }

    #[test]
    fn headings_that_are_not_understood() {
        let check = |bytes: &[u8], expected: &str| {
            let error = TableFile::read(bytes).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        };
        check(b"", "no column kkt_serial");
        check(b"kkt_serial;rnm\n", "no column fn, which is required");
        check(
            b"kkt_serial;fn;rmn\n",
            "unknown column \"rmn\"; columns are kkt_serial, fn, kkt_model, fn_model, rnm",
        );
        check(b"kkt_serial;fn;fn\n", "the column fn twice");
        check(b"PK\x03\x04\0\0", "save the table as CSV first");
        check(&[0xFF, 0xFE, b'k'], "damaged");
        check(&vec![b' '; MAX_FILE_BYTES + 1], "more than 64 MiB");
    }

    #[test]
    fn every_bad_line_is_told() {
        let file = read(
            "kkt_serial;fn;rnm\n\
             1;9999078900000001;\n\
             ;9999078900000002;\n\
             3;;\n\
             4;9,99908E+15;\n\
             5;9999078900000005;12345\n\
             123456789012345678901;9999078900000006;\n\
             1;9999078900000007;\n\
             8;9999078900000001;\n\
             9;9999078900000009\n\
             10;99990789000000101;\n\
             11;9999078900000011;0000000001036105\n\
             12;9999078900000012;0000000001036105\n",
        );
        let told: Vec<String> = file.bad.iter().map(|bad| format!("{}: {}", bad.line, bad.reason)).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        3: kkt_serial is empty
        4: fn is empty
        5: fn "9,99908E+15": FN number: byte 0x2c at position 1 is not a digit (a spreadsheet rewrote it: give the column the format "text")
        6: rnm "12345": KKT registration number: 5 characters, expected 16 digits
        7: kkt_serial "123456789012345678901" is no serial number of a ККТ (1 to 20 characters)
        8: kkt_serial 1 stands in line 2 already
        9: fn 9999078900000001 stands in line 2 already
        10: 2 values, the first line has 3 columns
        11: fn "99990789000000101": FN number: 17 characters, expected 1 to 16 digits
        13: rnm 0000000001036105 stands in line 12 already
        "#);
        assert_eq!(file.entered.iter().map(|entered| entered.line).collect::<Vec<_>>(), [2, 12]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_in_it_lines_only_grow(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
            text in "(kkt_serial;fn;rnm\n)?([0-9;\"\r\n\u{feff}é]{0,30}\n){0,6}",
        ) {
            let _ = TableFile::read(&bytes);
            let _ = TableFile::read(text.as_bytes());
            let headed = [b"kkt_serial;fn\n".as_slice(), &bytes].concat();
            if let Ok(file) = TableFile::read(&headed) {
                let ends = headed.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
                for lines in [
                    file.entered.iter().map(|entered| entered.line).collect::<Vec<_>>(),
                    file.bad.iter().map(|bad| bad.line).collect(),
                ] {
                    proptest::prop_assert!(lines.is_sorted());
                    proptest::prop_assert!(lines.iter().all(|&line| line > 1 && line - 1 <= u64::try_from(ends).unwrap()));
                }
            }
        }
    }

    #[test]
    fn lines_are_counted_as_editors_do() {
        let text = format!("kkt_serial,fn,kkt_model\n\n1,{FN},\"Касса\n«Первая»\"\n2,bad,\n\n\n3,bad,\n");
        for end in ["\n", "\r\n", "\r"] {
            let file = read(&text.replace('\n', end));
            assert_eq!(file.entered.iter().map(|entered| entered.line).collect::<Vec<_>>(), [3], "{end:?}");
            assert_eq!(file.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [5, 8], "{end:?}");
        }
    }
}
