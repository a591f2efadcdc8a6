//! Ctrl-C and SIGTERM as a flag that long loops look at when it is safe to stop, so that they can save and say how to
//! continue.

use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C (or SIGTERM, or SIGHUP) sets the flag, and the second ends the program at once.
pub fn listen() {
    // Only one handler can be installed; when there is one already, it stays.
    let _ = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
}

/// Whether the program was asked to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
