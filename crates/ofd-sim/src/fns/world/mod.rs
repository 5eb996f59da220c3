//! What the tax service knows: documents, registers, applications, events. Pure of sockets; time is an argument,
//! milliseconds of UTC.

mod applications;
mod documents;
mod feed;
mod registration;
mod registry;
mod snapshot;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

use ffd::FnNumber;
use serde::{Deserialize, Serialize};

pub(super) use applications::{ApplicationEntry, ApplicationError, Decision};
pub(super) use documents::{Doc, DocIndex};
pub(super) use feed::{Event, OtherEvent, Page, Reason, Stamped};
pub(super) use registration::{CardError, CompletionError, SeedKkt};
pub(super) use registry::Kkt;

use super::FnsTotals;
use super::codes::{Codes, Verdict};
use super::config::SimConfig;
use super::door::{Checked, DocKey, DoorCode, Refusal};
use super::wire::{DocumentStatus, Outcome, moment, ticket};
use crate::rng::Rng;
use documents::{Documents, Place, Words};
use feed::Feed;
use registry::Registry;

/// Batch keys remembered; the oldest is forgotten past that.
const MAX_KEYS: usize = 1_000_000;

/// Something to be done later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    /// Judge a document.
    Judge(DocIndex),
    /// Make the card of this report.
    Card { rnm: u32, report: DocIndex },
}

/// What a batch key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyUse {
    /// Never seen.
    New,
    /// Seen with the same content.
    Again,
    /// Seen with other content.
    Reused,
}

/// Counts of what came in, for `GET /sim/requests`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Counts {
    /// Requests for a batch that got as far as its key.
    pub(super) batches: u64,
    /// Those whose key and content had come before.
    pub(super) repeated_batches: u64,
    /// Documents in batches.
    pub(super) documents: u64,
    /// Of those: taken for the first time.
    pub(super) received: u64,
    /// Of those: taken before.
    pub(super) duplicates: u64,
    /// Of those: refused at the door, busy ones not counted.
    pub(super) refused: u64,
    /// Of those: not now.
    pub(super) busy: u64,
    /// Requests for events.
    pub(super) event_polls: u64,
    /// Requests for the status of a document.
    pub(super) status_requests: u64,
    /// All answers of the tax service's port by status; 0 = cut without an answer.
    pub(super) answers: std::collections::BTreeMap<u16, u64>,
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    pub(super) config: SimConfig,
    pub(super) counts: Counts,
    documents: Documents,
    words: Words,
    registry: Registry,
    applications: Vec<ApplicationEntry>,
    application_keys: HashMap<String, usize>,
    feed: Feed,
    due: BinaryHeap<Reverse<(i64, u64, Action)>>,
    /// Orders actions of the same moment.
    actions: u64,
    /// Documents in the soft quarantine, by РНМ.
    soft: HashMap<u32, Vec<DocIndex>>,
    /// How many documents stand under which verdict.
    verdicts: HashMap<Verdict, usize>,
    /// Verdicts ordered by the control port.
    planned: HashMap<DocKey, Codes>,
    keys: HashMap<Box<str>, [u8; 32]>,
    key_order: VecDeque<Box<str>>,
    /// Tickets of documents forgotten by a reset: the numbers go on.
    tickets_before: u64,
    rng: Rng,
}

impl World {
    /// An empty one.
    pub(super) fn new(config: SimConfig, seed: u64) -> Self {
        Self {
            config,
            counts: Counts::default(),
            documents: Documents::default(),
            words: Words::default(),
            registry: Registry::default(),
            applications: Vec::new(),
            application_keys: HashMap::new(),
            feed: Feed::default(),
            due: BinaryHeap::new(),
            actions: 0,
            soft: HashMap::new(),
            verdicts: HashMap::new(),
            planned: HashMap::new(),
            keys: HashMap::new(),
            key_order: VecDeque::new(),
            tickets_before: 0,
            rng: Rng::new(seed),
        }
    }

    /// Forgets everything but the behaviour. Numbers of events, tickets, cards and РНМ go on, so that nothing of before
    /// is taken for something of now.
    pub(super) fn reset(&mut self) {
        let mut fresh = Self::new(self.config.clone(), self.rng.next_u64());
        fresh.feed = std::mem::take(&mut self.feed);
        fresh.feed.forget_all();
        fresh.tickets_before =
            self.ticket_number(u32::try_from(self.documents.len()).unwrap_or(u32::MAX)) - 1;
        fresh.registry.issued = self.registry.issued;
        fresh.registry.cards = self.registry.cards;
        *self = fresh;
    }

    /// Changes the behaviour. Switching the automatic card on makes those of the reports that wait.
    pub(super) fn set_config(&mut self, config: SimConfig, now: i64) {
        let cards_begin = config.auto_card && !self.config.auto_card;
        self.config = config;
        if cards_begin {
            self.schedule_waiting_cards(now);
        }
        self.run_due(now);
    }

    /// Remembers a batch's key and says whether it was here before.
    pub(super) fn use_key(&mut self, key: &str, content: [u8; 32]) -> KeyUse {
        match self.keys.get(key) {
            Some(known) if *known == content => KeyUse::Again,
            Some(_) => KeyUse::Reused,
            None => {
                self.keys.insert(key.into(), content);
                self.key_order.push_back(key.into());
                if self.key_order.len() > MAX_KEYS
                    && let Some(oldest) = self.key_order.pop_front()
                {
                    self.keys.remove(&oldest);
                }
                KeyUse::New
            }
        }
    }

    /// Takes the documents of a batch in their order, `items` with the text of each.
    pub(super) fn receive(
        &mut self,
        items: Vec<(Result<Checked, Refusal>, Option<&str>)>,
        now: i64,
    ) -> Vec<Outcome> {
        let mut busy_storages = HashSet::new();
        let mut outcomes = Vec::with_capacity(items.len());
        for (item, body) in items {
            outcomes.push(self.receive_one(item, body, &mut busy_storages, now));
            // Without delays every document is judged before the next one comes.
            self.run_due(now);
        }
        outcomes
    }

    fn receive_one(
        &mut self,
        item: Result<Checked, Refusal>,
        body: Option<&str>,
        busy_storages: &mut HashSet<FnNumber>,
        now: i64,
    ) -> Outcome {
        self.counts.documents += 1;
        let fn_number = item.as_ref().ok().map(|checked| checked.key.fn_number);
        let was_busy = fn_number.is_some_and(|number| busy_storages.contains(&number));
        if was_busy || self.is_unlucky() {
            busy_storages.extend(fn_number);
            self.counts.busy += 1;
            return Outcome::Refused { code: DoorCode::Busy.as_str(), detail: "try again".to_owned() };
        }
        let outcome = item.and_then(|checked| self.take(checked, body, now));
        match outcome {
            Ok((index, duplicate)) => {
                let count = if duplicate { &mut self.counts.duplicates } else { &mut self.counts.received };
                *count += 1;
                Outcome::Received { ticket_id: ticket(self.ticket_number(index)), duplicate }
            }
            Err(refusal) => {
                self.counts.refused += 1;
                Outcome::Refused { code: refusal.code.as_str(), detail: refusal.detail }
            }
        }
    }

    fn is_unlucky(&mut self) -> bool {
        /// Parts of the whole that chance is measured in.
        const WHOLE: f64 = 1e9;
        if self.config.fail_rate <= 0.0 {
            return false;
        }
        let drawn = u32::try_from(self.rng.below(1_000_000_000)).unwrap_or(u32::MAX);
        f64::from(drawn) < self.config.fail_rate * WHOLE
    }

    fn take(&mut self, checked: Checked, body: Option<&str>, now: i64) -> Result<(DocIndex, bool), Refusal> {
        let mut own = checked.codes;
        let place = self.documents.place(&checked);
        match place {
            Place::Repeat(index) => {
                if let Some(doc) = self.documents.get_mut(index) {
                    doc.times = doc.times.saturating_add(1);
                }
                return Ok((index, true));
            }
            Place::Conflict if self.config.conflict_at_door => {
                let detail = format!("{} is known with other content", checked.key);
                return Err(Refusal { code: DoorCode::ConflictHash, detail });
            }
            Place::Conflict => own.add(912),
            Place::New { behind: true } if self.config.check_order => own.add(911),
            Place::New { .. } | Place::NewChain => {}
        }
        let doc = self.doc(&checked, own, now);
        let rnm = doc.rnm;
        let index = self.documents.add(doc, place == Place::NewChain, place != Place::Conflict);
        if let Some(body) = body {
            self.documents.keep_body(index, body);
        }
        self.at(now.saturating_add(millis(self.config.verdict_delay_ms)), Action::Judge(index));
        if let Some(facts) = &checked.report
            && !own.is_hard()
        {
            self.take_report(rnm, index, facts, now);
        }
        Ok((index, false))
    }

    fn doc(&mut self, checked: &Checked, own: Codes, now: i64) -> Doc {
        Doc {
            fn_number: checked.key.fn_number,
            fd_number: checked.key.fd_number,
            form: checked.form,
            chain: 0,
            sha256: checked.sha256,
            message_sign: checked.message_sign,
            fiscal_sign: checked.fiscal_sign,
            rnm: self.words.number(&checked.rnm),
            inn: self.words.number(&checked.inn),
            date_time: checked.date_time,
            received_at: now,
            judged_at: 0,
            own,
            codes: Codes::NONE,
            verdict: None,
            times: 1,
        }
    }

    /// Remembers that the door refused a document, so that it may come late.
    pub(super) fn note_refused(&mut self, key: &DocKey) {
        self.documents.refused(key);
    }

    fn at(&mut self, due: i64, action: Action) {
        self.actions += 1;
        self.due.push(Reverse((due, self.actions, action)));
    }

    /// When the next thing is due, milliseconds of UTC.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.due.peek().map(|Reverse((due, ..))| *due)
    }

    /// Does everything that is due, and forgets events past their retention.
    pub(super) fn run_due(&mut self, now: i64) {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some(Reverse((_, _, action))) = self.due.pop() else { break };
            match action {
                Action::Judge(index) => self.judge(index, now),
                Action::Card { rnm, report } => self.make_due_card(rnm, report, now),
            }
        }
        let retention = millis(self.config.retention_s.saturating_mul(1000));
        self.feed.forget_before(now.saturating_sub(retention));
    }

    /// Speaks the first verdict of a document.
    fn judge(&mut self, index: DocIndex, now: i64) {
        let Some(doc) = self.documents.get(index).filter(|doc| doc.verdict.is_none()) else { return };
        let (rnm, key, mismatch) = (doc.rnm, doc.key(), doc.own.numbers().contains(&907));
        let codes = self.codes_of(doc);
        self.settle(index, codes, now);
        if codes.verdict() == Verdict::Soft {
            self.soft.entry(rnm).or_default().push(index);
        }
        if mismatch && !codes.is_hard() {
            self.refuse_registration(rnm, key, codes_as_reasons(907), now);
        }
    }

    /// Looks again at the soft documents of a register after something about it changed.
    fn judge_again(&mut self, rnm: u32, now: i64) {
        let Some(waiting) = self.soft.remove(&rnm) else { return };
        let mut still = Vec::new();
        for index in waiting {
            let Some(doc) = self.documents.get(index) else { continue };
            let (before, codes) = (doc.codes, self.codes_of(doc));
            if codes != before {
                self.settle(index, codes, now);
            }
            if codes.verdict() == Verdict::Soft {
                still.push(index);
            }
        }
        if !still.is_empty() {
            self.soft.insert(rnm, still);
        }
    }

    fn settle(&mut self, index: DocIndex, codes: Codes, now: i64) {
        let verdict = codes.verdict();
        if let Some(doc) = self.documents.get_mut(index) {
            if let Some(count) = doc.verdict.and_then(|before| self.verdicts.get_mut(&before)) {
                *count -= 1;
            }
            *self.verdicts.entry(verdict).or_default() += 1;
            doc.codes = codes;
            doc.verdict = Some(verdict);
            doc.judged_at = now;
            self.feed.push(now, Event::Ticket { doc: index, verdict, codes });
        }
    }

    fn codes_of(&self, doc: &Doc) -> Codes {
        if let Some(planned) = self.planned.get(&doc.key()) {
            return *planned;
        }
        doc.own.and(self.registry_codes(doc)).effective()
    }

    /// Orders the verdict of a document, whether it is here or still to come.
    pub(super) fn plan(&mut self, key: DocKey, codes: Codes, now: i64) {
        self.planned.insert(key, codes);
        if let Some(index) = self.documents.find(&key)
            && let Some(doc) = self.documents.get(index)
        {
            match doc.verdict {
                Some(Verdict::Soft) => self.judge_again(doc.rnm, now),
                // The service never goes back on an accepted or a hard document by itself; a test may want it to.
                Some(_) if doc.codes != codes => {
                    let rnm = doc.rnm;
                    self.settle(index, codes, now);
                    if codes.verdict() == Verdict::Soft {
                        self.soft.entry(rnm).or_default().push(index);
                    }
                }
                Some(_) | None => {}
            }
        }
    }

    /// Number of the newest event.
    pub(super) fn newest_event(&self) -> u64 {
        self.feed.newest()
    }

    /// Events behind a cursor.
    pub(super) fn events(&self, after: Option<u64>, limit: usize) -> Option<Page<'_>> {
        self.feed.page(after, limit).ok()
    }

    /// Number of a document's ticket.
    pub(super) fn ticket_number(&self, index: DocIndex) -> u64 {
        self.tickets_before + u64::from(index) + 1
    }

    /// One document by its place.
    pub(super) fn document(&self, index: DocIndex) -> Option<&Doc> {
        self.documents.get(index)
    }

    /// One document by its name.
    pub(super) fn find_document(&self, key: &DocKey) -> Option<DocIndex> {
        self.documents.find(key)
    }

    /// All documents from a place on, in the order of coming.
    pub(super) fn documents_from(&self, first: usize) -> impl Iterator<Item = (DocIndex, &Doc)> {
        self.documents.from(first)
    }

    /// A document as it came, when it was kept.
    pub(super) fn body(&self, index: DocIndex) -> Option<&str> {
        self.documents.body(index)
    }

    /// Sums of documents and registers.
    pub(super) fn totals(&self) -> FnsTotals {
        let of = |verdict| self.verdicts.get(&verdict).copied().unwrap_or(0);
        FnsTotals {
            documents: self.documents.len(),
            accepted: of(Verdict::Accepted),
            soft: of(Verdict::Soft),
            hard: of(Verdict::Hard),
            duplicates: self.counts.duplicates,
            registers: self.registry.len(),
            registered: self.registry.iter().filter(|(_, kkt)| kkt.state() == "registered").count(),
        }
    }

    /// How many documents there are.
    pub(super) fn document_count(&self) -> usize {
        self.documents.len()
    }

    /// A text of [`Doc::rnm`] or [`Doc::inn`].
    pub(super) fn word(&self, number: u32) -> &str {
        self.words.text(number)
    }

    /// Status of a document as endpoint 2 says it.
    pub(super) fn status(&self, index: DocIndex) -> Option<DocumentStatus> {
        let doc = self.documents.get(index)?;
        Some(DocumentStatus {
            doc_key: doc.key().to_string(),
            doc_sha256: hex::encode(doc.sha256),
            ticket_id: ticket(self.ticket_number(index)),
            received_at: moment(doc.received_at),
            verdict: doc.verdict,
            codes: doc.codes.json(),
            at: doc.verdict.map(|_| moment(doc.judged_at)),
        })
    }
}

/// A delay of the settings as a difference of times.
fn millis(delay: u64) -> i64 {
    i64::try_from(delay).unwrap_or(i64::MAX)
}

/// The reasons of a refusal from a code of the table.
fn codes_as_reasons(code: u16) -> Vec<Reason> {
    let codes = Codes::from_numbers(&[code]).unwrap_or_default();
    let text = codes.first_text().to_owned();
    vec![Reason { code: code.into(), text, path: None }]
}
