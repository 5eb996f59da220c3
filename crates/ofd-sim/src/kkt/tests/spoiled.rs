//! The seam for faults.

use ffd::Document;

use super::*;

/// Adds another 1020, states another number, loses two documents.
#[derive(Debug)]
struct Spoiler;

impl Tamper for Spoiler {
    fn tamper(&self, draft: &mut Draft, _: &Place, _: &mut crate::faults::Memory, _: &mut Rng) {
        if draft.form == FormCode::RECEIPT {
            draft.body.extend_from_slice(&[0xFC, 0x03, 0x01, 0x00, 0x07]);
            draft.stated_fd = ffd::FdNumber::new(77).ok();
            draft.lost_before = 2;
        }
    }
}

#[test]
fn a_spoiled_document_is_signed_as_it_is() {
    let character = Character { tamper: Some(Arc::new(Spoiler)), ..Character::default() };
    let seed = (0..20).find(|seed| kkt(&settings(FfdVersion::V1_2, *seed)).shop().trade == Trade::Grocery);
    let settings = settings(FfdVersion::V1_2, seed.unwrap());
    let mut kkt = Kkt::with_character(&settings, character, &SimKeys::published()).unwrap();
    kkt.register().unwrap();
    kkt.open_shift().unwrap();
    let made = kkt.sell(1).unwrap().clone();
    let document = Document::decode(&made.document).unwrap();
    assert_eq!(document.nodes_of(1020).count(), 2);
    assert_eq!((document.unsigned(1040), made.fd_number.get()), (Some(77), 5));
}
