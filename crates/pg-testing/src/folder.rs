//! The private folder of a cluster, and the first contents of its data folder, which are made once and copied.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::programs::{Programs, run};

/// A folder only the server's user (and root) may enter.
pub(crate) fn private(parent: Option<&Path>) -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("fiscald-pg-");
    let made = match parent {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    };
    let folder = made.unwrap_or_else(|error| panic!("no folder for a cluster: {error}"));
    give(folder.path());
    folder
}

/// Makes a path the server's.
pub(crate) fn give(path: &Path) {
    if let Some(user) = Programs::find().user() {
        chown(path, Some(user.uid), Some(user.gid))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// A folder of the server inside another.
pub(crate) fn make(path: &Path) {
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    give(path);
}

/// Fills `data` with a fresh cluster. `initdb` takes seconds and always does the same, a copy takes a tenth of one.
pub(crate) fn fill(data: &Path) {
    let template = template();
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--reflink=auto"]).arg(&template).arg(data);
    run(copy).unwrap_or_else(|reason| panic!("the data folder cannot be copied: {reason}"));
}

/// The copied folder: one for each version, user and machine, made by whoever comes first.
fn template() -> PathBuf {
    let programs = Programs::find();
    let place =
        std::env::temp_dir().join(format!("fiscald-pg-template-{}-{}", programs.version, programs.uid()));
    if is_ours(&place) {
        return place;
    }
    let folder = private(None);
    let made = folder.path().join("data");
    let mut initdb = programs.command("initdb", folder.path());
    initdb.arg("-D").arg(&made).args([
        "-U",
        "postgres",
        "-A",
        "trust",
        "--no-locale",
        "-E",
        "UTF8",
        "--no-sync",
    ]);
    run(initdb).unwrap_or_else(|reason| panic!("initdb failed: {reason}"));
    // Another process may have been faster; then its folder is there and ours goes.
    match std::fs::rename(&made, &place) {
        Ok(()) => place,
        Err(_) if is_ours(&place) => place,
        Err(error) => panic!("{}: {error}", place.display()),
    }
}

/// Whether it is a data folder that nobody else could have made or changed.
fn is_ours(place: &Path) -> bool {
    let Ok(metadata) = std::fs::symlink_metadata(place) else { return false };
    assert!(
        metadata.is_dir()
            && metadata.uid() == Programs::find().uid()
            && metadata.mode().trailing_zeros() >= 6,
        "{} is in the way: it belongs to somebody else",
        place.display()
    );
    true
}
