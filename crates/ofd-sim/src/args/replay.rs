//! Arguments of `replay`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::{KeyArgs, seconds};
use crate::load::LoadMode;
use crate::replay::{Shape, Speed};

/// How answers are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AnswerCheck {
    /// What can be seen without keys: layout, check codes, document 7, numbers.
    Form,
    /// As an ФН does: signs too, and encrypted bodies are opened.
    Signs,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kkt-sim replay monday.pcapng --to 127.0.0.1:7777\n  \
    kkt-sim replay monday.pcap --to 127.0.0.1:7777 --speed 10 --limit 1000\n  \
    kkt-sim replay messages/ --to 127.0.0.1:7777 --speed max --check signs --json\n  \
    kkt-sim replay monday.pcapng --list\n\n\
    A capture is a pcap or pcapng file of registers talking to an operator, other traffic in it is passed over;\n\
    a folder holds files as `send` takes them (.bin .hex .b64), sent in the order of their names.\n\
    Messages go as they were captured, one connection for each captured one, in their order; a document of an ФН\n\
    never leaves before the one before it is answered, unless the capture shows that it did. An operator that\n\
    holds the documents already gives the stored answers: a replay into a used store replays repeats.\n\
    Answers must be readable, for this document, and of the code of the captured answer if there is one.\n\
    Left out and counted: damaged messages, the marking service, what lies behind a hole of the capture.\n\
    Exit code 1 when an answer is missing, wrong, or of another code than the captured one.")]
pub(crate) struct ReplayArgs {
    /// A pcap or pcapng file, or a folder of messages
    #[arg(value_name = "CAPTURE")]
    pub(crate) capture: PathBuf,
    /// Operator's address, HOST:PORT
    #[arg(long, value_name = "ADDR", required_unless_present = "list", conflicts_with = "list")]
    pub(crate) to: Option<String>,
    /// Captured pauses are divided by this; `max` or 0 is without pauses
    #[arg(long, value_name = "X", default_value = "1", value_parser = speed)]
    pub(crate) speed: Speed,
    /// captured, or one connection for each ФН or document: persistent, per-document, window=W
    #[arg(long, value_name = "MODE", default_value = "captured", value_parser = shape)]
    pub(crate) mode: Shape,
    /// Only the first messages of the capture
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// How answers are checked
    #[arg(long, value_enum, default_value_t = AnswerCheck::Form)]
    pub(crate) check: AnswerCheck,
    /// Patience with one answer, seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) timeout_s: Duration,
    /// Keys.
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// Print the messages of the capture, one JSON object a line, and send nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// The figures as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

fn speed(text: &str) -> Result<Speed, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Speed::Unlimited),
        Ok(0.0) => Ok(Speed::Unlimited),
        Ok(times) if (1e-3..=1e6).contains(&times) => Ok(Speed::Times(times)),
        _ => Err("expected max, 0, or a number of 0.001 to 1000000".to_owned()),
    }
}

fn shape(text: &str) -> Result<Shape, String> {
    if text == "captured" {
        return Ok(Shape::Captured);
    }
    LoadMode::from_str(text)
        .map(Shape::Mode)
        .map_err(|error| error.replacen("expected", "expected captured,", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds() {
        let check = |text: &str, expected: Option<Speed>| assert_eq!(speed(text).ok(), expected, "{text}");
        check("1", Some(Speed::Times(1.0)));
        check("0.5", Some(Speed::Times(0.5)));
        check("0", Some(Speed::Unlimited));
        check("max", Some(Speed::Unlimited));
        check("-1", None);
        check("1e9", None);
        check("NaN", None);
        check("fast", None);
    }

    #[test]
    fn shapes() {
        assert_eq!(shape("captured"), Ok(Shape::Captured));
        assert_eq!(shape("window=3"), Ok(Shape::Mode(LoadMode::Window(3))));
        assert!(shape("twice").is_err_and(|text| text.starts_with("expected captured, persistent")));
    }
}
