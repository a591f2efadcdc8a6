//! A checkpoint of timm's in another layout: refused what that has no place for, else its tensors and settings renamed.

use serde_json::Value;

use super::named::{Layout, SUPPORTED, architecture, id2label, layout};
use super::settings::Found;
use super::tensors::names_of;
use crate::error::{Error, Result};
use crate::model::checkpoint::Checkpoint;

/// Parts of other members of the family, by what is in their tensors' names, and the layouts that have such parts.
const FOREIGN: [(&str, &str, &[Layout]); 9] = [
    ("reg_token", "register tokens", &[Layout::Dinov2WithRegisters]),
    ("dist_token", "a distillation token", &[]),
    (".q_norm.", "norms of queries and keys", &[]),
    (".ls1.", "layer scale", &[Layout::Dinov2, Layout::Dinov2WithRegisters]),
    ("norm_pre.", "a norm before the layers", &[Layout::Clip]),
    ("fc_norm.", "a norm after the pooling", &[]),
    ("attn_pool.", "attention pooling", &[]),
    (".attn.norm.", "a norm within attention", &[]),
    (".mlp.norm.", "a norm within the feed-forward block", &[]),
];

/// Brings configuration and names of a timm checkpoint into `layout`, which [`layout`](super::layout()) found.
///
/// # Errors
/// It is no such network.
pub fn convert(checkpoint: &mut Checkpoint, layout: Layout) -> Result<()> {
    refuse_foreign(checkpoint, layout)?;
    let found = Found::of(checkpoint, layout)?;
    let mut config = found.config(layout);
    if let (Some(labels), Value::Object(config)) = (id2label(&checkpoint.config), &mut config) {
        config.insert("id2label".to_owned(), labels);
    }
    let has_classifier = !is_projection(checkpoint);
    checkpoint.weights.rename(|stored| names_of(layout, found.gated, has_classifier, stored))?;
    if layout == Layout::Clip {
        for name in ["class_embedding", "position_embedding.weight"] {
            checkpoint.weights.drop_leading_ones(&format!("vision_model.embeddings.{name}"));
        }
    }
    checkpoint.config = config;
    Ok(())
}

/// Whether the head is the projection that images meet texts in, and no classifier: a CLIP of one of the usual widths
/// of that, without labels, and with a tag that names no data set it was fine-tuned on.
fn is_projection(checkpoint: &Checkpoint) -> bool {
    let Checkpoint { config, weights, .. } = checkpoint;
    let pretrained = config.get("pretrained_cfg");
    let of = |key: &str| pretrained.and_then(|pretrained| pretrained.get(key)).unwrap_or(&Value::Null);
    let is_tuned = of("tag").as_str().is_some_and(|tag| tag.contains("ft_"));
    let has_labels = config.get("label_names").is_some() || !of("label_names").is_null();
    let width = weights.shape("head.weight").and_then(|shape| shape.first()).copied().unwrap_or(0);
    layout(config) == Some(Layout::Clip) && !is_tuned && !has_labels && [512, 640, 768, 1024].contains(&width)
}

fn refuse_foreign(checkpoint: &Checkpoint, layout: Layout) -> Result<()> {
    let name = architecture(&checkpoint.config).unwrap_or_default();
    let refused = |key: &str, what: &str| {
        Err(Error::request(format!("`{name}` has {what}, which is not supported"))
            .file(&checkpoint.directory)
            .key(key)
            .hint(SUPPORTED))
    };
    let mut names: Vec<&str> = checkpoint.weights.names().collect();
    names.sort_unstable();
    for (part, what, _) in FOREIGN.into_iter().filter(|(.., layouts)| !layouts.contains(&layout)) {
        if let Some(found) = names.iter().find(|name| name.contains(part)) {
            return refused(found, what);
        }
    }
    if !checkpoint.weights.has("cls_token") {
        return refused("cls_token", "no class token");
    }
    let has_scale = checkpoint.weights.has("blocks.0.ls1.gamma");
    if matches!(layout, Layout::Dinov2 | Layout::Dinov2WithRegisters) && !has_scale {
        return refused("blocks.0.ls1.gamma", "register tokens without layer scale");
    }
    match checkpoint.config.get("global_pool").and_then(Value::as_str) {
        None | Some("token") => Ok(()),
        Some(other) => refused("global_pool", &format!("pooling `{other}`")),
    }
}
