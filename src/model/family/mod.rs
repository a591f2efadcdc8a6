//! The families of networks, a file each.

pub mod bert;
pub mod timm_vit;
pub mod vit;
