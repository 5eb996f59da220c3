//! A [`Reader`] that names documents by their places. Its methods are those of the reader, and fail where those do.

use std::rc::Rc;

use super::places::Places;
use crate::care::{VerifyPage, VerifyRow};
use crate::rows::{
    Counts, DocumentFilter, DocumentPage, DocumentRow, DocumentSummary, ExportFilter, ExportRow, Gap,
    QuarantineCount, QuarantineFilter, QuarantineRow, RegisterRow,
};
use crate::support::{fd_number, fn_number};
use crate::{Reader, RegisterHistory, Task};

pub(crate) struct View {
    reader: Reader,
    places: Rc<Places>,
}

impl View {
    pub(super) fn new(url: &str, places: Rc<Places>) -> Self {
        Self { reader: Reader::open(url).unwrap(), places }
    }

    fn filter(&self, filter: &DocumentFilter) -> DocumentFilter {
        DocumentFilter { before_seq: filter.before_seq.map(|place| self.places.at(place)), ..filter.clone() }
    }

    fn rows(&self, mut rows: Vec<DocumentRow>) -> Vec<DocumentRow> {
        rows.iter_mut().for_each(|row| self.places.name(&mut row.summary.seq));
        rows
    }

    fn shorts(&self, mut rows: Vec<DocumentSummary>) -> Vec<DocumentSummary> {
        rows.iter_mut().for_each(|row| self.places.name(&mut row.seq));
        rows
    }

    pub(crate) fn documents(&self, filter: &DocumentFilter, limit: usize) -> Vec<DocumentRow> {
        self.rows(self.reader.documents(&self.filter(filter), limit).unwrap())
    }

    pub(crate) fn summaries(&self, filter: &DocumentFilter, limit: usize) -> Vec<DocumentSummary> {
        self.shorts(self.reader.summaries(&self.filter(filter), limit).unwrap())
    }

    pub(crate) fn summaries_page(&self, filter: &DocumentFilter, limit: usize) -> DocumentPage {
        let page = self.reader.summaries_page(&self.filter(filter), limit).unwrap();
        DocumentPage {
            rows: self.shorts(page.rows),
            next_before_seq: page.next_before_seq.map(|seq| self.places.before(seq)),
        }
    }

    pub(crate) fn document(&self, fn_text: &str, fd: u32) -> Vec<DocumentRow> {
        self.rows(self.reader.document(&fn_number(fn_text), fd_number(fd)).unwrap())
    }

    pub(crate) fn export_page(&self, after: i64, filter: &ExportFilter, limit: usize) -> Vec<ExportRow> {
        let mut rows = self.reader.export_page(self.places.at(after), filter, limit).unwrap();
        rows.iter_mut().for_each(|row| self.places.name(&mut row.seq));
        rows
    }

    pub(crate) fn verify_page(&self, after: i64, limit: usize) -> VerifyPage {
        let page = self.reader.verify_page(self.places.at(after), limit).unwrap();
        let rows = page.rows.into_iter().map(|row| match row {
            VerifyRow::Document(mut row) => {
                self.places.name(&mut row.summary.seq);
                VerifyRow::Document(row)
            }
            other => other,
        });
        VerifyPage { rows: rows.collect(), next: page.next.map(|seq| self.places.up_to(seq)) }
    }

    pub(crate) fn gaps(&self, fn_text: Option<&str>) -> Vec<Gap> {
        self.reader.gaps(fn_text.map(fn_number).as_ref()).unwrap()
    }

    pub(crate) fn registers(&self) -> Vec<RegisterRow> {
        let mut rows = self.reader.registers().unwrap();
        rows.iter_mut().for_each(|row| self.places.name_some(&mut row.report_seq));
        rows
    }

    pub(crate) fn register(&self, fn_text: &str) -> Option<RegisterRow> {
        let mut row = self.reader.register(&fn_number(fn_text)).unwrap();
        row.iter_mut().for_each(|row| self.places.name_some(&mut row.report_seq));
        row
    }

    pub(crate) fn quarantine(&self, filter: &QuarantineFilter, limit: usize) -> Vec<QuarantineRow> {
        self.reader.quarantine(filter, limit).unwrap()
    }

    pub(crate) fn quarantine_counts(&self) -> Vec<QuarantineCount> {
        self.reader.quarantine_counts().unwrap()
    }

    pub(crate) fn tasks(&self, limit: usize) -> Vec<Task> {
        let mut tasks = self.reader.tasks(limit).unwrap();
        tasks.iter_mut().for_each(|task| self.places.name_some(&mut task.seq));
        tasks
    }

    pub(crate) fn counts(&self) -> Counts {
        self.reader.counts().unwrap()
    }

    pub(crate) fn register_history(&self, fn_text: &str, most: usize) -> Option<RegisterHistory> {
        self.reader.register_history(&fn_number(fn_text), most).unwrap()
    }
}
