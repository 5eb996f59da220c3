//! A store in a folder of its own with registers in it, for the tests of this module.

use ffd::ids::{FdNumber, FnNumber, Inn, Rnm};
use ffd::{Document, tags, tlv};
use jiff::{SignedDuration, Timestamp};
use ofd_store::{
    Derived, Forward, Kkt, KktKey, NewDocument, RegistrationState, Registry, SignRecord, Store, StoreConfig,
    Task, TaskFilter,
};
use sha2::{Digest, Sha256};

use super::ops::{NewContract, NewLine, contract_add, line_add};
use super::{RegisterView, RegistrationConfig, view};
use crate::client::wire::EventsPage;

pub(super) const INN: &str = "7702203276";
pub(super) const SERIAL: &str = "000000000002";
/// Its check value is that of [`INN`] and [`SERIAL`].
pub(super) const RNM: &str = "0000000005008570";
pub(super) const FN: &str = "8710000100000001";
pub(super) const OTHER_FN: &str = "8710000100000002";
pub(super) const PERIODS: RegistrationConfig =
    RegistrationConfig { grace_s: 100, t_card_s: 20, t_rnm_s: Some(30), silent_s: 4_000_000, tick_ms: 50 };

/// A moment of the tests, `seconds` after their beginning.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_262_400).unwrap() + SignedDuration::from_secs(seconds)
}

pub(super) fn fn_number(text: &str) -> FnNumber {
    text.parse().unwrap()
}

/// Deleted with its folder.
pub(super) struct Bench {
    pub(super) registry: Registry,
    store: Store,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

/// A document of a till.
#[derive(Clone)]
pub(super) struct Till {
    pub(super) fn_number: &'static str,
    pub(super) fd: u32,
    pub(super) form: u16,
    pub(super) rnm: &'static str,
    pub(super) serial: &'static str,
    pub(super) inn: &'static str,
    /// Of tag 1205.
    pub(super) reasons: Option<u32>,
    pub(super) code: u8,
    /// Whether it is to be forwarded.
    pub(super) forward: bool,
    /// Flags and counts beside.
    pub(super) more: Vec<(u16, Vec<u8>)>,
}

pub(super) const REPORT: Till = Till {
    fn_number: FN,
    fd: 1,
    form: 1,
    rnm: RNM,
    serial: SERIAL,
    inn: INN,
    reasons: None,
    code: 0,
    forward: true,
    more: Vec::new(),
};

impl Till {
    fn opened(&self) -> Vec<u8> {
        let mut out = Vec::new();
        tlv::write_group(&mut out, self.form, |out| {
            let mut record = |tag: u16, value: &[u8]| tlv::write_record(out, tag, value);
            record(tags::FN_NUMBER, format!("{:16}", self.fn_number).as_bytes())?;
            record(tags::RNM, format!("{:20}", self.rnm).as_bytes())?;
            record(tags::USER_INN, format!("{:12}", self.inn).as_bytes())?;
            record(tags::FD_NUMBER, &self.fd.to_le_bytes())?;
            record(tags::DATE_TIME, &1_488_541_080u32.to_le_bytes())?;
            record(tags::FISCAL_SIGN, &[0x21, 0x04, 0x00, 0x10, 0x75, 0x41])?;
            record(tags::KKT_SERIAL, self.serial.as_bytes())?;
            record(tags::FFD_VERSION, &[4])?;
            if let Some(reasons) = self.reasons {
                record(tags::REASON_MASK, &reasons.to_le_bytes())?;
            }
            for (tag, value) in &self.more {
                record(*tag, value)?;
            }
            Ok(())
        })
        .unwrap();
        out
    }

    fn document(&self, received_at: Timestamp) -> NewDocument {
        let forward = if self.forward { Forward::Yes } else { Forward::No };
        NewDocument { forward, ..received(&self.opened(), self.fn_number, self.fd, self.code, received_at) }
    }
}

/// A document as reception appends it.
fn received(opened: &[u8], fn_text: &str, fd: u32, code: u8, received_at: Timestamp) -> NewDocument {
    let document = Document::decode(opened).unwrap();
    let text = |tag: u16| document.text(tag).map(|text| text.trim_end().to_owned());
    NewDocument {
        fn_number: fn_number(fn_text),
        fd_number: FdNumber::new(fd).unwrap(),
        form: document.form().0,
        received_at,
        peer: None,
        container: opened.to_vec(),
        opened: Some(opened.to_vec()),
        identity: Sha256::digest(opened).into(),
        acknowledgement: vec![7],
        code,
        sign: SignRecord { verdict: "valid", scheme: None, generation: None },
        forward: Forward::Yes,
        flk_mark: code == 14,
        sign_mark: false,
        fn_changed_mark: false,
        after_deregistration_mark: false,
        findings: Vec::new(),
        task: None,
        register: None,
        derived: Derived {
            ffd_version: Some(4),
            local_time: document.time(tags::DATE_TIME).map(ffd::LocalTime::get),
            rnm: text(tags::RNM),
            user_inn: text(tags::USER_INN),
            kkt_serial: text(tags::KKT_SERIAL),
            fiscal_sign: document.fiscal_sign(),
            ..Derived::default()
        },
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = StoreConfig { url, min_free_mib: 0, ..StoreConfig::default() };
        let store = runtime.block_on(async { Store::open(&config) }).unwrap();
        let registry = store.registry().unwrap();
        Self { registry, store, runtime, _folder: folder }
    }

    /// With the contract `1` in force and the register of [`REPORT`] in a line of it.
    pub(super) fn with_line() -> Self {
        let mut bench = Self::new();
        bench.contract("1", true);
        bench.line("1").unwrap();
        bench
    }

    pub(super) fn contract(&mut self, number: &str, active: bool) {
        let new = NewContract {
            number: number.to_owned(),
            inn: INN.parse::<Inn>().unwrap(),
            client_name: "ООО РАПКАТ-центр".to_owned(),
            active,
        };
        contract_add(&mut self.registry, &new, at(0)).unwrap();
    }

    pub(super) fn line(&mut self, contract: &str) -> Result<super::ops::LineResult, super::ops::OpsError> {
        line_add(&mut self.registry, contract, &new_line(), at(0))
    }

    /// Appends a document as reception does.
    pub(super) fn receive(&mut self, till: &Till, seconds: i64) {
        self.append(till.document(at(seconds)));
    }

    /// Appends a document read elsewhere.
    pub(super) fn receive_opened(&mut self, opened: &[u8], fn_text: &str, fd: u32) {
        self.append(received(opened, fn_text, fd, 0, at(0)));
    }

    fn append(&mut self, document: NewDocument) {
        let journal = self.store.journal();
        self.runtime.block_on(async { journal.append(document).await.unwrap().await.unwrap() });
    }

    pub(super) fn follow(&mut self, seconds: i64) -> super::follower::Followed {
        super::follower::follow(&mut self.registry, None, &PERIODS, at(seconds)).unwrap()
    }

    pub(super) fn fire(&mut self, seconds: i64) -> super::timers::Fired {
        super::timers::fire(&mut self.registry, None, &PERIODS, at(seconds)).unwrap()
    }

    /// Applies a page of events given as the JSON of its list.
    pub(super) fn events(&mut self, events: &str, seconds: i64) -> super::feed::Applied {
        let after = self.registry.cursors().unwrap().events;
        let next = after.as_deref().map_or(1, |cursor| cursor.parse::<u64>().unwrap() + 1);
        let page: EventsPage =
            serde_json::from_str(&format!(r#"{{"events": [{events}], "cursor": "{next}", "more": false}}"#))
                .unwrap();
        super::feed::apply_page(&mut self.registry, None, &PERIODS, after.as_deref(), &page, at(seconds))
            .unwrap()
    }

    pub(super) fn kkt(&self) -> Kkt {
        self.registry.kkt(KktKey::Serial(SERIAL)).unwrap().expect("the register")
    }

    pub(super) fn view(&self, seconds: i64) -> RegisterView {
        view::view(&self.registry, self.kkt(), &PERIODS, at(seconds)).unwrap()
    }

    /// State and label of the register.
    #[track_caller]
    pub(super) fn is(&self, state: RegistrationState, label: &str) {
        let view = self.view(200);
        assert_eq!((view.kkt.state, view.label.as_str()), (state, label));
    }

    pub(super) fn open_tasks(&self) -> Vec<Task> {
        self.registry.tasks(&TaskFilter::default(), 100).unwrap()
    }

    /// Names of the kinds of the open tasks, oldest first.
    pub(super) fn open_kinds(&self) -> Vec<&'static str> {
        let mut tasks = self.open_tasks();
        tasks.reverse();
        tasks.iter().map(|task| task.kind.name()).collect()
    }
}

pub(super) fn new_line() -> NewLine {
    NewLine {
        kkt_serial: SERIAL.to_owned(),
        kkt_model: Some("Модель 1Ф".to_owned()),
        fn_number: fn_number(FN),
        fn_model: Some("ФН-1.2".to_owned()),
        rnm: None,
        unchecked: false,
    }
}

pub(super) fn rnm() -> Rnm {
    RNM.parse().unwrap()
}

/// A ticket about ФД `fd` of [`FN`].
pub(super) fn ticket(fd: u32, verdict: &str) -> String {
    format!(
        r#"{{"id": "E", "type": "ticket", "at": "2026-11-21T12:00:10Z", "docKey": "{FN}-{fd}", "verdict": "{verdict}",
        "codes": [{{"code": 901, "text": "карточка не сформирована", "path": null}}]}}"#
    )
}

/// The card `number` of the register of [`REPORT`], with another ФН if wanted.
pub(super) fn card(number: &str, fn_text: &str) -> String {
    format!(
        r#"{{"id": "C", "type": "registrationCard", "at": "2026-11-21T12:00:20Z", "rnm": "{RNM}",
        "basis": {{"docKey": "{fn_text}-1"}},
        "card": {{"knd": "1110066", "rnm": "{RNM}", "registeredAt": "2026-11-21", "user": {{"inn": "{INN}", "name": "Ы"}},
                  "kkt": {{"model": "М", "serial": "{SERIAL}"}}, "fn": {{"model": "М", "serial": "{fn_text}"}},
                  "cardNumber": "{number}"}},
        "xmlBase64": "PGNhcmQvPg==", "signatureBase64": "AAEC"}}"#
    )
}

/// The register of [`REPORT`] is struck off.
pub(super) fn deregistration() -> String {
    format!(
        r#"{{"id": "D", "type": "deregistrationCard", "at": "2026-11-21T13:00:00Z", "rnm": "{RNM}",
        "card": {{"knd": "1110067", "rnm": "{RNM}", "registeredAt": "2026-11-21", "cardNumber": "D-1"}}}}"#
    )
}
