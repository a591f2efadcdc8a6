//! What a person sees of a run while it trains: `history.jsonl`, the progress bar, and the notes after each epoch.

use std::path::Path;

use tch::Tensor;

use crate::console::units::counted;
use crate::console::{Console, Progress, Table};
use crate::error::Result;
use crate::evaluation::Evaluation;
use crate::training::history::{EvaluationRecord, HistoryWriter, StepRecord};
use crate::training::plan::TrainPlan;
use crate::training::state::{Clock, TrainState, Unlogged};
use crate::training::step::StepSize;
use crate::training::stopping::LossWatch;

/// Follows the steps and epochs of a run.
pub struct TrainLog<'a> {
    history: HistoryWriter,
    console: &'a Console,
    bar: Progress,
    loss_watch: LossWatch,
    window: Window,
    clock: Clock,
    /// What steps are counted in: tokens or images.
    unit: &'static str,
    every: u64,
    peak_rate: f64,
    epochs: usize,
}

impl<'a> TrainLog<'a> {
    /// A new history, or the one of a resumed run without what came after its snapshot.
    pub fn begin(
        run: &Path,
        state: &TrainState,
        plan: &TrainPlan,
        steps: u64,
        unit: &'static str,
        console: &'a Console,
    ) -> Result<Self> {
        let file = run.join("history.jsonl");
        let history =
            if state.step > 0 { HistoryWriter::resume(&file, state.step)? } else { HistoryWriter::create(&file)? };
        Ok(Self {
            history,
            console,
            bar: console.progress("training", Some(steps), "steps").rate_in(unit).starting_at(state.step),
            loss_watch: LossWatch::new(plan.optimizer.learning_rate),
            window: Window { sums: state.unlogged, ..Window::default() },
            clock: Clock::starting_at(state.seconds),
            unit,
            every: plan.log_every.max(1) as u64,
            peak_rate: plan.optimizer.learning_rate,
            epochs: plan.epochs,
        })
    }

    /// A step has been taken at `rate` times the peak rates. Every so many steps this reads the loss from the device
    /// and so waits for it; nothing else in the loop does.
    ///
    /// # Errors
    /// The loss is no longer a number.
    pub fn step(&mut self, state: &TrainState, size: &StepSize, loss: Tensor, norm: Tensor, rate: f64) -> Result<()> {
        self.window.add(size, &loss, norm)?;
        self.bar.advance_with(1, size.tokens);
        if !state.step.is_multiple_of(self.every) {
            return Ok(());
        }
        let means = self.window.take(self.clock.seconds())?;
        self.loss_watch.check(state.step, means.loss)?;
        self.bar.message(format!("loss {:.4}", means.loss));
        self.history.step(StepRecord {
            epoch: state.epoch as u32 + 1,
            step: state.step,
            loss: means.loss,
            lr: self.peak_rate * rate,
            grad_norm: Some(means.norm),
            tokens_per_second: (self.unit == "tokens").then_some(means.tokens_per_second),
            images_per_second: (self.unit == "images").then_some(means.tokens_per_second),
            seconds: self.clock.seconds(),
        })
    }

    /// What of the steps up to now is in no line yet, for a snapshot; reading it waits for the device.
    pub fn unlogged(&self) -> Result<Unlogged> {
        self.window.sums()
    }

    /// The epoch that has just ended was evaluated in so many `seconds`.
    pub fn epoch(&mut self, state: &TrainState, evaluation: &Evaluation, seconds: f64) -> Result<()> {
        let record = EvaluationRecord::new("valid", state.epoch as u32, state.step, evaluation, seconds);
        self.history.evaluation(record)?;
        let summary = evaluation.summary();
        self.console.note(format!("epoch {} of {}: validation {summary}", state.epoch, self.epochs));
        Ok(())
    }

    /// Says that training ends because patience is exhausted, and after how many epochs without improvement.
    pub fn stopped_early(&self, state: &TrainState) {
        let epochs = state.best.epochs_without_improvement();
        self.console.note(format!("no improvement for {}: stopping early", counted(epochs.into(), "epoch")));
    }

    /// Training has ended; `profile` says where the time went, when that was asked for.
    pub fn finish(self, profile: Option<Table>) {
        self.bar.finish();
        if let Some(table) = profile {
            self.console.note(table);
        }
    }
}

/// What has come since the last line of the history.
#[derive(Default)]
struct Window {
    /// That of the loss only until this session's first step.
    sums: Unlogged,
    /// Its sum from then on, kept on the device.
    loss: Option<Tensor>,
    norm: Option<Tensor>,
}

/// What a line of the history says of the steps since the one before.
#[derive(Debug, PartialEq)]
struct Means {
    /// Per example.
    loss: f64,
    /// The gradient's norm in the last step.
    norm: f64,
    tokens_per_second: f64,
}

impl Window {
    /// `loss` is the sum over the step's examples divided by its divisor.
    fn add(&mut self, size: &StepSize, loss: &Tensor, norm: Tensor) -> Result<()> {
        let loss = loss.f_mul_scalar(size.loss_divisor)?;
        self.loss = Some(match self.loss.take() {
            Some(sum) => sum.f_add(&loss)?,
            None if self.sums.examples > 0 => loss.f_full_like(self.sums.loss)?.f_add(&loss)?,
            None => loss,
        });
        self.sums.examples += size.examples as u64;
        self.sums.tokens += size.tokens;
        self.norm = Some(norm);
        Ok(())
    }

    fn sums(&self) -> Result<Unlogged> {
        let loss = self.loss.as_ref().map_or(Ok(self.sums.loss), |sum| sum.f_double_value(&[]))?;
        Ok(Unlogged { loss, ..self.sums })
    }

    /// The means since the last call, and begins a new window. `seconds` is the training time now; that of the last
    /// call is `since`.
    fn take(&mut self, seconds: f64) -> Result<Means> {
        let Unlogged { loss, examples, tokens, since } = self.sums()?;
        let means = Means {
            loss: loss / examples as f64,
            norm: self.norm.as_ref().map_or(Ok(f64::NAN), |norm| norm.f_double_value(&[]))?,
            tokens_per_second: tokens as f64 / (seconds - since).max(1e-9),
        };
        *self = Self { sums: Unlogged { since: seconds, ..Unlogged::default() }, ..Self::default() };
        Ok(means)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_mean_over_examples_not_over_steps() -> Result<()> {
        let mut window = Window { sums: Unlogged { since: 10.0, ..Unlogged::default() }, ..Window::default() };
        // Summed losses 6 of 4 examples and 3 of 2, both divided by a token budget's mean of 3 examples.
        for (examples, loss, norm) in [(4, 2f32, 0.5f32), (2, 1.0, 0.25)] {
            let size = StepSize { examples, tokens: 50, loss_divisor: 3.0 };
            window.add(&size, &Tensor::from(loss), Tensor::from(norm))?;
        }
        assert_eq!(window.take(12.0)?, Means { loss: 1.5, norm: 0.25, tokens_per_second: 50.0 });
        let empty = window.take(13.0)?;
        assert!(empty.loss.is_nan() && empty.tokens_per_second == 0.0);
        Ok(())
    }
}
