//! Point reads from another connection while the store is filled.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ffd::FdNumber;
use fiscald_benches::processes::real;
use ofd_store::Reader;
use rusqlite::Connection;

use crate::documents::{Random, fn_number};
use crate::store::url;

/// A thread that reads one document after another, at a steady pace.
pub(crate) struct Reads {
    stopping: Arc<AtomicBool>,
    /// How many documents each register has, at least.
    each: Arc<AtomicU64>,
    ask: Sender<Sender<Vec<u64>>>,
    thread: JoinHandle<()>,
}

enum Source {
    Store(Reader),
    Bare(Connection),
}

impl Reads {
    pub(crate) fn begin(folder: &Path, bare: bool, registers: usize, per_second: u64) -> Self {
        let (stopping, each) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ask, asked) = mpsc::channel::<Sender<Vec<u64>>>();
        let (stop, until, folder) = (Arc::clone(&stopping), Arc::clone(&each), folder.to_path_buf());
        let thread = std::thread::spawn(move || {
            let source = Source::open(&folder, bare);
            let mut random = Random::new(99);
            let mut taken = Vec::new();
            let mut due = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                if let Ok(answer) = asked.try_recv() {
                    answer.send(std::mem::take(&mut taken)).unwrap();
                }
                due += Duration::from_secs(1) / u32::try_from(per_second).unwrap();
                match due.checked_duration_since(Instant::now()) {
                    Some(pause) => std::thread::sleep(pause),
                    // Not to catch up in a rush: that would measure something else.
                    None => due = Instant::now(),
                }
                let each = until.load(Ordering::Relaxed);
                if each == 0 {
                    continue;
                }
                let register = usize::try_from(random.below(u64::try_from(registers).unwrap())).unwrap();
                let fd = 1 + u32::try_from(random.below(each)).unwrap();
                let began = Instant::now();
                source.read(register, fd);
                taken.push(u64::try_from(began.elapsed().as_micros()).unwrap());
            }
        });
        Self { stopping, each, ask, thread }
    }

    /// From now on documents up to this number are read; some registers may have fewer.
    pub(crate) fn each_has(&self, documents: u64) {
        self.each.store(documents, Ordering::Relaxed);
    }

    /// Percentiles 50 and 99 of what was read since the last time, microseconds, and how many that were.
    pub(crate) fn taken(&self) -> (f64, f64, usize) {
        let (answer, answered) = mpsc::channel();
        self.ask.send(answer).unwrap();
        let mut taken = answered.recv().unwrap();
        taken.sort_unstable();
        let at = |share: usize| taken.get(taken.len().saturating_sub(1) * share / 100).copied().unwrap_or(0);
        (real(at(50)), real(at(99)), taken.len())
    }

    pub(crate) fn end(self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

impl Source {
    fn open(folder: &Path, bare: bool) -> Self {
        let path: PathBuf = folder.join("store.db");
        if bare {
            Self::Bare(Connection::open(path).unwrap())
        } else {
            Self::Store(Reader::open(&url(folder)).unwrap())
        }
    }

    fn read(&self, register: usize, fd: u32) {
        let fn_number = fn_number(register);
        match self {
            Self::Store(reader) => drop(reader.document(&fn_number, FdNumber::new(fd).unwrap()).unwrap()),
            Self::Bare(connection) => {
                let mut read = connection
                    .prepare_cached("SELECT container FROM documents WHERE fn = ?1 AND fd = ?2")
                    .unwrap();
                let found: Result<Vec<u8>, _> =
                    read.query_row(rusqlite::params![fn_number.as_str(), fd], |row| row.get(0));
                drop(found);
            }
        }
    }
}
