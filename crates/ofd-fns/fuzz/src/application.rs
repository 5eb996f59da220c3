//! An application as a merchant hands it over: it is refused with the paths of its faults, or it is complete and says
//! the same when it is sent. Only the values of the closing report may be missing, for the store may have them.

use ofd_fns::client::wire::{ApplicationJson, ApplicationKind};
use ofd_fns::registration::application::{FieldFault, read, validate};

use super::rewritten;

/// Checks one file.
pub fn check(input: &[u8]) {
    match read(input) {
        Ok(application) => {
            assert_eq!(rewritten::read::<ApplicationJson>(input).as_ref(), Some(&application));
            assert_eq!(faults(&application), []);
            assert_eq!(application.fn_storage.serial.trim().len(), 16);
            assert!(application.kind == ApplicationKind::Registration || application.rnm.is_some());
        }
        Err(found) => {
            assert!(!found.is_empty());
            for fault in &found {
                assert!(!fault.what.is_empty() && fault.to_string().contains(&fault.what));
            }
            if let Some(application) = rewritten::read::<ApplicationJson>(input) {
                assert!(faults(&application).iter().all(|fault| found.contains(fault)));
            }
        }
    }
}

/// What is wrong with an application beside a closing report that is not there.
fn faults(application: &ApplicationJson) -> Vec<FieldFault> {
    let mut faults = validate(application);
    faults.retain(|fault| fault.path != "closingReport" || application.closing_report.is_some());
    faults
}
