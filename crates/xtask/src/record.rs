//! `cargo xtask record-stream`: the captured streams of `proto-fixtures/streams`, made anew.
//!
//! Simulated registers live against a daemon on loopback with the published test keys while tshark records. What
//! the registers say follows from the seeds below; the operator's answers hold the moment of the recording.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Port of the recorded operator: the one the dissector looks at without being told.
const PORT: u16 = 7777;
/// Patience with a program that starts.
const START_S: u64 = 30;
/// tshark says that it captures a moment before it does.
const SETTLE_S: u64 = 2;
/// Largest file that is kept in the repository.
const MOST_BYTES: u64 = 1 << 20;

/// One recording: a file and the runs of `kkt-sim` it holds.
struct Stream {
    file: &'static str,
    /// Format name of editcap.
    format: &'static str,
    runs: &'static [&'static str],
}

const STREAMS: [Stream; 2] = [
    Stream {
        file: "live.pcapng",
        format: "pcapng",
        runs: &[
            "probe",
            "live --registers 12 --days 4 --receipts 4 --ffd 1.05,1.1,1.2 --zones all --seed 7 --base 700000000 \
             --clock 2026-11-02T08:00:00+03:00",
            "live --registers 3 --receipts 8 --seed 8 --base 700000100 --clock 2026-11-02T08:00:00+03:00 \
             --connections per-document",
        ],
    },
    Stream {
        file: "live.pcap",
        format: "pcap",
        runs: &["live --registers 2 --receipts 3 --seed 9 --base 700000200 --encrypted 0 \
                 --clock 2026-11-02T08:00:00+03:00"],
    },
];

/// Records all streams with the programs in `programs` into `folder`.
pub(crate) fn streams(programs: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let scratch = std::env::temp_dir().join(format!("fiscald-record-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let outcome = STREAMS.iter().try_for_each(|stream| record(stream, programs, &scratch, folder));
    fs::remove_dir_all(&scratch)?;
    outcome
}

fn record(stream: &Stream, programs: &Path, scratch: &Path, folder: &Path) -> Result<()> {
    let to = SocketAddr::from(([127, 0, 0, 1], PORT));
    drop(TcpListener::bind(to).with_context(|| format!("{to} is in use"))?);
    let daemon = daemon(programs, scratch, stream.file, to)?;
    let raw = scratch.join(format!("{}.raw", stream.file));
    let tshark = tshark(&raw, scratch)?;
    for run in stream.runs {
        eprintln!("xtask: kkt-sim {run}");
        let arguments = run.split_whitespace().chain(["--to", "127.0.0.1:7777"]);
        let status = Command::new(programs.join("kkt-sim")).args(arguments).status()?;
        if !status.success() {
            bail!("`kkt-sim {run}` failed: the stream would hold refused documents");
        }
    }
    sleep(Duration::from_secs(SETTLE_S));
    tshark.stop("INT")?;
    daemon.stop("TERM")?;
    keep(stream, &raw, folder)
}

/// A started program; told to end by its signal, killed when something fails before.
struct Running(Option<Child>);

impl Running {
    /// Starts it with its messages in `log` and waits until one of them holds `ready`.
    fn start(command: &mut Command, log: &Path, ready: &str) -> Result<Self> {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log)?).spawn();
        let mut running = Self(Some(child.with_context(|| format!("starting {}", program.display()))?));
        let deadline = Instant::now() + Duration::from_secs(START_S);
        loop {
            let said = fs::read_to_string(log)?;
            if said.contains(ready) {
                return Ok(running);
            }
            let ended =
                running.0.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|end| end.is_some()));
            if ended || Instant::now() > deadline {
                bail!("{} does not say `{ready}`:\n{said}", program.display());
            }
            sleep(Duration::from_millis(50));
        }
    }

    fn stop(mut self, signal: &str) -> Result<()> {
        if let Some(mut child) = self.0.take() {
            Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn daemon(programs: &Path, scratch: &Path, name: &str, to: SocketAddr) -> Result<Running> {
    let store = format!("sqlite:{}", scratch.join(format!("{name}.db")).display());
    let mut command = Command::new(programs.join("fiscald"));
    command.arg("serve").current_dir(scratch).envs([
        ("FISCALD__OPERATOR__INN", "7704211201"),
        ("FISCALD__INGEST__LISTEN", &to.to_string()),
        ("FISCALD__ADMIN__LISTEN", "127.0.0.1:0"),
        ("FISCALD__SIGNS__TEST", "true"),
        ("FISCALD__REGISTRATION__UNKNOWN_FN", "accept"),
        ("FISCALD__STORE__MIN_FREE_MIB", "1"),
        ("FISCALD__STORE__URL", &store),
    ]);
    Running::start(&mut command, &scratch.join(format!("{name}.log")), "ready")
}

fn tshark(raw: &Path, scratch: &Path) -> Result<Running> {
    let mut command = Command::new("tshark");
    command.args(["-q", "-i", "lo", "-f", &format!("tcp port {PORT}"), "-w"]).arg(raw);
    let running = Running::start(&mut command, &scratch.join("tshark.log"), "Capturing on")?;
    sleep(Duration::from_secs(SETTLE_S));
    Ok(running)
}

/// Brings the recording into its format. The way through a classic file leaves out what tshark notes about the
/// machine it ran on.
fn keep(stream: &Stream, raw: &Path, folder: &Path) -> Result<()> {
    let path: PathBuf = folder.join(stream.file);
    let plain = raw.with_extension("plain");
    for (format, from, to) in [("nsecpcap", raw, plain.as_path()), (stream.format, &plain, &path)] {
        let status = Command::new("editcap").args(["-F", format]).args([from, to]).status();
        if !status.context("editcap, which comes with tshark")?.success() {
            bail!("editcap could not write {}", to.display());
        }
    }
    let size = fs::metadata(&path)?.len();
    eprintln!("xtask: {}, {size} bytes", path.display());
    if size > MOST_BYTES {
        bail!("more than {MOST_BYTES} bytes is too much for the repository");
    }
    Ok(())
}
