//! How far a long task is: a bar with rate and time left on a terminal, a plain line now and then in a log.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{Console, plain};
use super::units;

impl Console {
    /// Begins to show a task of `total` units (`None`: not known), such as `("training", Some(650), "steps")`.
    pub fn progress(&self, task: impl Into<String>, total: Option<u64>, unit: &'static str) -> Progress {
        let task = task.into();
        let bar = self.add_bar(|| task_bar(&task, total));
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
}

fn task_bar(task: &str, total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{prefix} [{bar:14}] {human_pos}/{human_len} {wide_msg}",
        None => "{prefix} {spinner} {human_pos} {wide_msg}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden())
        .with_style(style.progress_chars("=> "))
        .with_prefix(plain(task))
}

/// A task in progress: a bar on a terminal; in a log a line every 10 seconds at first, later fewer; nothing when quiet.
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

/// Rates and the time left are measured over this long: steady, and still quick to show a change.
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
        if self.console.is_quiet() {
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
            _ => self.counted(state.position),
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

    /// `1 step`, `650 steps`.
    fn counted(&self, units: u64) -> String {
        units::counted(units, self.unit.strip_suffix('s').unwrap_or(self.unit))
    }

    /// `training: 650 steps in 1 min 23 s, 6,943 tokens/s, loss 0.412`.
    fn last_line(&self, now: Instant) -> String {
        let state = self.locked();
        let time = now.saturating_duration_since(state.began.time);
        let done = self.counted(state.position.saturating_sub(state.began.position));
        let mut line = format!("{}: {done} in {}", self.task, units::duration(time));
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
    use super::super::output::Mode;
    use super::super::output::tests::logged;
    use super::*;

    #[test]
    fn a_quiet_console_shows_no_progress() {
        let (console, log) = logged(Mode::Quiet);
        let progress = console.progress("training", Some(2), "steps");
        progress.advance(2);
        progress.finish();
        assert!(log.lines().is_empty());
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
}
