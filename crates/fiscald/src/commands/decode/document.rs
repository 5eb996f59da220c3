//! Documents: alone, or with the sign that `rawData` and containers put behind them.

use ffd::check::{Claimed, identity};
use ffd::dict::FormCode;
use ffd::document::Document;
use ffd::error::DecodeError;
use ffd::tlv::{HEADER_LEN, Records};
use kkt_proto::ack::Acknowledgement;
use kkt_proto::container::{ContainerKind, TRAILER_LEN};

use super::container::trailer;
use super::model::{Content, CutDocument, Field, Part, PartKind, Remark, Span, le_u16, unread};
use super::words::{byte_count, malformed_text, of_bytes};

/// Form code and length before the records.
pub(super) const DOCUMENT_HEAD_LEN: usize = 4;
/// Bytes of a message sign without the final zeros.
pub(super) const SIGN_LEN: usize = 8;

/// A document that fills the span exactly.
pub(super) fn document<'a>(span: Span<'a>, claimed: Option<Claimed>, parts: &mut Vec<Part<'a>>) {
    match Document::decode(span.bytes) {
        Ok(document) => {
            let form = document.form();
            let mut remarks: Vec<Remark> = match claimed {
                Some(claimed) => identity(&document, &claimed).into_iter().map(Remark::from).collect(),
                None => Vec::new(),
            };
            if form == FormCode::OPERATOR_ACK
                && let Err(error) = Acknowledgement::decode(span.bytes)
            {
                remarks.push(Remark::damage(format!("подтверждение не принято: {}", malformed_text(&error))));
            }
            parts.push(Part {
                kind: PartKind::Other,
                title: format!("Документ: {}", form.name_ru()),
                offset: span.offset,
                content: Content::Document(Box::new(document)),
                remarks,
            });
        }
        Err(error) => {
            let remark = Remark::damage(fault(span, &error));
            parts.push(match missing_bytes(span, &error).and_then(|_| cut(span)) {
                Some(cut) => Part {
                    kind: PartKind::Other,
                    title: format!("Документ, начало: {}", cut.0.name_ru()),
                    offset: span.offset,
                    content: Content::Cut(cut.1),
                    remarks: vec![remark],
                },
                None => unread("Документ", span, remark),
            });
        }
    }
}

/// The records of a cut document that are here whole, and what follows them in one piece.
fn cut(span: Span<'_>) -> Option<(FormCode, CutDocument<'_>)> {
    let form = FormCode(le_u16(span.bytes, 0)?);
    let mut rest = span;
    let head = vec![
        rest.field::<2>("код формы", |_| format!("{}, {}", form.0, form.name_ru())),
        rest.field::<2>("длина", |length| byte_count(u16::from_le_bytes(length).into())),
    ];
    let here = Records::new(rest.bytes, 0).map_while(Result::ok);
    let records = rest.take(here.map(|record| HEADER_LEN + record.value.len()).sum());
    let length = u16::try_from(records.bytes.len()).ok()?;
    let whole = [&form.0.to_le_bytes(), &length.to_le_bytes(), records.bytes].concat();
    Document::decode(&whole).ok()?;
    let end = (!rest.bytes.is_empty()).then(|| Field {
        offset: rest.offset,
        bytes: rest.bytes,
        name: "дальше запись не вся",
        value: byte_count(rest.bytes.len()),
    });
    Some((form, CutDocument { head, whole, end }))
}

/// How many bytes a cut document lacks; nothing when its end is here or nobody knows where it is.
fn missing_bytes(span: Span<'_>, error: &DecodeError) -> Option<usize> {
    match *error {
        DecodeError::LengthMismatch { declared, actual, .. } if actual < usize::from(declared) => {
            Some((usize::from(declared) + DOCUMENT_HEAD_LEN).saturating_sub(span.bytes.len()))
        }
        _ => None,
    }
}

/// Why it is no document; a cut one only lacks its end.
fn fault(span: Span<'_>, error: &DecodeError) -> String {
    let here = span.bytes.len();
    match missing_bytes(span, error) {
        Some(missing) => {
            let here = of_bytes(here, here + missing);
            format!("документ оборван: здесь {here}, не хватает {}", byte_count(missing))
        }
        None => format!("документ не читается: {}", error.text_ru(span.offset)),
    }
}

pub(super) fn bare_document<'a>(span: Span<'a>, parts: &mut Vec<Part<'a>>) -> &'static str {
    document_and_sign(span, None, parts);
    let whole = le_u16(span.bytes, 2).map_or(0, usize::from) + DOCUMENT_HEAD_LEN;
    match span.bytes.len().saturating_sub(whole) {
        0 => "документ",
        SIGN_LEN => "документ и ФПС (rawData)",
        TRAILER_LEN => "документ, ФПС и завершающие нули",
        _ => "документ и лишние байты",
    }
}

/// A document of its own length; behind it nothing, a sign, or a sign and two zeros.
pub(super) fn document_and_sign<'a>(span: Span<'a>, claimed: Option<Claimed>, parts: &mut Vec<Part<'a>>) {
    let mut rest = span;
    let whole = le_u16(span.bytes, 2).map_or(usize::MAX, |length| usize::from(length) + DOCUMENT_HEAD_LEN);
    document(rest.take(whole), claimed, parts);
    match rest.bytes.len() {
        0 => {}
        SIGN_LEN | TRAILER_LEN => parts.push(trailer(rest, ContainerKind::FROM_FN)),
        extra => parts.push(unread(
            "Лишние байты",
            rest,
            Remark::damage(format!("после документа {}; ФПС занимает 8, с нулями 10", byte_count(extra))),
        )),
    }
}
