//! What every pretrained network has in common: a chain of stages that can be run from any one to any other.
//!
//! Head replacement, freezing, cached activations, layer-wise rates and LoRA follow from this trait alone, for text and
//! images alike. How a stage computes is each backbone's own affair.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::layers::Linear;
use super::layout::Layout;
use super::parameter::{Parameter, Role};
use super::pass::{Pass, Pooling};
use crate::batch::{Batch, Inputs};
use crate::error::{Error, Result};

/// What a backbone is, without its weights.
#[derive(Debug, Clone)]
pub struct Description {
    /// The family's name (`bert`, `resnet`, …).
    pub family: &'static str,
    /// Sizes and settings as text: with the weights they decide what the backbone computes in evaluation.
    pub settings: String,
    /// The stages' names, in order.
    pub stages: Vec<String>,
    /// By stage: the width of a pooled vector after it. After the last stage that is the feature vector.
    pub widths: Vec<i64>,
}

/// A linear layer that LoRA can adapt.
pub struct AdaptableLinear<'a> {
    /// The layer itself, which keeps the adapters.
    pub linear: &'a mut Linear,
    /// The stored names of the layers that it is made of, without `.weight`, and how many of the outputs each gives, in
    /// their order. Each gets an adapter of its own.
    pub parts: Vec<(String, i64)>,
    /// The stage that it is in.
    pub stage: usize,
}

/// A pretrained network as a chain of stages. Stage 0 reads the batch, every later one the activations of the one
/// before.
///
/// [`description`](Self::description), [`parameters`](Self::parameters), [`layout`](Self::layout) and
/// [`run`](Self::run) make a backbone. The other methods are for what some can do besides.
pub trait Backbone {
    /// What it is: family, settings, stages.
    fn description(&self) -> &Description;

    /// Every parameter with its stage and role, in an order that is the same at every load: sums over parameters (the
    /// norm of a gradient) depend on it in their last digits. Adapters are not among them: those belong to the
    /// classifier.
    fn parameters(&self) -> &[Parameter];

    /// The layout of activations after `stages` stages. Of images that depends on their size, so
    /// [`set_image_size`](Self::set_image_size) comes first.
    fn layout(&self, stages: usize) -> Layout;

    /// Runs `stages` on a batch. `activations` are those at the start of the range; `None` when the range starts at 0.
    ///
    /// # Errors
    /// A stage that is not there, or activations that are missing.
    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor>;

    /// Runs the first `stages` stages in evaluation mode, so that the bits of an example do not depend on how many
    /// share its batch.
    fn run_frozen(&self, stages: usize, batch: &Batch, compute: Kind) -> Result<Tensor> {
        tch::no_grad(|| self.run(0..stages, batch, None, Pass::evaluation(compute)))
    }

    /// Runs from stage `from` to the end and pools: the feature vectors, `[N, feature width]`. Backbones that can skip
    /// what pooling never reads override this.
    fn features(
        &self,
        from: usize,
        batch: &Batch,
        activations: Option<Tensor>,
        pooling: Pooling,
        pass: Pass,
    ) -> Result<Tensor> {
        let stages = self.description().stages.len();
        let activations = self.run(from..stages, batch, activations, pass)?;
        self.layout(stages).pool(&activations, batch, pooling)
    }

    /// Says that the first `stages` stages are not trained from now on and all others may be, so that evaluation can be
    /// made faster. What a backbone derives from frozen weights it derives again if they change all the same.
    ///
    /// # Errors
    /// A tensor cannot be told that it needs no gradient.
    fn freeze(&mut self, _stages: usize) -> Result<()> {
        Ok(())
    }

    /// Says how large the images are that it will read.
    ///
    /// # Errors
    /// They are too small for it.
    fn set_image_size(&mut self, _height: i64, _width: i64) -> Result<()> {
        Ok(())
    }

    /// Whether training keeps the scores of all pairs of a text's tokens: memory that grows with the square of its
    /// length.
    fn keeps_scores(&self) -> bool {
        false
    }

    /// The linear layers that low-rank adapters may be added to, stage by stage.
    ///
    /// # Errors
    /// A backbone that has none, or whose code is not ours.
    fn linears_mut(&mut self) -> Result<Vec<AdaptableLinear<'_>>> {
        Err(Error::request(format!("`lora`: a `{}` has no linear layers to adapt", self.description().family))
            .key("strategy.name")
            .hint("use another strategy: `rehead train --help` lists them"))
    }
}

/// Images that [`run_in_parts`] runs at once.
const PART: i64 = 16;

/// [`Backbone::run_frozen`] in parts of a fixed number of images on the CPU, for kernels that differ in the last digits
/// with that number.
///
/// # Errors
/// As [`Backbone::run`].
pub fn run_in_parts(backbone: &dyn Backbone, stages: usize, batch: &Batch, compute: Kind) -> Result<Tensor> {
    let pixels = batch.inputs.pixels()?;
    let run = |pixels: Tensor| {
        let part = Batch { examples: Vec::new(), inputs: Inputs::Pixels(pixels) };
        tch::no_grad(|| backbone.run(0..stages, &part, None, Pass::evaluation(compute)))
    };
    if pixels.device() != Device::Cpu {
        return run(pixels.shallow_clone());
    }
    let images = pixels.size().first().copied().unwrap_or(0);
    let mut parts = Vec::new();
    for start in (0..images).step_by(PART as usize) {
        let count = PART.min(images - start);
        let part = pixels.f_narrow(0, start, count)?;
        let filled = part.f_constant_pad_nd([0, 0, 0, 0, 0, 0, 0, PART - count])?;
        parts.push(run(filled)?.f_narrow(0, 0, count)?);
    }
    Ok(Tensor::f_cat(&parts, 0)?)
}

/// The error of [`Backbone::run`] where there is no stage `stage`.
pub fn no_such_stage(stage: usize) -> Error {
    Error::failure(format!("the backbone has no stage {stage}"))
}

/// The error of [`Backbone::run`] where it begins at `stage` without the activations before it.
pub fn without_activations(stage: usize) -> Error {
    Error::failure(format!("stage {stage} needs activations to start from"))
}

/// What follows from the trait for every backbone.
impl dyn Backbone {
    /// The family's name.
    pub fn family(&self) -> &str {
        self.description().family
    }

    /// The stages' names, in order.
    pub fn stages(&self) -> &[String] {
        &self.description().stages
    }

    /// The width of a pooled vector after stage `stage`.
    pub fn stage_width(&self, stage: usize) -> i64 {
        self.description().widths.get(stage).copied().unwrap_or(0)
    }

    /// The width of what [`pool`](Self::pool) makes of the activations after stage `stage`: twice that where a token
    /// and the mean are joined.
    pub fn pooled_width(&self, stage: usize, pooling: Pooling) -> i64 {
        match self.layout(stage + 1) {
            Layout::Map { .. } => self.stage_width(stage),
            Layout::Tokens { .. } | Layout::ImageTokens { .. } => pooling.width(self.stage_width(stage)),
        }
    }

    /// The width of a feature vector.
    pub fn feature_width(&self) -> i64 {
        self.description().widths.last().copied().unwrap_or(0)
    }

    /// What gradients train: weights, biases and tables.
    pub fn weights(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters().iter().filter(|parameter| !matches!(parameter.role, Role::Statistic | Role::Kept))
    }

    /// What training changes without a gradient: running means and variances, and counts of batches.
    pub fn statistics(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters().iter().filter(|parameter| parameter.role == Role::Statistic)
    }

    /// What is in the files alone.
    pub fn kept(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters().iter().filter(|parameter| parameter.role == Role::Kept)
    }

    /// Whether there are batch norms, whose training depends on what shares a batch.
    pub fn has_statistics(&self) -> bool {
        self.statistics().next().is_some()
    }

    /// The rows of its [`Role::Table`] that a batch reads: its token ids. Some may come twice; none where there is no
    /// table.
    ///
    /// # Errors
    /// The ids cannot be copied.
    pub fn rows_read(&self, batch: &Batch) -> Result<Vec<i64>> {
        let has_table = self.parameters().iter().any(|parameter| parameter.role == Role::Table);
        match &batch.inputs {
            Inputs::Tokens(tokens) if has_table => Ok(Vec::try_from(&tokens.ids)?),
            _ => Ok(Vec::new()),
        }
    }

    /// From the activations after any stage to one vector per example, `[N, stage width]`; after the last stage that is
    /// the feature vector.
    pub fn pool(&self, activations: &Tensor, batch: &Batch, pooling: Pooling) -> Result<Tensor> {
        self.layout(self.stages().len()).pool(activations, batch, pooling)
    }
}
