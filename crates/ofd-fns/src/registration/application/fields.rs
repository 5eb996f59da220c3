//! The fields of an application: reading its JSON, and which of them the tax service needs.

use ffd::ids::{FnNumber, Inn, Rnm};

use crate::client::wire::{ApplicationJson, ApplicationKind};

/// Longest JSON of an application, bytes: two papers in base64 fit.
pub const MAX_APPLICATION_BYTES: usize = 4 << 20;

/// Form of an application for registration and re-registration.
const KND_REGISTRATION: &str = "1110061";
/// Form of an application for the end of a registration.
const KND_DEREGISTRATION: &str = "1110062";

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

/// Reads an application and checks it.
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
    let faults = validate(&application);
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
    faults.0
}

#[derive(Debug, Default)]
struct Faults(Vec<FieldFault>);

impl Faults {
    fn add(&mut self, path: &str, what: String) {
        self.0.push(FieldFault { path: path.to_owned(), what });
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
