//! Messages of a load run, made beforehand: signing must not be measured as the operator's time.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

use ffd::{FdNumber, FfdVersion, FnNumber};
use kkt_proto::header::{CrcMode, Header};
use tokio_util::sync::CancellationToken;

use super::options::LoadOptions;
use crate::fleet::{OutOfRange, debug_fn, encrypts, genuine_fn};
use crate::kkt::{Kkt, KktError, KktSettings, OperatorCard};
use crate::rng::Rng;
use crate::storage::{AckChecker, Outgoing, Reread, StorageError};

/// Documents that open a register's life: registration and shift opening. They are sent before the clock of
/// the run starts.
pub(crate) const OPENING_DOCUMENTS: usize = 2;

/// Sets the draw of receipt lengths apart from the other draws of a seed.
const ITEMS_SALT: u64 = 0x1059;

/// The whole life of one register as bytes.
#[derive(Debug)]
pub(crate) struct RegisterLoad {
    /// Checks its answers.
    pub(crate) checker: AckChecker,
    /// Session messages one after another.
    bytes: Vec<u8>,
    /// End of each message in `bytes`.
    ends: Vec<usize>,
}

impl RegisterLoad {
    /// Number of messages, opening included.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all messages.
    #[must_use]
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Sizes of its messages in bytes.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = usize> {
        self.ends.iter().scan(0, |start, end| Some(end - std::mem::replace(start, *end)))
    }

    /// Where the messages `from..to` lie (both cut to what there is).
    #[must_use]
    pub(crate) fn span(&self, from: usize, to: usize) -> Range<usize> {
        self.start_of(from)..self.start_of(to)
    }

    /// The bytes of a span.
    #[must_use]
    pub(crate) fn bytes(&self, span: Range<usize>) -> &[u8] {
        self.bytes.get(span).unwrap_or_default()
    }

    /// Document number of the message `index`: they begin with 1 and have no gaps.
    #[must_use]
    pub(crate) fn fd_number(index: usize) -> Option<FdNumber> {
        u32::try_from(index).ok().and_then(|index| FdNumber::new(index + 1).ok())
    }

    fn start_of(&self, index: usize) -> usize {
        index
            .checked_sub(1)
            .map_or(0, |before| self.ends.get(before).or(self.ends.last()).copied().unwrap_or(0))
    }
}

/// Why nothing could be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// A register cannot be made.
    #[error("preparing documents: {0}")]
    Kkt(#[from] KktError),
    /// The range of ФН numbers leaves 12 digits.
    #[error(transparent)]
    Range(#[from] OutOfRange),
    /// Cancelled from outside.
    #[error("cancelled while documents were prepared")]
    Cancelled,
}

/// Makes all messages on `threads` threads; `prepared` counts documents as they are made.
///
/// # Errors
/// [`PrepareError`]; [`PrepareError::Cancelled`] when `token` was cancelled meanwhile.
pub(crate) fn prepare(
    options: &LoadOptions,
    threads: usize,
    prepared: &AtomicU64,
    token: &CancellationToken,
) -> Result<Vec<RegisterLoad>, PrepareError> {
    let next = AtomicU32::new(0);
    let done = Mutex::new(Vec::new());
    let work = || -> Result<(), PrepareError> {
        loop {
            let register = next.fetch_add(1, Ordering::Relaxed);
            if register >= options.registers {
                return Ok(());
            }
            let load = one_register(options, register, prepared, token)?;
            if let Ok(mut done) = done.lock() {
                done.push((register, load));
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        // A panic of a worker can only be a defect of this program; the message is on stderr already.
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Err(PrepareError::Cancelled)))
    })?;
    let mut loads = done.into_inner().unwrap_or_default();
    loads.sort_by_key(|(register, _)| *register);
    Ok(loads.into_iter().map(|(_, load)| load).collect())
}

fn one_register(
    options: &LoadOptions,
    register: u32,
    prepared: &AtomicU64,
    token: &CancellationToken,
) -> Result<RegisterLoad, PrepareError> {
    let number = options.fn_base.saturating_add(u64::from(register));
    let receipts = options.receipts_of(register);
    let settings = KktSettings {
        fn_number: if options.genuine { genuine_fn(number)? } else { debug_fn(number)? },
        ffd: if register.is_multiple_of(3) { FfdVersion::V1_05 } else { FfdVersion::V1_2 },
        encrypted: encrypts(options.seed, register, options.encrypted_percent),
        reread: Reread::SameBytes,
        seed: Rng::split(options.seed, number).next_u64(),
        clock: options.clock,
        pace: options.pace(),
        operator: OperatorCard::default(),
    };
    let mut kkt = Kkt::new(&settings, &options.keys)?;
    let expected = usize::try_from(receipts).unwrap_or(0) + OPENING_DOCUMENTS;
    let mut bytes = Vec::with_capacity(expected.saturating_mul(760));
    let mut ends = Vec::with_capacity(expected);
    let p_version = kkt.p_version();
    let mut push = |document: Option<Outgoing>, fn_number: FnNumber| -> Result<(), PrepareError> {
        let document = document.ok_or(PrepareError::Kkt(KktError::OutOfOrder("the queue is empty")))?;
        let header = Header::for_message(fn_number, p_version, CrcMode::None, &document.container)
            .map_err(|_| PrepareError::Kkt(KktError::Storage(StorageError::TooLong)))?;
        bytes.extend_from_slice(&header.encode());
        bytes.extend_from_slice(&document.container);
        ends.push(bytes.len());
        prepared.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let mut items = Rng::split(options.seed ^ ITEMS_SALT, number);
    kkt.register()?;
    push(kkt.storage_mut().take_front(), settings.fn_number)?;
    kkt.open_shift()?;
    push(kkt.storage_mut().take_front(), settings.fn_number)?;
    for count in 0..receipts {
        if count.is_multiple_of(64) && token.is_cancelled() {
            return Err(PrepareError::Cancelled);
        }
        kkt.sell_lines(options.items.lines(items.range(0, 99)))?;
        push(kkt.storage_mut().take_front(), settings.fn_number)?;
    }
    bytes.shrink_to_fit();
    Ok(RegisterLoad { checker: kkt.into_storage().into_checker(), bytes, ends })
}
