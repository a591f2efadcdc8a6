//! A convolutional network as a backbone: its stages, one after another.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::builder::{ConvBuilder, ConvWeights};
use super::layers::{Conv, forward_all};
use super::spec::{Block, ConvSpec, Extent, NetworkSpec};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::model::backbone::{Backbone, Description, no_such_stage, run_in_parts, without_activations};
use crate::model::layers::cast;
use crate::model::layout::Layout;
use crate::model::parameter::Parameter;
use crate::model::pass::Pass;

/// A convolutional network as a chain of stages. Activations between stages: `[N, C, H, W]`, channels last in memory,
/// in the pass's kind; features: the mean over all places, `[N, C]`, in fp32, whatever pooling is asked for.
pub struct ConvNet {
    /// The architecture's name, for messages.
    name: String,
    description: Description,
    spec: NetworkSpec,
    stages: Vec<Vec<Block<Conv>>>,
    parameters: Vec<Parameter>,
    /// By stage: the numbers of batches that its norms have seen.
    batches: Vec<Tensor>,
    /// By number of stages, from 0 on.
    channels: Vec<i64>,
    /// The same, for images of the size that was set last.
    extents: Vec<Extent>,
    smallest: i64,
}

impl ConvNet {
    /// The network `name` of a family, whose `settings` decide with the weights what it computes.
    ///
    /// # Errors
    /// A tensor that is missing or of another shape.
    pub fn build(
        family: &'static str,
        name: &str,
        settings: String,
        spec: NetworkSpec,
        weights: ConvWeights,
        device: Device,
    ) -> Result<Self> {
        let mut builder = ConvBuilder::new(weights, device);
        let mut stages = Vec::with_capacity(spec.stages.len());
        for (index, stage) in spec.stages.iter().enumerate() {
            let mut make = |conv: &ConvSpec| builder.conv(conv, index);
            stages.push(Block::build_all(&stage.blocks, &mut make)?);
            builder.end_stage(index)?;
        }
        let (parameters, batches) = builder.finish();
        let channels = spec.channels();
        let description = Description {
            family,
            settings,
            stages: spec.stages.iter().map(|stage| stage.name.clone()).collect(),
            widths: channels.get(1..).unwrap_or_default().to_vec(),
        };
        let (name, smallest) = (name.to_owned(), spec.smallest());
        Ok(Self { name, description, spec, stages, parameters, batches, channels, extents: Vec::new(), smallest })
    }

    fn too_small(&self, [height, width]: Extent) -> Error {
        let (name, smallest) = (&self.name, self.smallest);
        Error::request(format!("images of {height}×{width} pixels are too small for `{name}`"))
            .hint(format!("it takes {smallest}×{smallest} and larger"))
    }

    fn begin(&self, batch: &Batch, pass: Pass) -> Result<Tensor> {
        let pixels = batch.inputs.pixels()?;
        let (_, _, height, width) = pixels.size4()?;
        if height < self.smallest || width < self.smallest {
            return Err(self.too_small([height, width]));
        }
        cast(pixels, pass.compute)
    }
}

impl Backbone for ConvNet {
    fn description(&self) -> &Description {
        &self.description
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn layout(&self, stages: usize) -> Layout {
        let [height, width] = self.extents.get(stages).copied().unwrap_or_default();
        Layout::Map { channels: self.channels.get(stages).copied().unwrap_or(0), height, width }
    }

    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        let mut x = match (stages.start, activations) {
            (0, _) => self.begin(batch, pass)?,
            (_, Some(x)) => cast(&x, pass.compute)?,
            (stage, None) => return Err(without_activations(stage)),
        };
        let first = stages.start;
        for index in stages {
            let none = || no_such_stage(index);
            x = forward_all(self.stages.get(index).ok_or_else(none)?, &x, index > first, pass)?;
            if pass.dropout.is_some() {
                let _ = self.batches.get(index).ok_or_else(none)?.shallow_clone().f_add_scalar_(1)?;
            }
        }
        Ok(x)
    }

    fn run_frozen(&self, stages: usize, batch: &Batch, compute: Kind) -> Result<Tensor> {
        run_in_parts(self, stages, batch, compute)
    }

    /// Frozen convolutions evaluate with their norms folded in.
    fn freeze(&mut self, stages: usize) -> Result<()> {
        for (index, blocks) in self.stages.iter_mut().enumerate() {
            blocks.iter_mut().try_for_each(|block| block.set_frozen(index < stages))?;
        }
        Ok(())
    }

    fn set_image_size(&mut self, height: i64, width: i64) -> Result<()> {
        self.extents = self.spec.extents([height, width]).ok_or_else(|| self.too_small([height, width]))?;
        Ok(())
    }
}
