//! What people have to look at.

use jiff::Timestamp;
use rusqlite::params;
use rusqlite::types::Value;

use super::columns::{FdColumn, FnColumn, Moment, unreadable};
use super::documents::Conditions;
use super::quarantine::count;
use crate::records::TaskKind;
use crate::registration::{NewTask, Task, TaskClose, TaskFilter};
use crate::sql::{self, Db, OptionalExtension as _, Row, params_from_iter};

pub(crate) const TASK: &str = "SELECT t.id, t.kind, t.seq, t.kkt_id, coalesce(j.fn, k.fn), j.fd, k.rnm, t.text, t.created_at, \
     t.closed_at, t.note FROM human_tasks AS t LEFT JOIN journal AS j ON j.seq = t.seq \
     LEFT JOIN kkts AS k ON k.id = t.kkt_id";

/// Adds a task about a document, in the transaction of the document.
pub(crate) fn add(db: Db<'_>, kind: TaskKind, seq: i64, at: Timestamp) -> sql::Result<()> {
    db.prepare("INSERT INTO human_tasks (kind, seq, text, created_at) VALUES (?1, ?2, '', ?3)")?
        .execute(params![kind.name(), seq, at.as_microsecond()])?;
    Ok(())
}

/// Adds a task, or gives the open one that says the same the new text; its number.
pub(crate) fn put(db: Db<'_>, task: &NewTask) -> sql::Result<i64> {
    if let Some(id) = open_of(db, task)? {
        db.prepare("UPDATE human_tasks SET text = ?2, seq = coalesce(?3, seq) WHERE id = ?1")?
            .execute(params![id, task.text, task.seq])?;
        return Ok(id);
    }
    db.prepare(
        "INSERT INTO human_tasks (kind, seq, kkt_id, text, created_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             RETURNING id",
    )?
    .query_row(params![task.kind.name(), task.seq, task.kkt_id, task.text, task.at.as_microsecond()], |row| {
        row.get(0)
    })
}

fn open_of(db: Db<'_>, task: &NewTask) -> sql::Result<Option<i64>> {
    let (sql, value) = match (task.kkt_id, task.seq) {
        (Some(kkt_id), _) => (
            "SELECT id FROM human_tasks WHERE kkt_id = ?1 AND kind = ?2 AND closed_at IS NULL",
            Value::from(kkt_id),
        ),
        (None, Some(seq)) => (
            "SELECT id FROM human_tasks WHERE kind = ?2 AND seq = ?1 AND kkt_id IS NULL AND closed_at IS NULL",
            Value::from(seq),
        ),
        (None, None) => (
            "SELECT id FROM human_tasks WHERE kind = ?2 AND text = ?1 AND kkt_id IS NULL AND seq IS NULL \
             AND closed_at IS NULL",
            Value::from(task.text.clone()),
        ),
    };
    db.prepare(sql)?.query_row(params![value, task.kind.name()], |row| row.get(0)).optional()
}

/// How many were open and are closed.
pub(crate) fn close(db: Db<'_>, which: &TaskClose) -> sql::Result<usize> {
    match which {
        TaskClose::Id { id, at, note } => db
            .prepare("UPDATE human_tasks SET closed_at = ?2, note = ?3 WHERE id = ?1 AND closed_at IS NULL")?
            .execute(params![id, at.as_microsecond(), note]),
        TaskClose::OfText { kind, text, at, note } => db
            .prepare(
                "UPDATE human_tasks SET closed_at = ?3, note = ?4 WHERE kind = ?1 AND closed_at IS NULL \
                 AND kkt_id IS NULL AND seq IS NULL AND text = ?2",
            )?
            .execute(params![kind.name(), text, at.as_microsecond(), note]),
        TaskClose::OfKkt { kind, kkt_id, at, note } => db
            .prepare(
                "UPDATE human_tasks SET closed_at = ?3, note = ?4 \
                 WHERE kkt_id = ?1 AND kind = ?2 AND closed_at IS NULL",
            )?
            .execute(params![kkt_id, kind.name(), at.as_microsecond(), note]),
    }
}

/// Those that pass the filter, newest first.
pub(crate) fn list(db: Db<'_>, filter: &TaskFilter, limit: usize) -> sql::Result<Vec<Task>> {
    let mut conditions = Conditions::new();
    conditions.and("t.kind = ?", filter.kind.map(|kind| kind.name().to_owned()));
    conditions.and("t.kkt_id = ?", filter.kkt_id);
    conditions.and("t.id < ?", filter.before_id);
    let open = if filter.with_closed { "" } else { " AND t.closed_at IS NULL" };
    conditions.values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
    let sql = format!("{TASK} WHERE {}{open} ORDER BY t.id DESC LIMIT ?", conditions.sql);
    db.prepare(&sql)?.query_map(params_from_iter(&conditions.values), task_row)?.collect()
}

pub(crate) fn find(db: Db<'_>, id: i64) -> sql::Result<Option<Task>> {
    db.prepare(&format!("{TASK} WHERE t.id = ?1"))?.query_row([id], task_row).optional()
}

pub(crate) fn count_open(db: Db<'_>) -> sql::Result<u64> {
    db.prepare("SELECT count(*) FROM human_tasks WHERE closed_at IS NULL")?.query_row([], |row| count(row, 0))
}

fn task_row(row: &Row<'_>) -> sql::Result<Task> {
    let name: String = row.get(1)?;
    Ok(Task {
        id: row.get(0)?,
        kind: TaskKind::from_name(&name).ok_or_else(|| unreadable(1, "human_tasks.kind", &name))?,
        seq: row.get(2)?,
        kkt_id: row.get(3)?,
        fn_number: row.get::<Option<FnColumn>>(4)?.map(|column| column.0),
        fd_number: row.get::<Option<FdColumn>>(5)?.map(|column| column.0),
        rnm: row.get(6)?,
        text: row.get(7)?,
        created_at: row.get::<Moment>(8)?.0,
        closed_at: row.get::<Option<Moment>>(9)?.map(|column| column.0),
        note: row.get(10)?,
    })
}
