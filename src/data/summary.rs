//! What a person should know about labelled data before training: class sizes, repeated texts, texts with contradicting
//! labels. Counts only; loading is [`super::examples`]' part.

use std::cmp::Reverse;
use std::fmt;

use serde::Serialize;

use super::label_findings::LabelFindings;
use super::label_text::brief;
use super::labels::Labels;
use super::numbers::NumberSummary;
use super::overlap::{Repeats, repeats};
use super::{Example, Input};
use crate::console::units::{self, counted};

/// What is in a labelled set, and what is odd about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Labelled rows, which is also the number of examples.
    pub rows: u64,
    /// The files that were read together, each with its number of examples.
    pub files: Vec<(String, u64)>,
    /// Each class and its number of rows, in the order of the labels; classes without a row too.
    pub classes: Vec<(String, u64)>,
    /// Whether the rows are images, not texts.
    #[serde(skip)]
    pub images: bool,
    /// Rows whose text is nothing but white space or characters that nobody sees, which were left out.
    pub empty_texts: u64,
    /// Rows whose text (or image) appears with the same label in an earlier row.
    pub duplicates: u64,
    /// Rows whose text (or image) appears with another label in an earlier row.
    pub contradictions: u64,
    /// The first few of these: the row, and the earlier row that says otherwise, both as messages name them.
    pub contradicting_rows: Vec<(String, String)>,
    /// Labels that had white space or other invisible characters at an end, which were taken off.
    pub trimmed_labels: u64,
    /// Rows without a label, which were left out.
    pub empty_labels: u64,
    /// How many labels rows have, where they may have several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub several: Option<SeveralLabels>,
    /// What is in the numbers, where rows have numbers in place of labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<NumberSummary>,
    /// Rows whose label was left out by a rule.
    pub left_out: u64,
    /// What looks wrong about the labels.
    pub findings: LabelFindings,
    /// Characters of the longest text, both of a pair together; 0 for images.
    pub longest_chars: usize,
}

/// How many labels rows have that may have any number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeveralLabels {
    /// Of all rows together.
    pub labels: u64,
    /// Of one row at most.
    pub most: u64,
    /// Rows that have none.
    pub unlabelled_rows: u64,
}

impl SeveralLabels {
    /// Counts those of `examples`.
    pub(super) fn of(examples: &[Example]) -> Self {
        let counts = || examples.iter().map(|example| example.truth.labels().len() as u64);
        Self {
            labels: counts().sum(),
            most: counts().max().unwrap_or(0),
            unlabelled_rows: counts().filter(|&count| count == 0).count() as u64,
        }
    }
}

/// How many classes a line names, the largest.
const SHOWN_CLASSES: usize = 10;

/// Counts what is in `examples`, which come from `files` (as messages name them).
pub(super) fn summarise(examples: &[Example], labels: &Labels, files: Vec<String>) -> Summary {
    let mut rows_of = vec![0u64; files.len()];
    let mut counts = vec![0u64; labels.len()];
    let images = matches!(examples.first(), Some(Example { input: Input::Image(_), .. }));
    let mut summary = Summary { rows: examples.len() as u64, images, ..Summary::default() };
    for example in examples {
        for &label in example.truth.labels() {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        if let Some(rows) = rows_of.get_mut(example.file as usize) {
            *rows += 1;
        }
        summary.longest_chars = summary.longest_chars.max(example.input.chars());
    }
    summary.files = files.into_iter().zip(rows_of).collect();
    let found = repeats(examples.iter().map(|example| (&example.input, &example.truth)));
    summary.set_repeats(&found, |summary, row| examples.get(row).map_or(String::new(), |row| summary.row_name(row)));
    summary.classes = labels.names().iter().cloned().zip(counts).collect();
    summary.findings = LabelFindings::of(&summary.classes);
    summary
}

impl Summary {
    /// A row as messages name it: an image by its file, another with its file where there are several.
    pub fn row_name(&self, example: &Example) -> String {
        match (&example.input, self.files.get(example.file as usize)) {
            (Input::Image(path), _) => path.display().to_string(),
            (_, Some((file, _))) if self.files.len() > 1 => format!("row {} of {file}", example.row),
            _ => format!("row {}", example.row),
        }
    }

    /// Takes over which rows repeat earlier ones; `name` names a row by its index.
    pub fn set_repeats(&mut self, found: &Repeats, name: impl Fn(&Self, usize) -> String) {
        (self.duplicates, self.contradictions) = (found.duplicates, found.contradictions);
        let named = found.contradicting_rows.iter().map(|&(row, earlier)| (name(self, row), name(self, earlier)));
        self.contradicting_rows = named.collect();
    }

    /// How many texts or images are repeated: `2 texts repeated`; nothing where none are.
    pub fn repeated(&self) -> Vec<String> {
        let noun = if self.images { "image" } else { "text" };
        let other = match self.numbers {
            Some(_) => "repeated with another number",
            None => "repeated with another label",
        };
        let mut said: Vec<String> = [(self.duplicates, "repeated"), (self.contradictions, other)]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", counted(count, noun)))
            .collect();
        if let (Some(last), Some((row, earlier))) = (said.last_mut(), self.contradicting_rows.first()) {
            last.push_str(&format!(" ({row} against {earlier})"));
        }
        said
    }
}

impl Summary {
    fn write_classes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut classes: Vec<&(String, u64)> = self.classes.iter().collect();
        classes.sort_by_key(|(_, rows)| Reverse(*rows));
        let shown: Vec<String> =
            classes.iter().take(SHOWN_CLASSES).map(|(name, rows)| format!("{} {rows}", brief(name))).collect();
        let count = classes.len() as u64;
        let noun = match (&self.several, count) {
            (Some(_), 1) => "label",
            (Some(_), _) => "labels",
            (None, 1) => "class",
            (None, _) => "classes",
        };
        write!(f, ", {} {noun}: {}", units::count(count), shown.join(", "))?;
        if classes.len() > SHOWN_CLASSES {
            write!(f, " and {} more", classes.len() - SHOWN_CLASSES)?;
        }
        if let Some(SeveralLabels { labels, most, unlabelled_rows }) = self.several {
            let mean = labels as f64 / self.rows.max(1) as f64;
            write!(f, "; {mean:.2} labels per row, {most} at most")?;
            if unlabelled_rows > 0 {
                write!(f, ", {} without any", counted(unlabelled_rows, "row"))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", counted(self.rows, "row"))?;
        if self.files.len() > 1 {
            let files: Vec<String> = self.files.iter().map(|(file, rows)| format!("{file} {rows}")).collect();
            write!(f, " ({})", files.join(", "))?;
        }
        match &self.numbers {
            Some(numbers) => write!(f, ", {numbers}")?,
            None => self.write_classes(f)?,
        }
        self.repeated().iter().try_for_each(|repeated| write!(f, "; {repeated}"))?;
        if self.trimmed_labels > 0 {
            write!(f, "; white space or invisible characters taken off {}", counted(self.trimmed_labels, "label"))?;
        }
        for (count, what) in [
            (self.empty_texts, "with an empty text left out"),
            (self.empty_labels, "without a label left out"),
            (self.left_out, "left out by the rules"),
        ] {
            if count > 0 {
                write!(f, "; {} {what}", counted(count, "row"))?;
            }
        }
        Ok(())
    }
}
