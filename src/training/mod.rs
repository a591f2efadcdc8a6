//! Training by gradient descent: the loop and what it is made of, a file each.

pub mod collapse;
pub mod ended;
pub mod fit;
pub mod history;
pub mod keeper;
pub mod log;
pub mod mix;
pub mod optimizer;
pub mod order;
pub mod plan;
pub mod profile;
pub mod reduce;
pub mod schedule;
pub mod scope;
pub mod snapshot;
pub mod state;
pub mod step;
pub mod stopping;

pub use self::fit::fit;
pub use self::plan::{Calls, Ending, FitOptions, Outcome, TrainPlan, TrainingSet};
pub use self::scope::Scope;
