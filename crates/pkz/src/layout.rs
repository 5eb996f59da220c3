//! Layout that both devices share: telling open bodies from encrypted ones, putting document 7 together.

use ffd::tags;
use kkt_proto::container::{self, Container};

use crate::device::{AckRequest, RefusedReason};

/// Form code of the operator's acknowledgement.
const FORM_ACK: u8 = 7;

/// The container's data if it is in clear.
pub(crate) fn clear_document<'a>(container: &Container<'a>) -> Option<&'a [u8]> {
    container.is_open().then_some(container.data)
}

/// `form | length | TLV` with exactly as many bytes as the length says.
pub(crate) fn has_its_own_length(document: &[u8]) -> bool {
    match document {
        [_, _, low, high, records @ ..] => records.len() == usize::from(u16::from_le_bytes([*low, *high])),
        _ => false,
    }
}

/// Document 7 as it is signed, `07 00 | length u16 LE | records`, with 1078 in its place if there is a sign.
pub(crate) fn document_7(request: &AckRequest<'_>, fpo: Option<&[u8; 8]>) -> Result<Vec<u8>, RefusedReason> {
    let header = request.reply_to;
    if header.fn_number != request.fn_number || header.fd_number != request.fd_number {
        return Err(RefusedReason::OtherDocument);
    }
    let (before, after) =
        request.items.split_at_checked(request.fpo_offset).ok_or(RefusedReason::FpoOffset)?;
    let mut bytes = vec![FORM_ACK, 0, 0, 0];
    bytes.extend_from_slice(before);
    if let Some(fpo) = fpo {
        ffd::tlv::write_record(&mut bytes, tags::OPERATOR_SIGN, fpo).map_err(|_| RefusedReason::TooLong)?;
    }
    bytes.extend_from_slice(after);
    let len = u16::try_from(bytes.len() - 4).map_err(|_| RefusedReason::TooLong)?;
    if let Some(field) = bytes.get_mut(2..4) {
        field.copy_from_slice(&len.to_le_bytes());
    }
    Ok(bytes)
}

/// The operator's container around a finished (perhaps encrypted) document 7.
pub(crate) fn ack_container(
    request: &AckRequest<'_>,
    data: &[u8],
    fpp: [u8; 8],
) -> Result<Vec<u8>, RefusedReason> {
    let open_len = u16::try_from(data.len()).map_err(|_| RefusedReason::TooLong)?;
    let header = request.reply_to.reply(request.iv, open_len);
    container::encode(&header, data, fpp).map_err(|_| RefusedReason::TooLong)
}
