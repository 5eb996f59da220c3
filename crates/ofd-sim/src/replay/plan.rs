//! What is sent on which connection, when, and after what.
//!
//! Two orders are kept whatever the speed: that of a connection, and that of a storage (ФН) over all
//! connections, because a storage never sends a document before the one before it is done with. As captured,
//! a message leaves before the answers that the register did not wait for either.

use std::collections::HashMap;
use std::time::Duration;

use ffd::FnNumber;

use super::messages::{CapturedFlow, CapturedMessage, Exchange};
use crate::load::LoadMode;

/// How captured messages are spread over connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One connection for each captured one.
    Captured,
    /// As a load run does: by storage, or one for each message.
    Mode(LoadMode),
}

/// How fast captured time runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// Captured pauses divided by this.
    Times(f64),
    /// No pauses at all.
    Unlimited,
}

/// Everything there is to send.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Connections.
    pub(crate) lanes: Vec<Lane>,
    /// Storages by the number that [`Step::storage`] has.
    pub(crate) storages: Vec<FnNumber>,
    /// Captured time from the first message to the last.
    pub(crate) span: Duration,
}

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// Messages in order; never empty.
    pub(crate) steps: Vec<Step>,
    /// The connect counts into the latency of the first message.
    pub(crate) connect_counts: bool,
}

/// One message.
#[derive(Debug)]
pub(crate) struct Step {
    /// What is sent.
    pub(crate) message: CapturedMessage,
    /// What the operator answered when this was captured.
    pub(crate) captured_answer: Option<Vec<u8>>,
    /// Moment of writing, from the beginning of the run.
    pub(crate) due: Duration,
    /// So many messages of this lane must be done with before.
    pub(crate) after_in_lane: usize,
    /// Its storage.
    pub(crate) storage: usize,
    /// So many messages of its storage, on any lane, must be done with before; 0 when its lane sees to that.
    pub(crate) after_in_storage: usize,
}

impl Plan {
    /// Messages of all lanes.
    pub(crate) fn messages(&self) -> usize {
        self.lanes.iter().map(|lane| lane.steps.len()).sum()
    }
}

/// Makes the plan of the first `limit` messages in the order of their capture.
pub(crate) fn plan(flows: Vec<CapturedFlow>, shape: Shape, speed: Speed, limit: usize) -> Plan {
    let sent = in_order(flows, limit);
    let first = sent.first().map_or(Duration::ZERO, |sent| sent.exchange.message.at);
    let last = sent.last().map_or(Duration::ZERO, |sent| sent.exchange.message.at);
    let mut plan = Plan { span: last.saturating_sub(first), ..Plan::default() };
    let mut storages: HashMap<FnNumber, StorageCourse> = HashMap::new();
    let mut lanes: HashMap<usize, (usize, Vec<Option<Duration>>)> = HashMap::new();
    for (index, Sent { flow, exchange: Exchange { message, answer } }) in sent.into_iter().enumerate() {
        let known = storages.len();
        let storage = storages.entry(message.header.fn_number).or_insert_with(|| {
            plan.storages.push(message.header.fn_number);
            StorageCourse { index: known, before: 0, last_lane: None }
        });
        let key = match shape {
            Shape::Captured => flow,
            Shape::Mode(LoadMode::PerDocument) => index,
            Shape::Mode(LoadMode::Persistent | LoadMode::Window(_)) => storage.index,
        };
        let next_lane = plan.lanes.len();
        let (lane_index, answered) = lanes.entry(key).or_insert_with(|| {
            let connect_counts = shape == Shape::Mode(LoadMode::PerDocument);
            plan.lanes.push(Lane { steps: Vec::new(), connect_counts });
            (next_lane, Vec::new())
        });
        let after_in_lane = match shape {
            Shape::Captured => waited_for(answered, message.at),
            Shape::Mode(mode) => (answered.len() + 1).saturating_sub(mode.window()),
        };
        let elsewhere = storage.last_lane.is_some_and(|lane| lane != *lane_index);
        let after_in_storage = if elsewhere { storage.before } else { 0 };
        answered.push(answer.as_ref().map(|answer| answer.at));
        storage.before += 1;
        storage.last_lane = Some(*lane_index);
        let due = match speed {
            Speed::Unlimited => Duration::ZERO,
            Speed::Times(times) => scaled(message.at.saturating_sub(first), times),
        };
        let step = Step {
            captured_answer: answer.map(|answer| answer.bytes),
            due,
            after_in_lane,
            storage: storage.index,
            after_in_storage,
            message,
        };
        if let Some(lane) = plan.lanes.get_mut(*lane_index) {
            lane.steps.push(step);
        }
    }
    plan
}

struct Sent {
    flow: usize,
    exchange: Exchange,
}

struct StorageCourse {
    index: usize,
    /// Messages planned so far.
    before: usize,
    last_lane: Option<usize>,
}

/// All messages by the moment of their last byte; ties keep the order of connections. Within a connection the
/// moments never fall, so its order is kept too.
fn in_order(flows: Vec<CapturedFlow>, limit: usize) -> Vec<Sent> {
    let mut sent: Vec<Sent> = flows
        .into_iter()
        .enumerate()
        .flat_map(|(flow, captured)| {
            captured.exchanges.into_iter().map(move |exchange| Sent { flow, exchange })
        })
        .collect();
    sent.sort_by_key(|sent| sent.exchange.message.at);
    sent.truncate(limit);
    sent
}

/// How many messages of a connection were answered before another left at `at`. One whose answer was not
/// captured counts as answered: registers wait, and a capture of one direction says nothing.
fn waited_for(answered: &[Option<Duration>], at: Duration) -> usize {
    let under_way = answered.iter().rev().take_while(|answer| answer.is_some_and(|answer| answer > at));
    answered.len() - under_way.count()
}

fn scaled(time: Duration, times: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() / times).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
