//! Every document against the tables of the dictionary.

use std::collections::HashSet;

use ffd::check::{Claimed, identity};
use ffd::{Content, Document, Fixed, FormDef, Nodes, Requirement, dictionary};

use super::*;

/// Groups whose official length is smaller than their own members.
const COUNTER_GROUPS: [u16; 12] = [1129, 1130, 1131, 1132, 1133, 1145, 1146, 1157, 1158, 1194, 1232, 1233];

/// Everything the dictionary has to say against the children of `parent`.
fn objections(form: &FormDef, parent: u16, nodes: Nodes<'_>, found: &mut Vec<String>) {
    for field in form.children(parent) {
        let demanded = field.requirement == Requirement::Mandatory;
        if demanded && !nodes.clone().any(|node| node.tag == field.tag) {
            found.push(format!("{} lacks {}", parent, field.tag));
        }
    }
    let mut seen = HashSet::new();
    for node in nodes.clone() {
        let Some(field) = form.field(parent, node.tag) else {
            // The tables name a group's members once; what they do not list at all is known by its parents.
            let known = node.def.is_some_and(|def| def.parents.contains(&parent));
            if !known || !form.children(parent).is_empty() {
                found.push(format!("{} has undeclared {}", parent, node.tag));
            }
            continue;
        };
        if !seen.insert(node.tag) && !field.repeatable {
            found.push(format!("{} repeats {}", parent, node.tag));
        }
    }
    for node in nodes {
        let Some(def) = node.def else { continue };
        let length = u32::try_from(node.raw.len()).unwrap();
        let right = match def.fixed {
            Fixed::Padded(wanted) | Fixed::Exact(wanted) => length == wanted,
            Fixed::Variable => {
                COUNTER_GROUPS.contains(&node.tag) || def.max_len.is_none_or(|most| length <= most)
            }
        };
        if !right {
            found.push(format!("{} of {length} bytes", node.tag));
        }
        match node.content() {
            Content::Group(children) => objections(form, node.tag, children, found),
            Content::Value(_) => {
                let listed = def.enum_name.zip(node.unsigned());
                if let Some((list, value)) = listed
                    && !matches!(def.kind, ffd::ValueKind::Bits)
                    && dictionary().enum_meaning(list, value, form.version).is_none()
                {
                    found.push(format!("{} has unknown value {value}", node.tag));
                }
            }
            Content::Broken(error) => found.push(format!("{}: {error}", node.tag)),
            Content::Unknown => found.push(format!("{} is unknown", node.tag)),
        }
    }
}

/// Holds a document against the tables of its form.
fn check(bytes: &[u8], ffd: FfdVersion, about: &str) {
    let document = Document::decode(bytes).unwrap();
    let form = dictionary().form(document.form(), ffd).unwrap();
    let mut found = Vec::new();
    objections(form, document.form().0, document.nodes(), &mut found);
    assert!(found.is_empty(), "form {} of FFD {ffd:?}, {about}: {found:?}", document.form());
}

#[test]
fn every_document_agrees_with_the_dictionary() {
    for ffd in [FfdVersion::V1_05, FfdVersion::V1_1, FfdVersion::V1_2] {
        let mut forms = HashSet::new();
        for (seed, trade) in (0..36).zip(Trade::ALL.into_iter().cycle()) {
            let mut kkt = whole(&settings(ffd, seed), trade);
            for (number, made) in live(&mut kkt) {
                let document = Document::decode(&made.document).unwrap();
                forms.insert(made.form);
                check(&made.document, document.version(), &format!("{trade:?}, seed {seed}"));
                let claimed =
                    Claimed { fn_number: number, fd_number: made.fd_number, form: FormCode(made.form) };
                assert!(identity(&document, &claimed).is_empty());
            }
        }
        assert_eq!(forms, HashSet::from([1, 11, 2, 21, 3, 31, 4, 41, 5, 6]));
    }
}

#[test]
fn marking_documents_agree_with_the_dictionary() {
    let number = FnNumber::from_padded(b"9999000000000081").unwrap();
    let messages = marking_messages(number, 4, 40);
    assert_eq!(messages, marking_messages(number, 4, 40));
    let mut forms = [0; 4];
    for message in &messages {
        forms[usize::from(message.form.0) - 81] += 1;
        assert_eq!(message.sign.is_some(), matches!(message.form.0, 81 | 82), "form {}", message.form);
        check(&message.document, FfdVersion::V1_2, "marking");
    }
    let [requests, notifications, answers, receipts] = forms;
    assert_eq!((requests, notifications), (answers, receipts), "every question has its answer");
    assert!(requests >= notifications && notifications >= 20, "{forms:?}");
}
