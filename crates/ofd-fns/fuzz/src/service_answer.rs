//! The other answers of the tax service: what reads is written the same, and a refusal of whatever shape has a meaning
//! and words.

use ofd_fns::client::wire::{
    ApplicationAccepted, ApplicationStage, ApplicationState, DocumentStatus, KktEntry, Pong, Problem,
};
use ofd_fns::client::{CallError, ErrorClass, Refusal};

use super::rewritten;

/// Checks one body as an answer of every endpoint and as a refusal.
pub fn check(input: &[u8]) {
    rewritten::read::<ApplicationAccepted>(input);
    rewritten::read::<DocumentStatus>(input);
    rewritten::read::<KktEntry>(input);
    rewritten::read::<Pong>(input);
    if let Some(state) = rewritten::read::<ApplicationState>(input) {
        match state.stage() {
            ApplicationStage::Accepted { rnm } => assert_eq!(Some(rnm), state.rnm),
            ApplicationStage::Refused { .. } => assert!(state.refusal.is_some() || state.state == "refused"),
            ApplicationStage::AcceptedWithoutRnm | ApplicationStage::Pending => {
                assert!(state.rnm.is_none() && state.refusal.is_none());
            }
        }
    }
    refused(input);
}

/// The meaning of a refusal is that of its status alone.
fn refused(input: &[u8]) {
    let problem: Problem = rewritten::read(input).unwrap_or_default();
    let statuses = [(400, ErrorClass::Invalid), (409, ErrorClass::KeyReused), (503, ErrorClass::Down)];
    for (status, class) in statuses {
        let refusal =
            Refusal { status, problem: problem.clone(), body: input.to_vec(), ..Refusal::default() };
        let error = CallError::Refused(Box::new(refusal));
        assert_eq!((error.class(), error.status()), (class, Some(status)));
        let words = error.to_string();
        assert!(words.starts_with(&format!("HTTP {status}")));
        for said in [&problem.code, &problem.detail].into_iter().flatten() {
            assert!(words.contains(said.as_str()));
        }
    }
}
