//! An application as a merchant hands it over: it is refused with the paths of its faults, or it is complete and says
//! the same when it is sent.

use ofd_fns::client::wire::{ApplicationJson, ApplicationKind};
use ofd_fns::registration::application::{read, validate};

use super::rewritten;

/// Checks one file.
pub fn check(input: &[u8]) {
    match read(input) {
        Ok(application) => {
            assert_eq!(rewritten::read::<ApplicationJson>(input).as_ref(), Some(&application));
            assert_eq!(validate(&application), []);
            assert_eq!(application.fn_storage.serial.trim().len(), 16);
            assert!(application.kind == ApplicationKind::Registration || application.rnm.is_some());
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in &faults {
                assert!(!fault.path.is_empty() && !fault.what.is_empty());
            }
            if let Some(application) = rewritten::read::<ApplicationJson>(input) {
                assert_eq!(validate(&application), faults);
            }
        }
    }
}
