//! What reception has to know, from contracts and registers.

use super::contracts::state_column;
use crate::facts::{ContractFact, FactChanges, FnChange, LineChange};
use crate::sql::{self, Db};
use crate::tables::columns::{FnColumn, Moment};

/// A ФН belongs to its newest holder; a register of which it was said by mistake says nothing about it. Those first, so
/// that whoever held it before has the last word.
const FNS: &str = "SELECT f.fn, l.contract_id, l.closed_at, k.deregistered_at, f.withdrawn FROM kkts AS k \
     JOIN kkt_fns AS f ON f.kkt_id = k.id LEFT JOIN contract_lines AS l ON l.id = k.line_id \
     WHERE k.facts_version > ?1 AND NOT EXISTS \
     (SELECT 1 FROM kkt_fns AS g WHERE g.fn = f.fn AND g.id > f.id AND g.withdrawn = 0) \
     ORDER BY f.withdrawn DESC";
const LINES: &str = "SELECT id, contract_id, kkt_serial, fn, closed_at IS NOT NULL FROM contract_lines \
     WHERE facts_version > ?1";
const CONTRACTS: &str = "SELECT id, inn, state, stopped_at FROM contracts WHERE facts_version > ?1";

/// Adds what changed after `version`. Within a transaction of the caller.
pub(crate) fn add_after(db: Db<'_>, version: i64, changes: &mut FactChanges) -> sql::Result<()> {
    let mut statement = db.prepare(FNS)?;
    let mut rows = statement.query([version])?;
    while let Some(row) = rows.next()? {
        let withdrawn: bool = row.get(4)?;
        changes.fns.push(FnChange {
            fn_number: row.get::<FnColumn>(0)?.0,
            contract: row.get::<Option<i64>>(1)?.filter(|_| !withdrawn),
            line_closed_at: row.get::<Option<Moment>>(2)?.map(|column| column.0).filter(|_| !withdrawn),
            deregistered_at: row.get::<Option<u32>>(3)?.filter(|_| !withdrawn),
        });
    }
    let mut statement = db.prepare(LINES)?;
    let mut rows = statement.query([version])?;
    while let Some(row) = rows.next()? {
        changes.lines.push(LineChange {
            id: row.get(0)?,
            contract: row.get(1)?,
            kkt_serial: row.get(2)?,
            fn_number: row.get::<Option<FnColumn>>(3)?.map(|column| column.0),
            closed: row.get(4)?,
        });
    }
    let mut statement = db.prepare(CONTRACTS)?;
    let mut rows = statement.query([version])?;
    while let Some(row) = rows.next()? {
        let fact = ContractFact {
            inn: row.get::<String>(1)?.trim().into(),
            state: state_column(&row, 2)?,
            stopped_at: row.get::<Option<Moment>>(3)?.map(|column| column.0),
        };
        changes.contracts.push((row.get(0)?, fact));
    }
    Ok(())
}
