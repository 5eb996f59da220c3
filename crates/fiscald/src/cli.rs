//! The command line: commands, options, and the help a stranger reads.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 64 bad
//! configuration.

mod cards;
mod care;
mod contracts;
mod documents;
mod outbox;
mod registers;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ffd::ids::FnNumber;
use jiff::Timestamp;

pub(crate) use cards::{CardUploadArgs, CardsCommand, TasksCommand};
pub(crate) use care::{
    BackupArgs, ChecksCommand, ClockCommand, DetachArgs, MigrateArgs, ReindexArgs, VerifyArgs,
};
pub(crate) use contracts::{ContractAddArgs, ContractArgs, ContractLineArgs, ContractsCommand};
pub(crate) use documents::{DocumentsCommand, DocumentsListArgs, FindingWeight};
pub(crate) use outbox::{OutboxCommand, OutboxListArgs, OutboxRequeueArgs};
pub(crate) use registers::{
    ApplicationKind, Mode, RegisterAddArgs, RegisterApplyArgs, RegisterImportArgs, RegistersCommand,
    RegistersListArgs,
};

/// Reception of fiscal documents: an operator's (ОФД) daemon and its tools.
#[derive(Debug, Parser)]
#[command(
    name = "fiscald",
    version,
    max_term_width = 110,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 64 bad configuration.\n\
                  Configuration: --config FILE, else ./fiscald.toml, else /etc/fiscald/fiscald.toml, else defaults;\n\
                  FISCALD__SECTION__KEY in the environment overrides a key, e.g. FISCALD__INGEST__LISTEN=0.0.0.0:7777."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon: receive, store, acknowledge
    Serve(ServeArgs),
    /// Show everything on this machine: daemon, simulated registers and tax service over real sockets, with test keys
    Demo(DemoArgs),
    /// Explain captured bytes of any layer, to the last byte
    Decode(DecodeArgs),
    /// Read the configuration fully and explain every error
    CheckConfig(CheckConfigArgs),
    /// Write the journal out in order of arrival
    Export(ExportArgs),
    /// Contracts with clients and their lines: which ККТ and ФН are served
    #[command(subcommand)]
    Contracts(ContractsCommand),
    /// Registers (ККТ and ФН) the operator knows, on their way from the contract to the tax service's registry
    #[command(subcommand)]
    Registers(RegistersCommand),
    /// Registration cards (карточки регистрации) that the tax service gave
    #[command(subcommand)]
    Cards(CardsCommand),
    /// What a human must look at
    #[command(subcommand)]
    Tasks(TasksCommand),
    /// Documents of the journal
    #[command(subcommand)]
    Documents(DocumentsCommand),
    /// Documents on their way to the tax service, and its answers
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Messages kept aside without an answer
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Rules of the format and logic control (ФЛК)
    #[command(subcommand)]
    Checks(ChecksCommand),
    /// The clock that acknowledgements are made by
    #[command(subcommand)]
    Clock(ClockCommand),
    /// Re-read everything that is stored and report what is wrong with it
    Verify(VerifyArgs),
    /// Copy the store into a new file, while the daemon serves
    Backup(BackupArgs),
    /// Rebuild the columns that are taken out of documents
    Reindex(ReindexArgs),
    /// Move the received bytes of old months out of the store into a file beside it
    Detach(DetachArgs),
    /// Move a store from SQLite to PostgreSQL, while nothing uses it
    Migrate(MigrateArgs),
    /// Keystore files: make and check
    #[command(subcommand)]
    Keys(KeysCommand),
}

/// Where the configuration is.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConfigArg {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fiscald serve --config /etc/fiscald/fiscald.toml\n  \
    fiscald serve --only ingest\n  fiscald serve --only fns\n\n\
    Parts: `ingest` takes documents from registers; `fns` follows registrations and forwards documents to the tax\n\
    service (without fns.url it only follows). They meet in the store, so each may run in a process of its own; what\n\
    `ingest` takes while no `fns` runs is forwarded later.\n\n\
    Stops on SIGTERM or SIGINT: accepts nothing more, finishes what was started, commits, exits 0\n\
    (1 when ingest.shutdown_grace_s was not enough). A second signal ends it at once. SIGHUP reads the key files and the\n\
    certificates of the tax service anew.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Run only these parts: `ingest`, `fns`
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    pub(crate) only: Vec<Part>,
}

/// A part of the daemon that can run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Reception of documents
    Ingest,
    /// Registration and forwarding to the tax service
    Fns,
    /// Cabinet and public pages (not built yet)
    Web,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fiscald demo\n  fiscald demo --registers 50 --data demo-data\n\n\
    Uses the published test keys and ports chosen by the system, needs no configuration and touches none.\n\
    The data stays in DIR; look at it afterwards with the commands printed at the end.")]
pub(crate) struct DemoArgs {
    /// How many simulated registers
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub(crate) registers: u32,
    /// Receipts each register makes in its shift
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) receipts: u32,
    /// Folder for the data, without a store or configuration; a fresh data/demo-TIME when not given
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fiscald decode message.bin\n  xxd -p message.bin | fiscald decode -\n  \
    fiscald decode --as json receipt.hex | jq .\n  fiscald decode --as fns receipt.bin\n\n\
    Layers: session message(s), session header, container(s) (A5 and 5A), rawData of the tax service, document,\n\
    document with ФПС. In JSON, offsets inside `document` count from its first byte.\nExit code 1 when the bytes are damaged or nothing could be recognised."
)]
pub(crate) struct DecodeArgs {
    /// File to read; `-` or nothing reads stdin
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// What to print
    #[arg(long = "as", value_name = "SHAPE", default_value = "tree")]
    pub(crate) shape: DecodeShape,
    /// How the bytes are written down
    #[arg(long, value_name = "ENCODING", default_value = "auto")]
    pub(crate) input: InputEncoding,
}

/// What `decode` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DecodeShape {
    /// Every byte with its meaning, for people
    Tree,
    /// The same as JSON
    Json,
    /// The document as the tax service's JSON
    Fns,
}

/// How bytes are written down in the input of `decode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputEncoding {
    /// Hex or base64 if the text is one, else binary
    Auto,
    Hex,
    Base64,
    Binary,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fiscald check-config --config fiscald.toml\n  \
    FISCALD__STORE__URL=sqlite:other/x.db fiscald check-config\n\nExit codes are those of `serve`: 64 when the configuration cannot be used or lacks something (the operator's INN,\n\
    key files), 1 when a key file is there and not right.")]
pub(crate) struct CheckConfigArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// For a check on another machine: demand neither the operator's INN nor key files
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fiscald export --fn 9999078900000017\n  \
    fiscald export --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --as csv --out november.csv\n\n\
    jsonl: one object a line with seq fn fd form received_at code verdict sha256 raw document (raw and document base64,\n\
    sha256 of raw). csv: the same columns. raw: the received containers back to back, nothing between them; each begins\n\
    with its own length (u16, little-endian). Times are moments of reception, `to` is excluded.")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Only documents of this ФН
    #[arg(long = "fn", value_name = "FN")]
    pub(crate) fn_number: Option<FnNumber>,
    /// Received at or after this moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Timestamp>,
    /// Received before this moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Timestamp>,
    /// What to write
    #[arg(long = "as", value_name = "SHAPE", default_value = "jsonl")]
    pub(crate) shape: ExportShape,
    /// File to write instead of stdout, for its owner only; appears complete or not at all, in place of an older file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What `export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportShape {
    Jsonl,
    Raw,
    Csv,
}

/// Options of a command that prints a table.
#[derive(Debug, Clone, Args)]
pub(crate) struct TableArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// What is kept, newest first
    #[command(after_help = "Examples:\n  fiscald quarantine list --fn 9999078900000017\n  \
        fiscald quarantine list --reason unknown_fn_held --held")]
    List {
        /// Only this ФН
        #[arg(long = "fn", value_name = "FN")]
        fn_number: Option<FnNumber>,
        /// Only what was kept for this reason
        #[arg(long, value_name = "REASON", value_parser = ofd_ingest::decision::Refusal::ALL.map(|reason| reason.as_str()))]
        reason: Option<String>,
        /// Only what is held still
        #[arg(long)]
        held: bool,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        table: TableArgs,
    },
    /// The kept messages of an ФН, every byte explained
    #[command(after_help = "Examples:\n  fiscald quarantine show 9999078900000017\n  \
        fiscald quarantine show 9999078900000017 3")]
    Show {
        /// Number of the ФН
        #[arg(value_name = "FN")]
        fn_number: FnNumber,
        /// Only this document (ФД)
        #[arg(value_name = "FD")]
        fd_number: Option<ffd::ids::FdNumber>,
        #[command(flatten)]
        table: TableArgs,
    },
    /// Lift the hold of an ФН: its documents are served when it sends them again; the copies stay as evidence
    #[command(after_help = "Example:\n  fiscald quarantine release 9999078900000017")]
    Release {
        /// Number of the ФН
        #[arg(value_name = "FN")]
        fn_number: FnNumber,
        #[command(flatten)]
        config: ConfigArg,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a keystore file with one new random master key, mode 0600; an existing file is never overwritten
    #[command(
        after_help = "Examples:\n  fiscald keys generate --purpose msg --out /etc/fiscald/keys/msg.keys\n  \
        fiscald keys generate --purpose opr --out /etc/fiscald/keys/opr.keys\n\n\
        A further generation, as the user of the service. Both purposes get the same new number, opr comes first: a message\n\
        key without the operator key of its generation is refused, at the next start too.\n  \
        cd /etc/fiscald/keys\n  \
        fiscald keys generate --purpose opr --generation 2 --out opr-2.keys\n  \
        fiscald keys generate --purpose msg --generation 2 --out msg-2.keys\n  \
        cat opr-2.keys >> opr.keys && cat msg-2.keys >> msg.keys\n  \
        fiscald keys check msg.keys opr.keys\n  \
        shred -u opr-2.keys msg-2.keys\n\
        Then SIGHUP (`systemctl reload fiscald`) or a restart; the log says which generations are in use."
    )]
    Generate(KeysGenerateArgs),
    /// Check keystore files: place, mode, content, dates, published test keys
    #[command(
        after_help = "Example:\n  fiscald keys check /etc/fiscald/keys/msg.keys /etc/fiscald/keys/opr.keys\n\n\
        One file of each purpose: they are also checked together, as `serve` does at its start."
    )]
    Check {
        /// Keystore files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Permit published test keys
        #[arg(long)]
        test: bool,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KeysGenerateArgs {
    /// What the key is for: `msg` (signs and encryption of messages) or `opr` (operator sign)
    #[arg(long, value_name = "PURPOSE")]
    pub(crate) purpose: KeyPurpose,
    /// Generation of the key, 0 to 15
    #[arg(long, value_name = "G", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=15))]
    pub(crate) generation: u8,
    /// File to make
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Valid from this moment, RFC 3339; now when not given
    #[arg(long, value_name = "TIME")]
    pub(crate) not_before: Option<Timestamp>,
    /// Valid until this moment, RFC 3339; ten years after the beginning when not given
    #[arg(long, value_name = "TIME")]
    pub(crate) not_after: Option<Timestamp>,
}

/// Purpose of a master key the daemon may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyPurpose {
    Msg,
    Opr,
}

#[cfg(test)]
mod tests;
