//! Reports on opening (form 2) and closing (form 5) of a shift, with the warnings of the ФН.

use ffd::{Document, FfdVersion, tags};

use super::fields::{FieldError, Fields};
use super::{DAY_S, Kkt};

/// Silence of the operator after which shift reports say so (1053).
const OPERATOR_SILENCE_S: u32 = 2 * DAY_S;
/// Days before the end of the keys at which the resource counts as exhausted (1050).
const EXHAUSTED_DAYS: u16 = 30;
/// Days before the end of the keys at which the ФН must be replaced (1051).
const URGENT_DAYS: u16 = 3;

pub(super) fn open(kkt: &Kkt) -> Result<Vec<u8>, FieldError> {
    let mut fields = head(kkt);
    warnings(kkt, &mut fields);
    fields.text(1188, &kkt.model_version()).byte(1189, kkt.ffd.code());
    fields.finish()
}

pub(super) fn close(kkt: &Kkt) -> Result<Vec<u8>, FieldError> {
    let mut fields = head(kkt);
    fields.u32(1118, kkt.shift_totals.count()).u32(1111, kkt.documents_in_shift);
    // The report itself waits for the operator too, so at least one document always does.
    fields.u32(1097, waiting_with_this(kkt)).u32(1098, midnight(oldest_waiting(kkt)));
    warnings(kkt, &mut fields);
    if kkt.counts() {
        fields.group(1194, |totals| kkt.shift_totals.write(totals));
        fields.group(1157, |totals| kkt.fn_totals.write(totals));
        fields.u16(1213, kkt.key_resource_days());
    }
    if kkt.shop.notifies(kkt.ffd) {
        fields.u32(2104, waiting_notifications(kkt));
    }
    fields.finish()
}

fn head(kkt: &Kkt) -> Fields {
    let mut fields = Fields::new();
    fields.byte(1209, kkt.ffd.code()).padded(1018, kkt.shop.user_inn.as_str(), 12);
    kkt.shop.write_cashier(&mut fields);
    fields.u32(1012, kkt.clock).u32(1038, kkt.shift).padded(1037, kkt.shop.rnm.as_str(), 20);
    fields
}

/// Flags that stand only while the event holds, and what the operator said since the last shift report.
fn warnings(kkt: &Kkt, fields: &mut Fields) {
    let days = kkt.key_resource_days();
    let full = kkt.storage.next_fd() >= kkt.fn_life.capacity / 100 * 99;
    let silent = kkt.clock.saturating_sub(oldest_waiting(kkt)) >= OPERATOR_SILENCE_S;
    for (tag, holds) in
        [(1050, days <= EXHAUSTED_DAYS), (1051, days <= URGENT_DAYS), (1052, full), (1053, silent)]
    {
        if holds {
            fields.byte(tag, 1);
        }
    }
    if kkt.ffd == FfdVersion::V1_1 && kkt.storage.notices() != 0 {
        fields.byte(1206, kkt.storage.notices());
    }
}

/// Documents without an acknowledgement, the one being made included.
pub(super) fn waiting_with_this(kkt: &Kkt) -> u32 {
    u32::try_from(kkt.storage.waiting()).unwrap_or(u32::MAX).saturating_add(1)
}

/// Till time of the oldest document without an acknowledgement: the first of the queue, or the one being made.
pub(super) fn oldest_waiting(kkt: &Kkt) -> u32 {
    let front = kkt.storage.front().and_then(|front| Document::decode(&front.document).ok());
    front.and_then(|document| document.time(tags::DATE_TIME)).map_or(kkt.clock, ffd::LocalTime::get)
}

/// Notices of sales of marked goods: they go out together with their receipts.
pub(super) fn waiting_notifications(kkt: &Kkt) -> u32 {
    let waiting = kkt.storage.queue().filter(|waiting| {
        Document::decode(&waiting.document).is_ok_and(|document| document.node(2107).is_some())
    });
    u32::try_from(waiting.count()).unwrap_or(u32::MAX)
}

pub(super) fn midnight(clock: u32) -> u32 {
    clock / DAY_S * DAY_S
}
