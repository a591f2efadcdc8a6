//! What a person sees of a run while it trains: `history.jsonl`, the progress bar, and the notes after each epoch.

use std::path::Path;

use tch::Tensor;

use crate::console::units::counted;
use crate::console::{Console, Progress, Table};
use crate::error::Result;
use crate::evaluation::Evaluation;
use crate::training::collapse::{self, Collapse, LossWatch};
use crate::training::history::{EvaluationRecord, HistoryWriter, StepRecord};
use crate::training::plan::TrainPlan;
use crate::training::state::{Clock, SummedLoss, TrainState, Unlogged};
use crate::training::step::StepSize;
use crate::training::stopping::EndReason;

/// Follows the steps and epochs of a run.
pub struct TrainLog<'a> {
    history: HistoryWriter,
    console: &'a Console,
    bar: Progress,
    loss_watch: LossWatch,
    window: Window,
    /// Of the running epoch.
    epoch_loss: LossSum,
    /// The gradient's norm in the last step.
    norm: Option<Tensor>,
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
        let history = match &state.restart {
            None if state.step == 0 => HistoryWriter::create(&file)?,
            restart => HistoryWriter::resume(&file, restart.as_ref(), state.step)?,
        };
        Ok(Self {
            history,
            console,
            bar: console.progress("training", Some(steps), "steps").rate_in(unit).starting_at(state.step),
            loss_watch: LossWatch::default(),
            window: Window::starting_at(state.unlogged),
            epoch_loss: LossSum::starting_at(state.epoch_loss),
            norm: None,
            clock: Clock::starting_at(state.seconds),
            unit,
            every: plan.log_every.max(1) as u64,
            peak_rate: plan.optimizer.learning_rate,
            epochs: plan.epochs,
        })
    }

    /// A step has been taken at `rate` times the peak rates. Every so many steps this reads the loss from the device
    /// and so waits for it; between two epochs nothing else does. `Some` where the loss is no longer a number.
    pub fn step(
        &mut self,
        state: &TrainState,
        size: &StepSize,
        (loss, norm): (Tensor, Tensor),
        rate: f64,
    ) -> Result<Option<Collapse>> {
        let loss = loss.f_mul_scalar(size.loss_divisor)?;
        self.window.add(size, &loss)?;
        self.epoch_loss.add(&loss, size.examples)?;
        self.bar.advance_with(1, size.tokens);
        if !state.step.is_multiple_of(self.every) {
            self.norm = Some(norm);
            return Ok(None);
        }
        let means = self.window.take(self.clock.seconds())?;
        let collapse = self.loss_watch.check(state.step, means.loss);
        if collapse.is_some() {
            return Ok(collapse);
        }
        self.bar.message(format!("loss {:.4}", means.loss));
        self.history.step(StepRecord {
            epoch: state.epoch as u32 + 1,
            step: state.step,
            loss: means.loss,
            lr: self.peak_rate * rate,
            grad_norm: Some(norm.f_double_value(&[])?),
            tokens_per_second: (self.unit == "tokens").then_some(means.tokens_per_second),
            images_per_second: (self.unit == "images").then_some(means.tokens_per_second),
            seconds: self.clock.seconds(),
        })?;
        self.norm = Some(norm);
        Ok(None)
    }

    /// Puts the sums up to now into the state, for a snapshot; reading them waits for the device.
    pub fn save_sums(&self, state: &mut TrainState) -> Result<()> {
        state.unlogged = self.window.sums()?;
        state.epoch_loss = self.epoch_loss.sum()?;
        Ok(())
    }

    /// The mean training loss of the epoch whose steps have all been taken, or the collapse that it shows. A step whose
    /// gradient is no number has spoilt the weights, though its loss was one.
    pub fn epoch_loss(&mut self, state: &TrainState) -> Result<std::result::Result<f64, Collapse>> {
        let loss = self.epoch_loss.sum()?.mean();
        let norm = self.norm.as_ref().map_or(Ok(0.0), |norm| norm.f_double_value(&[]))?;
        let seen = if norm.is_nan() { norm } else { loss };
        Ok(self.loss_watch.check(state.step, seen).map_or(Ok(loss), Err))
    }

    /// An epoch has ended, and was evaluated in so many `seconds`, where it was.
    pub fn epoch(&mut self, state: &TrainState, evaluation: Option<&Evaluation>, seconds: f64) -> Result<()> {
        self.epoch_loss = LossSum::default();
        let Some(evaluation) = evaluation else { return Ok(()) };
        let record = EvaluationRecord::new("valid", state.epoch as u32, state.step, evaluation, seconds);
        self.history.evaluation(record)?;
        let summary = evaluation.summary();
        self.console.note(format!("epoch {} of {}: validation {summary}", state.epoch, self.epochs));
        Ok(())
    }

    /// Training has ended, and why is said if it was early; `profile` says where the time went, when that was asked
    /// for.
    pub fn finish(self, state: &TrainState, reason: EndReason, profile: Option<Table>) {
        self.bar.finish();
        match reason {
            EndReason::AllEpochs => {}
            EndReason::NoImprovement => {
                let epochs = counted(state.best.epochs_without_improvement().into(), "epoch");
                self.console.note(format!("no improvement for {epochs}: stopping early"));
            }
            EndReason::Fitted => self.console.note("the training rows are learned: stopping early"),
            EndReason::Collapsed => self.console.warn(format!(
                "training collapsed again, at --lr {}: the network gives every row the same answer. A lower --lr may \
                 help",
                collapse::shown(self.peak_rate)
            )),
        }
        if let Some(table) = profile {
            self.console.note(table);
        }
    }
}

/// A loss summed on the device.
#[derive(Default)]
struct LossSum {
    /// That of the session before until this session's first step; the examples of both.
    earlier: SummedLoss,
    /// The sum from then on.
    sum: Option<Tensor>,
}

impl LossSum {
    /// Continues a sum of an earlier session.
    fn starting_at(earlier: SummedLoss) -> Self {
        Self { earlier, sum: None }
    }

    /// Adds the summed loss of so many examples.
    fn add(&mut self, loss: &Tensor, examples: usize) -> Result<()> {
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum.f_add(loss)?,
            None if self.earlier.examples > 0 => loss.f_full_like(self.earlier.sum)?.f_add(loss)?,
            None => loss.shallow_clone(),
        });
        self.earlier.examples += examples as u64;
        Ok(())
    }

    fn sum(&self) -> Result<SummedLoss> {
        let sum = self.sum.as_ref().map_or(Ok(self.earlier.sum), |sum| sum.f_double_value(&[]))?;
        Ok(SummedLoss { sum, ..self.earlier })
    }
}

/// What has come since the last line of the history.
#[derive(Default)]
struct Window {
    loss: LossSum,
    tokens: u64,
    since: f64,
}

/// What a line of the history says of the steps since the one before.
#[derive(Debug, PartialEq)]
struct Means {
    /// Per example.
    loss: f64,
    tokens_per_second: f64,
}

impl Window {
    /// Continues a window of an earlier session.
    fn starting_at(Unlogged { loss, tokens, since }: Unlogged) -> Self {
        Self { loss: LossSum::starting_at(loss), tokens, since }
    }

    /// `loss` is the sum over the step's examples.
    fn add(&mut self, size: &StepSize, loss: &Tensor) -> Result<()> {
        self.tokens += size.tokens;
        self.loss.add(loss, size.examples)
    }

    fn sums(&self) -> Result<Unlogged> {
        Ok(Unlogged { loss: self.loss.sum()?, tokens: self.tokens, since: self.since })
    }

    /// The means since the last call, and begins a new window. `seconds` is the training time now; that of the last
    /// call is `since`.
    fn take(&mut self, seconds: f64) -> Result<Means> {
        let Unlogged { loss, tokens, since } = self.sums()?;
        *self = Self { since: seconds, ..Self::default() };
        Ok(Means { loss: loss.mean(), tokens_per_second: tokens as f64 / (seconds - since).max(1e-9) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_mean_over_examples_not_over_steps() -> Result<()> {
        let mut window = Window { since: 10.0, ..Window::default() };
        for (examples, loss) in [(4, 6f32), (2, 3.0)] {
            let size = StepSize { examples, tokens: 50, loss_divisor: 3.0 };
            window.add(&size, &Tensor::from(loss))?;
        }
        assert_eq!(window.take(12.0)?, Means { loss: 1.5, tokens_per_second: 50.0 });
        let empty = window.take(13.0)?;
        assert!(empty.loss.is_nan() && empty.tokens_per_second == 0.0);
        Ok(())
    }

    #[test]
    fn a_sum_that_is_saved_and_continued_is_the_sum() -> Result<()> {
        let (mut whole, mut before) = (LossSum::default(), LossSum::default());
        for loss in [0.1f32, 0.7] {
            whole.add(&Tensor::from(loss), 2)?;
            before.add(&Tensor::from(loss), 2)?;
        }
        let mut after = LossSum::starting_at(before.sum()?);
        whole.add(&Tensor::from(0.3f32), 1)?;
        after.add(&Tensor::from(0.3f32), 1)?;
        assert_eq!(whole.sum()?, after.sum()?);
        assert_eq!(after.sum()?.examples, 5);
        Ok(())
    }
}
