//! `fiscald export`: the journal in order of arrival, streamed page by page.
//!
//! Each page is a transaction of its own, so a long export never holds the log of a running daemon. `raw` is the
//! received containers one after another with nothing between them; each begins with its own length (u16 LE).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicatif::{ProgressBar, ProgressStyle};
use kkt_proto::container::{CONTAINER_HEADER_LEN, TRAILER_LEN};
use ofd_store::{ExportFilter, ExportRow, Reader};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::output::Output;
use super::reader;
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
/// The store cannot be read; the file cannot be written.
pub(crate) fn run(args: &ExportArgs, out: &mut Output) -> Result<ExitCode> {
    let reader = reader(&args.config)?;
    let filter = ExportFilter { fn_number: args.fn_number, from: args.from, to: args.to };
    match &args.out {
        None => {
            write_all(&reader, &filter, args.shape, out.writer(), &ProgressBar::hidden())?;
        }
        Some(path) => {
            let mut file = NewFile::create(path)?;
            let progress = progress();
            let rows = write_all(&reader, &filter, args.shape, &mut file.writer, &progress)?;
            progress.finish_and_clear();
            file.keep().with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("{rows} documents written to {}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A line on a terminal's stderr; nothing where there is no terminal.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {human_pos} documents, {per_sec}, {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn write_all(
    reader: &Reader,
    filter: &ExportFilter,
    shape: ExportShape,
    to: &mut impl Write,
    progress: &ProgressBar,
) -> Result<u64> {
    if shape == ExportShape::Csv {
        writeln!(to, "{CSV_HEADING}")?;
    }
    let (mut cursor, mut count) = (0, 0);
    loop {
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
        document: STANDARD.encode(opened(row)),
    }
}

/// The opened document: beside an encrypted container it is stored, in an open one it lies inside.
pub(super) fn opened(row: &ExportRow) -> &[u8] {
    if let Some(opened) = &row.opened {
        return opened;
    }
    let end = row.container.len().saturating_sub(TRAILER_LEN);
    row.container.get(CONTAINER_HEADER_LEN..end).unwrap_or_default()
}

/// A file under a temporary name in the folder of the real one; dropped unfinished, it vanishes.
struct NewFile {
    writer: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    kept: bool,
}

impl NewFile {
    fn create(path: &Path) -> Result<Self> {
        let name = path.file_name().with_context(|| format!("{} is no file name", path.display()))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let file = File::create_new(&temporary)
            .with_context(|| format!("cannot make {} beside the export", temporary.display()))?;
        Ok(Self { writer: BufWriter::new(file), temporary, path: path.to_owned(), kept: false })
    }

    /// Everything on disk, then the real name, then the folder that holds the name.
    fn keep(mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()?;
        std::fs::rename(&self.temporary, &self.path)?;
        self.kept = true;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // What is left of a failed export is of no use; that it may be gone already does not matter.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        drop(NewFile::create(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut file = NewFile::create(&path).unwrap();
        file.writer.write_all(b"x").unwrap();
        assert!(!path.exists());
        file.keep().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
