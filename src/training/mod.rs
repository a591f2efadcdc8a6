//! Training by gradient descent: the loop and what it is made of, a file each.

pub mod fit;
pub mod history;
pub mod loss;
pub mod mix;
pub mod optimizer;
pub mod profile;
pub mod schedule;
pub mod scope;
pub mod snapshot;
pub mod stopping;

pub use self::fit::{Outcome, Place, Plan, Scored, TrainingSet, fit};
pub use self::scope::Scope;
