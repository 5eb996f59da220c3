//! Peers that are slow, many, or do not read.

use std::time::Duration;

use kkt_proto::header::{CrcMode, Header, PVersion};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::config::IngestConfig;
use crate::error::IngestError;
use crate::listener::{Reception, ReceptionParts};
use crate::testing::{Client, FN, Setup, Till, fn_number, within};

fn with_config(change: impl FnOnce(&mut IngestConfig)) -> Setup {
    let mut setup = Setup::new();
    change(&mut setup.config);
    setup
}

#[tokio::test]
async fn a_dribbling_register_is_closed() {
    let daemon = with_config(|config| config.message_timeout_s = 1).start().await;
    let message = Till::new(FN).receipt(1);
    let Client { stream } = daemon.connect().await;
    let (mut reading, mut writing) = stream.into_split();
    let dribble = async {
        for byte in message {
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the whole message went through");
    };
    let closed = async {
        let mut rest = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut rest).await.map(|_| rest)
    };
    let rest = within(async {
        tokio::select! {
            () = dribble => panic!("writing ended before reading"),
            rest = closed => rest,
        }
    })
    .await;
    assert_eq!(rest.unwrap(), [0_u8; 0]);
    assert_eq!(daemon.running.metric(r#"fiscald_timeouts_total{kind="message"}"#).to_string(), "1");
    daemon.stop().await;
}

#[tokio::test]
async fn an_idle_register_is_closed() {
    let daemon = with_config(|config| config.idle_timeout_s = 1).start().await;
    let till = Till::new(FN);
    let mut silent = daemon.connect().await;
    let mut done = daemon.connect().await;
    done.exchange(&till.receipt(1)).await;
    silent.expect_silent_close().await;
    done.expect_silent_close().await;
    assert_eq!(daemon.running.metric(r#"fiscald_timeouts_total{kind="idle"}"#).to_string(), "2");
    daemon.stop().await;
}

#[tokio::test]
async fn connections_past_the_limit_are_closed_at_once() {
    let daemon = with_config(|config| config.max_connections = 2).start().await;
    let mut first = daemon.connect().await;
    let mut second = daemon.connect().await;
    first.expect_silence_so_far().await;
    second.expect_silence_so_far().await;
    daemon.connect().await.expect_silent_close().await;
    assert_eq!(
        daemon.running.metric(r#"fiscald_connections_refused_total{limit="in_all"}"#).to_string(),
        "1"
    );
    drop(first);
    daemon.running.until_metric("fiscald_connections_open", 1.0).await;
    daemon.connect().await.expect_silence_so_far().await;
    second.expect_silence_so_far().await;
    daemon.stop().await;
}

#[tokio::test]
async fn connections_of_one_address_are_limited() {
    let daemon = with_config(|config| config.max_connections_per_ip = 1).start().await;
    let mut first = daemon.connect().await;
    first.expect_silence_so_far().await;
    daemon.connect().await.expect_silent_close().await;
    let metric = r#"fiscald_connections_refused_total{limit="per_address"}"#;
    assert_eq!(daemon.running.metric(metric).to_string(), "1");
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream: TcpStream = within(socket.connect(daemon.running.address)).await.unwrap();
    Client { stream }.expect_silence_so_far().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_register_that_does_not_read_is_held_back_and_closed() {
    let daemon = with_config(|config| config.message_timeout_s = 1).start().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = within(socket.connect(daemon.running.address)).await.unwrap();
    let probes = Header::probe(fn_number(FN), PVersion::FFD_1_05, CrcMode::None).encode().repeat(1000);
    // As much as the buffers of both systems take, then nothing, then the end.
    within(async { while stream.write_all(&probes).await.is_ok() {} }).await;
    daemon.running.until_metric(r#"fiscald_timeouts_total{kind="write"}"#, 1.0).await;
    daemon.running.until_metric("fiscald_connections_open", 0.0).await;
    daemon.stop().await;
}

async fn check_bind(change: impl FnOnce(&mut ReceptionParts), expected: &str) {
    let setup = Setup::new();
    let store_dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", store_dir.path().join("journal.db").display());
    let store = ofd_store::Store::open(&ofd_store::StoreConfig { url, ..Default::default() }).unwrap();
    let mut parts = ReceptionParts {
        config: setup.config,
        policy: setup.policy,
        operator_inn: ffd::Inn::from_padded(b"7704211201").unwrap(),
        verifier: setup.verifier,
        signer: setup.signer,
        severities: setup.severities,
        clock: std::sync::Arc::new(crate::TrustedClock::new(None)),
        history: store.history(),
        journal: store.journal(),
        facts: store.facts(),
        metrics: std::sync::Arc::default(),
    };
    change(&mut parts);
    let error = Reception::bind(parts).await.err().expect("a refusal");
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_the_port_opens() {
    check_bind(
        |parts| parts.config.proxy_protocol = crate::ProxyProtocol::Required,
        "ingest.proxy_from: proxy_protocol = \"required\" needs",
    )
    .await;
    check_bind(|parts| parts.config.max_connections = 0, "ingest.max_connections").await;
    check_bind(|parts| parts.verifier = std::sync::Arc::new(pkz::NoPkz), "signs.profile").await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    check_bind(|parts| parts.config.listen = address, &format!("cannot listen on {address}")).await;
    assert!(matches!(IngestError::config("a", String::new()), IngestError::Config { .. }));
}
