//! Answers of a replay: whether they are right, and whether they say what was said when the capture was made.
//!
//! Without keys an answer is right when it can be read and is about the message: session header, check codes,
//! container of the operator, document 7, ФН and ФД number. With keys it is checked as a storage does.

use ffd::{FnNumber, FormCode, tags, tlv};
use kkt_proto::ack::Acknowledgement;
use kkt_proto::container::{Container, ContainerKind, TRAILER_LEN};
use kkt_proto::header::{HEADER_LEN, Header};

use super::messages::{CapturedMessage, Subject};
use crate::keys::SimKeys;
use crate::storage::{AckChecker, FiscalStorage, Reread, StorageSettings};

/// Checksum of a container.
const CONTAINER_CRC: std::ops::Range<usize> = 2..4;
/// Initialisation vector of a container.
const CONTAINER_IV: std::ops::Range<usize> = 20..28;
/// Where the document of a container begins.
const DATA: usize = 32;
/// Form code and length before the records of a document.
const DOCUMENT_HEAD: usize = 4;
/// Tag and length before a value.
const RECORD_HEAD: usize = 4;

/// An answer that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Right {
    /// The operator's code; nothing for a probe and for a body that cannot be decrypted.
    pub(crate) code: Option<u8>,
    /// How it stands to the captured one.
    pub(crate) compared: Compared,
}

/// An answer beside the captured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// No answer was captured.
    NotCaptured,
    /// Equal but for what an operator draws anew: time, signs, vector, checksums.
    Same,
    /// Another code than this captured one.
    OtherCode(u8),
    /// The same code; something else differs, for example the operator's INN.
    OtherBytes,
    /// At least one of the two is encrypted, and no keys are given.
    Unknown,
}

/// The checker of one storage's acknowledgements; nothing when the keys cannot be made for this number.
pub(crate) fn checker(fn_number: FnNumber, keys: &SimKeys) -> Option<AckChecker> {
    let settings = StorageSettings {
        number: fn_number,
        ffd: None,
        encrypted: false,
        reread: Reread::SameBytes,
        seed: 0,
    };
    FiscalStorage::new(settings, keys).ok().map(FiscalStorage::into_checker)
}

/// Judges the answer `bytes` (session header and body) to `message`.
///
/// # Errors
/// What is wrong, for people.
pub(crate) fn verify(
    message: &CapturedMessage,
    captured: Option<&[u8]>,
    bytes: &[u8],
    checker: Option<&AckChecker>,
) -> Result<Right, String> {
    let Some((head, body)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Err("shorter than a session header".to_owned());
    };
    let header = Header::decode(head).map_err(|error| format!("session header: {error}"))?;
    header.check_crc(body).map_err(|error| error.to_string())?;
    let asked = &message.header;
    if header.signature != asked.signature || header.s_version != asked.s_version {
        return Err("session header of another service".to_owned());
    }
    if header.fn_number != asked.fn_number {
        return Err(format!("session header for another storage, {}", header.fn_number));
    }
    if asked.is_probe() {
        if *head != asked.probe_reply().encode() {
            return Err("not the answer to a probe".to_owned());
        }
        let compared = match captured {
            None => Compared::NotCaptured,
            Some(captured) if captured == bytes => Compared::Same,
            Some(_) => Compared::OtherBytes,
        };
        return Ok(Right { code: None, compared });
    }
    let code = acknowledgement(message, body, checker)?;
    let compared = match captured {
        None => Compared::NotCaptured,
        Some(captured) => compare(message, captured, bytes, code, checker),
    };
    Ok(Right { code, compared })
}

/// Checks the container of an acknowledgement and returns its code, if that can be read.
fn acknowledgement(
    message: &CapturedMessage,
    body: &[u8],
    checker: Option<&AckChecker>,
) -> Result<Option<u8>, String> {
    let container = Container::decode(body).map_err(|error| format!("container: {error}"))?;
    let header = &container.header;
    if header.kind != ContainerKind::FROM_OFD || FormCode(header.form.into()) != FormCode::OPERATOR_ACK {
        return Err("the container is not an operator's acknowledgement".to_owned());
    }
    let Subject::Document(_, fn_number, fd_number) = message.subject() else {
        return Err("an acknowledgement of something unreadable".to_owned());
    };
    if (header.fn_number, header.fd_number) != (fn_number, fd_number) {
        return Err(format!("acknowledgement of ФН {}, ФД {}", header.fn_number, header.fd_number.get()));
    }
    if let Some(checker) = checker {
        let accepted = checker.check(fd_number, body).map_err(|reason| format!("refused: {reason}"))?;
        return Ok(Some(accepted.code));
    }
    if !container.is_open() {
        return Ok(None);
    }
    let ack = Acknowledgement::decode(container.data).map_err(|error| format!("document 7: {error}"))?;
    if (ack.fn_number, ack.fd_number) != (fn_number, fd_number) {
        return Err(format!("document 7 about ФН {}, ФД {}", ack.fn_number, ack.fd_number.get()));
    }
    Ok(Some(ack.code.0))
}

fn compare(
    message: &CapturedMessage,
    captured: &[u8],
    bytes: &[u8],
    code: Option<u8>,
    checker: Option<&AckChecker>,
) -> Compared {
    let captured_body = captured.get(HEADER_LEN..).unwrap_or_default();
    let captured_code = acknowledgement(message, captured_body, checker).ok().flatten();
    let both_open = [captured, bytes].iter().all(|whole| {
        let body = whole.get(HEADER_LEN..).unwrap_or_default();
        Container::decode(body).is_ok_and(|container| container.is_open())
    });
    match (captured_code, code) {
        (Some(was), Some(is)) if was != is => Compared::OtherCode(was),
        _ if both_open && steady(captured) == steady(bytes) => Compared::Same,
        _ if both_open => Compared::OtherBytes,
        // Ciphertexts under other vectors cannot be compared; their codes were.
        (Some(_), Some(_)) => Compared::Same,
        _ => Compared::Unknown,
    }
}

/// The answer with zeros for all that differs from one sealing to the next.
fn steady(bytes: &[u8]) -> Vec<u8> {
    let mut steady = bytes.to_vec();
    let (head, body) = steady.split_at_mut(HEADER_LEN.min(bytes.len()));
    // The check code of the session header covers the rest.
    if let Some(crc) = head.get_mut(HEADER_LEN - 2..) {
        crc.fill(0);
    }
    for range in [CONTAINER_CRC, CONTAINER_IV] {
        if let Some(place) = body.get_mut(range) {
            place.fill(0);
        }
    }
    let trailer = body.len().saturating_sub(TRAILER_LEN);
    if let Some(sign) = body.get_mut(trailer..) {
        sign.fill(0);
    }
    let first = DATA + DOCUMENT_HEAD;
    let records = bytes.get(HEADER_LEN + first..HEADER_LEN + trailer).unwrap_or_default();
    for record in tlv::records(records, first).unwrap_or_default() {
        if matches!(record.tag, tags::DATE_TIME | tags::OPERATOR_SIGN) {
            let value = record.offset + RECORD_HEAD;
            if let Some(place) = body.get_mut(value..value + record.value.len()) {
                place.fill(0);
            }
        }
    }
    steady
}

#[cfg(test)]
mod tests;
