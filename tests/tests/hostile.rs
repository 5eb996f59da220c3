//! Peers that mean harm: while each of them does its worst, honest registers are served; afterwards nothing is wrong in
//! the journal, no thread has panicked, the memory in use stayed below a bound, and nobody got an answer it does not
//! deserve.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::fleet::Fleet;
use fiscald_tests::random::{Random, asked_for};
use fiscald_tests::sockets;
use fiscald_tests::wire::{FLAGS_PLAIN, Register, Storage, container, message, tlv};

/// Where attacks come from; honest registers sit at 127.0.0.1.
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Most memory (`VmHWM`) a daemon may ever have had in use: SQLite's cache of the writer, which fills up with the journal
/// to its limit of 256 MiB, and 144 MiB for everything else, 10,000 connections included. Short runs need some 30 MiB.
const MEMORY_BOUND_MIB: u64 = 256 + 144;

/// A daemon with honest registers at work.
struct Siege {
    setup: Setup,
    daemon: Daemon,
    fleet: Fleet,
}

impl Siege {
    fn begin(settings: &[(&str, &str)]) -> Self {
        let setup = settings.iter().fold(Setup::new(), |setup, (key, value)| setup.with(key, value));
        let daemon = setup.start();
        let fleet = Fleet::start(Duration::from_secs(20));
        fleet.aim(Some(daemon.registers));
        fleet.wait_for(50);
        Self { setup, daemon, fleet }
    }

    fn connect(&self) -> TcpStream {
        sockets::connect_from(ATTACKER, self.daemon.registers)
    }

    /// A register that attacks.
    fn register(&self) -> Register {
        Register::over(self.connect())
    }

    fn count(&self, metric: &str, label: &str) -> u64 {
        whole(self.daemon.metric(metric, &[label]))
    }

    fn wait_until(&mut self, what: &str, done: impl Fn(&Daemon) -> bool) {
        self.daemon.wait_for(what, |daemon| done(daemon).then_some(()));
    }

    /// Honest registers get on.
    fn served(&self) {
        self.fleet.wait_for(50);
    }

    /// Ends the siege; `documents` of the attackers' own may be in the journal.
    fn end(self, what: &str, documents: usize) {
        self.served();
        let Self { setup, daemon, fleet } = self;
        let peak_mib = daemon.peak_memory_kib() / 1024;
        let answers = fleet.answers().len();
        eprintln!("{what}: {answers} honest documents acknowledged, peak memory {peak_mib} MiB");
        assert!(peak_mib < MEMORY_BOUND_MIB, "{what}: {peak_mib} MiB");
        let panicked: Vec<String> =
            daemon.log().into_iter().filter(|line| line.contains("panicked")).collect();
        assert!(panicked.is_empty(), "{what}: {panicked:?}");
        let compared = {
            fleet.aim(None);
            let status = daemon.stop();
            assert!(status.success(), "{what}: {status}");
            fleet.compare(&setup)
        };
        fleet.stop();
        assert!(
            compared.journal <= compared.acknowledged + documents + fiscald_tests::fleet::REGISTERS,
            "{what}: {compared:?}, and at most {documents} documents of the attackers"
        );
    }
}

/// A count as the metrics tell it.
fn whole(value: f64) -> u64 {
    value.to_string().parse().unwrap()
}

/// A receipt with a sign that is wrong and of the right shape.
fn forged(fn_number: &str, fd_number: u32) -> Vec<u8> {
    let storage = Storage::new(fn_number);
    let document = storage.receipt(fd_number, 100);
    let mut sign = storage.message_sign(&document);
    sign[7] ^= 1;
    message(fn_number, [1, 5], FLAGS_PLAIN, &container(0xA5, 3, fn_number, fd_number, &document, sign))
}

#[test]
fn forged_messages_silence_their_sender_and_no_till() {
    let siege = Siege::begin(&[]);
    let victim = Storage::new("9999078900000003");
    let (invalid, unseen) = ("reason=\"sign_invalid\"", "reason=\"pair_refused\"");
    for fd_number in 1..=5 {
        let mut forger = siege.register();
        forger.write(&forged(&victim.fn_number, fd_number));
        assert!(forger.closed_silently());
    }
    assert_eq!(siege.count("fiscald_rejects_total", invalid), 5);
    // From there not even a right one is looked at any more, and from anywhere else it is answered.
    let honest = victim.send(1, &victim.receipt(1, 100));
    let mut refused = siege.register();
    refused.write(&honest);
    assert!(refused.closed_silently());
    assert_eq!(siege.count("fiscald_rejects_total", unseen), 1);
    assert_eq!(siege.count("fiscald_abuse_refused_pairs", ""), 1);
    let elsewhere =
        Register::over(sockets::connect_from(ELSEWHERE, siege.daemon.registers)).exchange(&honest);
    assert_eq!(victim.check_answer(&elsewhere, 1), 0);

    // Every till at once, until the address itself is refused.
    for round in 0..10 {
        for till in 0..fiscald_tests::fleet::REGISTERS {
            let mut forger = siege.register();
            drop(forger.try_write(&forged(&format!("99990789{till:08}"), 1_000 + round)));
            assert!(forger.closed_silently());
        }
    }
    assert!(siege.count("fiscald_rejects_total", "reason=\"address_refused\"") > 0);
    let looked_at = siege.count("fiscald_rejects_total", invalid);
    assert!(looked_at <= 51, "{looked_at} wrong signs were looked at within a minute");
    siege.served();
    // Quarantine holds what was looked at, and no more.
    let kept = siege.setup.json(&["quarantine", "list", "--json"]);
    assert!(kept.as_array().map_or(0, Vec::len) <= usize::try_from(looked_at).unwrap(), "{kept}");
    siege.end("forged messages", 0);
}

#[test]
fn a_till_whose_address_a_forger_shares_is_served_in_the_end() {
    let siege = Siege::begin(&[]);
    // The forger sits where the honest registers sit, and takes the number of one of them.
    let shared = Ipv4Addr::LOCALHOST;
    for fd_number in 1..=100 {
        let mut forger = Register::over(sockets::connect_from(shared, siege.daemon.registers));
        drop(forger.try_write(&forged("9999078900000003", 1_000_000 + fd_number)));
        assert!(forger.closed_silently());
    }
    siege.served();
    siege.end("a forger at the address of the tills", 0);
}

#[test]
fn slow_peers_lose_their_connections() {
    let mut siege = Siege::begin(&[("ingest.message_timeout_s", "1")]);
    let whole = forged("9999078900000777", 1);
    let mut peers: Vec<TcpStream> = (0..60).map(|_| siege.connect()).collect();
    for peer in &peers {
        peer.set_nonblocking(true).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    for byte in whole.iter().cycle() {
        peers.retain_mut(|peer| {
            let written = peer.write_all(&[*byte]).is_ok();
            let ended = match peer.read(&mut [0; 64]) {
                Ok(count) => count == 0,
                Err(error) => error.kind() != ErrorKind::WouldBlock,
            };
            written && !ended
        });
        if peers.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{} slow peers are still there", peers.len());
        // The pace of the attack, not a wait for anything.
        std::thread::sleep(Duration::from_millis(50));
    }
    siege.wait_until("the count of slow peers", |daemon| {
        daemon.metric("fiscald_timeouts_total", &["kind=\"message\""]) >= 60.0
    });
    siege.end("slow peers", 0);
}

#[test]
fn a_flood_of_connections_is_refused_past_the_limit_of_its_address() {
    let mut siege = Siege::begin(&[("ingest.max_connections_per_ip", "40")]);
    let peers: Vec<TcpStream> = (0..400).map(|_| siege.connect()).collect();
    siege.wait_until("360 refusals", |daemon| {
        daemon.metric("fiscald_connections_refused_total", &["limit=\"per_address\""]) >= 360.0
    });
    assert_eq!(siege.count("fiscald_connections_refused_total", ""), 360);
    siege.served();
    let refused = peers
        .into_iter()
        .map(Register::over)
        .skip(40)
        .filter_map(|mut peer| peer.closed_silently().then_some(()));
    assert_eq!(refused.count(), 360);
    siege.end("a flood of connections", 0);
}

#[test]
fn idle_connections_make_room_for_registers() {
    let siege = Siege::begin(&[("ingest.max_connections", "60")]);
    let mut peers: Vec<TcpStream> = (0..40).map(|_| siege.connect()).collect();
    let newcomer = Storage::new("9999078900000778");
    let sent = newcomer.send(1, &newcomer.receipt(1, 100));
    // All places are taken and stay taken: whoever comes now needs the place of somebody idle.
    let deadline = Instant::now() + Duration::from_secs(30);
    while siege.count("fiscald_connections_evicted_total", "") < 20 {
        assert!(Instant::now() < deadline, "nobody has made room");
        peers.push(siege.connect());
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = loop {
        assert!(Instant::now() < deadline, "the newcomer was not served");
        let mut register = Register::connect(siege.daemon.registers);
        if register.try_write(&sent).is_ok()
            && let Ok(answer) = register.try_answer()
        {
            break answer;
        }
    };
    assert_eq!(newcomer.check_answer(&answer, 1), 0);
    siege.end("idle connections in all places", 1);
}

#[test]
fn a_byte_on_each_connection_does_not_hold_the_port_shut() {
    // Nobody who has begun a message runs out of time while this test lasts.
    let siege = Siege::begin(&[("ingest.max_connections", "60"), ("ingest.message_timeout_s", "600")]);
    let newcomer = Storage::new("9999078900000784");
    let sent = newcomer.send(1, &newcomer.receipt(1, 100));
    let mut holders = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    // Places that are free, then those of holders that came before.
    while siege.count("fiscald_connections_evicted_total", "") < 60 {
        assert!(Instant::now() < deadline, "nobody has made room");
        let mut peer = siege.connect();
        drop(peer.write_all(&sent[..1]));
        holders.push(peer);
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = loop {
        assert!(Instant::now() < deadline, "the newcomer was not served");
        let mut register = Register::connect(siege.daemon.registers);
        if register.try_write(&sent).is_ok()
            && let Ok(answer) = register.try_answer()
        {
            break answer;
        }
    };
    assert_eq!(newcomer.check_answer(&answer, 1), 0);
    // A stop would wait for their messages.
    drop(holders);
    siege.end("a byte on each connection", 1);
}

#[test]
fn half_open_peers_go() {
    let mut siege = Siege::begin(&[("ingest.idle_timeout_s", "1"), ("ingest.message_timeout_s", "1")]);
    let mut peers = Vec::new();
    for number in 0..50_u32 {
        let storage = Storage::new(&format!("99990789{:08}", 6_000 + number));
        let sent = storage.send(1, &storage.receipt(1, 100));
        // One that takes no answer and never closes, one that stops in the middle, one that says nothing at all.
        for bytes in [sent.as_slice(), &sent[..77], &[]] {
            let mut peer = siege.connect();
            peer.write_all(bytes).unwrap();
            peers.push(peer);
        }
    }
    // And some that ask without end and never read.
    let probe = message("9999078900000779", [1, 5], 0x0010, &[]);
    for _ in 0..5 {
        let mut peer = siege.connect();
        sockets::shrink_receive_buffer(&peer);
        peer.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        while peer.write_all(&probe.repeat(1_000)).is_ok() {}
        peers.push(peer);
    }
    siege.served();
    siege.wait_until("the end of half-open connections", |daemon| {
        daemon.metric("fiscald_connections_open", &[]) < 17.0
    });
    drop(peers);
    siege.end("half-open peers", 50);
}

#[test]
fn a_reset_in_the_middle_of_a_reply_costs_only_itself() {
    let siege = Siege::begin(&[]);
    let storage = Storage::new("9999078900000780");
    let sent = |fd_number| storage.send(fd_number, &storage.receipt(fd_number, 100));
    for fd_number in 1..=200 {
        let mut peer = siege.connect();
        peer.write_all(&sent(fd_number)).unwrap();
        if fd_number % 2 == 0 {
            peer.read_exact(&mut [0; 7]).unwrap();
        }
        sockets::reset(peer);
    }
    for fd_number in 1..=200 {
        let answer = Register::connect(siege.daemon.registers).exchange(&sent(fd_number));
        assert_eq!(storage.check_answer(&answer, fd_number), 0, "ФД {fd_number}");
    }
    siege.end("resets", 200);
}

#[test]
fn lies_in_length_fields_get_no_acceptance() {
    let siege = Siege::begin(&[]);
    let storage = Storage::new("9999078900000781");
    let good = storage.send(1, &storage.receipt(1, 100));
    let change = |offset: usize, value: u16| {
        let mut bytes = good.clone();
        bytes[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    // The session header, the container, the length of the document in the container.
    for (what, bytes) in [
        ("a body of 64 KiB", change(24, 0xFFFF)),
        ("a body above the limit", change(24, 33 * 1024 + 1)),
        ("a container of 64 KiB", change(30, 0xFFFF)),
        ("a container of nothing", change(30, 0)),
        ("a document of 64 KiB", change(60, 0xFFFF)),
    ] {
        let mut peer = siege.register();
        drop(peer.try_write(&bytes));
        assert!(peer.closed_silently(), "{what}");
    }
    // Lengths inside the document, under a right sign: its form header, a record, a record in a group.
    let document =
        |form_length: u16, body: &[u8]| [&3_u16.to_le_bytes(), &form_length.to_le_bytes(), body].concat();
    let lying = [&1059_u16.to_le_bytes()[..], &0xFFFF_u16.to_le_bytes(), &[1, 2, 3]].concat();
    let in_group = tlv(1059, &lying);
    let in_known = tlv(1059, &tlv(1030, &[0x41; 200])[..100]);
    let mut fd_number = 100;
    for (what, document) in [
        ("a form of 64 KiB", document(0xFFFF, &tlv(1009, b"x"))),
        ("a form of nothing", document(0, &tlv(1009, b"x"))),
        ("a record of 64 KiB", document(7, &lying)),
        ("a record of 64 KiB in a group", document(u16::try_from(in_group.len()).unwrap(), &in_group)),
        ("a record cut off in a group", document(u16::try_from(in_known.len()).unwrap(), &in_known)),
    ] {
        fd_number += 1;
        // The device may see the lie before the reader of documents does; then it is no document at all.
        let mut peer = siege.register();
        peer.write(&storage.send(fd_number, &document));
        match peer.try_answer() {
            Ok(answer) => assert_eq!(storage.check_answer(&answer, fd_number), 11, "{what}"),
            Err(error) => eprintln!("{what}: silence ({error})"),
        }
    }
    siege.end("lies in length fields", 5);
}

#[test]
fn documents_of_absurd_shape_are_refused_and_harm_nobody() {
    let siege = Siege::begin(&[]);
    let storage = Storage::new("9999078900000782");
    let mut register = siege.register();
    let mut code_of = |fd_number: u32, document: Vec<u8>| {
        let answer = register.exchange(&storage.send(fd_number, &document));
        storage.check_answer(&answer, fd_number)
    };
    // Groups are read eight deep; deeper ones no register sends, and the document counts as unreadable.
    let nested = |depth: usize| (0..depth).fold(tlv(1030, b"x"), |inner, _| tlv(1059, &inner));
    for (fd_number, depth, expected) in
        [(1, 1, 14), (2, 8, 14), (3, 9, 11), (4, 16, 11), (5, 100, 11), (6, 7_000, 11)]
    {
        let document = storage.document(3, fd_number, &[tlv(1209, &[2]), nested(depth)].concat());
        assert_eq!(code_of(fd_number, document), expected, "{depth} levels");
    }
    // A receipt of 1,500 items close to 32 KiB. They say too little of themselves: a finding for each.
    let mut item = tlv(1030, b"x");
    item.extend(tlv(1079, &[1]));
    item.extend(tlv(1023, &[0, 1]));
    let items = tlv(1059, &item).repeat(1_500);
    for fd_number in 11..=30 {
        let mut records = items.clone();
        records.extend(tlv(1209, &[2]));
        records.extend(tlv(1020, &1_500_u16.to_le_bytes()));
        let document = storage.document(3, fd_number, &records);
        assert!((29_000..=32_768).contains(&document.len()), "{} bytes", document.len());
        assert_eq!(code_of(fd_number, document), 14);
    }
    // As many records as fit, of no known tag and of no bytes.
    let document = storage.document(3, 31, &[tlv(1209, &[2]), tlv(65_000, &[]).repeat(8_000)].concat());
    assert_eq!(code_of(31, document), 14);
    siege.served();
    siege.end("documents of absurd shape", 27);
}

#[test]
fn garbage_is_closed_without_a_word() {
    let siege = Siege::begin(&[]);
    let mut random = Random::announced("garbage");
    let good = forged("9999078900000783", 1);
    let mut answered = 0;
    for _ in 0..asked_for("FISCALD_TEST_GARBAGE", 300) {
        let mut bytes = good.clone();
        match random.within(0..3) {
            0 => bytes = (0..random.within(1..4_000)).map(|_| random.byte()).collect(),
            1 => {
                for _ in 0..random.within(1..20) {
                    let place = usize::try_from(random.draw()).unwrap() % bytes.len();
                    bytes[place] = random.byte();
                }
            }
            _ => {
                let keep = usize::try_from(random.within(0..30)).unwrap();
                bytes = [&good[..keep], &(0..200).map(|_| random.byte()).collect::<Vec<u8>>()].concat();
            }
        }
        let mut peer = siege.register();
        drop(peer.try_write(&bytes));
        drop(peer.try_write(&[]));
        // What is short of a message is waited for: we end our side.
        let stream = peer.into_stream();
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut rest = Vec::new();
        drop(Register::over(stream).into_stream().read_to_end(&mut rest));
        answered += rest.len();
    }
    assert_eq!(answered, 0, "garbage was answered");
    siege.end("garbage", 0);
}

/// The long form holds 10,000: `FISCALD_TEST_IDLE=10000`.
#[test]
fn thousands_of_idle_connections_cost_little() {
    let idle = asked_for("FISCALD_TEST_IDLE", 500);
    let descriptors = sockets::raise_descriptor_limit();
    assert!(descriptors > idle + 200, "this process may open {descriptors} descriptors only");
    let siege =
        Siege::begin(&[("ingest.max_connections", "20000"), ("ingest.max_connections_per_ip", "15000")]);
    let before_kib = siege.daemon.peak_memory_kib();
    let peers: Vec<TcpStream> = (0..idle).map(|_| siege.connect()).collect();
    let open = || whole(siege.daemon.metric("fiscald_connections_open", &[]));
    let deadline = Instant::now() + Duration::from_secs(60);
    while open() < idle {
        assert!(Instant::now() < deadline, "{} connections are open", open());
        std::thread::sleep(Duration::from_millis(10));
    }
    siege.served();
    let grown_kib = siege.daemon.peak_memory_kib() - before_kib;
    eprintln!("{idle} idle connections: {grown_kib} KiB more, {} KiB each", grown_kib / idle);
    assert!(grown_kib / idle < 40, "{grown_kib} KiB for {idle} connections");
    drop(peers);
    siege.end("idle connections", 0);
}
