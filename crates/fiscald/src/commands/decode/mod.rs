//! `fiscald decode`: captured bytes of any layer, explained to the last one.
//!
//! No keys are used: signs are shown, not checked, and an encrypted body is only said to be encrypted. No store is
//! looked at either, so a document is judged without what its register did before.

mod container;
mod control;
mod document;
mod frame;
mod input;
mod layers;
mod model;
mod render;
mod session;
mod words;

use std::process::ExitCode;

use anyhow::{Result, bail};
use ffd::dict::FormCode;
use ffd::json::{FnsJson, Names};
use jiff::Timestamp;

use crate::cli::{DecodeArgs, DecodeShape};
use crate::commands::output::Output;
use model::{Content, Decoded, PartKind};

/// Prints what the bytes mean. Exit code 1 when they are damaged or unknown.
///
/// # Errors
/// Input that cannot be read, and `--as fns` without a document the tax service takes.
pub(crate) fn run(args: DecodeArgs, out: &mut Output) -> Result<ExitCode> {
    let (bytes, encoding) = input::decode(input::read(&args.file)?, args.input)?;
    let mut decoded = layers::explain(&bytes);
    control::judge(&mut decoded, Timestamp::now());
    match args.shape {
        DecodeShape::Tree => out.text(&render::tree(&decoded, bytes.len())?)?,
        DecodeShape::Json => out.json(&decoded)?,
        DecodeShape::Fns => fns(&decoded, out)?,
    }
    if decoded.is_damaged() {
        eprintln!("fiscald decode: damaged bytes (read as {encoding}, {} bytes)", bytes.len());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The tree of any bytes, for other commands that show what they hold. Documents are not judged anew: what was found
/// when they came is kept with them.
///
/// # Errors
/// None that could happen: writing to a text does not fail.
pub(crate) fn tree(bytes: &[u8]) -> Result<String> {
    Ok(render::tree(&layers::explain(bytes), bytes.len())?)
}

/// One JSON object a line for each document the tax service takes; what it does not take is named on stderr.
fn fns(decoded: &Decoded<'_>, out: &mut Output) -> Result<()> {
    let forwarded = forwarded(decoded);
    let refused = refused_forms(decoded);
    if forwarded.is_empty() {
        match refused.first() {
            Some(form) => bail!("{}", refusal(*form)),
            None if decoded.parts.iter().any(|part| part.kind == PartKind::Ciphertext) => bail!(
                "the document here is encrypted, the tax service's JSON is made of an open one; \
                 of documents in the journal `fiscald export` holds the opened ones"
            ),
            None => bail!("there is no whole open document here; the tax service's JSON is made of one"),
        }
    }
    forwarded.iter().try_for_each(|json| out.json_line(json))?;
    for form in refused {
        eprintln!("fiscald decode: left out: {}", refusal(form));
    }
    Ok(())
}

/// The documents of registers, each with the ФПС that lies right behind it, if one does.
fn forwarded<'d, 'a>(decoded: &'d Decoded<'a>) -> Vec<FnsJson<'d, 'a>> {
    let next = decoded.parts.iter().skip(1).map(Some).chain([None]);
    let documents = decoded.parts.iter().zip(next).filter_map(|(part, next)| match &part.content {
        Content::Document(document) if document.form().is_kkt_document() => {
            let sign = next.and_then(|next| match next.kind {
                PartKind::MessageSign(sign) => Some(sign),
                _ => None,
            });
            Some(FnsJson::new(document, sign, Names::Modern))
        }
        _ => None,
    });
    documents.collect()
}

/// Forms of the documents that are not for the tax service, in their order.
fn refused_forms(decoded: &Decoded<'_>) -> Vec<FormCode> {
    let documents = decoded.parts.iter().filter_map(|part| match &part.content {
        Content::Document(document) => Some(document.form()),
        Content::Fields(_) | Content::Cut(_) => None,
    });
    documents.filter(|form| !form.is_kkt_document()).collect()
}

fn refusal(form: FormCode) -> String {
    format!(
        "a document of form {} ({}) has no JSON of the tax service, which takes only what a register makes: \
         forms 1, 11, 2, 21, 3, 31, 4, 41, 5 and 6",
        form.0,
        form.name_ru()
    )
}

#[cfg(test)]
mod tests;
