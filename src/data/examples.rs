//! Loads labelled files into memory as typed examples. What their labels mean is found out by `label_reading.rs`, what
//! is odd about them is counted by `summary.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use super::column_choice::{LabelColumn, resolve};
use super::columns::ResolvedColumns;
use super::label_reading::{KnownLabels, LabelReading, ReadLabels};
use super::label_rules::LabelResolution;
use super::labels::Labels;
use super::numbers::NumberSummary;
use super::options::ReadOptions;
use super::reader::RowReader;
use super::reading_log::{Oddity, ReadingLog};
use super::row::Row;
use super::row_labels::{RowLabel, RowLabels};
use super::summary::{SeveralLabels, Summary, summarise};
use super::{DetectedSetting, Example, Input, Truth};
use crate::console::units::counted;
use crate::error::{Error, Result, listed};

/// One labelled file, or several that were read as one.
#[derive(Debug, Clone)]
pub struct LabelledSet {
    /// In the order of the files and of their rows.
    pub examples: Vec<Example>,
    /// The classes: those that were found in the file, or those that were given.
    pub labels: Labels,
    /// How the labels became these classes.
    pub resolution: LabelResolution,
    /// Counts of rows, classes and oddities.
    pub summary: Summary,
    /// Which columns hold the text and the label, in the first file.
    pub columns: ResolvedColumns,
    /// What was chosen rather than given, with reasons: format, delimiter, columns.
    pub choices: Vec<DetectedSetting>,
    /// What a person should know of how the rows were read, with the file.
    pub reading_warnings: Vec<String>,
    /// What was done to the labels.
    pub notes: Vec<String>,
    /// What may not have been meant, about the labels and the columns; to be said even when quiet.
    pub warnings: Vec<String>,
}

/// Loads labelled files as one set. Without `known` the labels are discovered, and cleaned by the rules of `options`;
/// with it they must mean labels that are known. Whether the discovered ones are enough to train on is for the task to
/// say. The first file decides about the columns: the others must have the same.
///
/// # Errors
/// When a file cannot be read, has no rows, lacks a column, or has an empty or unknown label.
pub fn load_labelled<P: AsRef<Path>>(
    files: &[P],
    options: &ReadOptions,
    known: Option<KnownLabels>,
) -> Result<LabelledSet> {
    let options = &ReadOptions { classes: true, ..options.clone() };
    let mut reading = LabelReading::default();
    let mut examples = Vec::new();
    let mut sources: Vec<ResolvedColumns> = Vec::new();
    let (mut choices, mut reading_warnings, mut empty_texts) = (Vec::new(), Vec::new(), 0);
    for (file, path) in (0..).zip(files) {
        let mut source = Source::open(path.as_ref(), options, sources.first())?;
        if sources.is_empty() {
            choices.append(&mut source.choices);
        }
        reading.expect(source.columns.labels_of_columns())?;
        empty_texts += source.read_into(&mut examples, &mut reading, file, options)?;
        let file = source.columns.file().display();
        reading_warnings
            .extend(source.rows.log().take_warnings().into_iter().map(|warning| format!("{file}: {warning}")));
        sources.push(source.columns);
    }
    let columns = sources.first().cloned().ok_or_else(|| Error::request("no file is given").key("train"))?;
    reading.check_empty(&sources, options.label_rules.skip_empty)?;
    let ReadLabels { labels, classes, resolution, notes, mut warnings } = match known {
        Some(known) if options.numbers => ReadLabels::of_numbers(known.labels.clone()),
        None if options.numbers => ReadLabels::of_numbers(Labels::in_order(vec![name_of_numbers(&columns)])?),
        None => reading.discovered(&options.label_rules).map_err(|error| columns.at_label_column(error))?,
        Some(known) => reading.looked_up(known, &options.label_rules, &sources)?,
    };
    let labelled = examples.len();
    let mut emptied = 0;
    examples.retain_mut(|example| {
        let had_some = !example.truth.labels().is_empty();
        let Some(truth) = resolved(&example.truth, &classes) else { return false };
        emptied += u64::from(had_some && truth.labels().is_empty());
        example.truth = truth;
        true
    });
    if examples.is_empty() {
        return Err(columns.at_label_column(nothing_left(&reading, known.is_some())));
    }
    if emptied > 0 {
        let (has, is) = if emptied == 1 { ("has", "is") } else { ("have", "are") };
        warnings.push(format!(
            "{} {has} labels of which all are left out, and {is} kept as without any",
            counted(emptied, "row")
        ));
    }
    let names = sources.iter().map(|columns| columns.file().display().to_string()).collect();
    let numbers: Option<Vec<f64>> = examples.iter().map(|example| example.truth.number()).collect();
    let mut summary = Summary {
        empty_texts,
        trimmed_labels: reading.trimmed,
        empty_labels: reading.empty,
        several: options.label_separator.is_some().then(|| SeveralLabels::of(&examples)),
        numbers: numbers.map(|numbers| NumberSummary::of(&numbers)),
        left_out: (labelled - examples.len()) as u64,
        ..summarise(&examples, &labels, names)
    };
    if options.numbers {
        summary.classes.clear();
    }
    if columns.file().is_dir() || options.label_separator.is_some() {
        // The names are not the values of a column.
        summary.findings.other_task = None;
    }
    if columns.file().is_dir() {
        summary.findings = summary.findings.of_folders(&summary.classes);
    }
    let of_source = |columns: &ResolvedColumns, warning: &String| match sources.len() {
        1 => warning.clone(),
        _ => format!("{}: {warning}", columns.file().display()),
    };
    let of_sources = sources.iter().flat_map(|columns| columns.warnings.iter().map(move |text| (columns, text)));
    warnings.splice(0..0, of_sources.map(|(columns, text)| of_source(columns, text)));
    Ok(LabelledSet { examples, labels, resolution, summary, columns, choices, notes, reading_warnings, warnings })
}

/// What a row's truth becomes where each label read becomes the class at its place in `classes`, or (none) is left out.
/// `None`: the row is left out with its label.
fn resolved(truth: &Truth, classes: &[Option<u32>]) -> Option<Truth> {
    let class = |label: &u32| classes.get(*label as usize).copied().flatten();
    match truth {
        Truth::Class(label) => class(label).map(Truth::Class),
        Truth::Several(labels) => {
            let kept: BTreeSet<u32> = labels.iter().filter_map(class).collect();
            Some(Truth::Several(kept.into_iter().collect()))
        }
        Truth::Number(number) => Some(Truth::Number(*number)),
    }
}

/// What the numbers of a column are called; a folder has no columns.
fn name_of_numbers(columns: &ResolvedColumns) -> String {
    columns.label().filter(|_| !columns.file().is_dir()).unwrap_or("score").to_owned()
}

/// The error for labels of which none is left.
fn nothing_left(reading: &LabelReading, known: bool) -> Error {
    Error::request(format!("no row is left after cleaning the labels{}", reading.shown())).hint(match known {
        false => "check --on-empty-label, --label-map and --min-rows-per-label",
        true => "check --on-empty-label and --label-map",
    })
}

/// The error for a file without a row that can be read.
fn no_rows(log: &ReadingLog) -> Error {
    let message = match log.bad_rows() {
        0 => "the file has a header but no rows".to_owned(),
        _ => format!("no row can be read: {}", log.described_bad_rows(0)),
    };
    Error::request(message).hint("it needs at least two rows with different labels")
}

/// What a row says of its label, or of its labels.
enum GivenLabel<'r> {
    One(RowLabel<'r>),
    Several(RowLabels),
    /// A number as it is written.
    Number(RowLabel<'r>),
}

/// A labelled file that is open, with its columns found.
struct Source {
    rows: RowReader,
    columns: ResolvedColumns,
    choices: Vec<DetectedSetting>,
}

impl Source {
    /// Opens a file. Its columns are those of the `first` file, where that is another.
    fn open(path: &Path, options: &ReadOptions, first: Option<&ResolvedColumns>) -> Result<Self> {
        let options = match first.filter(|_| !path.is_dir()) {
            Some(first) if !first.file().is_dir() => {
                &ReadOptions { text: Some(first.text()), label: first.label().map(str::to_owned), ..options.clone() }
            }
            _ => options,
        };
        // Rows that cannot be read are counted, with those that cannot be used.
        let rows = RowReader::open(path, &ReadOptions { skip_bad_rows: true, ..options.clone() })?;
        let layout = rows.layout();
        if !rows.format().names_columns() {
            let why = rows.choices().iter().map(|choice| format!(" ({})", choice.reason)).collect::<String>();
            return Err(Error::request(format!("plain lines of text have no labels{why}")).file(&layout.file).hint(
                "pass a .csv, .tsv, .jsonl, .xlsx or .parquet file with a text and a label column; for a table without \
                 a header: --no-header --text 2 --label 1",
            ));
        }
        if let Some(first) = first.filter(|_| !layout.file.is_dir()) {
            first.check_that_has(layout)?;
        }
        let columns = resolve(layout, options, LabelColumn::Needed)?;
        let choices = rows.choices().iter().chain(&columns.choices).cloned().collect();
        Ok(Self { rows, columns, choices })
    }

    /// Reads all rows of the file of this number but those with an empty text, whose number it returns.
    fn read_into(
        &mut self,
        examples: &mut Vec<Example>,
        reading: &mut LabelReading,
        file: u32,
        options: &ReadOptions,
    ) -> Result<u64> {
        let before = reading.rows;
        let log = self.rows.log();
        let mut empty_texts = 0;
        let refusal = |rows: &RowReader| (!options.skip_bad_rows).then(|| log.take_refusal(rows.rows_read())).flatten();
        while let Some(row) = self.rows.next() {
            let row = row.map_err(|error| refusal(&self.rows).unwrap_or(error))?;
            if log.leaves_out(&row) {
                continue;
            }
            let input = self.columns.input_of(&row);
            // Nor is it labelled: a score must not count what gets no answer.
            if input.as_ref().is_ok_and(Input::is_empty) {
                log.notice(Oddity::EmptyText, row.number);
                empty_texts += 1;
                continue;
            }
            let Some(label) = self.given_label(&row, options)? else { continue };
            // A row that is left out counts for no label.
            let input = match input {
                Ok(input) => input,
                Err(error) => {
                    log.bad_row(error);
                    continue;
                }
            };
            let image = match &input {
                Input::Image(path) if self.columns.file().is_dir() => Some(path.as_path()),
                _ => None,
            };
            let truth = match &label {
                GivenLabel::One(label) => reading.take(label, file, &row, image).map(|label| label.map(Truth::Class)),
                GivenLabel::Several(labels) => {
                    let skip_empty = options.label_rules.skip_empty;
                    let several = reading.take_several(labels, file, &row, image, skip_empty);
                    several.map(|labels| labels.map(Truth::Several))
                }
                GivenLabel::Number(label) => {
                    reading.take_number(label, file, &row).map(|number| number.map(Truth::Number))
                }
            };
            if let Some(truth) = truth.map_err(|error| self.columns.at_label(error, row.number, row.line))? {
                examples.push(Example { input, truth, file, row: row.number });
            }
        }
        if let Some(error) = refusal(&self.rows) {
            return Err(error);
        }
        match reading.rows == before {
            true if empty_texts > 0 => Err(self.all_empty(empty_texts)),
            true => Err(no_rows(&log).file(&self.rows.layout().file)),
            false => Ok(empty_texts),
        }
    }

    /// What a row says of its label.
    fn given_label<'r>(&self, row: &'r Row, options: &ReadOptions) -> Result<Option<GivenLabel<'r>>> {
        match &options.label_separator {
            None if options.numbers => Ok(self.columns.label_of(row)?.map(GivenLabel::Number)),
            None => Ok(self.columns.label_of(row)?.map(GivenLabel::One)),
            Some(separator) => Ok(self.columns.labels_of(row, separator)?.map(GivenLabel::Several)),
        }
    }

    /// The error for a file whose texts are all empty.
    fn all_empty(&self, rows: u64) -> Error {
        let text = listed(self.columns.text_names());
        Error::request(format!("the text of each row is empty: {} of {text}", counted(rows, "row")))
            .file(&self.rows.layout().file)
            .hint("name the column with the texts: --text COL")
    }
}

#[cfg(test)]
mod tests {
    use super::super::label_findings::LabelFindings;
    use super::*;

    fn load(name: &str, content: &str, labels: Option<&Labels>) -> Result<LabelledSet> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let resolution = &LabelResolution::default();
        load_labelled(&[path], &ReadOptions::default(), labels.map(|labels| KnownLabels { labels, resolution }))
    }

    fn refusal(content: &str) -> String {
        let error = load("x.csv", content, None).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        let text = error.to_string();
        text.split_once("x.csv: ").unwrap().1.to_owned()
    }

    #[test]
    fn counts_what_is_odd() {
        let set = load("x.csv", "text,label\na,pos\nb,neg\na, pos\na,neg\n ,pos\n ,neg\na,neg\n", None).unwrap();
        assert_eq!(set.labels.names(), ["neg", "pos"]);
        assert_eq!(
            set.examples[0],
            Example { input: Input::Text("a".into()), truth: Truth::Class(1), file: 0, row: 1 }
        );
        let expected = Summary {
            rows: 5,
            files: set.summary.files.clone(),
            classes: vec![("neg".into(), 3), ("pos".into(), 2)],
            empty_texts: 2,
            duplicates: 2,
            contradictions: 2,
            contradicting_rows: [("row 4", "row 1"), ("row 7", "row 1")].map(|(a, b)| (a.into(), b.into())).to_vec(),
            images: false,
            trimmed_labels: 1,
            empty_labels: 0,
            several: None,
            numbers: None,
            left_out: 0,
            findings: LabelFindings::default(),
            longest_chars: 1,
        };
        assert_eq!(set.summary, expected);
        assert_eq!(set.choices.len(), 2);
    }

    #[test]
    fn integers_and_truth_values_are_labels_in_json() {
        let set = load("x.jsonl", "{\"text\":\"a\",\"label\":10}\n{\"label\":9,\"text\":\"b\"}\n", None).unwrap();
        assert_eq!(set.labels.names(), ["9", "10"]);
        let set = load("x.jsonl", "{\"text\":\"a\",\"label\":true}\n{\"label\":false,\"text\":\"b\"}", None).unwrap();
        assert_eq!(set.labels.names(), ["false", "true"]);
    }

    #[test]
    fn refuses_what_cannot_be_trained_on() {
        assert_eq!(refusal(""), "the file is empty");
        assert_eq!(refusal("text,label\n"), "the file has a header but no rows");
        assert_eq!(
            refusal("text,label\na,x\nb,\n"),
            "column `label`: 1 of 2 labels is empty: row 2 (the first on line 3)"
        );
        assert_eq!(refusal("text,label\na,x\nb\n"), "row 2 (line 3): 1 field where the header has 2");
        let many: String = (0..10_001).map(|row| format!("a,{row}\n")).collect();
        assert!(
            refusal(&format!("text,label\n{many}")).starts_with("row 10001 (line 10002): column `label`: more than")
        );
        assert!(load("x.txt", "a\nb\n", None).unwrap_err().to_string().ends_with("plain lines of text have no labels"));
    }

    #[test]
    fn unknown_labels_are_reported_with_their_counts() {
        let known = Labels::from_names(["positive", "negative"]).unwrap();
        let content = "text,label\na,positive\nb,postive\nc,mixed\nd,mixed\n";
        let error = load("x.csv", content, Some(&known)).unwrap_err();
        assert!(error.to_string().ends_with(
            "row 2 (line 3): column `label`: the label `postive` is unknown; the nearest known one is `positive`"
        ));
        assert_eq!(
            error.hint_text(),
            Some(
                "the model's labels are `negative` and `positive`; unknown ones appear in 3 rows: \
                 `mixed` 2×, `postive` 1×; --label-map FILE renames them"
            )
        );
        // A class may be absent, and one class is enough, when the labels are known.
        let set = load("x.csv", "text,label\na,positive\n", Some(&known)).unwrap();
        assert_eq!(set.summary.classes, [("negative".to_owned(), 0), ("positive".to_owned(), 1)]);
    }

    #[test]
    fn finds_training_rows_in_the_test() {
        let train = load("a.csv", "text,label\na,x\nb,y\nb,x\n", None).unwrap();
        let test = load("b.csv", "text,label\nc,x\nb,y\na,y\n", Some(&train.labels)).unwrap();
        let rows =
            |examples: &[Example]| examples.iter().map(|e| (e.input.clone(), e.truth.clone())).collect::<Vec<_>>();
        let found = crate::data::overlap(rows(&train.examples), rows(&test.examples));
        let expected = crate::data::Overlap { rows: 2, contradictions: 1, contradicting_rows: vec![(2, 0)] };
        assert_eq!(found, expected);
        let said = found.in_words(|rows| format!("{rows} here"), "bad", |row, first| format!("{row} and {first}"));
        assert_eq!(said.unwrap(), "1 here: bad; 1 here with another label (2 and 0): correct the wrong ones");
    }
}
