//! Long work shows how far it is: on the terminal of stderr, and nowhere else.

use indicatif::{ProgressBar, ProgressStyle};

/// A line that counts, when nobody knows how much there is.
pub(super) fn counting(what: &str) -> ProgressBar {
    let template = format!("{{spinner}} {{human_pos}} {what}, {{per_sec}}, {{elapsed}}");
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// A bar up to `total`.
pub(super) fn bar(total: u64, what: &str) -> ProgressBar {
    let template =
        format!("{{bar:30}} {{human_pos}} of {{human_len}} {what}, {{per_sec}}, {{eta}} left {{msg}}");
    styled(ProgressBar::new(total), &template)
}

/// A walk along the journal.
pub(super) struct Along {
    pub(super) bar: ProgressBar,
    is_numbered: bool,
}

/// Positions that begin with a month, as those of PostgreSQL do, tell nothing about how many documents there are.
const FIRST_OF_MONTHS: i64 = 2_000_010_000_000_000;

impl Along {
    /// Up to the newest position where positions are the numbers of documents; else it counts.
    pub(super) fn to(newest: i64, what: &str) -> Self {
        let is_numbered = newest < FIRST_OF_MONTHS;
        let total = u64::try_from(newest).unwrap_or_default();
        Self { bar: if is_numbered { bar(total, what) } else { counting("documents") }, is_numbered }
    }

    /// So many documents were read, up to this position.
    pub(super) fn at(&self, position: i64, documents: u64) {
        let position = u64::try_from(position).unwrap_or_default();
        self.bar.set_position(if self.is_numbered { position } else { documents });
    }
}

/// A bar of bytes; its length is set when it is known.
pub(super) fn bytes_bar() -> ProgressBar {
    styled(ProgressBar::new(0), "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A line that says what is done now.
pub(super) fn working() -> ProgressBar {
    styled(ProgressBar::new_spinner(), "{spinner} {msg}, {elapsed}")
}
