//! What a run keeps while it trains: snapshots every few minutes and on Ctrl-C, and the best epoch's weights and
//! scores.

use crate::config::KeepBest;
use crate::console::Console;
use crate::error::{self, Error, Result};
use crate::interrupt;
use crate::model::parameter::Parameter;
use crate::task::{Evaluated, LossBounds};
use crate::training::collapse::{Collapse, LEAST_MOVED, has_same_answers};
use crate::training::log::TrainLog;
use crate::training::optimizer::Adamw;
use crate::training::plan::{FitOptions, Outcome, TrainPlan};
use crate::training::scope::Scope;
use crate::training::snapshot::{BestWeights, Snapshot, Snapshots, of_another_run};
use crate::training::state::{Clock, TrainState};
use crate::training::stopping::{EndReason, Ended, EpochScore, is_fitted, is_late};

/// Where the train loop begins.
pub struct Start {
    /// Before the first step, or that of a snapshot.
    pub state: TrainState,
    /// That snapshot, among those of the run.
    pub saved: Option<(Snapshots, Snapshot)>,
}

impl Start {
    /// The beginning of a run, or its last whole snapshot.
    ///
    /// # Errors
    /// All snapshots are damaged, or they belong to other data, settings or another version.
    pub fn of(plan: &TrainPlan, options: FitOptions, console: &Console) -> Result<Self> {
        let mut snapshots = Snapshots::new(options.run)?;
        let saved = if options.resume { snapshots.latest(console)? } else { None };
        match saved {
            Some(snapshot) if snapshot.state.fingerprint != plan.fingerprint => Err(of_another_run(&snapshot.folder)),
            Some(snapshot) => Ok(Self { state: snapshot.state.clone(), saved: Some((snapshots, snapshot)) }),
            None => Ok(Self { state: TrainState::new(plan.patience.epochs(), &plan.fingerprint), saved: None }),
        }
    }
}

/// What follows an epoch.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// The next epoch, if there is one.
    Epoch,
    /// Nothing: training ends.
    Stop(EndReason),
    /// The first epoch, with lower rates.
    BeginAgain(Collapse),
}

/// Saves and restores the state of a run.
pub struct Keeper<'a> {
    snapshots: Snapshots,
    /// What training changes: besides the weights the statistics of batch norms.
    changed: Vec<&'a Parameter>,
    epochs: usize,
    clock: Clock,
    snapshot_seconds: f64,
    kept_snapshots: usize,
    saved_at: f64,
    /// The best weights of this session.
    best: Option<BestWeights>,
    /// Whether the last snapshot has the best weights of this session.
    best_is_saved: bool,
    best_scores: Option<Evaluated>,
    /// The score that decides which epoch is best.
    keep_best: KeepBest,
    ends_when_fitted: bool,
    /// The peak rate.
    learning_rate: f64,
    /// That of the last epoch.
    training_loss: f64,
}

impl<'a> Keeper<'a> {
    /// Begins a run of at most so many `epochs`, or continues one from the snapshot in `start`; with it comes the state
    /// of the run.
    ///
    /// # Errors
    /// The snapshot is damaged.
    pub fn begin(
        scope: &Scope<'a>,
        plan: &TrainPlan,
        epochs: usize,
        optimizer: &mut Adamw,
        options: FitOptions,
        start: Start,
        console: &Console,
    ) -> Result<(Self, TrainState)> {
        let changed = [scope.parameters.as_slice(), &scope.statistics].concat();
        let Start { state, saved } = start;
        let snapshots = match saved {
            None => Snapshots::new(options.run)?,
            Some((snapshots, snapshot)) => {
                if snapshots.restore(&snapshot, &changed, optimizer)? {
                    let file = options.run.join("history.jsonl");
                    console.warn(format!("{} was damaged: the snapshot's copy is put in its place", file.display()));
                }
                Self::say_where(&state, console);
                snapshots
            }
        };
        let clock = Clock::starting_at(state.seconds);
        let keeper = Self {
            snapshots,
            changed,
            epochs,
            clock,
            snapshot_seconds: options.snapshot_seconds,
            kept_snapshots: options.kept_snapshots,
            saved_at: clock.seconds(),
            best: None,
            best_is_saved: true,
            best_scores: None,
            keep_best: plan.keep_best.clone(),
            ends_when_fitted: plan.ends_when_fitted(),
            learning_rate: plan.optimizer.learning_rate,
            training_loss: 0.0,
        };
        Ok((keeper, state))
    }

    fn say_where(state: &TrainState, console: &Console) {
        let (step, epoch) = (state.step, state.epoch + 1);
        let again = state.restart.as_ref().map_or(String::new(), |restart| format!("; {}", restart.sentence()));
        console.note(format!("continuing after step {step} (epoch {epoch}){again}"));
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
        log.save_sums(state)?;
        state.seconds = self.clock.seconds();
        optimizer.flush()?;
        let unsaved = self.best.as_ref().filter(|_| !self.best_is_saved);
        self.snapshots.save(state, &self.changed, optimizer, unsaved, self.kept_snapshots)?;
        self.best_is_saved = true;
        self.saved_at = self.clock.seconds();
        Ok(())
    }

    fn interrupted(&self, state: &TrainState) -> Error {
        let (step, epoch, epochs) = (state.step, state.epoch + 1, self.epochs);
        Error::interrupted(format!("after step {step} (epoch {epoch} of {epochs}); the state is saved"))
    }

    /// Takes note of the scores of the epoch that has just ended, where it was scored, and of its mean training loss,
    /// and copies the weights when they are to be kept.
    ///
    /// The same answer for all rows is a collapse when the epoch before had left it too, or no epoch follows: a network
    /// may pass through it while its rates rise, but it does not stay.
    pub fn observe(
        &mut self,
        state: &mut TrainState,
        scores: Option<Evaluated>,
        training_loss: f64,
        bounds: LossBounds,
    ) -> Result<Next> {
        self.training_loss = training_loss;
        let Some(scores) = scores else { return Ok(Next::Epoch) };
        let same_before = state.same_answers;
        let moved = self.learning_rate * state.step as f64;
        state.same_answers = moved > LEAST_MOVED && has_same_answers(&scores, training_loss, bounds);
        let collapsed = state.same_answers && (same_before || state.epoch >= self.epochs);
        if collapsed && state.restart.is_none() {
            let (epoch, loss, constant) = (state.epoch as u32, training_loss, bounds.constant);
            return Ok(Next::BeginAgain(Collapse::SameAnswer { epoch, loss, constant }));
        }
        let verdict = state.best.observe(EpochScore::new(state.epoch as u32, &scores.evaluation, &self.keep_best));
        if verdict.keep {
            self.best = Some(BestWeights::copy_of(&self.changed)?);
            self.best_is_saved = false;
            self.best_scores = Some(scores);
        }
        let fitted_before = std::mem::replace(&mut state.fitted, is_fitted(training_loss, bounds));
        let fitted = self.ends_when_fitted && fitted_before && state.fitted && is_late(state.epoch, self.epochs);
        Ok(match verdict.stop {
            _ if collapsed => Next::Stop(EndReason::Collapsed),
            true => Next::Stop(EndReason::NoImprovement),
            false if fitted && state.epoch < self.epochs => Next::Stop(EndReason::Fitted),
            false => Next::Epoch,
        })
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
    pub fn outcome(self, state: &TrainState, reason: EndReason) -> Outcome {
        let (planned_epochs, training_loss) = (self.epochs as u32, self.training_loss);
        Outcome {
            best_epoch: state.best.kept().map(|kept| kept.epoch),
            epochs: state.epoch as u32,
            seconds: state.seconds,
            tokens: state.tokens,
            valid: self.best_scores,
            restart: state.restart.clone(),
            ended: Ended { reason, planned_epochs, training_loss },
        }
    }
}
