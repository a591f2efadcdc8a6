//! BERT in rust-bert's layers: the reference for the packed encoder. Its layer norms' epsilon is fixed.

use std::ops::Range;

use rust_bert::bert::{BertConfig, BertEmbedding, BertEmbeddings, BertLayer};
use tch::Tensor;
use tch::nn::VarStore;

use super::variables::{RustBertSource, TableSizes, run_in};
use crate::batch::packed::LengthGroup;
use crate::batch::{Batch, PackedTokens};
use crate::error::{Error, Result};
use crate::model::backbone::{AdaptableLinear, Backbone, Description, no_such_stage, without_activations};
use crate::model::encoder::stage_names;
use crate::model::layout::Layout;
use crate::model::parameter::Parameter;
use crate::model::pass::Pass;
use crate::random::from_torch;

/// rust-bert's epsilon.
const EPSILON: f64 = 1e-12;

struct RustBert {
    width: i64,
    description: Description,
    tables: TableSizes,
    embeddings: BertEmbeddings,
    layers: Vec<BertLayer>,
    parameters: Vec<Parameter>,
    /// Owns the variables; the layers and `parameters` share them.
    _store: VarStore,
}

/// The BERT in a checkpoint.
///
/// # Errors
/// A setting that rust-bert cannot compute, or tensors that are missing or of another shape.
pub fn load_bert(source: &RustBertSource) -> Result<Box<dyn Backbone>> {
    const WITHOUT: &str = "leave out --engine rust-bert";
    let config = source.config;
    if config.layer_norm_epsilon != EPSILON {
        let message = format!("{:e}: rust-bert fixes it at {EPSILON:e}", config.layer_norm_epsilon);
        return Err(source.refused("layer_norm_eps", message).hint(WITHOUT));
    }
    let hidden_act = source.activation().map_err(|error| error.hint(WITHOUT))?;
    let tables = source.tables().map_err(|error| error.hint(WITHOUT))?;
    let TableSizes { vocabulary, positions, segments } = tables;
    let (width, inner) = (config.width, config.feed_forward.inner);
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![vocabulary, width]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![positions, width]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![segments, width]),
    ];
    if let Some(last) = config.layers.checked_sub(1) {
        shapes.push((format!("encoder.layer.{last}.output.dense.weight"), vec![width, inner]));
    }
    source.check(&shapes)?;
    let bert = BertConfig {
        hidden_act,
        attention_probs_dropout_prob: config.attention.dropout,
        hidden_dropout_prob: config.hidden_dropout,
        hidden_size: width,
        intermediate_size: inner,
        max_position_embeddings: positions,
        num_attention_heads: config.attention.heads,
        num_hidden_layers: config.layers as i64,
        type_vocab_size: segments,
        vocab_size: vocabulary,
        ..BertConfig::default()
    };
    let store = VarStore::new(source.device);
    let root = store.root() / "bert";
    // Drawn, to be overwritten.
    let (embeddings, layers) = from_torch(0, || {
        let layer = |index| BertLayer::new(&root / "encoder" / "layer" / index as i64, &bert);
        (BertEmbeddings::new(&root / "embeddings", &bert), (0..config.layers).map(layer).collect::<Vec<_>>())
    });
    let parameters = source.fill(&store, |name| {
        let layer = name.strip_prefix("encoder.layer.").and_then(|rest| rest.split('.').next());
        Some(layer.and_then(|number| number.parse::<usize>().ok()).map_or(0, |number| number + 1))
    })?;
    let stages = stage_names(config.layers);
    Ok(Box::new(RustBert {
        width,
        description: Description {
            family: config.family,
            settings: format!("rust-bert {}", config.in_evaluation()),
            widths: vec![width; stages.len()],
            stages,
        },
        tables,
        embeddings,
        layers,
        parameters,
        _store: store,
    }))
}

impl RustBert {
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
                        None => return Err(no_such_stage(stage)),
                    },
                    (_, None) => return Err(without_activations(stage)),
                });
            }
            let x = x.ok_or_else(|| without_activations(stages.start))?;
            parts.push(x.f_reshape([count * length, self.width])?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    fn embed(&self, tokens: &PackedTokens, group: &LengthGroup, train: bool) -> Result<Tensor> {
        let [ids, types, positions] = self.tables.rectangles(tokens, group)?;
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
        Layout::Tokens { width: self.width, last: false }
    }

    fn linears_mut(&mut self) -> Result<Vec<AdaptableLinear<'_>>> {
        Err(Error::request("`lora`: the layers of rust-bert have no adapters")
            .key("strategy.name")
            .hint("leave out --engine rust-bert, or use another strategy"))
    }

    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        let tokens = batch.inputs.tokens()?;
        run_in(pass, |train| self.compute(stages, tokens, activations, train))
    }
}
