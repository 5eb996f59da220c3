//! Which register a report is about, and what it meets there.

use ffd::ids::FnNumber;
use ofd_store::{
    ContractLine, Kkt, KktKey, RegistrationState as State, RegistryReader, ReportRow, StoreError,
};

use crate::registration::machine::Circumstances;
use crate::registration::report::ReportFacts;

/// A register, as far as there is one.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The register; none when the report begins a new one.
    pub(super) kkt: Option<Kkt>,
    /// The contract line of a new one.
    pub(super) line: Option<ContractLine>,
    /// What the report meets.
    pub(super) circumstances: Circumstances,
}

/// The register that has this ФН now; of one that was struck off nothing but its last registration.
pub(super) fn holder(registry: &RegistryReader, fn_number: &FnNumber) -> Result<Option<Kkt>, StoreError> {
    registry.kkt(KktKey::Fn(fn_number))
}

/// By the ФН in it; else by a ФН it had (then the report is late); else by its contract line (serial number and ИНН); else
/// by its registration number (with the same serial number: test benches share made-up registration numbers); else by the
/// serial number that an operator announced. A register that was struck off begins anew under another registration number.
pub(super) fn of_report(
    registry: &RegistryReader,
    row: &ReportRow,
    facts: &ReportFacts,
) -> Result<Found, StoreError> {
    if let Some(kkt) = holder(registry, &facts.fn_number)?
        && !begins_anew(&kkt, facts)
    {
        let late = is_late(registry, &kkt, row)?;
        return met(registry, kkt, facts, late);
    }
    if !facts.fn_number.is_debug()
        && let Some(kkt) = registry.kkt(KktKey::FnEver(&facts.fn_number))?
        && !begins_anew(&kkt, facts)
    {
        return met(registry, kkt, facts, true);
    }
    let line = match (&facts.kkt_serial, &facts.inn) {
        (Some(serial), Some(inn)) => registry.line_of(serial, inn)?,
        _ => None,
    };
    let kkt = match &line {
        Some(line) => registry.kkt(KktKey::Line(line.id))?,
        None => without_line(registry, facts)?,
    };
    match kkt.filter(|kkt| kkt.state != State::Deregistered) {
        Some(kkt) => met(registry, kkt, facts, false),
        None => {
            let circumstances = circumstances(registry, None, line.as_ref().map(|line| line.id), facts)?;
            Ok(Found { kkt: None, line, circumstances })
        }
    }
}

/// A register without a contract: by registration number, else announced by its serial number.
fn without_line(registry: &RegistryReader, facts: &ReportFacts) -> Result<Option<Kkt>, StoreError> {
    let Some(serial) = facts.kkt_serial.as_deref() else { return Ok(None) };
    if let Some(rnm) = &facts.rnm
        && let Some(kkt) = registry.kkt(KktKey::Rnm(rnm))?
        && kkt.serial.as_deref() == Some(serial)
    {
        return Ok(Some(kkt));
    }
    let announced = registry.kkt(KktKey::Serial(serial))?;
    Ok(announced.filter(|kkt| {
        let same_user = kkt.inn.is_none() || kkt.inn == facts.inn;
        let is_announced = matches!(kkt.state, State::Contracted | State::RnmAssigned);
        same_user && kkt.line_id.is_none() && kkt.report_seq.is_none() && is_announced
    }))
}

/// Whether a report begins a new registration of a register that was struck off.
fn begins_anew(kkt: &Kkt, facts: &ReportFacts) -> bool {
    kkt.state == State::Deregistered && kkt.rnm != facts.rnm
}

fn met(registry: &RegistryReader, kkt: Kkt, facts: &ReportFacts, late: bool) -> Result<Found, StoreError> {
    let met = circumstances(registry, Some(kkt.id), kkt.line_id, facts)?;
    Ok(Found { kkt: Some(kkt), line: None, circumstances: Circumstances { late, ..met } })
}

fn circumstances(
    registry: &RegistryReader,
    kkt_id: Option<i64>,
    line_id: Option<i64>,
    facts: &ReportFacts,
) -> Result<Circumstances, StoreError> {
    let other =
        |kkt: Option<Kkt>| kkt.is_some_and(|kkt| Some(kkt.id) != kkt_id && kkt.state != State::Deregistered);
    let in_other_line = registry.line_of_fn(&facts.fn_number)?.is_some_and(|line| Some(line.id) != line_id);
    let rnm_holder = match &facts.rnm {
        Some(rnm) => registry.kkt(KktKey::Rnm(rnm))?,
        None => None,
    };
    Ok(Circumstances {
        late: false,
        fn_elsewhere: in_other_line || other(holder(registry, &facts.fn_number)?),
        // A number that was only typed there gives way to the report.
        rnm_elsewhere: other(rnm_holder.filter(|kkt| kkt.rnm_confirmed)),
    })
}

/// Whether a report of the ФН in the register is not newer than the one that moved it last, or than the closing of the ФН.
fn is_late(registry: &RegistryReader, kkt: &Kkt, row: &ReportRow) -> Result<bool, StoreError> {
    let place = (row.chain, row.fd_number);
    if let Some(seq) = kkt.report_seq
        && let Some(last) = registry.report(seq)?
        && last.fn_number == row.fn_number
        && place <= (last.chain, last.fd_number)
    {
        return Ok(true);
    }
    if kkt.state != State::FnClosed {
        return Ok(false);
    }
    let closing = registry.fn_documents(&row.fn_number)?.closing;
    Ok(closing.is_some_and(|closing| place <= (closing.chain, closing.fd_number)))
}

/// Whether a document of a debug ФН belongs to a chain before that of the register's newest report.
pub(super) fn of_older_chain(
    registry: &RegistryReader,
    kkt: &Kkt,
    row: &ReportRow,
) -> Result<bool, StoreError> {
    let Some(seq) = kkt.report_seq else { return Ok(false) };
    Ok(registry.report(seq)?.is_some_and(|last| last.fn_number == row.fn_number && row.chain < last.chain))
}
