//! What is to be done with the items of a batch, before anything is asked: most are ordinary documents, most of these
//! are new, and for them one statement writes all the keys and one all the rows.

use ffd::ids::FnNumber;

use super::copy::{Position, Rows, without_zeros};
use crate::engine::WriteItem;
use crate::records::{MAX_STORED_FINDINGS, NewDocument};

/// A batch, sorted out.
pub(super) struct Plan<'b> {
    pub(super) batch: &'b [WriteItem],
    /// Ordinary documents, each the first of its (ФН, ФД) in the batch, in the order of their keys: two nodes that write
    /// the same keys meet at the first of them and never wait for each other crosswise.
    ordinary: Vec<usize>,
    /// What has to be judged one by one in any case.
    single: Vec<usize>,
}

/// The columns of the keys.
#[derive(Default)]
pub(super) struct Keys<'b> {
    pub(super) fds: Vec<i64>,
    pub(super) ordinals: Vec<i64>,
    pub(super) fns: Vec<&'b str>,
    pub(super) identities: Vec<&'b [u8]>,
}

/// Findings as columns.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) seqs: Vec<i64>,
    pub(super) ordinals: Vec<i64>,
    pub(super) paths: Vec<String>,
    pub(super) rules: Vec<String>,
    pub(super) severities: Vec<i64>,
    pub(super) texts: Vec<String>,
}

impl<'b> Plan<'b> {
    pub(super) fn of(batch: &'b [WriteItem]) -> Self {
        let (mut ordinary, mut single) = (Vec::with_capacity(batch.len()), Vec::new());
        for (index, item) in batch.iter().enumerate() {
            match item {
                // A debug ФН begins its numbers anew: which chain a document belongs to is judged in order.
                WriteItem::Document(document) if !document.fn_number.is_debug() => ordinary.push(index),
                _ => single.push(index),
            }
        }
        let mut plan = Self { batch, ordinary, single };
        plan.sort();
        plan
    }

    /// The document of an item.
    pub(super) fn document(&self, index: usize) -> Option<&'b NewDocument> {
        match self.batch.get(index) {
            Some(WriteItem::Document(document)) => Some(document),
            _ => None,
        }
    }

    /// Ordinary documents and their keys.
    pub(super) fn keys(&self) -> Keys<'b> {
        self.keys_of(&self.ordinary)
    }

    /// The keys of these items, as far as they are documents.
    pub(super) fn keys_of(&self, indexes: &[usize]) -> Keys<'b> {
        let mut keys = Keys::default();
        for &index in indexes {
            if let Some(document) = self.document(index) {
                keys.fds.push(document.fd_number.get().into());
                keys.ordinals.push(ordinal(index));
                keys.fns.push(document.fn_number.as_str());
                keys.identities.push(&document.identity);
            }
        }
        keys
    }

    /// Parts the ordinary documents into those that were written, in the order of the batch, and the others, which then
    /// are judged one by one. `written` are their ordinals; none for all.
    pub(super) fn part(&mut self, written: Option<&[i64]>) -> Vec<usize> {
        let mut new = std::mem::take(&mut self.ordinary);
        if let Some(written) = written {
            let mut is_new = vec![false; self.batch.len()];
            for place in written {
                let slot = usize::try_from(*place).ok().and_then(|place| is_new.get_mut(place));
                slot.into_iter().for_each(|slot| *slot = true);
            }
            let (kept, known) =
                new.into_iter().partition(|index| is_new.get(*index).copied().unwrap_or_default());
            new = kept;
            let known: Vec<usize> = known;
            self.single.extend(known);
        }
        new.sort_unstable();
        self.single.sort_unstable();
        new
    }

    /// What is to be judged one by one, in the order of the batch, once [`Plan::part`] was asked.
    pub(super) fn single(&self) -> &[usize] {
        &self.single
    }

    /// The rows of these new documents.
    pub(super) fn rows(&self, new: &[usize], first: i64) -> Rows {
        let documents = || new.iter().filter_map(|index| Some((*index, self.document(*index)?)));
        let mut rows = Rows::with_room_for(documents().map(|(_, document)| document));
        for (index, document) in documents() {
            let position = Position { seq: position(first, index), chain: 0, conflict_no: 0 };
            rows.push(document, position, document.forward);
        }
        rows
    }

    /// By key, doubles behind their first in the order of the batch; these are then no longer among the ordinary.
    fn sort(&mut self) {
        let Self { batch, ordinary, single } = self;
        let key = |index: &usize| -> Option<(&FnNumber, u32)> {
            match batch.get(*index) {
                Some(WriteItem::Document(document)) => Some((&document.fn_number, document.fd_number.get())),
                _ => None,
            }
        };
        // Stable, and the order of texts: FnNumber compares by its digits, as the column does.
        ordinary.sort_by(|one, other| {
            let (one, other) = (key(one), key(other));
            let text = |key: Option<(&'b FnNumber, u32)>| key.map(|(fn_number, fd)| (fn_number.as_str(), fd));
            text(one).cmp(&text(other))
        });
        let mut last = None;
        ordinary.retain(|index| {
            let this = key(index);
            let is_double = last == Some(this);
            last = Some(this);
            if is_double {
                single.push(*index);
            }
            !is_double
        });
    }
}

impl Findings {
    pub(super) fn push(&mut self, document: &NewDocument, seq: i64) {
        for (ordinal, finding) in (0_i64..).zip(document.findings.iter().take(MAX_STORED_FINDINGS)) {
            self.seqs.push(seq);
            self.ordinals.push(ordinal);
            self.paths.push(finding.path.iter().map(u16::to_string).collect::<Vec<_>>().join("."));
            self.rules.push(without_zeros(&finding.rule));
            self.severities.push(finding.severity.number());
            self.texts.push(without_zeros(&finding.text));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seqs.is_empty()
    }
}

/// The position of an item in a block that begins with `first`.
pub(super) fn position(first: i64, index: usize) -> i64 {
    first.saturating_add(ordinal(index))
}

pub(super) fn ordinal(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}
