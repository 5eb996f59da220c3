//! The events feed: numbered from 1, readable by cursor, forgotten after the retention.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::documents::DocIndex;
use crate::fns::card::Card;
use crate::fns::codes::{Codes, Verdict};

/// Most events kept, whatever the retention says: three per document of a million and a half.
const MAX_EVENTS: usize = 5_000_000;

/// What happened.
#[derive(Debug, Clone)]
pub(in crate::fns) enum Event {
    /// The control spoke.
    Ticket { doc: DocIndex, verdict: Verdict, codes: Codes },
    /// All other kinds; few.
    Other(Box<OtherEvent>),
}

/// Events about registers and applications.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(in crate::fns) enum OtherEvent {
    /// A card was made. `basis` is the name of the report it was made from.
    RegistrationCard { rnm: String, basis: Option<String>, card: Box<Card> },
    /// The register was struck off.
    DeregistrationCard { rnm: String, card: Box<Card> },
    /// The report was not taken for a registration.
    RegistrationRefused { doc_key: String, codes: Vec<Reason> },
    /// An application led to a number.
    ApplicationAccepted { application_id: String, rnm: String },
    /// An application led to nothing.
    ApplicationRefused { application_id: String, codes: Vec<Reason> },
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::fns) struct Reason {
    pub(in crate::fns) code: u32,
    #[serde(default)]
    pub(in crate::fns) text: String,
    #[serde(default)]
    pub(in crate::fns) path: Option<String>,
}

/// An event and its time, milliseconds of UTC.
#[derive(Debug, Clone)]
pub(in crate::fns) struct Stamped {
    pub(in crate::fns) at: i64,
    pub(in crate::fns) event: Event,
}

/// The feed.
#[derive(Debug, Default)]
pub(in crate::fns) struct Feed {
    events: VecDeque<Stamped>,
    /// Events forgotten so far: the number of the oldest kept one is one more.
    forgotten: u64,
}

/// A cursor that the feed does not know (any more).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fns) struct CursorExpired;

/// A part of the feed.
#[derive(Debug)]
pub(in crate::fns) struct Page<'f> {
    /// Events with their numbers.
    pub(in crate::fns) events: Vec<(u64, &'f Stamped)>,
    /// Number of the last one, or the cursor asked with.
    pub(in crate::fns) cursor: u64,
    /// Whether there are more now.
    pub(in crate::fns) more: bool,
}

impl Feed {
    /// Adds an event.
    pub(in crate::fns) fn push(&mut self, at: i64, event: Event) {
        self.events.push_back(Stamped { at, event });
        if self.events.len() > MAX_EVENTS {
            self.forget(1);
        }
    }

    /// Number of the newest event, 0 before the first.
    pub(in crate::fns) fn newest(&self) -> u64 {
        self.forgotten + u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }

    /// Forgets events from before `oldest`, milliseconds of UTC.
    pub(in crate::fns) fn forget_before(&mut self, oldest: i64) {
        let old = self.events.iter().take_while(|stamped| stamped.at < oldest).count();
        self.forget(old);
    }

    /// Forgets all events; numbers go on, so that no cursor of before becomes valid by chance.
    pub(in crate::fns) fn forget_all(&mut self) {
        self.forget(self.events.len());
    }

    fn forget(&mut self, count: usize) {
        self.events.drain(..count);
        self.forgotten += u64::try_from(count).unwrap_or(0);
    }

    /// Events behind a cursor; from the oldest kept one when there is none.
    pub(in crate::fns) fn page(&self, after: Option<u64>, limit: usize) -> Result<Page<'_>, CursorExpired> {
        let after = after.unwrap_or(self.forgotten);
        if after < self.forgotten || after > self.newest() {
            return Err(CursorExpired);
        }
        let skipped = usize::try_from(after - self.forgotten).unwrap_or(usize::MAX);
        let events: Vec<_> = (after + 1..).zip(self.events.range(skipped..)).take(limit).collect();
        let cursor = events.last().map_or(after, |(number, _)| *number);
        let more = cursor < self.newest();
        Ok(Page { events, cursor, more })
    }

    /// All kept events and how many were forgotten, for the snapshot.
    pub(super) fn parts(&self) -> (u64, &VecDeque<Stamped>) {
        (self.forgotten, &self.events)
    }

    /// A feed of a snapshot, still without events.
    pub(super) fn starting_after(forgotten: u64) -> Self {
        Self { events: VecDeque::new(), forgotten }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(doc: DocIndex) -> Event {
        Event::Ticket { doc, verdict: Verdict::Accepted, codes: Codes::NONE }
    }

    #[test]
    fn cursors_walk_the_feed_and_expire() {
        let mut feed = Feed::default();
        let check = |feed: &Feed, after, limit, expected: Option<(&[u64], u64, bool)>| {
            let page = feed.page(after, limit).ok();
            let seen = page.map(|page| {
                let numbers: Vec<u64> = page.events.iter().map(|(number, _)| *number).collect();
                (numbers, page.cursor, page.more)
            });
            let expected = expected.map(|(numbers, cursor, more)| (numbers.to_vec(), cursor, more));
            assert_eq!(seen, expected, "after {after:?}");
        };
        check(&feed, None, 5, Some((&[], 0, false)));
        check(&feed, Some(1), 5, None);
        for doc in 0..5 {
            feed.push(i64::from(doc) * 100, ticket(doc));
        }
        check(&feed, None, 2, Some((&[1, 2], 2, true)));
        check(&feed, Some(2), 500, Some((&[3, 4, 5], 5, false)));
        check(&feed, Some(5), 500, Some((&[], 5, false)));
        check(&feed, Some(6), 500, None);
        feed.forget_before(200);
        check(&feed, Some(1), 500, None);
        check(&feed, Some(2), 1, Some((&[3], 3, true)));
        check(&feed, None, 1, Some((&[3], 3, true)));
        feed.forget_all();
        check(&feed, None, 1, Some((&[], 5, false)));
        check(&feed, Some(5), 1, Some((&[], 5, false)));
        check(&feed, Some(4), 1, None);
        feed.push(0, ticket(0));
        check(&feed, Some(5), 1, Some((&[6], 6, false)));
    }
}
