//! `fiscald cards`: registration cards of the tax service.

use std::process::ExitCode;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ofd_store::{Card, RegistryReader};
use serde_json::json;

use super::new_file::NewFile;
use super::output::Output;
use super::{optional, registry_reader};
use crate::cli::CardsCommand;

mod upload;

/// Bytes of an XML card that `show` prints; longer ones are for `--save`.
const SHOWN_BYTES: usize = 64 * 1024;
/// Cards that one read takes.
const PAGE: usize = 500;

/// Uploads, lists, shows.
///
/// # Errors
/// The store cannot be used; a card that cannot be read; no such card.
pub(crate) fn run(command: CardsCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        CardsCommand::Upload(args) => return upload::run(args, out),
        CardsCommand::List { rnm, table } => {
            let reader = registry_reader(&table.config)?;
            let rnm = rnm.map(|rnm| rnm.to_string());
            let cards = all(&reader, |card| rnm.as_ref().is_none_or(|rnm| *rnm == card.rnm))?;
            if table.json {
                out.json(&cards.iter().map(as_json).collect::<Vec<_>>())?;
            } else if cards.is_empty() {
                eprintln!("there are no such cards");
            } else {
                let heading = [
                    "ID",
                    "KIND",
                    "RNM",
                    "KKT SERIAL",
                    "FN",
                    "INN",
                    "DATED",
                    "SOURCE",
                    "RECEIVED",
                    "APPLIED",
                ];
                out.table(&heading, &[0], cards.iter().map(cells).collect())?;
            }
        }
        CardsCommand::Show { id, save, table } => {
            let card = registry_reader(&table.config)?.card(id)?;
            let card = card.with_context(|| format!("there is no card {id}; see `fiscald cards list`"))?;
            if let Some(path) = &save {
                let mut file = NewFile::create(path, None)?;
                std::io::Write::write_all(&mut file.writer, &card.body)?;
                file.keep()?;
            }
            if table.json {
                let mut json = as_json(&card);
                if let Some(members) = json.as_object_mut() {
                    members.insert("body".to_owned(), STANDARD.encode(&card.body).into());
                    let signature = card.signature.as_ref().map(|signature| STANDARD.encode(signature));
                    members.insert("signature".to_owned(), signature.into());
                }
                out.json(&json)?;
            } else {
                show(&card, out)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Cards that pass, newest first, without what makes them heavy.
fn all(reader: &RegistryReader, passes: impl Fn(&Card) -> bool) -> Result<Vec<Card>> {
    let mut cards: Vec<Card> = Vec::new();
    let mut after = 0;
    loop {
        let page = reader.cards(None, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.id;
        cards.extend(page.into_iter().filter(&passes).map(|card| Card {
            body: Vec::new(),
            signature: card.signature.map(|_| Vec::new()),
            ..card
        }));
    }
    cards.reverse();
    Ok(cards)
}

fn cells(card: &Card) -> Vec<String> {
    vec![
        card.id.to_string(),
        card.kind.name().to_owned(),
        card.rnm.clone(),
        optional(card.kkt_serial.as_ref()),
        optional(card.fn_number),
        optional(card.inn.as_ref()),
        optional(card.dated.as_ref()),
        card.source.name().to_owned(),
        card.received_at.to_string(),
        optional(card.applied_at),
    ]
}

fn show(card: &Card, out: &mut Output) -> Result<()> {
    out.line(format!("#{} card of {}, РНМ {}", card.id, card.kind.name(), card.rnm))?;
    let applied = match card.applied_at {
        Some(at) => at.to_string(),
        None => "no: it differs from the register, see `fiscald tasks list`".to_owned(),
    };
    let signature = if card.signature.is_some() { "there" } else { "none" };
    for (name, value) in [
        ("key", card.key.clone()),
        ("kkt serial", optional(card.kkt_serial.as_ref())),
        ("fn", optional(card.fn_number)),
        ("inn", optional(card.inn.as_ref())),
        ("dated", optional(card.dated.as_ref())),
        ("source", card.source.name().to_owned()),
        ("received", card.received_at.to_string()),
        ("applied", applied),
        ("confirmed", optional(card.confirmed_at)),
        ("signature", signature.to_owned()),
        ("content", format!("{}, {} bytes", card.media_type, card.body.len())),
    ] {
        out.line(format!("   {name:<12} {value}"))?;
    }
    match str::from_utf8(&card.body) {
        Ok(text) if text.len() <= SHOWN_BYTES && card.media_type != "application/pdf" => {
            out.line(format!("\n{}", text.trim_end()))?;
        }
        _ => eprintln!("the content is not printed; write it to a file with --save"),
    }
    Ok(())
}

fn as_json(card: &Card) -> serde_json::Value {
    json!({
        "id": card.id,
        "kind": card.kind.name(),
        "rnm": card.rnm,
        "key": card.key,
        "kkt_serial": card.kkt_serial,
        "fn": card.fn_number.map(|number| number.to_string()),
        "inn": card.inn,
        "dated": card.dated,
        "source": card.source.name(),
        "media_type": card.media_type,
        "signed": card.signature.is_some(),
        "received_at": card.received_at.to_string(),
        "applied_at": card.applied_at.map(|at| at.to_string()),
        "confirmed_at": card.confirmed_at.map(|at| at.to_string()),
    })
}
