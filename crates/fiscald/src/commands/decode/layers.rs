//! Which layer the bytes are: from the outside in, the same order a message is unwrapped in. Damaged input is explained
//! as far as it goes; what is wrong becomes a remark beside the bytes.

use ffd::dict::FormCode;
use kkt_proto::container::{ContainerKind, MIN_CONTAINER_LEN};
use kkt_proto::header::Signature;

use super::container::{RAW_MARK, container, raw_data};
use super::document::{DOCUMENT_HEAD_LEN, bare_document};
use super::model::{Decoded, Part, Remark, Span, le_u16, unread};
use super::session::session;

/// Recognises the outermost layer and explains it with all that is inside.
pub(super) fn explain(bytes: &[u8]) -> Decoded<'_> {
    let mut parts = Vec::new();
    let layer = match recognise(bytes) {
        Layer::Session => session(bytes, &mut parts),
        Layer::Container => containers(bytes, &mut parts),
        Layer::RawData => {
            raw_data(Span { bytes, offset: 0 }, &mut parts);
            "rawData с заголовком контейнера"
        }
        Layer::Document => bare_document(Span { bytes, offset: 0 }, &mut parts),
        Layer::Unknown => {
            parts.push(unread(
                "Не распознано",
                Span { bytes, offset: 0 },
                Remark::damage("ни сообщение, ни контейнер, ни rawData, ни документ"),
            ));
            "не распознано"
        }
    };
    Decoded { layer, parts }
}

enum Layer {
    Session,
    Container,
    RawData,
    Document,
    Unknown,
}

fn recognise(bytes: &[u8]) -> Layer {
    let signature = bytes.first_chunk::<4>().map(|signature| Signature(*signature));
    if signature.is_some_and(Signature::is_known) {
        return Layer::Session;
    }
    if bytes.starts_with(&RAW_MARK) {
        return Layer::RawData;
    }
    let known_kind = bytes.get(4).is_some_and(is_container_kind);
    let own_length = le_u16(bytes, 0).map_or(0, usize::from);
    // Exactly one, or a whole one with the next behind it.
    let own_length = own_length == bytes.len() || bytes.get(own_length + 4).is_some_and(is_container_kind);
    let document_form = le_u16(bytes, 0).is_some_and(|form| FormCode(form).is_known());
    let document_fits =
        le_u16(bytes, 2).is_some_and(|length| usize::from(length) + DOCUMENT_HEAD_LEN <= bytes.len());
    match (known_kind, own_length, document_form, document_fits) {
        (true, true, ..) => Layer::Container,
        (_, _, true, true) => Layer::Document,
        (true, ..) if bytes.len() >= MIN_CONTAINER_LEN => Layer::Container,
        (_, _, true, false) if bytes.len() >= DOCUMENT_HEAD_LEN => Layer::Document,
        _ => Layer::Unknown,
    }
}

fn is_container_kind(byte: &u8) -> bool {
    let kind = ContainerKind(*byte);
    kind == ContainerKind::FROM_FN || kind == ContainerKind::FROM_OFD
}

/// One container, or several back to back as `export --as raw` writes them.
fn containers<'a>(bytes: &'a [u8], parts: &mut Vec<Part<'a>>) -> &'static str {
    let mut rest = Span { bytes, offset: 0 };
    let mut count = 0_usize;
    while !rest.bytes.is_empty() {
        let length = le_u16(rest.bytes, 0).map_or(0, usize::from);
        let next_begins = rest.bytes.get(length + 4).is_some_and(is_container_kind);
        // A container is split off only when another one follows: damage in the last one stays in it.
        let whole = if length >= MIN_CONTAINER_LEN && next_begins { length } else { rest.bytes.len() };
        container(rest.take(whole), None, parts);
        count += 1;
    }
    if count == 1 { "контейнер" } else { "несколько контейнеров подряд" }
}
