-- Schema version 2. Never edited once released: a change is a new step that only adds.

-- Newest report of registration of a ФН. Receipts are not in it and cost nothing.
CREATE INDEX journal_reports ON journal (fn, chain, fd) WHERE form IN (1, 11) AND conflict_no = 0;
-- Documents answered with 11 or 14, in order of arrival. One answered with 0 is not in it.
CREATE INDEX journal_refused ON journal (code) WHERE code > 0;
-- Documents with a finding of one rule, and tasks of one kind: both grow at the end of each rule or kind.
CREATE INDEX findings_rule ON findings (rule, seq);
CREATE INDEX tasks_kind ON tasks (kind, seq);

-- An operator's word that the clock is right: documents up to after_seq say nothing about the time any more.
CREATE TABLE clock_confirmations (
    id INTEGER PRIMARY KEY,
    confirmed_at INTEGER NOT NULL,      -- microseconds, UTC
    after_seq INTEGER NOT NULL
) STRICT;
