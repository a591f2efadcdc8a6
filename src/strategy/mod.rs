//! What is trained, and how: each strategy is a way to go from a pretrained classifier to a trained one.
//!
//! [`train()`] is that way. A strategy is a choice of parameters and of the stages that stay frozen ([`scope`]). All
//! but `frozen`, whose head is fitted to convergence on features ([`frozen`]), go through the one train loop. Frozen
//! stages run in evaluation mode: no dropout, fixed statistics; what they compute may be cached ([`cached`]).
//!
//! What the settings leave open and only a strategy can decide stands here as well: [`plan`] (learning rate, size of a
//! step, epochs), [`defaults`] (pooling, where a head begins), [`pooler`]
//! (where its hidden layer begins), [`variation`] (how training images are augmented and
//! mixed).

pub mod cached;
pub mod defaults;
pub mod frozen;
pub mod plan;
pub mod pooler;
pub mod reinit;
pub mod request;
pub mod scope;
pub mod train;
pub mod variation;

pub use self::request::{Chosen, Guide, TrainRequest, Trained, Watch};
pub use self::scope::{frozen_stages, scope};
pub use self::train::train;
