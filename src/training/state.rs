//! Where a run stands: everything of its state that is not a tensor, as it is saved in a snapshot.

use std::time::Instant;

use serde::{Deserialize, Serialize};

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

/// Sums over the steps since the last line of the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Unlogged {
    /// Over the examples.
    pub loss: f64,
    /// Their number.
    pub examples: u64,
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
    /// Optimizer steps taken in the whole run.
    pub step: u64,
    /// Tokens (or images) trained on so far.
    pub tokens: u64,
    /// Seconds of training, over all sessions of the run.
    pub seconds: f64,
    /// What the next line of the history says of the steps up to here.
    #[serde(default)]
    pub unlogged: Unlogged,
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
            best: BestEpoch::new(patience),
            fingerprint: fingerprint.to_owned(),
        }
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
            let unlogged = Unlogged { loss: 0.1, examples: 3, tokens: 9, since: 0.2 };
            let state = TrainState { phase, seconds: 1.0 / 3.0, unlogged, ..TrainState::new(Some(2), "f") };
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<TrainState>(&text).unwrap(), state, "{text}");
        }
    }
}
