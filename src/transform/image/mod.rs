//! From an image file to the pixels that a backbone expects.
//!
//! In order: [`decode()`] gives RGB as PIL would, [`prepare`] resizes and crops as torchvision would, [`augment()`] does so with
//! chance in it; [`ImageTransform`] does it for a data set. Normalising is the batch's affair, on its way to the device.

mod augment;
mod decode;
mod files;
pub mod operations;
mod preprocessing;
mod resize;

pub use self::augment::{Augmentation, augment};
pub use self::decode::{Image, Limits, decode, decode_bytes};
pub use self::files::{ImageTransform, Room};
pub use self::preprocessing::{Interpolation, Preprocessing, Resize};
pub use self::resize::{Area, prepare, resize, resize_part};
