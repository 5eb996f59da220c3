//! What is wrong with a configuration, said so that the reader knows which key to change and how.

use std::fmt;

/// One fault: the path of the key, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Path of the key, `section.key`; empty when the fault is the file itself.
    pub(crate) key: String,
    /// What is wrong with it.
    pub(crate) what: String,
    /// What to write instead.
    pub(crate) fix: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { key: key.into(), what: what.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}

/// A configuration that cannot be used: exit code 64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadConfig {
    /// Where the configuration was read from, as told to people.
    pub(crate) source: String,
    /// Every fault found, not only the first.
    pub(crate) problems: Vec<Problem>,
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration ({}) cannot be used", self.source)?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BadConfig {}
