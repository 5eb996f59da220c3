//! The registration card (карточка регистрации, КНД 1110066): its JSON reading and an XML of our own layout.
//!
//! The real layout of the XML is not public, so this one mirrors the JSON name by name, values as text:
//!
//! ```xml
//! <?xml version="1.0" encoding="UTF-8"?>
//! <card knd="1110066">
//!   <cardNumber>SIM-1</cardNumber>
//!   <rnm>0000000005008570</rnm>
//!   <registeredAt>2017-03-03</registeredAt>
//!   <user><inn>7702203276</inn><name>ООО РАПКАТ-центр</name></user>
//!   <kkt><model>...</model><serial>000000000002</serial></kkt>
//!   <fn><model>...</model><serial>9999078900005488</serial></fn>
//!   <place><address>...</address><name>...</name></place>
//!   <ofd><inn>7704358518</inn></ofd>
//!   <taxOffice>7702</taxOffice>
//!   <validFrom>2017-03-03</validFrom>
//! </card>
//! ```
//!
//! A card of deregistration (КНД 1110067) has `deregisteredAt` besides, and the same day in `registeredAt`: that is the day
//! of the entry which the card confirms.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::wire::{Device, Modes, Party, Place};

/// КНД of the card of registration.
pub(super) const REGISTRATION_KND: &str = "1110066";
/// КНД of the card of deregistration.
pub(super) const DEREGISTRATION_KND: &str = "1110067";

/// A card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Card {
    pub(super) knd: String,
    pub(super) rnm: String,
    pub(super) registered_at: String,
    pub(super) user: Party,
    pub(super) kkt: Device,
    #[serde(rename = "fn")]
    pub(super) fn_storage: Device,
    pub(super) place: Place,
    pub(super) ofd: CardOfd,
    pub(super) modes: Modes,
    pub(super) tax_office: String,
    pub(super) valid_from: String,
    pub(super) card_number: String,
    /// Day of the deregistration, only on its card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deregistered_at: Option<String>,
}

/// The operator named by a card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CardOfd {
    pub(super) inn: String,
}

impl Card {
    /// The card as XML.
    pub(super) fn xml(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(xml, "<card knd=\"{}\">", Escaped(&self.knd));
        for (name, value) in [
            ("cardNumber", Some(&self.card_number)),
            ("rnm", Some(&self.rnm)),
            ("registeredAt", Some(&self.registered_at)),
            ("deregisteredAt", self.deregistered_at.as_ref()),
        ] {
            if let Some(value) = value {
                let _ = writeln!(xml, "  {}", Element(name, value));
            }
        }
        let mut group = |name: &str, elements: &[(&str, &str)]| {
            let _ = write!(xml, "  <{name}>");
            for (element, value) in elements {
                let _ = write!(xml, "{}", Element(element, value));
            }
            let _ = writeln!(xml, "</{name}>");
        };
        group("user", &[("inn", &self.user.inn), ("name", &self.user.name)]);
        group("kkt", &[("model", &self.kkt.model), ("serial", &self.kkt.serial)]);
        group("fn", &[("model", &self.fn_storage.model), ("serial", &self.fn_storage.serial)]);
        group("place", &[("address", &self.place.address), ("name", &self.place.name)]);
        group("ofd", &[("inn", &self.ofd.inn)]);
        let _ = writeln!(xml, "  {}", Element("taxOffice", &self.tax_office));
        let _ = writeln!(xml, "  {}", Element("validFrom", &self.valid_from));
        xml.push_str("</card>\n");
        xml
    }

    /// The XML in base64, and what stands for its signature: a hash. No real signature can be made here.
    pub(super) fn signed(&self) -> (String, String) {
        let xml = self.xml();
        let signature = Sha256::digest(format!("fns-sim {xml}"));
        (STANDARD.encode(xml), STANDARD.encode(signature))
    }
}

/// An element that holds a text.
struct Element<'t>(&'t str, &'t str);

impl std::fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(name, text) = self;
        write!(f, "<{name}>{}</{name}>", Escaped(text))
    }
}

/// A text inside an element or an attribute.
struct Escaped<'t>(&'t str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' | '\r' | '\t' => write!(f, "&#{};", u32::from(character))?,
                // Not allowed in XML 1.0, not even escaped.
                '\0'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => f.write_char('\u{FFFD}')?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_is_escaped() {
        let card = Card {
            knd: REGISTRATION_KND.to_owned(),
            user: Party { inn: "7702203276".to_owned(), name: "ООО \"A & <B>\"\r\n\u{1}".to_owned() },
            deregistered_at: Some("2018-01-01".to_owned()),
            ..Card::default()
        };
        let xml = card.xml();
        assert!(xml.contains("<name>ООО &quot;A &amp; &lt;B&gt;&quot;&#13;&#10;\u{FFFD}</name>"), "{xml}");
        assert!(xml.contains("<deregisteredAt>2018-01-01</deregisteredAt>"), "{xml}");
        let (encoded, _) = card.signed();
        assert_eq!(STANDARD.decode(encoded).unwrap(), xml.as_bytes());
    }
}
