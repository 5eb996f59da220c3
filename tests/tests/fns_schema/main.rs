//! The JSON of documents field by field: every body that the daemon sends for simulated registers of every form and
//! version, held against the table `proto-fixtures/fns-json/fields.csv` and against the bytes in `rawData`.
//!
//! Nothing here uses the crate that writes the JSON: the table is a reading of its own of the tax-service notes, the
//! records are walked by a dozen lines of their own, and numbers stay text.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

mod body;
mod envelope;
mod json;
mod records;
mod run;
mod table;
mod values;

use std::collections::BTreeSet;

use run::Outcome;
use table::{Names, Table};

/// Forms that go to the tax service, by their names in its JSON.
const KINDS: [(u16, &str); 10] = [
    (1, "fiscalReport"),
    (11, "fiscalReportCorrection"),
    (2, "openShift"),
    (21, "currentStateReport"),
    (3, "receipt"),
    (31, "receiptCorrection"),
    (4, "bso"),
    (41, "bsoCorrection"),
    (5, "closeShift"),
    (6, "closeArchive"),
];

/// Versions of the ФФД that simulated registers have.
const VERSIONS: [&str; 3] = ["1.05", "1.1", "1.2"];

/// When the registers of each version live: before and after the VAT rates of 2026, which have other tags.
const LIVES: [(&str, &str); 3] = [
    ("1.05", "2025-11-03T09:00:00+03:00"),
    ("1.1", "2026-03-02T09:00:00+03:00"),
    ("1.2", "2026-03-02T09:00:00+03:00"),
];

/// Fields of the table that no simulated register makes: what its trades do not need, and events that do not happen to
/// them. A field that leaves or enters this list is a change of the simulator, or a field that gets lost on the way.
const NEVER: &str = "
    bso: allECashProp amountsReceiptNds checkingLabeledProdResult industryReceiptDetails internetPayment
    bso: internetSign machineNumber nds0 nds10 nds10110 nds18 nds18118 operationalDetails paymentAgentOperation
    bso: paymentAgentPhone paymentAgentType paymentOperatorPhone properties propertiesData providerPhone
    bso: transferOperatorAddress transferOperatorInn transferOperatorName transferOperatorPhone
    bsoCorrection: allECashProp amountsReceiptNds buyer buyerInformation buyerInn buyerPhoneOrAddress
    bsoCorrection: checkingLabeledProdResult industryReceiptDetails internetPayment internetSign machineNumber
    bsoCorrection: nds0 nds10 nds10110 nds18 nds18118 operationalDetails paymentAgentOperation paymentAgentPhone
    bsoCorrection: paymentAgentType paymentOperatorPhone properties propertiesData providerPhone sellerAddress
    bsoCorrection: transferOperatorAddress transferOperatorInn transferOperatorName transferOperatorPhone
    closeArchive: additionalDataCA additionalPropsCA
    closeShift: additionalDataCS additionalPropsCS fiscalDriveMemoryExceededSign invalidLabelCodesSign
    closeShift: invalidRequestsNotificationsSign ofdResponseTimeoutSign operatorMessage retailPlace
    closeShift: retailPlaceAddress user
    currentStateReport: additionalDataCSR additionalPropsCSR offlineMode operator operatorInn retailPlace
    currentStateReport: retailPlaceAddress user
    fiscalReport: additionalDataFRC additionalPropsFRC operatorInn
    fiscalReportCorrection: additionalDataFRC additionalPropsFRC operatorInn
    fraction: fractionalPart
    item: controlCode propertiesItem unitNds
    openShift: additionalDataOS additionalPropsOS fiscalDriveMemoryExceededSign ofdResponseTimeoutSign
    openShift: operatorMessage retailPlace retailPlaceAddress user
    operational: dateTime operationData operationId
    productCodeNew: ean13 ean8 egais2 egais3 f1 f2 f3 f4 f5 f6 gs1 itf14 kmk mi undefined
    receipt: operationalDetails propertiesData
    receiptCorrection: allECashProp buyer buyerInformation buyerInn buyerPhoneOrAddress checkingLabeledProdResult
    receiptCorrection: industryReceiptDetails internetPayment internetSign nds0 nds10110 nds18118
    receiptCorrection: operationalDetails paymentAgentOperation paymentAgentPhone paymentAgentType
    receiptCorrection: paymentOperatorPhone properties propertiesData providerPhone sellerAddress
    receiptCorrection: transferOperatorAddress transferOperatorInn transferOperatorName transferOperatorPhone
";

/// Tags in documents of simulated registers that have no name in the JSON: the table knows them neither.
const UNNAMED: &str = "";

#[test]
fn every_form_and_version_is_as_the_tables_say() {
    let table = Table::read();
    let mut outcome = Outcome::default();
    for (version, clock) in LIVES {
        let lives = ["--registers", "9", "--receipts", "10", "--days", "9", "--base", "770000"];
        let when = ["--ffd", version, "--clock", clock];
        run::live(&table, Names::Modern, &[lives.as_slice(), when.as_slice()].concat(), &mut outcome);
    }
    assert_eq!(outcome.faults, BTreeSet::new());
    let expected: BTreeSet<_> =
        KINDS.iter().flat_map(|(_, kind)| VERSIONS.map(|version| (*kind, version))).collect();
    let missing: Vec<_> =
        expected.iter().filter(|(kind, version)| !outcome.has_document(kind, version)).collect();
    assert!(missing.is_empty(), "no register made {missing:?}");
    let never: BTreeSet<String> = table.fields().filter(|field| !outcome.fields.contains(field)).collect();
    assert_eq!(never, listed(NEVER), "fields that were not in any document");
    assert_eq!(outcome.unnamed, listed(UNNAMED), "tags without a name");
}

#[test]
fn names_of_2017_are_for_documents_of_their_time() {
    let table = Table::read();
    let mut outcome = Outcome::default();
    let lives = ["--registers", "9", "--receipts", "6", "--days", "9", "--base", "880000"];
    let when = ["--ffd", "1.05,1.1,1.2,1.1,1.05", "--clock", "2025-11-03T09:00:00+03:00"];
    run::live(&table, Names::Legacy, &[lives.as_slice(), when.as_slice()].concat(), &mut outcome);
    assert_eq!(outcome.faults, BTreeSet::new());
    for version in VERSIONS {
        assert!(outcome.has_document("receipt", version), "{version}");
    }
    let never = listed(NEVER);
    let missing: Vec<String> = table
        .legacy_fields()
        .filter(|field| !outcome.fields.contains(field) && !never.contains(field))
        .collect();
    assert_eq!(missing, [""; 0], "old names that were not in any document");
}

/// Lines of `object: name name` as `object.name`.
fn listed(list: &str) -> BTreeSet<String> {
    let lines = list.lines().filter_map(|line| line.split_once(':'));
    lines
        .flat_map(|(object, names)| {
            let name = move |name: &str| format!("{}.{name}", object.trim());
            names.split_whitespace().map(name)
        })
        .collect()
}
