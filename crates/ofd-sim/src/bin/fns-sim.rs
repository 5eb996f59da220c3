//! `fns-sim`: a simulated tax service on the command line. See `ofd_sim::fns`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ofd_sim::fns::command::main()
}
