//! A family of text encoders in transformers' layout as a description: what its `config.json` calls the settings, what
//! their defaults are, what its tensors and its head are called. BERT and its descendants differ in nothing else.

use serde_json::{Value, json};

use super::interface::{
    Export, Family, HeadLayers, HeadNorm, HeadSpec, HiddenLayer, LayerName, Leftovers, Parts, SavedModel,
};
use super::settings::{MATCHING, OwnPooling};
pub use super::settings::{PoolingKey, Settings};
use super::transformers::{labelled_config, mean_pooled_type, set_python_classes};
use crate::data::Modality;
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::backbone::Backbone;
use crate::model::builder::{INITIAL_STD, NetworkWeights};
use crate::model::checkpoint::Checkpoint;
use crate::model::encoder::{
    AttentionOptions, ConfigKeys, EmbeddingNames, EmbeddingProjection, EmbeddingsConfig, Encoder, EncoderConfig,
    FeedForwardOptions, LayerKind, Names, NormPlacement,
};
use crate::model::layers::NormKind;
use crate::model::pass::Pooling;
use crate::model::request::{Engine, InputSpec, LoadRequest};
use crate::model::rust_bert::{RustBertLoader, RustBertSource};

/// A family of text encoders.
pub struct TextEncoder {
    /// `model_type` in `config.json`. The mean-pooled models that rehead writes have `rehead_` before it.
    pub name: &'static str,
    /// How transformers' classes of the family begin: `Bert` of `BertModel` and `BertForSequenceClassification`.
    pub class: &'static str,
    /// What its tensors are called. The prefix without its point is also what transformers' classes call the backbone.
    pub names: Names,
    /// What its settings are called.
    pub keys: TextKeys,
    /// What the settings are that `config.json` leaves out, as in transformers' configuration class of the family.
    pub defaults: TextDefaults,
    pub positions: PositionNumbering,
    /// Reads the settings that only this family has, and refuses what is not computed.
    pub further: Option<fn(&Settings, &mut EncoderConfig) -> Result<()>>,
    /// The setting that says what the family's own head reads, where there is one: then that head is on the mean too.
    pub pooling_key: Option<PoolingKey>,
    /// The head on the first token. On the mean there is none but a linear layer, `classifier`.
    pub head: TextHead,
    /// How the names of other tasks' heads begin, in classification checkpoints and in bare ones, which are not used.
    pub other_heads: &'static [&'static str],
    /// The engines that compute it, the one that is taken by itself first.
    pub engines: &'static [Engine],
    /// How rust-bert's network is loaded, where that engine is one of them.
    pub rust_bert: Option<RustBertLoader>,
    /// Whether all layers have the same weights: then the network is one stage.
    pub shares_layers: bool,
}

/// What a family calls the settings in its `config.json`.
pub struct TextKeys {
    pub encoder: ConfigKeys,
    /// The width of the embeddings, and its default, where that is a setting of its own.
    pub embedding_width: Option<(&'static str, i64)>,
    pub activation: &'static str,
    pub vocabulary: &'static str,
    pub positions: &'static str,
    /// Only read in a family that has segments.
    pub segments: &'static str,
    /// The token that fills up batches elsewhere.
    pub padding: &'static str,
    /// The dropout in the head.
    pub head_dropout: &'static str,
    /// Other names of settings, and the family's own: where both are given, transformers reads the other.
    pub aliases: &'static [(&'static str, &'static str)],
}

impl TextKeys {
    /// What most of transformers' encoders call them.
    pub const TRANSFORMERS: Self = Self {
        encoder: ConfigKeys::TRANSFORMERS,
        embedding_width: None,
        activation: "hidden_act",
        vocabulary: "vocab_size",
        positions: "max_position_embeddings",
        segments: "type_vocab_size",
        padding: "pad_token_id",
        head_dropout: "classifier_dropout",
        aliases: &[],
    };
}

/// The settings of a family where `config.json` does not say them.
#[derive(Clone, Copy)]
pub struct TextDefaults {
    pub vocabulary: i64,
    pub width: i64,
    pub layers: usize,
    pub heads: i64,
    pub inner: i64,
    pub activation: Activation,
    pub hidden_dropout: f64,
    pub attention_dropout: f64,
    /// The dropout in the head; `None`: that of the layers.
    pub head_dropout: Option<f64>,
    /// Rows of the table of positions.
    pub positions: i64,
    pub segments: i64,
    pub layer_norm_epsilon: f64,
    pub padding: i64,
}

/// Which row of the table of positions is the first token's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PositionNumbering {
    /// The first.
    FromZero,
    /// The one after the padding token's: RoBERTa numbers from padding index + 1.
    AfterPadding,
    /// The one after this row, whatever the settings say of the padding.
    After(i64),
}

/// The head on the first token's vector: a layer as wide as the features, dropout, and the output.
pub struct TextHead {
    /// The name of the first layer.
    pub hidden: &'static str,
    /// Whether that layer is part of the backbone: its name is below the prefix, and it was pretrained.
    pub in_backbone: bool,
    pub activation: Activation,
    /// Whether dropout also comes before it.
    pub dropout_before_hidden: bool,
    /// The name of the layer that gives the logits.
    pub output: &'static str,
    /// The name of a norm after the first layer; such a head is that of masked-language models too, and is kept.
    pub norm: Option<&'static str>,
    /// The setting that gives the first layer a bias, where it has none by itself.
    pub bias_key: Option<&'static str>,
    /// The setting without which the first layer is left out, where there is one; by itself it is there.
    pub hidden_key: Option<&'static str>,
}

/// The output layer of the head on the mean, in the Python module that comes with such a model.
const MEAN_OUTPUT: &str = "classifier";

/// Buffers that older versions of transformers saved.
const BUFFERS: &[&str] = &["embeddings.position_ids", "embeddings.token_type_ids"];

const PYTHON_MODULE: [(&str, &str); 2] = [
    ("configuration_rehead.py", include_str!("python/configuration_rehead.py")),
    ("modeling_rehead.py", include_str!("python/modeling_rehead.py")),
];

impl TextEncoder {
    /// Reads the family's `config.json`.
    fn config(&self, checkpoint: &Checkpoint) -> Result<EncoderConfig> {
        let settings = Settings { config: &checkpoint.config, file: checkpoint.config_file() };
        let Self { keys, defaults, .. } = self;
        let positions: Option<String> = settings.get("position_embedding_type", None)?;
        // What has no table of positions is called so by mmBERT's and Ettin's files.
        let is_without = matches!(self.names.embeddings, EmbeddingNames::Text { position: "", .. });
        let is_known = |kind: &str| kind == "absolute" || (is_without && kind == "sans_pos");
        if let Some(kind) = positions.filter(|kind| !is_known(kind)) {
            let message = format!("`{kind}` positions are not supported; `absolute` ones are");
            return Err(settings.refused("position_embedding_type", message));
        }
        for key in ["is_decoder", "add_cross_attention"] {
            if settings.get(key, false)? {
                let message = "decoders are not supported; this must be an encoder".to_owned();
                return Err(settings.refused("is_decoder", message));
            }
        }
        let of = &keys.encoder;
        let width = settings.get(of.width, defaults.width)?;
        let heads = settings.get(of.heads, defaults.heads)?;
        let mut config = EncoderConfig {
            family: self.name,
            embeddings: self.embeddings(&settings, width)?,
            width,
            layers: settings.get::<i64>(of.layers, defaults.layers as i64)? as usize,
            layer_kind: LayerKind::Attention,
            attention: AttentionOptions {
                heads,
                key_value_heads: heads,
                qkv_bias: true,
                output_bias: true,
                dropout: settings.get(of.attention_dropout, defaults.attention_dropout)?,
                relative: None,
            },
            feed_forward: FeedForwardOptions {
                inner: settings.get(of.inner, defaults.inner)?,
                activation: settings.get(keys.activation, defaults.activation)?,
                gated: false,
                bias: true,
                output_bias: true,
                drops_inner: false,
            },
            norms: NormPlacement::After,
            layer_norm_epsilon: match of.layer_norm_epsilon {
                Some(key) => settings.get(key, defaults.layer_norm_epsilon)?,
                None => defaults.layer_norm_epsilon,
            },
            norm_kind: NormKind::Layer,
            norm_bias: true,
            pooled_norm: None,
            skips_first_norm: false,
            rotary: None,
            local: Vec::new(),
            convolution: None,
            windows: Vec::new(),
            hidden_dropout: settings.get(of.hidden_dropout, defaults.hidden_dropout)?,
        };
        if let Some(read) = self.further {
            read(&settings, &mut config)?;
        }
        config.checked(&settings.file, of, MATCHING)
    }

    /// The embeddings before layers of this width.
    fn embeddings(&self, settings: &Settings, width: i64) -> Result<EmbeddingsConfig> {
        let Self { keys, defaults, .. } = self;
        let vocabulary = settings.size(keys.vocabulary, defaults.vocabulary)?;
        let rows = settings.size(keys.positions, defaults.positions)?;
        let segments = match self.names.has_segments() {
            // None of them, in a family that may do without.
            true if defaults.segments == 0 && settings.get(keys.segments, 0)? == 0 => 0,
            true => settings.size(keys.segments, defaults.segments)?,
            false => 1,
        };
        let position_offset = match self.positions {
            PositionNumbering::FromZero => 0,
            PositionNumbering::After(row) => row + 1,
            PositionNumbering::AfterPadding => {
                let padding = settings.get(keys.padding, defaults.padding)?;
                if !(0..vocabulary).contains(&padding) {
                    let message = format!("token {padding} is outside the vocabulary of {vocabulary}");
                    return Err(settings.refused(keys.padding, message));
                }
                padding + 1
            }
        };
        if rows <= position_offset {
            let message = format!("{rows} positions, where the first one is number {position_offset}");
            return Err(settings.refused(keys.positions, message));
        }
        let width = match keys.embedding_width {
            Some((key, default)) => settings.size(key, default)?,
            None => width,
        };
        Ok(EmbeddingsConfig::Text {
            vocabulary,
            positions: rows - position_offset,
            position_offset,
            segments,
            width,
            has_positions: true,
            untrained_row: -1,
            projection: EmbeddingProjection::Last,
        })
    }

    /// The dropout in the head: its own setting, or the family's usual one when it is null.
    fn head_dropout(&self, checkpoint: &Checkpoint, hidden_dropout: f64) -> Result<f64> {
        let key = self.keys.head_dropout;
        match checkpoint.config.get(key) {
            None | Some(Value::Null) => Ok(self.defaults.head_dropout.unwrap_or(hidden_dropout)),
            Some(value) => value.as_f64().filter(|p| (0.0..1.0).contains(p)).ok_or_else(|| {
                let message = format!("{value} is not a probability below 1");
                Error::request(message).file(checkpoint.config_file()).key(key).hint(MATCHING)
            }),
        }
    }

    /// The heads of the family, in a checkpoint whose backbone has this prefix.
    fn heads(
        &self,
        checkpoint: &Checkpoint,
        stored_prefix: &str,
        dropout: f64,
        config: &EncoderConfig,
    ) -> Result<HeadSpec> {
        let settings = Settings { config: &checkpoint.config, file: checkpoint.config_file() };
        let mean_pooled = model_type(&checkpoint.config) == Some(&mean_pooled_type(self.name));
        let TextHead { hidden, in_backbone, activation, dropout_before_hidden, output, norm, bias_key, hidden_key } =
            self.head;
        let bias = bias_key.map_or(Ok(true), |key| settings.get(key, false))?;
        let has_hidden = hidden_key.map_or(Ok(true), |key| settings.get(key, true))?;
        let own = match &self.pooling_key {
            Some(key) => key.read(&settings)?,
            None if mean_pooled => OwnPooling::Mean,
            None => OwnPooling::FirstToken,
        };
        let layer = || match in_backbone {
            true => {
                LayerName { name: format!("{}{hidden}", self.names.prefix), stored: format!("{stored_prefix}{hidden}") }
            }
            false => LayerName::same(hidden),
        };
        let before = if dropout_before_hidden { dropout } else { 0.0 };
        let hidden = || HiddenLayer {
            layer: layer(),
            activation,
            dropout: before,
            bias,
            norm: norm.map(|name| HeadNorm {
                layer: LayerName::same(name),
                bias: config.norm_bias,
                epsilon: config.layer_norm_epsilon,
            }),
            each_token: own == OwnPooling::EachToken,
            pretrained: in_backbone || norm.is_some(),
        };
        let layers =
            |hidden, output| HeadLayers { hidden, dropout, output: LayerName::same(output), initial_std: INITIAL_STD };
        Ok(HeadSpec {
            pooling: if own == OwnPooling::FirstToken { Pooling::Cls } else { Pooling::Mean },
            first_token: Some(layers(has_hidden.then(hidden), output)),
            mean: match &self.pooling_key {
                Some(_) => layers(Some(hidden()), output),
                None => layers(None, MEAN_OUTPUT),
            },
            joins: false,
        })
    }

    /// How many layers the first `stages` stages have, of `layers` in all.
    fn kept_layers(&self, stages: usize, layers: usize) -> Result<usize> {
        let refused = |has: String, hint: &'static str| {
            let message = format!("{stages} stages are to be kept of a network that has {has}");
            Err(Error::request(message).key("model.stages").hint(hint))
        };
        match stages {
            1 if self.shares_layers => Ok(layers),
            _ if self.shares_layers => refused("one".to_owned(), "its layers share their weights: keep it whole"),
            1.. if stages <= layers + 1 => Ok(stages - 1),
            _ => refused(format!("{}", layers + 1), "the embeddings are the first stage, and every layer is one"),
        }
    }

    /// The Python module of a mean-pooled model.
    fn python_module(&self) -> Vec<(String, String)> {
        let backbone = self.names.prefix.trim_end_matches('.');
        let filled = |source: &str| {
            source
                .replace("__CLASS__", self.class)
                .replace("__BACKBONE__", backbone)
                .replace("__TYPE__", &mean_pooled_type(self.name))
                .replace("__HEAD_DROPOUT__", self.keys.head_dropout)
        };
        PYTHON_MODULE.map(|(name, source)| (name.to_owned(), filled(source))).into()
    }
}

impl Family for TextEncoder {
    fn name(&self) -> &'static str {
        self.name
    }

    fn modality(&self) -> Modality {
        Modality::Text
    }

    fn recognises(&self, config: &Value) -> bool {
        let mean_pooled = mean_pooled_type(self.name);
        model_type(config).is_some_and(|given| given == self.name || given == mean_pooled)
    }

    fn engines(&self) -> &'static [Engine] {
        self.engines
    }

    fn load(&self, checkpoint: &mut Checkpoint, request: &LoadRequest) -> Result<Parts> {
        if let Value::Object(config) = &mut checkpoint.config {
            for (alias, own) in self.keys.aliases {
                if let Some(value) = config.remove(*alias) {
                    config.insert((*own).to_owned(), value);
                }
            }
        }
        let mut config = self.config(checkpoint)?;
        let all = config.layers;
        config.set_dropout(request.dropout());
        if let Some(stages) = request.stages {
            config.layers = self.kept_layers(stages, all)?;
        }
        let head_dropout = self.head_dropout(checkpoint, config.hidden_dropout)?;
        let weights = &checkpoint.weights;
        let prefix = self.names.stored_prefix(weights);
        let mut unused: Vec<String> = self.other_heads.iter().map(|&head| head.to_owned()).collect();
        unused.extend((config.layers..all).map(|layer| self.names.layer_prefix(prefix, layer)));
        let EmbeddingsConfig::Text { vocabulary, positions, segments, .. } = config.embeddings else {
            return Err(Error::failure("a text encoder that reads no text"));
        };
        let backbone: Box<dyn Backbone> = match request.engine {
            Engine::Packed => {
                let weights = NetworkWeights::Checkpoint(weights);
                Box::new(Encoder::load(config.clone(), &self.names, weights, request.weight_dtype)?)
            }
            Engine::RustBert => {
                let (config, names, device) = (&config, &self.names, request.device);
                let source = RustBertSource { checkpoint, config, prefix: names.prefix, stored_prefix: prefix, device };
                let load = self.rust_bert.ok_or_else(|| Error::failure("rust-bert does not support this family"))?;
                load(&source)?
            }
        };
        let mut saved = checkpoint.config.clone();
        if let Value::Object(saved) = &mut saved {
            saved.insert(self.keys.encoder.layers.to_owned(), config.layers.into());
            for key in ["layer_types", "attention_window"] {
                if let Some(Value::Array(values)) = saved.get_mut(key) {
                    values.truncate(config.layers);
                }
            }
        }
        Ok(Parts {
            backbone,
            head: self.heads(checkpoint, prefix, head_dropout, &config)?,
            input: InputSpec::Text { vocabulary, positions, segments: segments.max(1) },
            config: saved,
            leftovers: Leftovers { network: "config.json".to_owned(), unused, ignored: BUFFERS },
        })
    }

    fn export(&self, model: &SavedModel) -> Export {
        let mut map = labelled_config(model);
        if let Some(key) = &self.pooling_key {
            key.write(&mut map, model.pooling);
        }
        let files = match model.pooling {
            Pooling::Mean if self.pooling_key.is_none() => {
                map.insert("model_type".into(), mean_pooled_type(self.name).into());
                set_python_classes(&mut map, self.class, "SequenceClassification", "");
                self.python_module()
            }
            Pooling::Cls | Pooling::Mean | Pooling::ClsAndMean => {
                map.insert("model_type".into(), self.name.into());
                map.insert("architectures".into(), json!([format!("{}ForSequenceClassification", self.class)]));
                Vec::new()
            }
        };
        Export { config: Value::Object(map), files }
    }
}

fn model_type(config: &Value) -> Option<&str> {
    config.get("model_type").and_then(Value::as_str)
}
