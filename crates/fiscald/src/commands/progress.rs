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
