//! Ctrl-C and SIGTERM as a question that long loops ask at safe points, so that they can save and say how to go on.

use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C (or SIGTERM, or SIGHUP) is remembered, and the second ends the program at once.
pub fn listen() {
    // A second handler cannot be installed; the first goes on serving then.
    let _ = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
}

/// Whether the person wants the program to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
