//! What attacks cost honest registers: `cargo run --release -p fiscald-tests --bin attack -- [SECONDS] [ATTACK...]`.
//!
//! For each attack a daemon of its own is started from beside this program (build `fiscald` with the same profile
//! first), 32 honest registers send a receipt ten times a second each, every one over a connection of its own, and
//! their time from connecting to the checked answer is measured while the attack goes on. Attackers, registers and
//! daemon share the processors of this machine, so a part of the delay is the attackers' own work; a line without an
//! attack comes first to compare with. Nothing is asserted but that answers are right: the numbers are for people.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring program for developers: a broken assumption must stop it at once"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::random::Random;
use fiscald_tests::sockets;
use fiscald_tests::wire::{FLAGS_PLAIN, Register, Storage, container, message, tlv};

const HONEST_REGISTERS: usize = 32;
const PAUSE: Duration = Duration::from_millis(100);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const ATTACKS: [(&str, Attack); 9] = [
    ("none", nothing),
    ("10,000 idle connections", idle),
    ("1,000 slow peers", slow_peers),
    ("connection flood", connection_flood),
    ("forged signs, 8 senders", forged_signs),
    ("forged, made-up FNs and addresses", forged_everywhere),
    ("garbage, 8 senders", garbage),
    ("2,000 half-open peers", half_open),
    ("receipts of 1,500 items, 4 senders", many_items),
];

type Attack = fn(&Field);

/// Where an attack takes place.
#[derive(Clone)]
struct Field {
    daemon: SocketAddr,
    stop: Arc<AtomicBool>,
    /// Connections or messages of the attackers so far.
    blows: Arc<AtomicU64>,
}

impl Field {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn blow(&self) {
        self.blows.fetch_add(1, Ordering::Relaxed);
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        sockets::try_connect_from(ATTACKER, self.daemon)
    }

    /// Runs `sender` in so many threads until the attack is over.
    fn senders(&self, count: usize, sender: impl Fn(&Self, usize) + Send + Sync + Copy + 'static) {
        let run = |index| {
            let field = self.clone();
            std::thread::spawn(move || {
                while !field.is_over() {
                    sender(&field, index);
                }
            })
        };
        let threads: Vec<JoinHandle<()>> = (0..count).map(run).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }

    fn wait_for_the_end(&self) {
        while !self.is_over() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    let seconds =
        arguments.next_if(|text| text.parse::<u64>().is_ok()).map_or(20, |text| text.parse().unwrap());
    let wanted: Vec<String> = arguments.collect();
    let descriptors = sockets::raise_descriptor_limit();
    eprintln!("{seconds} s each, {HONEST_REGISTERS} honest registers, {descriptors} descriptors");
    println!(
        "{:<36} {:>8} {:>8} {:>8} {:>8} {:>7} {:>9} {:>9}",
        "attack", "answers", "p50 ms", "p99 ms", "max ms", "failed", "VmHWM MiB", "blows"
    );
    for (name, attack) in ATTACKS {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            measure(name, attack, Duration::from_secs(seconds));
        }
    }
}

fn measure(name: &str, attack: Attack, time: Duration) {
    let setup = Setup::new()
        .with("ingest.max_connections", "30000")
        .with("ingest.max_connections_per_ip", "20000")
        .with("log.filter", "error,fiscald=info");
    let daemon = setup.start();
    let field = Field {
        daemon: daemon.registers,
        stop: Arc::new(AtomicBool::new(false)),
        blows: Arc::new(AtomicU64::new(0)),
    };
    let attackers = {
        let field = field.clone();
        std::thread::spawn(move || attack(&field))
    };
    // Attacks by number of connections are measured when these are there.
    if name.contains("connections") || name.contains("peers") {
        let deadline = Instant::now() + Duration::from_secs(60);
        let many: f64 = if name.starts_with("10") { 10_000.0 } else { 1_000.0 };
        while daemon.metric("fiscald_connections_open", &[]) < many && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let (mut latencies, failed) = honest(&field, time);
    field.stop.store(true, Ordering::Relaxed);
    let memory_mib = daemon.peak_memory_kib() / 1024;
    attackers.join().unwrap();
    report(name, &mut latencies, failed, memory_mib, field.blows.load(Ordering::Relaxed), &daemon);
}

fn report(name: &str, latencies: &mut [Duration], failed: u64, memory_mib: u64, blows: u64, daemon: &Daemon) {
    latencies.sort_unstable();
    let at = |part: usize| latencies.get(latencies.len() * part / 1_000).map_or(f64::NAN, ms);
    let slowest = latencies.last().map_or(f64::NAN, ms);
    println!(
        "{name:<36} {:>8} {:>8.2} {:>8.2} {slowest:>8.1} {failed:>7} {memory_mib:>9} {blows:>9}",
        latencies.len(),
        at(500),
        at(990)
    );
    let panicked = daemon.log().iter().filter(|line| line.contains("panicked")).count();
    assert_eq!(panicked, 0, "{name}: {}", daemon.log().join("\n"));
}

fn ms(duration: &Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Honest registers for so long: the time of every answered document, and how many were not answered at first.
fn honest(field: &Field, time: Duration) -> (Vec<Duration>, u64) {
    let threads: Vec<_> = (0..HONEST_REGISTERS)
        .map(|index| {
            let to = field.daemon;
            std::thread::spawn(move || one_register(index, to, time))
        })
        .collect();
    let mut all = (Vec::new(), 0);
    for thread in threads {
        let (latencies, failed) = thread.join().unwrap();
        all.0.extend(latencies);
        all.1 += failed;
    }
    all
}

fn one_register(index: usize, to: SocketAddr, time: Duration) -> (Vec<Duration>, u64) {
    let storage = Storage::new(&format!("99990789{:08}", 1_000 + index));
    let (mut latencies, mut failed) = (Vec::new(), 0);
    let (mut next, mut fd_number) = (Instant::now(), 1);
    let end = next + time;
    while next < end {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let sent = storage.send(fd_number, &storage.receipt(fd_number, 100));
        let began = Instant::now();
        let answer = Register::try_connect(to, Duration::from_secs(10)).and_then(|mut register| {
            register.try_write(&sent)?;
            register.try_answer()
        });
        match answer {
            Ok(answer) => {
                assert_eq!(storage.check_answer(&answer, fd_number), 0);
                latencies.push(began.elapsed());
                fd_number += 1;
            }
            Err(_) => failed += 1,
        }
        // A register that was held up goes on from there; it does not hurry to make up for it.
        next = (next + PAUSE).max(Instant::now());
    }
    (latencies, failed)
}

fn nothing(field: &Field) {
    field.wait_for_the_end();
}

fn idle(field: &Field) {
    let mut peers = Vec::new();
    while peers.len() < 10_000 && !field.is_over() {
        peers.extend(field.connect());
        field.blow();
    }
    field.wait_for_the_end();
}

/// Peers that send a byte of a message now and then, and come again when they are shown out.
fn slow_peers(field: &Field) {
    let bytes = forged("9999078900000777", 1);
    let mut peers: Vec<(TcpStream, usize)> = Vec::new();
    while !field.is_over() {
        while peers.len() < 1_000 {
            let peer = field.connect().unwrap();
            peer.set_nonblocking(true).unwrap();
            peers.push((peer, 0));
        }
        peers.retain_mut(|(peer, sent)| {
            *sent = (*sent + 1) % bytes.len();
            field.blow();
            peer.write_all(&bytes[*sent..=*sent]).is_ok() || *sent == 0
        });
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn connection_flood(field: &Field) {
    field.senders(4, |field, _| {
        if let Ok(peer) = field.connect() {
            field.blow();
            sockets::reset(peer);
        }
    });
}

/// A receipt with a sign that is wrong and of the right shape.
fn forged(fn_number: &str, fd_number: u32) -> Vec<u8> {
    let document = Storage::new(fn_number).receipt(fd_number, 100);
    let sign = [0xD1, 6, 1, 2, 3, 4, 5, 6];
    message(fn_number, [1, 5], FLAGS_PLAIN, &container(0xA5, 3, fn_number, fd_number, &document, sign))
}

/// Sends and waits for the end; then the next one. The reset spares this machine's own ports.
fn send_and_wait(field: &Field, from: Ipv4Addr, bytes: &[u8]) {
    let Ok(mut peer) = sockets::try_connect_from(from, field.daemon) else { return };
    drop(peer.write_all(bytes));
    drop(peer.read(&mut [0; 64]));
    field.blow();
    sockets::reset(peer);
}

/// Wrong signs under the numbers of the honest registers, from one address.
fn forged_signs(field: &Field) {
    let messages: Vec<Vec<u8>> =
        (0..HONEST_REGISTERS).map(|till| forged(&format!("99990789{:08}", 1_000 + till), 1)).collect();
    let messages: &'static [Vec<u8>] = messages.leak();
    field.senders(8, move |field, index| {
        for bytes in messages.iter().skip(index) {
            send_and_wait(field, ATTACKER, bytes);
        }
    });
}

/// The same from many addresses under numbers never seen: nobody is refused unseen for long, quarantine fills.
fn forged_everywhere(field: &Field) {
    field.senders(8, |field, index| {
        let mut random = Random::announced("forged");
        while !field.is_over() {
            let bytes = forged(
                &format!("99980789{:08}", random.within(0..50_000_000) + u64::try_from(index).unwrap()),
                1,
            );
            let [low, high, ..] = random.within(1..60_000).to_le_bytes();
            send_and_wait(field, Ipv4Addr::new(127, 1, high, low), &bytes);
        }
    });
}

fn garbage(field: &Field) {
    field.senders(8, |field, _| {
        let mut random = Random::announced("garbage");
        while !field.is_over() {
            let bytes: Vec<u8> = (0..random.within(30..4_000)).map(|_| random.byte()).collect();
            send_and_wait(field, ATTACKER, &bytes);
        }
    });
}

/// Peers that send a good document and neither read its answer nor close, and peers that send half of one.
fn half_open(field: &Field) {
    let mut peers = Vec::new();
    for number in 0..2_000 {
        let storage = Storage::new(&format!("99970789{number:08}"));
        let sent = storage.send(1, &storage.receipt(1, 100));
        let bytes = if number % 2 == 0 { &sent[..] } else { &sent[..77] };
        let mut peer = field.connect().unwrap();
        drop(peer.write_all(bytes));
        peers.push(peer);
        field.blow();
    }
    field.wait_for_the_end();
}

/// Receipts close to 32 KiB with a finding for each item, right in their signs.
fn many_items(field: &Field) {
    field.senders(4, |field, index| {
        let storage = Storage::new(&format!("99960789{index:08}"));
        let item = [tlv(1030, b"x"), tlv(1079, &[1]), tlv(1023, &[0, 1])].concat();
        let records = [tlv(1209, &[2]), tlv(1059, &item).repeat(1_500)].concat();
        let mut register = Register::over(field.connect().unwrap());
        let mut fd_number = 0;
        while !field.is_over() {
            fd_number += 1;
            let document = storage.document(3, fd_number, &records);
            let answer = register.exchange(&storage.send(fd_number, &document));
            assert_ne!(storage.check_answer(&answer, fd_number), 0);
            field.blow();
        }
    });
}
