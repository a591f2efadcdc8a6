//! `rehead advise`: how well the pretrained network separates the classes, stage by stage, from one forward pass over
//! (a part of) the training data; and from that what to train.

use std::collections::HashSet;
use std::fmt;
use std::time::Instant;

use serde::Serialize;

use super::inputs::{TransformOptions, label_rules, language_fit, prepare, transform_for};
use super::loaded_model::engine;
use super::locate::locate_model;
use super::output::{print, print_data};
use crate::advice::recommend::{Advice, recommend};
use crate::advice::{self, Measurements, StageFeatures};
use crate::batch::ExampleSet;
use crate::cli::{AdviseArgs, AdviseSettings};
use crate::config::Choices;
use crate::console::{Column, Console, Table, units};
use crate::data::split::stratified;
use crate::data::{Example, Input, Modality, ReadOptions, load_labelled};
use crate::error::{Error, Result};
use crate::evaluation::Interval;
use crate::hardware::Hardware;
use crate::inference::budget::inference_budget;
use crate::inference::{Inference, Rows};
use crate::interrupt;
use crate::model::{self, Classifier, HeadRequest, LoadRequest, Pooling, WeightDtype};
use crate::report::metrics::to_readable_json;
use crate::task;
use crate::transform::Purpose;

/// Fewer different inputs measure little more than themselves.
const FEW_INPUTS: usize = 10;

/// The rows that are measured: a quarter of those there are, within limits. More would tell little more, and cost more
/// than a small part of the training that it may spare.
fn rows_to_measure(rows: usize) -> usize {
    rows.min((rows / 4).clamp(500, 2000))
}

/// Measures the features after every stage on a part of the training data, and prints what to train.
///
/// # Errors
/// The model or the data cannot be used, or interrupted.
pub fn run(args: &AdviseArgs) -> Result<()> {
    let console = Console::new(args.quiet);
    let mut choices = Choices::default();
    let hardware =
        Hardware::choose(args.inference.device, args.inference.precision, args.inference.threads, &mut choices)?;
    let directory = locate_model(&args.settings.model, args.quiet)?;
    let options =
        ReadOptions { modality: model::modality(&directory)?, ..args.columns.read_options(args.settings.on_bad_input) };
    let AdviseSettings { on_empty_label, label_map, merge_labels, min_rows_per_label, other, .. } = &args.settings;
    let label_rules =
        label_rules(*on_empty_label, label_map.as_deref(), *merge_labels, *min_rows_per_label, other.as_ref())?;
    let options = ReadOptions { label_rules, data_flag: Some("--train"), ..options };
    let train = args.settings.train.expanded()?;
    let set = load_labelled(&train, &options, None)?;
    set.reading_warnings.iter().for_each(|warning| console.warn(warning));
    task::task(None)?.names(&set.labels).map_err(|error| set.columns.at_label_column(error))?;
    for choice in &set.choices {
        choices.record(choice.setting, &choice.value, choice.reason.clone());
    }
    console.note(format!("{train}: {}", set.summary));
    set.notes.iter().for_each(|note| console.note(note));
    set.warnings.iter().chain(&set.summary.findings.sentences()).for_each(|warning| console.warn(warning));

    let engine = engine(args.inference.engine, Some(&directory), &mut choices)?;
    let head =
        HeadRequest::New { labels: &set.labels, pooling: Some(Pooling::Mean), dropout: None, seed: args.settings.seed };
    let weight_dtype = WeightDtype::Float(hardware.compute);
    let request = LoadRequest { engine, device: hardware.device, weight_dtype, head, stages: None };
    let (mut classifier, _) = Classifier::load(&directory, &request)?;
    classifier.freeze()?;
    let (max_length, long_text) = (args.inference.max_length, args.inference.long_text());
    let options_of = TransformOptions { max_length, long_text, ..TransformOptions::default() };
    let transform = transform_for(&classifier, options_of)?;
    console.note(&choices);

    interrupt::listen();
    let began = Instant::now();
    let rows = measured_rows(&set.examples, args.settings.seed)?;
    let inputs: Vec<&Input> = rows.iter().map(|example| &example.input).collect();
    let distinct = inputs.iter().collect::<HashSet<_>>().len();
    if distinct < FEW_INPUTS {
        let what = if options.modality == Modality::Text { "text" } else { "image" };
        console.warn(format!(
            "only {} among {} rows: the measurements say little of new rows",
            units::counted(distinct as u64, &format!("different {what}")),
            units::count(inputs.len() as u64)
        ));
    }
    language_fit(&transform, inputs.iter().copied(), &console);
    let prepared = prepare(&transform, &inputs, Purpose::Inference, args.settings.on_bad_input, &console)?;
    let usable = prepared.usable(rows.len()).into_iter().filter_map(|place| rows.get(place));
    let labels: Vec<u32> = usable.filter_map(|example| example.truth.labels().first().copied()).collect();
    let stages = stage_features(&classifier, &*prepared.set, &hardware, &console)?;
    let measurements = measure(&stages, &labels, args.settings.seed, &console)?;
    let report = Report {
        model: args.settings.model.clone(),
        data: train.to_string(),
        rows: set.examples.len(),
        measured_rows: labels.len(),
        advice: recommend(&measurements, set.examples.len(), options.modality)?,
        measurements,
        seconds: began.elapsed().as_secs_f64(),
        modality: options.modality,
    };
    match args.json {
        true => print_data(&to_readable_json(&report)?),
        false => print(&report.to_string()),
    }
}

/// What is printed: measurements, and what they say in words.
#[derive(Serialize)]
struct Report {
    model: String,
    data: String,
    rows: usize,
    measured_rows: usize,
    advice: Advice,
    measurements: Measurements,
    seconds: f64,
    #[serde(skip)]
    modality: Modality,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([
            Column::left("features after"),
            Column::right("linear head"),
            Column::right("95 % interval"),
            Column::right("nearest neighbours"),
            Column::right("LogME"),
            Column::right("H-score"),
        ]);
        for stage in &self.measurements.stages {
            let Interval { low, high } = stage.probe.interval();
            table.row([
                stage.name.clone(),
                format!("{:.3}", stage.probe.accuracy()),
                format!("{low:.3} to {high:.3}"),
                format!("{:.3}", stage.neighbours.accuracy),
                format!("{:.3}", stage.logme),
                format!("{:.2}", stage.hscore),
            ]);
        }
        writeln!(f, "{table}\n")?;
        self.in_words(f)
    }
}

impl Report {
    fn in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measurements { stages, curve, class_rows } = &self.measurements;
        let Some(last) = stages.last() else { return Ok(()) };
        let Interval { low, high } = last.probe.interval();
        let most = class_rows.iter().max().copied().unwrap_or(0) as f64 / self.measured_rows.max(1) as f64;
        writeln!(
            f,
            "A head on the frozen network, on its last stage, `{}`, is correct for {:.1} % of unseen rows (95 % \
             interval {:.1} to {:.1}); always answering the most frequent label, for {:.1} %.",
            last.name,
            100.0 * last.probe.accuracy(),
            100.0 * low,
            100.0 * high,
            100.0 * most
        )?;
        if let [.., half, all] = curve.as_slice() {
            let gain = 100.0 * (all.accuracy() - half.accuracy());
            let (before, after) = (half.train_rows, all.train_rows);
            writeln!(f, "From {before:.0} to {after:.0} training rows that head gained {gain:+.1} points.")?;
        }
        writeln!(
            f,
            "Measured on {} of {} rows in {}.\n",
            units::count(self.measured_rows as u64),
            units::count(self.rows as u64),
            units::seconds(self.seconds)
        )?;
        writeln!(f, "{}\n", self.advice)?;
        let runs = match self.modality {
            Modality::Text => "47 runs of one small text network on eight data sets",
            Modality::Image => "8 runs of one small network for images on three data sets",
        };
        write!(
            f,
            "What to expect comes from {runs} (docs/advice.md): another network may gain more or less. \
             `rehead compare` measures it."
        )
    }
}

/// All rows, or as many as are measured, of every class its share.
fn measured_rows(examples: &[Example], seed: u64) -> Result<Vec<&Example>> {
    let wanted = rows_to_measure(examples.len());
    if wanted == examples.len() {
        return Ok(examples.iter().collect());
    }
    let share = wanted as f64 / examples.len() as f64;
    let split =
        stratified(examples, share, seed).map_err(|error| error.hint("add rows with texts that are not there yet"))?;
    Ok(split.valid.iter().filter_map(|&index| examples.get(index)).collect())
}

/// The features after every stage, from one pass.
fn stage_features(
    classifier: &Classifier,
    set: &dyn ExampleSet,
    hardware: &Hardware,
    console: &Console,
) -> Result<Vec<StageFeatures>> {
    let batch_tokens = inference_budget(hardware.device, &classifier.input);
    let inference = Inference { classifier, compute: hardware.compute, batch_tokens, lower_layers: None };
    let bar = console.progress("features", Some(set.len() as u64), "examples").rate_in(set.unit());
    let all =
        inference.stage_features(set, &mut |examples, tokens| bar.advance_with(examples as u64, tokens as u64))?;
    bar.finish();
    let mut begin = 0;
    let of_stage = |(index, name): (usize, &String)| {
        let width = classifier.backbone.stage_width(index).max(1) as usize;
        let mut values = Vec::with_capacity(set.len() * width);
        for row in 0..set.len() {
            values.extend(all.row(row).iter().skip(begin).take(width));
        }
        begin += width;
        StageFeatures { name: name.clone(), rows: Rows { values, width } }
    };
    Ok(classifier.backbone.stages().iter().enumerate().map(of_stage).collect())
}

fn measure(stages: &[StageFeatures], labels: &[u32], seed: u64, console: &Console) -> Result<Measurements> {
    let bar = console.progress("measuring", Some(advice::steps(stages.len()) as u64), "heads");
    let measurements = advice::measure(stages, labels, seed, &mut |step| {
        if step == advice::Step::Fitted {
            bar.advance(1);
        }
        match interrupt::requested() {
            true => Err(Error::interrupted("nothing was kept")),
            false => Ok(()),
        }
    })?;
    bar.finish();
    Ok(measurements)
}
