//! Documents: alone, or with the sign that `rawData` and containers put behind them.

use ffd::check::{Claimed, identity};
use ffd::dict::FormCode;
use ffd::document::Document;
use ffd::error::DecodeError;
use kkt_proto::ack::Acknowledgement;
use kkt_proto::container::{ContainerKind, TRAILER_LEN};

use super::container::trailer;
use super::model::{Content, Part, PartKind, Remark, Span, le_u16, unread};
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
            parts.push(unread("Документ", span, remark));
        }
    }
}

/// Why it is no document; a cut one only lacks its end.
fn fault(span: Span<'_>, error: &DecodeError) -> String {
    let here = span.bytes.len();
    match *error {
        DecodeError::LengthMismatch { declared, actual, .. } if actual < usize::from(declared) => {
            let whole = usize::from(declared) + DOCUMENT_HEAD_LEN;
            let missing = byte_count(whole.saturating_sub(here));
            format!("документ оборван: здесь {}, не хватает {missing}", of_bytes(here, whole))
        }
        _ => format!("документ не читается: {}", error.text_ru(span.offset)),
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
