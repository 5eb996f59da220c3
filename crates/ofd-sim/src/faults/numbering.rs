//! Faults of numbers and counters: documents, shifts and receipts that do not follow each other, totals that do not
//! add up, and the notification of the marking exchange.

use ffd::{FormCode, tags};

use super::body::Body;
use super::fault::{After, Fault, Work};
use super::memory::Shift;

/// The longest shift, seconds.
const LONGEST_SHIFT_S: u64 = 24 * 3600;
/// How far the clock of any honest till in Russia may be ahead of UTC, with room to spare, seconds.
const AHEAD_S: u64 = 11 * 3600;
/// Notification of a sale of marked goods.
const NOTIFICATION: FormCode = FormCode(82);
/// What a closing of a shift says and an opening does not.
const OF_CLOSING: [u16; 8] = [
    tags::SHIFT_RECEIPTS,
    tags::SHIFT_DOCUMENTS,
    tags::UNSENT_COUNT,
    tags::UNSENT_SINCE,
    tags::SHIFT_TOTALS,
    tags::FN_TOTALS,
    tags::KEY_RESOURCE,
    2104,
];

pub(super) const FAULTS: &[Fault] = &[
    Fault::new("closing.unacknowledged", "a closing of the ФН after a lost document", |work| {
        work.of(&[FormCode::FN_CLOSE])?;
        work.draft.lost_before = 1;
        Some(())
    }),
    Fault::new(
        "counters.block",
        "cash of sales in the totals of the ФН (1136 in 1157) a rouble too high for its total; FFD 1.1, 1.2",
        |work| {
            work.of(&[FormCode::SHIFT_CLOSE, FormCode::STATE_REPORT, FormCode::FN_CLOSE])?
                .add_vln(&[tags::FN_TOTALS, tags::SALE_COUNTERS, tags::BLOCK_CASH], 100)
        },
    ),
    Fault::new(
        "counters.decrease",
        "a total of all receipts of the ФН (1134 in 1157) that is less than before; FFD 1.1, 1.2",
        |work| {
            let fewer = work.memory.chain().receipts?.checked_sub(1)?;
            let body = work.of(&[FormCode::SHIFT_CLOSE, FormCode::STATE_REPORT, FormCode::FN_CLOSE])?;
            body.put_u32(&[tags::FN_TOTALS, tags::ALL_COUNT], fewer)
        },
    ),
    Fault::new("counters.documents", "a closing of a shift that counts a document too many (1111)", |work| {
        counted(work)?.add_u32(&[tags::SHIFT_DOCUMENTS], 1)
    }),
    Fault::new("counters.receipts", "a closing of a shift that counts a receipt too many (1118)", |work| {
        counted(work)?.add_u32(&[tags::SHIFT_RECEIPTS], 1)
    }),
    Fault::new(
        "counters.shift",
        "a closing of a shift with a sale too many in its totals (1135 in 1194); FFD 1.1, 1.2",
        |work| counted(work)?.add_u32(&[tags::SHIFT_TOTALS, tags::SALE_COUNTERS, tags::BLOCK_COUNT], 1),
    ),
    Fault::new(
        "notification.zone",
        "a notification of the marking exchange (form 82) without its time zone (1011); no `live` sends one",
        |work| work.of(&[NOTIFICATION])?.remove(&[tags::TIME_ZONE]),
    )
    .unsent(),
    Fault::new("numbering.document", "a receipt after a lost document", |work| {
        work.settlement()?;
        work.draft.lost_before = 1;
        Some(())
    })
    .losing(),
    Fault::new(
        "numbering.receipt",
        "a number of a receipt (1042) that is left out; the shift counts on from it",
        |work| {
            if !work.memory.chain().is_whole {
                return None;
            }
            work.settlement()?.add_u32(&[tags::RECEIPT_NUMBER], 1)?;
            work.skips.receipts += 1;
            Some(())
        },
    ),
    Fault::new(
        "numbering.shift",
        "a number of a shift (1038) that is left out; the register counts on from it",
        |work| {
            if work.memory.chain().shift != Shift::Closed {
                return None;
            }
            work.of(&[FormCode::SHIFT_OPEN])?.add_u32(&[tags::SHIFT_NUMBER], 1)?;
            work.skips.shifts += 1;
            Some(())
        },
    ),
    Fault::new("numbering.shift-closed", "another opening of the shift in place of its closing", open_again)
        .then(After::Opening("numbering.shift-closed")),
    Fault::new(
        "numbering.shift-length",
        "a correction 24 hours and a minute after the opening of its shift; no later document is older. Only in lives of some days",
        |work| {
            work.correction()?;
            let time = work.memory.chain().opened_at? + LONGEST_SHIFT_S + 60;
            if time > u64::from(work.now) + AHEAD_S {
                return None;
            }
            work.skips.not_before = time;
            work.set_time(time)
        },
    ),
];

/// The records of a closing whose shift the operator knows from end to end.
fn counted<'w>(work: &'w mut Work<'_>) -> Option<&'w mut Body> {
    if !work.memory.chain().is_whole {
        return None;
    }
    work.of(&[FormCode::SHIFT_CLOSE])
}

fn open_again(work: &mut Work<'_>) -> Option<()> {
    if work.memory.chain().shift != Shift::Open {
        return None;
    }
    let version = u8::try_from(work.body.number(&[tags::FFD_VERSION])?).ok()?;
    let body = work.of(&[FormCode::SHIFT_CLOSE])?;
    // Not every version has all of them.
    for tag in OF_CLOSING {
        let _ = body.remove(&[tag]);
    }
    body.append(1188, b"001");
    body.append(1189, &[version]);
    work.draft.form = FormCode::SHIFT_OPEN;
    Some(())
}
