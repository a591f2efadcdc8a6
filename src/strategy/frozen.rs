//! The frozen strategy: the backbone's features are computed once, in evaluation mode (no dropout), and the head is trained
//! on them to convergence, as a regularised logistic regression whose strength is chosen on the validation data. Interrupted,
//! the features that are there are kept beside the run and taken from there on resuming.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tch::{Device, Tensor};

use crate::batch::ExampleSet;
use crate::console::Console;
use crate::error::{self, Error, Result};
use crate::inference::cache::{Cache, Features};
use crate::inference::{Inference, Partial, Rows};
use crate::linear::logistic::{self, Labelled, Trial};
use crate::model::Classifier;
use crate::model::checkpoint::{Weights, save_tensors};
use crate::training::loss::LossSettings;

/// What came of it; the classifier's head is set.
pub struct Outcome {
    pub seconds: f64,
    /// Tokens of the training data, each seen once.
    pub tokens: u64,
    /// The strength that was chosen, and its validation loss.
    pub chosen: Trial,
    pub trials: Vec<Trial>,
    /// Logits of the validation examples under the new head, from the features that are there already.
    pub valid_logits: Rows,
}

/// Prepared examples with their labels.
pub struct LabelledExamples<'a> {
    pub examples: &'a dyn ExampleSet,
    pub labels: &'a [u32],
}

/// Trains the head on `train`, choosing its strength on `valid`.
pub fn fit(
    classifier: &mut Classifier,
    train: &LabelledExamples,
    valid: &LabelledExamples,
    how: &Fitting,
    console: &Console,
) -> Result<Outcome> {
    let (features, before) = match how.cache.features(how.key) {
        Some(features) => (features, true),
        None => (how.cache.keep_features(how.key, compute(classifier, train, valid, how, console)?), false),
    };
    if before {
        console.note("features: as computed before");
    }
    let began = Instant::now();

    let mut trials = Vec::new();
    let (linear, chosen) = logistic::fit(
        &Labelled { features: &features.train, labels: train.labels },
        &Labelled { features: &features.valid, labels: valid.labels },
        classifier.labels.len(),
        how.loss,
        logistic::THOROUGH,
        &mut |trial| {
            trials.push(trial);
            Ok(())
        },
    )?;
    classifier.head.set_output(&linear.weight, &linear.bias)?;
    console.note(format!(
        "head: logistic regression, penalty {} chosen among {} by validation loss {:.4}",
        chosen.strength,
        trials.len(),
        chosen.valid_loss
    ));
    let logits = features.valid.to_tensor()?.f_linear(&linear.weight, Some(&linear.bias))?;
    let mut values = vec![0f32; logits.numel()];
    logits.f_copy_data(&mut values, logits.numel())?;
    Ok(Outcome {
        // What an earlier run has computed for this one counts as if it had done so itself.
        seconds: features.seconds + began.elapsed().as_secs_f64(),
        tokens: (0..train.examples.len()).map(|index| train.examples.cost(index) as u64).sum(),
        chosen,
        trials,
        valid_logits: Rows { values, width: classifier.labels.len() },
    })
}

/// Runs the backbone over all examples.
fn compute(
    classifier: &Classifier,
    train: &LabelledExamples,
    valid: &LabelledExamples,
    how: &Fitting,
    console: &Console,
) -> Result<Features> {
    let began = Instant::now();
    let Fitting { compute, batch_tokens, kept, .. } = *how;
    let inference = Inference { classifier, compute, batch_tokens, prefix: None };
    let total = (train.examples.len() + valid.examples.len()) as u64;
    let bar = console.progress("features", Some(total), "examples").rate_in(train.examples.unit());
    let mut watch = |examples: usize, tokens: usize| bar.advance_with(examples as u64, tokens as u64);
    let width = classifier.backbone.feature_width() as usize;
    let mut of_train = kept.load("train", train.examples.len(), width)?;
    let mut of_valid = kept.load("valid", valid.examples.len(), width)?;
    let computed = inference
        .features(&mut of_train, train.examples, &mut watch)
        .and_then(|()| inference.features(&mut of_valid, valid.examples, &mut watch));
    if let Err(error) = computed {
        if error.kind() == error::Kind::Interrupted {
            kept.save([("train", &of_train), ("valid", &of_valid)])?;
            let done = of_train.done.iter().chain(&of_valid.done).filter(|&&done| done).count();
            return Err(Error::interrupted(format!("the features of {done} of {total} examples are saved")));
        }
        return Err(error);
    }
    bar.finish();
    Ok(Features { train: of_train.rows, valid: of_valid.rows, seconds: began.elapsed().as_secs_f64() })
}

/// How the features are computed and the head is fitted.
pub struct Fitting<'a> {
    pub compute: tch::Kind,
    pub batch_tokens: usize,
    pub loss: &'a LossSettings,
    /// Where an interrupted call has left its features.
    pub kept: &'a KeptFeatures,
    /// Where earlier runs of this process have left theirs, and under which key.
    pub cache: &'a Cache,
    pub key: &'a str,
}

/// Where an interrupted call leaves its features.
pub struct KeptFeatures {
    file: PathBuf,
}

impl KeptFeatures {
    /// In the run directory `run`, for the model, data and settings that `fingerprint` stands for.
    pub fn new(run: &Path, fingerprint: &str) -> Self {
        let short: String = fingerprint.chars().take(16).collect();
        Self { file: run.join("checkpoints").join(format!("features-{short}.safetensors")) }
    }

    fn load(&self, split: &str, examples: usize, width: usize) -> Result<Partial> {
        let mut partial = Partial::new(examples, width);
        if !self.file.is_file() {
            return Ok(partial);
        }
        let weights = Weights::open_file(&self.file, Device::Cpu)?;
        let numbers = |name: &str, shape: &[i64]| -> Result<Vec<f32>> {
            let tensor = weights.take(name, shape)?;
            let mut values = vec![0f32; tensor.numel()];
            tensor.f_copy_data(&mut values, tensor.numel())?;
            Ok(values)
        };
        partial.rows.values = numbers(split, &[examples as i64, width as i64])?;
        let done = numbers(&format!("{split}.done"), &[examples as i64])?;
        partial.done = done.into_iter().map(|done| done != 0.0).collect();
        Ok(partial)
    }

    fn save<'a>(&self, splits: impl IntoIterator<Item = (&'a str, &'a Partial)>) -> Result<()> {
        let mut tensors = Vec::new();
        for (split, partial) in splits {
            let done: Vec<f32> = partial.done.iter().map(|&done| f32::from(u8::from(done))).collect();
            tensors.push((split.to_owned(), partial.rows.to_tensor()?));
            tensors.push((format!("{split}.done"), Tensor::f_from_slice(&done)?));
        }
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
        }
        save_tensors(&self.file, tensors)
    }

    /// Takes the file away, when there is one: the head is trained.
    pub fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(error, &self.file)),
            _ => Ok(()),
        }
    }
}
