//! `rehead compare`: the same data and seeds under several strategies, side by side.
//!
//! Every run is a run directory of its own below `--out`; finished ones are not done again. The table gives mean and spread
//! over seeds; it names no winner.

use std::path::Path;

use serde::Serialize;

use super::print;
use super::train::{Session, train};
use crate::cli::CompareArgs;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::report::metrics::to_readable_json;
use crate::report::{Column, Console, RunMetrics, Table, units, write_atomically};
use crate::strategy::cache::Cache;

/// What `compare.json` holds: one entry a strategy.
#[derive(Serialize)]
struct Row {
    strategy: String,
    seeds: Vec<u64>,
    /// `test`, or `valid` when no test data was given.
    split: &'static str,
    accuracy: Vec<f64>,
    macro_f1: Vec<f64>,
    train_seconds: Vec<f64>,
    trainable_parameters: u64,
    total_parameters: u64,
    peak_memory_bytes: u64,
    runs: Vec<String>,
}

pub fn run(args: &CompareArgs) -> Result<()> {
    let quiet = args.run.output.quiet;
    let console = Console::new(quiet);
    let shared = args.resolve()?;
    shared.check_paths(true)?;
    let runs = args.runs(&shared);
    check_ours(&shared.run.out, &runs)?;
    let cache = Cache::default();
    let session = Session { resume: true, profile: false, cache: &cache };
    let mut rows: Vec<Row> = Vec::new();
    for config in runs {
        console.section(format!("{} with seed {}", config.strategy.name, config.training.seed));
        let out = config.run.out.clone();
        let metrics = train(config, session, &console).map_err(|error| match error.kind() {
            crate::error::Kind::Interrupted => {
                Error::interrupted(error.to_string()).hint("go on with the same command: finished runs are kept")
            }
            _ => error,
        })?;
        add(&mut rows, &metrics, out.display().to_string());
    }
    let out = &shared.run.out;
    let json = to_readable_json(&rows)?;
    write_atomically(out.join(COMPARISON), format!("{json}\n").as_bytes())?;
    write_atomically(out.join("compare.csv"), csv(&rows)?.as_bytes())?;
    console.section("comparison");
    if args.run.output.json { print(&json) } else { print(table(&rows).to_string().trim_end()) }
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

fn add(rows: &mut Vec<Row>, metrics: &RunMetrics, run: String) {
    let (split, scored) = match (&metrics.test, &metrics.valid) {
        (Some(test), _) => ("test", Some(test)),
        (None, valid) => ("valid", valid.as_ref()),
    };
    let Some(scored) = scored else { return };
    let index = rows.iter().position(|row| row.strategy == metrics.strategy).unwrap_or_else(|| {
        rows.push(Row {
            strategy: metrics.strategy.clone(),
            seeds: Vec::new(),
            split,
            accuracy: Vec::new(),
            macro_f1: Vec::new(),
            train_seconds: Vec::new(),
            trainable_parameters: metrics.trainable_parameters,
            total_parameters: metrics.total_parameters,
            peak_memory_bytes: 0,
            runs: Vec::new(),
        });
        rows.len() - 1
    });
    if let Some(row) = rows.get_mut(index) {
        row.seeds.push(metrics.seed);
        row.accuracy.push(scored.accuracy);
        row.macro_f1.push(scored.macro_f1);
        row.train_seconds.push(metrics.train_seconds);
        row.peak_memory_bytes = row.peak_memory_bytes.max(metrics.peak_memory_bytes);
        row.runs.push(run);
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Sample standard deviation; 0 for fewer than two values.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let sum: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (sum / values.len().saturating_sub(1).max(1) as f64).sqrt()
}

fn spread(values: &[f64]) -> String {
    match values.len() {
        0 | 1 => format!("{:.3}", mean(values)),
        _ => format!("{:.3} ± {:.3}", mean(values), deviation(values)),
    }
}

fn table(rows: &[Row]) -> Table {
    let split = rows.first().map_or("test", |row| row.split);
    let mut table = Table::new([
        Column::left("strategy"),
        Column::right("seeds"),
        Column::right(format!("{split} accuracy")),
        Column::right("macro-F1"),
        Column::right("training"),
        Column::right("trained parameters"),
    ]);
    for row in rows {
        table.row([
            row.strategy.clone(),
            row.seeds.len().to_string(),
            spread(&row.accuracy),
            spread(&row.macro_f1),
            units::seconds(mean(&row.train_seconds)),
            units::count(row.trainable_parameters),
        ]);
    }
    table
}

fn csv(rows: &[Row]) -> Result<String> {
    let failed = |error: csv::Error| Error::failure(format!("compare.csv: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(["strategy", "seed", "split", "accuracy", "macro_f1", "train_seconds", "run"])
        .map_err(failed)?;
    for row in rows {
        for (index, seed) in row.seeds.iter().enumerate() {
            let number = |values: &[f64]| values.get(index).map_or(String::new(), f64::to_string);
            writer
                .write_record([
                    row.strategy.as_str(),
                    &seed.to_string(),
                    row.split,
                    &number(&row.accuracy),
                    &number(&row.macro_f1),
                    &number(&row.train_seconds),
                    row.runs.get(index).map_or("", String::as_str),
                ])
                .map_err(failed)?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| Error::failure(format!("compare.csv: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
