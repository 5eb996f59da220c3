//! Documents that were taken, in the order of their coming: numbers, hash, verdict. A million of them must fit.

use std::collections::{BTreeSet, HashMap};

use ffd::{FdNumber, FnNumber, FormCode};

use crate::fns::codes::{Codes, Verdict};
use crate::fns::door::{Checked, DocKey};

/// A document's place in the order of coming, from 0.
pub(in crate::fns) type DocIndex = u32;

/// Texts that many documents share, by number; the empty text is 0.
#[derive(Debug)]
pub(in crate::fns) struct Words {
    numbers: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Default for Words {
    fn default() -> Self {
        Self { numbers: HashMap::from([("".into(), 0)]), texts: vec!["".into()] }
    }
}

impl Words {
    /// The number of a text, a new one when it was never seen.
    pub(in crate::fns) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).expect("there are fewer texts than documents");
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    /// The number of a text that was seen.
    pub(in crate::fns) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// The text of a number.
    pub(in crate::fns) fn text(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|place| self.texts.get(place)).map_or("", |text| text)
    }
}

/// What is kept of a document.
#[derive(Debug, Clone)]
pub(in crate::fns) struct Doc {
    pub(in crate::fns) fn_number: FnNumber,
    pub(in crate::fns) fd_number: FdNumber,
    pub(in crate::fns) form: FormCode,
    /// Life of a debug storage, from 0.
    pub(in crate::fns) chain: u16,
    pub(in crate::fns) sha256: [u8; 32],
    pub(in crate::fns) message_sign: u64,
    pub(in crate::fns) fiscal_sign: u32,
    /// See [`Words`].
    pub(in crate::fns) rnm: u32,
    /// See [`Words`].
    pub(in crate::fns) inn: u32,
    /// The register's clock, seconds.
    pub(in crate::fns) date_time: u32,
    /// Milliseconds of UTC.
    pub(in crate::fns) received_at: i64,
    /// Milliseconds of UTC; of no meaning while there is no verdict.
    pub(in crate::fns) judged_at: i64,
    /// What is wrong with it whatever the registry says.
    pub(in crate::fns) own: Codes,
    /// Codes of the verdict.
    pub(in crate::fns) codes: Codes,
    /// None while the control has not spoken.
    pub(in crate::fns) verdict: Option<Verdict>,
    /// How often it came.
    pub(in crate::fns) times: u32,
}

impl Doc {
    /// Its name.
    pub(in crate::fns) fn key(&self) -> DocKey {
        DocKey { fn_number: self.fn_number, fd_number: self.fd_number }
    }
}

/// What a document is to those that came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fns) enum Place {
    /// New; `behind` when a higher number of its ФН was here already.
    New {
        /// Its number does not increase.
        behind: bool,
    },
    /// The first of a new life of a debug storage.
    NewChain,
    /// Known, with this content.
    Repeat(DocIndex),
    /// Known with other content.
    Conflict,
}

/// Documents of one storage.
#[derive(Debug, Default)]
struct Storage {
    /// Of each life the documents by ascending number.
    chains: Vec<Vec<(FdNumber, DocIndex)>>,
    /// Numbers refused at the door: they may come late.
    refused: BTreeSet<FdNumber>,
}

/// All documents.
#[derive(Debug, Default)]
pub(in crate::fns) struct Documents {
    docs: Vec<Doc>,
    storages: HashMap<FnNumber, Storage>,
    /// Documents as they came, when they are kept.
    bodies: HashMap<DocIndex, Box<str>>,
}

impl Documents {
    /// How many there are.
    pub(in crate::fns) fn len(&self) -> usize {
        self.docs.len()
    }

    /// One by its place.
    pub(in crate::fns) fn get(&self, index: DocIndex) -> Option<&Doc> {
        self.docs.get(usize::try_from(index).ok()?)
    }

    /// One by its place, to change it.
    pub(in crate::fns) fn get_mut(&mut self, index: DocIndex) -> Option<&mut Doc> {
        self.docs.get_mut(usize::try_from(index).ok()?)
    }

    /// All from a place on, in the order of coming.
    pub(in crate::fns) fn from(&self, first: usize) -> impl Iterator<Item = (DocIndex, &Doc)> {
        (0..).zip(&self.docs).skip(first)
    }

    /// One by its name, of the newest life of its storage that has the number.
    pub(in crate::fns) fn find(&self, key: &DocKey) -> Option<DocIndex> {
        let storage = self.storages.get(&key.fn_number)?;
        storage.chains.iter().rev().find_map(|chain| find_in(chain, key.fd_number))
    }

    /// What `checked` is to those that came before.
    pub(in crate::fns) fn place(&self, checked: &Checked) -> Place {
        let number = checked.key.fd_number;
        let Some(storage) = self.storages.get(&checked.key.fn_number) else {
            return Place::New { behind: false };
        };
        let mut known = storage.chains.iter().rev().filter_map(|chain| find_in(chain, number));
        let repeat = known.find(|&index| self.get(index).is_some_and(|doc| doc.sha256 == checked.sha256));
        if let Some(index) = repeat {
            return Place::Repeat(index);
        }
        let Some(chain) = storage.chains.last() else { return Place::New { behind: false } };
        let is_first = number == FdNumber::FIRST && checked.form.is_registration();
        if is_first && checked.key.fn_number.is_debug() {
            return Place::NewChain;
        }
        if find_in(chain, number).is_some() {
            return Place::Conflict;
        }
        let behind = chain.last().is_some_and(|&(highest, _)| number < highest);
        Place::New { behind: behind && !storage.refused.contains(&number) }
    }

    /// Adds a document; `named` = it can be found by its name (one in conflict cannot).
    pub(in crate::fns) fn add(&mut self, mut doc: Doc, new_chain: bool, named: bool) -> DocIndex {
        let index = u32::try_from(self.docs.len()).expect("fewer than 2^32 documents fit the memory");
        let storage = self.storages.entry(doc.fn_number).or_default();
        if new_chain || storage.chains.is_empty() {
            storage.chains.push(Vec::new());
        }
        doc.chain = u16::try_from(storage.chains.len() - 1).unwrap_or(u16::MAX);
        if named && let Some(chain) = storage.chains.last_mut() {
            let place = chain.partition_point(|&(number, _)| number < doc.fd_number);
            chain.insert(place, (doc.fd_number, index));
        }
        self.docs.push(doc);
        index
    }

    /// How many lives of a storage are known.
    pub(super) fn chains(&self, fn_number: &FnNumber) -> usize {
        self.storages.get(fn_number).map_or(0, |storage| storage.chains.len())
    }

    /// Remembers that the door refused this number.
    pub(in crate::fns) fn refused(&mut self, key: &DocKey) {
        self.storages.entry(key.fn_number).or_default().refused.insert(key.fd_number);
    }

    /// Keeps a document as it came.
    pub(in crate::fns) fn keep_body(&mut self, index: DocIndex, body: &str) {
        self.bodies.entry(index).or_insert_with(|| body.into());
    }

    /// A document as it came, when it was kept.
    pub(in crate::fns) fn body(&self, index: DocIndex) -> Option<&str> {
        self.bodies.get(&index).map(|body| &**body)
    }
}

fn find_in(chain: &[(FdNumber, DocIndex)], number: FdNumber) -> Option<DocIndex> {
    let place = chain.binary_search_by_key(&number, |&(number, _)| number).ok()?;
    chain.get(place).map(|&(_, index)| index)
}
