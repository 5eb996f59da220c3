//! The way of one document from a whole message to the hands of the journal, and from the journal's word to an answer:
//! container, sign, tree, checks, decision, acknowledgement. Sockets and order are the connection's business.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ffd::check::{Claimed, Finding, Severity};
use ffd::dict::FormCode;
use ffd::{Document, FdNumber, FnNumber, Inn, tags};
use kkt_proto::ack::{AckFields, AckFormat, OperatorCode};
use kkt_proto::container::{Container, ContainerHeader, ContainerKind};
use kkt_proto::header::Header;
use kkt_proto::server::Answer;
use ofd_store::{
    AppendOutcome, Derived, Facts, FindingSeverity, JournalHandle, NewDocument, NewQuarantine,
    QuarantineOutcome, RegisterReport, SignRecord, StoreError, StoredFinding,
};
use pkz::{
    AckRequest, AckSigner, FiscalSignVerifier, Generation, OpenOutcome, RawContainer, RefusedReason,
    SealError, SealedAck, SignMode, UnverifiableReason, Verdict, derive::message_iv,
};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{Span, debug, error_span, info, warn};

use crate::clock::{self, Moment};
use crate::config::Policy;
use crate::decision::{
    self, Admission, Afterwards, Checks, Content, Decision, DocumentFacts, KktSerial, MessageFacts, Refusal,
    RegisterFeed, Transport,
};
use crate::derived::{self, plain_text};
use crate::limits::LogLimiter;
use crate::metrics::{self, Metrics, reason};

/// What every connection shares to work on documents.
pub(crate) struct Intake {
    pub(crate) policy: Policy,
    pub(crate) operator_inn: Inn,
    pub(crate) verifier: Arc<dyn FiscalSignVerifier>,
    pub(crate) signer: Arc<dyn AckSigner>,
    pub(crate) journal: JournalHandle,
    pub(crate) facts: Arc<Facts>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log_limiter: LogLimiter,
    /// Places for copies on their way to quarantine ([`MAX_QUARANTINE_IN_FLIGHT`]).
    pub(crate) quarantine_places: Arc<Semaphore>,
}

/// Copies on their way to quarantine, of all connections together. They share the store's writer with the documents of
/// honest registers, and anybody can send what ends in quarantine: past this, it is counted and not kept.
pub(crate) const MAX_QUARANTINE_IN_FLIGHT: usize = 64;

/// What is to be done with a message after it was looked at.
#[expect(
    clippy::large_enum_variant,
    reason = "taken apart as soon as it is made; the common case is the large one"
)]
pub(crate) enum Examined {
    /// Nothing is kept, nothing is answered.
    Unanswered(Afterwards),
    /// A copy goes to quarantine, nothing is answered.
    Quarantine(NewQuarantine, Refusal, Afterwards),
    /// The document goes to the journal.
    Journal(NewDocument, Admitted),
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
}

impl Intake {
    /// Looks at one message: everything up to, but without, the store. Takes some tens of microseconds and does not
    /// block, as long as the crypto module is software.
    pub(crate) fn examine(&self, header: &Header, body: Vec<u8>, peer: &str) -> Examined {
        let began = clock::monotonic_now();
        let container = match readable_container(header, &body) {
            Ok(container) => container,
            Err(malformed) => {
                self.reject(malformed.reason(), &malformed);
                return Examined::Unanswered(Afterwards::Close);
            }
        };
        let container_cost = began.elapsed();
        let Some(moment) = clock::trusted_now() else {
            self.reject(reason::CLOCK_NOT_TRUSTED, &"the system clock shows an impossible date");
            return Examined::Unanswered(Afterwards::Continue);
        };
        let claimed = &container.header;
        let form = FormCode(u16::from(claimed.form));
        let _document = document_span(&claimed.fn_number, claimed.fd_number, form).entered();
        let opened = self.open(header, container);
        let began = clock::monotonic_now();
        let reading = self.read(&container.header, opened.document.as_deref());
        self.record_decode(container_cost, began);

        let facts = MessageFacts {
            verdict: opened.verdict,
            transport: if opened.was_encrypted { Transport::Encrypted } else { Transport::Open },
            content: reading.content,
            standing: self.facts.standing(&container.header.fn_number),
        };
        match decision::decide(&facts, &self.policy) {
            Decision::Silence(refusal) => {
                self.refuse(refusal, "silence");
                Examined::Unanswered(Afterwards::Continue)
            }
            Decision::Quarantine(refusal, afterwards) => {
                self.refuse(refusal, "kept in quarantine");
                let identity = opened.document.as_deref().map(|document| Sha256::digest(document).into());
                let entry = quarantine_entry(&container.header, moment, peer, identity, refusal);
                Examined::Quarantine(NewQuarantine { container: body, ..entry }, refusal, afterwards)
            }
            Decision::Journal(admission) => {
                let Some(prepared) = self.prepare(&container, &opened, &reading, &admission, moment, peer)
                else {
                    return Examined::Unanswered(Afterwards::Continue);
                };
                let (document, admitted) = prepared;
                let opened =
                    opened.was_encrypted.then(|| opened.document.map(|document| document.into_owned()));
                let opened = opened.flatten();
                Examined::Journal(NewDocument { container: body, opened, ..document }, admitted)
            }
        }
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

    /// Reads the opened document as far as it goes and gathers what the decision asks for.
    fn read<'d>(&self, claimed: &ContainerHeader, document: Option<&'d [u8]>) -> Reading<'d> {
        let Some(bytes) = document else {
            return Reading { content: Content::Unopened, tree: None, findings: Vec::new() };
        };
        let form = FormCode(u16::from(claimed.form));
        let unread = |content| Reading { content, tree: None, findings: Vec::new() };
        let tree = match Document::decode(bytes) {
            Ok(tree) if !tree.form().is_kkt_document() || !form.is_kkt_document() => {
                return unread(Content::UnknownForm);
            }
            Ok(tree) => match tree.unreadable_group() {
                Some(group) => {
                    debug!(
                        tag = group.tag,
                        offset = group.offset,
                        "the document cannot be read inside a group"
                    );
                    return unread(Content::Unreadable);
                }
                None => tree,
            },
            Err(error) => {
                debug!(%error, "the document cannot be read");
                return unread(Content::Unreadable);
            }
        };
        let claimed = Claimed { fn_number: claimed.fn_number, fd_number: claimed.fd_number, form };
        let findings = ffd::check::identity(&tree, &claimed);
        let failed = findings.iter().any(|finding| finding.severity == Severity::Hard);
        let content = Content::Document(DocumentFacts {
            form: tree.form(),
            kkt: self.kkt_standing(&tree),
            checks: if failed { Checks::Failed } else { Checks::Passed },
        });
        Reading { content, tree: Some(tree), findings }
    }

    fn kkt_standing(&self, tree: &Document<'_>) -> KktSerial {
        let announced = tree.form().is_registration()
            && plain_text(tree, tags::KKT_SERIAL).is_some_and(|serial| self.facts.serial_known(&serial));
        if announced { KktSerial::Announced } else { KktSerial::NotAnnounced }
    }

    /// Seals the acknowledgement and fills in all that the journal keeps, but for the bytes of the container and of
    /// the opened document, which the caller moves in. `None` when there can be no acknowledgement.
    fn prepare(
        &self,
        container: &Container<'_>,
        opened: &OpenOutcome<'_>,
        reading: &Reading<'_>,
        admission: &Admission,
        moment: Moment,
        peer: &str,
    ) -> Option<(NewDocument, Admitted)> {
        let claimed = &container.header;
        let acknowledgement = self.seal(container, opened, reading, admission, moment)?;
        let tree = reading.tree.as_ref();
        let form = tree.map_or(FormCode(u16::from(claimed.form)), Document::form);
        let sign = sign_record(self.policy.sign_mode, &opened.verdict);
        if admission.makes_known {
            self.facts.know(claimed.fn_number);
            if let Some(left_out) = self.log_limiter.admit("fn_known", clock::monotonic_now()) {
                info!(left_out, "the ФН is known from now on: its registration report was let in");
            }
        }
        let admitted = Admitted {
            acknowledgement: acknowledgement.clone(),
            fn_number: claimed.fn_number,
            fd_number: claimed.fd_number,
            form,
            code: admission.code,
            verdict: sign.verdict,
        };
        let derived = tree.map(derived::derived).unwrap_or_default();
        let document = NewDocument {
            fn_number: claimed.fn_number,
            fd_number: claimed.fd_number,
            form: form.0,
            received_at: moment.timestamp,
            peer: Some(peer.to_owned()),
            container: Vec::new(),
            opened: None,
            identity: opened
                .document
                .as_deref()
                .map(|document| Sha256::digest(document).into())
                .unwrap_or_default(),
            acknowledgement,
            code: admission.code.0,
            sign,
            forward: admission.forward,
            flk_mark: admission.flk_mark,
            sign_mark: admission.sign_mark,
            findings: reading.findings.iter().map(stored_finding).collect(),
            task: admission.task,
            register: register_report(admission.registers, &derived),
            derived,
        };
        Some((document, admitted))
    }

    /// Document 7 in its container, encrypted if the request was.
    fn seal(
        &self,
        container: &Container<'_>,
        opened: &OpenOutcome<'_>,
        reading: &Reading<'_>,
        admission: &Admission,
        moment: Moment,
    ) -> Option<Vec<u8>> {
        let began = clock::monotonic_now();
        let claimed = &container.header;
        let version = reading.tree.as_ref().map(Document::version);
        let items = AckFields {
            ofd_inn: self.operator_inn,
            fn_number: claimed.fn_number,
            fd_number: claimed.fd_number,
            datetime: moment.unix_s,
            code: admission.code,
            format: AckFormat::for_document(version, admission.code),
        }
        .items();
        let mut random = [0_u8; 5];
        if let Err(error) = getrandom::fill(&mut random) {
            self.reject(
                reason::SIGNER_UNAVAILABLE,
                &format_args!("no random bytes from the system: {error}"),
            );
            return None;
        }
        let request = AckRequest {
            fn_number: claimed.fn_number,
            generation: sealing_generation(opened),
            fd_number: claimed.fd_number,
            ofd_inn: self.operator_inn,
            datetime: moment.unix_s,
            items: &items.bytes,
            fpo_offset: items.fpo_offset,
            reply_to: claimed,
            iv: message_iv(random, claimed.fd_number),
            encrypt: opened.was_encrypted,
        };
        let sealed = self.seal_with_some_key(request, opened.verdict.is_valid());
        metrics::record(&self.metrics.stage_seal, began.elapsed());
        match sealed {
            Ok(sealed) => Some(sealed.container),
            Err(error) => {
                self.reject(reason::SIGNER_UNAVAILABLE, &error);
                None
            }
        }
    }

    /// A document that was let in although its sign is not valid may name keys that do not exist; then the newest
    /// ones have to do.
    fn seal_with_some_key(
        &self,
        request: AckRequest<'_>,
        sign_is_valid: bool,
    ) -> Result<SealedAck, SealError> {
        match self.signer.seal(&request) {
            Err(SealError::Refused(RefusedReason::UnknownGeneration))
                if !sign_is_valid && request.generation.is_some() =>
            {
                self.signer.seal(&AckRequest { generation: None, ..request })
            }
            outcome => outcome,
        }
    }

    /// The journal's word on a document turned into its answer.
    pub(crate) fn answer(&self, admitted: Admitted, outcome: Result<AppendOutcome, StoreError>) -> Answer {
        let _document = document_span(&admitted.fn_number, admitted.fd_number, admitted.form).entered();
        match outcome {
            Ok(AppendOutcome::Appended { seq }) => {
                debug!(seq, code = admitted.code.0, "stored");
                self.metrics.document_stored(admitted.form, admitted.code, admitted.verdict);
                Answer::Reply(admitted.acknowledgement)
            }
            Ok(AppendOutcome::Repeat { seq, acknowledgement }) => {
                debug!(seq, "came again");
                self.metrics.repeated();
                Answer::Reply(acknowledgement)
            }
            Ok(AppendOutcome::Conflict { seq }) => {
                self.metrics.conflicted();
                self.warn_limited(
                    "conflict",
                    &format_args!("other content under a known number, kept as {seq}"),
                );
                Answer::Reply(admitted.acknowledgement)
            }
            Err(error) => self.store_failed(&error),
        }
    }

    /// The store cannot keep what came: silence. The connection stays: some registers stop exchanging for good after a
    /// few failures in a row, while a wait costs them one time-out.
    pub(crate) fn store_failed(&self, error: &StoreError) -> Answer {
        self.reject(reason::STORE_UNAVAILABLE, error);
        Answer::Nothing
    }

    /// A place for a copy on its way to quarantine; none while too many are.
    pub(crate) fn quarantine_place(&self, refusal: Refusal) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.quarantine_places).try_acquire_owned().ok();
        if place.is_none() {
            self.metrics.quarantine_not_kept(refusal);
            self.warn_limited(
                "quarantine_busy",
                &"too much for quarantine at once: the message was counted, not kept",
            );
        }
        place
    }

    /// The store's word on a message that was to be kept as evidence. Whatever it says, the register hears nothing.
    pub(crate) fn quarantined(&self, refusal: Refusal, outcome: Result<QuarantineOutcome, StoreError>) {
        match outcome {
            Ok(QuarantineOutcome::Kept) => self.metrics.quarantined(refusal),
            Ok(QuarantineOutcome::Repeat) => debug!("in quarantine already"),
            Ok(QuarantineOutcome::NotKept) => {
                self.metrics.quarantine_not_kept(refusal);
                self.warn_limited("quarantine_full", &"quarantine is full: the copy was counted, not kept");
            }
            Err(error) => self.reject(reason::STORE_UNAVAILABLE, &error),
        }
    }

    /// Reserved bits in the flags of a session header are no reason to refuse a till that works.
    pub(crate) fn note_reserved_bits(&self, bits: u16) {
        self.warn_limited(
            "reserved_flags",
            &format_args!("reserved bits {bits:#06x} in the session header, ignored"),
        );
    }

    /// A message that nothing could be decided about.
    pub(crate) fn reject(&self, reason: &'static str, detail: &dyn std::fmt::Display) {
        self.metrics.rejected(reason);
        self.warn_limited(reason, detail);
    }

    fn refuse(&self, refusal: Refusal, consequence: &'static str) {
        self.metrics.refused(refusal);
        self.warn_limited(refusal.as_str(), &consequence);
    }

    /// Peer and ФН are fields of the connection's span.
    fn warn_limited(&self, reason: &'static str, detail: &dyn std::fmt::Display) {
        if let Some(left_out) = self.log_limiter.admit(reason, clock::monotonic_now()) {
            warn!(reason, left_out, "{detail}");
        }
    }
}

/// What could be read of an opened document.
struct Reading<'d> {
    content: Content,
    /// Present for [`Content::Document`] only.
    tree: Option<Document<'d>>,
    findings: Vec<Finding>,
}

fn readable_container<'a>(header: &Header, body: &'a [u8]) -> Result<Container<'a>, kkt_proto::Malformed> {
    let container = Container::decode(body)?;
    container.check_kind(ContainerKind::FROM_FN)?;
    container.check_carrier(header)?;
    Ok(container)
}

/// A register holds the keys of one generation: the acknowledgement is sealed with the one its sign names, even when
/// the sign itself is wrong.
fn sealing_generation(opened: &OpenOutcome<'_>) -> Option<Generation> {
    opened.verdict.generation().or_else(|| Generation::of_message_sign(&opened.sign))
}

/// In `off` signs are nobody's statement, whatever the module says.
fn sign_record(mode: SignMode, verdict: &Verdict) -> SignRecord {
    let disabled = Verdict::Unverifiable(UnverifiableReason::Disabled);
    let verdict = if mode == SignMode::Off { &disabled } else { verdict };
    SignRecord {
        verdict: verdict.name(),
        scheme: verdict.scheme().map(|scheme| scheme.as_str()),
        generation: verdict.generation().map(Generation::get),
    }
}

fn quarantine_entry(
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
    }
}

fn stored_finding(finding: &Finding) -> StoredFinding {
    StoredFinding {
        path: finding.path.clone(),
        rule: finding.rule.to_owned(),
        severity: match finding.severity {
            Severity::Hard => FindingSeverity::Hard,
            Severity::Soft => FindingSeverity::Soft,
        },
        text: finding.text_ru.clone(),
    }
}

fn register_report(feed: RegisterFeed, derived: &Derived) -> Option<RegisterReport> {
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

/// Level error, so that refusals keep their ФН and ФД whatever the filter of the log leaves out.
fn document_span(fn_number: &FnNumber, fd_number: FdNumber, form: FormCode) -> Span {
    error_span!("document", fn_number = fn_number.as_str(), fd_number = fd_number.get(), kind = form.0)
}
