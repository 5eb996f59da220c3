//! Where the programs of the server are, and as whom they run.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The oldest major version that fiscald supports.
const OLDEST: u32 = 15;
/// Names another folder of programs, to try another version of the server.
const BIN_VARIABLE: &str = "PG_TESTING_BIN";
/// Where Debian keeps one folder of programs for each major version.
const DEBIAN: &str = "/usr/lib/postgresql";
const ADVICE: &str = "install the Debian package: apt-get install -y --no-install-recommends postgresql";

/// The programs of one version and the user that runs them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    bin: PathBuf,
    /// Major version.
    pub(crate) version: u32,
    user: Option<User>,
}

/// Whom we become, because the server refuses to run as root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Programs {
    /// The newest version of this machine; looked for once.
    pub(crate) fn find() -> &'static Self {
        static FOUND: OnceLock<Programs> = OnceLock::new();
        FOUND
            .get_or_init(|| Self::look().unwrap_or_else(|reason| panic!("no PostgreSQL: {reason}; {ADVICE}")))
    }

    fn look() -> Result<Self, String> {
        let (version, bin) = match std::env::var_os(BIN_VARIABLE) {
            Some(bin) => {
                (version_in(Path::new(&bin)).ok_or(format!("{BIN_VARIABLE} holds no server"))?, bin.into())
            }
            None => newest().ok_or("its server programs are not installed")?,
        };
        if version < OLDEST {
            return Err(format!("version {version} in {} is older than {OLDEST}", bin.display()));
        }
        let user = if rustix::process::geteuid().is_root() { Some(unprivileged()?) } else { None };
        Ok(Self { bin, version, user })
    }

    /// Whom the server runs as, if not as ourselves.
    pub(crate) fn user(&self) -> Option<User> {
        self.user
    }

    /// Number of the user the files belong to.
    pub(crate) fn uid(&self) -> u32 {
        self.user.map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.uid)
    }

    /// A program of the server as the unprivileged user, with nothing of our own environment that would redirect it.
    /// The process that is started becomes the program, so its number is the program's.
    pub(crate) fn command(&self, program: &str, folder: &Path) -> Command {
        let path = self.bin.join(program);
        let mut command = match self.user {
            None => Command::new(&path),
            Some(User { uid, gid }) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
                command.args([OsStr::new("--clear-groups"), OsStr::new("--"), path.as_os_str()]);
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        // The unprivileged user may not be allowed into the folder the tests run in.
        command.env("LC_ALL", "C").env("HOME", folder).current_dir(folder).stdin(Stdio::null());
        command
    }
}

/// Runs a command to its end; `Err` holds what it said.
pub(crate) fn run(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    let Output { status, stdout, stderr } = output;
    let said = String::from_utf8_lossy(&stderr).trim().to_owned();
    if !status.success() {
        return Err(format!("{said} ({status})"));
    }
    Ok(String::from_utf8_lossy(&stdout).trim_end_matches('\n').to_owned())
}

fn newest() -> Option<(u32, PathBuf)> {
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let found = versions.filter_map(|entry| {
        let bin = entry.path().join("bin");
        Some((version_in(&bin)?, bin))
    });
    found.max().or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find_map(|folder| Some((version_in(&folder)?, folder)))
    })
}

/// Major version of the server in a folder, if it has one with all that is needed.
fn version_in(bin: &Path) -> Option<u32> {
    if !bin.join("initdb").exists() || !bin.join("psql").exists() {
        return None;
    }
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_whitespace().nth(2)?;
    number.split(|sign: char| !sign.is_ascii_digit()).next()?.parse().ok()
}

/// The user that the package made; its folders tell its numbers.
fn unprivileged() -> Result<User, String> {
    let passwd = std::fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
    let listed = passwd.lines().find_map(|line| {
        let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
        Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    });
    if let Some(user) = listed.filter(|user| user.uid != 0) {
        return Ok(user);
    }
    let home = std::fs::metadata("/var/lib/postgresql").ok().filter(|home| home.uid() != 0);
    home.map(|home| User { uid: home.uid(), gid: home.gid() })
        .ok_or_else(|| "the server does not run as root, and there is no user postgres".to_owned())
}
