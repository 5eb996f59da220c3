//! Lists of registrations are read in the order of an index.

use super::*;
use crate::tables::registration::fns;
use crate::tables::tasks;

#[test]
fn lists_need_no_sorting() {
    let bench = Bench::new();
    let check = |sql: &str, index: &str| {
        let mut statement = bench.sql().prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let steps = steps.map(|step| step.unwrap()).collect::<Vec<_>>().join("; ");
        assert!(steps.contains(index) && !steps.contains("TEMP B-TREE"), "{sql}: {steps}");
    };
    check(&fns::IN_ORDER.replace("?1", "0").replace("?2", "10"), "journal_reports_in_order");
    check("SELECT * FROM kkts WHERE TRUE AND state = 'LINKED' AND id > 5 ORDER BY id LIMIT 9", "kkts_state");
    check("SELECT * FROM kkts WHERE TRUE AND inn = '1' AND id > 5 ORDER BY id LIMIT 9", "kkts_inn");
    check("SELECT * FROM kkts WHERE TRUE AND id > 5 AND mismatch <> '' ORDER BY id LIMIT 9", "kkts_mismatch");
    check("SELECT state, count(*) FROM kkts GROUP BY state", "kkts_state");
    let open = "t.closed_at IS NULL ORDER BY t.id DESC LIMIT 9";
    check(&format!("{} WHERE TRUE AND {open}", tasks::TASK), "human_tasks_open");
    let of_kind = format!("{} WHERE TRUE AND t.kind = 'mismatch' AND {open}", tasks::TASK);
    check(&of_kind, "human_tasks_open_kind");
}
