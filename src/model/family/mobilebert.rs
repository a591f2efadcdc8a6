//! MobileBERT (Sun et al. 2020): many thin layers with bottlenecks (`encoder/bottleneck.rs`), whose norms only scale,
//! and embeddings from the vectors of three neighbouring words. The head is BERT's, in the published checkpoint without
//! the layer before the output (`classifier_activation`). In a padded batch of transformers', the last token of a text
//! sees the vector of the padding beside its own; alone, and in rehead always, it sees zeros.

use super::bert::BERT;
use super::text_encoder::{Settings, TextDefaults, TextEncoder, TextHead, TextKeys};
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::encoder::{
    BottleneckOptions, EmbeddingProjection, EmbeddingsConfig, EncoderConfig, LayerKind, Names, is_size,
};
use crate::model::layers::NormKind;
use crate::model::request::Engine;

/// As in transformers' `MobileBertConfig` and `MobileBertForSequenceClassification`.
pub const MOBILEBERT: TextEncoder = TextEncoder {
    name: "mobilebert",
    class: "MobileBert",
    names: Names { embedding_projection: Some("embeddings.embedding_transformation"), ..Names::of_bert("mobilebert.") },
    keys: TextKeys { embedding_width: Some(("embedding_size", 128)), ..TextKeys::TRANSFORMERS },
    defaults: TextDefaults {
        width: 512,
        layers: 24,
        heads: 4,
        inner: 512,
        activation: Activation::Relu,
        hidden_dropout: 0.0,
        ..BERT.defaults
    },
    further: Some(read_further),
    head: TextHead { hidden_key: Some("classifier_activation"), ..BERT.head },
    other_heads: &["classifier.", "cls.", "pooler.", "mobilebert.pooler.", "qa_outputs."],
    engines: &[Engine::Packed],
    rust_bert: None,
    ..BERT
};

fn read_further(settings: &Settings, config: &mut EncoderConfig) -> Result<()> {
    for (key, supported) in
        [("use_bottleneck", true), ("key_query_shared_bottleneck", true), ("use_bottleneck_attention", false)]
    {
        if settings.get(key, supported)? != supported {
            return Err(settings.refused(key, format!("only `{supported}` is supported")));
        }
    }
    let norms: String = settings.get("normalization_type", "no_norm".to_owned())?;
    if norms != "no_norm" {
        return Err(settings.refused("normalization_type", format!("`{norms}` is not supported; `no_norm` is")));
    }
    config.norm_kind = NormKind::Scale;
    let size = |key: &str, usual: i64| match settings.get(key, usual)? {
        size if is_size(size) => Ok(size),
        size => Err(settings.refused(key, format!("{size} is not a possible size"))),
    };
    let options = BottleneckOptions {
        width: size("intra_bottleneck_size", 128)?,
        feed_forwards: size("num_feedforward_networks", 4)?,
    };
    if options.width % config.attention.heads.max(1) != 0 {
        let message = format!("{} cannot be divided among {} heads", options.width, config.attention.heads);
        return Err(settings.refused("intra_bottleneck_size", message));
    }
    config.layer_kind = LayerKind::Bottleneck(options);
    if let EmbeddingsConfig::Text { projection, .. } = &mut config.embeddings {
        *projection = EmbeddingProjection::OfWords { neighbours: settings.get("trigram_input", true)? };
    }
    Ok(())
}
