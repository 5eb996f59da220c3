//! What a sync of this disk takes, measured beside what depends on it.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Instant;

/// Bytes of each write.
pub(crate) const FILE_BYTES: usize = 4096;

/// Latencies of one series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syncs {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Writes `bytes` and syncs, `count` times, into a file that grows or that was filled with zeros beforehand.
pub(crate) fn fdatasync(bytes: usize, count: usize, preallocated: bool) -> Syncs {
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::create(folder.path().join("sync")).unwrap();
    if preallocated {
        file.write_all(&vec![0; bytes * count]).unwrap();
        file.sync_all().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
    }
    let page = vec![7; bytes];
    let mut latencies: Vec<f64> = (0..count)
        .map(|_| {
            file.write_all(&page).unwrap();
            let began = Instant::now();
            file.sync_data().unwrap();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    latencies.sort_by(f64::total_cmp);
    let at = |per_mille: usize| latencies[(count * per_mille / 1000).min(count - 1)];
    Syncs { p50_us: at(500), p99_us: at(990) }
}
