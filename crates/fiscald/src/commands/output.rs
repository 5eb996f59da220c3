//! Results on stdout. A reader that goes away (`| head`) ends the command quietly instead of panicking.

use std::io::{self, BufWriter, IsTerminal, Write};

use anyhow::Result;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// The only way a command writes results.
pub(crate) struct Output {
    sink: BufWriter<Box<dyn Write>>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self::to(Box::new(io::stdout().lock()))
    }

    /// Results somewhere else than on stdout.
    pub(crate) fn to(sink: Box<dyn Write>) -> Self {
        Self { sink: BufWriter::new(sink) }
    }

    /// A text that ends where it ends.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.sink.write_all(text.as_bytes())
    }

    /// A line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.sink, "{}", text.as_ref())
    }

    /// Indented JSON, for one object or list that people may look at too.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer_pretty(&mut self.sink, value).map_err(io::Error::from)?;
        Ok(self.line("")?)
    }

    /// JSON on one line, for streams.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.sink, value).map_err(io::Error::from)?;
        Ok(self.line("")?)
    }

    /// A table with a heading for each column; columns named in `right` hold numbers.
    pub(crate) fn table(
        &mut self,
        heading: &[&str],
        right: &[usize],
        rows: Vec<Vec<String>>,
    ) -> io::Result<()> {
        self.line(table(heading, right, rows))
    }

    /// Bytes and lines for the writers of other modules.
    pub(crate) fn writer(&mut self) -> &mut impl Write {
        &mut self.sink
    }

    /// Hands everything over; must be called before the process ends.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// Whether a person watches stdout.
pub(crate) fn watched() -> bool {
    io::stdout().is_terminal()
}

/// The text of a table.
pub(crate) fn table(heading: &[&str], right: &[usize], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(heading.to_vec());
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(rows);
    table.trim_fmt()
}
