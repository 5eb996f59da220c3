//! promtool, where there is one.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Its path: what the variable `PROMTOOL` names, the one on the path, or the one that `cargo xtask test` has put beside
/// what was built. Says loudly what is not proved when there is none.
pub fn find() -> Option<PathBuf> {
    let named = std::env::var_os("PROMTOOL").map(PathBuf::from);
    let found =
        [named, Some(PathBuf::from("promtool")), beside_what_was_built()].into_iter().flatten().find(runs);
    if found.is_none() {
        eprintln!(
            "NOT TESTED: promtool is not here (`cargo xtask test` unpacks it from Debian's package of Prometheus; the \
             variable PROMTOOL names another); neither the grammar of the alert rules nor what they say, nor the \
             queries of the dashboard are proved"
        );
    }
    found
}

fn runs(path: &PathBuf) -> bool {
    let status = Command::new(path).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn beside_what_was_built() -> Option<PathBuf> {
    let mut folder = std::env::current_exe().ok()?;
    while folder.file_name().is_some_and(|name| name != "debug" && name != "release") {
        folder.pop();
    }
    Some(folder.parent()?.join("tools/promtool"))
}
