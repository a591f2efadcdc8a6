//! What timm calls a Vision Transformer's tensors, and what transformers does.

use super::named::Layout;

/// What a layout calls the modules of a timm network.
struct Target {
    prefix: &'static str,
    /// What comes before a layer's number.
    layers: &'static str,
    qkv: [&'static str; 3],
    /// Within a layer: timm's name, and the one here.
    modules: &'static [(&'static str, &'static str)],
    /// Before and after the layers.
    others: &'static [(&'static str, &'static str)],
}

const BERT_LIKE: [&str; 3] = ["attention.attention.query", "attention.attention.key", "attention.attention.value"];

const VIT: Target = Target {
    prefix: "vit.",
    layers: "encoder.layer.",
    qkv: BERT_LIKE,
    modules: &[
        ("attn.proj", "attention.output.dense"),
        ("norm1", "layernorm_before"),
        ("norm2", "layernorm_after"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ],
    others: &[
        ("cls_token", "embeddings.cls_token"),
        ("pos_embed", "embeddings.position_embeddings"),
        ("reg_token", "embeddings.register_tokens"),
        ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
        ("norm", "layernorm"),
    ],
};

const DINOV2: Target = Target {
    prefix: "dinov2.",
    modules: &[
        ("attn.proj", "attention.output.dense"),
        ("norm1", "norm1"),
        ("norm2", "norm2"),
        ("mlp.fc1", "mlp.fc1"),
        ("mlp.fc2", "mlp.fc2"),
        ("ls1.gamma", "layer_scale1.lambda1"),
        ("ls2.gamma", "layer_scale2.lambda1"),
    ],
    ..VIT
};

const CLIP: Target = Target {
    prefix: "vision_model.",
    layers: "encoder.layers.",
    qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    modules: &[
        ("attn.proj", "self_attn.out_proj"),
        ("norm1", "layer_norm1"),
        ("norm2", "layer_norm2"),
        ("mlp.fc1", "mlp.fc1"),
        ("mlp.fc2", "mlp.fc2"),
    ],
    others: &[
        ("cls_token", "embeddings.class_embedding"),
        ("pos_embed", "embeddings.position_embedding.weight"),
        ("patch_embed.proj", "embeddings.patch_embedding"),
        ("norm_pre", "pre_layrnorm"),
        ("norm", "post_layernorm"),
    ],
};

impl Target {
    fn of(layout: Layout) -> Self {
        match layout {
            Layout::Vit => VIT,
            Layout::Dinov2 => DINOV2,
            Layout::Dinov2WithRegisters => Self { prefix: "dinov2_with_registers.", ..DINOV2 },
            Layout::Clip => CLIP,
        }
    }
}

/// The names here of a timm tensor; of a fused projection those of its parts. A network with a `gated` block has other
/// names for it, and a head that is no classifier keeps its name.
pub fn names_of(layout: Layout, gated: bool, has_classifier: bool, stored: &str) -> Vec<String> {
    let Target { prefix, layers, qkv, modules, others } = Target::of(layout);
    // A whole name, or a module's with the parameter after it.
    let renamed = |name: &str, table: &[(&str, &str)]| {
        table.iter().find_map(|(timm, here)| {
            let rest = name.strip_prefix(timm)?;
            (rest.is_empty() || rest.starts_with('.')).then(|| format!("{here}{rest}"))
        })
    };
    if let Some((layer, rest)) = stored.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) {
        if let Some(kind) = rest.strip_prefix("attn.qkv.") {
            return qkv.map(|part| format!("{prefix}{layers}{layer}.{part}.{kind}")).to_vec();
        }
        let swiglu = [("mlp.fc1", "mlp.weights_in"), ("mlp.fc2", "mlp.weights_out")];
        let name = renamed(rest, if gated { &swiglu } else { &[] }).or_else(|| renamed(rest, modules));
        return vec![name.map_or(stored.to_owned(), |name| format!("{prefix}{layers}{layer}.{name}"))];
    }
    let name = match stored.strip_prefix("head.") {
        Some(kind) if has_classifier => Some(format!("classifier.{kind}")),
        _ => renamed(stored, others).map(|name| format!("{prefix}{name}")),
    };
    vec![name.unwrap_or_else(|| stored.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fused_projection_is_three() {
        let parts = names_of(Layout::Vit, false, true, "blocks.7.attn.qkv.bias");
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[2], "vit.encoder.layer.7.attention.attention.value.bias");
        let one = |layout, stored| names_of(layout, false, true, stored).concat();
        assert_eq!(one(Layout::Dinov2, "blocks.0.ls2.gamma"), "dinov2.encoder.layer.0.layer_scale2.lambda1");
        assert_eq!(one(Layout::Clip, "norm_pre.bias"), "vision_model.pre_layrnorm.bias");
        assert_eq!(one(Layout::Vit, "norm.weight"), "vit.layernorm.weight");
        let gated = names_of(Layout::Dinov2, true, true, "blocks.0.mlp.fc1.bias");
        assert_eq!(gated, ["dinov2.encoder.layer.0.mlp.weights_in.bias"]);
        assert_eq!(names_of(Layout::Clip, false, false, "head.weight"), ["head.weight"]);
    }
}
