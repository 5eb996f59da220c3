//! Tasks.

use jiff::Timestamp;
use ofd_store::{Registry, Task, TaskClose};

use super::{OpsError, done};
use crate::registration::commit::{Draft, settle};

/// A task is done. One that was closed before stays as it was closed.
///
/// # Errors
/// [`OpsError::NotFound`].
pub fn task_close(
    registry: &mut Registry,
    id: i64,
    note: Option<&str>,
    now: Timestamp,
) -> Result<Task, OpsError> {
    let missing = || OpsError::NotFound(format!("there is no task {id}: see `tasks list`"));
    done(settle::<_, OpsError>(registry, |registry| {
        let task = registry.task(id)?.ok_or_else(missing)?;
        let mut draft = Draft::default();
        if task.closed_at.is_none() {
            let note = note.map(str::trim).filter(|note| !note.is_empty()).map(str::to_owned);
            draft.change.close_tasks.push(TaskClose::Id { id, at: now, note });
        }
        Ok((draft, ()))
    })?)?;
    registry.task(id)?.ok_or_else(missing)
}
