//! A forwarder, for stores in which something has been sent.

use std::time::Duration;

use jiff::Timestamp;

use super::Bench;
use super::way::Way;
use crate::support::{document, moment};
use crate::{
    BatchDocument, BatchId, BatchStep, ClaimOrder, CommitReport, DeriveOrder, DeriveReport, DocumentOutcome,
    DocumentResult, Forward, Forwarding, HolderId, Lease, NewBatch, NewDocument, OutboxChange,
};

const LEASE: Duration = Duration::from_secs(60);
/// Two ФН in different slots, and a debug one.
pub(super) const A: &str = "8710000100000001";
pub(super) const B: &str = "8710000100000002";
pub(super) const DEBUG: &str = "9999078900000001";

/// A forwarder with its leases.
pub(crate) struct Sender {
    pub(super) way: Way,
    holder: HolderId,
    leases: Vec<Lease>,
    now: Timestamp,
    batches: u8,
}

impl Bench {
    fn way(&self) -> Way {
        Way::new(Forwarding::open(&self.url()).unwrap(), self.places())
    }

    /// A forwarder that holds whatever it can get.
    pub(super) fn sender(&self, name: &str) -> Sender {
        let mut sender = Sender {
            way: self.way(),
            holder: HolderId::new(name).unwrap(),
            leases: Vec::new(),
            now: moment(0),
            batches: 0,
        };
        sender.claim();
        sender
    }
}

impl Sender {
    fn claim(&mut self) {
        let order = ClaimOrder {
            holder: self.holder.clone(),
            now: self.now,
            until: self.now + LEASE,
            lanes: true,
            registrar: true,
        };
        let claim = self.way.claim(&order).unwrap();
        self.leases = claim.leases;
    }

    pub(super) fn change(&self) -> OutboxChange {
        OutboxChange { leases: self.leases.clone(), ..OutboxChange::new(self.holder.clone(), self.now) }
    }

    pub(super) fn derive(&mut self, window: usize, scan: usize) -> DeriveReport {
        let order = DeriveOrder { window, scan };
        let change = OutboxChange { derive: Some(order), ..self.change() };
        self.way.commit(&change).unwrap().derived.unwrap()
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

    pub(super) fn begin(&mut self, seqs: &[i64]) -> (BatchId, CommitReport) {
        let batch = self.new_batch(seqs);
        let id = batch.id;
        let change = OutboxChange { new_batches: vec![batch], ..self.change() };
        (id, self.way.commit(&change).unwrap())
    }

    pub(super) fn step(&mut self, step: BatchStep) -> CommitReport {
        let change = OutboxChange { steps: vec![step], ..self.change() };
        self.way.commit(&change).unwrap()
    }

    pub(super) fn settle(&mut self, id: BatchId, results: Vec<(i64, DocumentOutcome)>) -> CommitReport {
        let results = results.into_iter().map(|(seq, outcome)| DocumentResult { seq, outcome }).collect();
        self.step(BatchStep::Settle { id, results })
    }

    /// Sends some documents; the service takes them all.
    pub(super) fn deliver(&mut self, seqs: &[i64]) {
        let (id, report) = self.begin(seqs);
        assert_eq!(report, CommitReport::default());
        let report = self.settle(id, seqs.iter().map(|seq| (*seq, taken(*seq))).collect());
        assert_eq!(report.delivered, u64::try_from(seqs.len()).unwrap());
    }
}

fn taken(seq: i64) -> DocumentOutcome {
    DocumentOutcome::Delivered { ticket_id: Some(format!("T-{seq}")), refresh_at: None }
}

pub(super) fn dead(code: &str) -> DocumentOutcome {
    DocumentOutcome::Dead {
        code: code.to_owned(),
        error: "no".to_owned(),
        request: b"{\"docKey\":1}".to_vec(),
        answer: b"{\"result\":\"refused\"}".to_vec(),
    }
}

/// A document that waits until its ФН is known.
pub(super) fn waiting(fn_text: &str, number: u32) -> NewDocument {
    NewDocument { forward: Forward::WhenKnown, ..document(fn_text, number, 3, "") }
}

pub(super) fn not_forwarded(fn_text: &str, number: u32) -> NewDocument {
    NewDocument { forward: Forward::No, ..document(fn_text, number, 3, "") }
}
