//! The one place where a finished document can be spoiled on purpose, before it is numbered and signed.
//!
//! Registers are honest. What asks for faults implements [`Tamper`] and is given to the register; the storage
//! signs whatever comes out, so a spoiled document is still a genuine one of its storage.

use std::fmt;

use ffd::{FdNumber, FnNumber, FormCode};

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
    /// Documents that are lost before this one: the storage skips so many numbers.
    pub(crate) lost_before: u32,
}

impl Draft {
    /// An honest document.
    pub(crate) fn new(form: FormCode, body: Vec<u8>) -> Self {
        Self { form, body, stated_fd: None, stated_fn: None, lost_before: 0 }
    }
}

/// Changes documents before they are signed.
pub(crate) trait Tamper: fmt::Debug + Send + Sync {
    /// Changes `draft`, or leaves it. `rng` is the register's own and used for nothing else, so that faults
    /// do not change the life around them.
    fn tamper(&self, draft: &mut Draft, rng: &mut Rng);
}
