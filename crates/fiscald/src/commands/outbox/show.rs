//! One document of the outbox, with its dead letter.

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ffd::dict::FormCode;
use ffd::ids::{FdNumber, FnNumber};
use ofd_store::{DeadLetter, OutboxRow, Reader};
use serde_json::{Value, json};

use super::super::output::Output;
use super::super::{optional, tax_service};
use super::as_json;

/// Prints what is in the outbox under (ФН, ФД).
///
/// # Errors
/// Nothing is; the store cannot be read.
pub(super) fn run(
    reader: &Reader,
    fn_number: &FnNumber,
    fd_number: FdNumber,
    as_objects: bool,
    out: &mut Output,
) -> Result<()> {
    let mut found = Vec::new();
    for row in reader.outbox_rows(fn_number, fd_number)? {
        let letters = reader.dead_letters(row.seq)?;
        found.push((row, letters));
    }
    if found.is_empty() {
        bail!("{}", absence(reader, fn_number, fd_number)?);
    }
    if as_objects {
        return out.json(&found.iter().map(|(row, letters)| with_letters(row, letters)).collect::<Vec<_>>());
    }
    found.iter().try_for_each(|(row, letters)| out.text(&text(row, letters)))?;
    Ok(())
}

/// Why a document has no row.
pub(super) fn absence(reader: &Reader, fn_number: &FnNumber, fd_number: FdNumber) -> Result<String> {
    let documents = reader.document(fn_number, fd_number)?;
    let Some(document) = documents.last() else {
        return Ok(format!("there is no document {fd_number} of ФН {fn_number} in the journal"));
    };
    let why = match document.forward {
        ofd_store::Forward::No => format!("it is not forwarded (answered with code {})", document.code),
        ofd_store::Forward::WhenKnown => "it waits for its ФН to become known".to_owned(),
        ofd_store::Forward::Yes => {
            "the forwarder has not come to it yet, see `fiscald outbox summary`".to_owned()
        }
    };
    Ok(format!("document {fd_number} of ФН {fn_number} is in the journal and not in the outbox: {why}"))
}

fn with_letters(row: &OutboxRow, letters: &[DeadLetter]) -> Value {
    let mut json = as_json(row);
    let letters = letters.iter().map(|letter| {
        json!({
            "died_at": letter.died_at.to_string(),
            "code": letter.code,
            "request": bytes(&letter.request),
            "answer": bytes(&letter.answer),
            "settled_at": letter.settled_at.map(|at| at.to_string()),
        })
    });
    let letters: Vec<Value> = letters.collect();
    if let Some(members) = json.as_object_mut() {
        members.insert("dead_letters".to_owned(), letters.into());
    }
    json
}

/// As text, which JSON is; something else in base64.
fn bytes(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

fn text(row: &OutboxRow, letters: &[DeadLetter]) -> String {
    let mut text = format!(
        "#{} ФН {} ФД {}, form {} ({})\n",
        row.seq,
        row.fn_number,
        row.fd_number,
        row.kind,
        FormCode(row.kind).name_ru()
    );
    let status = tax_service::of_state(row.state);
    let mut line = |name: &str, value: String| text += &format!("   {name:<12} {value}\n");
    line("state", format!("{} ({}, {})", row.state.name(), status.name, status.label));
    line("received", row.created_at.to_string());
    line("attempts", row.attempts.to_string());
    line("next", optional(row.next_at));
    line("last error", optional(row.last_error.as_ref()));
    line("batch", optional(row.batch_id));
    line("delivered", optional(row.delivered_at));
    line("ticket", optional(row.ticket_id.as_ref()));
    line("verdict at", optional(row.fns_at));
    line("docSha256", optional(row.raw_sha256.map(hex::encode)));
    for code in &row.fns_codes {
        line("code", tax_service::code_text(code));
    }
    for letter in letters {
        text += &dead(letter);
    }
    if row.state == ofd_store::OutboxState::Dead {
        text += &format!(
            "\nput right what was wrong and send it again: fiscald outbox requeue {fn_number} {fd}\n\
             or give it up: fiscald outbox supersede {fn_number} {fd}\n",
            fn_number = row.fn_number,
            fd = row.fd_number
        );
    }
    text
}

fn dead(letter: &DeadLetter) -> String {
    let settled = letter.settled_at.map_or_else(String::new, |at| format!(", settled {at}"));
    format!(
        "\nrefused {} with {}{settled}\nsent:\n{}\nanswered:\n{}\n",
        letter.died_at,
        letter.code,
        readable(&letter.request),
        readable(&letter.answer)
    )
}

/// Text as it is, to the last digit; other bytes in base64.
fn readable(bytes: &[u8]) -> String {
    str::from_utf8(bytes).map_or_else(|_| STANDARD.encode(bytes), str::to_owned)
}
