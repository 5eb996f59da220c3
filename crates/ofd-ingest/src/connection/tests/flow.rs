//! Order, pipelining, back-pressure and stopping.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ffd::FormCode;
use kkt_proto::header::{CrcMode, HEADER_LEN, Header, PVersion};
use ofd_store::engine::{Engine, EngineError, WriteItem, WriteOutcome};
use ofd_store::journal::{Journal, JournalSettings};
use ofd_store::{AppendOutcome, Facts, StoreConfig, StoreError, Unavailability};
use pkz::{FiscalSignVerifier, OpenOutcome, RawContainer, SoftPkz};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::listener::{MAX_IN_FLIGHT_DOCUMENTS, ShutdownReport};
use crate::testing::{Body, FN, Running, Setup, Till, fn_number, soft_pkz, within};

/// Keeps a store from committing until it is told to: counts the commits that are allowed.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<usize>, Condvar)>);

impl Gate {
    fn open(&self) {
        self.allow(usize::MAX);
    }

    fn allow(&self, commits: usize) {
        let mut allowed = self.0.0.lock().unwrap();
        *allowed = allowed.saturating_add(commits);
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        let mut allowed = self.0.1.wait_while(closed, |allowed| *allowed == 0).unwrap();
        *allowed -= 1;
    }
}

/// A store in memory that takes every document as new once its gate is open, but for one number.
struct GatedEngine {
    gate: Gate,
    seq: i64,
}

impl Engine for GatedEngine {
    fn commit(&mut self, batch: &[WriteItem]) -> Result<Vec<WriteOutcome>, EngineError> {
        self.gate.pass();
        let write = |item: &WriteItem| {
            if matches!(item, WriteItem::Document(document) if document.fd_number.get() == REFUSED_FD) {
                return WriteOutcome::Refused { reason: "a constraint".to_owned() };
            }
            self.seq += 1;
            WriteOutcome::Append(AppendOutcome::Appended { seq: self.seq })
        };
        Ok(batch.iter().map(write).collect())
    }
}

/// The store of these tests does not take this document.
const REFUSED_FD: u32 = 4_444;

fn gated_journal(gate: &Gate, config: &StoreConfig) -> Journal {
    let unavailable = || StoreError::Unavailable { why: Unavailability::CannotOpen, detail: String::new() };
    Journal::start(
        JournalSettings::from_config(config),
        Box::new(GatedEngine { gate: gate.clone(), seq: 0 }),
        Box::new(move || Err(unavailable())),
    )
    .unwrap()
}

/// Counts the documents that were looked at.
struct Counting {
    device: Arc<SoftPkz>,
    opened: AtomicUsize,
}

impl FiscalSignVerifier for Counting {
    fn open<'a>(&self, raw: &RawContainer<'a>) -> OpenOutcome<'a> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.device.open(raw)
    }

    fn kind(&self) -> &'static str {
        "counting"
    }
}

struct Gated {
    gate: Gate,
    journal: Journal,
    running: Running,
    counting: Arc<Counting>,
}

impl Gated {
    async fn start(setup: Setup) -> Self {
        Self::start_with(setup, &StoreConfig::default()).await
    }

    async fn start_with(setup: Setup, store: &StoreConfig) -> Self {
        let gate = Gate::default();
        let journal = gated_journal(&gate, store);
        let counting = Arc::new(Counting { device: soft_pkz(), opened: AtomicUsize::new(0) });
        let setup = Setup { verifier: counting.clone(), ..setup };
        let running = setup.run_on(journal.handle(), Arc::new(Facts::default())).await;
        Self { gate, journal, running, counting }
    }

    async fn until_in_flight(&self, documents: u32) {
        self.running.until_metric("fiscald_documents_in_flight", f64::from(documents)).await;
    }

    async fn stop(self) -> ShutdownReport {
        let report = self.running.stop().await;
        self.gate.open();
        self.journal.close(Duration::from_secs(10)).await.unwrap();
        report
    }
}

#[tokio::test]
async fn pipelined_documents_are_answered_in_order_with_a_bounded_number_in_flight() {
    let gated = Gated::start(Setup::new()).await;
    let till = Till::new(FN);
    let all: Vec<u8> = (1..=150).flat_map(|number| till.receipt(number)).collect();
    let mut client = gated.running.connect().await;
    client.send(&all).await;
    // None waits for the commit of the one before: the store has not finished a single one.
    gated.until_in_flight(64).await;
    gated.running.connect().await.expect_silence_so_far().await;
    // The first one was opened again after it was asked what is known of its ФН.
    assert_eq!(gated.counting.opened.load(Ordering::SeqCst), MAX_IN_FLIGHT_DOCUMENTS + 1);

    gated.gate.open();
    for number in 1..=150 {
        let (_, body) = client.reply().await;
        assert_eq!(till.code(number, &body), 0);
    }
    gated.until_in_flight(0).await;
    assert!(gated.stop().await.drained);
}

#[tokio::test]
async fn a_document_that_the_store_refuses_is_no_outage() {
    let gated = Gated::start(Setup::new()).await;
    gated.gate.open();
    let till = Till::new(FN);
    let mut client = gated.running.connect().await;
    client.send(&[till.receipt(1), till.receipt(REFUSED_FD), till.receipt(2)].concat()).await;
    for number in [1, 2] {
        let (_, body) = client.reply().await;
        assert_eq!(till.code(number, &body), 0);
    }
    client.expect_silence_so_far().await;
    let rejected = |reason: &str| {
        gated.running.metric(&format!(r#"fiscald_rejects_total{{reason="{reason}"}}"#)).to_string()
    };
    assert_eq!((rejected("store_refused").as_str(), rejected("store_unavailable").as_str()), ("1", "0"));
    drop(client);
    assert!(gated.stop().await.drained);
}

#[tokio::test]
async fn a_full_queue_does_not_hold_back_answers() {
    let one_by_one = StoreConfig { batch_max_documents: 1, queue_max_documents: 1, ..StoreConfig::default() };
    let gated = Gated::start_with(Setup::new(), &one_by_one).await;
    let till = Till::new(FN);
    let mut client = gated.running.connect().await;
    client.send(&(1..=5).flat_map(|number| till.receipt(number)).collect::<Vec<u8>>()).await;
    for number in 1..=5 {
        // One more commit is allowed; documents further back still wait for a place in the queue.
        gated.gate.allow(1);
        let (_, body) = client.reply().await;
        assert_eq!(till.code(number, &body), 0);
    }
    drop(client);
    assert!(gated.stop().await.drained);
}

#[tokio::test]
async fn while_the_store_hangs_nobody_who_waits_for_it_makes_room() {
    let one_by_one = StoreConfig { batch_max_documents: 1, queue_max_documents: 1, ..StoreConfig::default() };
    let mut setup = Setup::new();
    setup.config.max_connections = 4;
    let gated = Gated::start_with(setup, &one_by_one).await;
    let till = Till::new(FN);
    let mut clients = Vec::new();
    for number in 1..=4 {
        let mut client = gated.running.connect().await;
        client.send(&till.receipt(number)).await;
        clients.push(client);
        // One document is with the store, one in its queue; the others wait for a place there. The first one was opened
        // again after it was asked what is known of its ФН.
        let looked_at = usize::try_from(number).unwrap() + 1;
        within(async {
            while gated.counting.opened.load(Ordering::SeqCst) < looked_at {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    // The pace of newcomers, for longer than an idle connection keeps its place.
    for _ in 0..15 {
        gated.running.connect().await.expect_silent_close().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(gated.running.metric("fiscald_connections_evicted_total").to_string(), "0");
    assert_eq!(gated.running.state.open_connections(), 4);
    gated.gate.open();
    for (number, client) in (1..).zip(&mut clients) {
        let (_, body) = client.reply().await;
        assert_eq!(till.code(number, &body), 0);
    }
    drop(clients);
    assert!(gated.stop().await.drained);
}

#[tokio::test]
async fn probes_are_answered_in_their_place_and_leave_nothing_behind() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let probe = Header::probe(fn_number(FN), PVersion::FFD_1_2, CrcMode::Header);
    let stream =
        [till.receipt(1), probe.encode().to_vec(), till.receipt(2), probe.encode().to_vec()].concat();
    client.send(&stream).await;
    for number in [1, 2] {
        let (_, body) = client.reply().await;
        assert_eq!(till.code(number, &body), 0);
        let (header, body) = client.reply().await;
        assert_eq!((header, body), (probe.probe_reply(), Vec::new()));
    }
    assert_eq!(daemon.documents().len(), 2);
    assert_eq!(daemon.running.metric("fiscald_probes_total").to_string(), "2");
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn header_and_body_of_a_reply_leave_in_one_write() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    client.send(&till.receipt(1)).await;
    let mut buffer = [0; 4096];
    let count = within(client.stream.read(&mut buffer)).await.unwrap();
    let header = Header::decode(buffer.first_chunk().unwrap()).unwrap();
    assert_eq!(count, HEADER_LEN + usize::from(header.body_len));
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_register_that_wants_no_answer_gets_none_and_is_stored() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let mut silent = till.receipt(1);
    assert_eq!(silent[26], 0x14);
    silent[26] = 0x04;
    client.send(&silent).await;
    client.expect_silence_so_far().await;
    let [row] = daemon.documents().try_into().unwrap();
    assert_eq!(till.code(1, &row.acknowledgement), 0);
    // It asks again, this time for an answer: the stored one.
    assert_eq!(client.exchange(&till.receipt(1)).await, row.acknowledgement);
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_half_closed_register_still_gets_its_answers() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    client.send(&[till.receipt(1), till.receipt(2)].concat()).await;
    client.stream.shutdown().await.unwrap();
    for number in [1, 2] {
        let (_, body) = client.reply().await;
        assert_eq!(till.code(number, &body), 0);
    }
    client.expect_silent_close().await;
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn after_a_refusal_that_closes_nothing_more_is_answered() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let document = till.document(FormCode::RECEIPT, 2);
    let forged = till.container_signed(2, &document, Body::Open, [0xD1, 6, 9, 9, 9, 9, 9, 9]);
    client.send(&[till.receipt(1), till.message(&forged), till.receipt(3)].concat()).await;
    let (_, body) = client.reply().await;
    assert_eq!(till.code(1, &body), 0);
    client.expect_silent_close().await;
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight() {
    let gated = Gated::start(Setup::new()).await;
    let till = Till::new(FN);
    let mut client = gated.running.connect().await;
    client.send(&[till.receipt(1), till.receipt(2), till.receipt(3)].concat()).await;
    gated.until_in_flight(3).await;
    gated.running.token.cancel();
    gated.gate.open();
    for number in [1, 2, 3] {
        let (_, body) = client.reply().await;
        assert_eq!(till.code(number, &body), 0);
    }
    client.expect_silent_close().await;
    assert_eq!(gated.stop().await, ShutdownReport { drained: true, abandoned: 0 });
}

#[tokio::test]
async fn a_stop_reads_a_message_that_has_begun_to_its_end_and_no_further() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let begun = till.receipt(2);
    client.send(&[till.receipt(1).as_slice(), &begun[..77]].concat()).await;
    let (_, body) = client.reply().await;
    assert_eq!(till.code(1, &body), 0);
    daemon.running.token.cancel();
    client.send(&[&begun[77..], till.receipt(3).as_slice()].concat()).await;
    let (_, body) = client.reply().await;
    assert_eq!(till.code(2, &body), 0);
    client.expect_silent_close().await;
    assert_eq!(daemon.documents().len(), 2);
    drop(client);
    assert!(daemon.stop().await.drained);
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_the_port() {
    let daemon = Setup::new().start().await;
    let mut client = daemon.connect().await;
    client.expect_silence_so_far().await;
    let (address, state) = (daemon.running.address, daemon.running.state.clone());
    assert!(state.is_serving());
    daemon.running.token.cancel();
    client.expect_silent_close().await;
    drop(client);
    assert!(daemon.stop().await.drained);
    assert!(state.is_stopping() && !state.is_serving());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_its_grace() {
    let mut setup = Setup::new();
    setup.config.shutdown_grace_s = 1;
    let gated = Gated::start(setup).await;
    let mut client = gated.running.connect().await;
    client.send(&Till::new(FN).receipt(1)).await;
    gated.until_in_flight(1).await;
    assert_eq!(gated.stop().await, ShutdownReport { drained: false, abandoned: 1 });
}
