//! Counters of stored documents by the marks they are forwarded with.

use metrics::{Counter, counter};

use crate::decision::Admission;

/// What the tax service is told of a document besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It failed the format and logic control.
    Flk,
    /// Its sign was not confirmed.
    Sign,
    /// A contract names its register under another ФН.
    FnChanged,
    /// It is newer than the deregistration of its register.
    AfterDeregistration,
}

impl Mark {
    pub(crate) const ALL: [Self; 4] = [Self::Flk, Self::Sign, Self::FnChanged, Self::AfterDeregistration];

    /// The marks of a document; no allocation for the usual one, which has none.
    pub(crate) fn of(admission: &Admission) -> Vec<Self> {
        let is_set = |mark: &Self| match mark {
            Self::Flk => admission.flk_mark,
            Self::Sign => admission.sign_mark,
            Self::FnChanged => admission.fn_changed_mark,
            Self::AfterDeregistration => admission.after_deregistration_mark,
        };
        Self::ALL.into_iter().filter(is_set).collect()
    }

    /// Label for metrics and the log.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Flk => "flk",
            Self::Sign => "sign",
            Self::FnChanged => "fn_changed",
            Self::AfterDeregistration => "after_deregistration",
        }
    }
}

/// One counter per mark.
#[derive(Debug)]
pub(super) struct MarkCounters {
    flk: Counter,
    sign: Counter,
    fn_changed: Counter,
    after_deregistration: Counter,
}

impl MarkCounters {
    pub(super) fn new() -> Self {
        let of = |mark: Mark| counter!("fiscald_marked_total", "mark" => mark.as_str());
        Self {
            flk: of(Mark::Flk),
            sign: of(Mark::Sign),
            fn_changed: of(Mark::FnChanged),
            after_deregistration: of(Mark::AfterDeregistration),
        }
    }

    pub(super) fn of(&self, mark: Mark) -> &Counter {
        match mark {
            Mark::Flk => &self.flk,
            Mark::Sign => &self.sign,
            Mark::FnChanged => &self.fn_changed,
            Mark::AfterDeregistration => &self.after_deregistration,
        }
    }
}
