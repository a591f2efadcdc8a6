//! The frozen strategy: the network's features are computed once, in evaluation mode (no dropout), and the head is
//! fitted on them to convergence, as a regularised logistic regression whose penalty is chosen on the validation data.
//! When interrupted, the features computed so far are saved beside the run, and resuming continues from them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tch::{Device, Tensor};

use crate::error::{Error, ErrorKind, Result};
use crate::inference::cache::Features;
use crate::inference::{Inference, Partial, Rows, to_vec};
use crate::interrupt;
use crate::linear::logistic::Step;
use crate::model::Classifier;
use crate::model::checkpoint::{Weights, save_tensors};
use crate::strategy::request::TrainRequest;
use crate::task::LabelledFeatures;

/// What fitting gave; the classifier's head is set.
pub struct HeadFit {
    /// For computing the features, whichever run did it, and for fitting.
    pub seconds: f64,
    /// Tokens, or images, of the training data, each seen once.
    pub tokens: u64,
    /// Logits of the validation examples under the new head.
    pub valid_logits: Rows,
}

/// Fits the head on the training data of `request` and chooses its penalty on the validation data. `key` stands for the
/// features: those that an earlier run of this process computed are taken from the cache.
pub fn fit(
    classifier: &mut Classifier,
    request: &TrainRequest,
    checkpoint: &FeatureCheckpoint,
    key: &str,
) -> Result<HeadFit> {
    let &TrainRequest { task, train, valid, plan, cache, console, .. } = request;
    let features = match cache.features(key) {
        Some(features) => {
            console.note("features: already computed");
            features
        }
        None => cache.keep_features(key, compute(classifier, request, checkpoint)?),
    };
    let began = Instant::now();
    // Many rows of wide features take minutes.
    let bar = console.progress("head", None, "iterations");
    let fitted = task.fit_head(
        &LabelledFeatures { features: &features.train, targets: &train.targets },
        &LabelledFeatures { features: &features.valid, targets: &valid.targets },
        &plan.loss,
        &classifier.labels,
        &mut |step| match step {
            Step::Evaluated { penalty, penalties } => {
                bar.message(format!("penalty {penalty} of {penalties}"));
                bar.advance(1);
                stop_if_asked()
            }
            Step::Solved(_) => Ok(()),
        },
    );
    drop(bar);
    let fitted = fitted.or_else(|error| {
        if error.kind() == ErrorKind::Interrupted {
            checkpoint.save_complete(&features)?;
            return Err(Error::interrupted("the features of all examples are saved, the head is not fitted"));
        }
        Err(error)
    })?;
    let linear = fitted.linear;
    classifier.head.set_output(&linear.weight, &linear.bias)?;
    console.note(format!("head: {}", fitted.description));
    let logits = features.valid.to_tensor()?.f_linear(&linear.weight, Some(&linear.bias))?;
    let values = to_vec::<f32>(&logits)?;
    Ok(HeadFit {
        // What an earlier run has computed for this one counts as if it had done so itself.
        seconds: features.seconds + began.elapsed().as_secs_f64(),
        tokens: (0..train.examples.len()).map(|index| train.examples.cost(index) as u64).sum(),
        valid_logits: Rows { values, width: task.head_width(&classifier.labels) },
    })
}

fn stop_if_asked() -> Result<()> {
    if interrupt::requested() { Err(Error::interrupted("the head is not fitted")) } else { Ok(()) }
}

/// Runs the network over all examples.
fn compute(classifier: &Classifier, request: &TrainRequest, checkpoint: &FeatureCheckpoint) -> Result<Features> {
    let began = Instant::now();
    let (train, valid) = (&*request.train.examples, &*request.valid.examples);
    let TrainRequest { plan, inference_budget, .. } = *request;
    let inference = Inference { classifier, compute: plan.compute, batch_tokens: inference_budget, lower_layers: None };
    let total = (train.len() + valid.len()) as u64;
    let bar = request.console.progress("features", Some(total), "examples").rate_in(train.unit());
    let mut watch = |examples: usize, tokens: usize| bar.advance_with(examples as u64, tokens as u64);
    let width = classifier.backbone.feature_width() as usize;
    if checkpoint.has_others() {
        request.console.warn(
            "the features that the interrupted run saved are of other data, another model or other settings: they are \
             not used, and all are computed again",
        );
    }
    let mut of_train = checkpoint.load("train", train.len(), width)?;
    let mut of_valid = checkpoint.load("valid", valid.len(), width)?;
    // What earlier sessions computed took time, too.
    let earlier = checkpoint.seconds()?;
    let seconds = || earlier + began.elapsed().as_secs_f64();
    let computed = inference
        .features(&mut of_train, train, &mut watch)
        .and_then(|()| inference.features(&mut of_valid, valid, &mut watch));
    if let Err(error) = computed {
        if error.kind() == ErrorKind::Interrupted {
            let splits = [("train", &of_train.rows, &*of_train.done), ("valid", &of_valid.rows, &*of_valid.done)];
            checkpoint.save(splits, seconds())?;
            let done = of_train.done.iter().chain(&of_valid.done).filter(|&&done| done).count();
            return Err(Error::interrupted(format!("the features of {done} of {total} examples are saved")));
        }
        return Err(error);
    }
    bar.finish();
    Ok(Features { train: of_train.rows, valid: of_valid.rows, seconds: seconds() })
}

/// The file in which an interrupted call leaves its features.
pub struct FeatureCheckpoint {
    file: PathBuf,
}

impl FeatureCheckpoint {
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
        let values_of = |name: &str, shape: &[i64]| to_vec::<f32>(&weights.take(name, shape)?);
        partial.rows.values = values_of(split, &[examples as i64, width as i64])?;
        let done = values_of(&format!("{split}.done"), &[examples as i64])?;
        partial.done = done.into_iter().map(|done| done != 0.0).collect();
        Ok(partial)
    }

    /// Whether an interrupted run left features that are not of these data, model and settings.
    fn has_others(&self) -> bool {
        let entries = self.file.parent().and_then(|folder| std::fs::read_dir(folder).ok());
        let saved = entries.into_iter().flatten().flatten().map(|entry| entry.path());
        let is_features = |file: &Path| {
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("features-"))
                && file.extension().is_some_and(|kind| kind == "safetensors")
        };
        !self.file.is_file() && saved.into_iter().any(|file| is_features(&file))
    }

    /// What the saved features took to compute.
    fn seconds(&self) -> Result<f64> {
        if !self.file.is_file() {
            return Ok(0.0);
        }
        let saved = Weights::open_file(&self.file, Device::Cpu)?;
        // Earlier versions did not save it.
        if !saved.has("seconds") {
            return Ok(0.0);
        }
        Ok(to_vec::<f32>(&saved.take("seconds", &[1])?)?.iter().map(|&seconds| f64::from(seconds)).sum())
    }

    fn save_complete(&self, features: &Features) -> Result<()> {
        let done = [&features.train, &features.valid].map(|rows| vec![true; rows.len()]);
        self.save([("train", &features.train, &done[0]), ("valid", &features.valid, &done[1])], features.seconds)
    }

    /// By split: rows, and which of them are done; and the seconds that they took.
    fn save(&self, splits: [(&str, &Rows, &[bool]); 2], seconds: f64) -> Result<()> {
        let mut tensors = vec![("seconds".to_owned(), Tensor::f_from_slice(&[seconds as f32])?)];
        for (split, rows, done) in splits {
            let done: Vec<f32> = done.iter().map(|&done| f32::from(u8::from(done))).collect();
            tensors.push((split.to_owned(), rows.to_tensor()?));
            tensors.push((format!("{split}.done"), Tensor::f_from_slice(&done)?));
        }
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
        }
        save_tensors(&self.file, tensors)
    }

    /// Deletes the file, if there is one: the head is trained.
    pub fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(error, &self.file)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_without_their_time_are_continued() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = FeatureCheckpoint { file: folder.path().join("features-1.safetensors") };
        let rows = Rows { values: vec![1.0, 2.0], width: 2 };
        checkpoint.save([("train", &rows, &[true]), ("valid", &rows, &[false])], 1.5).unwrap();
        assert_eq!(checkpoint.seconds().unwrap(), 1.5);
        let saved = [("train", rows.to_tensor().unwrap()), ("train.done", Tensor::f_from_slice(&[1.0_f32]).unwrap())];
        save_tensors(&checkpoint.file, saved.map(|(name, tensor)| (name.to_owned(), tensor))).unwrap();
        assert_eq!(checkpoint.seconds().unwrap(), 0.0);
        assert_eq!(checkpoint.load("train", 1, 2).unwrap().rows.values, rows.values);
    }
}
