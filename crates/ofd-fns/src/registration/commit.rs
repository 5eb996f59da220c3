//! Load, decide, commit; begin anew when the rows changed in between. And the draft of a change, in which steps of the state
//! machine become rows.

use std::collections::HashSet;

use ffd::ids::FnNumber;
use jiff::Timestamp;
use ofd_store::{
    Commit, CommitIds, Kkt, LeaseProof, NewTask, Registry, RegistryChange, RegistryReader, StoreError,
    TaskClose, TaskKind, row,
};

use super::machine::{Action, Step};

/// How often a change is decided anew before it is given up. Each time somebody else got something done, so this is far
/// more than two daemons and an operator can bring about.
const ATTEMPTS: u32 = 20;

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Settled<T> {
    /// Written.
    Done(T, CommitIds),
    /// Not written: others changed the same rows each time, or the lease is lost.
    Stale,
}

/// Decides and writes until it holds. `decide` reads what it needs anew each time; an empty change is not written.
pub(crate) fn settle<T, E: From<StoreError>>(
    registry: &mut Registry,
    mut decide: impl FnMut(&Registry) -> Result<(Draft, T), E>,
) -> Result<Settled<T>, E> {
    for _ in 0..ATTEMPTS {
        let (draft, value) = decide(registry)?;
        if draft.change.is_empty() {
            return Ok(Settled::Done(value, CommitIds::default()));
        }
        match registry.commit(&draft.change)? {
            Commit::Done(ids) => {
                draft.say();
                return Ok(Settled::Done(value, ids));
            }
            Commit::Stale => {}
        }
    }
    Ok(Settled::Stale)
}

/// A change that is being put together, with what is to be said once it is written.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// What is written.
    pub(crate) change: RegistryChange,
    /// Registers that come to another state.
    pub(crate) moved: u64,
    touched: HashSet<Touch>,
    lines: Vec<Line>,
}

/// A thing that a change must not decide about twice: the second decision would not see the first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Touch {
    /// A register.
    Kkt(i64),
    /// A ФН.
    Fn(FnNumber),
    /// A serial number of a ККТ.
    Serial(String),
    /// A registration number.
    Rnm(String),
    /// An application.
    Application(i64),
}

/// A line of the log about a register.
#[derive(Debug)]
struct Line {
    fn_number: String,
    rnm: String,
    serial: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Moved { from: &'static str, to: &'static str, why: &'static str },
    Task { kind: TaskKind, text: String },
    Warning(String),
}

impl Draft {
    /// An empty draft under a lease.
    pub(crate) fn under(lease: Option<&LeaseProof>) -> Self {
        let mut draft = Self::default();
        draft.change.lease = lease.cloned();
        draft
    }

    /// Whether the change decides about one of these already; if not, it does from now on.
    pub(crate) fn touch(&mut self, things: Vec<Touch>) -> bool {
        if things.iter().any(|thing| self.touched.contains(thing)) {
            return false;
        }
        self.touched.extend(things);
        true
    }

    /// Whether the change decides about this already.
    pub(crate) fn is_touched(&self, thing: &Touch) -> bool {
        self.touched.contains(thing)
    }

    /// Takes in the steps of one register, in their order, and gives its number: that of the row, or
    /// [`row`](fn@row) of a new one. `seq`: the document its tasks are about.
    pub(crate) fn put(&mut self, steps: Vec<Step>, seq: Option<i64>, now: Timestamp) -> i64 {
        let Some(kkt) = steps.last().map(|step| step.kkt.clone()) else { return 0 };
        let id = if kkt.id == 0 { row(self.change.kkts.len()) } else { kkt.id };
        let mut moved = false;
        for step in steps {
            moved |= step.moved();
            if step.moved() {
                let from = step.from.map_or("(none)", ofd_store::RegistrationState::name);
                let what = What::Moved { from, to: step.kkt.state.name(), why: step.trigger.words() };
                self.line(&step.kkt, what);
            }
            for action in step.actions {
                self.act(&step.kkt, id, action, seq, now);
            }
        }
        self.moved += u64::from(moved);
        self.change.kkts.push(kkt);
        id
    }

    /// A task about a register.
    pub(crate) fn task(
        &mut self,
        kkt: &Kkt,
        kkt_id: i64,
        kind: TaskKind,
        text: String,
        seq: Option<i64>,
        at: Timestamp,
    ) {
        self.line(kkt, What::Task { kind, text: text.clone() });
        self.change.tasks.push(NewTask { kind, seq, kkt_id: Some(kkt_id), text, at });
    }

    /// A line of warning about a register.
    pub(crate) fn warn(&mut self, kkt: &Kkt, warning: String) {
        self.line(kkt, What::Warning(warning));
    }

    fn act(&mut self, kkt: &Kkt, id: i64, action: Action, seq: Option<i64>, at: Timestamp) {
        match action {
            Action::Task { kind, text } => self.task(kkt, id, kind, text, seq, at),
            // A register that is not stored yet has no tasks.
            Action::CloseTasks { .. } if kkt.id == 0 => {}
            Action::CloseTasks { kind, note } => {
                let note = Some(note.to_owned());
                self.change.close_tasks.push(TaskClose::OfKkt { kind, kkt_id: kkt.id, at, note });
            }
            Action::RefreshSoft(fn_number) => self.change.refresh.push(fn_number),
            Action::WithdrawFn(fn_number) => self.change.withdrawn_fns.push((id, fn_number)),
            Action::Warn(warning) => self.warn(kkt, warning),
        }
    }

    fn line(&mut self, kkt: &Kkt, what: What) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        self.lines.push(Line {
            fn_number: kkt.fn_number.map(|number| number.to_string()).unwrap_or_default(),
            rnm: text(&kkt.rnm),
            serial: text(&kkt.serial),
            what,
        });
    }

    /// Says what was written.
    pub(crate) fn say(&self) {
        for Line { fn_number, rnm, serial, what } in &self.lines {
            match what {
                What::Moved { from, to, why } => {
                    tracing::info!(%fn_number, %rnm, kkt_serial = %serial, from, to, "register moved: {why}");
                }
                What::Task { kind, text } => {
                    tracing::warn!(%fn_number, %rnm, kkt_serial = %serial, task = kind.name(), "{text}");
                }
                What::Warning(warning) => {
                    tracing::warn!(%fn_number, %rnm, kkt_serial = %serial, "{warning}");
                }
            }
        }
    }

    /// Keeps the contract line of a register up with it: the ФН in it and its registration number.
    pub(crate) fn follow_line(&mut self, registry: &RegistryReader, kkt: &Kkt) -> Result<(), StoreError> {
        let Some(id) = kkt.line_id else { return Ok(()) };
        let Some(mut line) = registry.line(id)?.filter(|line| line.closed_at.is_none()) else {
            return Ok(());
        };
        if line.fn_number == kkt.fn_number && line.rnm == kkt.rnm {
            return Ok(());
        }
        if line.fn_number != kkt.fn_number {
            line.fn_model = None;
        }
        line.fn_number = kkt.fn_number;
        line.rnm.clone_from(&kkt.rnm);
        self.change.lines.push(line);
        Ok(())
    }
}
