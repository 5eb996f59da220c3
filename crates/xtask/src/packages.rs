//! What the tests need besides cargo. Where we may install a package we do, elsewhere we name the command.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::succeeds;

/// SQLite and the allocator are built from their C sources.
pub(crate) fn need_c_compiler() -> Result<()> {
    let why = "a C compiler and make are needed to build SQLite and the allocator";
    need(&["gcc", "libc6-dev", "make"], why, || {
        succeeds("cc", &["--version"]) && succeeds("make", &["--version"])
    })
}

/// The dissector is proved by tshark, and streams are recorded with it.
pub(crate) fn need_tshark() -> Result<()> {
    need(&["tshark"], "tshark is needed", || succeeds("tshark", &["--version"]))
}

/// The database of several nodes and the balancer in front of them; the tests start their own.
pub(crate) fn need_servers() -> Result<()> {
    if !has_postgresql() && may_install() {
        // The package would make a cluster and start it beside those of the tests.
        no_default_cluster().context("the package postgresql-common cannot be told to start nothing")?;
    }
    need(&["postgresql"], "the tests start their own PostgreSQL (15 or newer)", has_postgresql)?;
    need(&["haproxy"], "the tests start their own HAProxy", has_haproxy)
}

/// Has what `is_there` looks for, installing `packages` for it where we may.
pub(crate) fn need(packages: &[&str], why: &str, is_there: impl Fn() -> bool) -> Result<()> {
    if is_there() {
        return Ok(());
    }
    let names = packages.join(" ");
    if may_install() {
        eprintln!("xtask: {why}; installing {names}");
        let install = [&["install", "-y", "--no-install-recommends"], packages].concat();
        // A fresh image has no package lists yet.
        if apt_get(&["update"]) && apt_get(&install) && is_there() {
            return Ok(());
        }
    }
    bail!("{why}; install it, for example: sudo apt-get install -y --no-install-recommends {names}")
}

/// Debian keeps the programs of the server off the path, one folder for each version.
fn has_postgresql() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin/initdb")).any(|initdb| initdb.exists())
        || succeeds("initdb", &["--version"])
}

/// Its folder is on the path of root only.
fn has_haproxy() -> bool {
    Path::new("/usr/sbin/haproxy").exists() || succeeds("haproxy", &["-v"])
}

fn no_default_cluster() -> Result<()> {
    if !apt_get(&["update"]) || !apt_get(&["install", "-y", "--no-install-recommends", "postgresql-common"]) {
        bail!("apt-get failed");
    }
    let path = "/etc/postgresql-common/createcluster.conf";
    let before = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    if !before.lines().any(|line| line.starts_with("create_main_cluster")) {
        std::fs::write(path, format!("{before}\ncreate_main_cluster = false\n"))
            .with_context(|| path.to_owned())?;
    }
    Ok(())
}

fn may_install() -> bool {
    is_root() && succeeds("apt-get", &["--version"])
}

/// Runs apt-get without questions. Services of new packages stay down: what the tests need they start themselves.
pub(crate) fn apt_get(args: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").args(args);
    command.status().is_ok_and(|status| status.success())
}

pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}
