//! Why a call did not work, and what that means for whoever called.

use std::time::Duration;

use thiserror::Error;

use super::wire::Problem;

/// A call that brought no usable answer. Never holds secrets: neither the address nor what stands in files.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// No answer came, or half of one.
    #[error("{fault}: {detail}")]
    Transport {
        /// Which kind.
        fault: TransportFault,
        /// What the layers below said.
        detail: String,
    },
    /// The service answered and did not do it.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The service said it did it, but its answer cannot be read. Asking again with the same key is right.
    #[error("the answer cannot be read: {detail}")]
    Unreadable {
        /// What is wrong with it.
        detail: String,
    },
}

/// An answer with a status that is no success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// What the service explained, if it did in its usual form.
    pub problem: Problem,
    /// The answer as it came, cut to a sane length.
    pub body: Vec<u8>,
    /// Not before this long from now.
    pub retry_after: Option<Duration>,
}

/// Kinds of [`CallError::Transport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportFault {
    /// No connection, or no agreement on TLS.
    Connect,
    /// The time was over.
    TimedOut,
    /// The connection broke.
    Broken,
    /// The service refused our certificate, or what we offered, by an alert of TLS.
    Refused,
}

impl TransportFault {
    /// Word for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "no connection",
            Self::TimedOut => "timed out",
            Self::Broken => "the connection broke",
            Self::Refused => "the certificate was refused",
        }
    }
}

impl std::fmt::Display for TransportFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        let Problem { code, title, detail, request_id, .. } = &self.problem;
        for part in [code, title, detail].into_iter().flatten() {
            write!(f, " {part}")?;
        }
        if let Some(id) = request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The service or the way to it is in trouble: try again later, and count it for the breaker.
    Down,
    /// The service is well but asks for patience (429, 425): try again later.
    Throttled,
    /// The content is not taken (400, 413, 422): the same again will not help.
    Invalid,
    /// The key belongs to other content (409 `BATCH_KEY_REUSED`): a new key is needed.
    KeyReused,
    /// The service does not take our certificate (401, 403, an alert of TLS): a person must act.
    Unauthorised,
    /// The cursor is too old (410).
    Gone,
    /// Any other refusal: the service is not what we think it is (wrong address, wrong version): a person must act.
    Foreign,
}

impl CallError {
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }

    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Transport { fault: TransportFault::Refused, .. } => ErrorClass::Unauthorised,
            Self::Transport { .. } | Self::Unreadable { .. } => ErrorClass::Down,
            Self::Refused(refusal) => match refusal.status {
                408 | 500 | 502 | 503 | 504 => ErrorClass::Down,
                425 | 429 => ErrorClass::Throttled,
                400 | 413 | 422 => ErrorClass::Invalid,
                401 | 403 => ErrorClass::Unauthorised,
                409 => ErrorClass::KeyReused,
                410 => ErrorClass::Gone,
                status if status >= 500 => ErrorClass::Down,
                _ => ErrorClass::Foreign,
            },
        }
    }

    /// Lower bound of the pause before the next attempt, as the service asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// HTTP status, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Bounded label for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match (self, self.class()) {
            (Self::Transport { fault: TransportFault::TimedOut, .. }, _) => "timeout",
            (Self::Transport { fault: TransportFault::Refused, .. }, _) => "unauthorised",
            (Self::Transport { .. }, _) => "transport",
            (Self::Unreadable { .. }, _) => "unreadable",
            (_, ErrorClass::Down) => "unavailable",
            (_, ErrorClass::Throttled) => "throttled",
            (_, ErrorClass::Invalid) => "invalid",
            (_, ErrorClass::KeyReused) => "key_reused",
            (_, ErrorClass::Unauthorised) => "unauthorised",
            (_, ErrorClass::Gone | ErrorClass::Foreign) => "foreign",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_statuses() {
        let check = |status: u16, expected: ErrorClass| {
            let error = CallError::refused(Refusal { status, ..Refusal::default() });
            assert_eq!(error.class(), expected, "{status}");
        };
        for status in [408, 500, 502, 503, 504, 507, 599] {
            check(status, ErrorClass::Down);
        }
        for status in [425, 429] {
            check(status, ErrorClass::Throttled);
        }
        for status in [400, 413, 422] {
            check(status, ErrorClass::Invalid);
        }
        for status in [401, 403] {
            check(status, ErrorClass::Unauthorised);
        }
        for status in [301, 404, 405, 415, 418] {
            check(status, ErrorClass::Foreign);
        }
        check(409, ErrorClass::KeyReused);
        check(410, ErrorClass::Gone);
        let broken = CallError::Transport { fault: TransportFault::Broken, detail: String::new() };
        assert_eq!(broken.class(), ErrorClass::Down);
        let refused = CallError::Transport { fault: TransportFault::Refused, detail: String::new() };
        assert_eq!((refused.class(), refused.label()), (ErrorClass::Unauthorised, "unauthorised"));
        assert_eq!(CallError::Unreadable { detail: String::new() }.class(), ErrorClass::Down);
    }

    #[test]
    fn a_refusal_is_told_with_what_the_service_said() {
        let problem = Problem {
            code: Some("OFD_MISMATCH".to_owned()),
            title: Some("certificate of another operator".to_owned()),
            request_id: Some("R-1".to_owned()),
            ..Problem::default()
        };
        let error = CallError::refused(Refusal { status: 403, problem, ..Refusal::default() });
        assert_eq!(error.to_string(), "HTTP 403 OFD_MISMATCH certificate of another operator (request R-1)");
    }
}
