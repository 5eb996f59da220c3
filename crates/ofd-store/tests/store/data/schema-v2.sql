-- A store of schema version 2, as the program of that version left it: what the text of version 1 holds, upgraded, and a
-- confirmation of the clock after position 2.
-- Frozen: tests open it with every later program.
PRAGMA foreign_keys = OFF;
PRAGMA application_id = 1179861828;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE clock_confirmations (
    id INTEGER PRIMARY KEY,
    confirmed_at INTEGER NOT NULL,      -- microseconds, UTC
    after_seq INTEGER NOT NULL
) STRICT;
INSERT INTO "clock_confirmations" VALUES(1,1795262410000000,2);
CREATE TABLE debug_chains (
    fn TEXT NOT NULL PRIMARY KEY,
    chain INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "debug_chains" VALUES('9999078900000001',1);
CREATE TABLE facts_version (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO "facts_version" VALUES(1,2);
CREATE TABLE findings (
    seq INTEGER NOT NULL REFERENCES journal (seq),
    ordinal INTEGER NOT NULL,
    path TEXT NOT NULL,                 -- tags joined by dots
    rule TEXT NOT NULL,
    severity INTEGER NOT NULL,          -- 1 hard, 0 soft
    text TEXT NOT NULL,
    PRIMARY KEY (seq, ordinal)
) STRICT, WITHOUT ROWID;
INSERT INTO "findings" VALUES(2,0,'1059.1079','identity.time',1,'нет реквизита');
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
INSERT INTO "journal" VALUES(1,'9999078900000001',1,0,0,1,1795262401000000,0,1,0,'valid','soft-gost-1',1,X'CA978112CA1BBDCAFAC231B39A23DC4DA786EFF8147C4E72B9807785AFEE48BB','127.0.0.1:40000',2,1700000000,'0000000001024546','7704358518',NULL,1,3,1,12300,3000000000,X'61636B6E6F776C656467656D656E742061',X'636F6E7461696E65722061',NULL);
INSERT INTO "journal" VALUES(2,'9999078900000001',2,0,0,3,1795262402000000,14,1,1,'valid','soft-gost-1',1,X'3E23E8160039594A33894F6564E1B1348BBD7A0088D42C4ACB73EEAED59C009D','127.0.0.1:40000',2,1700000000,'0000000001024546','7704358518',NULL,1,3,1,12300,3000000000,X'61636B6E6F776C656467656D656E742062',X'636F6E7461696E65722062',X'6F70656E65642062');
INSERT INTO "journal" VALUES(3,'9999078900000001',2,0,1,3,1795262402000000,0,0,0,'valid','soft-gost-1',1,X'2E7D2C03A9507AE265ECF5B5356885A53393A2029D241394997265A1A25AEFC6','127.0.0.1:40000',2,1700000000,'0000000001024546','7704358518',NULL,1,3,1,12300,3000000000,X'61636B6E6F776C656467656D656E742063',X'636F6E7461696E65722063',NULL);
INSERT INTO "journal" VALUES(4,'9999078900000001',1,1,0,1,1795262401000000,0,1,0,'valid','soft-gost-1',1,X'18AC3E7343F016890C510E93F935261169D9E3F565436429830FAF0934F4F8E4','127.0.0.1:40000',2,1700000000,'0000000001024546','7704358518',NULL,1,3,1,12300,3000000000,X'61636B6E6F776C656467656D656E742064',X'636F6E7461696E65722064',NULL);
INSERT INTO "journal" VALUES(5,'8710000100000001',5,0,0,3,1795262405000000,0,1,0,'valid','soft-gost-1',1,X'3F79BB7B435B05321651DAEFD374CDC681DC06FAA65E374E38337B88CA046DEA','127.0.0.1:40000',2,1700000000,'0000000001024546','7704358518',NULL,1,3,1,12300,3000000000,X'61636B6E6F776C656467656D656E742065',X'636F6E7461696E65722065',NULL);
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
INSERT INTO "quarantine" VALUES(1,'8710000100000009',7,X'C20DEA4D876B5B8FB0A1814B43017030CEA6D4AC30B2D9AE71B404D2FABA49B5',3,'unknown_fn',1795262409000000,1795262409000000,1,NULL,NULL,NULL,X'68656C64');
CREATE TABLE quarantine_counts (
    fn TEXT NOT NULL,                   -- empty: all ФН past the number of those counted one by one
    reason TEXT NOT NULL,
    kept INTEGER NOT NULL,
    not_kept INTEGER NOT NULL,
    PRIMARY KEY (fn, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO "quarantine_counts" VALUES('8710000100000009','unknown_fn',1,0);
CREATE TABLE quarantine_usage (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    bytes INTEGER NOT NULL,             -- charged for kept copies
    counters INTEGER NOT NULL           -- rows of quarantine_counts made for messages that were not kept
) STRICT;
INSERT INTO "quarantine_usage" VALUES(1,260,0);
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
INSERT INTO "registers" VALUES(1,'9999078900000001','0042',0,'0000000001024546','7704358518','report',1,1795262401000000,1795262401000000,1);
INSERT INTO "registers" VALUES(2,NULL,'0077',1,NULL,NULL,'operator',NULL,1795302315424039,1795302315424039,2);
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES journal (seq),
    created_at INTEGER NOT NULL,
    done_at INTEGER
) STRICT;
INSERT INTO "tasks" VALUES(1,'conflict',3,1795262402000000,NULL);
CREATE UNIQUE INDEX journal_identity ON journal (fn, fd, chain, conflict_no);
CREATE INDEX journal_others ON journal (fn, fd, identity) WHERE (conflict_no > 0 OR chain > 0);
CREATE UNIQUE INDEX registers_serial_only ON registers (kkt_serial) WHERE fn IS NULL;
CREATE INDEX registers_version ON registers (version);
CREATE UNIQUE INDEX quarantine_identity ON quarantine (fn, fd, key);
CREATE INDEX journal_reports ON journal (fn, chain, fd) WHERE form IN (1, 11) AND conflict_no = 0;
CREATE INDEX journal_refused ON journal (code) WHERE code > 0;
CREATE INDEX findings_rule ON findings (rule, seq);
CREATE INDEX tasks_kind ON tasks (kind, seq);
COMMIT;
