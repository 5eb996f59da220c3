//! What is moved: every table, in this order, and by which columns its rows are put in order.

/// A table of both engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Its primary key: the order in which rows are moved and compared.
    pub(super) key: &'static str,
    /// Whether it grows with the documents. The others are small enough to be read whole at the beginning.
    pub(super) is_large: bool,
}

const fn large(name: &'static str, key: &'static str) -> Table {
    Table { name, key, is_large: true }
}

const fn small(name: &'static str, key: &'static str) -> Table {
    Table { name, key, is_large: false }
}

/// The journal.
pub(super) const JOURNAL: Table = large("journal", "seq");

/// All tables that are moved as they are.
pub(super) const TABLES: [Table; 29] = [
    JOURNAL,
    large("findings", "seq, ordinal"),
    large("outbox", "seq"),
    large("outbox_batches", "batch_id"),
    large("outbox_waiting", "seq"),
    large("outbox_parked", "seq"),
    large("dead_letters", "id"),
    large("quarantine", "id"),
    large("cards", "id"),
    large("human_tasks", "id"),
    small("debug_chains", "fn"),
    small("registers", "id"),
    small("facts_version", "id"),
    small("quarantine_counts", "fn, reason"),
    small("quarantine_usage", "id"),
    small("clock_confirmations", "id"),
    small("clients", "inn"),
    small("contracts", "id"),
    small("contract_lines", "id"),
    small("kkts", "id"),
    small("kkt_fns", "id"),
    small("applications", "id"),
    small("registration_cursors", "id"),
    small("outbox_counts", "state"),
    small("outbox_refresh_queue", "fn"),
    small("outbox_cursors", "id"),
    small("fns_slots", "slot"),
    small("fns_holders", "holder"),
    small("fns_recalls", "what"),
];

/// Tables of a SQLite store that are not moved: what they hold follows from others, or has gone into others.
pub(super) const LEFT_BEHIND: [&str; 7] = [
    // Its rows have gone into human_tasks.
    "tasks",
    // Where each document lies: the other engine keeps that in one table, made anew from the journal.
    "journal_keys",
    "journal_keys_even",
    "journal_keys_odd",
    "journal_keys_numbers",
    "journal_keys_state",
    // What lies in those files goes over with the rows of the journal.
    "detached_files",
];

/// The table of the other engine that decides repeats: it follows from the journal.
pub(super) const KEYS: Table = large("journal_keys", "seq");
/// Its columns, as they are called in the journal too.
pub(super) const KEY_COLUMNS: &str = "fd, chain, conflict_no, seq, fn, identity";
