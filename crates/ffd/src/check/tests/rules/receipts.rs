//! Rules of one receipt: sums, items, VAT, agents, corrections.

use super::*;

pub(super) fn rows() -> Vec<Row> {
    let life = life(4);
    let good = || next(4);
    let paid = |total: u64| good().with(&[1020], vln(total)).with(&[1031], vln(total));
    let costing = |cost: u64| good().with(&[1059, 1043], vln(cost)).with(&[1059, 1079], vln(cost));
    let without_vat = || good().with(&[1059, 1199], byte(6)).without(&[1102]);
    let correction = || receipt(31, 4, 4, 2);
    vec![
        row("sum.items", &[1020], &life, paid(9_999), paid(10_099)),
        row(
            "sum.items",
            &[1020],
            &life,
            paid(10_100),
            costing(3_999).with(&[1020], vln(3_900)).with(&[1031], vln(3_900)),
        ),
        row("sum.payments", &[1020], &life, good().with(&[1081], vln(1)), {
            good().with(&[1031], vln(4_000)).with(&[1081], vln(3_000)).with(&[1215], vln(3_000))
        }),
        row("item.cost", &[1059, 1043], &life, good().with(&[1059, 1079], vln(10_002)), {
            good().with(&[1059, 1079], vln(10_001))
        }),
        row("item.vat", &[1059, 1200], &life, without_vat().with(&[1059, 1200], vln(5)), {
            without_vat().with(&[1059, 1200], vln(10_000))
        }),
        row("item.vat", &[1059, 1200], &life, without_vat(), without_vat().with(&[1059, 1200], vln(0))),
        row("item.measure", &[1059, 2108], &life, good().without(&[1059, 2108]), good()),
        row("vat.absent", &[1102], &life, good().without(&[1102]), without_vat().without(&[1059, 1200])),
        row("vat.absent", &[1102], &life, rate(11).without(&[1115]), rate(11)),
        row("vat.totals", &[1102], &life, good().with(&[1102], vln(1_669)), good().with(&[1102], vln(1_668))),
        row("vat.totals", &[1103], &life, good().with(&[1103], vln(1)), good().with(&[1103], vln(0))),
        row("vat.totals", &[1102], &life, good().with(&[1103], vln(0)).without(&[1102]), good()),
        row(
            "vat.totals",
            &[1105],
            &life,
            without_vat().without(&[1059, 1200]).with(&[1105], vln(9_998)),
            without_vat().without(&[1059, 1200]).with(&[1105], vln(10_000)),
        ),
        row("vat.totals", &[1115, 1119, 1120], &life, rate(7).with(&[1115, 1119, 1120], vln(1_669)), rate(7)),
        row("vat.rates", &[1115], &life, rate(11).without(&[1115]).with(&[1102], vln(1_667)), rate(11)),
        row("receipt.agent", &[1059, 1222], &super::life(3), agent(0x20), agent(0)),
        row("receipt.agent", &[1057], &super::life(2), next(2).with(&[1057], byte(0x40)), next(2)),
        row(
            "receipt.agent",
            &[1059, 1222],
            &life_after(registration(1, 3, 1).with(&[1057], byte(0x40))),
            agent(0x60),
            agent(0x40),
        ),
        row(
            "receipt.agent",
            &[1073],
            &super::life(3),
            phone(next(3), &[1073]),
            next(3).with(&[1073], Vec::new()),
        ),
        row("receipt.agent", &[1171], &super::life(2), phone(next(2), &[1171]), next(2)),
        row("receipt.agent", &[1059, 1223], &super::life(3), phone(agent(0), &[1059, 1223, 1073]), agent(0)),
        row("receipt.excise", &[1059, 1212], &life, good().with(&[1059, 1212], byte(2)), {
            good().with(&[1059, 1212], byte(1))
        }),
        row("receipt.excise", &[1059, 1212], &super::life(2), next(2).with(&[1059, 1212], byte(2)), next(2)),
        row("receipt.credit", &[1059, 1214], &life, credit(2), credit(1)),
        row("receipt.offline-items", &[1059], &offline_life(), coded(11), coded(10)),
        row("correction.type", &[1173], &life, correction().without(&[1173]), correction()),
        row("correction.type", &[1173], &life, correction().with(&[1173], byte(2)), correction()),
        row(
            "correction.base",
            &[1174, 1178],
            &life,
            correction().without(&[1174, 1178]).with(&[1174, 1179], text("1")),
            correction(),
        ),
        row("correction.order", &[1174, 1179], &life, correction().with(&[1173], byte(1)), {
            correction().with(&[1173], byte(1)).with(&[1174, 1179], text("12-3"))
        }),
    ]
}

/// An item sold as this kind of agent, of ФФД 1.1.
fn agent(mask: u8) -> Made {
    next(3).with(&[1059, 1222], byte(mask)).with(&[1059, 1226], padded("7825392986", 12))
}

fn phone(made: Made, path: &[u16]) -> Made {
    made.with(path, text("+79001234567"))
}

/// A credit paid in a receipt of so many items.
fn credit(items: u64) -> Made {
    let made = next(4).with(&[1059, 1214], byte(7)).with(&[1020], vln(items * 10_000));
    let made = made.with(&[1031], vln(items * 10_000)).with(&[1102], vln(items * 1_667));
    (1..items).fold(made, |made, _| made.and_group(item(4)))
}

fn offline_life() -> Vec<Made> {
    let report = registration(1, 3, 1).with(&[1002], byte(1)).without(&[1017]).without(&[1046]);
    life_after(report)
}

/// A receipt of ФФД 1.1 with so many items with a product code.
fn coded(items: u64) -> Made {
    let made = next(3).without(&[1059]).with(&[1020], vln(items * 10_000));
    let made = made.with(&[1031], vln(items * 10_000)).with(&[1102], vln(items * 1_667));
    (0..items).fold(made, |made, _| made.and_group(item(3).with(&[1162], vec![0x44; 8])))
}
