//! A daemon without its program, and a register made by hand: what the tests of this crate stand on. The store is a
//! real file, the sockets are real, the keys are the published ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ffd::check::Severities;
use ffd::{FdNumber, FnNumber, FormCode, Inn, tlv};
use kkt_proto::ack::Acknowledgement;
use kkt_proto::container::{self, Container, ContainerHeader, ContainerKind};
use kkt_proto::header::{CrcMode, HEADER_LEN, Header, PVersion};
use metrics_exporter_prometheus::PrometheusHandle;
use ofd_store::{
    DocumentFilter, DocumentRow, Facts, JournalHandle, QuarantineFilter, QuarantineRow, Reader,
    RegisterHistory, Standing, Store, StoreConfig, StoreError,
};
use pkz::derive::{FnKeys, Purpose};
use pkz::{AckSigner, FiscalSignVerifier, Generation, Keystore, SoftPkz, test_keys};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::TrustedClock;
use crate::clock::tests::Machine;
use crate::config::{IngestConfig, Policy, UnknownFn};
use crate::listener::{Reception, ReceptionParts, ReceptionState, ShutdownReport};
use crate::metrics::{Metrics, build_recorder};
use crate::registers::History;

/// Patience of a test with anything that has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const OFD_INN: &str = "7704211201";
pub(crate) const FN: &str = "9999078900000017";
pub(crate) const KKT_SERIAL: &str = "0128003270";
/// What the clock of the till shows in every document.
pub(crate) const TILL_TIME: u32 = 1_488_541_080;
/// INN of the user in every document, padded.
const USER_INN: &[u8; 12] = b"7802781104  ";

/// What a test wants to have otherwise.
pub(crate) struct Setup {
    pub(crate) config: IngestConfig,
    pub(crate) policy: Policy,
    pub(crate) verifier: Arc<dyn FiscalSignVerifier>,
    pub(crate) signer: Arc<dyn AckSigner>,
    pub(crate) severities: Severities,
    /// The machine whose clocks are asked, unless this one is.
    pub(crate) machine: Option<Machine>,
    /// What is stored, unless the store of the daemon is asked.
    pub(crate) history: Option<Arc<dyn History>>,
}

/// Nothing is stored of anybody.
pub(crate) struct NoHistory;

impl History for NoHistory {
    fn load(&self, _: &FnNumber) -> Result<Option<RegisterHistory>, StoreError> {
        Ok(None)
    }
}

impl Setup {
    /// Signs required, unknown ФН accepted, published keys.
    pub(crate) fn new() -> Self {
        let device = soft_pkz();
        Self {
            config: IngestConfig {
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                shutdown_grace_s: 10,
                ..IngestConfig::default()
            },
            policy: Policy { unknown_fn: UnknownFn::Accept, ..Policy::default() },
            verifier: device.clone(),
            signer: device,
            severities: Severities::default(),
            machine: None,
            history: None,
        }
    }

    pub(crate) fn with_policy(unknown_fn: UnknownFn, sign_mode: pkz::SignMode) -> Self {
        Self { policy: Policy { unknown_fn, sign_mode, forward_unknown: false }, ..Self::new() }
    }

    /// A daemon on a SQLite file of its own.
    pub(crate) async fn start(mut self) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("journal.db").display());
        let store = Store::open(&StoreConfig { url: url.clone(), ..StoreConfig::default() }).unwrap();
        self.history.get_or_insert_with(|| store.history());
        let running = self.run_on(store.journal(), store.facts()).await;
        Daemon { running, facts: store.facts(), store: Some(store), url, _dir: dir }
    }

    /// Only the reception, on a journal that the test made.
    pub(crate) async fn run_on(self, journal: JournalHandle, facts: Arc<Facts>) -> Running {
        let recorder = build_recorder().unwrap();
        let clock = || self.machine.map_or_else(|| TrustedClock::new(None), |machine| machine.clock(None));
        let make = || (Arc::new(Metrics::new()), Arc::new(clock()));
        let (metrics, clock) = metrics::with_local_recorder(&recorder, make);
        let reception = Reception::bind(ReceptionParts {
            config: self.config,
            policy: self.policy,
            operator_inn: Inn::from_padded(OFD_INN.as_bytes()).unwrap(),
            verifier: self.verifier,
            signer: self.signer,
            severities: self.severities,
            clock: Arc::clone(&clock),
            history: self.history.unwrap_or_else(|| Arc::new(NoHistory)),
            journal: journal.clone(),
            facts,
            metrics,
        })
        .await
        .unwrap();
        let address = reception.local_addr().unwrap();
        let state = reception.state();
        let token = CancellationToken::new();
        let task = tokio::spawn(reception.run(token.clone()));
        Running { address, state, clock, journal, prometheus: recorder.handle(), token, task }
    }
}

pub(crate) fn soft_pkz() -> Arc<SoftPkz> {
    Arc::new(test_keys::soft_pkz(jiff::Timestamp::now().as_second()))
}

/// A running reception.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<ReceptionState>,
    pub(crate) clock: Arc<TrustedClock>,
    pub(crate) journal: JournalHandle,
    pub(crate) prometheus: PrometheusHandle,
    pub(crate) token: CancellationToken,
    task: JoinHandle<ShutdownReport>,
}

impl Running {
    pub(crate) async fn connect(&self) -> Client {
        Client { stream: within(TcpStream::connect(self.address)).await.unwrap() }
    }

    /// Value of one line of `/metrics`, such as `fiscald_probes_total`; 0 when it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.prometheus.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a line of `/metrics` has this value.
    pub(crate) async fn until_metric(&self, name: &str, expected: f64) {
        let reached = async {
            while (self.metric(name) - expected).abs() > 0.5 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("{name} is {} instead of {expected}", self.metric(name));
        }
    }

    /// Metrics of a connection may be written a moment after the register sees its end.
    pub(crate) async fn stop(self) -> ShutdownReport {
        self.token.cancel();
        within(self.task).await.unwrap()
    }
}

/// A running reception with its store.
pub(crate) struct Daemon {
    pub(crate) running: Running,
    pub(crate) facts: Arc<Facts>,
    pub(crate) store: Option<Store>,
    pub(crate) url: String,
    _dir: TempDir,
}

impl Daemon {
    pub(crate) async fn connect(&self) -> Client {
        self.running.connect().await
    }

    /// Everything in the journal, in order of arrival.
    pub(crate) fn documents(&self) -> Vec<DocumentRow> {
        let reader = Reader::open(&self.url).unwrap();
        let mut rows = reader.documents(&DocumentFilter::default(), 1000).unwrap();
        rows.reverse();
        rows
    }

    /// Whether the till's ФН is served now.
    pub(crate) fn standing(&self, till: &Till) -> Standing {
        self.facts.standing(&till.fn_number, jiff::Timestamp::now()).standing
    }

    pub(crate) fn quarantine(&self) -> Vec<QuarantineRow> {
        let reader = Reader::open(&self.url).unwrap();
        reader.quarantine(&QuarantineFilter::default(), 1000).unwrap()
    }

    pub(crate) async fn stop(mut self) -> ShutdownReport {
        let report = self.running.stop().await;
        if let Some(store) = self.store.take() {
            store.close(PATIENCE).await.unwrap();
        }
        report
    }
}

/// The register's end of a connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// One reply: header and body.
    pub(crate) async fn reply(&mut self) -> (Header, Vec<u8>) {
        let mut header = [0; HEADER_LEN];
        within(self.stream.read_exact(&mut header)).await.expect("a reply");
        let header = Header::decode(&header).unwrap();
        let mut body = vec![0; usize::from(header.body_len)];
        within(self.stream.read_exact(&mut body)).await.expect("the body of a reply");
        header.check_crc(&body).unwrap();
        (header, body)
    }

    /// Sends a message and takes the container of its reply.
    pub(crate) async fn exchange(&mut self, message: &[u8]) -> Vec<u8> {
        self.send(message).await;
        self.reply().await.1
    }

    /// The daemon closes without another byte.
    pub(crate) async fn expect_silent_close(&mut self) {
        let mut rest = Vec::new();
        within(self.stream.read_to_end(&mut rest)).await.expect("an orderly end");
        assert_eq!(rest, [0_u8; 0], "bytes where silence was expected");
    }

    /// The connection is open and nothing is owed on it: a probe is answered next. Answers keep the order of the
    /// messages, so whatever was sent before got none.
    pub(crate) async fn expect_silence_so_far(&mut self) {
        let fn_number = fn_number(FN);
        let probe = Header::probe(fn_number, PVersion::FFD_1_05, CrcMode::None);
        self.send(&probe.encode()).await;
        let (header, body) = self.reply().await;
        assert_eq!((header, body), (probe.probe_reply(), Vec::new()));
    }
}

pub(crate) async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes too long")
}

/// Waits until `ready` says so.
pub(crate) async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let reached = async {
        while !ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, reached).await.is_ok(), "{what}: not in time");
}

/// INN of the user in every document.
pub(crate) fn user_inn() -> String {
    String::from_utf8(USER_INN.to_vec()).unwrap().trim().to_owned()
}

pub(crate) fn fn_number(text: &str) -> FnNumber {
    FnNumber::from_padded(text.as_bytes()).unwrap()
}

pub(crate) fn fd(number: u32) -> FdNumber {
    FdNumber::new(number).unwrap()
}

/// How a till sends the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Open,
    Encrypted,
}

/// Number of the shift that every document belongs to.
const SHIFT: u32 = 7;

/// Sum of every receipt in kopecks.
pub(crate) const TOTAL: [u8; 2] = [0x39, 0x30];

fn registration_records() -> Vec<(u16, Vec<u8>)> {
    let mut records = vec![
        (1048, b"Shop".to_vec()),
        (1009, b"Street 1".to_vec()),
        (1187, b"Hall".to_vec()),
        (1013, KKT_SERIAL.as_bytes().to_vec()),
        (1062, vec![1]),
        (1060, b"www.nalog.ru".to_vec()),
        (1117, b"shop@example.ru".to_vec()),
        (1017, format!("{OFD_INN:<12}").into_bytes()),
        (1046, b"OFD".to_vec()),
        (1188, b"001".to_vec()),
        (1189, vec![2]),
    ];
    records.extend([1001, 1002, 1056, 1108, 1109, 1110, 1221].map(|tag| (tag, vec![0])));
    records
}

/// One thing without VAT, paid in cash.
fn receipt_records(number: u32) -> Vec<(u16, Vec<u8>)> {
    let thing = [
        (1030, b"Bread".to_vec()),
        (1079, TOTAL.to_vec()),
        (1023, vec![0, 1]),
        (1043, TOTAL.to_vec()),
        (1199, vec![6]),
        (1212, vec![1]),
        (1214, vec![4]),
    ];
    let mut records = vec![
        (1038, SHIFT.to_le_bytes().to_vec()),
        (1042, number.to_le_bytes().to_vec()),
        (1054, vec![1]),
        (1055, vec![1]),
        (1059, group(1059, &thing)[4..].to_vec()),
        (1020, TOTAL.to_vec()),
        (1031, TOTAL.to_vec()),
        (1105, TOTAL.to_vec()),
    ];
    records.extend([1081, 1215, 1216, 1217].map(|tag| (tag, vec![0])));
    records
}

/// A record of records; a document is one too.
fn group(tag: u16, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    tlv::write_group(&mut bytes, tag, |body| {
        records.iter().try_for_each(|(tag, value)| tlv::write_record(body, *tag, value))
    })
    .unwrap();
    bytes
}

/// Gives the records with this tag another value.
pub(crate) fn set(records: &mut [(u16, Vec<u8>)], tag: u16, value: &[u8]) {
    for (_, old) in records.iter_mut().filter(|(present, _)| *present == tag) {
        *old = value.to_vec();
    }
}

/// A register with a fiscal storage of the stand-in profile.
pub(crate) struct Till {
    pub(crate) fn_number: FnNumber,
    keys: FnKeys,
}

impl Till {
    pub(crate) fn new(number: &str) -> Self {
        Self::of_generation(number, 1)
    }

    pub(crate) fn of_generation(number: &str, generation: u8) -> Self {
        let fn_number = fn_number(number);
        let store = Keystore::parse(test_keys::message_keystore(), Purpose::Message).unwrap();
        let master = store.record(Generation::new(generation).unwrap()).unwrap().key();
        Self { fn_number, keys: FnKeys::derive(&fn_number, master, None).unwrap() }
    }

    /// A document of ФФД 1.05 that the control finds nothing in; of a form that is not written out here, the records
    /// that all forms share.
    pub(crate) fn document(&self, form: FormCode, number: u32) -> Vec<u8> {
        self.document_with(form, number, |_| {})
    }

    /// The same with other records: `edit` gets them as pairs of tag and value.
    pub(crate) fn document_with(
        &self,
        form: FormCode,
        number: u32,
        edit: impl FnOnce(&mut Vec<(u16, Vec<u8>)>),
    ) -> Vec<u8> {
        let mut records = vec![
            (1209, vec![2]),
            (1041, self.fn_number.padded().to_vec()),
            (1037, b"0000000000024136    ".to_vec()),
            (1018, USER_INN.to_vec()),
            (1021, b"Ivanova".to_vec()),
            (1040, number.to_le_bytes().to_vec()),
            (1012, TILL_TIME.to_le_bytes().to_vec()),
            (1077, vec![0xC1, 4, 1, 2, 3, 4]),
        ];
        records.extend(match form {
            form if form.is_registration() => registration_records(),
            FormCode::RECEIPT => receipt_records(number),
            FormCode::SHIFT_OPEN => {
                vec![(1038, SHIFT.to_le_bytes().to_vec()), (1188, b"001".to_vec()), (1189, vec![2])]
            }
            FormCode::SHIFT_CLOSE => vec![
                (1038, SHIFT.to_le_bytes().to_vec()),
                (1097, vec![0; 4]),
                (1111, 2_u32.to_le_bytes().to_vec()),
                (1118, 0_u32.to_le_bytes().to_vec()),
            ],
            _ => Vec::new(),
        });
        if form == FormCode::REGISTRATION_CHANGE {
            records.push((1101, vec![4]));
        }
        edit(&mut records);
        group(form.0, &records)
    }

    pub(crate) fn container(&self, number: u32, document: &[u8], body: Body) -> Vec<u8> {
        self.container_signed(number, document, body, self.keys.fps(document))
    }

    pub(crate) fn container_signed(
        &self,
        number: u32,
        document: &[u8],
        body: Body,
        sign: [u8; 8],
    ) -> Vec<u8> {
        let [form, ..] = *document else { panic!("an empty document") };
        let header = ContainerHeader {
            kind: ContainerKind::FROM_FN,
            form,
            version: container::FORMAT_VERSION,
            service1: container::SERVICE_1,
            fn_number: self.fn_number,
            fd_number: fd(number),
            iv: pkz::derive::message_iv([1, 2, 3, 4, 5], fd(number)),
            service2: container::SERVICE_2,
            open_len: u16::try_from(document.len()).unwrap(),
        };
        let mut data = document.to_vec();
        if body == Body::Encrypted {
            self.keys.crypt_up(&header.iv, &mut data);
        }
        container::encode(&header, &data, sign).unwrap()
    }

    /// A session message around a container.
    pub(crate) fn message(&self, container: &[u8]) -> Vec<u8> {
        self.message_in(CrcMode::None, container)
    }

    pub(crate) fn message_in(&self, mode: CrcMode, container: &[u8]) -> Vec<u8> {
        let header = Header::for_message(self.fn_number, PVersion::FFD_1_05, mode, container).unwrap();
        [header.encode().as_slice(), container].concat()
    }

    /// The message of a receipt, open.
    pub(crate) fn receipt(&self, number: u32) -> Vec<u8> {
        self.message(&self.container(number, &self.document(FormCode::RECEIPT, number), Body::Open))
    }

    /// The message of a registration report with ФД 1, open.
    pub(crate) fn registration(&self) -> Vec<u8> {
        self.message(&self.container(1, &self.document(FormCode::REGISTRATION, 1), Body::Open))
    }

    /// Takes a reply's container as an ФН does: direction, number, sign; opens it if need be.
    pub(crate) fn acknowledged(&self, number: u32, reply: &[u8]) -> (Acknowledgement, Body) {
        let container = Container::decode(reply).unwrap();
        assert_eq!(container.header.kind, ContainerKind::FROM_OFD);
        assert_eq!(container.header.fn_number, self.fn_number);
        assert_eq!(container.header.fd_number, fd(number));
        let mut document = container.data.to_vec();
        let body = if container.is_open() { Body::Open } else { Body::Encrypted };
        if body == Body::Encrypted {
            self.keys.crypt_down(&container.header.iv, &mut document);
        }
        assert!(self.keys.check_fpp(&document, &container.sign), "ФПП");
        let acknowledgement = Acknowledgement::decode(&document).unwrap();
        assert_eq!(acknowledgement.fd_number, fd(number));
        assert_eq!(acknowledgement.fn_number, self.fn_number);
        assert_eq!(acknowledgement.ofd_inn.as_str(), OFD_INN);
        (acknowledgement, body)
    }

    /// The code of a reply to an open document.
    pub(crate) fn code(&self, number: u32, reply: &[u8]) -> u8 {
        self.acknowledged(number, reply).0.code.0
    }
}
