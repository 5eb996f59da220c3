//! What sources disagree about, leave open, or let a person mistype: it may be warned of, never refused.

use super::made::*;
use super::*;

/// Rule, path and weight of each finding.
type Brief = (&'static str, Vec<u16>, Severity);

fn brief(made: &Made) -> Vec<Brief> {
    findings(made, None).into_iter().map(|found| (found.rule, found.path, found.severity)).collect()
}

/// Every finding of the document is this one warning.
fn check_warned(made: &Made, rule: &'static str, path: &[u16]) {
    assert_eq!(brief(made), [(rule, path.to_vec(), Severity::Soft)], "form {}", made.form());
}

fn check_refused(made: &Made, rule: &'static str, path: &[u16]) {
    assert_eq!(brief(made), [(rule, path.to_vec(), Severity::Hard)], "form {}", made.form());
}

fn check_good(made: &Made) {
    assert_eq!(findings(made, None), [], "form {}", made.form());
}

fn good() -> Made {
    receipt(3, 4, 4, 2)
}

/// All reports of a version.
fn reports(version: u8) -> Vec<Made> {
    vec![
        registration(1, version, 1),
        registration(11, version, 4),
        shift_open(version, 4, 2),
        shift_close(version, 4, 1, 0),
        fn_close(version, 4),
        state_report(version, 4),
    ]
}

#[test]
fn a_users_own_requisite_is_as_long_as_its_members_may_be() {
    let own = |made: Made, name: usize, value: usize| {
        made.with(&[1084, 1085], vec![b'x'; name]).with(&[1084, 1086], vec![b'y'; value])
    };
    for version in [2, 3, 4] {
        for report in reports(version) {
            check_good(&own(report.clone(), 64, 256));
            check_refused(&own(report.clone(), 65, 1), "structure.length", &[1084, 1085]);
            check_refused(&own(report.clone(), 1, 257), "structure.length", &[1084, 1086]);
            let twice = own(report.clone(), 1, 1).and(&[1084, 1085], text("x"));
            check_refused(&twice, "structure.repeat", &[1084, 1085]);
            check_warned(
                &own(report, 1, 1).with(&[1084, 1998], byte(1)),
                "structure.undeclared",
                &[1084, 1998],
            );
        }
    }
}

/// The limit of a whole group is not held: its members have limits of their own.
#[test]
fn a_group_may_be_longer_than_its_table_says() {
    let correction = receipt(31, 3, 4, 2);
    check_good(&correction.with(&[1174, 1177], vec![b'x'; 256]).with(&[1174, 1179], vec![b'1'; 32]));
    let future = good().with(&[1059, 1260, 1262], text("001")).with(&[1059, 1260, 1263], text("01.01.2026"));
    let future = future.with(&[1059, 1260, 1264], vec![b'1'; 32]).with(&[1059, 1260, 1265], vec![b'x'; 256]);
    check_good(&future);
    let future = future.with(&[1059, 1260, 1998], vec![b'x'; 64]);
    check_warned(&future, "structure.undeclared", &[1059, 1260, 1998]);
    let phones = (0..30).fold(good(), |made, _| made.and(&[1059, 1223, 1073], vec![b'7'; 19]));
    check_good(&phones);
}

#[test]
fn requisites_whose_type_no_source_gives_only_warn() {
    check_warned(&notification().with(&[1011], word(3)), "value.unknown", &[1011]);
    check_warned(&notification().with(&[2040], byte(3)), "value.unknown", &[2040]);
    check_warned(&good().with(&[1011], text("МСК+2")), "value.unknown", &[1011]);
}

#[test]
fn any_fault_of_the_cashiers_number_only_warns() {
    let cashier = |number: &str| good().with(&[1203], text(number));
    check_warned(&cashier("5001007322591"), "inn.person", &[1203]);
    check_warned(&cashier("500100732259        "), "inn.person", &[1203]);
    check_warned(&cashier(&"x".repeat(300)), "inn.person", &[1203]);
    check_good(&cashier("500100732259"));
    check_refused(&good().with(&[1256, 1228], padded("5001", 13)), "structure.length", &[1256, 1228]);
}

#[test]
fn every_operator_of_a_transfer_is_looked_at() {
    let two =
        |second: &str| receipt(3, 3, 4, 2).with(&[1016], padded(USER, 12)).and(&[1016], padded(second, 12));
    check_refused(&two("7x"), "inn.format", &[1016]);
    check_good(&two(USER));
}

#[test]
fn a_blank_number_of_a_supplier_or_operator_is_no_number() {
    for blank in ["", "            ", "             "] {
        check_good(&good().with(&[1059, 1226], text(blank)));
        check_good(&good().with(&[1059, 1223, 1016], text(blank)));
        check_good(&notification().with(&[2007, 1226], text(blank)));
        check_good(&receipt(3, 3, 4, 2).with(&[1016], text(blank)));
        let agent = good().with(&[1059, 1222], byte(0x20)).with(&[1059, 1226], text(blank));
        check_warned(&agent, "structure.conditional", &[1059, 1226]);
    }
    let zeros = text("000000000000");
    check_good(&good().with(&[1059, 1226], zeros.clone()));
    check_good(&good().with(&[1059, 1223, 1016], zeros));
    // A blank number is still a record: two of them are one too many.
    let twice = good().with(&[1059, 1226], Vec::new()).and(&[1059, 1226], Vec::new());
    check_refused(&twice, "structure.repeat", &[1059, 1226]);
}

#[test]
fn a_receipt_may_leave_the_place_to_the_registration_and_a_report_may_not() {
    for form in [3, 4, 31, 41] {
        for tag in [1009, 1187] {
            check_warned(&receipt(form, 4, 4, 2).without(&[tag]), "structure.conditional", &[tag]);
        }
    }
    for tag in [1009, 1187] {
        check_refused(&registration(1, 4, 1).without(&[tag]), "structure.mandatory", &[tag]);
    }
}

#[test]
fn price_and_quantity_are_demanded_since_1_2_alone() {
    for form in [3, 4, 31, 41] {
        for (version, tag) in [(2, 1079), (3, 1079), (2, 1023), (3, 1023)] {
            let made = receipt(form, version, 4, 2).without(&[1059, tag]);
            check_warned(&made, "structure.conditional", &[1059, tag]);
        }
        for tag in [1079, 1023] {
            check_refused(&receipt(form, 4, 4, 2).without(&[1059, tag]), "structure.mandatory", &[1059, tag]);
        }
    }
}

/// Check 15: who sells as an agent settles for somebody else's tax, whether the receipt or the item says so.
#[test]
fn an_agent_may_leave_out_totals_of_vat() {
    let zero = |made: Made| made.without(&[1102]).with(&[1103], vln(0));
    check_warned(&zero(receipt(3, 3, 4, 2)), "vat.totals", &[1102]);
    check_good(&zero(receipt(3, 3, 4, 2).with(&[1057], byte(0x40))));
    let agent = receipt(3, 3, 4, 2).with(&[1059, 1222], byte(0x40)).with(&[1059, 1226], padded(USER, 12));
    check_good(&zero(agent));
}

#[test]
fn texts_are_russian_to_the_last_word() {
    let check = |made: &Made, register: Option<&RegisterState>, rule, expected: &str| {
        let found = findings(made, register);
        let text = found.iter().find(|found| found.rule == rule).map(|found| found.text_ru.as_str());
        assert_eq!(text, Some(expected), "{found:?}");
    };
    check(&good().with(&[1021], vec![b'x'; 82]), None, "structure.length", {
        "длина реквизита «Кассир» (тег 1021) — 82 байта, допустимо не более 64"
    });
    check(&good().with(&[1203], vec![b'x'; 302]), None, "inn.person", {
        "ИНН кассира (тег 1203) длиной 302 байта: нужно 10 или 12 цифр, первые две — не 00"
    });
    let life = |version, report| vec![report, shift_open(version, 2, 1), receipt(3, version, 3, 1)];
    let online = state(&life(4, registration(1, 4, 1)));
    check(&good().with(&[1187], text("склад")), Some(&online), "registration.place", {
        "место расчётов (тег 1187) не совпадает с отчётом о регистрации: «склад», а в отчёте «магазин Ромашка»"
    });
    check(&good().with(&[1059, 1212], byte(2)), Some(&online), "receipt.excise", {
        "в чеке подакцизный товар (тег 1212), а торговля подакцизными товарами не зарегистрирована (бит 6 тега 1290)"
    });
    let older = state(&life(3, registration(1, 3, 1)));
    check(&receipt(3, 3, 4, 2).with(&[1059, 1212], byte(2)), Some(&older), "receipt.excise", {
        "в чеке подакцизный товар (тег 1212), а торговля подакцизными товарами не зарегистрирована (тег 1207)"
    });
    let late = good().with(&[1012], word(START + 60 + 86_401));
    check(&late, Some(&online), "numbering.shift-length", {
        "чек пробит через 24 ч 0 мин 1 с после открытия смены, смена длится не более 24 ч"
    });
    let report = registration(1, 3, 1).with(&[1002], byte(1)).without(&[1017]).without(&[1046]);
    let offline = state(&life(3, report));
    let coded = (0..21).fold(receipt(3, 3, 4, 2).without(&[1059]), |made, _| {
        made.and_group(item(3).with(&[1162], vec![0x44; 8]))
    });
    check(&coded, Some(&offline), "receipt.offline-items", {
        "в чеке автономной кассы 21 предмет расчёта с кодом товара (тег 1162) или ИНН поставщика (тег 1226), \
         допустимо не более 10"
    });
}
