//! `fiscald keys`: making and checking keystore files.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use pkz::derive::Purpose;
use pkz::keystore::{KeyRecord, generate_line};
use pkz::{Generation, Keystore};
use serde_json::json;
use zeroize::Zeroizing;

use super::output::Output;
use crate::cli::{KeyPurpose, KeysCommand, KeysGenerateArgs};
use crate::keys_files::{self, TestKeys};
use crate::run::keys::open_pair;

/// How long a new key is valid when nobody says otherwise.
const LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// Makes or checks.
///
/// # Errors
/// A file that exists already or cannot be made; no random bytes from the system.
pub(crate) fn run(command: KeysCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        KeysCommand::Generate(args) => generate(&args, out).map(|()| ExitCode::SUCCESS),
        KeysCommand::Check { files, test, json } => {
            let test = if test { TestKeys::Permitted } else { TestKeys::Refused };
            let now = Timestamp::now();
            let checked: Vec<Checked<'_>> = files.iter().map(|file| check(file, test, now)).collect();
            let pair = pair(&checked).map(|(msg, opr)| check_pair(msg, opr, test));
            if json {
                out.json(&checked.iter().map(|file| file.as_json(pair.as_ref())).collect::<Vec<_>>())?;
            } else {
                let rows = checked.iter().flat_map(Checked::rows).collect();
                let heading = ["FILE", "PURPOSE", "GENERATION", "KCV", "NOT BEFORE", "NOT AFTER", "STATE"];
                out.table(&heading, &[2], rows)?;
                match &pair {
                    None => {}
                    Some(Ok(())) => out.line("\nthe two files go together")?,
                    Some(Err(error)) => out.line(format!("\nBAD: {error}"))?,
                }
            }
            let good = checked.iter().all(Checked::is_good) && !matches!(pair, Some(Err(_)));
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn generate(args: &KeysGenerateArgs, out: &mut Output) -> Result<()> {
    let purpose = match args.purpose {
        KeyPurpose::Msg => Purpose::Message,
        KeyPurpose::Opr => Purpose::Operator,
    };
    let generation = Generation::new(args.generation).context("the generation is one of 0 to 15")?;
    let not_before = args.not_before.unwrap_or_else(Timestamp::now);
    let not_after = match args.not_after {
        Some(moment) => moment,
        None => not_before.checked_add(LIFE).context("--not-before lies too far ahead")?,
    };
    if not_after <= not_before {
        bail!("--not-after must lie after --not-before");
    }
    make_folder(&args.out)?;
    // What `serve` would refuse is not made in the first place.
    keys_files::check_folder(&args.out)?;

    let mut key = Zeroizing::new([0_u8; 32]);
    getrandom::fill(key.as_mut_slice()).context("the system gives no random bytes")?;
    let mut text = Zeroizing::new(generate_line(
        purpose,
        generation,
        not_before.as_second(),
        not_after.as_second(),
        *key,
    ));
    text.push('\n');
    let store = Keystore::parse(&text, purpose).context("the new keystore cannot be read back")?;
    let kcv = store.record(generation).context("the new keystore lacks its key")?.kcv();
    write_new(&args.out, text.as_bytes())?;
    out.line(format!("{}: {purpose}, generation {generation}, KCV {kcv}", args.out.display()))?;
    Ok(())
}

/// The folder of a first key file, for its owner only; one that is there stays as it is.
fn make_folder(file: &Path) -> Result<()> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// A new file of mode 0600, on disk before its name is told; an existing one is left alone.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(
            || format!("cannot make {} (an existing file is never overwritten)", path.display()),
        )?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// One file and what was found in it.
struct Checked<'a> {
    file: &'a Path,
    outcome: Result<Keystore, String>,
    now: Timestamp,
}

fn check(file: &Path, test: TestKeys, now: Timestamp) -> Checked<'_> {
    let outcome = keys_files::read_text(file)
        .and_then(|text| keys_files::load(file, purpose_of(&text), test))
        .map_err(|error| error.to_string());
    Checked { file, outcome, now }
}

/// The files `serve` would use together: one of each purpose, both readable.
fn pair<'a>(checked: &[Checked<'a>]) -> Option<(&'a Path, &'a Path)> {
    let only = |purpose| {
        let mut of_purpose = checked.iter().filter(|file| match &file.outcome {
            Ok(store) => store.purpose() == purpose,
            Err(_) => false,
        });
        of_purpose.next().filter(|_| of_purpose.next().is_none()).map(|file| file.file)
    };
    only(Purpose::Message).zip(only(Purpose::Operator))
}

fn check_pair(msg: &Path, opr: &Path, test: TestKeys) -> Result<(), String> {
    open_pair(msg, opr, test).map(|_| ()).map_err(|error| format!("{error:#}"))
}

/// What the first line of a keystore says it is for; a message store when it does not say.
fn purpose_of(text: &str) -> Purpose {
    #[derive(serde::Deserialize)]
    struct Line {
        purpose: String,
    }
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    match serde_json::from_str::<Line>(first) {
        Ok(line) if line.purpose == Purpose::Operator.as_str() => Purpose::Operator,
        _ => Purpose::Message,
    }
}

impl Checked<'_> {
    /// The file may be used now: it can be read and has a key in its period.
    fn is_good(&self) -> bool {
        let now = self.now.as_second();
        self.outcome.as_ref().is_ok_and(|store| store.newest_at(now).is_some())
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let file = self.file.display().to_string();
        match &self.outcome {
            Err(error) => {
                let dash = || "-".to_owned();
                vec![vec![file, dash(), dash(), dash(), dash(), dash(), format!("BAD: {error}")]]
            }
            Ok(store) => store
                .records()
                .iter()
                .map(|record| {
                    vec![
                        file.clone(),
                        store.purpose().to_string(),
                        record.generation().to_string(),
                        record.kcv().to_string(),
                        moment(record.not_before_s()),
                        moment(record.not_after_s()),
                        self.state(record).to_owned(),
                    ]
                })
                .collect(),
        }
    }

    fn state(&self, record: &KeyRecord) -> &'static str {
        let now = self.now.as_second();
        match (record.issues_at(now), record.is_published_test_key()) {
            (true, true) => "published test key",
            (true, false) => "good",
            (false, _) if now < record.not_before_s() => "not valid yet",
            (false, _) if record.verifies_at(now) => "expired, still accepted",
            (false, _) => "expired or revoked",
        }
    }

    /// `pair`: whether the one message and the one operator file go together, if that is what was named.
    fn as_json(&self, pair: Option<&Result<(), String>>) -> serde_json::Value {
        let file = self.file.display().to_string();
        match &self.outcome {
            Err(error) => json!({ "file": file, "good": false, "error": error }),
            Ok(store) => {
                let keys = store.records().iter().map(|record| {
                    json!({
                        "generation": record.generation().get(),
                        "kcv": record.kcv().to_string(),
                        "not_before": moment(record.not_before_s()),
                        "not_after": moment(record.not_after_s()),
                        "state": self.state(record),
                    })
                });
                json!({
                    "file": file,
                    "good": self.is_good(),
                    "purpose": store.purpose().as_str(),
                    "pair": pair.map(|pair| pair.as_ref().map_or_else(Clone::clone, |()| "good".to_owned())),
                    "keys": keys.collect::<Vec<_>>(),
                })
            }
        }
    }
}

fn moment(unix_s: i64) -> String {
    Timestamp::from_second(unix_s).map_or_else(|_| unix_s.to_string(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    fn args(out: PathBuf, purpose: KeyPurpose) -> KeysGenerateArgs {
        KeysGenerateArgs { purpose, generation: 3, out, not_before: None, not_after: None }
    }

    #[test]
    fn a_new_file_is_private_and_good() {
        for (purpose, expected) in [(KeyPurpose::Msg, Purpose::Message), (KeyPurpose::Opr, Purpose::Operator)]
        {
            let folder = folder();
            let path = folder.path().join("deeper/new.keys");
            generate(&args(path.clone(), purpose), &mut Output::new()).unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
            let checked = check(&path, TestKeys::Refused, Timestamp::now());
            assert!(checked.is_good(), "{:?}", checked.outcome);
            let store = checked.outcome.unwrap();
            assert_eq!(store.purpose(), expected);
            assert_eq!(store.records().first().unwrap().generation().get(), 3);
        }
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let folder = folder();
        let path = folder.path().join("old.keys");
        std::fs::write(&path, "precious").unwrap();
        let error = generate(&args(path.clone(), KeyPurpose::Msg), &mut Output::new()).unwrap_err();
        assert!(format!("{error:#}").contains("never overwritten"), "{error:#}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn two_keys_are_never_the_same() {
        let folder = folder();
        let kcv = |name: &str| {
            let path = folder.path().join(name);
            generate(&args(path.clone(), KeyPurpose::Msg), &mut Output::new()).unwrap();
            let store = keys_files::load(&path, Purpose::Message, TestKeys::Refused).unwrap();
            store.records().first().unwrap().kcv()
        };
        assert_ne!(kcv("a"), kcv("b"));
    }

    #[test]
    fn no_key_is_made_where_anybody_may_write() {
        let folder = folder();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let path = folder.path().join("new.keys");
        assert!(generate(&args(path.clone(), KeyPurpose::Msg), &mut Output::new()).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn an_empty_period_is_refused() {
        let folder = folder();
        let mut args = args(folder.path().join("new.keys"), KeyPurpose::Msg);
        args.not_before = Some("2026-01-02T00:00:00Z".parse().unwrap());
        args.not_after = Some("2026-01-02T00:00:00Z".parse().unwrap());
        assert!(generate(&args, &mut Output::new()).is_err());
    }

    /// The steps of the help of `keys generate`.
    #[test]
    fn a_further_generation_as_the_help_says_it() {
        let folder = folder();
        let place = |name: &str| folder.path().join(name);
        let make = |name: &str, purpose, generation| {
            let mut args = args(place(name), purpose);
            args.generation = generation;
            generate(&args, &mut Output::new()).unwrap();
        };
        let append = |from: &str, to: &str| {
            let line = std::fs::read(place(from)).unwrap();
            std::fs::OpenOptions::new().append(true).open(place(to)).unwrap().write_all(&line).unwrap();
        };
        let (msg, opr) = (place("msg.keys"), place("opr.keys"));
        let pair_now = || {
            let checked = [&msg, &opr].map(|file| check(file, TestKeys::Refused, Timestamp::now()));
            assert!(checked.iter().all(Checked::is_good));
            let (msg, opr) = pair(&checked).unwrap();
            check_pair(msg, opr, TestKeys::Refused)
        };
        make("msg.keys", KeyPurpose::Msg, 1);
        make("opr.keys", KeyPurpose::Opr, 1);
        assert_eq!(pair_now(), Ok(()));
        make("msg-2.keys", KeyPurpose::Msg, 2);
        make("opr-2.keys", KeyPurpose::Opr, 2);
        let before = std::fs::read(&msg).unwrap();
        // Half of it, the wrong half: each file is right, together they are not, and `serve` would not start.
        append("msg-2.keys", "msg.keys");
        let said = pair_now().unwrap_err();
        assert!(said.contains("do not go together") && said.contains("generation 2"), "{said}");
        std::fs::write(&msg, before).unwrap();
        append("opr-2.keys", "opr.keys");
        assert_eq!(pair_now(), Ok(()), "between the two steps");
        append("msg-2.keys", "msg.keys");
        assert_eq!(pair_now(), Ok(()));
    }

    #[test]
    fn only_one_file_of_each_purpose_is_a_pair() {
        let folder = folder();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let msg = write("msg", pkz::test_keys::message_keystore());
        let opr = write("opr", pkz::test_keys::operator_keystore());
        let bad = write("bad", "nonsense");
        for (files, expected) in [
            (vec![&msg], None),
            (vec![&msg, &opr], Some((&msg, &opr))),
            (vec![&opr, &bad, &msg], Some((&msg, &opr))),
            (vec![&msg, &msg, &opr], None),
            (vec![&msg, &bad], None),
        ] {
            let checked: Vec<_> =
                files.iter().map(|file| check(file, TestKeys::Permitted, Timestamp::now())).collect();
            let expected = expected.map(|(msg, opr)| (msg.as_path(), opr.as_path()));
            assert_eq!(pair(&checked), expected, "{files:?}");
        }
    }

    #[test]
    fn check_says_what_is_wrong() {
        let folder = folder();
        let path = folder.path().join("test.keys");
        let write = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let now = Timestamp::now();
        write(pkz::test_keys::message_keystore(), 0o600);
        assert!(!check(&path, TestKeys::Refused, now).is_good());
        assert!(check(&path, TestKeys::Permitted, now).is_good());
        write(pkz::test_keys::operator_keystore(), 0o600);
        assert!(check(&path, TestKeys::Permitted, now).is_good());
        write(pkz::test_keys::document_keystore(), 0o600);
        let error = check(&path, TestKeys::Permitted, now).outcome.unwrap_err();
        assert!(error.contains("document master"), "{error}");
        write(pkz::test_keys::message_keystore(), 0o644);
        let error = check(&path, TestKeys::Permitted, now).outcome.unwrap_err();
        assert!(error.contains("chmod 600"), "{error}");
        let long_after = "2200-01-01T00:00:00Z".parse().unwrap();
        write(pkz::test_keys::message_keystore(), 0o600);
        assert!(!check(&path, TestKeys::Permitted, long_after).is_good());
    }
}
