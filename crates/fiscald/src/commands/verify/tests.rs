use std::path::Path;

use ffd::document::Document;
use kkt_proto::ack::Acknowledgement;
use kkt_proto::container::Container;
use ofd_store::{Derived, DocumentRow, DocumentSummary, FindingSeverity, Forward, StoredFinding};
use sha2::{Digest, Sha256};

use super::*;

fn capture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/captures");
    std::fs::read(folder.join(format!("{name}.bin"))).unwrap()
}

/// A genuine report and what a real operator answered it with, as the journal would hold them.
fn genuine() -> DocumentRow {
    let container = capture("msg_reg11_ffd12_9999078902013267_fd1").split_off(30);
    let acknowledgement = capture("container_ack7_taxcom_flk14_9999078902013267_fd1");
    let taken = Container::decode(&container).unwrap();
    let ack = Acknowledgement::decode(Container::decode(&acknowledgement).unwrap().data).unwrap();
    let finding = StoredFinding {
        path: vec![1048],
        rule: "structure.mandatory".to_owned(),
        severity: FindingSeverity::Hard,
        text: "нет обязательного реквизита".to_owned(),
    };
    let summary = DocumentSummary {
        seq: 5,
        fn_number: taken.header.fn_number,
        fd_number: taken.header.fd_number,
        chain: 0,
        conflict_no: 0,
        form: 11,
        received_at: jiff::Timestamp::new(ack.datetime.into(), 250_000_000).unwrap(),
        peer: None,
        code: ack.code.0,
        verdict: "foreign_scheme".to_owned(),
        sign_scheme: None,
        sign_generation: None,
        forward: Forward::Yes,
        flk_mark: true,
        sign_mark: true,
        fn_changed_mark: false,
        after_deregistration_mark: false,
        identity: Sha256::digest(taken.data).into(),
        derived: ofd_ingest::derived::derived(&Document::decode(taken.data).unwrap()),
        findings: vec![finding],
    };
    DocumentRow { summary, container, opened: None, acknowledgement }
}

/// What is said about a row after a change to it; each sentence must be expected.
fn check(change: impl FnOnce(&mut DocumentRow), expected: &[&str]) {
    let mut row = genuine();
    change(&mut row);
    let said: Vec<String> = examine(&row).iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), expected.len(), "{said:?} {expected:?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{said} lacks {expected:?}");
    }
}

#[test]
fn a_genuine_row_is_right() {
    check(|_| {}, &[]);
}

#[test]
fn damaged_documents_are_found() {
    check(|row| row.container[100] ^= 1, &["container is damaged", "not the one that was received"]);
    check(|row| row.container.truncate(60), &["container is damaged", "SHA-256"]);
    check(|row| row.container.clear(), &["container is damaged", "SHA-256"]);
    check(|row| row.summary.identity[31] ^= 1, &["not the one that was received"]);
    check(|row| row.opened = Some(Vec::new()), &["beside an open container", "SHA-256"]);
    check(
        |row| row.summary.fd_number = "2".parse().unwrap(),
        &[
            "the container is of ФН 9999078902013267 ФД 1",
            "the acknowledgement is for ФН 9999078902013267 ФД 1",
            "document 7",
        ],
    );
}

#[test]
fn columns_are_compared_one_by_one() {
    let advice = "columns differ from the document: rnm; run `fiscald reindex`";
    check(|row| row.summary.derived.rnm = None, &[advice]);
    check(|row| row.summary.derived.rnm = Some("1".to_owned()), &[advice]);
    check(
        |row| row.summary.derived = Derived::default(),
        &["ffd_version, local_time, rnm, user_inn, kkt_serial, fiscal_sign;"],
    );
    check(|row| row.summary.derived.total_kopecks = Some(1), &["total_kopecks"]);
    check(|row| row.summary.form = 1, &["form 1 is stored, the document is of form 11"]);
}

#[test]
fn decisions_that_cannot_be_are_found() {
    check(|row| row.summary.flk_mark = false, &["mark do not agree"]);
    check(
        |row| (row.summary.code, row.summary.flk_mark) = (0, false),
        &["code 0 beside a hard finding", "document 7 says code 14, stored is 0"],
    );
    check(|row| row.summary.code = 3, &["code 3 is none", "document 7 says code 14"]);
    check(|row| row.summary.forward = Forward::No, &["would never be forwarded"]);
    check(|row| row.summary.forward = Forward::WhenKnown, &[]);
    check(|row| row.summary.conflict_no = 1, &["would be forwarded"]);
    check(|row| (row.summary.conflict_no, row.summary.forward) = (1, Forward::No), &[]);
    check(|row| row.summary.verdict = "valid".to_owned(), &["marked as not confirmed"]);
}

#[test]
fn acknowledgements_are_those_of_their_documents() {
    check(|row| row.acknowledgement[40] ^= 1, &["acknowledgement is damaged"]);
    check(
        |row| row.acknowledgement = row.container.clone(),
        &["stored as the acknowledgement is none", "cannot be read"],
    );
    check(
        |row| row.summary.received_at = "2024-01-01T00:00:00Z".parse().unwrap(),
        &["another moment than the reception"],
    );
}

#[test]
fn any_cut_is_a_fault_and_no_panic() {
    let whole = genuine();
    for cut in 0..whole.container.len() {
        let mut row = whole.clone();
        row.container.truncate(cut);
        assert!(!examine(&row).is_empty(), "container cut to {cut}");
    }
    for cut in 0..whole.acknowledgement.len() {
        let mut row = whole.clone();
        row.acknowledgement.truncate(cut);
        assert!(!examine(&row).is_empty(), "acknowledgement cut to {cut}");
    }
}

#[test]
fn a_problem_is_one_line() {
    let fault = Fault { kind: FaultKind::Column, what: "columns differ".to_owned() };
    let line = |place| Problem { place, fault: fault.clone() }.to_string();
    let place = |document| Some(Place { seq: 7, document });
    assert_eq!(
        line(place(Some(("9999078900000017".to_owned(), 3)))),
        "#7 ФН 9999078900000017 ФД 3: columns differ; run `fiscald reindex`"
    );
    assert_eq!(line(place(None)), "#7: columns differ; run `fiscald reindex`");
    assert_eq!(line(None), "database: columns differ; run `fiscald reindex`");
}

#[test]
fn lost_and_unreadable_positions_are_problems() {
    let mut walk = Walk::default();
    let mut said = Vec::new();
    for row in [
        VerifyRow::Missing { from: 4, to: 4 },
        VerifyRow::Missing { from: 6, to: 9 },
        VerifyRow::Unreadable { seq: 10, why: "column verdict".to_owned() },
        VerifyRow::Elsewhere { seq: 11, why: "they lie in old.db".to_owned() },
        VerifyRow::Elsewhere { seq: 12, why: "they lie in old.db".to_owned() },
        VerifyRow::Document(Box::new(genuine())),
    ] {
        walk.row(&row, &mut |problem| {
            said.push(problem.to_string());
            Ok(())
        })
        .unwrap();
    }
    assert_eq!((walk.problems, walk.documents, walk.elsewhere, said.len()), (4, 1, 2, 4));
    assert!(said[0].starts_with("#4: the document of this position is gone; "), "{said:?}");
    assert!(said[1].starts_with("#6: the documents of this position and the next 3 are gone; "), "{said:?}");
    assert!(said[2].starts_with("#10: cannot be read: column verdict; "), "{said:?}");
    assert!(said[3].starts_with("#11: they lie in old.db; the store is sound without it"), "{said:?}");
    let told = walk.told(1.0, None);
    assert!(told.contains("PROBLEMS: 4") && told.contains("not looked at    2 documents in files"), "{told}");
    insta::assert_snapshot!(
        Walk { by_code: [(0, 2), (14, 1)].into(), documents: 3, ..Walk::default() }
            .told(0.25, Some(IntegrityDepth::Quick))
    );
}

#[test]
fn a_short_disk_ends_the_command_and_is_no_fault_of_the_database() {
    let check = |why: Unavailability, ends: bool| {
        let (mut walk, mut said) = (Walk::default(), 0);
        let error = StoreError::Unavailable { why, detail: "given up".to_owned() };
        let outcome = walk.stage(Err(error.into()), "the database cannot be checked", &mut |_| {
            said += 1;
            Ok(())
        });
        assert_eq!(
            (outcome.is_err(), walk.problems, said),
            (ends, u64::from(!ends), u64::from(!ends)),
            "{why}"
        );
    };
    check(Unavailability::DiskLow, true);
    check(Unavailability::CannotOpen, false);
    check(Unavailability::Busy, false);
}
