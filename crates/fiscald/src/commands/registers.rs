//! `fiscald registers`: which registers the operator knows.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ofd_store::{RegisterAdd, RegisterChange, RegisterRow};
use serde_json::json;

use super::output::Output;
use super::{operator, reader};
use crate::cli::{RegisterAddArgs, RegistersCommand};

/// Lists, shows, announces.
///
/// # Errors
/// The store cannot be used; a number that is none; a register that is not known.
pub(crate) fn run(command: RegistersCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        RegistersCommand::List(table) => {
            let rows = reader(&table.config)?.registers()?;
            print(&rows, table.json, out)?;
        }
        RegistersCommand::Show { fn_number, table } => {
            let row = reader(&table.config)?.register(&fn_number)?;
            let row = row.with_context(|| format!("no register with ФН {fn_number} is known"))?;
            if table.json {
                out.json(&as_json(&row))?;
            } else {
                for (name, value) in HEADING.iter().zip(cells(&row)) {
                    out.line(format!("{name:<12} {value}"))?;
                }
            }
        }
        RegistersCommand::Add(args) => out.line(announce(args)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what was done and where.
fn announce(args: RegisterAddArgs) -> Result<String> {
    let RegisterAddArgs { fn_number, kkt_serial, rnm, inn, config } = args;
    if let Some(inn) = &inn {
        let parsed: ffd::ids::Inn = inn.parse().with_context(|| format!("--inn {inn}"))?;
        if !parsed.check_digits_ok() {
            bail!("--inn {inn}: wrong check digits");
        }
    }
    if let Some(rnm) = &rnm {
        let _: ffd::ids::Rnm = rnm.parse().with_context(|| format!("--rnm {rnm}"))?;
    }
    let register = RegisterAdd { fn_number, kkt_serial, rnm, inn };
    let (mut operator, place) = operator(&config)?;
    Ok(match operator.register_add(&register)? {
        RegisterChange::Added => format!("added to {place}"),
        RegisterChange::Updated => format!("known already, the facts are updated in {place}"),
    })
}

const HEADING: [&str; 8] = ["FN", "KKT SERIAL", "RNM", "INN", "SOURCE", "REPORT SEQ", "CREATED", "UPDATED"];

fn print(rows: &[RegisterRow], as_list: bool, out: &mut Output) -> Result<()> {
    if as_list {
        return out.json(&rows.iter().map(as_json).collect::<Vec<_>>());
    }
    if rows.is_empty() {
        eprintln!("no registers are known; announce one with `fiscald registers add --fn FN`");
        return Ok(());
    }
    Ok(out.table(&HEADING, &[5], rows.iter().map(cells).collect())?)
}

fn cells(row: &RegisterRow) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        row.fn_number.map_or_else(|| "-".to_owned(), |number| number.to_string()),
        text(&row.kkt_serial),
        text(&row.rnm),
        text(&row.inn),
        row.source.clone(),
        row.report_seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string()),
        row.created_at.to_string(),
        row.updated_at.to_string(),
    ]
}

fn as_json(row: &RegisterRow) -> serde_json::Value {
    json!({
        "fn": row.fn_number.map(|number| number.to_string()),
        "kkt_serial": row.kkt_serial,
        "rnm": row.rnm,
        "inn": row.inn,
        "source": row.source,
        "report_seq": row.report_seq,
        "created_at": row.created_at.to_string(),
        "updated_at": row.updated_at.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ConfigArg;

    #[test]
    fn what_was_added_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("fiscald.db");
        let config = folder.path().join("fiscald.toml");
        let url = format!("sqlite:{}", store.display());
        std::fs::write(&config, format!("[store]\nurl = \"{url}\"\n")).unwrap();
        let args = || RegisterAddArgs {
            fn_number: Some("9999078900000017".parse().unwrap()),
            kkt_serial: None,
            rnm: None,
            inn: None,
            config: ConfigArg { config: Some(config.clone()) },
        };
        assert!(announce(args()).unwrap_err().to_string().contains("there is no store at"));
        assert!(!store.exists());
        drop(ofd_store::Store::open(&ofd_store::StoreConfig { url, ..Default::default() }).unwrap());
        assert_eq!(announce(args()).unwrap(), format!("added to {}", store.display()));
        assert!(announce(args()).unwrap().ends_with(&format!("updated in {}", store.display())));
    }
}
