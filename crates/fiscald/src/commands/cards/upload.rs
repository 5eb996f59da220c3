//! A card that a person brings: read as XML, or a PDF that the person read.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use ofd_fns::registration::card::{CardFacts, read_xml};
use ofd_fns::registration::ops::{CardOutcome, CardUpload, card_upload};
use ofd_store::{Card, CardKind, Kkt};
use serde_json::{Value, json};

use super::super::output::Output;
use super::super::registers::Viewer;
use super::super::{registry, settings};
use super::as_json;
use crate::cli::CardUploadArgs;

/// Bytes of a card or of its signature that are read at all.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// What the file is, by its beginning: names of files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Xml,
    Pdf,
}

/// Hands a card in and tells what came of it. A card that could not be applied is kept, and the exit code is 1.
///
/// # Errors
/// The file is no card; a PDF without its facts; the store cannot be used.
pub(super) fn run(args: CardUploadArgs, out: &mut Output) -> Result<ExitCode> {
    let shown = args.file.display().to_string();
    let body = read(&args.file)?;
    let signature = args.signature.as_deref().map(read).transpose()?;
    let (facts, media_type) = match (kind(&body), args.confirm) {
        (Some(Kind::Xml), false) => (read_xml(&body).with_context(|| shown.clone())?, "application/xml"),
        (Some(Kind::Xml), true) => {
            bail!("{shown} is XML and is read as it is: leave --confirm and what follows it away")
        }
        (Some(Kind::Pdf), true) => (typed(&args)?, "application/pdf"),
        (Some(Kind::Pdf), false) => bail!(
            "{shown} is a PDF, which nothing here can read: open it and say what stands in it, \
             with --confirm --rnm RNM --kkt-serial SERIAL --fn FN --inn INN"
        ),
        (None, _) => bail!("{shown} is neither XML nor PDF"),
    };
    let periods = settings(&args.table.config)?.registration.periods();
    let (mut registry, place) = registry(&args.table.config)?;
    let upload = CardUpload { facts, media_type: media_type.to_owned(), body, signature };
    let outcome = card_upload(&mut registry, &periods, &upload, Timestamp::now())?;
    let told = Told::of(outcome);
    let view = told.kkt.clone().map(|kkt| Viewer::new(&registry, periods).view(*kkt)).transpose()?;
    if args.table.json {
        out.json(&told.as_json(view.as_ref().map(|view| view.as_json())))?;
    } else {
        let label = view.map_or_else(String::new, |view| format!(", «{}»", view.register.label));
        let line = format!("card {} of РНМ {} ({place}): {}{label}", told.card.id, told.card.rnm, told.words);
        if told.applied { out.line(line)? } else { eprintln!("{line}") }
    }
    Ok(if told.applied { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_FILE_BYTES) {
        bail!("{shown} has more than {} MiB: that is no card", MAX_FILE_BYTES / 1024 / 1024);
    }
    Ok(bytes)
}

fn kind(body: &[u8]) -> Option<Kind> {
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    match text {
        [b'%', b'P', b'D', b'F', b'-', ..] => Some(Kind::Pdf),
        [b'<', ..] => Some(Kind::Xml),
        _ => None,
    }
}

/// What the person says that stands in the PDF.
fn typed(args: &CardUploadArgs) -> Result<CardFacts> {
    let rnm = args.rnm.context("--rnm is missing")?;
    Ok(CardFacts {
        kind: if args.deregistration { CardKind::Deregistration } else { CardKind::Registration },
        number: args.card_number.clone(),
        rnm: rnm.to_string(),
        kkt_serial: args.kkt_serial.clone(),
        fn_number: args.fn_number,
        inn: args.inn.map(|inn| inn.to_string()),
        dated: args.dated.map(|day| day.to_string()),
    })
}

/// An outcome in words.
struct Told {
    words: String,
    /// Nothing is left to do about the card.
    applied: bool,
    name: &'static str,
    kkt: Option<Box<Kkt>>,
    card: Box<Card>,
    fields: Vec<String>,
    task_id: Option<i64>,
}

impl Told {
    fn of(outcome: CardOutcome) -> Self {
        let task = |task_id: Option<i64>| {
            task_id.map_or_else(String::new, |id| format!("; task {id}, see `fiscald tasks list`"))
        };
        let told = |words: String, name, kkt, card| Self {
            words,
            applied: false,
            name,
            kkt,
            card,
            fields: Vec::new(),
            task_id: None,
        };
        match outcome {
            CardOutcome::Applied { kkt, card } => {
                let words = format!("the register is {} now", kkt.state.name());
                Self { applied: true, ..told(words, "applied", Some(kkt), card) }
            }
            CardOutcome::Confirmed { kkt, card } => {
                let words = format!("nothing new, it confirms what is known ({})", kkt.state.name());
                Self { applied: true, ..told(words, "confirmed", Some(kkt), card) }
            }
            CardOutcome::Differs { kkt, card, fields, task_id } => {
                let words = format!(
                    "kept, and the register stays as it is, for the card differs in {}{}",
                    fields.join(", "),
                    task(task_id)
                );
                Self { fields, task_id, ..told(words, "differs", Some(kkt), card) }
            }
            CardOutcome::NoRegister { card, task_id } => {
                let words = format!("kept, but no register here fits it{}", task(task_id));
                Self { task_id, ..told(words, "no_register", None, card) }
            }
            CardOutcome::OutOfPlace { kkt, card, task_id } => {
                let words = format!(
                    "kept, but a register in {} has no use for it{}",
                    kkt.state.name(),
                    task(task_id)
                );
                Self { task_id, ..told(words, "out_of_place", Some(kkt), card) }
            }
        }
    }

    fn as_json(&self, register: Option<Value>) -> Value {
        json!({
            "outcome": self.name,
            "card": as_json(&self.card),
            "register": register,
            "differs": self.fields,
            "task": self.task_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_what_is_in_them() {
        for (body, expected) in [
            (&b"<?xml version=\"1.0\"?><a/>"[..], Some(Kind::Xml)),
            (b"\xEF\xBB\xBF\r\n<a/>", Some(Kind::Xml)),
            (b"%PDF-1.7\n", Some(Kind::Pdf)),
            (b"PK\x03\x04", None),
            (b"", None),
        ] {
            assert_eq!(kind(body), expected, "{body:?}");
        }
    }
}
