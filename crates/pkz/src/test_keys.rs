//! Keys that everybody knows: SHA-256 of public strings, published beside the profile's test vectors. For
//! tests, the demonstration and emulators only; a daemon that takes signs seriously refuses them
//! ([`crate::derive::MasterKey::is_published_test_key`]).

use crate::{Keystore, SoftPkz, derive::Purpose};

/// Check values of all published masters.
pub(crate) const PUBLISHED_KCVS: [[u8; 4]; 6] = [
    [0xcd, 0x34, 0x59, 0x67],
    [0x7d, 0x5e, 0xc0, 0xec],
    [0x60, 0x0f, 0xac, 0x86],
    [0x92, 0xb8, 0xb2, 0x8f],
    [0xfa, 0xbd, 0xee, 0x2c],
    [0x3e, 0x0a, 0x78, 0xa3],
];

/// Message masters of generations 1 and 2, as a keystore file.
#[must_use]
pub const fn message_keystore() -> &'static str {
    concat!(
        r#"{"purpose":"msg","generation":1,"not_before":"2020-01-01T00:00:00Z","not_after":"2100-01-01T00:00:00Z","key_hex":"d4eed2088c81edfa6148ae1f1e90d65389e4e69006ac205a6e5903806d79fdc6"}"#,
        "\n",
        r#"{"purpose":"msg","generation":2,"not_before":"2021-01-01T00:00:00Z","not_after":"2100-01-01T00:00:00Z","key_hex":"63857d111a620e6cc3f3b992760d4dae91db06adfd3d8602f8887e464a4ce4e7"}"#,
        "\n",
    )
}

/// Operator masters of generations 1 and 2, as a keystore file.
#[must_use]
pub const fn operator_keystore() -> &'static str {
    concat!(
        r#"{"purpose":"opr","generation":1,"not_before":"2020-01-01T00:00:00Z","not_after":"2100-01-01T00:00:00Z","key_hex":"7b09aecc137f2d4efcdebda74db459aa1d6ea9578cf89249bd282cba4e3b7d69"}"#,
        "\n",
        r#"{"purpose":"opr","generation":2,"not_before":"2021-01-01T00:00:00Z","not_after":"2100-01-01T00:00:00Z","key_hex":"1b71c5c40e9ae399b3964b7edad5a654752cdaf337ba5e73610d6ab234533f42"}"#,
        "\n",
    )
}

/// Document masters of generations 1 and 2, as a keystore file for emulators of fiscal storages.
#[must_use]
pub const fn document_keystore() -> &'static str {
    concat!(
        r#"{"purpose":"doc","generation":1,"not_before":"2020-01-01T00:00:00Z","not_after":"2100-01-01T00:00:00Z","key_hex":"b2c5a0995683971f678bbc9a2b4e241262b344078677e85d0edfa27eaa847aa8"}"#,
        "\n",
        r#"{"purpose":"doc","generation":2,"not_before":"2021-01-01T00:00:00Z","not_after":"2100-01-01T00:00:00Z","key_hex":"f12d8099c7a25a5d812d74bad395598cb3c154c7cd108654b37650f923ee643d"}"#,
        "\n",
    )
}

/// The software device with the published keys. `now_unix` as in [`SoftPkz::new`].
///
/// # Panics
/// Never: the texts above are constants, and tests read them.
#[must_use]
pub fn soft_pkz(now_unix: i64) -> SoftPkz {
    let message = Keystore::parse(message_keystore(), Purpose::Message).expect("a constant checked by tests");
    let operator =
        Keystore::parse(operator_keystore(), Purpose::Operator).expect("a constant checked by tests");
    SoftPkz::new(message, operator, now_unix).expect("both stores hold generations 1 and 2")
}
