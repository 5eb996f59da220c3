-- Schema version 1. Never edited once released: a change is a new step that only adds.

-- One row per document in order of arrival; seq is the rowid. Short columns before the long ones, so that a
-- look at them does not read the blobs.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    fn TEXT NOT NULL,
    fd INTEGER NOT NULL,
    chain INTEGER NOT NULL,             -- debug ФН only, else 0
    conflict_no INTEGER NOT NULL,       -- 0 = first content of (fn, chain, fd)
    form INTEGER NOT NULL,
    received_at INTEGER NOT NULL,       -- microseconds, UTC
    code INTEGER NOT NULL,              -- of the acknowledgement
    forward INTEGER NOT NULL,           -- 0 no, 1 yes, 2 when the ФН is known
    marks INTEGER NOT NULL,             -- 1 format and logic control, 2 sign
    verdict TEXT NOT NULL,
    sign_scheme TEXT,
    sign_generation INTEGER,
    identity BLOB NOT NULL,             -- SHA-256 of the opened document
    peer TEXT,
    ffd_version INTEGER,                -- from here to fiscal_sign: derived, rebuildable
    local_time INTEGER,                 -- the till's wall clock, seconds
    rnm TEXT,
    user_inn TEXT,
    kkt_serial TEXT,
    shift INTEGER,
    receipt_number INTEGER,
    operation INTEGER,
    total_kopecks INTEGER,
    fiscal_sign INTEGER,
    acknowledgement BLOB NOT NULL,      -- sealed container
    container BLOB NOT NULL,            -- as received
    opened BLOB                         -- beside an encrypted container
) STRICT;

-- Decides repeats and conflicts. Every further index over all rows costs the writer a random page a row.
CREATE UNIQUE INDEX journal_identity ON journal (fn, fd, chain, conflict_no);
-- Repeats of conflicts, and of what a debug ФН sent in its later chains: no ordinary document is in it.
CREATE INDEX journal_others ON journal (fn, fd, identity) WHERE (conflict_no > 0 OR chain > 0);

CREATE TABLE findings (
    seq INTEGER NOT NULL REFERENCES journal (seq),
    ordinal INTEGER NOT NULL,
    path TEXT NOT NULL,                 -- tags joined by dots
    rule TEXT NOT NULL,
    severity INTEGER NOT NULL,          -- 1 hard, 0 soft
    text TEXT NOT NULL,
    PRIMARY KEY (seq, ordinal)
) STRICT, WITHOUT ROWID;

-- Newest chain of a ФН that begins with 9999.
CREATE TABLE debug_chains (
    fn TEXT NOT NULL PRIMARY KEY,
    chain INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Known ФН, and serial numbers of which the ФН is not known yet.
CREATE TABLE registers (
    id INTEGER PRIMARY KEY,
    fn TEXT UNIQUE,
    kkt_serial TEXT,
    serial_by_operator INTEGER NOT NULL DEFAULT 0,
    rnm TEXT,
    inn TEXT,
    source TEXT NOT NULL,               -- report, operator, released
    report_seq INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,           -- facts_version of the newest change
    CHECK (fn IS NOT NULL OR kkt_serial IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX registers_serial_only ON registers (kkt_serial) WHERE fn IS NULL;
CREATE INDEX registers_version ON registers (version);

-- Raised with every change of registers; a running daemon looks at it.
CREATE TABLE facts_version (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO facts_version (id, version) VALUES (1, 0);

CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES journal (seq),
    created_at INTEGER NOT NULL,
    done_at INTEGER
) STRICT;

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    fn TEXT NOT NULL,
    fd INTEGER NOT NULL,
    key BLOB NOT NULL,                  -- identity, or SHA-256 of the container
    form INTEGER NOT NULL,
    reason TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    times INTEGER NOT NULL,
    released_at INTEGER,
    identity BLOB,
    peer TEXT,
    container BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX quarantine_identity ON quarantine (fn, fd, key);

CREATE TABLE quarantine_counts (
    fn TEXT NOT NULL,                   -- empty: all ФН past the number of those counted one by one
    reason TEXT NOT NULL,
    kept INTEGER NOT NULL,
    not_kept INTEGER NOT NULL,
    PRIMARY KEY (fn, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine_usage (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    bytes INTEGER NOT NULL,             -- charged for kept copies
    counters INTEGER NOT NULL           -- rows of quarantine_counts made for messages that were not kept
) STRICT;
INSERT INTO quarantine_usage (id, bytes, counters) VALUES (1, 0, 0);
