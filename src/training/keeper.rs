//! What a run keeps while it trains: snapshots every few minutes and on Ctrl-C, and the best epoch's weights and
//! scores.

use crate::config::KeepBest;
use crate::console::Console;
use crate::error::{self, Error, Result};
use crate::interrupt;
use crate::model::parameter::Parameter;
use crate::task::Evaluated;
use crate::training::log::TrainLog;
use crate::training::optimizer::Adamw;
use crate::training::plan::{FitOptions, Outcome, TrainPlan};
use crate::training::scope::Scope;
use crate::training::snapshot::{BestWeights, Snapshots, of_another_run};
use crate::training::state::{Clock, TrainState};
use crate::training::stopping::{EpochScore, Verdict};

/// Saves and restores the state of a run.
pub struct Keeper<'a> {
    snapshots: Snapshots,
    /// What training changes: besides the weights the statistics of batch norms.
    changed: Vec<&'a Parameter>,
    epochs: usize,
    clock: Clock,
    snapshot_seconds: f64,
    saved_at: f64,
    /// The best weights of this session.
    best: Option<BestWeights>,
    /// Whether the last snapshot has the best weights of this session.
    best_is_saved: bool,
    best_scores: Option<Evaluated>,
    /// The score that decides which epoch is best.
    keep_best: KeepBest,
}

impl<'a> Keeper<'a> {
    /// Begins a run of at most so many `epochs`, or continues one from its last snapshot: returns the state that
    /// training starts from.
    ///
    /// # Errors
    /// The snapshot is damaged, or belongs to other data, settings or another version.
    pub fn begin(
        scope: &Scope<'a>,
        plan: &TrainPlan,
        epochs: usize,
        optimizer: &mut Adamw,
        options: FitOptions,
        console: &Console,
    ) -> Result<(Self, TrainState)> {
        let snapshots = Snapshots::new(options.run)?;
        let changed = [scope.parameters.as_slice(), &scope.statistics].concat();
        let mut state = TrainState::new(plan.patience, &plan.fingerprint);
        if options.resume
            && let Some((folder, saved)) = snapshots.latest()?
        {
            if saved.fingerprint != plan.fingerprint {
                return Err(of_another_run(&folder));
            }
            snapshots.restore(&folder, &changed, optimizer)?;
            console.note(format!("continuing after step {} (epoch {})", saved.step, saved.epoch + 1));
            state = saved;
        }
        let clock = Clock::starting_at(state.seconds);
        let keeper = Self {
            snapshots,
            changed,
            epochs,
            clock,
            snapshot_seconds: options.snapshot_seconds,
            saved_at: clock.seconds(),
            best: None,
            best_is_saved: true,
            best_scores: None,
            keep_best: plan.keep_best.clone(),
        };
        Ok((keeper, state))
    }

    /// Saves the state when a snapshot is due or the person wants to stop.
    ///
    /// # Errors
    /// Interrupted, once the state is saved.
    pub fn save_if_due(&mut self, state: &mut TrainState, optimizer: &mut Adamw, log: &TrainLog) -> Result<()> {
        let stop = interrupt::requested();
        if stop || self.clock.seconds() - self.saved_at >= self.snapshot_seconds {
            self.save(state, optimizer, log)?;
        }
        if stop { Err(self.interrupted(state)) } else { Ok(()) }
    }

    /// The epoch's evaluation has ended in `error`. After an interruption the state is saved: resuming evaluates first.
    pub fn interrupted_evaluation(
        &mut self,
        error: Error,
        state: &mut TrainState,
        optimizer: &mut Adamw,
        log: &TrainLog,
    ) -> Result<Evaluated> {
        if error.kind() != error::ErrorKind::Interrupted {
            return Err(error);
        }
        self.save(state, optimizer, log)?;
        Err(self.interrupted(state))
    }

    fn save(&mut self, state: &mut TrainState, optimizer: &mut Adamw, log: &TrainLog) -> Result<()> {
        state.unlogged = log.unlogged()?;
        state.seconds = self.clock.seconds();
        optimizer.flush()?;
        let unsaved = self.best.as_ref().filter(|_| !self.best_is_saved);
        self.snapshots.save(state, &self.changed, optimizer, unsaved)?;
        self.best_is_saved = true;
        self.saved_at = self.clock.seconds();
        Ok(())
    }

    fn interrupted(&self, state: &TrainState) -> Error {
        let (step, epoch, epochs) = (state.step, state.epoch + 1, self.epochs);
        Error::interrupted(format!("after step {step} (epoch {epoch} of {epochs}); the state is saved"))
    }

    /// Takes note of the scores of the epoch that has just ended, and copies the weights when they are to be kept.
    pub fn observe(&mut self, state: &mut TrainState, scores: Evaluated) -> Result<Verdict> {
        let verdict = state.best.observe(EpochScore::new(state.epoch as u32, &scores.evaluation, &self.keep_best));
        if verdict.keep {
            self.best = Some(BestWeights::copy_of(&self.changed)?);
            self.best_is_saved = false;
            self.best_scores = Some(scores);
        }
        Ok(verdict)
    }

    /// Copies the best epoch's weights back, when that was not the last one.
    pub fn restore_best(&self, state: &TrainState) -> Result<()> {
        if state.best.kept().is_none_or(|kept| kept.epoch as usize >= state.epoch) {
            return Ok(());
        }
        match &self.best {
            Some(best) => best.restore(&self.changed),
            None => self.snapshots.restore_best(&self.changed),
        }
    }

    /// What the run came to.
    pub fn outcome(self, state: &TrainState) -> Outcome {
        Outcome {
            best_epoch: state.best.kept().map(|kept| kept.epoch),
            epochs: state.epoch as u32,
            seconds: state.seconds,
            tokens: state.tokens,
            valid: self.best_scores,
        }
    }
}
