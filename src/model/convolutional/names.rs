//! What a checkpoint calls its tensors. Within the program, and in what it saves, they have timm's names; torchvision's
//! and transformers' are recognised and translated here.

use tch::Tensor;

use crate::error::Result;
use crate::model::checkpoint::Weights;

/// Whose names a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// timm's; for ResNet and Inception torchvision's are the same.
    Timm,
    /// torchvision's VGG: the fully connected layers are `classifier.0`, `.3` and `.6`, with matrices.
    TorchvisionVgg,
    /// transformers' ResNet, its backbone below a prefix (`resnet.`, or none in a bare model).
    Transformers { prefix: &'static str },
}

impl Naming {
    /// The names that `weights` has.
    pub fn of(weights: &Weights) -> Self {
        for prefix in ["resnet.", ""] {
            if weights.has(&format!("{prefix}embedder.embedder.convolution.weight")) {
                return Self::Transformers { prefix };
            }
        }
        if weights.has("features.0.weight") && weights.has("classifier.0.weight") {
            return Self::TorchvisionVgg;
        }
        Self::Timm
    }

    /// The stored name of `name` (`layer1.0.conv1.weight`, timm's).
    pub fn stored(self, name: &str) -> String {
        match self {
            Self::Timm => name.to_owned(),
            Self::TorchvisionVgg => {
                let parts = [
                    ("pre_logits.fc1.", "classifier.0."),
                    ("pre_logits.fc2.", "classifier.3."),
                    ("head.fc.", "classifier.6."),
                ];
                parts
                    .iter()
                    .find_map(|(timm, torchvision)| Some(format!("{torchvision}{}", name.strip_prefix(timm)?)))
                    .unwrap_or_else(|| name.to_owned())
            }
            Self::Transformers { prefix } => transformers(name).map_or_else(
                || name.to_owned(),
                |(in_backbone, stored)| match in_backbone {
                    true => format!("{prefix}{stored}"),
                    false => stored,
                },
            ),
        }
    }

    /// The weight of a convolution, `[outputs, inputs of a group, height, width]`, also where it is stored as a matrix.
    pub fn take_kernel(self, weights: &Weights, name: &str, shape: [i64; 4]) -> Result<Tensor> {
        let stored = self.stored(name);
        if weights.shape(&stored).is_some_and(|stored| stored.len() == 2) {
            let [outputs, inputs, height, width] = shape;
            return Ok(weights.take(&stored, &[outputs, inputs * height * width])?.f_view(shape)?);
        }
        weights.take(&stored, &shape)
    }
}

/// transformers' name of a ResNet's tensor, and whether it is in the backbone.
fn transformers(name: &str) -> Option<(bool, String)> {
    let (module, field) = name.rsplit_once('.')?;
    let part = |number: &str, kind: &str| Some((number.parse::<usize>().ok()?.checked_sub(1)?, kind.to_owned()));
    let split = |module: &str| match (module.strip_prefix("conv"), module.strip_prefix("bn")) {
        (Some(number), _) => part(number, "convolution"),
        (_, Some(number)) => part(number, "normalization"),
        _ => None,
    };
    if module == "fc" {
        return Some((false, format!("classifier.1.{field}")));
    }
    if let Some((_, kind)) = split(module) {
        return Some((true, format!("embedder.embedder.{kind}.{field}")));
    }
    let mut parts = module.strip_prefix("layer")?.splitn(3, '.');
    let (layer, block, rest) = (parts.next()?.parse::<usize>().ok()?.checked_sub(1)?, parts.next()?, parts.next()?);
    let within = match rest {
        "downsample.0" => "shortcut.convolution".to_owned(),
        "downsample.1" => "shortcut.normalization".to_owned(),
        _ => split(rest).map(|(index, kind)| format!("layer.{index}.{kind}"))?,
    };
    Some((true, format!("encoder.stages.{layer}.layers.{block}.{within}.{field}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_translated() {
        let transformers = Naming::Transformers { prefix: "resnet." };
        for (timm, stored) in [
            ("conv1.weight", "resnet.embedder.embedder.convolution.weight"),
            ("bn1.running_mean", "resnet.embedder.embedder.normalization.running_mean"),
            ("layer2.10.conv3.weight", "resnet.encoder.stages.1.layers.10.layer.2.convolution.weight"),
            ("layer1.0.bn1.bias", "resnet.encoder.stages.0.layers.0.layer.0.normalization.bias"),
            ("layer4.0.downsample.1.weight", "resnet.encoder.stages.3.layers.0.shortcut.normalization.weight"),
            ("fc.bias", "classifier.1.bias"),
        ] {
            assert_eq!(transformers.stored(timm), stored);
            assert_eq!(Naming::Timm.stored(timm), timm);
        }
        let torchvision = Naming::TorchvisionVgg;
        assert_eq!(torchvision.stored("pre_logits.fc2.bias"), "classifier.3.bias");
        assert_eq!(torchvision.stored("head.fc.weight"), "classifier.6.weight");
        assert_eq!(torchvision.stored("features.0.weight"), "features.0.weight");
    }
}
