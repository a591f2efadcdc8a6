//! What training is given, and what it hands back: the same for every strategy.

use crate::config::HeadInit;
use crate::console::Console;
use crate::inference::cache::{Cache, CacheSettings};
use crate::task::{Dataset, Evaluated, Task};
use crate::training::{FitOptions, TrainPlan};

/// What training needs besides the classifier.
pub struct TrainRequest<'a> {
    /// Gives the loss, the fit of a head on features, and the scores.
    pub task: &'a dyn Task,
    /// Its images are augmented when a step loads them, where that is asked for.
    pub train: &'a Dataset,
    /// Chooses the best epoch, or the penalty of a head fitted on features.
    pub valid: &'a Dataset,
    /// Settings of the train loop. Fitting a head on features uses only `loss`, `compute` and `fingerprint`.
    pub plan: &'a TrainPlan,
    /// `Probe`: the head is fitted on features before stages are trained. The frozen strategy ignores it.
    pub head_init: HeadInit,
    /// Tokens, or images, of a batch without gradients.
    pub inference_budget: usize,
    /// Where the activations of the frozen stages are cached. None: every step computes them.
    pub activation_cache: Option<&'a CacheSettings>,
    /// What the runs of this process share.
    pub cache: &'a Cache,
    /// The run directory, and whether to resume.
    pub options: FitOptions<'a>,
    /// Where progress and notes go.
    pub console: &'a Console,
}

/// How training went. The classifier is the trained one, and nothing of it is trained any more.
pub struct Trained {
    /// Of the train loop over all sessions of the run, and of computing features and activations for it.
    pub seconds: f64,
    /// Tokens, or images, trained on: every epoch's.
    pub tokens: u64,
    /// None where there are no epochs to choose from.
    pub best_epoch: Option<u32>,
    /// Epochs trained; 1 where the head was fitted on features.
    pub epochs: u32,
    /// Numbers, not tensors, that the strategy changes, the head's included.
    pub trainable_parameters: u64,
    /// The trained classifier on the validation data.
    pub valid: Evaluated,
}
