//! What became of a document at the tax service, in the words its owner sees.

use anyhow::Result;
use ofd_store::{DocumentSummary, FnsCode, Forward, OutboxRow, OutboxState, Reader};
use serde_json::{Value, json};

/// A state in the words of one document's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FnsStatus {
    /// `WAITING`, `OK`, `WARNING`, `ERROR`.
    pub(super) name: &'static str,
    /// The same for people, Russian.
    pub(super) label: &'static str,
}

/// What became of one document of the journal.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// None for a document that never goes to the tax service.
    pub(super) status: Option<FnsStatus>,
    /// Its row in the outbox, if there is one yet.
    pub(super) row: Option<OutboxRow>,
}

impl Answer {
    /// The lines of it in the view of a document; empty when it does not go there.
    pub(super) fn text(&self) -> String {
        let Some(status) = self.status else { return String::new() };
        let state = self.row.as_ref().map_or("not in the outbox yet", |row| row.state.name());
        let ticket = self.row.as_ref().and_then(|row| row.ticket_id.as_ref());
        let ticket = ticket.map_or_else(String::new, |ticket| format!(", ticket {ticket}"));
        let mut text = format!("   tax service {} «{}» ({state}{ticket})\n", status.name, status.label);
        for code in self.row.iter().flat_map(|row| &row.fns_codes) {
            text += &format!("     {}\n", code_text(code));
        }
        text
    }
}

/// A code of a verdict as a line.
pub(super) fn code_text(code: &FnsCode) -> String {
    let path = code.path.as_deref().map_or_else(String::new, |path| format!(" at {path}"));
    format!("{}{path}: {}", code.code, code.text)
}

/// Codes of a verdict as JSON.
pub(super) fn codes_json(codes: &[FnsCode]) -> Value {
    codes.iter().map(|code| json!({ "code": code.code, "text": code.text, "path": code.path })).collect()
}

/// What became of a document.
///
/// # Errors
/// The store cannot be read.
pub(super) fn of_row(reader: &Reader, document: &DocumentSummary) -> Result<Answer> {
    if document.forward == Forward::No {
        return Ok(Answer::default());
    }
    let row = reader.outbox_row(document.seq)?;
    let status = of_document(document.forward, row.as_ref().map(|row| row.state));
    Ok(Answer { status, row })
}

/// Of a document that is in the outbox.
pub(super) fn of_state(state: OutboxState) -> FnsStatus {
    let (name, label) = match state {
        OutboxState::New | OutboxState::InFlight | OutboxState::Delivered => ("WAITING", "Ожидает обработки"),
        OutboxState::Accepted => ("OK", "Принят ФНС"),
        OutboxState::Soft => ("WARNING", "Мягкий карантин"),
        // A superseded document was dead: the tax service has not got it and will not.
        OutboxState::Hard | OutboxState::Dead | OutboxState::Superseded => ("ERROR", "Ошибка ФЛК"),
    };
    FnsStatus { name, label }
}

/// Of a document of the journal: `state` is that of its row in the outbox, if it has one. `None` is for a document that
/// never goes to the tax service.
fn of_document(forward: Forward, state: Option<OutboxState>) -> Option<FnsStatus> {
    match (state, forward) {
        (Some(state), _) => Some(of_state(state)),
        (None, Forward::No) => None,
        // Not derived yet, or its ФН is to become known first.
        (None, Forward::Yes | Forward::WhenKnown) => Some(of_state(OutboxState::New)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_word() {
        let words: Vec<String> = OutboxState::ALL
            .into_iter()
            .map(|state| format!("{} {} {}", state.name(), of_state(state).name, of_state(state).label))
            .collect();
        insta::assert_snapshot!(words.join("\n"), @r"
        new WAITING Ожидает обработки
        in_flight WAITING Ожидает обработки
        delivered WAITING Ожидает обработки
        accepted OK Принят ФНС
        soft WARNING Мягкий карантин
        hard ERROR Ошибка ФЛК
        dead ERROR Ошибка ФЛК
        superseded ERROR Ошибка ФЛК
        ");
        assert_eq!(of_document(Forward::No, None), None);
        assert_eq!(of_document(Forward::WhenKnown, None).map(|status| status.name), Some("WAITING"));
        assert_eq!(
            of_document(Forward::Yes, Some(OutboxState::Soft)).map(|status| status.name),
            Some("WARNING")
        );
    }
}
