//! Explanations as a page, as JSON Lines, or printed.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::{ExplainArgs, named};
use crate::console::plain;
use crate::error::{Error, Result};
use crate::files;
use crate::report::html::explanation::{ExplainedRow, ExplanationPage, explanation_page, signed};
use crate::report::why::{Piece, Why};

/// Where explanations go.
pub enum Printer<'a> {
    /// A page, written when all rows are explained.
    Page { file: PathBuf, args: &'a ExplainArgs, rows: Vec<ExplainedRow> },
    /// Lines of JSON, written when all rows are explained.
    Lines { file: PathBuf, text: String },
    /// Lines for people, each as soon as its row is explained.
    Standard,
}

/// Words that are printed of a row.
const MOST_WORDS: usize = 8;

impl<'a> Printer<'a> {
    /// That of a call.
    ///
    /// # Errors
    /// The output is a directory.
    pub fn of(output: Option<&Path>, args: &'a ExplainArgs) -> Result<Self> {
        let Some(file) = output else { return Ok(Self::Standard) };
        if file.is_dir() {
            return Err(Error::request("the output is a directory").file(file).hint("name a file with --output"));
        }
        let file = file.to_owned();
        Ok(match files::extension(&file).as_str() {
            "html" => Self::Page { file, args, rows: Vec::new() },
            _ => Self::Lines { file, text: String::new() },
        })
    }

    /// Takes a row; `unexplained` is the share of the change that its scores do not account for.
    ///
    /// # Errors
    /// Writing fails.
    pub fn add(&mut self, row: ExplainedRow, unexplained: f64) -> Result<()> {
        match self {
            Self::Page { rows, .. } => rows.push(row),
            Self::Lines { text, .. } => {
                text.push_str(&line(&row, unexplained).to_string());
                text.push('\n');
            }
            Self::Standard => {
                let text = plain(printed(&row));
                let standard = Path::new("standard output");
                let written = std::io::stdout().write_all(text.as_bytes());
                written.map_err(|error| Error::io(error, standard))?;
            }
        }
        Ok(())
    }

    /// Writes what is written as a whole.
    ///
    /// # Errors
    /// Writing fails.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Page { file, args, rows } => {
                let input = named(&args.input);
                let page = ExplanationPage { model: &args.model, input: &input, rows: &rows };
                files::write_atomically(file, explanation_page(&page).as_bytes())
            }
            Self::Lines { file, text } => files::write_atomically(file, text.as_bytes()),
            Self::Standard => Ok(()),
        }
    }
}

/// A line of JSON: words with their places in characters, or the map of an image.
fn line(row: &ExplainedRow, unexplained: f64) -> Value {
    let mut line = json!({
        "row": row.row,
        "predicted_label": row.predicted,
        "confidence": row.confidence,
        "label": row.label,
    });
    if let Some(file) = &row.of {
        line["input"] = file.as_str().into();
    }
    match &row.why {
        Why::Texts(texts) => {
            let words: Vec<Value> = texts.iter().enumerate().flat_map(|(text, pieces)| words(text, pieces)).collect();
            line["words"] = words.into();
            line["unexplained"] = unexplained.into();
        }
        Why::Image(image) => {
            line["file"] = image.file.display().to_string().into();
            line["map"] = image.values.chunks(image.columns.max(1)).map(<[f64]>::to_vec).collect();
        }
    }
    line
}

fn words(text: usize, pieces: &[Piece]) -> Vec<Value> {
    let mut at = 0;
    let mut words = Vec::new();
    for piece in pieces {
        let end = at + piece.text.chars().count();
        if let Some(score) = piece.score {
            words.push(json!({ "text": text, "word": piece.text, "start": at, "end": end, "score": score }));
        }
        at = end;
    }
    words
}

/// `row 3: sport 0.998`, and the words that count most, in the order of their scores.
fn printed(row: &ExplainedRow) -> String {
    let of = row.of.as_ref().map_or(String::new(), |file| format!("{file}: "));
    let mut text = format!("{of}row {}: {} {:.3}", row.row, row.predicted, row.confidence);
    if row.label != row.predicted {
        text.push_str(&format!(", for {}", row.label));
    }
    match &row.why {
        Why::Texts(texts) => {
            let scored = texts.iter().flatten().filter_map(|piece| Some((piece.score?, piece.text.as_str())));
            let mut scored: Vec<(f64, &str)> = scored.collect();
            scored.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
            scored.truncate(MOST_WORDS);
            for (score, word) in scored {
                text.push_str(&format!("\n  {} {}", signed(score), word.escape_debug()));
            }
        }
        Why::Image(image) => {
            let most = image.values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(place, _)| place);
            let [row, column] = [most / image.columns.max(1) + 1, most % image.columns.max(1) + 1];
            let (rows, columns) = (image.rows, image.columns);
            text.push_str(&format!(
                " {}\n  most at row {row} of {rows}, column {column} of {columns}",
                image.file.display()
            ));
        }
    }
    text + "\n"
}
