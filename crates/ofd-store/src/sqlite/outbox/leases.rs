//! Who sends what: leases over slots, in time and in epochs.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::{SlotColumn, most};
use crate::outbox::{Claim, ClaimOrder, HolderId, Holding, LANE_SLOTS, Lease, LeaseProof, Slot};
use crate::sqlite::columns::Moment;

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
pub(in crate::sqlite) fn holds(connection: &Connection, proof: &LeaseProof) -> rusqlite::Result<bool> {
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

/// Renews what the holder has and takes what is free, up to its fair share.
pub(crate) fn claim(connection: &Connection, order: &ClaimOrder) -> rusqlite::Result<Claim> {
    let (holder, now, until) =
        (order.holder.as_str(), order.now.as_microsecond(), order.until.as_microsecond());
    if order.lanes {
        connection
            .prepare_cached(
                "INSERT INTO fns_holders (holder, until) VALUES (?1, ?2) \
                 ON CONFLICT (holder) DO UPDATE SET until = excluded.until",
            )?
            .execute(params![holder, until])?;
    }
    connection.prepare_cached("DELETE FROM fns_holders WHERE until <= ?1")?.execute([now])?;
    let holders: i64 =
        connection.prepare_cached("SELECT count(*) FROM fns_holders")?.query_row([], |row| row.get(0))?;
    let holders = usize::try_from(holders).unwrap_or(0);
    let share = usize::from(LANE_SLOTS).div_ceil(holders.max(1));
    connection
        .prepare_cached("UPDATE fns_slots SET until = ?2 WHERE holder = ?1")?
        .execute(params![holder, until])?;
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
                "UPDATE fns_slots SET holder = ?2, epoch = epoch + 1, until = ?3 WHERE slot = ?1",
            )?
            .execute(params![slot.get(), holder, until])?;
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
        .prepare_cached(
            "SELECT slot FROM fns_slots WHERE slot < ?1 AND (holder IS NULL OR until <= ?2) ORDER BY slot LIMIT ?3",
        )?
        .query_map(params![LANE_SLOTS, now, most(wanted)], |row| Ok(row.get::<_, SlotColumn>(0)?.0))?
        .collect()
}

fn free_registrar(connection: &Connection, now: i64) -> rusqlite::Result<Option<Slot>> {
    connection
        .prepare_cached("SELECT slot FROM fns_slots WHERE slot = ?1 AND (holder IS NULL OR until <= ?2)")?
        .query_row(params![Slot::REGISTRAR.get(), now], |row| Ok(row.get::<_, SlotColumn>(0)?.0))
        .optional()
}
