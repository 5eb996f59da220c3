//! Mutual TLS: who gets in, and how far.

use super::*;

fn options(folder: &std::path::Path) -> FnsSimOptions {
    FnsSimOptions { certificates: Some(folder.to_owned()), ..FnsSimOptions::default() }
}

#[tokio::test]
async fn the_certificate_says_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let sim = FnsSim::start(options(folder.path())).await.unwrap();
    assert!(sim.url().starts_with("https://127.0.0.1:"));
    let files = sim.certificates().unwrap().clone();
    let ours = Some((files.client.as_path(), files.client_key.as_path()));
    let other = Some((files.other_ofd.as_path(), files.other_ofd_key.as_path()));
    let taxpayer = Some((files.taxpayer.as_path(), files.taxpayer_key.as_path()));
    let check = async |identity, path: &str, status: u16, code: &str| {
        let mut client = Client::tls(sim.address(), &files.ca, identity);
        let reply = client.get(path).await;
        assert_eq!(reply.status, status, "{reply:?}");
        if status != 200 {
            assert_eq!(reply.problem(), code);
        }
    };
    check(ours, "/v1/ping", 200, "").await;
    check(ours, "/v1/ofds/ofd1/events", 200, "").await;
    check(ours, "/v1/ofds/ofd2/events", 403, "OFD_MISMATCH").await;
    check(other, "/v1/ofds/ofd1/events", 403, "OFD_MISMATCH").await;
    // Even on its own path: this service knows one operator.
    check(other, "/v1/ofds/other-ofd/events", 403, "OFD_MISMATCH").await;
    check(taxpayer, "/v1/ofds/ofd1/events", 403, "OFD_MISMATCH").await;
    check(taxpayer, "/v1/ping", 200, "").await;
    check(None, "/v1/ping", 401, "NO_CLIENT_CERT").await;
    check(None, "/v1/ofds/ofd1/events", 401, "NO_CLIENT_CERT").await;
    check(None, "/nothing", 401, "NO_CLIENT_CERT").await;
    let mut client = Client::tls(sim.address(), &files.ca, taxpayer);
    assert_eq!(
        client.send("POST", "/v1/kkts/1/registration-report", "{}").await.problem(),
        "REPORT_MISMATCH"
    );
}

#[tokio::test]
async fn documents_travel_and_a_restart_keeps_the_ca() {
    let folder = tempfile::tempdir().unwrap();
    let life = opened(10, 1);
    for renew_client in [false, true] {
        let sim = FnsSim::start(FnsSimOptions { renew_client, ..options(folder.path()) }).await.unwrap();
        let files = sim.certificates().unwrap();
        let mut client = Client::tls(sim.address(), &files.ca, Some((&files.client, &files.client_key)));
        let id = new_id();
        let items: Vec<String> = life.iter().map(|made| made.item().text()).collect();
        assert_eq!(outcomes(&client.batch(&id, &batch_of(&id, &items)).await), ["received"; 3]);
        sim.stop().await.unwrap();
    }
}

#[tokio::test]
async fn certificates_of_another_ca_do_not_get_in() {
    let (folder, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sim = FnsSim::start(options(folder.path())).await.unwrap();
    let files = sim.certificates().unwrap();
    let strange = super::super::CertificateFiles::prepare(foreign.path(), "ofd1", false, 1).unwrap();
    let mut client = Client::tls(sim.address(), &files.ca, Some((&strange.client, &strange.client_key)));
    assert!(client.request("GET", "/v1/ping", &[], b"").await.is_err());
    let mut trusting = Client::tls(sim.address(), &strange.ca, None);
    assert!(trusting.request("GET", "/v1/ping", &[], b"").await.is_err());
    let mut plain = Client::plain(sim.address());
    assert!(plain.request("GET", "/v1/ping", &[], b"").await.is_err());
}

#[tokio::test]
async fn down_and_lost_answers_work_over_tls_too() {
    let folder = tempfile::tempdir().unwrap();
    let sim = FnsSim::start(options(folder.path())).await.unwrap();
    let files = sim.certificates().unwrap();
    let mut client = Client::tls(sim.address(), &files.ca, Some((&files.client, &files.client_key)));
    let set = |mode| sim.set_config(SimConfig { mode, ..SimConfig::default() }).unwrap();
    set(super::super::Mode::DropAfterAccept);
    let id = new_id();
    let body = batch_of(&id, &[opened(10, 0)[0].item().text()]);
    assert!(client.try_batch(&id, &body).await.is_err());
    set(super::super::Mode::Down);
    assert!(client.try_batch(&id, &body).await.is_err());
    set(super::super::Mode::Ok);
    assert_eq!(outcomes(&client.batch(&id, &body).await), ["duplicate"]);
}

#[tokio::test]
async fn what_would_be_unsafe_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |options: FnsSimOptions, reason: &str| {
        let error = FnsSim::start(options).await.unwrap_err();
        assert!(format!("{error:#}").contains(reason), "{error:#}");
    };
    let anywhere = "0.0.0.0:0".parse().unwrap();
    check(FnsSimOptions { listen: anywhere, ..FnsSimOptions::default() }, "plain http").await;
    check(FnsSimOptions { control: anywhere, ..options(folder.path()) }, "control port").await;
    check(FnsSimOptions { ofd_id: "a/b".to_owned(), ..FnsSimOptions::default() }, "operator's id").await;
    let config = SimConfig { fail_rate: 2.0, ..SimConfig::default() };
    check(FnsSimOptions { config, ..FnsSimOptions::default() }, "failRate").await;
}
