//! `rehead compare`: several strategies on the same data and seeds, side by side with what can be had without a network.
//!
//! Every run is a run directory of its own below `--out`; finished ones are not done again. Seeds are the outer loop, so that
//! what slows the machine down meets every strategy, and an interrupted comparison has whole rounds. What is said of the
//! results is `evaluation::comparison`'s affair.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::locate::locate_network;
use super::output::print;
use super::train::data::Data;
use super::train::{Session, train};
use crate::baseline::{Baseline, LabelledInputs, Majority, Tfidf};
use crate::cli::CompareArgs;
use crate::config::{Choices, RunConfig};
use crate::console::{Column, Console, Table, units};
use crate::data::{Example, Input, Modality};
use crate::error::{Error, Result};
use crate::evaluation::comparison::{self, Comparison};
use crate::evaluation::evaluate;
use crate::files::write_atomically;
use crate::hardware::Hardware;
use crate::hardware::memory;
use crate::inference::cache::Cache;
use crate::report::html::comparison as page;
use crate::report::metrics::to_readable_json;
use crate::report::verdict::verdict;
use crate::report::{Predictions, RunMetrics};
use crate::training::history::{self, Record};

pub fn run(args: &CompareArgs) -> Result<()> {
    let console = Console::new(args.run.quiet);
    let shared = args.resolve()?;
    shared.check_paths(true)?;
    let runs = args.runs(&shared);
    let out = &shared.run.out;
    check_ours(out, &runs)?;

    let cache = Cache::default();
    let mut contenders: Vec<Contender> = Vec::new();
    for config in &runs {
        console.section(format!("{} with seed {}", config.strategy.name, config.training.seed));
        let session = Session { resume: true, profile: false, cache: &cache };
        memory::forget_peak();
        let metrics = train(config.clone(), session, &console).map_err(|error| match error.kind() {
            crate::error::ErrorKind::Interrupted => {
                Error::interrupted(error.to_string()).hint("continue with the same command: finished runs are kept")
            }
            _ => error,
        })?;
        add(&mut contenders, Cell::read(metrics, &config.run.out)?, false);
    }
    console.section("baselines");
    for cell in baselines(&shared, &console)? {
        add(&mut contenders, cell, true);
    }

    let result = Outcome::of(&contenders)?;
    let json = to_readable_json(&result)?;
    write_atomically(out.join(COMPARISON), format!("{json}\n").as_bytes())?;
    write_atomically(out.join("compare.csv"), csv(&contenders)?.as_bytes())?;
    write_atomically(out.join("report.html"), html(&shared, &contenders, &result).as_bytes())?;
    console.section("comparison");
    if args.run.json {
        print(&json)?;
    } else {
        print(&format!("{}\n\n{}", table(&result).to_string().trim_end(), result.verdict))?;
    }
    console.summary(format!("the whole comparison: {}", out.join("report.html").display()));
    Ok(())
}

/// A directory with something in it must be one that this comparison began.
fn check_ours(out: &Path, runs: &[RunConfig]) -> Result<()> {
    let occupied = out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let ours = out.join(COMPARISON).is_file() || runs.iter().any(|run| run.run.out.is_dir());
    match occupied && !ours {
        true => Err(Error::request("the output directory is not empty, and holds no comparison")
            .file(out)
            .hint("give a new directory to --out")),
        false => Ok(()),
    }
}

const COMPARISON: &str = "compare.json";

/// One run of one contender.
struct Cell {
    run: PathBuf,
    metrics: RunMetrics,
    /// Of the split that is compared.
    predictions: Predictions,
    predicted: Vec<u32>,
    confidence: Vec<f32>,
    history: Vec<Record>,
    saved_bytes: u64,
}

impl Cell {
    /// What a finished run has left in its directory.
    fn read(metrics: RunMetrics, run: &Path) -> Result<Self> {
        let (split, evaluation) = compared(&metrics, run)?;
        let predictions = Predictions::read(run, split, &evaluation.labels)?;
        let history = run.join("history.jsonl");
        Ok(Self {
            predicted: predictions.predicted(),
            confidence: predictions.confidence(),
            predictions,
            history: if history.is_file() { history::read(history)? } else { Vec::new() },
            saved_bytes: std::fs::metadata(run.join("model.safetensors")).map_or(0, |found| found.len()),
            run: run.to_owned(),
            metrics,
        })
    }
}

/// The split that runs are compared on: the test data, or the validation data when there are none.
fn compared<'a>(metrics: &'a RunMetrics, run: &Path) -> Result<(&'static str, &'a crate::evaluation::Evaluation)> {
    match (&metrics.test, &metrics.valid) {
        (Some(test), _) => Ok(("test", test)),
        (None, Some(valid)) => Ok(("valid", valid)),
        (None, None) => Err(Error::request("the run was not scored").file(run)),
    }
}

/// All runs of a strategy, or a baseline.
struct Contender {
    name: String,
    baseline: bool,
    cells: Vec<Cell>,
}

impl Contender {
    fn mean_seconds(&self) -> f64 {
        self.cells.iter().map(|cell| cell.metrics.train_seconds).sum::<f64>() / self.cells.len().max(1) as f64
    }
}

fn add(contenders: &mut Vec<Contender>, cell: Cell, baseline: bool) {
    let name = cell.metrics.strategy.clone();
    match contenders.iter_mut().find(|contender| contender.name == name) {
        Some(contender) => contender.cells.push(cell),
        None => contenders.push(Contender { name, baseline, cells: vec![cell] }),
    }
}

/// The baselines, fitted on the same rows as the strategies; each in a directory of its own, where it is found again.
fn baselines(shared: &RunConfig, console: &Console) -> Result<Vec<Cell>> {
    let folder = |name: &str| shared.run.out.join(name);
    let (_, modality) = locate_network(&shared.model, console.is_quiet())?;
    let names: &[&str] = match modality {
        Modality::Text => &["majority", "tf-idf"],
        Modality::Image => &["majority"],
    };
    if names.iter().all(|name| folder(name).join("metrics.json").is_file()) {
        return names
            .iter()
            .map(|name| Cell::read(RunMetrics::read(folder(name).join("metrics.json"))?, &folder(name)))
            .collect();
    }
    let mut config = shared.clone();
    let mut choices = Choices::default();
    Hardware::choose(config.run.device, config.run.precision, config.run.threads, &mut choices)?;
    let data = Data::load(&mut config, modality, &mut choices, &Console::new(true))?;
    let classes = data.labels.len();
    let (train, valid) = (SplitInputs::of(&data.train), SplitInputs::of(&data.valid));
    let (split, scored) = match &data.test {
        Some(test) => ("test", SplitInputs::of(test)),
        None => ("valid", SplitInputs::of(&data.valid)),
    };

    let mut cells = Vec::new();
    for &name in names {
        let began = Instant::now();
        let baseline: Box<dyn Baseline> = match name {
            "majority" => Box::new(Majority::fit(&train.labelled(), classes)?),
            _ => Box::new(Tfidf::fit(&train.labelled(), &valid.labelled(), classes, &mut |_| Ok(()))?),
        };
        let train_seconds = began.elapsed().as_secs_f64();
        let found = baseline.predict(&scored.inputs)?;
        // Scores are made from logits: the logarithms of probabilities are such.
        let logits: Vec<f32> = found.probabilities.iter().map(|p| p.max(1e-30).ln()).collect();
        let evaluation = evaluate(&logits, &scored.labels, data.labels.names())?;
        console.note(format!("{}: {split} {}", baseline.name(), evaluation.summary()));
        let metrics = RunMetrics {
            model: "none".to_owned(),
            strategy: baseline.name().to_owned(),
            seed: shared.training.seed,
            train_rows: train.labels.len() as u64,
            train_seconds,
            prepare_seconds: 0.0,
            tokens_per_second: None,
            images_per_second: None,
            trainable_parameters: baseline.parameters(),
            total_parameters: baseline.parameters(),
            peak_memory_bytes: 0,
            valid: (split == "valid").then(|| evaluation.clone()),
            test: (split == "test").then(|| evaluation.clone()),
            best_epoch: None,
            epochs: 1,
            choices: serde_json::Value::Null,
            rehead_version: RunMetrics::VERSION.to_owned(),
        };
        let run = folder(baseline.name());
        std::fs::create_dir_all(&run).map_err(|error| Error::io(error, &run))?;
        Predictions { truth: scored.labels.clone(), probabilities: found.probabilities }.write(
            &run,
            split,
            data.labels.names(),
        )?;
        metrics.write(run.join("metrics.json"))?;
        cells.push(Cell::read(metrics, &run)?);
    }
    Ok(cells)
}

/// Examples as baselines take them.
struct SplitInputs<'a> {
    inputs: Vec<&'a Input>,
    labels: Vec<u32>,
}

impl<'a> SplitInputs<'a> {
    fn of(examples: &'a [Example]) -> Self {
        Self {
            inputs: examples.iter().map(|example| &example.input).collect(),
            labels: examples.iter().map(|example| example.label).collect(),
        }
    }

    fn labelled(&self) -> LabelledInputs<'_> {
        LabelledInputs { inputs: &self.inputs, labels: &self.labels }
    }
}

/// What `compare.json` holds.
#[derive(Serialize)]
struct Outcome {
    /// `test`, or `valid` when no test data was given.
    split: &'static str,
    /// The verdict in words.
    verdict: String,
    contenders: Vec<Entry>,
    comparison: Comparison,
}

/// A strategy or baseline with a number for each run.
#[derive(Serialize)]
struct Entry {
    strategy: String,
    baseline: bool,
    seeds: Vec<u64>,
    accuracy: Vec<f64>,
    macro_f1: Vec<f64>,
    train_seconds: Vec<f64>,
    trainable_parameters: u64,
    total_parameters: u64,
    peak_memory_bytes: u64,
    saved_bytes: u64,
    runs: Vec<String>,
}

impl Outcome {
    fn of(contenders: &[Contender]) -> Result<Self> {
        let first = contenders.first().and_then(|contender| contender.cells.first());
        let first = first.ok_or_else(|| Error::request("there is nothing to compare"))?;
        let (split, evaluation) = compared(&first.metrics, &first.run)?;
        let truth = &first.predictions.truth;
        for cell in contenders.iter().flat_map(|contender| &contender.cells) {
            if cell.predictions.truth != *truth {
                return Err(Error::request("the run was evaluated on other rows than the others")
                    .file(&cell.run)
                    .hint("delete its folder and compare again: it is then trained anew"));
            }
        }
        let compared_ones: Vec<comparison::Contender> = contenders
            .iter()
            .map(|contender| comparison::Contender {
                name: &contender.name,
                predictions: contender.cells.iter().map(|cell| cell.predicted.as_slice()).collect(),
                seconds: contender.mean_seconds(),
                baseline: contender.baseline,
            })
            .collect();
        let comparison = comparison::compare(truth, evaluation.labels.len(), &compared_ones)?;
        Ok(Self {
            split,
            verdict: verdict(&comparison),
            contenders: contenders.iter().map(Entry::of).collect::<Result<_>>()?,
            comparison,
        })
    }
}

impl Entry {
    fn of(contender: &Contender) -> Result<Self> {
        let cells = &contender.cells;
        let scores = cells.iter().map(|cell| Ok(compared(&cell.metrics, &cell.run)?.1)).collect::<Result<Vec<_>>>()?;
        let most = |of: fn(&Cell) -> u64| cells.iter().map(of).max().unwrap_or(0);
        Ok(Self {
            strategy: contender.name.clone(),
            baseline: contender.baseline,
            seeds: cells.iter().map(|cell| cell.metrics.seed).collect(),
            accuracy: scores.iter().map(|score| score.accuracy).collect(),
            macro_f1: scores.iter().map(|score| score.macro_f1).collect(),
            train_seconds: cells.iter().map(|cell| cell.metrics.train_seconds).collect(),
            trainable_parameters: most(|cell| cell.metrics.trainable_parameters),
            total_parameters: most(|cell| cell.metrics.total_parameters),
            peak_memory_bytes: most(|cell| cell.metrics.peak_memory_bytes),
            saved_bytes: most(|cell| cell.saved_bytes),
            runs: cells.iter().map(|cell| cell.run.display().to_string()).collect(),
        })
    }
}

fn table(result: &Outcome) -> Table {
    let mut table = Table::new([
        Column::left("strategy"),
        Column::right("seeds"),
        Column::right(format!("{} accuracy", result.split)),
        Column::right("95 % interval"),
        Column::right("macro-F1"),
        Column::right("training"),
        Column::right("trained parameters"),
        Column::right("peak memory"),
    ]);
    for (entry, standing) in result.contenders.iter().zip(&result.comparison.standings) {
        let comparison::Summary { mean, spread, low, high } = standing.accuracy;
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

/// One line a run.
fn csv(contenders: &[Contender]) -> Result<String> {
    let failed = |error: csv::Error| Error::failure(format!("compare.csv: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["strategy", "seed", "split", "accuracy", "macro_f1", "loss", "ece", "train_seconds"];
    let more = ["trainable_parameters", "total_parameters", "peak_memory_bytes", "saved_bytes", "run"];
    writer.write_record(header.iter().chain(&more)).map_err(failed)?;
    for cell in contenders.iter().flat_map(|contender| &contender.cells) {
        let metrics = &cell.metrics;
        let (split, score) = compared(metrics, &cell.run)?;
        writer
            .write_record([
                metrics.strategy.clone(),
                metrics.seed.to_string(),
                split.to_owned(),
                score.accuracy.to_string(),
                score.macro_f1.to_string(),
                score.loss.to_string(),
                score.ece.to_string(),
                metrics.train_seconds.to_string(),
                metrics.trainable_parameters.to_string(),
                metrics.total_parameters.to_string(),
                metrics.peak_memory_bytes.to_string(),
                cell.saved_bytes.to_string(),
                cell.run.display().to_string(),
            ])
            .map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::failure(format!("compare.csv: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn html(shared: &RunConfig, contenders: &[Contender], result: &Outcome) -> String {
    let first = contenders.first().and_then(|contender| contender.cells.first());
    let shown: Vec<page::Contender> = contenders
        .iter()
        .zip(&result.contenders)
        .map(|(contender, entry)| page::Contender {
            name: &contender.name,
            is_baseline: contender.baseline,
            seconds: contender.mean_seconds(),
            trainable: entry.trainable_parameters,
            total: entry.total_parameters,
            peak_memory: entry.peak_memory_bytes,
            saved_bytes: entry.saved_bytes,
            runs: contender
                .cells
                .iter()
                .filter_map(|cell| {
                    let (_, evaluation) = compared(&cell.metrics, &cell.run).ok()?;
                    let Cell { predicted, confidence, history, metrics, .. } = cell;
                    Some(page::ContenderRun { seed: metrics.seed, evaluation, predicted, confidence, history })
                })
                .collect(),
        })
        .collect();
    let labels = first.and_then(|cell| compared(&cell.metrics, &cell.run).ok()).map(|(_, found)| &found.labels);
    let data = [
        ("training data".to_owned(), shared.data.train.display().to_string()),
        ("training rows".to_owned(), first.map_or(0, |cell| cell.metrics.train_rows).to_string()),
        (
            "compared on".to_owned(),
            shared.data.test.as_ref().map_or(result.split.to_owned(), |file| file.display().to_string()),
        ),
        ("network".to_owned(), shared.model.model.clone()),
    ];
    page::page(&page::ComparisonReport {
        title: &format!("Comparison: {}", shared.run.out.display()),
        comparison: &result.comparison,
        split: result.split,
        labels: labels.map_or(&[], Vec::as_slice),
        truth: first.map_or(&[], |cell| &cell.predictions.truth),
        contenders: &shown,
        data: &data,
    })
}
