//! How statements reach their rows: with millions of them nothing may be walked through.

use super::super::{
    COLUMNS, batches, derive, early, gaps, listing, parked, reading, recall, verdicts, waiting,
};
use rusqlite::Connection;

use super::*;

/// All that lead to many rows or are asked often.
fn statements() -> Vec<String> {
    let select = |tail: &str| format!("SELECT {COLUMNS} {tail}");
    vec![
        derive::NEXT.to_owned(),
        early::REPORTS.to_owned(),
        early::BELOW.to_owned(),
        gaps::LOWER.to_owned(),
        gaps::HIGHER.to_owned(),
        waiting::KNOWN.to_owned(),
        waiting::NEXT_FNS.to_owned(),
        waiting::OF_FN.to_owned(),
        parked::FNS.to_owned(),
        parked::OF_FN.to_owned(),
        parked::COUNT_OF_FN.to_owned(),
        parked::OLDEST.to_owned(),
        batches::IN_FLIGHT.to_owned(),
        verdicts::CANDIDATES.to_owned(),
        verdicts::DUE.to_owned(),
        verdicts::SOFT_OF_FN.to_owned(),
        recall::DELIVERED_OF_FN.to_owned(),
        recall::DELIVERED_BEHIND.to_owned(),
        recall::SOFT.to_owned(),
        select(reading::OPEN),
        reading::OLDEST_OPEN.to_owned(),
        reading::OLDEST_UNDERIVED.to_owned(),
        reading::OPEN_OF_FN.to_owned(),
        reading::DELIVERED_OF_FN.to_owned(),
        reading::TROUBLED_OF_FN.to_owned(),
        reading::WAITING_OF_FN.to_owned(),
        reading::NEWEST_OF_FN.to_owned(),
        reading::BODY.to_owned(),
        select(listing::OPEN),
        select(listing::TROUBLED),
        select(listing::PIECE),
        listing::OF_FN.to_owned(),
        "SELECT max(seq) FROM outbox WHERE seq < ?1".to_owned(),
    ]
}

#[test]
fn nothing_reads_a_whole_table() {
    let bench = Bench::new();
    let sql = Connection::open(bench.0.path()).unwrap();
    // What is open is at most a window, and the index has nothing else.
    let bounded = [
        "SCAN outbox USING COVERING INDEX outbox_open",
        "SCAN outbox USING INDEX outbox_open",
        "SCAN CONSTANT ROW",
        // The walk itself, a row for each step of the index.
        "SCAN fns",
        // The one row that says where the keys of the journal lie.
        "SCAN s",
        // What the searches in its parts have found.
        "SCAN journal_index",
    ];
    for statement in statements() {
        for step in plan(&sql, &statement) {
            let is_scan = step.starts_with("SCAN") && !bounded.contains(&step.as_str());
            assert!(!is_scan && !step.contains("AUTOMATIC"), "{step}: {statement}");
        }
    }
}

#[test]
fn what_is_asked_often_is_in_the_index() {
    let bench = Bench::new();
    let sql = Connection::open(bench.0.path()).unwrap();
    let check = |statement: &str, index: &str| {
        let steps = plan(&sql, statement).join("; ");
        assert!(steps.contains(&format!("COVERING INDEX {index}")), "{steps}: {statement}");
        assert!(!steps.contains("TEMP B-TREE"), "{steps}: {statement}");
    };
    check(reading::OLDEST_OPEN, "outbox_open");
    check(reading::OPEN_OF_FN, "outbox_open");
    check(reading::DELIVERED_OF_FN, "outbox_delivered");
    check(reading::TROUBLED_OF_FN, "outbox_troubled_fn");
    check(waiting::NEXT_FNS, "outbox_waiting_fn");
    check(parked::FNS, "outbox_parked_fn");
    check(verdicts::SOFT_OF_FN, "outbox_troubled_fn");
    for statement in [early::REPORTS, verdicts::DUE, waiting::OF_FN, parked::OF_FN] {
        let steps = plan(&sql, statement).join("; ");
        assert!(!steps.contains("TEMP B-TREE"), "{steps}: {statement}");
    }
}

/// Keys at rest are found in their order, however many of a register there are; the few on their way are sorted.
#[test]
fn the_index_of_the_journal_is_read_in_its_order() {
    let bench = Bench::new();
    let sql = Connection::open(bench.0.path()).unwrap();
    for statement in [gaps::LOWER, gaps::HIGHER, early::BELOW, reading::NEWEST_OF_FN] {
        let steps = plan(&sql, statement);
        let at_rest =
            steps.iter().position(|step| step.starts_with("SEARCH k USING PRIMARY KEY (fn=?")).unwrap();
        assert_eq!(steps.get(at_rest + 1).map(String::as_str), Some("RIGHT"), "{steps:?}: {statement}");
        assert!(steps.iter().all(|step| !step.contains("CO-ROUTINE")), "{steps:?}: {statement}");
    }
}

#[test]
fn nothing_is_compiled_anew_for_other_values() {
    let bench = Bench::new();
    // A connection opened as all of ours are.
    let sql = crate::sqlite::open_operator(&bench.0.path()).unwrap();
    for statement in statements() {
        let mut prepared = sql.prepare(&statement).unwrap();
        for value in 1..4 {
            for index in 1..=prepared.parameter_count() {
                prepared.raw_bind_parameter(index, value).unwrap();
            }
            prepared.raw_query().next().unwrap();
        }
        assert_eq!(prepared.get_status(rusqlite::StatementStatus::RePrepare), 0, "{statement}");
    }
}

#[test]
fn no_write_makes_a_table_for_a_list() {
    // A list of three in the condition of an index would make one with every row that is written.
    let bench = Bench::new();
    let sql = Connection::open(bench.0.path()).unwrap();
    for statement in [
        "INSERT INTO journal SELECT * FROM journal WHERE seq = 1",
        "INSERT INTO outbox SELECT * FROM outbox WHERE seq = 1",
        "UPDATE outbox SET state = 2, next_at = 1 WHERE seq = 1",
    ] {
        let mut explained = sql.prepare(&format!("EXPLAIN {statement}")).unwrap();
        let codes = explained.query_map([], |row| row.get::<_, String>(1)).unwrap();
        let lists = codes.filter(|code| code.as_ref().is_ok_and(|code| code == "OpenEphemeral")).count();
        // Inserting from the same table keeps the rows aside once.
        assert!(lists <= usize::from(statement.starts_with("INSERT")), "{statement}");
    }
}

fn plan(sql: &Connection, statement: &str) -> Vec<String> {
    let mut explained = sql.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    for index in 1..=explained.parameter_count() {
        explained.raw_bind_parameter(index, 1).unwrap();
    }
    let mut rows = explained.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get::<_, String>(3).unwrap());
    }
    steps
}
