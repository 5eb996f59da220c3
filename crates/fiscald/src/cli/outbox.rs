//! The command line of `fiscald outbox`.

use clap::{Args, Subcommand};
use ffd::ids::{FdNumber, FnNumber};

use super::TableArgs;

/// Names of the states of an outbox row.
const STATES: [&str; 8] = ["new", "in_flight", "delivered", "accepted", "soft", "hard", "dead", "superseded"];

#[derive(Debug, Subcommand)]
pub(crate) enum OutboxCommand {
    /// How much waits, since when, how far the forwarder and the events feed are, who holds the lanes
    #[command(
        after_help = "Examples:\n  fiscald outbox summary\n  fiscald outbox summary --json | jq .oldest_age_s\n\n\
        The breaker is known to the running daemon only: metric fns_breaker_state on admin.listen."
    )]
    Summary(TableArgs),
    /// Documents and what became of them at the tax service, newest first
    #[command(after_help = "Examples:\n  fiscald outbox list --state dead\n  \
        fiscald outbox list --fn 9999078900000017 --limit 500 --json\n\n\
        new: to be sent; in_flight: in a batch, not answered; delivered: taken, no verdict yet; accepted, soft, hard: the\n\
        verdict of the tax service; dead: refused at the door for ever; superseded: given up by an operator.")]
    List(OutboxListArgs),
    /// One document: attempts, answers, and of a dead letter what was sent and what was answered
    #[command(after_help = "Example:\n  fiscald outbox show 9999078900000017 3")]
    Show {
        /// Number of the ФН
        #[arg(value_name = "FN")]
        fn_number: FnNumber,
        /// Number of the document (ФД)
        #[arg(value_name = "FD")]
        fd_number: FdNumber,
        #[command(flatten)]
        table: TableArgs,
    },
    /// Send dead letters once more, after what was wrong is put right, or a document still without its verdict
    #[command(
        after_help = "Examples:\n  fiscald outbox requeue 9999078900000017 3\n  fiscald outbox requeue --all-dead\n\n\
        Attempts begin at 0 again; the forwarder takes them within a second."
    )]
    Requeue(OutboxRequeueArgs),
    /// Give up a dead letter: it is not sent any more; nothing is deleted
    #[command(after_help = "Example:\n  fiscald outbox supersede 9999078900000017 3\n\n\
        For a document that a later one replaced (a correction receipt, a new registration report).")]
    Supersede {
        /// Number of the ФН
        #[arg(value_name = "FN")]
        fn_number: FnNumber,
        /// Number of the document (ФД)
        #[arg(value_name = "FD")]
        fd_number: FdNumber,
        #[command(flatten)]
        table: TableArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OutboxListArgs {
    /// Only documents in this state
    #[arg(long, value_name = "STATE", value_parser = STATES)]
    pub(crate) state: Option<String>,
    /// Only documents of this ФН
    #[arg(long = "fn", value_name = "FN")]
    pub(crate) fn_number: Option<FnNumber>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OutboxRequeueArgs {
    /// Number of the ФН
    #[arg(
        value_name = "FN",
        requires = "fd_number",
        required_unless_present = "all_dead",
        conflicts_with = "all_dead"
    )]
    pub(crate) fn_number: Option<FnNumber>,
    /// Number of the document (ФД)
    #[arg(value_name = "FD")]
    pub(crate) fd_number: Option<FdNumber>,
    /// All dead letters
    #[arg(long)]
    pub(crate) all_dead: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}
