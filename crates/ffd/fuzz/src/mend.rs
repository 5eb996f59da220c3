//! Documents out of any bytes.

/// The input with the length in its head that it should have: a fuzzer that changes sizes seldom guesses it.
pub(crate) fn mended(input: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(input.len().checked_sub(4)?).ok()?;
    let mut bytes = input.to_vec();
    bytes.get_mut(2..4)?.copy_from_slice(&length.to_le_bytes());
    Some(bytes)
}
