//! rust-bert's layers behind the [`Backbone`](super::Backbone) trait, loaded from a checkpoint: the families whose
//! attention or weights are not those of our own layers (ALBERT), and BERT as the reference that the packed encoder is
//! tested against (`--engine rust-bert`).
//!
//! Each group of equally long sequences goes through as an unpadded rectangle, so no mask is needed. rust-bert computes
//! in fp32, and panics where ours would return an error: sizes are checked against the checkpoint before its layers are
//! made, token ids and lengths before they are looked up.

mod albert;
mod bert;
mod variables;

pub use self::albert::load_albert;
pub use self::bert::load_bert;
pub use self::variables::{RustBertLoader, RustBertSource};
