//! Cards of registration (КНД 1110066) and of deregistration (1110067): reading them, and the one handler in which all ways
//! end that a card may come (tax-service notes B4): event, application, upload.
//!
//! A card is known by registration number, kind and its own number, else the SHA-256 of its bytes. The same one again only
//! confirms, whatever happened to the register since.

mod apply;
mod xml;

use ffd::ids::{FnNumber, Rnm};
use ofd_store::CardKind;
use thiserror::Error;

use super::report::plain;
use crate::client::wire::CardJson;

pub(crate) use apply::{Fate, Incoming, pending_steps, take};
pub use xml::{MAX_XML_BYTES, read_xml};

/// Form of a registration card.
pub const KND_REGISTRATION: &str = "1110066";
/// Form of a deregistration card.
pub const KND_DEREGISTRATION: &str = "1110067";

/// What a card says, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardFacts {
    /// Of registration or of deregistration.
    pub kind: CardKind,
    /// Its number, if it has one.
    pub number: Option<String>,
    /// Registration number, 16 digits.
    pub rnm: String,
    /// Serial number of the ККТ.
    pub kkt_serial: Option<String>,
    /// The ФН; none when there is none or it is no number of a ФН.
    pub fn_number: Option<FnNumber>,
    /// ИНН of the user.
    pub inn: Option<String>,
    /// Day of the registration or deregistration, `YYYY-MM-DD`.
    pub dated: Option<String>,
}

/// Why something is no card.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CardFault {
    /// Longer than any card.
    #[error("{len} bytes: a card has at most {limit}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// No readable XML, or one with a document type (which a card never has).
    #[error("no readable XML: {0}")]
    Xml(String),
    /// Readable, but no card.
    #[error("{path}: {what}")]
    Field {
        /// Path of the element.
        path: &'static str,
        /// What is wrong.
        what: String,
    },
}

/// Reads the JSON of a card. Fields other than form and registration number may be missing: such a card differs from every
/// register.
///
/// # Errors
/// [`CardFault::Field`] without a readable registration number, or of a form that is no card.
pub fn read_json(card: &CardJson) -> Result<CardFacts, CardFault> {
    let text = |text: &str| plain(Some(text));
    facts(Fields {
        knd: text(&card.knd),
        number: plain(card.card_number.as_deref()),
        rnm: text(&card.rnm),
        kkt_serial: text(&card.kkt.serial),
        fn_number: text(&card.fn_storage.serial),
        inn: text(&card.user.inn),
        dated: plain(card.registered_at.as_deref()),
    })
}

/// A card's fields before they are judged, without padding.
#[derive(Debug, Default)]
struct Fields {
    knd: Option<String>,
    number: Option<String>,
    rnm: Option<String>,
    kkt_serial: Option<String>,
    fn_number: Option<String>,
    inn: Option<String>,
    dated: Option<String>,
}

/// Longest number of a card.
const MAX_NUMBER_CHARS: usize = 100;

fn facts(fields: Fields) -> Result<CardFacts, CardFault> {
    let field = |path: &'static str, what: String| CardFault::Field { path, what };
    let kind = match fields.knd.as_deref() {
        Some(KND_REGISTRATION) => CardKind::Registration,
        Some(KND_DEREGISTRATION) => CardKind::Deregistration,
        Some(other) => {
            return Err(field(
                "knd",
                format!("{other:?} is neither {KND_REGISTRATION} nor {KND_DEREGISTRATION}"),
            ));
        }
        None => return Err(field("knd", "is missing".to_owned())),
    };
    let rnm = fields.rnm.ok_or_else(|| field("rnm", "is missing".to_owned()))?;
    let rnm: Rnm = rnm.parse().map_err(|error| field("rnm", format!("{rnm:?}: {error}")))?;
    if let Some(number) = &fields.number
        && number.chars().count() > MAX_NUMBER_CHARS
    {
        return Err(field("cardNumber", format!("is longer than {MAX_NUMBER_CHARS} characters")));
    }
    let dated = fields.dated.map(|dated| match dated.parse::<jiff::civil::Date>() {
        Ok(date) => Ok(date.to_string()),
        Err(error) => Err(field("registeredAt", format!("{dated:?} is no date yyyy-mm-dd: {error}"))),
    });
    Ok(CardFacts {
        kind,
        number: fields.number,
        rnm: rnm.to_string(),
        kkt_serial: fields.kkt_serial,
        fn_number: fields.fn_number.and_then(|number| number.parse().ok()),
        inn: fields.inn,
        dated: dated.transpose()?,
    })
}

#[cfg(test)]
mod tests;
