-- Schema version 4. Never edited once released: a change is a new step that only adds.
-- What goes to the tax service. Derived from the journal; indexes hold only rows that still wait for something, so
-- that a document that was accepted costs its row and nothing else.

-- One row per forwarded document. What is written last comes last.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY REFERENCES journal (seq),
    fn TEXT NOT NULL,
    fd INTEGER NOT NULL,
    chain INTEGER NOT NULL,             -- debug ФН only, else 0
    kind INTEGER NOT NULL,              -- form code
    slot INTEGER NOT NULL,              -- 0..255, by the ФН
    state INTEGER NOT NULL,             -- 0 new, 1 in flight, 2 delivered, 3 accepted, 4 soft, 5 hard, 6 dead, 7 superseded
    serial INTEGER NOT NULL,            -- grows with every row that comes to be sent
    attempts INTEGER NOT NULL,          -- requests with a known outcome
    created_at INTEGER NOT NULL,        -- received_at of the journal: since when it is owed
    raw_sha256 BLOB,                    -- docSha256
    batch_id BLOB,                      -- newest batch, 16 bytes
    next_at INTEGER,                    -- new: not before; delivered, soft: when to ask for the status
    last_error TEXT,
    ticket_id TEXT,
    delivered_at INTEGER,
    fns_codes TEXT,                     -- JSON array; NULL for none
    fns_at INTEGER                      -- of the verdict, by the service's clock
) STRICT;
-- What has still to be sent, as its holder takes it. The state stands in it, as in the next one, so that counting does
-- not read the rows.
CREATE INDEX outbox_open ON outbox (slot, serial, fn, state) WHERE state <= 1;
-- Documents without a verdict, of one ФН.
CREATE INDEX outbox_delivered ON outbox (fn, state) WHERE state = 2;
-- What went wrong, of one ФН and for lists.
CREATE INDEX outbox_troubled_fn ON outbox (fn, state) WHERE state >= 4;
CREATE INDEX outbox_troubled ON outbox (state) WHERE state >= 4;
-- Whose status is to be asked.
CREATE INDEX outbox_refresh ON outbox (next_at) WHERE state >= 2 AND next_at IS NOT NULL;

-- Rows by state, moved in the transactions that move the rows.
CREATE TABLE outbox_counts (
    state INTEGER NOT NULL PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT;
INSERT INTO outbox_counts (state, n) VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0);
-- 8: rows of outbox_waiting. 9: rows of outbox_parked.

-- To be forwarded once their ФН is known.
CREATE TABLE outbox_waiting (
    seq INTEGER PRIMARY KEY REFERENCES journal (seq),
    fn TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_waiting_fn ON outbox_waiting (fn);

-- Behind the cursor and still to be derived: documents of a ФН that has enough of them open.
CREATE TABLE outbox_parked (
    seq INTEGER PRIMARY KEY REFERENCES journal (seq),
    fn TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_parked_fn ON outbox_parked (fn);

-- ФН whose softly quarantined documents are to be marked to be asked about, and how far that has come.
CREATE TABLE outbox_refresh_queue (
    fn TEXT NOT NULL PRIMARY KEY,
    after_seq INTEGER NOT NULL,
    at INTEGER NOT NULL                 -- when they are to be asked about, microseconds, UTC
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox_cursors (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    derived INTEGER NOT NULL,           -- everything up to here was derived
    reports INTEGER NOT NULL,           -- reports of registration up to here were looked at ahead of it
    serial INTEGER NOT NULL             -- the newest outbox.serial
) STRICT;
INSERT INTO outbox_cursors (id, derived, reports, serial) VALUES (1, 0, 0, 0);

-- A batch is here before its first request, and is sent again under the same key as it was.
CREATE TABLE outbox_batches (
    batch_id BLOB NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,        -- createdAt of the body
    map_ver INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER,
    ended_at INTEGER,
    last_error TEXT,
    documents TEXT NOT NULL             -- positions in their order, joined by commas
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_batches_open ON outbox_batches (batch_id) WHERE ended_at IS NULL;

-- What was sent and what came back, of each refusal at the door.
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL REFERENCES outbox (seq),
    died_at INTEGER NOT NULL,
    settled_at INTEGER,                 -- requeued or superseded
    code TEXT NOT NULL,
    request BLOB NOT NULL,
    answer BLOB NOT NULL
) STRICT;
CREATE INDEX dead_letters_seq ON dead_letters (seq);

-- Who sends what: 256 slots of lanes, and 256 for the registrar's work.
CREATE TABLE fns_slots (
    slot INTEGER NOT NULL PRIMARY KEY,
    holder TEXT,
    epoch INTEGER NOT NULL,             -- grows whenever the slot changes hands
    until INTEGER NOT NULL,             -- microseconds, UTC
    renewed_at INTEGER NOT NULL         -- by the clock that until was counted from
) STRICT;
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 256)
INSERT INTO fns_slots (slot, holder, epoch, until, renewed_at) SELECT n, NULL, 0, 0, 0 FROM numbers;

-- Those who send, for the fair share.
CREATE TABLE fns_holders (
    holder TEXT NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
