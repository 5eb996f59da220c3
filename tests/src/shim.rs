//! The lying layer of `shim.c`: built where a C compiler is, steered while the program runs.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::Setup;

const CONTROL_LEN: u64 = 40;
const HITS_AT: u64 = 24;
const CLOCK_AT: u64 = 32;

/// Which files of the store a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// The write-ahead log.
    Log,
    /// The database itself, written while the log is copied into it.
    Database,
    /// Both.
    Both,
}

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// Writes, with nothing written.
    Write,
    /// Writes, with half of the bytes written.
    HalfWrite,
    /// Syncs.
    Sync,
}

/// Error numbers of Linux.
pub mod errno {
    /// Input/output error.
    pub const EIO: i32 = 5;
    /// No space left on device.
    pub const ENOSPC: i32 = 28;
    /// Read-only file system.
    pub const EROFS: i32 = 30;
}

/// The layer under one program.
pub struct Shim {
    control: File,
    library: PathBuf,
    path: PathBuf,
}

impl Shim {
    /// Builds the layer in `folder`; everything works as usual until it is told otherwise.
    pub fn build(folder: &Path) -> Self {
        let library = folder.join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shim.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let path = folder.join("shim.control");
        let control =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        control.set_len(CONTROL_LEN).unwrap();
        Self { control, library, path }
    }

    /// The program started by this setup, commands included, stands on the layer.
    pub fn under(&self, setup: Setup) -> Setup {
        setup
            .with_env("LD_PRELOAD", &self.library.display().to_string())
            .with_env("FISCALD_TEST_SHIM", &self.path.display().to_string())
    }

    /// The next `count` calls fail (`None`: all of them) until [`Shim::heal`].
    pub fn fail(&self, files: Files, failing: Failing, error: i32, count: Option<i32>) {
        let files = match files {
            Files::Log => 1,
            Files::Database => 2,
            Files::Both => 3,
        };
        let count = count.unwrap_or(-1);
        let mut numbers = [files, 0, 0, 0, 0, 0];
        match failing {
            Failing::Write => numbers[1..3].copy_from_slice(&[error, count]),
            Failing::HalfWrite => numbers[1..4].copy_from_slice(&[error, count, 1]),
            Failing::Sync => numbers[4..6].copy_from_slice(&[error, count]),
        }
        self.write(&numbers);
    }

    /// Everything works again. The clock stays where it is.
    pub fn heal(&self) {
        self.write(&[0; 6]);
    }

    /// How many calls have failed.
    pub fn hits(&self) -> i32 {
        let mut bytes = [0; 4];
        self.control.read_exact_at(&mut bytes, HITS_AT).unwrap();
        from_machine(bytes)
    }

    /// Moves the wall clock of the program away from the true one.
    pub fn clock(&self, offset_s: i64) {
        self.control.write_all_at(&to_machine_i64(offset_s), CLOCK_AT).unwrap();
    }

    fn write(&self, numbers: &[i32; 6]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| to_machine(*number)).collect();
        self.control.write_all_at(&bytes, 0).unwrap();
    }
}

// The control file is memory shared with a program on this machine, not a format.

#[expect(clippy::host_endian_bytes, reason = "shared memory of one machine")]
fn to_machine(number: i32) -> [u8; 4] {
    number.to_ne_bytes()
}

#[expect(clippy::host_endian_bytes, reason = "shared memory of one machine")]
fn to_machine_i64(number: i64) -> [u8; 8] {
    number.to_ne_bytes()
}

#[expect(clippy::host_endian_bytes, reason = "shared memory of one machine")]
fn from_machine(bytes: [u8; 4]) -> i32 {
    i32::from_ne_bytes(bytes)
}
