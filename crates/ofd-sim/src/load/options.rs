//! What a load run is told.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::prepare::OPENING_DOCUMENTS;
use crate::keys::SimKeys;
use crate::kkt::Pace;

/// Largest window: operators keep at most 64 documents of a connection in flight, more only fills buffers.
pub(crate) const WINDOW_MAX: u32 = 1024;

/// How documents travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadMode {
    /// One connection for each register, the next document after the answer to the last one.
    Persistent,
    /// A connection for each document; its latency counts the connect.
    PerDocument,
    /// One connection for each register and this many documents on their way.
    Window(u32),
}

impl LoadMode {
    /// Documents of a register that may be on their way.
    #[must_use]
    pub(crate) fn window(self) -> usize {
        match self {
            Self::Persistent | Self::PerDocument => 1,
            Self::Window(window) => usize::try_from(window).unwrap_or(1).max(1),
        }
    }

    /// Documents a second that are prepared for when nothing else is known (`--seconds` without `--expect`):
    /// above what one daemon on two cores was seen to do in this mode.
    #[must_use]
    pub(crate) fn expected_rate(self) -> u64 {
        match self {
            Self::PerDocument => 8_000,
            Self::Persistent => 20_000,
            Self::Window(_) => 40_000,
        }
    }
}

impl FromStr for LoadMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "persistent" => Ok(Self::Persistent),
            "per-document" => Ok(Self::PerDocument),
            _ => {
                let window = text.strip_prefix("window=").and_then(|number| number.parse().ok());
                match window {
                    Some(window) if (1..=WINDOW_MAX).contains(&window) => Ok(Self::Window(window)),
                    _ => Err(format!(
                        "expected persistent, per-document or window=W with W of 1 to {WINDOW_MAX}"
                    )),
                }
            }
        }
    }
}

impl fmt::Display for LoadMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Persistent => out.write_str("persistent"),
            Self::PerDocument => out.write_str("per-document"),
            Self::Window(window) => write!(out, "window={window}"),
        }
    }
}

/// How answers are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Check {
    /// As an ФН does: container, numbers, ФПП, document 7, ФПО, and the code must be 0.
    Full,
    /// Nothing but where it ends: signature and length of its session header. Cheap, and content with the fixed answer of a
    /// server that decodes nothing, so that one generator measures both.
    None,
}

/// How many lines receipts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Items {
    /// At most this many, every number as often as another.
    Most(u32),
    /// This many.
    Exactly(u32),
    /// As in shops: mostly a few, now and then very many.
    Retail,
}

/// Limits of receipts in [`Items::Retail`] and how many of a hundred have each: half of the receipts have one or two
/// lines, a hundredth up to 120. Messages come out at some 500 bytes (median), 700 (mean) and 4,100 (99 of 100), within the
/// 0.5 to 1 KB a document that operators plan with; the shape itself is an assumption.
const RETAIL: [(u64, u64); 7] = [(1, 30), (3, 32), (6, 20), (12, 10), (25, 5), (60, 2), (120, 1)];

impl Items {
    /// Bounds of the lines of the next receipt, by a draw of 0 to 99.
    #[must_use]
    pub(crate) fn lines(self, draw: u64) -> RangeInclusive<u64> {
        match self {
            Self::Most(most) => 1..=most.into(),
            Self::Exactly(lines) => lines.into()..=lines.into(),
            Self::Retail => {
                let mut below = 0;
                let found = RETAIL.iter().find(|(_, share)| {
                    below += share;
                    draw < below
                });
                1..=found.map_or(1, |(most, _)| *most)
            }
        }
    }
}

impl FromStr for Items {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|lines| (1..=200).contains(lines));
        match (text.strip_prefix('='), number(text)) {
            _ if text == "retail" => Some(Self::Retail),
            (Some(exactly), _) => number(exactly).map(Self::Exactly),
            (None, most) => most.map(Self::Most),
        }
        .ok_or_else(|| "expected retail, a number of 1 to 200, or = and such a number".to_owned())
    }
}

/// How much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// This many receipts over all registers.
    Documents(u64),
    /// As many as are answered in this time.
    Seconds(Duration),
}

/// A load run.
#[derive(Clone, Debug)]
pub(crate) struct LoadOptions {
    /// The operator's address.
    pub(crate) to: SocketAddr,
    /// How many registers.
    pub(crate) registers: u32,
    /// How much is sent.
    pub(crate) amount: Amount,
    /// How many lines the receipts have.
    pub(crate) items: Items,
    /// How it travels.
    pub(crate) mode: LoadMode,
    /// How answers are checked.
    pub(crate) check: Check,
    /// What is answered in this time at first is not counted. Only with [`Amount::Seconds`].
    pub(crate) warm: Duration,
    /// Processes whose processor time is reported.
    pub(crate) watch: Vec<u32>,
    /// The ФН numbers are 9999 followed by this number and those after it, on 12 digits.
    pub(crate) fn_base: u64,
    /// 9280 instead of 9999.
    pub(crate) genuine: bool,
    /// The same seed, base and clock make the same documents.
    pub(crate) seed: u64,
    /// Till time of the first document of each register, seconds of the wall clock (tag 1012). A run that
    /// is to end in the past begins [`Self::till_time_s`] before now.
    pub(crate) clock: u32,
    /// Keys of the simulated storages.
    pub(crate) keys: Arc<SimKeys>,
    /// Share of registers with encryption, percent.
    pub(crate) encrypted_percent: u8,
    /// Documents a second to prepare for, with [`Amount::Seconds`].
    pub(crate) expected_rate: u64,
    /// Receipts a second over all registers, at most; as fast as they are answered when there is none.
    pub(crate) rate: Option<u64>,
    /// Silence after which a connection is given up and its documents are sent again.
    pub(crate) answer_timeout: Duration,
    /// Pause before a new connection after a failed one.
    pub(crate) retry_pause: Duration,
    /// A register without any answer for this long leaves the run.
    pub(crate) give_up: Duration,
}

impl LoadOptions {
    /// Receipts that each register prepares; the first registers take the remainder.
    #[must_use]
    pub(crate) fn receipts_of(&self, register: u32) -> u64 {
        let registers = u64::from(self.registers.max(1));
        let total = match (self.amount, self.interval()) {
            (Amount::Documents(documents), _) => documents,
            // At a rate a register sends what becomes due, one at the first moment and one that it is not to lack.
            (Amount::Seconds(time), Some(interval)) => {
                let time = time.saturating_add(self.warm).as_nanos();
                let due = time.checked_div(interval.as_nanos()).unwrap_or(time);
                return u64::try_from(due).unwrap_or(u64::MAX).saturating_add(2);
            }
            // Half as much again: registers do not advance evenly, and the run ends with the first dry one.
            (Amount::Seconds(time), None) => {
                let time = time.saturating_add(self.warm);
                let wanted = u128::from(self.expected_rate).saturating_mul(time.as_millis()) * 3 / 2000;
                u64::try_from(wanted).unwrap_or(u64::MAX).saturating_add(registers)
            }
        };
        total / registers + u64::from(u64::from(register) < total % registers)
    }

    /// Time from one receipt of a register to its next, with a rate.
    pub(crate) fn interval(&self) -> Option<Duration> {
        let rate = self.rate?.max(1);
        let nanoseconds = u64::from(self.registers.max(1)).saturating_mul(1_000_000_000) / rate;
        Some(Duration::from_nanos(nanoseconds))
    }

    /// Till time between documents: a second, less when a register has more than fit a shift.
    pub(crate) fn pace(&self) -> Pace {
        Pace::new(self.documents_of_longest(), 1)
    }

    /// Till seconds from the first document to the end of the longest register.
    pub(crate) fn till_time_s(&self) -> u32 {
        self.pace().length_s(self.documents_of_longest())
    }

    fn documents_of_longest(&self) -> u64 {
        let opening = u64::try_from(OPENING_DOCUMENTS).unwrap_or(0);
        self.receipts_of(0).saturating_add(opening)
    }

    /// Receipts of all registers.
    #[must_use]
    pub(crate) fn receipts(&self) -> u64 {
        (0..self.registers).map(|register| self.receipts_of(register)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_retail_receipts_add_up() {
        assert_eq!(RETAIL.iter().map(|(_, share)| share).sum::<u64>(), 100);
        assert_eq!(
            [0, 29, 30, 61, 62, 98, 99].map(|draw| *Items::Retail.lines(draw).end()),
            [1, 1, 3, 3, 6, 60, 120]
        );
        assert_eq!(Items::Most(7).lines(50), 1..=7);
        assert_eq!(Items::Exactly(5).lines(50), 5..=5);
        let check = |text: &str, expected: Option<Items>| assert_eq!(text.parse().ok(), expected, "{text}");
        check("retail", Some(Items::Retail));
        check("200", Some(Items::Most(200)));
        check("=5", Some(Items::Exactly(5)));
        check("=", None);
        check("=0", None);
        check("201", None);
        check("0", None);
    }

    #[test]
    fn modes_are_read_and_written() {
        let check = |text: &str, expected: Option<LoadMode>| {
            assert_eq!(text.parse().ok(), expected, "{text}");
            if let Some(mode) = expected {
                assert_eq!(mode.to_string(), text);
            }
        };
        check("persistent", Some(LoadMode::Persistent));
        check("per-document", Some(LoadMode::PerDocument));
        check("window=1", Some(LoadMode::Window(1)));
        check("window=1024", Some(LoadMode::Window(1024)));
        check("window=1025", None);
        check("window=0", None);
        check("window=", None);
        check("both", None);
    }
}
