//! The last wall around the `tokenizers` crate, which panics on some tokenizers that make no sense: what it says, in
//! words for people.

use crate::error::caught;

/// Does `work`; if it panics, says why in its words. What `work` changes must not be used after that.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    caught(work).map_err(|line| match line.contains(ENDLESS) {
        true => plainly(&line),
        false => format!("the `tokenizers` library fails on it ({line})"),
    })
}

/// How the library of patterns says that it gives one up.
const ENDLESS: &str = "retry-limit";

/// An error of the crate for people: one `error` in `WordPiece error: Missing [UNK] token` is enough.
pub fn plainly(why: &str) -> String {
    match why.contains(ENDLESS) {
        true => "a pattern in the tokenizer's file needs endless time for it".to_owned(),
        false => why.rsplit("error: ").next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_value() {
        let failed = |why: &str| format!("the `tokenizers` library fails on it ({why})");
        assert_eq!(guarded(|| 3), Ok(3));
        assert_eq!(guarded(|| -> u8 { panic!("no such {}\nbacktrace", "token") }), Err(failed("no such token")));
    }
}
