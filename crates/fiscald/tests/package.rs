//! The files of the Debian package, as far as they can be judged without building it (`cargo xtask deb` does that).
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::path::PathBuf;
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a checker over a script; false when the checker is not installed.
fn passes(checker: &str, args: &[&str], script: &str) -> bool {
    match Command::new(checker).args(args).arg(root().join(script)).output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&said));
            true
        }
        Err(_) => false,
    }
}

const SCRIPTS: [&str; 2] = ["config/debian/postinst", "config/debian/postrm"];

#[test]
fn maintainer_scripts_are_right_shell() {
    for script in SCRIPTS {
        assert!(passes("sh", &["-n"], script), "there is no shell");
        if !passes("shellcheck", &[], script) {
            eprintln!("shellcheck is not installed: {script} is only parsed");
        }
        let text = text(script);
        assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -e\n"), "{script}");
        // The place where the package tool puts what starts and stops the service.
        assert!(text.contains("\n#DEBHELPER#\n"), "{script}");
    }
}

#[test]
fn no_script_deletes_documents_keys_or_the_user() {
    for script in SCRIPTS {
        for line in text(script).lines().filter(|line| !line.trim_start().starts_with('#')) {
            let mut words = line.split_whitespace();
            let deletes =
                words.any(|word| ["rm", "find", "deluser", "userdel", "shred", "unlink"].contains(&word));
            assert!(!deletes, "{script}: {line}");
        }
    }
}

#[test]
fn the_changelog_is_of_this_version() {
    let expected = format!("fiscald ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(
        text("config/debian/changelog").starts_with(&expected),
        "the changelog does not begin with {expected}"
    );
}

#[test]
fn every_packed_file_is_there() {
    let manifest = text("crates/fiscald/Cargo.toml");
    let sources: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.trim().strip_prefix("[\"")?.split('"').next())
        .filter(|source| !source.starts_with("target/"))
        .collect();
    assert!(sources.len() >= 5, "{sources:?}");
    for source in sources {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(source);
        assert!(path.is_file(), "{} is packed and not there", path.display());
    }
}

#[test]
fn the_manual_page_names_every_command() {
    let help = Command::new(env!("CARGO_BIN_EXE_fiscald")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()))
        .collect();
    assert!(commands.len() > 10, "{help}");
    let page = text("config/debian/fiscald.1").replace("\\-", "-");
    for command in commands {
        let named = page
            .lines()
            .any(|line| line.starts_with(".B") && line.split([' ', '"', ',']).any(|word| word == command));
        assert!(named, "the manual page does not name `{command}`");
    }
}
