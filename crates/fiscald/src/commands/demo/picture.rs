//! One look at all three sides while the day goes on, and how it is drawn: within 100 columns.

use ffd::value::Kopecks;
use ofd_fns::registration::{ContractStanding, Dimensions, FnCondition, FnsCondition, Liveness, label};
use ofd_sim::live::LiveCounts;
use ofd_store::{OutboxState, Reader, RegistrationState, RegistryReader, StoreError};

/// Columns of a name and of a bar.
const NAME: usize = 43;
const BAR: u64 = 36;

/// What is stored, counted by readers of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// Documents of the journal.
    pub(super) journal: u64,
    /// Registers by state.
    pub(super) states: Vec<(RegistrationState, u64)>,
    /// Documents of the outbox by state.
    pub(super) outbox: Vec<(OutboxState, u64)>,
}

impl Stored {
    /// # Errors
    /// The store cannot be read.
    pub(super) fn read(url: &str) -> Result<Self, StoreError> {
        let reader = Reader::open(url)?;
        Ok(Self {
            journal: reader.counts()?.documents,
            outbox: reader.outbox_depths()?.states,
            states: RegistryReader::open(url)?.state_counts()?,
        })
    }

    /// Registers in this state.
    pub(super) fn registers(&self, state: RegistrationState) -> u64 {
        self.states.iter().filter(|(of, _)| *of == state).map(|(_, count)| count).sum()
    }

    /// Documents that the tax service has taken.
    pub(super) fn delivered(&self) -> u64 {
        use OutboxState::{Accepted, Delivered, Hard, Soft};
        self.documents(&[Delivered, Accepted, Soft, Hard])
    }

    /// Documents that it has accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.documents(&[OutboxState::Accepted])
    }

    /// Documents about which there is nothing more to wait for.
    pub(super) fn settled(&self) -> u64 {
        use OutboxState::{Accepted, Dead, Hard, Superseded};
        self.documents(&[Accepted, Hard, Dead, Superseded])
    }

    fn documents(&self, states: &[OutboxState]) -> u64 {
        self.outbox.iter().filter(|(state, _)| states.contains(state)).map(|(_, count)| count).sum()
    }
}

/// Everything at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Picture {
    /// Seconds since the beginning.
    pub(super) seconds: u64,
    /// Registers of the day.
    pub(super) registers: u32,
    /// What the simulated registers say.
    pub(super) counts: LiveCounts,
    /// What is stored.
    pub(super) stored: Stored,
}

impl Picture {
    /// Registers linked and documents made, one line, for a log or a pipe.
    pub(super) fn line(&self) -> String {
        let (counts, stored) = (&self.counts, &self.stored);
        format!(
            "{:>4} s  linked {}/{}  made {}, acknowledged {}, delivered {}, accepted {}",
            self.seconds,
            stored.registers(RegistrationState::Linked),
            self.registers,
            counts.documents,
            counts.acknowledged(),
            stored.delivered(),
            stored.accepted(),
        )
    }

    /// The whole table.
    pub(super) fn table(&self) -> String {
        let registers = u64::from(self.registers);
        let mut lines = vec![row(&format!("REGISTERS after {} s", self.seconds), registers, "")];
        for (label, count) in self.labels() {
            lines.push(row(&label, count, &bar(count, registers)));
        }
        lines.push(String::new());
        let counts = &self.counts;
        let made = counts.documents;
        let turnover = format!("turnover {} roubles", Kopecks::new(counts.turnover_kopecks));
        lines.push(row("DOCUMENTS made by the registers", made, &turnover));
        for (name, count) in [
            ("acknowledged, each answer verified by the ФН", counts.acknowledged()),
            ("in the journal, before each answer", self.stored.journal),
            ("delivered to the tax service", self.stored.delivered()),
            ("accepted by it", self.stored.accepted()),
        ] {
            lines.push(row(name, count, &bar(count, made)));
        }
        lines.push(String::new());
        let lost = format!("on purpose; {} connected anew, repeated", counts.reconnects);
        lines.push(row("answers lost", counts.lost_answers, &lost));
        let deliberate = counts.repeats_equal.saturating_add(counts.repeats_different);
        let equal = format!("{deliberate} on purpose, {} got the same bytes", counts.repeats_equal);
        lines.push(row("repeats", counts.repeats, &equal));
        if counts.refused() > 0 {
            lines.push(row("ANSWERS REFUSED BY THE ФН", counts.refused(), ""));
        }
        lines.join("\n")
    }

    /// What merchants see, and how many: the stations of an ordinary way, and all others where a register is.
    fn labels(&self) -> Vec<(String, u64)> {
        use RegistrationState::{ContractDraft, Contracted, Linked, ReportReceived, RnmAssigned};
        let mut labels: Vec<(String, u64)> = Vec::new();
        for state in RegistrationState::ALL {
            let (label, count) = (label(state, &UNDER_CONTRACT), self.stored.registers(state));
            let is_usual = [ContractDraft, Contracted, RnmAssigned, ReportReceived, Linked].contains(&state);
            match labels.iter_mut().find(|(known, _)| *known == label) {
                Some((_, sum)) => *sum += count,
                None if is_usual || count > 0 => labels.push((label, count)),
                None => {}
            }
        }
        labels
    }
}

/// A register of the demonstration beside its state: its contract is signed and it works.
const UNDER_CONTRACT: Dimensions = Dimensions {
    contract: ContractStanding::Active,
    liveness: Liveness::Online,
    fn_condition: FnCondition::Ok,
    fns: FnsCondition::Ok,
};

fn row(name: &str, count: u64, text: &str) -> String {
    format!(" {name:<NAME$} {count:>8}  {text}").trim_end().to_owned()
}

/// A bar that is full when `count` is all of `of`; never empty while there is something.
fn bar(count: u64, of: u64) -> String {
    let full = count.min(of).saturating_mul(BAR).checked_div(of).unwrap_or(0);
    let cells = if count > 0 { full.max(1) } else { 0 };
    "█".repeat(usize::try_from(cells).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture {
            seconds: 7,
            registers: 2_000,
            counts: LiveCounts {
                documents: 20_000_000,
                accepted: 20_000_000,
                refused_sign: 1,
                reconnects: 2_000,
                repeats: 4_000,
                repeats_equal: 2_000,
                turnover_kopecks: 999_999_999_999,
                ..LiveCounts::default()
            },
            stored: Stored {
                journal: 20_000_000,
                states: RegistrationState::ALL.into_iter().map(|state| (state, 100)).collect(),
                outbox: OutboxState::ALL.into_iter().map(|state| (state, 1_000_000)).collect(),
            },
        }
    }

    #[test]
    fn the_largest_picture_fits_the_screen() {
        let picture = picture();
        for line in picture.table().lines().chain([picture.line().as_str()]) {
            assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        }
    }

    #[test]
    fn documents_are_counted_by_what_the_tax_service_did() {
        let stored = picture().stored;
        assert_eq!(stored.delivered(), 4_000_000);
        assert_eq!(stored.accepted(), 1_000_000);
        assert_eq!(stored.settled(), 4_000_000);
        assert_eq!(Stored::default().delivered(), 0);
    }

    #[test]
    fn bars_are_never_empty_while_there_is_something() {
        let check =
            |count, of, cells: usize| assert_eq!(bar(count, of).chars().count(), cells, "{count} of {of}");
        check(0, 8, 0);
        check(1, 2_000, 1);
        check(4, 8, 18);
        check(8, 8, 36);
        check(9, 8, 36);
        check(0, 0, 0);
    }

    #[test]
    fn labels_off_the_ordinary_way_are_shown_when_there_are_any() {
        let mut picture = Picture { registers: 8, ..Picture::default() };
        assert_eq!(picture.labels().len(), 5);
        picture.stored.states = vec![
            (RegistrationState::ReportReceived, 2),
            (RegistrationState::ReportForwarded, 3),
            (RegistrationState::ReportRefused, 1),
        ];
        let labels = picture.labels();
        assert!(labels.contains(&("Отчёт получен, ожидаем карточку".to_owned(), 5)), "{labels:?}");
        assert!(labels.contains(&("Отказ ФНС".to_owned(), 1)) && labels.len() == 6, "{labels:?}");
    }
}
