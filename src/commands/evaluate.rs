//! `rehead evaluate`: how good a model is on labelled data.

use std::path::Path;

use serde::Serialize;

use super::inputs::{half_empty, label_rules, language_fit, prepare};
use super::loaded_model::LoadedModel;
use super::mistakes::{self, Asked};
use super::origins::origins;
use super::output::{check_writable, print, print_data};
use super::trained_rows::{self, Known, TRAINED_ROWS, TrainedRows};
use crate::cli::{EvaluateArgs, named};
use crate::console::{Console, units};
use crate::data::{Example, Input, KnownLabels, LabelledSet, Modality, Place, ReadOptions, Sources, load_labelled};
use crate::error::{Error, Result};
use crate::evaluation::Evaluation;
use crate::files::{lock_directory, write_atomically};
use crate::inference::Rows;
use crate::interrupt;
use crate::report::html::run::{NumberSplit, evaluation_page, numbers_evaluation_page, sets_page};
use crate::report::metrics::to_readable_json;
use crate::report::next_steps::facts::RunFacts;
use crate::report::next_steps::run::{number_steps, run_steps};
use crate::report::provenance::Provenance;
use crate::report::{NextStep, Predictions, ScoredSets, ScoredSplit, Seen, SplitPredictions, row_origins};
use crate::task::{Dataset, Evaluated, Targets, score};
use crate::transform::{LanguageFit, Purpose};

/// What is printed with `--json` and saved as `metrics.json`.
#[derive(Serialize)]
struct Report {
    model: String,
    data: String,
    seconds: f64,
    peak_memory_bytes: u64,
    test: Evaluation,
    /// Whether the tokenizer knows the language of the texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<LanguageFit>,
    /// What a person should know of the data and how they were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data_warnings: Vec<String>,
    choices: crate::config::Choices,
    rehead_version: &'static str,
}

/// Scores a trained model on labelled data; with `--out` its metrics and predictions are saved.
///
/// # Errors
/// The model or the data cannot be used, or interrupted.
pub fn run(args: &EvaluateArgs) -> Result<()> {
    let console = Console::new(args.quiet);
    let args = &args.with_files()?;
    let _lock = args.out.as_deref().map(lock_directory).transpose()?;
    if let Some(out) = &args.out {
        check_writable(out, "--out", Some("give a new directory to --out"))?;
    }
    let mut model = LoadedModel::load(&args.model, &args.inference, args.quiet, &console)?;
    let (set, options) = load(args, &mut model, &console)?;

    interrupt::listen();
    let began = std::time::Instant::now();
    let inputs: Vec<&Input> = set.examples.iter().map(|example| &example.input).collect();
    let language = language_fit(&model.transform, inputs.iter().copied(), &console);
    let prepared = prepare(&model.transform, &inputs, Purpose::Inference, args.bad_input.on_bad_input, &console)?;
    let examples: Vec<&Example> =
        prepared.usable(inputs.len()).into_iter().filter_map(|place| set.examples.get(place)).collect();
    console.note(&prepared.statistics);
    let remarks = prepared.unread.remarks().into_iter().chain(half_empty(inputs.iter().copied()));
    remarks.for_each(|remark| console.warn(remark));
    let unit = prepared.set.unit();
    let dataset = Dataset {
        examples: prepared.set.clone(),
        targets: model.task.parse(&examples, &set.labels, &model.classifier.labels)?,
    };
    let seen = trained_on(&model, &examples, &dataset)?.inspect(|seen| console.warn(&seen.warning));
    let Evaluated { logits, evaluation } = score(model.task, &model.inference(), &dataset, "evaluating", &console)?;
    evaluation.warning().iter().for_each(|warning| console.warn(warning));
    let report = Report {
        model: args.model.clone(),
        data: named(&args.data),
        seconds: began.elapsed().as_secs_f64(),
        peak_memory_bytes: model.hardware.peak_memory_bytes(),
        test: evaluation,
        language,
        data_warnings: data_warnings(&set, seen.as_ref()),
        choices: model.choices.clone(),
        rehead_version: env!("CARGO_PKG_VERSION"),
    };
    let json = to_readable_json(&report)?;
    if let Some(out) = &args.out {
        let data = [
            ("model".to_owned(), args.model.clone()),
            (named(&args.data), set.summary.to_string()),
            (unit.to_owned(), prepared.statistics.clone()),
        ];
        std::fs::create_dir_all(out).map_err(|error| Error::io(error, out))?;
        write_atomically(out.join("metrics.json"), format!("{json}\n").as_bytes())?;
        let scored = Scored { out, report: &report, logits: &logits, targets: &dataset.targets, examples: &examples };
        save(args, &model, scored, Sources { files: args.data.clone(), options }, seen.as_ref(), &data, &console)?;
        console.note(&report.test);
        console.summary(report.test.sentence(""));
        console.summary(format!("report: {}", out.join("report.html").display()));
    }
    if args.json {
        print_data(&json)?;
    } else if args.out.is_none() {
        print(&report.test.to_string())?;
    }
    Ok(())
}

/// What was found, and where it goes.
struct Scored<'a> {
    out: &'a Path,
    report: &'a Report,
    logits: &'a Rows,
    targets: &'a Targets,
    examples: &'a [&'a Example],
}

/// Saves predictions and report. `data`: name, value.
fn save(
    args: &EvaluateArgs,
    model: &LoadedModel,
    scored: Scored,
    sources: Sources,
    seen: Option<&Seen>,
    data: &[(String, String)],
    console: &Console,
) -> Result<()> {
    let Scored { out, report, logits, targets, examples } = scored;
    let predictions = SplitPredictions::of_logits(logits, targets, model.classifier.label_thresholds.as_deref());
    let texts: Vec<String> = examples.iter().map(|example| example.input.to_string()).collect();
    let places: Vec<Place> = examples.iter().map(|example| example.place()).collect();
    let labels = model.classifier.labels.names();
    let origins = origins(&sources, &places, &texts, labels, console);
    predictions.write(out, "test", labels, &origins)?;
    let languages: Vec<String> = report.language.iter().flat_map(LanguageFit::warnings).collect();
    let file = |index: usize| args.data.get(places.get(index)?.file as usize).filter(|data| !data.is_dir()).cloned();
    let found = row_origins(&origins, file);
    let (name, modality) = ("test", model.modality);
    let (texts, origins) = (texts.as_slice(), found.as_slice());
    match (&report.test, &predictions) {
        (Evaluation::SingleLabel(evaluation), SplitPredictions::SingleLabel(predictions)) => {
            let Predictions { truth, probabilities } = predictions;
            let explained = None;
            let split =
                ScoredSplit { name, evaluation, truth, probabilities, texts, modality, origins, seen, explained };
            let input_of = |row: usize| Some(examples.get(row)?.input.clone());
            write_report(args, out, model, split, &input_of, (data, &languages), console)
        }
        (Evaluation::MultiLabel(evaluation), SplitPredictions::MultiLabel(predictions)) => {
            let chose_thresholds = false;
            let split = ScoredSets { name, evaluation, chose_thresholds, predictions, texts, modality, origins, seen };
            let next = next_steps(args, modality, &[], &languages, run_steps);
            let page = sets_page(&title(args), &split, data, &next, &Provenance::now());
            write_atomically(out.join("report.html"), page.as_bytes())
        }
        (Evaluation::Regression(evaluation), SplitPredictions::Regression(predictions)) => {
            let split = NumberSplit { name, evaluation, predictions, texts, modality, origins, seen };
            let next = next_steps(args, modality, &[], &languages, number_steps);
            let page = numbers_evaluation_page(&title(args), &split, data, &next, &Provenance::now());
            write_atomically(out.join("report.html"), page.as_bytes())
        }
        _ => Err(Error::failure("the scores are not those of the predictions")),
    }
}

/// What a person should know of how the rows were read and of what they are.
fn data_warnings(set: &LabelledSet, seen: Option<&Seen>) -> Vec<String> {
    let of_rows = set.reading_warnings.iter().chain(&set.warnings);
    of_rows.chain(seen.map(|seen| &seen.warning)).cloned().collect()
}

/// The rows that the model was trained on, where its run knows and there are any.
fn trained_on(model: &LoadedModel, examples: &[&Example], dataset: &Dataset) -> Result<Option<Seen>> {
    let Some(trained_on) = TrainedRows::read(&model.classifier.directory, TRAINED_ROWS)? else { return Ok(None) };
    let inputs = examples.iter().map(|example| &example.input);
    let Known { rows, is_estimate } = trained_on.known(&trained_rows::digests(inputs, &*dataset.examples));
    if rows == 0 {
        return Ok(None);
    }
    let all = examples.len() as u64;
    let about = if is_estimate { "about " } else { "" };
    let are = if rows == 1 { "is a row" } else { "are rows" };
    let new = if model.modality == Modality::Image { "new images" } else { "new texts" };
    let so = match 2 * rows >= all {
        true => format!("the score says nothing about {new}"),
        false => format!("the score is too optimistic about {new}"),
    };
    let share = format!("{about}{} of {}", units::count(rows.min(all)), units::counted(all, "row"));
    Ok(Some(Seen { rows, warning: format!("{share} {are} that this model was trained on: {so}") }))
}

/// `report.html`: as soon as it can be, and again with what the mistakes are explained by.
fn write_report(
    args: &EvaluateArgs,
    out: &Path,
    model: &LoadedModel,
    split: ScoredSplit,
    input_of: &dyn Fn(usize) -> Option<Input>,
    (data, languages): (&[(String, String)], &[String]),
    console: &Console,
) -> Result<()> {
    let next = next_steps(args, model.modality, std::slice::from_ref(&split), languages, run_steps);
    let title = title(args);
    let write = |split: &ScoredSplit| {
        let page = evaluation_page(&title, split, data, &next, &Provenance::now());
        write_atomically(out.join("report.html"), page.as_bytes())
    };
    write(&split)?;
    let count = args.mistakes.explain_mistakes;
    let asked = Asked { transform: &model.transform, count, is_int8: model.hardware.int8 };
    let explained = mistakes::explain(&split, &model.inference(), asked, input_of, console);
    match &explained {
        Some(explained) => write(&ScoredSplit { explained: Some(explained), ..split }),
        None => Ok(()),
    }
}

fn title(args: &EvaluateArgs) -> String {
    format!("{} on {}", args.model, named(&args.data))
}

fn next_steps(
    args: &EvaluateArgs,
    modality: Modality,
    splits: &[ScoredSplit],
    languages: &[String],
    steps: impl Fn(&RunFacts) -> Vec<NextStep>,
) -> Vec<NextStep> {
    steps(&RunFacts {
        model: Path::new(&args.model),
        modality,
        is_folder: args.data.iter().any(|data| data.is_dir()),
        training: None,
        splits,
        languages,
        remarks: &[],
    })
}

/// The labelled examples, with what is in them said, and how they were read.
fn load(args: &EvaluateArgs, model: &mut LoadedModel, console: &Console) -> Result<(LabelledSet, ReadOptions)> {
    let mut options = model.read_options(args.columns.read_options(args.bad_input.on_bad_input));
    options.data_flag = Some("--data");
    options.label_separator = model.label_separator(args.labels.label_separator.as_deref());
    options.numbers = model.gives_numbers();
    if model.gives_numbers() && args.labels.label_map.is_some() {
        return Err(Error::request("this model gives numbers, and there are no labels to rename")
            .key("label-map")
            .hint("leave --label-map out"));
    }
    options.label_rules = label_rules(args.labels.on_empty_label, args.labels.label_map.as_deref(), false, None, None)?;
    let known = KnownLabels { labels: &model.classifier.labels, resolution: &model.label_resolution };
    let set = load_labelled(&args.data, &options, Some(known))?;
    for choice in &set.choices {
        model.choices.record(choice.setting, &choice.value, choice.reason.clone());
    }
    console.note(&model.choices);
    set.reading_warnings.iter().chain(&set.warnings).for_each(|warning| console.warn(warning));
    console.note(format!("{}: {}", named(&args.data), set.summary));
    model.label_resolution.sentence().iter().chain(&set.notes).for_each(|note| console.note(note));
    Ok((set, options))
}
