//! What is read of the outbox.

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;

use super::{BatchId, FnsCode, HolderId, Slot};

/// State of a document on its way to the tax service (fns.md, section "Forwarding outbox").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutboxState {
    /// Not sent yet, or to be sent again.
    New,
    /// In a batch that is being sent or waits for its next attempt.
    InFlight,
    /// The service took it; its verdict is to come.
    Delivered,
    /// The service accepted it.
    Accepted,
    /// Soft quarantine of the service: may still be accepted or refused.
    Soft,
    /// The service refused its content.
    Hard,
    /// The service did not take it and never will as it is: a person decides.
    Dead,
    /// Dead, and a person said that nothing more is to be done.
    Superseded,
}

/// One forwarded document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Position in the journal.
    pub seq: i64,
    /// ФН: the lane.
    pub fn_number: FnNumber,
    /// ФД.
    pub fd_number: FdNumber,
    /// Chain of a debug ФН (9999...), else 0. The order within a lane is that of (chain, ФД).
    pub chain: u32,
    /// Form code of the document.
    pub kind: u16,
    /// The slot of the lane.
    pub slot: Slot,
    /// `docSha256` of the document: SHA-256 of TLV and ФПС. Absent until its first batch was made.
    pub raw_sha256: Option<[u8; 32]>,
    /// State.
    pub state: OutboxState,
    /// Requests in which it was sent and of which the outcome is known. Those of the batch in hand are counted in
    /// [`BatchRow::attempts`].
    pub attempts: u32,
    /// Of [`OutboxState::New`]: not before. Of [`OutboxState::Delivered`] and [`OutboxState::Soft`]: when to ask for its
    /// status.
    pub next_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The newest batch that had it.
    pub batch_id: Option<BatchId>,
    /// The service's number for it.
    pub ticket_id: Option<String>,
    /// Codes of the verdict.
    pub fns_codes: Vec<FnsCode>,
    /// When the verdict was given, by the service's clock.
    pub fns_at: Option<Timestamp>,
    /// Since when the service is owed the document: when it was received, our clock.
    pub created_at: Timestamp,
    /// When the service took it, our clock.
    pub delivered_at: Option<Timestamp>,
    /// Grows with every row that comes to be sent from elsewhere than its holder's own hand (derived, requeued,
    /// taken over): see [`crate::Forwarding::open_rows`].
    pub serial: i64,
}

/// What the body of a document is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentBody {
    /// Position in the journal.
    pub seq: i64,
    /// ФН.
    pub fn_number: FnNumber,
    /// ФД.
    pub fd_number: FdNumber,
    /// Form code.
    pub form: u16,
    /// The opened document: form, length, TLV.
    pub opened: Vec<u8>,
    /// ФПС: the eight bytes after the document in its container, as received (encrypted containers carry it in the
    /// clear too). Zeros for a container too short to have it.
    pub message_sign: [u8; 8],
    /// When it was received, our clock.
    pub received_at: Timestamp,
    /// Code of the acknowledgement: 0 or 14.
    pub code: u8,
    /// Tag 1012 of the acknowledgement that the register got: seconds since 1970. That of the reception when the
    /// acknowledgement is encrypted.
    pub acknowledged_at: u32,
    /// Tag 1209, when it could be read.
    pub ffd_version: Option<u8>,
    /// Bits: 1 failed the format and logic control, 2 sign not confirmed, 4 another ФН than the contract says, 8 newer
    /// than the deregistration.
    pub marks: u8,
}

/// The right to send what is in a slot, or to do the registrar's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The slot.
    pub slot: Slot,
    /// Grows whenever the slot changes hands.
    pub epoch: i64,
    /// When others may take it, our clock.
    pub until: Timestamp,
}

/// What is shown with a result: recorded only while the slot is still this holder's in this epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseProof {
    /// Who.
    pub holder: HolderId,
    /// Of which slot.
    pub slot: Slot,
    /// [`Lease::epoch`].
    pub epoch: i64,
}

/// What one holder has at present, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Name of the holder.
    pub holder: String,
    /// How many slots with lanes.
    pub lanes: u16,
    /// Whether it does the registrar's work.
    pub registrar: bool,
    /// When the first of its leases runs out unless it is renewed.
    pub until: Timestamp,
}

/// What a holder wants to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimOrder {
    /// Who.
    pub holder: HolderId,
    /// Now, our clock.
    pub now: Timestamp,
    /// For how long from now.
    pub until: Timestamp,
    /// Whether it sends: takes its fair share of the slots with lanes.
    pub lanes: bool,
    /// Whether it does the registrar's work: takes that slot when it is free.
    pub registrar: bool,
}

/// What a holder holds after [`crate::Forwarding::claim`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// All of its leases, in order of slots.
    pub leases: Vec<Lease>,
    /// Slots among them that it did not hold before: what is open in them has to be taken over
    /// ([`crate::Forwarding::adopt`]).
    pub gained: Vec<Slot>,
    /// Slots with lanes past its fair share: to be given back once nothing of them is in flight.
    pub excess: usize,
    /// Holders that send, itself among them.
    pub holders: usize,
}

/// A batch that is not finished: it is sent again under the same key, in the same order, with the same moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRow {
    /// The key.
    pub id: BatchId,
    /// `createdAt` of its body.
    pub created_at: Timestamp,
    /// Version of the mapping by which its body was built.
    pub map_ver: u32,
    /// Attempts that came to nothing.
    pub attempts: u32,
    /// Not before.
    pub next_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Positions of its documents, in their order.
    pub documents: Vec<i64>,
}

/// What was found in flight in slots that were gained.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoption {
    /// Batches taken over whole: to be sent again as they are.
    pub batches: Vec<BatchRow>,
    /// Documents of other batches, which are [`OutboxState::New`] again.
    pub returned: u64,
}

/// A document of which the status is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRow {
    /// Position in the journal.
    pub seq: i64,
    /// ФН.
    pub fn_number: FnNumber,
    /// ФД.
    pub fd_number: FdNumber,
    /// The service's number for it.
    pub ticket_id: Option<String>,
    /// [`OutboxState::Delivered`] or [`OutboxState::Soft`].
    pub state: OutboxState,
}

/// Documents by state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxDepths {
    /// Number of rows of every state, in the order of [`OutboxState::ALL`].
    pub states: Vec<(OutboxState, u64)>,
    /// Documents that wait for their ФН to become known.
    pub waiting: u64,
    /// Positions of the journal that were not looked at yet, and documents put aside because enough of their ФН is open: at
    /// most so many are to be derived.
    pub backlog: u64,
}

/// How the tax service stands to one ФН.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FnsSummary {
    /// Documents without a verdict. Of those not derived yet only the newest ones are looked at, so a large number is a
    /// lower bound; 0 is exact.
    pub waiting: u64,
    /// Documents in soft quarantine.
    pub soft: u64,
    /// Documents refused, at the door or by a verdict.
    pub hard: u64,
}

/// Which rows to list; an empty filter takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxFilter {
    /// In this state.
    pub state: Option<OutboxState>,
    /// Of this ФН.
    pub fn_number: Option<FnNumber>,
    /// Only rows before this position: the next page of a newest-first list.
    pub before_seq: Option<i64>,
}

/// A piece of a newest-first list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxPage {
    /// Rows that pass the filter; none is possible although there is a next page.
    pub rows: Vec<OutboxRow>,
    /// What [`OutboxFilter::before_seq`] has to be for the next page; none at the end.
    pub next_before_seq: Option<i64>,
}

/// Why a document is dead: what was sent and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Position in the journal.
    pub seq: i64,
    /// When, our clock.
    pub died_at: Timestamp,
    /// Code of the refusal, such as `RAWDATA_MISMATCH`.
    pub code: String,
    /// The item of the batch (or the whole batch of one) exactly as it was sent.
    pub request: Vec<u8>,
    /// The answer about it exactly as it came.
    pub answer: Vec<u8>,
    /// When an operator put the document back into the queue or superseded it.
    pub settled_at: Option<Timestamp>,
}

/// What an operator's decision about a dead document found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxDecision {
    /// Done.
    Done,
    /// The document is in another state: nothing was changed.
    NotDead(OutboxState),
    /// There is no such row.
    Unknown,
}

impl OutboxState {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::New,
        Self::InFlight,
        Self::Delivered,
        Self::Accepted,
        Self::Soft,
        Self::Hard,
        Self::Dead,
        Self::Superseded,
    ];

    /// Name as shown: `new`, `in_flight`, `delivered`, `accepted`, `soft`, `hard`, `dead`, `superseded`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InFlight => "in_flight",
            Self::Delivered => "delivered",
            Self::Accepted => "accepted",
            Self::Soft => "soft",
            Self::Hard => "hard",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The stored number.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::New => 0,
            Self::InFlight => 1,
            Self::Delivered => 2,
            Self::Accepted => 3,
            Self::Soft => 4,
            Self::Hard => 5,
            Self::Dead => 6,
            Self::Superseded => 7,
        }
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// Whether it has still to be sent: [`OutboxState::New`] or [`OutboxState::InFlight`].
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::New | Self::InFlight)
    }
}

impl OutboxRow {
    /// Whether it goes before others: reports of registration (form 1) and of its change (form 11).
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        matches!(self.kind, 1 | 11)
    }

    /// The place within its lane: rows of one ФН are sent in this order.
    #[must_use]
    pub fn place(&self) -> (u32, FdNumber) {
        (self.chain, self.fd_number)
    }
}

impl Lease {
    /// What is shown with results.
    #[must_use]
    pub fn proof(&self, holder: &HolderId) -> LeaseProof {
        LeaseProof { holder: holder.clone(), slot: self.slot, epoch: self.epoch }
    }
}

impl OutboxDepths {
    /// Number of rows in a state.
    #[must_use]
    pub fn of(&self, state: OutboxState) -> u64 {
        self.states.iter().find(|(other, _)| *other == state).map_or(0, |(_, number)| *number)
    }

    /// Rows that have still to be sent.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.of(OutboxState::New).saturating_add(self.of(OutboxState::InFlight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_numbers_and_names_come_back() {
        for (number, state) in (0..).zip(OutboxState::ALL) {
            assert_eq!(state.number(), number);
            assert_eq!(OutboxState::from_number(number), Some(state));
            assert_eq!(OutboxState::from_name(state.name()), Some(state));
        }
        assert_eq!(OutboxState::from_number(8), None);
        assert_eq!(OutboxState::from_name("other"), None);
    }
}
