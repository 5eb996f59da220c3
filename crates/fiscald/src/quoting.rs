//! Texts of ours that people copy: commands for a shell, values for the configuration.

use std::path::{Path, PathBuf};

/// The running program as a shell finds it again, wherever it lies; its plain name when the system does not say.
pub(crate) fn program() -> String {
    shell_word(&std::env::current_exe().unwrap_or_else(|_| PathBuf::from("fiscald")))
}

/// A path as one word of a shell.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | ':' | '@' | ',');
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A text as a value of the configuration.
pub(crate) fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        for (path, expected) in [
            ("/etc/fiscald/keys/msg.keys", "/etc/fiscald/keys/msg.keys"),
            ("/home/Иван/a b", "'/home/Иван/a b'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), expected);
        }
    }

    #[test]
    fn texts_survive_the_configuration() {
        for text in ["/srv/keys", r#"a "b" \c"#] {
            let read = crate::config::parse(
                &format!("[operator]\nname = {}\n", toml_text(text)),
                "test",
                std::collections::HashMap::new(),
            );
            assert_eq!(read.unwrap().settings.operator.name.as_deref(), Some(text));
        }
    }
}
