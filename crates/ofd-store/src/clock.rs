//! The operator's word about the clock.

use jiff::Timestamp;

/// An operator confirmed that the machine's clock is right. What was received before it, by whatever clock, says
/// nothing about the time any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockConfirmation {
    /// What our clock showed when it was confirmed.
    pub confirmed_at: Timestamp,
    /// Newest position of the journal at that moment; 0 in an empty one.
    pub after_seq: i64,
}
