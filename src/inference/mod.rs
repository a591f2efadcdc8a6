//! From examples to logits or features: the one path that validation, evaluation, labelling and the feature cache
//! share.

pub mod activations;
pub mod budget;
pub mod cache;
pub mod forward;
pub mod rows;

pub use self::forward::{Inference, Outputs};
pub use self::rows::{Partial, Rows, to_vec};
