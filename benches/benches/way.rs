//! The whole way of one document inside the process, but for socket, store and metrics: bytes of a message in, bytes of its
//! answer out. A receipt of five items of ФФД 1.2 in the open, signs checked and made, keys cached.
//!
//! No criterion here, so that the loop is all there is for an instruction counter:
//!
//! `valgrind --tool=callgrind --toggle-collect='*way::one_document*' PROGRAM --count 2000`
//!
//! Without one it prints the time of each step; the steps are run one by one, so their sum is more than the whole.

#![expect(clippy::print_stdout, reason = "its result")]

use std::env::args;
use std::hint::black_box;
use std::time::{Duration, Instant};

use ffd::check::{RegisterState, Severities, check};
use ffd::{Document, FdNumber, FnNumber, Inn};
use fiscald_benches::good::{FN_NUMBER, around, receipt, register};
use fiscald_benches::{Exchange, NOW_UNIX, RECEIVED_AT};
use kkt_proto::ack::{AckFields, AckFormat, OperatorCode};
use kkt_proto::container::Container;
use kkt_proto::header::{CrcMode, Header, PVersion};
use kkt_proto::server::{Answer, Event, ServerDialogue, ServerLimits};
use ofd_ingest::derived;
use pkz::derive::message_iv;
use pkz::{AckRequest, AckSigner, FiscalSignVerifier, Generation, RawContainer, SoftPkz, test_keys};

const ROUNDS: usize = 20;

struct Bench {
    dialogue: ServerDialogue,
    device: SoftPkz,
    severities: Severities,
    before: RegisterState,
    message: Vec<u8>,
    out: Vec<u8>,
    began: Instant,
}

impl Bench {
    fn new() -> Self {
        let fn_number = FnNumber::from_padded(FN_NUMBER).expect("sixteen digits");
        let fd_number = FdNumber::new(3).expect("3 is an ФД number");
        let exchange = Exchange::of(fn_number, fd_number, &receipt(5), false);
        let body = exchange.bytes();
        let header = Header::for_message(fn_number, PVersion::FFD_1_2, CrcMode::HeaderAndBody, body);
        let mut message = header.expect("a receipt fits").encode().to_vec();
        message.extend_from_slice(body);
        let began = Instant::now();
        Self {
            dialogue: ServerDialogue::new(ServerLimits::default(), began),
            device: test_keys::soft_pkz(NOW_UNIX),
            severities: Severities::default(),
            before: register(),
            message,
            out: Vec::new(),
            began,
        }
    }

    fn receive(&mut self) -> Event {
        self.dialogue.receive(black_box(&self.message), self.began).expect("the message is whole");
        self.dialogue.poll_event().expect("one message")
    }

    fn answer(&mut self, event: &Event, acknowledgement: Vec<u8>) -> usize {
        let Event::Message { id, .. } = event else { return 0 };
        self.dialogue.answer(*id, Answer::Reply(acknowledgement));
        self.out.clear();
        self.dialogue.poll_transmit(&mut self.out, self.began)
    }

    fn seal(&self, container: &Container<'_>, tree: &Document<'_>) -> Vec<u8> {
        let header = &container.header;
        let ofd_inn = Inn::from_padded(b"7704358518").expect("ten digits");
        let items = AckFields {
            ofd_inn,
            fn_number: header.fn_number,
            fd_number: header.fd_number,
            datetime: RECEIVED_AT,
            code: OperatorCode::ACCEPTED,
            format: AckFormat::for_document(Some(tree.version()), OperatorCode::ACCEPTED),
        }
        .items();
        let request = AckRequest {
            fn_number: header.fn_number,
            generation: Generation::of_message_sign(&container.sign),
            fd_number: header.fd_number,
            ofd_inn,
            datetime: RECEIVED_AT,
            items: &items.bytes,
            fpo_offset: items.fpo_offset,
            reply_to: header,
            iv: message_iv([1, 2, 3, 4, 5], header.fd_number),
            encrypt: false,
        };
        self.device.seal(&request).expect("the keys are there").container
    }
}

/// Not inlined: instruction counters find it by its name.
#[inline(never)]
fn one_document(bench: &mut Bench) -> usize {
    let event = bench.receive();
    let Event::Message { header, body, .. } = &event else { return 0 };
    let container = Container::decode(body).expect("whole");
    let raw = RawContainer { fn_number: header.fn_number, container };
    let opened = bench.device.open(&raw);
    assert!(opened.verdict.is_valid(), "what is measured has to work");
    let document = opened.document.as_deref().unwrap_or_default();
    let tree = Document::decode(document).expect("a receipt");
    let findings = check(&tree, &around(&bench.before), &bench.severities);
    assert!(findings.is_empty(), "a good receipt");
    let mut register = bench.before.clone();
    register.apply(&tree);
    black_box((derived::identity(document), register.last_fd()));
    let acknowledgement = bench.seal(&container, &tree);
    bench.answer(&event, acknowledgement)
}

/// Least time of a step in some rounds, divided by its repetitions.
fn least(count: usize, mut step: impl FnMut()) -> f64 {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..count {
            step();
        }
        least = least.min(began.elapsed());
    }
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    least.as_secs_f64() * 1e6 / f64::from(count)
}

fn steps(count: usize) {
    let mut bench = Bench::new();
    let print = |name: &str, us: f64| println!("{name:<28} {us:>8.3} us");
    println!("message of {} bytes", bench.message.len());
    print("whole", least(count, || assert_eq!(one_document(&mut bench), 1)));
    let event = bench.receive();
    let Event::Message { body, header, .. } = &event else { return };
    let container = Container::decode(body).expect("whole");
    let raw = RawContainer { fn_number: header.fn_number, container };
    let tree = Document::decode(container.data).expect("a receipt");
    let around = around(&bench.before);
    print("container", least(count, || assert!(Container::decode(black_box(body)).is_ok())));
    print("sign checked", least(count, || assert!(bench.device.open(black_box(&raw)).verdict.is_valid())));
    print("tree", least(count, || assert!(Document::decode(black_box(container.data)).is_ok())));
    print("checks", least(count, || assert!(check(&tree, black_box(&around), &bench.severities).is_empty())));
    print("register moved on", {
        least(count, || {
            let mut register = bench.before.clone();
            register.apply(black_box(&tree));
            assert_eq!(register.last_fd(), Some(3));
        })
    });
    print(
        "identity (SHA-256)",
        least(count, || {
            black_box(derived::identity(black_box(container.data)));
        }),
    );
    print("acknowledgement sealed", least(count, || assert!(!bench.seal(&container, &tree).is_empty())));
    let acknowledgement = bench.seal(&container, &tree);
    assert_eq!(bench.answer(&event, acknowledgement), 1);
    print("framed and answered", {
        least(count, || {
            let event = bench.receive();
            assert_eq!(bench.answer(&event, Vec::new()), 1);
        })
    });
}

fn main() {
    let mut arguments = args().skip_while(|argument| argument != "--count").skip(1);
    match arguments.next().and_then(|count| count.parse::<usize>().ok()) {
        Some(count) => {
            let mut bench = Bench::new();
            let answered: usize = (0..count).map(|_| one_document(&mut bench)).sum();
            println!("{answered} answered");
        }
        None => steps(2_000),
    }
}
