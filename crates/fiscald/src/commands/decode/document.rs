//! Documents: alone, or with the sign that `rawData` and containers put behind them.

use ffd::check::{Claimed, identity};
use ffd::dict::FormCode;
use ffd::document::Document;
use kkt_proto::ack::Acknowledgement;
use kkt_proto::container::{ContainerKind, TRAILER_LEN};

use super::container::trailer;
use super::model::{Content, Part, Remark, Span, le_u16, unread};

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
                remarks.push(Remark::damage(format!("подтверждение не принято: {error}")));
            }
            parts.push(Part {
                title: format!("Документ: {}", form.name_ru()),
                offset: span.offset,
                content: Content::Document(Box::new(document)),
                remarks,
            });
        }
        Err(error) => {
            let remark = Remark::damage(format!("документ не читается: {error}"));
            parts.push(unread("Документ", span, remark));
        }
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
            Remark::damage(format!("после документа {extra} байт; ФПС занимает 8, с нулями 10")),
        )),
    }
}
