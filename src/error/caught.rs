//! A wall around libraries that panic on files of strangers: a panic becomes a value, and nobody sees how. What it
//! means is for those to say who call the library.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside [`caught`].
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`. What `work` changes must not be used after a panic.
///
/// # Errors
/// Where it panics: the first line of what the panic says.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_CAUGHT.get() {
                usual(panic);
            }
        }));
    });
    let before = IS_CAUGHT.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_CAUGHT.set(before);
    done.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        text.and_then(|text| text.lines().next()).unwrap_or("no reason given").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_value() {
        assert_eq!(caught(|| 3), Ok(3));
        assert_eq!(caught(|| -> u8 { panic!("no such {}\nbacktrace", "token") }), Err("no such token".to_owned()));
        assert_eq!(caught(|| -> u8 { panic!("constant") }), Err("constant".to_owned()));
        assert!(!IS_CAUGHT.get());
    }
}
