-- Schema version 3. Never edited once released: a change is a new step that only adds.

-- The reports that move registrations (forms 1, 11 and 6), in order of arrival: in this index the rows of equal
-- conflict_no lie by seq. Receipts are not in it and cost nothing.
CREATE INDEX journal_reports_in_order ON journal (conflict_no) WHERE (form = 1 OR form = 6 OR form = 11) AND conflict_no = 0;
-- Newest shift of a ФН: its flags tell how the ФН is.
CREATE INDEX journal_shifts ON journal (fn, chain, fd) WHERE form IN (2, 5) AND conflict_no = 0;

-- What an operator stated together with a serial number; the column inn may come from a report.
ALTER TABLE registers ADD COLUMN stated_inn TEXT;

CREATE TABLE clients (
    inn TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL         -- microseconds, UTC; so are all moments below but where told
) STRICT, WITHOUT ROWID;

-- In the tables below version is raised with every write of a row; facts_version as in registers.
CREATE TABLE contracts (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    number TEXT NOT NULL,
    inn TEXT NOT NULL REFERENCES clients (inn),
    state TEXT NOT NULL,                -- draft, active, stopped
    created_at INTEGER NOT NULL,
    active_at INTEGER,
    stopped_at INTEGER,
    facts_version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX contracts_number ON contracts (number);
CREATE INDEX contracts_facts ON contracts (facts_version);

CREATE TABLE contract_lines (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    contract_id INTEGER NOT NULL REFERENCES contracts (id),
    inn TEXT NOT NULL,                  -- of the contract
    kkt_serial TEXT NOT NULL,
    kkt_model TEXT,
    fn TEXT,
    fn_model TEXT,
    rnm TEXT,
    created_at INTEGER NOT NULL,
    closed_at INTEGER,
    facts_version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX contract_lines_serial ON contract_lines (kkt_serial) WHERE closed_at IS NULL;
CREATE UNIQUE INDEX contract_lines_fn ON contract_lines (fn) WHERE closed_at IS NULL;
CREATE INDEX contract_lines_contract ON contract_lines (contract_id, id);
CREATE INDEX contract_lines_facts ON contract_lines (facts_version);

CREATE TABLE kkts (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    state_since INTEGER NOT NULL,
    serial TEXT,
    model TEXT,
    rnm TEXT,
    rnm_confirmed INTEGER NOT NULL,
    inn TEXT,
    fn TEXT,                            -- the one in it now
    fn_model TEXT,
    line_id INTEGER REFERENCES contract_lines (id),
    mismatch TEXT NOT NULL,             -- names of fields, joined by commas
    report_seq INTEGER,
    due_at INTEGER,
    card_id INTEGER REFERENCES cards (id),
    deregistered_at INTEGER,            -- the till's wall clock, seconds
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    facts_version INTEGER NOT NULL
) STRICT;
CREATE INDEX kkts_fn ON kkts (fn) WHERE fn IS NOT NULL;
-- A deregistered register keeps the ФН it had; the same one may be registered anew.
CREATE UNIQUE INDEX kkts_fn_in_use ON kkts (fn) WHERE fn IS NOT NULL AND state <> 'DEREGISTERED';
CREATE INDEX kkts_rnm ON kkts (rnm) WHERE rnm IS NOT NULL;
CREATE INDEX kkts_serial ON kkts (serial) WHERE serial IS NOT NULL;
CREATE INDEX kkts_inn ON kkts (inn) WHERE inn IS NOT NULL;
CREATE INDEX kkts_state ON kkts (state);
CREATE INDEX kkts_mismatch ON kkts (id) WHERE mismatch <> '';
CREATE INDEX kkts_line ON kkts (line_id) WHERE line_id IS NOT NULL;
CREATE INDEX kkts_due ON kkts (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX kkts_facts ON kkts (facts_version);

CREATE TABLE kkt_fns (
    id INTEGER PRIMARY KEY,
    kkt_id INTEGER NOT NULL REFERENCES kkts (id),
    fn TEXT NOT NULL,
    model TEXT,
    from_at INTEGER NOT NULL,
    to_at INTEGER,                      -- none for the one in use
    withdrawn INTEGER NOT NULL          -- 1 for a typing error
) STRICT;
CREATE INDEX kkt_fns_fn ON kkt_fns (fn);
CREATE INDEX kkt_fns_kkt ON kkt_fns (kkt_id);

CREATE TABLE cards (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,                 -- registration, deregistration
    rnm TEXT NOT NULL,
    key TEXT NOT NULL,                  -- number of the card, or SHA-256 of its XML
    kkt_id INTEGER REFERENCES kkts (id),
    kkt_serial TEXT,
    fn TEXT,
    inn TEXT,
    dated TEXT,
    source TEXT NOT NULL,               -- event, application, manual
    received_at INTEGER NOT NULL,
    applied_at INTEGER,
    confirmed_at INTEGER,
    media_type TEXT NOT NULL,
    signature BLOB,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX cards_key ON cards (rnm, kind, key);
CREATE INDEX cards_kkt ON cards (kkt_id) WHERE kkt_id IS NOT NULL;

CREATE TABLE applications (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    case_id TEXT NOT NULL,
    kkt_id INTEGER NOT NULL REFERENCES kkts (id),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,                -- new, sent, accepted, refused
    application_id TEXT,
    rnm TEXT,
    refusal TEXT,
    attempts INTEGER NOT NULL,
    next_at INTEGER,
    last_error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    request TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX applications_case ON applications (case_id);
CREATE UNIQUE INDEX applications_theirs ON applications (application_id) WHERE application_id IS NOT NULL;
CREATE INDEX applications_kkt ON applications (kkt_id);
CREATE INDEX applications_due ON applications (next_at) WHERE next_at IS NOT NULL;

-- Takes the place of tasks, whose rows are all about a document; nothing is written there any more.
CREATE TABLE human_tasks (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    seq INTEGER REFERENCES journal (seq),
    kkt_id INTEGER REFERENCES kkts (id),
    text TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    closed_at INTEGER,
    note TEXT
) STRICT;
INSERT INTO human_tasks (id, kind, seq, text, created_at, closed_at)
    SELECT id, kind, seq, '', created_at, done_at FROM tasks ORDER BY id;
CREATE INDEX human_tasks_kind ON human_tasks (kind, seq);
-- All of one value: in the order of their numbers.
CREATE INDEX human_tasks_open ON human_tasks (closed_at) WHERE closed_at IS NULL;
CREATE INDEX human_tasks_open_kind ON human_tasks (kind) WHERE closed_at IS NULL;
CREATE INDEX human_tasks_kkt ON human_tasks (kkt_id, kind) WHERE kkt_id IS NOT NULL;

CREATE TABLE registration_cursors (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    reports INTEGER NOT NULL,           -- seq of the newest report that has had its effect
    events TEXT,
    events_at INTEGER
) STRICT;
INSERT INTO registration_cursors (id, reports) VALUES (1, 0);

-- Registers that an operator stated and that have not reported yet. The others follow from their reports.
INSERT INTO kkts (version, state, state_since, serial, rnm, rnm_confirmed, inn, fn, mismatch, created_at, updated_at,
    facts_version)
    SELECT 1, 'CONTRACTED', created_at, kkt_serial, rnm, 0, inn, fn, '', created_at, updated_at, version
    FROM registers WHERE report_seq IS NULL AND source = 'operator' ORDER BY id;
INSERT INTO kkt_fns (kkt_id, fn, from_at, withdrawn)
    SELECT id, fn, created_at, 0 FROM kkts WHERE fn IS NOT NULL ORDER BY id;
