use super::*;
use crate::check::tests::made::{
    FN, Made, START, receipt, registration, shift_close, shift_open, text, vln, word,
};

fn apply(state: &mut RegisterState, made: &Made) {
    state.apply(&Document::decode(&made.bytes()).unwrap());
}

fn after(life: &[Made]) -> RegisterState {
    let mut state = RegisterState::default();
    life.iter().for_each(|made| apply(&mut state, made));
    state
}

fn life() -> Vec<Made> {
    vec![registration(1, 4, 1), shift_open(4, 2, 1), receipt(3, 4, 3, 1)]
}

#[test]
fn numbers_and_sums_follow_the_documents() {
    let state = after(&life());
    assert_eq!(state.last_fd(), Some(3));
    assert_eq!(state.last_time(), Some(START + 120));
    let shift = &state.shift;
    assert_eq!((shift.number, shift.is_open, shift.opened_fd), (Some(1), Some(true), Some(2)));
    assert_eq!((shift.opened_at, shift.last_receipt), (Some(START + 60), Some(1)));
    let sums = shift.sums.as_ref().unwrap();
    assert_eq!((sums.count(), sums.receipts[0].total, sums.receipts[0].cash), (1, 10_000, 10_000));

    let state = after(&[life(), vec![receipt(31, 4, 4, 2), shift_close(4, 5, 1, 1)]].concat());
    assert_eq!((state.shift.number, state.shift.is_open), (Some(1), Some(false)));
    assert!(state.totals.is_some());
    assert_eq!(state.missing(), 0);
}

#[test]
fn a_document_that_is_not_newer_changes_nothing() {
    let before = after(&life());
    for repeat in life() {
        let mut state = before.clone();
        apply(&mut state, &repeat);
        assert_eq!(state, before);
    }
    let mut state = before.clone();
    apply(&mut state, &receipt(3, 4, 3, 9).with(&[1020], vln(5)));
    assert_eq!(state, before, "other content under a known number");
}

#[test]
fn another_first_report_begins_a_new_chain() {
    let other = registration(1, 3, 1).with(&[1077], vec![0x31, 4, 9, 9, 9, 9]);
    let mut state = after(&life());
    apply(&mut state, &other);
    assert_eq!(state, after(&[other]));
}

#[test]
fn an_unknown_first_report_is_only_replaced_by_a_debug_storage() {
    let known = vec![registration(11, 4, 7), shift_open(4, 8, 3)];
    let before = after(&known);
    let mut state = before.clone();
    apply(&mut state, &registration(1, 4, 1));
    assert_eq!(state, before, "number {FN} is no debug storage's");
    let debug = registration(1, 4, 1).with(&[1041], text("9999078900000017"));
    apply(&mut state, &debug);
    assert_eq!(state, after(&[debug]));
}

#[test]
fn a_gap_is_remembered_until_it_is_filled() {
    let mut state = after(&[life(), vec![receipt(3, 4, 7, 5)]].concat());
    assert_eq!(state.missing(), 3);
    assert_eq!(
        (state.shift.sums.as_ref(), state.shift.opened_fd),
        (None, None),
        "nobody knows what was missed"
    );
    assert_eq!((state.shift.number, state.shift.last_receipt), (Some(1), Some(5)));
    for (late, left) in [(5, 2), (5, 2), (4, 1), (9, 2), (6, 1), (8, 0)] {
        apply(&mut state, &receipt(3, 4, late, 1));
        assert_eq!(state.missing(), left, "after {late}");
    }
}

#[test]
fn runs_of_missing_numbers_are_bounded() {
    let numbers = (0..100).map(|step| receipt(3, 4, 3 + 2 * step, 1));
    let state = after(&numbers.collect::<Vec<_>>());
    assert_eq!(state.missing.len(), MAX_MISSING_RUNS);
    assert_eq!(state.missing(), 8);
}

#[test]
fn memory_rebuilt_from_the_report_and_the_newest_shift_has_no_gap() {
    let state = after(&[registration(1, 4, 1), shift_open(4, 500, 40), receipt(3, 4, 501, 1)]);
    assert_eq!(state.missing(), 0);
    assert_eq!(state.shift.sums.as_ref().map(|sums| sums.count()), Some(1));
    // A gap inside the shift is one all the same.
    assert_eq!(after(&[registration(1, 4, 1), shift_open(4, 500, 40), receipt(3, 4, 502, 1)]).missing(), 1);
    // So is the loss of the shift's opening.
    assert_eq!(after(&[registration(1, 4, 1), receipt(3, 4, 3, 1)]).missing(), 1);
}

#[test]
fn a_shift_that_was_cut_off_has_no_sums_and_no_gap() {
    for report_first in [true, false] {
        let mut state = RegisterState::default();
        if report_first {
            apply(&mut state, &registration(1, 4, 1));
        }
        state.cut();
        if !report_first {
            apply(&mut state, &registration(1, 4, 1));
        }
        apply(&mut state, &receipt(3, 4, 900, 77));
        apply(&mut state, &receipt(3, 4, 901, 78));
        assert_eq!((state.missing(), state.shift.sums.as_ref()), (0, None));
        assert_eq!((state.shift.number, state.shift.last_receipt), (Some(1), Some(78)));
        apply(&mut state, &receipt(3, 4, 903, 80));
        assert_eq!(state.missing(), 1, "past the cut a gap is a gap");
        apply(&mut state, &shift_close(4, 904, 1, 0));
        apply(&mut state, &shift_open(4, 905, 2));
        assert!(state.shift.sums.is_some(), "the next shift is known from its beginning");
    }
}

#[test]
fn a_receipt_that_does_not_say_its_sum_makes_the_sums_unknown() {
    let check = |faulty: Made| {
        let state = after(&[life(), vec![faulty]].concat());
        assert_eq!((state.last_fd(), state.shift.sums.as_ref()), (Some(4), None));
    };
    check(receipt(3, 4, 4, 2).without(&[1020]));
    check(receipt(3, 4, 4, 2).with(&[1031], vec![1; 9]));
    check(receipt(3, 4, 4, 2).with(&[1054], vec![7]));
    check(receipt(3, 4, 4, 2).with(&[1020], vln(u64::MAX)));
}

#[test]
fn what_is_no_document_of_a_register_is_left_out() {
    let before = after(&life());
    let mut state = before.clone();
    apply(&mut state, &Made::new(7, vec![(1040, word(9))]));
    apply(&mut state, &receipt(3, 4, 9, 2).without(&[1040]));
    assert_eq!(state, before);
}

#[test]
fn the_registration_is_the_last_one() {
    let changed = registration(11, 4, 4).with(&[1187], text("склад")).with(&[1290], word(0x40));
    let state = after(&[life(), vec![changed]].concat());
    let registration = state.registration().unwrap();
    assert_eq!(registration.place.as_deref().map(cp866::decode).as_deref(), Some("склад"));
    assert_eq!(
        (registration.excise, registration.offline, registration.agent),
        (Some(true), Some(false), None)
    );
    assert_eq!(
        (registration.taxation, registration.rnm.as_deref()),
        (Some(3), Some(b"0000000005008570".as_slice()))
    );
}
