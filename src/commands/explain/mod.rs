//! `rehead explain`: why rows get their labels. [`words`] makes of the tokens' scores those of words; the scores
//! themselves are computed in [`crate::explanation`].

pub(super) mod explainer;
mod output;
mod words;

use std::path::PathBuf;

use self::explainer::Explainer;
use self::output::Printer;
use super::label::check_folder;
use super::loaded_model::LoadedModel;
use super::reading::open;
use crate::cli::{ExplainArgs, InferenceArgs};
use crate::config::{OnBadInput, Precision};
use crate::console::{Console, Progress, units};
use crate::data::{InputColumns, Labels, Row, Together};
use crate::error::{Error, Result, listed, nearest};
use crate::evaluation::softmax;
use crate::explanation::{Effort, Question};
use crate::files;
use crate::interrupt;
use crate::model::Classifier;
use crate::report::html::explanation::ExplainedRow;
use crate::transform::Purpose;

/// Says of the first rows of the input why they get their labels.
///
/// # Errors
/// The model, the input or the output cannot be used, or interrupted.
pub fn run(args: &ExplainArgs) -> Result<()> {
    let console = Console::new(args.quiet);
    let args = &args.with_files()?;
    args.check()?;
    let output = args.output.as_ref().map(|output| files::followed(output));
    output.as_ref().map_or(Ok(()), |output| check_folder(output))?;
    let mut model = LoadedModel::load(&args.model, &inference(&args.inference)?, args.quiet, &console)?;
    refuse_other_tasks(&model.classifier)?;
    let asked = args.label.as_ref().map(|name| class_of(name, &model.classifier.labels)).transpose()?;
    let options = model.read_options(args.form.read_options(OnBadInput::Fail));
    let (rows, columns) = open(&args.input, Together::Read, &options, &["text"], &mut model.choices, &console)?;
    let log = rows.log();

    interrupt::listen();
    let explaining = Explaining { model: &model, columns: &columns, is_several: args.input.len() > 1, asked };
    let bar = console.progress("explaining", rows.row_count().map(|count| count.min(args.rows as u64)), "rows");
    let mut printer = Printer::of(output.as_deref(), args)?;
    let mut counts = Counts::default();
    let ended = explaining.run(rows.take(args.rows), &mut printer, &mut counts, &bar);
    bar.finish();
    log.take_warnings().iter().for_each(|warning| console.warn(warning));
    // Also where it ended early: what is explained by then is kept.
    if counts.rows > 0 || ended.is_ok() {
        printer.finish()?;
        counts.say(output, &console);
    }
    ended
}

/// The share of the change of the log odds that scores may leave unexplained before it is said.
const INEXACT: f64 = 0.05;

#[derive(Default)]
struct Counts {
    rows: u64,
    empty: u64,
    inexact: u64,
}

impl Counts {
    fn say(&self, output: Option<PathBuf>, console: &Console) {
        if self.empty > 0 {
            console.warn(format!("{} without a text: not explained", units::counted(self.empty, "row")));
        }
        if self.inexact > 0 {
            let rows = units::counted(self.inexact, "row");
            console.warn(format!("in {rows} the scores leave more than 5 % of the change unexplained: `unexplained`"));
        }
        if let Some(output) = output {
            console.summary(format!("{} explained: {}", units::counted(self.rows, "row"), output.display()));
        }
    }
}

/// As given, but in fp32: gradients are wanted, and small differences count.
fn inference(args: &InferenceArgs) -> Result<InferenceArgs> {
    match args.precision {
        Precision::Auto | Precision::Fp32 => Ok(InferenceArgs { precision: Precision::Fp32, ..args.clone() }),
        _ => Err(Error::request("explanations are computed in fp32").key("precision").hint("leave out --precision")),
    }
}

fn refuse_other_tasks(classifier: &Classifier) -> Result<()> {
    match classifier.problem_type.as_str() {
        "single_label_classification" => Ok(()),
        other => Err(Error::request(format!("`{other}`: only models with one label a row can be explained"))
            .file(classifier.directory.join("config.json"))
            .key("problem_type")),
    }
}

fn class_of(name: &str, labels: &Labels) -> Result<usize> {
    labels.index_of(name).map(|class| class as usize).ok_or_else(|| {
        let near = nearest(name, labels.names().iter().map(String::as_str));
        let hint =
            near.map_or_else(|| format!("it has {}", listed(labels.names())), |near| format!("did you mean `{near}`?"));
        Error::request(format!("the model has no label `{name}`")).key("label").hint(hint)
    })
}

/// What it takes to explain rows.
struct Explaining<'a> {
    model: &'a LoadedModel,
    columns: &'a InputColumns,
    /// Whether rows are of several files, and theirs is said.
    is_several: bool,
    /// The label to explain; none: the predicted one.
    asked: Option<usize>,
}

impl Explaining<'_> {
    /// Explains row after row.
    fn run(
        &self,
        rows: impl Iterator<Item = Result<Row>>,
        printer: &mut Printer,
        counts: &mut Counts,
        bar: &Progress,
    ) -> Result<()> {
        for row in rows {
            match self.explain(&row?)? {
                Some((explained, unexplained)) => {
                    counts.rows += 1;
                    counts.inexact += u64::from(unexplained > INEXACT);
                    printer.add(explained, unexplained)?;
                }
                None => counts.empty += 1,
            }
            bar.advance(1);
            if interrupt::requested() {
                return Err(Error::interrupted("not all rows are explained"));
            }
        }
        Ok(())
    }

    /// Why a row gets its label, and the share of the change that the scores leave unexplained. Nothing of an empty
    /// text.
    fn explain(&self, row: &Row) -> Result<Option<(ExplainedRow, f64)>> {
        let at = |error: Error| error.file(self.columns.file_of(row)).row(row.number).line(row.line);
        let input = self.columns.input_of(row)?;
        if input.is_empty() {
            return Ok(None);
        }
        let prepared = self.model.transform.prepare(&[&input], Purpose::Inference, &mut |_| {}).map_err(at)?;
        if let Some((_, error)) = prepared.unusable.into_iter().next() {
            return Err(at(error));
        }
        let logits = self.model.inference().logits(&*prepared.set, &mut |_, _| {})?;
        let probabilities = softmax(logits.row(0));
        let best =
            (0..probabilities.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]).then(b.cmp(&a)));
        let best = best.ok_or_else(|| Error::failure("the model has no labels"))?;
        let class = self.asked.unwrap_or(best);
        let effort = Effort::exact(self.model.batch_tokens);
        let explainer = Explainer { classifier: &self.model.classifier, transform: &self.model.transform, effort };
        let (why, unexplained) = explainer.why_prepared(&*prepared.set, &input, Question::Class(class))?;
        let name = |class: usize| self.model.classifier.labels.names().get(class).cloned().unwrap_or_default();
        let (predicted, label) = (name(best), name(class));
        let confidence = probabilities[best];
        let of = self.is_several.then(|| self.columns.file_of(row).display().to_string());
        Ok(Some((ExplainedRow { of, row: row.number, predicted, confidence, label, why }, unexplained)))
    }
}
