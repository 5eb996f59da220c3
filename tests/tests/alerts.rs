//! The alert rules and the dashboard: every metric and every label they name is one that the daemon has, and `promtool`,
//! where there is one, agrees with their grammar and with what the rules say to made-up series.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fiscald_tests::daemon::Setup;
use fiscald_tests::promtool;
use fiscald_tests::wire::{KKT_SERIAL, Register, Storage};
use serde_json::Value;

/// What the names of our metrics begin with: the daemon and its store, the link with the tax service, registration.
const PREFIXES: [&str; 3] = ["fiscald_", "fns_", "registration_"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rules() -> String {
    std::fs::read_to_string(root().join("config/prometheus-alerts.yml")).unwrap()
}

fn dashboard() -> Value {
    let text = std::fs::read_to_string(root().join("config/grafana-dashboard.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// Every query of the dashboard, with the title of its panel.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let targets = panels(dashboard).iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    });
    targets.collect()
}

/// What the daemon shows once every metric has been used that appears with its first use only.
fn shown() -> String {
    // Nobody listens there: sending is tried and fails.
    let setup = Setup::new().with("fns.url", "http://127.0.0.1:9").with("fns.ofd_id", "7704211201");
    let mut daemon = setup.start();
    let storage = Storage::new("9999078900000017");
    let report = storage.send(1, &storage.registration(1, KKT_SERIAL));
    Register::connect(daemon.registers).exchange(&report);
    daemon.wait_for("an attempt to forward", |daemon| {
        let (_, shown) = daemon.admin("/metrics");
        shown.contains("fns_send_seconds_bucket").then_some(shown)
    })
}

/// Words of the text that begin as our metrics do.
fn metrics_named_in(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        .map(str::to_owned)
        .collect()
}

/// A condition on a label in a query: metric, label, value.
type Condition = (String, String, String);

/// The conditions of all selectors in a text, alternatives one by one. What Prometheus knows by itself (job, instance)
/// and values with more of a pattern than alternatives are left out.
fn conditions_in(text: &str) -> BTreeSet<Condition> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices('{') {
        let start = text[..at].rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let metric = &text[start.map_or(0, |start| start + 1)..at];
        let Some(end) = text[at..].find('}') else { continue };
        if metrics_named_in(metric).is_empty() {
            continue;
        }
        for condition in text[at + 1..at + end].split(',') {
            let Some((label, value)) = condition.split_once('=') else { continue };
            let label = label.trim().trim_end_matches('!');
            let values = value.trim_start_matches('~').trim().trim_matches('"');
            let plain =
                |value: &&str| value.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            if !matches!(label, "job" | "instance") {
                let of_metric = |value: &str| (metric.to_owned(), label.to_owned(), value.to_owned());
                found.extend(values.split('|').filter(plain).map(of_metric));
            }
        }
    }
    found
}

#[test]
fn conditions_are_found() {
    let text = r#"rate(fns_send_total{result!="accepted", instance=~"$instance"}[5m]) > fiscald_x{reason=~"a|b_1|c.*"}
        up{job="fiscald"} fiscald_y{} {{ $labels.which }}"#;
    let expected = [
        ("fiscald_x", "reason", "a"),
        ("fiscald_x", "reason", "b_1"),
        ("fns_send_total", "result", "accepted"),
    ];
    let expected = expected.map(|(metric, label, value)| (metric.into(), label.into(), value.into()));
    assert_eq!(conditions_in(text), BTreeSet::from(expected));
}

#[test]
fn every_metric_and_label_of_rules_and_dashboard_is_one_the_daemon_has() {
    let shown = shown();
    let (known, known_conditions) = (metrics_named_in(&shown), conditions_in(&shown));
    let dashboard: String = queries(&dashboard()).into_iter().map(|(_, query)| query + "\n").collect();
    for (what, text, least) in [("rules", rules(), 25), ("dashboard", dashboard, 40)] {
        let named = metrics_named_in(&text);
        assert!(named.len() >= least, "{what}: {named:?}");
        for prefix in PREFIXES {
            assert!(named.iter().any(|name| name.starts_with(prefix)), "{what}: nothing of {prefix}");
        }
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{what}: no such metrics: {unknown:?}");
        let conditions = conditions_in(&text);
        let unknown: Vec<_> = conditions.difference(&known_conditions).collect();
        assert!(unknown.is_empty(), "{what}: no such labels: {unknown:?}");
    }
}

#[test]
fn a_silence_that_only_a_person_can_end_is_watched() {
    let watched = conditions_in(&rules());
    let lasting = [
        "signer_unavailable",
        "module_unavailable",
        "unknown_generation",
        "store_refused",
        "store_damaged",
        "unknown_fn_held",
        "contract_stopped",
    ];
    for reason in lasting {
        let condition = ("fiscald_rejects_total".to_owned(), "reason".to_owned(), reason.to_owned());
        assert!(watched.contains(&condition), "{reason} is not watched");
    }
    assert!(rules().contains("fiscald_store_refused_total"));
}

#[test]
fn the_rules_have_their_shape() {
    let text = rules();
    let count = |what: &str| text.lines().filter(|line| line.trim_start().starts_with(what)).count();
    let alerts = count("- alert: ");
    assert!(alerts >= 30, "{alerts}");
    for what in ["expr: ", "labels: {severity: ", "summary: ", "description: "] {
        assert_eq!(count(what), alerts, "{what}");
    }
    assert!(!text.contains('\t'));
}

#[test]
fn promtool_takes_the_rules_and_their_tests() {
    let Some(promtool) = promtool::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prometheus-alerts.yml"), rules()).unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts");
    run(&promtool, folder.path(), &["check", "rules", "prometheus-alerts.yml"]);
    for name in ["rules.test.yml", "forwarding.test.yml", "ages.test.yml"] {
        std::fs::copy(tests.join(name), folder.path().join(name)).unwrap();
        run(&promtool, folder.path(), &["test", "rules", name]);
    }
}

/// Each query becomes a recording rule, with the variables of Grafana filled in as Grafana does.
#[test]
fn promtool_takes_the_queries_of_the_dashboard() {
    let Some(promtool) = promtool::find() else { return };
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, (title, query)) in queries(&dashboard()).into_iter().enumerate() {
        let query = query.replace("$__rate_interval", "5m").replace("$instance", ".*");
        assert!(!query.contains('$'), "{title}: an unknown variable: {query}");
        let query = serde_json::to_string(&query).unwrap();
        writeln!(rules, "      - {{record: 'query{number}', expr: {query}}}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dashboard.yml"), rules).unwrap();
    run(&promtool, folder.path(), &["check", "rules", "dashboard.yml"]);
}

fn run(promtool: &Path, folder: &Path, arguments: &[&str]) {
    let output = Command::new(promtool).args(arguments).current_dir(folder).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn the_dashboard_has_rows_and_panels_that_grafana_can_place() {
    let dashboard = dashboard();
    assert!(dashboard["title"].is_string() && dashboard["uid"].is_string());
    assert!(dashboard["schemaVersion"].as_u64() >= Some(36));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let kinds: Vec<_> = variables.iter().map(|variable| (&variable["name"], &variable["type"])).collect();
    assert_eq!(kinds[0], (&Value::from("datasource"), &Value::from("datasource")));

    let (mut ids, mut places, mut rows) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().filter(|title| !title.is_empty()).unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        let (left, top) = (place("x"), place("y"));
        assert!(left + place("w") <= 24 && place("w") > 0 && place("h") > 0, "{title}: off the grid");
        for x in left..left + place("w") {
            for y in top..top + place("h") {
                assert!(places.insert((x, y)), "{title}: lies over another at {x}, {y}");
            }
        }
        if panel["type"] == "row" {
            rows.push(title);
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}: numbers without a unit");
        let targets = panel["targets"].as_array().filter(|targets| !targets.is_empty()).unwrap();
        let names: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
        assert_eq!(names.len(), targets.len(), "{title}: two queries of one name");
        for target in targets {
            assert!(target["expr"].as_str().unwrap().contains("$instance"), "{title}: of all instances");
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
    assert_eq!(rows, ["Reception", "Store", "Forwarding to the tax service", "Registration"]);
}
