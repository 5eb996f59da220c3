//! A row as the binary form of COPY has it: by it rows are written, and by it both sides are compared.

use rusqlite::Row;
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

use crate::sqlite::detached::file::Bytes;

/// Before the first row: the mark of the form, no flags, no extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// After the last row.
pub(super) const TRAILER: &[u8] = &[0xff, 0xff];

/// Column of the journal that is empty where the bytes of the document lie elsewhere.
pub(super) const CONTAINER: &str = "container";

/// Type of a column; there are no others in either schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    Bytes,
}

/// A column of a table, named alike on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// Why a row cannot be moved.
#[derive(Debug)]
pub(super) enum Unfit {
    Sqlite(rusqlite::Error),
    /// The column holds something else than its type says.
    Cell(String),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Names of columns, separated by commas.
pub(super) fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Adds a row to a buffer; `moved` are the bytes of its document if they do not lie in it.
pub(super) fn put(
    row: &Row<'_>,
    columns: &[Column],
    moved: Option<&Bytes>,
    buffer: &mut Vec<u8>,
) -> Result<(), Unfit> {
    buffer.extend(i16::try_from(columns.len()).unwrap_or(i16::MAX).to_be_bytes());
    for (index, column) in columns.iter().enumerate() {
        let cell = match (moved, column.name.as_str()) {
            (Some(moved), CONTAINER) => ValueRef::Blob(&moved.container),
            (Some(moved), "opened") => moved.opened.as_deref().map_or(ValueRef::Null, ValueRef::Blob),
            _ => row.get_ref(index)?,
        };
        match (cell, column.kind) {
            (ValueRef::Null, _) => buffer.extend((-1_i32).to_be_bytes()),
            (ValueRef::Integer(number), Kind::Number) => {
                buffer.extend(8_i32.to_be_bytes());
                buffer.extend(number.to_be_bytes());
            }
            (ValueRef::Text(text), Kind::Text) => put_text(text, column, buffer)?,
            (ValueRef::Blob(bytes), Kind::Bytes) => put_bytes(bytes, column, buffer)?,
            (other, _) => {
                return Err(Unfit::Cell(format!("column {} holds {:?}", column.name, other.data_type())));
            }
        }
    }
    Ok(())
}

fn put_bytes(bytes: &[u8], column: &Column, buffer: &mut Vec<u8>) -> Result<(), Unfit> {
    let length = i32::try_from(bytes.len())
        .map_err(|_| Unfit::Cell(format!("column {} is larger than 2 GiB", column.name)))?;
    buffer.extend(length.to_be_bytes());
    buffer.extend(bytes);
    Ok(())
}

/// PostgreSQL keeps no text with a zero byte in it.
fn put_text(text: &[u8], column: &Column, buffer: &mut Vec<u8>) -> Result<(), Unfit> {
    let text = std::str::from_utf8(text)
        .map_err(|_| Unfit::Cell(format!("column {} holds no UTF-8 text", column.name)))?;
    put_bytes(crate::sql::storable(text).as_bytes(), column, buffer)
}

/// Hash of rows in their order, read in pieces of any size.
#[derive(Debug)]
pub(super) struct Sum {
    hasher: Sha256,
    skip: usize,
    /// The newest bytes of the stream: they may be its end, which is not part of a row.
    tail: Vec<u8>,
}

impl Sum {
    /// Of bare rows.
    pub(super) fn of_rows() -> Self {
        Self { hasher: Sha256::new(), skip: 0, tail: Vec::new() }
    }

    /// Of a whole stream, header and trailer left out.
    pub(super) fn of_stream() -> Self {
        Self { skip: HEADER.len(), ..Self::of_rows() }
    }

    /// Rows.
    pub(super) fn add(&mut self, rows: &[u8]) {
        self.hasher.update(rows);
    }

    /// The next piece of a stream.
    pub(super) fn pour(&mut self, piece: &[u8]) {
        let skipped = self.skip.min(piece.len());
        self.skip -= skipped;
        let piece = piece.get(skipped..).unwrap_or_default();
        self.tail.extend(piece);
        let ready = self.tail.len().saturating_sub(TRAILER.len());
        self.hasher.update(self.tail.get(..ready).unwrap_or_default());
        self.tail.drain(..ready);
    }

    /// The hash; of a stream only when it had its end.
    pub(super) fn end(self) -> Option<[u8; 32]> {
        let whole = self.skip == 0 && (self.tail.is_empty() || self.tail == TRAILER);
        whole.then(|| self.hasher.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_in_pieces_sums_up_as_its_rows() {
        let rows: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let stream = [HEADER, &rows, TRAILER].concat();
        let mut expected = Sum::of_rows();
        expected.add(&rows);
        let expected = expected.end();
        assert!(expected.is_some());
        for size in [1, 2, 3, 18, 19, 20, 999, stream.len()] {
            let mut sum = Sum::of_stream();
            stream.chunks(size).for_each(|piece| sum.pour(piece));
            assert_eq!(sum.end(), expected, "by {size}");
        }
        let mut cut = Sum::of_stream();
        cut.pour(&stream[..stream.len() - 1]);
        assert_eq!(cut.end(), None);
    }
}
