//! Everything that people see on standard error, in one place: notes, sections, warnings, errors and progress.
//!
//! Three ways of speaking: on a terminal, with a moving bar (and colours, unless NO_COLOR is set); in a log, with a
//! plain line now and then; quiet, with warnings and errors only. Standard output is never touched. What cannot be
//! written (standard error closed, terminal gone) is dropped in silence: a run does not die of its commentary.

pub mod download;
pub mod table;
pub mod units;

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use self::table::{Column, Table};

use crate::error::{Error, Kind};

/// A handle on standard error; clones speak through the same one and never mix their lines.
#[derive(Clone)]
pub struct Console {
    mode: Mode,
    colours: bool,
    output: Arc<Mutex<Output>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
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
        Self { mode, colours, output: Arc::new(Mutex::new(output)) }
    }

    /// Whether only warnings and errors are shown.
    pub fn is_quiet(&self) -> bool {
        self.mode == Mode::Quiet
    }

    /// A fact on the way.
    pub fn note(&self, text: impl Display) {
        if self.mode != Mode::Quiet {
            self.line(&plain(text));
        }
    }

    /// The title of a part of the run.
    pub fn section(&self, title: impl Display) {
        let title = self.coloured(BOLD, &plain(title));
        match self.mode {
            Mode::Quiet => {}
            Mode::Terminal => self.line(&format!("\n{title}")),
            Mode::Log => self.line(&title),
        }
    }

    /// The last line of a run: what came out and where it is.
    pub fn summary(&self, text: impl Display) {
        if self.mode != Mode::Quiet {
            self.line(&self.coloured(BOLD, &plain(text)));
        }
    }

    /// Something that the person should know before trusting the result; shown when quiet too.
    pub fn warn(&self, text: impl Display) {
        self.line(&format!("{} {}", self.coloured(YELLOW, "warning:"), plain(text)));
    }

    /// The error that ends the run, with its hint; shown when quiet too. A closed pipe is a normal end and says
    /// nothing.
    pub fn error(&self, error: &Error) {
        let title = match error.kind() {
            Kind::ClosedPipe => return,
            Kind::Interrupted => self.coloured(YELLOW, "interrupted:"),
            Kind::Request | Kind::Failure => self.coloured(RED, "error:"),
        };
        let hint = error.hint_text().map_or_else(String::new, |hint| format!("\n  hint: {}", plain(hint)));
        self.line(&format!("{title} {}{hint}", plain(error)));
    }

    /// Begins to show a task of `total` units (`None`: not known), such as `("training", Some(650), "steps")`.
    pub fn progress(&self, task: impl Into<String>, total: Option<u64>, unit: &'static str) -> Progress {
        let task = task.into();
        let bar = (self.mode == Mode::Terminal).then(|| self.draw_bar(&task, total));
        let now = Instant::now();
        let state = State {
            position: 0,
            work: 0,
            began: Sample { time: now, position: 0, work: 0 },
            recent: VecDeque::new(),
            message: String::new(),
            shown: now,
        };
        Progress { console: self.clone(), task, total, unit, rate_unit: None, bar, state: Mutex::new(state) }
    }

    fn draw_bar(&self, task: &str, total: Option<u64>) -> ProgressBar {
        let mut output = self.locked();
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => "{prefix} [{bar:14}] {human_pos}/{human_len} {wide_msg}",
            None => "{prefix} {spinner} {human_pos} {wide_msg}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(plain(task));
        output.drawn += 1;
        let bar = output.bars.add(bar);
        bar.tick();
        bar
    }

    fn remove_bar(&self, bar: &ProgressBar) {
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

/// Text from files may hold control characters, which must not steer the terminal.
fn plain(text: impl Display) -> String {
    let visible = |char: char| {
        if char.is_control() && char != '\n' && char != '\t' { '\u{FFFD}' } else { char }
    };
    text.to_string().chars().map(visible).collect()
}

/// A task under way: a bar on a terminal, in a log a line every 10 seconds at first and more rarely later, quiet
/// nothing.
///
/// May be shared between threads. Dropped without [`Progress::finish`] (an error rose), it leaves no line.
pub struct Progress {
    console: Console,
    task: String,
    total: Option<u64>,
    unit: &'static str,
    rate_unit: Option<&'static str>,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    position: u64,
    work: u64,
    began: Sample,
    /// At least [`SAMPLE_EVERY`] apart and about [`RECENT`] back.
    recent: VecDeque<Sample>,
    message: String,
    /// When a line or message was last shown.
    shown: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    time: Instant,
    position: u64,
    work: u64,
}

/// Rates and the time left are those of so long a past: steady, but not blind to a change.
const RECENT: Duration = Duration::from_secs(30);
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
const REDRAW_EVERY: Duration = Duration::from_millis(100);

impl Progress {
    /// Shows the rate in another unit than the position, such as `tokens`; see [`Progress::advance_with`].
    pub fn rate_in(mut self, unit: &'static str) -> Self {
        self.rate_unit = Some(unit);
        self
    }

    /// Begins at `position`, for a task resumed: what was done before does not count for the rate.
    pub fn starting_at(self, position: u64) -> Self {
        {
            let mut state = self.locked();
            state.position = position;
            state.began.position = position;
        }
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
        self
    }

    /// `units` more are done.
    pub fn advance(&self, units: u64) {
        self.advance_at(units, units, Instant::now());
    }

    /// `units` more are done, which took `work` in the rate's unit (steps and tokens, say).
    pub fn advance_with(&self, units: u64, work: u64) {
        self.advance_at(units, work, Instant::now());
    }

    /// What else to show, such as `loss 0.412`.
    pub fn message(&self, message: impl Into<String>) {
        self.locked().message = plain(message.into());
    }

    /// The task is done: one line says how much in what time.
    pub fn finish(self) {
        self.finish_at(Instant::now());
    }

    fn finish_at(mut self, now: Instant) {
        if let Some(bar) = self.bar.take() {
            self.console.remove_bar(&bar);
        }
        let line = self.last_line(now);
        self.console.note(line);
    }

    fn advance_at(&self, units: u64, work: u64, now: Instant) {
        if self.console.mode == Mode::Quiet {
            return;
        }
        let mut state = self.locked();
        state.position = state.position.saturating_add(units);
        state.work = state.work.saturating_add(work);
        state.sample(now);
        let pause = now.saturating_duration_since(state.shown);
        if let Some(bar) = &self.bar {
            bar.set_position(state.position);
            if pause >= REDRAW_EVERY {
                state.shown = now;
                // What a narrow terminal cuts off should be the rate, not the loss.
                let facts: Vec<String> = self.facts(&state, now).into_iter().rev().collect();
                bar.set_message(facts.join(", "));
            }
        } else if pause >= line_every(now.saturating_duration_since(state.began.time)) {
            state.shown = now;
            let line = self.line(&state, now);
            drop(state);
            self.console.note(line);
        }
    }

    /// `training: 120 of 650 steps (18 %), 6,943 tokens/s, 1 min 12 s left, loss 0.412`.
    fn line(&self, state: &State, now: Instant) -> String {
        let position = units::count(state.position);
        let done = match self.total {
            Some(total) if total > 0 => {
                let percent = u128::from(state.position) * 100 / u128::from(total);
                format!("{position} of {} {} ({} %)", units::count(total), self.unit, percent.min(100))
            }
            _ => format!("{position} {}", self.unit),
        };
        let facts = std::iter::once(done).chain(self.facts(state, now));
        format!("{}: {}", self.task, facts.collect::<Vec<_>>().join(", "))
    }

    /// Rate, time left and message, as far as they are known.
    fn facts(&self, state: &State, now: Instant) -> Vec<String> {
        let mut facts = Vec::new();
        let since = state.recent.front().unwrap_or(&state.began);
        let seconds = now.saturating_duration_since(since.time).as_secs_f64();
        if seconds >= SAMPLE_EVERY.as_secs_f64() {
            let work = state.work.saturating_sub(since.work) as f64;
            facts.push(units::rate(work / seconds, self.rate_unit.unwrap_or(self.unit)));
            let steps = state.position.saturating_sub(since.position) as f64;
            if let Some(total) = self.total
                && steps > 0.0
            {
                let left = (total.saturating_sub(state.position) as f64 * seconds / steps).ceil();
                // An estimate has no tenths of a second.
                facts.push(if left < 60.0 {
                    format!("{left} s left")
                } else {
                    format!("{} left", units::seconds(left))
                });
            }
        }
        if !state.message.is_empty() {
            facts.push(state.message.clone());
        }
        facts
    }

    /// `training: 650 steps in 1 min 23 s, 6,943 tokens/s, loss 0.412`.
    fn last_line(&self, now: Instant) -> String {
        let state = self.locked();
        let time = now.saturating_duration_since(state.began.time);
        let steps = units::count(state.position.saturating_sub(state.began.position));
        let mut line = format!("{}: {steps} {} in {}", self.task, self.unit, units::duration(time));
        if time >= Duration::from_millis(1) && state.work > 0 {
            let rate = state.work as f64 / time.as_secs_f64();
            line.push_str(&format!(", {}", units::rate(rate, self.rate_unit.unwrap_or(self.unit))));
        }
        if !state.message.is_empty() {
            line.push_str(&format!(", {}", state.message));
        }
        line
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            self.console.remove_bar(&bar);
        }
    }
}

impl State {
    fn sample(&mut self, now: Instant) {
        let last = self.recent.back().unwrap_or(&self.began).time;
        if self.recent.is_empty() {
            self.recent.push_back(self.began);
        }
        if now.saturating_duration_since(last) >= SAMPLE_EVERY {
            self.recent.push_back(Sample { time: now, position: self.position, work: self.work });
        }
        // The second sample is old enough to stand for the past, so the first may go.
        while self.recent.get(1).is_some_and(|sample| now.saturating_duration_since(sample.time) >= RECENT) {
            self.recent.pop_front();
        }
    }
}

/// How long a log waits for its next line: an hour's run should not fill pages.
fn line_every(elapsed: Duration) -> Duration {
    Duration::from_secs(match elapsed.as_secs() {
        0..120 => 10,
        120..1200 => 30,
        _ => 60,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn lines(&self) -> Vec<String> {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    fn logged(mode: Mode) -> (Console, Log) {
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
        let progress = console.progress("training", Some(2), "steps");
        progress.advance(2);
        progress.finish();
        assert_eq!(log.lines(), ["warning: few rows", "interrupted: the state is saved"]);
    }

    #[test]
    fn a_log_shows_progress_every_ten_seconds_and_at_the_end() {
        let (console, log) = logged(Mode::Log);
        let progress = console.progress("training", Some(650), "steps").rate_in("tokens").starting_at(100);
        let began = progress.locked().began.time;
        progress.message("loss 0.412");
        for second in 1..=25 {
            progress.advance_at(10, 5000, began + Duration::from_secs(second));
        }
        progress.finish_at(began + Duration::from_secs(25));
        #[rustfmt::skip]
        assert_eq!(log.lines(), [
            "training: 200 of 650 steps (30 %), 5,000 tokens/s, 45 s left, loss 0.412",
            "training: 300 of 650 steps (46 %), 5,000 tokens/s, 35 s left, loss 0.412",
            "training: 250 steps in 25 s, 5,000 tokens/s, loss 0.412",
        ]);
    }

    #[test]
    fn the_rate_is_that_of_the_last_half_minute() {
        let (console, log) = logged(Mode::Log);
        let progress = console.progress("labelling", None, "rows");
        let began = progress.locked().began.time;
        for second in 1..=100 {
            progress.advance_at(if second <= 50 { 1000 } else { 200 }, 1, began + Duration::from_secs(second));
        }
        let state = progress.locked();
        assert!(state.recent.len() <= 62, "{}", state.recent.len());
        drop(state);
        assert_eq!(log.lines().last().unwrap(), "labelling: 60,000 rows, 1.0 rows/s");
        assert_eq!(log.lines().len(), 10);
    }

    #[test]
    fn an_abandoned_task_leaves_no_line_and_odd_totals_do_no_harm() {
        let (console, log) = logged(Mode::Log);
        let progress = console.progress("x", Some(0), "steps");
        let began = progress.locked().began.time;
        progress.advance_at(u64::MAX, u64::MAX, began + Duration::from_secs(10));
        progress.advance_at(u64::MAX, u64::MAX, began);
        drop(progress);
        assert_eq!(log.lines().len(), 1);
        assert!(log.lines()[0].starts_with("x: 18,446,744,073,709,551,615 steps, "));
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
        console.progress("x", None, "steps").finish();
    }
}
