//! BERT-shaped classifiers: from a checkpoint of transformers to a [`Classifier`], and what a saved one needs for Python to load it.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::backbone::{Backbone, Pooling};
use crate::model::checkpoint::{Checkpoint, LoadReport, Untaken};
use crate::model::encoder::{self, Activation, DEVIATION, Encoder, Reads, Source, bert};
use crate::model::head::{Head, NamedLinear, fresh_linear};
use crate::model::parameters::{Linear, Place};
use crate::model::{
    Classifier, Engine, Format, HeadRequest, InputSpec, LoadRequest, Saved, checkpoint_labels, labelled_config,
    rust_bert,
};

/// What a mean-pooled run carries so that Python loads it (`trust_remote_code=True`).
const PYTHON_MODULE: [(&str, &str); 2] = [
    ("configuration_rehead.py", include_str!("python/configuration_rehead.py")),
    ("modeling_rehead.py", include_str!("python/modeling_rehead.py")),
];

/// What heads of other tasks are called in the library's BERT checkpoints: they are set aside.
const OTHER_HEADS: [&str; 6] = ["classifier.", "cls.", "pooler.", "bert.pooler.", "qa_outputs.", "dropout."];

/// Loads the BERT in a checkpoint whose `model_type` is this, with the requested head.
pub fn load(checkpoint: Checkpoint, model_type: &str, request: &LoadRequest) -> Result<(Classifier, LoadReport)> {
    let mut config = bert::config(&checkpoint)?;
    let all = config.layers;
    if let HeadRequest::New { dropout: Some(p), .. } = request.head {
        (config.hidden_dropout, config.attention_dropout) = (p, p);
    }
    if let Some(stages) = request.stages {
        config.layers = kept_layers(stages, config.layers)?;
    }
    let weights = &checkpoint.weights;
    let encoder = Encoder::load(config.clone(), &bert::NAMES, Source::Checkpoint(weights), request.linears)?;
    let prefix = encoder::stored_prefix(&bert::NAMES, weights);
    let own_pooling = if model_type == "rehead_bert" { Pooling::Mean } else { Pooling::Cls };

    let mut report = LoadReport::default();
    let mut dropout = bert::classifier_dropout(&checkpoint, config.hidden_dropout)?;
    let width = config.width;
    let (labels, pooling, output);
    match &request.head {
        HeadRequest::FromCheckpoint => {
            labels = checkpoint_labels(&checkpoint, "classifier.weight")?;
            pooling = own_pooling;
            let classes = labels.len() as i64;
            output = NamedLinear::stored(weights, "classifier", classes, width, Place::Head)?;
        }
        HeadRequest::New { labels: wanted, pooling: wanted_pooling, dropout: wanted_dropout, seed } => {
            labels = (*wanted).clone();
            pooling = wanted_pooling.unwrap_or(own_pooling);
            dropout = wanted_dropout.unwrap_or(dropout);
            let classes = labels.len() as i64;
            report.missing.extend(["classifier.weight".to_owned(), "classifier.bias".to_owned()]);
            output = NamedLinear {
                linear: fresh_linear(width, classes, DEVIATION, *seed, request.device)?,
                name: "classifier".to_owned(),
                place: Place::Head,
            };
        }
    }

    let pooler = match pooling {
        Pooling::Mean => None,
        Pooling::Cls => {
            let stored = format!("{prefix}pooler.dense");
            let (linear, place) = if weights.has(&format!("{stored}.weight")) {
                let linear = Linear::new(
                    weights.take(&format!("{stored}.weight"), &[width, width])?,
                    weights.take(&format!("{stored}.bias"), &[width])?,
                );
                (linear, Place::PretrainedHead)
            } else if let HeadRequest::New { seed, .. } = &request.head {
                report.missing.extend(["bert.pooler.dense.weight".to_owned(), "bert.pooler.dense.bias".to_owned()]);
                let seed = seed.wrapping_add(1);
                (fresh_linear(width, width, DEVIATION, seed, request.device)?, Place::Head)
            } else {
                return Err(Error::request("the checkpoint lacks the pooler that its classifier reads")
                    .file(&checkpoint.directory)
                    .key("bert.pooler.dense.weight")
                    .hint("take the whole checkpoint, or train a head anew with --pooling mean"));
            };
            let name = "bert.pooler.dense".to_owned();
            Some((NamedLinear { linear, name, place }, Activation::Tanh))
        }
    };

    report.account(&checkpoint, "config.json", |name| {
        let of_head =
            OTHER_HEADS.iter().any(|part| name.starts_with(part)) || is_left_out(name, prefix, config.layers, all);
        let buffer = name.ends_with("embeddings.position_ids") || name.ends_with("embeddings.token_type_ids");
        match (of_head, buffer) {
            (true, _) => Untaken::SetAside,
            (_, true) => Untaken::PassedOver,
            _ => Untaken::Unexpected,
        }
    })?;

    let Reads::Text { vocabulary, positions, segments } = config.reads else {
        return Err(Error::failure("a BERT that reads no text"));
    };
    let input = InputSpec::Text { vocabulary, positions, segments };
    let backbone: Box<dyn Backbone> = match request.engine {
        Engine::Packed => Box::new(encoder),
        Engine::RustBert => Box::new(rust_bert::RustBert::from_encoder(&config, &encoder, request.device)?),
    };
    let classifier = Classifier {
        backbone,
        head: Head::new(pooler, dropout, output),
        pooling,
        labels,
        input,
        device: request.device,
        directory: checkpoint.directory,
        format: Format::Bert,
        config: checkpoint.config,
    };
    Ok((classifier, report))
}

/// How many layers the first `stages` stages have, of `layers` in all.
fn kept_layers(stages: usize, layers: usize) -> Result<usize> {
    match stages {
        1.. if stages <= layers + 1 => Ok(stages - 1),
        _ => Err(Error::request(format!("{stages} stages are to be kept of a network that has {}", layers + 1))
            .key("model.stages")
            .hint("the embeddings are the first stage, and every layer is one")),
    }
}

/// Whether a stored tensor is of a layer that is not kept.
fn is_left_out(name: &str, prefix: &str, kept: usize, all: usize) -> bool {
    let layer = name.strip_prefix(prefix).and_then(|name| name.strip_prefix("encoder.layer."));
    let number = layer.and_then(|rest| rest.split('.').next()).and_then(|number| number.parse::<usize>().ok());
    number.is_some_and(|number| (kept..all).contains(&number))
}

/// What is saved beside the weights: for a mean-pooled model also the Python module that loads it.
pub fn saved(classifier: &Classifier) -> Saved {
    let files = match classifier.pooling {
        Pooling::Mean => PYTHON_MODULE.map(|(name, source)| (name, source.into())).into(),
        Pooling::Cls => Vec::new(),
    };
    Saved { config: saved_config(classifier), files }
}

fn saved_config(classifier: &Classifier) -> Value {
    let mut map = labelled_config(classifier);
    map.insert("num_hidden_layers".into(), (classifier.backbone.stages().len().saturating_sub(1)).into());
    match classifier.pooling {
        Pooling::Cls => {
            map.insert("model_type".into(), "bert".into());
            map.insert("architectures".into(), json!(["BertForSequenceClassification"]));
        }
        // A type of its own, so that no library loads these weights silently into a head that pools otherwise.
        Pooling::Mean => {
            map.insert("model_type".into(), "rehead_bert".into());
            map.insert("architectures".into(), json!(["ReheadBertForSequenceClassification"]));
            map.insert(
                "auto_map".into(),
                json!({
                    "AutoConfig": "configuration_rehead.ReheadBertConfig",
                    "AutoModelForSequenceClassification": "modeling_rehead.ReheadBertForSequenceClassification",
                }),
            );
        }
    }
    Value::Object(map)
}
