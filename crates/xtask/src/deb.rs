//! `cargo xtask deb`: builds the Debian package and lives its life in a clean root: install, run, install again,
//! remove, purge, with a look at what is there after each.
//!
//! The clean root is a fresh Debian made by debootstrap, entered with chroot, so it needs root and the network. What
//! systemd would do is left out: no systemd runs there; the unit itself is checked by the tests of `fiscald`.

use std::env;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::packages::{is_root, need, need_c_compiler};
use crate::{cargo, succeeds};

/// The release the package is built for and tried on.
const SUITE: &str = "bookworm";
/// How long a daemon on a loaded machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);
const CONFIG: &str = "/etc/fiscald/fiscald.toml";
const STORE: &str = "/var/lib/fiscald/fiscald.db";

/// What must lie where after the installation: path, then owner, group and mode as `stat` says them.
const INSTALLED: [(&str, &str); 9] = [
    ("/usr/bin/fiscald", "root:root 755"),
    ("/usr/lib/systemd/system/fiscald.service", "root:root 644"),
    ("/usr/share/doc/fiscald/copyright", "root:root 644"),
    ("/usr/share/man/man1/fiscald.1.gz", "root:root 644"),
    ("/etc/fiscald", "root:fiscald 750"),
    (CONFIG, "root:fiscald 640"),
    ("/etc/fiscald/keys", "fiscald:fiscald 700"),
    ("/etc/fiscald/fns", "fiscald:fiscald 700"),
    ("/var/lib/fiscald", "fiscald:fiscald 750"),
];

/// Builds the package; `build_args` go to `cargo deb` (`--no-build` packs what is built already).
pub(crate) fn run(build_args: &[String]) -> Result<()> {
    ensure!(is_root(), "a clean root is made and entered as root: sudo -E cargo xtask deb");
    need_c_compiler()?;
    need(&["debootstrap"], "a clean root is needed", || succeeds("debootstrap", &["--version"]))?;
    let package = build(build_args)?;
    lint(&package)?;
    let root = CleanRoot::make()?;
    let life = live(&root, &package);
    if life.is_err() {
        eprintln!("xtask: the clean root is kept in {}", root.folder.display());
        return life;
    }
    root.remove()?;
    eprintln!("xtask: {} installs, runs, is removed and purged as it should", package.display());
    Ok(())
}

/// The built package.
fn build(build_args: &[String]) -> Result<PathBuf> {
    let tools = target_folder().join("tools");
    let search = env::join_paths(
        std::iter::once(tools.join("bin")).chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    )?;
    let search = search.to_str().context("PATH is no text")?.to_owned();
    let there = Command::new("cargo").args(["deb", "--version"]).env("PATH", &search).output();
    if !there.is_ok_and(|output| output.status.success()) {
        let root = tools.display().to_string();
        cargo(&["install", "cargo-deb", "--locked", "--root", &root], &[])?;
    }
    let folder = target_folder().join("xtask-deb");
    std::fs::create_dir_all(&folder)?;
    let out = folder.join("fiscald.deb");
    let out_text = out.display().to_string();
    let extra: Vec<&str> = build_args.iter().map(String::as_str).collect();
    // Symbols would come as a second package; this one is to be tried.
    let args = ["deb", "-p", "fiscald", "--locked", "--no-dbgsym", "--strip", "--output", &out_text];
    cargo(&[&args, extra.as_slice()].concat(), &[("PATH", &search)])?;
    Ok(out)
}

fn target_folder() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let folder = env::var_os("CARGO_TARGET_DIR").map_or_else(default, PathBuf::from);
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Debian's own check; a finding is a failure, a missing program is said.
fn lint(package: &Path) -> Result<()> {
    if !succeeds("lintian", &["--version"]) {
        eprintln!("xtask: lintian is not installed, the package is not linted (apt-get install lintian)");
        return Ok(());
    }
    let output =
        Command::new("lintian").args(["--allow-root", "--fail-on", "error,warning"]).arg(package).output()?;
    ensure!(output.status.success(), "lintian found:\n{}", said(&output));
    eprintln!("xtask: lintian finds nothing");
    Ok(())
}

/// The package's whole life.
fn live(root: &CleanRoot, package: &Path) -> Result<()> {
    std::fs::copy(package, root.path("/fiscald.deb"))?;
    let told = root.run(&["dpkg", "-i", "/fiscald.deb"])?;
    ensure!(told.contains("installed and not started"), "the first steps are not told:\n{told}");
    for (path, expected) in INSTALLED {
        root.expect(path, expected)?;
    }
    eprintln!("xtask: installed, owners and modes are right");

    check_configuration(root)?;
    serve_for_a_moment(root)?;
    care_for_the_store(root)?;
    let documents = std::fs::read(root.path(STORE))?;

    // Again over a changed configuration: as an upgrade does it.
    let changed = format!("{}\n# a line of the administrator\n", std::fs::read_to_string(root.path(CONFIG))?);
    std::fs::write(root.path(CONFIG), &changed)?;
    let told = root.run(&["dpkg", "-i", "/fiscald.deb"])?;
    ensure!(!told.contains("installed and not started"), "an upgrade repeats the first steps:\n{told}");
    ensure!(std::fs::read_to_string(root.path(CONFIG))? == changed, "the configuration was overwritten");
    for (path, expected) in INSTALLED {
        root.expect(path, expected)?;
    }
    eprintln!("xtask: installed again, the administrator's configuration stays");

    root.run(&["dpkg", "-r", "fiscald"])?;
    root.gone("/usr/bin/fiscald")?;
    root.gone("/usr/lib/systemd/system/fiscald.service")?;
    for path in [CONFIG, "/etc/fiscald/keys/msg.keys", STORE] {
        ensure!(root.path(path).exists(), "{path} went with the removal");
    }
    let told = root.run(&["dpkg", "-P", "fiscald"])?;
    root.gone(CONFIG)?;
    ensure!(told.contains("/var/lib/fiscald is kept"), "the purge does not say what it keeps:\n{told}");
    ensure!(std::fs::read(root.path(STORE))? == documents, "the purge touched the documents");
    root.expect("/etc/fiscald/keys/opr.keys", "fiscald:fiscald 600")?;
    root.run(&["getent", "passwd", "fiscald"])?;
    eprintln!("xtask: removed and purged, documents, keys and user stay");

    // What is left of the first life is taken up by the second; a package nobody used leaves nothing.
    root.run(&["dpkg", "-i", "/fiscald.deb"])?;
    root.expect("/var/lib/fiscald", "fiscald:fiscald 750")?;
    ensure!(std::fs::read(root.path(STORE))? == documents, "a new installation touched the documents");
    for path in ["/var/lib/fiscald", "/etc/fiscald/keys"] {
        std::fs::remove_dir_all(root.path(path))?;
    }
    root.run(&["dpkg", "-P", "fiscald"])?;
    root.gone("/etc/fiscald")?;
    root.gone("/var/lib/fiscald")
}

/// As the user of the service: the shipped file demands what is missing, then is right.
fn check_configuration(root: &CleanRoot) -> Result<()> {
    let bare = root.as_service(&["fiscald", "check-config", "--config", CONFIG]).output()?;
    ensure!(bare.status.code() == Some(64), "the shipped file needs an INN and keys:\n{}", said(&bare));
    for purpose in ["msg", "opr"] {
        let out = format!("/etc/fiscald/keys/{purpose}.keys");
        let keys = ["fiscald", "keys", "generate", "--purpose", purpose, "--out", &out];
        finished(root.as_service(&keys).output()?)?;
    }
    finished(root.as_service(&["fiscald", "check-config", "--config", CONFIG]).env(INN.0, INN.1).output()?)?;
    eprintln!("xtask: the configuration is right for the user of the service");
    Ok(())
}

/// An invented INN with right check digits.
const INN: (&str, &str) = ("FISCALD__OPERATOR__INN", "7700000009");

fn serve_for_a_moment(root: &CleanRoot) -> Result<()> {
    let (registers, admin) = (free_address()?, free_address()?);
    let child = root
        .as_service(&["fiscald", "serve", "--config", CONFIG])
        .env(INN.0, INN.1)
        .env("FISCALD__INGEST__LISTEN", registers.to_string())
        .env("FISCALD__ADMIN__LISTEN", admin.to_string())
        .env("FISCALD__STORE__MIN_FREE_MIB", "1")
        .stderr(Stdio::piped())
        .spawn()?;
    let mut daemon = Running(child);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ready = get(admin, "/readyz");
        if ready.as_deref().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            break;
        }
        let ended = daemon.0.try_wait()?.is_some();
        if ended || Instant::now() > deadline {
            let mut log = String::new();
            daemon.end()?;
            if let Some(mut stderr) = daemon.0.stderr.take() {
                stderr.read_to_string(&mut log)?;
            }
            bail!("the daemon is not ready ({ready:?}):\n{log}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.end()?;
    let status = daemon.0.wait()?;
    ensure!(status.success(), "the daemon did not end in order: {status}");
    root.expect(STORE, "fiscald:fiscald 600")?;
    eprintln!("xtask: serve was ready as the user of the service, and ended in order");
    Ok(())
}

/// Copy, check and put back, as the README says.
fn care_for_the_store(root: &CleanRoot) -> Result<()> {
    let copy = "/var/lib/fiscald/copy.db";
    finished(root.as_service(&["fiscald", "backup", copy, "--config", CONFIG]).output()?)?;
    std::fs::remove_file(root.path(STORE))?;
    root.run(&["install", "-m", "0600", "-o", "fiscald", "-g", "fiscald", copy, STORE])?;
    finished(root.as_service(&["fiscald", "verify", "--config", CONFIG]).output()?)?;
    eprintln!("xtask: backed up, restored, verified");
    Ok(())
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The answer to one request, head and body.
fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// A daemon that is ended in any case. Its process is ours: setpriv and chroot become the program they start.
struct Running(Child);

impl Running {
    fn end(&mut self) -> Result<()> {
        if self.0.try_wait()?.is_none() {
            let pid = self.0.id().to_string();
            ensure!(succeeds("kill", &["-TERM", &pid]), "cannot end the daemon");
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already answers with an error nobody needs.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A fresh Debian in a folder.
struct CleanRoot {
    folder: PathBuf,
}

impl CleanRoot {
    fn make() -> Result<Self> {
        let folder = target_folder().join("xtask-deb/root");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("an older clean root is in the way: {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder)?;
        eprintln!("xtask: debootstrap {SUITE} into {}", folder.display());
        let output = Command::new("debootstrap").args(["--variant=minbase", SUITE]).arg(&folder).output()?;
        ensure!(output.status.success(), "debootstrap failed:\n{}", said(&output));
        Ok(Self { folder })
    }

    fn remove(self) -> Result<()> {
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.join(inside.trim_start_matches('/'))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.folder).args(args).env_clear().env("DEBIAN_FRONTEND", "noninteractive");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command
    }

    /// A command that must succeed; what it said.
    fn run(&self, args: &[&str]) -> Result<String> {
        finished(self.command(args).output()?).with_context(|| args.join(" "))
    }

    /// A command as the user of the service, in its folder, as the unit starts it.
    fn as_service(&self, args: &[&str]) -> Command {
        let shell = ["sh", "-c", "umask 0077; cd /var/lib/fiscald && exec \"$@\"", "sh"];
        let user = ["setpriv", "--reuid=fiscald", "--regid=fiscald", "--clear-groups", "--no-new-privs"];
        self.command(&[&user, &shell[..], args].concat())
    }

    fn expect(&self, path: &str, expected: &str) -> Result<()> {
        let found = self.run(&["stat", "-c", "%U:%G %a", path])?;
        ensure!(found.trim() == expected, "{path} is {}, should be {expected}", found.trim());
        Ok(())
    }

    fn gone(&self, path: &str) -> Result<()> {
        ensure!(!self.path(path).exists(), "{path} is still there");
        Ok(())
    }
}

fn finished(output: Output) -> Result<String> {
    ensure!(output.status.success(), "{}: {}", output.status, said(&output));
    Ok(said(&output))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
