//! Vision Transformers: from a checkpoint of transformers or timm (or from chance) to a [`Classifier`], and what a saved one needs
//! for transformers to load it, whatever it came from.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::image::{Interpolation, Preprocessing, Resize};
use crate::model::backbone::{Backbone, Pooling};
use crate::model::checkpoint::{Checkpoint, LoadReport, Untaken};
use crate::model::encoder::{DEVIATION, Encoder, EncoderConfig, Source, vit};
use crate::model::family::timm_vit;
use crate::model::head::{Head, NamedLinear, fresh_linear};
use crate::model::parameters::Place;
use crate::model::{
    Classifier, Engine, Format, HeadRequest, InputSpec, LoadRequest, Saved, checkpoint_labels, labelled_config,
};

/// What a mean-pooled run carries so that Python loads it (`trust_remote_code=True`).
const PYTHON_MODULE: [(&str, &str); 2] = [
    ("configuration_rehead_vit.py", include_str!("python/configuration_rehead_vit.py")),
    ("modeling_rehead_vit.py", include_str!("python/modeling_rehead_vit.py")),
];

/// What heads and parts of other tasks are called: they are set aside.
const OTHER_PARTS: [&str; 7] = [
    "classifier.",
    "head.",
    "pooler.",
    "vit.pooler.",
    "decoder.",
    "embeddings.mask_token",
    "vit.embeddings.mask_token",
];

/// Whether this is the `config.json` of a ViT: transformers' or timm's.
pub fn recognises(config: &Value) -> bool {
    let family = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    vit::MODEL_TYPES.contains(&family) || timm_vit::recognises(config)
}

/// Loads the ViT in a checkpoint with the requested head.
pub fn load(mut checkpoint: Checkpoint, request: &LoadRequest) -> Result<(Classifier, LoadReport)> {
    refuse_other_engines(request)?;
    let preprocessing = Preprocessing::of_directory(&checkpoint.directory)?;
    let from_timm = timm_vit::recognises(&checkpoint.config);
    if from_timm {
        timm_vit::convert(&mut checkpoint)?;
    } else {
        checkpoint.weights.rename(|stored| vec![vit::name_of(stored)])?;
        refuse_distilled(&checkpoint)?;
    }
    let (mut config, image) = vit::config(&checkpoint.config, &checkpoint.config_file(), from_timm)?;
    set_dropout(&mut config, request);
    let weights = &checkpoint.weights;
    let encoder = Encoder::load(config, &vit::NAMES, Source::Checkpoint(weights), request.linears)?;
    let mean_pooled = checkpoint.config.get("model_type").is_some_and(|family| family == "rehead_vit");
    let own_pooling = if mean_pooled { Pooling::Mean } else { Pooling::Cls };

    let mut report = LoadReport::default();
    let (labels, pooling, head);
    match &request.head {
        HeadRequest::FromCheckpoint => {
            labels = checkpoint_labels(&checkpoint, "classifier.weight")?;
            pooling = own_pooling;
            let (classes, width) = (labels.len() as i64, encoder.feature_width());
            head = Head::new(None, 0.0, NamedLinear::stored(weights, "classifier", classes, width, Place::Head)?);
        }
        HeadRequest::New { labels: wanted, pooling: wanted_pooling, .. } => {
            labels = (*wanted).clone();
            pooling = wanted_pooling.unwrap_or(own_pooling);
            head = fresh_head(encoder.feature_width(), request)?;
            report.missing.extend(["classifier.weight".to_owned(), "classifier.bias".to_owned()]);
        }
    }
    report.account(&checkpoint, "a plain ViT", |name| match OTHER_PARTS.iter().any(|part| name.starts_with(part)) {
        true => Untaken::SetAside,
        false => Untaken::Unexpected,
    })?;
    let preprocessing = preprocessing.unwrap_or_else(|| usual_preprocessing(image));
    let mut classifier = Classifier {
        backbone: Box::new(encoder),
        head,
        pooling,
        labels,
        input: InputSpec::Image(preprocessing),
        device: request.device,
        directory: checkpoint.directory,
        format: Format::Vit,
        config: checkpoint.config,
    };
    classifier.set_preprocessing(preprocessing)?;
    Ok((classifier, report))
}

/// The hub id of the trained network that timm's bare name stands for there.
pub fn pretrained_id(name: &str) -> Option<String> {
    let tag = match name {
        "vit_base_patch16_224" => "augreg2_in21k_ft_in1k",
        "vit_tiny_patch16_224" | "vit_small_patch16_224" | "vit_small_patch32_224" | "vit_base_patch32_224" => {
            "augreg_in21k_ft_in1k"
        }
        _ => return None,
    };
    Some(format!("timm/{name}.{tag}"))
}

/// A ViT with weights drawn by `seed`, by timm's name for its sizes (`vit_small_patch16_224`), and a new head.
///
/// # Errors
/// There is no such ViT, or its head is to come from a checkpoint.
pub fn fresh(architecture: &str, seed: u64, request: &LoadRequest) -> Result<Classifier> {
    refuse_other_engines(request)?;
    let HeadRequest::New { labels, pooling, .. } = &request.head else {
        return Err(Error::request("a network with random weights has no labels yet").hint("train it first"));
    };
    let config = timm_vit::fresh_config(architecture)?;
    let (mut sizes, image) = vit::config(&config, Path::new(architecture), true)?;
    set_dropout(&mut sizes, request);
    let source = Source::Chance { seed, device: request.device };
    let encoder = Encoder::load(sizes, &vit::NAMES, source, request.linears)?;
    let head = fresh_head(encoder.feature_width(), request)?;
    Ok(Classifier {
        backbone: Box::new(encoder),
        head,
        pooling: pooling.unwrap_or(Pooling::Cls),
        labels: (*labels).clone(),
        input: InputSpec::Image(usual_preprocessing(image)),
        device: request.device,
        directory: PathBuf::new(),
        format: Format::Vit,
        config,
    })
}

/// The family's own for images of this height and width, as transformers' `ViTImageProcessor` has it.
fn usual_preprocessing(size: [i64; 2]) -> Preprocessing {
    let [height, width] = size.map(|side| side.clamp(1, 1 << 20) as u32);
    Preprocessing {
        resize: Resize::Exact { height, width },
        crop: (height, width),
        interpolation: Interpolation::Bilinear,
        mean: [0.5; 3],
        std: [0.5; 3],
    }
}

fn refuse_other_engines(request: &LoadRequest) -> Result<()> {
    match request.engine {
        Engine::Packed => Ok(()),
        Engine::RustBert => Err(Error::request("rust-bert computes no ViT").hint("leave out --engine rust-bert")),
    }
}

fn refuse_distilled(checkpoint: &Checkpoint) -> Result<()> {
    let name = "vit.embeddings.distillation_token";
    if !checkpoint.weights.has(name) {
        return Ok(());
    }
    Err(Error::request("a DeiT with a distillation token is not supported; one without is")
        .file(&checkpoint.directory)
        .key(name)
        .hint("take its variant without `distilled` in the name"))
}

fn set_dropout(config: &mut EncoderConfig, request: &LoadRequest) {
    if let HeadRequest::New { dropout: Some(p), .. } = request.head {
        (config.hidden_dropout, config.attention_dropout) = (p, p);
    }
}

/// As transformers makes one: no dropout before it, unless one is asked for.
fn fresh_head(width: i64, request: &LoadRequest) -> Result<Head> {
    let HeadRequest::New { labels, dropout, seed, .. } = &request.head else {
        return Err(Error::failure("no new head was asked for"));
    };
    let linear = fresh_linear(width, labels.len() as i64, DEVIATION, *seed, request.device)?;
    let output = NamedLinear { linear, name: "classifier".to_owned(), place: Place::Head };
    Ok(Head::new(None, dropout.unwrap_or(0.0), output))
}

/// What is saved beside the weights: the preprocessing, and for a mean-pooled model the Python module that loads it.
pub fn saved(classifier: &Classifier) -> Saved {
    let mut files = Vec::new();
    if let InputSpec::Image(preprocessing) = &classifier.input {
        let content = format!("{:#}\n", preprocessing.to_transformers());
        files.push(("preprocessor_config.json", content.into()));
    }
    if classifier.pooling == Pooling::Mean {
        files.extend(PYTHON_MODULE.map(|(name, source)| (name, source.into())));
    }
    Saved { config: saved_config(classifier), files }
}

fn saved_config(classifier: &Classifier) -> Value {
    let mut map = labelled_config(classifier);
    if let InputSpec::Image(Preprocessing { crop: (height, width), .. }) = classifier.input {
        let size = if height == width { json!(height) } else { json!([height, width]) };
        map.insert("image_size".into(), size);
    }
    match classifier.pooling {
        Pooling::Cls => {
            map.insert("model_type".into(), "vit".into());
            map.insert("architectures".into(), json!(["ViTForImageClassification"]));
        }
        // A type of its own, so that no library loads these weights silently into a head that pools otherwise.
        Pooling::Mean => {
            map.insert("model_type".into(), "rehead_vit".into());
            map.insert("architectures".into(), json!(["ReheadViTForImageClassification"]));
            map.insert(
                "auto_map".into(),
                json!({
                    "AutoConfig": "configuration_rehead_vit.ReheadViTConfig",
                    "AutoModelForImageClassification": "modeling_rehead_vit.ReheadViTForImageClassification",
                }),
            );
        }
    }
    Value::Object(map)
}
