//! DeBERTa-v2 and v3 (He et al. 2021, 2023): BERT's layers with disentangled attention (`encoder/disentangled.rs`),
//! usually without position and segment vectors; in the two largest v2 models with a convolution beside the first layer
//! (`encoder/convolution.rs`). The head is a newly initialised layer with GELU before the output.

use super::text_encoder::{PositionNumbering, Settings, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::encoder::{
    ConvolutionOptions, EmbeddingNames, EmbeddingProjection, EmbeddingsConfig, EncoderConfig, Names, RelativeNames,
    RelativeOptions, is_size,
};
use crate::model::request::Engine;

/// As in transformers' `DebertaV2Config` and `DebertaV2ForSequenceClassification`.
pub const DEBERTA_V2: TextEncoder = TextEncoder {
    name: "deberta-v2",
    class: "DebertaV2",
    names: Names {
        embeddings: EmbeddingNames::Text {
            word: "embeddings.word_embeddings.weight",
            position: "embeddings.position_embeddings.weight",
            segment: Some("embeddings.token_type_embeddings.weight"),
            norm: Some("embeddings.LayerNorm"),
        },
        embedding_projection: Some("embeddings.embed_proj"),
        relative: Some(RelativeNames {
            table: "encoder.rel_embeddings.weight",
            norm: "encoder.LayerNorm",
            key: "encoder.layer.{}.attention.self.pos_key_proj",
            query: "encoder.layer.{}.attention.self.pos_query_proj",
        }),
        query: "encoder.layer.{}.attention.self.query_proj",
        key: "encoder.layer.{}.attention.self.key_proj",
        value: "encoder.layer.{}.attention.self.value_proj",
        ..Names::of_bert("deberta.")
    },
    keys: TextKeys { head_dropout: "cls_dropout", ..TextKeys::TRANSFORMERS },
    defaults: TextDefaults {
        vocabulary: 128_100,
        width: 1536,
        layers: 24,
        heads: 24,
        inner: 6144,
        activation: Activation::Gelu,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        head_dropout: None,
        positions: 512,
        segments: 0,
        layer_norm_epsilon: 1e-7,
        padding: 0,
    },
    positions: PositionNumbering::FromZero,
    further: Some(read_further),
    pooling_key: None,
    head: TextHead {
        hidden: "pooler.dense",
        in_backbone: false,
        activation: Activation::Gelu,
        dropout_before_hidden: false,
        output: "classifier",
        norm: None,
        bias_key: None,
        hidden_key: None,
    },
    other_heads: &[
        "classifier.",
        "pooler.",
        "lm_predictions.",
        "mask_predictions.",
        "cls.",
        "qa_outputs.",
        // Saved by some checkpoints whose settings leave it out; transformers ignores it too.
        "deberta.embeddings.position_embeddings.",
        "embeddings.position_embeddings.",
    ],
    engines: &[Engine::Packed],
    rust_bert: None,
    shares_layers: false,
};

/// Reads the settings that only this family has.
pub(super) fn read_further(settings: &Settings, config: &mut EncoderConfig) -> Result<()> {
    config.convolution = convolution(settings)?;
    if settings.get("pooler_dropout", 0.0)? > 0.0 {
        return Err(settings.refused("pooler_dropout", "only 0 is supported".to_owned()));
    }
    let activation = settings.get("pooler_hidden_act", Activation::Gelu)?;
    if activation != Activation::Gelu {
        return Err(settings.refused("pooler_hidden_act", format!("{activation:?}: only gelu is supported")));
    }
    for (key, usual) in
        [("pooler_hidden_size", config.width), ("attention_head_size", config.width / config.attention.heads.max(1))]
    {
        let size = settings.get(key, usual)?;
        if size != usual {
            return Err(settings.refused(key, format!("{size}: only {usual} is supported, as the other sizes say")));
        }
    }
    config.attention.relative = Some(relative(settings, config)?);
    let given = settings.get("position_biased_input", true)?;
    let vectors = settings.get("embedding_size", config.width)?;
    if !is_size(vectors) {
        return Err(settings.refused("embedding_size", format!("{vectors} is not a possible size")));
    }
    if let EmbeddingsConfig::Text { width, has_positions, projection, .. } = &mut config.embeddings {
        (*width, *has_positions, *projection) = (vectors, given, EmbeddingProjection::BeforeNorm);
    }
    Ok(())
}

/// The convolution beside the first layer.
fn convolution(settings: &Settings) -> Result<Option<ConvolutionOptions>> {
    let kernel = settings.get("conv_kernel_size", 0)?;
    if kernel <= 0 {
        return Ok(None);
    }
    if kernel % 2 == 0 || !is_size(kernel) {
        return Err(settings.refused("conv_kernel_size", format!("{kernel} is not an odd number of tokens")));
    }
    if settings.get("conv_groups", 1)? != 1 {
        return Err(settings.refused("conv_groups", "only 1 is supported".to_owned()));
    }
    Ok(Some(ConvolutionOptions { kernel, activation: settings.get("conv_act", Activation::Tanh)? }))
}

/// What is multiplied with the vectors of distances.
fn relative(settings: &Settings, config: &EncoderConfig) -> Result<RelativeOptions> {
    if !settings.get("relative_attention", false)? {
        return Err(settings.refused("relative_attention", "only `true` is supported".to_owned()));
    }
    let kinds = settings.list("pos_att_type")?;
    if let Some(kind) = kinds.iter().find(|kind| !["c2p", "p2c"].contains(&kind.as_str())) {
        return Err(settings.refused("pos_att_type", format!("`{kind}` is not supported; `c2p` and `p2c` are")));
    }
    if kinds.is_empty() {
        return Err(settings.refused("pos_att_type", "one of `c2p` and `p2c` is needed".to_owned()));
    }
    let norms = settings.list("norm_rel_ebd")?;
    if let Some(norm) = norms.iter().find(|norm| !["none", "layer_norm"].contains(&norm.as_str())) {
        return Err(settings.refused("norm_rel_ebd", format!("`{norm}` is not supported; `layer_norm` is")));
    }
    let EmbeddingsConfig::Text { positions, .. } = config.embeddings else {
        return Err(settings.refused("model_type", "a text encoder that reads no text".to_owned()));
    };
    let farthest = match settings.get("max_relative_positions", -1)? {
        ..1 => positions,
        farthest => farthest,
    };
    let buckets = settings.get("position_buckets", -1)?.max(0);
    // With one bucket or two a logarithm is divided by nothing.
    if (1..4).contains(&buckets) || !is_size(farthest) || buckets > i64::from(i32::MAX) || farthest <= buckets / 2 + 1 {
        let message = format!("{buckets} kinds of distance up to {farthest} make no sense");
        return Err(settings.refused("position_buckets", message));
    }
    Ok(RelativeOptions {
        span: if buckets > 0 { buckets } else { farthest },
        buckets,
        farthest,
        content_to_position: kinds.iter().any(|kind| kind == "c2p"),
        position_to_content: kinds.iter().any(|kind| kind == "p2c"),
        shares_projection: settings.get("share_att_key", false)?,
        key_bias: true,
        norm: norms.iter().any(|norm| norm == "layer_norm"),
    })
}
