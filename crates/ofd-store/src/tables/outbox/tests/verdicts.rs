//! What a card costs that comes for a register with very many documents in soft quarantine.

use super::*;

/// Rows in soft quarantine of a ФН, without a journal.
fn soft_rows(bench: &Bench, fn_text: &str, first: i64, number: i64) {
    let sql = bench.sql();
    sql.pragma_update(None, "foreign_keys", false).unwrap();
    sql.execute(
        "WITH RECURSIVE n (seq) AS (SELECT ?2 UNION ALL SELECT seq + 1 FROM n WHERE seq < ?2 + ?3 - 1) \
         INSERT INTO outbox (seq, fn, fd, chain, kind, slot, state, serial, attempts, created_at) \
         SELECT seq, ?1, seq, 0, 3, 1, 4, seq, 1, 0 FROM n",
        (fn_text, first, number),
    )
    .unwrap();
}

#[test]
fn a_card_of_a_register_with_very_many_soft_documents_costs_one_row() {
    let bench = Bench::new();
    soft_rows(&bench, A, 1, 1_201);
    soft_rows(&bench, B, 5_000, 3);
    let mut way = Forwarding::open(&bench.url()).unwrap();
    let count = |sql_text: &str| -> i64 { bench.sql().query_row(sql_text, [], |row| row.get(0)).unwrap() };
    let marked = || count("SELECT count(*) FROM outbox WHERE next_at IS NOT NULL");
    for fn_text in [A, B, DEBUG] {
        super::super::refresh((&bench.sql()).into(), &number(fn_text), moment(7)).unwrap();
    }
    assert_eq!((marked(), count("SELECT count(*) FROM outbox_refresh_queue")), (0, 3));
    assert!(way.recall_statuses(usize::MAX).unwrap(), "there is more");
    assert_eq!(marked(), 500, "no more in one transaction, whatever is asked for");
    // Who goes on need not be who began.
    let mut way = Forwarding::open(&bench.url()).unwrap();
    assert!(way.recall_statuses(500).unwrap());
    assert_eq!(marked(), 1000);
    // A card more: the whole begins anew, and ends all the same.
    super::super::refresh((&bench.sql()).into(), &number(A), moment(8)).unwrap();
    let mut calls = 0;
    while way.recall_statuses(500).unwrap() {
        calls += 1;
        assert!(calls < 10);
    }
    assert_eq!((marked(), count("SELECT count(*) FROM outbox_refresh_queue")), (1_204, 0));
    assert_eq!(way.refresh_due(moment(8), 1000).unwrap().len(), 1000);
}
