//! The one function that trains: it says what a strategy trains of a classifier, and how.

use std::time::Instant;

use crate::config::{HeadInit, Strategy};
use crate::error::Result;
use crate::inference::Inference;
use crate::inference::activations::{ActivationRequest, Activations};
use crate::inference::cache::CachedActivations;
use crate::model::Classifier;
use crate::strategy::frozen::{self, FeatureCheckpoint, HeadFit};
use crate::strategy::request::{TrainRequest, Trained};
use crate::strategy::{cached, frozen_stages, scope};
use crate::task::{Dataset, Evaluated, score};
use crate::training::history::{EvaluationRecord, HistoryWriter};
use crate::training::snapshot::Snapshots;
use crate::training::{self, TrainingSet};

/// Trains `classifier` by `strategy`.
///
/// # Errors
/// Interrupted (the state is saved), diverged, a strategy that does not fit the network, or what the disk or libtorch
/// reports.
pub fn train(strategy: Strategy, classifier: &mut Classifier, request: &TrainRequest) -> Result<Trained> {
    match strategy {
        Strategy::Frozen => train_head(classifier, request),
        _ => train_stages(strategy, classifier, request),
    }
}

/// The frozen strategy: the head is fitted to convergence on the features of the network as it is.
fn train_head(classifier: &mut Classifier, request: &TrainRequest) -> Result<Trained> {
    let fitted = fit_head(Strategy::Frozen, classifier, request)?;
    let began = Instant::now();
    let evaluation = request.task.evaluate(&fitted.valid_logits, &request.valid.targets, &classifier.labels)?;
    let mut history = HistoryWriter::create(request.options.run.join("history.jsonl"))?;
    history.evaluation(EvaluationRecord::new("valid", 1, 1, &evaluation, began.elapsed().as_secs_f64()))?;
    request.console.note(format!("validation {}", evaluation.summary()));
    Ok(Trained {
        seconds: fitted.seconds,
        tokens: fitted.tokens,
        best_epoch: None,
        epochs: 1,
        trainable_parameters: trainable_parameters(Strategy::Frozen, classifier)?,
        valid: Evaluated { logits: fitted.valid_logits, evaluation },
    })
}

/// Fits the head on features, and leaves the network's stages as frozen as the strategy wants them.
fn fit_head(strategy: Strategy, classifier: &mut Classifier, request: &TrainRequest) -> Result<HeadFit> {
    let compute = request.plan.compute;
    let sets = [&*request.train.examples, &*request.valid.examples];
    let key = cached::features_key(classifier, sets, compute)?;
    // The same features whatever is trained afterwards: strategies share them.
    classifier.freeze()?;
    let checkpoint = FeatureCheckpoint::new(request.options.run, &request.plan.fingerprint);
    let fitted = frozen::fit(classifier, request, &checkpoint, &key)?;
    let frozen = frozen_stages(strategy, classifier)?;
    classifier.backbone.freeze(frozen)?;
    Ok(fitted)
}

/// Every other strategy: stages, adapters or biases are trained by gradient descent, and the head with them.
fn train_stages(strategy: Strategy, classifier: &mut Classifier, request: &TrainRequest) -> Result<Trained> {
    let &TrainRequest { task, train, valid, plan, options, console, .. } = request;
    let mut seconds = 0.0;
    let begun = options.resume && Snapshots::new(options.run)?.latest()?.is_some();
    if request.head_init == HeadInit::Probe && !begun {
        seconds += fit_head(strategy, classifier, request)?.seconds;
    }
    let frozen = frozen_stages(strategy, classifier)?;
    let train_cached = lower_layers_of(classifier, frozen, train, request)?;
    let valid_cached = lower_layers_of(classifier, frozen, valid, request)?;
    // What an earlier run has computed for this one counts as if it had done so itself.
    seconds += [&train_cached, &valid_cached].into_iter().flatten().map(|found| found.activations.seconds).sum::<f64>();

    let loss = task.loss(&plan.loss, &train.targets, &classifier.labels, classifier.device)?;
    let lower_layers = activations(&train_cached);
    let set = TrainingSet { examples: &train.examples, targets: &train.targets, loss: &loss, lower_layers };
    let evaluate = || score_valid(classifier, activations(&valid_cached), request);
    let trained = scope(strategy, classifier)?;
    let outcome = training::fit(classifier, &trained, &set, plan, &evaluate, options, console)?;
    drop(trained);
    let trainable_parameters = trainable_parameters(strategy, classifier)?;

    let adapted = !classifier.adapters.is_empty();
    classifier.merge_adapters()?;
    let folded = classifier.backbone.has_statistics();
    classifier.freeze()?;
    // Merged and folded weights round differently. What is saved, and labels later, is what is scored.
    let valid = match outcome.valid.filter(|_| !adapted && !folded) {
        Some(scored) => scored,
        None => score_valid(classifier, activations(&valid_cached), request)?,
    };
    Ok(Trained {
        seconds: outcome.seconds + seconds,
        tokens: outcome.tokens,
        best_epoch: outcome.best_epoch,
        epochs: outcome.epochs,
        trainable_parameters,
        valid,
    })
}

fn score_valid(
    classifier: &Classifier,
    lower_layers: Option<&Activations>,
    request: &TrainRequest,
) -> Result<Evaluated> {
    let TrainRequest { plan, inference_budget, .. } = *request;
    let inference = Inference { classifier, compute: plan.compute, batch_tokens: inference_budget, lower_layers };
    score(request.task, &inference, request.valid, "validation", request.console)
}

/// Parameters that a strategy trains, counted one by one.
fn trainable_parameters(strategy: Strategy, classifier: &Classifier) -> Result<u64> {
    Ok(scope(strategy, classifier)?.parameters.iter().map(|parameter| parameter.elements()).sum())
}

/// A dataset's activations after the frozen stages, where there are any and they are cached.
fn lower_layers_of(
    classifier: &Classifier,
    frozen: usize,
    of: &Dataset,
    request: &TrainRequest,
) -> Result<Option<CachedActivations>> {
    let Some(settings) = request.activation_cache.filter(|_| frozen > 0) else { return Ok(None) };
    let compute = request.plan.compute;
    let key = cached::activations_key(classifier, frozen, &*of.examples, compute)?;
    let activations = ActivationRequest {
        classifier,
        stages: frozen,
        set: &*of.examples,
        compute,
        batch_tokens: request.inference_budget,
        key: &key,
    };
    request.cache.get(&activations, settings, request.console).map(Some)
}

fn activations(found: &Option<CachedActivations>) -> Option<&Activations> {
    found.as_ref().map(|found| &*found.activations)
}
