-- Schema version 5. Never edited once released: a change is a new step that only adds.

-- Events of the tax service were lost: what is still to be asked for one by one, and how far that has come. At most one
-- row of each kind; none when nothing is left.
CREATE TABLE fns_recalls (
    what TEXT NOT NULL PRIMARY KEY,     -- delivered, soft: documents in that state; cards: registers without their card
    at INTEGER NOT NULL,                -- when the loss was noticed, microseconds, UTC
    fn TEXT NOT NULL,                   -- delivered: in the order of their ФН; else empty
    id INTEGER NOT NULL                 -- the last one done: position in the journal, or number of the register
) STRICT, WITHOUT ROWID;
