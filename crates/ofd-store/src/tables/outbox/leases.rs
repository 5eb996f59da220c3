//! Who sends what: leases over slots, in time and in epochs.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::{SlotColumn, most};
use crate::outbox::{Claim, ClaimOrder, HolderId, Holding, LANE_SLOTS, Lease, LeaseProof, Slot};
use crate::tables::columns::Moment;

/// How far the clock may go back, in microseconds, before leases counted from it are taken for made up: when a lease was
/// renewed later than now, its clock was wrong, or ours is.
const CLOCK_SLACK: i64 = 10_000_000;
/// Whether a lease or the place of a holder has run out: by its end, or because it was renewed in the future, so that it
/// would last longer than it was given for.
const RAN_OUT: &str = "(until <= ?1 OR renewed_at > ?2)";

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
pub(crate) fn holds(connection: &Connection, proof: &LeaseProof) -> rusqlite::Result<bool> {
    let found = connection
        .prepare_cached("SELECT 1 FROM fns_slots WHERE slot = ?1 AND holder = ?2 AND epoch = ?3")?
        .query_row(params![proof.slot.get(), proof.holder.as_str(), proof.epoch], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

/// Which of the leases are still the holder's.
pub(super) fn held(connection: &Connection, holder: &HolderId, leases: &[Lease]) -> rusqlite::Result<Held> {
    let mut held = Held::default();
    if leases.is_empty() {
        return Ok(held);
    }
    let current: HashMap<Slot, i64> =
        leases_of(connection, holder.as_str())?.into_iter().map(|lease| (lease.slot, lease.epoch)).collect();
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
pub(crate) fn holdings(connection: &Connection) -> rusqlite::Result<Vec<Holding>> {
    connection
        .prepare_cached(
            "SELECT holder, count(*) FILTER (WHERE slot < 256), max(slot) = 256, min(until) FROM fns_slots \
             WHERE holder IS NOT NULL GROUP BY holder ORDER BY holder",
        )?
        .query_map([], |row| {
            Ok(Holding {
                holder: row.get(0)?,
                lanes: u16::try_from(row.get::<_, i64>(1)?).unwrap_or(u16::MAX),
                registrar: row.get(2)?,
                until: row.get::<_, Moment>(3)?.0,
            })
        })?
        .collect()
}

/// Everybody who has a lease or a place among those who send.
pub(crate) fn holders(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT holder FROM fns_slots WHERE holder IS NOT NULL UNION SELECT holder FROM fns_holders",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Renews what the holder has and takes what is free, up to its fair share.
pub(crate) fn claim(connection: &Connection, order: &ClaimOrder) -> rusqlite::Result<Claim> {
    let (holder, now, until) =
        (order.holder.as_str(), order.now.as_microsecond(), order.until.as_microsecond());
    if order.lanes {
        connection
            .prepare_cached(
                "INSERT INTO fns_holders (holder, until, renewed_at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (holder) DO UPDATE SET until = excluded.until, renewed_at = excluded.renewed_at",
            )?
            .execute(params![holder, until, now])?;
    }
    connection
        .prepare_cached(&format!("DELETE FROM fns_holders WHERE {RAN_OUT}"))?
        .execute([now, now.saturating_add(CLOCK_SLACK)])?;
    let holders: i64 =
        connection.prepare_cached("SELECT count(*) FROM fns_holders")?.query_row([], |row| row.get(0))?;
    let holders = usize::try_from(holders).unwrap_or(0);
    let share = usize::from(LANE_SLOTS).div_ceil(holders.max(1));
    connection
        .prepare_cached("UPDATE fns_slots SET until = ?2, renewed_at = ?3 WHERE holder = ?1")?
        .execute(params![holder, until, now])?;
    let mut claim = Claim { leases: leases_of(connection, holder)?, holders, ..Claim::default() };
    let lanes = claim.leases.iter().filter(|lease| lease.slot.has_lanes()).count();
    let wanted = if order.lanes { share.saturating_sub(lanes) } else { 0 };
    claim.gained = free(connection, now, wanted)?;
    if order.registrar && !claim.leases.iter().any(|lease| lease.slot == Slot::REGISTRAR) {
        claim.gained.extend(free_registrar(connection, now)?);
    }
    for slot in &claim.gained {
        connection
            .prepare_cached(
                "UPDATE fns_slots SET holder = ?2, epoch = epoch + 1, until = ?3, renewed_at = ?4 WHERE slot = ?1",
            )?
            .execute(params![slot.get(), holder, until, now])?;
    }
    if !claim.gained.is_empty() {
        claim.leases = leases_of(connection, holder)?;
    }
    claim.excess = lanes.saturating_sub(share);
    Ok(claim)
}

/// Gives slots back.
pub(crate) fn release(connection: &Connection, holder: &HolderId, slots: &[Slot]) -> rusqlite::Result<()> {
    for slot in slots {
        connection
            .prepare_cached("UPDATE fns_slots SET holder = NULL, until = 0 WHERE slot = ?1 AND holder = ?2")?
            .execute(params![slot.get(), holder.as_str()])?;
    }
    Ok(())
}

/// Gives everything back.
pub(crate) fn leave(connection: &Connection, holder: &HolderId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE fns_slots SET holder = NULL, until = 0 WHERE holder = ?1")?
        .execute([holder.as_str()])?;
    connection.prepare_cached("DELETE FROM fns_holders WHERE holder = ?1")?.execute([holder.as_str()])?;
    Ok(())
}

fn leases_of(connection: &Connection, holder: &str) -> rusqlite::Result<Vec<Lease>> {
    connection
        .prepare_cached("SELECT slot, epoch, until FROM fns_slots WHERE holder = ?1 ORDER BY slot")?
        .query_map([holder], |row| {
            Ok(Lease {
                slot: row.get::<_, SlotColumn>(0)?.0,
                epoch: row.get(1)?,
                until: row.get::<_, Moment>(2)?.0,
            })
        })?
        .collect()
}

/// Slots with lanes that nobody holds any more. The table has 257 rows.
fn free(connection: &Connection, now: i64, wanted: usize) -> rusqlite::Result<Vec<Slot>> {
    connection
        .prepare_cached(&format!(
            "SELECT slot FROM fns_slots WHERE slot < ?3 AND (holder IS NULL OR {RAN_OUT}) ORDER BY slot LIMIT ?4"
        ))?
        .query_map(params![now, now.saturating_add(CLOCK_SLACK), LANE_SLOTS, most(wanted)], |row| {
            Ok(row.get::<_, SlotColumn>(0)?.0)
        })?
        .collect()
}

fn free_registrar(connection: &Connection, now: i64) -> rusqlite::Result<Option<Slot>> {
    connection
        .prepare_cached(&format!(
            "SELECT slot FROM fns_slots WHERE slot = ?3 AND (holder IS NULL OR {RAN_OUT})"
        ))?
        .query_row(params![now, now.saturating_add(CLOCK_SLACK), Slot::REGISTRAR.get()], |row| {
            Ok(row.get::<_, SlotColumn>(0)?.0)
        })
        .optional()
}
