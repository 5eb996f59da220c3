//! The one place where a finished document can be spoiled on purpose, before it is numbered and signed.
//!
//! Registers are honest. What asks for faults implements [`Tamper`] and is given to the register; the storage
//! signs whatever comes out, so a spoiled document is still a genuine one of its storage.

use std::fmt;
use std::sync::Arc;

use ffd::{FdNumber, FnNumber, FormCode};

use crate::faults::Memory;
use crate::rng::Rng;

/// A document on its way from the register to its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Its form, as the container will say it too.
    pub(crate) form: FormCode,
    /// TLV records without 1040, 1041 and 1077, which are the storage's own.
    pub(crate) body: Vec<u8>,
    /// What 1040 says instead of the number that the storage counted; the container keeps to that one.
    pub(crate) stated_fd: Option<FdNumber>,
    /// What 1041 says instead of the storage's number.
    pub(crate) stated_fn: Option<FnNumber>,
    /// Form that the document itself states; the container keeps to the other.
    pub(crate) stated_form: Option<FormCode>,
    /// The document gets no 1077.
    pub(crate) is_unsigned: bool,
    /// Documents that are lost before this one: the storage skips so many numbers.
    pub(crate) lost_before: u32,
    /// The rule that it was made to break.
    pub(crate) fault: Option<&'static str>,
    /// The rules that it breaks because of earlier faults, honest as it is.
    pub(crate) echoes: Vec<&'static str>,
}

impl Draft {
    /// An honest document.
    pub(crate) fn new(form: FormCode, body: Vec<u8>) -> Self {
        Self {
            form,
            body,
            stated_fd: None,
            stated_fn: None,
            stated_form: None,
            is_unsigned: false,
            lost_before: 0,
            fault: None,
            echoes: Vec::new(),
        }
    }
}

/// Where a draft is on its way to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The storage.
    pub(crate) fn_number: FnNumber,
    /// The number that it has next.
    pub(crate) fd: u32,
}

/// Changes documents before they are signed.
pub(crate) trait Tamper: fmt::Debug + Send + Sync {
    /// Changes `draft`, or leaves it. `memory` is what the register has of it; `rng` is the register's own and used for
    /// nothing else, so that faults do not change the life around them.
    fn tamper(&self, draft: &mut Draft, place: &Place, memory: &mut Memory, rng: &mut Rng);
}

/// A register's own part in its faults.
#[derive(Debug)]
pub(super) struct Spoiling {
    by: Arc<dyn Tamper>,
    memory: Memory,
    rng: Rng,
}

impl Spoiling {
    /// Nothing is spoiled yet.
    pub(super) fn new(by: Arc<dyn Tamper>, rng: Rng) -> Self {
        Self { by, memory: Memory::default(), rng }
    }

    /// Lets the draft be changed.
    pub(super) fn spoil(&mut self, draft: &mut Draft, place: &Place) {
        self.by.tamper(draft, place, &mut self.memory, &mut self.rng);
    }
}
