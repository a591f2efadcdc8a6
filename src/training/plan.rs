//! What a training run is given and what it returns: data and settings, as plain values. The settings' defaults and
//! their reasons are the strategies' business.

use std::path::Path;
use std::sync::Arc;

use tch::Kind;

use crate::batch::ExampleSet;
use crate::batch::sampler::BatchSize;
use crate::config::{KeepBest, Patience, Schedule};
use crate::error::Result;
use crate::inference::activations::Activations;
use crate::task::{Evaluated, Loss, LossBounds, LossSettings, Targets};
use crate::training::collapse::Restart;
use crate::training::mix::Mix;
use crate::training::optimizer::AdamwSettings;
use crate::training::reduce::Reduce;
use crate::training::schedule::SchedulePosition;
use crate::training::stopping::Ended;

/// Every setting that decides the result of training.
#[derive(Debug, Clone)]
pub struct TrainPlan {
    /// Passes over the training data; patience may end them sooner.
    pub epochs: usize,
    /// Examples, or tokens, of one optimizer step.
    pub batch: BatchSize,
    /// Tokens (or images) of one forward and backward pass; a step accumulates as many passes as it needs.
    pub micro_batch_tokens: usize,
    /// Label smoothing and class weights.
    pub loss: LossSettings,
    /// Mixup and CutMix; without effect on texts.
    pub mix: Mix,
    /// Peak rates and their decay by layer, weight decay, clipping.
    pub optimizer: AdamwSettings,
    /// How the rates change after the warm-up.
    pub schedule: Schedule,
    /// Share of all steps in which the rate rises from 0.
    pub warmup_ratio: f64,
    /// When training ends before the last of these epochs.
    pub patience: Patience,
    /// The validation score by which the best epoch is chosen.
    pub keep_best: KeepBest,
    /// Decides, with the position in the run, the order of examples, augmentation, mixing and dropout.
    pub seed: u64,
    /// Steps between two lines of the history.
    pub log_every: usize,
    /// The kind that activations are computed in.
    pub compute: Kind,
    /// The configuration's fingerprint, for snapshots.
    pub fingerprint: String,
}

impl TrainPlan {
    /// The learning rate at a position of the schedule, as a share of the peak rates.
    pub fn rate(&self, position: SchedulePosition) -> f64 {
        self.schedule.factor(position.step, position.total, self.warmup_ratio)
    }

    /// Whether training ends when the training rows are learned. That can be seen by a plain loss alone: mixed images
    /// are never learned, and the focal loss is low long before.
    pub fn ends_when_fitted(&self) -> bool {
        self.patience == Patience::Auto && self.mix.is_none() && self.loss.focal_gamma.is_none()
    }

    /// The plan of a run that was begun again, or still this one.
    pub fn after(&self, restart: Option<&Restart>) -> Self {
        let optimizer = if restart.is_some() { Restart::lower(self.optimizer) } else { self.optimizer };
        Self { optimizer, ..self.clone() }
    }
}

/// The examples to train on, their right answers, and the loss that compares the logits with these.
pub struct TrainingSet<'a> {
    /// Shared with the thread that loads batches ahead.
    pub examples: &'a Arc<dyn ExampleSet>,
    /// In the order of `examples`.
    pub targets: &'a Targets,
    /// On the classifier's device.
    pub loss: &'a Loss,
    /// What its mean over all examples can be.
    pub bounds: LossBounds,
    /// The examples' activations after the frozen stages, when they are cached.
    pub lower_layers: Option<&'a Activations>,
}

/// What the train loop asks of its caller.
#[derive(Clone, Copy)]
pub struct Calls<'a> {
    /// Ends training.
    pub ending: Ending<'a>,
    /// Puts the weights back with which the run began, the head's included.
    pub rewind: &'a dyn Fn() -> Result<()>,
}

/// Where a run keeps its files, what devices it has, and what this session does beside training. None of it is among
/// the settings that decide the result.
#[derive(Clone, Copy)]
pub struct FitOptions<'a> {
    /// The run directory.
    pub run: &'a Path,
    /// Adds up the gradients of the devices that share a step.
    pub reduce: &'a dyn Reduce,
    /// Whether to continue from the last snapshot there.
    pub resume: bool,
    /// Whether to say where the time went.
    pub profile: bool,
    /// Seconds of training after which the state is saved.
    pub snapshot_seconds: f64,
    /// How many of the newest snapshots are kept.
    pub kept_snapshots: usize,
}

/// What ends training and which weights it leaves.
#[derive(Clone, Copy)]
pub enum Ending<'a> {
    /// Every epoch is scored on validation data by this, which is told its number from 1. The best one's weights are
    /// kept; training ends with the plan's epochs, or when patience is exhausted.
    Judged(&'a dyn Fn(usize) -> Result<Evaluated>),
    /// So many epochs of the plan's schedule are trained, and the last weights kept.
    After(u32),
}

impl Ending<'_> {
    /// The most epochs that are trained.
    pub fn epochs(self, plan: &TrainPlan) -> usize {
        match self {
            Self::Judged(_) => plan.epochs,
            Self::After(epochs) => plan.epochs.min(epochs as usize),
        }
    }
}

/// What training returns. The classifier holds the weights that are kept.
pub struct Outcome {
    /// From 1; None when no epoch had finite scores.
    pub best_epoch: Option<u32>,
    /// Epochs trained: fewer than asked for after early stopping.
    pub epochs: u32,
    /// Training time up to the end of the last evaluation, validation included, over all sessions of the run.
    pub seconds: f64,
    /// Tokens (or images) trained on, every epoch's, over all sessions of the run.
    pub tokens: u64,
    /// The best epoch's scores on the validation data, when this session computed them.
    pub valid: Option<Evaluated>,
    /// How the run was begun again, if its training had collapsed.
    pub restart: Option<Restart>,
    /// Why training ended where it did.
    pub ended: Ended,
}
