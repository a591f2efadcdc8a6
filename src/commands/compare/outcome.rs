//! What a comparison found: the numbers of every contender and what they say together, as JSON, table and CSV.

use serde::Serialize;

use super::next::{Recommendation, recommend};
use super::runs::{Contender, FinishedRun, compared};
use crate::console::{Column, Table, units};
use crate::error::{Error, Result};
use crate::evaluation::comparison::{self, Comparison};
use crate::report::verdict::{split_name, verdict};

/// What `compare.json` holds.
#[derive(Serialize)]
pub struct ComparisonOutcome {
    /// `test`, or `valid` when no test data was given.
    pub split: &'static str,
    /// The verdict in words.
    pub verdict: String,
    /// `None` where no network was trained.
    pub recommended: Option<Recommendation>,
    /// The runs that give every row the same label. Of baselines, `majority` does by its nature and is left out.
    pub constant: Vec<ConstantRun>,
    pub contenders: Vec<ContenderScores>,
    pub comparison: Comparison,
}

/// A run that separates nothing.
#[derive(Serialize)]
pub struct ConstantRun {
    pub strategy: String,
    pub baseline: bool,
    pub seed: u64,
    pub run: String,
    /// What every row gets.
    pub label: String,
}

/// A strategy or baseline with a number for each run.
#[derive(Serialize)]
pub struct ContenderScores {
    pub strategy: String,
    pub baseline: bool,
    pub seeds: Vec<u64>,
    pub accuracy: Vec<f64>,
    pub macro_f1: Vec<f64>,
    /// Matthews correlation; null where a run of an earlier version has none.
    pub mcc: Vec<Option<f64>>,
    /// Area under the ROC curve, see [`crate::evaluation::Classification::roc_auc`]; null where it is undefined.
    pub roc_auc: Vec<Option<f64>>,
    /// Average precision; null where it is undefined.
    pub average_precision: Vec<Option<f64>>,
    pub train_seconds: Vec<f64>,
    pub trainable_parameters: u64,
    pub total_parameters: u64,
    pub peak_memory_bytes: u64,
    pub saved_bytes: u64,
    pub runs: Vec<String>,
}

impl ComparisonOutcome {
    pub fn of(contenders: &[Contender]) -> Result<Self> {
        let first = contenders.first().and_then(|contender| contender.finished.first());
        let first = first.ok_or_else(|| Error::request("there is nothing to compare"))?;
        let (split, evaluation) = compared(&first.metrics, &first.run)?;
        let truth = &first.predictions.truth;
        for run in contenders.iter().flat_map(|contender| &contender.finished) {
            if run.predictions.truth != *truth {
                let (one, other) = (first.run.display(), run.run.display());
                return Err(Error::request(format!("{one} and {other} were evaluated on different rows"))
                    .hint("give a new directory to --out, and compare again"));
            }
        }
        let compared_ones: Vec<_> = contenders.iter().map(Contender::as_compared).collect();
        let comparison = comparison::compare(truth, evaluation.labels.len(), &compared_ones)?;
        let constant: Vec<ConstantRun> = contenders.iter().flat_map(ConstantRun::of).collect();
        Ok(Self {
            split,
            verdict: verdict(&comparison, split) + &in_words(&constant),
            constant,
            recommended: recommend(contenders, &comparison),
            contenders: contenders.iter().map(ContenderScores::of).collect::<Result<_>>()?,
            comparison,
        })
    }
}

impl ConstantRun {
    fn of(contender: &Contender) -> Vec<Self> {
        let of_run = |run: &FinishedRun| {
            Some(Self {
                strategy: contender.name.clone(),
                baseline: contender.baseline,
                seed: run.metrics.seed,
                run: run.run.display().to_string(),
                label: run.only_answer()?.to_owned(),
            })
        };
        let finished = contender.finished.iter().filter(|_| contender.name != "majority");
        finished.filter_map(of_run).collect()
    }
}

/// `` Every row gets the same label from `full` with seed 42 (`spam`): …``; nothing where no run does.
fn in_words(constant: &[ConstantRun]) -> String {
    let name = |run: &ConstantRun| match run.baseline {
        true => format!("`{}` (`{}`)", run.strategy, run.label),
        false => format!("`{}` with seed {} (`{}`)", run.strategy, run.seed, run.label),
    };
    let names: Vec<String> = constant.iter().map(name).collect();
    let it_separates = if names.len() == 1 { "it separates" } else { "they separate" };
    let Some((last, before)) = names.split_last() else { return String::new() };
    let names = if before.is_empty() { last.clone() } else { format!("{} and {last}", before.join(", ")) };
    format!(" Every row gets the same label from {names}: {it_separates} nothing.")
}

impl ContenderScores {
    pub fn of(contender: &Contender) -> Result<Self> {
        let finished = &contender.finished;
        let scores = finished.iter().map(|run| Ok(compared(&run.metrics, &run.run)?.1)).collect::<Result<Vec<_>>>()?;
        let most = |of: fn(&FinishedRun) -> u64| finished.iter().map(of).max().unwrap_or(0);
        Ok(Self {
            strategy: contender.name.clone(),
            baseline: contender.baseline,
            seeds: finished.iter().map(|run| run.metrics.seed).collect(),
            accuracy: scores.iter().map(|score| score.accuracy).collect(),
            macro_f1: scores.iter().map(|score| score.macro_f1).collect(),
            mcc: scores.iter().map(|score| score.mcc).collect(),
            roc_auc: scores.iter().map(|score| score.roc_auc).collect(),
            average_precision: scores.iter().map(|score| score.average_precision).collect(),
            train_seconds: finished.iter().map(|run| run.metrics.train_seconds).collect(),
            trainable_parameters: most(|run| run.metrics.trainable_parameters),
            total_parameters: most(|run| run.metrics.total_parameters),
            peak_memory_bytes: most(|run| run.metrics.peak_memory_bytes),
            saved_bytes: most(|run| run.saved_bytes),
            runs: finished.iter().map(|run| run.run.display().to_string()).collect(),
        })
    }
}

pub fn table(result: &ComparisonOutcome) -> Table {
    let mut table = Table::new([
        Column::left("strategy"),
        Column::right("seeds"),
        Column::right(format!("{} accuracy", split_name(result.split))),
        Column::right("95 % interval"),
        Column::right("macro-F1"),
        Column::right("training"),
        Column::right("trained parameters"),
        Column::right("peak memory"),
    ]);
    for (entry, standing) in result.contenders.iter().zip(&result.comparison.standings) {
        let comparison::Summary { mean, spread, low, high } = standing.accuracy;
        let spread = spread.filter(|_| entry.seeds.len() > 1);
        let spread = spread.map_or(String::new(), |spread| format!(" ± {spread:.3}"));
        let memory = if entry.baseline { String::new() } else { units::bytes(entry.peak_memory_bytes) };
        table.row([
            entry.strategy.clone(),
            entry.seeds.len().to_string(),
            format!("{mean:.3}{spread}"),
            format!("{low:.3} to {high:.3}"),
            format!("{:.3}", standing.macro_f1.mean),
            units::seconds(standing.seconds),
            units::count(entry.trainable_parameters),
            memory,
        ]);
    }
    table
}

/// One line per run.
pub fn csv(contenders: &[Contender]) -> Result<String> {
    let failed = |error: csv::Error| Error::failure(format!("compare.csv: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["strategy", "seed", "split", "accuracy", "macro_f1", "loss", "ece"];
    let further = ["mcc", "roc_auc", "average_precision", "top3_accuracy", "top5_accuracy"];
    let more = ["train_seconds", "trainable_parameters", "total_parameters", "peak_memory_bytes", "saved_bytes", "run"];
    writer.write_record(header.iter().chain(&further).chain(&more)).map_err(failed)?;
    let number = |score: Option<f64>| score.map_or(String::new(), |score| score.to_string());
    for run in contenders.iter().flat_map(|contender| &contender.finished) {
        let metrics = &run.metrics;
        let (split, score) = compared(metrics, &run.run)?;
        writer
            .write_record([
                metrics.strategy.clone(),
                metrics.seed.to_string(),
                split.to_owned(),
                score.accuracy.to_string(),
                score.macro_f1.to_string(),
                score.loss.to_string(),
                score.ece.to_string(),
                number(score.mcc),
                number(score.roc_auc),
                number(score.average_precision),
                number(score.top3_accuracy),
                number(score.top5_accuracy),
                metrics.train_seconds.to_string(),
                metrics.trainable_parameters.to_string(),
                metrics.total_parameters.to_string(),
                metrics.peak_memory_bytes.to_string(),
                run.saved_bytes.to_string(),
                run.run.display().to_string(),
            ])
            .map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::failure(format!("compare.csv: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
