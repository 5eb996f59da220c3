//! The derived columns of a stored document, made anew from its bytes as reception makes them.

use ffd::dict::FormCode;
use ffd::document::Document;
use ofd_store::Derived;

/// What is read of an opened document.
pub(super) enum Contents<'a> {
    /// A register's document whose columns can be taken out of it.
    Document(Box<Document<'a>>),
    /// No readable TLV, or a form that is not a register's: answered with code 11, all columns empty.
    Unrecognised,
}

/// Reads an opened document of a row with this form code.
pub(super) fn contents(document: &[u8], form: u16) -> Contents<'_> {
    match Document::decode(document) {
        Ok(tree)
            if tree.form().is_kkt_document()
                && FormCode(form).is_kkt_document()
                && tree.unreadable_group().is_none() =>
        {
            Contents::Document(Box::new(tree))
        }
        _ => Contents::Unrecognised,
    }
}

impl Contents<'_> {
    /// The columns.
    pub(super) fn derived(&self) -> Derived {
        match self {
            Self::Document(document) => ofd_ingest::derived::derived(document),
            Self::Unrecognised => Derived::default(),
        }
    }
}
