//! The download of a model: a bar for the present file on a terminal, and a line for each file that is complete.

use std::cell::RefCell;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{Console, plain};
use super::units;

/// What happens while a model is fetched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DownloadEvent<'a> {
    /// Something the person should know, such as that the copy in the cache is used because the hub does not answer.
    Note(&'a str),
    /// A file's download begins, or begins again after an interruption.
    Start {
        /// Its name in the repository.
        file: &'a str,
        /// Its size in bytes; `None` when the server does not say.
        total: Option<u64>,
        /// Bytes of it that are here already.
        present: u64,
    },
    /// A part of the present file has arrived.
    Advance {
        /// Bytes since the event before.
        bytes: u64,
    },
    /// The file is complete and verified.
    Done {
        /// Its name in the repository.
        file: &'a str,
        /// Bytes that came over the network, without those of an earlier try.
        received: u64,
        /// How long they took.
        seconds: f64,
    },
}

impl Console {
    /// Shows a download: what [`crate::hub::locate`] reports to.
    pub fn download(&self) -> impl Fn(DownloadEvent<'_>) + use<> {
        let console = self.clone();
        let bar: RefCell<Option<ProgressBar>> = RefCell::new(None);
        move |event| match event {
            DownloadEvent::Note(note) => console.note(note),
            DownloadEvent::Start { file, total, present } => {
                let next = console.add_bar(|| file_bar(file, total, present));
                // The bar of an earlier try goes, and clears its line.
                bar.replace(next).inspect(|earlier| console.remove_bar(earlier));
            }
            DownloadEvent::Advance { bytes } => {
                if let Some(bar) = bar.borrow().as_ref() {
                    bar.inc(bytes);
                }
            }
            DownloadEvent::Done { file, received, seconds } => {
                bar.take().inspect(|finished| console.remove_bar(finished));
                let rate = units::bytes((received as f64 / seconds.max(1e-3)) as u64);
                let time = units::duration(Duration::from_secs_f64(seconds.max(0.0)));
                console.note(format!("{file}: {} in {time} ({rate}/s)", units::bytes(received)));
            }
        }
    }
}

fn file_bar(file: &str, total: Option<u64>, present: u64) -> ProgressBar {
    let template = match total {
        Some(_) => "{msg} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
        None => "{msg} {binary_bytes} {binary_bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden())
        .with_style(style)
        .with_message(plain(file))
        .with_position(present)
}

#[cfg(test)]
mod tests {
    use super::super::output::Mode;
    use super::super::output::tests::logged;
    use super::*;

    #[test]
    fn a_log_has_a_line_for_each_file() {
        let (console, log) = logged(Mode::Log);
        let report = console.download();
        report(DownloadEvent::Note("waiting"));
        report(DownloadEvent::Start { file: "model.safetensors", total: Some(1 << 20), present: 0 });
        report(DownloadEvent::Advance { bytes: 1 << 20 });
        report(DownloadEvent::Done { file: "model.safetensors", received: 1 << 20, seconds: 2.0 });
        assert_eq!(log.lines(), ["waiting", "model.safetensors: 1.0 MiB in 2.0 s (512.0 KiB/s)"]);
    }
}
