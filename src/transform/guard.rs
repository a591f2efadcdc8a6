//! The last wall around the `tokenizers` crate, which panics on some tokenizers that make no sense: what it says, in
//! words for people.

use std::sync::Once;

use tokenizers::{NormalizedString, Normalizer, PreTokenizedString, PreTokenizer, Tokenizer};

use crate::error::caught;

/// Does `work`; if it panics, says why in its words. What `work` changes must not be used after that.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static LIMIT: Once = Once::new();
    LIMIT.call_once(|| {
        // SAFETY: the function sets one number of the library's; patterns read it whenever they begin a search.
        unsafe { onig_sys::onig_set_retry_limit_in_search(MOST_RETRIES) };
    });
    caught(work).map_err(|line| match line.contains(ENDLESS) {
        true => plainly(&line),
        false => format!("the `tokenizers` library fails on it ({line})"),
    })
}

/// How often a pattern may go back and try otherwise while it looks for its next match in a text: a second or so, and
/// far from what real patterns need of texts of many megabytes. The library itself limits each place of the text (to
/// half), of which a long text has many.
const MOST_RETRIES: std::ffi::c_ulong = 20_000_000;

/// How the library of patterns says that it gives one up.
const ENDLESS: &str = "retry-limit";

/// An error of the crate for people: one `error` in `WordPiece error: Missing [UNK] token` is enough.
pub fn plainly(why: &str) -> String {
    match why.contains(ENDLESS) {
        true => "a pattern in the tokenizer's file needs endless time for it".to_owned(),
        false => why.rsplit("error: ").next().unwrap_or_default().to_owned(),
    }
}

/// The key of `tokenizer.json` that fails on one of the texts.
pub fn failing_part(tokenizer: &Tokenizer, texts: &[&str]) -> Option<&'static str> {
    let (normalizer, pre_tokenizer) = (tokenizer.get_normalizer(), tokenizer.get_pre_tokenizer());
    let normalizes =
        |text: &str| normalizer.is_none_or(|step| step.normalize(&mut NormalizedString::from(text)).is_ok());
    let splits =
        |text: &str| pre_tokenizer.is_none_or(|step| step.pre_tokenize(&mut PreTokenizedString::from(text)).is_ok());
    let works = |step: &dyn Fn(&str) -> bool| texts.iter().all(|text| guarded(|| step(text)) == Ok(true));
    if !works(&normalizes) {
        return Some("normalizer");
    }
    (!works(&splits)).then_some("pre_tokenizer")
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
