//! The whole simulator over real sockets, with documents of real simulated registers.

mod client;
mod door;
mod endpoints;
mod modes;
mod registration;
mod restart;
mod robust;
mod tls;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ffd::json::{FnsJson, Names};
use ffd::{Document, FfdVersion, FnNumber, FormCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{FnsSim, FnsSimOptions, SimConfig};
use crate::keys::SimKeys;
use crate::kkt::{Cause, FnLife, Kkt, KktSettings, OperatorCard, Pace};
use crate::storage::Reread;
use client::{Client, Reply};

/// A till clock long past.
const CLOCK: u32 = 1_700_000_000;

/// A document as an operator has it.
#[derive(Debug, Clone)]
struct Made {
    fn_number: FnNumber,
    fd: u32,
    form: FormCode,
    bytes: Vec<u8>,
    sign: [u8; 8],
}

impl Made {
    fn key(&self) -> String {
        format!("{}-{}", self.fn_number, self.fd)
    }

    fn document(&self) -> Document<'_> {
        Document::decode(&self.bytes).unwrap()
    }

    fn text(&self, tag: u16) -> String {
        self.document().text(tag).unwrap().trim().to_owned()
    }

    fn rnm(&self) -> String {
        self.text(1037)
    }

    /// The JSON of the tax service.
    fn json(&self) -> String {
        serde_json::to_string(&FnsJson::new(&self.document(), Some(self.sign), Names::Modern)).unwrap()
    }

    fn sha256(&self) -> String {
        hex::encode(Sha256::digest([self.bytes.as_slice(), &self.sign].concat()))
    }

    /// In its envelope.
    fn item(&self) -> Item {
        Item {
            doc_key: self.key(),
            sha256: self.sha256(),
            subtype: self.form.json_name().unwrap().to_owned(),
            version: self.document().version().as_str().to_owned(),
            document: self.json(),
        }
    }

    /// The values a taxpayer types.
    fn typed(&self) -> Value {
        let document = self.document();
        let minute = document.time(1012).unwrap().civil().strftime("%Y-%m-%dT%H:%M").to_string();
        serde_json::json!({
            "userInn": self.text(1018), "reportKind": self.form.0, "dateTime": minute, "fdNumber": self.fd,
            "fiscalSign": format!("{:010}", document.fiscal_sign().unwrap()),
        })
    }

    /// Other content under the same number: the sign of the message is another.
    fn with_other_sign(&self) -> Self {
        let mut other = self.clone();
        other.sign[7] ^= 1;
        other
    }
}

/// An envelope that tests may spoil.
#[derive(Debug, Clone)]
struct Item {
    doc_key: String,
    sha256: String,
    subtype: String,
    version: String,
    document: String,
}

impl Item {
    fn text(&self) -> String {
        let Self { doc_key, sha256, subtype, version, document } = self;
        format!(
            r#"{{"docKey":"{doc_key}","docSha256":"{sha256}","subtype":"{subtype}","protocolVersion":"{version}","receiveDate":"2026-11-22T05:00:00Z","ack":{{"dateTime":1795323600,"ofdResponseCode":0}},"document":{document}}}"#
        )
    }
}

fn raw_data(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn batch_of(id: &str, items: &[String]) -> String {
    format!(
        r#"{{"batchId":"{id}","formatVersion":13,"ofdInn":"7704358518","createdAt":"2026-11-22T05:00:01Z","documents":[{}]}}"#,
        items.join(",")
    )
}

fn storage(number: u64) -> FnNumber {
    format!("9999{number:012}").parse().unwrap()
}

fn register(number: FnNumber, ffd: FfdVersion, seed: u64) -> Kkt {
    let settings = KktSettings {
        fn_number: number,
        ffd,
        encrypted: false,
        reread: Reread::SameBytes,
        seed,
        clock: CLOCK,
        pace: Pace::new(40, 150),
        operator: OperatorCard::default(),
    };
    Kkt::new(&settings, &SimKeys::published()).unwrap()
}

/// Everything that waits in the register's storage.
fn drain(kkt: &mut Kkt) -> Vec<Made> {
    let fn_number = kkt.storage().number();
    let queue = std::iter::from_fn(|| kkt.storage_mut().take_front());
    queue
        .map(|made| Made {
            fn_number,
            fd: made.fd_number.get(),
            form: FormCode(made.form),
            bytes: made.document,
            sign: made.sign,
        })
        .collect()
}

/// Registration, opening of the shift and so many receipts.
fn opened(number: u64, receipts: usize) -> Vec<Made> {
    opened_in(storage(number), receipts)
}

/// The same in any storage.
fn opened_in(number: FnNumber, receipts: usize) -> Vec<Made> {
    let seed = number.as_str()[4..].parse().unwrap();
    let mut kkt = register(number, FfdVersion::V1_2, seed);
    kkt.register().unwrap();
    kkt.open_shift().unwrap();
    for _ in 0..receipts {
        kkt.sell(3).unwrap();
    }
    drain(&mut kkt)
}

/// A storage that is not for tests: it never begins again.
fn genuine(number: u64) -> FnNumber {
    format!("9280{number:012}").parse().unwrap()
}

/// All forms: two shifts with corrections and state reports, changes, the end of the storage and the next one.
fn whole_life(number: u64, ffd: FfdVersion) -> Vec<Made> {
    let mut kkt = register(storage(number), ffd, number);
    kkt.register().unwrap();
    for cause in [Cause::Address, Cause::UserName] {
        kkt.open_shift().unwrap();
        for receipt in 0..6 {
            match receipt {
                2 => kkt.refund(),
                4 => kkt.pay_out(),
                5 => kkt.refund_payout(),
                _ => kkt.sell(5),
            }
            .unwrap();
        }
        kkt.correct().unwrap();
        kkt.report_state().unwrap();
        kkt.close_shift().unwrap();
        kkt.change(cause).unwrap();
    }
    let mut made = drain(&mut kkt);
    kkt.close_fn().unwrap();
    made.extend(drain(&mut kkt));
    kkt.replace_fn(storage(number + 1), ffd, FnLife::default(), &SimKeys::published()).unwrap();
    kkt.open_shift().unwrap();
    made.extend(drain(&mut kkt));
    made
}

/// A plain simulator and a client of each port.
struct Stand {
    sim: FnsSim,
    main: Client,
    control: Client,
}

impl Stand {
    async fn new() -> Self {
        Self::with(FnsSimOptions::default()).await
    }

    async fn configured(change: fn(&mut SimConfig)) -> Self {
        let mut options = FnsSimOptions::default();
        change(&mut options.config);
        Self::with(options).await
    }

    async fn with(options: FnsSimOptions) -> Self {
        let sim = FnsSim::start(options).await.unwrap();
        let main = Client::plain(sim.address());
        let control = Client::plain(sim.control_address());
        Self { sim, main, control }
    }

    /// Sends documents as a batch with a new key.
    async fn send(&mut self, documents: &[Made]) -> Reply {
        let items: Vec<String> = documents.iter().map(|made| made.item().text()).collect();
        self.send_items(&items).await
    }

    async fn send_items(&mut self, items: &[String]) -> Reply {
        let id = new_id();
        self.main.batch(&id, &batch_of(&id, items)).await
    }

    /// Sends documents and wants all to be received.
    async fn receive(&mut self, documents: &[Made]) {
        for part in documents.chunks(100) {
            let reply = self.send(part).await;
            assert_eq!(reply.status, 202, "{reply:?}");
            for result in reply.json()["results"].as_array().unwrap() {
                assert_eq!(result["result"], "received", "{result}");
            }
        }
    }

    /// The results of sending documents: `received`, `duplicate` or the code of the refusal.
    async fn outcomes(&mut self, documents: &[Made]) -> Vec<String> {
        outcomes(&self.send(documents).await)
    }

    /// All events so far, each as `type docKey-or-rnm verdict codes`.
    async fn events(&mut self) -> Vec<String> {
        let reply = self.main.get("/v1/ofds/ofd1/events?limit=500").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["events"].as_array().unwrap().iter().map(event_line).collect()
    }

    /// The verdict of a document and its codes.
    async fn verdict(&mut self, made: &Made) -> String {
        let path = format!("/v1/ofds/ofd1/fss/{}/documents/{}", made.fn_number, made.fd);
        let reply = self.main.get(&path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let status = reply.json();
        let verdict = status["verdict"].as_str().unwrap_or("waiting").to_owned();
        verdict + &codes_line(&status["codes"])
    }

    async fn configure(&mut self, change: Value) {
        let reply = self.control.send("PUT", "/sim/config", &change.to_string()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

fn outcomes(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 202, "{reply:?}");
    let body = reply.json();
    let outcome = |result: &Value| match (result["result"].as_str().unwrap(), &result["duplicate"]) {
        ("received", Value::Bool(true)) => "duplicate".to_owned(),
        ("received", _) => "received".to_owned(),
        _ => result["code"].as_str().unwrap().to_owned(),
    };
    body["results"].as_array().unwrap().iter().map(outcome).collect()
}

fn codes_line(codes: &Value) -> String {
    codes.as_array().unwrap().iter().map(|code| format!(" {}", code["code"])).collect()
}

fn event_line(event: &Value) -> String {
    let kind = event["type"].as_str().unwrap();
    match kind {
        "ticket" => {
            let (key, verdict) = (event["docKey"].as_str().unwrap(), event["verdict"].as_str().unwrap());
            format!("{key} {verdict}{}", codes_line(&event["codes"]))
        }
        "registrationRefused" => {
            format!("{kind} {}{}", event["docKey"].as_str().unwrap(), codes_line(&event["codes"]))
        }
        _ => format!("{kind} {}", event["rnm"].as_str().or(event["applicationId"].as_str()).unwrap()),
    }
}
