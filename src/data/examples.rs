//! Loads a labelled file into memory as typed examples, and counts what a person should know about it before training:
//! class sizes, empty and repeated texts, texts with contradicting labels, rows shared by training and test data.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::columns::{LabelColumn, ResolvedColumns, resolve};
use super::labels::{Labels, MAX_LABELS, too_many};
use super::options::ReadOptions;
use super::reader::RowReader;
use super::{DetectedSetting, Example, Input};
use crate::console::units::counted;
use crate::error::{Error, Result, listed, nearest};

/// A labelled file.
#[derive(Debug, Clone)]
pub struct LabelledSet {
    /// In the order of the file.
    pub examples: Vec<Example>,
    /// The classes: those that were found in the file, or those that were given.
    pub labels: Labels,
    /// Counts of rows, classes and oddities.
    pub summary: Summary,
    /// Which columns hold the text and the label.
    pub columns: ResolvedColumns,
    /// What was chosen rather than given, with reasons: format, delimiter, columns.
    pub choices: Vec<DetectedSetting>,
}

/// What is in a labelled set, and what is odd about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Labelled rows, which is also the number of examples.
    pub rows: u64,
    /// Each class and its number of rows, in the order of the labels; classes without a row too.
    pub classes: Vec<(String, u64)>,
    /// Rows whose text is nothing but white space.
    pub empty_texts: u64,
    /// Rows whose text appears with the same label in an earlier row.
    pub duplicates: u64,
    /// Rows whose text appears with another label in an earlier row.
    pub contradictions: u64,
    /// The first few of these: the row, and the earlier row that says otherwise.
    pub contradicting_rows: Vec<(u64, u64)>,
    /// Labels that had white space around them, which was taken off.
    pub trimmed_labels: u64,
    /// Labels that hold a `|`, as several labels joined to one do.
    pub joined_labels: u64,
    /// Characters of the longest text, both of a pair together; 0 for images.
    pub longest_chars: usize,
}

/// How many pairs of rows a list of examples names.
const SHOWN_ROWS: usize = 5;

/// Loads a labelled file. Without `known` the labels are discovered; with it they must be among those. Whether the
/// discovered ones are enough to train on is for the task to say.
///
/// # Errors
/// When the file cannot be read, has no rows, or has an empty or unknown label.
pub fn load_labelled(path: &Path, options: &ReadOptions, known: Option<&Labels>) -> Result<LabelledSet> {
    let options = &ReadOptions { classes: true, ..options.clone() };
    let mut reader = RowReader::open(path, options)?;
    let file = reader.layout().file.clone();
    if !reader.format().names_columns() {
        let why = reader.choices().iter().map(|choice| format!(" ({})", choice.reason)).collect::<String>();
        return Err(Error::request(format!("plain lines of text have no labels{why}"))
            .file(file)
            .hint("pass a .csv, .tsv or .jsonl file with a text and a label column"));
    }
    let columns = resolve(reader.layout(), options, LabelColumn::Needed)?;
    let mut choices = reader.choices().to_vec();
    choices.extend(columns.choices.iter().cloned());

    let mut names = match known {
        None => LabelNames::discovered(),
        Some(labels) => LabelNames::known(labels),
    };
    let mut examples = Vec::new();
    let mut trimmed_labels = 0;
    for row in &mut reader {
        let row = row?;
        let Some(label) = columns.label_of(&row)? else { continue };
        trimmed_labels += u64::from(label.was_trimmed);
        let index = names.index_of(&label.name, row.number, row.line);
        if let Some(index) = index.map_err(|error| columns.at_label(error, row.number, row.line))? {
            examples.push(Example { input: columns.input_of(&row)?, label: index, row: row.number });
        }
    }
    if let (Some(unknown), Some(labels)) = (&names.first_unknown, known) {
        let error = unknown_label(&unknown.name, &names.unknown_counts, labels);
        return Err(columns.at_label(error, unknown.row, unknown.line));
    }
    if examples.is_empty() {
        return Err(Error::request("the file has a header but no rows")
            .file(file)
            .hint("it needs at least two rows with different labels"));
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
    let summary = Summary { trimmed_labels, ..summarise(&examples, &labels) };
    Ok(LabelledSet { examples, labels, summary, columns, choices })
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
    fn index_of(&mut self, name: &str, row: u64, line: u64) -> Result<Option<u32>> {
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
        self.first_unknown.get_or_insert_with(|| UnknownLabel { name: name.to_owned(), row, line });
        // Bounded: a wrong column may hold another name in every row.
        if self.unknown_counts.len() < MAX_LABELS || self.unknown_counts.contains_key(name) {
            *self.unknown_counts.entry(name.to_owned()).or_default() += 1;
        }
        Ok(None)
    }
}

/// The error for labels that the model or the training file does not have.
fn unknown_label(first: &str, counts: &HashMap<String, u64>, labels: &Labels) -> Error {
    let near = nearest(first, labels.names().iter().map(String::as_str));
    let meant = near.map(|near| format!("; the nearest known one is `{near}`")).unwrap_or_default();
    let rows: u64 = counts.values().sum();
    let mut counts: Vec<(&str, u64)> = counts.iter().map(|(name, &count)| (name.as_str(), count)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut all: Vec<String> =
        counts.iter().take(SHOWN_ROWS).map(|(name, count)| format!("`{name}` {count}×")).collect();
    if counts.len() > SHOWN_ROWS {
        all.push(format!("and {} more", counts.len() - SHOWN_ROWS));
    }
    let known = listed(labels.names().iter().take(10)) + if labels.len() > 10 { " and others" } else { "" };
    Error::request(format!("the label `{first}` is unknown{meant}")).hint(format!(
        "the model's labels are {known}; unknown ones appear in {}: {}",
        counted(rows, "row"),
        all.join(", ")
    ))
}

fn summarise(examples: &[Example], labels: &Labels) -> Summary {
    let mut counts = vec![0u64; labels.len()];
    let mut summary = Summary { rows: examples.len() as u64, ..Summary::default() };
    // Each text with the labels it has had and the row that gave each first: nearly always one.
    let mut seen: HashMap<&Input, Vec<(u32, u64)>> = HashMap::with_capacity(examples.len());
    for example in examples {
        if let Some(count) = counts.get_mut(example.label as usize) {
            *count += 1;
        }
        summary.joined_labels += u64::from(labels.name(example.label).contains('|'));
        summary.empty_texts += u64::from(example.input.is_empty());
        summary.longest_chars = summary.longest_chars.max(example.input.chars());
        let earlier = seen.entry(&example.input).or_default();
        let same = earlier.iter().any(|(label, _)| *label == example.label);
        let other = earlier.iter().find(|(label, _)| *label != example.label);
        summary.duplicates += u64::from(same);
        if let Some((_, row)) = other {
            summary.contradictions += 1;
            if summary.contradicting_rows.len() < SHOWN_ROWS {
                summary.contradicting_rows.push((example.row, *row));
            }
        }
        if !same {
            earlier.push((example.label, example.row));
        }
    }
    summary.classes = labels.names().iter().cloned().zip(counts).collect();
    summary
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes: Vec<String> =
            self.classes.iter().take(10).map(|(name, count)| format!("{name} {count}")).collect();
        write!(f, "{}, {} classes: {}", counted(self.rows, "row"), self.classes.len(), classes.join(", "))?;
        if self.classes.len() > 10 {
            write!(f, ", …")?;
        }
        for (count, what) in [
            (self.empty_texts, "empty"),
            (self.duplicates, "repeated"),
            (self.contradictions, "repeated with another label"),
        ] {
            if count > 0 {
                write!(f, "; {} {what}", counted(count, "text"))?;
            }
        }
        if let Some((row, earlier)) = self.contradicting_rows.first() {
            write!(f, " (row {row} against row {earlier})")?;
        }
        if self.trimmed_labels > 0 {
            write!(f, "; white space taken off {}", counted(self.trimmed_labels, "label"))?;
        }
        if self.joined_labels > 0 {
            write!(f, "; {} with `|`, taken as one label each", counted(self.joined_labels, "label"))?;
        }
        Ok(())
    }
}

/// Rows of one set whose input also appears in another: training data that leaked into the test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// How many of the second set's rows.
    pub rows: u64,
    /// How many of these have a label that the first set never gives the same input.
    pub contradictions: u64,
    /// The first few: row in the first set, row in the second.
    pub shared_rows: Vec<(u64, u64)>,
}

/// Finds the inputs of `second` (test) that also appear in `first` (train). Labels are compared by index: load the
/// second set with the labels of the first.
pub fn overlap(first: &[Example], second: &[Example]) -> Overlap {
    let mut known: HashMap<&Input, Vec<&Example>> = HashMap::with_capacity(first.len());
    for example in first {
        match known.entry(&example.input) {
            Entry::Vacant(entry) => {
                entry.insert(vec![example]);
            }
            Entry::Occupied(mut entry) => {
                let same = entry.get().iter().any(|earlier| earlier.label == example.label);
                if !same {
                    entry.get_mut().push(example);
                }
            }
        }
    }
    let mut overlap = Overlap::default();
    for example in second {
        let Some(shared) = known.get(&example.input) else {
            continue;
        };
        overlap.rows += 1;
        overlap.contradictions += u64::from(shared.iter().all(|earlier| earlier.label != example.label));
        if let Some(earlier) = shared.first()
            && overlap.shared_rows.len() < SHOWN_ROWS
        {
            overlap.shared_rows.push((earlier.row, example.row));
        }
    }
    overlap
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, content: &str, known: Option<&Labels>) -> Result<LabelledSet> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        load_labelled(&path, &ReadOptions::default(), known)
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
        assert_eq!(set.examples[0], Example { input: Input::Text("a".into()), label: 1, row: 1 });
        let expected = Summary {
            rows: 6,
            classes: vec![("neg".into(), 3), ("pos".into(), 3)],
            empty_texts: 1,
            duplicates: 2,
            contradictions: 2,
            contradicting_rows: vec![(4, 1), (6, 1)],
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
        let found = overlap(&train.examples, &test.examples);
        assert_eq!(found, Overlap { rows: 2, contradictions: 1, shared_rows: vec![(2, 2), (1, 3)] });
    }
}
