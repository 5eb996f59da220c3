use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use ffd::check::{Claimed, Finding, RegisterState, Severities, Severity, Surroundings, check, rules};
use ffd::{Document, FfdVersion, FnNumber, FormCode, text};

use super::*;
use crate::keys::SimKeys;
use crate::kkt::{Character, Kkt, KktSettings, OperatorCard, Pace, Variety};
use crate::life::{Life, LifeSettings};
use crate::storage::{Outgoing, Reread};
use crate::trade::Trade;

const VERSIONS: [FfdVersion; 3] = [FfdVersion::V1_05, FfdVersion::V1_1, FfdVersion::V1_2];
/// 2026-09-21.
const BEGINS: u32 = 1_790_000_000;
const DAYS: u32 = 8;
/// When the operator gets everything: after the life.
const RECEIVED: u32 = BEGINS + (DAYS + 1) * 86_400;

fn settings(index: usize, faults: &Faults) -> LifeSettings {
    let number = u64::try_from(index).unwrap();
    LifeSettings {
        number: 800_000 + number,
        genuine: faults.need_genuine_storages(),
        stride: 1_000_000,
        ffd: VERSIONS[index % VERSIONS.len()],
        // All pairs of version and trade come round.
        trade: Trade::ALL[(index / VERSIONS.len() + index) % Trade::ALL.len()],
        zone_h: u8::try_from(2 + index % 11).unwrap(),
        days: DAYS,
        receipts: 4,
        offline_days: [0, 0, 3, 0, 40][index % 5],
        clock_error_s: 0,
        begins: BEGINS,
        encrypted: index.is_multiple_of(4),
        reread: Reread::SameBytes,
        seed: 2_000 + number,
        operator: OperatorCard::default(),
        tamper: Some(Arc::new(faults.clone())),
    }
}

/// Judges documents of one ФН as the operator does, remembering what went before.
#[derive(Default)]
struct Judge {
    state: RegisterState,
}

impl Judge {
    fn findings(&mut self, number: FnNumber, sent: &Outgoing) -> Vec<Finding> {
        let document = Document::decode(&sent.document).unwrap();
        let around = Surroundings {
            claimed: Some(Claimed {
                fn_number: number,
                fd_number: sent.fd_number,
                form: FormCode(sent.form),
            }),
            received_at: RECEIVED,
            operator_inn: Some(OperatorCard::default().inn),
            register: Some(&self.state),
        };
        let findings = check(&document, &around, &Severities::default());
        // What is not what its container says is not remembered.
        if !findings.iter().any(|finding| finding.rule.starts_with("identity.")) {
            self.state.apply(&document);
        }
        findings
    }
}

/// What a life brought about.
#[derive(Default)]
struct Lived {
    documents: usize,
    /// Faults and echoes that came, by rule.
    faults: BTreeMap<&'static str, usize>,
    echoes: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

/// Lives a life and holds what the operator says against what was done to each document.
fn live(settings: &LifeSettings, lived: &mut Lived) {
    let keys = SimKeys::published();
    let mut life = Life::new(settings.clone(), &keys).unwrap();
    let mut judges: BTreeMap<FnNumber, Judge> = BTreeMap::new();
    while let Some(scene) = life.next_scene() {
        life.perform(scene.act, &keys).unwrap();
        let number = life.kkt().storage().number();
        let judge = judges.entry(number).or_default();
        while scene.online
            && let Some(sent) = life.kkt_mut().storage_mut().take_front()
        {
            let findings = judge.findings(number, &sent);
            compare(settings, &sent, &findings, lived);
        }
    }
}

fn compare(settings: &LifeSettings, sent: &Outgoing, findings: &[Finding], lived: &mut Lived) {
    lived.documents += 1;
    if let Some(rule) = sent.fault {
        *lived.faults.entry(rule).or_default() += 1;
    }
    for rule in &sent.echoes {
        *lived.echoes.entry(rule).or_default() += 1;
    }
    let rules = sent.fault.into_iter().chain(sent.echoes.iter().copied());
    let mut expected: Vec<_> = rules.map(|rule| (rule, ffd::check::rule(rule).unwrap().severity)).collect();
    expected.sort_unstable();
    let mut found: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.severity)).collect();
    found.sort_unstable();
    if found == expected {
        return;
    }
    let LifeSettings { ffd, trade, number, .. } = settings;
    let mut report = format!("{ffd} {trade:?} {number}, form {}: expected {expected:?}\n", sent.form);
    for Finding { rule, path, text_ru, .. } in findings {
        writeln!(report, "  {rule} {path:?}: {text_ru}").unwrap();
    }
    text::write_tree(&Document::decode(&sent.document).unwrap(), &mut report, 0).unwrap();
    lived.wrong.push(report);
}

fn assert_right(lived: &Lived) {
    assert!(
        lived.wrong.is_empty(),
        "{} wrong\n{}",
        lived.wrong.len(),
        lived.wrong[..lived.wrong.len().min(5)].join("\n")
    );
}

#[test]
fn every_rule_has_its_fault_and_every_fault_its_rule() {
    let faults: Vec<_> = all().iter().map(|fault| fault.rule).collect();
    let rules: Vec<_> = rules().iter().map(|rule| rule.name).collect();
    assert_eq!(faults, rules);
    let listed = list();
    let names: Vec<_> = listed.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, rules);
    assert!(listed.contains("time.order at the next document"), "{listed}");
    for fault in all() {
        let line = listed.lines().find(|line| line.starts_with(&format!("{} ", fault.rule))).unwrap();
        let weight = if fault.severity() == Severity::Hard { " hard " } else { " soft " };
        assert!(line.contains(weight), "{line}");
    }
}

/// Lives of a run: so many, or as many as `FAULT_LIVES` says for a long one.
fn lives(usual: usize) -> usize {
    std::env::var("FAULT_LIVES").map_or(usual, |lives| lives.parse().unwrap())
}

/// The one fault of a document that no life sends to the operator.
const OF_MARKING: &str = "notification.zone";

#[test]
fn each_fault_once_is_found_where_it_is_and_nothing_else_in_the_whole_life() {
    let lives = lives(VERSIONS.len());
    let mut lived = Lived::default();
    let mut never = Vec::new();
    for (turn, fault) in all().into_iter().enumerate().filter(|(_, fault)| fault.rule != OF_MARKING) {
        let faults = Faults::read(&format!("{}:once", fault.rule)).unwrap();
        let mut of_fault = Lived::default();
        // Some wait long for a document that fits: a closing of the ФН, an item of a rate.
        for index in 0..60 {
            if index >= lives && of_fault.faults.contains_key(fault.rule) {
                break;
            }
            live(&settings(turn + index, &faults.clone().at(RECEIVED)), &mut of_fault);
        }
        if !of_fault.faults.contains_key(fault.rule) {
            never.push(fault.rule);
        }
        let made: BTreeSet<_> = of_fault.faults.keys().copied().collect();
        assert!(made.iter().all(|rule| *rule == fault.rule), "{made:?} for {}", fault.rule);
        lived.documents += of_fault.documents;
        lived.wrong.extend(of_fault.wrong.into_iter().map(|wrong| format!("{}: {wrong}", fault.rule)));
    }
    assert_right(&lived);
    assert!(never.is_empty(), "never made: {never:?}");
}

#[test]
fn the_notification_of_the_marking_exchange_is_spoiled_too() {
    let faults = Faults::read(&format!("{OF_MARKING}:once")).unwrap();
    let settings = KktSettings {
        fn_number: crate::fleet::debug_fn(1).unwrap(),
        ffd: FfdVersion::V1_2,
        encrypted: false,
        reread: Reread::SameBytes,
        seed: 5,
        clock: BEGINS,
        pace: Pace::new(30, 60),
        operator: OperatorCard::default(),
    };
    let character = Character {
        trade: Some(Trade::Pharmacy),
        variety: Variety::Whole,
        keeps_marking: true,
        tamper: Some(Arc::new(faults.at(RECEIVED))),
        ..Character::default()
    };
    let mut kkt = Kkt::with_character(&settings, character, &SimKeys::published()).unwrap();
    kkt.register().unwrap();
    kkt.open_shift().unwrap();
    for _ in 0..12 {
        kkt.sell(3).unwrap();
    }
    let mut rules = Vec::new();
    for message in kkt.marking_messages() {
        let around =
            Surroundings { claimed: None, received_at: RECEIVED, operator_inn: None, register: None };
        let document = Document::decode(&message.document).unwrap();
        let findings = check(&document, &around, &Severities::default());
        rules.extend(findings.iter().map(|finding| (message.form, finding.rule)));
    }
    assert_eq!(rules, [(FormCode(82), OF_MARKING)]);
}

/// Lives full of faults, one in three documents: each is found, echoes come as foretold, honest documents are clean.
#[test]
fn lives_full_of_faults_say_what_was_done_to_them() {
    let lives = lives(27);
    let faults: Faults = "all:35".parse().unwrap();
    let mut lived = Lived::default();
    for index in 0..lives {
        live(&settings(10_000 + index, &faults.clone().at(RECEIVED)), &mut lived);
    }
    assert_right(&lived);
    assert!(lived.faults.len() > 50, "{:?}", lived.faults);
    assert!(lived.echoes.len() >= 4, "{:?}", lived.echoes);
}

#[test]
fn faults_do_not_change_the_life_around_them() {
    let documents = |faults: &str| {
        let faults = Faults::read(faults).unwrap();
        let mut life = Life::new(settings(3, &faults.at(RECEIVED)), &SimKeys::published()).unwrap();
        let mut all = Vec::new();
        while let Some(scene) = life.next_scene() {
            life.perform(scene.act, &SimKeys::published()).unwrap();
            all.extend(std::iter::from_fn(|| life.kkt_mut().storage_mut().take_front()));
        }
        all
    };
    let honest = documents("notification.zone");
    let spoiled = documents("vat.totals:50,registration.place:50");
    assert_eq!(honest, documents("notification.zone"));
    assert!(spoiled.iter().any(|sent| sent.fault.is_some()));
    for (one, other) in honest.iter().zip(&spoiled).filter(|(_, other)| other.fault.is_none()) {
        assert_eq!(one.document, other.document);
    }
}
