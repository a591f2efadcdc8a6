//! What torchvision and transformers call the tensors of EfficientNet and MobileNetV3, in timm's names. What the
//! networks are made of is in `inverted.rs`.

use std::collections::HashMap;

use crate::error::Result;
use crate::model::checkpoint::Weights;
use crate::model::convolutional::{Block, ConvSpec, NetworkSpec};

/// A module's name in a checkpoint, and timm's; without `.weight` and the like.
type Names = HashMap<String, String>;

/// How torchvision calls its modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TorchvisionNames {
    /// `features.STAGE.BLOCK`; the last convolution is a feature.
    EfficientNet,
    /// `features.BLOCK`; the last convolution is a layer of the classifier.
    MobileNet,
}

/// The convolutions of a block in order, squeeze-and-excitation among them.
enum Part<'a> {
    Conv(&'a ConvSpec),
    Squeeze(&'a ConvSpec, &'a ConvSpec),
}

fn parts(blocks: &[Block<ConvSpec>]) -> Vec<Part<'_>> {
    let mut all = Vec::new();
    for block in blocks {
        match block {
            Block::Conv(conv) => all.push(Part::Conv(conv)),
            Block::SqueezeExcite { reduce, expand } => all.push(Part::Squeeze(reduce, expand)),
            Block::Skip { body, .. } => all.extend(parts(body)),
            _ => {}
        }
    }
    all
}

/// Notes what a checkpoint calls a convolution and its norm.
fn note(names: &mut Names, conv: &ConvSpec, stored: String, stored_norm: String) {
    names.insert(stored, conv.name.clone());
    if let Some(norm) = &conv.norm {
        names.insert(stored_norm, norm.name.clone());
    }
}

impl TorchvisionNames {
    fn of(self, spec: &NetworkSpec) -> Names {
        let mut names = Names::new();
        let last = spec.stages.len().saturating_sub(1);
        let mut features = 0;
        for (index, stage) in spec.stages.iter().enumerate() {
            let parts = parts(&stage.blocks);
            let plain = |names: &mut Names, conv: &ConvSpec, prefix: &str| {
                note(names, conv, format!("{prefix}.0"), format!("{prefix}.1"));
            };
            // blocks.STAGE.BLOCK
            let place = stage.name.strip_prefix("blocks.").and_then(|place| place.split_once('.'));
            let prefix = match (self, place) {
                (Self::EfficientNet, Some((stage, block))) => {
                    features = stage.parse::<usize>().unwrap_or(0) + 1;
                    format!("features.{features}.{block}")
                }
                (Self::EfficientNet, None) if index == last => format!("features.{}", features + 1),
                _ => format!("features.{index}"),
            };
            match (self, parts.as_slice()) {
                // After the pooling.
                (Self::MobileNet, [Part::Conv(conv)]) if index == last => {
                    names.insert("classifier.0".to_owned(), conv.name.clone());
                }
                (Self::MobileNet, [Part::Conv(conv)]) => plain(&mut names, conv, &prefix),
                (Self::EfficientNet, [Part::Conv(conv)]) if place.is_none() => plain(&mut names, conv, &prefix),
                (_, parts) => {
                    for (number, part) in parts.iter().enumerate() {
                        let prefix = format!("{prefix}.block.{number}");
                        match part {
                            Part::Conv(conv) => plain(&mut names, conv, &prefix),
                            Part::Squeeze(reduce, expand) => {
                                names.insert(format!("{prefix}.fc1"), reduce.name.clone());
                                names.insert(format!("{prefix}.fc2"), expand.name.clone());
                            }
                        }
                    }
                }
            }
        }
        let head = match self {
            Self::EfficientNet => "classifier.1",
            Self::MobileNet => "classifier.3",
        };
        names.insert(head.to_owned(), spec.head.to_owned());
        names
    }

    /// Whether `weights` are those of this network in torchvision: all its tensors, in these shapes, and no more norms.
    pub fn fit(self, spec: &NetworkSpec, weights: &Weights) -> bool {
        let timms: HashMap<String, String> = self.of(spec).into_iter().map(|(stored, timm)| (timm, stored)).collect();
        let mut norms = 0;
        let mut fits = true;
        let mut check = |conv: &ConvSpec| {
            norms += usize::from(conv.norm.is_some());
            let shape = timms.get(&conv.name).and_then(|stored| weights.shape(&format!("{stored}.weight")));
            let [outputs, inputs, height, width] = conv.shape();
            fits &= shape.is_some_and(|shape| match shape {
                // A fully connected layer.
                [rows, columns] => (*rows as i64, *columns as i64) == (outputs, inputs * height * width),
                shape => shape.iter().map(|&size| size as i64).eq([outputs, inputs, height, width]),
            });
            Ok(())
        };
        for stage in &spec.stages {
            if Block::build_all(&stage.blocks, &mut check).is_err() {
                return false;
            }
        }
        fits && norms == weights.names().filter(|name| name.ends_with(".running_mean")).count()
    }
}

/// transformers' names of an EfficientNet, its backbone below a prefix.
fn of_transformers(spec: &NetworkSpec, backbone: &str) -> Names {
    let mut names = Names::new();
    let last = spec.stages.len().saturating_sub(1);
    for (index, stage) in spec.stages.iter().enumerate() {
        let parts = parts(&stage.blocks);
        let [stem, top] = ["embeddings", "encoder"].map(|part| format!("{backbone}{part}"));
        let mut wide = false;
        for part in parts {
            let prefix = format!("{backbone}encoder.blocks.{}", index.saturating_sub(1));
            match part {
                Part::Conv(conv) if index == 0 => {
                    note(&mut names, conv, format!("{stem}.convolution"), format!("{stem}.batchnorm"));
                }
                Part::Conv(conv) if index == last => {
                    note(&mut names, conv, format!("{top}.top_conv"), format!("{top}.top_bn"));
                }
                Part::Conv(conv) if conv.groups > 1 => {
                    wide = true;
                    let prefix = format!("{prefix}.depthwise_conv.depthwise");
                    note(&mut names, conv, format!("{prefix}_conv"), format!("{prefix}_norm"));
                }
                Part::Conv(conv) => {
                    let role = if wide { "projection.project" } else { "expansion.expand" };
                    note(&mut names, conv, format!("{prefix}.{role}_conv"), format!("{prefix}.{role}_bn"));
                }
                Part::Squeeze(reduce, expand) => {
                    names.insert(format!("{prefix}.squeeze_excite.reduce"), reduce.name.clone());
                    names.insert(format!("{prefix}.squeeze_excite.expand"), expand.name.clone());
                }
            }
        }
    }
    names
}

/// Brings the names of torchvision's or transformers' checkpoint of the network into timm's.
///
/// # Errors
/// Two tensors would have the same name.
pub fn translate(torchvision: TorchvisionNames, spec: &NetworkSpec, weights: &mut Weights) -> Result<()> {
    // A bare model of transformers has no prefix.
    let prefix =
        ["efficientnet.", ""].into_iter().find(|prefix| weights.has(&format!("{prefix}embeddings.convolution.weight")));
    let names = match prefix {
        Some(prefix) => of_transformers(spec, prefix),
        None if weights.has("features.0.0.weight") => torchvision.of(spec),
        None => return Ok(()),
    };
    weights.rename(|stored| {
        let renamed = stored.rsplit_once('.').and_then(|(module, field)| Some((names.get(module)?, field)));
        vec![renamed.map_or_else(|| stored.to_owned(), |(module, field)| format!("{module}.{field}"))]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::family::convolutional::{ConvFamily, Settings};
    use crate::model::family::efficientnet::EfficientNetFamily;
    use crate::model::family::mobilenet::MobileNetFamily;

    #[test]
    fn names_are_translated() {
        let spec = EfficientNetFamily.spec("efficientnet_b0", &Settings::new(), None).expect("a network");
        let torchvision = TorchvisionNames::EfficientNet.of(&spec);
        let transformers = of_transformers(&spec, "efficientnet.");
        for (timm, torchvisions, theirs) in [
            ("conv_stem", "features.0.0", "efficientnet.embeddings.convolution"),
            ("bn1", "features.0.1", "efficientnet.embeddings.batchnorm"),
            ("blocks.0.0.conv_dw", "features.1.0.block.0.0", "blocks.0.depthwise_conv.depthwise_conv"),
            ("blocks.0.0.se.conv_reduce", "features.1.0.block.1.fc1", "blocks.0.squeeze_excite.reduce"),
            ("blocks.0.0.conv_pw", "features.1.0.block.2.0", "blocks.0.projection.project_conv"),
            ("blocks.1.1.conv_pw", "features.2.1.block.0.0", "blocks.2.expansion.expand_conv"),
            ("blocks.1.1.bn2", "features.2.1.block.1.1", "blocks.2.depthwise_conv.depthwise_norm"),
            ("blocks.6.0.bn3", "features.7.0.block.3.1", "blocks.15.projection.project_bn"),
            ("conv_head", "features.8.0", "efficientnet.encoder.top_conv"),
            ("bn2", "features.8.1", "efficientnet.encoder.top_bn"),
        ] {
            assert_eq!(torchvision.get(torchvisions).map(String::as_str), Some(timm));
            let theirs = match theirs.strip_prefix("blocks.") {
                Some(rest) => format!("efficientnet.encoder.blocks.{rest}"),
                None => theirs.to_owned(),
            };
            assert_eq!(transformers.get(&theirs).map(String::as_str), Some(timm));
        }
        assert_eq!(torchvision.get("classifier.1").map(String::as_str), Some("classifier"));
        let mobile = MobileNetFamily.spec("mobilenetv3_large_100", &Settings::new(), None).expect("a network");
        let mobile = TorchvisionNames::MobileNet.of(&mobile);
        for (timm, torchvisions) in [
            ("bn1", "features.0.1"),
            ("blocks.0.0.conv_dw", "features.1.block.0.0"),
            ("blocks.2.0.se.conv_expand", "features.4.block.2.fc2"),
            ("blocks.5.2.bn3", "features.15.block.3.1"),
            ("blocks.6.0.conv", "features.16.0"),
            ("conv_head", "classifier.0"),
            ("classifier", "classifier.3"),
        ] {
            assert_eq!(mobile.get(torchvisions).map(String::as_str), Some(timm));
        }
        let v2 = EfficientNetFamily.spec("efficientnetv2_s", &Settings::new(), None).expect("a network");
        let torchvision = TorchvisionNames::EfficientNet.of(&v2);
        assert_eq!(torchvision.get("features.1.1.block.0.1").map(String::as_str), Some("blocks.0.1.bn1"));
        assert_eq!(torchvision.get("features.2.0.block.1.0").map(String::as_str), Some("blocks.1.0.conv_pwl"));
    }
}
