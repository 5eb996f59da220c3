//! The command line of `kkt-sim`.

mod faults;
mod replay;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};
use ffd::{FnNumber, Inn};

use crate::fleet::till_clock;
use crate::live::{Connections, Faults, FfdMix, TradeMix, ZoneMix};
use crate::load::{Check, Items, LoadMode};
pub(crate) use replay::{AnswerCheck, ReplayArgs};

/// Simulated cash registers: the other end of an operator's wire.
#[derive(Debug, Parser)]
#[command(
    name = "kkt-sim",
    version,
    max_term_width = 110,
    after_help = "Results go to stdout, everything else to stderr.\nExit codes: 0 done, 1 failed, 2 wrong usage."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send captured messages and print the decoded answers
    Send(SendArgs),
    /// Honest registers living a compressed day, checking every acknowledgement
    Live(LiveArgs),
    /// Load with valid signed receipts prepared beforehand
    Load(LoadArgs),
    /// Replay captured registers and verify the answers
    Replay(ReplayArgs),
    /// Ask whether an operator listens (a message without a body)
    Probe(ProbeArgs),
}

/// Arguments of `send`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kkt-sim send message.hex --to 127.0.0.1:7777\n  \
    kkt-sim send captures/*.bin --to ofd.example.ru:7777 --json | jq .answer.acknowledgement.code\n\n\
    A file is hexadecimal, base64 or binary, told by its content, and holds a session message, a container\n\
    (gets a session header), rawData of the tax service or a document (get a container too; without its own\n\
    message sign a document gets zeros). Acknowledgements and lone session headers are refused.\n\
    Exit code 1 when any file could not be sent or got no answer.")]
pub(crate) struct SendArgs {
    /// Files to send, each on a connection of its own
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Operator's address, HOST:PORT
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: String,
    /// Patience with one answer, seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) timeout_s: Duration,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Master keys of the simulated storages.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeyArgs {
    /// Keystore file with the message master; the published test keys when not given
    #[arg(long, value_name = "FILE", requires = "keys_doc")]
    pub(crate) keys_msg: Option<PathBuf>,
    /// Keystore file with the document master
    #[arg(long, value_name = "FILE", requires = "keys_msg")]
    pub(crate) keys_doc: Option<PathBuf>,
    /// Keystore file with the operator master, to check ФПО too
    #[arg(long, value_name = "FILE", requires = "keys_msg")]
    pub(crate) keys_opr: Option<PathBuf>,
}

/// Arguments of `live`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kkt-sim live --to 127.0.0.1:7777 --registers 10\n  \
    kkt-sim live --to 127.0.0.1:7777 --registers 3 --receipts 100 --pause-ms 200 --encrypted 100\n  \
    kkt-sim live --to 127.0.0.1:7777 --registers 1 --base 42 --seed 7 --ffd 1.05 --json\n  \
    kkt-sim live --to 127.0.0.1:7777 --registers 20 --days 30 --receipts 10 --zones all\n  \
    kkt-sim live --to 127.0.0.1:7777 --registers 5 --days 7 --offline-days 4 --trade grocery,pharmacy\n  \
    kkt-sim live --to 127.0.0.1:7777 --registers 9 --faults sum.items:5,inn.digits:once\n\n\
    Each register registers and lives its days: opens a shift, makes its receipts (one of seven a refund, one\n\
    of twelve a payout) and a correction, closes the shift, which never lasts longer than 20 hours of till time.\n\
    Longer lives have changes of parameters, reports on the state of settlements, a new ФН, its closing; some\n\
    registers come from another operator. Each one loses one answer on purpose and repeats one acknowledged\n\
    document (the answer must be the same bytes). A new ФН of the register counts on from --base by --registers.\n\
    A document with a hard fault must get code 14 and is done with that; every other one code 0.\n\
    Exit code 0 when every document got its code and nothing was refused.")]
pub(crate) struct LiveArgs {
    /// Operator's address, HOST:PORT
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: String,
    /// How many registers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) registers: u32,
    /// Receipts of each register, each day
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) receipts: u32,
    /// Days that each register lives, one shift a day
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub(crate) days: u32,
    /// Days in one piece without the operator; then everything is sent at once
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=29))]
    pub(crate) offline_days: u32,
    /// The same --seed, --base and --clock make the same documents
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// First ФН number, counted on: 9999 and 12 digits, or those digits alone; a new range when not given
    #[arg(long, value_name = "N", value_parser = fn_base)]
    pub(crate) base: Option<u64>,
    /// Moment at which the tills begin, RFC 3339; they show the time of their zones. When not given: early enough to end now
    #[arg(long, value_name = "RFC3339", value_parser = clock)]
    pub(crate) clock: Option<u32>,
    /// Share of registers that encrypt, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 33, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) encrypted: u8,
    /// FFD versions of the registers: 1.05, 1.1, 1.2 with commas between them, or mixed
    #[arg(long, value_name = "LIST", default_value = "mixed")]
    pub(crate) ffd: FfdMix,
    /// Trades of the registers: grocery, hardware, coffee, repairs, pharmacy, taxi, internet, agent, vending, or mixed
    #[arg(long, value_name = "LIST", default_value = "mixed")]
    pub(crate) trade: TradeMix,
    /// Time zones of the registers: hours ahead of UTC (2 to 12) with commas between them, or all
    #[arg(long, value_name = "LIST", default_value = "3")]
    pub(crate) zones: ZoneMix,
    /// Most seconds by which the clock of a till is wrong, ahead or behind; each register draws its own
    #[arg(long, alias = "clock-error", value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=31_536_000))]
    pub(crate) clock_error_s: u32,
    /// Faults to be made on purpose, with commas between them: `NAME[:PERCENT]` (of the documents that fit; 10 when
    /// not given), NAME:once (each register), `all[:PERCENT]`, or list, which prints them and ends
    #[arg(long, value_name = "LIST", value_parser = faults::FaultsParser)]
    pub(crate) faults: Option<Faults>,
    /// Life of connections
    #[arg(long, value_enum, default_value_t = Connections::Persistent)]
    pub(crate) connections: Connections,
    /// Pause of a register between two documents, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) pause_ms: u64,
    /// Patience with one answer, seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) timeout_s: Duration,
    /// Tries of one document before its register gives up
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempts: u32,
    /// INN of the operator in registration reports (tag 1017)
    #[arg(long, value_name = "INN", value_parser = inn)]
    pub(crate) operator_inn: Option<Inn>,
    /// Name of the operator in registration reports (tag 1046)
    #[arg(long, value_name = "NAME")]
    pub(crate) operator_name: Option<String>,
    /// Keys.
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// The report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `load`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("amount").required(true))]
#[command(
    after_help = "Examples:\n  kkt-sim load --to 127.0.0.1:7777 --registers 64 --documents 100000 --mode persistent\n  \
    kkt-sim load --to 127.0.0.1:7777 --registers 64 --seconds 10 --mode window=16 --check none --json\n  \
    kkt-sim load --to 127.0.0.1:7777 --registers 64 --seconds 5 --mode per-document\n\n\
    All messages are made before anything is sent. Registration and shift opening of each register go out\n\
    before the clock starts and are not in the figures (an operator stores 2 documents a register more).\n\
    Till time advances by a second a receipt and ends now; registers with more receipts than fit a shift of\n\
    20 hours make several of them in one second.\n\
    With --seconds the messages are sized by --expect with half as much again; when a register runs out the\n\
    run ends early and says so. Unanswered documents of a lost connection are sent again: `repeats`.\n\
    With --rate latency counts from the moment a document was due, so an operator that stalls shows it.\n\
    --json prints one object: documents seconds documents_per_second p50_us p99_us p999_us errors repeats.\n\
    Ctrl-C ends the run with the figures so far. Exit code 1 when there were errors."
)]
pub(crate) struct LoadArgs {
    /// Operator's address, HOST:PORT
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: String,
    /// How many registers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) registers: u32,
    /// Receipts to send, over all registers
    #[arg(long, value_name = "M", group = "amount", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) documents: Option<u64>,
    /// Seconds to send for
    #[arg(long, value_name = "S", group = "amount", value_parser = seconds)]
    pub(crate) seconds: Option<Duration>,
    /// persistent, per-document or window=W (W documents of each connection on their way)
    #[arg(long, value_name = "MODE", default_value = "persistent")]
    pub(crate) mode: LoadMode,
    /// Most lines of a receipt, =N for exactly N, or retail: mostly a few, now and then very many
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) items: Items,
    /// How answers are checked
    #[arg(long, value_enum, default_value_t = Check::Full)]
    pub(crate) check: Check,
    /// Seconds at the beginning whose answers are not counted, with --seconds
    #[arg(long, value_name = "S", requires = "seconds", value_parser = seconds)]
    pub(crate) warm: Option<Duration>,
    /// Process whose processor time, with that of its children, is reported; may be given several times
    #[arg(long, value_name = "PID")]
    pub(crate) watch: Vec<u32>,
    /// Share of registers that encrypt, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) encrypted: u8,
    /// First ФН number, counted on: 9999 and 12 digits, or those digits alone; a new range when not given
    #[arg(long, value_name = "N", value_parser = fn_base)]
    pub(crate) base: Option<u64>,
    /// ФН numbers as storages in service have them, 9280 and 12 digits: what belongs to a debug ФН alone is left out. Only
    /// for an operator of your own, whose store is thrown away
    #[arg(long)]
    pub(crate) genuine: bool,
    /// The same --seed, --base and --clock make the same documents
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Moment at which the tills begin, RFC 3339; they show Moscow time. When not given: early enough to end now
    #[arg(long, value_name = "RFC3339", value_parser = clock)]
    pub(crate) clock: Option<u32>,
    /// Documents a second to prepare for, with --seconds; by the mode when not given
    #[arg(long, value_name = "RATE", requires = "seconds", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) expect: Option<u64>,
    /// Documents a second over all registers at most, evenly spread; each register still waits for its last answer
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,
    /// Silence after which a connection is replaced, seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) timeout_s: Duration,
    /// A register without any answer for this long leaves the run, seconds
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    pub(crate) give_up_s: Duration,
    /// Threads that send
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) threads: u32,
    /// Keys.
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// The figures as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `probe`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kkt-sim probe --to 127.0.0.1:7777\n  kkt-sim probe --to ofd.example.ru:7777 --json\n\n\
    Sends a session header without a body; an operator answers with the same header, flags cleared.\n\
    Exit code 1 when there is no such answer."
)]
pub(crate) struct ProbeArgs {
    /// Operator's address, HOST:PORT
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: String,
    /// ФН number in the header
    #[arg(long = "fn", value_name = "FN", default_value = "9999000000000000", value_parser = fn_number)]
    pub(crate) fn_number: FnNumber,
    /// Patience, seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) timeout_s: Duration,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(number) {
        Ok(time) if !time.is_zero() && number <= 1e6 => Ok(time),
        _ => Err("expected more than 0 and at most 1000000 seconds".to_owned()),
    }
}

fn fn_base(text: &str) -> Result<u64, String> {
    let digits = if text.len() == 16 { text.strip_prefix("9999").unwrap_or(text) } else { text };
    let number = digits.parse().map_err(|_| "not a number".to_owned())?;
    if number < 1_000_000_000_000 { Ok(number) } else { Err("at most 12 digits, or 9999 and 12".to_owned()) }
}

fn clock(text: &str) -> Result<u32, String> {
    let moment = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    till_clock(moment).ok_or_else(|| "a till knows only the years 1970 to 2106".to_owned())
}

fn fn_number(text: &str) -> Result<FnNumber, String> {
    FnNumber::from_padded(text.as_bytes()).map_err(|error| error.to_string())
}

fn inn(text: &str) -> Result<Inn, String> {
    Inn::from_padded(text.as_bytes()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_command_has_examples() {
        let command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{}", sub.get_name());
        }
    }

    #[test]
    fn wrong_usage_is_refused() {
        let check = |line: &str, fine: bool| {
            let parsed = Cli::try_parse_from(line.split_whitespace());
            assert_eq!(parsed.is_ok(), fine, "{line}");
        };
        check("kkt-sim load --to a:1 --registers 2 --documents 5 --mode window=4", true);
        check("kkt-sim load --to a:1 --registers 2 --seconds 0.5 --expect 100", true);
        check("kkt-sim load --to a:1 --registers 2", false);
        check("kkt-sim load --to a:1 --registers 2 --documents 5 --seconds 5", false);
        check("kkt-sim load --to a:1 --registers 2 --documents 5 --mode twice", false);
        check("kkt-sim load --to a:1 --registers 2 --documents 5 --base 1000000000000", false);
        check("kkt-sim load --to a:1 --registers 2 --documents 5 --base 9999078900000042", true);
        check("kkt-sim load --to a:1 --registers 2 --documents 5 --base 9998078900000042", false);
        check("kkt-sim load --to a:1 --registers 2 --documents 5 --clock 2026-03-01T08:00:00+03:00", true);
        check("kkt-sim live --to a:1 --registers 2 --clock 2026-03-01T05:00:00Z", true);
        check("kkt-sim live --to a:1 --registers 2 --clock 2026-03-01T05:00:00", false);
        check("kkt-sim live --to a:1 --registers 2 --clock 1960-03-01T05:00:00Z", false);
        check("kkt-sim live --to a:1 --registers 0", false);
        check("kkt-sim live --to a:1 --registers 2 --days 30 --offline-days 29 --zones 2,12", true);
        check("kkt-sim live --to a:1 --registers 2 --days 0", false);
        check("kkt-sim live --to a:1 --registers 2 --offline-days 30", false);
        check("kkt-sim live --to a:1 --registers 2 --zones 13", false);
        check("kkt-sim live --to a:1 --registers 2 --ffd 1.05,1.1 --trade taxi,agent", true);
        check("kkt-sim live --to a:1 --registers 2 --ffd 1.0", false);
        check("kkt-sim live --to a:1 --registers 2 --trade florist", false);
        check("kkt-sim live --to a:1 --registers 1 --encrypted 101", false);
        check("kkt-sim live --to a:1 --registers 1 --keys-msg m", false);
        check("kkt-sim live --to a:1 --registers 1 --keys-msg m --keys-doc d", true);
        check("kkt-sim send --to a:1", false);
        check("kkt-sim send f --to a:1", true);
        check("kkt-sim send f --to a:1 --timeout-s 0", false);
        check("kkt-sim probe --to a:1 --fn 12x", false);
    }
}
