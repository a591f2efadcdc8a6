//! What `label` has written, counted, and how it is told at the end: labels, rows left without one and why, texts that
//! were not read to their end. Even `--quiet` says what changes the meaning of the output.

use std::cmp::Reverse;
use std::time::Duration;

use super::confident::Confident;
use super::written::WrittenRows;
use crate::cli::{LabelArgs, is_stream};
use crate::console::table::{Column, Table};
use crate::console::{Console, units};
use crate::data::{Labels, Modality};
use crate::error::Result;
use crate::transform::Unread;

/// More labels than this are not all shown: the most frequent are.
const MOST_LABELS_SHOWN: usize = 20;
const WIDEST_LABEL: usize = 40;
/// That so many rows get the same label is worth a word.
const ROWS_FOR_SUSPICION: u64 = 10;

/// Counts over the rows of the output.
#[derive(Default)]
pub struct Summary {
    /// Rows that were written by an interrupted call before this one.
    before: u64,
    /// Whether these are counted too. What of their texts was not read is not.
    before_is_counted: bool,
    /// Rows with a label, or with several.
    labelled: u64,
    /// Rows by label.
    by_class: Vec<u64>,
    /// Rows whose answer was less confident than asked for.
    unsure: u64,
    /// Rows that were too unusual.
    unusual: u64,
    /// Rows without a text.
    pub empty: u64,
    /// Rows whose image or text could not be read.
    pub unreadable: u64,
    /// Pairs of which one text is empty.
    pub half_empty: u64,
    pub unread: Unread,
}

impl Summary {
    /// Nothing counted yet, after `before` rows that an earlier call has written.
    pub fn new(classes: usize, before: u64) -> Self {
        Self { before, by_class: vec![0; classes], ..Self::default() }
    }

    /// Counts the rows that the interrupted call before this one has written. Where they cannot be read again, or are
    /// others in number, they are not counted, which the end says.
    pub fn count_before(&mut self, written: Result<WrittenRows>, modality: Modality, labels: &Labels) {
        let mut counted = Self::new(self.by_class.len(), self.before);
        let is_read = written.and_then(|written| counted.count_written(written, modality, labels)).is_ok();
        if is_read && counted.rows() == self.before {
            *self = Self { before_is_counted: true, ..counted };
        }
    }

    fn count_written(&mut self, written: WrittenRows, modality: Modality, labels: &Labels) -> Result<()> {
        let WrittenRows { rows, columns, label, confidence, typicality } = written;
        for row in rows {
            let row = row?;
            if columns.value(&row, confidence).is_empty() {
                *(if modality == Modality::Image { &mut self.unreadable } else { &mut self.empty }) += 1;
            } else {
                let class = labels.index_of(&columns.value(&row, label)).map(|class| class as usize);
                let is_unusual = typicality.is_some_and(|(column, share)| {
                    columns.value(&row, column).parse::<f64>().is_ok_and(|typicality| typicality <= share)
                });
                self.count(class.as_slice(), is_unusual);
            }
        }
        Ok(())
    }

    /// Counts a row that got these labels, or that was too unusual, or whose answer was not confident enough.
    pub fn count(&mut self, labels: &[usize], is_unusual: bool) {
        match labels {
            [] if is_unusual => self.unusual += 1,
            [] => self.unsure += 1,
            _ => self.labelled += 1,
        }
        for &label in labels {
            if let Some(rows) = self.by_class.get_mut(label) {
                *rows += 1;
            }
        }
    }

    /// Adds what was written into another output.
    pub fn add(&mut self, other: Self) {
        if other.before > 0 && !other.before_is_counted {
            self.before += other.before;
        }
        self.labelled += other.labelled;
        self.by_class.iter_mut().zip(other.by_class).for_each(|(rows, other)| *rows += other);
        self.unsure += other.unsure;
        self.unusual += other.unusual;
        self.empty += other.empty;
        self.unreadable += other.unreadable;
        self.half_empty += other.half_empty;
        self.unread.add(&other.unread);
    }

    fn labelled(&self) -> u64 {
        self.labelled
    }

    fn rows(&self) -> u64 {
        self.labelled() + self.unsure + self.unusual + self.empty + self.unreadable
    }

    /// Tells it. `confident` says which rows get a label, `time` what the call's own rows took.
    pub fn print(&self, args: &LabelArgs, confident: &Confident, labels: &Labels, time: Duration, console: &Console) {
        if self.before > 0 && !self.before_is_counted {
            let before = units::counted(self.before, "row");
            console.note(format!("counts are without the {before} that an earlier call has labelled"));
        }
        if labels.len() > 1 && self.rows() > 1 && self.labelled() + self.unsure + self.unusual > 0 {
            console.note(self.table(args, confident, labels));
        }
        let since = if self.before > 0 { format!("after row {}: ", units::count(self.before)) } else { String::new() };
        let unread = self.unread.remarks().into_iter().map(|remark| since.clone() + &remark);
        for remark in unread.chain(self.warnings(labels)) {
            console.warn(remark);
        }
        console.summary(self.told(args, time));
    }

    /// How many rows are labelled, in a sentence.
    pub fn told(&self, args: &LabelArgs, time: Duration) -> String {
        let uncounted = if self.before_is_counted { 0 } else { self.before };
        let (labelled, rows) = (self.labelled() + uncounted, self.rows() + uncounted);
        let own = rows - self.before;
        let mut told = match labelled == rows {
            true => format!("{} labelled", units::counted(rows, "row")),
            false => format!("{} of {} labelled", units::count(labelled), units::counted(rows, "row")),
        };
        if own > 1 {
            told.push_str(&format!(" ({})", units::rate(own as f64 / time.as_secs_f64(), "rows")));
        }
        if !is_stream(&args.output) {
            told.push_str(&format!(": {}", args.output.display()));
        }
        told
    }

    /// Rows and share of each label, the most frequent first, and of the rows without one.
    fn table(&self, args: &LabelArgs, confident: &Confident, labels: &Labels) -> Table {
        let mut table =
            Table::new([Column::left("label").at_most(WIDEST_LABEL), Column::right("rows"), Column::right("share")]);
        let all = self.rows().max(1) as f64;
        let mut row = |name: String, rows: u64| {
            table.row([name, units::count(rows), format!("{:.1} %", 100.0 * rows as f64 / all)]);
        };
        let mut counted: Vec<(u64, &String)> = self.by_class.iter().copied().zip(labels.names()).collect();
        counted.sort_by_key(|(rows, _)| Reverse(*rows));
        let shown = if counted.len() > MOST_LABELS_SHOWN + 1 { MOST_LABELS_SHOWN } else { counted.len() };
        for (rows, name) in &counted[..shown] {
            row((*name).clone(), *rows);
        }
        if shown < counted.len() {
            let rest = counted[shown..].iter().map(|(rows, _)| rows).sum();
            row(format!("… {} more labels", counted.len() - shown), rest);
        }
        let written = args.unknown_label.as_ref().map_or("left empty".to_owned(), |name| format!("written as {name}"));
        for (rows, why) in [
            (self.unsure, format!("({written}: {})", confident.below)),
            (self.unusual, format!("({written}: too unusual)")),
            (self.empty, "(left empty: no text)".to_owned()),
            (self.unreadable, "(left empty: unreadable)".to_owned()),
        ] {
            if rows > 0 {
                row(why, rows);
            }
        }
        table
    }

    /// What changes the meaning of the output.
    fn warnings(&self, labels: &Labels) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.empty > 0 {
            let text = if self.empty == 1 { "no text and gets" } else { "no text and get" };
            let has = if self.empty == 1 { "has" } else { "have" };
            warnings.push(format!("{} {has} {text} no label", units::counted(self.empty, "row")));
        }
        if self.half_empty > 0 {
            let (has, is) = if self.half_empty == 1 { ("has", "it is") } else { ("have", "they are") };
            let pairs = units::counted(self.half_empty, "pair");
            warnings.push(format!("{pairs} {has} one empty text; {is} labelled by the other alone"));
        }
        if self.unreadable > 0 {
            let rows = units::counted(self.unreadable, "row");
            let get = if self.unreadable == 1 { "gets" } else { "get" };
            warnings.push(format!("{rows} could not be read and {get} no label"));
        }
        let given: Vec<&String> =
            self.by_class.iter().zip(labels.names()).filter(|(rows, _)| **rows > 0).map(|(_, name)| name).collect();
        if let [only] = given[..]
            && labels.len() > 1
            && self.labelled() >= ROWS_FOR_SUSPICION
            && self.unsure + self.unusual == 0
        {
            let row = match (self.empty, self.unreadable) {
                (0, 0) => "row",
                (0, _) => "row that can be read",
                _ => "row that has a text",
            };
            warnings.push(format!(
                "every {row} gets `{only}`: either the rows are alike, or the model always answers this; `rehead \
                 evaluate` on labelled rows tells which"
            ));
        }
        warnings
    }
}
