//! One register with everything that is known of it: what `registers list` and `registers show` print.

use ffd::ids::FnNumber;
use jiff::Timestamp;
use ofd_store::{Contract, ContractLine, FnDocuments, FnsSummary, Kkt, KktKey, RegistryReader, StoreError};

use super::dimensions::{ContractStanding, FnCondition, FnsCondition, Liveness};
use super::{Dimensions, ManualValues, RegistrationConfig, label};

/// Most ФН of one register whose documents are counted.
const MAX_FNS: usize = 20;

/// A register, its dimensions, its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterView {
    /// The row.
    pub kkt: Kkt,
    /// Its line, if it is under a contract.
    pub line: Option<ContractLine>,
    /// That contract.
    pub contract: Option<Contract>,
    /// Beside the state.
    pub dimensions: Dimensions,
    /// What the client sees, Russian.
    pub label: String,
    /// When its newest document came.
    pub last_seen: Option<Timestamp>,
    /// The three values of its newest report, if it has one.
    pub manual: Option<ManualValues>,
}

/// A register with its dimensions.
///
/// # Errors
/// [`StoreError`].
pub fn view(
    registry: &RegistryReader,
    kkt: Kkt,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<RegisterView, StoreError> {
    let line = kkt.line_id.map(|id| registry.line(id)).transpose()?.flatten();
    let contract = line.as_ref().map(|line| registry.contract_by_id(line.contract_id)).transpose()?.flatten();
    let (last_seen, documents) = match &kkt.fn_number {
        Some(number) => (registry.last_seen(number)?, registry.fn_documents(number)?),
        None => (None, FnDocuments::default()),
    };
    let summary = summary(registry, &kkt)?;
    let report = kkt.report_seq.map(|seq| registry.report(seq)).transpose()?.flatten();
    let dimensions = Dimensions {
        contract: ContractStanding::of(contract.as_ref(), line.as_ref(), periods.grace_s, now),
        liveness: Liveness::of(last_seen, periods.silent_s, now),
        fn_condition: FnCondition::of(&documents, now),
        fns: FnsCondition::of(summary),
    };
    let label = label(kkt.state, &dimensions);
    Ok(RegisterView {
        line,
        contract,
        dimensions,
        label,
        last_seen,
        manual: report.as_ref().and_then(ManualValues::of),
        kkt,
    })
}

/// How the tax service took the documents of all ФН that are or were in a register, at most [`MAX_FNS`] of them, the newest.
/// One that went to another register counts there.
fn summary(registry: &RegistryReader, kkt: &Kkt) -> Result<FnsSummary, StoreError> {
    let mut numbers: Vec<FnNumber> = kkt.fn_number.into_iter().collect();
    for held in registry.fn_history(kkt.id)?.iter().rev().filter(|held| !held.withdrawn) {
        if numbers.len() < MAX_FNS && !numbers.contains(&held.fn_number) {
            let holder = registry.kkt(KktKey::FnEver(&held.fn_number))?;
            numbers.extend(holder.filter(|holder| holder.id == kkt.id).map(|_| held.fn_number));
        }
    }
    let mut sum = FnsSummary::default();
    for number in &numbers {
        let FnsSummary { waiting, soft, hard } = registry.fns_summary(number)?;
        sum.waiting = sum.waiting.saturating_add(waiting);
        sum.soft = sum.soft.saturating_add(soft);
        sum.hard = sum.hard.saturating_add(hard);
    }
    Ok(sum)
}

/// A register by a number: registration number first, then the ФН in it, then a ФН that was in it, then the serial number.
///
/// # Errors
/// [`StoreError`].
pub fn find(registry: &RegistryReader, number: &str) -> Result<Option<Kkt>, StoreError> {
    let number = number.trim();
    if let Some(kkt) = registry.kkt(KktKey::Rnm(number))? {
        return Ok(Some(kkt));
    }
    if let Ok(fn_number) = number.parse::<FnNumber>() {
        for key in [KktKey::Fn(&fn_number), KktKey::FnEver(&fn_number)] {
            if let Some(kkt) = registry.kkt(key)? {
                return Ok(Some(kkt));
            }
        }
    }
    registry.kkt(KktKey::Serial(number))
}
