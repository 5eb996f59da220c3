//! The three values that the client types into the taxpayer's cabinet when no card came by itself (tax-service notes B2,
//! the way of 2016), taken from the stored report.

use std::fmt;

use ffd::Document;
use ffd::ids::FdNumber;
use ofd_store::ReportRow;
use serde::Serialize;

/// Date and time, number of the document and fiscal sign of a report, as they stand on the paper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManualValues {
    /// Tag 1012 as `dd.mm.yyyy hh:mm`, the till's own clock.
    pub date_time: String,
    /// Tag 1040.
    pub fd: FdNumber,
    /// Last four bytes of tag 1077, ten digits.
    pub fiscal_sign: String,
}

impl ManualValues {
    /// Of a report (form 1 or 11). None of a document without time or sign, which reception would not have taken with 0.
    pub fn of(report: &ReportRow) -> Option<Self> {
        let document = Document::decode(&report.opened).ok()?;
        let time = document.time(ffd::tags::DATE_TIME)?.civil();
        let (date, time) = (time.date(), time.time());
        Some(Self {
            date_time: format!(
                "{:02}.{:02}.{:04} {:02}:{:02}",
                date.day(),
                date.month(),
                date.year(),
                time.hour(),
                time.minute()
            ),
            fd: report.fd_number,
            fiscal_sign: format!("{:010}", document.fiscal_sign()?),
        })
    }
}

impl fmt::Display for ManualValues {
    /// `03.03.2017 11:38 · 1 · 2853205313`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {} · {}", self.date_time, self.fd, self.fiscal_sign)
    }
}
