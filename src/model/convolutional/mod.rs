//! Convolutional networks: one [`ConvNet`] computes all of them, from a family's description of the stages
//! ([`NetworkSpec`]).
//!
//! Which networks there are is the affair of the families (`family/resnet.rs`, `vgg.rs`, `inception.rs`,
//! `inverted.rs`); what checkpoints of torchvision, timm and transformers call their tensors is in `names.rs`.

mod builder;
mod layers;
mod names;
mod network;
mod spec;

pub use self::builder::ConvWeights;
pub use self::layers::{by_channel, by_pixel, channels_last};
pub use self::names::Naming;
pub use self::network::ConvNet;
pub use self::spec::{Activation, Block, ConvSpec, Extent, NetworkSpec, NormSpec, Padding, StageSpec, Window};
