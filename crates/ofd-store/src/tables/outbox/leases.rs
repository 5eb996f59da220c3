//! Who sends what: leases over slots, in time and in epochs.

use std::collections::{HashMap, HashSet};

use rusqlite::params;
use rusqlite::types::Value;

use super::{SlotColumn, most, rows};
use crate::outbox::{Claim, ClaimOrder, HolderId, Holding, LANE_SLOTS, Lease, LeaseProof, Slot};
use crate::sql::{self, Db, OptionalExtension as _, Row};
use crate::tables::columns::Moment;

/// How far the clock may go back, in microseconds, before leases counted from it are taken for made up: when a lease was
/// renewed later than now, its clock was wrong, or ours is.
const CLOCK_SLACK: i64 = 10_000_000;
/// The server's clock, microseconds UTC: not when the transaction began, for it may have waited for its turn.
const SERVER_NOW: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
/// Whether a lease or the place of a holder has run out: by its end, or because it was renewed in the future, so that it
/// would last longer than it was given for.
const RAN_OUT: &str = "(until <= ?1 OR renewed_at > ?2)";

/// By whose clock leases are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseClock {
    /// That of who claims: all of them are of one host.
    Caller,
    /// The server's.
    Server,
}

/// Slots of which the leases shown are still those of the holder.
#[derive(Debug, Default)]
pub(super) struct Held {
    slots: HashSet<Slot>,
    /// The others.
    pub(super) lost: Vec<Slot>,
}

impl Held {
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.slots.contains(&slot)
    }
}

/// Whether a lease is still the holder's. Time plays no part: while nobody else took the slot, nobody else records
/// results of it.
pub(crate) fn holds(db: Db<'_>, proof: &LeaseProof) -> sql::Result<bool> {
    db.prepare("SELECT 1 FROM fns_slots WHERE slot = ?1 AND holder = ?2 AND epoch = ?3")?.exists(params![
        proof.slot.get(),
        proof.holder.as_str(),
        proof.epoch
    ])
}

/// Which of the leases are still the holder's.
pub(super) fn held(db: Db<'_>, holder: &HolderId, leases: &[Lease]) -> sql::Result<Held> {
    let mut held = Held::default();
    if leases.is_empty() {
        return Ok(held);
    }
    let current: HashMap<Slot, i64> =
        leases_of(db, holder.as_str())?.into_iter().map(|lease| (lease.slot, lease.epoch)).collect();
    for lease in leases {
        if current.get(&lease.slot) == Some(&lease.epoch) {
            held.slots.insert(lease.slot);
        } else {
            held.lost.push(lease.slot);
        }
    }
    Ok(held)
}

/// Who holds what, by name.
pub(crate) fn holdings(db: Db<'_>) -> sql::Result<Vec<Holding>> {
    rows(
        db,
        "SELECT holder, count(*) FILTER (WHERE slot < 256), max(slot) = 256, min(until) FROM fns_slots \
         WHERE holder IS NOT NULL GROUP BY holder ORDER BY holder",
        [],
        |row| {
            Ok(Holding {
                holder: row.get(0)?,
                lanes: u16::try_from(row.get::<i64>(1)?).unwrap_or(u16::MAX),
                registrar: row.get(2)?,
                until: row.get::<Moment>(3)?.0,
            })
        },
    )
}

/// Everybody who has a lease or a place among those who send.
pub(crate) fn holders(db: Db<'_>) -> sql::Result<Vec<String>> {
    let sql = "SELECT holder FROM fns_slots WHERE holder IS NOT NULL UNION SELECT holder FROM fns_holders";
    rows(db, sql, [], |row| row.get(0))
}

/// Renews what the holder has and takes what is free, up to its fair share.
pub(crate) fn claim(db: Db<'_>, order: &ClaimOrder, clock: LeaseClock) -> sql::Result<Claim> {
    let holder = order.holder.as_str();
    let (now, until) = moments(db, order, clock)?;
    if order.lanes {
        db.execute(
            "INSERT INTO fns_holders (holder, until, renewed_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT (holder) DO UPDATE SET until = excluded.until, renewed_at = excluded.renewed_at",
            params![holder, until, now],
        )?;
    }
    db.execute(&format!("DELETE FROM fns_holders WHERE {RAN_OUT}"), [now, now.saturating_add(CLOCK_SLACK)])?;
    let holders: i64 = db.query_row("SELECT count(*) FROM fns_holders", [], |row| row.get(0))?;
    let holders = usize::try_from(holders).unwrap_or(0);
    let share = usize::from(LANE_SLOTS).div_ceil(holders.max(1));
    db.execute(
        "UPDATE fns_slots SET until = ?2, renewed_at = ?3 WHERE holder = ?1",
        params![holder, until, now],
    )?;
    let mut claim = Claim { leases: leases_of(db, holder)?, holders, ..Claim::default() };
    let lanes = claim.leases.iter().filter(|lease| lease.slot.has_lanes()).count();
    let wanted = if order.lanes { share.saturating_sub(lanes) } else { 0 };
    claim.gained = free(db, now, wanted)?;
    if order.registrar && !claim.leases.iter().any(|lease| lease.slot == Slot::REGISTRAR) {
        claim.gained.extend(free_registrar(db, now)?);
    }
    let taken = claim.gained.iter().map(|slot| {
        [Value::from(slot.get()), Value::from(holder.to_owned()), Value::from(until), Value::from(now)]
    });
    db.prepare(
        "UPDATE fns_slots SET holder = ?2, epoch = epoch + 1, until = ?3, renewed_at = ?4 WHERE slot = ?1",
    )?
    .execute_many(taken)?;
    if !claim.gained.is_empty() {
        claim.leases = leases_of(db, holder)?;
    }
    claim.excess = lanes.saturating_sub(share);
    Ok(claim)
}

/// Now, and when the leases run out.
fn moments(db: Db<'_>, order: &ClaimOrder, clock: LeaseClock) -> sql::Result<(i64, i64)> {
    let (now, until) = (order.now.as_microsecond(), order.until.as_microsecond());
    let now_there = match clock {
        LeaseClock::Caller => now,
        LeaseClock::Server => db.query_row(SERVER_NOW, [], |row| row.get(0))?,
    };
    Ok((now_there, now_there.saturating_add(until.saturating_sub(now))))
}

/// Gives slots back.
pub(crate) fn release(db: Db<'_>, holder: &HolderId, slots: &[Slot]) -> sql::Result<()> {
    let given = slots.iter().map(|slot| [Value::from(slot.get()), Value::from(holder.as_str().to_owned())]);
    db.prepare("UPDATE fns_slots SET holder = NULL, until = 0 WHERE slot = ?1 AND holder = ?2")?
        .execute_many(given)?;
    Ok(())
}

/// Gives everything back.
pub(crate) fn leave(db: Db<'_>, holder: &HolderId) -> sql::Result<()> {
    db.execute("UPDATE fns_slots SET holder = NULL, until = 0 WHERE holder = ?1", [holder.as_str()])?;
    db.execute("DELETE FROM fns_holders WHERE holder = ?1", [holder.as_str()])?;
    Ok(())
}

fn leases_of(db: Db<'_>, holder: &str) -> sql::Result<Vec<Lease>> {
    rows(db, "SELECT slot, epoch, until FROM fns_slots WHERE holder = ?1 ORDER BY slot", [holder], |row| {
        Ok(Lease { slot: row.get::<SlotColumn>(0)?.0, epoch: row.get(1)?, until: row.get::<Moment>(2)?.0 })
    })
}

/// Slots with lanes that nobody holds any more. The table has 257 rows.
fn free(db: Db<'_>, now: i64, wanted: usize) -> sql::Result<Vec<Slot>> {
    let sql = format!(
        "SELECT slot FROM fns_slots WHERE slot < ?3 AND (holder IS NULL OR {RAN_OUT}) ORDER BY slot LIMIT ?4"
    );
    rows(db, &sql, params![now, now.saturating_add(CLOCK_SLACK), LANE_SLOTS, most(wanted)], slot)
}

fn free_registrar(db: Db<'_>, now: i64) -> sql::Result<Option<Slot>> {
    let sql = format!("SELECT slot FROM fns_slots WHERE slot = ?3 AND (holder IS NULL OR {RAN_OUT})");
    let key = params![now, now.saturating_add(CLOCK_SLACK), Slot::REGISTRAR.get()];
    db.query_row(&sql, key, slot).optional()
}

fn slot(row: &Row<'_>) -> sql::Result<Slot> {
    Ok(row.get::<SlotColumn>(0)?.0)
}
