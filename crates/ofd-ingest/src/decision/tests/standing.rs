//! Stopped contracts, a ФН in the place of another, deregistered registers.

use super::*;

#[test]
fn a_stopped_contract_silences_its_registers_under_every_policy() {
    let stopped = kept_open(Refusal::ContractStopped);
    for unknown_fn in EVERY_POLICY {
        for mode in [REQUIRED, LOG_ONLY] {
            let policy = policy(mode, unknown_fn);
            check("receipt", of_suspended_fn(receipt(valid())), policy, stopped.clone());
            check(
                "receipt, encrypted",
                encrypted(of_suspended_fn(receipt(valid()))),
                policy,
                stopped.clone(),
            );
            for content in [Content::Unreadable, Content::UnknownForm] {
                check(
                    "unreadable",
                    of_suspended_fn(with(receipt(valid()), content)),
                    policy,
                    stopped.clone(),
                );
            }
            for kkt in [Announced::No, Announced::Yes, Announced::WithOtherFn] {
                for form in [FormCode::REGISTRATION, FormCode::REGISTRATION_CHANGE] {
                    let report = of_suspended_fn(registration(form, kkt));
                    check("a report opens no door", report, policy, stopped.clone());
                }
            }
            let late = deregistered(of_suspended_fn(receipt(valid())), -1);
            check("deregistered besides", late, policy, stopped.clone());
        }
        let unsigned = policy(OFF, unknown_fn);
        check("signs off", of_suspended_fn(receipt(DISABLED)), unsigned, stopped.clone());
        let marked = of_suspended_fn(receipt(MISMATCH));
        check("log-only", marked, policy(LOG_ONLY, unknown_fn), stopped.clone());
    }
}

#[test]
fn what_comes_before_the_standing_decides_for_a_stopped_contract_too() {
    let policy = policy(REQUIRED, UnknownFn::Hold);
    let of = |verdict| of_suspended_fn(receipt(verdict));
    check("module", of(UNAVAILABLE), policy, Decision::Silence(Refusal::ModuleUnavailable));
    check("forged", of(MISMATCH), policy, closed(Refusal::SignInvalid));
    let closed_body = encrypted(with(of(NO_KEY), Content::Unopened));
    check("cannot be opened", closed_body, policy, kept_open(Refusal::CannotOpen));
}

#[test]
fn the_register_of_a_contract_may_change_its_fn() {
    for unknown_fn in EVERY_POLICY {
        let policy = policy(REQUIRED, unknown_fn);
        for form in [FormCode::REGISTRATION, FormCode::REGISTRATION_CHANGE] {
            let report = registration(form, Announced::WithOtherFn);
            let marked = Admission { registers: RegisterFeed::Facts, fn_changed_mark: true, ..PLAIN };
            let let_in = Admission { makes_known: true, ..marked };
            check("unknown ФН", of_unknown_fn(report), policy, journal(let_in));
            check("an ФН that was made known before", report, policy, journal(marked));
            check(
                "with a finding",
                failed(of_unknown_fn(report)),
                policy,
                journal(Admission { code: OperatorCode::FORMAT_LOGIC, flk_mark: true, ..let_in }),
            );
            check(
                "a report that is not what its container says is not believed",
                judged(of_unknown_fn(report), Checks::NotItself),
                policy,
                journal(Admission {
                    code: OperatorCode::FORMAT_LOGIC,
                    flk_mark: true,
                    registers: RegisterFeed::Existence,
                    fn_changed_mark: false,
                    ..let_in
                }),
            );
        }
    }
    let receipt_of_it = of_unknown_fn(registration(FormCode::RECEIPT, Announced::WithOtherFn));
    check(
        "only a report tells of a change",
        receipt_of_it,
        policy(REQUIRED, UnknownFn::Hold),
        kept_open(Refusal::UnknownFnHeld),
    );
    check(
        "only a report tells of a change",
        receipt_of_it,
        policy(REQUIRED, UnknownFn::Reject),
        Decision::Silence(Refusal::UnknownFnRejected),
    );
    let known = registration(FormCode::RECEIPT, Announced::WithOtherFn);
    check("a receipt has no such mark", known, policy(REQUIRED, UnknownFn::Hold), journal(PLAIN));
}

#[test]
fn a_deregistered_register_is_served_and_what_is_newer_is_marked() {
    let hold = policy(REQUIRED, UnknownFn::Hold);
    let marked = Admission { after_deregistration_mark: true, ..PLAIN };
    check("older", deregistered(receipt(valid()), 1), hold, journal(PLAIN));
    check("of the same second", deregistered(receipt(valid()), 0), hold, journal(PLAIN));
    check("newer", deregistered(receipt(valid()), -1), hold, journal(marked));
    check(
        "newer, with a finding",
        failed(deregistered(receipt(valid()), -1)),
        hold,
        journal(Admission { code: OperatorCode::FORMAT_LOGIC, flk_mark: true, ..marked }),
    );
    let Content::Document(document) = receipt(valid()).content else { unreachable!() };
    let timeless = Content::Document(DocumentFacts { local_time: None, ..document });
    check("without a time", with(deregistered(receipt(valid()), -1), timeless), hold, journal(PLAIN));
    let unreadable = with(deregistered(receipt(valid()), -1), Content::Unreadable);
    check(
        "unreadable",
        unreadable,
        hold,
        journal(Admission {
            code: OperatorCode::UNRECOGNISED,
            forward: Forward::No,
            task: Some(TaskKind::Unreadable),
            ..PLAIN
        }),
    );
    check(
        "a report of a register that has changed its ФН and was deregistered with the one before",
        deregistered(registration(FormCode::REGISTRATION_CHANGE, Announced::WithOtherFn), -1),
        hold,
        journal(Admission { registers: RegisterFeed::Facts, fn_changed_mark: true, ..marked }),
    );
    check(
        "unknown to reception",
        deregistered(of_unknown_fn(receipt(valid())), -1),
        policy(REQUIRED, UnknownFn::Accept),
        journal(Admission { forward: Forward::WhenKnown, ..marked }),
    );
}
