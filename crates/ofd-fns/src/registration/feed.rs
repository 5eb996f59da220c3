//! Events of the tax service move documents and registers: a page of the feed becomes a change, its cursor moves in the
//! transaction of its last effects. Safe when repeated, in any order.
//!
//! Where a page speaks of one register twice, what comes before is written first, so that the second event meets the first
//! one's effect. A crash in between repeats the page, which then says nothing new.

mod effects;

use jiff::Timestamp;
use ofd_store::{CardSource, Commit, DocumentVerdict, LeaseProof, Registry, StoreError, VerdictReport};

use super::RegistrationConfig;
use super::commit::Draft;
use super::follower::catch_up;
use crate::client::wire::{CardEvent, Event, EventKind, EventsPage};

/// How often a part of a page is decided anew before the page is given up.
const ATTEMPTS: u32 = 20;

/// What a page of the feed did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Events of the page.
    pub events: u64,
    /// What the verdicts did to documents.
    pub verdicts: VerdictReport,
    /// Registers that came to another state.
    pub moved: u64,
    /// Events that said nothing new, or came too late.
    pub repeated: u64,
    /// Events about documents, registers or applications that we do not know.
    pub unknown: u64,
    /// Events of an unknown type, or unreadable: skipped.
    pub skipped: u64,
    /// Not all was written: the lease is lost, or the cursor is not where the page begins. Read the cursor anew.
    pub stale: bool,
}

/// From where the cursor of the feed must stand, to where.
type CursorMove = (Option<String>, Option<String>);

/// What one event comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is in the change.
    Taken,
    /// It says nothing new.
    Repeated,
    /// It is about something we do not know.
    Unknown,
    /// It cannot be used.
    Skipped,
    /// The change has decided about its register already: it belongs to the next one.
    Later,
}

impl Applied {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Taken | Outcome::Later => {}
            Outcome::Repeated => self.repeated += 1,
            Outcome::Unknown => self.unknown += 1,
            Outcome::Skipped => self.skipped += 1,
        }
    }

    fn add(&mut self, part: Self) {
        self.events += part.events;
        self.verdicts.applied.extend(part.verdicts.applied);
        self.verdicts.ignored += part.verdicts.ignored;
        self.verdicts.unknown += part.verdicts.unknown;
        self.moved += part.moved;
        self.repeated += part.repeated;
        self.unknown += part.unknown;
        self.skipped += part.skipped;
    }
}

/// Applies one page that was asked for after the cursor `after` (that of [`ofd_store::Cursors::events`]). The journal is
/// followed to its end first, so that an event about a report meets its register.
///
/// # Errors
/// [`StoreError`]: the store is unavailable; ask for the page again later.
pub fn apply_page(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    after: Option<&str>,
    page: &EventsPage,
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let cursor =
        (after != Some(page.cursor.as_str())).then(|| (after.map(str::to_owned), Some(page.cursor.clone())));
    if page.events.is_empty() && cursor.is_none() {
        return Ok(Applied::default());
    }
    apply(registry, lease, periods, &page.events, cursor.as_ref(), now)
}

/// Applies verdicts that were asked for one by one (status refresh): the same effects as tickets of the feed.
///
/// # Errors
/// [`StoreError`], as [`apply_page`].
pub fn apply_verdicts(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    verdicts: &[DocumentVerdict],
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let events: Vec<Event> = verdicts.iter().map(effects::as_event).collect();
    apply(registry, lease, periods, &events, None, now)
}

/// The tax service does not keep events back to the cursor `after` any more (410): the next page is asked for from its
/// oldest event on. What was lost in between is found by asking for the status of documents. False: the lease is lost, or
/// the cursor stands elsewhere.
///
/// # Errors
/// [`StoreError`], as [`apply_page`].
pub fn begin_anew(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    after: &str,
) -> Result<bool, StoreError> {
    let mut draft = Draft::under(lease);
    draft.change.events_cursor = Some((Some(after.to_owned()), None));
    let done = matches!(registry.commit(&draft.change)?, Commit::Done(_));
    if done {
        tracing::error!(
            "the tax service does not keep events as old as our cursor: begun anew, events may be lost"
        );
    }
    Ok(done)
}

/// Applies a card that was asked for by its registration number.
///
/// # Errors
/// [`StoreError`], as [`apply_page`].
pub fn apply_card(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    card: &CardEvent,
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let kind = EventKind::RegistrationCard(Box::new(card.clone()));
    let event = Event { id: String::new(), at: None, kind };
    apply_from(registry, lease, periods, &[event], CardSource::Application, None, now)
}

fn apply(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    events: &[Event],
    cursor: Option<&CursorMove>,
    now: Timestamp,
) -> Result<Applied, StoreError> {
    apply_from(registry, lease, periods, events, CardSource::Event, cursor, now)
}

fn apply_from(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    events: &[Event],
    source: CardSource,
    cursor: Option<&CursorMove>,
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let mut total = Applied::default();
    if !catch_up(registry, lease, periods, now)? {
        return Ok(Applied { stale: true, ..total });
    }
    let mut rest = events;
    let mut attempts = 0;
    loop {
        let mut draft = Draft::under(lease);
        let mut part = Applied::default();
        let mut taken = 0;
        for event in rest {
            let outcome = effects::take(registry, &mut draft, event, source, periods, now)?;
            if outcome == Outcome::Later {
                break;
            }
            part.count(outcome);
            part.events += 1;
            taken += 1;
        }
        let last = taken == rest.len();
        if last && let Some(cursor) = cursor {
            draft.change.events_cursor = Some(cursor.clone());
        }
        if !draft.change.is_empty() {
            match registry.commit(&draft.change)? {
                Commit::Done(ids) => {
                    draft.say();
                    part.verdicts = ids.verdicts;
                    part.moved = draft.moved;
                }
                Commit::Stale if attempts < ATTEMPTS => {
                    attempts += 1;
                    continue;
                }
                Commit::Stale => return Ok(Applied { stale: true, ..total }),
            }
        }
        total.add(part);
        rest = rest.get(taken..).unwrap_or_default();
        if last {
            return Ok(total);
        }
    }
}

#[cfg(test)]
mod tests;
