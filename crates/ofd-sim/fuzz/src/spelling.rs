//! Bytes as people hand them over: what was recognised reads the same when that spelling is asked for, and bytes
//! survive being written in it.

use ofd_sim::spelling::{Spelling, read, recognise};

/// Checks one text or binary input.
pub fn check(input: &[u8]) {
    let (spelling, bytes) = recognise(input.to_vec());
    assert_eq!(read(spelling, input.to_vec()).as_ref(), Some(&bytes));
    assert!(bytes.len() <= input.len());
    if spelling == Spelling::Binary {
        assert_eq!(bytes, input);
        for other in [Spelling::Hex, Spelling::Base64] {
            assert_eq!(read(other, input.to_vec()), None);
        }
    } else {
        assert!(!bytes.is_empty());
        let digits: String = bytes.iter().map(|byte| format!("{byte:02X} ")).collect();
        assert_eq!(recognise(digits.into_bytes()), (Spelling::Hex, bytes));
    }
}
