//! Hierarchical networks of images: a stem that reads patches, then blocks on maps that become smaller and wider from
//! level to level. One [`HierarchicalNet`] computes ConvNeXt (`convnext.rs`), from a description of its levels
//! ([`HierarchySpec`]).
//!
//! Which networks there are, and what checkpoints call their settings and tensors, is the affair of the families
//! (`family/convnext.rs`).

mod builder;
mod convnext;
mod network;
mod patches;
mod spec;

pub use self::network::HierarchicalNet;
pub use self::spec::{BlockSpec, HierarchySpec, Level, SpecKeys};
