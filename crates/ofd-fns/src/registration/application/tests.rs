//! What an application must have.

use proptest::prelude::*;

use super::*;
use crate::client::wire::ClosingReport;
use crate::registration::ops::tests::complete_application;

#[track_caller]
fn check(change: impl FnOnce(&mut ApplicationJson), expected: &[&str]) {
    let mut application = complete_application();
    change(&mut application);
    let faults = validate(&application);
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, expected, "{faults:?}");
}

#[test]
fn every_required_field_is_named() {
    check(|_| {}, &[]);
    check(|a| a.knd = "1110062".into(), &["knd"]);
    check(|a| a.user.name = " ".into(), &["user.name"]);
    check(|a| a.user.inn.clear(), &["user.inn"]);
    check(|a| a.user.inn = "7702203277".into(), &["user.inn"]);
    check(|a| a.user.kpp = Some("1".into()), &["user.kpp"]);
    check(|a| a.kkt.serial.clear(), &["kkt.serial"]);
    check(|a| a.kkt.model.clear(), &["kkt.model"]);
    check(|a| a.fn_storage.serial = "x".into(), &["fn.serial"]);
    check(|a| a.fn_storage.model.clear(), &["fn.model"]);
    check(|a| a.ofd.inn.clear(), &["ofd.inn"]);
    check(|a| a.tax_office = "77".into(), &["taxOffice"]);
    check(|a| a.signer.name.clear(), &["signer.name"]);
    check(|a| a.place.address.clear(), &["place.address"]);
    check(|a| a.modes.automat = true, &["modes.automatNumber"]);
    check(|a| (a.modes.automat, a.modes.automat_number) = (true, Some("7".into())), &[]);
    check(|a| a.kind = ApplicationKind::Reregistration, &["rnm", "reasons"]);
    check(
        |a| {
            a.kind = ApplicationKind::Reregistration;
            (a.rnm, a.reasons) = (Some("0000000005008570".into()), vec![1]);
        },
        &[],
    );
    check(
        |a| (a.kind, a.rnm) = (ApplicationKind::Deregistration, Some("1".into())),
        &["knd", "rnm", "reason", "closingReport"],
    );
    let closing = |fd_number, date_time: &str, sign: &str| {
        let report = Some(ClosingReport { fd_number, date_time: date_time.into(), fiscal_sign: sign.into() });
        move |a: &mut ApplicationJson| {
            (a.knd, a.kind) = ("1110062".into(), ApplicationKind::Deregistration);
            (a.rnm, a.reason) = (Some("0000000005008570".into()), Some("продана".into()));
            a.closing_report = report;
        }
    };
    check(closing(7, "2026-11-21T12:00", "1078593"), &[]);
    check(closing(7, "2026-11-21T12:00", "0001078593"), &[]);
    check(
        closing(0, "2026-11-21 12:00", "-1"),
        &["closingReport.fdNumber", "closingReport.dateTime", "closingReport.fiscalSign"],
    );
    check(
        closing(1, "2026-13-21T12:00", "9999999999"),
        &["closingReport.dateTime", "closingReport.fiscalSign"],
    );
    check(
        |a| {
            closing(1, "2026-11-21T12:00", "1")(a);
            (a.knd, a.kind) = ("1110061".into(), ApplicationKind::Registration);
        },
        &["closingReport"],
    );
    check(
        |a| {
            a.user.inn.clear();
            a.kkt.serial.clear();
            a.tax_office.clear();
        },
        &["user.inn", "kkt.serial", "taxOffice"],
    );
}

#[test]
fn json_is_read_and_its_length_has_a_limit() {
    let json = serde_json::to_vec(&complete_application()).unwrap();
    assert_eq!(read(&json).unwrap(), complete_application());
    let paths =
        |bytes: &[u8]| read(bytes).unwrap_err().into_iter().map(|fault| fault.path).collect::<Vec<_>>();
    assert_eq!(paths(b"{}"), ["application"]);
    assert_eq!(paths(br#"{"knd": "1110061", "kind": "other"}"#), ["application"]);
    let odd = String::from_utf8(json.clone())
        .unwrap()
        .replacen('{', r#"{"closing": {"fd": 1}, "nothing": null, "reasons": [],"#, 1)
        .replace(r#""internet":true"#, r#""internet":true,"cloud":true"#);
    assert_eq!(paths(odd.as_bytes()), ["closing", "modes.cloud"]);
    let mut padded = json.clone();
    padded.resize(MAX_APPLICATION_BYTES, b' ');
    assert!(read(&padded).is_ok());
    padded.push(b' ');
    assert_eq!(paths(&padded), ["application"]);
}

#[test]
fn the_pause_between_questions_grows_to_its_limit() {
    let seconds: Vec<i64> = [0, 1, 5, 8, 40, u32::MAX]
        .into_iter()
        .map(|attempts| poll_pause(attempts, Duration::from_secs(300)).as_secs())
        .collect();
    assert_eq!(seconds, [2, 4, 64, 300, 300, 300]);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(read(&bytes).is_err());
    }
}
