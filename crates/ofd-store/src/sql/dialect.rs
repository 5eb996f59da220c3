//! From SQLite's words to PostgreSQL's. Everything else is the same in both.
//!
//! * `?` and `?N` become `$N`;
//! * advice to SQLite's planner goes: `INDEXED BY x`, `NOT INDEXED`, the order that `CROSS JOIN .. ON` asks for, and the
//!   plus before a column that keeps an index out (`+rule`, without a space).

use std::fmt::Write as _;

/// A statement in PostgreSQL's words.
pub(super) fn translate(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut largest = 0_usize;
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '\'' | '"' => {
                let len = quoted_len(rest, first);
                out.push_str(head(rest, len));
                len
            }
            '?' => parameter(rest, &mut largest, &mut out),
            '+' if follows_nothing(&out) && begins_word(tail(rest, 1)) => 1,
            _ if is_letter(first) => word(rest, &mut out),
            _ => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = tail(rest, taken);
    }
    out
}

/// Length of a quoted piece with its quotes. A doubled quote begins the next piece, which changes nothing.
fn quoted_len(text: &str, quote: char) -> usize {
    tail(text, 1).find(quote).map_or(text.len(), |end| end.saturating_add(2))
}

/// A bare `?` has the number after the largest so far, as in SQLite.
fn parameter(text: &str, largest: &mut usize, out: &mut String) -> usize {
    let after = tail(text, 1);
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    let number = head(after, digits).parse().unwrap_or_else(|_| largest.saturating_add(1));
    *largest = number.max(*largest);
    // Writing to a String cannot fail.
    let _ = write!(out, "${number}");
    digits.saturating_add(1)
}

/// Copies a word, or passes over the words that are for SQLite alone. Gives how much of the text is done.
fn word(text: &str, out: &mut String) -> usize {
    let (first, after) = split_word(text);
    let (second, after_second) = split_word(after.trim_start());
    let done = |left: &str| text.len().saturating_sub(left.len());
    if first == "NOT" && second == "INDEXED" {
        trim_end(out);
        return done(after_second);
    }
    if first == "INDEXED" && second == "BY" {
        let (_, left) = split_word(after_second.trim_start());
        trim_end(out);
        return done(left);
    }
    if first == "CROSS" && second == "JOIN" {
        out.push_str(second);
        return done(after_second);
    }
    out.push_str(first);
    done(after)
}

/// Whether a sign that comes here stands before a value, not between two.
fn follows_nothing(out: &str) -> bool {
    let before = out.trim_end();
    let (word_begin, _) = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_letter(*c) || c.is_ascii_digit() || *c == '$')
        .last()
        .unwrap_or((before.len(), ' '));
    let last_word = tail(before, word_begin);
    let after_operator = before.ends_with(['(', ',', '=', '<', '>', '-', '+', '*', '/', '|']);
    after_operator || ["AND", "OR", "NOT", "WHERE", "ON", "BY", "SELECT", "WHEN", "THEN"].contains(&last_word)
}

fn begins_word(text: &str) -> bool {
    text.chars().next().is_some_and(is_letter)
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn split_word(text: &str) -> (&str, &str) {
    let len = text.find(|c: char| !is_letter(c) && !c.is_ascii_digit()).unwrap_or(text.len());
    (head(text, len), tail(text, len))
}

fn head(text: &str, len: usize) -> &str {
    text.get(..len).unwrap_or(text)
}

fn tail(text: &str, from: usize) -> &str {
    text.get(from..).unwrap_or_default()
}

fn trim_end(text: &mut String) {
    text.truncate(text.trim_end().len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        let check = |sqlite: &str, postgres: &str| assert_eq!(translate(sqlite), postgres, "{sqlite}");
        check("SELECT 1", "SELECT 1");
        check("SELECT a FROM t WHERE a = ?1 AND b = ?12", "SELECT a FROM t WHERE a = $1 AND b = $12");
        check("a = ? AND b = ? LIMIT ?", "a = $1 AND b = $2 LIMIT $3");
        check("a = ?3 AND b = ? AND c = ?1 AND d = ?", "a = $3 AND b = $4 AND c = $1 AND d = $5");
        check("VALUES (?1, ?2)", "VALUES ($1, $2)");
        check("FROM journal INDEXED BY journal_identity WHERE a", "FROM journal WHERE a");
        check("FROM journal NOT INDEXED WHERE a", "FROM journal WHERE a");
        check("FROM journal NOT INDEXED", "FROM journal");
        check("FROM a INDEXED BY x CROSS JOIN b AS c ON c.d = a.d", "FROM a JOIN b AS c ON c.d = a.d");
        check("AND +rule >= 'identity.' AND +rule < 'x'", "AND rule >= 'identity.' AND rule < 'x'");
        check("version = version + 1, n = n + ?2, (+t.a)", "version = version + 1, n = n + $2, (t.a)");
        check("x +y, -1 +z", "x +y, -1 +z");
        check("text = 'a ? INDEXED BY +b'' ?' AND b = ?", "text = 'a ? INDEXED BY +b'' ?' AND b = $1");
        check("\"a?\" = ?", "\"a?\" = $1");
        check("a IS NOT NULL AND NOT b", "a IS NOT NULL AND NOT b");
        check("a = 'ФН ?' AND ф = ?", "a = 'ФН ?' AND ф = $1");
        check("'unended ?", "'unended ?");
        check("", "");
    }
}
