//! The train loop, on one screen: batches of a seeded order, forward, backward, clip, step; after each epoch an evaluation,
//! and the best weights kept.
//!
//! Knows examples by cost and label only; what they are is the example set's and the backbone's affair. Exact resume comes
//! from three things: the order and the dropout are functions of seed and position, the optimizer's state is saved, and
//! nothing else is random.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tch::{Kind, Tensor};

use crate::batch::sampler::{self, BatchSize};
use crate::batch::{Batch, ExampleSet, Prefetcher, View};
use crate::console::Console;
use crate::error::{Error, Result};
use crate::evaluation::Evaluation;
use crate::inference::Rows;
use crate::inference::activations::Activations;
use crate::interrupt;
use crate::model::parameters::Parameter;
use crate::model::{Classifier, DropoutKeys, Pass};
use crate::training::Scope;
use crate::training::history::{EvaluationRecord, HistoryWriter, StepRecord};
use crate::training::loss::{Loss, LossSettings};
use crate::training::mix::Mix;
use crate::training::optimizer::{Adamw, AdamwSettings};
use crate::training::profile::Profile;
use crate::training::schedule::Schedule;
use crate::training::snapshot::{self, BestWeights, Progress, Snapshots};
use crate::training::stopping::{BestEpoch, EpochScore, LossWatch};

/// Everything that decides what training does.
#[derive(Debug, Clone)]
pub struct Plan {
    pub epochs: usize,
    pub batch: BatchSize,
    /// Tokens of one forward and backward pass; a step accumulates as many as it needs.
    pub micro_batch_tokens: usize,
    pub loss: LossSettings,
    pub mix: Mix,
    pub optimizer: AdamwSettings,
    pub schedule: Schedule,
    /// Share of all steps in which the rate rises from 0.
    pub warmup_ratio: f64,
    /// Epochs without improvement after which training stops.
    pub patience: Option<u32>,
    pub seed: u64,
    /// Steps between two lines of the history.
    pub log_every: usize,
    /// The kind that activations are computed in.
    pub compute: Kind,
    /// The configuration's fingerprint, for snapshots.
    pub fingerprint: String,
}

/// What came of it. The classifier holds the best epoch's weights.
pub struct Outcome {
    pub best_epoch: Option<u32>,
    pub epochs: u32,
    pub seconds: f64,
    pub tokens: u64,
    /// The best epoch's score on the validation data, when this session computed it.
    pub valid: Option<Scored>,
}

/// A split's logits, one row an example, and how good they are.
pub struct Scored {
    pub logits: Rows,
    pub evaluation: Evaluation,
}

/// The examples to train on, and the label of each.
pub struct TrainingSet<'a> {
    pub examples: &'a Arc<dyn ExampleSet>,
    pub labels: &'a [u32],
    /// The examples' activations behind the frozen stages, when they are kept.
    pub prefix: Option<&'a Activations>,
}

/// Trains what `scope` names of `classifier`. `evaluate` scores the classifier as it is, on the validation data.
///
/// # Errors
/// Interrupted (the state is saved), diverged, or whatever the disk or libtorch says.
pub fn fit(
    classifier: &Classifier,
    scope: &Scope,
    set: &TrainingSet,
    plan: &Plan,
    evaluate: &dyn Fn() -> Result<Scored>,
    place: Place,
    console: &Console,
) -> Result<Outcome> {
    let Place { run, resume, profile, snapshot_seconds } = place;
    let trained = scope.parameters.as_slice();
    // What training changes: besides the weights the statistics of batch norms.
    let changed: &[&Parameter] = &[trained, &scope.statistics].concat();
    let costs: Vec<usize> = (0..set.examples.len()).map(|index| set.examples.cost(index)).collect();
    let batches_of = |epoch: usize| sampler::training_epoch(&costs, plan.batch, plan.seed, epoch as u64);
    let mut batches = batches_of(0);
    let calendar = Calendar { epochs: plan.epochs as u64, steps_an_epoch: batches.len() as u64 };

    let mut optimizer = Adamw::new(trained.iter().copied(), plan.optimizer)?;
    let snapshots = Snapshots::new(run)?;
    let mut at = begin(&snapshots, changed, &mut optimizer, plan, resume, console)?;
    let history_file = run.join("history.jsonl");
    let mut history = if at.step > 0 {
        HistoryWriter::resume(&history_file, at.step)?
    } else {
        HistoryWriter::create(&history_file)?
    };
    let mut watch = LossWatch::new(plan.optimizer.learning_rate);
    let unit = set.examples.unit();
    let bar =
        console.progress("training", Some(calendar.steps()), "steps").rate_in(set.examples.unit()).starting_at(at.step);
    let loss_of = Loss::new(&plan.loss, classifier.device)?;
    let mut profile = Profile::new(profile);
    let mut clock = Clock::starting_at(at.seconds);
    let mut recent = Recent { since: at.seconds, ..Recent::default() };
    let mut best_score = None;
    // The best weights of this session, and whether a snapshot has them.
    let mut best: Option<BestWeights> = None;
    let mut best_is_saved = true;
    let mut saved_at = clock.seconds();

    while at.epoch < plan.epochs && !at.stopped(plan.patience) {
        if at.epoch > 0 {
            batches = batches_of(at.epoch);
        }
        let steps: Vec<Vec<Vec<usize>>> = batches
            .iter()
            .skip(at.batch)
            .map(|step| sampler::micro_batches(step, &costs, plan.micro_batch_tokens))
            .collect();
        let view = View::Training { epoch: at.epoch as u64 };
        let mut ahead = Prefetcher::of(set.examples, steps.iter().flatten(), view, classifier.device);
        for (micro_batches, step) in steps.iter().zip(batches.iter().skip(at.batch)) {
            let now = calendar.step(at.epoch as u64, at.batch as u64, batches.len() as u64);
            let factor = plan.schedule.factor(now, calendar.steps(), plan.warmup_ratio);
            // A step of a token budget holds many short examples or few long ones. Divided by the mean number, each counts alike.
            let examples = match plan.batch {
                BatchSize::Examples(_) => step.len() as f64,
                BatchSize::Tokens(_) => costs.len() as f64 / batches.len().max(1) as f64,
            };
            let frozen = scope.unfreezing.frozen(now, calendar.steps());
            optimizer.train_behind(frozen)?;
            let (loss, norm) = profile.step(|| -> Result<(Option<Tensor>, Tensor)> {
                let mut loss = None;
                for (index, micro) in micro_batches.iter().enumerate() {
                    let (batch, share) = plan.mix.apply(ahead.next(micro)?, [plan.seed, at.step, index as u64])?;
                    if frozen == 0 {
                        optimizer.read(classifier.backbone.rows_read(&batch)?)?;
                    }
                    let activations = behind(frozen, classifier, &batch, set, plan)?;
                    let dropout = DropoutKeys::new(plan.seed, at.step, index as u64);
                    let pass = Pass { compute: plan.compute, dropout: Some(&dropout) };
                    let logits = classifier.logits_from(frozen, &batch, activations, pass)?;
                    let part = loss_of.of(&logits, &batch, set.labels, examples, share)?;
                    part.f_backward()?;
                    loss = add(loss, part.f_detach()?)?;
                }
                Ok((loss, optimizer.step(factor)?))
            })?;

            let tokens: u64 = step.iter().map(|&index| costs[index] as u64).sum();
            at.batch += 1;
            at.step += 1;
            at.tokens += tokens;
            recent.observe(loss, examples, step.len(), norm, tokens)?;
            bar.advance_with(1, tokens);
            if at.step.is_multiple_of(plan.log_every.max(1) as u64) {
                // The one place that waits for the device.
                let (loss, norm, rate) = recent.take(clock.seconds())?;
                watch.check(at.step, loss)?;
                bar.message(format!("loss {loss:.4}"));
                history.step(StepRecord {
                    epoch: at.epoch as u32 + 1,
                    step: at.step,
                    loss,
                    lr: plan.optimizer.learning_rate * factor,
                    grad_norm: Some(norm),
                    tokens_per_second: (unit == "tokens").then_some(rate),
                    images_per_second: (unit == "images").then_some(rate),
                    seconds: clock.seconds(),
                })?;
            }
            let stop = interrupt::requested();
            if stop || clock.seconds() - saved_at >= snapshot_seconds {
                at.seconds = clock.seconds();
                optimizer.settle()?;
                let unsaved = best.as_ref().filter(|_| !best_is_saved);
                profile.snapshot(|| snapshots.save(&at, changed, &mut optimizer, unsaved))?;
                best_is_saved = true;
                saved_at = clock.seconds();
            }
            if stop {
                return Err(interrupted(&at, plan));
            }
        }

        at.epoch += 1;
        at.batch = 0;
        optimizer.settle()?;
        let began = clock.seconds();
        let scored = match profile.evaluation(evaluate) {
            Err(error) if error.kind() == crate::error::Kind::Interrupted => {
                // The epoch's last step is what is saved; its evaluation is done again on resuming.
                (at.epoch, at.batch) = (at.epoch - 1, batches.len());
                at.seconds = clock.seconds();
                snapshots.save(&at, changed, &mut optimizer, best.as_ref().filter(|_| !best_is_saved))?;
                return Err(interrupted(&at, plan));
            }
            result => result?,
        };
        let evaluation = &scored.evaluation;
        clock.record(&mut at);
        history.evaluation(EvaluationRecord::new("valid", at.epoch as u32, at.step, evaluation, at.seconds - began))?;
        console.note(format!("epoch {} of {}: validation {}", at.epoch, plan.epochs, evaluation.summary()));
        let verdict = at.best.observe(EpochScore::new(at.epoch as u32, evaluation));
        if verdict.improved {
            best = Some(BestWeights::copy_of(changed)?);
            best_is_saved = false;
            best_score = Some(scored);
        }
        if verdict.stop {
            console.note(format!("no improvement for {} epochs: stopping early", at.best.epochs_without_improvement()));
            break;
        }
    }
    bar.finish();
    if at.best.best().is_some_and(|best| (best.epoch as usize) < at.epoch) {
        match &best {
            Some(best) => best.restore(changed)?,
            None => snapshots.restore_best(changed)?,
        }
    }
    if let Some(table) = profile.table(clock.session_seconds()) {
        console.note(table);
    }
    Ok(Outcome {
        best_epoch: at.best.best().map(|best| best.epoch),
        epochs: at.epoch as u32,
        seconds: at.seconds,
        tokens: at.tokens,
        valid: best_score,
    })
}

/// Where training keeps its state.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The run directory.
    pub run: &'a Path,
    /// Whether to go on from the last snapshot there.
    pub resume: bool,
    /// Whether to say where the time went.
    pub profile: bool,
    /// Training time after which the state is saved.
    pub snapshot_seconds: f64,
}

/// The activations behind `frozen` stages that a batch's training begins from: those that are kept, or computed here without
/// dropout and gradients. None when nothing is frozen.
fn behind(
    frozen: usize,
    classifier: &Classifier,
    batch: &Batch,
    set: &TrainingSet,
    plan: &Plan,
) -> Result<Option<Tensor>> {
    match set.prefix.filter(|prefix| prefix.stages == frozen) {
        _ if frozen == 0 => Ok(None),
        Some(prefix) => prefix.of(batch, &**set.examples, classifier, classifier.device).map(Some),
        None => classifier.backbone.run_prefix(frozen, batch, plan.compute).map(Some),
    }
}

/// The steps of a run as the schedule counts them: as many in every epoch as in the first. Epochs of a token budget differ by
/// a few batches, which only their own order tells; within an epoch they are stretched or pressed together to fit.
#[derive(Clone, Copy)]
struct Calendar {
    epochs: u64,
    steps_an_epoch: u64,
}

impl Calendar {
    fn steps(self) -> u64 {
        self.epochs * self.steps_an_epoch
    }

    /// The step at which `batch` of the `batches` of `epoch` is taken.
    fn step(self, epoch: u64, batch: u64, batches: u64) -> u64 {
        epoch * self.steps_an_epoch + batch * self.steps_an_epoch / batches.max(1)
    }
}

fn interrupted(at: &Progress, plan: &Plan) -> Error {
    let epoch = (at.epoch + 1).min(plan.epochs);
    Error::interrupted(format!("after step {} (epoch {epoch} of {}); the state is saved", at.step, plan.epochs))
}

/// The state that training begins from: none, or the last snapshot's.
fn begin(
    snapshots: &Snapshots,
    changed: &[&Parameter],
    optimizer: &mut Adamw,
    plan: &Plan,
    resume: bool,
    console: &Console,
) -> Result<Progress> {
    if resume && let Some((folder, progress)) = snapshots.latest()? {
        if progress.fingerprint != plan.fingerprint {
            return Err(snapshot::of_another_run(&folder));
        }
        snapshots.restore(&folder, changed, optimizer)?;
        console.note(format!("going on after step {} (epoch {})", progress.step, progress.epoch + 1));
        return Ok(progress);
    }
    Ok(Progress {
        epoch: 0,
        batch: 0,
        step: 0,
        tokens: 0,
        seconds: 0.0,
        best: BestEpoch::new(plan.patience),
        fingerprint: plan.fingerprint.clone(),
    })
}

fn add(sum: Option<Tensor>, part: Tensor) -> Result<Option<Tensor>> {
    Ok(Some(match sum {
        Some(sum) => sum.f_add(&part)?,
        None => part,
    }))
}

/// Training time over all sessions of a run.
struct Clock {
    before: f64,
    began: Instant,
}

impl Clock {
    fn starting_at(before: f64) -> Self {
        Self { before, began: Instant::now() }
    }

    fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    /// Of this session alone.
    fn session_seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn record(&mut self, at: &mut Progress) {
        at.seconds = self.seconds();
    }
}

/// Sums since the last line of the history, kept on the device.
#[derive(Default)]
struct Recent {
    loss: Option<Tensor>,
    norm: Option<Tensor>,
    examples: u64,
    tokens: u64,
    since: f64,
}

impl Recent {
    /// `loss` is the step's sum over `step_examples` divided by `divisor`.
    fn observe(
        &mut self,
        loss: Option<Tensor>,
        divisor: f64,
        step_examples: usize,
        norm: Tensor,
        tokens: u64,
    ) -> Result<()> {
        if let Some(loss) = loss {
            self.loss = add(self.loss.take(), loss.f_mul_scalar(divisor)?)?;
        }
        self.examples += step_examples as u64;
        self.norm = Some(norm);
        self.tokens += tokens;
        Ok(())
    }

    /// Mean loss of an example, last gradient norm and tokens a second since the last call.
    fn take(&mut self, seconds: f64) -> Result<(f64, f64, f64)> {
        let number = |tensor: &Option<Tensor>| match tensor {
            Some(tensor) => tensor.f_double_value(&[]),
            None => Ok(f64::NAN),
        };
        let loss = number(&self.loss)? / self.examples.max(1) as f64;
        let norm = number(&self.norm)?;
        let rate = self.tokens as f64 / (seconds - self.since).max(1e-9);
        *self = Self { since: seconds, ..Self::default() };
        Ok((loss, norm, rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_fits_epochs_of_any_length() {
        let calendar = Calendar { epochs: 3, steps_an_epoch: 7 };
        assert_eq!(calendar.steps(), 21);
        // As many batches as in the first epoch: every step counts one.
        assert_eq!((0..7).map(|batch| calendar.step(1, batch, 7)).collect::<Vec<_>>(), (7..14).collect::<Vec<_>>());
        // More or fewer of them stay within the epoch, and nothing goes back.
        for batches in [1, 5, 6, 8, 20] {
            let steps: Vec<u64> = (0..batches).map(|batch| calendar.step(2, batch, batches)).collect();
            assert!(steps.is_sorted() && steps.iter().all(|step| (14..21).contains(step)), "{steps:?}");
        }
        assert_eq!(Calendar { epochs: 0, steps_an_epoch: 0 }.step(0, 0, 0), 0);
    }
}
