//! The way of one document from a whole message to the hands of the journal, and from the journal's word to an answer:
//! container, sign, tree, checks, decision, acknowledgement. Sockets and order are the connection's business.

mod outcome;
mod records;
mod scope;
mod sealing;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ffd::check::{Claimed, Finding, Severities, Severity, Surroundings};
use ffd::dict::FormCode;
use ffd::{Document, FdNumber, FnNumber, Inn, LocalTime, tags};
use kkt_proto::ack::OperatorCode;
use kkt_proto::container::{Container, ContainerHeader, ContainerKind};
use kkt_proto::header::Header;
use ofd_store::{Announced, Facts, JournalHandle, NewDocument, NewQuarantine};
use pkz::{AckSigner, FiscalSignVerifier, OpenOutcome, RawContainer, SignMode};
use tokio::sync::Semaphore;
use tracing::{debug, info};

use self::records::{quarantine_entry, register_report, sign_record, stored_findings};
use self::scope::{InHand, in_hand, telling};
use self::words::register_in_words;
use crate::abuse::AbuseTable;
use crate::clock::{self, Moment, TrustedClock};
use crate::config::Policy;
use crate::decision::{
    self, Admission, Afterwards, Checks, Content, Decision, DocumentFacts, MessageFacts, Refusal, Transport,
};
use crate::derived::{self, plain_text};
use crate::limits::LogLimiter;
use crate::metrics::{self, FindingLabel, Mark, Metrics, reason};
use crate::registers::{Advance, Memory, Registers};

/// What every connection shares to work on documents.
pub(crate) struct Intake {
    pub(crate) policy: Policy,
    pub(crate) operator_inn: Inn,
    pub(crate) verifier: Arc<dyn FiscalSignVerifier>,
    pub(crate) signer: Arc<dyn AckSigner>,
    pub(crate) severities: Severities,
    pub(crate) clock: Arc<TrustedClock>,
    pub(crate) registers: Arc<Registers>,
    pub(crate) journal: JournalHandle,
    pub(crate) facts: Arc<Facts>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log_limiter: LogLimiter,
    /// Who sends wrong signs.
    pub(crate) abuse: Arc<AbuseTable>,
    /// Places for copies on their way to quarantine ([`MAX_QUARANTINE_IN_FLIGHT`]).
    pub(crate) quarantine_places: Arc<Semaphore>,
}

/// Copies on their way to quarantine, of all connections together. They share the store's writer with the documents of
/// honest registers, and anybody can send what ends in quarantine: past this, it is counted and not kept.
pub(crate) const MAX_QUARANTINE_IN_FLIGHT: usize = 64;

/// What is to be done with a message after it was looked at.
pub(crate) enum Examined {
    /// Nothing is kept, nothing is answered.
    Unanswered(Afterwards),
    /// A copy goes to quarantine, nothing is answered but a repeat of what was acknowledged.
    Quarantine(Box<NewQuarantine>, Evidence),
    /// The document goes to the journal.
    Journal(Box<NewDocument>, Admitted),
    /// The document would go to the journal, but what is known of its ФН has to be read first, to judge it. Here is the
    /// body for the next look.
    HistoryFirst(Vec<u8>),
    /// The ФН is not known here, but another node may have let it in: the facts are to be renewed first. Here is the body
    /// for the next look.
    FactsFirst(Vec<u8>),
}

/// Which look at a message it is, and what was asked for since the one before.
pub(crate) enum Look {
    First,
    /// After [`Examined::FactsFirst`].
    WithFacts,
    /// After [`Examined::HistoryFirst`].
    WithHistory(Memory),
}

/// What is remembered of a document while the journal works on it.
pub(crate) struct Admitted {
    /// The acknowledgement sealed for it: the answer unless the journal knows the document already.
    acknowledgement: Vec<u8>,
    fn_number: FnNumber,
    fd_number: FdNumber,
    form: FormCode,
    code: OperatorCode,
    verdict: &'static str,
    findings: Vec<FindingLabel>,
    marks: Vec<Mark>,
    /// The register in words, of a document with a mark that is told of.
    register: Option<String>,
    /// What the document did to the state of its ФН.
    advance: Option<Advance>,
}

/// What is remembered of a message while the store keeps a copy of it.
pub(crate) struct Evidence {
    pub(crate) refusal: Refusal,
    pub(crate) afterwards: Afterwards,
    claimed: Claimed,
    /// The register in words, if the message is a report that names it and whose sign was not the reason.
    register: Option<String>,
}

impl Evidence {
    fn in_hand(&self) -> InHand {
        in_hand(&self.claimed)
    }
}

impl Admitted {
    fn claimed(&self) -> Claimed {
        Claimed { fn_number: self.fn_number, fd_number: self.fd_number, form: self.form }
    }

    pub(crate) fn fn_number(&self) -> FnNumber {
        self.fn_number
    }

    /// Whether the module found the sign valid.
    pub(crate) fn has_valid_sign(&self) -> bool {
        self.verdict == "valid"
    }
}

impl Intake {
    /// Looks at one message: everything up to, but without, the store. Takes some tens of microseconds and does not
    /// block, as long as the crypto module is software.
    ///
    /// After [`Examined::HistoryFirst`] comes another look, with what [`Registers::load`] gave. So the first document of
    /// an ФН is opened twice, and nothing is read for a message that may not enter the journal anyway.
    pub(crate) fn examine(&self, header: &Header, body: Vec<u8>, peer: &str, look: Look) -> Examined {
        let began = clock::monotonic_now();
        let container = match readable_container(header, &body) {
            Ok(container) => container,
            Err(malformed) => {
                self.reject(malformed.reason(), &malformed);
                return Examined::Unanswered(Afterwards::Close);
            }
        };
        let container_cost = began.elapsed();
        let Some(moment) = self.moment() else { return Examined::Unanswered(Afterwards::Continue) };
        let claimed = claimed(&container.header);
        let _document = in_hand(&claimed);
        let opened = self.open(header, container);
        let is_first = matches!(look, Look::First);
        if is_first && self.policy.sign_mode != SignMode::Off {
            self.metrics.defence.sign(&opened.verdict);
        }
        let began = clock::monotonic_now();
        let (content, tree) = self.read(&claimed, moment, opened.document.as_deref());
        self.record_decode(container_cost, began);

        let standing = self.facts.standing(&claimed.fn_number, moment.timestamp);
        let mut facts = MessageFacts {
            verdict: opened.verdict,
            transport: if opened.was_encrypted { Transport::Encrypted } else { Transport::Open },
            content,
            standing: standing.standing,
            deregistered_at: standing.deregistered_at.map(LocalTime::new),
        };
        match decision::shut_out(&facts, &self.policy) {
            None => {}
            Some(refused) if is_first && refused.is_of_a_stranger() && self.facts.can_be_renewed() => {
                return Examined::FactsFirst(body);
            }
            Some(Decision::Quarantine(refusal, afterwards)) => {
                let identity = opened.document.as_deref().map(derived::identity);
                let entry = quarantine_entry(&container.header, moment, peer, identity, refusal);
                let register = told_register(refusal, tree.as_ref());
                let evidence = Evidence { refusal, afterwards, claimed, register };
                return Examined::Quarantine(Box::new(NewQuarantine { container: body, ..entry }), evidence);
            }
            Some(Decision::Silence(refusal)) => {
                self.refuse(refusal, told_register(refusal, tree.as_ref()).as_deref(), "silence");
                return Examined::Unanswered(Afterwards::Continue);
            }
            // What shuts out lets nothing in.
            Some(Decision::Journal(_)) => return Examined::Unanswered(Afterwards::Continue),
        }
        let mut judged = Judged::default();
        if let (Some(tree), Content::Document(document)) = (&tree, &mut facts.content) {
            let recall = || self.registers.recall_before(&claimed.fn_number, claimed.fd_number);
            let read = match look {
                Look::WithHistory(memory) => Some(memory),
                Look::First | Look::WithFacts => None,
            };
            let Some(memory) = read.or_else(recall) else {
                return Examined::HistoryFirst(body);
            };
            judged = self.judge(tree, &claimed, moment, memory);
            document.checks = judged.checks();
        }
        let admission = decision::admit(&facts, &self.policy);
        let message = Message { container: &container, opened: &opened, tree: tree.as_ref(), moment, peer };
        let Some((mut document, admitted)) = self.prepare(&message, judged, &admission) else {
            return Examined::Unanswered(Afterwards::Continue);
        };
        let opened = opened.was_encrypted.then(|| opened.document.map(|document| document.into_owned()));
        document.opened = opened.flatten();
        document.container = body;
        Examined::Journal(document, admitted)
    }

    /// The time of reception; none while the clock is not trusted. The clock itself tells the log, once.
    fn moment(&self) -> Option<Moment> {
        self.clock
            .now()
            .inspect_err(|distrust| {
                self.metrics.rejected(reason::CLOCK_UNTRUSTED);
                debug!(%distrust, "not answered");
            })
            .ok()
    }

    fn open<'a>(&self, header: &Header, container: Container<'a>) -> OpenOutcome<'a> {
        let began = clock::monotonic_now();
        let outcome = self.verifier.open(&RawContainer { fn_number: header.fn_number, container });
        metrics::record(&self.metrics.stage_open, began.elapsed());
        outcome
    }

    fn record_decode(&self, container_cost: Duration, tree_began: Instant) {
        metrics::record(&self.metrics.stage_decode, container_cost + tree_began.elapsed());
    }

    /// Reads the opened document as far as it goes and gathers what decides whether it may enter the journal. The tree
    /// is there for [`Content::Document`] only; nobody has judged it yet.
    fn read<'d>(
        &self,
        claimed: &Claimed,
        moment: Moment,
        document: Option<&'d [u8]>,
    ) -> (Content, Option<Document<'d>>) {
        let Some(bytes) = document else { return (Content::Unopened, None) };
        let tree = match Document::decode(bytes) {
            Ok(tree) if !tree.form().is_kkt_document() || !claimed.form.is_kkt_document() => {
                return (Content::UnknownForm, None);
            }
            Ok(tree) => tree,
            Err(error) => {
                debug!(%error, "the document cannot be read");
                return (Content::Unreadable, None);
            }
        };
        if let Some(group) = tree.unreadable_group() {
            debug!(tag = group.tag, offset = group.offset, "the document cannot be read inside a group");
            return (Content::Unreadable, None);
        }
        let facts = DocumentFacts {
            form: tree.form(),
            kkt: self.announced(&claimed.fn_number, &tree, moment),
            local_time: tree.time(tags::DATE_TIME),
            checks: Checks::Passed,
        };
        (Content::Document(facts), Some(tree))
    }

    /// The format and logic control (ФЛК).
    fn judge(&self, tree: &Document<'_>, claimed: &Claimed, moment: Moment, memory: Memory) -> Judged {
        let began = clock::monotonic_now();
        let findings = memory.judge(|register| {
            if register.is_none() {
                self.metrics.judged_without_history();
            }
            let around = Surroundings {
                claimed: Some(*claimed),
                received_at: moment.unix_s,
                operator_inn: Some(self.operator_inn),
                register,
            };
            ffd::check::check(tree, &around, &self.severities)
        });
        metrics::record(&self.metrics.stage_check, began.elapsed());
        Judged { findings, memory: Some(memory) }
    }

    /// Whether the register that a registration report names is one that the operator or a contract announced.
    fn announced(&self, fn_number: &FnNumber, tree: &Document<'_>, moment: Moment) -> Announced {
        if !tree.form().is_registration() {
            return Announced::No;
        }
        let Some(serial) = plain_text(tree, tags::KKT_SERIAL) else { return Announced::No };
        let inn = plain_text(tree, tags::USER_INN);
        self.facts.announced(fn_number, &serial, inn.as_deref(), moment.timestamp)
    }

    /// Seals the acknowledgement and fills in all that the journal keeps, but for the bytes of the container and of
    /// the opened document, which the caller moves in. `None` when there can be no acknowledgement.
    fn prepare(
        &self,
        message: &Message<'_>,
        judged: Judged,
        admission: &Admission,
    ) -> Option<(Box<NewDocument>, Admitted)> {
        let Message { container, opened, tree, moment, peer } = *message;
        let claimed = &container.header;
        let acknowledgement = self.seal(message, admission)?;
        self.clock.acknowledged(moment);
        let form = tree.map_or(FormCode(u16::from(claimed.form)), Document::form);
        let sign = sign_record(self.policy.sign_mode, &opened.verdict);
        if admission.makes_known {
            self.facts.know(claimed.fn_number);
            if let Some(left_out) = self.log_limiter.admit("fn_known", clock::monotonic_now()) {
                telling(|| {
                    info!(left_out, "the ФН is known from now on: its registration report was let in")
                });
            }
        }
        let admitted = Admitted {
            acknowledgement: acknowledgement.clone(),
            fn_number: claimed.fn_number,
            fd_number: claimed.fd_number,
            form,
            code: admission.code,
            verdict: sign.verdict,
            findings: judged.findings.iter().map(FindingLabel::from).collect(),
            marks: Mark::of(admission),
            register: tree.filter(|_| admission.fn_changed_mark).and_then(register_in_words),
            advance: tree.and_then(|tree| judged.advance(&self.registers, claimed.fn_number, tree)),
        };
        let derived = tree.map(derived::derived).unwrap_or_default();
        let document = Box::new(NewDocument {
            fn_number: claimed.fn_number,
            fd_number: claimed.fd_number,
            form: form.0,
            received_at: moment.timestamp,
            peer: Some(peer.to_owned()),
            container: Vec::new(),
            opened: None,
            identity: opened.document.as_deref().map(derived::identity).unwrap_or_default(),
            acknowledgement,
            code: admission.code.0,
            sign,
            forward: admission.forward,
            flk_mark: admission.flk_mark,
            sign_mark: admission.sign_mark,
            fn_changed_mark: admission.fn_changed_mark,
            after_deregistration_mark: admission.after_deregistration_mark,
            findings: stored_findings(judged.findings),
            task: admission.task,
            register: register_report(admission.registers, &derived),
            derived,
        });
        Some((document, admitted))
    }
}

/// What is known of a message that goes to the journal, before its findings.
#[derive(Clone, Copy)]
struct Message<'m> {
    container: &'m Container<'m>,
    opened: &'m OpenOutcome<'m>,
    /// Present for [`Content::Document`] only.
    tree: Option<&'m Document<'m>>,
    moment: Moment,
    peer: &'m str,
}

/// What the control found, and what it knew of the ФН. Nothing of both for what cannot be read.
#[derive(Default)]
struct Judged {
    findings: Vec<Finding>,
    memory: Option<Memory>,
}

impl Judged {
    fn checks(&self) -> Checks {
        let mut hard = self.findings.iter().filter(|finding| finding.severity == Severity::Hard).peekable();
        if hard.peek().is_none() {
            Checks::Passed
        } else if hard.any(|finding| finding.rule.starts_with("identity.")) {
            Checks::NotItself
        } else {
            Checks::Failed
        }
    }

    /// Moves the state of the ФН on. A document that is not what its container says would lead it astray.
    fn advance(
        &self,
        registers: &Arc<Registers>,
        fn_number: FnNumber,
        tree: &Document<'_>,
    ) -> Option<Advance> {
        let memory = self.memory.as_ref().filter(|_| self.checks() != Checks::NotItself)?;
        Some(memory.advance(registers, fn_number, tree))
    }
}

/// The register in words, where its sign was no reason to doubt what the report says.
fn told_register(refusal: Refusal, tree: Option<&Document<'_>>) -> Option<String> {
    match refusal {
        Refusal::UnknownFnHeld | Refusal::UnknownFnRejected | Refusal::ContractStopped => {
            tree.and_then(register_in_words)
        }
        _ => None,
    }
}

fn claimed(header: &ContainerHeader) -> Claimed {
    Claimed {
        fn_number: header.fn_number,
        fd_number: header.fd_number,
        form: FormCode(u16::from(header.form)),
    }
}

fn readable_container<'a>(header: &Header, body: &'a [u8]) -> Result<Container<'a>, kkt_proto::Malformed> {
    let container = Container::decode(body)?;
    container.check_kind(ContainerKind::FROM_FN)?;
    container.check_carrier(header)?;
    Ok(container)
}
