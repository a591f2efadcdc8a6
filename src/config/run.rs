//! The typed settings of one training run: a field for each row of [`super::settings`].
//!
//! They say what was asked for. Whether the data, the model and the machine allow it is found out by those who open
//! them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::class_weights::ClassWeights;
use super::keep_best::KeepBest;
use super::label_thresholds::LabelThresholds;
use super::lists::{Columns, Paths};
use super::not_begun::has_not_begun;
use super::patience::Patience;
use super::problems::all_problems;
use super::values::{
    Augment, Delimiter, Device, Encoding, Engine, HeadInit, Init, LongText, LossFunction, OnBadInput, PoolerInit,
    Pooling, Precision, Quote, Schedule, Strategy, Switch, Task, WindowPooling,
};
use crate::error::{Error, Result};
use crate::files;

/// Everything that describes one training run. An `Option` that is `None` and an `auto` are decided later by the
/// program, which writes its decision back here and records the reason in [`super::Choices`] before the settings are
/// saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Files, columns and the reading of examples.
    pub data: DataConfig,
    /// The backbone, how it is pooled, and what its weights start from.
    pub model: ModelConfig,
    /// Which parameters are trained, and the start of the head.
    pub strategy: StrategyConfig,
    /// Batches, rates, regularisation, augmentation, stopping.
    pub training: TrainingConfig,
    /// Output directory, device, precision, cache.
    pub run: ExecutionConfig,
}

/// `[data]`: the labelled examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Files of rows, or folders of class folders; all of them are trained on.
    pub train: Paths,
    /// Validation data; `None`: a fraction of the training rows is held out instead.
    pub valid: Option<PathBuf>,
    /// Fraction of the training rows held out for validation, in (0, 1). Never set together with `valid`.
    pub valid_fraction: Option<f64>,
    /// In so many folds every training row is held out once. Never together with `valid` or `valid_fraction`.
    pub folds: Option<usize>,
    /// The column whose equal values stay in one fold, or on one side of the split.
    pub group: Option<String>,
    /// Data that the finished model is evaluated on; `None` evaluates on none.
    pub test: Option<PathBuf>,
    /// Decides which rows are held out; `None` means as `training.seed`.
    pub split_seed: Option<u64>,
    /// The columns of the text, or of the image paths; `None`: found by name and content.
    pub text: Option<Columns>,
    /// The column of the label; `None`: found by name and content.
    pub label: Option<String>,
    /// The byte between two fields of a row; `None`: found by the first rows.
    pub delimiter: Option<Delimiter>,
    /// What encloses fields.
    pub quote: Quote,
    /// Whether the first row is data, and columns go by number.
    pub no_header: bool,
    /// The encoding of text files; `None`: found out.
    pub encoding: Option<Encoding>,
    /// The sheet of a spreadsheet, by name or number; `None`: the first one with data.
    pub sheet: Option<String>,
    /// Whether rows without a label end the run or are left out.
    pub on_empty_label: OnBadInput,
    /// The file with new names of labels.
    pub label_map: Option<PathBuf>,
    /// Whether labels that look alike become one.
    pub merge_labels: bool,
    /// Labels with fewer training rows are left out, or become `other`.
    pub min_rows_per_label: Option<u64>,
    /// What labels with too few rows become. Only set together with `min_rows_per_label`.
    pub other: Option<String>,
    /// What a label is; `None`: found from the labels.
    pub task: Option<Task>,
    /// What is between the labels of a cell, where a row may have several; `None`: a bar.
    pub label_separator: Option<String>,
    /// Tokens kept of each example, special tokens included.
    pub max_length: Option<usize>,
    /// What is read of a text that is longer; `None`: its beginning.
    pub long_text: Option<LongText>,
    /// Tokens that neighbouring windows of a text share; `None`: a quarter of `max_length`.
    pub stride: Option<usize>,
    /// How the results of a text's windows become one; `None`: their mean.
    pub window_pooling: Option<WindowPooling>,
    /// Height and width in pixels that images are resized to.
    pub image_size: Option<usize>,
    /// Whether a row or an image that cannot be read ends the run or is left out.
    pub on_bad_input: OnBadInput,
}

/// `[model]`: the pretrained network and its new head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// A directory in the Hugging Face layout, a hub id, or the name of an architecture.
    pub model: String,
    /// Pretrained weights, or random ones of the architecture that `model` names.
    pub init: Init,
    /// How many of the first stages are kept; the head is put on the last of them. `None`: all.
    pub stages: Option<usize>,
    /// How token vectors become one vector; networks whose features are maps take the mean.
    pub pooling: Pooling,
    /// What the hidden layer of the head starts from.
    pub pooler_init: PoolerInit,
    /// Which code runs a text network.
    pub engine: Engine,
    /// Dropout before the head and inside trained stages; `None` keeps what the model's own configuration says.
    pub dropout: Option<f64>,
    /// How many of the last layers are re-initialised with random weights.
    pub reinit_layers: usize,
}

/// `[strategy]`: which parameters are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyConfig {
    /// What is trained besides the head.
    pub name: Strategy,
    /// What the head of a trained backbone starts from.
    pub head_init: HeadInit,
}

/// `[training]`: the optimisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the training data; 0 leaves the model untrained.
    pub epochs: Option<usize>,
    /// Peak learning rate.
    pub lr: Option<f64>,
    /// Peak learning rate of the head; `None` means as `lr`.
    pub head_lr: Option<f64>,
    /// Layer-wise learning-rate decay: the rate of each stage is this factor times that of the next; 1 turns it off.
    pub layer_decay: f64,
    /// Tokens an optimizer step sees. Never set together with `batch_size`.
    pub batch_tokens: Option<usize>,
    /// Examples an optimizer step sees.
    pub batch_size: Option<usize>,
    /// Tokens of one forward and backward pass; a step accumulates as many of them as its batch needs.
    pub micro_batch_tokens: Option<usize>,
    /// Decoupled weight decay (AdamW), applied to matrices and not to biases and norms; 0 turns it off.
    pub weight_decay: f64,
    /// What is minimised.
    pub loss: Option<LossFunction>,
    /// γ of the focal loss: how much less rows count that are predicted well. Only set with it; `None`: 2.
    pub focal_gamma: Option<f64>,
    /// Fraction of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// What each class counts in the loss.
    pub class_weights: ClassWeights,
    /// The augmentation of training images; text has none.
    pub augment: Augment,
    /// The parameter of the Beta distribution that Mixup draws its lambda from; 0 turns it off.
    pub mixup: f64,
    /// The same for CutMix.
    pub cutmix: f64,
    /// How many augmented copies of each image the head of a frozen network is trained on; 1 takes the image as it is.
    pub views: usize,
    /// Fraction of all steps over which the learning rate rises from 0 to its peak.
    pub warmup_ratio: f64,
    /// How the learning rate falls after the warm-up.
    pub schedule: Schedule,
    /// Gradients are scaled down to this L2 norm when longer.
    pub max_grad_norm: f64,
    /// When training ends before its last epoch.
    pub patience: Patience,
    /// The validation score by which the epoch is chosen whose weights are kept.
    pub keep_best: KeepBest,
    /// Whether a temperature is fitted and folded into the output layer.
    pub calibrate: Switch,
    /// From which probability on a label is given, where rows may have several.
    pub label_thresholds: LabelThresholds,
    /// Whether the final model is trained on training and validation rows together, for the epochs chosen.
    pub refit: bool,
    /// The accuracy that labels above the threshold are to reach; `None`: no threshold is chosen.
    pub target_accuracy: Option<f64>,
    /// Whether each label has a threshold of its own. Only set together with `target_accuracy`.
    pub thresholds_per_label: bool,
    /// Minutes between two snapshots of the training state; one is also saved on an interruption.
    pub snapshot_minutes: f64,
    /// How many of the newest snapshots are kept: one that is damaged has another before it.
    pub keep_snapshots: usize,
    /// At most `i64::MAX`, which is what TOML can hold.
    pub seed: u64,
    /// Optimizer steps between two lines of the log.
    pub log_every: usize,
}

/// `[run]`: where the run goes and what it runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionConfig {
    /// The run directory: model, metrics, report and log are written here.
    pub out: PathBuf,
    /// Where the network runs; `Auto` takes a GPU if there is one.
    pub device: Device,
    /// The number format of matrix products; weights that are trained stay in fp32.
    pub precision: Precision,
    /// CPU threads; `None`: one per core.
    pub threads: Option<usize>,
    /// Whether the outputs of the frozen stages are computed once and kept.
    pub cache: Switch,
    /// Megabytes of memory for them; the rest goes to a file. `None`: a quarter of what is free.
    pub cache_memory: Option<u64>,
    /// Folder for their files, kept for later runs; `None`: in the run directory, deleted at the end.
    pub cache_dir: Option<PathBuf>,
    /// Mistakes that the report explains; `None`: a few, as time allows.
    pub explain_mistakes: Option<usize>,
}

impl RunConfig {
    /// The same with the training files that patterns stand for.
    ///
    /// # Errors
    /// A pattern matches nothing, or a file is given twice.
    pub fn with_files(mut self) -> Result<Self> {
        self.data.train = self.data.train.expanded()?;
        Ok(self)
    }

    /// Looks at the paths of the run before anything is computed: the data files are there, and `out` is new, empty, or
    /// (with `resume`) a directory. Answers with everything that is wrong.
    pub fn check_paths(&self, resume: bool) -> Result<()> {
        let DataConfig { train, valid, test, .. } = &self.data;
        let mut problems = Vec::new();
        let train = train.iter().map(|path| ("data.train", path));
        let others = [("data.valid", valid), ("data.test", test)];
        let others = others.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?)));
        for (name, path) in train.chain(others) {
            if let Err(error) = path.metadata() {
                problems.push(Error::io(error, path).key(name));
            }
        }
        let when_occupied = "give a new directory to --out, or continue this run with --resume";
        if let Some(error) = self.data.label_map.as_ref().and_then(|map| Some((map.metadata().err()?, map))) {
            problems.push(Error::io(error.0, error.1).hint(
                "check the path after --label-map: the file has a line FROM,TO for each label that gets another name",
            ));
        }
        if self.data.other.is_some() && self.data.min_rows_per_label.is_none() {
            problems.push(
                Error::request("there are no labels for it: it is the name of those with too few rows")
                    .key("data.other")
                    .hint("say how few with --min-rows-per-label N"),
            );
        }
        if self.training.thresholds_per_label && self.training.target_accuracy.is_none() {
            problems.push(
                Error::request("there is no accuracy that the thresholds are to reach")
                    .key("training.thresholds_per_label")
                    .hint("say which with --target-accuracy P"),
            );
        }
        problems.extend(self.data.check_held_out().err());
        let checked = files::check_output_directory(
            &self.run.out,
            "--out",
            (!resume && !has_not_begun(&self.run.out)).then_some(when_occupied),
        );
        problems.extend(checked.err());
        all_problems(problems)
    }
}

impl DataConfig {
    /// That one way is asked for of holding rows out.
    fn check_held_out(&self) -> Result<()> {
        let by_folds = |other: &str| {
            Error::request(format!("folds hold out every training row in turn, and {other} other validation rows"))
                .key("data.folds")
        };
        match (&self.valid, self.valid_fraction) {
            (Some(_), _) if self.folds.is_some() => Err(by_folds("--valid names")
                .hint("leave --valid out, or give its file to --train too: several files are read as one")),
            (_, Some(_)) if self.folds.is_some() => {
                Err(by_folds("--valid-fraction holds out").hint("leave --valid-fraction out"))
            }
            (Some(_), _) if self.group.is_some() => Err(Error::request(
                "groups say which training rows are held out together, and validation rows are in a file of their own",
            )
            .key("data.group")
            .hint("leave --valid or --group out")),
            _ => Ok(()),
        }
    }
}
