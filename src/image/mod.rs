//! From an image file to the pixels that a backbone expects.
//!
//! In order: [`decode()`] gives RGB as PIL would, [`prepare`] resizes and crops as torchvision would, [`augment()`]
//! does the same with random variation. [`Preprocessing`] says to which size, and is read from a model's configuration.
//! Which images make a data set, and normalising, are the business of later rooms.

mod augment;
mod config_files;
mod config_values;
mod decode;
pub mod operations;
mod pixels;
mod preprocessing;
mod resample;
mod resize;
mod timm_config;
mod transformers_config;

pub use crate::image::augment::{Augmentation, augment};
pub use crate::image::config_values::IMAGENET;
pub use crate::image::decode::{decode, decode_bytes, decode_bytes_for, decode_for};
pub use crate::image::pixels::{Image, Limits};
pub use crate::image::preprocessing::{Interpolation, Preprocessing, Resize};
pub use crate::image::resize::{Area, prepare, resize, resize_part};
