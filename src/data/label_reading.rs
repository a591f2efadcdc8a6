//! The labels of rows as they are read: numbered as they come, and given a class at the end, when all of them are
//! known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::columns::ResolvedColumns;
use super::label_map::MapLookup;
use super::label_rules::{LabelResolution, LabelRules, Meaning, Resolved, shown};
use super::labels::{Labels, MAX_LABELS, too_many};
use super::numbers::{Number, number_in};
use super::row::Row;
use super::row_labels::{RowLabel, RowLabels};
use crate::console::units::counted;
use crate::error::{Error, Result, listed, nearest};

/// The labels of a model or of the training data, and how theirs were resolved.
#[derive(Debug, Clone, Copy)]
pub struct KnownLabels<'a> {
    /// The classes.
    pub labels: &'a Labels,
    /// What training made of the labels in its files.
    pub resolution: &'a LabelResolution,
}

/// The labels read so far.
#[derive(Default)]
pub struct LabelReading {
    /// Rows that were read, with and without a label.
    pub rows: u64,
    /// Labels that had something invisible at an end.
    pub trimmed: u64,
    /// Rows without a label.
    pub empty: u64,
    /// Of these, rows without the column.
    absent: u64,
    first_empty: Vec<Place>,
    indices: HashMap<String, u32>,
    found: Vec<FoundLabel>,
}

/// A distinct label, and where it was first.
struct FoundLabel {
    name: String,
    rows: u64,
    first: Place,
}

#[derive(Clone)]
struct Place {
    file: u32,
    row: u64,
    line: u64,
    /// Of an image in a folder: its file, where nobody counts rows.
    image: Option<PathBuf>,
}

/// What became of the labels.
pub struct ReadLabels {
    /// The classes.
    pub labels: Labels,
    /// For each index that [`LabelReading::take`] gave, its class; none: left out.
    pub classes: Vec<Option<u32>>,
    /// How the labels became these classes.
    pub resolution: LabelResolution,
    /// What was done.
    pub notes: Vec<String>,
    /// What may not have been meant.
    pub warnings: Vec<String>,
}

/// How many labels or rows a message names.
const SHOWN: usize = 5;
const SHOWN_ROWS: usize = 10;

impl ReadLabels {
    /// Those of rows that have numbers, which are called so; of no rules.
    pub fn of_numbers(labels: Labels) -> Self {
        Self {
            labels,
            classes: Vec::new(),
            resolution: LabelResolution::default(),
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl LabelReading {
    /// The index of a row's label among those read; none for a row without one, which is counted.
    ///
    /// # Errors
    /// There are more different labels than can be classes.
    pub fn take(&mut self, label: &RowLabel, file: u32, row: &Row, image: Option<&Path>) -> Result<Option<u32>> {
        self.rows += 1;
        let place = || Place { file, row: row.number, line: row.line, image: image.map(Path::to_owned) };
        if label.name.is_empty() {
            self.count_empty(label.is_absent, place());
            return Ok(None);
        }
        self.trimmed += u64::from(label.was_trimmed);
        self.index_of(&label.name, 1, place).map(Some)
    }

    /// The indices of a row's labels among those read, increasing; none for a row that lacks the column, or, with
    /// `skip_empty`, that has no label.
    ///
    /// # Errors
    /// There are more different labels than can be classes.
    pub fn take_several(
        &mut self,
        labels: &RowLabels,
        file: u32,
        row: &Row,
        image: Option<&Path>,
        skip_empty: bool,
    ) -> Result<Option<Vec<u32>>> {
        self.rows += 1;
        let place = || Place { file, row: row.number, line: row.line, image: image.map(Path::to_owned) };
        if labels.is_absent || skip_empty && labels.names.is_empty() {
            self.count_empty(labels.is_absent, place());
            return Ok(None);
        }
        let names: BTreeSet<&String> = labels.names.iter().collect();
        let indices: BTreeSet<u32> =
            names.into_iter().map(|name| self.index_of(name, 1, place)).collect::<Result<_>>()?;
        Ok(Some(indices.into_iter().collect()))
    }

    /// The number of a row; none for a row without one, which is counted.
    ///
    /// # Errors
    /// What stands there is no number.
    pub fn take_number(&mut self, label: &RowLabel, file: u32, row: &Row) -> Result<Option<Number>> {
        self.rows += 1;
        if label.name.is_empty() {
            self.count_empty(label.is_absent, Place { file, row: row.number, line: row.line, image: None });
            return Ok(None);
        }
        number_in(&label.name).map(Some)
    }

    /// Expects labels of these names, though no row may have them.
    ///
    /// # Errors
    /// There are more different labels than can be classes.
    pub fn expect<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> Result<()> {
        let place = || Place { file: 0, row: 0, line: 0, image: None };
        names.into_iter().try_for_each(|name| self.index_of(name, 0, place).map(|_| ()))
    }

    fn count_empty(&mut self, is_absent: bool, place: Place) {
        self.empty += 1;
        self.absent += u64::from(is_absent);
        if self.first_empty.len() < SHOWN_ROWS {
            self.first_empty.push(place);
        }
    }

    /// The index of a label, with so many more rows.
    fn index_of(&mut self, name: &str, rows: u64, place: impl Fn() -> Place) -> Result<u32> {
        if let Some(&index) = self.indices.get(name) {
            if let Some(found) = self.found.get_mut(index as usize) {
                found.rows += rows;
            }
            return Ok(index);
        }
        if self.found.len() == MAX_LABELS {
            return Err(too_many());
        }
        let index = self.found.len() as u32;
        self.indices.insert(name.to_owned(), index);
        self.found.push(FoundLabel { name: name.to_owned(), rows, first: place() });
        Ok(index)
    }

    /// That every row has a label, unless such rows are to be left out.
    ///
    /// # Errors
    /// With the number of those without, and the first of them.
    pub fn check_empty(&self, sources: &[ResolvedColumns], skip: bool) -> Result<()> {
        let (Some(first), false) = (self.first_empty.first(), skip) else { return Ok(()) };
        let name = |place: &Place| match sources.get(place.file as usize) {
            Some(columns) if sources.len() > 1 => format!("{} of {}", place.row, columns.file().display()),
            _ => place.row.to_string(),
        };
        let mut rows: Vec<String> = self.first_empty.iter().map(name).collect();
        if self.empty > rows.len() as u64 {
            rows.push("…".to_owned());
        }
        let (verb, noun) = if self.empty == 1 { ("is", "row") } else { ("are", "rows") };
        let what = if self.absent == self.empty { "missing" } else { "empty" };
        let error = Error::request(format!(
            "{} of {} labels {verb} {what}: {noun} {} (the first on line {})",
            self.empty,
            self.rows,
            rows.join(", "),
            first.line
        ));
        let error = error.hint("fill them in, or leave these rows out with --on-empty-label skip");
        Err(match sources.get(first.file as usize) {
            Some(columns) => columns.at_label_column(error),
            None => error,
        })
    }

    /// The labels read so far with their rows, the most frequent first, in brackets to follow a message.
    pub fn shown(&self) -> String {
        let mut counts: Vec<(&str, u64)> = self.found.iter().map(|label| (label.name.as_str(), label.rows)).collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        if counts.is_empty() { String::new() } else { format!(" ({})", shown(&counts)) }
    }

    /// The labels as classes of their own, by the rules.
    ///
    /// # Errors
    /// The rules leave nothing.
    pub fn discovered(&self, rules: &LabelRules) -> Result<ReadLabels> {
        let found: Vec<(String, u64)> = self.found.iter().map(|label| (label.name.clone(), label.rows)).collect();
        let Resolved { resolution, notes, warnings } = rules.resolve(&found)?;
        let name_of = |label: &FoundLabel| match resolution.renames.get(&label.name) {
            None => Some(label.name.clone()),
            Some(renamed) => renamed.clone(),
        };
        let labels = Labels::from_names(self.found.iter().filter_map(name_of))?;
        let class = |label: &FoundLabel| name_of(label).and_then(|name| labels.index_of(&name));
        let classes = self.found.iter().map(class).collect();
        Ok(ReadLabels { labels, classes, resolution, notes, warnings })
    }

    /// The labels as classes that are known.
    ///
    /// # Errors
    /// Some mean none of them.
    pub fn looked_up(&self, known: KnownLabels, rules: &LabelRules, sources: &[ResolvedColumns]) -> Result<ReadLabels> {
        let KnownLabels { labels, resolution } = known;
        let map = rules.map.as_ref().map(MapLookup::of);
        let mapped = |name: &str| map.as_ref().and_then(|map| map.target(name, resolution.merged));
        let meaning = |label: &FoundLabel| match mapped(&label.name) {
            Some(None) => Meaning::LeftOut,
            Some(Some(name)) => resolution.meaning(name, labels),
            None => resolution.meaning(&label.name, labels),
        };
        let meanings: Vec<(&FoundLabel, Meaning)> = self.found.iter().map(|label| (label, meaning(label))).collect();
        let of = |wanted: &dyn Fn(&Meaning) -> bool| -> Vec<(&str, u64)> {
            let found = meanings.iter().filter(|(_, meaning)| wanted(meaning));
            found.map(|(label, _)| (label.name.as_str(), label.rows)).collect()
        };
        let unknown = of(&|meaning| *meaning == Meaning::Unknown);
        if let Some((first, _)) = meanings.iter().find(|(_, meaning)| *meaning == Meaning::Unknown) {
            let error = unknown_label(&first.name, unknown, labels);
            return Err(match sources.get(first.first.file as usize) {
                _ if first.first.image.is_some() => error.file(first.first.image.iter().collect::<PathBuf>()),
                Some(columns) => columns.at_label(error, first.first.row, first.first.line),
                None => error,
            });
        }
        let mut notes = Vec::new();
        let left_out = of(&|meaning| *meaning == Meaning::LeftOut);
        if !left_out.is_empty() {
            notes.push(format!("left out as in training: {}", shown(&left_out)));
        }
        let unseen_class = meanings.iter().find_map(|(_, meaning)| match meaning {
            Meaning::Unseen(class) => Some(*class),
            _ => None,
        });
        let unseen = of(&|meaning| matches!(meaning, Meaning::Unseen(_)));
        let mut warnings: Vec<String> =
            unseen_class.map(|class| unseen_labels(unseen, class, labels)).into_iter().collect();
        let mut variants: BTreeMap<u32, Vec<(&str, u64)>> = BTreeMap::new();
        for (label, meaning) in &meanings {
            if let Meaning::Variant(class) = meaning {
                variants.entry(*class).or_default().push((&label.name, label.rows));
            }
        }
        for (class, names) in variants {
            warnings.push(format!("taken as the model's label `{}`: {}", labels.name(class), shown(&names)));
        }
        let classes = meanings.iter().map(|(_, meaning)| match meaning {
            Meaning::Class(class) | Meaning::Variant(class) => Some(*class),
            Meaning::Unseen(class) => *class,
            Meaning::LeftOut | Meaning::Unknown => None,
        });
        Ok(ReadLabels {
            classes: classes.collect(),
            labels: labels.clone(),
            resolution: resolution.clone(),
            notes,
            warnings,
        })
    }
}

/// What is said of labels that training never saw, and that count as a class (or, none, are left out) as rare ones do.
fn unseen_labels(mut counts: Vec<(&str, u64)>, class: Option<u32>, labels: &Labels) -> String {
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let near = |name: &str| nearest(name, labels.names().iter().map(String::as_str));
    let near =
        counts.iter().find_map(|(name, _)| near(name).map(|near| format!(" (`{name}`: did you mean `{near}`?)")));
    let verb =
        if counts.len() == 1 { "is no label of this model and is" } else { "are no labels of this model and are" };
    let what = match class {
        Some(class) => format!("counted as `{}`", labels.name(class)),
        None => "left out, as rare labels were in training".to_owned(),
    };
    format!("{} {verb} {what}{}", shown(&counts), near.unwrap_or_default())
}

/// The error for labels that the model or the training file does not have.
fn unknown_label(first: &str, mut counts: Vec<(&str, u64)>, labels: &Labels) -> Error {
    let near = nearest(first, labels.names().iter().map(String::as_str));
    let meant = near.map(|near| format!("; the nearest known one is `{near}`")).unwrap_or_default();
    let rows: u64 = counts.iter().map(|(_, count)| count).sum();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut all: Vec<String> = counts.iter().take(SHOWN).map(|(name, count)| format!("`{name}` {count}×")).collect();
    if counts.len() > SHOWN {
        all.push(format!("and {} more", counts.len() - SHOWN));
    }
    let known = listed(labels.names().iter().take(10)) + if labels.len() > 10 { " and others" } else { "" };
    Error::request(format!("the label `{first}` is unknown{meant}")).hint(format!(
        "the model's labels are {known}; unknown ones appear in {}: {}; --label-map FILE renames them",
        counted(rows, "row"),
        all.join(", ")
    ))
}
