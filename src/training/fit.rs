//! The train loop: for every step gradients, then the optimizer; after every epoch an evaluation, and the best weights
//! kept; once more from the beginning where training has collapsed ([`collapse`](super::collapse)).
//!
//! Each part of it has a file: the order of steps ([`order`](super::order)), the gradients of one step
//! ([`step`](super::step)), the history and progress bar ([`log`](super::log)), snapshots and the best weights
//! ([`keeper`](super::keeper)). A resumed run is bit-identical to an uninterrupted one, because the order and all
//! random draws are functions of the seed and the position, and everything else is in the saved state.

use crate::console::Console;
use crate::error::Result;
use crate::model::Classifier;
use crate::training::collapse::Collapse;
use crate::training::keeper::{Keeper, Next, Start};
use crate::training::log::TrainLog;
use crate::training::optimizer::Adamw;
use crate::training::order::StepOrder;
use crate::training::plan::{Calls, Ending, FitOptions, Outcome, TrainPlan, TrainingSet};
use crate::training::profile::Profile;
use crate::training::scope::Scope;
use crate::training::state::{Clock, Phase, TrainState};
use crate::training::step::GradientPass;
use crate::training::stopping::EndReason;

/// Trains the parameters that `scope` names, until `calls.ending`. Training that collapses is begun again once, with
/// lower rates.
///
/// # Errors
/// Interrupted (the state is saved), diverged twice, or an error of the disk or of libtorch.
pub fn fit(
    classifier: &Classifier,
    scope: &Scope,
    set: &TrainingSet,
    plan: &TrainPlan,
    calls: Calls,
    options: FitOptions,
    console: &Console,
) -> Result<Outcome> {
    let mut start = Start::of(plan, options, console)?;
    loop {
        let plan_now = plan.after(start.state.restart.as_ref());
        let rate = plan_now.optimizer.learning_rate;
        let attempt = Attempt { classifier, scope, set, plan: &plan_now, calls, options, console };
        let (collapse, state) = match attempt.train(start)? {
            Attempted::Trained(outcome) => return Ok(outcome),
            Attempted::Collapsed(collapse, state) => (collapse, state),
        };
        if state.restart.is_some() {
            return Err(collapse.error(rate));
        }
        let restart = collapse.restart(state.step, rate);
        console.warn(restart.sentence());
        (calls.rewind)()?;
        start = Start { state: state.begun_again(restart, plan.patience.epochs()), saved: None };
    }
}

/// What came of an attempt.
enum Attempted {
    Trained(Outcome),
    /// With the state in which that was seen.
    Collapsed(Collapse, TrainState),
}

/// One pass of the loop over all epochs: a run, or the part of it before or after it was begun again.
struct Attempt<'a> {
    classifier: &'a Classifier,
    scope: &'a Scope<'a>,
    set: &'a TrainingSet<'a>,
    plan: &'a TrainPlan,
    calls: Calls<'a>,
    options: FitOptions<'a>,
    console: &'a Console,
}

impl Attempt<'_> {
    fn train(&self, start: Start) -> Result<Attempted> {
        let &Self { classifier, scope, set, plan, calls, options, console } = self;
        let order = StepOrder::new(set.examples, plan, scope.unfreezing, classifier.device);
        let gradients = GradientPass::new(classifier, set, plan);
        let mut optimizer = Adamw::new(scope.parameters.iter().copied(), plan.optimizer)?;
        let epochs = calls.ending.epochs(plan);
        let (mut keeper, mut state) = Keeper::begin(scope, plan, epochs, &mut optimizer, options, start, console)?;
        let clock = Clock::starting_at(state.seconds);
        let mut log = TrainLog::begin(options.run, &state, plan, order.steps_of(epochs), set.examples.unit(), console)?;
        let mut profile = Profile::new(options.profile);
        let mut reason = EndReason::AllEpochs;

        while state.epoch < epochs {
            let mut steps = order.epoch(&state);
            while let Some(mut step) = steps.next_step() {
                let rate = plan.rate(step.position);
                optimizer.unfreeze_after(step.frozen)?;
                let loss_and_norm = profile.step(|| -> Result<_> {
                    let loss = gradients.accumulate(&mut step, &mut optimizer)?;
                    options.reduce.sum_gradients(&scope.parameters)?;
                    Ok((loss, optimizer.step(rate)?))
                })?;
                state.count(&step.size);
                if let Some(collapse) = log.step(&state, &step.size, loss_and_norm, rate)? {
                    return Ok(Attempted::Collapsed(collapse, state.at(clock.seconds())));
                }
                profile.snapshot(|| keeper.save_if_due(&mut state, &mut optimizer, &log))?;
            }
            state.phase = Phase::Evaluation;
            optimizer.flush()?;
            let training_loss = match log.epoch_loss(&state)? {
                Ok(loss) => loss,
                Err(collapse) => return Ok(Attempted::Collapsed(collapse, state.at(clock.seconds()))),
            };
            let began = clock.seconds();
            let scored = match calls.ending {
                Ending::Judged(evaluate) => Some(
                    profile
                        .evaluation(|| evaluate(state.epoch + 1))
                        .or_else(|error| keeper.interrupted_evaluation(error, &mut state, &mut optimizer, &log))?,
                ),
                Ending::After(_) => None,
            };
            state.end_epoch(clock.seconds());
            log.epoch(&state, scored.as_ref().map(|scored| &scored.evaluation), state.seconds - began)?;
            match keeper.observe(&mut state, scored, training_loss, set.bounds)? {
                Next::Epoch => {}
                Next::BeginAgain(collapse) => return Ok(Attempted::Collapsed(collapse, state)),
                Next::Stop(end) => {
                    reason = end;
                    break;
                }
            }
        }
        log.finish(&state, reason, profile.table(clock.session_seconds()));
        keeper.restore_best(&state)?;
        Ok(Attempted::Trained(keeper.outcome(&state, reason)))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;
    use std::sync::Arc;

    use tch::Tensor;

    use super::*;
    use crate::batch::sampler::BatchSize;
    use crate::batch::{ExampleSet, TokenizedSet};
    use crate::config::{KeepBest, Patience, Schedule};
    use crate::data::Labels;
    use crate::error::{Error, ErrorKind};
    use crate::evaluation::evaluate;
    use crate::inference::Inference;
    use crate::model::{HeadRequest, LoadRequest};
    use crate::task::single_label::SingleLabel;
    use crate::task::{Evaluated, LossSettings, Targets, Task};
    use crate::training::mix::Mix;
    use crate::training::optimizer::AdamwSettings;
    use crate::training::reduce::SingleDevice;
    use crate::training::schedule::Unfreezing;

    const EXAMPLES: usize = 24;

    fn plan() -> TrainPlan {
        TrainPlan {
            epochs: 3,
            batch: BatchSize::Examples(5),
            micro_batch_tokens: 20,
            loss: LossSettings::default(),
            mix: Mix::default(),
            optimizer: AdamwSettings {
                learning_rate: 1e-2,
                head_learning_rate: 1e-2,
                layer_decay: 0.9,
                stages: 4,
                weight_decay: 0.01,
                max_grad_norm: 1.0,
            },
            schedule: Schedule::Linear,
            warmup_ratio: 0.1,
            patience: Patience::Off,
            keep_best: KeepBest::MacroF1,
            seed: 3,
            log_every: 1,
            compute: tch::Kind::Float,
            fingerprint: "same".to_owned(),
        }
    }

    fn labels() -> Vec<u32> {
        (0..EXAMPLES as u32).map(|index| index % 2).collect()
    }

    fn texts() -> Arc<dyn ExampleSet> {
        let mut set = TokenizedSet::default();
        for index in 0..EXAMPLES as u32 {
            let ids: Vec<u32> = (0..4 + index % 5).map(|at| 1 + (index % 2) * 40 + (index * 7 + at * 3) % 40).collect();
            set.push(&ids, &[]);
        }
        Arc::new(set)
    }

    /// Trains the fixture's network in `run` as one process would. Its evaluation of number `interrupt` ends as if by
    /// Ctrl-C. Returns the outcome and how many evaluations there were.
    fn session(run: &Path, resume: bool, plan: &TrainPlan, interrupt: Option<usize>) -> (Result<Outcome>, usize) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert/bare");
        let names = Labels::from_names(["a", "b"]).unwrap();
        let head = HeadRequest::New { labels: &names, pooling: None, dropout: None, seed: 1 };
        let (classifier, _) = Classifier::load(&directory, &LoadRequest::plain(head)).unwrap();
        let (examples, labels) = (texts(), labels());
        let targets = Targets::Classes(labels.clone());
        let loss = SingleLabel.loss(&plan.loss, &targets, &names, tch::Device::Cpu).unwrap();
        let bounds = loss.bounds(&targets, names.len()).unwrap();
        let set = TrainingSet { examples: &examples, targets: &targets, loss: &loss, bounds, lower_layers: None };
        let scope = Scope {
            parameters: classifier.trainable().collect(),
            statistics: Vec::new(),
            unfreezing: Unfreezing::Never { frozen: 0 },
        };
        let evaluations = Cell::new(0);
        let score = |_| {
            evaluations.set(evaluations.get() + 1);
            if interrupt == Some(evaluations.get()) {
                return Err(Error::interrupted("interrupted"));
            }
            let inference =
                Inference { classifier: &classifier, compute: tch::Kind::Float, batch_tokens: 64, lower_layers: None };
            let logits = inference.logits(&*examples, &mut |_, _| ())?;
            let evaluation = evaluate(&logits.values, &labels, names.names())?;
            Ok(Evaluated { logits, evaluation: evaluation.into() })
        };
        let options = FitOptions {
            run,
            reduce: &SingleDevice,
            resume,
            profile: false,
            snapshot_seconds: f64::INFINITY,
            kept_snapshots: 2,
        };
        let begun: Vec<Tensor> = scope.parameters.iter().map(|parameter| parameter.tensor.copy()).collect();
        let rewind = || {
            let pairs = scope.parameters.iter().zip(&begun);
            tch::no_grad(|| pairs.for_each(|(parameter, begun)| parameter.tensor.shallow_clone().copy_(begun)));
            Ok(())
        };
        let calls = Calls { ending: Ending::Judged(&score), rewind: &rewind };
        let outcome = fit(&classifier, &scope, &set, plan, calls, options, &Console::new(true));
        if outcome.is_ok() {
            let weights = scope.parameters.iter().flat_map(|parameter| parameter.stored().unwrap());
            crate::model::checkpoint::save_tensors(&run.join("weights"), weights).unwrap();
        }
        (outcome, evaluations.get())
    }

    /// `history.jsonl` without what is measured in seconds.
    fn history(run: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(run.join("history.jsonl")).unwrap();
        let timeless = |line: &str| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            for key in ["seconds", "tokens_per_second"] {
                line.as_object_mut().unwrap().shift_remove(key);
            }
            line
        };
        text.lines().map(timeless).collect()
    }

    #[test]
    fn interrupted_in_an_evaluation_a_run_continues_with_that_evaluation() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
        let (outcome, evaluations) = session(&whole, false, &plan(), None);
        assert_eq!((outcome.unwrap().epochs, evaluations), (3, 3));

        let error = session(&broken, false, &plan(), Some(2)).0.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(error.to_string().contains("after step 10 (epoch 2 of 3)"), "{error}");
        // Once more in the same place: nothing is trained twice.
        let error = session(&broken, true, &plan(), Some(1)).0.err().unwrap();
        assert!(error.to_string().contains("after step 10 (epoch 2 of 3)"), "{error}");
        let (outcome, evaluations) = session(&broken, true, &plan(), None);
        assert_eq!((outcome.unwrap().epochs, evaluations), (3, 2));

        assert_eq!(history(&broken), history(&whole));
        let weights = |run: &Path| std::fs::read(run.join("weights")).unwrap();
        assert!(weights(&broken) == weights(&whole), "other weights");
    }

    #[test]
    fn a_snapshot_of_other_settings_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        session(run, false, &plan(), Some(1)).0.err().unwrap();
        let other = TrainPlan { fingerprint: "other".to_owned(), ..plan() };
        let error = session(run, true, &other, None).0.err().unwrap();
        assert!(error.to_string().contains("belongs to other data or settings"), "{error}");
    }

    #[test]
    fn a_loss_that_is_not_finite_lowers_the_rates_once_and_is_then_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        let optimizer = AdamwSettings { learning_rate: 1e300, head_learning_rate: 1e300, ..plan().optimizer };
        let error = session(run, false, &TrainPlan { optimizer, ..plan() }, None).0.err().unwrap();
        assert!(error.to_string().starts_with("training has diverged: the loss at step"), "{error}");
        assert!(error.hint_text().unwrap().contains("(it is 2e299; try 4e298)"), "{error:?}");
        let text = std::fs::read_to_string(run.join("history.jsonl")).unwrap();
        assert_eq!(text.matches(r#""kind":"restart""#).count(), 1, "{text}");
    }

    #[test]
    fn patience_ends_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let still = AdamwSettings { learning_rate: 0.0, head_learning_rate: 0.0, ..plan().optimizer };
        let plan = TrainPlan { epochs: 9, patience: Patience::Epochs(2), optimizer: still, ..plan() };
        let outcome = session(folder.path(), false, &plan, None).0.unwrap();
        assert_eq!((outcome.epochs, outcome.best_epoch), (3, Some(1)));
        assert!(outcome.valid.is_some());
    }
}
