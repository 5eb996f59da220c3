//! Records of the store, made of what is known of a message.

use ffd::check::{Finding, Severity};
use kkt_proto::container::ContainerHeader;
use ofd_store::{
    Derived, FindingSeverity, MAX_STORED_FINDINGS, NewQuarantine, RegisterReport, SignRecord, StoredFinding,
};
use pkz::{Generation, OpenOutcome, SignMode, UnverifiableReason, Verdict};

use crate::clock::Moment;
use crate::decision::{Refusal, RegisterFeed};

/// A register holds the keys of one generation: the acknowledgement is sealed with the one its sign names, even when
/// the sign itself is wrong.
pub(super) fn sealing_generation(opened: &OpenOutcome<'_>) -> Option<Generation> {
    opened.verdict.generation().or_else(|| Generation::of_message_sign(&opened.sign))
}

/// In `off` signs are nobody's statement, whatever the module says.
pub(super) fn sign_record(mode: SignMode, verdict: &Verdict) -> SignRecord {
    let disabled = Verdict::Unverifiable(UnverifiableReason::Disabled);
    let verdict = if mode == SignMode::Off { &disabled } else { verdict };
    SignRecord {
        verdict: verdict.name(),
        scheme: verdict.scheme().map(|scheme| scheme.as_str()),
        generation: verdict.generation().map(Generation::get),
    }
}

pub(super) fn quarantine_entry(
    claimed: &ContainerHeader,
    moment: Moment,
    peer: &str,
    identity: Option<[u8; 32]>,
    refusal: Refusal,
) -> NewQuarantine {
    NewQuarantine {
        fn_number: claimed.fn_number,
        fd_number: claimed.fd_number,
        form: u16::from(claimed.form),
        received_at: moment.timestamp,
        peer: Some(peer.to_owned()),
        container: Vec::new(),
        identity,
        reason: refusal.as_str(),
        known_content: refusal.of_known_content(),
    }
}

/// What the journal keeps of the findings: hard ones first when there are more than it takes, or a document answered
/// with 14 could show a hundred warnings and no reason.
pub(super) fn stored_findings(mut findings: Vec<Finding>) -> Vec<StoredFinding> {
    if findings.len() > MAX_STORED_FINDINGS {
        // Stable: within a severity the order of the document stays.
        findings.sort_by_key(|finding| finding.severity);
    }
    findings.into_iter().take(MAX_STORED_FINDINGS).map(stored_finding).collect()
}

fn stored_finding(finding: Finding) -> StoredFinding {
    StoredFinding {
        path: finding.path,
        rule: finding.rule.to_owned(),
        severity: match finding.severity {
            Severity::Hard => FindingSeverity::Hard,
            Severity::Soft => FindingSeverity::Soft,
        },
        text: finding.text_ru,
    }
}

pub(super) fn register_report(feed: RegisterFeed, derived: &Derived) -> Option<RegisterReport> {
    match feed {
        RegisterFeed::Nothing => None,
        RegisterFeed::Existence => Some(RegisterReport::default()),
        RegisterFeed::Facts => Some(RegisterReport {
            rnm: derived.rnm.clone(),
            kkt_serial: derived.kkt_serial.clone(),
            inn: derived.user_inn.clone(),
        }),
    }
}
