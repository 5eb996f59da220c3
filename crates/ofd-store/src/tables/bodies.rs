//! The received bytes of documents, wherever they lie.
//!
//! Every reader of `journal.container` and `journal.opened` goes through here: those of old documents may have been moved
//! into a file beside the store, and then the container in the row is empty, which no received one is. On a server they
//! always lie in the row.

use std::borrow::Cow;
use std::path::Path;

use rusqlite::Connection;

use crate::rows::{message_sign, opened_document};
use crate::sql::{self, Db, Row};
use crate::sqlite::detached::{self, Record, file};

/// The bytes of one document.
pub(crate) struct Body<'r> {
    container: Cow<'r, [u8]>,
    opened: Option<Cow<'r, [u8]>>,
}

/// Reads them; keeps the file that was needed last open, so it lives as long as one call.
pub(crate) struct Bodies<'c> {
    db: Db<'c>,
    file: Option<(Record, Connection)>,
}

impl<'c> Bodies<'c> {
    pub(crate) fn new(db: Db<'c>) -> Self {
        Self { db, file: None }
    }

    /// The bytes of the document at position `seq`; in its row the column `container` has the container, the next one the
    /// opened document.
    ///
    /// [`crate::StoreError::Elsewhere`] when they lie in a file that cannot be read.
    pub(crate) fn of<'r>(&mut self, row: &'r Row<'_>, seq: i64, container: usize) -> sql::Result<Body<'r>> {
        let in_row = row.get_ref(container)?.as_blob()?;
        if in_row.is_empty()
            && let Db::Sqlite(store) = self.db
            && let Some(found) = self.moved(store, seq)?
        {
            return Ok(Body { container: Cow::Owned(found.container), opened: found.opened.map(Cow::Owned) });
        }
        let opened = row.get_ref(container.saturating_add(1))?.as_blob_or_null()?;
        Ok(Body { container: Cow::Borrowed(in_row), opened: opened.map(Cow::Borrowed) })
    }

    /// What was moved out of the row of a position; none if it never was, and what is stored there is empty.
    pub(crate) fn moved(&mut self, store: &Connection, seq: i64) -> sql::Result<Option<file::Bytes>> {
        let known = self.file.take().filter(|(record, _)| record.holds(seq));
        let (record, file) = match known {
            Some(known) => known,
            None => {
                let Some(record) = detached::of_position(store, seq)? else { return Ok(None) };
                let path = store.path().map(Path::new).unwrap_or(Path::new(""));
                let file = file::open_for_reading(&record, path).map_err(sql::Error::Store)?;
                (record, file)
            }
        };
        let bytes = file::read(&file, &record, seq).map_err(sql::Error::Store)?;
        self.file = Some((record, file));
        Ok(Some(bytes))
    }
}

impl Body<'_> {
    /// The opened document: form, length, TLV.
    pub(crate) fn document(&self) -> &[u8] {
        opened_document(&self.container, self.opened.as_deref())
    }

    /// The sign after the document.
    pub(crate) fn message_sign(&self) -> [u8; 8] {
        message_sign(&self.container)
    }

    /// The container, and the opened document if it is kept beside that.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Option<Vec<u8>>) {
        (self.container.into_owned(), self.opened.map(Cow::into_owned))
    }
}
