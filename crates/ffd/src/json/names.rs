//! Names of the tax-service JSON: those of the dictionary, and the exceptions.
//!
//! The name of a tag depends on its parent and, for a few reused tags, on the ФФД version: the dictionary has resolved
//! that already. Here stand only the parent-dependent exception it does not cover in every version, and the names of
//! 2017 that differ from today's.

use crate::dict::{FormCode, TagDef};
use crate::tags;

/// Which generation of names the JSON uses.
///
/// The tax service itself writes modern names even for old documents, so they are the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Names {
    /// Names of the ФФД 1.2 era, for documents of every version.
    #[default]
    Modern,
    /// Names of the 2017 schemas (ФФД 1.0 to 1.1). Where the schemas and the code of that time disagree, the schemas
    /// hold: they are what was agreed.
    Legacy,
}

/// Tags whose name of 2017 differs from the dictionary's, in order of tags.
const LEGACY: [(u16, &str); 14] = [
    (1005, "operatorTransferAddress"),
    (1016, "operatorTransferInn"),
    (1026, "operatorTransferName"),
    (1055, "taxationType"),
    (1060, "fnsSite"),
    (1074, "operatorToReceivePhone"),
    (1075, "operatorPhoneToTransfer"),
    (1106, "ndsCalculated18"),
    (1107, "ndsCalculated10"),
    (1118, "receiptsQuantity"),
    (1134, "receiptCount"),
    (1135, "receiptCount"),
    (1190, "documentFnVersion"),
    (tags::KEY_RESOURCE, "fnKeyResource"),
];

impl Names {
    /// Name of a tag under its parent (a form code or the tag of a group); none if the JSON does not have the tag.
    pub(super) fn tag(self, def: &TagDef, parent: u16) -> Option<&'static str> {
        let legacy = || LEGACY.iter().find(|(tag, _)| *tag == def.tag).map(|(_, name)| *name);
        match self {
            Self::Legacy => legacy().or(def.json_name),
            // So whatever the ФФД version.
            Self::Modern if def.tag == tags::KEY_RESOURCE && parent == FormCode::STATE_REPORT.0 => {
                Some("keyResource")
            }
            Self::Modern => def.json_name,
        }
    }

    /// Name of the member that holds the form code.
    pub(super) fn code(self, form: FormCode) -> &'static str {
        match (self, form) {
            (Self::Legacy, FormCode::RECEIPT) => "receiptCode",
            (Self::Legacy, FormCode::RECEIPT_CORRECTION) => "receiptCorrectionCode",
            (Self::Legacy, FormCode::BSO) => "bsoCode",
            (Self::Legacy, FormCode::BSO_CORRECTION) => "bsoCorrectionCode",
            _ => "code",
        }
    }
}
