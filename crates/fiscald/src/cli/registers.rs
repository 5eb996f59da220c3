//! The command line of `fiscald registers`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ffd::ids::{FdNumber, FnNumber, Inn, Rnm};
use ofd_store::RegistrationState;

use super::TableArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum RegistersCommand {
    /// All registers: where each is on its way to the registry of the tax service
    #[command(after_help = "Examples:\n  fiscald registers list\n  \
        fiscald registers list --state AWAITING_MANUAL_COMPLETION\n  \
        fiscald registers list --inn 7702203276\n  \
        fiscald registers list --json | jq -r '.[].fn'\n\n\
        Conditions hold together. СОСТОЯНИЕ is what the client sees; STATE, CONTRACT, LIVENESS, FN STATE and FNS are\n\
        what it follows from: `fiscald registers show` explains them.")]
    List(RegistersListArgs),
    /// One register: its state, what is waited for, what to do next
    #[command(after_help = "Examples:\n  fiscald registers show 9999078900000017\n  \
        fiscald registers show 0000000001036105 --json\n\n\
        A number is looked up as a registration number (РНМ) first, then as the number of a ФН.\n\
        Shows the three values of the registration report that the client types into the taxpayer's cabinet when no card\n\
        came: date and time, number of the document, fiscal sign.")]
    Show {
        /// Registration number (РНМ) or number of the ФН
        #[arg(value_name = "RNM|FN")]
        number: FnNumber,
        #[command(flatten)]
        table: TableArgs,
    },
    /// Announce a register without a contract, so that its documents are served
    #[command(after_help = "Examples:\n  fiscald registers add --fn 9999078900000017\n  \
        fiscald registers add --kkt-serial 0128003270 --inn 7802781104\n\n\
        By the serial number of the ККТ: its registration report (form 1 or 11) then makes the ФН known.\n\
        A running daemon notices within a second. With a contract: `fiscald contracts line`.")]
    Add(RegisterAddArgs),
    /// Add many registers to a contract from a CSV file
    #[command(
        after_help = "Examples:\n  fiscald registers import registers.csv --contract 17-КЗ --dry-run\n  \
        fiscald registers import registers.csv --contract 17-КЗ\n\n\
        The first line names the columns, in any order:\n  \
          kkt_serial   serial number of the ККТ (tag 1013)       required\n  \
          fn           number of the ФН, up to 16 digits         required\n  \
          kkt_model    model of the ККТ\n  \
          fn_model     model of the ФН\n  \
          rnm          registration number (РНМ), 16 digits\n\
        Other columns are an error, so that a mistyped name does not lose data. Separator `;`, `,` or a tab; values may\n\
        stand in double quotes; UTF-8 (with or without a byte order mark) or CP1251, as spreadsheets write them.\n\
        A registration number of another register, or with a wrong check value (unless --unchecked), makes a bad line.\n\
        Every bad line is reported with its number and the reason; then nothing is written, unless --skip-bad is given.\n\
        Lines that are in the contract already are left as they are, so a file may be imported again."
    )]
    Import(RegisterImportArgs),
    /// Write down the registration number (РНМ) that the client was given by the tax service
    #[command(after_help = "Examples:\n  fiscald registers rnm 0128003270 0000000001036105\n  \
        fiscald registers rnm 9999078900000017 0000000001036105\n\n\
        Its last six digits are a check value over the number, the INN and the serial number of the ККТ. A wrong one is\n\
        refused: it is a slip of the pen. Test stands with made-up numbers say --unchecked.\n\
        The number stays unconfirmed until the registration report brings the same one.")]
    Rnm {
        /// Serial number of the ККТ, or number of its ФН
        #[arg(value_name = "SERIAL|FN")]
        register: String,
        /// Registration number, 16 digits
        #[arg(value_name = "RNM")]
        rnm: Rnm,
        /// Take the number although its check value is wrong
        #[arg(long)]
        unchecked: bool,
        #[command(flatten)]
        table: TableArgs,
    },
    /// Hand in an application (заявление, КНД 1110061) for a register to the tax service
    #[command(after_help = "Examples:\n  fiscald registers apply 0128003270 --file application.json\n  \
        fiscald registers apply 0128003270 --kkt-model 'Модель 1Ф' --fn-model 'ФН-1.2 исп. 2' \\\n      \
        --address '111141, г. Москва, ул. Кусковская, д. 20А' --place Магазин --tax-office 7702 \\\n      \
        --signer 'Шеннон К.' --position директор --mode internet,excise\n\n\
        The file is the JSON reading of the form: knd, kind, user, kkt, fn, place, ofd, modes, taxOffice, signer, and\n\
        optionally xmlBase64 and signatureBase64 of the signed paper; members it does not know are refused. The end of a\n\
        registration (kind deregistration) also has rnm, reason and closingReport {fdNumber, dateTime, fiscalSign}, which\n\
        is taken from the stored report of the closing of the ФН (form 6) when that came here.\n\
        By options, client, serial numbers and operator are\n\
        taken from the contract and the configuration.\n\
        The application is stored here; the daemon sends it ([fns] of the configuration) and follows its state.")]
    Apply(Box<RegisterApplyArgs>),
    /// Applications and what the tax service said to them
    #[command(after_help = "Examples:\n  fiscald registers applications\n  \
        fiscald registers applications --open --json")]
    Applications {
        /// Only those that the tax service has not decided
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        table: TableArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RegistersListArgs {
    /// Only registers in this state
    #[arg(long, value_name = "STATE", ignore_case = true, value_parser = RegistrationState::ALL.map(RegistrationState::name))]
    pub(crate) state: Option<String>,
    /// Only registers of this contract
    #[arg(long, value_name = "NUMBER")]
    pub(crate) contract: Option<String>,
    /// Only registers of the client with this INN
    #[arg(long, value_name = "INN")]
    pub(crate) inn: Option<Inn>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = true, args = ["fn_number", "kkt_serial"])]
pub(crate) struct RegisterAddArgs {
    /// Number of the ФН
    #[arg(long = "fn", value_name = "FN")]
    pub(crate) fn_number: Option<FnNumber>,
    /// Serial number of the ККТ (tag 1013)
    #[arg(long, value_name = "SERIAL")]
    pub(crate) kkt_serial: Option<String>,
    /// Registration number of the ККТ (РНМ, tag 1037), 16 digits
    #[arg(long, value_name = "RNM")]
    pub(crate) rnm: Option<Rnm>,
    /// Take the registration number although its check value is wrong (made-up numbers of a test stand)
    #[arg(long, requires = "rnm")]
    pub(crate) unchecked: bool,
    /// INN of the user (tag 1018)
    #[arg(long, value_name = "INN")]
    pub(crate) inn: Option<Inn>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RegisterImportArgs {
    /// CSV file; `-` reads stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Number of the contract that gets the lines
    #[arg(long, value_name = "NUMBER")]
    pub(crate) contract: String,
    /// Say what would be done and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Leave bad lines out instead of importing nothing
    #[arg(long)]
    pub(crate) skip_bad: bool,
    /// Take registration numbers although their check value is wrong (made-up numbers of a test stand)
    #[arg(long)]
    pub(crate) unchecked: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

#[derive(Debug, Args)]
#[group(id = "by_options", multiple = true, conflicts_with = "file", args = ["kind", "kkt_model", "fn_model", "address", "place", "tax_office", "kpp", "signer", "position", "mode", "reason", "automat_number", "closing_fd", "closing_time", "closing_sign"])]
pub(crate) struct RegisterApplyArgs {
    /// Serial number of the ККТ, or number of its ФН
    #[arg(value_name = "SERIAL|FN")]
    pub(crate) register: String,
    /// The application as JSON; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// What is applied for
    #[arg(long, value_name = "KIND", default_value = "registration")]
    pub(crate) kind: ApplicationKind,
    /// Model of the ККТ; that of the contract line when not given
    #[arg(long, value_name = "MODEL")]
    pub(crate) kkt_model: Option<String>,
    /// Model of the ФН
    #[arg(long, value_name = "MODEL")]
    pub(crate) fn_model: Option<String>,
    /// Address where the register stands
    #[arg(long, value_name = "TEXT")]
    pub(crate) address: Option<String>,
    /// Name of the place
    #[arg(long, value_name = "TEXT")]
    pub(crate) place: Option<String>,
    /// Code of the tax office, 4 digits
    #[arg(long, value_name = "CODE")]
    pub(crate) tax_office: Option<String>,
    /// КПП of an organisation, 9 digits
    #[arg(long, value_name = "KPP")]
    pub(crate) kpp: Option<String>,
    /// Who signs
    #[arg(long, value_name = "NAME")]
    pub(crate) signer: Option<String>,
    /// Position of the signer
    #[arg(long, value_name = "TEXT")]
    pub(crate) position: Option<String>,
    /// How the register is used; several with commas
    #[arg(long, value_name = "MODE", value_delimiter = ',')]
    pub(crate) mode: Vec<Mode>,
    /// Why: codes of the reasons of a re-registration, several with commas; or the reason of a deregistration in words
    #[arg(long, value_name = "REASON", value_delimiter = ',')]
    pub(crate) reason: Vec<String>,
    /// Number of the automat in which the register is, with mode automat
    #[arg(long, value_name = "NUMBER")]
    pub(crate) automat_number: Option<String>,
    /// Number (ФД) of the report of the closing of the ФН, for a deregistration; the report is taken from the store
    /// when it came there
    #[arg(long, value_name = "FD", requires_all = ["closing_time", "closing_sign"])]
    pub(crate) closing_fd: Option<FdNumber>,
    /// Date and time of that report, yyyy-mm-ddThh:mm
    #[arg(long, value_name = "TIME", requires = "closing_fd")]
    pub(crate) closing_time: Option<String>,
    /// Fiscal sign of that report, up to 10 digits
    #[arg(long, value_name = "SIGN", requires = "closing_fd")]
    pub(crate) closing_sign: Option<String>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// What an application asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApplicationKind {
    /// A new register
    Registration,
    /// Changed data, another ФН
    Reregistration,
    /// The register is taken out of use (КНД 1110062)
    Deregistration,
}

/// A way of using a register that the application names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Without connection to the operator
    Offline,
    /// In an automat
    Automat,
    /// Only in the internet
    Internet,
    /// Only forms of strict reporting (БСО)
    Bso,
    /// Services
    Service,
    /// Excise goods
    Excise,
    /// Gambling
    Gambling,
    /// Lotteries
    Lottery,
    /// Payment agent
    PaymentAgent,
    /// Bank payment agent
    BankPaymentAgent,
    /// Mobile trade
    MobileTrade,
}
