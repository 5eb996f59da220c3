//! What goes in comes out.

use proptest::prelude::*;
use rusqlite::params;
use rusqlite::types::{Value, ValueRef};

use super::*;

fn values() -> impl Strategy<Value = (Option<i64>, Option<String>, Option<Vec<u8>>)> {
    let words = prop_oneof![Just(None), "[^\\x00]{0,20}".prop_map(Some)];
    let number = prop_oneof![
        Just(None),
        any::<i64>().prop_map(Some),
        Just(Some(i64::MIN)),
        Just(Some(i64::MAX)),
        (-3_i64..3).prop_map(Some)
    ];
    (number, words, any::<Option<Vec<u8>>>())
}

#[test]
fn any_value_round_trips() {
    let bench = Bench::new();
    let last_id = std::cell::Cell::new(0_i64);
    let mut runner = proptest::test_runner::TestRunner::default();
    runner
        .run(&values(), |(number, words, bytes)| {
            let id = last_id.get() + 1;
            last_id.set(id);
            for db in bench.both() {
                let sql = "INSERT INTO kinds (id, number, words, bytes) VALUES (?1, ?2, ?3, ?4)";
                assert_eq!(db.execute(sql, params![id, number, words, bytes]).unwrap(), 1);
                let found = db
                    .query_row("SELECT number, words, bytes FROM kinds WHERE id = ?", [id], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                    })
                    .unwrap();
                let found: (Option<i64>, Option<String>, Option<Vec<u8>>) = found;
                prop_assert_eq!(&found, &(number, words.clone(), bytes.clone()), "{:?}", db);
                let same = db
                    .prepare(
                        "SELECT 1 FROM kinds WHERE id = ?1 AND number IS NOT DISTINCT FROM ?2 \
                         AND words IS NOT DISTINCT FROM ?3 AND bytes IS NOT DISTINCT FROM ?4",
                    )
                    .unwrap()
                    .exists(params![id, number, words, bytes])
                    .unwrap();
                prop_assert!(same, "{:?}", db);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn texts_are_ordered_by_their_bytes() {
    let bench = Bench::new();
    bench.postgres.batch("DROP TABLE kinds; CREATE TABLE kinds (words text COLLATE \"C\")").unwrap();
    let mut orders = Vec::new();
    for db in bench.both() {
        if matches!(db, Db::Sqlite(_)) {
            db.execute("DELETE FROM kinds", []).unwrap();
        }
        let insert = if matches!(db, Db::Sqlite(_)) {
            "INSERT INTO kinds (id, words) VALUES (random(), ?)"
        } else {
            "INSERT INTO kinds (words) VALUES (?)"
        };
        let words = ["b", "a", "B", "ё", "е", "Я", "10", "9", "", "a b", "ab", "\u{10ffff}", "\u{ffff}"];
        db.prepare(insert).unwrap().execute_many(words.map(|word| [word])).unwrap();
        let mut statement = db.prepare("SELECT words FROM kinds ORDER BY words").unwrap();
        let found: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(|word| word.unwrap()).collect();
        orders.push(found);
    }
    assert_eq!(orders[0], orders[1]);
}

/// Expressions in statements of ours, and what they give.
#[test]
fn expressions_mean_the_same() {
    let bench = Bench::new();
    let check = |sql: &str, parameters: &[Value], expected: ValueRef<'_>| {
        for db in bench.both() {
            let mut statement = db.prepare(sql).unwrap_or_else(|error| panic!("{db:?} {sql}: {error}"));
            let mut rows = statement
                .query(params_from_iter(parameters))
                .unwrap_or_else(|error| panic!("{db:?} {sql}: {error}"));
            let row = rows.next().unwrap().unwrap();
            assert_eq!(row.get_ref(0).unwrap(), expected, "{db:?} {sql}");
        }
    };
    let (number, text) = (Value::from, |text: &str| Value::from(text.to_owned()));
    let (one, zero, null) = (ValueRef::Integer(1), ValueRef::Integer(0), ValueRef::Null);
    check("SELECT 1", &[], one);
    check("SELECT 'x'", &[], ValueRef::Text(b"x"));
    check("SELECT NULL", &[], null);
    check("SELECT 2 > 1", &[], one);
    check("SELECT ? > 1", &[number(1_i64 << 40)], one);
    check("SELECT ?1 + 1", &[number(1_i64 << 40)], ValueRef::Integer((1 << 40) + 1));
    check("SELECT ?1 <> 0 AND ?1 <> 1", &[number(1_i64 << 40)], one);
    check("SELECT coalesce(?1, 0)", &[Value::Null], zero);
    check("SELECT coalesce(?, ?)", &[Value::Null, text("x")], ValueRef::Text(b"x"));
    check(
        "SELECT CASE WHEN CAST(?1 AS TEXT) IS NOT NULL THEN ?1 ELSE 'other' END",
        &[Value::Null],
        ValueRef::Text(b"other"),
    );
    check("SELECT CAST(coalesce(sum(number), 0) AS BIGINT) FROM kinds", &[], zero);
    check("SELECT count(*) FROM kinds", &[], zero);
    check("SELECT max(id) FROM kinds", &[], null);
    check("SELECT EXISTS (SELECT 1 FROM kinds)", &[], zero);
    check("SELECT 1 WHERE ?1 IN (?2, ?3)", &[text("a"), text("b"), text("a")], one);
    check("SELECT ?1 IS DISTINCT FROM 'x'", &[Value::Null], one);
}

#[test]
fn a_text_with_the_character_0_can_be_stored_and_found() {
    let bench = Bench::new();
    let db = bench.postgres();
    db.execute("INSERT INTO kinds (id, words) VALUES (1, ?)", ["a\0b"]).unwrap();
    let id: i64 = db.query_row("SELECT id FROM kinds WHERE words = ?", ["a\0b"], |row| row.get(0)).unwrap();
    assert_eq!(id, 1);
    let words: String = db.query_row("SELECT words FROM kinds", [], |row| row.get(0)).unwrap();
    assert_eq!(words, "a\u{fffd}b");
}

#[test]
fn what_a_column_cannot_hold_is_told_alike() {
    let bench = Bench::new();
    for db in bench.both() {
        db.execute("INSERT INTO kinds (id, number, words, bytes) VALUES (1, 300, 'x', NULL)", []).unwrap();
        let check = |expected: &str, read: fn(&Row<'_>) -> Result<()>| {
            let error = db.query_row("SELECT number, words, bytes FROM kinds", [], read).unwrap_err();
            assert_eq!(error.to_string(), expected, "{db:?}");
            assert!(matches!(store_error(error), crate::StoreError::Corrupt { .. }), "{expected}");
        };
        check("Integer 300 out of range at index 0", |row| row.get::<u8>(0).map(|_| ()));
        check("Invalid column type Text at index: 1, name: words", |row| row.get::<i64>(1).map(|_| ()));
        check("Invalid column type Null at index: 2, name: bytes", |row| row.get::<Vec<u8>>(2).map(|_| ()));
    }
}
