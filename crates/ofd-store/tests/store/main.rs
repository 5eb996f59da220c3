//! The store from outside: real files, real threads, commands beside a running daemon, files of earlier versions.

mod backup;
mod clock;
mod histories;
mod registry;
mod reindex;
mod schema;
mod service;
mod support;

use std::path::Path;
use std::time::Duration;

/// More than any close of these tests needs.
const GRACE: Duration = Duration::from_secs(20);

fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("store.db").display())
}
