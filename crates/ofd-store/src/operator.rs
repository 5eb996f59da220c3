//! Writing commands of an operator, beside a running daemon or without one.

use ffd::ids::FnNumber;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::StoreError;
use crate::config::sqlite_path;
use crate::records::{QuarantineRelease, RegisterAdd, RegisterChange};
use crate::sqlite::{open_operator, registers, write_once};

/// A connection for short writing commands: one transaction each, waiting up to 5 s for the daemon's writer.
#[derive(Debug)]
pub struct Operator {
    connection: Connection,
}

impl Operator {
    /// Opens the store behind `url`; it must exist (a mistyped path must not become an empty store). An older
    /// store is not upgraded here but at the start of the daemon.
    ///
    /// # Errors
    /// [`StoreError`]: no such store, not ours, newer or older than this program, cannot be opened, busy.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self { connection: open_operator(&sqlite_path(url)?)? })
    }

    /// States facts about a register. A running daemon knows them within a second.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when neither ФН nor serial number is given; else as [`Operator::open`].
    pub fn register_add(&mut self, register: &RegisterAdd) -> Result<RegisterChange, StoreError> {
        let has_serial = register.kkt_serial.as_deref().is_some_and(|serial| !serial.trim().is_empty());
        if register.fn_number.is_none() && !has_serial {
            return Err(StoreError::refused("a register needs a ФН or the serial number of its ККТ"));
        }
        let now = Timestamp::now();
        write_once(&mut self.connection, |connection| registers::add(connection, register, now))
    }

    /// Lifts the hold of a ФН: it becomes known, its quarantined copies are marked and stay as evidence. The
    /// documents enter the journal when the register sends them again.
    ///
    /// A ФН of which messages were only counted can be released too. Those counted together with others
    /// ([`crate::QuarantineCount::fn_number`] absent) cannot be told apart, so while there are any, every ФН
    /// may be among them.
    ///
    /// # Errors
    /// As [`Operator::open`].
    pub fn quarantine_release(&mut self, fn_number: &FnNumber) -> Result<QuarantineRelease, StoreError> {
        let now = Timestamp::now();
        write_once(&mut self.connection, |connection| registers::release(connection, fn_number, now))
    }
}
