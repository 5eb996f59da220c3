//! One document under judgement and what is known around it, for every check.

use std::borrow::Cow;

use super::Surroundings;
use super::register::{RegisterState, Registration};
use super::report::{Path, Place};
use crate::dict::{FfdVersion, FormCode, dictionary};
use crate::document::{Document, Node};
use crate::ids::{FnNumber, Inn};
use crate::tags;
use crate::value::cp866;

/// A document and its surroundings.
pub(super) struct Case<'c, 'd> {
    pub(super) doc: &'c Document<'d>,
    /// The version the document is judged by: its own, or 1.2 for forms that do not say theirs.
    pub(super) version: FfdVersion,
    pub(super) received_at: u32,
    pub(super) operator_inn: Option<Inn>,
    register: Option<&'c RegisterState>,
    /// Number of the document in its storage.
    pub(super) fd: Option<u32>,
}

impl<'c, 'd> Case<'c, 'd> {
    pub(super) fn new(doc: &'c Document<'d>, around: &Surroundings<'c>) -> Self {
        let mut case = Self {
            doc,
            version: version(doc),
            received_at: around.received_at,
            operator_inn: around.operator_inn,
            register: None,
            fd: None,
        };
        case.fd = case.number(tags::FD_NUMBER).and_then(|number| u32::try_from(number).ok());
        // A first report begins a chain of its own: what was remembered of another chain is no measure for it.
        let begins = doc.form().is_registration() && case.fd == Some(1);
        case.register = around.register.filter(|_| !begins);
        case
    }

    /// The first record of the top level with this tag.
    pub(super) fn node(&self, tag: u16) -> Option<Node<'c>> {
        self.doc.node(tag)
    }

    /// Its number.
    pub(super) fn number(&self, tag: u16) -> Option<u64> {
        self.node(tag)?.unsigned()
    }

    /// Its text without spaces at either end, as it stands on the wire: two are equal when their bytes are.
    pub(super) fn raw_text(&self, tag: u16) -> Option<&'c [u8]> {
        self.node(tag).filter(|node| node.is_text()).map(|node| cp866::trim(node.raw))
    }

    /// The same to be read.
    pub(super) fn text(&self, tag: u16) -> Option<Cow<'c, str>> {
        self.raw_text(tag).map(cp866::decode)
    }

    /// When the document was made, seconds of the till's clock (tag 1012).
    pub(super) fn time(&self) -> Option<u32> {
        self.node(tags::DATE_TIME)?.time().map(|time| time.get())
    }

    /// Where a record of the top level stands, or would stand.
    pub(super) fn at(&self, tag: u16) -> Place {
        Place { offset: self.node(tag).map(|node| node.offset).unwrap_or_default(), path: Path::top(tag) }
    }

    pub(super) fn form(&self) -> FormCode {
        self.doc.form()
    }

    /// The last registration report, if known.
    pub(super) fn registration(&self) -> Option<&'c Registration> {
        self.register?.registration()
    }

    /// What is remembered, if this document is younger than all of it: an older one (a repeat, a latecomer) cannot be
    /// held against numbers and sums that already count later documents. An acknowledgement or a notification carries
    /// the number of another document.
    pub(super) fn before(&self) -> Option<(&'c RegisterState, u32)> {
        let register = self.register?;
        let fd = self.fd.filter(|_| self.doc.form().is_kkt_document())?;
        let last = register.last_fd()?;
        (fd > last).then_some((register, last))
    }

    /// What is remembered, if this is the very next document: nothing is missing in between.
    pub(super) fn directly_before(&self) -> Option<&'c RegisterState> {
        self.before().filter(|&(_, last)| self.fd == last.checked_add(1)).map(|(register, _)| register)
    }

    /// Whether the storage is one for tests.
    pub(super) fn is_debug_fn(&self) -> bool {
        let number = self.node(tags::FN_NUMBER).and_then(|node| FnNumber::from_padded(node.raw).ok());
        number.is_some_and(|number| number.is_debug())
    }
}

/// Whether a record says nothing: it is empty, or spaces alone.
pub(super) fn is_blank(node: Node<'_>) -> bool {
    node.raw.iter().all(|&byte| byte == b' ')
}

/// Notifications about marked goods exist in ФФД 1.2 only and do not say their version.
fn version(doc: &Document<'_>) -> FfdVersion {
    let declared = dictionary().form(doc.form(), doc.version()).is_some();
    if declared || !doc.form().is_known() { doc.version() } else { FfdVersion::V1_2 }
}
