//! The command line of `fiscald contracts`.

use clap::{Args, Subcommand};
use ffd::ids::{FnNumber, Inn, Rnm};

use super::TableArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ContractsCommand {
    /// Write down a contract with a client
    #[command(
        after_help = "Examples:\n  fiscald contracts add 17-КЗ --inn 7702203276 --name 'ООО РАПКАТ-центр'\n  \
        fiscald contracts add 18-КЗ --inn 7802781104 --name 'ООО Ромашка' --active\n\n\
        Without --active it is a draft: nothing of its registers is served before `fiscald contracts sign`.\n\
        A client of this INN who is known already gets the new name."
    )]
    Add(ContractAddArgs),
    /// The contract is paid for or signed: its registers are served
    #[command(after_help = "Example:\n  fiscald contracts sign 17-КЗ\n\n\
        Lifts the hold of the ФН of its lines; a running daemon notices within a second, the registers send again.")]
    Sign(ContractArgs),
    /// The contract ended: its registers are served until the grace period is over
    #[command(after_help = "Example:\n  fiscald contracts stop 17-КЗ\n\n\
        Afterwards their documents go to the quarantine without an answer; a register blocks when its ФН waited 30 days.\n\
        The length of the grace period is registration.grace_s of the configuration.")]
    Stop(ContractArgs),
    /// A stopped contract goes on
    #[command(after_help = "Example:\n  fiscald contracts resume 17-КЗ")]
    Resume(ContractArgs),
    /// Add a register to a contract: one line with the serial number of the ККТ and the number of the ФН
    #[command(after_help = "Examples:\n  \
        fiscald contracts line 17-КЗ --kkt-serial 0128003270 --fn 9999078900000017\n  \
        fiscald contracts line 17-КЗ --kkt-serial 0128003270 --fn 9999078900000017 --rnm 0000000001036105\n\n\
        The РНМ is normally left away: it is taken out of the registration report (tag 1037).\n\
        Many registers at once: `fiscald registers import`.")]
    Line(ContractLineArgs),
    /// A register leaves its contract: it is served until the grace period is over
    #[command(after_help = "Example:\n  fiscald contracts close-line 0128003270\n\n\
        Its ККТ and its ФН may then stand in another line. The contract itself goes on.")]
    CloseLine {
        /// Serial number of the ККТ
        #[arg(value_name = "SERIAL")]
        kkt_serial: String,
        #[command(flatten)]
        table: TableArgs,
    },
    /// All contracts
    #[command(
        after_help = "Examples:\n  fiscald contracts list\n  fiscald contracts list --inn 7702203276 --json"
    )]
    List {
        /// Only of the client with this INN
        #[arg(long, value_name = "INN")]
        inn: Option<Inn>,
        #[command(flatten)]
        table: TableArgs,
    },
    /// One contract with its lines
    #[command(after_help = "Example:\n  fiscald contracts show 17-КЗ")]
    Show {
        /// Number of the contract
        #[arg(value_name = "NUMBER")]
        number: String,
        #[command(flatten)]
        table: TableArgs,
    },
}

/// A command about one contract.
#[derive(Debug, Args)]
pub(crate) struct ContractArgs {
    /// Number of the contract
    #[arg(value_name = "NUMBER")]
    pub(crate) number: String,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ContractAddArgs {
    /// Number of the contract, as it stands on the paper
    #[arg(value_name = "NUMBER")]
    pub(crate) number: String,
    /// INN of the client, 10 or 12 digits
    #[arg(long, value_name = "INN")]
    pub(crate) inn: Inn,
    /// Name of the client
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// Paid for or signed already
    #[arg(long)]
    pub(crate) active: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ContractLineArgs {
    /// Number of the contract
    #[arg(value_name = "NUMBER")]
    pub(crate) number: String,
    /// Serial number of the ККТ (tag 1013)
    #[arg(long, value_name = "SERIAL")]
    pub(crate) kkt_serial: String,
    /// Number of the ФН in it
    #[arg(long = "fn", value_name = "FN")]
    pub(crate) fn_number: FnNumber,
    /// Model of the ККТ
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Model of the ФН
    #[arg(long, value_name = "MODEL")]
    pub(crate) fn_model: Option<String>,
    /// Registration number (РНМ), 16 digits, when the tax service gave it already
    #[arg(long, value_name = "RNM")]
    pub(crate) rnm: Option<Rnm>,
    /// Take the registration number although its check value is wrong (made-up numbers of a test stand)
    #[arg(long, requires = "rnm")]
    pub(crate) unchecked: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}
