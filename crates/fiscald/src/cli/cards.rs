//! The command line of `fiscald cards` and `fiscald tasks`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ffd::ids::{FnNumber, Inn, Rnm};
use jiff::civil::Date;
use ofd_store::TaskKind;

use super::TableArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum CardsCommand {
    /// Link a register by the card that the client got from the tax service
    #[command(
        after_help = "Examples:\n  fiscald cards upload card.xml\n  fiscald cards upload card.xml --signature card.sig\n  \
        fiscald cards upload card.pdf --confirm --rnm 0000000001036105 --kkt-serial 0128003270 \\\n      \
        --fn 9999078900000017 --inn 7702203276\n\n\
        An XML card is read. A PDF cannot be: --confirm says that a human read it, and the options are what stands in it.\n\
        РНМ, serial number of the ККТ, number of the ФН and INN must be those of the register; otherwise nothing is\n\
        overwritten, the register stays as it is and a task is made (`fiscald tasks list`). The same card again, or later\n\
        from the tax service, only confirms."
    )]
    Upload(CardUploadArgs),
    /// All cards, newest first
    #[command(
        after_help = "Examples:\n  fiscald cards list\n  fiscald cards list --rnm 0000000001036105 --json"
    )]
    List {
        /// Only of this registration number (РНМ)
        #[arg(long, value_name = "RNM")]
        rnm: Option<Rnm>,
        #[command(flatten)]
        table: TableArgs,
    },
    /// One card
    #[command(after_help = "Examples:\n  fiscald cards show 3\n  fiscald cards show 3 --save card.xml")]
    Show {
        /// Number of the card in `fiscald cards list`
        #[arg(value_name = "ID")]
        id: i64,
        /// Also write the card as it came into a new file
        #[arg(long, value_name = "FILE")]
        save: Option<PathBuf>,
        #[command(flatten)]
        table: TableArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CardUploadArgs {
    /// The card, `.xml` or `.pdf`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// File with the detached signature of the card
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,
    /// A human has read the PDF: the following options are what stands in it
    #[arg(long, requires_all = ["rnm", "kkt_serial", "fn_number", "inn"])]
    pub(crate) confirm: bool,
    /// Registration number (РНМ) of the card
    #[arg(long, value_name = "RNM", requires = "confirm")]
    pub(crate) rnm: Option<Rnm>,
    /// Serial number of the ККТ in the card
    #[arg(long, value_name = "SERIAL", requires = "confirm")]
    pub(crate) kkt_serial: Option<String>,
    /// Number of the ФН in the card
    #[arg(long = "fn", value_name = "FN", requires = "confirm")]
    pub(crate) fn_number: Option<FnNumber>,
    /// INN of the client in the card
    #[arg(long, value_name = "INN", requires = "confirm")]
    pub(crate) inn: Option<Inn>,
    /// Number of the card, if it has one
    #[arg(long, value_name = "NUMBER", requires = "confirm")]
    pub(crate) card_number: Option<String>,
    /// Day of the registration or deregistration in the card, YYYY-MM-DD
    #[arg(long, value_name = "DATE", requires = "confirm")]
    pub(crate) dated: Option<Date>,
    /// It is a card of deregistration (карточка о снятии с учёта, КНД 1110067)
    #[arg(long, requires = "confirm")]
    pub(crate) deregistration: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    /// What waits for a human, newest first
    #[command(after_help = "Examples:\n  fiscald tasks list\n  fiscald tasks list --kind mismatch\n  \
        fiscald tasks list --all --json")]
    List {
        /// Only tasks of this kind
        #[arg(long, value_name = "KIND", value_parser = TaskKind::ALL.map(TaskKind::name))]
        kind: Option<String>,
        /// Closed ones too
        #[arg(long)]
        all: bool,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        table: TableArgs,
    },
    /// A task is done
    #[command(after_help = "Examples:\n  fiscald tasks close 12\n  \
        fiscald tasks close 12 --note 'клиент прислал новую карточку'")]
    Close {
        /// Number of the task in `fiscald tasks list`
        #[arg(value_name = "ID")]
        id: i64,
        /// What was found out or done
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        #[command(flatten)]
        table: TableArgs,
    },
}
