//! What is drawn about a life before it begins.

use std::collections::VecDeque;

use ffd::FfdVersion;

use super::{Act, LifeSettings, Scene, rng_of};
use crate::kkt::{Cause, FnLife};
use crate::rng::Rng;
use crate::trade::Trade;

/// One receipt of this many is the refund of the sale before it.
const REFUND_EVERY: u32 = 7;
/// One receipt of this many is a payout, and the one after it gives the money back every other time.
const PAYOUT_EVERY: u32 = 12;
/// Shortest life with a change of parameters.
const CHANGE_DAYS: u32 = 3;
/// Shortest life with a change of the ФН.
const REPLACEMENT_DAYS: u32 = 5;
/// Most seconds by which the work of a day begins later than that of the first.
const LATEST_MORNING_S: u64 = 3_600;

/// The plan of a life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    days: u32,
    receipts: u32,
    from_another_operator: bool,
    /// Day before whose shift the parameters change, and how.
    change: Option<(u32, Cause)>,
    /// Day after whose shift the storage is replaced.
    replacement: Option<u32>,
    /// The storage is closed at the end.
    ends: bool,
    /// First and last day without the operator.
    offline: Option<(u32, u32)>,
    /// Days with a report on the state of settlements: 1 in the shift, 2 before it, 3 both.
    state_reports: Vec<u8>,
    mornings: Vec<u32>,
    /// Resources of the first storage.
    pub(super) first_storage: FnLife,
    /// Version of the format after the replacement of the storage.
    pub(super) next_ffd: FfdVersion,
}

impl Plan {
    /// Draws a life. One day has only what every day has.
    pub(crate) fn invent(settings: &LifeSettings) -> Self {
        let mut rng = rng_of(settings);
        let days = settings.days.max(1);
        let offline = offline(days, settings.offline_days);
        let reachable = |day: u32| offline.is_none_or(|(first, last)| day < first || day > last);
        let draw_day = |rng: &mut Rng, low: u32| {
            let day = rng.range(low.into(), u64::from(days.saturating_sub(2)));
            u32::try_from(day).unwrap_or(low)
        };
        let change = (days >= CHANGE_DAYS && rng.percent(60))
            .then(|| (draw_day(&mut rng, 1), cause(&mut rng, settings.trade)));
        let replacement = (days >= REPLACEMENT_DAYS && rng.percent(50))
            .then(|| draw_day(&mut rng, 2))
            .filter(|day| reachable(*day));
        let state_reports =
            (0..days).map(|_| if days > 1 && rng.percent(30) { range(&mut rng, 1, 3) } else { 0 });
        let state_reports: Vec<u8> = state_reports.collect();
        let mornings = (0..days).map(|day| match day {
            0 => 0,
            _ if day + 1 == days => 0,
            _ => u32::try_from(rng.below(LATEST_MORNING_S)).unwrap_or(0),
        });
        let mornings: Vec<u32> = mornings.collect();
        Self {
            days,
            receipts: settings.receipts,
            from_another_operator: days > 1 && rng.percent(15),
            change,
            ends: days > 1 && rng.percent(25) && reachable(days - 1),
            offline,
            state_reports,
            mornings,
            first_storage: first_storage(&mut rng, replacement, settings),
            next_ffd: next_ffd(&mut rng, settings.ffd),
            replacement,
        }
    }

    /// Documents that the operator gets.
    pub(crate) fn documents(&self) -> u64 {
        let besides: u32 = (0..self.days)
            .map(|day| {
                let reports = self.state_reports_of(day).count_ones();
                let changes = u32::from(self.change.is_some_and(|(when, _)| when == day));
                let closings = 2 * u32::from(self.replacement == Some(day));
                3 + reports + changes + closings
            })
            .sum();
        u64::from(self.days) * u64::from(self.receipts) + u64::from(besides) + 1 + u64::from(self.ends)
    }

    pub(super) fn comes_from_another_operator(&self) -> bool {
        self.from_another_operator
    }

    /// Seconds by which the work of a day begins later than that of the first.
    pub(super) fn morning(&self, day: u32) -> u32 {
        usize::try_from(day).ok().and_then(|day| self.mornings.get(day)).copied().unwrap_or(0)
    }

    /// The scenes of a day, from 0.
    pub(super) fn scenes(&self, day: u32) -> VecDeque<Scene> {
        let mut acts = Vec::new();
        if day == 0 {
            let from_elsewhere = self.from_another_operator;
            acts.push(if from_elsewhere { Act::Change(Cause::Operator) } else { Act::Register });
        }
        if let Some((_, cause)) = self.change.filter(|(when, _)| *when == day) {
            acts.push(Act::Change(cause));
        }
        let reports = self.state_reports_of(day);
        if reports & 2 != 0 {
            acts.push(Act::ReportState);
        }
        acts.push(Act::OpenShift);
        let before = day.saturating_mul(self.receipts);
        acts.extend((1..=self.receipts).map(|number| receipt(before.saturating_add(number))));
        acts.push(Act::Correct);
        if reports & 1 != 0 {
            acts.push(Act::ReportState);
        }
        acts.push(Act::CloseShift);
        if self.replacement == Some(day) {
            acts.extend([Act::CloseFn, Act::ReplaceFn]);
        }
        let last_day = day + 1 == self.days;
        if last_day && self.ends {
            acts.push(Act::CloseFn);
        }
        let reachable = self.offline.is_none_or(|(first, last)| day < first || day > last);
        let mut scenes: VecDeque<Scene> =
            acts.into_iter().map(|act| Scene { act, online: reachable }).collect();
        if let Some(scene) = scenes.back_mut().filter(|_| last_day) {
            scene.online = true;
        }
        scenes
    }

    fn state_reports_of(&self, day: u32) -> u8 {
        usize::try_from(day).ok().and_then(|day| self.state_reports.get(day)).copied().unwrap_or(0)
    }
}

/// The act of the receipt with this number in the life.
fn receipt(number: u32) -> Act {
    match number {
        _ if number.is_multiple_of(REFUND_EVERY) => Act::Refund,
        _ if number.is_multiple_of(PAYOUT_EVERY) => Act::PayOut,
        _ if number % (2 * PAYOUT_EVERY) == 1 && number > 1 => Act::RefundPayout,
        _ => Act::Sell,
    }
}

/// The silence begins after the first day, if the life is long enough to end it; else it lasts all life, and
/// the last document brings everything along.
fn offline(days: u32, wanted: u32) -> Option<(u32, u32)> {
    match wanted {
        0 => None,
        _ if wanted < days => Some((1, wanted)),
        _ => Some((0, days - 1)),
    }
}

fn cause(rng: &mut Rng, trade: Trade) -> Cause {
    const COMMON: [Cause; 5] = [Cause::UserName, Cause::Address, Cause::Model, Cause::Taxation, Cause::Other];
    if trade.automatic() && rng.percent(50) {
        return Cause::Automat;
    }
    // A change of the taxation list makes room for a patent, which an internet shop or an agent has no use for.
    let cause = rng.pick(&COMMON).copied().unwrap_or(Cause::Other);
    if cause == Cause::Taxation && trade.in_internet() { Cause::Other } else { cause }
}

/// A storage that is replaced is near its end by its keys or full; of the others some are.
fn first_storage(rng: &mut Rng, replacement: Option<u32>, settings: &LifeSettings) -> FnLife {
    let ordinary = FnLife::default();
    let Some(day) = replacement else {
        let days = if rng.percent(10) { range(rng, 1, 40).into() } else { ordinary.days };
        return FnLife { days, ..ordinary };
    };
    if rng.percent(30) {
        let made = (day + 1).saturating_mul(settings.receipts.saturating_add(3));
        return FnLife { capacity: made.max(100), ..ordinary };
    }
    let days = u16::try_from(day).unwrap_or(0).saturating_add(range(rng, 1, 5).into());
    FnLife { days, ..ordinary }
}

/// A new storage is the moment to leave an old version of the format.
fn next_ffd(rng: &mut Rng, ffd: FfdVersion) -> FfdVersion {
    if ffd != FfdVersion::V1_2 && rng.percent(50) { FfdVersion::V1_2 } else { ffd }
}

fn range(rng: &mut Rng, low: u8, high: u8) -> u8 {
    u8::try_from(rng.range(low.into(), high.into())).unwrap_or(low)
}
