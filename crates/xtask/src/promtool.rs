//! promtool, by which the tests of the alert rules and of the dashboard are proved. It comes in Debian's package of
//! Prometheus; that is unpacked, not installed, so that no server starts with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::packages::{apt_get, is_root};
use crate::{succeeds, target};

const PACKAGE: &str = "prometheus";

/// Has promtool on the path, or beside what was built, where the tests look for it.
pub(crate) fn need() -> Result<()> {
    let place = target().join("tools");
    if succeeds("promtool", &["--version"]) || succeeds(place.join("promtool"), &["--version"]) {
        return Ok(());
    }
    if !succeeds("apt-get", &["--version"]) || !succeeds("dpkg-deb", &["--version"]) {
        bail!("promtool is needed; it is part of Prometheus (Debian: the package {PACKAGE})");
    }
    eprintln!("xtask: promtool not found, unpacking it from the package {PACKAGE}");
    fetch(&place).context("promtool cannot be had from its package")
}

fn fetch(place: &Path) -> Result<()> {
    let unpacked = place.join(PACKAGE);
    std::fs::create_dir_all(&unpacked)?;
    // A fresh machine has no package lists yet, and only root may fetch them.
    let downloaded = download(&unpacked) || (is_root() && apt_get(&["update"]) && download(&unpacked));
    ensure!(downloaded, "`apt-get download {PACKAGE}` failed");
    let package = package_in(&unpacked)?;
    let status = Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&unpacked).status()?;
    ensure!(status.success(), "the package cannot be unpacked");
    std::fs::rename(unpacked.join("usr/bin/promtool"), place.join("promtool"))?;
    std::fs::remove_dir_all(&unpacked)?;
    Ok(())
}

fn download(to: &Path) -> bool {
    let status = Command::new("apt-get").args(["download", PACKAGE]).current_dir(to).status();
    status.is_ok_and(|status| status.success())
}

fn package_in(folder: &Path) -> Result<PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            return Ok(path);
        }
    }
    bail!("no package was downloaded")
}
