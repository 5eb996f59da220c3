//! Errors of reading in Russian, for the views that people read.
//!
//! Offsets are six hex digits, as in the tree, and count from where the reader of the text counts: `base_offset` is
//! where the document begins there. Tags of values are left out, for the text stands beside its tag.

use super::{BYTES, plural};
use crate::error::{DecodeError, IdError, IdKind, Lengths, TlvError, ValueError};
use crate::tlv::HEADER_LEN;

const DIGITS: [&str; 3] = ["цифра", "цифры", "цифр"];

impl ValueError {
    /// What is wrong, in Russian, without the tag.
    pub fn text_ru(&self, base_offset: usize) -> String {
        match *self {
            Self::Length { len, expected, .. } => {
                format!("длина {len} {}, нужно {}", plural(len, BYTES), expected.text_ru(BYTES))
            }
            Self::Scale { scale, limit, .. } => {
                let words = ["знак", "знака", "знаков"];
                format!("{scale} {} после запятой, предел {limit}", plural(scale.into(), words))
            }
            Self::Group { source, .. } => source.text_ru(base_offset),
            Self::TooDeep { limit, .. } => {
                format!("глубина вложенности больше {limit} {}", plural(limit, ["группы", "групп", "групп"]))
            }
            Self::IsGroup { .. } => "это группа, а не одно значение".to_owned(),
        }
    }
}

impl TlvError {
    /// What is wrong, in Russian.
    pub fn text_ru(&self, base_offset: usize) -> String {
        match *self {
            Self::TruncatedHeader { offset, available } => format!(
                "по смещению {:06x} {} {available} {}, а заголовок записи занимает {HEADER_LEN}",
                base_offset + offset,
                plural(available, ["остался", "осталось", "осталось"]),
                plural(available, BYTES),
            ),
            Self::Overrun { offset, tag, declared, available } => format!(
                "запись с тегом {tag} по смещению {:06x} объявляет {declared} {}, а {} {available}",
                base_offset + offset,
                plural(declared.into(), BYTES),
                plural(available, ["остался", "осталось", "осталось"]),
            ),
            Self::TooLong { tag, len, limit } => {
                format!("значение тега {tag} занимает {len} {}, предел {limit}", plural(len, BYTES))
            }
        }
    }
}

impl DecodeError {
    /// Why the bytes are no document, in Russian.
    pub fn text_ru(&self, base_offset: usize) -> String {
        match *self {
            Self::TooShort { len } => {
                format!("всего {len} {}, а заголовок документа занимает {HEADER_LEN}", plural(len, BYTES))
            }
            Self::LengthMismatch { declared, actual, .. } => format!(
                "заголовок документа объявляет {declared} {}, а за ним {actual}",
                plural(declared.into(), BYTES)
            ),
            Self::TopLevel { source, .. } => source.text_ru(base_offset),
        }
    }
}

impl IdError {
    /// What is wrong, in Russian.
    pub fn text_ru(&self) -> String {
        match *self {
            Self::Length { kind, len } => {
                let words = ["знак", "знака", "знаков"];
                let (name, expected) = (kind.name_ru(), kind.digits().text_ru(DIGITS));
                format!("{name}: {len} {}, нужно {expected}", plural(len, words))
            }
            Self::NotDigit { kind, position, byte } => {
                format!("{}: {}-й знак не цифра ({byte:#04x})", kind.name_ru(), position + 1)
            }
            Self::Range { kind, value, min, max } => {
                format!("{}: {value}, допустимо от {min} до {max}", kind.name_ru())
            }
        }
    }
}

impl IdKind {
    /// Its name in Russian.
    pub fn name_ru(self) -> &'static str {
        match self {
            Self::FnNumber => "номер ФН",
            Self::FdNumber => "номер ФД",
            Self::Rnm => "регистрационный номер ККТ",
            Self::Inn => "ИНН",
        }
    }
}

impl Lengths {
    /// The numbers with the word for what is counted.
    fn text_ru(self, words: [&str; 3]) -> String {
        match self {
            Self::Exactly(len) => format!("{len} {}", plural(len, words)),
            Self::Either(one, other) => format!("{one} или {other} {}", plural(other, words)),
            // After «до» stands the genitive, which is the word after 5 for every limit of the format.
            Self::Between(min, max) => format!("от {min} до {max} {}", plural(5, words)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::ids::{FdNumber, FnNumber, Inn, Rnm};

    #[test]
    fn values_say_what_is_wrong() {
        let check = |error: ValueError, expected| assert_eq!(error.text_ru(0x3E), expected);
        let length = |len, expected| ValueError::Length { tag: 1012, len, expected };
        check(length(2, Lengths::Exactly(4)), "длина 2 байта, нужно 4 байта");
        check(length(21, Lengths::Either(0, 1)), "длина 21 байт, нужно 0 или 1 байт");
        check(length(0, Lengths::Between(1, 8)), "длина 0 байт, нужно от 1 до 8 байт");
        check(ValueError::Scale { tag: 1023, scale: 22, limit: 19 }, "22 знака после запятой, предел 19");
        check(ValueError::TooDeep { tag: 1059, limit: 8 }, "глубина вложенности больше 8 групп");
        check(ValueError::IsGroup { tag: 1059 }, "это группа, а не одно значение");
        let source = TlvError::TruncatedHeader { offset: 22, available: 3 };
        check(
            ValueError::Group { tag: 1059, source },
            "по смещению 000054 осталось 3 байта, а заголовок записи занимает 4",
        );
    }

    #[test]
    fn documents_say_what_is_wrong() {
        let check = |bytes: &[u8], expected| {
            assert_eq!(Document::decode(bytes).unwrap_err().text_ru(32), expected, "{bytes:x?}");
        };
        check(&[3, 0], "всего 2 байта, а заголовок документа занимает 4");
        check(&[3, 0, 1, 0], "заголовок документа объявляет 1 байт, а за ним 0");
        check(&[3, 0, 1, 0, 9], "по смещению 000024 остался 1 байт, а заголовок записи занимает 4");
        check(
            &[3, 0, 5, 0, 0xF4, 3, 4, 0, 1],
            "запись с тегом 1012 по смещению 000024 объявляет 4 байта, а остался 1",
        );
        let too_long = TlvError::TooLong { tag: 1059, len: 65_536, limit: 65_535 };
        assert_eq!(too_long.text_ru(0), "значение тега 1059 занимает 65536 байт, предел 65535");
    }

    #[test]
    fn numbers_say_what_is_wrong() {
        let check = |error: IdError, expected| assert_eq!(error.text_ru(), expected);
        check(FnNumber::from_padded(b"").unwrap_err(), "номер ФН: 0 знаков, нужно от 1 до 16 цифр");
        check(FnNumber::from_padded(b"12x").unwrap_err(), "номер ФН: 3-й знак не цифра (0x78)");
        check(FdNumber::new(0).unwrap_err(), "номер ФД: 0, допустимо от 1 до 16777215");
        check(Rnm::from_padded(b"1").unwrap_err(), "регистрационный номер ККТ: 1 знак, нужно 16 цифр");
        check(Inn::from_padded(b"12").unwrap_err(), "ИНН: 2 знака, нужно 10 или 12 цифр");
    }
}
