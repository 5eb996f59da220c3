//! How fast the clock of a till runs from document to document.

/// A shift may last 24 hours; a simulated one, with the documents around it, ends within this.
const DAY_MOST_S: u32 = 20 * 3600;

/// Till seconds between documents, chosen so that a register's whole life fits one shift.
///
/// Up to [`DAY_MOST_S`] documents each one takes at least a second. More than that (a load run prepares
/// hundreds of thousands for one register) share their seconds: no till is that fast, but neither the length
/// of the shift nor a time in the future gives an operator a reason to object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Most seconds of one step; a step has at least one.
    step_s: u32,
    /// Documents to a step.
    every: u64,
}

impl Pace {
    /// The pace of a life of so many documents, with steps of at most `most_step_s` seconds.
    pub(crate) fn new(documents: u64, most_step_s: u32) -> Self {
        let most = u64::from(DAY_MOST_S);
        let step = most / documents.max(1);
        Self {
            step_s: u32::try_from(step).unwrap_or(u32::MAX).min(most_step_s).max(1),
            every: documents.div_ceil(most).max(1),
        }
    }

    /// Till seconds that so many documents take at most: the length of a run.
    pub(crate) fn length_s(self, documents: u64) -> u32 {
        let steps = u32::try_from(documents.div_ceil(self.every)).unwrap_or(u32::MAX);
        steps.saturating_mul(self.step_s)
    }

    /// Most seconds that pass after the document `number` (from 1); nothing when the next one shares its
    /// second.
    pub(super) fn step_after(self, number: u32) -> Option<u32> {
        u64::from(number).is_multiple_of(self.every).then_some(self.step_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_life_fits_a_shift() {
        let check = |documents, most, step_s, every, length| {
            let pace = Pace::new(documents, most);
            assert_eq!((pace, pace.length_s(documents)), (Pace { step_s, every }, length), "{documents}");
        };
        check(0, 150, 150, 1, 0);
        check(24, 150, 150, 1, 3_600);
        check(1_000, 150, 72, 1, 72_000);
        check(1_000, 1, 1, 1, 1_000);
        check(72_000, 150, 1, 1, 72_000);
        check(72_001, 150, 1, 2, 36_001);
        check(1_000_004, 150, 1, 14, 71_429);
        check(16_777_215, 1, 1, 234, 71_698);
        for documents in (0..3_000_000).step_by(997) {
            assert!(Pace::new(documents, 150).length_s(documents) <= DAY_MOST_S, "{documents}");
        }
    }

    #[test]
    fn documents_share_a_second_when_there_are_too_many() {
        let pace = Pace::new(200_000, 1);
        let steps: Vec<_> = (1..=7).map(|number| pace.step_after(number)).collect();
        assert_eq!(steps, [None, None, Some(1), None, None, Some(1), None]);
    }
}
