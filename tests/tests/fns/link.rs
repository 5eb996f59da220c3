//! The link: whose certificate it is, and what happens when it is the wrong one.

use fiscald_tests::daemon::Setup;
use fiscald_tests::tax::Tax;
use fiscald_tests::wire::{Storage, rnm};

use crate::stand::{CONTRACT, FN, SERIAL, at_tax, contract, is_accepted, send, setup};

#[test]
fn the_certificate_of_another_operator_stops_sending_until_it_is_replaced() {
    let tax = Tax::start();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("client.pem"), folder.path().join("client.key"));
    let install = |name: &str| {
        std::fs::copy(tax.certificate(&format!("{name}.pem")), &cert).unwrap();
        std::fs::copy(tax.certificate(&format!("{name}.key")), &key).unwrap();
    };
    install("other-ofd");
    let setup =
        setup(&tax).with("fns.cert", &cert.display().to_string()).with("fns.key", &key.display().to_string());
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let storage = Storage::new(FN).of_rnm(&rnm(1, SERIAL));
    send(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    daemon.wait_for("the alarm", |daemon| {
        daemon.log().iter().any(|line| line.contains("ERROR") && line.contains("403")).then_some(())
    });
    assert!(at_tax(&tax, FN, 1).is_none());
    assert_eq!(daemon.admin("/readyz").0, 200, "reception does not depend on the tax service");
    install("client");
    daemon.signal("HUP");
    is_accepted(&tax, FN, 1);
}

#[test]
fn nothing_secret_is_told_and_plain_http_is_for_loopback_only() {
    let setup = Setup::new().with("fns.url", "http://192.0.2.1:9443").with("fns.ofd_id", "ofd1");
    let output = setup.run(&["check-config"]);
    assert_eq!(output.status.code(), Some(64));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("fns.url") && said.contains("plain http to another machine"), "{said}");

    let setup =
        Setup::new().with("fns.url", "https://somebody:hidden@192.0.2.1:9443").with("fns.ofd_id", "ofd1");
    let output = setup.run(&["check-config"]);
    let said = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains("hidden"));
}

#[test]
fn a_server_of_another_authority_is_not_believed() {
    let (tax, stranger) = (Tax::start(), Tax::start());
    let ca = stranger.certificate("ca.pem").display().to_string();
    let setup = setup(&tax).with("fns.ca", &ca);
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let storage = Storage::new(FN).of_rnm(&rnm(1, SERIAL));
    send(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    daemon
        .wait_for("failed requests", |daemon| (daemon.metric("fns_breaker_state", &[]) >= 2.0).then_some(()));
    assert!(tax.documents().is_empty());
}
