//! From an image file to the pixels that a backbone expects.
//!
//! In order: [`decode()`] gives RGB as PIL would, [`prepare`] resizes and crops as torchvision would, [`augment()`] does so with
//! chance in it; [`ImageTransform`] does it for a data set. Normalising is the batch's affair, on its way to the device.

mod augment;
mod decode;
pub mod operations;
mod preprocessing;
mod resize;

pub use crate::image::augment::{Augmentation, augment};
pub use crate::image::decode::{Image, Limits, decode, decode_bytes};
pub use crate::image::preprocessing::{Interpolation, Preprocessing, Resize};
pub use crate::image::resize::{Area, prepare, resize, resize_part};
