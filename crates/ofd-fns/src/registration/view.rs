//! One register with everything that is known of it: what `registers list` and `registers show` print.

use ffd::ids::FnNumber;
use jiff::Timestamp;
use ofd_store::{Contract, ContractLine, FnDocuments, FnsSummary, Kkt, KktKey, RegistryReader, StoreError};

use super::dimensions::{ContractStanding, FnCondition, FnsCondition, Liveness};
use super::{Dimensions, ManualValues, RegistrationConfig, label};

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
    let (last_seen, documents, summary) = match &kkt.fn_number {
        Some(number) => {
            (registry.last_seen(number)?, registry.fn_documents(number)?, registry.fns_summary(number)?)
        }
        None => (None, FnDocuments::default(), FnsSummary::default()),
    };
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
