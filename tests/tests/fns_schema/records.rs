//! Records (TLV) of a document, walked without the crate that does it for the daemon.

/// Tag and value of each record of one level.
pub(crate) fn of(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut records = Vec::new();
    while let [tag_0, tag_1, len_0, len_1, rest @ ..] = bytes {
        let (value, behind) = rest.split_at(usize::from(u16::from_le_bytes([*len_0, *len_1])));
        records.push((u16::from_le_bytes([*tag_0, *tag_1]), value));
        bytes = behind;
    }
    assert!(bytes.is_empty(), "half a record");
    records
}

/// A number of up to eight bytes, lowest first.
pub(crate) fn number(value: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..value.len()].copy_from_slice(value);
    u64::from_le_bytes(bytes)
}
