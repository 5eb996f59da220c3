//! `kkt-sim`: simulated cash registers on the command line. See the library `ofd_sim`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ofd_sim::commands::main(ofd_sim::args::Cli::parse())
}
