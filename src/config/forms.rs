//! Settings that are one of several words: how messages list the words, and name the one that was meant.

use crate::error::nearest;

/// A setting that is one of several words, or of a few forms such as `last:N`.
pub trait Forms {
    /// All of them, as messages and help list them.
    const FORMS: &'static [&'static str];
}

/// `` `a`, `b` or `c` ``.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
        _ => quoted.concat(),
    }
}

/// What is expected instead of `text`.
pub(super) fn unknown_word(text: &str, words: &[&str]) -> String {
    match nearest(text, words.iter().copied()) {
        Some(word) => format!("expected {}; did you mean `{word}`?", one_of(words)),
        None => format!("expected {}", one_of(words)),
    }
}
