//! Rows of the journal: several by one statement.
//!
//! A statement opens the table and every index over it, of which an ordinary document is in none; with the documents of a
//! batch written eight by eight that is paid once for eight. Positions are given out here, so that whoever needs one has
//! it before the row is written.

use rusqlite::{CachedStatement, Connection};

use crate::records::{Forward, NewDocument};
use crate::tables::columns::{
    AFTER_DEREGISTRATION_MARK, FLK_MARK, FN_CHANGED_MARK, SIGN_MARK, kopecks_column,
};

/// Rows of one statement. More pays little, and what is left over is written one by one.
const TOGETHER: usize = 8;
const COLUMNS: usize = 28;
/// OR FAIL: the transaction is given up after any failure, so that nothing has to be remembered for undoing a statement.
const INSERT: &str = "INSERT OR FAIL INTO journal (seq, fn, fd, chain, conflict_no, form, received_at, code, forward, \
     marks, verdict, sign_scheme, sign_generation, identity, peer, ffd_version, local_time, rnm, user_inn, kkt_serial, \
     shift, receipt_number, operation, total_kopecks, fiscal_sign, acknowledgement, container, opened) VALUES ";

/// A row that has its position and waits for the others of its statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewRow<'b> {
    pub(super) seq: i64,
    pub(super) document: &'b NewDocument,
    pub(super) chain: u32,
    pub(super) conflict_no: u32,
    pub(super) forward: Forward,
}

/// Writes rows within the transaction of a batch.
pub(super) struct Rows<'c, 'b> {
    one: CachedStatement<'c>,
    together: CachedStatement<'c>,
    waiting: Vec<NewRow<'b>>,
    /// Whether several may be written by one statement.
    may_wait: bool,
    /// A statement with several rows broke a constraint: nobody knows which of them did.
    together_failed: bool,
}

/// Whether the journal of the file has the columns.
pub(super) fn fits(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached(&insert(1)).map(|_| ())
}

impl<'c, 'b> Rows<'c, 'b> {
    /// With `may_wait` off every row is written by itself, so that a failure is that of one document.
    pub(super) fn new(connection: &'c Connection, may_wait: bool) -> rusqlite::Result<Self> {
        Ok(Self {
            one: connection.prepare_cached(&insert(1))?,
            together: connection.prepare_cached(&insert(TOGETHER))?,
            waiting: Vec::with_capacity(TOGETHER),
            may_wait,
            together_failed: false,
        })
    }

    /// Takes a row to which nothing else refers in this transaction, and writes it with others or at [`Self::flush`].
    pub(super) fn add(&mut self, row: NewRow<'b>) -> rusqlite::Result<()> {
        self.waiting.push(row);
        if self.waiting.len() < TOGETHER && self.may_wait {
            return Ok(());
        }
        self.flush()
    }

    /// Writes everything that waits: from here on it can be looked up.
    pub(super) fn flush(&mut self) -> rusqlite::Result<()> {
        if self.waiting.len() == TOGETHER {
            let result = execute(&mut self.together, &self.waiting);
            self.together_failed = result.is_err();
            result?;
        } else {
            for row in &self.waiting {
                let result = execute(&mut self.one, std::slice::from_ref(row));
                self.together_failed = result.is_err() && self.may_wait;
                result?;
            }
        }
        self.waiting.clear();
        Ok(())
    }

    /// Whether the failure may be that of another document than the one at hand.
    pub(super) fn have_failed_together(&self) -> bool {
        self.together_failed
    }
}

fn insert(rows: usize) -> String {
    let row = format!("({})", vec!["?"; COLUMNS].join(", "));
    INSERT.to_owned() + &vec![row; rows].join(", ")
}

fn execute(statement: &mut CachedStatement<'_>, rows: &[NewRow<'_>]) -> rusqlite::Result<()> {
    let mut at = 1;
    for row in rows {
        at = bind(statement, at, row)?;
    }
    statement.raw_execute().map(|_| ())
}

/// Binds the columns of one row from parameter `first` on; the number of the next parameter.
fn bind(statement: &mut CachedStatement<'_>, first: usize, row: &NewRow<'_>) -> rusqlite::Result<usize> {
    let (document, derived) = (row.document, &row.document.derived);
    let mut at = first;
    macro_rules! bind {
        ($($value:expr),+ $(,)?) => {
            $(
                statement.raw_bind_parameter(at, $value)?;
                at = at.saturating_add(1);
            )+
        };
    }
    bind!(
        row.seq,
        document.fn_number.as_str(),
        document.fd_number.get(),
        row.chain,
        row.conflict_no,
        document.form,
        document.received_at.as_microsecond(),
        document.code,
        row.forward.number(),
        marks(document),
        &document.sign.verdict,
        &document.sign.scheme,
        document.sign.generation,
        document.identity,
        &document.peer,
        derived.ffd_version,
        derived.local_time,
        &derived.rnm,
        &derived.user_inn,
        &derived.kkt_serial,
        derived.shift,
        derived.receipt_number,
        derived.operation,
        kopecks_column(derived),
        derived.fiscal_sign,
        &document.acknowledgement,
        &document.container,
        &document.opened,
    );
    Ok(at)
}

fn marks(document: &NewDocument) -> i64 {
    [
        (document.flk_mark, FLK_MARK),
        (document.sign_mark, SIGN_MARK),
        (document.fn_changed_mark, FN_CHANGED_MARK),
        (document.after_deregistration_mark, AFTER_DEREGISTRATION_MARK),
    ]
    .into_iter()
    .filter(|(is_set, _)| *is_set)
    .fold(0, |marks, (_, bit)| marks | bit)
}
