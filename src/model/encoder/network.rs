//! The encoder as a backbone: stage 0 is the embeddings, stage *i* the *i*-th layer.

use std::ops::{Deref, Range};

use tch::Tensor;

use super::bottleneck::BottleneckLayer;
use super::builder::EncoderBuilder;
use super::config::{EmbeddingsConfig, EncoderConfig, LayerKind, stage_names};
use super::disentangled::RelativeTable;
use super::distance::DistanceBias;
use super::embeddings::TextEmbeddings;
use super::fourier::FourierLayer;
use super::layer::{Distances, Layer, TokenLayer};
use super::names::{EmbeddingNames, Names};
use super::patches::PatchEmbeddings;
use super::rotary::Rotations;
use super::sinusoids::Sinusoids;
use super::two_stream::TwoStreamLayer;
use crate::batch::{Batch, PackedTokens};
use crate::error::{Error, Result};
use crate::model::backbone::{AdaptableLinear, Backbone, Description, no_such_stage, without_activations};
use crate::model::builder::{Initial, NetworkWeights};
use crate::model::layers::{LayerNorm, WeightDtype};
use crate::model::layout::{Layout, image_tokens};
use crate::model::parameter::Parameter;
use crate::model::pass::{Pass, Pooling};

/// A transformer encoder. A norm after the last layer belongs to that layer's stage. Activations between stages: `[T,
/// width]`.
pub struct Encoder {
    config: EncoderConfig,
    description: Description,
    embeddings: Embeddings,
    distance_bias: Option<DistanceBias>,
    relative: Option<RelativeTable>,
    layers: Vec<Box<dyn TokenLayer>>,
    final_norm: Option<LayerNorm>,
    parameters: Vec<Parameter>,
    names: Names,
}

enum Embeddings {
    Text(TextEmbeddings),
    Patches(PatchEmbeddings),
}

/// The packing of a batch: the batch's own, or that of equally many patches per image.
enum Packing<'a> {
    Given(&'a PackedTokens),
    Made(PackedTokens),
}

impl Deref for Packing<'_> {
    type Target = PackedTokens;

    fn deref(&self) -> &PackedTokens {
        match self {
            Self::Given(tokens) => tokens,
            Self::Made(tokens) => tokens,
        }
    }
}

fn describe(config: &EncoderConfig) -> Description {
    Description {
        family: config.family,
        settings: config.in_evaluation(),
        stages: stage_names(config.layers),
        widths: vec![config.width; config.layers + 1],
    }
}

/// The layer number `index`.
fn load_layer(config: &EncoderConfig, index: usize, builder: &mut EncoderBuilder) -> Result<Box<dyn TokenLayer>> {
    Ok(match config.layer_kind {
        LayerKind::Attention => Box::new(Layer::load(config, index, builder)?),
        LayerKind::Fourier => Box::new(FourierLayer::load(config, index, builder)?),
        LayerKind::TwoStream(_) => Box::new(TwoStreamLayer::load(config, index, builder)?),
        LayerKind::Bottleneck(options) => Box::new(BottleneckLayer::load(config, options, index, builder)?),
    })
}

impl Encoder {
    /// Takes the encoder's tensors from their source, in a checkpoint with or without the family's prefix. Linear
    /// layers keep their weights in `dtype`; tables and norms, which are small or read in part, are kept as the source
    /// has them.
    ///
    /// # Errors
    /// A tensor that is missing or of another shape.
    pub fn load(config: EncoderConfig, names: &Names, weights: NetworkWeights, dtype: WeightDtype) -> Result<Self> {
        let mut builder = EncoderBuilder::new(names, weights, dtype, &config);
        let embeddings = match (&config.embeddings, names.embeddings) {
            (EmbeddingsConfig::Text { .. }, EmbeddingNames::Text { .. }) => {
                Embeddings::Text(TextEmbeddings::load(&config, &mut builder)?)
            }
            (EmbeddingsConfig::Patches { .. }, EmbeddingNames::Patches { .. }) => {
                Embeddings::Patches(PatchEmbeddings::load(&config, &mut builder)?)
            }
            _ => return Err(Error::failure("this family's names are not those of its embeddings")),
        };
        let distance_bias = match names.distance_bias {
            Some(name) => Some(DistanceBias::load(name, &config, &mut builder)?),
            None => None,
        };
        if let Some(name) = names.unread {
            let _ = builder.take(name, &[1, 1, config.width], 0, Initial::Normal)?;
        }
        let relative = RelativeTable::load(&config, &mut builder)?;
        let layers = (0..config.layers).map(|index| load_layer(&config, index, &mut builder)).collect::<Result<_>>()?;
        let (width, epsilon) = (config.width, config.layer_norm_epsilon);
        let final_norm = match names.final_norm {
            Some(name) => Some(builder.norm(name, width, epsilon, config.layers)?),
            None => None,
        };
        let parameters = builder.into_parameters();
        let description = describe(&config);
        Ok(Self {
            config,
            description,
            embeddings,
            distance_bias,
            relative,
            layers,
            final_norm,
            parameters,
            names: *names,
        })
    }

    fn packing<'a>(&self, batch: &'a Batch) -> Result<Packing<'a>> {
        match &self.embeddings {
            Embeddings::Text(_) => Ok(Packing::Given(batch.inputs.tokens()?)),
            Embeddings::Patches(patches) => Ok(Packing::Made(image_tokens(batch, patches.tokens())?)),
        }
    }

    fn embed(&self, batch: &Batch, tokens: &PackedTokens, pass: Pass) -> Result<Tensor> {
        match &self.embeddings {
            Embeddings::Text(text) => text.forward(tokens, pass),
            Embeddings::Patches(patches) => patches.forward(batch.inputs.pixels()?, tokens, pass),
        }
    }

    fn normalised(&self, x: Tensor) -> Result<Tensor> {
        match &self.final_norm {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    /// What the layers read for the attention scores of these tokens.
    fn distances(&self, tokens: &PackedTokens, pass: Pass) -> Result<Option<Distances>> {
        if let LayerKind::TwoStream(options) = self.config.layer_kind {
            let EncoderConfig { width, hidden_dropout, .. } = self.config;
            let vectors = Sinusoids::new(tokens.longest(), width, hidden_dropout, options, &tokens.ids, pass)?;
            return Ok(Some(Distances::Sinusoids(vectors)));
        }
        Ok(match (&self.distance_bias, &self.relative) {
            (Some(bias), _) => Some(Distances::Bias(bias.of(tokens.longest(), pass)?)),
            (None, Some(table)) => Some(Distances::Vectors(table.of(tokens.longest(), pass)?)),
            (None, None) => match &self.config.rotary {
                Some(options) => {
                    let width = self.config.width / self.config.attention.heads;
                    Some(Distances::Rotary(Rotations::new(&tokens.positions, width, options)?))
                }
                None => None,
            },
        })
    }

    /// The stages one after the other, on a batch that is packed so and with what its layers read.
    fn run_on(
        &self,
        tokens: &PackedTokens,
        distances: Option<&Distances>,
        stages: Range<usize>,
        batch: &Batch,
        activations: Option<Tensor>,
        pass: Pass,
    ) -> Result<Tensor> {
        let (start, mut x) = (stages.start, activations);
        for stage in stages {
            let after = match (stage, x) {
                (0, _) => self.embed(batch, tokens, pass)?,
                (_, Some(x)) => self.layer(stage)?.forward(&x, tokens, distances, pass)?,
                (_, None) => return Err(without_activations(stage)),
            };
            let is_end = stage == self.layers.len() && self.config.pooled_norm.is_none();
            x = Some(if is_end { self.normalised(after)? } else { after });
        }
        x.ok_or_else(|| without_activations(start))
    }

    /// Whether the last token stands for the text, and not the first.
    fn reads_last(&self) -> bool {
        matches!(self.config.layer_kind, LayerKind::TwoStream(_))
    }

    fn layer(&self, stage: usize) -> Result<&dyn TokenLayer> {
        stage
            .checked_sub(1)
            .and_then(|index| self.layers.get(index))
            .map(|layer| &**layer)
            .ok_or_else(|| no_such_stage(stage))
    }
}

impl Backbone for Encoder {
    fn description(&self) -> &Description {
        &self.description
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn layout(&self, _stages: usize) -> Layout {
        let width = self.config.width;
        match &self.embeddings {
            Embeddings::Text(_) => Layout::Tokens { width, last: self.reads_last() },
            Embeddings::Patches(patches) => {
                Layout::ImageTokens { tokens: patches.tokens(), first_patch: patches.first_patch(), width }
            }
        }
    }

    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        let tokens = self.packing(batch)?;
        let distances = if stages.end > 1 { self.distances(&tokens, pass)? } else { None };
        self.run_on(&tokens, distances.as_ref(), stages, batch, activations, pass)
    }

    /// With first-token pooling the last layer's query, output and feed-forward are computed for one token per
    /// sequence: exactly what is read, nothing else.
    fn features(
        &self,
        from: usize,
        batch: &Batch,
        activations: Option<Tensor>,
        pooling: Pooling,
        pass: Pass,
    ) -> Result<Tensor> {
        let last = self.layers.len();
        if pooling == Pooling::Cls && !self.reads_last() && last > 0 && from <= last {
            let tokens = self.packing(batch)?;
            let distances = self.distances(&tokens, pass)?;
            let x = self.run_on(&tokens, distances.as_ref(), from..last, batch, activations, pass)?;
            let first = self.layer(last)?.forward_first_tokens(&x, &tokens, distances.as_ref(), pass)?;
            return match self.config.pooled_norm {
                Some(other) if other != pooling => Ok(first),
                _ => self.normalised(first),
            };
        }
        let x = self.run(from..last + 1, batch, activations, pass)?;
        let pooled = self.layout(last + 1).pool(&x, batch, pooling)?;
        if self.config.pooled_norm == Some(pooling) { self.normalised(pooled) } else { Ok(pooled) }
    }

    /// Brings the positions to another grid of patches, where images of this size have one.
    fn set_image_size(&mut self, height: i64, width: i64) -> Result<()> {
        if let Embeddings::Patches(patches) = &mut self.embeddings {
            patches.set_image_size(height, width, &mut self.parameters)?;
            if let EmbeddingsConfig::Patches { grid, .. } = &mut self.config.embeddings {
                *grid = patches.grid();
            }
            self.description = describe(&self.config);
        }
        Ok(())
    }

    fn keeps_scores(&self) -> bool {
        self.distance_bias.is_some() || self.relative.is_some() || self.reads_last()
    }

    fn linears_mut(&mut self) -> Result<Vec<AdaptableLinear<'_>>> {
        let Self { layers, names, .. } = self;
        let mut linears = Vec::with_capacity(4 * layers.len());
        for (index, layer) in layers.iter_mut().enumerate() {
            for (linear, parts) in layer.linears_mut(names) {
                let full = |template: &str| format!("{}{}", names.prefix, template.replace("{}", &index.to_string()));
                let parts = parts.iter().map(|(template, outputs)| (full(template), *outputs)).collect();
                linears.push(AdaptableLinear { linear, parts, stage: index + 1 });
            }
        }
        Ok(linears)
    }
}
