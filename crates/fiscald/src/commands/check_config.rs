//! `fiscald check-config`: reads everything `serve` would read, opens nothing.

use std::process::ExitCode;

use anyhow::Result;

use super::output::Output;
use super::serve::{self, Parts};
use crate::cli::CheckConfigArgs;
use crate::config::{Loaded, load};

/// Says that the configuration is right, or every fault with the key's path, with the exit code of `serve`. `--offline`
/// leaves out what only the machine of the daemon has: its INN may come from the environment there, and key files
/// and certificates lie nowhere else.
///
/// # Errors
/// [`crate::config::BadConfig`]; key files and certificates that are there and not right.
pub(crate) fn run(args: &CheckConfigArgs, out: &mut Output) -> Result<ExitCode> {
    let loaded = load(args.config.config.as_deref())?;
    check(&loaded, args.offline)?;
    out.line(format!("the configuration is right ({})", loaded.source))?;
    for remark in remarks(&loaded, args.offline) {
        out.line(format!("  {remark}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What `serve` demands beyond a configuration that is right in itself.
fn check(loaded: &Loaded, offline: bool) -> Result<()> {
    if !offline {
        loaded.settings.store.check_files()?;
        serve::identity(loaded, Parts::ALL)?;
    }
    Ok(())
}

/// What is right and still worth knowing.
fn remarks(loaded: &Loaded, offline: bool) -> Vec<String> {
    let overrides = loaded.overrides.iter().map(|name| format!("overridden by the environment: {name}"));
    let unbuilt = &loaded.unbuilt;
    let unbuilt =
        unbuilt.iter().map(|section| format!("[{section}] is checked, but its part is not built yet"));
    let forwarding = loaded.settings.fns.url.is_none();
    let forwarding = forwarding.then(|| "no fns.url: nothing is forwarded to the tax service".to_owned());
    let skipped = offline.then(|| {
        "not looked at (--offline): key files, certificates, and whether there is an INN".to_owned()
    });
    overrides.chain(unbuilt).chain(forwarding).chain(skipped).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::{BadConfig, parse};

    #[test]
    fn it_fails_where_serve_would_unless_offline() {
        let expect = |text: &str, offline: bool, fault: &str| {
            let loaded = parse(text, "test", HashMap::new()).unwrap();
            let keys = check(&loaded, offline).err().map(|error| {
                let bad = error.downcast::<BadConfig>().unwrap();
                bad.problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(keys.unwrap_or_default(), fault, "offline {offline}: {text}");
        };
        let inn = "[operator]\ninn = \"7700000009\"\n";
        let test = "[signs]\ntest = true\n";
        let keys = "[signs]\nkeys_msg = \"/nowhere/msg.keys\"\nkeys_opr = \"/nowhere/opr.keys\"\n";
        expect("", false, "operator.inn signs");
        expect(inn, false, "signs");
        expect(test, false, "operator.inn");
        expect(&format!("{inn}{keys}"), false, "signs");
        expect(&format!("{inn}{test}"), false, "");
        let link = "[fns]\nurl = \"https://f\"\nofd_id = \"1\"\nca = \"/no/ca\"\ncert = \"/no/c\"\nkey = \"/no/k\"\n";
        expect(&format!("{inn}{test}{link}"), false, "fns.ca fns.cert fns.key");
        expect(link, true, "");
        for text in ["", inn, test, keys] {
            expect(text, true, "");
        }
    }

    #[test]
    fn what_was_not_looked_at_is_said() {
        let loaded = parse("[web]\n", "test", HashMap::new()).unwrap();
        let said = |offline| remarks(&loaded, offline).join("\n");
        assert!(said(false).contains("[web] is checked") && !said(false).contains("--offline"));
        assert!(said(true).contains("not looked at (--offline): key files, certificates"));
        assert!(said(false).contains("nothing is forwarded"));
    }
}
