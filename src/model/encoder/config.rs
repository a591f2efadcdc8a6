//! An encoder's sizes and options, whatever family it comes from, and the check that they are possible. How a family's
//! `config.json` reads is the affair of its file in `family/`.

use std::fmt;
use std::path::Path;

use super::rotary::RotaryOptions;
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::layers::NormKind;
use crate::model::pass::Pooling;

/// Sizes and options of an encoder.
#[derive(Debug, Clone)]
pub struct EncoderConfig {
    /// The family's name.
    pub family: &'static str,
    pub embeddings: EmbeddingsConfig,
    /// Values of a token's vector.
    pub width: i64,
    /// Layers after the embeddings.
    pub layers: usize,
    pub layer_kind: LayerKind,
    pub attention: AttentionOptions,
    pub feed_forward: FeedForwardOptions,
    pub norms: NormPlacement,
    pub layer_norm_epsilon: f64,
    pub norm_kind: NormKind,
    /// Whether norms have a bias.
    pub norm_bias: bool,
    /// Where the norm after the last layer is not applied to every token: the pooling whose result it is applied to.
    pub pooled_norm: Option<Pooling>,
    /// Whether the first layer has no norm before its attention, since the embeddings end with one.
    pub skips_first_norm: bool,
    /// Positions by rotation.
    pub rotary: Option<RotaryOptions>,
    /// For each layer, whether it sees only near tokens; layers that are not named see all.
    pub local: Vec<bool>,
    /// Of what the first layer reads, beside the layer (`convolution.rs`).
    pub convolution: Option<ConvolutionOptions>,
    /// For each layer how far from a token those may be that it sees, beside the first one, whose attention has
    /// projections of its own (`global.rs`); none in most families.
    pub windows: Vec<i64>,
    /// Dropout after the embeddings and after both halves of a layer.
    pub hidden_dropout: f64,
}

/// What the tokens are made from.
#[derive(Debug, Clone, Copy)]
pub enum EmbeddingsConfig {
    /// A word, a position and perhaps a segment vector, added and normalised.
    Text {
        /// Rows of the table of words.
        vocabulary: i64,
        /// Positions that a text can have: the rows of the table after the first `position_offset`.
        positions: i64,
        /// The row of the first position. RoBERTa's positions begin after that of the padding.
        position_offset: i64,
        /// Kinds of segment; a model that distinguishes the texts of a pair needs two. With 0 they have no vector.
        segments: i64,
        /// Values of each of the vectors; a projection follows where the layers have another width.
        width: i64,
        /// Whether positions have a vector.
        has_positions: bool,
        /// The row of the table of words that is not trained, as PyTorch leaves that of the padding; -1 for none.
        untrained_row: i64,
        projection: EmbeddingProjection,
    },
    /// Patches of images, with a class token before them and a position each.
    Patches {
        /// Pixels of a patch: rows, columns.
        patch: [i64; 2],
        /// Patches of an image: rows, columns.
        grid: [i64; 2],
        /// How the positions are brought to another grid: with (timm) or without (transformers) a filter against
        /// aliasing.
        antialias: bool,
        /// Learned tokens between the class token and the patches, without positions (registers, Darcet et al. 2024).
        registers: i64,
        /// Whether the checkpoint has a position for the class token; where it has not, it begins as zeros.
        class_position: bool,
        /// Whether the projection of patches has a bias.
        bias: bool,
    },
}

/// Where the projection of the embeddings to the layers' width comes, in a family that has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingProjection {
    /// At the end, where the widths differ (ELECTRA).
    Last,
    /// Before the norm, without a bias, where the widths differ (DeBERTa).
    BeforeNorm,
    /// After the norm, before dropout, in any case (FNet).
    AfterNorm,
    /// Of the words alone: positions and segments are as wide as the layers. With `neighbours`, those of the next token
    /// and of the one before lie beside a word's vector (MobileBERT).
    OfWords { neighbours: bool },
}

/// What the layers are.
#[derive(Debug, Clone, Copy)]
pub enum LayerKind {
    /// Self-attention and a feed-forward block (`layer.rs`).
    Attention,
    /// A Fourier transform and a feed-forward block (`fourier.rs`).
    Fourier,
    /// Attention and feed-forward blocks in narrow vectors (`bottleneck.rs`).
    Bottleneck(BottleneckOptions),
    /// Attention by content, distance and text, and a feed-forward block (`two_stream.rs`). The last token stands for
    /// the text.
    TwoStream(TwoStreamOptions),
}

/// Options of XLNet's layers.
#[derive(Debug, Clone, Copy)]
pub struct TwoStreamOptions {
    /// The distance from which on all are alike, where there is one.
    pub farthest: Option<i64>,
}

/// Options of a convolution along the text.
#[derive(Debug, Clone, Copy)]
pub struct ConvolutionOptions {
    /// How many tokens it reads at once, an odd number.
    pub kernel: i64,
    pub activation: Activation,
}

/// Options of layers with bottlenecks.
#[derive(Debug, Clone, Copy)]
pub struct BottleneckOptions {
    /// Of the narrow vectors.
    pub width: i64,
    /// How many feed-forward blocks follow on attention, at least one.
    pub feed_forwards: i64,
}

/// Options of self-attention. One that the fast kernel does not have belongs here, and into the path by groups of equal
/// length in `attention.rs`.
#[derive(Debug, Clone, Copy)]
pub struct AttentionOptions {
    pub heads: i64,
    /// Heads of keys and values: as many, or a divisor of them, where several queries share each (grouped-query
    /// attention, Ainslie et al. 2023).
    pub key_value_heads: i64,
    /// Whether query, key and value have a bias.
    pub qkv_bias: bool,
    /// Whether the layer after attention has one.
    pub output_bias: bool,
    /// Dropout of the attention weights.
    pub dropout: f64,
    /// Scores by distance too, as DeBERTa has them.
    pub relative: Option<RelativeOptions>,
}

/// What attention by distance multiplies with what (`disentangled.rs`).
#[derive(Debug, Clone, Copy)]
pub struct RelativeOptions {
    /// Half of the table's rows: those of keys after the query, and those of keys before it.
    pub span: i64,
    /// Distances from half of this number on share a row with others (logarithmically); 0 where each has its own.
    pub buckets: i64,
    /// The distance that the last of these rows is for.
    pub farthest: i64,
    /// Whether the query meets the vector of the distance (c2p).
    pub content_to_position: bool,
    /// Whether the key does (p2c).
    pub position_to_content: bool,
    /// Whether the vectors are projected as queries and keys of tokens are, and not by layers of their own.
    pub shares_projection: bool,
    /// Whether the layer of its own for the vectors that a query meets has a bias.
    pub key_bias: bool,
    /// Whether the table is normalised before it is read.
    pub norm: bool,
}

impl RelativeOptions {
    /// How many products make a score: its variance grows with them.
    pub fn products(&self) -> i64 {
        1 + i64::from(self.content_to_position) + i64::from(self.position_to_content)
    }
}

/// Options of the feed-forward block: `output(activation(inner(x)))`, or `output(activation(inner(x)) · gate(x))`.
#[derive(Debug, Clone, Copy)]
pub struct FeedForwardOptions {
    /// Width between its two linear layers.
    pub inner: i64,
    pub activation: Activation,
    /// Whether there is a gate; its weights lie below those of the first layer.
    pub gated: bool,
    /// Whether the first linear layer, and the gate, have a bias.
    pub bias: bool,
    /// Whether the second one has.
    pub output_bias: bool,
    /// Whether dropout also comes before the second one.
    pub drops_inner: bool,
}

/// Where a layer's two norms are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlacement {
    /// Before attention and feed-forward, with one more after the last layer (Dosovitskiy et al. 2021).
    Before,
    /// After the residual of each (Devlin et al. 2019).
    After,
}

/// What a family's `config.json` calls the settings that are checked for every family.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKeys {
    pub width: &'static str,
    pub layers: &'static str,
    pub heads: &'static str,
    pub inner: &'static str,
    pub hidden_dropout: &'static str,
    pub attention_dropout: &'static str,
    /// `None` in a family that fixes it.
    pub layer_norm_epsilon: Option<&'static str>,
}

impl ConfigKeys {
    /// What most of transformers' encoders call them.
    pub const TRANSFORMERS: Self = Self {
        width: "hidden_size",
        layers: "num_hidden_layers",
        heads: "num_attention_heads",
        inner: "intermediate_size",
        hidden_dropout: "hidden_dropout_prob",
        attention_dropout: "attention_probs_dropout_prob",
        layer_norm_epsilon: Some("layer_norm_eps"),
    };
}

impl EncoderConfig {
    /// The settings, when there can be such an encoder; `file` is the `config.json` that they come from, and `keys` are
    /// their names in it.
    ///
    /// # Errors
    /// An impossible size, probability or epsilon.
    pub fn checked(self, file: &Path, keys: &ConfigKeys, hint: &'static str) -> Result<Self> {
        let refuse = |key: &str, message: String| Err(Error::request(message).file(file).key(key).hint(hint));
        let AttentionOptions { heads, dropout: attention_dropout, .. } = self.attention;
        let sizes = [(keys.width, self.width), (keys.heads, heads), (keys.inner, self.feed_forward.inner)];
        if let Some((key, size)) = sizes.into_iter().find(|(_, size)| !is_size(*size)) {
            return refuse(key, impossible_size(size));
        }
        // 0 is possible: an encoder of which only the embeddings are kept (`--stages 1`).
        if self.layers > i32::MAX as usize {
            return refuse(keys.layers, "not a possible number of layers".to_owned());
        }
        if self.width % heads != 0 {
            let message = format!("{} {} cannot be divided among {heads} heads", keys.width, self.width);
            return refuse(keys.heads, message);
        }
        let shared = self.attention.key_value_heads;
        if !is_size(shared) || heads % shared != 0 {
            return refuse("num_key_value_heads", format!("{heads} heads cannot share {shared} of keys and values"));
        }
        for (key, p) in [(keys.hidden_dropout, self.hidden_dropout), (keys.attention_dropout, attention_dropout)] {
            if !(0.0..1.0).contains(&p) {
                return refuse(key, format!("{p} is not a probability below 1"));
            }
        }
        if !(self.layer_norm_epsilon.is_finite() && self.layer_norm_epsilon >= 0.0) {
            let message = format!("{} is not a small positive number", self.layer_norm_epsilon);
            return refuse(keys.layer_norm_epsilon.unwrap_or("layer_norm_eps"), message);
        }
        Ok(self)
    }

    /// Has this dropout everywhere, when one is given.
    pub fn set_dropout(&mut self, dropout: Option<f64>) {
        if let Some(p) = dropout {
            (self.hidden_dropout, self.attention.dropout) = (p, p);
        }
    }

    /// What decides, with the weights, what the encoder computes in evaluation.
    pub fn in_evaluation(&self) -> String {
        let mut config = self.clone();
        config.set_dropout(Some(0.0));
        format!("{config:?}")
    }
}

/// Whether a size is one that a tensor can have.
pub fn is_size(size: i64) -> bool {
    (1..=i64::from(i32::MAX)).contains(&size)
}

/// The message about a size that none can be.
pub fn impossible_size(size: impl fmt::Display) -> String {
    format!("{size} is not a possible size")
}

/// `embeddings`, then `layer.0` and so on.
pub fn stage_names(layers: usize) -> Vec<String> {
    std::iter::once("embeddings".to_owned()).chain((0..layers).map(|index| format!("layer.{index}"))).collect()
}
