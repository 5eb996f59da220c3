//! A disk without room, and one that may only be read. Both need a file system of their own, which only root may
//! make; without it the lying layer's errors of the same kind (`errors`) are what is tested.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fiscald_tests::daemon::Setup;

use crate::stand::Stand;

const BLOCK: usize = 4096;

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(setup: &Setup, size: &str) -> Option<Self> {
        let folder = setup.folder().join("disk");
        std::fs::create_dir(&folder).unwrap();
        let size = format!("size={size}");
        if run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &folder.display().to_string()]) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: no file system can be mounted here (not root?)");
        None
    }

    fn store_url(&self) -> String {
        format!("sqlite:{}", self.0.join("fiscald.db").display())
    }

    /// Takes all room but so many bytes. The daemon writes at the same time, so the end of the disk may come early.
    fn fill_but(&self, bytes: u64) -> PathBuf {
        let path = self.0.join("ballast");
        let mut ballast = std::fs::File::create(&path).unwrap();
        let room = free_bytes(&self.0).saturating_sub(bytes);
        for _ in 0..room.div_ceil(BLOCK as u64) {
            if let Err(error) = ballast.write_all(&[1; BLOCK]) {
                assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
                break;
            }
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the daemon of a failed test may still hold its files.
        run("umount", &["-l", &self.0.display().to_string()]);
    }
}

fn run(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

fn free_bytes(folder: &Path) -> u64 {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(folder).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
}

#[test]
fn a_disk_that_runs_low_makes_silence_before_it_is_full() {
    let setup = Setup::new();
    let Some(disk) = SmallDisk::mount(&setup, "24m") else { return };
    let setup = setup.with("store.url", &disk.store_url()).with("store.min_free_mib", "8");
    let mut stand = Stand::new(setup);
    let ballast = disk.fill_but(4 << 20);
    stand.expect_silence("disk low", &["free"]);
    assert!(stand.daemon().metric("fiscald_store_free_bytes", &[]) < f64::from(8 << 20));
    std::fs::remove_file(ballast).unwrap();
    stand.expect_recovery("disk low");
    stand.expect_kept("disk low");
    drop(disk);
}

#[test]
fn a_full_disk_is_silence_and_passes_with_the_fullness() {
    let setup = Setup::new();
    let Some(disk) = SmallDisk::mount(&setup, "16m") else { return };
    // Without the guard: SQLite itself meets the end of the disk.
    let setup = setup.with("store.url", &disk.store_url()).with("store.min_free_mib", "0");
    let mut stand = Stand::new(setup);
    let ballast = disk.fill_but(0);
    stand.expect_silence("disk full", &["full", "store", "space"]);
    std::fs::remove_file(ballast).unwrap();
    stand.expect_recovery("disk full");
    stand.expect_kept("disk full");
    drop(disk);
}

#[test]
fn a_store_that_may_only_be_read_is_refused_at_the_start() {
    let setup = Setup::new();
    let Some(disk) = SmallDisk::mount(&setup, "16m") else { return };
    let setup = setup.with("store.url", &disk.store_url());
    let mut stand = Stand::new(setup);
    assert_eq!(stand.stop(), Some(0));
    assert!(run("mount", &["-o", "remount,ro", &disk.0.display().to_string()]));
    let refused = stand.setup.run(&["serve"]);
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("fiscald.db"), "{words}");
    assert!(!words.contains("panicked"), "{words}");
    assert!(run("mount", &["-o", "remount,rw", &disk.0.display().to_string()]));
    stand.start();
    stand.expect_recovery("read-only store");
    stand.expect_kept("read-only store");
    drop(disk);
}
