//! What is true of a register beside its state: contract, liveness, its ФН, its documents at the tax service. Four
//! dimensions that are never mixed into the state (tax-service notes B2).

use ffd::{Document, tags};
use jiff::Timestamp;
use ofd_store::{Contract, ContractLine, ContractState, FnDocuments, FnsSummary, ReportRow};

use super::settings::DAY_S;

/// The four dimensions of one register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// The contract.
    pub contract: ContractStanding,
    /// How long ago it was heard.
    pub liveness: Liveness,
    /// Its ФН.
    pub fn_condition: FnCondition,
    /// Its documents at the tax service.
    pub fns: FnsCondition,
}

/// Where the contract of a register stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContractStanding {
    /// It has none.
    None,
    /// Neither signed nor paid.
    Draft,
    /// In force.
    Active,
    /// Stopped, and still served.
    Grace,
    /// Stopped longer ago than the grace period.
    Stopped,
}

/// How long ago a register was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Liveness {
    /// Never.
    Never,
    /// Within a day.
    Online,
    /// Not for a day.
    Silent24h,
    /// Not for two days.
    Silent48h,
    /// Not for the period of the setting, seconds.
    SilentFor {
        /// `registration.silent_s`.
        period_s: u64,
    },
}

/// Condition of the ФН, the worst that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FnCondition {
    /// Nothing to say.
    Ok,
    /// Its keys expire within 30 days (tag 1213).
    Expiring30d,
    /// Its memory is almost full (tag 1052).
    Memory90,
    /// It is to be replaced at once (tag 1051).
    ReplaceRequired,
    /// Its resource is exhausted (tag 1050).
    Exhausted,
    /// It was closed (form 6).
    Closed,
}

/// How the tax service stands to the documents of the ФН, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FnsCondition {
    /// All taken.
    Ok,
    /// Some have no verdict yet.
    Waiting,
    /// Some are in soft quarantine.
    HasSoft,
    /// Some were refused for good.
    HasHard,
}

/// Признак исчерпания ресурса ФН.
const EXHAUSTED: u16 = 1050;
/// Признак необходимости срочной замены ФН.
const REPLACE_REQUIRED: u16 = 1051;
/// Признак заполнения памяти ФН.
const MEMORY_ALMOST_FULL: u16 = 1052;
/// Days before the end of its keys from which on a ФН counts as expiring.
const EXPIRING_DAYS: i64 = 30;

impl ContractStanding {
    /// Of the contract of a line; a closed line counts like a contract stopped at that moment.
    pub fn of(
        contract: Option<&Contract>,
        line: Option<&ContractLine>,
        grace_s: u64,
        now: Timestamp,
    ) -> Self {
        let Some(contract) = contract else { return Self::None };
        let closed_at = line.and_then(|line| line.closed_at);
        let stopped_at = match (contract.state, closed_at) {
            (ContractState::Draft, None) => return Self::Draft,
            (ContractState::Active, None) => return Self::Active,
            (ContractState::Stopped, None) => contract.stopped_at,
            (_, Some(closed)) => Some(contract.stopped_at.map_or(closed, |stopped| stopped.min(closed))),
        };
        let over = stopped_at.is_none_or(|since| seconds_since(since, now) >= grace_s);
        if over { Self::Stopped } else { Self::Grace }
    }

    /// Name as shown: `none`, `draft`, `active`, `grace`, `stopped`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Grace => "grace",
            Self::Stopped => "stopped",
        }
    }
}

impl Liveness {
    /// Of the moment when the newest document came.
    pub fn of(last_seen: Option<Timestamp>, silent_s: u64, now: Timestamp) -> Self {
        let Some(last_seen) = last_seen else { return Self::Never };
        match seconds_since(last_seen, now) {
            age if age >= silent_s => Self::SilentFor { period_s: silent_s },
            age if age >= 2 * DAY_S => Self::Silent48h,
            age if age >= DAY_S => Self::Silent24h,
            _ => Self::Online,
        }
    }

    /// Name as shown: `never`, `online`, `silent_24h`, `silent_48h`, `silent_30d`; a period that is no whole number of
    /// days stands in seconds, `silent_5s`.
    pub fn name(self) -> String {
        match self {
            Self::Never => "never".to_owned(),
            Self::Online => "online".to_owned(),
            Self::Silent24h => "silent_24h".to_owned(),
            Self::Silent48h => "silent_48h".to_owned(),
            Self::SilentFor { period_s } if period_s.is_multiple_of(DAY_S) => {
                format!("silent_{}d", period_s / DAY_S)
            }
            Self::SilentFor { period_s } => format!("silent_{period_s}s"),
        }
    }
}

impl FnCondition {
    /// Of the newest documents of the ФН: flags of the newest opening or closing of a shift, the resource of the keys
    /// where it is stated last, counted on from there.
    pub fn of(documents: &FnDocuments, now: Timestamp) -> Self {
        if documents.closing.is_some() {
            return Self::Closed;
        }
        let flagged = documents.shift.as_ref().map_or(Self::Ok, flags);
        let newest_first = {
            let mut rows: Vec<&ReportRow> =
                [&documents.shift, &documents.report].into_iter().flatten().collect();
            rows.sort_by_key(|row| std::cmp::Reverse(row.seq));
            rows
        };
        let days_left = newest_first.into_iter().find_map(|row| {
            let stated = i64::try_from(unsigned(row, tags::KEY_RESOURCE)?).ok()?;
            let passed = seconds_since(row.received_at, now) / DAY_S;
            Some(stated.saturating_sub(i64::try_from(passed).unwrap_or(i64::MAX)))
        });
        let expiring = days_left.is_some_and(|days| days <= EXPIRING_DAYS);
        flagged.max(if expiring { Self::Expiring30d } else { Self::Ok })
    }

    /// Name as shown: `ok`, `expiring_30d`, `memory_90`, `replace_required`, `exhausted`, `closed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Expiring30d => "expiring_30d",
            Self::Memory90 => "memory_90",
            Self::ReplaceRequired => "replace_required",
            Self::Exhausted => "exhausted",
            Self::Closed => "closed",
        }
    }
}

impl FnsCondition {
    /// Of what is known of the documents.
    pub fn of(summary: FnsSummary) -> Self {
        match summary {
            FnsSummary { hard: 1.., .. } => Self::HasHard,
            FnsSummary { soft: 1.., .. } => Self::HasSoft,
            FnsSummary { waiting: 1.., .. } => Self::Waiting,
            _ => Self::Ok,
        }
    }

    /// Name as shown: `ok`, `waiting`, `has_soft`, `has_hard`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Waiting => "waiting",
            Self::HasSoft => "has_soft",
            Self::HasHard => "has_hard",
        }
    }
}

/// The worst flag that the opening or closing of a shift shows.
fn flags(shift: &ReportRow) -> FnCondition {
    let Ok(document) = Document::decode(&shift.opened) else { return FnCondition::Ok };
    let set = |tag: u16| document.unsigned(tag).is_some_and(|flag| flag != 0);
    if set(EXHAUSTED) {
        FnCondition::Exhausted
    } else if set(REPLACE_REQUIRED) {
        FnCondition::ReplaceRequired
    } else if set(MEMORY_ALMOST_FULL) {
        FnCondition::Memory90
    } else {
        FnCondition::Ok
    }
}

fn unsigned(row: &ReportRow, tag: u16) -> Option<u64> {
    Document::decode(&row.opened).ok()?.unsigned(tag)
}

/// Whole seconds from `since` to `now`; 0 when the clock was set back.
fn seconds_since(since: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(since).as_secs()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
