//! `fiscald clock`: the clock that acknowledgements are made by, as the store knows it.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use ofd_store::{ClockConfirmation, Reader};
use serde_json::json;

use super::output::Output;
use super::{operator, reader};
use crate::cli::ClockCommand;

/// Shows, confirms.
///
/// # Errors
/// The store cannot be used; nobody said yes.
pub(crate) fn run(command: ClockCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        ClockCommand::Show(args) => {
            let facts = Facts::of(&reader(&args.config)?, Timestamp::now())?;
            if args.json { out.json(&facts.as_json())? } else { out.text(&facts.told())? }
        }
        ClockCommand::Confirm { yes, config } => {
            let facts = Facts::of(&reader(&config)?, Timestamp::now())?;
            eprint!("{}", facts.told());
            if !yes {
                ask()?;
            }
            let (mut operator, place) = operator(&config)?;
            let confirmation = operator.clock_confirm(Timestamp::now())?;
            out.line(format!(
                "confirmed at {} up to position {} ({place})",
                shown(confirmation.confirmed_at),
                confirmation.after_seq
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is known about the time.
struct Facts {
    now: Timestamp,
    newest: Option<Timestamp>,
    confirmation: Option<ClockConfirmation>,
}

impl Facts {
    fn of(reader: &Reader, now: Timestamp) -> Result<Self> {
        Ok(Self { now, newest: reader.newest_acknowledged()?, confirmation: reader.clock_confirmation()? })
    }

    /// How far our clock is ahead of the newest acknowledgement, in milliseconds; negative when it is behind.
    fn ahead_ms(&self) -> Option<i64> {
        Some(self.now.as_millisecond().saturating_sub(self.newest?.as_millisecond()))
    }

    fn told(&self) -> String {
        let newest = match self.newest {
            Some(newest) => shown(newest),
            None if self.confirmation.is_some() => "none since the confirmation".to_owned(),
            None => "none yet".to_owned(),
        };
        let confirmation = match &self.confirmation {
            Some(said) => format!("{}, up to position {}", shown(said.confirmed_at), said.after_seq),
            None => "never".to_owned(),
        };
        let difference = match self.ahead_ms() {
            None => "-".to_owned(),
            Some(ahead) if ahead < 0 => {
                format!(
                    "{} s BEHIND it: the daemon answers nothing until then or until `fiscald clock confirm`",
                    seconds(ahead)
                )
            }
            Some(ahead) => format!("{} s after it", seconds(ahead)),
        };
        format!(
            "our clock               {}\nnewest acknowledgement  {newest}\ndifference              {difference}\n\
             last confirmation       {confirmation}\n",
            shown(self.now)
        )
    }

    fn as_json(&self) -> serde_json::Value {
        json!({
            "now": shown(self.now),
            "newest_acknowledgement": self.newest.map(shown),
            "ahead_ms": self.ahead_ms(),
            "confirmed_at": self.confirmation.map(|said| shown(said.confirmed_at)),
            "confirmed_up_to_seq": self.confirmation.map(|said| said.after_seq),
        })
    }
}

/// A moment without its microseconds, which nobody compares by eye.
fn shown(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn seconds(milliseconds: i64) -> String {
    let whole = milliseconds.unsigned_abs();
    format!("{}.{}", whole / 1000, whole % 1000 / 100)
}

/// Asks the person at the terminal.
fn ask() -> Result<()> {
    let mut stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!("nobody can be asked here (stdin is no terminal): compare the clock, then say --yes");
    }
    eprint!("Is the clock right? It stands in every acknowledgement for ever. [yes/no] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::BufReader::new(&mut stdin).read_line(&mut answer).context("no answer")?;
    if answer.trim() != "yes" {
        bail!("not confirmed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn facts(newest: Option<&str>, confirmed: Option<&str>) -> Facts {
        let confirmation =
            confirmed.map(|text| ClockConfirmation { confirmed_at: moment(text), after_seq: 41 });
        Facts { now: moment("2026-11-22T10:00:00Z"), newest: newest.map(moment), confirmation }
    }

    #[test]
    fn what_is_told() {
        let check = |facts: Facts, parts: &[&str], ahead_ms: Option<i64>| {
            let text = facts.told();
            for part in parts {
                assert!(text.contains(part), "{text} lacks {part}");
            }
            assert_eq!(facts.as_json()["ahead_ms"].as_i64(), ahead_ms);
        };
        check(facts(None, None), &["none yet", "never", "difference              -"], None);
        check(facts(Some("2026-11-22T09:59:58.7Z"), None), &["1.3 s after it"], Some(1_300));
        check(
            facts(Some("2026-11-22T11:00:00Z"), None),
            &["3600.0 s BEHIND", "clock confirm"],
            Some(-3_600_000),
        );
        let confirmed = facts(None, Some("2026-11-21T00:00:00Z"));
        check(confirmed, &["none since the confirmation", "2026-11-21T00:00:00Z, up to position 41"], None);
    }

    #[test]
    fn nobody_is_asked_without_a_terminal() {
        if !std::io::stdin().is_terminal() {
            assert!(ask().unwrap_err().to_string().contains("--yes"));
        }
    }
}
