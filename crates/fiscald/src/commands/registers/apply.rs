//! Applications: read from a file or put together from options, stored for the daemon to send.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use ofd_fns::client::wire::{ApplicationJson, ApplicationKind, ClosingReport, Modes};
use ofd_fns::registration::application;
use ofd_fns::registration::ops::{OpsError, RegisterKey, application_draft, application_submit};
use ofd_store::{KktKey, RegistryReader};

use super::super::output::Output;
use super::super::{optional, registry, settings};
use super::applications::as_json;
use crate::cli::{self, Mode, RegisterApplyArgs};
use crate::config::Settings;

/// Bytes of an application that are read at all; the signed XML inside it is the large part.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Stores an application.
///
/// # Errors
/// No such register; fields that are missing; the state has no use for it; the store cannot be used.
pub(super) fn run(args: &RegisterApplyArgs, out: &mut Output) -> Result<()> {
    let settings = settings(&args.table.config)?;
    let (mut registry, place) = registry(&args.table.config)?;
    let application = match &args.file {
        Some(file) => from_file(file)?,
        None => from_options(args, &registry, &settings)?,
    };
    let key = RegisterKey::SerialOrFn(&args.register);
    let stored = application_submit(&mut registry, key, &application, Timestamp::now());
    let stored = stored.map_err(|error| match (&error, &args.file) {
        (OpsError::Refused(_), None) => {
            anyhow::anyhow!("{error}; `fiscald registers apply --help` names the options")
        }
        _ => error.into(),
    })?;
    if settings.fns.url.is_none() {
        eprintln!("[fns] is not configured (no fns.url): the application stays here until it is");
    }
    let kkt = registry.kkt(KktKey::Id(stored.kkt_id))?;
    if args.table.json {
        return out.json(&as_json(&stored, kkt.as_ref()));
    }
    Ok(out.line(format!(
        "application {} ({}) for ККТ {} is stored in {place}; the daemon sends it, see `fiscald registers applications`",
        stored.id,
        stored.kind,
        optional(kkt.and_then(|kkt| kkt.serial))
    ))?)
}

fn from_file(path: &Path) -> Result<ApplicationJson> {
    let shown = path.display();
    let json = read(path).with_context(|| format!("cannot read {shown}"))?;
    application::read(&json).map_err(|faults| {
        let lines: Vec<String> =
            faults.iter().map(|fault| format!("\n   {}: {}", fault.path, fault.what)).collect();
        anyhow::anyhow!("{shown} is no application:{}", lines.concat())
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(File::open(path)?) };
    let mut bytes = Vec::new();
    source.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_FILE_BYTES) {
        bail!("it has more than {} MiB", MAX_FILE_BYTES / 1024 / 1024);
    }
    Ok(bytes)
}

/// What the contract tells, with what the options tell over it.
fn from_options(
    args: &RegisterApplyArgs,
    registry: &RegistryReader,
    settings: &Settings,
) -> Result<ApplicationJson> {
    let inn = settings.operator.inn.as_deref();
    let inn = inn.context("operator.inn is not configured: an application names the operator")?;
    let kind = match args.kind {
        cli::ApplicationKind::Registration => ApplicationKind::Registration,
        cli::ApplicationKind::Reregistration => ApplicationKind::Reregistration,
        cli::ApplicationKind::Deregistration => ApplicationKind::Deregistration,
    };
    let key = RegisterKey::SerialOrFn(&args.register);
    let mut draft = application_draft(registry, key, kind, inn, settings.operator.name.as_deref())?;
    let fill = |place: &mut String, given: &Option<String>| {
        if let Some(given) = given {
            place.clone_from(given);
        }
    };
    fill(&mut draft.kkt.model, &args.kkt_model);
    fill(&mut draft.fn_storage.model, &args.fn_model);
    fill(&mut draft.place.address, &args.address);
    fill(&mut draft.place.name, &args.place);
    fill(&mut draft.tax_office, &args.tax_office);
    fill(&mut draft.signer.name, &args.signer);
    fill(&mut draft.signer.position, &args.position);
    draft.user.kpp = args.kpp.clone().or(draft.user.kpp);
    args.mode.iter().for_each(|&mode| set(&mut draft.modes, mode));
    draft.modes.automat_number = args.automat_number.clone().or(draft.modes.automat_number);
    match args.kind {
        cli::ApplicationKind::Registration if !args.reason.is_empty() => {
            bail!("--reason is for a re-registration or a deregistration")
        }
        cli::ApplicationKind::Registration | cli::ApplicationKind::Reregistration
            if args.closing_fd.is_some() =>
        {
            bail!("--closing-fd, --closing-time and --closing-sign are for a deregistration")
        }
        cli::ApplicationKind::Registration => {}
        cli::ApplicationKind::Reregistration => draft.reasons = codes(&args.reason)?,
        cli::ApplicationKind::Deregistration => {
            draft.closing_report = closing_report(args);
            draft.reason = (!args.reason.is_empty()).then(|| args.reason.join(", "));
        }
    }
    Ok(draft)
}

fn closing_report(args: &RegisterApplyArgs) -> Option<ClosingReport> {
    Some(ClosingReport {
        fd_number: args.closing_fd?.get(),
        date_time: args.closing_time.clone()?,
        fiscal_sign: args.closing_sign.clone()?,
    })
}

fn codes(reasons: &[String]) -> Result<Vec<u32>> {
    let code = |text: &String| text.trim().parse().with_context(|| format!("--reason {text} is no code"));
    reasons.iter().map(code).collect()
}

fn set(modes: &mut Modes, mode: Mode) {
    let place = match mode {
        Mode::Offline => &mut modes.offline,
        Mode::Automat => &mut modes.automat,
        Mode::Internet => &mut modes.internet,
        Mode::Bso => &mut modes.bso,
        Mode::Service => &mut modes.service,
        Mode::Excise => &mut modes.excise,
        Mode::Gambling => &mut modes.gambling,
        Mode::Lottery => &mut modes.lottery,
        Mode::PaymentAgent => &mut modes.payment_agent,
        Mode::BankPaymentAgent => &mut modes.bank_payment_agent,
        Mode::MobileTrade => &mut modes.mobile_trade,
    };
    *place = true;
}
