//! Simulated registers, the daemon and the tax service, all of them real programs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use fiscald_tests::daemon::{Setup, program};
use fiscald_tests::tax::Tax;

use crate::envelope;
use crate::table::{Names, Table};

/// What was in the documents.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Kind and version of the ФФД.
    pub(crate) documents: BTreeSet<(String, String)>,
    /// Fields of the table as `object.name`.
    pub(crate) fields: BTreeSet<String>,
    /// What is against the table.
    pub(crate) faults: BTreeSet<String>,
    /// Tags without a name as `object.tag`.
    pub(crate) unnamed: BTreeSet<String>,
}

impl Outcome {
    pub(crate) fn has_document(&self, kind: &str, version: &str) -> bool {
        self.documents.contains(&(kind.to_owned(), version.to_owned()))
    }
}

/// Lets registers live, waits until the tax service has every document of the journal, and checks each.
pub(crate) fn live(table: &Table, names: Names, lives: &[&str], outcome: &mut Outcome) {
    let tax = Tax::start_with(&["--keep-bodies"]);
    let names_set = if names == Names::Legacy { "legacy" } else { "modern" };
    // Registers that come from another operator have no report here.
    let setup = tax
        .serve(Setup::new())
        .with("fns.forward_unknown", "true")
        .with("fns.names", names_set)
        .with("fns.timeout_s", "20")
        .with("fns.lease_s", "40");
    let daemon = setup.start();
    let registers = Command::new(program("kkt-sim"))
        .args(["live", "--seed", "5", "--to", &daemon.registers.to_string()])
        .args(lives)
        .output()
        .unwrap();
    assert!(registers.status.success(), "{lives:?}: {}", String::from_utf8_lossy(&registers.stderr));
    let journal: BTreeMap<String, Value> = setup
        .export()
        .into_iter()
        .map(|row| (format!("{}-{}", row["fn"].as_str().unwrap(), row["fd"]), row))
        .collect();
    let mut arrived = 0;
    while arrived < journal.len() {
        let page = tax
            .wait_for(&format!("document behind the first {arrived} of {}", journal.len()), |tax| {
                Some(page(tax, arrived)).filter(|page| !page.is_empty())
            });
        arrived += page.len();
    }
    for (key, row) in &journal {
        let kept = tax.ask("GET", &format!("/sim/documents/{key}"), &Value::Null);
        envelope::check(table, names, kept["item"].as_str().unwrap(), row, outcome);
    }
    assert!(daemon.stop().success());
}

/// Documents of the tax service behind the first `after`, in the order of their coming; up to a thousand.
fn page(tax: &Tax, after: usize) -> Vec<Value> {
    let answer = tax.ask("GET", &format!("/sim/documents?after={after}"), &Value::Null);
    answer["documents"].as_array().unwrap_or_else(|| panic!("no documents: {answer}")).clone()
}
