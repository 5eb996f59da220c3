//! Coverage-guided fuzzing: `cargo xtask fuzz [TARGET...]`.
//!
//! The targets are the files `crates/*/fuzz/fuzz_targets/*.rs`. Each is built with the address sanitizer and the versions
//! of the workspace's lock file, begins with `proto-fixtures/corpus/TARGET`, and puts what it learns into a folder under
//! the target directory; with `--keep` the least set that reaches the same code goes back into the corpus afterwards.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// How long a target runs when nothing is said, seconds.
const DEFAULT_SECONDS: u64 = 60;
/// Longest input, bytes. Longer ones cost speed and show nothing new: the limits of the readers are tested apart.
const MAX_INPUT_BYTES: u32 = 16 * 1024;
/// One input that takes longer is a finding, seconds.
const INPUT_TIMEOUT_S: u32 = 10;
/// Memory above which a run is a finding, MiB.
const MEMORY_LIMIT_MIB: u32 = 2048;

/// What was asked for.
struct Options {
    targets: Vec<String>,
    seconds: u64,
    seed: u32,
    keep: bool,
}

/// A fuzz target and the folder of its package.
struct Target {
    name: String,
    package: PathBuf,
}

/// Runs the targets named in `args` (all when none is), one after another; stops at the first finding.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let all = targets(&root)?;
    for name in &options.targets {
        if !all.iter().any(|target| target.name == *name) {
            let known: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
            bail!("no fuzz target {name}; there are: {}", known.join(", "));
        }
    }
    if !super::succeeds("cargo", &["fuzz", "--version"]) {
        bail!("cargo-fuzz is not installed; install it with: cargo install cargo-fuzz --locked");
    }
    let chosen =
        all.iter().filter(|target| options.targets.is_empty() || options.targets.contains(&target.name));
    for target in chosen {
        fuzz(&root, target, &options)?;
    }
    Ok(())
}

fn options(args: &[String]) -> Result<Options> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let mut options = Options { targets: Vec::new(), seconds: DEFAULT_SECONDS, seed: now, keep: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || args.next().with_context(|| format!("{arg} needs a number"));
        match arg.as_str() {
            "--seconds" => options.seconds = number()?.parse().context("--seconds")?,
            "--seed" => options.seed = number()?.parse().context("--seed")?,
            "--keep" => options.keep = true,
            name if !name.starts_with('-') => options.targets.push(name.to_owned()),
            other => {
                bail!("unknown option {other}; there are --seconds N, --seed N, --keep and names of targets")
            }
        }
    }
    Ok(options)
}

/// All targets, by package and name.
fn targets(root: &Path) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        let package = entry?.path().join("fuzz");
        let Ok(files) = fs::read_dir(package.join("fuzz_targets")) else { continue };
        for file in files {
            let path = file?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str()).context("a target has a name")?;
            targets.push(Target { name: name.to_owned(), package: package.clone() });
        }
    }
    targets.sort_by(|one, other| (&one.package, &one.name).cmp(&(&other.package, &other.name)));
    Ok(targets)
}

fn fuzz(root: &Path, target: &Target, options: &Options) -> Result<()> {
    // What is fuzzed is what is shipped: the same versions of everything.
    fs::copy(root.join("Cargo.lock"), target.package.join("Cargo.lock"))?;
    let build =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("fuzz");
    let learnt = build.join("corpus").join(&target.name);
    let kept = root.join("proto-fixtures/corpus").join(&target.name);
    fs::create_dir_all(&learnt)?;
    fs::create_dir_all(&kept)?;
    eprintln!("xtask: fuzzing {}, commit {}, seed {}", target.name, commit(root), options.seed);
    let limits = [
        format!("-max_len={MAX_INPUT_BYTES}"),
        format!("-timeout={INPUT_TIMEOUT_S}"),
        format!("-rss_limit_mb={MEMORY_LIMIT_MIB}"),
    ];
    let run = [format!("-max_total_time={}", options.seconds), format!("-seed={}", options.seed)];
    let folders = [learnt.as_path(), kept.as_path()];
    cargo_fuzz(
        target,
        &build,
        &folders,
        &[&run[..], &limits[..], &["-print_final_stats=1".to_owned()]].concat(),
    )
    .with_context(|| {
        format!(
            "{} found something: the input lies in {}; put it into {} together with its fix",
            target.name,
            target.package.join("artifacts").join(&target.name).display(),
            kept.display(),
        )
    })?;
    if options.keep {
        keep(target, &build, &learnt, &kept, &limits)?;
    }
    Ok(())
}

/// Adds to the kept inputs the fewest of the learnt ones that reach what those do not.
fn keep(target: &Target, build: &Path, learnt: &Path, kept: &Path, limits: &[String]) -> Result<()> {
    let merge = [&["-set_cover_merge=1".to_owned(), "-use_counters=0".to_owned()], limits].concat();
    cargo_fuzz(target, build, &[kept, learnt], &merge)
}

/// `cargo fuzz run` with the sanitizer, which stable Rust has only under this variable.
fn cargo_fuzz(target: &Target, build: &Path, folders: &[&Path], flags: &[String]) -> Result<()> {
    let status = Command::new("cargo")
        .args(["fuzz", "run", "--fuzz-dir"])
        .arg(&target.package)
        .arg("--target-dir")
        .arg(build)
        .arg(&target.name)
        .args(folders)
        .arg("--")
        .args(flags)
        .env("RUSTC_BOOTSTRAP", "1")
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo fuzz: {status}");
    }
    Ok(())
}

/// Short name of the commit, and whether the tree differs from it.
fn commit(root: &Path) -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").current_dir(root).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match (git(&["rev-parse", "--short", "HEAD"]), git(&["status", "--porcelain"])) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), _) => format!("{commit} (dirty)"),
        _ => "unknown".to_owned(),
    }
}
