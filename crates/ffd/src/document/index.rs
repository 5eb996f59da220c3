//! Where the records of the top level lie, by tag: most of what is asked of a document is one of them.

use super::tree::{Nodes, Record};

/// Tags from the first on, so many of them, are found by index; the few others that a top level may hold are searched.
const FIRST_TAG: u16 = 1000;
const TAGS: usize = 300;

/// No record of that tag. A document has fewer records (65,535 bytes of at least four each).
const NONE: u16 = u16::MAX;
/// Set when there is more than one record of that tag.
const REPEATED: u16 = 0x8000;

/// Places of the first record of each tag.
#[derive(Debug, Clone)]
pub(super) struct TopLevel {
    places: [u16; TAGS],
    /// Whether there are records of other tags.
    has_others: bool,
}

impl Default for TopLevel {
    fn default() -> Self {
        Self { places: [NONE; TAGS], has_others: false }
    }
}

impl TopLevel {
    /// Takes note of a record of the top level, in their order.
    pub(super) fn add(&mut self, tag: u16, place: usize) {
        match slot(tag).and_then(|slot| self.places.get_mut(slot)) {
            Some(first) if *first == NONE => *first = u16::try_from(place).unwrap_or(NONE) & !REPEATED,
            Some(first) => *first |= REPEATED,
            None => self.has_others = true,
        }
    }

    /// Where the first record with this tag lies in `records`.
    pub(super) fn first(&self, tag: u16, records: &[Record<'_>]) -> Option<usize> {
        match slot(tag).and_then(|slot| self.places.get(slot)) {
            Some(&NONE) => None,
            Some(&place) => Some(usize::from(place & !REPEATED)),
            None if self.has_others => place_of(tag, records),
            None => None,
        }
    }

    /// Whether there may be more than one record with this tag.
    pub(super) fn is_repeated(&self, tag: u16) -> bool {
        match slot(tag).and_then(|slot| self.places.get(slot)) {
            Some(&place) => place & REPEATED != 0,
            None => true,
        }
    }
}

fn place_of(tag: u16, records: &[Record<'_>]) -> Option<usize> {
    let mut nodes = Nodes::new(records);
    let mut place = 0;
    loop {
        let node = nodes.next()?;
        if node.tag == tag {
            return Some(place);
        }
        place += 1 + node.inside();
    }
}

fn slot(tag: u16) -> Option<usize> {
    tag.checked_sub(FIRST_TAG).map(usize::from).filter(|&slot| slot < TAGS)
}
