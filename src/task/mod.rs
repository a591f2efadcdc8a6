//! What is asked of a network: what the training data say of each example, and how an answer is scored.
//!
//! Everything after loading speaks of [`Targets`] and leaves to this room what they are. Nothing here trains: the loop and the
//! strategies are later rooms.

pub mod score;
pub mod targets;

pub use self::score::{Evaluated, score};
pub use self::targets::{Dataset, Targets};
