//! The last wall around the `tokenizers` crate, which panics on some tokenizers that make no sense, and needs endless
//! time for the patterns of others: what it says, in words for people.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::Duration;

use tokenizers::{NormalizedString, Normalizer, PreTokenizedString, PreTokenizer, Tokenizer};

use crate::error::caught;

/// Does `work`; if it panics, says why in its words. What `work` changes must not be used after that.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static LIMIT: Once = Once::new();
    LIMIT.call_once(|| allow_retries(MOST_RETRIES));
    caught(work).map_err(|line| match line.contains(ENDLESS) {
        true => plainly(&line),
        false => format!("the `tokenizers` library fails on it ({line})"),
    })
}

/// How often a pattern may go back and try otherwise while it looks for its next match in a text: a second or so, and
/// far from what real patterns need of texts of many megabytes. The library itself limits each place of the text (to
/// half), of which a long text has many.
const MOST_RETRIES: std::ffi::c_ulong = 20_000_000;

fn allow_retries(most: std::ffi::c_ulong) {
    // SAFETY: the function sets one number of the library's; patterns read it whenever they begin a search.
    unsafe { onig_sys::onig_set_retry_limit_in_search(most) };
}

/// How long tokenising may take, in ticks, so that a program that was stopped for an hour has one tick less.
const TICK: Duration = Duration::from_millis(100);
/// Five seconds for any text, and
const FEWEST_TICKS: usize = 50;
/// a twentieth of a second for a kilobyte, of which tokenizers on slow machines read a thousand in that time.
const BYTES_PER_TICK: usize = 2000;

/// How many works have used up their time.
static OUT_OF_TIME: Mutex<usize> = Mutex::new(0);

/// Does `work`, the tokenising of so many bytes. A pattern may find its next place within [`MOST_RETRIES`] and yet need
/// them at each place of a text; so when the time is over, no search may go back any more, and [`guarded`] calls of
/// `work` fail.
pub fn in_bounded_time<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = channel::<()>();
    let watch = move || {
        let is_over = || is_done.recv_timeout(TICK) == Err(RecvTimeoutError::Disconnected);
        if (0..FEWEST_TICKS + bytes / BYTES_PER_TICK).any(|_| is_over()) {
            return;
        }
        let set = |count: &dyn Fn(usize) -> usize| {
            let mut works = OUT_OF_TIME.lock().unwrap_or_else(PoisonError::into_inner);
            *works = count(*works);
            allow_retries(if *works == 0 { MOST_RETRIES } else { 1 });
        };
        set(&|works| works + 1);
        let _ = is_done.recv();
        set(&|works| works - 1);
    };
    // Without a thread there is no limit.
    let watching = thread::Builder::new().spawn(watch);
    let result = work();
    drop(done);
    let _ = watching.map(thread::JoinHandle::join);
    result
}

/// Whether a work that has not ended has used up its time.
fn is_out_of_time() -> bool {
    *OUT_OF_TIME.lock().unwrap_or_else(PoisonError::into_inner) > 0
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

/// The key of `tokenizer.json` that fails on one of the texts, where there is time to find it.
pub fn failing_part(tokenizer: &Tokenizer, texts: &[&str]) -> Option<&'static str> {
    if is_out_of_time() {
        return None;
    }
    let (normalizer, pre_tokenizer) = (tokenizer.get_normalizer(), tokenizer.get_pre_tokenizer());
    let normalizes =
        |text: &str| normalizer.is_none_or(|step| step.normalize(&mut NormalizedString::from(text)).is_ok());
    let splits =
        |text: &str| pre_tokenizer.is_none_or(|step| step.pre_tokenize(&mut PreTokenizedString::from(text)).is_ok());
    let works = |step: &dyn Fn(&str) -> bool| texts.iter().all(|text| guarded(|| step(text)) == Ok(true));
    let part = match (works(&normalizes), works(&splits)) {
        (false, _) => Some("normalizer"),
        (true, false) => Some("pre_tokenizer"),
        (true, true) => None,
    };
    part.filter(|_| !is_out_of_time())
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
