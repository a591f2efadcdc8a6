//! What the names of timm's networks say: layout, sizes, and where their trained weights are.

use serde_json::Value;

/// What to do about a network that is not supported.
pub const SUPPORTED: &str = "supported are those with a class token, as vit_small_patch16_224, deit_small_patch16_224, \
     deit3_small_patch16_224, vit_small_patch14_reg4_dinov2 and vit_base_patch32_clip_224 are; train on one of those";

/// The layout of transformers that a network of timm's is brought into: the family that then reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Vit,
    Dinov2,
    Dinov2WithRegisters,
    Clip,
}

/// Columns of an attention head, of all the sizes in [`SIZES`].
pub const HEAD: i64 = 64;
/// Side of the images that DINOv2's positions are for; its networks' names do not say it.
const DINOV2_IMAGE: i64 = 518;
/// What timm's names call a width, and layers of such a network.
const SIZES: [(&str, i64, i64); 5] =
    [("tiny", 192, 12), ("small", 384, 12), ("base", 768, 12), ("large", 1024, 24), ("giant", 1536, 40)];

/// Networks whose trained weights are on the hub, and the tag of these.
const NAMED: [(&str, &str); 16] = [
    ("vit_tiny_patch16_224", "augreg_in21k_ft_in1k"),
    ("vit_small_patch16_224", "augreg_in21k_ft_in1k"),
    ("vit_small_patch32_224", "augreg_in21k_ft_in1k"),
    ("vit_base_patch16_224", "augreg2_in21k_ft_in1k"),
    ("vit_base_patch32_224", "augreg_in21k_ft_in1k"),
    ("vit_large_patch16_224", "augreg_in21k_ft_in1k"),
    ("vit_small_patch14_dinov2", "lvd142m"),
    ("vit_base_patch14_dinov2", "lvd142m"),
    ("vit_large_patch14_dinov2", "lvd142m"),
    ("deit3_small_patch16_224", "fb_in22k_ft_in1k"),
    ("deit3_base_patch16_224", "fb_in22k_ft_in1k"),
    ("vit_small_patch14_reg4_dinov2", "lvd142m"),
    ("vit_base_patch14_reg4_dinov2", "lvd142m"),
    ("vit_large_patch14_reg4_dinov2", "lvd142m"),
    ("vit_base_patch32_clip_224", "openai"),
    ("vit_base_patch16_clip_224", "openai"),
];

/// The architecture that a timm `config.json` names, without the tag of its weights.
pub fn architecture(config: &Value) -> Option<&str> {
    config.get("architecture")?.as_str()?.split('.').next()
}

/// The layout for the `config.json` of one of timm's ViTs, or of its relatives under the same prefixes.
pub fn layout(config: &Value) -> Option<Layout> {
    let name = architecture(config).filter(|_| config.get("model_type").is_none())?;
    let argument =
        |key: &str| config.get("model_args").and_then(|arguments| arguments.get(key)).unwrap_or(&Value::Null);
    let has_registers = argument("reg_tokens").as_i64().is_some_and(|count| count > 0);
    match layout_named(name)? {
        Layout::Vit if !argument("init_values").is_null() && has_registers => Some(Layout::Dinov2WithRegisters),
        Layout::Vit if !argument("init_values").is_null() => Some(Layout::Dinov2),
        named => Some(named),
    }
}

/// The layout for a network of this name.
pub fn layout_named(name: &str) -> Option<Layout> {
    if !["vit_", "deit_", "deit3_"].iter().any(|part| name.starts_with(part)) {
        return None;
    }
    let registers = name.split('_').any(|part| part.strip_prefix("reg").is_some_and(|n| n.parse::<u8>().is_ok()));
    Some(match () {
        () if registers => Layout::Dinov2WithRegisters,
        () if name.contains("_clip_") => Layout::Clip,
        () if name.ends_with("_dinov2") || name.starts_with("deit3_") => Layout::Dinov2,
        () => Layout::Vit,
    })
}

/// The class names of a timm `config.json` as transformers has them.
pub fn id2label(config: &Value) -> Option<Value> {
    let names = config.get("label_names").or_else(|| config.get("pretrained_cfg")?.get("label_names"))?.as_array()?;
    Some(names.iter().enumerate().map(|(index, name)| (index.to_string(), name.clone())).collect())
}

/// The networks of a layout whose trained weights are on the hub, and the tag of these.
pub fn named(layout: Layout) -> impl Iterator<Item = (&'static str, &'static str)> {
    NAMED.into_iter().filter(move |(name, _)| layout_named(name) == Some(layout))
}

/// The hub id of the trained weights of a network of this layout.
pub fn pretrained_id(layout: Layout, architecture: &str) -> Option<String> {
    let (name, tag) = named(layout).find(|(name, _)| *name == architecture)?;
    Some(format!("timm/{name}.{tag}"))
}

/// What a name such as `vit_small_patch14_reg4_dinov2` says.
#[derive(Debug, PartialEq, Eq)]
pub struct Sizes {
    pub width: i64,
    pub layers: i64,
    /// Pixels of a patch's side.
    pub patch: i64,
    /// Pixels of an image's side.
    pub image: i64,
    pub registers: i64,
}

/// The sizes that a name says; `None` where it says none, or more than is known here.
pub fn sizes_named(name: &str) -> Option<Sizes> {
    let rest = ["vit_", "deit_", "deit3_"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let (size, rest) = rest.split_once("_patch")?;
    let (_, width, layers) = SIZES.into_iter().find(|(word, ..)| *word == size)?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=8192).contains(side));
    let (patch, mut rest) = rest.split_once('_')?;
    let mut registers = 0;
    if let Some((count, further)) = rest.strip_prefix("reg").and_then(|rest| rest.split_once('_')) {
        (registers, rest) = (side(count)?, further);
    }
    let rest = ["clip_quickgelu_", "clip_"].iter().find_map(|part| rest.strip_prefix(part)).unwrap_or(rest);
    let image = if rest == "dinov2" { DINOV2_IMAGE } else { side(rest)? };
    Some(Sizes { width, layers, patch: side(patch)?, image, registers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_say_sizes() {
        let sizes = |width, layers, patch, image, registers| Some(Sizes { width, layers, patch, image, registers });
        assert_eq!(sizes_named("vit_small_patch32_384"), sizes(384, 12, 32, 384, 0));
        assert_eq!(sizes_named("deit_tiny_patch16_224"), sizes(192, 12, 16, 224, 0));
        assert_eq!(sizes_named("vit_large_patch14_reg4_dinov2"), sizes(1024, 24, 14, 518, 4));
        assert_eq!(sizes_named("vit_base_patch32_clip_quickgelu_224"), sizes(768, 12, 32, 224, 0));
        for other in ["vit_small_patch16_18x2_224", "vit_base_patch16_rpn_224", "vit_base", "vit_base_patch16_gap_224"]
        {
            assert_eq!(sizes_named(other), None, "{other}");
        }
    }

    #[test]
    fn names_say_layouts() {
        for (name, expected) in [
            ("vit_small_patch16_224.augreg_in21k", Some(Layout::Vit)),
            ("vit_small_patch14_dinov2.lvd142m", Some(Layout::Dinov2)),
            ("vit_small_patch14_reg4_dinov2.lvd142m", Some(Layout::Dinov2WithRegisters)),
            ("deit3_small_patch16_224.fb_in1k", Some(Layout::Dinov2)),
            ("vit_base_patch32_clip_224.openai", Some(Layout::Clip)),
            ("resnet50", None),
        ] {
            assert_eq!(layout(&json!({ "architecture": name })), expected, "{name}");
        }
        let config = json!({ "architecture": "vit_tiny_patch16_224", "model_args": { "init_values": 0.1 } });
        assert_eq!(layout(&config), Some(Layout::Dinov2));
        let scaled = |registers| json!({ "init_values": 0.1, "reg_tokens": registers });
        let config = json!({ "architecture": "vit_tiny_patch16_224", "model_args": scaled(2) });
        assert_eq!(layout(&config), Some(Layout::Dinov2WithRegisters));
        assert_eq!(layout(&json!({ "architecture": "vit_tiny_patch16_224", "model_type": "vit" })), None);
    }
}
