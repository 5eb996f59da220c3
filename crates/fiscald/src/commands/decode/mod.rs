//! `fiscald decode`: captured bytes of any layer, explained to the last one.
//!
//! No keys are used: signs are shown, not checked, and an encrypted body is only said to be encrypted.

mod container;
mod document;
mod input;
mod layers;
mod model;
mod render;
mod session;

use std::process::ExitCode;

use anyhow::{Result, bail};
use ffd::dict::FormCode;
use ffd::json::{FnsJson, Names};

use crate::cli::{DecodeArgs, DecodeShape};
use crate::commands::output::Output;
use model::{Content, Decoded};

/// Prints what the bytes mean. Exit code 1 when they are damaged or unknown.
///
/// # Errors
/// Input that cannot be read, and `--as fns` without a document the tax service takes.
pub(crate) fn run(args: DecodeArgs, out: &mut Output) -> Result<ExitCode> {
    let (bytes, encoding) = input::decode(input::read(&args.file)?, args.input)?;
    let decoded = layers::explain(&bytes);
    match args.shape {
        DecodeShape::Tree => out.text(&tree(&bytes)?)?,
        DecodeShape::Json => out.json(&decoded)?,
        DecodeShape::Fns => fns(&decoded, &bytes, out)?,
    }
    if decoded.is_damaged() {
        eprintln!("fiscald decode: damaged bytes (read as {encoding}, {} bytes)", bytes.len());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The tree of any bytes, for other commands that show what they hold.
///
/// # Errors
/// None that could happen: writing to a text does not fail.
pub(crate) fn tree(bytes: &[u8]) -> Result<String> {
    Ok(render::tree(&layers::explain(bytes), bytes.len())?)
}

/// One JSON object a line for each document the tax service would take.
fn fns(decoded: &Decoded<'_>, bytes: &[u8], out: &mut Output) -> Result<()> {
    let mut found = false;
    for (index, part) in decoded.parts.iter().enumerate() {
        let Content::Document(document) = &part.content else { continue };
        if document.form() == FormCode::OPERATOR_ACK {
            continue;
        }
        // The sign, when there is one, lies right behind the document.
        let end = part.offset + document.bytes().len();
        let signed = decoded.parts.get(index + 1).is_some_and(|next| next.title.starts_with("ФПС"));
        let sign = bytes.get(end..).and_then(|rest| rest.first_chunk::<8>()).filter(|_| signed).copied();
        out.json_line(&FnsJson::new(document, sign, Names::Modern))?;
        found = true;
    }
    if !found {
        bail!("there is no open document of a register here; the tax service's JSON is made of one");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
