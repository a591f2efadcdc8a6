//! A download on standard error: a bar while a person watches, one line a file otherwise.

use std::cell::RefCell;
use std::io::{IsTerminal, Write, stderr};

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};

/// What happens while a model is fetched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// Something the person should know, for instance that the copy in the cache is used because the hub is silent.
    Note(&'a str),
    /// A file's download begins, or begins anew after a break; `present` bytes of it are here already.
    Start { file: &'a str, total: Option<u64>, present: u64 },
    /// `bytes` more have arrived.
    Advance { bytes: u64 },
    /// The file is complete and verified.
    Done { file: &'a str, received: u64, seconds: f64 },
}

const BAR: &str = "{msg} {bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
const LENGTH_UNKNOWN: &str = "{msg} {decimal_bytes} {decimal_bytes_per_sec}";

/// What [`crate::hub::locate`] reports to; `quiet` shows nothing.
pub fn console(quiet: bool) -> impl Fn(Event<'_>) {
    let watched = stderr().is_terminal();
    let bar: RefCell<Option<ProgressBar>> = RefCell::new(None);
    // Without standard error there is nobody to tell: a failed write is no reason to stop.
    let tell = |line: String| drop(writeln!(stderr(), "{line}"));
    move |event| {
        if quiet {
            return;
        }
        match event {
            Event::Note(note) => tell(note.to_owned()),
            Event::Start { file, total, present } if watched => {
                let (new, template) = match total {
                    Some(total) => (ProgressBar::new(total), BAR),
                    None => (ProgressBar::no_length(), LENGTH_UNKNOWN),
                };
                let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
                let new = new.with_style(style).with_message(file.to_owned()).with_position(present);
                // The bar of an earlier try goes, and clears its line.
                bar.replace(Some(new));
            }
            Event::Start { .. } => {}
            Event::Advance { bytes } => {
                if let Some(bar) = bar.borrow().as_ref() {
                    bar.inc(bytes);
                }
            }
            Event::Done { file, received, seconds } => {
                bar.replace(None);
                let rate = DecimalBytes((received as f64 / seconds.max(1e-3)) as u64);
                tell(format!("{file}: {} in {seconds:.1} s ({rate}/s)", DecimalBytes(received)));
            }
        }
    }
}
