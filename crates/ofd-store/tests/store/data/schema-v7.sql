-- A store of schema version 7, as the program of that version left it: what the text of version 6 holds, upgraded, and a
-- file of old documents for which nothing was old enough.
-- Frozen: tests open it with every later program.
PRAGMA foreign_keys = OFF;
PRAGMA application_id = 1179861828;
PRAGMA user_version = 7;
BEGIN TRANSACTION;
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
INSERT INTO "applications" VALUES(1,1,'01931f0e-6a3c-7c21-9d10-0c5f3f6f1a77',2,'registration','accepted','A-1','0000000001024546',NULL,0,NULL,NULL,1795262410000000,1795262410000000,'{}');
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
INSERT INTO "cards" VALUES(1,'registration','0000000001024546','SIM-1',2,'0099','8710000100000001','7704358518','2026-11-21','event',1795262411000000,1795262411000000,NULL,'application/json',NULL,X'7B7D');
CREATE TABLE clients (
    inn TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL         -- microseconds, UTC; so are all moments below but where told
) STRICT, WITHOUT ROWID;
INSERT INTO "clients" VALUES('7704358518','ООО РАПКАТ-центр',1795262410000000);
CREATE TABLE clock_confirmations (
    id INTEGER PRIMARY KEY,
    confirmed_at INTEGER NOT NULL,      -- microseconds, UTC
    after_seq INTEGER NOT NULL
) STRICT;
INSERT INTO "clock_confirmations" VALUES(1,1795262410000000,2);
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
INSERT INTO "contract_lines" VALUES(1,1,1,'7704358518','0099',NULL,'8710000100000001',NULL,'0000000001024546',1795262410000000,NULL,3);
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
INSERT INTO "contracts" VALUES(1,1,'N-1','7704358518','active',1795262410000000,1795262410000000,NULL,3);
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL REFERENCES outbox (seq),
    died_at INTEGER NOT NULL,
    settled_at INTEGER,                 -- requeued or superseded
    code TEXT NOT NULL,
    request BLOB NOT NULL,
    answer BLOB NOT NULL
) STRICT;
CREATE TABLE debug_chains (
    fn TEXT NOT NULL PRIMARY KEY,
    chain INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "debug_chains" VALUES('9999078900000001',1);
CREATE TABLE facts_version (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO "facts_version" VALUES(1,3);
CREATE TABLE detached_files (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,                 -- where it was made; a file of its name beside the store is taken as well
    mark BLOB NOT NULL,                 -- 16 random bytes that the file has too
    before_at INTEGER NOT NULL,         -- it has documents received before this month, microseconds, UTC
    after_seq INTEGER NOT NULL,         -- of the positions after this one,
    until_seq INTEGER NOT NULL,         -- up to this one: how far it has come
    end_seq INTEGER NOT NULL,           -- how far it is to come
    documents INTEGER NOT NULL,         -- moved so far
    bytes INTEGER NOT NULL,             -- their containers and opened documents
    sha256 BLOB NOT NULL,               -- over all of them in their order, see `sqlite::detached::file::Sum`
    done_at INTEGER                     -- NULL while it is being filled
) STRICT;
INSERT INTO "detached_files" VALUES(1,'/srv/fiscald/before-2026-01.db',x'000102030405060708090a0b0c0d0e0f',1767225600000000,0,1,1,0,0,x'0000000000000000000000000000000000000000000000000000000000000000',1795262500000000);
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
CREATE TABLE fns_holders (
    holder TEXT NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE fns_recalls (
    what TEXT NOT NULL PRIMARY KEY,     -- delivered, soft: documents in that state; cards: registers without their card
    at INTEGER NOT NULL,                -- when the loss was noticed, microseconds, UTC
    fn TEXT NOT NULL,                   -- delivered: in the order of their ФН; else empty
    id INTEGER NOT NULL                 -- the last one done: position in the journal, or number of the register
) STRICT, WITHOUT ROWID;
INSERT INTO fns_recalls VALUES('cards',6000000,'',0);
CREATE TABLE fns_slots (
    slot INTEGER NOT NULL PRIMARY KEY,
    holder TEXT,
    epoch INTEGER NOT NULL,             -- grows whenever the slot changes hands
    until INTEGER NOT NULL,             -- microseconds, UTC
    renewed_at INTEGER NOT NULL         -- by the clock that until was counted from
) STRICT;
INSERT INTO "fns_slots" VALUES(0,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(1,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(2,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(3,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(4,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(5,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(6,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(7,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(8,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(9,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(10,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(11,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(12,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(13,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(14,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(15,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(16,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(17,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(18,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(19,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(20,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(21,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(22,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(23,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(24,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(25,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(26,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(27,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(28,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(29,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(30,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(31,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(32,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(33,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(34,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(35,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(36,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(37,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(38,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(39,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(40,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(41,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(42,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(43,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(44,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(45,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(46,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(47,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(48,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(49,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(50,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(51,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(52,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(53,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(54,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(55,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(56,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(57,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(58,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(59,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(60,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(61,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(62,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(63,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(64,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(65,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(66,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(67,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(68,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(69,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(70,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(71,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(72,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(73,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(74,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(75,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(76,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(77,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(78,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(79,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(80,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(81,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(82,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(83,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(84,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(85,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(86,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(87,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(88,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(89,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(90,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(91,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(92,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(93,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(94,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(95,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(96,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(97,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(98,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(99,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(100,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(101,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(102,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(103,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(104,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(105,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(106,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(107,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(108,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(109,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(110,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(111,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(112,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(113,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(114,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(115,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(116,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(117,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(118,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(119,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(120,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(121,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(122,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(123,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(124,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(125,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(126,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(127,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(128,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(129,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(130,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(131,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(132,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(133,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(134,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(135,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(136,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(137,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(138,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(139,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(140,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(141,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(142,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(143,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(144,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(145,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(146,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(147,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(148,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(149,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(150,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(151,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(152,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(153,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(154,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(155,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(156,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(157,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(158,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(159,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(160,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(161,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(162,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(163,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(164,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(165,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(166,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(167,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(168,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(169,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(170,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(171,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(172,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(173,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(174,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(175,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(176,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(177,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(178,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(179,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(180,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(181,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(182,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(183,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(184,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(185,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(186,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(187,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(188,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(189,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(190,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(191,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(192,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(193,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(194,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(195,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(196,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(197,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(198,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(199,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(200,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(201,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(202,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(203,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(204,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(205,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(206,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(207,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(208,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(209,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(210,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(211,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(212,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(213,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(214,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(215,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(216,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(217,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(218,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(219,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(220,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(221,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(222,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(223,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(224,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(225,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(226,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(227,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(228,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(229,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(230,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(231,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(232,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(233,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(234,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(235,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(236,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(237,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(238,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(239,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(240,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(241,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(242,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(243,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(244,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(245,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(246,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(247,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(248,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(249,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(250,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(251,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(252,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(253,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(254,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(255,NULL,0,0,0);
INSERT INTO "fns_slots" VALUES(256,NULL,0,0,0);
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
INSERT INTO "human_tasks" VALUES(1,'conflict',3,NULL,'',1795262402000000,NULL,NULL);
INSERT INTO "human_tasks" VALUES(2,'mismatch',1,2,'сверьте',1795262410000000,NULL,NULL);
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
CREATE TABLE kkt_fns (
    id INTEGER PRIMARY KEY,
    kkt_id INTEGER NOT NULL REFERENCES kkts (id),
    fn TEXT NOT NULL,
    model TEXT,
    from_at INTEGER NOT NULL,
    to_at INTEGER,                      -- none for the one in use
    withdrawn INTEGER NOT NULL          -- 1 for a typing error
) STRICT;
INSERT INTO "kkt_fns" VALUES(1,2,'8710000100000001',NULL,1795262410000000,NULL,0);
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
INSERT INTO "kkts" VALUES(1,1,'CONTRACTED',1795302315424039,'0077',NULL,NULL,0,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,1795302315424039,1795302315424039,2);
INSERT INTO "kkts" VALUES(2,2,'LINKED',1795262410000000,'0099',NULL,'0000000001024546',1,'7704358518','8710000100000001',NULL,1,'',NULL,NULL,1,NULL,1795262410000000,1795262411000000,3);
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
CREATE TABLE outbox_counts (
    state INTEGER NOT NULL PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT;
INSERT INTO "outbox_counts" VALUES(0,0);
INSERT INTO "outbox_counts" VALUES(1,0);
INSERT INTO "outbox_counts" VALUES(2,0);
INSERT INTO "outbox_counts" VALUES(3,0);
INSERT INTO "outbox_counts" VALUES(4,0);
INSERT INTO "outbox_counts" VALUES(5,0);
INSERT INTO "outbox_counts" VALUES(6,0);
INSERT INTO "outbox_counts" VALUES(7,0);
INSERT INTO "outbox_counts" VALUES(8,0);
INSERT INTO "outbox_counts" VALUES(9,0);
CREATE TABLE outbox_cursors (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    derived INTEGER NOT NULL,           -- everything up to here was derived
    reports INTEGER NOT NULL,           -- reports of registration up to here were looked at ahead of it
    serial INTEGER NOT NULL             -- the newest outbox.serial
) STRICT;
INSERT INTO "outbox_cursors" VALUES(1,0,0,0);
CREATE TABLE outbox_parked (
    seq INTEGER PRIMARY KEY REFERENCES journal (seq),
    fn TEXT NOT NULL
) STRICT;
CREATE TABLE outbox_refresh_queue (
    fn TEXT NOT NULL PRIMARY KEY,
    after_seq INTEGER NOT NULL,
    at INTEGER NOT NULL                 -- when they are to be asked about, microseconds, UTC
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox_waiting (
    seq INTEGER PRIMARY KEY REFERENCES journal (seq),
    fn TEXT NOT NULL
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
    version INTEGER NOT NULL, stated_inn TEXT,           -- facts_version of the newest change
    CHECK (fn IS NOT NULL OR kkt_serial IS NOT NULL)
) STRICT;
INSERT INTO "registers" VALUES(1,'9999078900000001','0042',0,'0000000001024546','7704358518','report',1,1795262401000000,1795262401000000,1,NULL);
INSERT INTO "registers" VALUES(2,NULL,'0077',1,NULL,NULL,'operator',NULL,1795302315424039,1795302315424039,2,NULL);
CREATE TABLE registration_cursors (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    reports INTEGER NOT NULL,           -- seq of the newest report that has had its effect
    events TEXT,
    events_at INTEGER
) STRICT;
INSERT INTO "registration_cursors" VALUES(1,1,NULL,NULL);
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES journal (seq),
    created_at INTEGER NOT NULL,
    done_at INTEGER
) STRICT;
INSERT INTO "tasks" VALUES(1,'conflict',3,1795262402000000,NULL);
CREATE INDEX journal_others ON journal (fn, fd, identity) WHERE (conflict_no > 0 OR chain > 0);
CREATE UNIQUE INDEX registers_serial_only ON registers (kkt_serial) WHERE fn IS NULL;
CREATE INDEX registers_version ON registers (version);
CREATE UNIQUE INDEX quarantine_identity ON quarantine (fn, fd, key);
CREATE INDEX journal_reports ON journal (fn, chain, fd) WHERE form IN (1, 11) AND conflict_no = 0;
CREATE INDEX journal_refused ON journal (code) WHERE code > 0;
CREATE INDEX findings_rule ON findings (rule, seq);
CREATE INDEX tasks_kind ON tasks (kind, seq);
CREATE INDEX journal_reports_in_order ON journal (conflict_no) WHERE (form = 1 OR form = 6 OR form = 11) AND conflict_no = 0;
CREATE INDEX journal_shifts ON journal (fn, chain, fd) WHERE form IN (2, 5) AND conflict_no = 0;
CREATE UNIQUE INDEX contracts_number ON contracts (number);
CREATE INDEX contracts_facts ON contracts (facts_version);
CREATE UNIQUE INDEX contract_lines_serial ON contract_lines (kkt_serial) WHERE closed_at IS NULL;
CREATE UNIQUE INDEX contract_lines_fn ON contract_lines (fn) WHERE closed_at IS NULL;
CREATE INDEX contract_lines_contract ON contract_lines (contract_id, id);
CREATE INDEX contract_lines_facts ON contract_lines (facts_version);
CREATE INDEX kkts_fn ON kkts (fn) WHERE fn IS NOT NULL;
CREATE UNIQUE INDEX kkts_fn_in_use ON kkts (fn) WHERE fn IS NOT NULL AND state <> 'DEREGISTERED';
CREATE INDEX kkts_rnm ON kkts (rnm) WHERE rnm IS NOT NULL;
CREATE INDEX kkts_serial ON kkts (serial) WHERE serial IS NOT NULL;
CREATE INDEX kkts_inn ON kkts (inn) WHERE inn IS NOT NULL;
CREATE INDEX kkts_state ON kkts (state);
CREATE INDEX kkts_mismatch ON kkts (id) WHERE mismatch <> '';
CREATE INDEX kkts_line ON kkts (line_id) WHERE line_id IS NOT NULL;
CREATE INDEX kkts_due ON kkts (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX kkts_facts ON kkts (facts_version);
CREATE INDEX kkt_fns_fn ON kkt_fns (fn);
CREATE INDEX kkt_fns_kkt ON kkt_fns (kkt_id);
CREATE UNIQUE INDEX cards_key ON cards (rnm, kind, key);
CREATE INDEX cards_kkt ON cards (kkt_id) WHERE kkt_id IS NOT NULL;
CREATE UNIQUE INDEX applications_case ON applications (case_id);
CREATE UNIQUE INDEX applications_theirs ON applications (application_id) WHERE application_id IS NOT NULL;
CREATE INDEX applications_kkt ON applications (kkt_id);
CREATE INDEX applications_due ON applications (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX human_tasks_kind ON human_tasks (kind, seq);
CREATE INDEX human_tasks_open ON human_tasks (closed_at) WHERE closed_at IS NULL;
CREATE INDEX human_tasks_open_kind ON human_tasks (kind) WHERE closed_at IS NULL;
CREATE INDEX human_tasks_kkt ON human_tasks (kkt_id, kind) WHERE kkt_id IS NOT NULL;
CREATE INDEX outbox_open ON outbox (slot, serial, fn, state) WHERE state <= 1;
CREATE INDEX outbox_delivered ON outbox (fn, state) WHERE state = 2;
CREATE INDEX outbox_troubled_fn ON outbox (fn, state) WHERE state >= 4;
CREATE INDEX outbox_troubled ON outbox (state) WHERE state >= 4;
CREATE INDEX outbox_refresh ON outbox (next_at) WHERE state >= 2 AND next_at IS NOT NULL;
CREATE INDEX outbox_waiting_fn ON outbox_waiting (fn);
CREATE INDEX outbox_parked_fn ON outbox_parked (fn);
CREATE INDEX outbox_batches_open ON outbox_batches (batch_id) WHERE ended_at IS NULL;
CREATE INDEX dead_letters_seq ON dead_letters (seq);
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
CREATE TABLE journal_keys_numbers (n INTEGER NOT NULL PRIMARY KEY) STRICT;
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
INSERT INTO "journal_keys" VALUES('9999078900000001',1,0,0,1);
INSERT INTO "journal_keys_even" VALUES(1,'9999078900000001',1,1,0,4);
INSERT INTO "journal_keys_even" VALUES(1,'9999078900000001',2,0,1,3);
INSERT INTO "journal_keys_odd" VALUES(1,'9999078900000001',1,0,0,1);
INSERT INTO "journal_keys_odd" VALUES(1,'9999078900000001',2,0,0,2);
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 256)
INSERT INTO journal_keys_numbers (n) SELECT n FROM numbers;
INSERT INTO "journal_keys_state" VALUES(1,3,4,0,1,1,'9999078900000001',1,0,0);
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
COMMIT;
