//! A wall around libraries that read files of strangers: where one of them panics, the file is damaged, and that is an
//! error like any other.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;

use crate::error::{Error, Result};

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, which reads `file`. A panic becomes an error about the file and is not printed.
///
/// # Errors
/// That of `work`, and a request error where it panics.
pub fn guarded<T>(file: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_GUARDED.get() {
                usual(panic);
            }
        }));
    });
    IS_GUARDED.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(false);
    done.unwrap_or_else(|_| Err(Error::request("the file is damaged: its parts contradict each other").file(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_about_the_file() {
        let error = guarded(Path::new("x.xlsx"), || -> Result<()> { panic!("index out of bounds") }).unwrap_err();
        assert_eq!(error.to_string(), "x.xlsx: the file is damaged: its parts contradict each other");
        assert_eq!(guarded(Path::new("x.xlsx"), || Ok(1)).unwrap(), 1);
    }
}
