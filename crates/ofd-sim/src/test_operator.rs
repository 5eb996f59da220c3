//! A small operator for tests: real sockets, `kkt-proto`'s server, the software crypto device with the
//! published keys, and a list of ways to misbehave.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ffd::{Document, FdNumber, FnNumber, Inn};
use kkt_proto::ack::{AckFields, AckFormat, OperatorCode};
use kkt_proto::container::{self, Container, ContainerHeader, ContainerKind};
use kkt_proto::server::{Answer, Event, ServerDialogue, ServerLimits};
use pkz::{AckRequest, AckSigner, FiscalSignVerifier, Generation, RawContainer, SoftPkz};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the operator does with one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    /// The right answer, the stored one for a repeat.
    Honest,
    /// An answer with this code.
    Code(u8),
    /// No answer, the connection stays.
    Silent,
    /// No answer, the connection is closed.
    Close,
    /// ФПП with one bit changed.
    WrongSign,
    /// Right ФПП over a document 7 with a wrong ФПО.
    WrongOperatorSign,
    /// A container of the register's type.
    WrongKind,
    /// Another form code in the container header.
    WrongForm,
    /// One byte of the container damaged.
    Damaged,
    /// For the next document.
    WrongFdNumber,
    /// For another storage.
    WrongFnNumber,
    /// A repeat gets a newly sealed answer.
    SealAnew,
}

type Behaviour = dyn Fn(FdNumber, u32) -> Trick + Send + Sync;

/// A document as the operator keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The container as it came first.
    pub(crate) container: Vec<u8>,
    /// The open document.
    pub(crate) document: Vec<u8>,
    /// Times it came.
    pub(crate) times: u32,
    /// The stored answer.
    pub(crate) answer: Vec<u8>,
}

impl Kept {
    pub(crate) fn encrypted(&self) -> bool {
        !Container::decode(&self.container).unwrap().is_open()
    }
}

struct Desk {
    pkz: SoftPkz,
    behaviour: Box<Behaviour>,
    kept: Mutex<HashMap<(FnNumber, FdNumber), Kept>>,
    ivs: Mutex<crate::rng::Rng>,
}

/// A listening operator; it ends when dropped.
pub(crate) struct TestOperator {
    pub(crate) address: SocketAddr,
    desk: Arc<Desk>,
    accepting: JoinHandle<()>,
}

impl Drop for TestOperator {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl TestOperator {
    pub(crate) async fn honest() -> Self {
        Self::with(|_, _| Trick::Honest).await
    }

    /// An operator that asks `behaviour` what to do, with the document's number and how often it came before.
    pub(crate) async fn with(behaviour: impl Fn(FdNumber, u32) -> Trick + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk {
            pkz: pkz::test_keys::soft_pkz(1_800_000_000),
            behaviour: Box::new(behaviour),
            kept: Mutex::default(),
            ivs: Mutex::new(crate::rng::Rng::new(99)),
        });
        let accepting = tokio::spawn({
            let desk = Arc::clone(&desk);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let desk = Arc::clone(&desk);
                    tokio::spawn(async move { desk.serve(stream).await });
                }
            }
        });
        Self { address, desk, accepting }
    }

    /// All documents so far, in the order of ФН and ФД numbers.
    pub(crate) fn kept(&self) -> Vec<((FnNumber, FdNumber), Kept)> {
        let mut all: Vec<_> =
            self.desk.kept.lock().unwrap().iter().map(|(key, kept)| (*key, kept.clone())).collect();
        all.sort_by_key(|(key, _)| *key);
        all
    }
}

impl Desk {
    async fn serve(&self, mut stream: TcpStream) {
        let mut dialogue = ServerDialogue::new(ServerLimits::default(), Instant::now());
        let mut buffer = vec![0; 4096];
        loop {
            let Ok(count) = stream.read(&mut buffer).await else { return };
            if count == 0 {
                dialogue.peer_closed();
            } else if dialogue.receive(&buffer[..count], Instant::now()).is_err() {
                return;
            }
            while let Some(event) = dialogue.poll_event() {
                if let Event::Message { id, body, .. } = event {
                    let answer = self.answer(&body);
                    dialogue.answer(id, answer);
                }
            }
            let mut out = Vec::new();
            dialogue.poll_transmit(&mut out, Instant::now());
            if stream.write_all(&out).await.is_err() || dialogue.is_finished() {
                return;
            }
        }
    }

    fn answer(&self, body: &[u8]) -> Answer {
        let container = Container::decode(body).unwrap();
        let header = container.header;
        let outcome = self.pkz.open(&RawContainer { fn_number: header.fn_number, container });
        assert!(outcome.verdict.is_valid(), "{:?}", outcome.verdict);
        let document = outcome.document.unwrap().into_owned();
        let key = (header.fn_number, header.fd_number);
        let generation = Generation::of_message_sign(&outcome.sign);
        let mut kept = self.kept.lock().unwrap();
        let before = kept.get(&key).map_or(0, |kept| kept.times);
        let trick = (self.behaviour)(header.fd_number, before);
        let code = if let Trick::Code(code) = trick { code } else { 0 };
        let honest = self.seal(&header, generation, &document, code, outcome.was_encrypted);
        let entry = kept.entry(key).or_insert_with(|| Kept {
            container: body.to_vec(),
            document: document.clone(),
            times: 0,
            answer: honest.clone(),
        });
        entry.times += 1;
        assert_eq!(entry.document, document, "a repeat holds the same document");
        let stored = entry.answer.clone();
        match trick {
            Trick::Honest => Answer::Reply(stored),
            Trick::Code(_) | Trick::SealAnew => Answer::Reply(honest),
            Trick::Silent => Answer::Nothing,
            Trick::Close => Answer::Close,
            Trick::WrongSign => Answer::Reply(resealed(&stored, |_, sign| sign[7] ^= 1)),
            Trick::WrongKind => {
                Answer::Reply(resealed(&stored, |header, _| header.kind = ContainerKind::FROM_FN))
            }
            Trick::WrongForm => Answer::Reply(resealed(&stored, |header, _| header.form = 3)),
            Trick::Damaged => {
                let mut damaged = stored;
                damaged[40] ^= 1;
                Answer::Reply(damaged)
            }
            Trick::WrongFdNumber => {
                let next = FdNumber::new(header.fd_number.get() + 1).unwrap();
                let other = ContainerHeader { fd_number: next, ..header };
                Answer::Reply(self.seal(&other, generation, &document, 0, outcome.was_encrypted))
            }
            Trick::WrongFnNumber => {
                let fn_number = FnNumber::from_padded(b"9999000000000042").unwrap();
                let other = ContainerHeader { fn_number, ..header };
                Answer::Reply(self.seal(&other, generation, &document, 0, outcome.was_encrypted))
            }
            Trick::WrongOperatorSign => Answer::Reply(foreign_operator_sign(&stored, header.fn_number)),
        }
    }

    fn seal(
        &self,
        reply_to: &ContainerHeader,
        generation: Option<Generation>,
        document: &[u8],
        code: u8,
        encrypt: bool,
    ) -> Vec<u8> {
        let version = Document::decode(document).unwrap().version();
        let code = OperatorCode(code);
        let ofd_inn = Inn::from_padded(b"7700000009").unwrap();
        let datetime = 1_800_000_000;
        let items = AckFields {
            ofd_inn,
            fn_number: reply_to.fn_number,
            fd_number: reply_to.fd_number,
            datetime,
            code,
            format: AckFormat::for_document(Some(version), code),
        }
        .items();
        let request = AckRequest {
            fn_number: reply_to.fn_number,
            generation,
            fd_number: reply_to.fd_number,
            ofd_inn,
            datetime,
            items: &items.bytes,
            fpo_offset: items.fpo_offset,
            reply_to,
            iv: self.ivs.lock().unwrap().bytes(),
            encrypt,
        };
        self.pkz.seal(&request).unwrap().container
    }
}

/// The container with a changed header or sign, length and CRC right.
fn resealed(bytes: &[u8], change: impl FnOnce(&mut ContainerHeader, &mut [u8; 8])) -> Vec<u8> {
    let container = Container::decode(bytes).unwrap();
    let (mut header, mut sign) = (container.header, container.sign);
    change(&mut header, &mut sign);
    container::encode(&header, container.data, sign).unwrap()
}

/// An open acknowledgement whose ФПО has one bit changed and whose ФПП is right again.
fn foreign_operator_sign(bytes: &[u8], fn_number: FnNumber) -> Vec<u8> {
    let container = Container::decode(bytes).unwrap();
    assert!(container.is_open(), "this trick is for open bodies");
    let mut ack = kkt_proto::ack::Acknowledgement::decode(container.data).unwrap();
    *ack.fpo.last_mut().unwrap() ^= 1;
    let document = ack.encode().unwrap();
    let keys = crate::keys::SimKeys::published();
    let fn_keys = pkz::derive::FnKeys::derive(&fn_number, keys.message(), keys.operator()).unwrap();
    container::encode(&container.header, &document, fn_keys.fpp(&document)).unwrap()
}
