//! Records, documents, values and numbers: the tree loses no byte, a value means the same when written again.

use ffd::document::{Content, Document, Nodes};
use ffd::error::TlvError;
use ffd::tlv::{self, HEADER_LEN, MAX_DEPTH};
use ffd::value::{Value, cp866, decode_value, fvln_bytes, vln_bytes};
use ffd::{FnNumber, Inn, Rnm, TagDef};

use super::mend::mended;

/// Checks one input as a list of records, as a document, and as a document with the right length in its head.
pub fn check(input: &[u8]) {
    list(input);
    numbers(input);
    document(input);
    if let Some(mended) = mended(input) {
        document(&mended);
    }
}

/// Either all of it is records, or the error says where it breaks off.
fn list(input: &[u8]) {
    match tlv::records(input, 0) {
        Ok(records) => {
            let mut written = Vec::with_capacity(input.len());
            for record in &records {
                assert_eq!(record.offset, written.len());
                tlv::write_record(&mut written, record.tag, record.value).expect("its length was read");
            }
            assert_eq!(written, input);
        }
        Err(TlvError::TruncatedHeader { offset, available }) => {
            assert!(available < HEADER_LEN && offset + available == input.len());
        }
        Err(TlvError::Overrun { offset, declared, available, .. }) => {
            assert!(usize::from(declared) > available && offset + HEADER_LEN + available == input.len());
        }
        Err(error @ TlvError::TooLong { .. }) => panic!("a reader says {error}"),
    }
}

fn document(bytes: &[u8]) {
    let document = match Document::decode(bytes) {
        Ok(document) => document,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(document.encode(), bytes);
    assert_eq!(document.bytes(), bytes);
    let mut count = 0;
    let end = nodes(document.nodes(), bytes, HEADER_LEN, 0, &mut count);
    assert_eq!(end, bytes.len());
    assert!(count * HEADER_LEN < bytes.len(), "more records than the bytes have room for");
    let _ = (document.fiscal_sign(), document.version_known(), document.unreadable_group());
}

/// Walks the records of one level, which begin at `offset`; gives where they end.
fn nodes(nodes: Nodes<'_>, bytes: &[u8], mut offset: usize, depth: usize, count: &mut usize) -> usize {
    assert!(depth <= MAX_DEPTH);
    for node in nodes {
        *count += 1;
        let value_at = offset + HEADER_LEN;
        assert_eq!(node.offset, offset);
        assert_eq!(&bytes[value_at..value_at + node.raw.len()], node.raw);
        offset = value_at + node.raw.len();
        match node.content() {
            Content::Value(value) => rewritten(node.def.expect("a value has a meaning"), node.raw, &value),
            Content::Group(inner) => {
                assert_eq!(self::nodes(inner, bytes, value_at, depth + 1, count), offset)
            }
            Content::Broken(error) => assert!(!error.to_string().is_empty()),
            Content::Unknown => assert!(node.def.is_none()),
        }
    }
    offset
}

/// Written again, the value reads the same; it is the same bytes unless there is a shorter or longer spelling of it.
fn rewritten(def: &TagDef, raw: &[u8], value: &Value<'_>) {
    let (written, is_only_spelling) = match value {
        Value::Byte(byte) => (vec![*byte], raw.len() == 1),
        Value::U16(number) => (number.to_le_bytes().to_vec(), true),
        Value::U32(number) => (number.to_le_bytes().to_vec(), true),
        Value::Time(time) => (time.get().to_le_bytes().to_vec(), true),
        Value::Bits { mask, width } => {
            let bytes = mask.to_le_bytes();
            (bytes[..usize::from(*width)].to_vec(), true)
        }
        Value::Vln(number) => {
            (vln_bytes(*number), raw.len() == 1 || raw.last().is_some_and(|high| *high != 0))
        }
        Value::Fvln(decimal) => {
            (fvln_bytes(*decimal), raw.len() == 2 || raw.len() > 2 && raw.last() != Some(&0))
        }
        Value::Text(text) => (cp866::encode(text).expect("it was read from cp866"), true),
        Value::Bytes(bytes) => (bytes.to_vec(), true),
    };
    assert_eq!(decode_value(def, &written).as_ref(), Ok(value), "tag {}", def.tag);
    if is_only_spelling {
        assert_eq!(written, raw, "tag {}", def.tag);
    }
}

/// Texts of numbers: what reads is written back as it stood, padded to its full length.
fn numbers(input: &[u8]) {
    let text = &input[..input.len().min(24)];
    if let Ok(number) = FnNumber::from_padded(text) {
        let padded = number.padded();
        assert!(
            padded.starts_with(number.as_str().as_bytes()) && text.starts_with(number.as_str().as_bytes())
        );
        assert_eq!(FnNumber::from_padded(&padded), Ok(number));
        assert_eq!(FnNumber::from_bcd(&number.to_bcd()), Ok(number));
    }
    if let Some(packed) = input.first_chunk()
        && let Ok(number) = FnNumber::from_bcd(packed)
    {
        assert_eq!(number.to_bcd(), *packed);
    }
    if let Ok(inn) = Inn::from_padded(text) {
        assert_eq!(Inn::from_padded(&inn.padded()), Ok(inn));
        let _ = (inn.is_absent(), inn.check_digits_ok());
    }
    if let Ok(rnm) = Rnm::from_padded(text) {
        assert_eq!(Rnm::from_padded(&rnm.padded()), Ok(rnm));
        let serial = String::from_utf8_lossy(&input[text.len()..]);
        let _ = rnm.verify("7707083893", &serial);
        let _ = rnm.verify(&serial, "0000123");
    }
}
