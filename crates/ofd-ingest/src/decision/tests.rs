mod standing;

use std::time::Duration;

use pkz::{Generation, InvalidReason, Scheme};

use super::*;

const REQUIRED: SignMode = SignMode::Required;
const LOG_ONLY: SignMode = SignMode::LogOnly;
const OFF: SignMode = SignMode::Off;

const DISABLED: Verdict = Verdict::Unverifiable(UnverifiableReason::Disabled);
const FOREIGN: Verdict = Verdict::Unverifiable(UnverifiableReason::ForeignScheme);
const NO_KEY: Verdict = Verdict::Unverifiable(UnverifiableReason::CannotDecrypt);
const UNKNOWN_GENERATION: Verdict = Verdict::Unverifiable(UnverifiableReason::UnknownGeneration);
const MISMATCH: Verdict = Verdict::Invalid(InvalidReason::Mismatch);
const UNAVAILABLE: Verdict = Verdict::Unavailable { retry_after: Duration::from_secs(1) };

fn valid() -> Verdict {
    Verdict::Valid { scheme: Scheme::SoftGost1, generation: Generation::new(1).unwrap() }
}

/// A known ФН, an open body, a receipt that passed its checks.
fn receipt(verdict: Verdict) -> MessageFacts {
    MessageFacts {
        verdict,
        transport: Transport::Open,
        content: Content::Document(DocumentFacts {
            form: FormCode::RECEIPT,
            kkt: Announced::No,
            local_time: Some(noon()),
            checks: Checks::Passed,
        }),
        standing: Standing::Known,
        deregistered_at: None,
    }
}

/// The till's time of every document here.
fn noon() -> LocalTime {
    LocalTime::new(1_488_541_080)
}

fn of_suspended_fn(facts: MessageFacts) -> MessageFacts {
    MessageFacts { standing: Standing::Suspended, ..facts }
}

fn deregistered(facts: MessageFacts, seconds_after_noon: i64) -> MessageFacts {
    let at = u32::try_from(i64::from(noon().get()) + seconds_after_noon).unwrap();
    MessageFacts { deregistered_at: Some(LocalTime::new(at)), ..facts }
}

fn of_unknown_fn(facts: MessageFacts) -> MessageFacts {
    MessageFacts { standing: Standing::Unknown, ..facts }
}

fn encrypted(facts: MessageFacts) -> MessageFacts {
    MessageFacts { transport: Transport::Encrypted, ..facts }
}

fn with(facts: MessageFacts, content: Content) -> MessageFacts {
    MessageFacts { content, ..facts }
}

fn failed(facts: MessageFacts) -> MessageFacts {
    judged(facts, Checks::Failed)
}

fn judged(facts: MessageFacts, checks: Checks) -> MessageFacts {
    match facts.content {
        Content::Document(document) => with(facts, Content::Document(DocumentFacts { checks, ..document })),
        _ => panic!("only a document can fail its checks"),
    }
}

fn registration(form: FormCode, kkt: Announced) -> MessageFacts {
    let document = DocumentFacts { form, kkt, local_time: Some(noon()), checks: Checks::Passed };
    with(receipt(valid()), Content::Document(document))
}

fn policy(sign_mode: SignMode, unknown_fn: UnknownFn) -> Policy {
    Policy { unknown_fn, sign_mode, forward_unknown: false }
}

const PLAIN: Admission = Admission {
    code: OperatorCode::ACCEPTED,
    forward: Forward::Yes,
    flk_mark: false,
    sign_mark: false,
    fn_changed_mark: false,
    after_deregistration_mark: false,
    task: None,
    registers: RegisterFeed::Nothing,
    makes_known: false,
};

fn journal(admission: Admission) -> Decision {
    Decision::Journal(admission)
}

fn kept_open(refusal: Refusal) -> Decision {
    Decision::Quarantine(refusal, Afterwards::Continue)
}

fn closed(refusal: Refusal) -> Decision {
    Decision::Quarantine(refusal, Afterwards::Close)
}

fn check(row: &str, facts: MessageFacts, policy: Policy, expected: Decision) {
    assert_eq!(decide(&facts, &policy), expected, "row: {row}");
}

#[test]
fn a_good_document_is_accepted_in_every_mode() {
    for mode in [REQUIRED, LOG_ONLY] {
        check("valid", receipt(valid()), policy(mode, UnknownFn::Hold), journal(PLAIN));
        check("valid, encrypted", encrypted(receipt(valid())), policy(mode, UnknownFn::Hold), journal(PLAIN));
    }
    let unsigned = Admission { sign_mark: true, ..PLAIN };
    check("off", receipt(DISABLED), policy(OFF, UnknownFn::Hold), journal(unsigned));
    check("off says nothing about signs", receipt(MISMATCH), policy(OFF, UnknownFn::Hold), journal(unsigned));
}

#[test]
fn a_module_out_of_work_is_silence_before_everything_else() {
    for mode in [REQUIRED, LOG_ONLY, OFF] {
        for unknown_fn in [UnknownFn::Hold, UnknownFn::Accept, UnknownFn::Reject] {
            let policy = policy(mode, unknown_fn);
            let expected = Decision::Silence(Refusal::ModuleUnavailable);
            let facts = receipt(UNAVAILABLE);
            check("unavailable", facts, policy, expected.clone());
            check("unavailable, unopened", with(facts, Content::Unopened), policy, expected.clone());
            check("unavailable, unknown ФН", of_unknown_fn(facts), policy, expected);
        }
    }
}

#[test]
fn what_cannot_be_opened_is_quarantined_in_any_mode() {
    for mode in [REQUIRED, LOG_ONLY, OFF] {
        for unknown_fn in [UnknownFn::Hold, UnknownFn::Accept, UnknownFn::Reject] {
            for verdict in [NO_KEY, UNKNOWN_GENERATION, DISABLED] {
                let facts = encrypted(with(receipt(verdict), Content::Unopened));
                let policy = policy(mode, unknown_fn);
                check("no key", facts, policy, kept_open(Refusal::CannotOpen));
                check("no key, unknown ФН", of_unknown_fn(facts), policy, kept_open(Refusal::CannotOpen));
            }
        }
    }
    let garbage = encrypted(with(receipt(MISMATCH), Content::Unopened));
    check("decrypted to garbage", garbage, policy(REQUIRED, UnknownFn::Accept), closed(Refusal::SignInvalid));
    check(
        "decrypted to garbage",
        garbage,
        policy(LOG_ONLY, UnknownFn::Accept),
        kept_open(Refusal::CannotOpen),
    );
    check(
        "encrypted, signs off, a module that could open it",
        encrypted(receipt(valid())),
        policy(OFF, UnknownFn::Accept),
        kept_open(Refusal::CannotOpen),
    );
}

#[test]
fn required_lets_only_valid_signs_in() {
    let rows = [
        (MISMATCH, Refusal::SignInvalid),
        (Verdict::Invalid(InvalidReason::Malformed), Refusal::SignInvalid),
        (Verdict::Invalid(InvalidReason::WrongKind), Refusal::SignInvalid),
        (FOREIGN, Refusal::ForeignScheme),
        (UNKNOWN_GENERATION, Refusal::UnknownGeneration),
        (DISABLED, Refusal::SignUnchecked),
        (NO_KEY, Refusal::SignUnchecked),
    ];
    for (verdict, refusal) in rows {
        for unknown_fn in [UnknownFn::Hold, UnknownFn::Accept, UnknownFn::Reject] {
            let policy = policy(REQUIRED, unknown_fn);
            check("bad sign", receipt(verdict), policy, closed(refusal));
            check("bad sign, unknown ФН", of_unknown_fn(receipt(verdict)), policy, closed(refusal));
            check(
                "bad sign, unreadable",
                with(receipt(verdict), Content::Unreadable),
                policy,
                closed(refusal),
            );
        }
    }
}

#[test]
fn log_only_journals_bad_signs_with_the_mark() {
    let marked = Admission { sign_mark: true, ..PLAIN };
    for verdict in [MISMATCH, FOREIGN, UNKNOWN_GENERATION, DISABLED] {
        let policy = policy(LOG_ONLY, UnknownFn::Hold);
        check("bad sign", receipt(verdict), policy, journal(marked));
        check(
            "bad sign and a finding",
            failed(receipt(verdict)),
            policy,
            journal(Admission { code: OperatorCode::FORMAT_LOGIC, flk_mark: true, ..marked }),
        );
    }
}

#[test]
fn an_unknown_fn_is_held() {
    let hold = policy(REQUIRED, UnknownFn::Hold);
    let held = kept_open(Refusal::UnknownFnHeld);
    check("receipt", of_unknown_fn(receipt(valid())), hold, held.clone());
    check("unreadable", of_unknown_fn(with(receipt(valid()), Content::Unreadable)), hold, held.clone());
    check("unknown form", of_unknown_fn(with(receipt(valid()), Content::UnknownForm)), hold, held.clone());
    for form in [FormCode::REGISTRATION, FormCode::REGISTRATION_CHANGE] {
        let stranger = of_unknown_fn(registration(form, Announced::No));
        check("registration of a stranger", stranger, hold, held.clone());
        let announced = of_unknown_fn(registration(form, Announced::Yes));
        let let_in = Admission { registers: RegisterFeed::Facts, makes_known: true, ..PLAIN };
        check("registration of an announced ККТ", announced, hold, journal(let_in));
        check(
            "registration of an announced ККТ with a finding",
            failed(announced),
            hold,
            journal(Admission { code: OperatorCode::FORMAT_LOGIC, flk_mark: true, ..let_in }),
        );
        check(
            "registration of an announced ККТ that is not what its container says",
            judged(announced, Checks::NotItself),
            hold,
            journal(Admission {
                code: OperatorCode::FORMAT_LOGIC,
                flk_mark: true,
                registers: RegisterFeed::Existence,
                ..let_in
            }),
        );
    }
    let receipt_of_announced = of_unknown_fn(registration(FormCode::RECEIPT, Announced::Yes));
    check("only a registration opens the door", receipt_of_announced, hold, held);
}

#[test]
fn an_unknown_fn_is_rejected() {
    let reject = policy(REQUIRED, UnknownFn::Reject);
    let silence = Decision::Silence(Refusal::UnknownFnRejected);
    check("receipt", of_unknown_fn(receipt(valid())), reject, silence.clone());
    let announced = of_unknown_fn(registration(FormCode::REGISTRATION, Announced::Yes));
    check("registration of an announced ККТ", announced, reject, silence);
    check("a known ФН", receipt(valid()), reject, journal(PLAIN));
}

const EVERY_POLICY: [UnknownFn; 3] = [UnknownFn::Hold, UnknownFn::Accept, UnknownFn::Reject];

#[test]
fn only_what_is_held_back_is_looked_for_in_the_journal() {
    let acknowledged = [Refusal::UnknownFnHeld, Refusal::ContractStopped];
    for refusal in Refusal::ALL {
        let expected = acknowledged.contains(&refusal);
        let found = refusal.of_known_content() == KnownContent::Acknowledged;
        assert_eq!(found, expected, "{refusal:?}");
        assert!(!refusal.in_words().is_empty());
    }
}

#[test]
fn an_unknown_fn_is_accepted_and_forwarded_when_known() {
    let accept = policy(REQUIRED, UnknownFn::Accept);
    let at_once = Policy { forward_unknown: true, ..accept };
    let waits = Admission { forward: Forward::WhenKnown, ..PLAIN };
    let stranger = of_unknown_fn(receipt(valid()));
    check("receipt", stranger, accept, journal(waits));
    check("receipt, forward_unknown", stranger, at_once, journal(PLAIN));
    check(
        "receipt with a finding",
        failed(stranger),
        accept,
        journal(Admission { code: OperatorCode::FORMAT_LOGIC, flk_mark: true, ..waits }),
    );
    for kkt in [Announced::Yes, Announced::No] {
        check(
            "a registration makes its ФН known",
            of_unknown_fn(registration(FormCode::REGISTRATION, kkt)),
            accept,
            journal(Admission { registers: RegisterFeed::Facts, makes_known: true, ..PLAIN }),
        );
    }
}

#[test]
fn a_known_fn_registers_again() {
    for unknown_fn in [UnknownFn::Hold, UnknownFn::Accept, UnknownFn::Reject] {
        check(
            "change of registration",
            registration(FormCode::REGISTRATION_CHANGE, Announced::No),
            policy(REQUIRED, unknown_fn),
            journal(Admission { registers: RegisterFeed::Facts, ..PLAIN }),
        );
        check(
            "a report that is not what its container says changes no facts",
            judged(registration(FormCode::REGISTRATION_CHANGE, Announced::Yes), Checks::NotItself),
            policy(REQUIRED, unknown_fn),
            journal(Admission {
                code: OperatorCode::FORMAT_LOGIC,
                flk_mark: true,
                registers: RegisterFeed::Existence,
                ..PLAIN
            }),
        );
    }
}

#[test]
fn content_that_is_not_recognised_gets_11_and_is_not_forwarded() {
    let unrecognised = Admission { code: OperatorCode::UNRECOGNISED, forward: Forward::No, ..PLAIN };
    let rows = [(Content::Unreadable, TaskKind::Unreadable), (Content::UnknownForm, TaskKind::UnknownForm)];
    for (content, task) in rows {
        let expected = Admission { task: Some(task), ..unrecognised };
        check(
            "valid sign",
            with(receipt(valid()), content),
            policy(REQUIRED, UnknownFn::Hold),
            journal(expected),
        );
        let accept = Policy { forward_unknown: true, ..policy(LOG_ONLY, UnknownFn::Accept) };
        let stranger = of_unknown_fn(with(receipt(FOREIGN), content));
        check("bad sign, log-only", stranger, accept, journal(Admission { sign_mark: true, ..expected }));
    }
}

#[test]
fn a_hard_finding_gets_14_and_is_forwarded_with_the_mark() {
    check(
        "finding",
        failed(receipt(valid())),
        policy(REQUIRED, UnknownFn::Hold),
        journal(Admission { code: OperatorCode::FORMAT_LOGIC, flk_mark: true, ..PLAIN }),
    );
}

#[test]
fn names_of_refusals_differ() {
    let mut names: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Refusal::ALL.len());
}

#[test]
fn what_the_checks_find_lets_nothing_in_and_shuts_nothing_out() {
    let verdicts = [valid(), MISMATCH, FOREIGN, NO_KEY, UNKNOWN_GENERATION, UNAVAILABLE, DISABLED];
    for verdict in verdicts {
        let plain = receipt(verdict);
        for facts in [plain, of_unknown_fn(plain), of_suspended_fn(plain), encrypted(plain)] {
            for mode in [REQUIRED, LOG_ONLY, OFF] {
                for unknown_fn in [UnknownFn::Hold, UnknownFn::Accept, UnknownFn::Reject] {
                    let policy = policy(mode, unknown_fn);
                    let shut = shut_out(&facts, &policy);
                    for checks in [Checks::Passed, Checks::Failed, Checks::NotItself] {
                        let facts = judged(facts, checks);
                        assert_eq!(shut_out(&facts, &policy), shut, "{facts:?}, {policy:?}");
                        let admitted = matches!(decide(&facts, &policy), Decision::Journal(_));
                        assert_eq!(admitted, shut.is_none(), "{facts:?}, {policy:?}");
                    }
                }
            }
        }
    }
}
