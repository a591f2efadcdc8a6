//! What every pretrained body has in common: a chain of stages that can be run from any one to any other.
//!
//! Head replacement, freezing, cached activations and layer-wise rates follow from this trait alone, for text and images
//! alike. How a stage computes is each backbone's own affair.

use std::cell::Cell;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::parameters::Parameter;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::native;
use crate::random::Random;

/// How a sequence of token vectors becomes one feature vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The first token's vector (`[CLS]`).
    Cls,
    /// The mean over the sequence's tokens.
    Mean,
}

/// How a forward pass computes: in which precision, and whether dropout is drawn.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The kind that matrix products and activations are computed in; parameters may be kept wider.
    pub compute: Kind,
    /// Present in training, absent in evaluation.
    pub dropout: Option<&'a DropoutKeys>,
}

impl Pass<'_> {
    /// Evaluation: no dropout, fixed statistics.
    pub fn evaluation(compute: Kind) -> Self {
        Self { compute, dropout: None }
    }
}

/// A fresh key for each dropout of a step: the n-th call of step s always draws the same, whatever was computed before, so
/// an interrupted run goes on with the same bits.
pub struct DropoutKeys {
    step: u64,
    calls: Cell<u64>,
}

impl DropoutKeys {
    /// Keys for one micro-batch, named by `seed`, optimizer step and position in the step.
    pub fn new(seed: u64, step: u64, micro_batch: u64) -> Self {
        Self { step: Random::of(&[seed, step, micro_batch]).next_u64(), calls: Cell::new(0) }
    }

    /// The next key.
    pub fn next(&self) -> u64 {
        let call = self.calls.get();
        self.calls.set(call + 1);
        self.step.wrapping_add(call)
    }

    /// Dropout with probability `p`; the tensor itself when there is nothing to drop.
    pub fn apply(keys: Option<&Self>, x: Tensor, p: f64) -> Result<Tensor> {
        match keys {
            Some(keys) if p > 0.0 => native::dropout(&x, p, keys.next()),
            _ => Ok(x),
        }
    }

    /// What a kernel that drops by itself needs: probability `p` with the next key.
    pub fn drop(keys: Option<&Self>, p: f64) -> native::Drop {
        match keys {
            Some(keys) if p > 0.0 => native::Drop { p, key: keys.next() },
            _ => native::Drop::default(),
        }
    }
}

/// A pretrained body as a chain of stages. Stage 0 reads the batch, every later one the activations of the one before.
pub trait Backbone {
    /// The family, as `config.json` calls it (`bert`, `resnet`, …).
    fn family(&self) -> &str;

    /// Its sizes and settings, as text: with the weights they decide what it computes in evaluation mode.
    fn settings(&self) -> String;

    /// The stages' names, in order.
    fn stages(&self) -> &[String];

    /// The width of a feature vector.
    fn feature_width(&self) -> i64;

    /// Every parameter, with the stage that it belongs to.
    fn parameters(&self) -> &[Parameter];

    /// What training changes without a gradient (running means and variances of batch norms), with the stage that it belongs to.
    /// Frozen stages leave theirs alone.
    fn statistics(&self) -> &[Parameter] {
        &[]
    }

    /// The width of a pooled vector behind stage `stage`.
    fn stage_width(&self, _stage: usize) -> i64 {
        self.feature_width()
    }

    /// The width of a row of [`to_rows`](Self::to_rows) behind `stages` stages.
    fn row_width(&self, _stages: usize) -> i64 {
        self.feature_width()
    }

    /// Activations behind some stage as rows, which a cache keeps: as many an example as it costs, in the batch's order.
    fn to_rows(&self, activations: Tensor) -> Result<Tensor> {
        Ok(activations)
    }

    /// The activations behind `stages` stages again.
    fn from_rows(&self, _stages: usize, rows: Tensor) -> Result<Tensor> {
        Ok(rows)
    }

    /// Says how large the images are that it will read, on which the width of its rows depends.
    ///
    /// # Errors
    /// They are too small for it.
    fn set_image_size(&mut self, _height: i64, _width: i64) -> Result<()> {
        Ok(())
    }

    /// The adapters' parameters, while there are adapters.
    fn adapters(&self) -> &[Parameter] {
        &[]
    }

    /// Says that the first `stages` stages are not trained from now on, and all others may be, so that evaluation in `compute` can be made
    /// faster.
    fn fix(&mut self, _stages: usize, _compute: Kind) -> Result<()> {
        Ok(())
    }

    /// Gives the projections of every stage an adapter of `rank`, drawn by `seed`: what is computed stays the same until the
    /// adapters are trained.
    ///
    /// # Errors
    /// A backbone that has no projections, or whose code is not ours.
    fn adapt(&mut self, _rank: i64, _seed: u64) -> Result<()> {
        Err(Error::request(format!("`lora`: a `{}` has no projections to adapt", self.family()))
            .key("strategy.name")
            .hint("take another strategy: `rehead train --help` lists them"))
    }

    /// Adds what the adapters have learned to the weights and takes the adapters away.
    fn merge_adapters(&mut self) -> Result<()> {
        Ok(())
    }

    /// The rows of the table among its parameters ([`Parameter::table`]) that a batch reads; some may come twice.
    fn rows_read(&self, _batch: &Batch) -> Result<Vec<i64>> {
        Ok(Vec::new())
    }

    /// Runs `stages` on a batch. `activations` are those at the start of the range; `None` when the range starts at 0.
    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor>;

    /// Runs the first `stages` stages in evaluation mode, so that the bits of an example do not depend on how many share its batch.
    fn run_prefix(&self, stages: usize, batch: &Batch, compute: Kind) -> Result<Tensor> {
        tch::no_grad(|| self.run(0..stages, batch, None, Pass::evaluation(compute)))
    }

    /// From a stage's activations to one vector an example, `[N, stage_width]`; behind the last stage that is the feature vector.
    fn pool(&self, activations: &Tensor, batch: &Batch, pooling: Pooling) -> Result<Tensor>;

    /// Runs from stage `from` to the end and pools. Backbones that can skip what pooling never reads override this.
    fn features(
        &self,
        from: usize,
        batch: &Batch,
        activations: Option<Tensor>,
        pooling: Pooling,
        pass: Pass,
    ) -> Result<Tensor> {
        let activations = self.run(from..self.stages().len(), batch, activations, pass)?;
        self.pool(&activations, batch, pooling)
    }
}
