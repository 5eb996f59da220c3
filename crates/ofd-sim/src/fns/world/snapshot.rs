//! The snapshot: everything the tax service knows, a JSON object a line, written aside and renamed.
//!
//! The first line says what the file is. Lines are written and read one by one, so that a million documents need no
//! second copy of themselves.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use ffd::{FdNumber, FnNumber, FormCode};
use serde::{Deserialize, Serialize};

use super::applications::ApplicationEntry;
use super::documents::{Doc, DocIndex};
use super::feed::{Event, Feed, OtherEvent};
use super::registry::Kkt;
use super::{Action, Counts, World};
use crate::fns::codes::{Codes, Verdict};
use crate::fns::config::SimConfig;
use crate::fns::door::DocKey;

/// Version of the file.
const VERSION: u32 = 1;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    FnsSim(Header),
    Doc(DocLine),
    Kkt(Box<Kkt>),
    Application(Box<ApplicationEntry>),
    ApplicationKey(String, usize),
    Ticket(i64, DocIndex, Verdict, Vec<u16>),
    Event(i64, Box<OtherEvent>),
    Planned(String, Vec<u16>),
    Key(String, String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    version: u32,
    forgotten_events: u64,
    tickets_before: u64,
    issued: u64,
    cards: u64,
    counts: Counts,
}

/// A document; short names, there are many.
#[derive(Debug, Serialize, Deserialize)]
struct DocLine {
    f: FnNumber,
    d: FdNumber,
    form: u16,
    chain: u16,
    sha: String,
    sign: u64,
    fpd: u32,
    rnm: String,
    inn: String,
    time: u32,
    at: i64,
    judged: i64,
    own: Vec<u16>,
    codes: Vec<u16>,
    verdict: Option<Verdict>,
    times: u32,
    /// Whether it can be found by its name.
    named: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl World {
    /// Writes everything to `path`, all or nothing.
    pub(in crate::fns) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let beside = path.with_extension("new");
        self.write(&beside).with_context(|| format!("writing {}", beside.display()))?;
        fs::rename(&beside, path).with_context(|| format!("renaming to {}", path.display()))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).context("making the new name durable")
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        let (forgotten_events, events) = self.feed.parts();
        let mut put = |line: &Line| -> anyhow::Result<()> {
            serde_json::to_writer(&mut file, line)?;
            Ok(file.write_all(b"\n")?)
        };
        put(&Line::FnsSim(Header {
            version: VERSION,
            forgotten_events,
            tickets_before: self.tickets_before,
            issued: self.registry.issued,
            cards: self.registry.cards,
            counts: self.counts.clone(),
        }))?;
        for (index, doc) in self.documents.from(0) {
            put(&Line::Doc(self.doc_line(index, doc)))?;
        }
        for kkt in self.kkts() {
            put(&Line::Kkt(Box::new(kkt.clone())))?;
        }
        for entry in self.applications() {
            put(&Line::Application(Box::new(entry.clone())))?;
        }
        for (key, place) in &self.application_keys {
            put(&Line::ApplicationKey(key.clone(), *place))?;
        }
        for stamped in events {
            put(&match &stamped.event {
                Event::Ticket { doc, verdict, codes } => {
                    Line::Ticket(stamped.at, *doc, *verdict, codes.numbers())
                }
                Event::Other(event) => Line::Event(stamped.at, event.clone()),
            })?;
        }
        for (key, codes) in &self.planned {
            put(&Line::Planned(key.to_string(), codes.numbers()))?;
        }
        for key in &self.key_order {
            let content = self.keys.get(key).map(hex::encode).unwrap_or_default();
            put(&Line::Key(key.to_string(), content))?;
        }
        file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        Ok(())
    }

    fn doc_line(&self, index: DocIndex, doc: &Doc) -> DocLine {
        DocLine {
            f: doc.fn_number,
            d: doc.fd_number,
            form: doc.form.0,
            chain: doc.chain,
            sha: hex::encode(doc.sha256),
            sign: doc.message_sign,
            fpd: doc.fiscal_sign,
            rnm: self.words.text(doc.rnm).to_owned(),
            inn: self.words.text(doc.inn).to_owned(),
            time: doc.date_time,
            at: doc.received_at,
            judged: doc.judged_at,
            own: doc.own.numbers(),
            codes: doc.codes.numbers(),
            verdict: doc.verdict,
            times: doc.times,
            named: !doc.own.numbers().contains(&912),
            body: self.documents.body(index).map(str::to_owned),
        }
    }

    /// Reads a file that [`World::save`] wrote. What was to be done is done anew: waiting verdicts at once, waiting
    /// cards after their delay.
    pub(in crate::fns) fn load(path: &Path, config: SimConfig, seed: u64, now: i64) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let mut world = Self::new(config, seed);
        for (number, line) in (1..).zip(BufReader::new(file).lines()) {
            let place = || format!("{}, line {number}", path.display());
            let line = line.with_context(place)?;
            let line: Line = serde_json::from_str(&line).with_context(place)?;
            if (number == 1) != matches!(line, Line::FnsSim(_)) {
                bail!("{}: not a snapshot of fns-sim", place());
            }
            world.read_line(line).with_context(place)?;
        }
        world.begin_again(now);
        Ok(world)
    }

    fn read_line(&mut self, line: Line) -> anyhow::Result<()> {
        let codes = |numbers: &[u16]| {
            Codes::from_numbers(numbers).map_err(|unknown| anyhow::anyhow!("unknown code {unknown}"))
        };
        match line {
            Line::FnsSim(header) => {
                if header.version != VERSION {
                    bail!("version {} of the snapshot, this program reads {VERSION}", header.version);
                }
                self.feed = Feed::starting_after(header.forgotten_events);
                self.tickets_before = header.tickets_before;
                self.registry.issued = header.issued;
                self.registry.cards = header.cards;
                self.counts = header.counts;
            }
            Line::Doc(line) => self.read_doc(line)?,
            Line::Kkt(kkt) => self.add_kkt(*kkt),
            Line::Application(entry) => self.restore_application(*entry),
            Line::ApplicationKey(key, place) => {
                self.application_keys.insert(key, place);
            }
            Line::Ticket(at, doc, verdict, numbers) => {
                self.feed.push(at, Event::Ticket { doc, verdict, codes: codes(&numbers)? });
            }
            Line::Event(at, event) => self.feed.push(at, Event::Other(event)),
            Line::Planned(key, numbers) => {
                let key = DocKey::parse(&key).context("the name of a document")?;
                self.planned.insert(key, codes(&numbers)?);
            }
            Line::Key(key, content) => {
                let mut hash = [0; 32];
                hex::decode_to_slice(content, &mut hash)?;
                self.use_key(&key, hash);
            }
        }
        Ok(())
    }

    fn read_doc(&mut self, line: DocLine) -> anyhow::Result<()> {
        let codes = |numbers: &[u16]| {
            Codes::from_numbers(numbers).map_err(|unknown| anyhow::anyhow!("unknown code {unknown}"))
        };
        let mut sha256 = [0; 32];
        hex::decode_to_slice(&line.sha, &mut sha256)?;
        let doc = Doc {
            fn_number: line.f,
            fd_number: line.d,
            form: FormCode(line.form),
            chain: line.chain,
            sha256,
            message_sign: line.sign,
            fiscal_sign: line.fpd,
            rnm: self.words.number(&line.rnm),
            inn: self.words.number(&line.inn),
            date_time: line.time,
            received_at: line.at,
            judged_at: line.judged,
            own: codes(&line.own)?,
            codes: codes(&line.codes)?,
            verdict: line.verdict,
            times: line.times,
        };
        if let Some(verdict) = doc.verdict {
            *self.verdicts.entry(verdict).or_default() += 1;
        }
        let new_chain = self.documents.chains(&line.f) <= usize::from(line.chain);
        let index = self.documents.add(doc, new_chain, line.named);
        if let Some(body) = line.body {
            self.documents.keep_body(index, &body);
        }
        Ok(())
    }

    /// Orders what waited when the snapshot was written, and finds the soft documents.
    fn begin_again(&mut self, now: i64) {
        let mut waiting = Vec::new();
        for (index, doc) in self.documents.from(0) {
            match doc.verdict {
                None => waiting.push(index),
                Some(Verdict::Soft) => self.soft.entry(doc.rnm).or_default().push(index),
                Some(_) => {}
            }
        }
        for index in waiting {
            self.at(now, Action::Judge(index));
        }
        if self.config.auto_card {
            self.schedule_waiting_cards(now);
        }
        self.run_due(now);
    }
}
