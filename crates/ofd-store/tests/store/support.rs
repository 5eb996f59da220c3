//! Documents and stores for the tests of this crate, those inside and those in `tests/`.

use std::time::{Duration, Instant};

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;
use ofd_store::{Derived, Forward, KnownContent, NewDocument, NewQuarantine, RegisterReport, SignRecord};
use sha2::{Digest, Sha256};

/// A ФН in production.
pub(crate) const PLAIN_FN: &str = "8710000100000001";
/// A ФН for tests, which may begin anew.
pub(crate) const DEBUG_FN: &str = "9999078900000001";

pub(crate) fn fn_number(text: &str) -> FnNumber {
    text.parse().expect("a ФН number")
}

pub(crate) fn fd_number(number: u32) -> FdNumber {
    FdNumber::new(number).expect("a ФД number")
}

/// 2026-11-21 12:00:00 UTC and some microseconds.
pub(crate) fn moment(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(1_795_262_400_000_000 + microseconds).expect("a moment of this century")
}

/// A document told apart by `content`; its acknowledgement too, so that a repeat shows whose it is.
pub(crate) fn document(fn_text: &str, fd: u32, form: u16, content: &str) -> NewDocument {
    let body = format!("{fn_text}|{fd}|{form}|{content}");
    NewDocument {
        fn_number: fn_number(fn_text),
        fd_number: fd_number(fd),
        form,
        received_at: moment(i64::from(fd)),
        peer: Some("192.0.2.7:40000".to_owned()),
        container: format!("container {body}").into_bytes(),
        opened: None,
        identity: Sha256::digest(&body).into(),
        acknowledgement: format!("acknowledgement {body}").into_bytes(),
        code: 0,
        sign: SignRecord { verdict: "valid", scheme: Some("soft-gost-1"), generation: Some(1) },
        forward: Forward::Yes,
        flk_mark: false,
        sign_mark: false,
        fn_changed_mark: false,
        after_deregistration_mark: false,
        findings: Vec::new(),
        task: None,
        register: None,
        derived: Derived::default(),
    }
}

/// A report of registration that the policy let in.
pub(crate) fn registration(fn_text: &str, serial: &str) -> NewDocument {
    NewDocument {
        register: Some(RegisterReport {
            rnm: Some("0000000001024546".to_owned()),
            kkt_serial: Some(serial.to_owned()),
            inn: Some("7704358518".to_owned()),
        }),
        ..document(fn_text, 1, 1, serial)
    }
}

pub(crate) fn quarantined(fn_text: &str, fd: u32, content: &str) -> NewQuarantine {
    NewQuarantine {
        fn_number: fn_number(fn_text),
        fd_number: fd_number(fd),
        form: 3,
        received_at: moment(i64::from(fd)),
        peer: None,
        container: content.as_bytes().to_vec(),
        identity: None,
        reason: "unknown_fn",
        known_content: KnownContent::Quarantined,
    }
}

/// Waits until `ready` says so; fails after ten seconds.
pub(crate) async fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !ready() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
