//! Log lines on stderr: text for people, JSON for collectors. Results of commands never go through here.

use std::io::IsTerminal;
use std::str::FromStr;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogConfig, LogFormat};

/// Reads a filter: a level, or `target=level` pairs.
///
/// # Errors
/// The text is no filter. A bare word that is no level is refused too: it would mean "everything of the part of this
/// name, nothing else", which is what a mistyped level turns into.
pub(crate) fn filter(text: &str) -> Result<EnvFilter> {
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty() && !word.contains(['=', '['])) {
        LevelFilter::from_str(word).with_context(|| format!("\"{word}\" is no level"))?;
    }
    EnvFilter::builder().parse(text).with_context(|| format!("\"{text}\" is no filter"))
}

/// Starts logging; once in a process.
///
/// # Errors
/// The filter is wrong (the configuration check has refused it before), or logging was started already.
pub(crate) fn start(config: &LogConfig) -> Result<()> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started: Result<(), TryInitError> = match config.format {
        LogFormat::Text => lines.finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    Ok(started?)
}

/// Starts logging into a file instead, for a command whose terminal is in use.
///
/// # Errors
/// As [`start`].
pub(crate) fn start_in_file(file: std::fs::File, filter_text: &str) -> Result<()> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(filter_text)?)
        .with_writer(std::sync::Mutex::new(file))
        .with_ansi(false);
    Ok(lines.finish().try_init()?)
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn filters() {
        for (text, good) in
            [("info", true), ("warn,ofd_ingest=debug", true), ("", true), ("loud", false), ("a=b=c", false)]
        {
            assert_eq!(filter(text).is_ok(), good, "{text}");
        }
    }
}
