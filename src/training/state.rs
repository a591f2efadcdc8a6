//! Where a run stands: everything of its state that is not a tensor, as it is saved in a snapshot.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::training::collapse::Restart;
use crate::training::step::StepSize;
use crate::training::stopping::BestEpoch;

/// The part of an epoch that a run is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Phase {
    /// `done` steps of the epoch have been taken.
    Steps {
        /// From 0 to the number of steps of this epoch.
        done: usize,
    },
    /// All steps of the epoch have been taken, and its evaluation has not ended.
    Evaluation,
}

/// A training loss summed over examples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SummedLoss {
    /// Over the examples.
    pub sum: f64,
    /// Their number.
    pub examples: u64,
}

impl SummedLoss {
    /// Per example; not a number where there is none.
    pub fn mean(&self) -> f64 {
        self.sum / self.examples as f64
    }
}

/// Sums over the steps since the last line of the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Unlogged {
    /// That of these steps.
    pub loss: SummedLoss,
    /// Tokens (or images).
    pub tokens: u64,
    /// The training time at the last line, in seconds.
    pub since: f64,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainState {
    /// The running epoch, from 0; after the last one their number.
    pub epoch: usize,
    /// The part of the running epoch; the steps of a new one while the run is between two.
    pub phase: Phase,
    /// Optimizer steps taken since the run began, or was begun again.
    pub step: u64,
    /// Tokens (or images) trained on so far.
    pub tokens: u64,
    /// Seconds of training, over all sessions of the run.
    pub seconds: f64,
    /// What the next line of the history says of the steps up to here.
    pub unlogged: Unlogged,
    /// The loss of the running epoch up to here.
    pub epoch_loss: SummedLoss,
    /// How the run was begun again; `None` while it was not.
    pub restart: Option<Restart>,
    /// Whether the epoch before left a network that gives every row the same answer.
    pub same_answers: bool,
    /// Whether the epoch before left the training rows learned.
    pub fitted: bool,
    /// The best epoch's scores, and how many epochs have passed since.
    pub best: BestEpoch,
    /// The configuration's fingerprint: a snapshot is good only for the run that made it.
    pub fingerprint: String,
}

impl TrainState {
    /// The state before the first step.
    pub fn new(patience: Option<u32>, fingerprint: &str) -> Self {
        Self {
            epoch: 0,
            phase: Phase::Steps { done: 0 },
            step: 0,
            tokens: 0,
            seconds: 0.0,
            unlogged: Unlogged::default(),
            epoch_loss: SummedLoss::default(),
            restart: None,
            same_answers: false,
            fitted: false,
            best: BestEpoch::new(patience),
            fingerprint: fingerprint.to_owned(),
        }
    }

    /// The state in which the run begins again: before its first step, with the time and the tokens spent so far.
    pub fn begun_again(self, restart: Restart, patience: Option<u32>) -> Self {
        let Self { tokens, seconds, fingerprint, .. } = self;
        Self { tokens, seconds, restart: Some(restart), ..Self::new(patience, &fingerprint) }
    }

    /// The same, `seconds` after training began.
    pub fn at(self, seconds: f64) -> Self {
        Self { seconds, ..self }
    }

    /// A step of this size has been taken.
    pub fn count(&mut self, size: &StepSize) {
        if let Phase::Steps { done } = &mut self.phase {
            *done += 1;
        }
        self.step += 1;
        self.tokens += size.tokens;
    }

    /// The epoch's evaluation has ended, `seconds` after training began.
    pub fn end_epoch(&mut self, seconds: f64) {
        self.epoch += 1;
        self.phase = Phase::Steps { done: 0 };
        self.epoch_loss = SummedLoss::default();
        self.seconds = seconds;
    }
}

/// Training time over all sessions of a run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    before: f64,
    began: Instant,
}

impl Clock {
    /// A session begins; the ones before took `before` seconds.
    pub fn starting_at(before: f64) -> Self {
        Self { before, began: Instant::now() }
    }

    /// Seconds of all sessions.
    pub fn seconds(&self) -> f64 {
        self.before + self.session_seconds()
    }

    /// Seconds of this session alone.
    pub fn session_seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::collapse::Collapse;

    #[test]
    fn an_epoch_goes_from_steps_to_evaluation_to_the_next() {
        let mut state = TrainState::new(None, "f");
        let size = StepSize { examples: 4, tokens: 30, loss_divisor: 4.0 };
        state.count(&size);
        state.count(&size);
        assert_eq!((state.epoch, state.phase, state.step, state.tokens), (0, Phase::Steps { done: 2 }, 2, 60));
        state.phase = Phase::Evaluation;
        state.end_epoch(1.5);
        assert_eq!((state.epoch, state.phase, state.step), (1, Phase::Steps { done: 0 }, 2));
        assert_eq!(state.seconds, 1.5);
    }

    #[test]
    fn the_state_reads_back_as_it_was_saved() {
        for phase in [Phase::Steps { done: 3 }, Phase::Evaluation] {
            let unlogged = Unlogged { loss: SummedLoss { sum: 0.1, examples: 3 }, tokens: 9, since: 0.2 };
            let restart = Collapse::SameAnswer { epoch: 2, loss: 0.7, constant: 0.69 }.restart(4, 1.0 / 3.0);
            let state = TrainState::new(Some(2), "f").begun_again(restart, Some(2));
            let state = TrainState { phase, seconds: 1.0 / 3.0, unlogged, ..state };
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<TrainState>(&text).unwrap(), state, "{text}");
        }
    }
}
