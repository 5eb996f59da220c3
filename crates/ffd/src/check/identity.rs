//! Whether a document is the one its container announces: form, ФН and ФД numbers, and the requisites without which it
//! cannot be told apart from another (FFD order, checks 1 and 9 of the operator).
//!
//! All findings are hard in every ФФД version. The registration number (1037) only has to stand there: a genuine
//! report of ФФД 1.0 carries one of 12 digits.

use std::fmt;

use crate::check::{Finding, Severity};
use crate::dict::{FfdVersion, FormCode, Requirement, dictionary};
use crate::document::{Document, Node};
use crate::ids::{FdNumber, FnNumber};
use crate::tags;
use crate::value::{Value, cp866};

/// Bytes of the document's sign, its type and length included.
const FISCAL_SIGN_LEN: usize = 6;

/// What the header of the container says about the document inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// Number of the fiscal storage.
    pub fn_number: FnNumber,
    /// Number of the document in its storage.
    pub fd_number: FdNumber,
    /// Form code.
    pub form: FormCode,
}

/// Compares a document with what its container claims.
///
/// Rules: `identity.form`, `identity.fn` (1041), `identity.fd` (1040), `identity.time` (1012), `identity.sign` (1077),
/// `identity.rnm` (1037). A requisite that the form does not have to carry is only compared when it is there; each
/// repetition of a number is compared.
pub fn identity(doc: &Document<'_>, claimed: &Claimed) -> Vec<Finding> {
    let mut findings = Vec::new();
    let form = doc.form();
    if form != claimed.form {
        let text =
            format!("форма документа {} не совпадает с формой в контейнере {}", form.0, claimed.form.0);
        findings.push(finding(Vec::new(), "identity.form", text));
    }
    compare(doc, &FN_RULE, claimed.fn_number, fn_number, &mut findings);
    compare(doc, &FD_RULE, claimed.fd_number.get(), fd_number, &mut findings);
    present(doc, &TIME_RULE, |node| node.time().is_some(), &mut findings);
    present(doc, &SIGN_RULE, |node| node.raw.len() == FISCAL_SIGN_LEN, &mut findings);
    present(doc, &RNM_RULE, is_filled_text, &mut findings);
    findings
}

/// A requisite that identity rests on.
struct Rule {
    name: &'static str,
    tag: u16,
    /// Name of the requisite in the genitive, as the texts need it.
    of_what: &'static str,
}

const FN_RULE: Rule = Rule { name: "identity.fn", tag: tags::FN_NUMBER, of_what: "номера ФН" };
const FD_RULE: Rule = Rule { name: "identity.fd", tag: tags::FD_NUMBER, of_what: "номера ФД" };
const TIME_RULE: Rule =
    Rule { name: "identity.time", tag: tags::DATE_TIME, of_what: "даты и времени" };
const SIGN_RULE: Rule =
    Rule {
        name: "identity.sign", tag: tags::FISCAL_SIGN, of_what: "фискального признака документа"
    };
const RNM_RULE: Rule = Rule {
    name: "identity.rnm", tag: tags::RNM, of_what: "регистрационного номера ККТ"
};

impl Rule {
    /// Whether the document must carry the requisite: the numbers, time and sign in all that a register makes, and
    /// whatever the dictionary makes mandatory at the top level of the form.
    fn is_demanded(&self, doc: &Document<'_>) -> bool {
        if doc.form().is_kkt_document() && self.tag != tags::RNM {
            return true;
        }
        // Notifications about marked goods exist in ФФД 1.2 only and do not say their version.
        let mut versions = [doc.version(), FfdVersion::V1_2].into_iter();
        let form = versions.find_map(|version| dictionary().form(doc.form(), version));
        let field = form.and_then(|form| form.field(doc.form().0, self.tag));
        field.is_some_and(|field| field.requirement == Requirement::Mandatory)
    }

    fn missing(&self) -> Finding {
        self.found(format!("нет {} (тег {})", self.of_what, self.tag))
    }

    fn unreadable(&self) -> Finding {
        self.found(format!("значение {} (тег {}) не читается", self.of_what, self.tag))
    }

    fn found(&self, text_ru: String) -> Finding {
        finding(vec![self.tag], self.name, text_ru)
    }
}

/// A number that the container repeats: present if demanded, and every occurrence equal to the container's.
fn compare<Number: PartialEq + fmt::Display>(
    doc: &Document<'_>,
    rule: &Rule,
    expected: Number,
    read: fn(Node<'_>) -> Option<Number>,
    findings: &mut Vec<Finding>,
) {
    let before = findings.len();
    let mut seen = false;
    for node in doc.nodes_of(rule.tag) {
        seen = true;
        match read(node) {
            Some(number) if number == expected => {}
            Some(number) => findings.push(rule.found(format!(
                "значение {} (тег {}) {number} не совпадает с контейнером: {expected}",
                rule.of_what, rule.tag
            ))),
            None => findings.push(rule.unreadable()),
        }
        // One finding is enough: a document of 32 KiB may repeat a tag thousands of times.
        if findings.len() > before {
            return;
        }
    }
    if !seen && rule.is_demanded(doc) {
        findings.push(rule.missing());
    }
}

/// A requisite that only has to be there, if demanded, and readable.
fn present(doc: &Document<'_>, rule: &Rule, is_readable: fn(Node<'_>) -> bool, findings: &mut Vec<Finding>) {
    match doc.node(rule.tag) {
        _ if !rule.is_demanded(doc) => {}
        None => findings.push(rule.missing()),
        Some(node) if is_readable(node) => {}
        Some(_) => findings.push(rule.unreadable()),
    }
}

/// The storage's number without padding: a number of 15 digits is padded with a space on the wire.
fn fn_number(node: Node<'_>) -> Option<FnNumber> {
    FnNumber::from_padded(node.raw).ok()
}

fn fd_number(node: Node<'_>) -> Option<u32> {
    match node.value()? {
        Value::U32(number) => Some(number),
        _ => None,
    }
}

fn is_filled_text(node: Node<'_>) -> bool {
    node.is_text() && !cp866::trim(node.raw).is_empty()
}

fn finding(path: Vec<u16>, rule: &'static str, text_ru: String) -> Finding {
    Finding { path, rule, severity: Severity::Hard, text_ru }
}

#[cfg(test)]
mod tests;
