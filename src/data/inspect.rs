//! A report on a data file: what is in it, how rehead would read it, and what looks wrong. Reads the file once; memory
//! grows by a few dozen bytes a row, not with the texts. Printing it is up to the caller: as JSON, or as the text of
//! `inspect_text.rs`.

use std::path::Path;

use serde::Serialize;

use super::column_choice::{LabelColumn, resolve};
use super::format::FileFormat;
use super::formats::is_image;
use super::inspect_rows::{ClassReport, Counts};
use super::language::LanguageReport;
use super::options::ReadOptions;
use super::reader::RowReader;
use super::reading_log::ReadingLog;
use super::row::Row;
use super::{DetectedSetting, Modality};
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
    /// Whether the rows are images, and `text` is the column of their paths.
    pub images: bool,
    /// Rows that were read, the header not counted.
    pub rows: u64,
    /// By label, the largest class first; at most 10,000 are counted. Rows with an empty text are left out of training,
    /// and here.
    pub classes: Vec<ClassReport>,
    /// Rows whose text is nothing but white space or characters that nobody sees.
    pub empty_texts: u64,
    /// Rows whose text appears with the same label in an earlier row; without a label column, whose text does.
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

/// How many rows tell whether a table is one of images.
const ROWS_LOOKED_AT: usize = 100;

/// What the rows of a data file are: images where the column that training would read names nothing but image files.
/// What can be read only once, such as standard input, counts as texts.
pub fn modality(path: &Path, options: &ReadOptions) -> Modality {
    if path.is_dir() {
        return Modality::Image;
    }
    let of_images = ReadOptions { modality: Modality::Image, skip_bad_rows: true, ..options.clone() };
    let Some(reader) = path.is_file().then(|| RowReader::open(path, &of_images).ok()).flatten() else {
        return Modality::Text;
    };
    let texts = ReadOptions { modality: Modality::Text, ..of_images.clone() };
    let resolved = [texts, of_images].iter().find_map(|as_| resolve(reader.layout(), as_, LabelColumn::Optional).ok());
    let column = resolved.map(|columns| columns.text_names().map(str::to_owned).collect::<Vec<_>>());
    let Some([column]) = column.as_deref() else { return Modality::Text };
    let Some(index) = reader.layout().columns.iter().position(|name| name == column) else { return Modality::Text };
    let rows = reader.map_while(Result::ok).take(ROWS_LOOKED_AT);
    let mut values = rows.filter_map(|row| row.text(column, index).map(|value| value.trim().to_owned()));
    let mut named = values.by_ref().filter(|value| !value.is_empty()).map(|value| is_image(Path::new(&value)));
    let first = named.next();
    if first == Some(true) && named.all(|is_image| is_image) { Modality::Image } else { Modality::Text }
}

/// Reads a data file and reports on it. Of images (`options.modality`) the paths alone are looked at.
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
    let has_labels = columns.as_ref().is_some_and(|columns| columns.label().is_some());
    let mut counts = Counts::new(has_labels);
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
            Err(error) => log.bad_row(error),
        }
    }

    let mut problems = Vec::new();
    problems.extend(stopped_by.as_ref().map(|error| format!("cannot be used as it is: {}", with_hint(error))));
    problems.extend(unresolved.as_ref().map(with_hint));
    problems.extend(layout.warnings.iter().filter(|_| layout.sheet.is_some()).cloned());
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
        images: options.modality == Modality::Image,
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
            log.described_bad_rows(0),
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
        let odd = "<br />x,spam\n a,Spam\nna\u{FFFD}ve,spam\n,ham \nfine,ham \n";
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
