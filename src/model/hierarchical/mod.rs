//! Hierarchical networks of images: a stem that reads patches, then blocks on maps that become smaller and wider from
//! level to level. One [`HierarchicalNet`] computes ConvNeXt (`convnext.rs`) and Swin (`swin.rs`), from a description
//! of their levels ([`HierarchySpec`]).
//!
//! Which networks there are, and what checkpoints call their settings and tensors, is the affair of the families
//! (`family/convnext.rs`, `swin.rs`).

mod builder;
mod convnext;
mod network;
mod patches;
mod spec;
mod swin;
mod windows;

pub use self::network::HierarchicalNet;
pub use self::spec::{BlockSpec, HierarchySpec, Level, SpecKeys, SwinSpec};
