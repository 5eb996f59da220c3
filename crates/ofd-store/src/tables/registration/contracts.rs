//! Clients, contracts, contract lines.

use rusqlite::params;

use super::insert;
use crate::registration::{Client, Contract, ContractLine, ContractState, LineKey};
use crate::sql::{self, Db, OptionalExtension as _, Row};
use crate::tables::columns::{FnColumn, Moment, unreadable};

const CONTRACT: &str = "id, version, number, inn, state, created_at, active_at, stopped_at";
const LINE: &str =
    "id, version, contract_id, inn, kkt_serial, kkt_model, fn, fn_model, rnm, created_at, closed_at";

pub(crate) fn client(db: Db<'_>, inn: &str) -> sql::Result<Option<Client>> {
    db.prepare("SELECT inn, name, created_at FROM clients WHERE inn = ?1")?
        .query_row([inn], |row| {
            Ok(Client { inn: row.get(0)?, name: row.get(1)?, created_at: row.get::<Moment>(2)?.0 })
        })
        .optional()
}

/// A client that is there gets the name.
pub(super) fn put_client(db: Db<'_>, client: &Client) -> sql::Result<()> {
    db.prepare(
        "INSERT INTO clients (inn, name, created_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT (inn) DO UPDATE SET name = excluded.name",
    )?
    .execute(params![client.inn, client.name, client.created_at.as_microsecond()])?;
    Ok(())
}

pub(crate) fn by_number(db: Db<'_>, number: &str) -> sql::Result<Option<Contract>> {
    db.prepare(&format!("SELECT {CONTRACT} FROM contracts WHERE number = ?1"))?
        .query_row([number], contract_row)
        .optional()
}

pub(crate) fn by_id(db: Db<'_>, id: i64) -> sql::Result<Option<Contract>> {
    db.prepare(&format!("SELECT {CONTRACT} FROM contracts WHERE id = ?1"))?
        .query_row([id], contract_row)
        .optional()
}

pub(crate) fn list(db: Db<'_>, after_id: i64, limit: usize) -> sql::Result<Vec<Contract>> {
    db.prepare(&format!("SELECT {CONTRACT} FROM contracts WHERE id > ?1 ORDER BY id LIMIT ?2"))?
        .query_map(params![after_id, i64::try_from(limit).unwrap_or(i64::MAX)], contract_row)?
        .collect()
}

/// The number of the row; none when it is not the one that was read.
pub(super) fn put_contract(db: Db<'_>, contract: &Contract, facts_version: i64) -> sql::Result<Option<i64>> {
    let moments = (
        contract.active_at.map(|moment| moment.as_microsecond()),
        contract.stopped_at.map(|moment| moment.as_microsecond()),
    );
    if contract.id == 0 {
        let id = insert(
            db,
            "INSERT INTO contracts (version, number, inn, state, created_at, active_at, stopped_at, \
                 facts_version) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
            params![
                contract.number,
                contract.inn,
                contract.state.name(),
                contract.created_at.as_microsecond(),
                moments.0,
                moments.1,
                facts_version,
            ],
        )?;
        return Ok(Some(id));
    }
    let written = db
        .prepare(
            "UPDATE contracts SET version = version + 1, number = ?3, state = ?4, active_at = ?5, stopped_at = ?6, \
             facts_version = ?7 WHERE id = ?1 AND version = ?2",
        )?
        .execute(params![
            contract.id,
            contract.version,
            contract.number,
            contract.state.name(),
            moments.0,
            moments.1,
            facts_version,
        ])?;
    Ok((written == 1).then_some(contract.id))
}

pub(crate) fn line(db: Db<'_>, id: i64) -> sql::Result<Option<ContractLine>> {
    db.prepare(&format!("SELECT {LINE} FROM contract_lines WHERE id = ?1"))?
        .query_row([id], line_row)
        .optional()
}

pub(crate) fn open_line(db: Db<'_>, key: LineKey<'_>) -> sql::Result<Option<ContractLine>> {
    let (column, value) = match key {
        LineKey::Serial(serial) => ("kkt_serial", serial),
        LineKey::Fn(fn_number) => ("fn", fn_number.as_str()),
    };
    db.prepare(&format!("SELECT {LINE} FROM contract_lines WHERE {column} = ?1 AND closed_at IS NULL"))?
        .query_row([value], line_row)
        .optional()
}

pub(crate) fn lines(
    db: Db<'_>,
    contract_id: i64,
    after_id: i64,
    limit: usize,
) -> sql::Result<Vec<ContractLine>> {
    db.prepare(&format!(
        "SELECT {LINE} FROM contract_lines WHERE contract_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
    ))?
    .query_map(params![contract_id, after_id, i64::try_from(limit).unwrap_or(i64::MAX)], line_row)?
    .collect()
}

/// The number of the row; none when it is not the one that was read.
pub(super) fn put_line(db: Db<'_>, line: &ContractLine, facts_version: i64) -> sql::Result<Option<i64>> {
    let fn_number = line.fn_number.as_ref().map(|fn_number| fn_number.as_str());
    let closed_at = line.closed_at.map(|moment| moment.as_microsecond());
    if line.id == 0 {
        let id = insert(
            db,
            "INSERT INTO contract_lines (version, contract_id, inn, kkt_serial, kkt_model, fn, fn_model, rnm, \
                 created_at, closed_at, facts_version) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id",
            params![
                line.contract_id,
                line.inn,
                line.kkt_serial,
                line.kkt_model,
                fn_number,
                line.fn_model,
                line.rnm,
                line.created_at.as_microsecond(),
                closed_at,
                facts_version,
            ],
        )?;
        return Ok(Some(id));
    }
    let written = db
        .prepare(
            "UPDATE contract_lines SET version = version + 1, kkt_model = ?3, fn = ?4, fn_model = ?5, rnm = ?6, \
             closed_at = ?7, facts_version = ?8 WHERE id = ?1 AND version = ?2",
        )?
        .execute(params![
            line.id,
            line.version,
            line.kkt_model,
            fn_number,
            line.fn_model,
            line.rnm,
            closed_at,
            facts_version,
        ])?;
    if written == 1 {
        // What reception knows of the ФН of its register follows from the line.
        db.prepare("UPDATE kkts SET facts_version = ?2 WHERE line_id = ?1")?
            .execute([line.id, facts_version])?;
    }
    Ok((written == 1).then_some(line.id))
}

fn contract_row(row: &Row<'_>) -> sql::Result<Contract> {
    Ok(Contract {
        id: row.get(0)?,
        version: row.get(1)?,
        number: row.get(2)?,
        inn: row.get(3)?,
        state: state_column(row, 4)?,
        created_at: row.get::<Moment>(5)?.0,
        active_at: row.get::<Option<Moment>>(6)?.map(|column| column.0),
        stopped_at: row.get::<Option<Moment>>(7)?.map(|column| column.0),
    })
}

pub(super) fn state_column(row: &Row<'_>, index: usize) -> sql::Result<ContractState> {
    let name: String = row.get(index)?;
    ContractState::from_name(&name).ok_or_else(|| unreadable(index, "contracts.state", &name).into())
}

fn line_row(row: &Row<'_>) -> sql::Result<ContractLine> {
    Ok(ContractLine {
        id: row.get(0)?,
        version: row.get(1)?,
        contract_id: row.get(2)?,
        inn: row.get(3)?,
        kkt_serial: row.get(4)?,
        kkt_model: row.get(5)?,
        fn_number: row.get::<Option<FnColumn>>(6)?.map(|column| column.0),
        fn_model: row.get(7)?,
        rnm: row.get(8)?,
        created_at: row.get::<Moment>(9)?.0,
        closed_at: row.get::<Option<Moment>>(10)?.map(|column| column.0),
    })
}
