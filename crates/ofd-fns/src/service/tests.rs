//! The service with a real store and a tax service behind a real socket.

mod leases;
mod losses;
mod tax;
mod troubles;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ffd::ids::FdNumber;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use ofd_store::{
    Derived, Forward, Forwarding, KktKey, NewDocument, OutboxState, Reader, RegistrationState, SignRecord,
    Store, StoreConfig, TaskFilter, TaskKind,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use self::tax::{Reply, Seen, Tax, no_events};
use super::*;

/// A store with a journal, and a service on it.
struct Bench {
    folder: TempDir,
    store: Arc<Store>,
    tax: Tax,
    config: FnsConfig,
    periods: RegistrationConfig,
}

struct Running {
    stop: CancellationToken,
    task: Task<bool>,
    handle: FnsHandle,
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        assert!(self.task.await.unwrap(), "not ended in order");
    }
}

impl Bench {
    async fn new(decide: impl FnMut(&[Seen], &Seen) -> Reply + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tax = Tax::start(decide).await;
        let config = StoreConfig { url: url(&folder), min_free_mib: 0, ..StoreConfig::default() };
        let store = tokio::task::spawn_blocking(move || Store::open(&config).unwrap()).await.unwrap();
        let config = FnsConfig {
            url: Some(format!("http://{}", tax.address)),
            ofd_id: Some("ofd1".to_owned()),
            batch_docs: 8,
            workers: 2,
            linger_ms: 20,
            retry_base_ms: 5,
            retry_cap_s: 1,
            breaker_open_s: 1,
            breaker_open_max_s: 1,
            probe_s: 1,
            events_wait_s: 0,
            ..FnsConfig::default()
        };
        let periods = RegistrationConfig { tick_ms: 20, ..RegistrationConfig::default() };
        Self { folder, store: Arc::new(store), tax, config, periods }
    }

    async fn run(&self) -> Running {
        self.run_with(self.config.clone()).await
    }

    async fn run_with(&self, config: FnsConfig) -> Running {
        self.run_counted(config, None).await
    }

    /// With a recorder of its metrics.
    async fn run_counted(&self, config: FnsConfig, recorder: Option<PrometheusRecorder>) -> Running {
        let parts = FnsParts {
            config,
            registration: self.periods,
            operator_inn: "7704358518".parse().unwrap(),
            stores: FnsStores::beside(Arc::clone(&self.store)),
        };
        let start = move || match recorder {
            Some(recorder) => metrics::with_local_recorder(&recorder, || FnsService::start(parts)),
            None => FnsService::start(parts),
        };
        let service = tokio::task::spawn_blocking(|| start().unwrap()).await.unwrap();
        let (stop, handle) = (CancellationToken::new(), service.handle());
        Running { task: tokio::spawn(service.run(stop.clone())), stop, handle }
    }

    /// Documents `from..=to` of a ФН come in.
    async fn receive(&self, fn_number: &str, numbers: std::ops::RangeInclusive<u32>) {
        let mut pending = Vec::new();
        for number in numbers {
            pending.push(self.store.journal().append(document(fn_number, number, 3)).await.unwrap());
        }
        for append in pending {
            append.await.unwrap();
        }
    }

    /// A report of registration comes in, document 1 of a ФН.
    async fn receive_report(&self, fn_number: &str) {
        let derived = Derived {
            rnm: Some(RNM.to_owned()),
            kkt_serial: Some("0042".to_owned()),
            user_inn: Some("7702203276".to_owned()),
            local_time: Some(1_795_262_400),
            ..Derived::default()
        };
        let report = NewDocument { derived, ..document(fn_number, 1, 1) };
        self.store.journal().append(report).await.unwrap().await.unwrap();
    }

    /// A document of a ФН that nobody told us about comes in.
    async fn receive_unknown(&self, fn_number: &str) {
        let unknown = NewDocument { forward: Forward::WhenKnown, ..document(fn_number, 1, 3) };
        self.store.journal().append(unknown).await.unwrap().await.unwrap();
    }

    /// State of the register and kinds of the open tasks.
    fn registration(&self) -> (Option<RegistrationState>, Vec<TaskKind>) {
        let registry = Registry::open(&url(&self.folder)).unwrap();
        let tasks = registry.tasks(&TaskFilter::default(), 10).unwrap();
        let kkt = registry.kkt(KktKey::Rnm(RNM)).unwrap();
        (kkt.map(|kkt| kkt.state), tasks.into_iter().map(|task| task.kind).collect())
    }

    /// Waits until so many documents are in a state.
    async fn until(&self, state: OutboxState, expected: u64) {
        let url = url(&self.folder);
        let waiting = tokio::task::spawn_blocking(move || {
            let mut store = Forwarding::open(&url).unwrap();
            let deadline = Instant::now() + Duration::from_secs(120);
            loop {
                let depths = store.depths().unwrap();
                if depths.of(state) == expected {
                    return;
                }
                assert!(Instant::now() < deadline, "{expected} {state:?}: {depths:?}");
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        waiting.await.unwrap();
    }

    /// Every document exactly once, and in order: of the batches that were answered.
    fn check_order(&self) {
        let mut newest: BTreeMap<String, u32> = BTreeMap::new();
        for batch in self.tax.seen() {
            for key in batch.documents {
                let (fn_number, number) = key.split_once('-').unwrap();
                let number: u32 = number.parse().unwrap();
                let before = newest.insert(fn_number.to_owned(), number);
                assert!(before.is_none_or(|before| before < number), "{key} after {before:?}");
            }
        }
    }
}

fn url(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("fiscald.db").display())
}

/// A document with its numbers and a time in it.
fn document(fn_number: &str, number: u32, form: u16) -> NewDocument {
    let mut body = Vec::new();
    for (tag, value) in [
        (1041_u16, fn_number.as_bytes().to_vec()),
        (1040, number.to_le_bytes().to_vec()),
        (1012, 1_795_262_400_u32.to_le_bytes().to_vec()),
    ] {
        body.extend_from_slice(&tag.to_le_bytes());
        body.extend_from_slice(&u16::try_from(value.len()).unwrap().to_le_bytes());
        body.extend_from_slice(&value);
    }
    let mut opened = form.to_le_bytes().to_vec();
    opened.extend_from_slice(&u16::try_from(body.len()).unwrap().to_le_bytes());
    opened.extend_from_slice(&body);
    let container = [&[0_u8; 32], &opened[..], &[0xA5; 8], &[0; 2]].concat();
    NewDocument {
        fn_number: fn_number.parse().unwrap(),
        fd_number: FdNumber::new(number).unwrap(),
        form,
        received_at: jiff::Timestamp::now(),
        peer: None,
        container,
        identity: Sha256::digest(&opened).into(),
        opened: Some(opened),
        acknowledgement: vec![7],
        code: 0,
        sign: SignRecord { verdict: "valid", scheme: None, generation: None },
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

const A: &str = "8710000100000001";
const B: &str = "8710000100000002";
const C: &str = "8710000100000003";
const RNM: &str = "0000000005008570";

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_delivered_once_and_in_order() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    bench.receive(A, 1..=30).await;
    let running = bench.run().await;
    bench.receive(B, 5..=30).await;
    bench.receive(C, 1..=30).await;
    bench.receive(B, 31..=40).await;
    bench.until(OutboxState::Delivered, 96).await;
    assert_eq!(running.handle.trouble(), None);
    running.end().await;
    bench.check_order();
    assert!(bench.tax.seen().iter().all(|batch| batch.documents.len() <= 8));
    let row =
        &Forwarding::open(&url(&bench.folder)).unwrap().find(&A.parse().unwrap(), FdNumber::FIRST).unwrap()
            [0];
    assert_eq!(row.ticket_id.as_deref(), Some(format!("T-{A}-1").as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_with_the_same_key_and_bytes() {
    let bench = Bench::new(|before, _| if before.is_empty() { Reply::Lost } else { Reply::Accept }).await;
    bench.receive(A, 1..=3).await;
    let running = bench.run().await;
    bench.until(OutboxState::Delivered, 3).await;
    running.end().await;
    let seen = bench.tax.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!((&seen[0].key, &seen[0].body), (&seen[1].key, &seen[1].body));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_is_asked_for_is_kept() {
    let busy = Reply::Refuse;
    let bench = Bench::new(move |before, _| match before.is_empty() {
        true => busy("429 Too Many Requests\r\nRetry-After: 1"),
        false => Reply::Accept,
    })
    .await;
    bench.receive(A, 1..=3).await;
    bench.receive(B, 1..=3).await;
    let running = bench.run_with(FnsConfig { workers: 1, ..bench.config.clone() }).await;
    bench.until(OutboxState::Delivered, 6).await;
    running.end().await;
    let seen = bench.tax.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(990), "{seen:?}");
    assert_eq!(seen[0].key, seen[1].key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_batch_is_split_and_only_the_poison_dies() {
    let poison = format!("{A}-3");
    let wanted = poison.clone();
    let bench = Bench::new(move |_, batch| match batch.documents.contains(&wanted) {
        true => Reply::Refuse("422 Unprocessable Content"),
        false => Reply::Accept,
    })
    .await;
    bench.receive(A, 1..=8).await;
    let running = bench.run().await;
    bench.until(OutboxState::Delivered, 7).await;
    bench.until(OutboxState::Dead, 1).await;
    running.end().await;
    let letter = dead_letter(&bench, 3);
    assert_eq!(letter.code, "TRY_ANOTHER");
    let request: Value = serde_json::from_slice(&letter.request).unwrap();
    assert_eq!(request["documents"][0]["docKey"], poison.as_str());
    assert_eq!(letter.answer, br#"{"code":"TRY_ANOTHER"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_document_does_not_stop_its_lane() {
    let bench = Bench::new(|_, _| Reply::Items("8710000100000001-2")).await;
    bench.receive(A, 1..=12).await;
    let running = bench.run().await;
    bench.until(OutboxState::Delivered, 11).await;
    bench.until(OutboxState::Dead, 1).await;
    running.end().await;
    bench.check_order();
    let letter = dead_letter(&bench, 2);
    let (request, answer): (Value, Value) =
        (serde_json::from_slice(&letter.request).unwrap(), serde_json::from_slice(&letter.answer).unwrap());
    assert_eq!(request["docKey"], "8710000100000001-2");
    assert_eq!((&answer["detail"], letter.code.as_str()), (&"why".into(), "SCHEMA_INVALID"));
}

fn dead_letter(bench: &Bench, number: u32) -> ofd_store::DeadLetter {
    let number = FdNumber::new(number).unwrap();
    let row =
        Forwarding::open(&url(&bench.folder)).unwrap().find(&A.parse().unwrap(), number).unwrap().remove(0);
    let reader = Reader::open(&url(&bench.folder)).unwrap();
    reader.dead_letters(row.seq).unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_probed_with_one_document() {
    let down = Arc::new(Mutex::new(true));
    let switch = Arc::clone(&down);
    let bench = Bench::new(move |_, _| match *switch.lock().unwrap() {
        true => Reply::Refuse("503 Service Unavailable"),
        false => Reply::Accept,
    })
    .await;
    bench.receive(A, 1..=20).await;
    let running = bench.run().await;
    wait_for(|| running.handle.trouble().is_some()).await;
    let asked = bench.tax.seen().len();
    assert!(asked <= 8, "an outage must not spin: {asked}");
    *down.lock().unwrap() = false;
    bench.until(OutboxState::Delivered, 20).await;
    wait_for(|| running.handle.trouble().is_none()).await;
    running.end().await;
    let seen = bench.tax.seen();
    assert!(seen.iter().skip(5).any(|batch| batch.documents.len() == 1), "no probe: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_certificate_stops_all_and_ends_when_it_is_taken() {
    let bench = Bench::new(|before, _| match before.len() < 2 {
        true => Reply::Refuse("403 Forbidden"),
        false => Reply::Accept,
    })
    .await;
    bench.receive(A, 1..=20).await;
    let running = bench.run().await;
    bench.until(OutboxState::Delivered, 20).await;
    running.end().await;
    let seen = bench.tax.seen();
    assert_eq!(seen[1].documents.len(), 1, "{seen:?}");
    assert_eq!(seen[2].documents.len(), 1, "{seen:?}");
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(900), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_service_left_the_next_one_sends_under_the_same_key() {
    let bench = Bench::new(|_, _| Reply::Lost).await;
    bench.receive(A, 1..=5).await;
    let first = bench.run().await;
    wait_for(|| !bench.tax.seen().is_empty()).await;
    bench.until(OutboxState::InFlight, 5).await;
    first.end().await;
    let left = bench.tax.seen().remove(0);
    bench.tax.decide_by(|_, _| Reply::Accept);
    let before = bench.tax.seen().len();
    let second = bench.run().await;
    bench.until(OutboxState::Delivered, 5).await;
    second.end().await;
    let again = bench.tax.seen().remove(before);
    assert_eq!((again.key, again.body), (left.key, left.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_share_the_registers() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    let config = FnsConfig { lease_s: 4, timeout_s: 2, ..bench.config.clone() };
    let (first, second) = (bench.run_with(config.clone()).await, bench.run_with(config).await);
    let numbers: Vec<String> = (0..40).map(|number| format!("87100001{number:08}")).collect();
    for number in &numbers {
        bench.receive(number, 1..=6).await;
    }
    bench.until(OutboxState::Delivered, 240).await;
    first.end().await;
    for number in &numbers {
        bench.receive(number, 7..=9).await;
    }
    bench.until(OutboxState::Delivered, 360).await;
    second.end().await;
    bench.check_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tax_service_nothing_is_sent_and_the_end_is_clean() {
    let bench = Bench::new(|_, _| Reply::Accept).await;
    bench.receive(A, 1..=3).await;
    let running = bench.run_with(FnsConfig::default()).await;
    let handle = running.handle.clone();
    handle.reload();
    assert_eq!((handle.trouble(), handle.watched_files().len()), (None, 0));
    running.end().await;
    assert_eq!(bench.tax.seen().len(), 0);
    let store = Arc::into_inner(bench.store).expect("the service has let go of the store");
    store.close(Duration::from_secs(60)).await.unwrap();
}

fn status_page(number: u32) -> String {
    format!("fss/{A}/documents/{number}")
}

fn accepted() -> String {
    r#"{"docKey":"","verdict":"accepted","codes":[],"at":"2026-11-22T00:00:05Z"}"#.to_owned()
}

fn card_page() -> String {
    format!("kkts/{RNM}/card")
}

fn card() -> String {
    format!(
        r#"{{"knd":"1110066","rnm":"{RNM}","registeredAt":"2026-11-22","user":{{"inn":"7702203276","name":"A"}},
            "kkt":{{"model":"M","serial":"0042"}},"fn":{{"model":"F","serial":"{A}"}},"cardNumber":"SIM-1"}}"#
    )
}

/// A page with one ticket.
fn ticket(number: u32, verdict: &str, cursor: &str) -> String {
    format!(
        r#"{{"events":[{{"id":"E{number}","type":"ticket","at":"2026-11-22T00:00:00Z","docKey":"{A}-{number}",
            "ticketId":"T-{A}-{number}","verdict":"{verdict}","codes":[]}}],"cursor":"{cursor}","more":true}}"#
    )
}

/// The value of a series.
fn gauge(metrics: &PrometheusHandle, series: &str) -> f64 {
    let text = metrics.render();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

async fn wait_for(mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !ready() {
        assert!(Instant::now() < deadline, "it did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
