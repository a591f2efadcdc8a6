//! rust-bert's layers behind the [`Backbone`] trait: the reference that the packed encoder is tested against, chosen
//! with `--engine rust-bert`.
//!
//! Each group of equally long sequences goes through as an unpadded rectangle, so no mask is needed. rust-bert computes
//! in fp32 and fixes the layer norm's epsilon.

use std::ops::Range;

use rust_bert::bert::{BertConfig, BertEmbedding, BertEmbeddings, BertLayer};
use tch::nn::VarStore;
use tch::{Device, Tensor};

use super::activation::Activation;
use super::backbone::{AdaptableLinear, Backbone, Description};
use super::encoder::{EmbeddingsConfig, Encoder, EncoderConfig};
use super::layout::Layout;
use super::parameter::{Parameter, Role};
use super::pass::Pass;
use crate::batch::packed::LengthGroup;
use crate::batch::{Batch, PackedTokens};
use crate::error::{Error, Result};
use crate::random::from_torch;

/// rust-bert's BERT.
pub struct RustBert {
    width: i64,
    description: Description,
    embeddings: BertEmbeddings,
    layers: Vec<BertLayer>,
    parameters: Vec<Parameter>,
    /// Owns the variables; the layers and `parameters` share them.
    _store: VarStore,
}

impl RustBert {
    /// Builds rust-bert's BERT and copies the weights of an [`Encoder`], whose shapes have been checked, into it.
    pub fn from_encoder(config: &EncoderConfig, encoder: &Encoder, device: Device) -> Result<Self> {
        let refuse =
            |key: &str, message: String| Err(Error::request(message).key(key).hint("leave out --engine rust-bert"));
        if config.layer_norm_epsilon != 1e-12 {
            return refuse("layer_norm_eps", format!("{:e}: rust-bert fixes it at 1e-12", config.layer_norm_epsilon));
        }
        let hidden_act = match config.feed_forward.activation {
            Activation::Gelu => rust_bert::Activation::gelu,
            Activation::Relu => rust_bert::Activation::relu,
            other => return refuse("hidden_act", format!("rust-bert has no {other:?}")),
        };
        let EmbeddingsConfig::Text { vocabulary, positions, position_offset: 0, segments } = config.embeddings else {
            return refuse("model_type", "rust-bert reads text as BERT does".to_owned());
        };
        let bert = BertConfig {
            hidden_act,
            attention_probs_dropout_prob: config.attention.dropout,
            hidden_dropout_prob: config.hidden_dropout,
            hidden_size: config.width,
            intermediate_size: config.feed_forward.inner,
            max_position_embeddings: positions,
            num_attention_heads: config.attention.heads,
            num_hidden_layers: config.layers as i64,
            type_vocab_size: segments,
            vocab_size: vocabulary,
            ..BertConfig::default()
        };
        let store = VarStore::new(device);
        let root = store.root() / "bert";
        // Drawn, to be overwritten.
        let (embeddings, layers) = from_torch(0, || {
            let layer = |index| BertLayer::new(&root / "encoder" / "layer" / index as i64, &bert);
            (BertEmbeddings::new(&root / "embeddings", &bert), (0..config.layers).map(layer).collect::<Vec<_>>())
        });

        let mut parameters = Vec::new();
        let mut variables = store.variables();
        for parameter in encoder.parameters() {
            for (name, source) in parameter.stored()? {
                let mut variable = variables
                    .remove(&name)
                    .ok_or_else(|| Error::failure("rust-bert has no such variable").key(&name))?;
                variable = variable.set_requires_grad(false);
                tch::no_grad(|| variable.f_copy_(&source))?;
                parameters.push(Parameter::new(name, variable, parameter.location, Role::Weight));
            }
        }
        if let Some(name) = variables.keys().next() {
            return Err(Error::failure("rust-bert has a variable that the checkpoint lacks").key(name));
        }
        Ok(Self {
            width: config.width,
            description: Description {
                settings: format!("rust-bert {}", config.in_evaluation()),
                ..encoder.description().clone()
            },
            embeddings,
            layers,
            parameters,
            _store: store,
        })
    }

    /// Stages of all groups, one group after the other.
    fn compute(
        &self,
        stages: Range<usize>,
        tokens: &PackedTokens,
        activations: Option<Tensor>,
        train: bool,
    ) -> Result<Tensor> {
        let mut parts = Vec::with_capacity(tokens.groups.len());
        for group in &tokens.groups {
            let LengthGroup { start, count, length } = *group;
            let mut x = match &activations {
                Some(x) => Some(x.f_narrow(0, start, count * length)?.f_view([count, length, self.width])?),
                None => None,
            };
            for stage in stages.clone() {
                x = Some(match (stage, x) {
                    (0, _) => self.embed(tokens, group, train)?,
                    (_, Some(x)) => match self.layers.get(stage - 1) {
                        Some(layer) => layer.forward_t(&x, None, None, None, train).hidden_state,
                        None => return Err(Error::failure(format!("the backbone has no stage {stage}"))),
                    },
                    (_, None) => return Err(Error::failure(format!("stage {stage} needs activations to start from"))),
                });
            }
            let x = x.ok_or_else(|| Error::failure("an empty range of stages needs activations to start from"))?;
            parts.push(x.f_reshape([count * length, self.width])?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    fn embed(&self, tokens: &PackedTokens, group: &LengthGroup, train: bool) -> Result<Tensor> {
        let LengthGroup { start, count, length } = *group;
        let rectangle = |flat: &Tensor| flat.f_narrow(0, start, count * length)?.f_view([count, length]);
        let (ids, types, positions) =
            (rectangle(&tokens.ids)?, rectangle(&tokens.types)?, rectangle(&tokens.positions)?);
        self.embeddings
            .forward_t(Some(&ids), Some(&types), Some(&positions), None, train)
            .map_err(|error| Error::failure(format!("rust-bert: {error}")))
    }
}

impl Backbone for RustBert {
    fn description(&self) -> &Description {
        &self.description
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn layout(&self, _stages: usize) -> Layout {
        Layout::Tokens { width: self.width }
    }

    fn linears_mut(&mut self) -> Result<Vec<AdaptableLinear<'_>>> {
        Err(Error::request("`lora`: the layers of rust-bert take no adapters")
            .key("strategy.name")
            .hint("leave out --engine rust-bert, or take another strategy"))
    }

    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        let tokens = batch.inputs.tokens()?;
        let compute = || self.compute(stages, tokens, activations, pass.dropout.is_some());
        match pass.dropout {
            // rust-bert draws from torch's own generator; seeding it per micro-batch keeps runs repeatable and
            // resumable.
            Some(keys) => from_torch(keys.next(), compute),
            None => compute(),
        }
    }
}
