//! Where a document belongs: the rules of repeats, conflicts and chains, the same in both engines.

use ffd::ids::FdNumber;

use crate::records::NewDocument;

/// Most conflicts kept under one (ФН, chain, ФД).
///
/// An ФН gives each number once, so a second content is a fault of hers or a forgery, and a hundred are evidence enough.
/// What comes past it is refused: nothing is kept, nothing is answered, and the register keeps its document. Contents
/// that were kept go on getting the acknowledgement they once got.
pub const MAX_CONFLICTS: u32 = 100;

/// Forms that begin the life of a ФН with ФД 1: report of registration and of its change.
const CHAIN_OPENERS: [u16; 2] = [1, 11];

/// Where a document belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Its identity is known.
    Repeat { seq: i64 },
    /// New content under a known (ФН, ФД).
    Conflict { chain: u32, conflict_no: u32 },
    /// The same, but there are [`MAX_CONFLICTS`] already.
    Full,
    /// New.
    New { chain: u32 },
    /// New, and the first of a chain that is to be made the newest one.
    NewChain { chain: u32 },
}

/// What is stored under the number of a document.
pub(crate) trait Known {
    /// Of the look-ups.
    type Error;

    /// The newest chain of a debug ФН; none before its first document.
    fn newest_chain(&mut self, document: &NewDocument) -> Result<Option<u32>, Self::Error>;

    /// Whether it is known without a look-up that nothing is stored under this ФД number of the ФН, in no chain.
    fn is_above_all(&mut self, _document: &NewDocument) -> Result<bool, Self::Error> {
        Ok(false)
    }

    /// What came first under (ФН, ФД): position and identity.
    fn first(&mut self, document: &NewDocument) -> Result<Option<(i64, [u8; 32])>, Self::Error>;

    /// The same content among conflicts and in later chains.
    fn among_others(&mut self, document: &NewDocument) -> Result<Option<i64>, Self::Error>;

    /// The highest number of a conflict under (ФН, chain, ФД), 0 for the first content; none while nothing is there.
    fn last_conflict(&mut self, document: &NewDocument, chain: u32) -> Result<Option<u32>, Self::Error>;
}

/// Decides where the document belongs.
///
/// A known identity is a repeat in whatever chain it lies. A debug ФН is registered again and again with the
/// same number: each new report with ФД 1 opens a chain, and what follows belongs to the newest one.
pub(crate) fn place<K: Known>(known: &mut K, document: &NewDocument) -> Result<Place, K::Error> {
    let debug = document.fn_number.is_debug();
    let newest = if debug { known.newest_chain(document)? } else { Some(0) };
    let opens_chain =
        debug && document.fd_number == FdNumber::FIRST && CHAIN_OPENERS.contains(&document.form);
    let is_above_all = known.is_above_all(document)?;
    let first = if is_above_all { None } else { known.first(document)? };
    match (first, newest) {
        (Some((seq, identity)), _) if identity == document.identity => return Ok(Place::Repeat { seq }),
        // Without a first there is no conflict, and in the first chain there are no later ones to look into.
        (None, Some(chain)) if !opens_chain && (is_above_all || chain == 0) => {
            return Ok(Place::New { chain });
        }
        _ => {}
    }
    if let Some(seq) = known.among_others(document)? {
        return Ok(Place::Repeat { seq });
    }
    match newest {
        None => Ok(Place::NewChain { chain: 0 }),
        Some(chain) if opens_chain => Ok(Place::NewChain { chain: chain.saturating_add(1) }),
        Some(chain) => Ok(match known.last_conflict(document, chain)? {
            Some(last) if last >= MAX_CONFLICTS => Place::Full,
            Some(last) => Place::Conflict { chain, conflict_no: last.saturating_add(1) },
            None => Place::New { chain },
        }),
    }
}

/// Why a document is refused.
pub(crate) fn too_many_conflicts(document: &NewDocument) -> String {
    format!(
        "{MAX_CONFLICTS} other contents are kept under ФН {} ФД {}: further ones are refused",
        document.fn_number.as_str(),
        document.fd_number.get()
    )
}
