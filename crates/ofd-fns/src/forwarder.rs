//! Sends the documents of the journal to the tax service: in the order of their numbers for every ФН, registration reports
//! before others, again and again until each has been taken or refused for good (tax-service notes B4).
//!
//! What to do next and what an answer means is decided without sockets, files and clock: `scheduler` (lanes, batches),
//! `gate` (breaker, refused certificates), `answers` (results of a batch), `backoff`. `body` writes the JSON.
//! `driver` is the shell that moves them.
//!
//! Left out on purpose: verdicts, which come back by the feed of events.

pub(crate) mod ages;
pub mod answers;
pub(crate) mod backoff;
pub(crate) mod body;
pub(crate) mod driver;
pub(crate) mod gate;
pub(crate) mod scheduler;

use std::time::Duration;

/// A moment by a clock that nobody sets: time since the service began.
pub(crate) type Moment = Duration;
