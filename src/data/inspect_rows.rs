//! What is counted while the rows of a data file pass, and what looks wrong about them. The report of which it becomes
//! a part is `inspect.rs`'.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash, Hasher};

use serde::Serialize;

use super::Input;
use super::columns::ResolvedColumns;
use super::label_findings::LabelFindings;
use super::labels::MAX_LABELS;
use super::language::Languages;
use super::row::Row;
use crate::console::units::counted;
use crate::error::Result;

/// A class and how frequent it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassReport {
    /// The label as the rows have it, without white space around it.
    pub label: String,
    /// How many rows have this label.
    pub rows: u64,
    /// Of all rows.
    pub share: f64,
}

impl ClassReport {
    /// Classes with how many of `rows` each has, the largest first.
    pub fn of(classes: &HashMap<String, u64>, rows: u64) -> Vec<Self> {
        let share = |class_rows: u64| class_rows as f64 / rows as f64;
        let report = |(label, &rows): (&String, &u64)| Self { label: label.clone(), rows, share: share(rows) };
        let mut classes: Vec<Self> = classes.iter().map(report).collect();
        classes.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.label.cmp(&b.label)));
        classes
    }
}

/// What is counted while the rows pass.
#[derive(Default)]
pub struct Counts {
    /// Whether there is a label column.
    has_labels: bool,
    /// How many were counted; for the caller to raise.
    pub rows: u64,
    labels: HashMap<String, u64>,
    labelled: u64,
    /// Rows whose label is none of the first [`MAX_LABELS`].
    uncounted_labels: u64,
    faulty_labels: u64,
    first_faulty_label: Option<String>,
    trimmed_labels: u64,
    empty_labels: u64,
    first_empty_label: u64,
    /// The hash of the label that each text, by its hash, appeared with first.
    texts: HashMap<u64, u64>,
    /// Texts with the label that they had in an earlier row.
    pub duplicates: u64,
    /// Texts that had another label in an earlier row.
    pub contradictions: u64,
    /// Rows without a text, of which nothing else is counted.
    pub empty: u64,
    /// The length of each text in characters.
    pub characters: Vec<u32>,
    /// The length of each text in words.
    pub words: Vec<u32>,
    /// What the texts are written in.
    pub languages: Languages,
    /// Texts with each sign of damage, in the order of [`SIGNS`].
    signs: [u64; SIGNS.len()],
}

/// A sign that a text was damaged or not cleaned: what to call it, and how to see it.
type Sign = (&'static str, fn(&str) -> bool);

const SIGNS: [Sign; 5] = [
    ("the replacement character U+FFFD in the text (the file was once decoded with the wrong encoding)", |text| {
        text.contains('\u{FFFD}')
    }),
    ("text that looks like UTF-8 decoded as Latin-1, such as Ã© or â€™ (convert the source again)", |text| {
        ["Ã©", "Ã¨", "Ã¼", "Ã¶", "Ã¤", "â€™", "â€œ", "â€“"].iter().any(|sign| text.contains(sign))
    }),
    ("control characters in the text", |text| {
        text.bytes().any(|byte| byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t') || byte == 0x7F)
    }),
    ("HTML tags or entities in the text", has_html),
    ("white space at the beginning or end of the text", |text| text.trim().len() < text.len()),
];

fn has_html(text: &str) -> bool {
    let holds = |rest: &str, names: &[&str]| names.iter().any(|name| rest.starts_with(name));
    text.char_indices().any(|(at, character)| {
        let rest = text.get(at + character.len_utf8()..).unwrap_or_default();
        match character {
            '<' => {
                holds(rest, &["br", "p>", "/p>", "a href", "/a>", "div", "/div>", "span", "b>", "i>", "li>", "img "])
            }
            '&' => holds(rest, &["amp;", "lt;", "gt;", "quot;", "nbsp;", "#"]),
            _ => false,
        }
    })
}

impl Counts {
    /// Nothing counted yet, of a file with or without a label column.
    pub fn new(has_labels: bool) -> Self {
        Self { has_labels, ..Self::default() }
    }

    /// Counts a row.
    ///
    /// # Errors
    /// Its text cannot be used.
    pub fn take(&mut self, row: &Row, columns: &ResolvedColumns) -> Result<()> {
        let input = columns.input_of(row)?;
        // Left out of training, and not labelled.
        if input.is_empty() {
            self.empty += 1;
            return Ok(());
        }
        let label_hash = match columns.label_of(row) {
            Ok(None) => Some(0),
            Ok(Some(label)) if label.name.is_empty() => {
                if self.empty_labels == 0 {
                    self.first_empty_label = row.number;
                }
                self.empty_labels += 1;
                None
            }
            Ok(Some(label)) => {
                self.labelled += 1;
                self.trimmed_labels += u64::from(label.was_trimmed);
                if self.labels.len() < MAX_LABELS || self.labels.contains_key(&*label.name) {
                    *self.labels.entry(label.name.to_string()).or_default() += 1;
                } else {
                    self.uncounted_labels += 1;
                }
                Some(hash_of(&*label.name))
            }
            Err(error) => {
                self.faulty_labels += 1;
                self.first_faulty_label.get_or_insert_with(|| error.to_string());
                None
            }
        };
        if let Input::Image(_) = input {
            // What an image shows is found out by who reads it.
            return Ok(());
        }
        // What has no label repeats and contradicts nothing.
        if let Some(label) = label_hash {
            match self.texts.entry(hash_of(&input)) {
                Entry::Vacant(entry) => {
                    entry.insert(label);
                }
                Entry::Occupied(entry) if *entry.get() == label => self.duplicates += 1,
                Entry::Occupied(_) => self.contradictions += 1,
            }
        }
        let texts: &[&str] = match &input {
            Input::Text(text) => &[text],
            Input::Pair(first, second) => &[first, second],
            Input::Image(_) => &[],
        };
        let words: usize = texts.iter().map(|text| text.split_whitespace().count()).sum();
        self.characters.push(u32::try_from(input.chars()).unwrap_or(u32::MAX));
        self.words.push(u32::try_from(words).unwrap_or(u32::MAX));
        self.languages.add(texts);
        for (count, (_, shows)) in self.signs.iter_mut().zip(SIGNS) {
            *count += u64::from(texts.iter().any(|text| shows(text)));
        }
        Ok(())
    }

    /// By label, the largest class first.
    pub fn classes(&self) -> Vec<ClassReport> {
        ClassReport::of(&self.labels, self.rows)
    }

    /// What looks wrong about the rows that were counted.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(first) = &self.first_faulty_label {
            problems
                .push(format!("{} cannot be used as label; the first: {first}", counted(self.faulty_labels, "row")));
        }
        if self.empty_labels > 0 {
            problems.push(format!(
                "no label in {}, the first in row {}; --on-empty-label skip leaves them out",
                self.share(self.empty_labels),
                self.first_empty_label
            ));
        }
        problems.extend(self.label_problems());
        let (empty, repeated) = match self.has_labels {
            true => (
                "an empty text, so that `train` and `evaluate` leave the row out and `label` gives it no label",
                "text and label of an earlier row repeated",
            ),
            false => ("an empty text, to which `label` gives no label", "the text of an earlier row repeated"),
        };
        for (count, what) in [
            (self.contradictions, "a text that appears with another label in an earlier row"),
            (self.empty, empty),
            (self.duplicates, repeated),
            (self.trimmed_labels, "white space or invisible characters around the label, which are taken off"),
        ] {
            if count > 0 {
                problems.push(format!("{what}: {}", self.share(count)));
            }
        }
        for (&count, (what, _)) in self.signs.iter().zip(&SIGNS) {
            if count > 0 {
                problems.push(format!("{what}: {}", self.share(count)));
            }
        }
        problems
    }

    fn label_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let classes = self.classes();
        let Some(largest) = classes.first() else { return problems };
        let count = classes.len() as u64 + self.uncounted_labels;
        if count == 1 {
            problems.push(format!("every row has the label `{}`: at least two classes are needed", largest.label));
            return problems;
        }
        let sizes: Vec<(String, u64)> = classes.iter().map(|class| (class.label.clone(), class.rows)).collect();
        let findings = LabelFindings::of(&sizes);
        if findings.other_task.as_ref().is_some_and(|other| other.sure) {
            problems.extend(findings.sentences().into_iter().take(1));
            return problems;
        }
        if self.labelled >= 20 && count * 2 > self.labelled {
            problems.push(format!(
                "the label column has {count} different values in {}: is it really the label? \
                 Name another with --label COL",
                counted(self.labelled, "row")
            ));
            return problems;
        }
        problems.extend(findings.sentences());
        problems.extend(size_problems(&classes, self.labelled));
        problems
    }

    fn share(&self, count: u64) -> String {
        format!("{} ({:.1} %)", counted(count, "row"), 100.0 * count as f64 / self.rows as f64)
    }
}

/// What looks wrong about the sizes of classes, the largest first, of `labelled` rows in all.
pub fn size_problems(classes: &[ClassReport], labelled: u64) -> Vec<String> {
    let mut problems = Vec::new();
    let (Some(largest), Some(smallest)) = (classes.first(), classes.last()) else { return problems };
    let tiny: Vec<&ClassReport> = classes.iter().filter(|class| (2..10).contains(&class.rows)).collect();
    if !tiny.is_empty() && labelled >= 20 {
        let mut shown: Vec<String> =
            tiny.iter().rev().take(5).map(|class| format!("{} {}", class.label, class.rows)).collect();
        if tiny.len() > shown.len() {
            shown.push("…".to_owned());
        }
        let classes = if tiny.len() == 1 { "1 class has" } else { &format!("{} classes have", tiny.len()) };
        problems
            .push(format!("{classes} fewer than 10 rows, too few to learn from or to measure: {}", shown.join(", ")));
    }
    if classes.len() > 1 && (largest.share >= 0.8 || largest.rows > 20 * smallest.rows) {
        problems.push(format!(
            "the classes are unequal: `{}` is {:.1} % of the rows, `{}` {:.1} %; prefer macro-F1 to accuracy",
            largest.label,
            100.0 * largest.share,
            smallest.label,
            100.0 * smallest.share
        ));
    }
    problems
}

fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
