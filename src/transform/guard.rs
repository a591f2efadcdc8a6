//! The last wall around the `tokenizers` crate, which panics on some tokenizers that make no sense: a panic becomes a
//! value, and nobody sees how.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside [`guarded`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`; if it panics, says why in its words. What `work` changes must not be used after that.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let shown = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                shown(panic);
            }
        }));
    });
    let before = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    done.map_err(|panic| message(&*panic))
}

/// The first line of what a panic says; the rest is for the crate's authors.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let line = text.and_then(|text| text.lines().next()).unwrap_or("no reason given");
    match line.contains(ENDLESS) {
        true => plainly(line),
        false => format!("the `tokenizers` library fails on it ({line})"),
    }
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
        assert_eq!(guarded(|| -> u8 { panic!("constant") }), Err(failed("constant")));
        assert!(!GUARDED.get());
    }
}
