//! The genuine documents: none is refused but the one that a real operator refused.

use std::fmt::Write as _;

use super::*;
use crate::fixtures;

/// The findings of a capture, received an hour after it was made by the operator it names.
fn findings(capture: &fixtures::Capture) -> Vec<Finding> {
    let document = Document::decode(capture.document()).unwrap();
    let claimed = Claimed {
        fn_number: capture.expected.fn_number.parse().unwrap(),
        fd_number: FdNumber::new(capture.expected.fd_number).unwrap(),
        form: FormCode(capture.expected.form),
    };
    let around = Surroundings {
        claimed: Some(claimed),
        received_at: document.time(tags::DATE_TIME).unwrap().get() - 3 * 3600,
        operator_inn: document.raw(tags::OFD_INN).and_then(|raw| Inn::from_padded(raw).ok()),
        register: None,
    };
    check(&document, &around, &Severities::default())
}

#[test]
fn no_genuine_document_is_refused_but_the_one_that_was() {
    for capture in fixtures::documents() {
        let hard: Vec<_> = findings(&capture)
            .into_iter()
            .filter(|finding| finding.severity == Severity::Hard)
            .map(|finding| (finding.rule, finding.path))
            .collect();
        if capture.name.starts_with("msg_reg11_ffd12_") {
            let expected = [1009, 1048].map(|tag| ("structure.mandatory", vec![tag]));
            assert_eq!(hard, expected, "{}", capture.name);
        } else {
            assert_eq!(hard, [], "{}", capture.name);
        }
    }
}

#[test]
fn findings_of_all_captures() {
    let mut text = String::new();
    for capture in fixtures::documents() {
        writeln!(text, "{}", capture.name).unwrap();
        for Finding { path, rule, severity, text_ru } in findings(&capture) {
            let path: Vec<_> = path.iter().map(u16::to_string).collect();
            writeln!(text, "  {severity:?} {rule} {} {text_ru}", path.join("/")).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}
