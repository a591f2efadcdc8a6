//! Loads labelled files into memory as typed examples, their labels numbered. What is odd about them is counted by
//! [`super::summary`].

use std::collections::HashMap;
use std::path::Path;

use super::columns::{LabelColumn, ResolvedColumns, resolve};
use super::labels::{Labels, MAX_LABELS, too_many};
use super::options::ReadOptions;
use super::reader::RowReader;
use super::row::Row;
use super::summary::{Summary, summarise};
use super::{DetectedSetting, Example};
use crate::console::units::counted;
use crate::error::{Error, Result, listed, nearest};

/// One labelled file, or several that were read as one.
#[derive(Debug, Clone)]
pub struct LabelledSet {
    /// In the order of the files and of their rows.
    pub examples: Vec<Example>,
    /// The classes: those that were found in the file, or those that were given.
    pub labels: Labels,
    /// Counts of rows, classes and oddities.
    pub summary: Summary,
    /// Which columns hold the text and the label, in the first file.
    pub columns: ResolvedColumns,
    /// What was chosen rather than given, with reasons: format, delimiter, columns.
    pub choices: Vec<DetectedSetting>,
}

/// Loads labelled files as one set. Without `known` the labels are discovered; with it they must be among those. Whether
/// the discovered ones are enough to train on is for the task to say. The first file decides about the columns: the
/// others must have the same.
///
/// # Errors
/// When a file cannot be read, has no rows, lacks a column, or has an empty or unknown label.
pub fn load_labelled<P: AsRef<Path>>(
    files: &[P],
    options: &ReadOptions,
    known: Option<&Labels>,
) -> Result<LabelledSet> {
    let options = &ReadOptions { classes: true, ..options.clone() };
    let mut names = match known {
        None => LabelNames::discovered(),
        Some(labels) => LabelNames::known(labels),
    };
    let mut examples = Vec::new();
    let mut trimmed_labels = 0;
    let mut sources: Vec<ResolvedColumns> = Vec::new();
    let mut choices = Vec::new();
    for (file, path) in (0..).zip(files) {
        let mut source = Source::open(path.as_ref(), options, sources.first())?;
        if sources.is_empty() {
            choices.append(&mut source.choices);
        }
        let before = examples.len();
        for row in &mut source.rows {
            let row = row?;
            let Some(label) = source.columns.label_of(&row)? else { continue };
            trimmed_labels += u64::from(label.was_trimmed);
            let index = names.index_of(&label.name, file, &row);
            if let Some(label) = index.map_err(|error| source.columns.at_label(error, row.number, row.line))? {
                examples.push(Example { input: source.columns.input_of(&row)?, label, file, row: row.number });
            }
        }
        if examples.len() == before && names.first_unknown.is_none() {
            return Err(Error::request("the file has a header but no rows")
                .file(&source.rows.layout().file)
                .hint("it needs at least two rows with different labels"));
        }
        sources.push(source.columns);
    }
    let columns = sources.first().cloned().ok_or_else(|| Error::request("no file is given").key("train"))?;
    if let (Some(unknown), Some(labels)) = (&names.first_unknown, known) {
        let error = unknown_label(&unknown.name, &names.unknown_counts, labels);
        let columns = sources.get(unknown.file as usize).unwrap_or(&columns);
        return Err(columns.at_label(error, unknown.row, unknown.line));
    }
    let labels = match known {
        Some(labels) => labels.clone(),
        None => {
            let labels = Labels::from_names(names.found.iter().map(String::as_str))?;
            let final_index: Vec<u32> =
                names.found.iter().map(|name| labels.index_of(name).unwrap_or_default()).collect();
            for example in &mut examples {
                example.label = final_index.get(example.label as usize).copied().unwrap_or_default();
            }
            labels
        }
    };
    let files = sources.iter().map(|columns| columns.file().display().to_string()).collect();
    let summary = Summary { trimmed_labels, ..summarise(&examples, &labels, files) };
    Ok(LabelledSet { examples, labels, summary, columns, choices })
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
        let rows = RowReader::open(path, options)?;
        let layout = rows.layout();
        if !rows.format().names_columns() {
            let why = rows.choices().iter().map(|choice| format!(" ({})", choice.reason)).collect::<String>();
            return Err(Error::request(format!("plain lines of text have no labels{why}"))
                .file(&layout.file)
                .hint("pass a .csv, .tsv or .jsonl file with a text and a label column"));
        }
        if let Some(first) = first.filter(|_| !layout.file.is_dir()) {
            first.check_that_has(layout)?;
        }
        let columns = resolve(layout, options, LabelColumn::Needed)?;
        let choices = rows.choices().iter().chain(&columns.choices).cloned().collect();
        Ok(Self { rows, columns, choices })
    }
}

/// Names of labels seen so far: numbered as they come when they are being discovered, looked up when they are known.
struct LabelNames {
    indices: HashMap<String, u32>,
    /// The discovered names in the order of their provisional indices.
    found: Vec<String>,
    discovering: bool,
    first_unknown: Option<UnknownLabel>,
    unknown_counts: HashMap<String, u64>,
}

struct UnknownLabel {
    name: String,
    file: u32,
    row: u64,
    line: u64,
}

impl LabelNames {
    fn discovered() -> Self {
        Self {
            indices: HashMap::new(),
            found: Vec::new(),
            discovering: true,
            first_unknown: None,
            unknown_counts: HashMap::new(),
        }
    }

    fn known(labels: &Labels) -> Self {
        let indices = (0..).zip(labels.names()).map(|(index, name)| (name.clone(), index)).collect();
        Self { indices, discovering: false, ..Self::discovered() }
    }

    /// The index of a row's label; `None` for one that is not known, which is counted, so that the error can list all
    /// of them.
    fn index_of(&mut self, name: &str, file: u32, row: &Row) -> Result<Option<u32>> {
        if let Some(&index) = self.indices.get(name) {
            return Ok(Some(index));
        }
        if self.discovering {
            if self.found.len() == MAX_LABELS {
                return Err(too_many());
            }
            let index = self.found.len() as u32;
            self.indices.insert(name.to_owned(), index);
            self.found.push(name.to_owned());
            return Ok(Some(index));
        }
        self.first_unknown.get_or_insert_with(|| UnknownLabel {
            name: name.to_owned(),
            file,
            row: row.number,
            line: row.line,
        });
        // Bounded: a wrong column may hold another name in every row.
        if self.unknown_counts.len() < MAX_LABELS || self.unknown_counts.contains_key(name) {
            *self.unknown_counts.entry(name.to_owned()).or_default() += 1;
        }
        Ok(None)
    }
}

/// How many unknown labels a message names.
const SHOWN_LABELS: usize = 5;

/// The error for labels that the model or the training file does not have.
fn unknown_label(first: &str, counts: &HashMap<String, u64>, labels: &Labels) -> Error {
    let near = nearest(first, labels.names().iter().map(String::as_str));
    let meant = near.map(|near| format!("; the nearest known one is `{near}`")).unwrap_or_default();
    let rows: u64 = counts.values().sum();
    let mut counts: Vec<(&str, u64)> = counts.iter().map(|(name, &count)| (name.as_str(), count)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut all: Vec<String> =
        counts.iter().take(SHOWN_LABELS).map(|(name, count)| format!("`{name}` {count}×")).collect();
    if counts.len() > SHOWN_LABELS {
        all.push(format!("and {} more", counts.len() - SHOWN_LABELS));
    }
    let known = listed(labels.names().iter().take(10)) + if labels.len() > 10 { " and others" } else { "" };
    Error::request(format!("the label `{first}` is unknown{meant}")).hint(format!(
        "the model's labels are {known}; unknown ones appear in {}: {}",
        counted(rows, "row"),
        all.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{Input, Place};
    use super::*;

    fn at(row: u64) -> Place {
        Place { file: 0, row }
    }

    fn load(name: &str, content: &str, known: Option<&Labels>) -> Result<LabelledSet> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        load_labelled(&[path], &ReadOptions::default(), known)
    }

    fn refusal(content: &str) -> String {
        let error = load("x.csv", content, None).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        let text = error.to_string();
        text.split_once("x.csv: ").unwrap().1.to_owned()
    }

    #[test]
    fn counts_what_is_odd() {
        let set = load("x.csv", "text,label\na,pos\nb,neg\na, pos\na,neg\n ,pos\na,neg\n", None).unwrap();
        assert_eq!(set.labels.names(), ["neg", "pos"]);
        assert_eq!(set.examples[0], Example { input: Input::Text("a".into()), label: 1, file: 0, row: 1 });
        let expected = Summary {
            rows: 6,
            files: set.summary.files.clone(),
            classes: vec![("neg".into(), 3), ("pos".into(), 3)],
            empty_texts: 1,
            duplicates: 2,
            contradictions: 2,
            contradicting_rows: vec![(at(4), at(1)), (at(6), at(1))],
            trimmed_labels: 1,
            joined_labels: 0,
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
        assert_eq!(refusal("text,label\na,x\nb,\n"), "row 2 (line 3): column `label`: the label is empty");
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
                 `mixed` 2×, `postive` 1×"
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
        let found = crate::data::overlap(&train.examples, &test.examples);
        assert_eq!(
            found,
            crate::data::Overlap { rows: 2, contradictions: 1, shared_rows: vec![(at(2), at(2)), (at(1), at(3))] }
        );
    }
}
