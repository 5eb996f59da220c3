//! Report on the state of settlements (form 21).

use ffd::{Document, FfdVersion, FormCode, Node};

use super::basket::Payments;
use super::counters::{Blocks, Settlement};
use super::fields::{FieldError, Fields};
use super::vat::VatTotals;
use super::{Kkt, shift};

pub(super) fn report(kkt: &Kkt) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::new();
    fields.byte(1209, kkt.ffd.code()).padded(1018, kkt.shop.user_inn.as_str(), 12).u32(1012, kkt.clock);
    if kkt.shift_open {
        fields.u32(1038, kkt.shift);
    }
    let first = kkt.storage.front().map_or(kkt.storage.next_fd(), |front| front.fd_number.get());
    fields.u32(1116, first).u32(1097, shift::waiting_with_this(kkt));
    fields.u32(1098, shift::midnight(shift::oldest_waiting(kkt)));
    fields.padded(1037, kkt.shop.rnm.as_str(), 20);
    if kkt.counts() {
        fields.group(1157, |totals| kkt.fn_totals.write(totals));
        fields.group(1158, |waiting| untransmitted(kkt).write(waiting));
    }
    if kkt.ffd == FfdVersion::V1_2 {
        fields.u16(1213, kkt.key_resource_days());
    }
    if kkt.shop.notifies(kkt.ffd) {
        fields.u32(2104, shift::waiting_notifications(kkt));
    }
    fields.finish()
}

/// Sums of the receipts that wait for an acknowledgement, read from the queue itself.
fn untransmitted(kkt: &Kkt) -> Blocks {
    let mut blocks = Blocks::default();
    for waiting in kkt.storage.queue().filter(|waiting| FormCode(waiting.form).is_receipt_like()) {
        let Ok(document) = Document::decode(&waiting.document) else { continue };
        let sum = |tag| document.node(tag).and_then(Node::unsigned).unwrap_or(0);
        let code = sum(1054);
        let kind = Settlement::ALL.into_iter().find(|settlement| u64::from(settlement.code()) == code);
        let payments = Payments {
            cash: sum(1031),
            cashless: sum(1081),
            prepaid: sum(1215),
            credit: sum(1216),
            counter: sum(1217),
        };
        if let Some(settlement) = kind {
            blocks.add(settlement, &payments, &VatTotals::default());
        }
    }
    blocks
}
