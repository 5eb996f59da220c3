//! Honest registers that never give up: they repeat what was not answered, remember every answer they got, and can
//! tell afterwards whether the journal kept its word.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::daemon::Setup;
use crate::wire::{Register, Storage};

/// How many registers a fleet has.
pub const REGISTERS: usize = 16;
/// One document in so many is an old one again.
const OLD_ONES: u32 = 16;
/// Kopecks of every receipt.
const TOTAL: u16 = 100;

/// Registers at work. They outlive the daemon: [`Fleet::aim`] tells them where it is now.
pub struct Fleet {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    to: Mutex<Option<SocketAddr>>,
    /// The answer to each document a register ever got, whole containers.
    answers: Mutex<HashMap<(String, u32), Vec<u8>>>,
    /// Answers so far, repeats included.
    answered: AtomicUsize,
    /// Registers between looking where the operator is and remembering its answer.
    at_work: AtomicUsize,
    stop: AtomicBool,
    patience: Duration,
}

/// What [`Fleet::compare`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Documents the registers hold an answer for.
    pub acknowledged: usize,
    /// Documents in the journal.
    pub journal: usize,
}

impl Fleet {
    /// Registers without an operator yet; each waits for an answer as long as `patience` says, then connects anew.
    pub fn start(patience: Duration) -> Self {
        let shared = Arc::new(Shared {
            to: Mutex::new(None),
            answers: Mutex::default(),
            answered: AtomicUsize::new(0),
            at_work: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            patience,
        });
        let threads = (0..REGISTERS)
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.live(&storage(index)))
            })
            .collect();
        Self { shared, threads }
    }

    /// Where the registers connect from now on; nowhere with `None`.
    pub fn aim(&self, to: Option<SocketAddr>) {
        *self.shared.to.lock().unwrap() = to;
    }

    /// Lets every register finish the exchange it is in, and begin no other until [`Fleet::aim`].
    pub fn rest(&self) {
        self.aim(None);
        let deadline = Instant::now() + 2 * self.shared.patience + Duration::from_secs(20);
        while self.shared.at_work.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < deadline, "a register is still waiting");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Answers so far, repeats included.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Counts answers from another thread, as [`Fleet::answered`] does.
    pub fn counter(&self) -> impl Fn() -> usize + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.answered.load(Ordering::SeqCst)
    }

    /// Waits until so many more answers have come.
    pub fn wait_for(&self, more: usize) {
        let target = self.answered() + more;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.answered() < target {
            self.complain();
            assert!(Instant::now() < deadline, "the registers got too few answers in 60 s");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The documents somebody holds an answer for, with it.
    pub fn answers(&self) -> HashMap<(String, u32), Vec<u8>> {
        self.shared.answers.lock().unwrap().clone()
    }

    /// Compares memory and journal: every remembered answer belongs to exactly one row of the journal, which holds the
    /// very container that was sent, and nothing is there twice.
    pub fn compare(&self, setup: &Setup) -> Kept {
        self.complain();
        // Before the journal is read: an answer that comes while it is read belongs to a row that may not be in it.
        let answers = self.answers();
        let mut journal = HashMap::new();
        let mut last = 0;
        for row in setup.export() {
            let seq = row["seq"].as_i64().unwrap();
            assert!(seq > last, "the journal is in order");
            last = seq;
            let fd_number = u32::try_from(row["fd"].as_u64().unwrap()).unwrap();
            let key = (row["fn"].as_str().unwrap().to_owned(), fd_number);
            let raw = STANDARD.decode(row["raw"].as_str().unwrap()).unwrap();
            assert!(journal.insert(key.clone(), raw).is_none(), "{key:?} is in the journal twice");
        }
        let mut storages = HashMap::new();
        for (fn_number, fd_number) in answers.keys() {
            let raw = journal
                .get(&(fn_number.clone(), *fd_number))
                .unwrap_or_else(|| panic!("{fn_number} ФД {fd_number} was acknowledged and is lost"));
            let storage = storages.entry(fn_number).or_insert_with(|| Storage::new(fn_number));
            assert_eq!(*raw, storage.wrap(*fd_number, &storage.receipt(*fd_number, TOTAL)));
        }
        Kept { acknowledged: answers.len(), journal: journal.len() }
    }

    /// Sends a remembered document once more; `None` when there is no answer within the patience.
    pub fn again(&self, to: SocketAddr, fn_number: &str, fd_number: u32) -> Option<Vec<u8>> {
        let storage = Storage::new(fn_number);
        self.shared.exchange(&mut None, to, &storage, fd_number)
    }

    /// Ends the registers; fails if one of them met a wrong answer.
    pub fn stop(mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }

    /// A register ends early only because it met a wrong answer: its words are on stderr.
    fn complain(&self) {
        assert!(
            !self.threads.iter().any(JoinHandle::is_finished),
            "a register met a wrong answer, see above"
        );
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn live(&self, storage: &Storage) {
        let mut connection = None;
        let mut next = 1;
        let mut turn = 0_u32;
        while !self.stop.load(Ordering::SeqCst) {
            turn = turn.wrapping_add(1);
            let asked = if turn.is_multiple_of(OLD_ONES) && next > 1 {
                1 + turn / OLD_ONES % (next - 1)
            } else {
                next
            };
            self.at_work.fetch_add(1, Ordering::SeqCst);
            let answered = self.turn(&mut connection, storage, asked);
            self.at_work.fetch_sub(1, Ordering::SeqCst);
            if answered {
                next = next.max(asked + 1);
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// One document, wherever the operator is now; whether it was answered.
    fn turn(
        &self,
        connection: &mut Option<(SocketAddr, Register)>,
        storage: &Storage,
        fd_number: u32,
    ) -> bool {
        let Some(to) = *self.to.lock().unwrap() else {
            *connection = None;
            return false;
        };
        let Some(body) = self.exchange(connection, to, storage, fd_number) else { return false };
        let key = (storage.fn_number.clone(), fd_number);
        let before = self.answers.lock().unwrap().insert(key, body.clone());
        if let Some(before) = before {
            assert_eq!(before, body, "{} ФД {fd_number}: one document, two answers", storage.fn_number);
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// One document and its checked answer; the connection is given up when there is none.
    fn exchange(
        &self,
        connection: &mut Option<(SocketAddr, Register)>,
        to: SocketAddr,
        storage: &Storage,
        fd_number: u32,
    ) -> Option<Vec<u8>> {
        if connection.as_ref().is_none_or(|(there, _)| *there != to) {
            *connection = Some((to, Register::try_connect(to, self.patience).ok()?));
        }
        let (_, register) = connection.as_mut()?;
        let sent = storage.send(fd_number, &storage.receipt(fd_number, TOTAL));
        match register.try_write(&sent).and_then(|()| register.try_answer()) {
            Ok(answer) => {
                assert_eq!(storage.check_answer(&answer, fd_number), 0, "ФД {fd_number}");
                Some(answer.body)
            }
            Err(_) => {
                *connection = None;
                None
            }
        }
    }
}

/// Every second one a debug ФН, whose documents the store judges one by one; the others as they are in service.
fn storage(index: usize) -> Storage {
    let family = if index.is_multiple_of(2) { "99990789" } else { "92809100" };
    Storage::new(&format!("{family}{index:08}"))
}
