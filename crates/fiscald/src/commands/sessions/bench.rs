//! A store in a folder of its own, and a terminal before it.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use clap::Parser;
use ffd::document::Document;
use jiff::Timestamp;
use kkt_proto::container::Container;
use ofd_fns::RegistrationConfig;
use ofd_fns::registration::follower::follow;
use ofd_store::{
    AppendOutcome, Forward, NewDocument, RegisterReport, Registry, SignRecord, Store, StoreConfig,
};
use sha2::{Digest, Sha256};

use crate::cli::Cli;
use crate::commands::output::Output;
use crate::commands::run_into;

/// What a command wrote, and how it ended.
pub(super) struct Said {
    pub(super) text: String,
    /// `0`, `1`, or the error.
    pub(super) end: String,
}

/// The engine of the store that a session works on: whatever it is, people read the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Sqlite,
    Postgres,
}

pub(super) struct Bench {
    folder: tempfile::TempDir,
    pub(super) url: String,
}

/// Makes of functions that take an engine one test for each engine.
macro_rules! sessions {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name($crate::commands::sessions::On::Sqlite); })+
        }
        mod postgres {
            $(#[test] fn $name() { super::$name($crate::commands::sessions::On::Postgres); })+
        }
    };
}
pub(super) use sessions;

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl io::Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Bench {
    /// An empty store, periods by default.
    pub(super) fn new(on: On) -> Self {
        let bench = Self::without_store(on);
        drop(Store::open(&StoreConfig { url: bench.url.clone(), ..StoreConfig::default() }).unwrap());
        bench
    }

    /// A place for a store.
    pub(super) fn without_store(on: On) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match on {
            On::Sqlite => format!("sqlite:{}", folder.path().join("fiscald.db").display()),
            On::Postgres => {
                let cluster = pg_testing::shared_without_sync();
                cluster.url(&cluster.create_database())
            }
        };
        let config =
            format!("[operator]\ninn = \"7704358518\"\nname = \"ООО Оператор\"\n[store]\nurl = \"{url}\"\n");
        std::fs::write(folder.path().join("fiscald.toml"), config).unwrap();
        Self { folder, url }
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.folder.path().join(name), content).unwrap();
        self.path(name)
    }

    /// Runs a command; words of it may stand in single quotes.
    pub(super) fn run(&self, line: &str) -> Said {
        let config = self.path("fiscald.toml");
        let words = line.split('\'').enumerate().flat_map(|(position, part)| {
            if position % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
        });
        let words = ["fiscald"].into_iter().chain(words).chain(["--config", &config]);
        let cli = Cli::try_parse_from(words).unwrap();
        let screen = Screen::default();
        let mut out = Output::to(Box::new(screen.clone()));
        let end = match run_into(cli.command, &mut out) {
            Ok(code) if format!("{code:?}").contains("(0)") => "0".to_owned(),
            Ok(_) => "1".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        out.finish().unwrap();
        let bytes = screen.0.lock().unwrap().clone();
        Said { text: String::from_utf8(bytes).unwrap(), end }
    }

    pub(super) fn json(&self, line: &str) -> serde_json::Value {
        let said = self.run(&format!("{line} --json"));
        serde_json::from_str(&said.text).unwrap_or_else(|_| panic!("{line}: {} {}", said.text, said.end))
    }

    /// A session as a person would see it, without what differs from run to run.
    pub(super) fn session(&self, lines: &[&str]) -> String {
        let mut session = String::new();
        for line in lines {
            let said = self.run(line);
            writeln!(session, "$ fiscald {line}").unwrap();
            session += &said.text;
            if said.end != "0" {
                writeln!(session, "=> {}", said.end).unwrap();
            }
            session += "\n";
        }
        let session = session.replace(&self.path("fiscald.db"), "STORE").replace(&self.url, "STORE");
        steady(&places(&session.replace(&self.path(""), "FOLDER/")))
    }

    /// A captured report comes to the journal, acknowledged with 0, and is followed. Its position.
    pub(super) fn receive(&self, capture: &str) -> i64 {
        let seq = self.append(capture);
        let mut registry = Registry::open(&self.url).unwrap();
        follow(&mut registry, None, &RegistrationConfig::default(), Timestamp::now()).unwrap();
        seq
    }

    /// The same, and nobody has followed it yet.
    pub(super) fn append(&self, capture: &str) -> i64 {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/captures");
        let container = std::fs::read(folder.join(format!("{capture}.bin"))).unwrap().split_off(30);
        let taken = Container::decode(&container).unwrap();
        let derived = ofd_ingest::derived::derived(&Document::decode(taken.data).unwrap());
        let document = NewDocument {
            fn_number: taken.header.fn_number,
            fd_number: taken.header.fd_number,
            form: 11,
            received_at: Timestamp::now(),
            peer: None,
            opened: None,
            identity: Sha256::digest(taken.data).into(),
            acknowledgement: vec![0; 60],
            code: 0,
            sign: SignRecord { verdict: "disabled", scheme: None, generation: None },
            forward: Forward::Yes,
            flk_mark: false,
            sign_mark: false,
            fn_changed_mark: false,
            after_deregistration_mark: false,
            findings: Vec::new(),
            task: None,
            register: Some(RegisterReport {
                rnm: derived.rnm.clone(),
                kkt_serial: derived.kkt_serial.clone(),
                inn: derived.user_inn.clone(),
            }),
            derived,
            container: container.clone(),
        };
        let store = Store::open(&StoreConfig { url: self.url.clone(), ..StoreConfig::default() }).unwrap();
        let journal = store.journal();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcome = runtime.block_on(async { journal.append(document).await.unwrap().await.unwrap() });
        let AppendOutcome::Appended { seq } = outcome else { panic!("{outcome:?}") };
        seq
    }
}

/// With the numbers of documents in the journal instead of positions of PostgreSQL, which begin with the month. In these
/// sessions there is no gap between them.
fn places(text: &str) -> String {
    let is_position =
        |word: &str| word.len() == 16 && word.starts_with("20") && word.get(6..12) == Some("000000");
    let is_no_digit = |sign: char| !sign.is_ascii_digit();
    let mut words: Vec<&str> = text.split(is_no_digit).filter(|word| is_position(word)).collect();
    words.sort_unstable();
    words.dedup();
    let first = words.first().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
    // The first position of a month ends with 1, wherever the store begins.
    let base = first - first % 1_000_000;
    words.iter().fold(text.to_owned(), |text, word| {
        text.replace(word, &(word.parse::<u64>().unwrap() - base).to_string())
    })
}

/// Without moments, and without the widths of columns that follow from them.
fn steady(text: &str) -> String {
    let is_time = |word: &str| word.len() > 19 && word.ends_with('Z') && word.parse::<Timestamp>().is_ok();
    let mut steady = String::new();
    for line in text.lines() {
        let words = line.split_inclusive(' ').map(|word| {
            let bare = word.trim_matches([' ', ',', ':', ';', ')', '(']);
            if is_time(bare) { word.replace(bare, "TIME") } else { word.to_owned() }
        });
        let words: String = words.collect();
        let mut shortened = words.trim().to_owned();
        while shortened.contains("   ") {
            shortened = shortened.replace("   ", "  ");
        }
        if line.starts_with(' ') {
            steady += "  ";
        }
        steady += &shortened;
        steady += "\n";
    }
    steady
}
