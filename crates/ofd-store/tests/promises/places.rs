//! Places of documents in the journal: the first is 1, whatever position the engine gave it.

use std::cell::RefCell;

use crate::{ExportFilter, Reader};

/// Knows the positions of a journal in their order.
pub(super) struct Places {
    reader: Reader,
    known: RefCell<Vec<i64>>,
}

impl Places {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader, known: RefCell::default() }
    }

    fn renewed(&self) -> std::cell::Ref<'_, Vec<i64>> {
        let mut after = self.known.borrow().last().copied().unwrap_or(0);
        loop {
            let page = self.reader.export_page(after, &ExportFilter::default(), 10_000).unwrap();
            let Some(last) = page.last() else { return self.known.borrow() };
            after = last.seq;
            self.known.borrow_mut().extend(page.iter().map(|row| row.seq));
        }
    }

    /// The position of the document at a place; of a place past the end, one that nothing lies at.
    pub(super) fn at(&self, place: i64) -> i64 {
        let index = |place: i64| usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        let Some(wanted) = index(place) else { return place };
        if let Some(seq) = self.known.borrow().get(wanted) {
            return *seq;
        }
        let known = self.renewed();
        let count = i64::try_from(known.len()).unwrap();
        known.get(wanted).copied().unwrap_or_else(|| known.last().copied().unwrap_or(0) + place - count)
    }

    /// The place of the document at a position; past the end as many places on as it is positions.
    pub(super) fn of(&self, seq: i64) -> i64 {
        if let Ok(index) = self.known.borrow().binary_search(&seq) {
            return i64::try_from(index).unwrap() + 1;
        }
        let known = self.renewed();
        match known.last() {
            Some(last) if seq > *last => i64::try_from(known.len()).unwrap() + seq - last,
            _ => i64::try_from(known.partition_point(|known| *known <= seq)).unwrap(),
        }
    }

    /// How many documents lie up to a position.
    pub(super) fn up_to(&self, seq: i64) -> i64 {
        i64::try_from(self.renewed().partition_point(|known| *known <= seq)).unwrap()
    }

    /// The first place that is not before a position.
    pub(super) fn before(&self, seq: i64) -> i64 {
        i64::try_from(self.renewed().partition_point(|known| *known < seq)).unwrap() + 1
    }

    /// Puts the place in the position's place.
    pub(super) fn name(&self, seq: &mut i64) {
        *seq = self.of(*seq);
    }

    pub(super) fn name_some(&self, seq: &mut Option<i64>) {
        if let Some(seq) = seq {
            self.name(seq);
        }
    }
}
