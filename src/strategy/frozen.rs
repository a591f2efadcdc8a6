//! The frozen strategy: the network's features are computed once, in evaluation mode (no dropout), and the head is
//! fitted on them to convergence, as a regularised logistic regression whose penalty is chosen on the validation data.
//! When interrupted, the features computed so far are saved beside the run, and resuming continues from them.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::batch::{ExampleSet, whole_of};
use crate::error::{Error, ErrorKind, Result};
use crate::files::checksum::{Sealed, damaged, read_sealed, write_sealed};
use crate::files::remove_if_there;
use crate::inference::cache::Features;
use crate::inference::{Inference, Partial, Rows, to_vec};
use crate::interrupt;
use crate::linear::logistic::Step;
use crate::model::Classifier;
use crate::model::state_file;
use crate::strategy::request::{Guide, TrainRequest};
use crate::task::{Dataset, LabelledFeatures, Penalty};

/// What fitting gave; the classifier's head is set.
pub struct HeadFit {
    /// For computing the features, whichever run did it, and for fitting.
    pub seconds: f64,
    /// Tokens, or images, of the training data, each seen once.
    pub tokens: u64,
    /// The factor of the penalty.
    pub penalty: f64,
    /// Logits of the validation examples under the new head; `None` where there are none.
    pub valid_logits: Option<Rows>,
}

/// Fits the head on the training data of `request`. Its penalty is chosen on the validation data, or known. Features
/// that an earlier run of this process computed are taken from the cache; what parts of the data share is computed
/// once.
pub fn fit(
    classifier: &mut Classifier,
    request: &TrainRequest,
    checkpoint: &FeatureCheckpoint,
    keys: &[String],
) -> Result<HeadFit> {
    let &TrainRequest { task, train, guide, plan, console, .. } = request;
    let features = features(classifier, request, checkpoint, keys)?;
    let of_train = part_of(features.first(), train)?;
    let of_valid = guide.validation().map(|valid| part_of(features.last(), valid)).transpose()?;
    let penalty = match (guide, &of_valid, guide.chosen().and_then(|chosen| chosen.penalty)) {
        (Guide::Validation(valid), Some(features), _) => {
            Penalty::ChosenOn(LabelledFeatures { features, targets: &valid.targets })
        }
        (_, _, Some(penalty)) => Penalty::Known(penalty),
        _ => return Err(Error::failure("neither the penalty of the head is known nor data to choose it by")),
    };
    let began = Instant::now();
    // Many rows of wide features take minutes.
    let bar = console.progress("head", None, "iterations");
    let fitted = task.fit_head(
        &LabelledFeatures { features: &of_train, targets: &train.targets },
        penalty,
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
    let width = task.head_width(&classifier.labels);
    let logits = |features: Cow<Rows>| -> Result<Rows> {
        let logits = classifier.head.scaled(features.to_tensor()?.f_linear(&linear.weight, Some(&linear.bias))?)?;
        Ok(Rows { values: to_vec::<f32>(&logits)?, width })
    };
    Ok(HeadFit {
        // What an earlier run has computed for this one counts as if it had done so itself.
        seconds: request.shared_seconds(features.iter().map(|features| features.seconds).sum())
            + began.elapsed().as_secs_f64(),
        tokens: (0..train.examples.len()).map(|index| train.examples.cost(index) as u64).sum(),
        penalty: fitted.penalty,
        valid_logits: of_valid.map(logits).transpose()?,
    })
}

fn stop_if_asked() -> Result<()> {
    if interrupt::requested() { Err(Error::interrupted("the head is not fitted")) } else { Ok(()) }
}

/// The sets whose features are computed: the training and the validation data, or what both are parts of.
pub fn sets<'a>(request: &TrainRequest<'a>) -> Vec<&'a Arc<dyn ExampleSet>> {
    let (train, _) = whole_of(&request.train.examples);
    let valid = request.guide.validation().map(|valid| whole_of(&valid.examples).0);
    [train].into_iter().chain(valid.filter(|valid| !Arc::ptr_eq(train, valid))).collect()
}

/// The features of a dataset, from those of the set that it is (a part of).
fn part_of<'f>(features: Option<&'f Rc<Features>>, dataset: &Dataset) -> Result<Cow<'f, Rows>> {
    let features = features.ok_or_else(|| Error::failure("no features were computed"))?;
    Ok(match whole_of(&dataset.examples) {
        (_, Some(indices)) => Cow::Owned(features.rows.part(indices)),
        (_, None) => Cow::Borrowed(&features.rows),
    })
}

/// The features of all [`sets`], in their order.
fn features(
    classifier: &Classifier,
    request: &TrainRequest,
    checkpoint: &FeatureCheckpoint,
    keys: &[String],
) -> Result<Vec<Rc<Features>>> {
    let cache = request.cache;
    let missing = |key: &String| cache.features(key).is_none();
    match keys.iter().any(missing) {
        false => request.console.note("features: already computed"),
        true => compute(classifier, request, checkpoint, keys)?,
    }
    keys.iter().map(|key| cache.features(key).ok_or_else(|| Error::failure("features were not kept"))).collect()
}

/// Runs the network over the examples of all sets whose features are not in the cache, and puts them there.
fn compute(
    classifier: &Classifier,
    request: &TrainRequest,
    checkpoint: &FeatureCheckpoint,
    keys: &[String],
) -> Result<()> {
    let TrainRequest { plan, cache, inference_budget, console, .. } = *request;
    let inference = Inference { classifier, compute: plan.compute, batch_tokens: inference_budget, lower_layers: None };
    let sets = sets(request);
    let total: usize = sets.iter().map(|set| set.len()).sum();
    let bar = console.progress("features", Some(total as u64), "examples").rate_in(request.train.examples.unit());
    let mut watch = |examples: usize, tokens: usize| bar.advance_with(examples as u64, tokens as u64);
    let width = classifier.feature_width() as usize;
    if checkpoint.has_others() {
        console.warn(
            "the features that the interrupted run saved are of other data, another model or other settings: they are \
             not used, and all are computed again",
        );
    }
    if let Err(error) = checkpoint.check() {
        console.warn(format!("{error}: all features are computed again"));
        remove_if_there(&checkpoint.file)?;
    }
    let splits = sets.iter().zip(SPLITS).map(|(set, split)| checkpoint.load(split, set.len(), width));
    let mut partial = splits.collect::<Result<Vec<_>>>()?;
    for (of_set, _) in partial.iter_mut().zip(keys).filter(|(_, key)| cache.features(key).is_some()) {
        of_set.done.fill(true);
    }
    // What earlier sessions computed took time, too.
    let (mut before, mut began) = (checkpoint.seconds()?, Instant::now());
    for (index, (set, key)) in sets.iter().zip(keys).enumerate() {
        let (Some(of_set), None) = (partial.get_mut(index), cache.features(key)) else { continue };
        if let Err(error) = inference.features(of_set, &***set, &mut watch) {
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
            let whole: Vec<_> = keys.iter().map(|key| cache.features(key)).collect();
            let rows = whole.iter().zip(&partial).map(|(whole, partial)| match whole {
                Some(whole) => (&whole.rows, partial.done.as_slice()),
                None => (&partial.rows, partial.done.as_slice()),
            });
            checkpoint.save(rows, before + began.elapsed().as_secs_f64())?;
            let done = partial.iter().flat_map(|set| &set.done).filter(|&&done| done).count();
            return Err(Error::interrupted(format!("the features of {done} of {total} examples are saved")));
        }
        let rows = std::mem::replace(&mut of_set.rows, Rows { values: Vec::new(), width });
        cache.keep_features(key, Features { rows, seconds: before + began.elapsed().as_secs_f64() });
        (before, began) = (0.0, Instant::now());
    }
    bar.finish();
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct SavedPenalty {
    penalty: f64,
}

/// The names of the sets in a checkpoint.
const SPLITS: [&str; 2] = ["train", "valid"];

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

    /// That the saved features, if there are any, are whole.
    fn check(&self) -> Result<()> {
        if self.file.is_file() { state_file::open(&self.file).map(|_| ()) } else { Ok(()) }
    }

    fn load(&self, split: &str, examples: usize, width: usize) -> Result<Partial> {
        let mut partial = Partial::new(examples, width);
        if !self.file.is_file() {
            return Ok(partial);
        }
        let weights = state_file::open(&self.file)?;
        if !weights.has(split) {
            return Ok(partial);
        }
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
        let saved = state_file::open(&self.file)?;
        // Earlier versions did not save it.
        if !saved.has("seconds") {
            return Ok(0.0);
        }
        Ok(to_vec::<f32>(&saved.take("seconds", &[1])?)?.iter().map(|&seconds| f64::from(seconds)).sum())
    }

    fn save_complete(&self, features: &[Rc<Features>]) -> Result<()> {
        let done: Vec<Vec<bool>> = features.iter().map(|features| vec![true; features.rows.len()]).collect();
        let rows = features.iter().map(|features| &features.rows);
        let seconds = features.iter().map(|features| features.seconds).sum();
        self.save(rows.zip(done.iter().map(Vec::as_slice)), seconds)
    }

    /// Of each of [`SPLITS`]: rows, and which of them are done; and the seconds that they took.
    fn save<'r>(&self, splits: impl IntoIterator<Item = (&'r Rows, &'r [bool])>, seconds: f64) -> Result<()> {
        let mut tensors = vec![("seconds".to_owned(), Tensor::f_from_slice(&[seconds as f32])?)];
        for (split, (rows, done)) in SPLITS.into_iter().zip(splits) {
            let done: Vec<f32> = done.iter().map(|&done| f32::from(u8::from(done))).collect();
            tensors.push((split.to_owned(), rows.to_tensor()?));
            tensors.push((format!("{split}.done"), Tensor::f_from_slice(&done)?));
        }
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
        }
        state_file::save(&self.file, tensors)
    }

    /// Keeps the factor of the penalty of a head that training begins with: resuming does not fit the head again.
    pub fn save_penalty(&self, penalty: f64) -> Result<()> {
        let file = self.penalty_file();
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(error, folder))?;
        }
        write_sealed(&file, &SavedPenalty { penalty })
    }

    /// What [`save_penalty`](Self::save_penalty) kept.
    pub fn penalty(&self) -> Result<Option<f64>> {
        let file = self.penalty_file();
        let saved = match read_sealed(&file)? {
            None => return Ok(None),
            Some(Sealed::Intact(text)) => serde_json::from_str::<SavedPenalty>(&text).ok(),
            Some(_) => None,
        };
        let damaged = || damaged(&file).hint("put it back as it was, or delete the run's folder and train it again");
        saved.map(|saved| Some(saved.penalty)).ok_or_else(damaged)
    }

    fn penalty_file(&self) -> PathBuf {
        self.file.with_extension("penalty")
    }

    /// Deletes what it has, if anything: the head is trained.
    pub fn remove(&self) -> Result<()> {
        for file in [&self.file, &self.penalty_file()] {
            remove_if_there(file)?;
        }
        Ok(())
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
        checkpoint.save([(&rows, &[true][..]), (&rows, &[false])], 1.5).unwrap();
        assert_eq!(checkpoint.seconds().unwrap(), 1.5);
        let saved = [("train", rows.to_tensor().unwrap()), ("train.done", Tensor::f_from_slice(&[1.0_f32]).unwrap())];
        state_file::save(&checkpoint.file, saved.map(|(name, tensor)| (name.to_owned(), tensor))).unwrap();
        assert_eq!(checkpoint.seconds().unwrap(), 0.0);
        assert_eq!(checkpoint.load("train", 1, 2).unwrap().rows.values, rows.values);
    }
}
