//! `fiscald backup`: a copy of the store while the daemon serves, and never at its expense.

use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use indicatif::HumanBytes;
use ofd_store::{BackupError, DocumentFilter, Reader, StoreConfig, shown_url};

use super::output::Output;
use super::stop_signals::StopSignals;
use super::{kept_for_the_daemon, open_reader, progress, settings, store_place};
use crate::cli::BackupArgs;
use crate::quoting::shell_word;

/// Copies the store into a new file.
///
/// # Errors
/// The file is there already or cannot be written; too little room, for the copy or for the daemon's log; the store cannot be read; a signal came first.
pub(crate) fn run(args: &BackupArgs, out: &mut Output) -> Result<ExitCode> {
    let store = settings(&args.config)?.store;
    if store_place(&store.url).is_none() {
        bail!(
            "{} is a PostgreSQL database, whose own tools make a copy while it serves: `pg_dump -Fc -d DATABASE -f FILE` of \
             one state of it, or `pg_basebackup` and archived logs of the whole server to any later moment",
            shown_url(&store.url)
        );
    }
    let file = std::path::absolute(&args.file).context("the name of the new file")?;
    if std::fs::symlink_metadata(&file).is_ok() {
        bail!("{} is there already, and a backup never replaces anything: name another file", file.display());
    }
    let reader = open_reader(&store.url)?.keeping_free(kept_for_the_daemon(&store));
    let signals = StopSignals::watch()?;
    let bar = progress::bytes_bar();
    let began = Instant::now();
    let report = reader.backup(&file, keep_free_bytes(&store, &file), &mut |progress| {
        bar.set_length(progress.total_bytes);
        bar.set_position(progress.done_bytes);
        if signals.stopped.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    let report = match report {
        Err(BackupError::Stopped) => bail!("stopped by a signal, nothing was written"),
        report => report.with_context(|| format!("cannot back up into {}", file.display()))?,
    };
    let seconds = began.elapsed().as_secs_f64();
    // The copy is a store like any other: it opens, and its newest document can be read.
    Reader::open(&url_of(&file))
        .and_then(|copy| copy.summaries(&DocumentFilter::default(), 1))
        .with_context(|| format!("the copy {} cannot be read", file.display()))?;
    // Rows are never deleted, so the newest position is their number.
    out.line(format!(
        "{} documents, {}, in {seconds:.1} s: {}",
        report.newest_seq,
        HumanBytes(report.bytes),
        file.display()
    ))?;
    for detached in reader.detached_files()? {
        out.line(format!(
            "not in it: {} documents received before {}, which lie in {}: keep a copy of that file too",
            detached.documents,
            detached.before,
            detached.path.display()
        ))?;
    }
    out.line(format!(
        "check it with: FISCALD__STORE__URL={} fiscald verify",
        shell_word(Path::new(&url_of(&file)))
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn url_of(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

/// What has to stay free where a file is made: on the store's own disk it must not bring reception to a stop.
pub(super) fn keep_free_bytes(store: &StoreConfig, file: &Path) -> u64 {
    let disk = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.dev());
    let own = store_place(&store.url).as_deref().and_then(disk);
    let same = own.is_some() && own == file.parent().and_then(disk);
    if same { kept_for_the_daemon(store) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stores_own_disk_is_kept_free() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("fiscald.db");
        std::fs::write(&place, "x").unwrap();
        let store = StoreConfig { url: url_of(&place), min_free_mib: 3, ..StoreConfig::default() };
        assert_eq!(keep_free_bytes(&store, &folder.path().join("copy.db")), 6 * 1024 * 1024);
        assert_eq!(keep_free_bytes(&store, Path::new("/proc/copy.db")), 0);
        assert_eq!(keep_free_bytes(&store, &folder.path().join("no/folder/copy.db")), 0);
    }
}
