use kkt_proto::header::{CrcMode, Header, PVersion};

use super::*;

/// A probe of a storage at a moment in milliseconds, and when it was answered.
fn exchange(storage: u8, at_ms: u64, answered_ms: Option<u64>) -> Exchange {
    let number = FnNumber::from_padded(format!("99990000000000{storage:02}").as_bytes()).unwrap();
    let message = |at_ms| {
        let header = Header::probe(number, PVersion::FFD_1_2, CrcMode::None);
        CapturedMessage { at: Duration::from_millis(at_ms), header, bytes: header.encode().to_vec() }
    };
    Exchange { message: message(at_ms), answer: answered_ms.map(message) }
}

fn flow(exchanges: Vec<Exchange>) -> CapturedFlow {
    let nowhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    CapturedFlow { register: nowhere, operator: nowhere, began: Duration::ZERO, exchanges }
}

/// Lanes as rows of (due in ms, storage, after in lane, after in storage).
fn check(flows: Vec<CapturedFlow>, shape: Shape, speed: Speed, expected: &[&[(u64, usize, usize, usize)]]) {
    let plan = plan(flows, shape, speed, usize::MAX);
    let found: Vec<Vec<_>> = plan
        .lanes
        .iter()
        .map(|lane| {
            let row = |step: &Step| {
                let due = u64::try_from(step.due.as_millis()).unwrap();
                (due, step.storage, step.after_in_lane, step.after_in_storage)
            };
            lane.steps.iter().map(row).collect()
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn as_captured_keeps_connections_pauses_and_what_was_waited_for() {
    // Two registers, the first of which sends its second message before the answer to the first one.
    let flows = || {
        vec![
            flow(vec![
                exchange(1, 1000, Some(1300)),
                exchange(1, 1100, Some(1400)),
                exchange(1, 2000, Some(2100)),
            ]),
            flow(vec![exchange(2, 1500, None), exchange(2, 1600, None)]),
        ]
    };
    let lanes: [&[_]; 2] =
        [&[(0, 0, 0, 0), (100, 0, 0, 0), (1000, 0, 2, 0)], &[(500, 1, 0, 0), (600, 1, 1, 0)]];
    check(flows(), Shape::Captured, Speed::Times(1.0), &lanes);
    let lanes: [&[_]; 2] = [&[(0, 0, 0, 0), (10, 0, 0, 0), (100, 0, 2, 0)], &[(50, 1, 0, 0), (60, 1, 1, 0)]];
    check(flows(), Shape::Captured, Speed::Times(10.0), &lanes);
    let lanes: [&[_]; 2] = [&[(0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 2, 0)], &[(0, 1, 0, 0), (0, 1, 1, 0)]];
    check(flows(), Shape::Captured, Speed::Unlimited, &lanes);
}

#[test]
fn a_storage_keeps_its_order_over_connections() {
    // A connection for each document, and one that was lost: its document comes again on the next.
    let flows = vec![
        flow(vec![exchange(1, 10, Some(11))]),
        flow(vec![exchange(1, 20, None)]),
        flow(vec![exchange(1, 30, Some(31)), exchange(1, 40, Some(41))]),
        flow(vec![exchange(2, 25, Some(26))]),
    ];
    let lanes: [&[_]; 4] = [&[(0, 0, 0, 0)], &[(0, 0, 0, 1)], &[(0, 1, 0, 0)], &[(0, 0, 0, 2), (0, 0, 1, 0)]];
    check(flows, Shape::Captured, Speed::Unlimited, &lanes);
}

#[test]
fn other_shapes_spread_the_same_messages() {
    let flows = || {
        vec![
            flow(vec![exchange(1, 10, None), exchange(2, 20, None), exchange(1, 30, None)]),
            flow(vec![exchange(1, 40, None)]),
        ]
    };
    let check = |mode, expected: &[&[_]]| check(flows(), Shape::Mode(mode), Speed::Unlimited, expected);
    check(LoadMode::Persistent, &[&[(0, 0, 0, 0), (0, 0, 1, 0), (0, 0, 2, 0)], &[(0, 1, 0, 0)]]);
    check(LoadMode::Window(2), &[&[(0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 1, 0)], &[(0, 1, 0, 0)]]);
    check(LoadMode::PerDocument, &[&[(0, 0, 0, 0)], &[(0, 1, 0, 0)], &[(0, 0, 0, 1)], &[(0, 0, 0, 2)]]);
}

#[test]
fn a_limit_takes_the_first_messages() {
    let flows =
        vec![flow(vec![exchange(1, 10, None), exchange(1, 30, None)]), flow(vec![exchange(2, 20, None)])];
    let cut = plan(flows, Shape::Captured, Speed::Unlimited, 2);
    assert_eq!(cut.messages(), 2);
    assert_eq!(cut.storages.len(), 2);
    assert_eq!(cut.span, Duration::from_millis(10));
    assert_eq!(plan(Vec::new(), Shape::Captured, Speed::Unlimited, 9).messages(), 0);
}
