//! The format and logic control (ФЛК) of the documents in the input, as far as they can be judged alone.

use ffd::check::{Severities, Surroundings, check};
use jiff::Timestamp;

use super::model::{Content, Decoded, Remark};

/// What a document alone cannot be judged by; said once, so that silence is not taken for approval.
const WITHOUT_REGISTER: &str = "нумерация, счётчики и сверка с отчётом о регистрации не проверялись: для них нужны прежние \
     документы ФН";

/// Adds the findings of each document that a register makes, by the rules' own weights. Identity, which needs the
/// container, is judged where the container is taken apart.
///
/// `received_at` stands for the moment of reception, which nobody knows here.
pub(super) fn judge(decoded: &mut Decoded<'_>, received_at: Timestamp) {
    let around = Surroundings {
        claimed: None,
        received_at: u32::try_from(received_at.as_second()).unwrap_or(u32::MAX),
        operator_inn: None,
        register: None,
    };
    let severities = Severities::default();
    for part in &mut decoded.parts {
        let Content::Document(document) = &part.content else { continue };
        if document.form().is_kkt_document() {
            let findings = check(document, &around, &severities);
            let clean = if part.remarks.is_empty() && findings.is_empty() {
                "замечаний нет; "
            } else {
                ""
            };
            part.remarks.extend(findings.into_iter().map(Remark::from));
            part.remarks.push(Remark::note(format!("ФЛК: {clean}{WITHOUT_REGISTER}")));
        }
    }
}
