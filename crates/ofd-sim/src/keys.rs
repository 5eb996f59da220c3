//! Master keys of simulated storages: the published test keys, or keystore files.
//!
//! Unlike an operator, a storage needs the document master too; the operator master is optional and only
//! lets the simulation check ФПО, which a real storage leaves to the tax service.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use pkz::derive::{MasterKey, Purpose};
use pkz::{Generation, Keystore, test_keys};

/// The masters that simulated storages are made from.
#[derive(Clone, Debug)]
pub struct SimKeys {
    message: Arc<MasterKey>,
    document: Arc<MasterKey>,
    operator: Option<Arc<MasterKey>>,
}

impl SimKeys {
    /// The published test keys, generation 1. Everybody knows them; they protect nothing.
    ///
    /// # Panics
    /// Never: the key texts are constants of `pkz`, and a test of this crate reads them.
    #[must_use]
    pub fn published() -> Self {
        Self::published_generation(1).expect("the published keys have a generation 1")
    }

    /// The published test keys of another generation (1 and 2 exist).
    #[must_use]
    pub(crate) fn published_generation(number: u8) -> Option<Self> {
        let generation = Generation::new(number)?;
        let key = |text: &str, purpose| {
            let store = Keystore::parse(text, purpose).ok()?;
            store.record(generation).map(|record| Arc::clone(record.key()))
        };
        Some(Self {
            message: key(test_keys::message_keystore(), Purpose::Message)?,
            document: key(test_keys::document_keystore(), Purpose::Document)?,
            operator: Some(key(test_keys::operator_keystore(), Purpose::Operator)?),
        })
    }

    /// Keys from keystore files; of each file the key that new storages would be issued with at `now_unix`.
    ///
    /// # Errors
    /// A file cannot be read, has no current key of its purpose, or the generations differ.
    pub(crate) fn from_files(
        message: &Path,
        document: &Path,
        operator: Option<&Path>,
        now_unix: i64,
    ) -> anyhow::Result<Self> {
        let read = |path: &Path, purpose: Purpose| {
            let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            let store = Keystore::parse(&text, purpose).with_context(|| format!("in {}", path.display()))?;
            let newest = store.newest_at(now_unix).map(|record| Arc::clone(record.key()));
            newest.with_context(|| format!("{}: no key is in its period now", path.display()))
        };
        let message = read(message, Purpose::Message)?;
        let document = read(document, Purpose::Document)?;
        let operator = operator.map(|path| read(path, Purpose::Operator)).transpose()?;
        let same = |key: &Arc<MasterKey>| key.generation() == message.generation();
        if !same(&document) || !operator.as_ref().is_none_or(same) {
            bail!("the current keys of the files are of different generations");
        }
        Ok(Self { message, document, operator })
    }

    /// The message master (signs of messages and acknowledgements, encryption).
    #[must_use]
    pub(crate) fn message(&self) -> &Arc<MasterKey> {
        &self.message
    }

    /// The document master (ФПД).
    #[must_use]
    pub(crate) fn document(&self) -> &MasterKey {
        &self.document
    }

    /// The operator master (ФПО), when the simulation is to check it.
    #[must_use]
    pub(crate) fn operator(&self) -> Option<&MasterKey> {
        self.operator.as_deref()
    }

    /// The same keys without the operator master: what a real storage has.
    #[cfg(test)]
    pub(crate) fn without_operator(mut self) -> Self {
        self.operator = None;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_keys_are_there() {
        let keys = SimKeys::published();
        assert!(keys.message().is_published_test_key() && keys.document().is_published_test_key());
        assert_eq!(keys.message().generation().get(), 1);
        assert!(SimKeys::published_generation(2).is_some());
        assert!(SimKeys::published_generation(3).is_none());
        assert!(keys.without_operator().operator().is_none());
    }

    #[test]
    fn key_files_are_read_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let message = file("msg", test_keys::message_keystore());
        let document = file("doc", test_keys::document_keystore());
        let first: String = test_keys::operator_keystore().lines().take(1).collect();
        let operator = file("opr", &first);
        let now = 1_800_000_000;
        assert!(SimKeys::from_files(&message, &document, None, now).is_ok());
        let wrong = SimKeys::from_files(&message, &document, Some(&operator), now).unwrap_err();
        assert!(wrong.to_string().contains("different generations"), "{wrong}");
        assert!(SimKeys::from_files(&document, &message, None, now).is_err());
        assert!(SimKeys::from_files(&folder.path().join("absent"), &document, None, now).is_err());
        assert!(SimKeys::from_files(&message, &document, None, 0).is_err());
    }
}
