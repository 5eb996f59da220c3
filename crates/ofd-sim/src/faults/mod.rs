//! Faults on purpose: for every rule of the control a document that breaks it, and only it.
//!
//! A fault has the name of its rule and changes one honest document on its way to the storage, which numbers and signs
//! it as it is. A register with a fault goes on: numbers are counted on from a number that was left out, a clock that
//! was put forward stays there. Where the operator cannot help saying something of a later, honest document, too (it
//! compares with a total that was wrong, it misses a number), the table says so (`After`), the document carries the
//! rule as its echo, and the register spoils nothing else until the operator knows the shift again.
//!
//! What is asked for is [`Faults`], read from `--faults`; the tables lie in the modules of their nouns.

mod body;
mod fault;
mod identity;
mod memory;
mod numbering;
mod plan;
mod receipts;
mod registration;
mod structure;
mod values;

use fault::Fault;
pub(crate) use memory::Memory;
pub use plan::Faults;

/// All faults, in the order of their names.
pub(crate) fn all() -> Vec<&'static Fault> {
    let tables = [
        identity::FAULTS,
        numbering::FAULTS,
        receipts::FAULTS,
        registration::FAULTS,
        structure::FAULTS,
        values::FAULTS,
    ];
    let mut all: Vec<_> = tables.into_iter().flatten().collect();
    all.sort_by_key(|fault| fault.rule);
    all
}

/// The table for people, a line each: name, weight, what is done, what comes of it.
pub(crate) fn list() -> String {
    let line = |fault: &&Fault| {
        let weight = match fault.severity() {
            ffd::check::Severity::Hard => "hard",
            ffd::check::Severity::Soft => "soft",
        };
        let consequence = fault.consequence();
        let later = if consequence.is_empty() { consequence } else { format!(" [later: {consequence}]") };
        format!("{:<26} {weight}  {}{later}\n", fault.rule, fault.done)
    };
    all().iter().map(line).collect()
}

#[cfg(test)]
mod tests;
