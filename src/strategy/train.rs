//! The one function that trains: it says what a strategy trains of a classifier, and how.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::batch::{ExampleSet, whole_of};
use crate::config::{HeadInit, Strategy};
use crate::error::{Error, Result};
use crate::inference::Inference;
use crate::inference::activations::{ActivationRequest, Activations};
use crate::model::Classifier;
use crate::strategy::frozen::{self, FeatureCheckpoint, HeadFit};
use crate::strategy::request::{TrainRequest, Trained};
use crate::strategy::{cached, frozen_stages, scope};
use crate::task::{Dataset, Evaluated, score};
use crate::training::history::{EvaluationRecord, HistoryWriter};
use crate::training::snapshot::Snapshots;
use crate::training::{self, Calls, Ending, Scope, TrainingSet};

/// Trains `classifier` by `strategy`.
///
/// # Errors
/// Interrupted (the state is saved), diverged, a strategy that does not fit the network, or what the disk or libtorch
/// reports.
pub fn train(strategy: Strategy, classifier: &mut Classifier, request: &TrainRequest) -> Result<Trained> {
    classifier.head.scale(request.task.scaling(&request.train.targets));
    match strategy {
        Strategy::Frozen => train_head(classifier, request),
        _ => train_stages(strategy, classifier, request),
    }
}

/// The frozen strategy: the head is fitted to convergence on the features of the network as it is.
fn train_head(classifier: &mut Classifier, request: &TrainRequest) -> Result<Trained> {
    let fitted = fit_head(Strategy::Frozen, classifier, request)?;
    classifier.head.fold_scale()?;
    let began = Instant::now();
    let mut history = HistoryWriter::create(request.options.run.join("history.jsonl"))?;
    let mut valid = None;
    if let (Some(logits), Some(data)) = (fitted.valid_logits, request.guide.validation()) {
        let evaluation = request.task.evaluate(&logits, &data.targets, &classifier.labels, None)?;
        history.evaluation(EvaluationRecord::new("valid", 1, 1, &evaluation, began.elapsed().as_secs_f64()))?;
        request.console.note(format!("validation {}", evaluation.summary()));
        valid = Some(Evaluated { logits, evaluation });
    }
    Ok(Trained {
        seconds: fitted.seconds,
        tokens: fitted.tokens,
        best_epoch: None,
        epochs: 1,
        trainable_parameters: trainable_parameters(Strategy::Frozen, classifier)?,
        penalty: Some(fitted.penalty),
        valid,
        restart: None,
        ended: None,
    })
}

/// Fits the head on features, and leaves the network's stages as frozen as the strategy wants them.
fn fit_head(strategy: Strategy, classifier: &mut Classifier, request: &TrainRequest) -> Result<HeadFit> {
    let key_of = |set: &Arc<dyn ExampleSet>| cached::features_key(classifier, &**set, request.plan.compute);
    let keys = frozen::sets(request).into_iter().map(key_of).collect::<Result<Vec<_>>>()?;
    // The same features whatever is trained afterwards: strategies share them.
    classifier.freeze()?;
    let checkpoint = FeatureCheckpoint::new(request.options.run, &request.plan.fingerprint);
    let fitted = frozen::fit(classifier, request, &checkpoint, &keys)?;
    let frozen = frozen_stages(strategy, classifier)?;
    classifier.backbone.freeze(frozen)?;
    Ok(fitted)
}

/// Every other strategy: stages, adapters or biases are trained by gradient descent, and the head with them.
fn train_stages(strategy: Strategy, classifier: &mut Classifier, request: &TrainRequest) -> Result<Trained> {
    let &TrainRequest { task, train, guide, plan, options, console, .. } = request;
    let mut seconds = 0.0;
    let begun = options.resume && Snapshots::new(options.run)?.has_any()?;
    let checkpoint = FeatureCheckpoint::new(options.run, &plan.fingerprint);
    if request.head_init == HeadInit::Probe && !begun {
        let fitted = fit_head(strategy, classifier, request)?;
        seconds += fitted.seconds;
        checkpoint.save_penalty(fitted.penalty)?;
    }
    let penalty = checkpoint.penalty()?;
    let frozen = frozen_stages(strategy, classifier)?;
    let train_cached = lower_layers_of(classifier, frozen, train, request)?;
    let valid_cached =
        guide.validation().map(|valid| lower_layers_of(classifier, frozen, valid, request)).transpose()?;
    let valid_cached = valid_cached.flatten();
    // What an earlier run has computed for this one counts as if it had done so itself; what both are parts of, once.
    let is_shared = guide.validation().is_some_and(|valid| share_a_whole(train, valid));
    let counted = [&train_cached, &valid_cached].into_iter().take(if is_shared { 1 } else { 2 }).flatten();
    seconds += request.shared_seconds(counted.map(|found| found.seconds).sum());

    // Windows of a text are examples of their own, which share its weight.
    let (read, weights) = train.by_window();
    let loss = task.loss(&plan.loss, &train.targets, &classifier.labels, classifier.device)?.weighted(weights);
    let set = TrainingSet {
        examples: &read.examples,
        targets: &read.targets,
        loss: &loss,
        bounds: loss.bounds(&train.targets, task.head_width(&classifier.labels))?,
        lower_layers: train_cached.as_deref(),
    };
    let trained = scope(strategy, classifier)?;
    let rewind = || rewind(strategy, &trained, request);
    let evaluate = |epoch: usize| {
        let valid = guide.validation().ok_or_else(|| Error::failure("there are no validation data"))?;
        let scored = score_valid(classifier, valid, valid_cached.as_deref(), request)?;
        request.watch.map_or(Ok(()), |watch| watch(epoch, &scored.logits))?;
        Ok(scored)
    };
    let ending = guide.chosen().map_or(Ending::Judged(&evaluate), |chosen| Ending::After(chosen.epochs));
    let calls = Calls { ending, rewind: &rewind };
    let outcome = training::fit(classifier, &trained, &set, plan, calls, options, console)?;
    drop(trained);
    let trainable_parameters = trainable_parameters(strategy, classifier)?;

    let adapted = !classifier.adapters.is_empty();
    classifier.merge_adapters()?;
    let folded = classifier.backbone.has_statistics() | classifier.head.fold_scale()?;
    classifier.freeze()?;
    // Merged and folded weights round differently. What is saved, and labels later, is what is scored.
    let valid = match (outcome.valid.filter(|_| !adapted && !folded), guide.validation()) {
        (Some(scored), _) => Some(scored),
        (None, Some(valid)) => Some(score_valid(classifier, valid, valid_cached.as_deref(), request)?),
        (None, None) => None,
    };
    Ok(Trained {
        seconds: outcome.seconds + seconds,
        tokens: outcome.tokens,
        best_epoch: outcome.best_epoch,
        epochs: outcome.epochs,
        trainable_parameters,
        penalty,
        valid,
        restart: outcome.restart,
        ended: Some(outcome.ended),
    })
}

/// Puts the weights back with which training began. Nothing is kept for this: they are loaded again, and the head is
/// fitted again where it began so.
fn rewind(strategy: Strategy, trained: &Scope, request: &TrainRequest) -> Result<()> {
    let mut fresh = (request.reload)()?;
    if request.head_init == HeadInit::Probe {
        fit_head(strategy, &mut fresh, request)?;
    }
    let begun = scope(strategy, &fresh)?;
    let pairs =
        trained.parameters.iter().zip(&begun.parameters).chain(trained.statistics.iter().zip(&begun.statistics));
    for (parameter, begun) in pairs {
        tch::no_grad(|| parameter.tensor.shallow_clone().f_copy_(&begun.tensor))?;
    }
    Ok(())
}

fn score_valid(
    classifier: &Classifier,
    valid: &Dataset,
    lower_layers: Option<&Activations>,
    request: &TrainRequest,
) -> Result<Evaluated> {
    let TrainRequest { plan, inference_budget, .. } = *request;
    let inference = Inference { classifier, compute: plan.compute, batch_tokens: inference_budget, lower_layers };
    score(request.task, &inference, valid, "validation", request.console)
}

fn share_a_whole(one: &Dataset, other: &Dataset) -> bool {
    Arc::ptr_eq(whole_of(&one.examples).0, whole_of(&other.examples).0)
}

/// Parameters that a strategy trains, counted one by one.
fn trainable_parameters(strategy: Strategy, classifier: &Classifier) -> Result<u64> {
    Ok(scope(strategy, classifier)?.parameters.iter().map(|parameter| parameter.elements()).sum())
}

/// A dataset's activations after the frozen stages, where there are any and they are cached. What datasets are parts of
/// is computed once.
fn lower_layers_of(
    classifier: &Classifier,
    frozen: usize,
    of: &Dataset,
    request: &TrainRequest,
) -> Result<Option<Rc<Activations>>> {
    let Some(settings) = request.activation_cache.filter(|_| frozen > 0) else { return Ok(None) };
    let compute = request.plan.compute;
    let read = of.examples.windows().map_or_else(|| Arc::clone(&of.examples), |windows| windows.set);
    let (set, part) = whole_of(&read);
    let key = cached::activations_key(classifier, frozen, &**set, compute)?;
    let batch_tokens = request.inference_budget;
    let activations = ActivationRequest { classifier, stages: frozen, set: &**set, compute, batch_tokens, key: &key };
    let found = request.cache.get(&activations, settings, request.console)?.activations;
    match part {
        Some(indices) => found.part(indices).map(|part| Some(Rc::new(part))),
        None => Ok(Some(found)),
    }
}
