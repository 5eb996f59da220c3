//! The command line of `fiscald documents`.

use clap::{Args, Subcommand, ValueEnum};
use ffd::ids::FnNumber;
use jiff::Timestamp;

use super::TableArgs;
use crate::config::rule_name;

/// Names of the sign verdicts that a document of the journal may have.
const VERDICTS: [&str; 7] =
    ["valid", "mismatch", "malformed", "wrong_kind", "foreign_scheme", "unknown_generation", "disabled"];

#[derive(Debug, Subcommand)]
pub(crate) enum DocumentsCommand {
    /// The newest documents
    #[command(
        after_help = "Examples:\n  fiscald documents list\n  fiscald documents list --fn 9999078900000017 --limit 500\n  \
        fiscald documents list --code 14 --json\n  \
        fiscald documents list --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00+03:00 --form 3\n  \
        fiscald documents list --rule numbering.document\n\n\
        Conditions hold together. A search that no index helps (form, verdict, weight of findings) reads the journal\n\
        from its newest document back: give --from, or expect it to take a while."
    )]
    List(DocumentsListArgs),
    /// One document with its acknowledgement, every byte explained
    #[command(after_help = "Example:\n  fiscald documents show 9999078900000017 3")]
    Show {
        /// Number of the ФН
        #[arg(value_name = "FN")]
        fn_number: FnNumber,
        /// Number of the document (ФД)
        #[arg(value_name = "FD")]
        fd_number: ffd::ids::FdNumber,
        #[command(flatten)]
        table: TableArgs,
    },
    /// Missing numbers in the chains of documents
    #[command(after_help = "Example:\n  fiscald documents gaps --fn 9999078900000017")]
    Gaps {
        /// Only this ФН
        #[arg(long = "fn", value_name = "FN")]
        fn_number: Option<FnNumber>,
        #[command(flatten)]
        table: TableArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DocumentsListArgs {
    /// Only this ФН
    #[arg(long = "fn", value_name = "FN")]
    pub(crate) fn_number: Option<FnNumber>,
    /// Only this form code (1, 2, 3, ...)
    #[arg(long, value_name = "FORM")]
    pub(crate) form: Option<u16>,
    /// Only documents answered with this code (0, 11, 14)
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<u8>,
    /// Received at or after this moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Timestamp>,
    /// Received before this moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Timestamp>,
    /// Only documents whose sign check ended so (valid, mismatch, foreign_scheme, ...)
    #[arg(long, value_name = "VERDICT", value_parser = VERDICTS)]
    pub(crate) verdict: Option<String>,
    /// Only documents with findings of the control, of any rule
    #[arg(long, group = "by_finding")]
    pub(crate) findings: bool,
    /// Only documents with a finding of this rule (`fiscald checks list` names them)
    #[arg(long, value_name = "RULE", group = "by_finding", value_parser = rule_name)]
    pub(crate) rule: Option<String>,
    /// Only documents with a finding of this weight
    #[arg(long, value_name = "WEIGHT", group = "by_finding")]
    pub(crate) severity: Option<FindingWeight>,
    /// Only other contents that came under a known number
    #[arg(long)]
    pub(crate) conflicts: bool,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// Weight of a stored finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FindingWeight {
    /// It decided the code: 14
    Hard,
    /// A warning
    Soft,
}

#[cfg(test)]
mod tests {
    use pkz::{InvalidReason, UnverifiableReason, Verdict};

    #[test]
    fn verdicts_are_called_as_the_key_module_calls_them() {
        let called = [
            Verdict::Invalid(InvalidReason::Mismatch),
            Verdict::Invalid(InvalidReason::Malformed),
            Verdict::Invalid(InvalidReason::WrongKind),
            Verdict::Unverifiable(UnverifiableReason::ForeignScheme),
            Verdict::Unverifiable(UnverifiableReason::UnknownGeneration),
            Verdict::Unverifiable(UnverifiableReason::Disabled),
        ];
        let called: Vec<&str> = std::iter::once("valid").chain(called.iter().map(Verdict::name)).collect();
        assert_eq!(called, super::VERDICTS);
    }
}
