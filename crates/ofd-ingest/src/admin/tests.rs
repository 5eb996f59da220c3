use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::clock::tests::Machine;
use crate::testing::{Daemon, FN, Setup, Till, within};

struct Admin {
    address: SocketAddr,
    token: CancellationToken,
    task: JoinHandle<Result<(), IngestError>>,
}

impl Admin {
    async fn start(daemon: &Daemon, sign_mode: SignMode) -> Self {
        let listener = bind(&AdminConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)) }).await.unwrap();
        let address = listener.local_addr().unwrap();
        let running = &daemon.running;
        let health = Health::new(
            running.journal.clone(),
            Arc::clone(&running.state),
            Arc::clone(&running.clock),
            Trouble::new(|| None),
            sign_mode,
        );
        let token = CancellationToken::new();
        let task = tokio::spawn(serve(listener, health, running.prometheus.clone(), token.clone()));
        Self { address, token, task }
    }

    /// Status line and body.
    async fn get(&self, path: &str) -> (String, String) {
        let mut stream = within(TcpStream::connect(self.address)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        within(stream.read_to_string(&mut text)).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    async fn check(&self, path: &str, status: &str, expected: &str) {
        let (line, body) = self.get(path).await;
        assert_eq!(line, format!("HTTP/1.1 {status}"), "{path}: {body}");
        assert!(body.contains(expected), "{path}: {expected} is not in {body}");
    }

    async fn stop(self) {
        self.token.cancel();
        within(self.task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_daemon_that_serves_is_ready() {
    let daemon = Setup::new().start().await;
    let admin = Admin::start(&daemon, SignMode::Required).await;
    daemon.connect().await.exchange(&Till::new(FN).receipt(1)).await;
    admin.check("/readyz", "200 OK", r#"{"ready":true,"reasons":[]}"#).await;
    admin.check("/healthz", "200 OK", r#""alive":true,"sign_mode":"required""#).await;
    admin.check("/healthz", "200 OK", r#""hints":[]"#).await;
    let counted = r#"fiscald_documents_total{form="3",code="0",verdict="valid"} 1"#;
    admin.check("/metrics", "200 OK", counted).await;
    admin.check("/metrics", "200 OK", "# HELP fiscald_stage_seconds").await;
    admin.check("/", "404 Not Found", "").await;
    admin.stop().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_weak_sign_mode_is_told() {
    let daemon = Setup::new().start().await;
    for (mode, hint) in [(SignMode::LogOnly, "log-only"), (SignMode::Off, "signs are not checked")] {
        let admin = Admin::start(&daemon, mode).await;
        admin.check("/healthz", "200 OK", hint).await;
        admin.stop().await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn readiness_names_everything_in_the_way() {
    let mut daemon = Setup::new().start().await;
    let admin = Admin::start(&daemon, SignMode::Required).await;
    within(daemon.store.take().unwrap().close(Duration::from_secs(10))).await.unwrap();
    admin
        .check("/readyz", "503 Service Unavailable", r#"{"ready":false,"reasons":["the store is closed"]}"#)
        .await;
    daemon.stop().await;
    admin.check("/readyz", "503 Service Unavailable", r#""the daemon is stopping""#).await;
    admin.stop().await;
}

#[test]
fn trouble_of_the_store_in_words() {
    let check = |state, reason: Option<&str>, expected: Option<&str>| {
        let status = StoreStatus { state, reason: reason.map(str::to_owned) };
        assert_eq!(store_trouble(status).as_deref(), expected);
    };
    check(StoreState::Serving, None, None);
    check(StoreState::Stalled, Some("held"), Some("the store does not get on: held"));
    check(StoreState::DiskLow, Some("7 MiB"), Some("the disk of the store is low: 7 MiB"));
    check(StoreState::Failed, Some("sync"), Some("the store is failed: sync"));
    check(StoreState::Closed, None, Some("the store is closed"));
}

#[tokio::test]
async fn a_low_disk_and_missing_keys_turn_readiness_red() {
    let daemon = Setup::new().start().await;
    let folder = tempfile::tempdir().unwrap();
    let store = ofd_store::Store::open(&ofd_store::StoreConfig {
        url: format!("sqlite:{}", folder.path().join("full.db").display()),
        min_free_mib: u64::MAX,
        ..ofd_store::StoreConfig::default()
    })
    .unwrap();
    let health = Health::new(
        store.journal(),
        Arc::clone(&daemon.running.state),
        Arc::clone(&daemon.running.clock),
        Trouble::new(|| Some("no keys".to_owned())),
        SignMode::Required,
    );
    let readiness = health.readiness();
    assert!(!readiness.ready);
    assert!(readiness.reasons.concat().contains("store.min_free_mib is"), "{:?}", readiness.reasons);
    assert_eq!(readiness.reasons.last().map(String::as_str), Some("no keys"));
    within(store.close(Duration::from_secs(10))).await.unwrap();
    daemon.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_not_trusted_turns_readiness_red() {
    let machine = Machine::new();
    let daemon = Setup { machine: Some(machine.clone()), ..Setup::new() }.start().await;
    let admin = Admin::start(&daemon, SignMode::Required).await;
    admin.check("/readyz", "200 OK", r#"{"ready":true,"reasons":[]}"#).await;
    // No document has come: readiness asks the clock itself.
    machine.set_by(-600);
    admin.check("/readyz", "503 Service Unavailable", "the clock jumped back by 600 s at ").await;
    admin.check("/readyz", "503 Service Unavailable", "`fiscald clock confirm`").await;
    admin.check("/metrics", "200 OK", "fiscald_clock_trusted 0").await;
    machine.set_by(600);
    admin.check("/readyz", "200 OK", r#"{"ready":true,"reasons":[]}"#).await;
    admin.check("/metrics", "200 OK", "fiscald_clock_trusted 1").await;
    admin.stop().await;
    daemon.stop().await;
}

#[tokio::test]
async fn trouble_of_another_part_is_told_and_keeps_nobody_out() {
    let daemon = Setup::new().start().await;
    let running = &daemon.running;
    let health = Health::new(
        running.journal.clone(),
        Arc::clone(&running.state),
        Arc::clone(&running.clock),
        Trouble::new(|| None),
        SignMode::Required,
    );
    let health = health.with_remark(Trouble::new(|| None));
    let health = health.with_remark(Trouble::new(|| Some("nothing is forwarded".to_owned())));
    daemon.connect().await.exchange(&Till::new(FN).receipt(1)).await;
    let body = serde_json::to_string(&health.readiness()).unwrap();
    assert_eq!(body, r#"{"ready":true,"reasons":[],"remarks":["nothing is forwarded"]}"#);
    daemon.stop().await;
}

#[test]
fn a_process_without_reception_is_ready_until_it_stops() {
    let stopping = CancellationToken::new();
    let health = Health::without_reception(stopping.clone());
    let alive = serde_json::to_string(&health.liveness()).unwrap();
    assert_eq!(alive, r#"{"alive":true,"connections":0,"queue_depth":0,"hints":[]}"#);
    assert!(health.readiness().ready);
    stopping.cancel();
    assert_eq!(health.readiness().reasons, ["the daemon is stopping"]);
}
