-- Schema version 6. Never edited once released: a change is a new step that only adds.

-- Where each document lies: what every reader goes by.
CREATE VIEW journal_index AS SELECT fn, fd, chain, conflict_no, seq FROM journal;
