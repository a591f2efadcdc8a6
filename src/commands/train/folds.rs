//! `--folds`: a model for each fold is trained on the rows of the others, and predicts its own. All rows together then
//! choose the epoch, or the penalty of a frozen network's head: a fold alone has too few rows to tell one epoch from
//! the next. The folds have their states below `checkpoints/`, one network is in memory at a time, and what is computed
//! once for all rows (tokens, features, cached lower layers) serves every fold.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::calibration::calibrated;
use super::outcome::{SavedTraining, typical};
use super::prepare::{Run, Stage};
use crate::config::{Patience, Strategy};
use crate::console::units::counted;
use crate::error::{Error, Result};
use crate::files::remove_all;
use crate::inference::{Rows, to_vec};
use crate::model::state_file;
use crate::report::{EpochScores, FoldScore, FoldScores, SplitPredictions};
use crate::strategy::{Chosen, Guide, Trained, plan};
use crate::task::{Dataset, Evaluated};
use crate::training::TrainPlan;
use crate::training::collapse::Restart;
use crate::training::ended::files_in;
use crate::training::snapshot::{Snapshots, of_another_run};
use crate::training::stopping::{BestEpoch, EpochScore};

/// What is kept of a fold's training.
#[derive(Serialize, Deserialize)]
struct FoldRecord {
    fingerprint: String,
    seconds: f64,
    tokens: u64,
    best_epoch: Option<u32>,
    /// Epochs trained.
    epochs: u32,
    penalty: Option<f64>,
    trainable_parameters: u64,
    /// How the training was begun again, if it had collapsed.
    restart: Option<Restart>,
}

/// What all folds together chose.
struct Choice {
    /// Of all rows, in the order of the data.
    scored: Evaluated,
    best_epoch: Option<u32>,
    penalty: Option<f64>,
    by_epoch: Vec<EpochScores>,
}

/// Trains every fold, or continues with the one that was interrupted, and chooses.
pub fn choose(mut run: Run) -> Result<(Run, SavedTraining)> {
    let count = count(&run);
    if matches!(run.plan.patience, Patience::Epochs(_)) {
        run.console.note("patience is not used: every fold trains all epochs, and all rows together choose among them");
    }
    let mut records = Vec::with_capacity(count);
    for fold in 0..count {
        let record;
        (run, record) = train_fold(run, fold)?;
        records.push(record);
    }
    let choice = match run.config.strategy.name {
        Strategy::Frozen => choose_penalty(&mut run, &records)?,
        _ => choose_epoch(&run, &records)?,
    };
    let targets = rows(&run)?.targets.clone();
    let (scored, calibration) = calibrated(&run, choice.scored, &targets)?;
    let scores = scores(&run, &scored, calibration.label_thresholds.as_deref(), &records, choice.by_epoch)?;
    run.console.note(format!("out of fold: {}; {}", scored.evaluation.summary(), scores.spread()));
    let thresholds = calibration.label_thresholds.as_deref();
    let predictions = SplitPredictions::of_logits(&scored.logits, &targets, thresholds);
    let trained = Trained {
        seconds: records.iter().map(|record| record.seconds).sum(),
        tokens: records.iter().map(|record| record.tokens).sum(),
        best_epoch: choice.best_epoch,
        epochs: records.iter().map(|record| record.epochs).max().unwrap_or(0),
        trainable_parameters: records.iter().map(|record| record.trainable_parameters).max().unwrap_or(0),
        penalty: choice.penalty,
        valid: None,
        // Where most folds needed lower rates, all rows do.
        restart: records.iter().filter_map(|record| record.restart.clone()).nth(count / 2),
        ended: None,
    };
    let mut outcome = SavedTraining::new(&run, trained, calibration);
    (outcome.folds, outcome.predictions) = (Some(scores), predictions);
    outcome.typical = typical(&scored);
    Ok((run, outcome))
}

/// What only an unfinished run needs is deleted.
pub fn remove(run: &Run) -> Result<()> {
    (0..count(run)).try_for_each(|fold| remove_all(&folder(run, fold)))
}

fn count(run: &Run) -> usize {
    run.splits.folded.as_ref().map_or(0, |folded| folded.folds.count)
}

/// Where a fold keeps its state.
fn folder(run: &Run, fold: usize) -> PathBuf {
    run.out().join(format!("checkpoints/fold-{}", fold + 1))
}

/// All rows, as they are held out.
fn rows<'r>(run: &'r Run) -> Result<&'r Dataset> {
    let folded = run.splits.folded.as_ref().ok_or_else(|| Error::failure("there are no folds"))?;
    Ok(&folded.rows.dataset)
}

/// What a fold is trained on, what it holds out, and its plan.
fn parts(run: &Run, fold: usize) -> Result<(Dataset, Dataset, TrainPlan)> {
    let folded = run.splits.folded.as_ref().ok_or_else(|| Error::failure("there are no folds"))?;
    let (train, held_out) = folded.parts(&run.splits.train, fold)?;
    let plan = plan::of_training(&run.plan, &format!("fold {fold}"), &[&train, &held_out]);
    // The validation data that it would look at are a fold's.
    let patience = if matches!(plan.patience, Patience::Epochs(_)) { Patience::Off } else { plan.patience };
    Ok((train, held_out, TrainPlan { patience, ..plan }))
}

/// The training of one fold, unless an earlier session has ended it.
fn train_fold(mut run: Run, fold: usize) -> Result<(Run, FoldRecord)> {
    let name = format!("fold {} of {}", fold + 1, count(&run));
    let (train, held_out, plan) = parts(&run, fold)?;
    let folder = folder(&run, fold);
    let mut snapshots = Snapshots::new(&folder)?;
    if run.session.resume
        && let Some(record) = snapshots.choosing_record::<FoldRecord>()?
    {
        if record.fingerprint != plan.fingerprint {
            return Err(of_another_run(&folder));
        }
        run.console.note(format!("{name}: already trained"));
        return Ok((run, record));
    }
    // The frozen strategy changes nothing of the network but the output layer, which it sets anyway.
    if run.config.strategy.name != Strategy::Frozen {
        run = run.with_fresh_network()?;
    }
    run.console.section(format!("{name}: {} held out", counted(held_out.targets.len() as u64, "row")));
    let watch = |epoch: usize, logits: &Rows| save_logits(&folder, epoch, logits);
    let (guide, counts_shared) = (Guide::Validation(&held_out), fold == 0);
    let stage = Stage { train: &train, guide, plan: &plan, folder: &folder, watch: Some(&watch), counts_shared };
    let trained = run.train(&stage).map_err(|error| error.context(&name))?;
    if let Some(scored) = trained.valid.filter(|_| trained.epochs == 0) {
        save_logits(&folder, 0, &scored.logits)?;
    }
    let Trained { seconds, tokens, best_epoch, epochs, penalty, trainable_parameters, restart, .. } = trained;
    let fingerprint = plan.fingerprint;
    let record =
        FoldRecord { fingerprint, seconds, tokens, best_epoch, epochs, penalty, trainable_parameters, restart };
    snapshots.chosen(&record, &files_in(&folder, &[".safetensors"]))?;
    Ok((run, record))
}

fn logits_file(folder: &Path, epoch: usize) -> PathBuf {
    folder.join(format!("epoch-{epoch:04}.safetensors"))
}

/// Keeps what was predicted for a fold's rows after an epoch.
fn save_logits(folder: &Path, epoch: usize, logits: &Rows) -> Result<()> {
    state_file::save(&logits_file(folder, epoch), [("logits".to_owned(), logits.to_tensor()?)])
}

/// Of all rows, what their folds' models predicted after an epoch, or after their last one.
fn logits_after(run: &Run, records: &[FoldRecord], epoch: u32) -> Result<Rows> {
    let width = run.task.head_width(&run.labels);
    gather(run, |fold, rows| {
        let last = records.get(fold).map_or(epoch, |record| record.epochs);
        let file = logits_file(&folder(run, fold), epoch.min(last) as usize);
        let weights = state_file::open(&file)?;
        let values = to_vec::<f32>(&weights.take("logits", &[rows as i64, width as i64])?)?;
        Ok(Rows { values, width })
    })
}

/// Logits of all rows, from those of each fold, which is told its rows.
fn gather(run: &Run, mut of_fold: impl FnMut(usize, usize) -> Result<Rows>) -> Result<Rows> {
    let folded = run.splits.folded.as_ref().ok_or_else(|| Error::failure("there are no folds"))?;
    let width = run.task.head_width(&run.labels);
    let mut values = vec![0.0; folded.folds.of.len() * width];
    for fold in 0..folded.folds.count {
        let held_out = folded.held_out(fold);
        let logits = of_fold(fold, held_out.len())?;
        for (&row, own) in held_out.iter().zip(logits.values.chunks_exact(width.max(1))) {
            if let Some(place) = values.get_mut(row * width..(row + 1) * width) {
                place.copy_from_slice(own);
            }
        }
    }
    Ok(Rows { values, width })
}

/// Scores all rows after each epoch, and chooses as one run would on so many validation rows.
fn choose_epoch(run: &Run, records: &[FoldRecord]) -> Result<Choice> {
    let targets = &rows(run)?.targets;
    let epochs = records.iter().map(|record| record.epochs).max().unwrap_or(0);
    let (mut best, mut by_epoch) = (BestEpoch::new(None), Vec::new());
    for epoch in 1..=epochs {
        let evaluation = run.task.evaluate(&logits_after(run, records, epoch)?, targets, &run.labels, None)?;
        best.observe(EpochScore::new(epoch, &evaluation, &run.plan.keep_best));
        let (accuracy, macro_f1, loss) = (evaluation.accuracy(), evaluation.macro_f1(), evaluation.loss());
        by_epoch.push(EpochScores { epoch, accuracy, macro_f1, loss });
    }
    let best_epoch = best.kept().map(|kept| kept.epoch);
    let logits = logits_after(run, records, best_epoch.unwrap_or(epochs))?;
    let evaluation = run.task.evaluate(&logits, targets, &run.labels, None)?;
    let scored = Evaluated { logits, evaluation };
    Ok(Choice { scored, best_epoch, penalty: middle_penalty(records), by_epoch })
}

/// Chooses the middle one of the penalties that the folds chose, and predicts each fold's rows again with it.
fn choose_penalty(run: &mut Run, records: &[FoldRecord]) -> Result<Choice> {
    let penalty = middle_penalty(records);
    let chosen = Chosen { epochs: 1, penalty, lower_rates: false };
    let mut logits = Vec::with_capacity(records.len());
    for fold in 0..records.len() {
        let (train, held_out, plan) = parts(run, fold)?;
        let (folder, guide) = (folder(run, fold), Guide::Scored(chosen, &held_out));
        let stage = Stage { train: &train, guide, plan: &plan, folder: &folder, watch: None, counts_shared: false };
        let scored = run.train(&stage)?.valid.ok_or_else(|| Error::failure("a fold was not scored"))?;
        logits.push(scored.logits);
    }
    let mut logits = logits.into_iter();
    let logits = gather(run, |_, _| logits.next().ok_or_else(|| Error::failure("a fold was not scored")))?;
    let evaluation = run.task.evaluate(&logits, &rows(run)?.targets, &run.labels, None)?;
    Ok(Choice { scored: Evaluated { logits, evaluation }, best_epoch: None, penalty, by_epoch: Vec::new() })
}

/// Of the penalties that folds chose; the stronger of the middle two.
fn middle_penalty(records: &[FoldRecord]) -> Option<f64> {
    let mut penalties: Vec<f64> = records.iter().filter_map(|record| record.penalty).collect();
    penalties.sort_by(f64::total_cmp);
    penalties.get(penalties.len() / 2).copied()
}

/// The scores of all rows, and of each fold.
fn scores(
    run: &Run,
    all: &Evaluated,
    thresholds: Option<&[f64]>,
    records: &[FoldRecord],
    by_epoch: Vec<EpochScores>,
) -> Result<FoldScores> {
    let folded = run.splits.folded.as_ref().ok_or_else(|| Error::failure("there are no folds"))?;
    let labels = &run.labels;
    let of_fold = |(fold, record): (usize, &FoldRecord)| {
        let held_out = folded.held_out(fold);
        let targets = folded.rows.dataset.targets.part(&held_out);
        let evaluation = run.task.evaluate(&all.logits.part(&held_out), &targets, labels, thresholds)?;
        let (accuracy, macro_f1, loss) = (evaluation.accuracy(), evaluation.macro_f1(), evaluation.loss());
        let best_epoch = record.best_epoch;
        Ok(FoldScore { fold: fold + 1, rows: evaluation.rows(), accuracy, macro_f1, loss, best_epoch })
    };
    let by_fold = records.iter().enumerate().map(of_fold).collect::<Result<Vec<_>>>()?;
    Ok(FoldScores::new(all.evaluation.clone(), by_fold, by_epoch))
}
