//! The check of signs that only the tax service can make: ФПД of the document and ФПС of the message, with the published
//! test keys. Documents of real storages, or of test storages with other keys, cannot pass it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ffd::{Document, FnNumber, tags};
use pkz::Generation;
use pkz::derive::{DocumentKeys, FnKeys};

use crate::keys::SimKeys;

/// Keys of that many storages are kept; deriving them costs more than checking a sign.
const CACHED_STORAGES: usize = 10_000;

struct Keys {
    message: FnKeys,
    document: DocumentKeys,
}

/// The keys, derived for each storage at its first document.
pub(super) struct SignCheck {
    cache: Mutex<HashMap<(FnNumber, u8), Arc<Keys>>>,
}

impl SignCheck {
    /// With the published test keys.
    pub(super) fn new() -> Self {
        Self { cache: Mutex::default() }
    }

    /// Whether both signs are those of the storage; each names its generation of keys, which have to be the same.
    pub(super) fn are_right(
        &self,
        fn_number: &FnNumber,
        document: &Document<'_>,
        message_sign: &[u8; 8],
    ) -> bool {
        let Some(generation) = Generation::of_message_sign(message_sign) else { return false };
        let Some(keys) = self.keys(fn_number, generation) else { return false };
        let bytes = document.bytes();
        let fpd = keys.document.fpd(bytes).ok();
        keys.message.check_fps(bytes, message_sign)
            && fpd.is_some_and(|fpd| document.raw(tags::FISCAL_SIGN) == Some(fpd.as_slice()))
    }

    fn keys(&self, fn_number: &FnNumber, generation: Generation) -> Option<Arc<Keys>> {
        let place = (*fn_number, generation.get());
        let lock = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = lock().get(&place) {
            return Some(Arc::clone(keys));
        }
        let masters = SimKeys::published_generation(generation.get())?;
        let message = FnKeys::derive(fn_number, masters.message(), None).ok()?;
        let document = DocumentKeys::derive(fn_number, masters.document()).ok()?;
        let keys = Arc::new(Keys { message, document });
        let mut cache = lock();
        if cache.len() >= CACHED_STORAGES {
            cache.clear();
        }
        cache.insert(place, Arc::clone(&keys));
        Some(keys)
    }
}
