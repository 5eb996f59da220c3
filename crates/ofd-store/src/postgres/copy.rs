//! Rows of the journal in the binary form of COPY, built once from the documents.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::records::{Forward, NewDocument};
use crate::tables::columns::{kopecks_column, marks_column};

/// The columns in the order of [`Rows::push`].
pub(super) const COPY: &str = "COPY journal (seq, received_at, fd, chain, conflict_no, form, code, forward, marks, \
     sign_generation, ffd_version, local_time, shift, receipt_number, operation, total_kopecks, fiscal_sign, fn, \
     identity, verdict, sign_scheme, peer, rnm, user_inn, kkt_serial, acknowledgement, container, opened) \
     FROM STDIN (FORMAT binary)";
const COLUMNS: i16 = 28;
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: i16 = -1;
const NULL: i32 = -1;
/// What a row takes beside its bytes and texts.
const ROW_BYTES: usize = 512;

/// Where a row lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) seq: i64,
    pub(super) chain: u32,
    pub(super) conflict_no: u32,
}

/// The data of one COPY.
pub(super) struct Rows {
    buffer: BytesMut,
}

impl Rows {
    /// Room for these documents.
    pub(super) fn with_room_for<'d>(documents: impl Iterator<Item = &'d NewDocument>) -> Self {
        let bytes: usize = documents.map(row_bytes).sum();
        let mut buffer = BytesMut::with_capacity(bytes.saturating_add(HEADER.len()).saturating_add(2));
        buffer.put_slice(HEADER);
        Self { buffer }
    }

    pub(super) fn push(&mut self, document: &NewDocument, position: Position, forward: Forward) {
        let derived = &document.derived;
        self.buffer.put_i16(COLUMNS);
        self.number(position.seq);
        self.number(document.received_at.as_microsecond());
        self.number(document.fd_number.get());
        self.number(position.chain);
        self.number(position.conflict_no);
        self.number(document.form);
        self.number(document.code);
        self.number(forward.number());
        self.number(marks_column(document));
        self.number_or_null(document.sign.generation);
        self.number_or_null(derived.ffd_version);
        self.number_or_null(derived.local_time);
        self.number_or_null(derived.shift);
        self.number_or_null(derived.receipt_number);
        self.number_or_null(derived.operation);
        self.number_or_null(kopecks_column(derived));
        self.number_or_null(derived.fiscal_sign);
        self.text(Some(document.fn_number.as_str()));
        self.bytes(Some(&document.identity));
        self.text(Some(document.sign.verdict));
        self.text(document.sign.scheme);
        self.text(document.peer.as_deref());
        self.text(derived.rnm.as_deref());
        self.text(derived.user_inn.as_deref());
        self.text(derived.kkt_serial.as_deref());
        self.bytes(Some(&document.acknowledgement));
        self.bytes(Some(&document.container));
        self.bytes(document.opened.as_deref());
    }

    /// All of it, with the end mark.
    pub(super) fn finish(mut self) -> Bytes {
        self.buffer.put_i16(END);
        self.buffer.freeze()
    }

    fn number(&mut self, value: impl Into<i64>) {
        self.buffer.put_i32(8);
        self.buffer.put_i64(value.into());
    }

    fn number_or_null(&mut self, value: Option<impl Into<i64>>) {
        match value {
            Some(value) => self.number(value),
            None => self.buffer.put_i32(NULL),
        }
    }

    fn text(&mut self, value: Option<&str>) {
        match value {
            Some(text) if text.contains('\0') => self.bytes(Some(without_zeros(text).as_bytes())),
            text => self.bytes(text.map(str::as_bytes)),
        }
    }

    fn bytes(&mut self, value: Option<&[u8]>) {
        // What reception lets in is far below the two GiB that a field can have.
        match value.and_then(|bytes| Some((i32::try_from(bytes.len()).ok()?, bytes))) {
            Some((length, bytes)) => {
                self.buffer.put_i32(length);
                self.buffer.put_slice(bytes);
            }
            None => self.buffer.put_i32(NULL),
        }
    }
}

/// PostgreSQL's texts hold no zero character; a register may send one within a string.
pub(super) fn without_zeros(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn row_bytes(document: &NewDocument) -> usize {
    let opened = document.opened.as_ref().map_or(0, Vec::len);
    ROW_BYTES
        .saturating_add(document.container.len())
        .saturating_add(document.acknowledgement.len())
        .saturating_add(opened)
}
