//! The packed transformer encoder: embeddings, then layers, over flat runs of tokens without padding.
//!
//! One implementation for all families whose layers are BERT's (post-norm self-attention and feed-forward); each family is
//! a short description of itself (`bert.rs`): how its `config.json` reads, and what its tensors are called. Linear layers,
//! norms and activations see every token once; attention works within each sequence (`attention.rs`).

mod attention;
pub mod bert;
mod embeddings;
mod layer;

use std::ops::Range;

use tch::{Kind, Tensor};

use self::embeddings::Embeddings;
use self::layer::Layer;
use super::backbone::{Backbone, Pass, Pooling};
use super::checkpoint::Weights;
use super::lora;
use super::parameters::{LayerNorm, Linear, Linears, Parameter, Place, cast};
use crate::batch::{Batch, PackedTokens};
use crate::error::{Error, Result};
use crate::native::{self, Gelu, Int8Linear};

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
    pub vocabulary: i64,
    pub positions: i64,
    /// Kinds of segment; a pair of texts needs two.
    pub segments: i64,
    pub width: i64,
    pub layers: usize,
    pub heads: i64,
    pub intermediate: i64,
    pub activation: Activation,
    pub layer_norm_epsilon: f64,
    pub hidden_dropout: f64,
    pub attention_dropout: f64,
}

/// What a family calls its tensors, below its prefix. `{}` stands for the layer's number.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// What a classification checkpoint puts before the backbone's names (`bert.`); a bare backbone has none.
    pub prefix: &'static str,
    pub word: &'static str,
    pub position: &'static str,
    pub segment: &'static str,
    pub embedding_norm: &'static str,
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub attention_output: &'static str,
    pub attention_norm: &'static str,
    pub intermediate: &'static str,
    pub output: &'static str,
    pub output_norm: &'static str,
}

/// A BERT-shaped encoder. Stage 0 is the embeddings, stage *i* the *i*-th layer. Activations between stages: `[T, width]`.
pub struct Encoder {
    config: EncoderConfig,
    stages: Vec<String>,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    parameters: Vec<Parameter>,
    adapters: Vec<Parameter>,
    names: Names,
}

impl Encoder {
    /// Takes the encoder's tensors from a checkpoint, with or without the family's prefix.
    /// The linear layers are kept as `linears` says; tables and norms, which are small or read in part, as the weights come.
    pub fn load(config: EncoderConfig, names: &Names, weights: &Weights, linears: Linears) -> Result<Self> {
        let stored_prefix = stored_prefix(names, weights);
        let mut builder = Builder { weights, names, parameters: Vec::new(), stored_prefix, linears };
        let embeddings = Embeddings::load(&config, &mut builder)?;
        let layers =
            (0..config.layers).map(|index| Layer::load(&config, index, &mut builder)).collect::<Result<_>>()?;
        let parameters = builder.parameters;
        let stages = stage_names(config.layers);
        Ok(Self { config, stages, embeddings, layers, parameters, adapters: Vec::new(), names: *names })
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
    let prefixed = format!("{}{}", names.prefix, names.word);
    if weights.has(&prefixed) { names.prefix } else { "" }
}

impl Backbone for Encoder {
    fn family(&self) -> &str {
        &self.config.family
    }

    fn settings(&self) -> String {
        format!("{:?}", self.config)
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
        let tokens = batch.inputs.tokens()?;
        Ok(Vec::try_from(&tokens.ids)?)
    }

    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        let tokens = batch.inputs.tokens()?;
        let mut x = activations;
        for stage in stages {
            x = Some(match (stage, x) {
                (0, _) => self.embeddings.forward(tokens, pass)?,
                (_, Some(x)) => self.layer(stage)?.forward(&x, tokens, pass)?,
                (_, None) => return Err(Error::failure(format!("stage {stage} needs activations to start from"))),
            });
        }
        x.ok_or_else(|| Error::failure("an empty range of stages needs activations to start from"))
    }

    fn pool(&self, activations: &Tensor, batch: &Batch, pooling: Pooling) -> Result<Tensor> {
        let tokens = batch.inputs.tokens()?;
        pool(activations, tokens, pooling)
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
        let tokens = batch.inputs.tokens()?;
        let last = self.layers.len();
        if pooling == Pooling::Cls && last > 0 && from <= last {
            let x = self.run(from..last, batch, activations, pass)?;
            return self.layer(last)?.forward_first_tokens(&x, tokens, pass);
        }
        let x = self.run(from..last + 1, batch, activations, pass)?;
        pool(&x, tokens, pooling)
    }
}

/// `[T, width]` to `[N, width]`: each sequence's first token, or the mean over its tokens (in fp32).
pub fn pool(activations: &Tensor, tokens: &PackedTokens, pooling: Pooling) -> Result<Tensor> {
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
                    Ok(rectangle.f_mean_dim([1i64].as_slice(), false, Kind::Float)?)
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(Tensor::f_cat(&means, 0)?.f_to_kind(activations.kind())?)
        }
    }
}

/// Takes tensors from a checkpoint and keeps the list of parameters that they become.
struct Builder<'a> {
    weights: &'a Weights,
    names: &'a Names,
    parameters: Vec<Parameter>,
    stored_prefix: &'static str,
    linears: Linears,
}

impl Builder<'_> {
    /// The tensor `name`, registered under the name that a classification checkpoint gives it.
    fn take(&mut self, name: &str, shape: &[i64], stage: usize) -> Result<Tensor> {
        let tensor = self.weights.take(&format!("{}{name}", self.stored_prefix), shape)?;
        let name = format!("{}{name}", self.names.prefix);
        self.parameters.push(Parameter::new(name, tensor.shallow_clone(), Place::Stage(stage)));
        Ok(tensor)
    }

    /// A table whose rows are read one by one. On the CPU alone: a GPU updates the whole sooner than it finds the rows.
    fn take_table(&mut self, name: &str, shape: &[i64], stage: usize) -> Result<Tensor> {
        let tensor = self.take(name, shape, stage)?;
        if let Some(parameter) = self.parameters.last_mut() {
            parameter.table = tensor.device() == tch::Device::Cpu;
        }
        Ok(tensor)
    }

    /// Several tensors as one, stacked along dimension 0, stored under their own names.
    fn take_fused(&mut self, names: &[String], shape: &[i64], stage: usize) -> Result<Tensor> {
        let parts = names
            .iter()
            .map(|name| self.weights.take(&format!("{}{name}", self.stored_prefix), shape))
            .collect::<Result<Vec<_>>>()?;
        let tensor = Tensor::f_cat(&parts, 0)?;
        let rows = shape.first().copied().unwrap_or(1);
        let parts = names.iter().map(|name| (format!("{}{name}", self.names.prefix), rows)).collect();
        let place = Place::Stage(stage);
        self.parameters.push(Parameter { parts, tensor: tensor.shallow_clone(), place, table: false });
        Ok(tensor)
    }

    fn linear(&mut self, name: &str, inputs: i64, outputs: i64, stage: usize) -> Result<Linear> {
        let weight = self.take(&format!("{name}.weight"), &[outputs, inputs], stage)?;
        let bias = self.take(&format!("{name}.bias"), &[outputs], stage)?;
        self.kept(weight, bias)
    }

    /// The linear layer of the two tensors that were taken last, kept as it is to be.
    fn kept(&mut self, weight: Tensor, bias: Tensor) -> Result<Linear> {
        let Linears::In(kind) = self.linears else {
            let int8 = Some(Int8Linear::pack(&weight, &bias)?);
            return Ok(Linear { int8, ..Linear::new(weight, bias) });
        };
        let linear = Linear::new(cast(&weight, kind)?, cast(&bias, kind)?);
        if let [.., of_weight, of_bias] = self.parameters.as_mut_slice() {
            (of_weight.tensor, of_bias.tensor) = (linear.weight.shallow_clone(), linear.bias.shallow_clone());
        }
        Ok(linear)
    }

    fn fused_linear(&mut self, names: [String; 3], inputs: i64, outputs: i64, stage: usize) -> Result<Linear> {
        let weights = names.each_ref().map(|name| format!("{name}.weight"));
        let biases = names.each_ref().map(|name| format!("{name}.bias"));
        let weight = self.take_fused(&weights, &[outputs, inputs], stage)?;
        let bias = self.take_fused(&biases, &[outputs], stage)?;
        self.kept(weight, bias)
    }

    fn norm(&mut self, name: &str, width: i64, epsilon: f64, stage: usize) -> Result<LayerNorm> {
        Ok(LayerNorm {
            weight: self.take(&format!("{name}.weight"), &[width], stage)?,
            bias: self.take(&format!("{name}.bias"), &[width], stage)?,
            epsilon,
        })
    }
}
