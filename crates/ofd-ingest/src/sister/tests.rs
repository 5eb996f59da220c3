//! The marking point on real sockets, with an upstream that does what a test wants.

use std::future::pending;

use kkt_proto::header::{CrcMode, HEADER_LEN, PVersion, SVersion, Signature};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::metrics::build_recorder;
use crate::testing::{FN, fn_number, within};

fn message_with(s_version: SVersion, mode: CrcMode, body: &[u8]) -> Vec<u8> {
    let probe = Header::probe(fn_number(FN), PVersion::FFD_1_0_OLD_1, mode);
    let header = Header { signature: Signature::OISM, s_version, ..probe };
    // Without a body it is a probe, as it stands; a body makes it a message with a container.
    let header = if body.is_empty() { header } else { header.reply_header(body).unwrap() };
    [header.encode().as_slice(), body].concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    message_with(SVersion::OISM, CrcMode::None, body)
}

/// What an upstream does with a connection after it has read one whole request.
enum Upstream {
    /// Writes these bytes and closes.
    Says(Vec<u8>),
    /// Keeps silent and the connection open.
    Silent,
    /// Hangs up.
    HangsUp,
}

/// An upstream; the requests it read are the result of its task.
async fn upstream(behaviour: Upstream) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; HEADER_LEN];
        stream.read_exact(&mut request).await.unwrap();
        let mut body = vec![0; usize::from(u16::from_le_bytes([request[24], request[25]]))];
        stream.read_exact(&mut body).await.unwrap();
        match behaviour {
            Upstream::Says(bytes) => stream.write_all(&bytes).await.unwrap(),
            Upstream::Silent => pending::<()>().await,
            Upstream::HangsUp => {}
        }
        [request, body].concat()
    });
    (address, task)
}

struct Running {
    address: SocketAddr,
    prometheus: PrometheusHandle,
    stop: CancellationToken,
    task: JoinHandle<ShutdownReport>,
}

impl Running {
    async fn start(config: SisterConfig) -> Self {
        let recorder = build_recorder().unwrap();
        let metrics = metrics::with_local_recorder(&recorder, || Arc::new(Metrics::new()));
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let sister = Sister::bind(SisterConfig { listen, ..config }, metrics).unwrap().unwrap();
        let address = sister.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(sister.run(stop.clone()));
        Self { address, prometheus: recorder.handle(), stop, task }
    }

    async fn towards(upstream: String) -> Self {
        Self::start(SisterConfig { upstream: Some(upstream), ..SisterConfig::default() }).await
    }

    async fn connect(&self) -> TcpStream {
        within(TcpStream::connect(self.address)).await.unwrap()
    }

    /// Everything that comes back on a connection of its own until it is closed.
    async fn all_answers(&self, sent: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        within(stream.write_all(sent)).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        within(stream.read_to_end(&mut answer)).await.unwrap();
        answer
    }

    #[track_caller]
    fn check_count(&self, outcome: SisterOutcome, expected: u32) {
        let line = format!("fiscald_sister_total{{outcome=\"{}\"}} {expected}", outcome.as_str());
        let text = self.prometheus.render();
        assert!(text.lines().any(|seen| seen == line), "no {line} in:\n{text}");
    }

    async fn stop(self) -> ShutdownReport {
        self.stop.cancel();
        within(self.task).await.unwrap()
    }
}

#[tokio::test]
async fn it_is_off_without_an_address() {
    let recorder = build_recorder().unwrap();
    let metrics = metrics::with_local_recorder(&recorder, || Arc::new(Metrics::new()));
    assert!(Sister::bind(SisterConfig::default(), metrics).unwrap().is_none());
}

#[tokio::test]
async fn probes_of_both_versions_are_answered_on_one_connection() {
    let running = Running::start(SisterConfig::default()).await;
    let mut stream = running.connect().await;
    for s_version in [SVersion::OISM, SVersion::OISM_TEST, SVersion::OISM] {
        let mut expected = message_with(s_version, CrcMode::None, b"");
        stream.write_all(&expected).await.unwrap();
        expected[24..].fill(0);
        let mut answer = vec![0; HEADER_LEN];
        within(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, expected);
    }
    running.check_count(SisterOutcome::Probe, 3);
    drop(stream);
    assert!(running.stop().await.drained);
}

#[tokio::test]
async fn a_message_goes_up_and_its_answer_comes_back_unchanged() {
    let answer = message_with(SVersion::OISM, CrcMode::HeaderAndBody, &[7; 3000]);
    let (address, seen) = upstream(Upstream::Says(answer.clone())).await;
    let running = Running::towards(address).await;
    let sent = message_with(SVersion::OISM, CrcMode::Header, &[9; 5000]);
    assert_eq!(running.all_answers(&sent).await, answer);
    assert_eq!(within(seen).await.unwrap(), sent);
    running.check_count(SisterOutcome::Relayed, 1);
    assert!(running.stop().await.drained);
}

/// A relayed message whose upstream does this gets silence and a closed connection, counted as `expected`.
async fn check_failure(behaviour: Upstream, expected: SisterOutcome) {
    let (address, _seen) = upstream(behaviour).await;
    let config = SisterConfig { upstream: Some(address), answer_timeout_s: 1, ..SisterConfig::default() };
    let running = Running::start(config).await;
    assert_eq!(running.all_answers(&message(b"body")).await, [0_u8; 0], "{expected:?}");
    running.check_count(expected, 1);
    running.check_count(SisterOutcome::Relayed, 0);
    assert!(running.stop().await.drained);
}

#[tokio::test]
async fn an_upstream_that_gives_no_answer_costs_the_register_its_connection() {
    check_failure(Upstream::Silent, SisterOutcome::TimedOut).await;
    check_failure(Upstream::HangsUp, SisterOutcome::Unreachable).await;
    let cut = message(b"answer")[..33].to_vec();
    check_failure(Upstream::Says(cut), SisterOutcome::Unreachable).await;
}

#[tokio::test]
async fn an_answer_for_somebody_else_is_not_passed_on() {
    let mut of_another = message(b"answer");
    of_another[8] = b'1';
    check_failure(Upstream::Says(of_another), SisterOutcome::BadAnswer).await;
    check_failure(Upstream::Says(b"HTTP/1.1 200 OK".to_vec()), SisterOutcome::BadAnswer).await;
    let of_test = message_with(SVersion::OISM_TEST, CrcMode::None, b"");
    check_failure(Upstream::Says(of_test), SisterOutcome::BadAnswer).await;
    check_failure(Upstream::Says(message(&[0; 33 * 1024 + 1])), SisterOutcome::BadAnswer).await;
}

#[tokio::test]
async fn without_an_upstream_data_is_refused_and_counted() {
    let running = Running::start(SisterConfig::default()).await;
    assert_eq!(running.all_answers(&message(b"body")).await, [0_u8; 0]);
    running.check_count(SisterOutcome::NoUpstream, 1);
    assert!(running.stop().await.drained);

    // A port that nobody listens on: it was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let running = Running::towards(address).await;
    assert_eq!(running.all_answers(&message(b"body")).await, [0_u8; 0]);
    running.check_count(SisterOutcome::Unreachable, 1);
}

#[tokio::test]
async fn what_this_port_does_not_take() {
    let running = Running::start(SisterConfig { max_body_bytes: 100, ..SisterConfig::default() }).await;
    let document = Header::for_message(fn_number(FN), PVersion::FFD_1_2, CrcMode::None, b"body").unwrap();
    let mut keys = message(b"body");
    keys[5] = 0xA1;
    let rows: [(&str, Vec<u8>); 5] = [
        ("data under the test version", message_with(SVersion::OISM_TEST, CrcMode::None, b"body")),
        ("the key service", keys),
        ("a fiscal document", [document.encode().as_slice(), b"body"].concat()),
        ("a body above the limit", message(&[0; 101])),
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ];
    let mut count = 0;
    for (name, bytes) in rows {
        assert_eq!(running.all_answers(&bytes).await, [0_u8; 0], "{name}");
        count += 1;
        running.check_count(SisterOutcome::Refused, count);
    }
    assert!(running.stop().await.drained);
}

#[tokio::test]
async fn limits_of_connections_and_of_time() {
    let config = SisterConfig {
        max_connections_per_ip: 1,
        message_timeout_s: 1,
        idle_timeout_s: 1,
        ..SisterConfig::default()
    };
    let running = Running::start(config).await;
    let mut first = running.connect().await;
    first.write_all(&message(b"body")[..10]).await.unwrap();
    let mut second = running.connect().await;
    assert_eq!(within(second.read(&mut [0])).await.unwrap(), 0, "one connection of an address");
    running.check_count(SisterOutcome::TooMany, 1);
    assert_eq!(within(first.read(&mut [0])).await.unwrap(), 0, "a message that does not go on");
    running.check_count(SisterOutcome::Slow, 1);
    assert!(running.stop().await.drained);
}

#[tokio::test]
async fn a_stop_waits_for_the_answer_that_is_under_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = Running::towards(listener.local_addr().unwrap().to_string()).await;
    let mut idle = running.connect().await;
    let mut register = running.connect().await;
    register.write_all(&message(b"body")).await.unwrap();
    let (mut upstream, _) = within(listener.accept()).await.unwrap();
    running.stop.cancel();
    assert_eq!(within(idle.read(&mut [0])).await.unwrap(), 0, "idle connections end at once");
    let answer = message(b"answer");
    upstream.write_all(&answer).await.unwrap();
    let mut seen = Vec::new();
    within(register.read_to_end(&mut seen)).await.unwrap();
    assert_eq!(seen, answer);
    drop((idle, register));
    assert_eq!(running.stop().await, ShutdownReport { drained: true, abandoned: 0 });
}

#[tokio::test]
async fn a_message_that_wants_no_answer_waits_for_none() {
    let (address, seen) = upstream(Upstream::HangsUp).await;
    let running = Running::towards(address).await;
    let mut sent = message(b"body");
    sent[26] = 0x04;
    let header = Header::decode_for(Service::Marking, sent[..HEADER_LEN].try_into().unwrap()).unwrap();
    assert!(!header.flags.expects_answer());
    let mut register = running.connect().await;
    register.write_all(&[sent.as_slice(), &message(b"")].concat()).await.unwrap();
    // The connection goes on: the probe behind it is answered.
    let mut answer = vec![0; HEADER_LEN];
    within(register.read_exact(&mut answer)).await.unwrap();
    assert_eq!(within(seen).await.unwrap(), sent);
    running.check_count(SisterOutcome::Relayed, 1);
    running.check_count(SisterOutcome::Unreachable, 0);
    drop(register);
    assert!(running.stop().await.drained);
}

#[tokio::test]
async fn a_stop_relays_nothing_that_has_not_gone_up_yet() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = Running::towards(listener.local_addr().unwrap().to_string()).await;
    let mut register = running.connect().await;
    register.write_all(&message(b"body").repeat(3)).await.unwrap();
    let (mut upstream, _) = within(listener.accept()).await.unwrap();
    running.stop.cancel();
    // Nobody is accepted any more: the port has noticed.
    within(async { while TcpStream::connect(running.address).await.is_ok() {} }).await;
    let answer = message(b"answer");
    upstream.write_all(&answer).await.unwrap();
    let mut seen = Vec::new();
    within(register.read_to_end(&mut seen)).await.unwrap();
    assert_eq!(seen, answer);
    drop(register);
    assert!(running.stop().await.drained);
}

#[tokio::test]
async fn messages_that_want_no_answer_do_not_keep_a_place_from_others() {
    // An upstream that takes connections and never ends one: each message costs its linger.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Some(listener.local_addr().unwrap().to_string());
    let running =
        Running::start(SisterConfig { upstream, max_connections: 1, ..SisterConfig::default() }).await;
    let mut one_way = message(b"body");
    one_way[26] = 0x04;
    let mut greedy = running.connect().await;
    greedy.write_all(&one_way.repeat(500)).await.unwrap();
    let probe = message(b"");
    let mut answer = vec![0; HEADER_LEN];
    let served = async {
        // Refused connections end at once; another is tried until the greedy one has to make room.
        loop {
            let mut other = running.connect().await;
            let asked = other.write_all(&probe).await;
            if asked.is_ok() && other.read_exact(&mut answer).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(served).await;
    // What was read along with the first message goes nowhere any more.
    let mut rest = Vec::new();
    let ended = within(greedy.read_to_end(&mut rest)).await;
    assert!(rest.is_empty(), "{ended:?}");
    assert!(within(running.stop()).await.drained);
}
