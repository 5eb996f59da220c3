-- Schema version 6. Never edited once released: a change is a new step that only adds.
-- Where each document lies. An index over the journal would have every new row change a page of its own, anywhere in it;
-- these tables follow the journal instead, in large sorted steps. At any moment a row of the journal is in exactly one of:
--   journal_keys          all that has come to rest
--   journal_keys_even/odd sorted runs on their way there: while the runs of one table are merged into journal_keys, new
--                         ones are gathered in the other
--   neither               behind journal_keys_state.seq: the newest few
-- journal_index is all of it and what every reader uses.

CREATE TABLE journal_keys (
    fn TEXT NOT NULL,
    fd INTEGER NOT NULL,
    chain INTEGER NOT NULL,
    conflict_no INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (fn, fd, chain, conflict_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal_keys_even (
    run INTEGER NOT NULL,               -- from 1
    fn TEXT NOT NULL,
    fd INTEGER NOT NULL,
    chain INTEGER NOT NULL,
    conflict_no INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (run, fn, fd, chain, conflict_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal_keys_odd (
    run INTEGER NOT NULL,
    fn TEXT NOT NULL,
    fd INTEGER NOT NULL,
    chain INTEGER NOT NULL,
    conflict_no INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (run, fn, fd, chain, conflict_no)
) STRICT, WITHOUT ROWID;

-- Every number that a run can have: a reader looks into each run by itself.
CREATE TABLE journal_keys_numbers (n INTEGER NOT NULL PRIMARY KEY) STRICT;
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 256)
INSERT INTO journal_keys_numbers (n) SELECT n FROM numbers;

CREATE TABLE journal_keys_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,           -- raised by whoever else changes these tables: the daemon reads them anew
    seq INTEGER NOT NULL,               -- the rows up to here are in the tables
    gathering INTEGER NOT NULL,         -- 0 even, 1 odd: where runs are added; those of the other one are merged
    even_runs INTEGER NOT NULL,
    odd_runs INTEGER NOT NULL,
    -- Up to this key the runs that are merged are in journal_keys, and do not count any more.
    fn TEXT NOT NULL,
    fd INTEGER NOT NULL,
    chain INTEGER NOT NULL,
    conflict_no INTEGER NOT NULL
) STRICT;

INSERT INTO journal_keys (fn, fd, chain, conflict_no, seq)
    SELECT fn, fd, chain, conflict_no, seq FROM journal INDEXED BY journal_identity ORDER BY fn, fd, chain, conflict_no;
INSERT INTO journal_keys_state (id, version, seq, gathering, even_runs, odd_runs, fn, fd, chain, conflict_no)
    SELECT 1, 0, coalesce(max(seq), 0), 0, 0, 0, '', 0, 0, 0 FROM journal;
DROP INDEX journal_identity;

CREATE VIEW journal_index (fn, fd, chain, conflict_no, seq) AS
SELECT k.fn, k.fd, k.chain, k.conflict_no, k.seq FROM journal_keys AS k
UNION ALL
SELECT k.fn, k.fd, k.chain, k.conflict_no, k.seq
    FROM journal_keys_state AS s CROSS JOIN journal_keys_numbers AS r CROSS JOIN journal_keys_even AS k
    WHERE r.n <= s.even_runs AND k.run = r.n
    AND (s.gathering = 0 OR (+k.fn, +k.fd, +k.chain, +k.conflict_no) > (s.fn, s.fd, s.chain, s.conflict_no))
UNION ALL
SELECT k.fn, k.fd, k.chain, k.conflict_no, k.seq
    FROM journal_keys_state AS s CROSS JOIN journal_keys_numbers AS r CROSS JOIN journal_keys_odd AS k
    WHERE r.n <= s.odd_runs AND k.run = r.n
    AND (s.gathering = 1 OR (+k.fn, +k.fd, +k.chain, +k.conflict_no) > (s.fn, s.fd, s.chain, s.conflict_no))
UNION ALL
SELECT k.fn, k.fd, k.chain, k.conflict_no, k.seq
    FROM journal_keys_state AS s CROSS JOIN journal AS k NOT INDEXED
    WHERE k.seq > s.seq;
