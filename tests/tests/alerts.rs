//! The alert rules: every metric they watch is one that the daemon has, and `promtool`, where there is one, agrees with
//! their grammar and with what they say to made-up series.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use fiscald_tests::daemon::Setup;
use fiscald_tests::wire::{Register, Storage};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rules() -> String {
    std::fs::read_to_string(root().join("config/prometheus-alerts.yml")).unwrap()
}

/// Words of the text that begin as our metrics do.
fn metrics_named_in(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("fiscald_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_of_the_rules_is_one_the_daemon_has() {
    let setup = Setup::new();
    let daemon = setup.start();
    // Some are there from their first use on.
    let storage = Storage::new("9999078900000017");
    Register::connect(daemon.registers).exchange(&storage.send(1, &storage.receipt(1, 100)));
    let (_, shown) = daemon.admin("/metrics");
    let known = metrics_named_in(&shown);
    let named = metrics_named_in(&rules());
    assert!(named.len() >= 10, "{named:?}");
    let unknown: Vec<&String> = named.iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "no such metrics: {unknown:?}");
}

/// Values that the text wants the label `reason` to have.
fn reasons_named_in(text: &str) -> BTreeSet<String> {
    text.split("{reason=")
        .skip(1)
        .filter_map(|rest| rest.trim_start_matches('~').strip_prefix('"')?.split('"').next())
        .flat_map(|reasons| reasons.split('|'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_silence_that_only_a_person_can_end_is_watched() {
    let setup = Setup::new();
    let (_, shown) = setup.start().admin("/metrics");
    let (known, watched) = (reasons_named_in(&shown), reasons_named_in(&rules()));
    assert!(watched.is_subset(&known), "no such reasons: {:?}", watched.difference(&known));
    let lasting =
        ["signer_unavailable", "module_unavailable", "unknown_generation", "store_refused", "store_damaged"];
    for reason in lasting {
        assert!(watched.contains(reason), "{reason} is not watched");
    }
    assert!(rules().contains("fiscald_store_refused_total"));
}

#[test]
fn promtool_takes_the_rules_and_their_tests() {
    let promtool = std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    if Command::new(&promtool).arg("--version").output().is_err() {
        eprintln!("promtool is not here: only the names in the rules and their shape are checked");
        let text = rules();
        let count = |what: &str| text.lines().filter(|line| line.trim_start().starts_with(what)).count();
        let alerts = count("- alert: ");
        assert!(alerts > 0);
        for what in ["expr: ", "labels: {severity: ", "summary: ", "description: "] {
            assert_eq!(count(what), alerts, "{what}");
        }
        assert!(!text.contains('\t'));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prometheus-alerts.yml"), rules()).unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts/rules.test.yml");
    std::fs::copy(tests, folder.path().join("rules.test.yml")).unwrap();
    for arguments in [["check", "rules", "prometheus-alerts.yml"], ["test", "rules", "rules.test.yml"]] {
        let output = Command::new(&promtool).args(arguments).current_dir(folder.path()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    }
}
