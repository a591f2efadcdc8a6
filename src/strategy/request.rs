//! What training is given, and what it hands back: the same for every strategy.

use serde::{Deserialize, Serialize};

use crate::config::HeadInit;
use crate::console::Console;
use crate::error::Result;
use crate::inference::Rows;
use crate::inference::cache::{Cache, CacheSettings};
use crate::model::Classifier;
use crate::task::{Dataset, Evaluated, Task};
use crate::training::collapse::Restart;
use crate::training::stopping::Ended;
use crate::training::{FitOptions, TrainPlan};

/// Hears of the logits of the validation data after every epoch, which counts from 1; its error ends training.
pub type Watch<'a> = &'a dyn Fn(usize, &Rows) -> Result<()>;

/// What training needs besides the classifier.
pub struct TrainRequest<'a> {
    /// Gives the loss, the fit of a head on features, and the scores.
    pub task: &'a dyn Task,
    /// Its images are augmented when a step loads them, where that is asked for.
    pub train: &'a Dataset,
    /// Decides about the epochs, and about the penalty of a head fitted on features.
    pub guide: Guide<'a>,
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
    /// Whether the time of what was computed once, for this training and others of the same run, counts here.
    pub counts_shared: bool,
    /// Hears of the logits of the validation data after every epoch, which counts from 1.
    pub watch: Option<Watch<'a>>,
    /// The run directory, and whether to resume.
    pub options: FitOptions<'a>,
    /// Loads the network once more as it was before training: where training has collapsed, its weights come from here.
    pub reload: &'a dyn Fn() -> Result<Classifier>,
    /// Where progress and notes go.
    pub console: &'a Console,
}

impl TrainRequest<'_> {
    /// What counts here of so many seconds for what several trainings of a run share.
    pub fn shared_seconds(&self, seconds: f64) -> f64 {
        if self.counts_shared { seconds } else { 0.0 }
    }
}

/// What decides which epoch is best, and the penalty of a head fitted on features.
#[derive(Clone, Copy)]
pub enum Guide<'a> {
    /// The scores on validation data.
    Validation(&'a Dataset),
    /// What scores have decided before, when the network was trained on a part of these data or of others.
    Chosen(Chosen),
    /// The same; the result is scored on data that it was not trained on.
    Scored(Chosen, &'a Dataset),
}

impl<'a> Guide<'a> {
    /// The data that are scored, where there are any.
    pub fn validation(self) -> Option<&'a Dataset> {
        match self {
            Self::Validation(valid) | Self::Scored(_, valid) => Some(valid),
            Self::Chosen(_) => None,
        }
    }

    /// What has been chosen before.
    pub fn chosen(self) -> Option<Chosen> {
        match self {
            Self::Chosen(chosen) | Self::Scored(chosen, _) => Some(chosen),
            Self::Validation(_) => None,
        }
    }
}

/// What was chosen on validation data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// Epochs to train, under the schedule of all that were planned.
    pub epochs: u32,
    /// The factor of the penalty of a head fitted on features; `None` where none was fitted.
    pub penalty: Option<f64>,
    /// Whether training had collapsed, and was begun again with lower rates.
    pub lower_rates: bool,
}

/// How training went. The classifier is the trained one, and nothing of it is trained any more.
pub struct Trained {
    /// Of the train loop over all sessions of the run, and of computing features and activations for it.
    pub seconds: f64,
    /// Tokens, or images, trained on: every epoch's.
    pub tokens: u64,
    /// None where there are no epochs to choose from, or nothing to choose by.
    pub best_epoch: Option<u32>,
    /// Epochs trained; 1 where the head was fitted on features.
    pub epochs: u32,
    /// Numbers, not tensors, that the strategy changes, the head's included.
    pub trainable_parameters: u64,
    /// The factor of the penalty of a head that was fitted on features.
    pub penalty: Option<f64>,
    /// The trained classifier on the validation data; `None` where there are none.
    pub valid: Option<Evaluated>,
    /// How the run was begun again, if its training had collapsed.
    pub restart: Option<Restart>,
    /// Why training ended where it did; `None` where the head was fitted on features.
    pub ended: Option<Ended>,
}
