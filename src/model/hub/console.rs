//! A download on standard error: a bar while a person watches, one line a file otherwise.

use std::cell::RefCell;
use std::io::{IsTerminal, Write, stderr};

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};

use super::Event;

const BAR: &str = "{msg} {bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
const LENGTH_UNKNOWN: &str = "{msg} {decimal_bytes} {decimal_bytes_per_sec}";

/// What [`super::locate`] reports to; `quiet` shows nothing.
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
