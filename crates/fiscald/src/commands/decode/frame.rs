//! The frame of a container that may be damaged or cut: where its parts lie, and what is wrong with it.

use ffd::dict::FormCode;
use kkt_proto::container::{CONTAINER_HEADER_LEN, Container, ContainerKind, MIN_CONTAINER_LEN};
use kkt_proto::error::Malformed;

use super::document::DOCUMENT_HEAD_LEN;
use super::model::{be_u16, le_u16};
use super::words::{byte_count, malformed_text, of_bytes};

/// What the bytes of a container say about its own parts; all of it may be damaged or cut off.
pub(super) struct Frame<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) decoded: Result<Container<'a>, Malformed>,
    pub(super) kind: ContainerKind,
    /// Length of the whole container, by its first field.
    declared: Option<usize>,
}

/// Whether the document inside can be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Open,
    Encrypted,
    /// The frame is damaged, and nothing looks like an open document.
    NotOpen,
    /// Cut before the document's own head is complete.
    Unclear,
}

impl<'a> Frame<'a> {
    /// Any bytes, the shortest included.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            decoded: Container::decode(bytes),
            kind: ContainerKind(bytes.get(4).copied().unwrap_or_default()),
            declared: le_u16(bytes, 0).map(usize::from),
        }
    }

    /// Length the whole container should have.
    fn whole(&self) -> usize {
        match (self.open_len(), self.declared) {
            (Some(open_len), _) if self.head_agrees() => open_len + MIN_CONTAINER_LEN,
            (_, Some(declared)) => declared,
            (_, None) => 0,
        }
    }

    /// How many bytes are cut off.
    pub(super) fn missing(&self) -> usize {
        self.whole().saturating_sub(self.bytes.len())
    }

    /// Length of the open document, by the header.
    fn open_len(&self) -> Option<usize> {
        be_u16(self.bytes, 30).map(usize::from)
    }

    /// Everything behind the header.
    fn body(&self) -> &'a [u8] {
        self.bytes.get(CONTAINER_HEADER_LEN..).unwrap_or_default()
    }

    /// In a damaged frame: the document's own head repeats form and length of the container's header. That says more
    /// than the length field, which may be damaged, and than the end of the bytes, which may be missing.
    fn head_agrees(&self) -> bool {
        let form = self.bytes.get(5).copied().map(u16::from);
        let length = le_u16(self.body(), 2).map(|length| usize::from(length) + DOCUMENT_HEAD_LEN);
        self.decoded.is_err() && form.is_some() && le_u16(self.body(), 0) == form && length == self.open_len()
    }

    /// Whether the document can be read, as far as the bytes tell.
    pub(super) fn nature(&self) -> Nature {
        match &self.decoded {
            Ok(container) if container.is_open() => Nature::Open,
            Ok(_) => Nature::Encrypted,
            Err(_) if self.head_agrees() => Nature::Open,
            Err(_) if self.body().len() < DOCUMENT_HEAD_LEN => Nature::Unclear,
            // The header is damaged; a document that fits exactly into what lies there is no ciphertext.
            Err(_) if looks_like_document(self.by_length()) => Nature::Open,
            Err(_) => Nature::NotOpen,
        }
    }

    /// Length of document or ciphertext, as far as it is there.
    pub(super) fn data_len(&self) -> usize {
        match self.open_len() {
            Some(length) if self.head_agrees() => length,
            _ => self.by_length().len(),
        }
    }

    /// Document or ciphertext by the length of the container: what is cut off is cut off at the end.
    fn by_length(&self) -> &'a [u8] {
        let whole = match self.declared {
            Some(declared) if declared >= MIN_CONTAINER_LEN => declared,
            _ => self.bytes.len(),
        };
        let data = whole.saturating_sub(MIN_CONTAINER_LEN);
        self.body().get(..data).unwrap_or_else(|| self.body())
    }

    /// Why the container is not accepted, in words; for one that is cut, what of it is not there.
    pub(super) fn fault(&self) -> Option<String> {
        let error = self.decoded.as_ref().err()?;
        if self.missing() == 0 {
            return Some(format!("контейнер не принят: {}", malformed_text(error)));
        }
        let whole = self.whole();
        let lacks = if self.bytes.len() < CONTAINER_HEADER_LEN {
            "нет конца заголовка, документа и признака".to_owned()
        } else {
            let of_data = whole.saturating_sub(MIN_CONTAINER_LEN).saturating_sub(self.body().len());
            let of_trailer = self.missing().saturating_sub(of_data);
            match (of_data, of_trailer) {
                (0, trailer) => format!("не хватает {} признака с завершающими нулями", byte_count(trailer)),
                (data, _) => format!("не хватает {} документа и всего признака", byte_count(data)),
            }
        };
        Some(format!("контейнер оборван: здесь {}; {lacks}", of_bytes(self.bytes.len(), whole)))
    }

    /// The length field, and whether it is right.
    pub(super) fn length_text(&self) -> String {
        let (declared, actual) = (self.declared.unwrap_or_default(), self.bytes.len());
        if declared == actual {
            byte_count(declared)
        } else if self.missing() > 0 {
            format!("{}, здесь только {actual}", byte_count(declared))
        } else {
            format!("{}, НЕВЕРНА: здесь {actual}", byte_count(declared))
        }
    }
}

fn looks_like_document(data: &[u8]) -> bool {
    let form_known = le_u16(data, 0).is_some_and(|form| FormCode(form).is_known());
    form_known && le_u16(data, 2).is_some_and(|length| usize::from(length) + DOCUMENT_HEAD_LEN == data.len())
}
