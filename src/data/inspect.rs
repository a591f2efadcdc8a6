//! A report on a data file: what is in it, how rehead would read it, and what looks wrong. Reads the file once; memory
//! grows by a few dozen bytes a row, not with the texts. Printing it is up to the caller: as JSON, or as the text of
//! `inspect_text.rs`.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;

use serde::Serialize;

use super::columns::{LabelColumn, ResolvedColumns, resolve};
use super::format::FileFormat;
use super::label_findings::LabelFindings;
use super::labels::MAX_LABELS;
use super::language::{LanguageReport, Languages};
use super::options::ReadOptions;
use super::reader::RowReader;
use super::reading_log::ReadingLog;
use super::row::Row;
use super::{DetectedSetting, Input};
use crate::console::units::counted;
use crate::error::{Error, Result};

/// What is in a data file.
#[derive(Debug, Clone, Serialize)]
pub struct DataReport {
    /// The path; `standard input` for `-`.
    pub file: String,
    /// By the path, the file's name or its first line.
    pub format: FileFormat,
    /// For CSV and TSV.
    pub delimiter: Option<String>,
    /// Every column, in the order of the header.
    pub columns: Vec<ColumnReport>,
    /// The columns that `train` would take as text (one, or two of a pair); empty when they would have to be given.
    pub text: Vec<String>,
    /// The column that `train` would take as the label; `None` when there is none or it would have to be given.
    pub label: Option<String>,
    /// What was chosen rather than given, with reasons.
    pub choices: Vec<DetectedSetting>,
    /// Rows that were read, the header not counted.
    pub rows: u64,
    /// By label, the largest class first; at most [`MAX_LABELS`] are counted.
    pub classes: Vec<ClassReport>,
    /// Rows whose text is nothing but white space.
    pub empty_texts: u64,
    /// Rows whose text appears with the same label (or none) in an earlier row.
    pub duplicates: u64,
    /// Rows whose text appears with another label in an earlier row.
    pub contradictions: u64,
    /// Lengths of the texts, both of a pair together; absent without rows or without a text column.
    pub characters: Option<Distribution>,
    /// The same in words, which are what white space separates.
    pub words: Option<Distribution>,
    /// Languages other than English, of the first texts; the most frequent one first.
    pub languages: Vec<LanguageReport>,
    /// Whether the file was read to its end. When it was not, the first problem says why, and all numbers are of the
    /// rows before.
    pub readable: bool,
    /// What looks wrong, the most serious first, each with what to do about it where that is known.
    pub problems: Vec<String>,
}

/// A column of the file and a look into it.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnReport {
    /// As in the header; the key in JSON Lines.
    pub name: String,
    /// The first few different values, cut short.
    pub examples: Vec<String>,
}

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

/// How long the texts of a file are, with one length per row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distribution {
    /// The length of the shortest text.
    pub min: u32,
    /// Half of the texts are no longer.
    pub median: u32,
    /// The sum of all lengths divided by the number of rows.
    pub mean: f64,
    /// 95 of 100 texts are no longer.
    pub p95: u32,
    /// The length of the longest text.
    pub max: u32,
}

impl Distribution {
    fn of(mut lengths: Vec<u32>) -> Option<Self> {
        lengths.sort_unstable();
        let at = |share: f64| {
            let rank = (share * lengths.len() as f64).ceil() as usize;
            lengths.get(rank.saturating_sub(1)).copied()
        };
        let mean = lengths.iter().map(|&length| f64::from(length)).sum::<f64>() / lengths.len() as f64;
        let (min, max) = (*lengths.first()?, *lengths.last()?);
        Some(Self { min, median: at(0.5)?, mean, p95: at(0.95)?, max })
    }
}

/// Values of a column that are shown, and how much of each.
const EXAMPLES: usize = 3;
const EXAMPLE_CHARS: usize = 60;

/// Reads a data file and reports on it.
///
/// # Errors
/// When the file cannot be opened or its header cannot be read. A fault in a later row becomes a problem of the report.
pub fn inspect(path: &Path, options: &ReadOptions) -> Result<DataReport> {
    let options = &ReadOptions { skip_bad_rows: true, ..options.clone() };
    let mut reader = RowReader::open(path, options)?;
    let log = reader.log();
    let layout = reader.layout().clone();
    let mut choices = reader.choices().to_vec();
    let (columns, unresolved) = match resolve(&layout, options, LabelColumn::Optional) {
        Ok(columns) => (Some(columns), None),
        Err(error) => (None, Some(error)),
    };
    choices.extend(columns.iter().flat_map(|columns| columns.choices.iter().cloned()));

    let mut examples: Vec<Vec<String>> = vec![Vec::new(); layout.columns.len()];
    let mut counts = Counts::default();
    let mut stopped_by = None;
    for row in &mut reader {
        let row = match row {
            Ok(row) if log.leaves_out(&row) => continue,
            Ok(row) => row,
            Err(error) => {
                stopped_by = Some(error);
                break;
            }
        };
        keep_examples(&row, &layout.columns, &mut examples);
        match columns.as_ref().map_or(Ok(()), |columns| counts.take(&row, columns)) {
            Ok(()) => counts.rows += 1,
            Err(error) => log.bad_row(&error),
        }
    }

    let mut problems = Vec::new();
    problems.extend(stopped_by.as_ref().map(|error| format!("cannot be used as it is: {}", with_hint(error))));
    problems.extend(unresolved.as_ref().map(with_hint));
    if counts.rows == 0 && stopped_by.is_none() && log.bad_rows() == 0 {
        problems.push("there is a header but no rows".to_owned());
    }
    // Why a header is doubted may be said with the columns that were not found.
    let said = problems.concat();
    problems.extend(reading_problems(&log, counts.rows).into_iter().filter(|problem| !said.contains(problem)));
    problems.extend(counts.problems());
    let named = layout.columns.iter().zip(examples);
    Ok(DataReport {
        file: layout.file.display().to_string(),
        format: layout.format,
        delimiter: layout.format.shown_delimiter(&layout),
        columns: named.map(|(name, examples)| ColumnReport { name: name.clone(), examples }).collect(),
        text: columns.iter().flat_map(|columns| columns.text_names().map(str::to_owned).collect::<Vec<_>>()).collect(),
        label: columns.as_ref().and_then(|columns| columns.label().map(str::to_owned)),
        choices,
        rows: counts.rows,
        classes: counts.classes(),
        empty_texts: counts.empty,
        duplicates: counts.duplicates,
        contradictions: counts.contradictions,
        characters: Distribution::of(counts.characters),
        words: Distribution::of(counts.words),
        languages: counts.languages.reports(),
        readable: stopped_by.is_none() && log.bad_rows() == 0,
        problems,
    })
}

/// What looks wrong about how the rows are written, the `rows` that can be read counted by others.
fn reading_problems(log: &ReadingLog, rows: u64) -> Vec<String> {
    let mut problems = Vec::new();
    let bad = log.bad_rows();
    if bad > 0 {
        problems.push(format!(
            "{bad} of {} cannot be used: {} (hint: {}; or leave such rows out: \
             --on-bad-input skip)",
            counted(rows + bad, "row"),
            log.described_bad_rows(),
            log.first_hint()
        ));
    }
    problems.extend(log.take_remarks());
    problems.extend(log.notes());
    problems
}

fn with_hint(error: &Error) -> String {
    match error.hint_text() {
        Some(hint) => format!("{error} (hint: {hint})"),
        None => error.to_string(),
    }
}

fn keep_examples(row: &Row, columns: &[String], examples: &mut [Vec<String>]) {
    for (index, (name, kept)) in columns.iter().zip(examples).enumerate() {
        if kept.len() >= EXAMPLES {
            continue;
        }
        let Some(value) = row.text(name, index) else { continue };
        let mut shown: String = value.chars().take(EXAMPLE_CHARS).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        if !shown.is_empty() && !kept.contains(&shown) {
            kept.push(shown);
        }
    }
}

/// What is counted while the rows pass.
#[derive(Default)]
struct Counts {
    rows: u64,
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
    duplicates: u64,
    contradictions: u64,
    empty: u64,
    characters: Vec<u32>,
    words: Vec<u32>,
    languages: Languages,
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
    fn take(&mut self, row: &Row, columns: &ResolvedColumns) -> Result<()> {
        let input = columns.input_of(row)?;
        let label_hash = match columns.label_of(row) {
            Ok(None) => 0,
            Ok(Some(label)) if label.name.is_empty() => {
                if self.empty_labels == 0 {
                    self.first_empty_label = row.number;
                }
                self.empty_labels += 1;
                0
            }
            Ok(Some(label)) => {
                self.labelled += 1;
                self.trimmed_labels += u64::from(label.was_trimmed);
                if self.labels.len() < MAX_LABELS || self.labels.contains_key(&*label.name) {
                    *self.labels.entry(label.name.to_string()).or_default() += 1;
                } else {
                    self.uncounted_labels += 1;
                }
                hash_of(&*label.name)
            }
            Err(error) => {
                self.faulty_labels += 1;
                self.first_faulty_label.get_or_insert_with(|| error.to_string());
                0
            }
        };
        match self.texts.entry(hash_of(&input)) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(label_hash);
            }
            std::collections::hash_map::Entry::Occupied(entry) if *entry.get() == label_hash => self.duplicates += 1,
            std::collections::hash_map::Entry::Occupied(_) => self.contradictions += 1,
        }
        self.empty += u64::from(input.is_empty());
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

    fn classes(&self) -> Vec<ClassReport> {
        let mut classes: Vec<ClassReport> = self
            .labels
            .iter()
            .map(|(label, &rows)| ClassReport { label: label.clone(), rows, share: rows as f64 / self.rows as f64 })
            .collect();
        classes.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.label.cmp(&b.label)));
        classes
    }

    /// What looks wrong about the rows that were counted.
    fn problems(&self) -> Vec<String> {
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
        for (count, what) in [
            (self.contradictions, "a text that appears with another label in an earlier row"),
            (self.empty, "an empty text"),
            (self.duplicates, "text and label of an earlier row repeated"),
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
        let (Some(largest), Some(smallest)) = (classes.first(), classes.last()) else {
            return problems;
        };
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
        let tiny: Vec<&ClassReport> = classes.iter().filter(|class| (2..10).contains(&class.rows)).collect();
        if !tiny.is_empty() && self.labelled >= 20 {
            let mut shown: Vec<String> =
                tiny.iter().rev().take(5).map(|class| format!("{} {}", class.label, class.rows)).collect();
            if tiny.len() > shown.len() {
                shown.push("…".to_owned());
            }
            let classes = if tiny.len() == 1 { "1 class has" } else { &format!("{} classes have", tiny.len()) };
            problems.push(format!(
                "{classes} fewer than 10 rows, too few to learn from or to measure: {}",
                shown.join(", ")
            ));
        }
        if largest.share >= 0.8 || largest.rows > 20 * smallest.rows {
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

    fn share(&self, count: u64) -> String {
        format!("{} ({:.1} %)", counted(count, "row"), 100.0 * count as f64 / self.rows as f64)
    }
}

fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, content: &str) -> DataReport {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        inspect(&path, &ReadOptions::default()).unwrap()
    }

    fn finds(report: &DataReport, problem: &str) -> bool {
        report.problems.iter().any(|found| found.contains(problem))
    }

    #[test]
    fn counts_and_lengths() {
        let report = report("x.csv", "text,label\none two,pos\nthree,neg\none two,pos\none two,neg\n");
        assert_eq!((report.rows, report.duplicates, report.contradictions), (4, 1, 1));
        assert_eq!(report.words, Some(Distribution { min: 1, median: 2, mean: 1.75, p95: 2, max: 2 }));
        assert_eq!(report.classes[0], ClassReport { label: "neg".into(), rows: 2, share: 0.5 });
        assert_eq!(report.columns[0].examples, ["one two", "three"]);
        let text = report.to_string();
        assert!(text.contains("text [text]: \"one two\", \"three\"") && text.contains("delimiter `,`"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["format"], "csv");
    }

    #[test]
    fn says_what_looks_wrong() {
        let rows: String = (0..96).map(|row| format!("text {row},ham\n")).collect();
        let odd = "<br />x,spam\n a,Spam\nna\u{FFFD}ve,spam\n,ham \n";
        let report = report("x.csv", &format!("text,label\n{rows}{odd}"));
        for problem in [
            "HTML",
            "U+FFFD",
            "white space at the beginning or end of the text",
            "empty text",
            "`spam` 2, `Spam` 1 (they differ in case); --merge-labels",
            "unequal",
            "fewer than 10",
            "around the label",
        ] {
            assert!(finds(&report, problem), "{problem} in {:?}", report.problems);
        }
        assert!(!finds(&report, "control"));
    }

    #[test]
    fn faults_are_problems_of_the_report() {
        let broken = report("x.csv", "text,label\na,x\nb\n");
        assert!(!broken.readable && finds(&broken, "row 2 (line 3): 1 field where the header has 2"));
        let unclear = report("x.csv", "a,b,c\n1,2,3\n");
        assert!(unclear.text.is_empty() && finds(&unclear, "no text column found"));
        let empty_label = report("x.csv", "text,label\na,x\nb,\nc,y\n");
        assert!(empty_label.readable && finds(&empty_label, "no label in 1 row (33.3 %), the first in row 2"));
        let ids: String = (0..50).map(|row| format!("text {row},id{row}\n")).collect();
        assert!(finds(&report("x.csv", &format!("text,label\n{ids}")), "is it really the label?"));
        let lines = report("x.txt", "a\nb\n");
        assert_eq!((lines.rows, lines.label, lines.problems.len()), (2, None, 0));
    }
}
