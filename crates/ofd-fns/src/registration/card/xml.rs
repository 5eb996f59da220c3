//! The XML of a card. The official layout is not public, so this one is our own: it mirrors the JSON reading (tax-service
//! notes B5.5) name by name, values as text.
//!
//! ```xml
//! <card knd="1110066">
//!   <cardNumber>SIM-1</cardNumber>
//!   <rnm>0000000005008570</rnm>
//!   <registeredAt>2017-03-03</registeredAt>
//!   <user><inn>7702203276</inn><name>ООО РАПКАТ-центр</name></user>
//!   <kkt><model>…</model><serial>000000000002</serial></kkt>
//!   <fn><model>…</model><serial>9999078900005488</serial></fn>
//! </card>
//! ```
//!
//! `knd` may be an attribute or an element. Elements that are not compared (`place`, `ofd`, `modes`, ...) may follow and are
//! not read. Namespaces are ignored. A document type, and with it every entity of one's own, is refused; the length is
//! bounded before the first byte is parsed.

use roxmltree::{Document, Node, ParsingOptions};

use super::{CardFacts, CardFault, Fields, facts};
use crate::registration::report::plain;

/// Longest XML that is read, bytes. A card has some kilobytes.
pub const MAX_XML_BYTES: usize = 1 << 20;
/// Most elements and texts of an XML that is read; a card has some dozens.
const MAX_NODES: u32 = 1_000;
/// Deepest nesting of elements. The parser descends by recursion, so deep nesting would exhaust its stack.
const MAX_DEPTH: usize = 32;

/// Reads the XML of a card.
///
/// # Errors
/// [`CardFault`]: too long, no readable XML in UTF-8, with a document type, or without what makes a card.
pub fn read_xml(bytes: &[u8]) -> Result<CardFacts, CardFault> {
    if bytes.len() > MAX_XML_BYTES {
        return Err(CardFault::TooLong { len: bytes.len(), limit: MAX_XML_BYTES });
    }
    let text = str::from_utf8(bytes).map_err(|error| CardFault::Xml(format!("not UTF-8: {error}")))?;
    if !is_shallow(text) {
        return Err(CardFault::Xml(format!("elements are nested deeper than {MAX_DEPTH}")));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES };
    let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options)
        .map_err(|error| CardFault::Xml(error.to_string()))?;
    let root = document.root_element();
    if root.tag_name().name() != "card" {
        let what = format!("the root element is <{}>, expected <card>", root.tag_name().name());
        return Err(CardFault::Field { path: "card", what });
    }
    let value = |path: &[&str]| {
        let mut node = root;
        for name in path {
            node = child(node, name)?;
        }
        plain(node.text())
    };
    facts(Fields {
        knd: plain(root.attribute("knd")).or_else(|| value(&["knd"])),
        number: value(&["cardNumber"]),
        rnm: value(&["rnm"]),
        kkt_serial: value(&["kkt", "serial"]),
        fn_number: value(&["fn", "serial"]),
        inn: value(&["user", "inn"]),
        dated: value(&["registeredAt"]),
    })
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

/// Whether elements are nested no deeper than [`MAX_DEPTH`], as far as the text is XML; where it is none, the parser stops.
fn is_shallow(text: &str) -> bool {
    let mut rest = text;
    let mut depth = 0usize;
    while let Some((_, markup)) = rest.split_once('<') {
        let skipped = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")]
            .into_iter()
            .find_map(|(begin, end)| markup.strip_prefix(begin).map(|inside| inside.split_once(end)));
        rest = match skipped {
            Some(Some((_, behind))) => behind,
            // Breaks off: the parser does not get past it either.
            Some(None) => return true,
            None if markup.starts_with('/') => {
                depth = depth.saturating_sub(1);
                markup
            }
            None => {
                let Some((tag, behind)) = tag_end(markup) else { return true };
                if !tag.ends_with('/') {
                    depth += 1;
                }
                behind
            }
        };
        if depth > MAX_DEPTH {
            return false;
        }
    }
    true
}

/// A start tag up to its `>`, which may also stand in the quotes of an attribute, and what follows.
fn tag_end(markup: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let end = markup.find(|mark: char| match (quote, mark) {
        (None, '>') => true,
        (None, '"' | '\'') => {
            quote = Some(mark);
            false
        }
        (Some(open), _) if open == mark => {
            quote = None;
            false
        }
        _ => false,
    })?;
    Some((markup.get(..end)?, markup.get(end + 1..)?))
}
