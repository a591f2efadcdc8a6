//! ALBERT in rust-bert's layers. All its layers have the same weights, and rust-bert runs the network as a whole: it is
//! one stage, which is trained or frozen in one piece.
//!
//! In training rust-bert's dropout after attention has the probability of the attention's, where transformers has the
//! layers' own; in published checkpoints they are equal.

use std::ops::Range;

use rust_bert::albert::{AlbertConfig, AlbertModel};
use serde_json::Value;
use tch::Tensor;
use tch::nn::VarStore;

use super::variables::{RustBertSource, TableSizes, run_in};
use crate::batch::packed::LengthGroup;
use crate::batch::{Batch, PackedTokens};
use crate::error::{Error, Result};
use crate::model::backbone::{AdaptableLinear, Backbone, Description};
use crate::model::encoder::{impossible_size, is_size};
use crate::model::layout::Layout;
use crate::model::parameter::Parameter;
use crate::model::pass::Pass;
use crate::random::from_torch;

/// The name of the one stage.
const STAGE: &str = "shared layers";

struct Albert {
    width: i64,
    description: Description,
    tables: TableSizes,
    model: AlbertModel,
    parameters: Vec<Parameter>,
    /// Owns the variables; `model` and `parameters` share them.
    _store: VarStore,
}

/// The ALBERT in a checkpoint.
///
/// # Errors
/// A setting that rust-bert cannot compute, or tensors that are missing or of another shape.
pub fn load_albert(source: &RustBertSource) -> Result<Box<dyn Backbone>> {
    let config = source.config;
    let tables = source.tables()?;
    let TableSizes { vocabulary, positions, segments } = tables;
    let setting = |key: &str, default: i64| match source.checkpoint.config.get(key) {
        None => Ok(default),
        Some(value) => match value.as_i64() {
            Some(size) if is_size(size) => Ok(size),
            _ => Err(source.refused(key, impossible_size(value))),
        },
    };
    for key in ["num_hidden_groups", "inner_group_num"] {
        let groups = setting(key, 1)?;
        if groups != 1 {
            return Err(source.refused(key, format!("{groups}: rust-bert computes 1")));
        }
    }
    if config.layers == 0 {
        return Err(source.refused("num_hidden_layers", "there must be at least one layer"));
    }
    let embedding_size = setting("embedding_size", 128)?;
    let (width, inner) = (config.width, config.feed_forward.inner);
    source.check(&[
        ("embeddings.word_embeddings.weight".to_owned(), vec![vocabulary, embedding_size]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![positions, embedding_size]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![segments, embedding_size]),
        ("encoder.embedding_hidden_mapping_in.weight".to_owned(), vec![width, embedding_size]),
        ("encoder.albert_layer_groups.0.albert_layers.0.ffn.weight".to_owned(), vec![inner, width]),
    ])?;
    let albert = AlbertConfig {
        hidden_act: source.activation()?,
        attention_probs_dropout_prob: config.attention.dropout,
        hidden_dropout_prob: config.hidden_dropout,
        embedding_size,
        hidden_size: width,
        intermediate_size: inner,
        layer_norm_eps: Some(config.layer_norm_epsilon),
        max_position_embeddings: positions,
        num_attention_heads: config.attention.heads,
        num_hidden_layers: config.layers as i64,
        // The padding token's vector has no gradient.
        pad_token_id: source.checkpoint.config.get("pad_token_id").and_then(Value::as_i64).unwrap_or(0),
        type_vocab_size: segments,
        vocab_size: vocabulary,
        ..AlbertConfig::default()
    };
    let store = VarStore::new(source.device);
    // Drawn, to be overwritten.
    let model = from_torch(0, || AlbertModel::new(store.root() / "albert", &albert));
    // The pooler belongs to the head, which has its own.
    let parameters = source.fill(&store, |name| (!name.starts_with("pooler.")).then_some(0))?;
    Ok(Box::new(Albert {
        width,
        description: Description {
            family: config.family,
            settings: format!("rust-bert {embedding_size} {}", config.in_evaluation()),
            stages: vec![STAGE.to_owned()],
            widths: vec![width],
        },
        tables,
        model,
        parameters,
        _store: store,
    }))
}

impl Albert {
    /// The last layer's vectors of all groups, one group after the other.
    fn compute(&self, tokens: &PackedTokens, train: bool) -> Result<Tensor> {
        let mut parts = Vec::with_capacity(tokens.groups.len());
        for group in &tokens.groups {
            let LengthGroup { count, length, .. } = *group;
            let [ids, types, positions] = self.tables.rectangles(tokens, group)?;
            let output = self
                .model
                .forward_t(Some(&ids), None, Some(&types), Some(&positions), None, train)
                .map_err(|error| Error::failure(format!("rust-bert: {error}")))?;
            parts.push(output.hidden_state.f_reshape([count * length, self.width])?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}

impl Backbone for Albert {
    fn description(&self) -> &Description {
        &self.description
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn layout(&self, _stages: usize) -> Layout {
        Layout::Tokens { width: self.width, last: false }
    }

    fn linears_mut(&mut self) -> Result<Vec<AdaptableLinear<'_>>> {
        Err(Error::request("`lora`: the layers of rust-bert, which run an ALBERT, have no adapters")
            .key("strategy.name")
            .hint("use another strategy: full, frozen or bitfit"))
    }

    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        let tokens = batch.inputs.tokens()?;
        match (stages.start, stages.end, activations) {
            (0, 1, _) => run_in(pass, |train| self.compute(tokens, train)),
            (1, 1, Some(activations)) => Ok(activations),
            _ => Err(Error::failure(format!("an ALBERT has one stage, and {stages:?} were asked for"))),
        }
    }
}
