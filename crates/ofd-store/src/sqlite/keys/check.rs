//! Whether the index says of every document where it lies, and making it anew.

use rusqlite::Connection;

/// The rows of a piece of the journal of which the tables should have the key and have not.
///
/// Rows behind the tables need none. Everything else is looked up where it should be, not through the view: that would
/// scan those rows again for each.
pub(crate) fn lost_sql(after: i64, until: i64) -> String {
    // What was merged out of a run does not count there any more.
    let in_runs = |table: &str, runs: &str, gathering: u8| {
        format!(
            "EXISTS (SELECT 1 FROM journal_keys_numbers AS r CROSS JOIN {table} AS k WHERE r.n <= s.{runs} \
             AND k.run = r.n AND k.fn = j.fn AND k.fd = j.fd AND k.chain = j.chain \
             AND k.conflict_no = j.conflict_no AND k.seq = j.seq AND (s.gathering = {gathering} \
             OR (j.fn, j.fd, j.chain, j.conflict_no) > (s.fn, s.fd, s.chain, s.conflict_no)))"
        )
    };
    format!(
        "SELECT j.seq, j.fn, j.fd FROM journal_keys_state AS s CROSS JOIN journal AS j NOT INDEXED \
         WHERE j.seq > {after} AND j.seq <= {until} AND j.seq <= s.seq \
         AND NOT EXISTS (SELECT 1 FROM journal_keys AS k WHERE k.fn = j.fn AND k.fd = j.fd AND k.chain = j.chain \
         AND k.conflict_no = j.conflict_no AND k.seq = j.seq) AND NOT {} AND NOT {}",
        in_runs("journal_keys_even", "even_runs", 0),
        in_runs("journal_keys_odd", "odd_runs", 1),
    )
}

/// How many keys there are of rows up to a position: as many as rows, or some lead to a document that is not there.
pub(crate) fn count_sql(until: i64) -> String {
    format!("SELECT count(*) FROM journal_index WHERE seq <= {until}")
}

/// Empties the tables and puts every key of the journal in its place. Part of a transaction; takes long.
pub(crate) fn rebuild(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DELETE FROM journal_keys; DELETE FROM journal_keys_even; DELETE FROM journal_keys_odd; \
         INSERT INTO journal_keys (fn, fd, chain, conflict_no, seq) \
         SELECT fn, fd, chain, conflict_no, seq FROM journal NOT INDEXED ORDER BY fn, fd, chain, conflict_no; \
         UPDATE journal_keys_state SET version = version + 1, even_runs = 0, odd_runs = 0, fn = '', fd = 0, chain = 0, \
         conflict_no = 0, seq = (SELECT coalesce(max(seq), 0) FROM journal) WHERE id = 1;",
    )
}
