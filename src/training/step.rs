//! One optimizer step: its examples in micro-batches, and the gradients of its loss.
//!
//! [`GradientPass::accumulate`] and the optimizer's step are what a captured graph of a step would replace. Whatever
//! differs between steps is therefore a value in [`Step`] or [`MicroBatch`]. The learning rate, the loss divisor and
//! the dropout keys are plain numbers today, which the kernels take by value; in a captured graph they would be
//! tensors on the device, written before each replay.

use tch::Tensor;

use crate::batch::{Batch, Prefetcher};
use crate::error::{Error, Result};
use crate::model::{Classifier, DropoutKeys, Pass};
use crate::training::optimizer::Adamw;
use crate::training::plan::{TrainPlan, TrainingSet};
use crate::training::schedule::SchedulePosition;

/// How much a step holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSize {
    /// Over all micro-batches of the step.
    pub examples: usize,
    /// Tokens for text, images for images.
    pub tokens: u64,
    /// What the summed loss is divided by.
    pub loss_divisor: f64,
}

/// One optimizer step, whose batches are loaded when they are asked for.
pub struct Step<'a> {
    /// Steps taken before this one: it names the step's random draws.
    pub number: u64,
    /// That of the run, the same in every step.
    pub seed: u64,
    /// Decides the learning rate.
    pub position: SchedulePosition,
    /// Stages of the backbone that are frozen in this step.
    pub frozen: usize,
    /// Over all micro-batches of the step.
    pub size: StepSize,
    pub(super) micro_batches: std::slice::Iter<'a, Vec<usize>>,
    pub(super) prefetcher: &'a mut Prefetcher,
    pub(super) taken: u64,
}

/// What one forward and backward pass reads.
pub struct MicroBatch {
    /// On the network's device, not yet mixed.
    pub batch: Batch,
    /// Seed, step and position in the step: equal keys, equal random draws (mixing, dropout).
    pub key: [u64; 3],
}

impl Step<'_> {
    /// The next micro-batch on the device, waiting for it where it is still being loaded.
    pub fn next_batch(&mut self) -> Result<Option<MicroBatch>> {
        let Some(examples) = self.micro_batches.next() else { return Ok(None) };
        let key = [self.seed, self.number, self.taken];
        self.taken += 1;
        Ok(Some(MicroBatch { batch: self.prefetcher.next(examples)?, key }))
    }
}

/// Forward and backward passes of a run, with what is the same in every step.
pub struct GradientPass<'a> {
    classifier: &'a Classifier,
    set: &'a TrainingSet<'a>,
    plan: &'a TrainPlan,
}

impl<'a> GradientPass<'a> {
    /// Gradients of `set`'s loss with respect to `classifier`, computed as `plan` says.
    pub fn new(classifier: &'a Classifier, set: &'a TrainingSet<'a>, plan: &'a TrainPlan) -> Self {
        Self { classifier, set, plan }
    }

    /// Adds the gradients of the step's loss to the parameters' and returns the loss, one number on the device. The
    /// optimizer is asked for nothing but the current values of the table rows that a batch reads.
    pub fn accumulate(&self, step: &mut Step, optimizer: &mut Adamw) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        while let Some(MicroBatch { batch, key }) = step.next_batch()? {
            let (batch, lambda) = self.plan.mix.apply(batch, key)?;
            if step.frozen == 0 {
                optimizer.catch_up(self.classifier.backbone.rows_read(&batch)?)?;
            }
            let loss = self.backward(step, &batch, key, lambda)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&loss)?,
                None => loss,
            });
        }
        sum.ok_or_else(|| Error::failure("a training step without examples"))
    }

    /// One forward and backward pass. Returns the micro-batch's part of the step's loss.
    fn backward(&self, step: &Step, batch: &Batch, [seed, number, position]: [u64; 3], lambda: f64) -> Result<Tensor> {
        let activations = self.after_frozen(step.frozen, batch)?;
        let dropout = DropoutKeys::new(seed, number, position);
        let pass = Pass { compute: self.plan.compute, dropout: Some(&dropout) };
        let logits = self.classifier.logits_from(step.frozen, batch, activations, pass)?;
        let loss = self.set.loss.of(&logits, batch, self.set.targets, step.size.loss_divisor, lambda)?;
        loss.f_backward()?;
        Ok(loss.f_detach()?)
    }

    /// The activations after `frozen` stages, from which the batch's pass begins: cached ones, or computed here without
    /// dropout and gradients. None when nothing is frozen.
    fn after_frozen(&self, frozen: usize, batch: &Batch) -> Result<Option<Tensor>> {
        let classifier = self.classifier;
        match self.set.lower_layers.filter(|cached| cached.stages == frozen) {
            _ if frozen == 0 => Ok(None),
            Some(cached) => cached.of(batch, &**self.set.examples, classifier, classifier.device).map(Some),
            None => classifier.backbone.run_frozen(frozen, batch, self.plan.compute).map(Some),
        }
    }
}
