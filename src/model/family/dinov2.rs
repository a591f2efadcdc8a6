//! DINOv2 (Oquab et al. 2024), without and with registers (Darcet et al. 2024), in transformers' layout: a Vision
//! Transformer with layer scale. timm's checkpoints are brought into it first (`timm_vit/`), those of DeiT III too.
//!
//! The head reads the class token and the mean over the patches, one after the other: transformers' own head, and what
//! DINOv2's linear probes do. The class token alone is timm's head, kept where a checkpoint of timm's has one.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::interface::{Export, Family, FreshNetwork, HeadLayers, HeadSpec, LayerName, Leftovers, Parts, SavedModel};
use super::timm_vit::{self, Layout, swiglu_width};
use super::transformers::{mean_pooled_type, set_python_classes};
use super::vision_transformer::{Extent, VisionSettings, cropped, saved, settings, stored_pooling};
use crate::data::Modality;
use crate::error::{Error, Result};
use crate::image::{IMAGENET, Preprocessing};
use crate::model::activation::Activation;
use crate::model::builder::{INITIAL_STD, NetworkWeights};
use crate::model::checkpoint::Checkpoint;
use crate::model::encoder::{ConfigKeys, EmbeddingNames, EmbeddingsConfig, Encoder, EncoderConfig, Names};
use crate::model::pass::Pooling;
use crate::model::request::{InputSpec, LoadRequest};

/// See the [module](self).
pub struct Dinov2 {
    /// `model_type` in `config.json`.
    name: &'static str,
    /// How transformers' classes begin.
    class: &'static str,
    layout: Layout,
    names: Names,
}

/// Without registers.
pub const DINOV2: Dinov2 =
    Dinov2 { name: "dinov2", class: "Dinov2", layout: Layout::Dinov2, names: names("dinov2.", None) };

/// With registers.
pub const DINOV2_WITH_REGISTERS: Dinov2 = Dinov2 {
    name: "dinov2_with_registers",
    class: "Dinov2WithRegisters",
    layout: Layout::Dinov2WithRegisters,
    names: names("dinov2_with_registers.", Some("embeddings.register_tokens")),
};

const fn names(prefix: &'static str, registers: Option<&'static str>) -> Names {
    Names {
        prefix,
        embeddings: EmbeddingNames::Patches {
            class: "embeddings.cls_token",
            position: POSITIONS,
            projection: "embeddings.patch_embeddings.projection",
            registers,
            mask: Some("embeddings.mask_token"),
            norm: None,
            flat: false,
        },
        attention_output: "encoder.layer.{}.attention.output.dense",
        query: "encoder.layer.{}.attention.attention.query",
        key: "encoder.layer.{}.attention.attention.key",
        value: "encoder.layer.{}.attention.attention.value",
        attention_norm: "encoder.layer.{}.norm1",
        inner: "encoder.layer.{}.mlp.fc1",
        output: "encoder.layer.{}.mlp.fc2",
        output_norm: "encoder.layer.{}.norm2",
        layer_scale: Some(["encoder.layer.{}.layer_scale1.lambda1", "encoder.layer.{}.layer_scale2.lambda1"]),
        final_norm: Some("layernorm"),
        ..Names::of_bert(prefix)
    }
}

const POSITIONS: &str = "embeddings.position_embeddings";

/// The settings of `config.json` that matter here; defaults as in transformers' `Dinov2Config` and
/// `Dinov2WithRegistersConfig`.
#[derive(Deserialize)]
#[serde(default)]
struct Dinov2Config {
    hidden_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    mlp_ratio: f64,
    hidden_act: Activation,
    hidden_dropout_prob: f64,
    attention_probs_dropout_prob: f64,
    layer_norm_eps: f64,
    image_size: Extent,
    patch_size: Extent,
    num_channels: i64,
    qkv_bias: bool,
    drop_path_rate: f64,
    use_swiglu_ffn: bool,
    use_mask_token: bool,
    num_register_tokens: i64,
}

impl Default for Dinov2Config {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            mlp_ratio: 4.0,
            hidden_act: Activation::Gelu,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            layer_norm_eps: 1e-6,
            image_size: Extent::Square(224),
            patch_size: Extent::Square(14),
            num_channels: 3,
            qkv_bias: true,
            drop_path_rate: 0.0,
            use_swiglu_ffn: false,
            use_mask_token: true,
            num_register_tokens: 4,
        }
    }
}

const MATCHING: &str = "use the config.json that belongs to these weights, of a DINOv2";

/// What an encoder is loaded with: its settings, height and width of the images that its positions are for, and its
/// names.
struct Read {
    config: EncoderConfig,
    image: [i64; 2],
    names: Names,
}

impl Dinov2 {
    /// Reads `config`, the `config.json`, which messages call `file`. `antialias` is as in
    /// [`EmbeddingsConfig::Patches`].
    ///
    /// # Errors
    /// A mistyped, impossible or unsupported setting.
    fn read_config(&self, config: &Value, file: &Path, antialias: bool) -> Result<Read> {
        let config: Dinov2Config = settings(config, file, MATCHING)?;
        let refuse = |key: &str, message: String, hint: &'static str| {
            Err(Error::request(message).file(file).key(key).hint(hint))
        };
        if config.drop_path_rate != 0.0 {
            let message = format!("{}: stochastic depth is not supported here", config.drop_path_rate);
            return refuse("drop_path_rate", message, "set it to 0: it changes training alone");
        }
        let with_registers = self.layout == Layout::Dinov2WithRegisters;
        let registers = if with_registers { config.num_register_tokens } else { 0 };
        if with_registers && !(1..=4096).contains(&registers) {
            return refuse("num_register_tokens", format!("{registers} registers are not possible"), MATCHING);
        }
        let mut names = self.names;
        let plain = (config.hidden_size as f64 * config.mlp_ratio) as i64;
        if config.use_swiglu_ffn {
            (names.inner, names.output) = ("encoder.layer.{}.mlp.weights_in", "encoder.layer.{}.mlp.weights_out");
        }
        if let (false, false, EmbeddingNames::Patches { mask, .. }) =
            (with_registers, config.use_mask_token, &mut names.embeddings)
        {
            *mask = None;
        }
        let vision = VisionSettings {
            family: self.name,
            image: config.image_size,
            patch: config.patch_size,
            channels: config.num_channels,
            width: config.hidden_size,
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            qkv_bias: config.qkv_bias,
            inner: if config.use_swiglu_ffn { swiglu_width(plain) } else { plain },
            activation: if config.use_swiglu_ffn { Activation::Silu } else { config.hidden_act },
            gated: config.use_swiglu_ffn,
            epsilon: config.layer_norm_eps,
            hidden_dropout: config.hidden_dropout_prob,
            attention_dropout: config.attention_probs_dropout_prob,
            antialias,
            registers,
            class_position: true,
            projection_bias: true,
            pooled_norm: None,
        };
        let keys = ConfigKeys { inner: "mlp_ratio", ..ConfigKeys::TRANSFORMERS };
        let (config, image) = vision.encoder(file, &keys, MATCHING)?;
        Ok(Read { config, image, names })
    }

    /// All but what the weights' source decides: no dropout before the head, as transformers has it.
    fn parts(&self, encoder: Encoder, preprocessing: Preprocessing, config: Value, pooling: Pooling) -> Parts {
        let head = || HeadLayers {
            hidden: None,
            dropout: 0.0,
            output: LayerName::same("classifier"),
            initial_std: INITIAL_STD,
        };
        let unused = ["classifier.", "head."].map(str::to_owned).into();
        Parts {
            backbone: Box::new(encoder),
            head: HeadSpec { pooling, first_token: Some(head()), mean: head(), joins: true },
            input: InputSpec::Image(preprocessing),
            config,
            leftovers: Leftovers { network: "a DINOv2 of these settings".to_owned(), unused, ignored: &[] },
        }
    }
}

/// How facebook's own checkpoints see images: of 256 pixels the middle 224, whatever size their positions are for.
fn usual_preprocessing(image: [i64; 2]) -> Preprocessing {
    let side = image[0].min(image[1]).min(224);
    cropped([side, side], side * 256 / 224, IMAGENET.into())
}

/// What a model carries that pools in another way than transformers' class does, so that Python loads it
/// (`trust_remote_code=True`).
const PYTHON_MODULE: [(&str, &str); 2] = [
    ("configuration_rehead_dinov2.py", include_str!("python/configuration_rehead_dinov2.py")),
    ("modeling_rehead_dinov2.py", include_str!("python/modeling_rehead_dinov2.py")),
];

impl Family for Dinov2 {
    fn name(&self) -> &'static str {
        self.name
    }

    fn modality(&self) -> Modality {
        Modality::Image
    }

    fn recognises(&self, config: &Value) -> bool {
        match config.get("model_type").and_then(Value::as_str) {
            Some(given) => given == self.name || given == mean_pooled_type(self.name),
            None => timm_vit::layout(config) == Some(self.layout),
        }
    }

    fn architectures(&self) -> Vec<String> {
        timm_vit::named(self.layout).map(|(name, _)| name.to_owned()).collect()
    }

    fn makes(&self, architecture: &str) -> bool {
        timm_vit::layout_named(architecture) == Some(self.layout)
    }

    /// Facebook's weights of LVD-142M; of DeiT III those of ImageNet-21k, fine-tuned on ImageNet.
    fn pretrained_id(&self, architecture: &str) -> Option<String> {
        timm_vit::pretrained_id(self.layout, architecture)
    }

    fn load(&self, checkpoint: &mut Checkpoint, request: &LoadRequest) -> Result<Parts> {
        let preprocessing = Preprocessing::of_directory(&checkpoint.directory)?;
        let from_timm = timm_vit::layout(&checkpoint.config).is_some();
        if from_timm {
            timm_vit::convert(checkpoint, self.layout)?;
        }
        let file = checkpoint.config_file();
        let Read { mut config, image, names } = self.read_config(&checkpoint.config, &file, from_timm)?;
        if let EmbeddingsConfig::Patches { grid, class_position, .. } = &mut config.embeddings {
            let stored = checkpoint.weights.shape(&format!("{}{POSITIONS}", self.names.prefix));
            let positions = stored.and_then(|shape| shape.get(1).copied()).unwrap_or(0) as i64;
            *class_position = !from_timm || positions != grid[0] * grid[1];
        }
        config.set_dropout(request.dropout());
        let weights = NetworkWeights::Checkpoint(&checkpoint.weights);
        let encoder = Encoder::load(config, &names, weights, request.weight_dtype)?;
        let pooling = match from_timm && checkpoint.weights.has("classifier.weight") {
            true => Pooling::Cls,
            false => stored_pooling(&checkpoint.config, &file, self.name, Pooling::ClsAndMean)?,
        };
        let preprocessing = preprocessing.unwrap_or_else(|| usual_preprocessing(image));
        Ok(self.parts(encoder, preprocessing, checkpoint.config.clone(), pooling))
    }

    /// By timm's name for its sizes (`vit_small_patch14_dinov2`).
    fn fresh(&self, network: &FreshNetwork, request: &LoadRequest) -> Result<Parts> {
        let config = timm_vit::fresh_config(self.layout, network.architecture)?;
        let Read { config: mut sizes, image, names } =
            self.read_config(&config, Path::new(network.architecture), true)?;
        sizes.set_dropout(request.dropout());
        let weights = NetworkWeights::Random { seed: network.seed, device: request.device };
        let encoder = Encoder::load(sizes, &names, weights, request.weight_dtype)?;
        let preprocessing = network.preprocessing.unwrap_or_else(|| cropped(image, image[0], IMAGENET.into()));
        Ok(self.parts(encoder, preprocessing, config, Pooling::ClsAndMean))
    }

    /// The preprocessing too, and for a model that pools in another way than transformers' class the Python module that
    /// loads it.
    fn export(&self, model: &SavedModel) -> Export {
        let (mut map, mut files) = saved(model, None);
        map.remove("rehead_pooling");
        if model.pooling == Pooling::ClsAndMean {
            map.insert("model_type".into(), self.name.into());
            map.insert("architectures".into(), json!([format!("{}ForImageClassification", self.class)]));
        } else {
            map.insert("model_type".into(), mean_pooled_type(self.name).into());
            map.insert("rehead_pooling".into(), json!(model.pooling));
            set_python_classes(&mut map, self.class, "ImageClassification", "_dinov2");
            files.extend(PYTHON_MODULE.map(|(name, source)| (name.to_owned(), source.to_owned())));
        }
        Export { config: Value::Object(map), files }
    }
}
