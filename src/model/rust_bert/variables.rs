//! What rust-bert's networks have in common: variables that are filled from a checkpoint, and the rectangles that a
//! packed batch is cut into for them.

use tch::nn::VarStore;
use tch::{Device, Tensor};

use crate::batch::PackedTokens;
use crate::batch::packed::LengthGroup;
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::backbone::Backbone;
use crate::model::checkpoint::Checkpoint;
use crate::model::encoder::{EmbeddingsConfig, EncoderConfig};
use crate::model::parameter::{Parameter, ParameterLocation, Role};
use crate::model::pass::Pass;
use crate::random::from_torch;

/// Makes a network of rust-bert.
pub type RustBertLoader = fn(&RustBertSource) -> Result<Box<dyn Backbone>>;

/// What a network of rust-bert is loaded from.
pub struct RustBertSource<'a> {
    pub checkpoint: &'a Checkpoint,
    /// Its settings, checked.
    pub config: &'a EncoderConfig,
    /// What a classification checkpoint puts before the backbone's names, and what this one does.
    pub prefix: &'static str,
    pub stored_prefix: &'static str,
    pub device: Device,
}

/// The sizes of the tables that tokens are looked up in.
#[derive(Debug, Clone, Copy)]
pub struct TableSizes {
    pub vocabulary: i64,
    pub positions: i64,
    pub segments: i64,
}

impl RustBertSource<'_> {
    /// A setting that rust-bert cannot compute.
    pub fn refused(&self, key: &str, message: impl Into<String>) -> Error {
        Error::request(message.into()).file(self.checkpoint.config_file()).key(key)
    }

    /// rust-bert's name for the activation.
    pub fn activation(&self) -> Result<rust_bert::Activation> {
        match self.config.feed_forward.activation {
            Activation::Gelu => Ok(rust_bert::Activation::gelu),
            Activation::GeluNew => Ok(rust_bert::Activation::gelu_new),
            Activation::Relu => Ok(rust_bert::Activation::relu),
            other => Err(self.refused("hidden_act", format!("rust-bert has no {other:?}"))),
        }
    }

    /// The sizes of the tables, of a network that numbers positions from 0.
    pub fn tables(&self) -> Result<TableSizes> {
        match self.config.embeddings {
            EmbeddingsConfig::Text { vocabulary, positions, position_offset: 0, segments, .. } => {
                Ok(TableSizes { vocabulary, positions, segments })
            }
            _ => Err(self.refused("model_type", "rust-bert reads text as BERT does")),
        }
    }

    /// Checks that the checkpoint has tensors of these shapes, by their names below the prefix: before variables are
    /// made of sizes that `config.json` only claims.
    ///
    /// # Errors
    /// One is missing or of another shape.
    pub fn check(&self, shapes: &[(String, Vec<i64>)]) -> Result<()> {
        shapes.iter().try_for_each(|(name, shape)| {
            self.checkpoint.weights.take(&format!("{}{name}", self.stored_prefix), shape).map(drop)
        })
    }

    /// Copies the checkpoint's tensors into the variables, whose names are those of a classification checkpoint, and
    /// lists them as parameters, by stage and name. `stage_of` says, for a name below the prefix, in which stage it
    /// is; `None` is for variables that rust-bert makes and nobody reads.
    ///
    /// # Errors
    /// The checkpoint lacks a tensor, or it has another shape.
    pub fn fill(&self, store: &VarStore, stage_of: impl Fn(&str) -> Option<usize>) -> Result<Vec<Parameter>> {
        let mut parameters = Vec::new();
        for (name, variable) in store.variables() {
            let below = name.strip_prefix(self.prefix).unwrap_or(&name);
            let Some(stage) = stage_of(below) else { continue };
            let stored = format!("{}{below}", self.stored_prefix);
            let source = self.checkpoint.weights.take(&stored, &variable.size())?;
            let mut variable = variable.f_set_requires_grad(false)?;
            tch::no_grad(|| variable.f_copy_(&source))?;
            parameters.push((stage, name, variable));
        }
        // The store has them in no order.
        parameters.sort_by(|(stage, name, _), (other_stage, other, _)| (stage, name).cmp(&(other_stage, other)));
        let parameter =
            |(stage, name, variable)| Parameter::new(name, variable, ParameterLocation::Stage(stage), Role::Weight);
        Ok(parameters.into_iter().map(parameter).collect())
    }
}

/// Runs layers of rust-bert, which `compute` is told whether to train. They draw dropout from torch's own generator;
/// seeding it for each micro-batch keeps runs repeatable and resumable.
pub fn run_in(pass: Pass, compute: impl FnOnce(bool) -> Result<Tensor>) -> Result<Tensor> {
    match pass.dropout {
        Some(keys) => from_torch(keys.next(), || compute(true)),
        None => compute(false),
    }
}

impl TableSizes {
    /// Ids, segments and positions of a group as rectangles `[count, length]`.
    ///
    /// # Errors
    /// One of them is in no row of its table: rust-bert would panic.
    pub fn rectangles(self, tokens: &PackedTokens, group: &LengthGroup) -> Result<[Tensor; 3]> {
        let LengthGroup { start, count, length } = *group;
        if length > self.positions {
            return Err(Error::failure(format!("{length} tokens where the network has {} positions", self.positions)));
        }
        let rectangle = |flat: &Tensor, rows: i64, what: &str| {
            let flat = flat.f_narrow(0, start, count * length)?;
            for value in [flat.f_min()?, flat.f_max()?] {
                let value = value.f_int64_value(&[])?;
                if !(0..rows).contains(&value) {
                    return Err(Error::failure(format!("{what} {value} where the network knows {rows}")));
                }
            }
            Ok(flat.f_view([count, length])?)
        };
        Ok([
            rectangle(&tokens.ids, self.vocabulary, "token id")?,
            rectangle(&tokens.types, self.segments, "segment")?,
            rectangle(&tokens.positions, self.positions, "position")?,
        ])
    }
}
