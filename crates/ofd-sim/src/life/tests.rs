use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ffd::check::{Claimed, RegisterState, Severities, Surroundings, check};
use ffd::{Document, FormCode, text};

use super::*;
use crate::storage::Outgoing;

fn settings(index: u64) -> LifeSettings {
    LifeSettings {
        number: 700_000 + index,
        genuine: false,
        stride: 1_000,
        ffd: FfdVersion::V1_2,
        trade: Trade::Grocery,
        zone_h: 3,
        days: 30,
        receipts: 4,
        offline_days: 0,
        clock_error_s: 0,
        begins: 1_790_000_000,
        encrypted: false,
        reread: Reread::SameBytes,
        seed: 1_000 + index,
        operator: OperatorCard::default(),
        tamper: None,
    }
}

/// What became of a life.
#[derive(Default)]
struct Lived {
    documents: u64,
    forms: BTreeMap<u16, u32>,
    /// Tags at any depth, by version of the format.
    tags: BTreeSet<(&'static str, u16)>,
    storages: BTreeSet<FnNumber>,
    /// Values of 1054 in receipts, by version of the format.
    settlements: BTreeSet<(&'static str, u64)>,
}

/// The operator's memory of one ФН, and what it says about each document.
struct Judge {
    state: RegisterState,
    operator: OperatorCard,
    severities: Severities,
}

impl Judge {
    fn findings(&mut self, number: FnNumber, sent: &Outgoing, received_at: u32) -> Option<String> {
        let document = Document::decode(&sent.document).unwrap();
        let claimed = Claimed { fn_number: number, fd_number: sent.fd_number, form: FormCode(sent.form) };
        let around = Surroundings {
            claimed: Some(claimed),
            received_at,
            operator_inn: Some(self.operator.inn),
            register: Some(&self.state),
        };
        let findings = check(&document, &around, &self.severities);
        self.state.apply(&document);
        if findings.is_empty() {
            return None;
        }
        let mut out = String::new();
        for finding in findings {
            writeln!(out, "{} {:?} {:?}: {}", finding.rule, finding.severity, finding.path, finding.text_ru)
                .unwrap();
        }
        text::write_tree(&document, &mut out, 0).unwrap();
        Some(out)
    }
}

/// Plays a life in memory: what is online is acknowledged at once. Panics with the document at a finding.
fn live(settings: &LifeSettings, lived: &mut Lived) {
    let keys = SimKeys::published();
    let mut life = Life::new(settings.clone(), &keys).unwrap();
    let expected = life.plan.documents();
    let mut judges: BTreeMap<FnNumber, Judge> = BTreeMap::new();
    let before = lived.documents;
    while let Some(scene) = life.next_scene() {
        life.perform(scene.act, &keys).unwrap();
        let (number, received_at) = (life.kkt().storage().number(), life.utc() + 2);
        let judge = judges.entry(number).or_insert_with(|| Judge {
            state: RegisterState::default(),
            operator: settings.operator.clone(),
            severities: Severities::default(),
        });
        while scene.online
            && let Some(sent) = life.kkt_mut().storage_mut().take_front()
        {
            if let Some(findings) = judge.findings(number, &sent, received_at) {
                panic!("{settings:?}\n{:?}\n{findings}", scene.act);
            }
            lived.documents += 1;
            *lived.forms.entry(sent.form).or_default() += 1;
            let document = Document::decode(&sent.document).unwrap();
            if let Some(code) = document.unsigned(1054).filter(|_| !matches!(sent.form, 31 | 41)) {
                lived.settlements.insert((document.version().as_str(), code));
            }
            collect(document.version().as_str(), document.nodes(), &mut lived.tags);
        }
        lived.storages.insert(number);
    }
    assert_eq!(life.kkt().storage().waiting(), 0, "everything goes out in the end");
    assert_eq!(lived.documents - before, expected, "{settings:?}");
}

fn collect(version: &'static str, nodes: ffd::Nodes<'_>, tags: &mut BTreeSet<(&'static str, u16)>) {
    for node in nodes {
        tags.insert((version, node.tag));
        collect(version, node.children(), tags);
    }
}

const VERSIONS: [FfdVersion; 3] = [FfdVersion::V1_05, FfdVersion::V1_1, FfdVersion::V1_2];
/// 2024-06-12, 2024-12-16 (rates of 2025 begin), 2025-08-20 (internet sign begins), 2025-12-15 (22 % begins), 2026-09-21.
const BEGINNINGS: [u32; 5] = [1_718_150_000, 1_734_300_000, 1_755_650_000, 1_765_750_000, 1_790_000_000];

#[test]
fn a_month_of_a_fleet_has_no_finding() {
    let mut lived = Lived::default();
    let mut index = 0;
    for round in 0..2 {
        for (ffd, trade) in VERSIONS.into_iter().flat_map(|ffd| Trade::ALL.map(|trade| (ffd, trade))) {
            let turn = usize::try_from(index).unwrap();
            let one = LifeSettings {
                ffd,
                trade,
                zone_h: u8::try_from(2 + index % 11).unwrap(),
                begins: BEGINNINGS[(turn + round) % BEGINNINGS.len()],
                offline_days: [0, 0, 3, 0, 29, 0, 40][turn % 7],
                encrypted: index % 4 == 0,
                ..settings(index)
            };
            live(&one, &mut lived);
            index += 1;
        }
    }
    let forms: Vec<u16> = lived.forms.keys().copied().collect();
    assert_eq!(forms, [1, 2, 3, 4, 5, 6, 11, 21, 31, 41], "{:?}", lived.forms);
    assert!(lived.storages.len() > usize::try_from(index).unwrap(), "some registers got a new ФН");
    let settlements: Vec<_> =
        VERSIONS.iter().flat_map(|ffd| (1..=4).map(|code| (ffd.as_str(), code))).collect();
    assert_eq!(lived.settlements.iter().copied().collect::<Vec<_>>(), settlements);
    everything_was_there(&lived);
}

/// What the format knows and a month of all trades must show.
fn everything_was_there(lived: &Lived) {
    let since = |versions: &[&'static str], tags: &[u16]| {
        for version in versions {
            for tag in tags {
                assert!(lived.tags.contains(&(*version, *tag)), "FFD {version} never had {tag}");
            }
        }
    };
    let all = ["1.05", "1.1", "1.2"];
    since(&all, &[1102, 1103, 1104, 1105, 1106, 1107, 1115, 1119, 1120, 1125, 1234, 1235]);
    since(&all, &[1008, 1117, 1203, 1036, 1226, 1224, 1222, 1229, 1230, 1231, 1084, 1227, 1228]);
    since(&all, &[1173, 1174, 1178, 1179, 1050, 1051, 1052, 1053, 1116, 1097, 1098]);
    since(&["1.05", "1.1"], &[1057, 1073, 1074, 1075, 1044, 1026, 1005, 1016, 1162, 1197, 1108]);
    since(&["1.05"], &[1101, 1177]);
    since(&["1.1", "1.2"], &[1205, 1157, 1158, 1194, 1213, 1190, 1133, 1145, 1146, 1232, 1233]);
    since(&["1.1"], &[1207, 1193, 1126]);
    since(&["1.2"], &[1290, 1256, 1163, 1305, 2106, 2107, 2108, 2102, 1291, 1260, 1261, 1223, 2104, 1246]);
}

#[test]
fn the_judge_sees_what_is_wrong() {
    let keys = SimKeys::published();
    let mut life = Life::new(LifeSettings { days: 1, ..settings(9) }, &keys).unwrap();
    let mut judge = Judge {
        state: RegisterState::default(),
        operator: OperatorCard { inn: "7704358518".parse().unwrap(), ..OperatorCard::default() },
        severities: Severities::default(),
    };
    life.next_scene().unwrap();
    life.perform(Act::Register, &keys).unwrap();
    let report = life.kkt().storage().front().unwrap().clone();
    let number = life.kkt().storage().number();
    let findings = judge.findings(number, &report, life.utc()).unwrap();
    assert!(findings.starts_with("registration.operator"), "{findings}");
    // Two days and a half before it was made: in the future, whatever the zone.
    let findings = judge.findings(number, &report, life.utc() - 216_000).unwrap();
    assert!(findings.contains("time.future"), "{findings}");
}

#[test]
fn wrong_clocks_within_the_tolerance_are_not_found() {
    let mut lived = Lived::default();
    for (index, clock_error_s) in [(0, 240), (1, -7_200)] {
        for zone_h in [2, 12] {
            live(&LifeSettings { clock_error_s, zone_h, days: 3, ..settings(index) }, &mut lived);
        }
    }
}

#[test]
fn a_wrong_clock_is_seen_in_the_documents() {
    let till = |clock_error_s, zone_h| {
        let keys = SimKeys::published();
        let mut life =
            Life::new(LifeSettings { clock_error_s, zone_h, days: 1, ..settings(1) }, &keys).unwrap();
        life.next_scene().unwrap();
        life.perform(Act::Register, &keys).unwrap();
        let report = life.kkt().storage().front().unwrap().document.clone();
        i64::from(Document::decode(&report).unwrap().time(1012).unwrap().get())
            - i64::from(settings(1).begins)
    };
    assert_eq!((till(0, 3), till(0, 2), till(0, 12)), (0, -3_600, 9 * 3_600));
    assert_eq!(till(-86_400, 3), -86_400);
}

#[test]
fn a_life_without_an_operator_sends_everything_at_the_end() {
    let keys = SimKeys::published();
    let mut life = Life::new(LifeSettings { days: 4, offline_days: 9, ..settings(3) }, &keys).unwrap();
    let mut silent = 0;
    let mut online = Vec::new();
    while let Some(scene) = life.next_scene() {
        life.perform(scene.act, &keys).unwrap();
        online.push(scene.online);
        let last = life.kkt().storage().queue().last().unwrap();
        silent += u32::from(Document::decode(&last.document).unwrap().node(1053).is_some());
    }
    assert_eq!(online.iter().filter(|online| **online).count(), 1);
    assert_eq!(online.last(), Some(&true));
    assert_eq!(u64::try_from(life.kkt().storage().waiting()).unwrap(), life.plan.documents());
    assert!(silent >= 3, "shift reports after two days name the silence: {silent}");
}

#[test]
fn the_same_settings_live_the_same_life() {
    let documents = |seed| {
        let keys = SimKeys::published();
        let mut life = Life::new(LifeSettings { days: 6, seed, ..settings(5) }, &keys).unwrap();
        let mut all = Vec::new();
        while let Some(scene) = life.next_scene() {
            life.perform(scene.act, &keys).unwrap();
            while let Some(made) = life.kkt_mut().storage_mut().take_front() {
                all.push(made.container);
            }
        }
        all
    };
    assert_eq!(documents(3), documents(3));
    assert_ne!(documents(3), documents(4));
}
