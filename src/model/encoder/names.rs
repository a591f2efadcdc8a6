//! What a family calls an encoder's tensors.

use crate::model::checkpoint::Weights;

/// The names of an encoder's tensors below the family's prefix, without `.weight` and `.bias` where a layer has both.
/// `{}` stands for a layer's number.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// What a classification checkpoint puts before the backbone's names (`bert.`); a bare backbone has none.
    pub prefix: &'static str,
    pub embeddings: EmbeddingNames,
    /// The linear layer that brings the embeddings to the layers' width, where they are narrower.
    pub embedding_projection: Option<&'static str>,
    /// The whole name of the table of a bias by distance, in a family that has it (`distance.rs`).
    pub distance_bias: Option<&'static str>,
    /// The tensors of attention by distance, in a family that has it (`disentangled.rs`).
    pub relative: Option<RelativeNames>,
    /// The whole name of a vector `[1, 1, width]` that nothing reads and that Python's class wants to find.
    pub unread: Option<&'static str>,
    /// The query, key and value of the first token's own attention, in a family that has it (`global.rs`).
    pub global: Option<[&'static str; 3]>,
    /// Query, key and value as one layer, in a family that stores them so; else these three.
    pub qkv: Option<&'static str>,
    /// The whole names of the biases of queries and values, in a family whose one layer for them gives query, key and
    /// value head by head (`interleaved.rs`).
    pub interleaved: Option<[&'static str; 2]>,
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub attention_output: &'static str,
    pub attention_norm: &'static str,
    /// The first linear layer of the feed-forward block.
    pub inner: &'static str,
    /// Its gate, in a family that stores it by itself.
    pub gate: Option<&'static str>,
    /// The second one.
    pub output: &'static str,
    pub output_norm: &'static str,
    /// The whole names of the vectors that what attention and the feed-forward block give is multiplied by, in a family
    /// that has them (layer scale, Touvron et al. 2021).
    pub layer_scale: Option<[&'static str; 2]>,
    /// After the last layer, where norms come first.
    pub final_norm: Option<&'static str>,
}

/// The same for what the tokens are made with.
#[derive(Debug, Clone, Copy)]
pub enum EmbeddingNames {
    /// Whole names, but for the norm. `segment` is `None` in a family without segments, `norm` in one without a norm
    /// before the first layer.
    Text { word: &'static str, position: &'static str, segment: Option<&'static str>, norm: Option<&'static str> },
    /// Whole names, but for the projection and the norm.
    Patches {
        class: &'static str,
        position: &'static str,
        projection: &'static str,
        /// Of all register tokens, in a family that has them.
        registers: Option<&'static str>,
        /// What stands for a masked patch while a network is pretrained, in a family that has it: kept, not used.
        mask: Option<&'static str>,
        /// A norm before the first layer.
        norm: Option<&'static str>,
        /// Whether class token and positions are stored as `[width]` and `[positions, width]`, without leading ones.
        flat: bool,
    },
}

/// The same for attention by distance: the table's whole name, and those of its norm and of a layer's projections.
#[derive(Debug, Clone, Copy)]
pub struct RelativeNames {
    pub table: &'static str,
    pub norm: &'static str,
    pub key: &'static str,
    pub query: &'static str,
}

impl Names {
    /// What a BERT and its descendants call their tensors in transformers, below `prefix`.
    pub const fn of_bert(prefix: &'static str) -> Self {
        Self {
            prefix,
            embeddings: EmbeddingNames::Text {
                word: "embeddings.word_embeddings.weight",
                position: "embeddings.position_embeddings.weight",
                segment: Some("embeddings.token_type_embeddings.weight"),
                norm: Some("embeddings.LayerNorm"),
            },
            embedding_projection: None,
            distance_bias: None,
            relative: None,
            unread: None,
            global: None,
            qkv: None,
            interleaved: None,
            query: "encoder.layer.{}.attention.self.query",
            key: "encoder.layer.{}.attention.self.key",
            value: "encoder.layer.{}.attention.self.value",
            attention_output: "encoder.layer.{}.attention.output.dense",
            attention_norm: "encoder.layer.{}.attention.output.LayerNorm",
            inner: "encoder.layer.{}.intermediate.dense",
            gate: None,
            output: "encoder.layer.{}.output.dense",
            output_norm: "encoder.layer.{}.output.LayerNorm",
            layer_scale: None,
            final_norm: None,
        }
    }

    /// What transformers calls the tensors of a BERT with rotary positions and a gate, below `prefix`.
    pub const fn of_gated_bert(prefix: &'static str) -> Self {
        Self {
            embeddings: EmbeddingNames::Text {
                word: "embeddings.word_embeddings.weight",
                position: "",
                segment: Some("embeddings.token_type_embeddings.weight"),
                norm: Some("embeddings.LayerNorm"),
            },
            query: "layers.{}.self_attn.q_proj",
            key: "layers.{}.self_attn.k_proj",
            value: "layers.{}.self_attn.v_proj",
            attention_output: "layers.{}.self_attn.o_proj",
            attention_norm: "layers.{}.post_attention_layernorm",
            inner: "layers.{}.mlp.gate_proj",
            gate: Some("layers.{}.mlp.up_proj"),
            output: "layers.{}.mlp.down_proj",
            output_norm: "layers.{}.post_mlp_layernorm",
            ..Self::of_bert(prefix)
        }
    }

    /// The prefix that the checkpoint's names carry: the family's, or none.
    pub fn stored_prefix(&self, weights: &Weights) -> &'static str {
        let (EmbeddingNames::Text { word: name, .. } | EmbeddingNames::Patches { class: name, .. }) = self.embeddings;
        let prefixed = format!("{}{name}", self.prefix);
        if weights.has(&prefixed) { self.prefix } else { "" }
    }

    /// How the stored names of layer `layer` begin, in a checkpoint with this prefix.
    pub fn layer_prefix(&self, stored_prefix: &str, layer: usize) -> String {
        let (before, _) = self.query.split_once("{}").unwrap_or((self.query, ""));
        format!("{stored_prefix}{before}{layer}.")
    }

    /// Whether tokens have a segment vector.
    pub fn has_segments(&self) -> bool {
        matches!(self.embeddings, EmbeddingNames::Text { segment: Some(_), .. })
    }
}
