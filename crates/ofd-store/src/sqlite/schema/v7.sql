-- Schema version 7. Never edited once released: a change is a new step that only adds.

-- Files into which `fiscald detach` moved the received bytes of old documents. Their rows stay where they are, with every
-- column but two: container is empty and opened is none, which no received document has. Where they lie now, the
-- position tells; the ranges do not overlap. Not every row of a range was moved: an empty container tells which.
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
