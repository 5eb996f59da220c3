//! The crypto device of this process: which keys it has, and how they are read anew while it works.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use pkz::derive::Purpose;
use pkz::{
    AckRequest, AckSigner, FiscalSignVerifier, Keystore, NoPkz, OpenOutcome, RawContainer, SealError,
    SealedAck, SignMode, SoftPkz, test_keys,
};
use rustix::fs::Access;

use crate::config::SignsConfig;
use crate::keys_files::{self, TestKeys};
use crate::quoting::{program, shell_word, toml_text};

/// How long before the end of the newest keys their owner is reminded: storages have to be issued with new ones first.
const EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(60 * 24);

/// Verifier and signer, and the way to their keys.
#[derive(Clone)]
pub(crate) struct Device {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// Keys from files, or the published ones when there are no files.
    Soft { current: Arc<Swap>, files: Option<KeyFiles> },
    /// No keys: nothing is checked, nothing is signed.
    None,
}

/// Where the keys lie.
#[derive(Clone, Debug)]
struct KeyFiles {
    msg: PathBuf,
    opr: PathBuf,
    test: TestKeys,
}

impl Device {
    /// The device with the published test keys.
    pub(crate) fn published() -> Self {
        let soft = test_keys::soft_pkz(Timestamp::now().as_second());
        Self { kind: Kind::Soft { current: Arc::new(Swap::new(soft)), files: None } }
    }

    pub(crate) fn verifier(&self) -> Arc<dyn FiscalSignVerifier> {
        match &self.kind {
            Kind::Soft { current, .. } => Arc::clone(current) as _,
            Kind::None => Arc::new(NoPkz),
        }
    }

    pub(crate) fn signer(&self) -> Arc<dyn AckSigner> {
        match &self.kind {
            Kind::Soft { current, .. } => Arc::clone(current) as _,
            Kind::None => Arc::new(NoPkz),
        }
    }

    /// Expired and revoked generations stop being used.
    pub(crate) fn set_now(&self, now: Timestamp) {
        if let Kind::Soft { current, .. } = &self.kind {
            current.device().set_now(now.as_second());
        }
    }

    /// What keeps every document from being checked and answered, in words for people.
    pub(crate) fn trouble(&self) -> Option<String> {
        let Kind::Soft { current, .. } = &self.kind else { return None };
        let none = current.device().usable_until().is_none();
        none.then(|| {
            "no generation of keys is usable, all have expired or are revoked: no document is answered until new \
             ones are loaded (SIGHUP)"
                .to_owned()
        })
    }

    /// What to say of keys that end soon, or have ended and are still accepted.
    pub(crate) fn expiry(&self, now: Timestamp) -> Option<String> {
        let Kind::Soft { current, .. } = &self.kind else { return None };
        let end = Timestamp::from_second(current.device().usable_until()?).ok()?;
        let left = end.duration_since(now);
        if left > EXPIRY_WARNING {
            return None;
        }
        let tense = if left.is_negative() { "ended" } else { "ends" };
        let moment = end.strftime("%Y-%m-%dT%H:%M:%SZ");
        Some(format!("the period of the newest keys {tense} at {moment}: make and load a new generation"))
    }

    /// Whether anybody could sign with these keys.
    pub(crate) fn holds_published_test_key(&self) -> bool {
        match &self.kind {
            Kind::Soft { current, .. } => current.device().has_published_test_key(),
            Kind::None => false,
        }
    }

    /// Whether there are any keys.
    pub(crate) fn has_keys(&self) -> bool {
        matches!(self.kind, Kind::Soft { .. })
    }

    /// Purpose, generation and check value of each key, for the log.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::None => "none".to_owned(),
            Kind::Soft { current, .. } => {
                let device = current.device();
                let one = |key: &pkz::derive::MasterKey| {
                    format!("{} generation {} KCV {}", key.purpose(), key.generation(), key.kcv())
                };
                device.masters().map(one).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Reads the key files anew and takes the new set only when all of it is right. False: there are no files.
    ///
    /// # Errors
    /// A file that is not right; the old keys stay in use.
    pub(crate) fn reload(&self) -> Result<bool> {
        let Kind::Soft { current, files: Some(files) } = &self.kind else { return Ok(false) };
        pkz::self_test().context("the self-test of the crypto device failed")?;
        current.replace(files.open()?);
        Ok(true)
    }
}

impl KeyFiles {
    fn open(&self) -> Result<SoftPkz> {
        open_pair(&self.msg, &self.opr, self.test)
    }
}

/// A device over the keys of two files: the only judge of whether they go together, for `serve` and `keys check` alike.
///
/// # Errors
/// A file that is not right in itself; a message key without the operator key of its generation.
pub(crate) fn open_pair(msg: &Path, opr: &Path, test: TestKeys) -> Result<SoftPkz> {
    let now = Timestamp::now().as_second();
    let load = |path: &Path, purpose| {
        let store = keys_files::load(path, purpose, test)?;
        anyhow::ensure!(has_current_key(&store, now), "{}: no key is in its period now", path.display());
        Ok(store)
    };
    let stores = (load(msg, Purpose::Message)?, load(opr, Purpose::Operator)?);
    SoftPkz::new(stores.0, stores.1, now)
        .with_context(|| format!("{} and {} do not go together", msg.display(), opr.display()))
}

fn has_current_key(store: &Keystore, now_unix: i64) -> bool {
    store.newest_at(now_unix).is_some()
}

/// Key files that are not there: what to do, in words that can be copied.
#[derive(Debug)]
pub(crate) struct NoKeys {
    files: [(Purpose, PathBuf); 2],
    /// Whether the configuration names them already.
    named: bool,
}

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.named {
            true => "the configuration names key files that are not there",
            false => "signs.mode is \"required\", but no key files are named",
        })?;
        let missing = self.files.iter().filter(|(_, path)| is_missing(path));
        let commands: Vec<String> = missing
            .map(|(purpose, path)| {
                format!("  {} keys generate --purpose {purpose} --out {}\n", program(), shell_word(path))
            })
            .collect();
        if !commands.is_empty() {
            write!(f, ". Make them:\n\n{}", commands.concat())?;
        }
        if !self.named {
            f.write_str("\nName them in the configuration:\n\n  [signs]\n")?;
            for (purpose, path) in &self.files {
                writeln!(f, "  keys_{purpose} = {}", toml_text(&path.display().to_string()))?;
            }
            f.write_str("\n(for tests only, signs.test = true uses the published test keys instead)")?;
        }
        Ok(())
    }
}

impl std::error::Error for NoKeys {}

fn is_missing(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// The device that the settings ask for, after its self-test.
///
/// # Errors
/// The self-test; key files that are missing, unsafe, published or without a current key; [`NoKeys`].
pub(crate) fn load(signs: &SignsConfig) -> Result<Device> {
    pkz::self_test().context("the self-test of the crypto device failed")?;
    if signs.mode == SignMode::Off {
        return Ok(Device { kind: Kind::None });
    }
    let test = if signs.test { TestKeys::Permitted } else { TestKeys::Refused };
    match (&signs.keys_msg, &signs.keys_opr) {
        (Some(msg), Some(opr)) => {
            let files = KeyFiles { msg: msg.clone(), opr: opr.clone(), test };
            // What the service manager delivers is not ours to make; its absence is told as it is.
            let ours = [msg, opr].into_iter().filter(|path| !path.starts_with(CREDENTIALS));
            if ours.into_iter().any(|path| is_missing(path)) {
                return Err(NoKeys { files: by_purpose(msg, opr), named: true }.into());
            }
            let current = Arc::new(Swap::new(files.open()?));
            Ok(Device { kind: Kind::Soft { current, files: Some(files) } })
        }
        _ if signs.test => Ok(Device::published()),
        // Documents are kept with what little is known of their sign; acknowledgements stay unsigned.
        _ if signs.mode == SignMode::LogOnly => Ok(Device { kind: Kind::None }),
        _ => {
            let folder = proposed_folder();
            let files = by_purpose(&folder.join("msg.keys"), &folder.join("opr.keys"));
            Err(NoKeys { files, named: false }.into())
        }
    }
}

fn by_purpose(msg: &Path, opr: &Path) -> [(Purpose, PathBuf); 2] {
    [(Purpose::Message, msg.to_owned()), (Purpose::Operator, opr.to_owned())]
}

/// Where systemd puts the credentials of services.
const CREDENTIALS: &str = "/run/credentials";

/// Where keys of an installed service lie, if this user may make them there, or beside the working folder.
fn proposed_folder() -> PathBuf {
    let installed = Path::new("/etc/fiscald/keys");
    let writable = |folder: &Path| rustix::fs::access(folder, Access::WRITE_OK).is_ok();
    let parent = installed.parent().filter(|_| !installed.exists());
    if writable(installed) || parent.is_some_and(writable) {
        return installed.to_owned();
    }
    std::path::absolute("keys").unwrap_or_else(|_| PathBuf::from("keys"))
}

/// A device that can be exchanged between two documents. The lock is held for the copying of a pointer only.
struct Swap {
    current: RwLock<Arc<SoftPkz>>,
}

impl Swap {
    fn new(device: SoftPkz) -> Self {
        Self { current: RwLock::new(Arc::new(device)) }
    }

    fn device(&self) -> Arc<SoftPkz> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, device: SoftPkz) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(device);
    }
}

impl FiscalSignVerifier for Swap {
    fn open<'a>(&self, container: &RawContainer<'a>) -> OpenOutcome<'a> {
        self.device().open(container)
    }

    fn open_many<'a>(&self, containers: &[RawContainer<'a>]) -> Vec<OpenOutcome<'a>> {
        self.device().open_many(containers)
    }

    fn kind(&self) -> &'static str {
        FiscalSignVerifier::kind(&*self.device())
    }
}

impl AckSigner for Swap {
    fn seal(&self, request: &AckRequest<'_>) -> Result<SealedAck, SealError> {
        self.device().seal(request)
    }

    fn seal_many(&self, requests: &[AckRequest<'_>]) -> Vec<Result<SealedAck, SealError>> {
        self.device().seal_many(requests)
    }
}

#[cfg(test)]
mod tests;
