//! Cards that people upload.

use jiff::Timestamp;
use ofd_store::{Card, CardSource, CommitIds, Kkt, Registry};

use super::{OpsError, done};
use crate::registration::RegistrationConfig;
use crate::registration::card::{CardFacts, Fate, Incoming, take};
use crate::registration::commit::{Draft, settle};

/// A card from a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardUpload {
    /// What it says: read from its XML ([`crate::registration::card::read_xml`]), or typed by the person who read the PDF.
    pub facts: CardFacts,
    /// `application/xml` or `application/pdf`.
    pub media_type: String,
    /// The file.
    pub body: Vec<u8>,
    /// Its detached signature.
    pub signature: Option<Vec<u8>>,
}

/// Largest file of a card, bytes: a scanned PDF fits.
pub const MAX_CARD_BYTES: usize = 16 << 20;

/// What became of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardOutcome {
    /// The register is linked (or deregistered) by it.
    Applied {
        /// The register.
        kkt: Box<Kkt>,
        /// The card as stored.
        card: Box<Card>,
    },
    /// The same card was there, or the register needs none: it only confirms.
    Confirmed {
        /// The register.
        kkt: Box<Kkt>,
        /// The card as stored.
        card: Box<Card>,
    },
    /// It differs from the register in these key fields: nothing was overwritten, a task was made.
    Differs {
        /// The register.
        kkt: Box<Kkt>,
        /// The card as stored.
        card: Box<Card>,
        /// Names of the fields.
        fields: Vec<String>,
        /// Number of the task.
        task_id: Option<i64>,
    },
    /// It fits no register of ours: kept, a task was made.
    NoRegister {
        /// The card as stored.
        card: Box<Card>,
        /// Number of the task.
        task_id: Option<i64>,
    },
    /// The state of the register has no use for it: kept, a task was made.
    OutOfPlace {
        /// The register.
        kkt: Box<Kkt>,
        /// The card as stored.
        card: Box<Card>,
        /// Number of the task.
        task_id: Option<i64>,
    },
}

/// Links a register by a card that a person uploaded.
///
/// # Errors
/// [`OpsError::Refused`] for an empty or too large file; the store.
pub fn card_upload(
    registry: &mut Registry,
    periods: &RegistrationConfig,
    upload: &CardUpload,
    now: Timestamp,
) -> Result<CardOutcome, OpsError> {
    if !(1..=MAX_CARD_BYTES).contains(&upload.body.len()) {
        return Err(OpsError::Refused(format!(
            "a card has 1 to {MAX_CARD_BYTES} bytes, this has {}",
            upload.body.len()
        )));
    }
    let incoming = Incoming {
        facts: &upload.facts,
        source: CardSource::Manual,
        media_type: &upload.media_type,
        body: &upload.body,
        signature: upload.signature.as_deref(),
        at: None,
        basis: None,
    };
    let (fate, ids) = done(settle::<_, OpsError>(registry, |registry| {
        let mut draft = Draft::default();
        // A new draft has decided about nothing yet, so the card is taken.
        let fate = take(registry, &mut draft, &incoming, periods, now)?.ok_or(OpsError::Contended)?;
        Ok((draft, fate))
    })?)?;
    Ok(outcome(fate, &ids))
}

/// What is printed: with the numbers that the rows got.
fn outcome(fate: Fate, ids: &CommitIds) -> CardOutcome {
    let stored = |mut card: Card| {
        card.id = ids.cards.first().copied().unwrap_or(card.id);
        Box::new(card)
    };
    let linked = |mut kkt: Kkt, card: &Card| {
        kkt.card_id = kkt.card_id.map(|id| if id < 0 { card.id } else { id });
        Box::new(kkt)
    };
    let task_id = ids.tasks.first().copied();
    match fate {
        Fate::Applied { kkt, card } => {
            let card = stored(card);
            CardOutcome::Applied { kkt: linked(kkt, &card), card }
        }
        Fate::Confirmed { kkt: Some(kkt), card } => {
            let card = stored(card);
            CardOutcome::Confirmed { kkt: linked(kkt, &card), card }
        }
        Fate::Confirmed { kkt: None, card } | Fate::NoRegister { card } => {
            CardOutcome::NoRegister { card: stored(card), task_id }
        }
        Fate::Differs { kkt, card, fields } => {
            CardOutcome::Differs { kkt: Box::new(kkt), card: stored(card), fields, task_id }
        }
        Fate::OutOfPlace { kkt, card } => {
            CardOutcome::OutOfPlace { kkt: Box::new(kkt), card: stored(card), task_id }
        }
    }
}
