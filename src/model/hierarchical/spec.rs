//! A hierarchical network without weights: its levels, what its blocks are, and what follows for the extents of maps.
//! Families describe themselves in these terms; `network.rs` computes them.

use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::convolutional::Extent;

/// A network: a stem of patches, levels of blocks, a norm of the features.
#[derive(Debug, Clone)]
pub struct HierarchySpec {
    /// The family, with whose name and a point all names of tensors begin.
    pub family: &'static str,
    /// The side of the patches that the stem reads, in pixels.
    pub patch: i64,
    /// From the stem on. Each but the first begins by halving the map.
    pub levels: Vec<Level>,
    /// What the blocks are.
    pub blocks: BlockSpec,
    /// Between the two linear layers of a block.
    pub activation: Activation,
    /// Added to the variance in the norm of the features.
    pub final_epsilon: f64,
    /// With this probability the last block's part is left out for an image in training; of those before it accordingly
    /// less ([`DropoutKeys::drop_path`](crate::model::DropoutKeys::drop_path)).
    pub drop_path: f64,
}

/// Blocks one after another on maps of one extent.
#[derive(Debug, Clone)]
pub struct Level {
    /// Values of each place.
    pub width: i64,
    /// Blocks.
    pub depth: usize,
}

/// What the blocks of a network are.
#[derive(Debug, Clone)]
pub enum BlockSpec {
    /// ConvNeXt's (see `convnext.rs`).
    ConvNext {
        /// What a random start sets the scale of a block's result to; `None`: there is no scale.
        layer_scale: Option<f64>,
        /// Whether responses are normalised between the linear layers (version 2).
        global_response_norm: bool,
    },
    /// Swin's (see `swin.rs`).
    Swin(SwinSpec),
}

/// Options of Swin's blocks.
#[derive(Debug, Clone)]
pub struct SwinSpec {
    /// Attention heads of each level.
    pub heads: Vec<i64>,
    /// The side of a window, in places.
    pub window: i64,
    /// How many times as wide it is between the linear layers of the feed-forward block.
    pub expansion: f64,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Added to the variance in the norms of the blocks.
    pub epsilon: f64,
    /// Of what a block adds, and of the stem's result.
    pub hidden_dropout: f64,
    /// Of attention's weights.
    pub attention_dropout: f64,
}

impl SwinSpec {
    /// The width between the linear layers of the feed-forward block.
    pub fn inner(&self, width: i64) -> i64 {
        (self.expansion * width as f64) as i64
    }
}

impl BlockSpec {
    /// What a block is called, within a network's encoder.
    pub fn name(&self, level: usize, block: usize) -> String {
        match self {
            Self::ConvNext { .. } => format!("stages.{level}.layers.{block}"),
            Self::Swin(_) => format!("layers.{level}.blocks.{block}"),
        }
    }
}

impl HierarchySpec {
    /// Has this dropout wherever there is dropout, when one is given.
    pub fn set_dropout(&mut self, dropout: Option<f64>) {
        if let (Some(p), BlockSpec::Swin(swin)) = (dropout, &mut self.blocks) {
            (swin.hidden_dropout, swin.attention_dropout) = (p, p);
        }
    }

    /// The network, when there can be one.
    ///
    /// # Errors
    /// A size, a number of blocks or an epsilon that makes no sense; with the setting in `keys`.
    pub fn checked(self, keys: &SpecKeys) -> Result<Self> {
        let refuse = |key: &str, message: String| Err(Error::request(message).key(key));
        if !(1..=1024).contains(&self.patch) {
            return refuse(keys.patch, format!("patches of {} pixels are not possible", self.patch));
        }
        if self.levels.is_empty() || self.levels.iter().any(|level| !(1..=1000).contains(&level.depth)) {
            return refuse(keys.depths, "must be numbers of blocks, 1 to 1000 for each level".to_owned());
        }
        if let Some(level) = self.levels.iter().find(|level| !(1..=1 << 16).contains(&level.width)) {
            return refuse(keys.widths, format!("{} is not a possible size", level.width));
        }
        if !(0.0..1.0).contains(&self.drop_path) {
            return refuse("drop_path_rate", format!("{} is not a probability below 1", self.drop_path));
        }
        if !(self.final_epsilon.is_finite() && self.final_epsilon >= 0.0) {
            return refuse(keys.epsilon, format!("{} is not a small positive number", self.final_epsilon));
        }
        Ok(self)
    }

    /// What decides, with the weights, what is computed in evaluation.
    pub fn in_evaluation(&self) -> String {
        let mut spec = self.clone();
        spec.set_dropout(Some(0.0));
        spec.drop_path = 0.0;
        format!("{spec:?}")
    }

    /// The map of another, or an image, in squares of `side`. What is over at the right and below is left out by
    /// ConvNeXt and filled up by Swin.
    fn divided(&self, map: Extent, side: i64) -> Extent {
        match self.blocks {
            BlockSpec::ConvNext { .. } => map.map(|places| places / side.max(1)),
            BlockSpec::Swin(_) => map.map(|places| (places + side - 1) / side.max(1)),
        }
    }

    /// The smallest map that a block can read: a Swin's windows have one size.
    fn least(&self) -> i64 {
        match &self.blocks {
            BlockSpec::ConvNext { .. } => 1,
            BlockSpec::Swin(swin) => swin.window,
        }
    }

    /// Extents after each number of stages, from 0 on: those of the image, of the stem, of each block's result. `None`
    /// when the image is too small.
    pub fn extents(&self, image: Extent) -> Option<Vec<Extent>> {
        let mut map = self.divided(image, self.patch);
        let mut extents = vec![image, map];
        for (index, level) in self.levels.iter().enumerate() {
            if index > 0 {
                map = self.divided(map, 2);
            }
            if map.iter().any(|places| *places < self.least()) {
                return None;
            }
            extents.extend(std::iter::repeat_n(map, level.depth));
        }
        Some(extents)
    }

    /// The error for images that are too small.
    pub fn too_small(&self, [height, width]: Extent) -> Error {
        let smallest = (1..4096).find(|&side| self.extents([side; 2]).is_some()).unwrap_or(4096);
        let name = self.family;
        Error::request(format!("images of {height}×{width} pixels are too small for this `{name}`"))
            .hint(format!("it takes {smallest}×{smallest} and larger"))
    }
}

/// What a family's `config.json` calls the settings that are checked for every family.
pub struct SpecKeys {
    pub patch: &'static str,
    pub depths: &'static str,
    pub widths: &'static str,
    pub epsilon: &'static str,
}
