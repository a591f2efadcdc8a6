//! Ctrl-C and SIGTERM as a flag that long loops look at when it is safe to stop, so that they can save and say how to
//! continue. And the way to end at once, which a second Ctrl-C and every error take.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// Interrupted, as a shell counts it: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Whether work is going on that looks at the flag.
static LISTENING: AtomicBool = AtomicBool::new(false);
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C (or SIGTERM, or SIGHUP) ends the program with exit status 130, and no destructor runs.
pub fn install() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: `sigaction` is a plain C struct for which zeros are valid, and the handler does only what a signal
        // handler may: it reads and writes atomics and calls `_exit`.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            let asked = libc::sigaction(signal, std::ptr::null(), &raw mut before);
            // `nohup` has the program live on when its terminal is closed.
            if signal == libc::SIGHUP && asked == 0 && before.sa_sigaction == libc::SIG_IGN {
                continue;
            }
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

extern "C" fn on_signal(_: libc::c_int) {
    if !LISTENING.load(Ordering::SeqCst) || REQUESTED.swap(true, Ordering::SeqCst) {
        // SAFETY: the one way to end that a signal handler may take. `exit` would run the destructors of libtorch
        // beside its threads, which crashes.
        unsafe { libc::_exit(INTERRUPTED) }
    }
}

/// From now on the first Ctrl-C only sets the flag, and the second ends the program at once.
pub fn listen() {
    LISTENING.store(true, Ordering::SeqCst);
}

/// Whether the program was asked to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Ends the program with what it has printed written out, and without running destructors: after an error threads may
/// still be computing, and would meet what these take away.
pub fn exit_at_once(status: u8) -> ! {
    // Nothing is left to be told where a stream is closed.
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    // SAFETY: ends the process; nothing of it runs afterwards.
    unsafe { libc::_exit(status.into()) }
}
