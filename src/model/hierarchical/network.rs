//! A hierarchical network as a backbone: stage 0 is the stem, every later one a block, with what halves the map before
//! it at the beginning of a level.

use std::ops::Range;

use tch::{Kind, Tensor};

use super::builder::HierarchyBuilder;
use super::convnext::{self, ConvNextBlock};
use super::patches::{PatchProjection, padded, squares};
use super::spec::{BlockSpec, HierarchySpec};
use super::swin::{self, SwinBlock, SwinPlace};
use crate::batch::Batch;
use crate::error::Result;
use crate::model::backbone::{
    AdaptableLinear, Backbone, Description, no_such_stage, run_in_parts, without_activations,
};
use crate::model::builder::Initial;
use crate::model::builder::NetworkWeights;
use crate::model::convolutional::{Extent, by_channel, by_pixel};
use crate::model::layers::{LayerNorm, Linear, WeightDtype, cast};
use crate::model::layout::Layout;
use crate::model::parameter::Parameter;
use crate::model::pass::{DropoutKeys, Pass};

/// A hierarchical network. Activations between stages: `[N, C, H, W]`, channels last in memory, in the pass's kind. The
/// norm of the features belongs to the last block's stage; ConvNeXt's is over the mean of the map, so that its last
/// activations have one place.
pub struct HierarchicalNet {
    spec: HierarchySpec,
    description: Description,
    stem: PatchProjection,
    stem_norm: LayerNorm,
    steps: Vec<Step>,
    final_norm: LayerNorm,
    parameters: Vec<Parameter>,
    /// By number of stages, from 0 on, for images of the size that was set last.
    extents: Vec<Extent>,
}

/// A block, with what comes before the first of a level.
struct Step {
    reduction: Option<Reduction>,
    block: Block,
    /// How probable it is in training that the block's part is left out for an image.
    drop: f64,
}

enum Block {
    ConvNext(Box<ConvNextBlock>),
    Swin(Box<SwinBlock>),
}

/// From a map to one of half the extent.
enum Reduction {
    /// ConvNeXt's: a norm, then a convolution of 2×2 squares.
    Convolved { norm: LayerNorm, projection: PatchProjection },
    /// Swin's: 2×2 squares as one place each, a norm, and a linear layer of this name.
    Merged { norm: LayerNorm, linear: Linear, name: String },
}

impl HierarchicalNet {
    /// Takes the network's tensors from their source. Linear layers keep their weights in `dtype`.
    ///
    /// # Errors
    /// A tensor that is missing or of another shape.
    pub fn build(spec: HierarchySpec, weights: NetworkWeights, dtype: WeightDtype) -> Result<Self> {
        let mut builder = HierarchyBuilder::new(weights, dtype);
        let family = spec.family;
        let first = spec.levels.first().map_or(0, |level| level.width);
        let embeddings = |part: &str| format!("{family}.embeddings.{part}");
        let (patches, norm, epsilon) = match spec.blocks {
            BlockSpec::ConvNext { .. } => ("patch_embeddings", "layernorm", convnext::EPSILON),
            BlockSpec::Swin(_) => ("patch_embeddings.projection", "norm", swin::EPSILON),
        };
        let stem = projection(&embeddings(patches), [first, 3, spec.patch], 0, &mut builder)?;
        let stem_norm = builder.norm(&embeddings(norm), first, epsilon, 0)?;
        let (mut steps, mut stages, mut widths) = (Vec::new(), vec!["embeddings".to_owned()], vec![first]);
        let mut before = first;
        let blocks: usize = spec.levels.iter().map(|level| level.depth).sum();
        for (level, &super::Level { width, depth }) in spec.levels.iter().enumerate() {
            for index in 0..depth {
                let stage = steps.len() + 1;
                let name = spec.blocks.name(level, index);
                let halves = index == 0 && level > 0;
                steps.push(Step {
                    reduction: match halves {
                        true => Some(Reduction::load(&spec, level, [before, width], stage, &mut builder)?),
                        false => None,
                    },
                    block: Block::load(&spec, [level, index], width, stage, &mut builder)?,
                    drop: spec.drop_path * (stage - 1) as f64 / blocks.saturating_sub(1).max(1) as f64,
                });
                stages.push(name);
                widths.push(width);
            }
            before = width;
        }
        let final_norm = builder.norm(&format!("{family}.layernorm"), before, spec.final_epsilon, steps.len())?;
        let description = Description { family, settings: spec.in_evaluation(), stages, widths };
        let parameters = builder.into_parameters();
        Ok(Self { spec, description, stem, stem_norm, steps, final_norm, parameters, extents: Vec::new() })
    }

    /// Stage 0: `[N, 3, H, W]` to `[N, H / patch, W / patch, width]`.
    fn embed(&self, batch: &Batch, pass: Pass) -> Result<Tensor> {
        let pixels = batch.inputs.pixels()?;
        let (_, _, height, width) = pixels.size4()?;
        if self.spec.extents([height, width]).is_none() {
            return Err(self.spec.too_small([height, width]));
        }
        let pixels = by_pixel(pixels)?;
        match &self.spec.blocks {
            BlockSpec::ConvNext { .. } => normalised(&self.stem.forward(&pixels, pass)?, &self.stem_norm),
            BlockSpec::Swin(swin) => {
                let patches = self.stem.forward(&padded(&pixels, self.spec.patch)?, pass)?;
                DropoutKeys::apply(pass.dropout, normalised(&patches, &self.stem_norm)?, swin.hidden_dropout)
            }
        }
    }

    /// The stage number `stage`, from 1 on: `[N, H, W, C]` to `[N, H', W', C']`.
    fn step(&self, stage: usize, x: Tensor, pass: Pass) -> Result<Tensor> {
        let step = stage.checked_sub(1).and_then(|index| self.steps.get(index)).ok_or_else(|| no_such_stage(stage))?;
        let x = match &step.reduction {
            Some(reduction) => reduction.forward(&x, pass)?,
            None => x,
        };
        let x = match &step.block {
            Block::ConvNext(block) => block.forward(&x, step.drop, pass)?,
            Block::Swin(block) => block.forward(&x, step.drop, pass)?,
        };
        match self.spec.blocks {
            _ if stage < self.steps.len() => Ok(x),
            BlockSpec::ConvNext { .. } => {
                normalised(&x.f_mean_dim([1i64, 2].as_slice(), true, Kind::Float)?, &self.final_norm)
            }
            BlockSpec::Swin(_) => normalised(&x, &self.final_norm),
        }
    }
}

/// The convolution `name` of squares of `side`, from and to so many channels.
fn projection(
    name: &str,
    [outputs, inputs, side]: [i64; 3],
    stage: usize,
    builder: &mut HierarchyBuilder,
) -> Result<PatchProjection> {
    Ok(PatchProjection {
        weight: builder.kernel(&format!("{name}.weight"), &[outputs, inputs, side, side], stage)?,
        bias: builder.take(&format!("{name}.bias"), &[outputs], stage, Initial::Filled(0.0))?,
    })
}

impl Block {
    /// The block of this number in the level of this number.
    fn load(
        spec: &HierarchySpec,
        [level, index]: [usize; 2],
        width: i64,
        stage: usize,
        builder: &mut HierarchyBuilder,
    ) -> Result<Self> {
        let name = format!("{}.encoder.{}", spec.family, spec.blocks.name(level, index));
        Ok(match &spec.blocks {
            BlockSpec::ConvNext { layer_scale, global_response_norm } => {
                let options = (*layer_scale, *global_response_norm);
                let block = ConvNextBlock::load(&name, width, spec.activation, options, stage, builder)?;
                Self::ConvNext(Box::new(block))
            }
            BlockSpec::Swin(swin) => {
                let heads = swin.heads.get(level).copied().unwrap_or(1);
                let place = SwinPlace { width, heads, shifted: index % 2 == 1, stage };
                Self::Swin(Box::new(SwinBlock::load(&name, &place, swin, spec.activation, builder)?))
            }
        })
    }
}

impl Reduction {
    /// What is before the first block of level `level`, from and to so many channels.
    fn load(
        spec: &HierarchySpec,
        level: usize,
        [inputs, outputs]: [i64; 2],
        stage: usize,
        builder: &mut HierarchyBuilder,
    ) -> Result<Self> {
        let encoder = format!("{}.encoder", spec.family);
        Ok(match spec.blocks {
            BlockSpec::ConvNext { .. } => {
                let name = format!("{encoder}.stages.{level}.downsampling_layer");
                Self::Convolved {
                    norm: builder.norm(&format!("{name}.0"), inputs, convnext::EPSILON, stage)?,
                    projection: projection(&format!("{name}.1"), [outputs, inputs, 2], stage, builder)?,
                }
            }
            // transformers has it at the end of the level before.
            BlockSpec::Swin(_) => {
                let within = format!("{encoder}.layers.{}.downsample", level - 1);
                let name = format!("{within}.reduction");
                Self::Merged {
                    norm: builder.norm(&format!("{within}.norm"), 4 * inputs, swin::EPSILON, stage)?,
                    linear: builder.linear_without_bias(&name, 4 * inputs, outputs, stage)?,
                    name,
                }
            }
        })
    }

    /// `[N, H, W, C]` to `[N, H / 2, W / 2, C']`.
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        match self {
            Self::Convolved { norm, projection } => projection.forward(&normalised(x, norm)?, pass),
            Self::Merged { norm, linear, .. } => {
                let merged = squares(&padded(x, 2)?, 2, true)?;
                let (images, height, width, channels) = merged.size4()?;
                let rows = norm.forward(&merged.f_view([-1, channels])?)?;
                Ok(linear.forward(&rows, pass)?.f_view([images, height, width, linear.outputs()])?)
            }
        }
    }
}

/// `[N, H, W, C]`, each place normalised.
fn normalised(x: &Tensor, norm: &LayerNorm) -> Result<Tensor> {
    let size = x.size();
    let rows = x.f_reshape([-1, size.last().copied().unwrap_or(0)])?;
    Ok(norm.forward(&rows)?.f_view(size.as_slice())?)
}

impl Backbone for HierarchicalNet {
    fn description(&self) -> &Description {
        &self.description
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn layout(&self, stages: usize) -> Layout {
        let [height, width] = match self.spec.blocks {
            BlockSpec::ConvNext { .. } if stages > self.steps.len() => [1; 2],
            _ => self.extents.get(stages).copied().unwrap_or_default(),
        };
        let channels = match stages.checked_sub(1) {
            Some(stage) => self.description.widths.get(stage).copied().unwrap_or(0),
            None => 3,
        };
        Layout::Map { channels, height, width }
    }

    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        let mut map = match (stages.start, activations) {
            (0, _) => None,
            (_, Some(x)) => Some(by_pixel(&cast(&x, pass.compute)?)?),
            (stage, None) => return Err(without_activations(stage)),
        };
        let start = stages.start;
        for stage in stages {
            map = Some(match map {
                None => self.embed(batch, pass)?,
                Some(x) => self.step(stage, x, pass)?,
            });
        }
        by_channel(&map.ok_or_else(|| without_activations(start))?)
    }

    fn run_frozen(&self, stages: usize, batch: &Batch, compute: Kind) -> Result<Tensor> {
        run_in_parts(self, stages, batch, compute)
    }

    fn set_image_size(&mut self, height: i64, width: i64) -> Result<()> {
        self.extents = self.spec.extents([height, width]).ok_or_else(|| self.spec.too_small([height, width]))?;
        Ok(())
    }

    fn linears_mut(&mut self) -> Result<Vec<AdaptableLinear<'_>>> {
        let mut linears = Vec::new();
        for (index, step) in self.steps.iter_mut().enumerate() {
            if let Some(Reduction::Merged { linear, name, .. }) = &mut step.reduction {
                let parts = vec![(name.clone(), linear.outputs())];
                linears.push(AdaptableLinear { linear, parts, stage: index + 1 });
            }
            let of_block = match &mut step.block {
                Block::ConvNext(block) => block.linears_mut(),
                Block::Swin(block) => block.linears_mut(),
            };
            for (linear, parts) in of_block {
                linears.push(AdaptableLinear { linear, parts, stage: index + 1 });
            }
        }
        Ok(linears)
    }
}
