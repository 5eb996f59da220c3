//! The argument `--faults`.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

use crate::live::Faults;

/// Reads `--faults`. Instead of a value `list` gives an error that is none, with the table in it, so that it asks for
/// no other argument, as `--help` does; the program prints the table.
#[derive(Clone, Debug)]
pub(crate) struct FaultsParser;

impl TypedValueParser for FaultsParser {
    type Value = Faults;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Faults, Error> {
        if value == "list" {
            let mut table = Error::new(ErrorKind::DisplayHelp);
            table.insert(ContextKind::Custom, ContextValue::String(crate::faults::list()));
            return Err(table);
        }
        str::parse::<Faults>.parse_ref(command, arg, value)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn faults_are_read_or_listed() {
        let parse = |faults: &str| {
            Cli::try_parse_from(["kkt-sim", "live", "--to", "x:1", "--registers", "1", "--faults", faults])
        };
        for good in ["all", "all:3", "sum.items", "sum.items:100,inn.digits:once"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["", "sum", "sum.items:0", "sum.items:101", "sum.items:often", "all,", "identity.form"] {
            assert_eq!(parse(bad).unwrap_err().kind(), ErrorKind::ValueValidation, "{bad}");
        }
        let listed = Cli::try_parse_from(["kkt-sim", "live", "--faults", "list"]).unwrap_err();
        assert_eq!((listed.kind(), listed.exit_code()), (ErrorKind::DisplayHelp, 0));
        let Some(ContextValue::String(table)) = listed.get(ContextKind::Custom) else { panic!("{listed:?}") };
        assert_eq!(table.lines().count(), ffd::check::rules().len());
    }
}
