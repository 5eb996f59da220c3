//! tshark, where it is installed.

use std::process::{Command, Stdio};

/// Whether tshark can be run; says loudly what is not proved when it cannot.
pub fn is_there() -> bool {
    let status = Command::new("tshark").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = status.is_ok_and(|status| status.success());
    if !there {
        eprintln!(
            "NOT TESTED: tshark is not installed (`apt-get install -y --no-install-recommends tshark`, or `cargo xtask \
             test` as root); the dissector and the reassembly are not held against it"
        );
    }
    there
}
