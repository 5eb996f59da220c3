//! The outbox on real files and on a real server.

mod crashes;
mod deriving;
mod lanes;
mod leases;
mod nodes;
mod operators;
mod parking;
mod plans;
mod reading;
mod recall;
mod results;
mod verdicts;

use std::time::Duration;

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;

use crate::fixture::{Look, Place, on_both_engines};
use crate::support::{document, fn_number, moment};
use crate::{
    BatchDocument, BatchId, BatchStep, ClaimOrder, CommitReport, DeriveOrder, DeriveReport, DocumentOutcome,
    DocumentResult, Forward, Forwarding, HolderId, Lease, NewBatch, NewDocument, Operator, OutboxChange,
    OutboxRow, OutboxState, Reader, RegisterAdd, Slot,
};

const LEASE: Duration = Duration::from_secs(60);
/// Two ФН in different slots, and a debug one.
const A: &str = "8710000100000001";
const B: &str = "8710000100000002";
const DEBUG: &str = "9999078900000001";

/// A store with a journal.
struct Bench(Place);

/// A forwarder with its leases.
struct Sender {
    way: Forwarding,
    holder: HolderId,
    leases: Vec<Lease>,
    now: Timestamp,
    batches: u8,
}

impl Bench {
    fn new() -> Self {
        Self(Place::new())
    }

    fn url(&self) -> String {
        self.0.url().to_owned()
    }

    fn append(&mut self, documents: Vec<NewDocument>) {
        self.0.append(documents);
    }

    /// Receipts of a ФН, in this order.
    fn receipts(&mut self, fn_text: &str, numbers: impl IntoIterator<Item = u32>) {
        self.append(numbers.into_iter().map(|fd| document(fn_text, fd, 3, "")).collect());
    }

    /// The newest position of the journal.
    fn newest(&self) -> i64 {
        self.look().number("SELECT max(seq) FROM journal")
    }

    /// A second connection for looking.
    fn look(&self) -> Look {
        self.0.look()
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.url()).unwrap()
    }

    fn know(&self, fn_text: &str) {
        let register = RegisterAdd { fn_number: Some(fn_number(fn_text)), ..RegisterAdd::default() };
        Operator::open(&self.url()).unwrap().register_add(&register).unwrap();
    }

    /// A forwarder that holds whatever it can get.
    fn sender(&self, name: &str) -> Sender {
        let mut sender = Sender {
            way: forwarding(&self.url()),
            holder: HolderId::new(name).unwrap(),
            leases: Vec::new(),
            now: moment(0),
            batches: 0,
        };
        sender.claim();
        sender
    }

    fn rows(&self) -> Vec<OutboxRow> {
        let (reader, mut filter, mut rows) = (self.reader(), crate::OutboxFilter::default(), Vec::new());
        loop {
            let page = reader.outbox_page(&filter, 1000).unwrap();
            rows.extend(page.rows);
            filter.before_seq = page.next_before_seq;
            if filter.before_seq.is_none() {
                break;
            }
        }
        rows.reverse();
        rows
    }

    fn states(&self) -> Vec<(i64, OutboxState)> {
        self.rows().into_iter().map(|row| (row.seq, row.state)).collect()
    }

    fn row(&self, seq: i64) -> OutboxRow {
        self.reader().outbox_row(seq).unwrap().unwrap()
    }

    /// The numbers kept beside the rows are those of the rows.
    fn check_counts(&self) {
        let look = self.look();
        let count = |sql: &str| look.number(sql);
        for state in OutboxState::ALL.map(OutboxState::number) {
            let kept = count(&format!("SELECT n FROM outbox_counts WHERE state = {state}"));
            assert_eq!(kept, count(&format!("SELECT count(*) FROM outbox WHERE state = {state}")), "{state}");
        }
        let kept = count("SELECT n FROM outbox_counts WHERE state = 8");
        assert_eq!(kept, count("SELECT count(*) FROM outbox_waiting"));
        let kept = count("SELECT n FROM outbox_counts WHERE state = 9");
        assert_eq!(kept, count("SELECT count(*) FROM outbox_parked"));
    }
}

impl Sender {
    fn claim(&mut self) -> crate::Claim {
        let order = ClaimOrder {
            holder: self.holder.clone(),
            now: self.now,
            until: self.now + LEASE,
            lanes: true,
            registrar: true,
        };
        let claim = self.way.claim(&order).unwrap();
        self.leases.clone_from(&claim.leases);
        claim
    }

    fn change(&self) -> OutboxChange {
        OutboxChange { leases: self.leases.clone(), ..OutboxChange::new(self.holder.clone(), self.now) }
    }

    fn derive(&mut self, window: usize, scan: usize) -> DeriveReport {
        let order = DeriveOrder { window, scan };
        let change = OutboxChange { derive: Some(order), ..self.change() };
        self.way.commit(&change).unwrap().derived.unwrap()
    }

    fn derive_all(&mut self) -> DeriveReport {
        self.derive(1000, 1000)
    }

    /// Positions of what is to be sent.
    fn open(&mut self) -> Vec<i64> {
        let mut seqs: Vec<i64> = self.open_rows(0).into_iter().map(|row| row.seq).collect();
        seqs.sort_unstable();
        seqs
    }

    fn open_rows(&mut self, after: i64) -> Vec<OutboxRow> {
        let slots: Vec<Slot> = self.leases.iter().map(|lease| lease.slot).collect();
        self.way.open_rows(&slots, after).unwrap()
    }

    fn new_batch(&mut self, seqs: &[i64]) -> NewBatch {
        self.batches += 1;
        let first = self.holder.as_str().as_bytes().first().copied().unwrap();
        let mut id = [0; 16];
        id[0] = first;
        id[15] = self.batches;
        NewBatch {
            id: BatchId::from_bytes(id),
            created_at: self.now,
            map_ver: 1,
            documents: seqs
                .iter()
                .map(|seq| BatchDocument { seq: *seq, raw_sha256: Some([7; 32]) })
                .collect(),
        }
    }

    fn begin(&mut self, seqs: &[i64]) -> (BatchId, CommitReport) {
        let batch = self.new_batch(seqs);
        let id = batch.id;
        let change = OutboxChange { new_batches: vec![batch], ..self.change() };
        (id, self.way.commit(&change).unwrap())
    }

    fn step(&mut self, step: BatchStep) -> CommitReport {
        let change = OutboxChange { steps: vec![step], ..self.change() };
        self.way.commit(&change).unwrap()
    }

    fn settle(&mut self, id: BatchId, results: Vec<(i64, DocumentOutcome)>) -> CommitReport {
        let results = results.into_iter().map(|(seq, outcome)| DocumentResult { seq, outcome }).collect();
        self.step(BatchStep::Settle { id, results })
    }

    /// Sends some documents; the service takes them all.
    fn deliver(&mut self, seqs: &[i64]) {
        let (id, report) = self.begin(seqs);
        assert_eq!(report, CommitReport::default());
        let report = self.settle(id, seqs.iter().map(|seq| (*seq, taken(*seq))).collect());
        assert_eq!(report.delivered, u64::try_from(seqs.len()).unwrap());
    }
}

fn taken(seq: i64) -> DocumentOutcome {
    DocumentOutcome::Delivered { ticket_id: Some(format!("T-{seq}")), refresh_at: None }
}

fn again(error: &str) -> DocumentOutcome {
    DocumentOutcome::Again { next_at: Some(moment(9_000_000)), error: error.to_owned() }
}

fn dead(code: &str) -> DocumentOutcome {
    DocumentOutcome::Dead {
        code: code.to_owned(),
        error: "no".to_owned(),
        request: b"{\"docKey\":1}".to_vec(),
        answer: b"{\"result\":\"refused\"}".to_vec(),
    }
}

fn number(fn_text: &str) -> FnNumber {
    fn_number(fn_text)
}

fn fd(number: u32) -> FdNumber {
    crate::support::fd_number(number)
}

/// A document that waits until its ФН is known.
fn waiting(fn_text: &str, number: u32) -> NewDocument {
    NewDocument { forward: Forward::WhenKnown, ..document(fn_text, number, 3, "") }
}

fn not_forwarded(fn_text: &str, number: u32) -> NewDocument {
    NewDocument { forward: Forward::No, ..document(fn_text, number, 3, "") }
}

/// By the clock that the test shows.
fn forwarding(url: &str) -> Forwarding {
    let mut way = Forwarding::open(url).unwrap();
    way.count_by_the_callers_clock();
    way
}
