-- Schema version 1 of the PostgreSQL engine: everything that the steps of the SQLite engine up to the sixth have led to.
-- Never edited once released: a change is a new step that only adds.
--
-- Names and meanings of tables and columns are those of the SQLite schema, whose comments tell more; the same statements
-- run on both. Numbers are bigint, texts compare by their bytes, moments are microseconds UTC but where told.
-- Nothing refers to the journal by a foreign key: its partitions are to be detached when their years are over.

-- Positions. Taken in blocks by journal_take only; a position is YYYYMM * 10^10 and a number within the month.
CREATE SEQUENCE journal_seq AS bigint MINVALUE 1 START WITH 1;

-- One row per document. Partitions by position, one a month, made ahead by the daemon: journal_YYYYMM.
CREATE TABLE journal (
    seq bigint NOT NULL,
    received_at bigint NOT NULL,
    fd bigint NOT NULL,
    chain bigint NOT NULL,              -- debug ФН only, else 0
    conflict_no bigint NOT NULL,        -- 0 = first content of (fn, chain, fd)
    form bigint NOT NULL,
    code bigint NOT NULL,               -- of the acknowledgement
    forward bigint NOT NULL,            -- 0 no, 1 yes, 2 when the ФН is known
    marks bigint NOT NULL,              -- 1 format and logic control, 2 sign, 4 ФН changed, 8 after deregistration
    sign_generation bigint,
    ffd_version bigint,                 -- with the next ones and the texts from rnm on: derived, rebuildable
    local_time bigint,                  -- the till's wall clock, seconds
    shift bigint,
    receipt_number bigint,
    operation bigint,
    total_kopecks bigint,
    fiscal_sign bigint,
    fn text COLLATE "C" NOT NULL,
    identity bytea NOT NULL,            -- SHA-256 of the opened document
    verdict text COLLATE "C" NOT NULL,
    sign_scheme text COLLATE "C",
    peer text COLLATE "C",
    rnm text COLLATE "C",
    user_inn text COLLATE "C",
    kkt_serial text COLLATE "C",
    acknowledgement bytea NOT NULL,     -- sealed container
    container bytea NOT NULL,           -- as received
    opened bytea,                       -- beside an encrypted container
    PRIMARY KEY (seq)
) PARTITION BY RANGE (seq);
-- Compressing costs the writer more than the few documents past the limit of a page would save.
ALTER TABLE journal ALTER acknowledgement SET STORAGE EXTERNAL, ALTER container SET STORAGE EXTERNAL,
    ALTER opened SET STORAGE EXTERNAL;
CREATE INDEX journal_reports ON journal (fn, chain, fd) WHERE form IN (1, 11) AND conflict_no = 0;
CREATE INDEX journal_refused ON journal (code, seq) WHERE code > 0;
CREATE INDEX journal_reports_in_order ON journal (conflict_no, seq)
    WHERE (form = 1 OR form = 6 OR form = 11) AND conflict_no = 0;
CREATE INDEX journal_shifts ON journal (fn, chain, fd) WHERE form IN (2, 5) AND conflict_no = 0;

-- Positions of stores that came from SQLite, where a position is a small number.
CREATE TABLE journal_before PARTITION OF journal FOR VALUES FROM (MINVALUE) TO (2000010000000000);

-- Decides repeats and conflicts; a unique key of the journal itself would have to hold seq. To be distributed by fn.
CREATE TABLE journal_keys (
    fd bigint NOT NULL,
    chain bigint NOT NULL,
    conflict_no bigint NOT NULL,
    seq bigint NOT NULL,
    fn text COLLATE "C" NOT NULL,
    identity bytea NOT NULL,
    PRIMARY KEY (fn, fd, chain, conflict_no)
);
-- Repeats of conflicts, and of what a debug ФН sent in its later chains: no ordinary document is in it.
CREATE INDEX journal_others ON journal_keys (fn, fd, identity) WHERE (conflict_no > 0 OR chain > 0);
CREATE VIEW journal_index AS SELECT fn, fd, chain, conflict_no, seq FROM journal_keys;

-- Takes a block of positions and gives the first. Holds, until the end of the transaction, the shared lock by which
-- readers know that a position may still come to be seen; and only for a moment the lock of the sequence. The month
-- turns here, by the server's clock, and never back.
CREATE FUNCTION journal_take(wanted bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    month_begin bigint := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMM')::bigint * 10000000000;
    taken bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1179861828, 1);
    PERFORM pg_advisory_lock(1179861828, 2);
    taken := greatest(nextval('journal_seq'), month_begin + 1);
    PERFORM setval('journal_seq', taken + wanted - 1);
    PERFORM pg_advisory_unlock(1179861828, 2);
    RETURN taken;
END $$;

-- Who writes rows of one family locks its table, which holds nothing, before he takes his snapshot. Order, where one
-- needs several: journal, registration, registers, quarantine, outbox.
CREATE TABLE journal_lock ();           -- conflicts and debug chains
CREATE TABLE registration_lock ();
CREATE TABLE registers_lock ();
CREATE TABLE quarantine_lock ();
CREATE TABLE outbox_lock ();

CREATE TABLE findings (
    seq bigint NOT NULL,
    ordinal bigint NOT NULL,
    path text COLLATE "C" NOT NULL,     -- tags joined by dots
    rule text COLLATE "C" NOT NULL,
    severity bigint NOT NULL,           -- 1 hard, 0 soft
    text text COLLATE "C" NOT NULL,
    PRIMARY KEY (seq, ordinal)
);
CREATE INDEX findings_rule ON findings (rule, seq);

CREATE TABLE debug_chains (
    fn text COLLATE "C" NOT NULL PRIMARY KEY,
    chain bigint NOT NULL
);

CREATE TABLE registers (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    fn text COLLATE "C" UNIQUE,
    kkt_serial text COLLATE "C",
    serial_by_operator bigint NOT NULL DEFAULT 0,
    rnm text COLLATE "C",
    inn text COLLATE "C",
    source text COLLATE "C" NOT NULL,   -- report, operator, released
    report_seq bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,            -- facts_version of the newest change
    stated_inn text COLLATE "C",
    CHECK (fn IS NOT NULL OR kkt_serial IS NOT NULL)
);
CREATE UNIQUE INDEX registers_serial_only ON registers (kkt_serial) WHERE fn IS NULL;
CREATE INDEX registers_version ON registers (version);

CREATE TABLE facts_version (
    id bigint PRIMARY KEY CHECK (id = 1),
    version bigint NOT NULL
);
INSERT INTO facts_version (id, version) VALUES (1, 0);

CREATE TABLE quarantine (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    fn text COLLATE "C" NOT NULL,
    fd bigint NOT NULL,
    key bytea NOT NULL,                 -- identity, or SHA-256 of the container
    form bigint NOT NULL,
    reason text COLLATE "C" NOT NULL,
    received_at bigint NOT NULL,
    last_at bigint NOT NULL,
    times bigint NOT NULL,
    released_at bigint,
    identity bytea,
    peer text COLLATE "C",
    container bytea NOT NULL
);
CREATE UNIQUE INDEX quarantine_identity ON quarantine (fn, fd, key);

CREATE TABLE quarantine_counts (
    fn text COLLATE "C" NOT NULL,       -- empty: all ФН past the number of those counted one by one
    reason text COLLATE "C" NOT NULL,
    kept bigint NOT NULL,
    not_kept bigint NOT NULL,
    PRIMARY KEY (fn, reason)
);

CREATE TABLE quarantine_usage (
    id bigint PRIMARY KEY CHECK (id = 1),
    bytes bigint NOT NULL,
    counters bigint NOT NULL
);
INSERT INTO quarantine_usage (id, bytes, counters) VALUES (1, 0, 0);

CREATE TABLE clock_confirmations (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    confirmed_at bigint NOT NULL,
    after_seq bigint NOT NULL
);

-- Registration. In these tables version is raised with every write of a row; facts_version as in registers.

CREATE TABLE clients (
    inn text COLLATE "C" NOT NULL PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE contracts (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    version bigint NOT NULL,
    number text COLLATE "C" NOT NULL,
    inn text COLLATE "C" NOT NULL REFERENCES clients (inn),
    state text COLLATE "C" NOT NULL,    -- draft, active, stopped
    created_at bigint NOT NULL,
    active_at bigint,
    stopped_at bigint,
    facts_version bigint NOT NULL
);
CREATE UNIQUE INDEX contracts_number ON contracts (number);
CREATE INDEX contracts_facts ON contracts (facts_version);

CREATE TABLE contract_lines (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    version bigint NOT NULL,
    contract_id bigint NOT NULL REFERENCES contracts (id),
    inn text COLLATE "C" NOT NULL,      -- of the contract
    kkt_serial text COLLATE "C" NOT NULL,
    kkt_model text COLLATE "C",
    fn text COLLATE "C",
    fn_model text COLLATE "C",
    rnm text COLLATE "C",
    created_at bigint NOT NULL,
    closed_at bigint,
    facts_version bigint NOT NULL
);
CREATE UNIQUE INDEX contract_lines_serial ON contract_lines (kkt_serial) WHERE closed_at IS NULL;
CREATE UNIQUE INDEX contract_lines_fn ON contract_lines (fn) WHERE closed_at IS NULL;
CREATE INDEX contract_lines_contract ON contract_lines (contract_id, id);
CREATE INDEX contract_lines_facts ON contract_lines (facts_version);

CREATE TABLE kkts (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    version bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    state_since bigint NOT NULL,
    serial text COLLATE "C",
    model text COLLATE "C",
    rnm text COLLATE "C",
    rnm_confirmed bigint NOT NULL,
    inn text COLLATE "C",
    fn text COLLATE "C",                -- the one in it now
    fn_model text COLLATE "C",
    line_id bigint REFERENCES contract_lines (id),
    mismatch text COLLATE "C" NOT NULL, -- names of fields, joined by commas
    report_seq bigint,
    due_at bigint,
    card_id bigint,
    deregistered_at bigint,             -- the till's wall clock, seconds
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    facts_version bigint NOT NULL
);
CREATE INDEX kkts_fn ON kkts (fn) WHERE fn IS NOT NULL;
-- A deregistered register keeps the ФН it had; the same one may be registered anew.
CREATE UNIQUE INDEX kkts_fn_in_use ON kkts (fn) WHERE fn IS NOT NULL AND state <> 'DEREGISTERED';
CREATE INDEX kkts_rnm ON kkts (rnm) WHERE rnm IS NOT NULL;
CREATE INDEX kkts_serial ON kkts (serial) WHERE serial IS NOT NULL;
CREATE INDEX kkts_inn ON kkts (inn) WHERE inn IS NOT NULL;
CREATE INDEX kkts_state ON kkts (state, id);
CREATE INDEX kkts_mismatch ON kkts (id) WHERE mismatch <> '';
CREATE INDEX kkts_line ON kkts (line_id) WHERE line_id IS NOT NULL;
CREATE INDEX kkts_due ON kkts (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX kkts_facts ON kkts (facts_version);

CREATE TABLE kkt_fns (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    kkt_id bigint NOT NULL REFERENCES kkts (id),
    fn text COLLATE "C" NOT NULL,
    model text COLLATE "C",
    from_at bigint NOT NULL,
    to_at bigint,                       -- none for the one in use
    withdrawn bigint NOT NULL           -- 1 for a typing error
);
CREATE INDEX kkt_fns_fn ON kkt_fns (fn, id);
CREATE INDEX kkt_fns_kkt ON kkt_fns (kkt_id, id);

CREATE TABLE cards (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,     -- registration, deregistration
    rnm text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,      -- number of the card, or SHA-256 of its XML
    kkt_id bigint REFERENCES kkts (id),
    kkt_serial text COLLATE "C",
    fn text COLLATE "C",
    inn text COLLATE "C",
    dated text COLLATE "C",
    source text COLLATE "C" NOT NULL,   -- event, application, manual
    received_at bigint NOT NULL,
    applied_at bigint,
    confirmed_at bigint,
    media_type text COLLATE "C" NOT NULL,
    signature bytea,
    body bytea NOT NULL
);
CREATE UNIQUE INDEX cards_key ON cards (rnm, kind, key);
CREATE INDEX cards_kkt ON cards (kkt_id, id) WHERE kkt_id IS NOT NULL;
ALTER TABLE kkts ADD FOREIGN KEY (card_id) REFERENCES cards (id);

CREATE TABLE applications (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    version bigint NOT NULL,
    case_id text COLLATE "C" NOT NULL,
    kkt_id bigint NOT NULL REFERENCES kkts (id),
    kind text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,    -- new, sent, accepted, refused
    application_id text COLLATE "C",
    rnm text COLLATE "C",
    refusal text COLLATE "C",
    attempts bigint NOT NULL,
    next_at bigint,
    last_error text COLLATE "C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    request text COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX applications_case ON applications (case_id);
CREATE UNIQUE INDEX applications_theirs ON applications (application_id) WHERE application_id IS NOT NULL;
CREATE INDEX applications_kkt ON applications (kkt_id, id);
CREATE INDEX applications_due ON applications (next_at) WHERE next_at IS NOT NULL;

-- The table tasks of the first SQLite steps has gone into this one.
CREATE TABLE human_tasks (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    seq bigint,
    kkt_id bigint REFERENCES kkts (id),
    text text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    closed_at bigint,
    note text COLLATE "C"
);
CREATE INDEX human_tasks_kind ON human_tasks (kind, seq);
CREATE INDEX human_tasks_open ON human_tasks (id) WHERE closed_at IS NULL;
CREATE INDEX human_tasks_open_kind ON human_tasks (kind, id) WHERE closed_at IS NULL;
CREATE INDEX human_tasks_kkt ON human_tasks (kkt_id, kind) WHERE kkt_id IS NOT NULL;

CREATE TABLE registration_cursors (
    id bigint PRIMARY KEY CHECK (id = 1),
    reports bigint NOT NULL,            -- seq of the newest report that has had its effect
    events text COLLATE "C",
    events_at bigint
);
INSERT INTO registration_cursors (id, reports) VALUES (1, 0);

-- What goes to the tax service. Derived from the journal; indexes hold only rows that still wait for something.

CREATE TABLE outbox (
    seq bigint PRIMARY KEY,
    fn text COLLATE "C" NOT NULL,
    fd bigint NOT NULL,
    chain bigint NOT NULL,              -- debug ФН only, else 0
    kind bigint NOT NULL,               -- form code
    slot bigint NOT NULL,               -- 0..255, by the ФН
    state bigint NOT NULL,              -- 0 new, 1 in flight, 2 delivered, 3 accepted, 4 soft, 5 hard, 6 dead, 7 superseded
    serial bigint NOT NULL,             -- grows with every row that comes to be sent
    attempts bigint NOT NULL,           -- requests with a known outcome
    created_at bigint NOT NULL,         -- received_at of the journal: since when it is owed
    raw_sha256 bytea,                   -- docSha256
    batch_id bytea,                     -- newest batch, 16 bytes
    next_at bigint,                     -- new: not before; delivered, soft: when to ask for the status
    last_error text COLLATE "C",
    ticket_id text COLLATE "C",
    delivered_at bigint,
    fns_codes text COLLATE "C",         -- JSON array; NULL for none
    fns_at bigint                       -- of the verdict, by the service's clock
);
CREATE INDEX outbox_open ON outbox (slot, serial, fn, state) WHERE state <= 1;
-- The same for a holder of many slots, who asks for what is new in all of them at once.
CREATE INDEX outbox_open_serial ON outbox (serial) WHERE state <= 1;
CREATE INDEX outbox_delivered ON outbox (fn, seq) WHERE state = 2;
CREATE INDEX outbox_troubled_fn ON outbox (fn, state, seq) WHERE state >= 4;
CREATE INDEX outbox_troubled ON outbox (state, seq) WHERE state >= 4;
CREATE INDEX outbox_refresh ON outbox (next_at, seq) WHERE state >= 2 AND next_at IS NOT NULL;

-- Rows by state, moved in the transactions that move the rows. 8: outbox_waiting. 9: outbox_parked.
CREATE TABLE outbox_counts (
    state bigint NOT NULL PRIMARY KEY,
    n bigint NOT NULL
) WITH (fillfactor = 20);
INSERT INTO outbox_counts (state, n) SELECT state, 0 FROM generate_series(0, 9) AS state;

-- To be forwarded once their ФН is known.
CREATE TABLE outbox_waiting (
    seq bigint PRIMARY KEY,
    fn text COLLATE "C" NOT NULL
);
CREATE INDEX outbox_waiting_fn ON outbox_waiting (fn, seq);

-- Behind the cursor and still to be derived: documents of a ФН that has enough of them open.
CREATE TABLE outbox_parked (
    seq bigint PRIMARY KEY,
    fn text COLLATE "C" NOT NULL
);
CREATE INDEX outbox_parked_fn ON outbox_parked (fn, seq);

-- ФН whose softly quarantined documents are to be marked to be asked about, and how far that has come.
CREATE TABLE outbox_refresh_queue (
    fn text COLLATE "C" NOT NULL PRIMARY KEY,
    after_seq bigint NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE outbox_cursors (
    id bigint PRIMARY KEY CHECK (id = 1),
    derived bigint NOT NULL,            -- everything up to here was derived
    reports bigint NOT NULL,            -- reports of registration up to here were looked at ahead of it
    serial bigint NOT NULL              -- the newest outbox.serial
) WITH (fillfactor = 20);
INSERT INTO outbox_cursors (id, derived, reports, serial) VALUES (1, 0, 0, 0);

-- A batch is here before its first request, and is sent again under the same key as it was.
CREATE TABLE outbox_batches (
    batch_id bytea NOT NULL PRIMARY KEY,
    created_at bigint NOT NULL,         -- createdAt of the body
    map_ver bigint NOT NULL,
    attempts bigint NOT NULL,
    next_at bigint,
    ended_at bigint,
    last_error text COLLATE "C",
    documents text COLLATE "C" NOT NULL -- positions in their order, joined by commas
);
CREATE INDEX outbox_batches_open ON outbox_batches (batch_id) WHERE ended_at IS NULL;

-- What was sent and what came back, of each refusal at the door.
CREATE TABLE dead_letters (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    seq bigint NOT NULL,
    died_at bigint NOT NULL,
    settled_at bigint,                  -- requeued or superseded
    code text COLLATE "C" NOT NULL,
    request bytea NOT NULL,
    answer bytea NOT NULL
);
CREATE INDEX dead_letters_seq ON dead_letters (seq, id);

-- Who sends what: 256 slots of lanes, and one more for the registrar's work.
CREATE TABLE fns_slots (
    slot bigint NOT NULL PRIMARY KEY,
    holder text COLLATE "C",
    epoch bigint NOT NULL,              -- grows whenever the slot changes hands
    until bigint NOT NULL,              -- by the server's clock
    renewed_at bigint NOT NULL
) WITH (fillfactor = 20);
INSERT INTO fns_slots (slot, holder, epoch, until, renewed_at) SELECT n, NULL, 0, 0, 0 FROM generate_series(0, 256) AS n;

CREATE TABLE fns_holders (
    holder text COLLATE "C" NOT NULL PRIMARY KEY,
    until bigint NOT NULL,
    renewed_at bigint NOT NULL
);

-- Events of the tax service were lost: what is still to be asked for one by one, and how far that has come.
CREATE TABLE fns_recalls (
    what text COLLATE "C" NOT NULL PRIMARY KEY, -- delivered, soft: documents in that state; cards: registers without one
    at bigint NOT NULL,
    fn text COLLATE "C" NOT NULL,
    id bigint NOT NULL
);
