//! `kkt-sim`: simulated cash registers on the command line. See the library `ofd_sim`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ofd_sim::commands::main()
}
