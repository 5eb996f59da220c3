//! `fiscald documents`: what is in the journal.

use std::process::ExitCode;

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ffd::dict::FormCode;
use ffd::value::{Kopecks, LocalTime};
use ofd_store::{
    DocumentFilter, DocumentRow, DocumentSummary, FindingFilter, FindingSeverity, MAX_STORED_FINDINGS, Reader,
};
use serde_json::json;

use super::output::Output;
use super::tax_service::Answer;
use super::{decode, optional, progress, reader, tax_service};
use crate::cli::{DocumentsCommand, DocumentsListArgs, FindingWeight};

/// Lists, shows, looks for gaps.
///
/// # Errors
/// The store cannot be used; no such document.
pub(crate) fn run(command: DocumentsCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        DocumentsCommand::List(args) => list(&args, out)?,
        DocumentsCommand::Show { fn_number, fd_number, table } => {
            let reader = reader(&table.config)?;
            let rows = reader.document(&fn_number, fd_number)?;
            if rows.is_empty() {
                bail!("there is no document {fd_number} of ФН {fn_number} in the journal");
            }
            let rows = rows.into_iter().map(|row| Ok((tax_service::of_row(&reader, &row)?, row)));
            let rows = rows.collect::<Result<Vec<_>>>()?;
            if table.json {
                out.json(&rows.iter().map(|(answer, row)| as_json(row, answer)).collect::<Vec<_>>())?;
            } else {
                rows.iter().try_for_each(|(answer, row)| show(row, answer, out))?;
            }
        }
        DocumentsCommand::Gaps { fn_number, table } => {
            let gaps = reader(&table.config)?.gaps(fn_number.as_ref())?;
            if table.json {
                let gaps = gaps.iter().map(|gap| {
                    json!({
                        "fn": gap.fn_number.to_string(),
                        "chain": gap.chain,
                        "from": gap.from,
                        "to": gap.to,
                    })
                });
                out.json(&gaps.collect::<Vec<_>>())?;
            } else if gaps.is_empty() {
                eprintln!("no gaps");
            } else {
                let row = |gap: &ofd_store::Gap| {
                    let missing = gap.to.saturating_sub(gap.from).saturating_add(1);
                    [gap.fn_number.to_string()]
                        .into_iter()
                        .chain([gap.chain, gap.from, gap.to, missing].map(|number| number.to_string()))
                        .collect()
                };
                let heading = ["FN", "CHAIN", "FROM", "TO", "MISSING"];
                out.table(&heading, &[1, 2, 3, 4], gaps.iter().map(row).collect())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &DocumentsListArgs, out: &mut Output) -> Result<()> {
    let reader = reader(&args.table.config)?;
    let rows = search(&reader, filter(args), usize::try_from(args.limit)?)?;
    let rows = rows.into_iter().map(|row| Ok((tax_service::of_row(&reader, &row)?, row)));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    if args.table.json {
        return out.json(&rows.iter().map(|(answer, row)| summary_json(row, answer)).collect::<Vec<_>>());
    }
    if rows.is_empty() {
        eprintln!("no such documents in the journal");
        return Ok(());
    }
    let heading = [
        "SEQ",
        "FN",
        "FD",
        "FORM",
        "RECEIVED (UTC)",
        "TILL TIME",
        "TOTAL",
        "CODE",
        "SIGN",
        "FORWARD",
        "СОСТОЯНИЕ В ФНС",
        "MARKS",
    ];
    Ok(out.table(&heading, &[0, 2, 6, 7], rows.iter().map(cells).collect())?)
}

/// What the command line asks for.
fn filter(args: &DocumentsListArgs) -> DocumentFilter {
    let findings = match (&args.rule, args.severity, args.findings) {
        (Some(rule), ..) => Some(FindingFilter::Rule(rule.clone())),
        (_, Some(FindingWeight::Hard), _) => Some(FindingFilter::Severity(FindingSeverity::Hard)),
        (_, Some(FindingWeight::Soft), _) => Some(FindingFilter::Severity(FindingSeverity::Soft)),
        (_, _, true) => Some(FindingFilter::Any),
        (None, None, false) => None,
    };
    DocumentFilter {
        fn_number: args.fn_number,
        form: args.form,
        code: args.code,
        verdict: args.verdict.clone(),
        from: args.from,
        to: args.to,
        conflicts_only: args.conflicts,
        findings,
        ..DocumentFilter::default()
    }
}

/// Page by page, so that a long search shows that it gets on.
fn search(reader: &Reader, mut filter: DocumentFilter, limit: usize) -> Result<Vec<DocumentSummary>> {
    let spinner = progress::working();
    let mut rows = Vec::new();
    loop {
        let page = reader.summaries_page(&filter, limit.saturating_sub(rows.len()))?;
        rows.extend(page.rows);
        match page.next_before_seq {
            Some(before) if rows.len() < limit => {
                filter.before_seq = Some(before);
                spinner.set_message(format!("{} found, looking before position {before}", rows.len()));
                spinner.tick();
            }
            _ => break,
        }
    }
    spinner.finish_and_clear();
    Ok(rows)
}

fn cells((answer, row): &(Answer, DocumentSummary)) -> Vec<String> {
    let derived = &row.derived;
    vec![
        row.seq.to_string(),
        row.fn_number.to_string(),
        row.fd_number.to_string(),
        format!("{} {}", row.form, FormCode(row.form).name_ru()),
        row.received_at.to_string(),
        derived.local_time.map_or_else(|| "-".to_owned(), |time| LocalTime::new(time).to_string()),
        derived.total_kopecks.map_or_else(|| "-".to_owned(), |sum| Kopecks::new(sum).to_string()),
        row.code.to_string(),
        row.verdict.clone(),
        row.forward.name().to_owned(),
        optional(answer.status.map(|status| status.label)),
        marks(row),
    ]
}

fn marks(row: &DocumentSummary) -> String {
    let mut marks = Vec::new();
    if row.conflict_no > 0 {
        marks.push(format!("conflict {}", row.conflict_no));
    }
    if row.chain > 0 {
        marks.push(format!("chain {}", row.chain));
    }
    if row.flk_mark {
        marks.push("flk".to_owned());
    }
    let soft = row.findings.iter().filter(|finding| finding.severity == FindingSeverity::Soft).count();
    if soft > 0 {
        marks.push(format!("warnings {soft}"));
    }
    if row.sign_mark {
        marks.push("sign".to_owned());
    }
    if row.fn_changed_mark {
        marks.push("fn changed".to_owned());
    }
    if row.after_deregistration_mark {
        marks.push("deregistered".to_owned());
    }
    marks.join(", ")
}

/// Everything about one row: facts, findings, the document and its acknowledgement byte by byte. What we say about it
/// is English; what the bytes and the findings say is Russian.
fn show(row: &DocumentRow, answer: &Answer, out: &mut Output) -> Result<()> {
    out.line(format!(
        "#{} ФН {} ФД {}, form {} ({})",
        row.seq,
        row.fn_number,
        row.fd_number,
        row.form,
        FormCode(row.form).name_ru()
    ))?;
    let peer = row.peer.as_deref().unwrap_or("unknown");
    out.line(format!("   received    {} from {peer}", row.received_at))?;
    out.line(format!("   answered    code {}", row.code))?;
    let scheme = row.sign_scheme.as_deref().map_or_else(String::new, |scheme| format!(", {scheme}"));
    let generation = row.sign_generation.map_or_else(String::new, |number| format!(", generation {number}"));
    out.line(format!("   sign        {}{scheme}{generation}", row.verdict))?;
    out.line(format!("   forwarded   {}", row.forward.name()))?;
    out.text(&answer.text())?;
    let marks = marks(row);
    if !marks.is_empty() {
        out.line(format!("   marks       {marks}"))?;
    }
    out.line(format!("   identity    {}", hex::encode(row.identity)))?;
    out.text(&findings(row))?;
    out.line("")?;
    out.text(&decode::tree(&row.container)?)?;
    if let Some(opened) = &row.opened {
        out.line("\nopened document:")?;
        out.text(&decode::tree(opened)?)?;
    }
    out.line("\nacknowledgement:")?;
    out.text(&decode::tree(&row.acknowledgement)?)?;
    Ok(out.line("")?)
}

/// What the control found at reception, by the weights that were in force then; the texts are Russian, as for users.
fn findings(row: &DocumentSummary) -> String {
    if row.findings.is_empty() {
        return "   findings    none\n".to_owned();
    }
    let hard = row.findings.iter().filter(|finding| finding.severity == FindingSeverity::Hard).count();
    let soft = row.findings.len().saturating_sub(hard);
    let more = if row.findings.len() >= MAX_STORED_FINDINGS { ", more were not kept" } else { "" };
    let mut text = format!("   findings    {hard} hard, {soft} soft{more}\n");
    for finding in &row.findings {
        let path: Vec<String> = finding.path.iter().map(ToString::to_string).collect();
        let path = if path.is_empty() { String::new() } else { format!(" {}:", path.join("/")) };
        text += &format!("     {} [{}]{path} {}\n", severity(finding.severity), finding.rule, finding.text);
    }
    text
}

fn severity(severity: FindingSeverity) -> &'static str {
    match severity {
        FindingSeverity::Hard => "hard",
        FindingSeverity::Soft => "soft",
    }
}

/// One row with all its bytes: what `show` prints.
fn as_json(row: &DocumentRow, answer: &Answer) -> serde_json::Value {
    let mut json = summary_json(&row.summary, answer);
    if let Some(members) = json.as_object_mut() {
        let opened = row.opened.as_ref().map(|opened| STANDARD.encode(opened));
        members.insert("raw".to_owned(), STANDARD.encode(&row.container).into());
        members.insert("opened".to_owned(), opened.into());
        members.insert("acknowledgement".to_owned(), STANDARD.encode(&row.acknowledgement).into());
    }
    json
}

/// One row without its bytes: what `list` prints.
fn summary_json(row: &DocumentSummary, answer: &Answer) -> serde_json::Value {
    let derived = &row.derived;
    let sent = answer.row.as_ref();
    let findings = row.findings.iter().map(|finding| {
        json!({
            "rule": finding.rule,
            "severity": severity(finding.severity),
            "path": finding.path,
            "text": finding.text,
        })
    });
    json!({
        "seq": row.seq,
        "fn": row.fn_number.to_string(),
        "fd": row.fd_number.get(),
        "chain": row.chain,
        "conflict_no": row.conflict_no,
        "form": row.form,
        "received_at": row.received_at.to_string(),
        "peer": row.peer,
        "code": row.code,
        "verdict": row.verdict,
        "sign_scheme": row.sign_scheme,
        "sign_generation": row.sign_generation,
        "forward": row.forward.name(),
        "fns_status": answer.status.map(|status| status.name),
        "fns_label": answer.status.map(|status| status.label),
        "outbox": sent.map(|sent| sent.state.name()),
        "ticket_id": sent.and_then(|sent| sent.ticket_id.as_ref()),
        "fns_codes": sent.map(|sent| tax_service::codes_json(&sent.fns_codes)),
        "flk_mark": row.flk_mark,
        "sign_mark": row.sign_mark,
        "fn_changed_mark": row.fn_changed_mark,
        "after_deregistration_mark": row.after_deregistration_mark,
        "identity": hex::encode(row.identity),
        "ffd_version": derived.ffd_version,
        "local_time": derived.local_time.map(|time| LocalTime::new(time).to_string()),
        "rnm": derived.rnm,
        "user_inn": derived.user_inn,
        "kkt_serial": derived.kkt_serial,
        "shift": derived.shift,
        "receipt_number": derived.receipt_number,
        "operation": derived.operation,
        "total_kopecks": derived.total_kopecks,
        "fiscal_sign": derived.fiscal_sign,
        "findings": findings.collect::<Vec<_>>(),
    })
}
