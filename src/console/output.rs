//! Lines on standard error: notes, titles, warnings and errors, above the bars that are being drawn.

use std::collections::HashSet;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

use crate::error::{Error, ErrorKind};

/// A handle on standard error; clones share it and never mix their lines.
#[derive(Clone)]
pub struct Console {
    mode: Mode,
    colours: bool,
    output: Arc<Mutex<Output>>,
    /// Of a brief console: the warnings that it has given.
    given: Option<Arc<Mutex<HashSet<String>>>>,
    /// What warnings are about, when they could be about several things.
    about: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Quiet,
    Terminal,
    Log,
}

/// Where lines go. While bars are drawn, indicatif must print the lines itself, above them.
struct Output {
    writer: Box<dyn Write + Send>,
    bars: MultiProgress,
    drawn: usize,
}

/// ANSI codes.
const BOLD: &str = "1";
const YELLOW: &str = "33";
const RED: &str = "31";

impl Console {
    /// Standard error as it is: a terminal or a log, or quiet when that was asked for.
    pub fn new(quiet: bool) -> Self {
        let able = io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let mode = match (quiet, able) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Terminal,
            (false, false) => Mode::Log,
        };
        let colours = able && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self::with(mode, colours, Box::new(io::stderr()))
    }

    /// A log to `writer` in place of standard error, for tests.
    pub fn to(writer: Box<dyn Write + Send>) -> Self {
        Self::with(Mode::Log, false, writer)
    }

    fn with(mode: Mode, colours: bool, writer: Box<dyn Write + Send>) -> Self {
        let target = if mode == Mode::Terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let output = Output { writer, bars: MultiProgress::with_draw_target(target), drawn: 0 };
        Self { mode, colours, output: Arc::new(Mutex::new(output)), given: None, about: None }
    }

    /// The same console for one of many like runs: bars are drawn, notes left out, and each warning is given once.
    pub fn brief(&self) -> Self {
        Self { given: Some(Arc::default()), ..self.clone() }
    }

    /// The same console with a name before its warnings: that of a run among several.
    pub fn about(&self, run: impl Display) -> Self {
        Self { about: Some(plain(run)), ..self.clone() }
    }

    fn has_notes(&self) -> bool {
        self.mode != Mode::Quiet && self.given.is_none()
    }

    /// Whether only warnings and errors are shown.
    pub fn is_quiet(&self) -> bool {
        self.mode == Mode::Quiet
    }

    /// Whether a person looks at a terminal, which shows bars and colours.
    pub fn is_terminal(&self) -> bool {
        self.mode == Mode::Terminal
    }

    /// A fact on the way.
    pub fn note(&self, text: impl Display) {
        if self.has_notes() {
            self.line(&plain(text));
        }
    }

    /// The title of a part of the run.
    pub fn section(&self, title: impl Display) {
        let title = self.coloured(BOLD, &plain(title));
        match self.mode {
            _ if !self.has_notes() => {}
            Mode::Quiet => {}
            Mode::Terminal => self.line(&format!("\n{title}")),
            Mode::Log => self.line(&title),
        }
    }

    /// The last line of a run: what came out and where it is.
    pub fn summary(&self, text: impl Display) {
        if self.has_notes() {
            self.line(&self.coloured(BOLD, &plain(text)));
        }
    }

    /// Something that the person should know before trusting the result; shown when quiet too.
    pub fn warn(&self, text: impl Display) {
        let text = plain(text);
        if let Some(given) = &self.given
            && !given.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone())
        {
            return;
        }
        let about = self.about.as_ref().map_or(String::new(), |run| format!("{run}: "));
        self.line(&format!("{} {about}{text}", self.coloured(YELLOW, "warning:")));
    }

    /// The error that ends the run, with its hint; shown when quiet too. A closed pipe is a normal end and says
    /// nothing.
    pub fn error(&self, error: &Error) {
        let title = match error.kind() {
            ErrorKind::ClosedPipe => return,
            ErrorKind::Interrupted => self.coloured(YELLOW, "interrupted:"),
            ErrorKind::Request | ErrorKind::Failure => self.coloured(RED, "error:"),
        };
        let hint = error.hint_text().map_or_else(String::new, |hint| format!("\n  hint: {}", plain(hint)));
        self.line(&format!("{title} {}{hint}", plain(error)));
    }

    /// Draws `bar` below the lines, until it is given to [`Console::remove_bar`]. `None` where no bars are drawn:
    /// quiet, or a log.
    pub(super) fn add_bar(&self, bar: impl FnOnce() -> ProgressBar) -> Option<ProgressBar> {
        if self.mode != Mode::Terminal {
            return None;
        }
        let mut output = self.locked();
        output.drawn += 1;
        let bar = output.bars.add(bar());
        bar.tick();
        Some(bar)
    }

    pub(super) fn remove_bar(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        let mut output = self.locked();
        output.bars.remove(bar);
        output.drawn = output.drawn.saturating_sub(1);
    }

    fn line(&self, text: &str) {
        let mut output = self.locked();
        if output.drawn > 0 {
            let _ = output.bars.println(text);
        } else {
            // In one piece, so that lines of several processes stay whole.
            let _ = output.writer.write_all(format!("{text}\n").as_bytes());
            let _ = output.writer.flush();
        }
    }

    fn coloured(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn locked(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Text from files may hold control characters, which must not steer the terminal, and characters that turn round the
/// order of what follows them.
pub fn plain(text: impl Display) -> String {
    let visible = |char: char| match char {
        '\n' | '\t' => char,
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        _ if char.is_control() => '\u{FFFD}',
        _ => char,
    };
    text.to_string().chars().map(visible).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    #[derive(Clone, Default)]
    pub struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        pub fn lines(&self) -> Vec<String> {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    pub fn logged(mode: Mode) -> (Console, Log) {
        let log = Log::default();
        (Console::with(mode, false, Box::new(log.clone())), log)
    }

    #[test]
    fn a_log_gets_plain_lines() {
        let (console, log) = logged(Mode::Log);
        console.section("data");
        console.note("6,920 rows");
        console.warn("a label \x1b[31mis red");
        console.error(&Error::request("no such column").file("a.csv").hint("the columns are `x`"));
        console.error(&Error::io(io::ErrorKind::BrokenPipe.into(), "-"));
        console.summary("done");
        let lines = log.lines();
        #[rustfmt::skip]
        assert_eq!(lines, ["data", "6,920 rows", "warning: a label \u{FFFD}[31mis red", "error: a.csv: no such column",
            "  hint: the columns are `x`", "done"]);
    }

    #[test]
    fn quiet_keeps_warnings_and_errors() {
        let (console, log) = logged(Mode::Quiet);
        console.section("data");
        console.note("6,920 rows");
        console.warn("few rows");
        console.error(&Error::interrupted("the state is saved"));
        console.summary("done");
        assert_eq!(log.lines(), ["warning: few rows", "interrupted: the state is saved"]);
    }

    #[test]
    fn a_brief_console_gives_each_warning_once_and_no_notes() {
        let (console, log) = logged(Mode::Log);
        let brief = console.brief();
        for seed in 1..=2 {
            let of_run = brief.about(format!("seed {seed}"));
            of_run.section("data");
            of_run.note("6,920 rows");
            of_run.warn("few rows");
            console.note(format!("run {seed}"));
        }
        assert_eq!(log.lines(), ["warning: seed 1: few rows", "run 1", "run 2"]);
    }

    #[test]
    fn what_cannot_be_written_is_dropped() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let console = Console::to(Box::new(Closed));
        console.note("nobody hears");
    }
}
