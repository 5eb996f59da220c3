//! The fields of an application: reading its JSON, and which of them the tax service needs.

use ffd::ids::{FnNumber, Inn, Rnm};
use ffd::{Document, tags};
use jiff::civil::DateTime;
use ofd_store::ReportRow;
use serde_json::Value;

use crate::client::wire::{ApplicationJson, ApplicationKind, ClosingReport};

/// Longest JSON of an application, bytes: two papers in base64 fit.
pub const MAX_APPLICATION_BYTES: usize = 4 << 20;

/// Form of an application for registration and re-registration.
const KND_REGISTRATION: &str = "1110061";
/// Form of an application for the end of a registration.
const KND_DEREGISTRATION: &str = "1110062";

/// The member with the values of the report of closing.
const CLOSING_REPORT: &str = "closingReport";
/// Date and time of a report, without seconds and zone.
const MINUTES: &str = "%Y-%m-%dT%H:%M";

/// One fault of an application: where it is and what is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Path of the member, `kkt.serial`.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for FieldFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// Reads an application and checks it. Members that an application does not have are faults: what they say would be lost.
/// The values of the closing report may still be missing, for the stored report may bring them.
///
/// # Errors
/// Every fault, by the path of its member.
pub fn read(json: &[u8]) -> Result<ApplicationJson, Vec<FieldFault>> {
    let whole = |what: String| vec![FieldFault { path: "application".to_owned(), what }];
    if json.len() > MAX_APPLICATION_BYTES {
        return Err(whole(format!(
            "{} bytes: an application has at most {MAX_APPLICATION_BYTES}",
            json.len()
        )));
    }
    let application: ApplicationJson =
        serde_json::from_slice(json).map_err(|error| whole(error.to_string()))?;
    let given: Value = serde_json::from_slice(json).map_err(|error| whole(error.to_string()))?;
    let taken = serde_json::to_value(&application).map_err(|error| whole(error.to_string()))?;
    let mut faults = Faults::default();
    faults.lost(String::new(), &given, &taken);
    let mut faults = faults.0;
    faults.extend(
        validate(&application)
            .into_iter()
            .filter(|fault| fault.path != CLOSING_REPORT || application.closing_report.is_some()),
    );
    if faults.is_empty() { Ok(application) } else { Err(faults) }
}

/// Checks that nothing is missing that the tax service needs. Every fault found, not only the first.
pub fn validate(application: &ApplicationJson) -> Vec<FieldFault> {
    let mut faults = Faults::default();
    let expected = match application.kind {
        ApplicationKind::Registration | ApplicationKind::Reregistration => KND_REGISTRATION,
        ApplicationKind::Deregistration => KND_DEREGISTRATION,
    };
    if application.knd != expected {
        faults.add("knd", format!("{:?}, the form of this kind is {expected}", application.knd));
    }
    faults.text("user.name", &application.user.name);
    faults.inn("user.inn", &application.user.inn);
    if let Some(kpp) = &application.user.kpp
        && !is_digits(kpp, 9)
    {
        faults.add("user.kpp", format!("{kpp:?} is not made of 9 digits"));
    }
    faults.text("kkt.serial", &application.kkt.serial);
    faults.text("kkt.model", &application.kkt.model);
    faults.parsed::<FnNumber>("fn.serial", &application.fn_storage.serial);
    faults.text("fn.model", &application.fn_storage.model);
    faults.inn("ofd.inn", &application.ofd.inn);
    if !is_digits(&application.tax_office, 4) {
        faults.add("taxOffice", format!("{:?} is not made of 4 digits", application.tax_office));
    }
    faults.text("signer.name", &application.signer.name);
    let end = application.kind == ApplicationKind::Deregistration;
    if !end {
        faults.text("place.address", &application.place.address);
        if application.modes.automat && application.modes.automat_number.as_deref().is_none_or(is_blank) {
            faults.add("modes.automatNumber", "is missing beside modes.automat".to_owned());
        }
    }
    match (application.kind, &application.rnm) {
        (ApplicationKind::Registration, _) => {}
        (_, None) => faults.add("rnm", "is missing: the register has a registration number".to_owned()),
        (_, Some(rnm)) => faults.parsed::<Rnm>("rnm", rnm),
    }
    if application.kind == ApplicationKind::Reregistration && application.reasons.is_empty() {
        faults.add("reasons", "is empty: name at least one reason".to_owned());
    }
    if end && application.reason.as_deref().is_none_or(is_blank) {
        faults.add("reason", "is missing".to_owned());
    }
    match (end, &application.closing_report) {
        (false, None) => {}
        (false, Some(_)) => faults.add(CLOSING_REPORT, "is for a deregistration".to_owned()),
        (true, None) => faults.add(
            CLOSING_REPORT,
            "is missing, and no report of the closing of this ФН (form 6) is stored here".to_owned(),
        ),
        (true, Some(report)) => faults.closing_report(report),
    }
    faults.0
}

/// The values of a stored report of closing; none of one without time or sign.
pub(crate) fn closing_report(row: &ReportRow) -> Option<ClosingReport> {
    let document = Document::decode(&row.opened).ok()?;
    let time = document.time(tags::DATE_TIME)?.civil();
    Some(ClosingReport {
        fd_number: row.fd_number.get(),
        date_time: time.strftime(MINUTES).to_string(),
        fiscal_sign: format!("{:010}", document.fiscal_sign()?),
    })
}

#[derive(Debug, Default)]
struct Faults(Vec<FieldFault>);

impl Faults {
    fn add(&mut self, path: &str, what: String) {
        self.0.push(FieldFault { path: path.to_owned(), what });
    }

    /// Members that carry something and were not taken.
    fn lost(&mut self, path: String, given: &Value, taken: &Value) {
        let Value::Object(members) = given else { return };
        for (name, value) in members {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            match taken.get(name) {
                Some(taken) => self.lost(path, value, taken),
                None if is_empty => {}
                None => self.add(&path, "is no member of an application".to_owned()),
            }
        }
    }

    fn closing_report(&mut self, report: &ClosingReport) {
        if report.fd_number == 0 {
            self.add("closingReport.fdNumber", "0 is no number of a document".to_owned());
        }
        if report.date_time.len() != 16 || DateTime::strptime(MINUTES, &report.date_time).is_err() {
            let what = format!("{:?} is no date and time yyyy-mm-ddThh:mm", report.date_time);
            self.add("closingReport.dateTime", what);
        }
        let sign = &report.fiscal_sign;
        if !(1..=10).contains(&sign.len()) || !is_digits(sign, sign.len()) || sign.parse::<u32>().is_err() {
            self.add("closingReport.fiscalSign", format!("{sign:?} is no fiscal sign: up to 10 digits"));
        }
    }

    fn text(&mut self, path: &str, text: &str) {
        if is_blank(text) {
            self.add(path, "is missing".to_owned());
        }
    }

    fn inn(&mut self, path: &str, inn: &str) {
        match inn.parse::<Inn>() {
            Ok(read) if !read.check_digits_ok() => self.add(path, format!("{inn:?} has wrong check digits")),
            Ok(_) => {}
            Err(_) if is_blank(inn) => self.add(path, "is missing".to_owned()),
            Err(error) => self.add(path, format!("{inn:?}: {error}")),
        }
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, path: &str, text: &str) {
        match text.parse::<T>() {
            Ok(_) => {}
            Err(_) if is_blank(text) => self.add(path, "is missing".to_owned()),
            Err(error) => self.add(path, format!("{text:?}: {error}")),
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn is_digits(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit())
}
