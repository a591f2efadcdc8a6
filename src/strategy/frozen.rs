//! The frozen strategy: the backbone's features are computed once, in evaluation mode (no dropout), and the head is trained
//! on them to convergence, as a regularised logistic regression whose strength is chosen on the validation data.

use std::time::Instant;

use crate::batch::ExampleSet;
use crate::error::Result;
use crate::inference::{Inference, Rows};
use crate::model::Classifier;
use crate::report::Console;
use crate::training::logistic::{self, Labelled, Trial};

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
    compute: tch::Kind,
    batch_tokens: usize,
    console: &Console,
) -> Result<Outcome> {
    let began = Instant::now();
    let inference = Inference { classifier, compute, batch_tokens };
    let tokens = |set: &dyn ExampleSet| (0..set.len()).map(|index| set.cost(index) as u64).sum::<u64>();
    let total = (train.examples.len() + valid.examples.len()) as u64;
    let bar = console.progress("features", Some(total), "examples").rate_in("tokens");
    let mut watch = |examples: usize, tokens: usize| bar.advance_with(examples as u64, tokens as u64);
    let train_features = inference.features(train.examples, &mut watch)?;
    let valid_features = inference.features(valid.examples, &mut watch)?;
    bar.finish();

    let mut trials = Vec::new();
    let (linear, chosen) = logistic::fit(
        &Labelled { features: &train_features, labels: train.labels },
        &Labelled { features: &valid_features, labels: valid.labels },
        classifier.labels.len(),
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
    let logits = valid_features.to_tensor()?.f_linear(&linear.weight, Some(&linear.bias))?;
    let mut values = vec![0f32; logits.numel()];
    logits.f_copy_data(&mut values, logits.numel())?;
    Ok(Outcome {
        seconds: began.elapsed().as_secs_f64(),
        tokens: tokens(train.examples),
        chosen,
        trials,
        valid_logits: Rows { values, width: classifier.labels.len() },
    })
}
