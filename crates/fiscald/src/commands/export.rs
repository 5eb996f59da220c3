//! `fiscald export`: the journal in order of arrival, streamed page by page.
//!
//! Each page is a transaction of its own, so a long export never holds the log of a running daemon. `raw` is the
//! received containers one after another with nothing between them; each begins with its own length (u16 LE).

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicatif::ProgressBar;
use ofd_store::{ExportFilter, ExportRow, Reader};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::new_file::NewFile;
use super::output::Output;
use super::stop_signals::StopSignals;
use super::{open_reader, progress, settings, store_place};
use crate::cli::{ExportArgs, ExportShape};

/// Rows of one page: one transaction, held in memory at once.
const PAGE_ROWS: usize = 10_000;

/// One line of the export; the order of the fields is part of the format.
#[derive(Debug, Serialize)]
struct Line {
    seq: i64,
    #[serde(rename = "fn")]
    fn_number: String,
    fd: u32,
    form: u16,
    received_at: String,
    code: u8,
    verdict: String,
    sha256: String,
    raw: String,
    document: String,
}

const CSV_HEADING: &str = "seq,fn,fd,form,received_at,code,verdict,sha256,raw,document";

/// Writes the journal to stdout or to a file that appears whole or not at all.
///
/// # Errors
/// The store cannot be read; the file cannot be written or must not be replaced; a signal came first.
pub(crate) fn run(args: &ExportArgs, out: &mut Output) -> Result<ExitCode> {
    let store = settings(&args.config)?.store.address();
    let reader = open_reader(&store)?;
    let filter = ExportFilter { fn_number: args.fn_number, from: args.from, to: args.to };
    match &args.out {
        None => {
            // Nothing is left behind on stdout, so a signal may end this at once.
            let never = CancellationToken::new();
            write_all(&reader, &filter, args.shape, out.writer(), &ProgressBar::hidden(), &never)?;
        }
        Some(path) => {
            let signals = StopSignals::watch()?;
            let mut file = NewFile::create(path, store_place(&store).as_deref())?;
            let progress = progress::counting("documents");
            let rows =
                write_all(&reader, &filter, args.shape, &mut file.writer, &progress, &signals.stopped)?;
            progress.finish_and_clear();
            file.keep().with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("{rows} documents written to {}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write_all(
    reader: &Reader,
    filter: &ExportFilter,
    shape: ExportShape,
    to: &mut impl Write,
    progress: &ProgressBar,
    stopped: &CancellationToken,
) -> Result<u64> {
    if shape == ExportShape::Csv {
        writeln!(to, "{CSV_HEADING}")?;
    }
    let (mut cursor, mut count) = (0, 0);
    loop {
        if stopped.is_cancelled() {
            bail!("stopped by a signal, nothing was written");
        }
        let page = reader.export_page(cursor, filter, PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(count) };
        cursor = last.seq;
        for row in &page {
            write_row(row, shape, to)?;
            count += 1;
        }
        progress.set_position(count);
    }
}

fn write_row(row: &ExportRow, shape: ExportShape, to: &mut impl Write) -> Result<()> {
    match shape {
        ExportShape::Raw => to.write_all(&row.container)?,
        ExportShape::Jsonl => {
            serde_json::to_writer(&mut *to, &line(row)).map_err(io::Error::from)?;
            to.write_all(b"\n")?;
        }
        ExportShape::Csv => {
            let Line { seq, fn_number, fd, form, received_at, code, verdict, sha256, raw, document } =
                line(row);
            // Digits, names of our own and base64: nothing here ever needs quotes.
            writeln!(
                to,
                "{seq},{fn_number},{fd},{form},{received_at},{code},{verdict},{sha256},{raw},{document}"
            )?;
        }
    }
    Ok(())
}

fn line(row: &ExportRow) -> Line {
    Line {
        seq: row.seq,
        fn_number: row.fn_number.to_string(),
        fd: row.fd_number.get(),
        form: row.form,
        received_at: row.received_at.to_string(),
        code: row.code,
        verdict: row.verdict.clone(),
        sha256: hex::encode(Sha256::digest(&row.container)),
        raw: STANDARD.encode(&row.container),
        document: STANDARD.encode(row.opened_document()),
    }
}

#[cfg(test)]
mod tests {
    use kkt_proto::container::{CONTAINER_HEADER_LEN, TRAILER_LEN};
    use tokio::runtime::Builder;

    use super::*;

    fn row(opened: Option<Vec<u8>>) -> ExportRow {
        let mut container = vec![0_u8; CONTAINER_HEADER_LEN];
        container.extend_from_slice(b"data");
        container.extend_from_slice(&[0; TRAILER_LEN]);
        ExportRow {
            seq: 7,
            fn_number: "999907891234567".parse().unwrap(),
            fd_number: "3".parse().unwrap(),
            chain: 0,
            conflict_no: 0,
            form: 3,
            received_at: "2026-11-21T10:00:00Z".parse().unwrap(),
            code: 0,
            verdict: "valid".to_owned(),
            container,
            opened,
        }
    }

    fn written(shape: ExportShape, opened: Option<Vec<u8>>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_row(&row(opened), shape, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_line_has_the_keys_in_their_order() {
        let text = String::from_utf8(written(ExportShape::Jsonl, None)).unwrap();
        let order =
            ["seq", "fn", "fd", "form", "received_at", "code", "verdict", "sha256", "raw", "document"];
        let places: Vec<usize> = order.iter().map(|key| text.find(&format!("\"{key}\":")).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
        assert!(text.ends_with("\n") && text.contains("\"fn\":\"999907891234567\""), "{text}");
        assert!(text.contains("\"received_at\":\"2026-11-21T10:00:00Z\""), "{text}");
        assert!(text.contains("\"document\":\"ZGF0YQ==\""), "{text}");
    }

    #[test]
    fn the_opened_document_wins_over_the_ciphertext() {
        let text = String::from_utf8(written(ExportShape::Jsonl, Some(b"open".to_vec()))).unwrap();
        assert!(text.contains("\"document\":\"b3Blbg==\""), "{text}");
    }

    #[test]
    fn csv_has_a_column_for_each_heading() {
        let text = String::from_utf8(written(ExportShape::Csv, None)).unwrap();
        assert_eq!(text.trim_end().split(',').count(), CSV_HEADING.split(',').count());
    }

    #[test]
    fn raw_is_the_container_unchanged() {
        assert_eq!(written(ExportShape::Raw, None), row(None).container);
    }

    #[test]
    fn a_signal_ends_an_export_that_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("fiscald.db").display());
        drop(
            ofd_store::Store::open(&ofd_store::StoreConfig { url: url.clone(), ..Default::default() })
                .unwrap(),
        );
        let reader = open_reader(&url).unwrap();
        let signals = StopSignals::watch().unwrap();
        let path = folder.path().join("out");
        let mut file = NewFile::create(&path, store_place(&url).as_deref()).unwrap();
        let mut write = || {
            let (filter, shape) = (ExportFilter::default(), ExportShape::Jsonl);
            write_all(&reader, &filter, shape, &mut file.writer, &ProgressBar::hidden(), &signals.stopped)
        };
        assert_eq!(write().unwrap(), 0);
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(signals.stopped.cancelled());
        assert!(write().unwrap_err().to_string().contains("stopped by a signal"));
        drop(file);
        let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| !name.to_string_lossy().starts_with("fiscald.db")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
