//! What training is given, and what it hands back: the same for every strategy.

use crate::config::HeadInit;
use crate::console::Console;
use crate::inference::cache::{Cache, CacheSettings};
use crate::task::{Dataset, Evaluated, Task};
use crate::training::{FitOptions, TrainPlan};

/// What training needs besides the classifier.
pub struct TrainRequest<'a> {
    pub task: &'a dyn Task,
    pub train: &'a Dataset,
    pub valid: &'a Dataset,
    pub plan: &'a TrainPlan,
    pub head_init: HeadInit,
    /// Tokens, or images, of a batch without gradients.
    pub inference_budget: usize,
    /// Where the activations of the frozen stages are cached. None: every step computes them.
    pub prefix_cache: Option<&'a CacheSettings>,
    /// What the runs of this process share.
    pub cache: &'a Cache,
    pub options: FitOptions<'a>,
    pub console: &'a Console,
}

/// How training went. The classifier is the trained one, and nothing of it is trained any more.
pub struct Trained {
    pub seconds: f64,
    /// Tokens, or images, trained on: every epoch's.
    pub tokens: u64,
    /// None where there are no epochs to choose from.
    pub best_epoch: Option<u32>,
    pub epochs: u32,
    pub trainable_parameters: u64,
    /// The trained classifier on the validation data.
    pub valid: Evaluated,
}
