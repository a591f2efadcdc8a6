//! What is noticed while a file's rows are read: rows that cannot be read, and habits of people that were understood.
//! Counts, with the first rows; whether that is a warning or an error is for those to say who read the file.

use std::sync::{Arc, Mutex};

use super::row::Row;
use crate::console::units::counted;
use crate::error::Error;

/// How many rows that cannot be read are described.
const SHOWN_ROWS: usize = 3;

/// May be asked while another thread reads.
#[derive(Debug, Clone, Default)]
pub struct ReadingLog(Arc<Mutex<Noticed>>);

#[derive(Debug, Default)]
struct Noticed {
    bad_rows: u64,
    /// The first few, described.
    first_bad_rows: Vec<String>,
    first_bad_row: Option<Error>,
    oddities: [Tally; ODDITIES.len()],
    /// What was found out before the first row.
    said: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    count: u64,
    first_row: u64,
}

/// Something in a row that was understood, and that a person should know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// A line without anything, in a table of several columns.
    BlankLine,
    /// Quotes that enclose no whole field, in a table with tabs.
    QuotesAreText,
    /// A blank before or after a quoted field.
    BlankAtQuote,
    /// Half of a pair of UTF-16 units, in JSON.
    LoneSurrogate,
    /// Bytes that mean nothing in the file's encoding.
    Undecodable,
    /// A row to label without a text that can be used.
    NoText,
    /// A labelled row whose text is empty.
    EmptyText,
}

const ODDITIES: [Oddity; 7] = [
    Oddity::BlankLine,
    Oddity::QuotesAreText,
    Oddity::BlankAtQuote,
    Oddity::LoneSurrogate,
    Oddity::Undecodable,
    Oddity::NoText,
    Oddity::EmptyText,
];

impl Oddity {
    /// What is said of `count` of them, the first of which was in row `first`.
    fn said(self, count: u64, first: u64) -> String {
        let rows = counted(count, "row");
        match self {
            Self::BlankLine => {
                format!("{} left out; the first stands before row {first}", counted(count, "blank line"))
            }
            Self::QuotesAreText => format!(
                "quotes taken as text in {rows}, the first is row {first}: a quote opens a field there and encloses no \
                 whole one; --quote none takes all quotes as text"
            ),
            Self::BlankAtQuote => {
                format!("blanks beside the quotes of a field left out in {rows}; the first is row {first}")
            }
            Self::LoneSurrogate => format!(
                "half a character (a lone surrogate such as \\ud83d) replaced by U+FFFD in {rows}; the first is row \
                 {first}"
            ),
            Self::NoText => format!("no text that can be used in {rows}; the first is row {first}"),
            Self::EmptyText => format!("{rows} left out, since the text is empty; the first is row {first}"),
            Self::Undecodable => {
                format!("bytes that mean nothing in the encoding of the file, replaced by U+FFFD: {count}")
            }
        }
    }
}

impl ReadingLog {
    /// Counts an oddity of a row.
    pub fn notice(&self, oddity: Oddity, row: u64) {
        self.notice_many(oddity, 1, row);
    }

    /// Whether a row is to be left out because there is nothing in it, which counts it.
    pub fn leaves_out(&self, row: &Row) -> bool {
        let is_blank = row.is_blank();
        if is_blank {
            self.notice(Oddity::BlankLine, row.number + 1);
        }
        is_blank
    }

    /// Counts several at once.
    pub fn notice_many(&self, oddity: Oddity, count: u64, row: u64) {
        let Ok(mut noticed) = self.0.lock() else { return };
        let Some(tally) = noticed.oddities.get_mut(oddity as usize) else { return };
        if tally.count == 0 {
            tally.first_row = row;
        }
        tally.count += count;
    }

    /// Counts a row that cannot be read or used; `error` says why, with its place.
    pub fn bad_row(&self, error: Error) {
        let Ok(mut noticed) = self.0.lock() else { return };
        noticed.bad_rows += 1;
        if noticed.first_bad_rows.len() < SHOWN_ROWS {
            noticed.first_bad_rows.push(error.without_file());
        }
        noticed.first_bad_row.get_or_insert(error);
    }

    /// The error of the first row that could not be read or used, with what is known of the others of `rows`; `None`
    /// where all could.
    pub fn take_refusal(&self, rows: u64) -> Option<Error> {
        let first = self.0.lock().ok()?.first_bad_row.take()?;
        let first = first.or_hint("or leave such rows out: --on-bad-input skip");
        Some(match self.bad_rows() {
            0 | 1 => first,
            count => first.more(format!(
                "{count} of {} cannot be read, the next: {}",
                counted(rows, "row"),
                self.described_bad_rows(1)
            )),
        })
    }

    /// How many rows could not be read or used.
    pub fn bad_rows(&self) -> u64 {
        self.0.lock().map_or(0, |noticed| noticed.bad_rows)
    }

    /// What helps with the first of the rows that could not be read.
    pub fn first_hint(&self) -> String {
        let Ok(noticed) = self.0.lock() else { return String::new() };
        noticed.first_bad_row.as_ref().and_then(Error::hint_text).unwrap_or_default().to_owned()
    }

    /// The first few of the rows that could not be read or used, described, but for those `before`.
    pub fn described_bad_rows(&self, before: usize) -> String {
        let Ok(noticed) = self.0.lock() else { return String::new() };
        let mut shown = noticed.first_bad_rows.get(before..).unwrap_or_default().join("; ");
        let others = noticed.bad_rows - noticed.first_bad_rows.len() as u64;
        if others > 0 {
            shown.push_str(&format!("; and {others} more"));
        }
        shown
    }

    /// Keeps something for a person that was found out about the file.
    pub fn say(&self, what: impl Into<String>) {
        if let Ok(mut noticed) = self.0.lock() {
            noticed.said.push(what.into());
        }
    }

    /// What was found out about the file before its first row; what is noticed in rows is for when they are counted.
    pub fn take_said(&self) -> Vec<String> {
        self.0.lock().map_or_else(|_| Vec::new(), |mut noticed| std::mem::take(&mut noticed.said))
    }

    /// What a person should know of how the rows were read, a sentence each. What was found out before the first row
    /// is told once.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self.take_remarks();
        let bad = self.bad_rows();
        if bad > 0 {
            let rows = counted(bad, "row");
            warnings.push(format!("{rows} left out, which cannot be read: {}", self.described_bad_rows(0)));
        }
        warnings
    }

    /// The same without the rows that cannot be read.
    pub fn take_remarks(&self) -> Vec<String> {
        let mut remarks = self.take_said();
        remarks.extend(self.oddities(|oddity| oddity != Oddity::BlankLine));
        remarks
    }

    /// What changes nothing.
    pub fn notes(&self) -> Vec<String> {
        self.oddities(|oddity| oddity == Oddity::BlankLine)
    }

    fn oddities(&self, wanted: impl Fn(Oddity) -> bool) -> Vec<String> {
        let Ok(noticed) = self.0.lock() else { return Vec::new() };
        let found =
            ODDITIES.into_iter().zip(noticed.oddities).filter(|(oddity, tally)| wanted(*oddity) && tally.count > 0);
        found.map(|(oddity, tally)| oddity.said(tally.count, tally.first_row)).collect()
    }
}
