//! Inception-v3 (Szegedy et al. 2016), with torchvision's and timm's names. The auxiliary classifier is no part of it.

use super::convolutional::{ConvFamily, Settings, unsupported_setting};
use crate::error::Result;
use crate::image::Preprocessing;
use crate::model::checkpoint::Weights;
use crate::model::convolutional::{Block, ConvSpec, Extent, NetworkSpec, NormSpec, Padding, StageSpec, Window};

/// See the [module](self).
pub struct InceptionFamily;

const NETWORK: &str = "inception_v3";
const DROPOUT: f64 = 0.5;
const EPSILON: f64 = 1e-3;
const VALID: Padding = Padding::Fixed([0; 2]);

const MAX_POOL: Block<ConvSpec> = Block::MaxPool(Window { size: 3, stride: 2, padding: 0 });
const AVERAGE_POOL: Block<ConvSpec> = Block::AveragePool(Window { size: 3, stride: 1, padding: 1 });

type Branch = Vec<Block<ConvSpec>>;

/// A stage for each top-level block; a pool belongs to the one before it.
fn describe(dropout: f64) -> NetworkSpec {
    let mut stages = Vec::new();
    let mut single = |name: &str, conv: ConvSpec, pool: bool| {
        let mut blocks = vec![Block::Conv(conv)];
        if pool {
            blocks.push(MAX_POOL);
        }
        stages.push(StageSpec { name: name.to_owned(), blocks });
    };
    single("Conv2d_1a_3x3", valid(conv("Conv2d_1a_3x3", 3, 32, [3, 3])).stride(2), false);
    single("Conv2d_2a_3x3", valid(conv("Conv2d_2a_3x3", 32, 32, [3, 3])), false);
    single("Conv2d_2b_3x3", conv("Conv2d_2b_3x3", 32, 64, [3, 3]), true);
    single("Conv2d_3b_1x1", conv("Conv2d_3b_1x1", 64, 80, [1, 1]), false);
    single("Conv2d_4a_3x3", valid(conv("Conv2d_4a_3x3", 80, 192, [3, 3])), true);
    let mut mixed = |name: &str, branches: fn(&Mixed) -> Vec<Branch>, inputs: i64, inner: i64| {
        let blocks = vec![Block::Branches(branches(&Mixed { name: name.to_owned(), inputs, inner }))];
        stages.push(StageSpec { name: name.to_owned(), blocks });
    };
    mixed("Mixed_5b", Mixed::a, 192, 32);
    mixed("Mixed_5c", Mixed::a, 256, 64);
    mixed("Mixed_5d", Mixed::a, 288, 64);
    mixed("Mixed_6a", Mixed::b, 288, 0);
    mixed("Mixed_6b", Mixed::c, 768, 128);
    mixed("Mixed_6c", Mixed::c, 768, 160);
    mixed("Mixed_6d", Mixed::c, 768, 160);
    mixed("Mixed_6e", Mixed::c, 768, 192);
    mixed("Mixed_7a", Mixed::d, 768, 0);
    mixed("Mixed_7b", Mixed::e, 1280, 0);
    mixed("Mixed_7c", Mixed::e, 2048, 0);
    NetworkSpec { stages, head: "fc", first: "Conv2d_1a_3x3.conv", dropout }
}

/// Padded so that the extent stays.
fn conv(name: &str, inputs: i64, outputs: i64, kernel: Extent) -> ConvSpec {
    let padding = Padding::Fixed(kernel.map(|size| size / 2));
    let norm = Some(NormSpec { epsilon: EPSILON, ..NormSpec::new(format!("{name}.bn")) });
    ConvSpec { kernel, padding, norm, ..ConvSpec::new(format!("{name}.conv"), "", inputs, outputs, 1) }
}

/// Without padding.
fn valid(conv: ConvSpec) -> ConvSpec {
    ConvSpec { padding: VALID, ..conv }
}

/// A block of branches; the letters are torchvision's.
struct Mixed {
    name: String,
    inputs: i64,
    /// Channels of the pool's branch in A, within the branches of 7×7 in C.
    inner: i64,
}

impl Mixed {
    fn conv(&self, name: &str, inputs: i64, outputs: i64, kernel: Extent) -> ConvSpec {
        conv(&format!("{}.{name}", self.name), inputs, outputs, kernel)
    }

    /// Convolutions one after another: (name, channels, kernel).
    fn chain(&self, convolutions: &[(&str, i64, Extent)]) -> Branch {
        let mut before = self.inputs;
        let mut branch = Vec::new();
        for &(name, outputs, kernel) in convolutions {
            branch.push(Block::Conv(self.conv(name, before, outputs, kernel)));
            before = outputs;
        }
        branch
    }

    /// The same with the last one striding over every other pixel, without padding.
    fn halving(&self, convolutions: &[(&str, i64, Extent)]) -> Branch {
        let mut branch = self.chain(convolutions);
        if let Some(Block::Conv(last)) = branch.last_mut() {
            (last.stride, last.padding) = (2, VALID);
        }
        branch
    }

    fn pooled(&self, outputs: i64) -> Branch {
        vec![AVERAGE_POOL, Block::Conv(self.conv("branch_pool", self.inputs, outputs, [1, 1]))]
    }

    fn a(&self) -> Vec<Branch> {
        vec![
            self.chain(&[("branch1x1", 64, [1, 1])]),
            self.chain(&[("branch5x5_1", 48, [1, 1]), ("branch5x5_2", 64, [5, 5])]),
            self.chain(&[
                ("branch3x3dbl_1", 64, [1, 1]),
                ("branch3x3dbl_2", 96, [3, 3]),
                ("branch3x3dbl_3", 96, [3, 3]),
            ]),
            self.pooled(self.inner),
        ]
    }

    fn b(&self) -> Vec<Branch> {
        vec![
            self.halving(&[("branch3x3", 384, [3, 3])]),
            self.halving(&[
                ("branch3x3dbl_1", 64, [1, 1]),
                ("branch3x3dbl_2", 96, [3, 3]),
                ("branch3x3dbl_3", 96, [3, 3]),
            ]),
            vec![MAX_POOL],
        ]
    }

    fn c(&self) -> Vec<Branch> {
        let inner = self.inner;
        vec![
            self.chain(&[("branch1x1", 192, [1, 1])]),
            self.chain(&[("branch7x7_1", inner, [1, 1]), ("branch7x7_2", inner, [1, 7]), ("branch7x7_3", 192, [7, 1])]),
            self.chain(&[
                ("branch7x7dbl_1", inner, [1, 1]),
                ("branch7x7dbl_2", inner, [7, 1]),
                ("branch7x7dbl_3", inner, [1, 7]),
                ("branch7x7dbl_4", inner, [7, 1]),
                ("branch7x7dbl_5", 192, [1, 7]),
            ]),
            self.pooled(192),
        ]
    }

    fn d(&self) -> Vec<Branch> {
        vec![
            self.halving(&[("branch3x3_1", 192, [1, 1]), ("branch3x3_2", 320, [3, 3])]),
            self.halving(&[
                ("branch7x7x3_1", 192, [1, 1]),
                ("branch7x7x3_2", 192, [1, 7]),
                ("branch7x7x3_3", 192, [7, 1]),
                ("branch7x7x3_4", 192, [3, 3]),
            ]),
            vec![MAX_POOL],
        ]
    }

    fn e(&self) -> Vec<Branch> {
        // Two of its branches end in two convolutions side by side.
        let forked = |mut stem: Branch, inputs: i64, names: [&str; 2]| {
            let [wide, tall] = names;
            stem.push(Block::Branches(vec![
                vec![Block::Conv(self.conv(wide, inputs, 384, [1, 3]))],
                vec![Block::Conv(self.conv(tall, inputs, 384, [3, 1]))],
            ]));
            stem
        };
        let double = self.chain(&[("branch3x3dbl_1", 448, [1, 1]), ("branch3x3dbl_2", 384, [3, 3])]);
        vec![
            self.chain(&[("branch1x1", 320, [1, 1])]),
            forked(self.chain(&[("branch3x3_1", 384, [1, 1])]), 384, ["branch3x3_2a", "branch3x3_2b"]),
            forked(double, 384, ["branch3x3dbl_3a", "branch3x3dbl_3b"]),
            self.pooled(192),
        ]
    }
}

impl ConvFamily for InceptionFamily {
    fn name(&self) -> &'static str {
        "inception"
    }

    fn networks(&self) -> Vec<String> {
        vec![NETWORK.to_owned()]
    }

    fn spec(&self, _network: &str, settings: &Settings, dropout: Option<f64>) -> Result<NetworkSpec> {
        match settings.iter().next() {
            Some((key, value)) => Err(unsupported_setting(key, value)),
            None => Ok(describe(dropout.unwrap_or(DROPOUT))),
        }
    }

    fn marks(&self, weights: &Weights) -> bool {
        weights.has("Conv2d_1a_3x3.conv.weight")
    }

    fn of_weights(&self, _weights: &Weights) -> Option<(String, Settings)> {
        Some((NETWORK.to_owned(), Settings::new()))
    }

    /// From -1 to 1.
    fn preprocessing(&self, _network: &str) -> Preprocessing {
        Preprocessing { mean: [0.5; 3], std: [0.5; 3], ..Preprocessing::imagenet(299) }
    }

    /// The auxiliary classifier.
    fn auxiliary(&self) -> &'static [&'static str] {
        &["AuxLogits."]
    }
}
