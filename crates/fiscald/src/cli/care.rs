//! The command line of the commands that care for the store and for what the daemon judges by.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{ConfigArg, TableArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum ChecksCommand {
    /// All rules: what they demand, what they weigh by default and by the configuration
    #[command(after_help = "Examples:\n  fiscald checks list\n  \
        fiscald checks list --json | jq -r '.[] | select(.in_force == \"hard\") | .rule'\n\n\
        hard: the document is answered with code 14; soft: the finding is kept with it; off: the rule is not applied.\n\
        Another weight is a line under [checks] of the configuration, such as \"time.order\" = \"hard\". In documents of\n\
        FFD 1.0 only identity is hard, whatever is set. CHECK is the number in the order's list of an operator's checks.")]
    List(TableArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClockCommand {
    /// Our clock, the newest acknowledgement, the last confirmation
    #[command(after_help = "Example:\n  fiscald clock show\n\n\
        A daemon answers nothing while its clock is behind the newest acknowledgement it gave, or jumped by more than a\n\
        minute while it ran; /readyz and the log say which. It goes on by itself when the clock agrees again.")]
    Show(TableArgs),
    /// State that the clock is right now: what was acknowledged before says nothing about the time any more
    #[command(after_help = "Examples:\n  fiscald clock confirm\n  fiscald clock confirm --yes\n\n\
        The time of an acknowledgement stays in the register's ФН for ever. Compare the clock with another source first.\n\
        A running daemon notices within a second.")]
    Confirm {
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fiscald verify\n  fiscald verify --from-seq 1200000 --json\n  \
    FISCALD__STORE__URL=sqlite:/srv/backup/fiscald.db fiscald verify --full\n\n\
    Needs no keys and may run beside the daemon. Of each document: identity (SHA-256), container and its check code,\n\
    readable TLV or code 11, derived columns, the acknowledgement and whom it answers, the decision about forwarding;\n\
    then the database itself, table by table. Missing numbers of registers are counted, they are no fault of the store.\n\
    While it reads beside the daemon, the daemon's log cannot be emptied; it gives up when that grows and less than twice\n\
    store.min_free_mib is free, or the daemon would fall silent. A copy can be verified with --full on any disk.\n\
    Exit code 1 when anything is wrong, with a line for each fault: position, ФН, ФД, what, what to do.")]
pub(crate) struct VerifyArgs {
    /// Begin at this position of the journal instead of the first; the database check is left out then
    #[arg(long, value_name = "SEQ", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) from_seq: i64,
    /// Also hold every index against its table; one long read of the whole file
    #[arg(long, conflicts_with = "from_seq")]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fiscald backup /srv/backup/fiscald-2026-11-22.db\n  \
    fiscald backup /mnt/other-disk/fiscald.db && FISCALD__STORE__URL=sqlite:/mnt/other-disk/fiscald.db fiscald verify\n\n\
    One state of the store, with every document acknowledged before the command began; the file appears whole or not\n\
    at all, readable by its owner only. It gives up when the daemon's log grows meanwhile and less than twice\n\
    store.min_free_mib is free on the store's disk, or the daemon would fall silent. To restore: stop the daemon, put the\n\
    copy in the place of store.url (no -wal and -shm files of the old one beside it), owned by the user of the service,\n\
    start. Documents acknowledged after the copy was made are not in it. A store on PostgreSQL is copied by pg_dump or\n\
    pg_basebackup instead.")]
pub(crate) struct BackupArgs {
    /// The new file; an existing one is refused
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fiscald reindex\n\n\
    Documents, acknowledgements, codes and findings are never touched. May run beside the daemon: it writes in short\n\
    pieces and lets the daemon's writer go first. Ended in the middle, it can simply be run again.")]
pub(crate) struct ReindexArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

/// A month such as `2026-01`, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Month(pub(crate) Timestamp);

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a month is written as 2026-01".to_owned();
        let has_form = text.len() == 7 && text.is_ascii() && text.as_bytes().get(4) == Some(&b'-');
        let date: Date = format!("{text}-01").parse().ok().filter(|_| has_form).ok_or_else(wrong)?;
        Ok(Self(date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp()))
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fiscald detach --before 2026-01 --to /var/lib/fiscald/before-2026-01.db\n\n\
    Moves what was received of documents (the container, and the opened document beside an encrypted one) before that\n\
    month, UTC, into a new SQLite file. Nothing is deleted: rows, numbers, findings and acknowledgements stay in the store,\n\
    so repeats and conflicts are answered as before, and every command that needs the bytes reads them from the file. It\n\
    has to stay readable under its name, or beside the store; without it those commands say which file holds what they\n\
    lack. Keep copies of it as of the store: `backup` copies the store alone. It is not written to again.\n\
    May run beside the daemon, in short steps: written, synced, read back, compared by SHA-256, and only then emptied in the\n\
    store. Ended or killed at any moment, the same command goes on. Not moved are reports of registration and closing, and\n\
    the newest shift of each ФН. Refused while the tax service has not settled a document of these months.\n\
    The store's file keeps its size; new documents use the freed pages first. A store on PostgreSQL has its months as\n\
    partitions: config/POSTGRESQL.md."
)]
pub(crate) struct DetachArgs {
    /// Documents received before this month (YYYY-MM, UTC); at least one whole month lies between it and the present one
    #[arg(long, value_name = "MONTH")]
    pub(crate) before: Month,
    /// The new file
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fiscald migrate --from sqlite:/var/lib/fiscald/fiscald.db --config /etc/fiscald/fiscald.toml\n  \
    fiscald migrate --from sqlite:data/fiscald.db --to postgres://fiscald@127.0.0.1/fiscald\n\n\
    Steps: stop the daemon; make an empty database (createdb -O fiscald -E UTF8 -T template0 --locale=C fiscald); let\n\
    store.url name it, the password in store.password_file; migrate; start the daemon. Every table goes over in large\n\
    transactions, positions stay what they are, and both sides are compared at the end, all rows by SHA-256.\n\
    The source is held and never changed; while any process has it open the move is refused, and so it is into a database\n\
    that is not empty. Ended or killed at any moment, the same command goes on where it was; until it is done no daemon\n\
    starts on the target. A password is better not in --to, where other users of the machine can read it."
)]
pub(crate) struct MigrateArgs {
    /// The store that is moved: sqlite:PATH
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// The empty database it goes into: postgres://user@host/database; store.url of the configuration when not given
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}
