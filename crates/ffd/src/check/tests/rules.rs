//! For every rule a document that breaks it and nothing else, and one that almost does.

use std::collections::BTreeSet;

use super::made::*;
use super::*;

mod receipts;

/// A rule, where its finding stands, what came before, the document that breaks it, and one that just does not.
struct Row {
    rule: &'static str,
    path: &'static [u16],
    life: Vec<Made>,
    faulty: Made,
    good: Made,
}

fn row(rule: &'static str, path: &'static [u16], life: &[Made], faulty: Made, good: Made) -> Row {
    Row { rule, path, life: life.to_vec(), faulty, good }
}

/// Registration, opening of a shift, one receipt: the next document has ФД 4 and receipt number 2.
fn life(version: u8) -> Vec<Made> {
    vec![registration(1, version, 1), shift_open(version, 2, 1), receipt(3, version, 3, 1)]
}

fn life_after(report: Made) -> Vec<Made> {
    let version = report.version();
    vec![report, shift_open(version, 2, 1), receipt(3, version, 3, 1)]
}

fn next(version: u8) -> Made {
    receipt(3, version, 4, 2)
}

fn structure() -> Vec<Row> {
    let life = life(4);
    let good = || next(4);
    vec![
        row("structure.mandatory", &[1055], &life, good().without(&[1055]), good().without(&[1021])),
        row("structure.mandatory", &[1059, 1214], &life, good().without(&[1059, 1214]), good()),
        row(
            "structure.conditional",
            &[1059, 1226],
            &[],
            good().with(&[1059, 1222], byte(0x20)),
            good().with(&[1059, 1222], byte(0x20)).with(&[1059, 1226], padded("7825392986", 12)),
        ),
        row("structure.conditional", &[1059, 1030], &[], good().without(&[1059, 1030]), {
            good().without(&[1059, 1030]).with(&[1059, 1214], byte(3))
        }),
        row("structure.conditional", &[1008], &[], good().with(&[1125], byte(1)), {
            good().with(&[1125], byte(1)).with(&[1008], text("a@example.com"))
        }),
        row("structure.conditional", &[1097], &life, shift_close(4, 4, 1, 0).without(&[1097]), {
            shift_close(4, 4, 1, 0)
        }),
        row("structure.conditional", &[1098], &life, shift_close(4, 4, 1, 0).with(&[1097], word(2)), {
            shift_close(4, 4, 1, 0).with(&[1097], word(2)).with(&[1098], word(START))
        }),
        row("structure.conditional", &[1157], &[], registration(11, 4, 4).without(&[1157]), {
            registration(11, 4, 1).with(&[1205], word(1)).without(&[1157])
        }),
        row("structure.conditional", &[1158], &life, state_report(4, 4).without(&[1158]), {
            state_report(4, 4).without(&[1158]).without(&[1097]).with(&[1002], byte(1))
        }),
        row("structure.type", &[1042], &life, good().with(&[1042], vec![1, 0]), good()),
        row("structure.type", &[1059, 1023], &life, good().with(&[1059, 1023], vec![99, 1]), good()),
        row("structure.type", &[1213], &life, shift_close(4, 4, 1, 0).with(&[1213], vec![1; 3]), {
            shift_close(4, 4, 1, 0).with(&[1213], word(400))
        }),
        row("structure.length", &[1021], &life, good().with(&[1021], vec![b'x'; 65]), {
            good().with(&[1021], vec![b'x'; 64])
        }),
        row("structure.length", &[1055], &life, good().with(&[1055], word(1)), good()),
        row("structure.length", &[1018], &life, good().with(&[1018], padded(USER, 13)), {
            good().with(&[1018], text(USER))
        }),
        row("structure.repeat", &[1021], &life, good().and(&[1021], text("Петрова")), {
            good()
                .and_group(item(4))
                .with(&[1020], vln(20_000))
                .with(&[1031], vln(20_000))
                .with(&[1102], vln(3334))
        }),
        row("structure.repeat", &[1059, 1212], &life, good().and(&[1059, 1212], byte(1)), good()),
        row("structure.undeclared", &[1057], &life, good().with(&[1057], byte(0)), good()),
        row("structure.undeclared", &[1998], &life, good().with(&[1998], byte(1)), good()),
        row("structure.undeclared", &[1059, 1118], &life, good().with(&[1059, 1118], word(1)), good()),
        row("structure.size", &[], &[], oversize(6145), oversize(6144)),
        row("structure.version", &[1209], &life, good().with(&[1209], byte(9)), good()),
        row("value.unknown", &[1059, 1199], &life, rate(13), rate(12)),
        row("value.unknown", &[1059, 2108], &life, good().with(&[1059, 2108], byte(9)), {
            good().with(&[1059, 2108], byte(255))
        }),
        row("value.unknown", &[1290], &[], registration(1, 4, 1).with(&[1290], word(1 << 31)), {
            registration(1, 4, 1).with(&[1290], word(0x1FF66))
        }),
        row("version.tags", &[1206], &[], shift_open(2, 2, 1).with(&[1206], byte(2)), {
            shift_open(3, 2, 1).with(&[1206], byte(2))
        }),
        row(
            "version.tags",
            &[1101],
            &[],
            registration(11, 4, 4).with(&[1101], byte(3)),
            registration(11, 2, 4),
        ),
    ]
}

/// A change report whose value has this length: it repeats a reason, and the name of the cashier takes the rest.
fn oversize(len: usize) -> Made {
    const REASON: usize = 5;
    let made = registration(11, 2, 4).with(&[1021], Vec::new());
    let rest = len - (made.bytes().len() - 4);
    let made = (0..rest / REASON).fold(made, |made, _| made.and(&[1101], byte(3)));
    made.with(&[1021], vec![b'x'; rest % REASON])
}

/// The good receipt with its item at this rate, VAT at its place.
fn rate(rate: u8) -> Made {
    let made = next(4).with(&[1059, 1199], byte(rate)).without(&[1102]);
    match rate {
        7..=12 => made.with(&[1115, 1119, 1199], byte(rate)).with(&[1115, 1119, 1120], vln(1_667)),
        _ => made,
    }
}

fn logic_of_values() -> Vec<Row> {
    let life = life(4);
    let good = || next(4);
    let at = |time: u32| good().with(&[1012], word(time));
    vec![
        row("time.earliest", &[1012], &[], at(1_472_687_999), at(1_472_688_000)),
        row("time.future", &[1012], &[], at(RECEIVED + 86_401), at(RECEIVED + 12 * 3600)),
        row("time.ahead", &[1012], &[], at(RECEIVED + 12 * 3600 + 301), at(RECEIVED + 12 * 3600 + 300)),
        row("time.ahead", &[1012], &[], at(RECEIVED + 86_400), at(RECEIVED)),
        row("time.order", &[1012], &life, at(START + 119), at(START + 120)),
        row("inn.format", &[1018], &[], good().with(&[1018], padded("00", 12)), good()),
        row("inn.format", &[1018], &[], good().with(&[1018], padded("007702203276", 12)), good()),
        row("inn.format", &[1018], &[], good().with(&[1018], padded("770220327", 12)), good()),
        row("inn.format", &[1059, 1226], &[], good().with(&[1059, 1226], padded("77", 12)), {
            good().with(&[1059, 1226], text("000000000000"))
        }),
        row(
            "inn.format",
            &[1059, 1223, 1016],
            &[],
            good().with(&[1059, 1223, 1016], padded("7x", 12)),
            good().with(&[1059, 1223, 1016], padded(USER, 12)),
        ),
        row("inn.format", &[1017], &[], registration(1, 4, 1).with(&[1017], text("000000000000")), {
            registration(1, 4, 1).with(&[1017], text("000000000000")).with(&[1002], byte(1))
        }),
        row("inn.person", &[1203], &life, good().with(&[1203], padded("12", 12)), {
            good().with(&[1203], text("000000000000"))
        }),
        row("inn.person", &[1256, 1228], &life, good().with(&[1256, 1228], padded("x", 12)), {
            good().with(&[1256, 1228], text("000000000000"))
        }),
        row("inn.digits", &[1203], &life, good().with(&[1203], text("500100732258")), {
            good().with(&[1203], text("500100732259"))
        }),
        row(
            "inn.digits",
            &[2007, 1226],
            &[],
            notification().with(&[2007, 1226], padded("7825392987", 12)),
            notification().with(&[2007, 1226], padded("7825392986", 12)),
        ),
        row(
            "rnm.checksum",
            &[1037],
            &[],
            registration(1, 4, 1).with(&[1037], padded("0000000005012635", 20)),
            {
                registration(1, 4, 1)
                    .with(&[1013], padded("A2", 20))
                    .with(&[1037], padded("0000000005012635", 20))
            },
        ),
        row("rnm.checksum", &[1037], &[], registration(1, 4, 1).with(&[1037], padded("120000130000", 20)), {
            registration(1, 4, 1)
                .with(&[1041], text("9999078912345678"))
                .with(&[1037], padded("120000130000", 20))
        }),
        row("value.operation", &[1054], &life, good().with(&[1054], byte(5)), good().with(&[1054], byte(4))),
        row("value.operation", &[1054], &life, good().with(&[1054], byte(0)), good().with(&[1054], byte(2))),
        row("value.taxation", &[1055], &life, good().with(&[1055], byte(3)), good().with(&[1055], byte(2))),
        row("value.taxation", &[1055], &life, good().with(&[1055], byte(0)), good()),
        row(
            "value.taxation",
            &[1055],
            &[],
            good().with(&[1055], byte(0x80)),
            good().with(&[1055], byte(0x20)),
        ),
        row("value.taxation-registered", &[1055], &life, good().with(&[1055], byte(4)), good()),
    ]
}

fn logic_of_registers() -> Vec<Row> {
    let life = life(4);
    let good = || next(4);
    let report = || registration(1, 4, 1);
    let closed: Vec<_> = self::life(4).into_iter().chain([shift_close(4, 4, 1, 0)]).collect();
    let open = |shift| shift_open(4, 5, shift);
    vec![
        row("registration.place", &[1187], &life, good().with(&[1187], text("example.com")), {
            let site = good().with(&[1187], text("example.com"));
            site.with(&[1125], byte(1)).with(&[1008], text("a@example.com"))
        }),
        row("registration.place", &[1187], &life, good().with(&[1187], text("склад")), good()),
        row("registration.place", &[1009], &life, good().with(&[1009], text("склад")), {
            good().with(&[1009], padded("111141, Москва, Кусковская ул., 20А", 40))
        }),
        row("registration.user", &[1018], &life, good().with(&[1018], padded("7704358518", 12)), {
            good().without(&[1018])
        }),
        row(
            "registration.user",
            &[1037],
            &life,
            good().with(&[1037], padded("0000000000020085", 20)),
            good(),
        ),
        row("registration.operator", &[1017], &[], report().with(&[1017], padded(USER, 12)), report()),
        row("report.automat", &[1036], &[], report().with(&[1001], byte(1)), {
            report().with(&[1001], byte(1)).with(&[1036], text("7"))
        }),
        row("report.offline", &[1017], &[], report().with(&[1002], byte(1)), {
            report().with(&[1002], byte(1)).without(&[1017])
        }),
        row(
            "report.offline",
            &[1056],
            &[],
            report().with(&[1002], byte(1)).with(&[1056], byte(1)).without(&[1017]),
            report().with(&[1056], byte(1)),
        ),
        row("report.online", &[1017], &[], report().without(&[1017]), report()),
        row("report.online", &[1046], &[], report().without(&[1046]), report()),
        row("report.first", &[1040], &[], registration(1, 4, 2), registration(11, 4, 2)),
        row("report.first", &[1040], &[], registration(11, 4, 2).with(&[1205], word(9)), {
            registration(11, 4, 1).with(&[1205], word(9))
        }),
        row(
            "report.first",
            &[1040],
            &[],
            registration(11, 2, 2).and(&[1101], byte(1)),
            registration(11, 2, 2),
        ),
        row("numbering.document", &[1040], &life, receipt(3, 4, 5, 2), good()),
        row("numbering.shift", &[1038], &closed, open(3), open(2)),
        row("numbering.shift", &[1038], &life, good().with(&[1038], word(2)), good()),
        row("numbering.receipt", &[1042], &life, receipt(3, 4, 4, 3), good()),
        row("numbering.shift-closed", &[1038], &closed, receipt(3, 4, 5, 1), open(2)),
        row("numbering.shift-closed", &[1038], &life, shift_open(4, 4, 2), shift_close(4, 4, 1, 0)),
        row("numbering.shift-length", &[1012], &overlong(), good().with(&[1012], word(START + 1)), {
            good().with(&[1012], word(START))
        }),
        row("closing.unacknowledged", &[1040], &closed, fn_close(4, 6), fn_close(4, 5)),
        row("closing.unacknowledged", &[1040], &with_gap(), fn_close(4, 8), fn_close(4, 5)),
        row("notification.zone", &[2040], &[], notification().without(&[2040]), {
            notification().without(&[2040]).with(&[1012], word(1_756_684_799))
        }),
    ]
}

/// A shift opened a day before [`START`].
fn overlong() -> Vec<Made> {
    let times = [START - 86_500, START - 86_400, START - 86_000];
    life(4).into_iter().zip(times).map(|(made, time)| made.with(&[1012], word(time))).collect()
}

/// A life in which documents 5 and 6 never came.
fn with_gap() -> Vec<Made> {
    let mut life = life(4);
    life.push(shift_close(4, 4, 1, 0));
    life.push(totals(shift_close(4, 7, 0, 0), 1157, 1, 0));
    life
}

fn logic_of_counters() -> Vec<Row> {
    let life = life(4);
    let good = || shift_close(4, 4, 1, 0);
    let corrected: Vec<_> = self::life(4).into_iter().chain([receipt(31, 4, 4, 2)]).collect();
    let closed: Vec<_> = self::life(4).into_iter().chain([good()]).collect();
    let second = |sales| totals(state_report(4, 5), 1157, sales, 0);
    vec![
        row("counters.block", &[1157, 1129, 1201], &life, good().with(&[1157, 1129, 1201], vln(1)), {
            good().without(&[1157, 1129, 1138])
        }),
        row("counters.shift", &[1194, 1129, 1135], &life, good().with(&[1194, 1129, 1135], word(2)), good()),
        row("counters.shift", &[1194, 1134], &life, good().with(&[1194, 1134], word(2)), {
            good().without(&[1194, 1134])
        }),
        row(
            "counters.shift",
            &[1194, 1133, 1144],
            &corrected,
            shift_close(4, 5, 1, 1).with(&[1194, 1133, 1144], word(2)),
            shift_close(4, 5, 1, 1),
        ),
        row("counters.decrease", &[1157, 1134], &closed, second(1).with(&[1157, 1134], word(0)), second(1)),
        row(
            "counters.decrease",
            &[1157, 1129, 1135],
            &closed,
            second(2).with(&[1157, 1129, 1135], word(0)),
            second(2),
        ),
        row("counters.receipts", &[1118], &life, good().with(&[1118], word(2)), good()),
        row("counters.documents", &[1111], &life, good().with(&[1111], word(2)), good()),
    ]
}

fn identity_rows() -> Vec<Row> {
    let good = || next(4);
    vec![
        row("identity.fn", &[1041], &[], good().with(&[1041], text("9280440300012346")), good()),
        row("identity.fd", &[1040], &[], good().with(&[1040], word(5)), good()),
        row("identity.time", &[1012], &[], good().without(&[1012]), good()),
        row("identity.time", &[1012], &[], good().with(&[1012], vec![1; 5]), good()),
        row("identity.sign", &[1077], &[], good().with(&[1077], vec![1; 5]), good()),
        row("identity.rnm", &[1037], &[], good().without(&[1037]), good()),
        row("identity.form", &[], &[], next_bso(), good()),
    ]
}

/// Claimed as form 3 by the table, see [`claimed`].
fn next_bso() -> Made {
    receipt(4, 4, 4, 2)
}

fn table() -> Vec<Row> {
    [
        structure(),
        logic_of_values(),
        receipts::rows(),
        logic_of_registers(),
        logic_of_counters(),
        identity_rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the container of the good document says.
fn claimed(good: &Made) -> Option<Claimed> {
    good.has(1040).then(|| Claimed {
        fn_number: good.fn_number(),
        fd_number: FdNumber::new(good.number(1040)).unwrap(),
        form: FormCode(good.form()),
    })
}

fn judge(made: &Made, claimed: Option<Claimed>, life: &[Made]) -> Vec<Finding> {
    let register = state(life);
    let around = Surroundings {
        claimed,
        received_at: RECEIVED,
        operator_inn: Some(OPERATOR.parse().unwrap()),
        register: (!life.is_empty()).then_some(&register),
    };
    check(&Document::decode(&made.bytes()).unwrap(), &around, &Severities::default())
}

#[test]
fn every_rule_fires_alone_and_keeps_silent() {
    let mut wrong = Vec::new();
    for Row { rule, path, life, faulty, good } in table() {
        // Only the rows of identity make a document that its own container contradicts.
        let own = if rule.starts_with(IDENTITY) { claimed(&good) } else { claimed(&faulty) };
        let findings = judge(&faulty, own, &life);
        let expected = [(rule, path, super::rule(rule).unwrap().severity)];
        let found: Vec<_> = findings
            .iter()
            .map(|finding| (finding.rule, finding.path.as_slice(), finding.severity))
            .collect();
        if found != expected {
            wrong.push(format!("{rule} {path:?}: {findings:?}"));
        }
        let findings = judge(&good, claimed(&good), &life);
        if !findings.is_empty() {
            wrong.push(format!("good, for {rule} {path:?}: {findings:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_rule_is_left_out_of_the_table() {
    let tested: BTreeSet<_> = table().iter().map(|row| row.rule).collect();
    let all: BTreeSet<_> = rules().iter().map(|rule| rule.name).collect();
    assert_eq!(tested, all);
}
