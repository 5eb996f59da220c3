//! Faults of registration: reports that contradict themselves, and receipts that contradict the report.

use ffd::tags;

use super::body::padded;
use super::fault::Fault;

/// An ИНН with right check digits that no simulated user or operator has.
const STRANGER: &str = "7704358518";

pub(super) const FAULTS: &[Fault] = &[
    Fault::new("registration.operator", "a registration report that names another operator (1017)", |work| {
        let body = work.registration()?;
        let stranger = padded(STRANGER, 12);
        if body.raw(&[tags::OFD_INN])? == stranger {
            return None;
        }
        body.put(&[tags::OFD_INN], &stranger)
    }),
    Fault::new("registration.place", "a receipt at another address (1009) than the registered one", |work| {
        let body = work.receipt()?;
        body.has(&[tags::ADDRESS]).then_some(())?;
        body.put(&[tags::ADDRESS], b"Somewhere else, 1")
    }),
    Fault::new("registration.user", "a receipt of another user (1018) than the registered one", |work| {
        work.receipt()?.put(&[tags::USER_INN], &padded(STRANGER, 12))
    }),
    Fault::new(
        "report.automat",
        "a registration report of an automatic device (1001) without its number (1036)",
        |work| {
            let body = work.registration()?;
            body.put(&[tags::AUTO_MODE], &[1])?;
            let _ = body.remove(&[tags::AUTOMAT_NUMBER]);
            Some(())
        },
    ),
    Fault::new(
        "report.first",
        "a registration report that is the second document of its storage: the first is lost",
        |work| {
            work.registration()?;
            if work.fd != 1 {
                return None;
            }
            work.draft.lost_before = 1;
            Some(())
        },
    )
    .resting(),
    Fault::new(
        "report.offline",
        "a registration report of a register without an operator (1002) that names its operator (1017)",
        |work| {
            let body = work.registration()?;
            body.has(&[tags::OFD_INN]).then_some(())?;
            body.put(&[tags::OFFLINE_MODE], &[1])?;
            body.put(&[tags::ENCRYPTION_SIGN], &[0])
        },
    ),
    Fault::new("report.online", "a registration report without the name of the operator (1046)", |work| {
        let body = work.registration()?;
        body.number(&[tags::OFFLINE_MODE]).filter(|&mode| mode == 0)?;
        body.remove(&[tags::OFD_NAME])
    }),
    Fault::new(
        "rnm.checksum",
        "a registration report with another serial number (1013) than the one in the registration number; the storages then have numbers 9280..., which are not for tests",
        |work| {
            if work.is_debug {
                return None;
            }
            let body = work.registration()?;
            let mut serial = body.raw(&[tags::KKT_SERIAL])?;
            let last = serial.iter_mut().rfind(|digit| digit.is_ascii_digit())?;
            *last = if *last == b'9' { b'0' } else { *last + 1 };
            body.put(&[tags::KKT_SERIAL], &serial)
        },
    ),
];
