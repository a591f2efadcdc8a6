//! Which examples each step of a run trains on, and where in the schedule it stands: a function of the seed and the
//! epoch.

use std::sync::Arc;

use tch::Device;

use crate::batch::sampler::{self, BatchSize};
use crate::batch::{ExampleSet, Prefetcher, View};
use crate::training::plan::TrainPlan;
use crate::training::schedule::{SchedulePosition, Unfreezing};
use crate::training::state::{Phase, TrainState};
use crate::training::step::{Step, StepSize};

/// The steps of a whole run.
pub struct StepOrder<'a> {
    examples: &'a Arc<dyn ExampleSet>,
    plan: &'a TrainPlan,
    unfreezing: Unfreezing,
    device: Device,
    /// By example.
    costs: Vec<usize>,
    steps_per_epoch: u64,
}

impl<'a> StepOrder<'a> {
    /// Reads the cost of every example, and counts the steps of the first epoch.
    pub fn new(examples: &'a Arc<dyn ExampleSet>, plan: &'a TrainPlan, unfreezing: Unfreezing, device: Device) -> Self {
        let costs: Vec<usize> = (0..examples.len()).map(|index| examples.cost(index)).collect();
        let steps_per_epoch = sampler::training_epoch(&costs, plan.batch, plan.seed, 0).len() as u64;
        Self { examples, plan, unfreezing, device, costs, steps_per_epoch }
    }

    /// The steps of all epochs as the schedule counts them: as many in each as in the first.
    pub fn total(&self) -> u64 {
        self.steps_of(self.plan.epochs)
    }

    /// The steps of the first so many epochs.
    pub fn steps_of(&self, epochs: usize) -> u64 {
        epochs as u64 * self.steps_per_epoch
    }

    /// The steps of the running epoch that are still to be taken. Where examples load slowly, a thread begins to load
    /// them.
    pub fn epoch(&self, state: &TrainState) -> EpochSteps<'_> {
        let epoch = state.epoch as u64;
        let batches = sampler::training_epoch(&self.costs, self.plan.batch, self.plan.seed, epoch);
        let done = match state.phase {
            Phase::Steps { done } => done,
            Phase::Evaluation => batches.len(),
        };
        let micro_batches = batches
            .iter()
            .map(|batch| sampler::micro_batches(batch, &self.costs, self.plan.micro_batch_tokens))
            .collect::<Vec<_>>();
        let coming = micro_batches.iter().skip(done).flatten();
        let prefetcher = Prefetcher::of(self.examples, coming, View::Training { epoch }, self.device);
        EpochSteps { order: self, epoch, batches, micro_batches, prefetcher, done, number: state.step }
    }

    /// Where the schedule stands at batch `batch` of `batches` in an epoch. With a token budget, epochs differ by a few
    /// batches, and how many an epoch has is known only once its order is drawn. The schedule therefore counts as many
    /// steps for each epoch as the first one has, and the batches of an epoch are spread evenly over these.
    fn position(&self, epoch: u64, batch: u64, batches: u64) -> SchedulePosition {
        let step = epoch * self.steps_per_epoch + batch * self.steps_per_epoch / batches.max(1);
        SchedulePosition { step, total: self.total() }
    }

    /// A step of a token budget holds many short examples or few long ones. Divided by the mean number, all examples
    /// count alike.
    fn loss_divisor(&self, examples: usize, batches: usize) -> f64 {
        match self.plan.batch {
            BatchSize::Examples(_) => examples as f64,
            BatchSize::Tokens(_) => self.costs.len() as f64 / batches.max(1) as f64,
        }
    }
}

/// The steps of one epoch, in order.
pub struct EpochSteps<'a> {
    order: &'a StepOrder<'a>,
    epoch: u64,
    /// All of the epoch: the examples of each step.
    batches: Vec<Vec<usize>>,
    /// The same, each step cut into what one pass computes.
    micro_batches: Vec<Vec<Vec<usize>>>,
    prefetcher: Prefetcher,
    /// Steps of this epoch that have been taken.
    done: usize,
    /// Steps of the run that have been taken.
    number: u64,
}

impl EpochSteps<'_> {
    /// The next step. It borrows the loader of batches, so one step ends before the next begins.
    pub fn next_step(&mut self) -> Option<Step<'_>> {
        let batch = self.batches.get(self.done)?;
        let micro_batches = self.micro_batches.get(self.done)?.iter();
        let order = self.order;
        let position = order.position(self.epoch, self.done as u64, self.batches.len() as u64);
        let size = StepSize {
            examples: batch.len(),
            tokens: batch.iter().filter_map(|&index| order.costs.get(index)).map(|&cost| cost as u64).sum(),
            loss_divisor: order.loss_divisor(batch.len(), self.batches.len()),
        };
        let number = self.number;
        self.done += 1;
        self.number += 1;
        let frozen = order.unfreezing.frozen(position.step, position.total);
        let (seed, prefetcher) = (order.plan.seed, &mut self.prefetcher);
        Some(Step { number, seed, position, frozen, size, micro_batches, prefetcher, taken: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::TokenizedSet;
    use crate::error::Result;
    use crate::task::LossSettings;
    use crate::training::mix::Mix;
    use crate::training::optimizer::AdamwSettings;

    fn plan(batch: BatchSize) -> TrainPlan {
        TrainPlan {
            epochs: 3,
            batch,
            micro_batch_tokens: 12,
            loss: LossSettings::default(),
            mix: Mix::default(),
            optimizer: AdamwSettings {
                learning_rate: 1e-3,
                head_learning_rate: 1e-3,
                layer_decay: 1.0,
                stages: 2,
                weight_decay: 0.0,
                max_grad_norm: 1.0,
            },
            schedule: crate::config::Schedule::Linear,
            warmup_ratio: 0.0,
            patience: crate::config::Patience::Off,
            keep_best: crate::config::KeepBest::MacroF1,
            seed: 1,
            log_every: 1,
            compute: tch::Kind::Float,
            fingerprint: String::new(),
        }
    }

    fn texts() -> Arc<dyn ExampleSet> {
        let mut set = TokenizedSet::default();
        for index in 0..30 {
            set.push(&vec![1; 2 + index % 6], &[]);
        }
        Arc::new(set)
    }

    /// The numbers, positions and examples of the steps that are left in an epoch.
    fn steps(order: &StepOrder, state: &TrainState) -> Result<Vec<(u64, u64, Vec<usize>)>> {
        let mut found = Vec::new();
        let mut steps = order.epoch(state);
        while let Some(mut step) = steps.next_step() {
            let (number, position, size) = (step.number, step.position.step, step.size);
            let mut examples = Vec::new();
            let mut passes = 0;
            while let Some(part) = step.next_batch()? {
                assert_eq!(part.key, [1, number, passes]);
                examples.extend(part.batch.examples);
                passes += 1;
            }
            assert_eq!(examples.len(), size.examples);
            examples.sort_unstable();
            found.push((number, position, examples));
        }
        Ok(found)
    }

    #[test]
    fn a_resumed_epoch_has_the_steps_that_were_left() -> Result<()> {
        let (set, plan) = (texts(), plan(BatchSize::Tokens(24)));
        let order = StepOrder::new(&set, &plan, Unfreezing::Never { frozen: 0 }, Device::Cpu);
        let mut state = TrainState { epoch: 1, step: 9, ..TrainState::new(None, "") };
        let all = steps(&order, &state)?;
        assert!(all.len() > 4 && all.iter().map(|(.., examples)| examples.len()).sum::<usize>() == 30);
        (state.phase, state.step) = (Phase::Steps { done: 3 }, 12);
        assert_eq!(steps(&order, &state)?, all[3..]);
        state.phase = Phase::Evaluation;
        assert!(steps(&order, &state)?.is_empty());
        Ok(())
    }

    #[test]
    fn positions_fit_epochs_of_any_length() {
        let (set, plan) = (texts(), plan(BatchSize::Examples(5)));
        let order = StepOrder {
            steps_per_epoch: 7,
            ..StepOrder::new(&set, &plan, Unfreezing::Never { frozen: 0 }, Device::Cpu)
        };
        assert_eq!(order.total(), 21);
        let positions = |epoch, batches| -> Vec<u64> {
            (0..batches).map(|batch| order.position(epoch, batch, batches).step).collect()
        };
        // As many batches as in the first epoch: every step counts one.
        assert_eq!(positions(1, 7), (7..14).collect::<Vec<_>>());
        // More or fewer of them stay within the epoch, and nothing goes back.
        for batches in [1, 5, 6, 8, 20] {
            let steps = positions(2, batches);
            assert!(steps.is_sorted() && steps.iter().all(|step| (14..21).contains(step)), "{steps:?}");
        }
        assert_eq!(order.position(0, 0, 0).step, 0);
    }

    #[test]
    fn a_fixed_number_of_examples_is_its_own_divisor_and_a_token_budget_has_the_mean() {
        let set = texts();
        for (batch, divisors) in [(BatchSize::Examples(8), [8.0, 6.0]), (BatchSize::Tokens(24), [7.5, 7.5])] {
            let plan = plan(batch);
            let order = StepOrder::new(&set, &plan, Unfreezing::Never { frozen: 0 }, Device::Cpu);
            assert_eq!([order.loss_divisor(8, 4), order.loss_divisor(6, 4)], divisors);
        }
    }
}
