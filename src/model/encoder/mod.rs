//! The packed transformer encoder: embeddings, then layers, over flat runs of tokens without padding.
//!
//! One implementation for all families whose layers are self-attention and a feed-forward block, normalised behind each (BERT)
//! or before each (ViT); each family is a short description of itself (`bert.rs`, `vit.rs`): how its `config.json` reads, and
//! what its tensors are called. Linear layers, norms and activations see every token once; attention works within each sequence
//! (`attention.rs`). Tokens come from ids (`embeddings.rs`) or from the patches of images (`patches.rs`).

mod attention;
pub mod bert;
mod embeddings;
mod layer;
mod patches;
pub mod vit;

use std::ops::{Deref, Range};
use std::path::Path;

use tch::{Device, Kind, Tensor};

use self::embeddings::TextEmbeddings;
use self::layer::Layer;
use self::patches::PatchEmbeddings;
use super::backbone::{Backbone, Pass, Pooling};
use super::checkpoint::Weights;
use super::lora;
use super::parameters::{LayerNorm, Linear, Linears, Parameter, Place, cast};
use crate::batch::{Batch, PackedTokens};
use crate::error::{Error, Result};
use crate::native::{self, Gelu, Int8Linear};
use crate::random::{Random, from_torch};

/// The deviation of fresh weights.
pub const DEVIATION: f64 = 0.02;

/// The activation between the two halves of a feed-forward block, by the names that `config.json` uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Gelu,
    /// The tanh approximation, under its three names.
    #[serde(alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluNew,
    Relu,
    #[serde(alias = "swish")]
    Silu,
    Tanh,
}

impl Activation {
    /// `activation(linear(x))`, in one pass where that exists.
    pub(super) fn after(self, linear: &Linear, x: &Tensor, pass: Pass) -> Result<Tensor> {
        match (&linear.int8, self) {
            (Some(int8), Self::Gelu) => int8.forward(x, Some(Gelu::Exact)),
            (Some(int8), Self::GeluNew) => int8.forward(x, Some(Gelu::ByTanh)),
            // In training the bias is kept in fp32, and its gradient comes with GELU's.
            (None, Self::Gelu | Self::GeluNew)
                if linear.adapters.is_empty() && linear.bias.kind() == Kind::Float && native::has_bias_gelu(x) =>
            {
                let product = x.f_linear(&cast(&linear.weight, pass.compute)?, None::<&Tensor>)?;
                native::bias_gelu(&product, &linear.bias, self == Self::GeluNew)
            }
            _ => self.apply(&linear.forward(x, pass)?),
        }
    }

    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Gelu => native::gelu(x, false)?,
            Self::GeluNew => native::gelu(x, true)?,
            Self::Relu => x.f_relu()?,
            Self::Silu => x.f_silu()?,
            Self::Tanh => x.f_tanh()?,
        })
    }
}

/// An encoder's sizes and settings, whatever family it comes from.
#[derive(Debug, Clone)]
pub struct EncoderConfig {
    pub family: String,
    pub reads: Reads,
    pub width: i64,
    pub layers: usize,
    pub heads: i64,
    pub intermediate: i64,
    pub activation: Activation,
    pub layer_norm_epsilon: f64,
    pub hidden_dropout: f64,
    pub attention_dropout: f64,
    /// Whether query, key and value projections have a bias.
    pub projection_bias: bool,
    /// Whether a layer's norms come before attention and feed-forward, or behind them.
    pub pre_norm: bool,
}

impl EncoderConfig {
    /// The settings, when they are those of an encoder that can be; `file` is the `config.json` that they come from.
    ///
    /// # Errors
    /// A size, probability or number that cannot be, by its name in transformers.
    pub(super) fn checked(self, file: &Path, hint: &'static str) -> Result<Self> {
        let refuse = |key: &str, message: String| Err(Error::request(message).file(file).key(key).hint(hint));
        let sizes = [
            ("hidden_size", self.width),
            ("num_attention_heads", self.heads),
            ("intermediate_size", self.intermediate),
        ];
        if let Some((key, size)) = sizes.into_iter().find(|(_, size)| !(1..=i64::from(i32::MAX)).contains(size)) {
            return refuse(key, format!("{size} is not a possible size"));
        }
        // None at all is what is left of an encoder of which one stage was kept.
        if self.layers > i32::MAX as usize {
            return refuse("num_hidden_layers", "not a possible number of layers".to_owned());
        }
        if self.width % self.heads != 0 {
            let message = format!("hidden_size {} cannot be divided among {} heads", self.width, self.heads);
            return refuse("num_attention_heads", message);
        }
        for (key, p) in
            [("hidden_dropout_prob", self.hidden_dropout), ("attention_probs_dropout_prob", self.attention_dropout)]
        {
            if !(0.0..1.0).contains(&p) {
                return refuse(key, format!("{p} is not a probability below 1"));
            }
        }
        if !(self.layer_norm_epsilon.is_finite() && self.layer_norm_epsilon >= 0.0) {
            return refuse("layer_norm_eps", format!("{} is not a small positive number", self.layer_norm_epsilon));
        }
        Ok(self)
    }
}

/// What the tokens are made from.
#[derive(Debug, Clone)]
pub enum Reads {
    Text {
        vocabulary: i64,
        positions: i64,
        /// Kinds of segment; a pair of texts needs two.
        segments: i64,
    },
    Patches {
        /// Pixels of a patch: rows, columns.
        patch: [i64; 2],
        /// Patches of an image: rows, columns.
        grid: [i64; 2],
        /// How the positions are brought to another grid: with (timm) or without (transformers) a filter against aliasing.
        antialias: bool,
    },
}

/// What a family calls its tensors, below its prefix. `{}` stands for the layer's number.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// What a classification checkpoint puts before the backbone's names (`bert.`); a bare backbone has none.
    pub prefix: &'static str,
    pub embeddings: EmbeddingNames,
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub attention_output: &'static str,
    pub attention_norm: &'static str,
    pub intermediate: &'static str,
    pub output: &'static str,
    pub output_norm: &'static str,
    /// Behind the last layer, where norms come first.
    pub final_norm: Option<&'static str>,
}

/// The same for what the tokens are made with.
#[derive(Debug, Clone, Copy)]
pub enum EmbeddingNames {
    Text { word: &'static str, position: &'static str, segment: &'static str, norm: &'static str },
    Patches { class: &'static str, position: &'static str, projection: &'static str },
}

/// A transformer encoder. Stage 0 is the embeddings, stage *i* the *i*-th layer; a norm behind the last layer belongs to its
/// stage. Activations between stages: `[T, width]`.
pub struct Encoder {
    config: EncoderConfig,
    stages: Vec<String>,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    final_norm: Option<LayerNorm>,
    parameters: Vec<Parameter>,
    adapters: Vec<Parameter>,
    names: Names,
}

enum Embeddings {
    Text(TextEmbeddings),
    Patches(PatchEmbeddings),
}

/// The packing of a batch: the batch's own, or that of equally many patches an image.
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

impl Encoder {
    /// Takes the encoder's tensors from their source, in a checkpoint with or without the family's prefix.
    /// The linear layers are kept as `linears` says; tables and norms, which are small or read in part, as the weights come.
    pub fn load(config: EncoderConfig, names: &Names, source: Source, linears: Linears) -> Result<Self> {
        let stored_prefix = match source {
            Source::Checkpoint(weights) => stored_prefix(names, weights),
            Source::Chance { .. } => names.prefix,
        };
        let mut builder = Builder { source, names, parameters: Vec::new(), stored_prefix, linears, drawn: 0 };
        let embeddings = match (&config.reads, names.embeddings) {
            (Reads::Text { .. }, EmbeddingNames::Text { .. }) => {
                Embeddings::Text(TextEmbeddings::load(&config, &mut builder)?)
            }
            (Reads::Patches { .. }, EmbeddingNames::Patches { .. }) => {
                Embeddings::Patches(PatchEmbeddings::load(&config, &mut builder)?)
            }
            _ => return Err(Error::failure("this family's names are not those of what it reads")),
        };
        let layers =
            (0..config.layers).map(|index| Layer::load(&config, index, &mut builder)).collect::<Result<_>>()?;
        let (width, epsilon) = (config.width, config.layer_norm_epsilon);
        let final_norm = match names.final_norm {
            Some(name) => Some(builder.norm(name, width, epsilon, config.layers)?),
            None => None,
        };
        let parameters = builder.parameters;
        let stages = stage_names(config.layers);
        Ok(Self { config, stages, embeddings, layers, final_norm, parameters, adapters: Vec::new(), names: *names })
    }

    fn packing<'a>(&self, batch: &'a Batch) -> Result<Packing<'a>> {
        match &self.embeddings {
            Embeddings::Text(_) => Ok(Packing::Given(batch.inputs.tokens()?)),
            Embeddings::Patches(patches) => {
                let pixels = batch.inputs.pixels()?;
                let images = pixels.size().first().copied().unwrap_or(0);
                Ok(Packing::Made(PackedTokens::of_equal_length(images, patches.tokens(), pixels.device())?))
            }
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

    /// Tokens before those of the content, which a mean leaves out.
    fn prefix_tokens(&self) -> i64 {
        match &self.embeddings {
            Embeddings::Text(_) => 0,
            Embeddings::Patches(_) => 1,
        }
    }

    fn layer(&self, stage: usize) -> Result<&Layer> {
        stage
            .checked_sub(1)
            .and_then(|index| self.layers.get(index))
            .ok_or_else(|| Error::failure(format!("the backbone has no stage {stage}")))
    }
}

/// `embeddings`, then `layer.0` and so on.
pub fn stage_names(layers: usize) -> Vec<String> {
    std::iter::once("embeddings".to_owned()).chain((0..layers).map(|index| format!("layer.{index}"))).collect()
}

/// Whether the checkpoint's names carry the family's prefix.
pub fn stored_prefix(names: &Names, weights: &Weights) -> &'static str {
    let (EmbeddingNames::Text { word: name, .. } | EmbeddingNames::Patches { class: name, .. }) = names.embeddings;
    let prefixed = format!("{}{name}", names.prefix);
    if weights.has(&prefixed) { names.prefix } else { "" }
}

impl Backbone for Encoder {
    fn family(&self) -> &str {
        &self.config.family
    }

    fn settings(&self) -> String {
        let in_evaluation = EncoderConfig { hidden_dropout: 0.0, attention_dropout: 0.0, ..self.config.clone() };
        format!("{in_evaluation:?}")
    }

    fn stages(&self) -> &[String] {
        &self.stages
    }

    fn feature_width(&self) -> i64 {
        self.config.width
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn row_width(&self, _stages: usize) -> i64 {
        match &self.embeddings {
            Embeddings::Text(_) => self.config.width,
            Embeddings::Patches(patches) => patches.tokens() * self.config.width,
        }
    }

    /// A token is a row; an image is one with all of its tokens. Rows behind the last example are filling.
    fn to_rows(&self, activations: Tensor) -> Result<Tensor> {
        let Embeddings::Patches(patches) = &self.embeddings else { return Ok(activations) };
        let images = activations.size().first().copied().unwrap_or(0) / patches.tokens();
        let used = activations.f_narrow(0, 0, images * patches.tokens())?;
        Ok(used.f_reshape([images, self.row_width(0)])?)
    }

    fn from_rows(&self, _stages: usize, rows: Tensor) -> Result<Tensor> {
        match &self.embeddings {
            Embeddings::Text(_) => Ok(rows),
            Embeddings::Patches(_) => patches::filled(rows.f_reshape([-1, self.config.width])?),
        }
    }

    /// Brings the positions to another grid of patches, where images of this size have one.
    fn set_image_size(&mut self, height: i64, width: i64) -> Result<()> {
        if let Embeddings::Patches(patches) = &mut self.embeddings {
            patches.set_image_size(height, width, &mut self.parameters)?;
            if let Reads::Patches { grid, .. } = &mut self.config.reads {
                *grid = patches.grid();
            }
        }
        Ok(())
    }

    fn adapters(&self) -> &[Parameter] {
        &self.adapters
    }

    fn adapt(&mut self, rank: i64, seed: u64) -> Result<()> {
        let Self { layers, adapters, names, .. } = self;
        for (index, layer) in layers.iter_mut().enumerate() {
            for (linear, names_of) in layer.linears_mut(names) {
                let (outputs, inputs) = linear.weight.size2()?;
                let rows = outputs / names_of.len().max(1) as i64;
                for name in names_of {
                    let name = format!("{}{}", names.prefix, name.replace("{}", &index.to_string()));
                    let adapter = lora::fresh(rank, inputs, rows, seed, adapters.len() as u64, linear.weight.device())?;
                    let place = Place::Stage(index + 1);
                    for (suffix, tensor) in [("lora_A", &adapter.down), ("lora_B", &adapter.up)] {
                        adapters.push(Parameter::new(format!("{name}.{suffix}.weight"), tensor.shallow_clone(), place));
                    }
                    linear.adapters.push(adapter);
                }
            }
        }
        Ok(())
    }

    fn merge_adapters(&mut self) -> Result<()> {
        let Self { layers, adapters, names, .. } = self;
        adapters.clear();
        for layer in layers {
            for (linear, _) in layer.linears_mut(names) {
                linear.merge_adapters()?;
            }
        }
        Ok(())
    }

    fn rows_read(&self, batch: &Batch) -> Result<Vec<i64>> {
        match &self.embeddings {
            Embeddings::Text(_) => Ok(Vec::try_from(&batch.inputs.tokens()?.ids)?),
            Embeddings::Patches(_) => Ok(Vec::new()),
        }
    }

    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        let tokens = self.packing(batch)?;
        let mut x = activations;
        for stage in stages {
            let behind = match (stage, x) {
                (0, _) => self.embed(batch, &tokens, pass)?,
                (_, Some(x)) => self.layer(stage)?.forward(&x, &tokens, pass)?,
                (_, None) => return Err(Error::failure(format!("stage {stage} needs activations to start from"))),
            };
            x = Some(if stage == self.layers.len() { self.normalised(behind)? } else { behind });
        }
        x.ok_or_else(|| Error::failure("an empty range of stages needs activations to start from"))
    }

    fn pool(&self, activations: &Tensor, batch: &Batch, pooling: Pooling) -> Result<Tensor> {
        pool(activations, &*self.packing(batch)?, pooling, self.prefix_tokens())
    }

    /// With first-token pooling the last layer's query, output and feed-forward are computed for one token a sequence:
    /// exactly what is read, nothing else.
    fn features(
        &self,
        from: usize,
        batch: &Batch,
        activations: Option<Tensor>,
        pooling: Pooling,
        pass: Pass,
    ) -> Result<Tensor> {
        let last = self.layers.len();
        if pooling == Pooling::Cls && last > 0 && from <= last {
            let x = self.run(from..last, batch, activations, pass)?;
            let first = self.layer(last)?.forward_first_tokens(&x, &*self.packing(batch)?, pass)?;
            return self.normalised(first);
        }
        let x = self.run(from..last + 1, batch, activations, pass)?;
        self.pool(&x, batch, pooling)
    }
}

/// `[T, width]` to `[N, width]`: each sequence's first token, or the mean over its tokens (in fp32) but for the first `left_out`.
pub fn pool(activations: &Tensor, tokens: &PackedTokens, pooling: Pooling, left_out: i64) -> Result<Tensor> {
    match pooling {
        Pooling::Cls => Ok(activations.f_index_select(0, &tokens.first.f_narrow(0, 0, tokens.sequences())?)?),
        Pooling::Mean => {
            let width = activations.size().last().copied().unwrap_or(0);
            let means = tokens
                .groups
                .iter()
                .zip(tokens.split(activations)?)
                .map(|(group, rows)| {
                    let rectangle = rows.f_view([group.count, group.length, width])?;
                    let rectangle = rectangle.f_narrow(1, left_out, group.length - left_out)?;
                    Ok(rectangle.f_mean_dim([1i64].as_slice(), false, Kind::Float)?)
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(Tensor::f_cat(&means, 0)?.f_to_kind(activations.kind())?)
        }
    }
}

/// Where an encoder's numbers come from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    Checkpoint(&'a Weights),
    /// Drawn by `seed`, as transformers does: weights normal with deviation 0.02, biases 0, norms that change nothing.
    Chance {
        seed: u64,
        device: Device,
    },
}

/// What chance makes of a tensor.
#[derive(Clone, Copy)]
enum Fresh {
    Normal,
    Filled(f64),
}

/// Takes tensors from their source and keeps the list of parameters that they become.
struct Builder<'a> {
    source: Source<'a>,
    names: &'a Names,
    parameters: Vec<Parameter>,
    stored_prefix: &'static str,
    linears: Linears,
    /// How many tensors have been drawn.
    drawn: u64,
}

impl Builder<'_> {
    /// The tensor `name`, registered under the name that a classification checkpoint gives it.
    fn take(&mut self, name: &str, shape: &[i64], stage: usize, fresh: Fresh) -> Result<Tensor> {
        let tensor = self.bare(name, shape, fresh)?;
        let name = format!("{}{name}", self.names.prefix);
        self.parameters.push(Parameter::new(name, tensor.shallow_clone(), Place::Stage(stage)));
        Ok(tensor)
    }

    /// The same, not registered.
    fn bare(&mut self, name: &str, shape: &[i64], fresh: Fresh) -> Result<Tensor> {
        let (seed, device) = match self.source {
            Source::Checkpoint(weights) => return weights.take(&format!("{}{name}", self.stored_prefix), shape),
            Source::Chance { seed, device } => (seed, device),
        };
        // Drawn on the CPU, so that a seed means the same weights on every device.
        let empty = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
        let tensor = match fresh {
            Fresh::Filled(value) => empty.f_fill(value)?,
            Fresh::Normal => {
                let seed = Random::of(&[seed, self.drawn]).next_u64();
                self.drawn += 1;
                let mut empty = empty;
                from_torch(seed, || empty.f_normal_(0.0, DEVIATION))?
            }
        };
        Ok(tensor.f_to_device(device)?)
    }

    /// A table whose rows are read one by one. On the CPU alone: a GPU updates the whole sooner than it finds the rows.
    fn take_table(&mut self, name: &str, shape: &[i64], stage: usize) -> Result<Tensor> {
        let tensor = self.take(name, shape, stage, Fresh::Normal)?;
        if let Some(parameter) = self.parameters.last_mut() {
            parameter.table = tensor.device() == tch::Device::Cpu;
        }
        Ok(tensor)
    }

    /// Several tensors as one, stacked along dimension 0, stored under their own names.
    fn take_fused(&mut self, names: &[String], shape: &[i64], stage: usize, fresh: Fresh) -> Result<Tensor> {
        let parts = names.iter().map(|name| self.bare(name, shape, fresh)).collect::<Result<Vec<_>>>()?;
        let tensor = Tensor::f_cat(&parts, 0)?;
        let rows = shape.first().copied().unwrap_or(1);
        let parts = names.iter().map(|name| (format!("{}{name}", self.names.prefix), rows)).collect();
        let place = Place::Stage(stage);
        self.parameters.push(Parameter { parts, tensor: tensor.shallow_clone(), place, table: false });
        Ok(tensor)
    }

    fn linear(&mut self, name: &str, inputs: i64, outputs: i64, stage: usize) -> Result<Linear> {
        let weight = self.take(&format!("{name}.weight"), &[outputs, inputs], stage, Fresh::Normal)?;
        let bias = self.take(&format!("{name}.bias"), &[outputs], stage, Fresh::Filled(0.0))?;
        self.kept(weight, Some(bias))
    }

    /// The linear layer of the tensors that were taken last, kept as it is to be. Without a bias it adds zeros, which are no
    /// parameter.
    fn kept(&mut self, weight: Tensor, bias: Option<Tensor>) -> Result<Linear> {
        let has_bias = bias.is_some();
        let bias = match bias {
            Some(bias) => bias,
            None => Tensor::f_zeros([weight.size2()?.0], (Kind::Float, weight.device()))?,
        };
        let Linears::In(kind) = self.linears else {
            let int8 = Some(Int8Linear::pack(&weight, &bias)?);
            return Ok(Linear { int8, ..Linear::new(weight, bias) });
        };
        let linear = Linear::new(cast(&weight, kind)?, cast(&bias, kind)?);
        let held = if has_bias { vec![&linear.bias, &linear.weight] } else { vec![&linear.weight] };
        for (parameter, tensor) in self.parameters.iter_mut().rev().zip(held) {
            parameter.tensor = tensor.shallow_clone();
        }
        Ok(linear)
    }

    fn fused_linear(&mut self, names: [String; 3], width: i64, bias: bool, stage: usize) -> Result<Linear> {
        let weights = names.each_ref().map(|name| format!("{name}.weight"));
        let biases = names.each_ref().map(|name| format!("{name}.bias"));
        let weight = self.take_fused(&weights, &[width, width], stage, Fresh::Normal)?;
        let bias = match bias {
            true => Some(self.take_fused(&biases, &[width], stage, Fresh::Filled(0.0))?),
            false => None,
        };
        self.kept(weight, bias)
    }

    fn norm(&mut self, name: &str, width: i64, epsilon: f64, stage: usize) -> Result<LayerNorm> {
        Ok(LayerNorm {
            weight: self.take(&format!("{name}.weight"), &[width], stage, Fresh::Filled(1.0))?,
            bias: self.take(&format!("{name}.bias"), &[width], stage, Fresh::Filled(0.0))?,
            epsilon,
        })
    }
}
