//! From prepared examples to the batches that a backbone reads.
//!
//! A [`Batch`] says which examples it holds and carries what their backbone needs as [`Inputs`]. An [`ExampleSet`]
//! makes batches on demand; the sampler decides which examples share one, and [`Prefetcher`] has them ready in time.
//! Labels are not here: whoever needs them looks them up by example.

pub mod contract;
pub mod images;
pub mod memory_budget;
pub mod packed;
pub mod pixels;
pub mod prefetch;
pub mod sampler;
pub mod subset;
pub mod texts;
pub mod windows;

pub use self::contract::{Batch, Contents, ExampleSet, Inputs, Loaded, Pooled, View, Windows};
pub use self::images::ImageSet;
pub use self::packed::{PackedTokens, TokenArrays};
pub use self::pixels::PixelArray;
pub use self::prefetch::Prefetcher;
pub use self::subset::{Subset, whole_of};
pub use self::texts::TokenizedSet;
pub use self::windows::WindowedTexts;
