//! One stored document held against itself: every stored fact must follow from its bytes. Needs no keys.

use std::fmt;

use ffd::dict::FormCode;
use kkt_proto::ack::{self, Acknowledgement, OperatorCode};
use kkt_proto::container::{Container, ContainerKind};
use ofd_ingest::derived::identity;
use ofd_store::{Derived, DocumentRow, FindingSeverity, Forward};

use crate::commands::columns::{Contents, contents};

/// Something that does not follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is to be done about it.
    pub(super) kind: FaultKind,
    /// What is wrong.
    pub(super) what: String,
}

/// Kinds of faults, by what an operator does about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The received document is not what was received, or is gone.
    Document,
    /// The answer that a repeat would get is not the one that was given.
    Acknowledgement,
    /// A column, or a part of the index, that can be made anew.
    Column,
    /// What was decided at reception: it can neither be made anew nor be right.
    Decision,
    /// The file as a database.
    Database,
    /// A file of old documents that cannot be read.
    File,
}

impl FaultKind {
    /// What to do.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Column => "run `fiscald reindex`",
            Self::Acknowledgement => "a repeat would get a wrong answer: stop the daemon, restore a backup",
            Self::File => {
                "the store is sound without it: repeats are answered, these documents cannot be shown"
            }
            Self::Document | Self::Decision | Self::Database => "stop the daemon, restore a backup",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.kind.advice())
    }
}

/// Everything wrong with one row. The acknowledgement of an encrypted document is encrypted too: of that one only the
/// container can be judged.
pub(super) fn examine(row: &DocumentRow) -> Vec<Fault> {
    let mut faults = Faults::default();
    received(row, &mut faults);
    let document = row.opened_document();
    if identity(document)[..] == row.identity {
        let contents = contents(document, row.form);
        read(row, &contents, &mut faults);
        decided(row, &contents, &mut faults);
    } else {
        // Nothing can be concluded from it: its columns may be the only true thing left.
        faults.add(FaultKind::Document, "the opened document is not the one that was received (SHA-256)");
    }
    acknowledged(row, &mut faults);
    faults.0
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, kind: FaultKind, what: impl Into<String>) {
        self.0.push(Fault { kind, what: what.into() });
    }
}

/// The container as it came from the register.
fn received(row: &DocumentRow, faults: &mut Faults) {
    let container = match Container::decode(&row.container) {
        Ok(container) => container,
        Err(error) => return faults.add(FaultKind::Document, format!("the container is damaged: {error}")),
    };
    let header = &container.header;
    if header.kind != ContainerKind::FROM_FN {
        faults.add(FaultKind::Document, format!("a container of kind {:02X} in place of A5", header.kind.0));
    }
    if (header.fn_number, header.fd_number) != (row.fn_number, row.fd_number) {
        let (fn_number, fd_number) = (header.fn_number, header.fd_number);
        let what = format!("the container is of ФН {fn_number} ФД {fd_number}");
        faults.add(FaultKind::Document, what);
    }
    match (container.is_open(), &row.opened) {
        (true, Some(_)) => {
            faults.add(FaultKind::Decision, "an opened document is kept beside an open container");
        }
        (false, None) => {
            faults.add(FaultKind::Document, "the container is encrypted and nothing opened is kept")
        }
        (true, None) | (false, Some(_)) => {}
    }
}

/// What was read out of the opened document.
fn read(row: &DocumentRow, contents: &Contents<'_>, faults: &mut Faults) {
    match contents {
        Contents::Document(document) => {
            if document.form() != FormCode(row.form) {
                let what =
                    format!("form {} is stored, the document is of form {}", row.form, document.form().0);
                faults.add(FaultKind::Decision, what);
            }
        }
        Contents::Unrecognised if row.code == OperatorCode::UNRECOGNISED.0 => {}
        Contents::Unrecognised => {
            let what = format!("the document cannot be read, and yet was answered with code {}", row.code);
            faults.add(FaultKind::Document, what);
        }
    }
    let differing = differing(&row.derived, &contents.derived());
    if !differing.is_empty() {
        faults.add(FaultKind::Column, format!("columns differ from the document: {}", differing.join(", ")));
    }
}

/// Names of the columns that are not what the document says.
fn differing(stored: &Derived, expected: &Derived) -> Vec<&'static str> {
    let Derived {
        ffd_version,
        local_time,
        rnm,
        user_inn,
        kkt_serial,
        shift,
        receipt_number,
        operation,
        total_kopecks,
        fiscal_sign,
    } = expected;
    // A sum that no column can hold has none.
    let total = total_kopecks.filter(|sum| i64::try_from(*sum).is_ok());
    [
        ("ffd_version", stored.ffd_version == *ffd_version),
        ("local_time", stored.local_time == *local_time),
        ("rnm", stored.rnm == *rnm),
        ("user_inn", stored.user_inn == *user_inn),
        ("kkt_serial", stored.kkt_serial == *kkt_serial),
        ("shift", stored.shift == *shift),
        ("receipt_number", stored.receipt_number == *receipt_number),
        ("operation", stored.operation == *operation),
        ("total_kopecks", stored.total_kopecks == total),
        ("fiscal_sign", stored.fiscal_sign == *fiscal_sign),
    ]
    .into_iter()
    .filter(|(_, same)| !same)
    .map(|(name, _)| name)
    .collect()
}

/// Code, marks and forwarding, which go together.
fn decided(row: &DocumentRow, contents: &Contents<'_>, faults: &mut Faults) {
    let code = OperatorCode(row.code);
    let known = [OperatorCode::ACCEPTED, OperatorCode::UNRECOGNISED, OperatorCode::FORMAT_LOGIC];
    if !known.contains(&code) {
        return faults.add(FaultKind::Decision, format!("code {} is none that an operator gives", row.code));
    }
    let hard = row.findings.iter().any(|finding| finding.severity == FindingSeverity::Hard);
    if code == OperatorCode::ACCEPTED && hard {
        faults.add(FaultKind::Decision, "code 0 beside a hard finding");
    }
    if row.flk_mark != (code == OperatorCode::FORMAT_LOGIC) {
        faults.add(FaultKind::Decision, format!("code {} and the control's mark do not agree", row.code));
    }
    if row.sign_mark && row.verdict == "valid" {
        faults.add(FaultKind::Decision, "a valid sign is marked as not confirmed");
    }
    // What is a conflict or was not recognised must never leave, everything else must once.
    let stays = row.conflict_no > 0 || code == OperatorCode::UNRECOGNISED;
    let recognised = matches!(contents, Contents::Document(_));
    match (row.forward, stays) {
        (Forward::No, false) if recognised => {
            faults.add(FaultKind::Decision, "would never be forwarded, although it was taken");
        }
        (Forward::Yes | Forward::WhenKnown, true) => {
            faults.add(FaultKind::Decision, "would be forwarded, although it must not be");
        }
        _ => {}
    }
}

/// The container of document 7 that a repeat gets.
fn acknowledged(row: &DocumentRow, faults: &mut Faults) {
    let kind = FaultKind::Acknowledgement;
    let container = match Container::decode(&row.acknowledgement) {
        Ok(container) => container,
        Err(error) => return faults.add(kind, format!("the acknowledgement is damaged: {error}")),
    };
    let header = &container.header;
    if header.kind != ContainerKind::FROM_OFD || u16::from(header.form) != ack::FORM {
        faults.add(kind, "what is stored as the acknowledgement is none");
    }
    if (header.fn_number, header.fd_number) != (row.fn_number, row.fd_number) {
        let (fn_number, fd_number) = (header.fn_number, header.fd_number);
        faults.add(kind, format!("the acknowledgement is for ФН {fn_number} ФД {fd_number}"));
    }
    if !container.is_open() {
        if row.opened.is_none() {
            faults.add(kind, "the acknowledgement of an open document cannot be read");
        }
        return;
    }
    match Acknowledgement::decode(container.data) {
        Err(error) => faults.add(kind, format!("the acknowledgement cannot be read: {error}")),
        Ok(ack) => {
            if (ack.fn_number, ack.fd_number) != (row.fn_number, row.fd_number) {
                let what = format!("document 7 is for ФН {} ФД {}", ack.fn_number, ack.fd_number);
                faults.add(kind, what);
            }
            if ack.code != OperatorCode(row.code) {
                faults.add(kind, format!("document 7 says code {}, stored is {}", ack.code.0, row.code));
            }
            if i64::from(ack.datetime) != row.received_at.as_second() {
                faults.add(kind, "document 7 is of another moment than the reception");
            }
        }
    }
}
