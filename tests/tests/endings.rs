//! How the daemon ends: asked to, or killed, in the middle of work. Nothing acknowledged is lost, nothing is twice.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fiscald_tests::daemon::Setup;
use fiscald_tests::wire::{Register, Storage};

const REGISTERS: usize = 16;

/// What honest registers remember: the answer to each document they ever got.
#[derive(Default)]
struct Memory {
    answers: Mutex<HashMap<(String, u32), Vec<u8>>>,
    acknowledged: AtomicUsize,
}

/// Registers that send documents one after another and repeat what was not answered, until told to stop.
struct Fleet {
    memory: Arc<Memory>,
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

/// Where each register goes on after the daemon comes back: its storage and the number of its next document.
type Positions = Arc<Mutex<HashMap<usize, u32>>>;

impl Fleet {
    fn start(daemon: std::net::SocketAddr, positions: &Positions, memory: &Arc<Memory>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..REGISTERS)
            .map(|index| {
                let (positions, memory, stop) =
                    (Arc::clone(positions), Arc::clone(memory), Arc::clone(&stop));
                std::thread::spawn(move || one_register(index, daemon, &positions, &memory, &stop))
            })
            .collect();
        Self { memory: Arc::clone(memory), stop, threads }
    }

    /// Waits until so many more documents have been acknowledged.
    fn wait_for(&self, documents: usize) {
        let target = self.memory.acknowledged.load(Ordering::SeqCst) + documents;
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.memory.acknowledged.load(Ordering::SeqCst) < target {
            assert!(Instant::now() < deadline, "the registers got too few answers in 30 s");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn one_register(
    index: usize,
    daemon: std::net::SocketAddr,
    positions: &Positions,
    memory: &Memory,
    stop: &AtomicBool,
) {
    let storage = Storage::new(&format!("99990789{index:08}"));
    let mut fd_number = positions.lock().unwrap().get(&index).copied().unwrap_or(1);
    let Ok(stream) = std::net::TcpStream::connect(daemon) else { return };
    drop(stream);
    let mut register = Register::connect(daemon);
    while !stop.load(Ordering::SeqCst) {
        let sent = storage.send(fd_number, &storage.receipt(fd_number, 100));
        if register.try_write(&sent).is_err() {
            break;
        }
        let Ok(answer) = register.try_answer() else { break };
        assert_eq!(storage.check_answer(&answer, fd_number), 0);
        let key = (storage.fn_number.clone(), fd_number);
        if let Some(before) = memory.answers.lock().unwrap().insert(key, answer.body.clone()) {
            assert_eq!(before, answer.body, "one document, two answers");
        }
        memory.acknowledged.fetch_add(1, Ordering::SeqCst);
        fd_number += 1;
        positions.lock().unwrap().insert(index, fd_number);
    }
}

/// Every answer a register remembers belongs to exactly one document of the journal, and the journal has no doubles.
fn compare(setup: &Setup, memory: &Memory) -> usize {
    let mut journal = HashMap::new();
    let mut last = 0;
    for row in setup.export() {
        let seq = row["seq"].as_i64().unwrap();
        assert!(seq > last, "the journal is in order");
        last = seq;
        let key = (row["fn"].as_str().unwrap().to_owned(), row["fd"].as_u64().unwrap() as u32);
        let raw = STANDARD.decode(row["raw"].as_str().unwrap()).unwrap();
        assert!(journal.insert(key.clone(), raw).is_none(), "{key:?} is in the journal twice");
    }
    for ((fn_number, fd_number), _) in memory.answers.lock().unwrap().iter() {
        let raw = journal
            .get(&(fn_number.clone(), *fd_number))
            .unwrap_or_else(|| panic!("{fn_number} ФД {fd_number} was acknowledged and is lost"));
        let storage = Storage::new(fn_number);
        assert_eq!(*raw, storage.wrap(*fd_number, &storage.receipt(*fd_number, 100)));
    }
    journal.len()
}

#[test]
fn ten_kills_under_load_lose_and_double_nothing() {
    let rounds: usize =
        std::env::var("FISCALD_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let setup = Setup::new();
    let positions = Positions::default();
    let memory = Arc::new(Memory::default());
    for round in 0..rounds {
        let daemon = setup.start();
        let fleet = Fleet::start(daemon.registers, &positions, &memory);
        // A different depth of work each round, so that the kill meets different moments.
        fleet.wait_for(40 + 37 * (round % 10));
        daemon.kill();
        fleet.stop();
    }
    let daemon = setup.start();
    let acknowledged = memory.answers.lock().unwrap().len();
    let kept = compare(&setup, &memory);
    eprintln!("{rounds} kills: {acknowledged} acknowledged, {kept} in the journal");
    assert!(kept <= acknowledged + rounds * REGISTERS, "at most one unanswered document a register and kill");
    // The same documents again: the stored answers, from a process that has never seen them.
    for index in 0..REGISTERS {
        let storage = Storage::new(&format!("99990789{index:08}"));
        let first = memory.answers.lock().unwrap().get(&(storage.fn_number.clone(), 1)).cloned();
        if let Some(first) = first {
            let again =
                Register::connect(daemon.registers).exchange(&storage.send(1, &storage.receipt(1, 100)));
            assert_eq!(again.body, first);
        }
    }
}

#[test]
fn a_stop_under_load_finishes_what_was_begun() {
    let setup = Setup::new();
    let positions = Positions::default();
    let memory = Arc::new(Memory::default());
    for signal in ["TERM", "INT"] {
        let mut daemon = setup.start();
        let fleet = Fleet::start(daemon.registers, &positions, &memory);
        fleet.wait_for(100);
        daemon.signal(signal);
        let status = daemon.ended();
        assert!(status.success(), "{signal}: {status}\n{}", daemon.log().join("\n"));
        fleet.stop();
    }
    let kept = compare(&setup, &memory);
    assert_eq!(
        kept,
        memory.answers.lock().unwrap().len(),
        "a graceful stop leaves no stored document unanswered"
    );
}

#[test]
fn past_the_grace_period_it_warns_and_exits_with_1() {
    let setup = Setup::new().with("ingest.shutdown_grace_s", "1");
    let mut daemon = setup.start();
    let storage = Storage::new("9999078900000017");
    let sent = storage.send(1, &storage.receipt(1, 100));
    let mut register = Register::connect(daemon.registers);
    // A whole message and half of one that never ends, in one write: when the first is answered, the daemon has the
    // half. It waits for the rest as long as the grace period allows.
    register.write(&[sent.as_slice(), &sent[..sent.len() / 2]].concat());
    register.answer();
    daemon.signal("TERM");
    assert_eq!(daemon.ended().code(), Some(1));
    assert!(daemon.log().iter().any(|line| line.contains("grace period")), "{}", daemon.log().join("\n"));
    assert_eq!(setup.export().len(), 1);
}

#[test]
fn a_second_daemon_on_the_same_port_says_so() {
    let setup = Setup::new();
    let daemon = setup.start();
    let second = Setup::new().with("ingest.listen", &daemon.registers.to_string());
    let output = second.run(&["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&daemon.registers.to_string()), "{text}");
}
