//! How the labels of a file become classes: renamed, merged where they look alike, left out or put together where they
//! are rare. Training decides it from its data; what was decided is kept with the run, so that other files get the
//! same.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::label_map::{LabelMap, MapLookup};
use super::label_text::{brief, folded, looks_missing};
use super::labels::Labels;
use crate::console::units::counted;
use crate::error::{Error, Result, listed, nearest};

/// What is asked for. The order is that of the fields.
#[derive(Debug, Clone, Default)]
pub struct LabelRules {
    /// Whether rows without a label are left out; otherwise they are an error.
    pub skip_empty: bool,
    /// New names of labels.
    pub map: Option<LabelMap>,
    /// Whether labels that look alike become one, by the name of most rows.
    pub merge: bool,
    /// Labels with fewer rows are rare.
    pub min_rows: u64,
    /// What rare labels become; `None`: their rows are left out.
    pub other: Option<String>,
}

/// What becomes of a label that is rare, or that training never saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rare {
    /// Its rows are left out.
    LeftOut,
    /// It counts as this label.
    Becomes(String),
}

/// How labels were resolved: a pure function of the training data and the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelResolution {
    /// Labels, trimmed, with their class; none: left out. What is not here keeps its name.
    #[serde(default)]
    pub renames: BTreeMap<String, Option<String>>,
    /// Whether labels that look like one of these are the same.
    #[serde(default)]
    pub merged: bool,
    /// What becomes of others; none: they are an error.
    #[serde(default)]
    pub rare: Option<Rare>,
}

/// What a label of another file is to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The label itself, or what training made of it.
    Class(u32),
    /// Written otherwise, and meant without doubt; said with the number of rows.
    Variant(u32),
    /// Its rows are left out, as in training.
    LeftOut,
    /// Training never saw it: it counts as the class of rare labels, or (none) its rows are left out as theirs were.
    Unseen(Option<u32>),
    /// No label of the model, and an error.
    Unknown,
}

/// A resolution with what a person should know about it.
#[derive(Debug, Default)]
pub struct Resolved {
    /// What becomes of the labels.
    pub resolution: LabelResolution,
    /// What was done.
    pub notes: Vec<String>,
    /// What may not have been meant.
    pub warnings: Vec<String>,
}

/// How many labels a message names.
const SHOWN: usize = 5;

impl LabelRules {
    /// Decides about the labels of the training data, given with their rows.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn resolve(&self, found: &[(String, u64)]) -> Result<Resolved> {
        let mut resolved = Resolved::default();
        let mut now: Vec<Option<String>> = found.iter().map(|(name, _)| Some(name.clone())).collect();
        if let Some(map) = &self.map {
            rename(map, self.merge, found, &mut now, &mut resolved);
        }
        if self.merge {
            merge(found, &mut now, &mut resolved);
        }
        if self.min_rows > 1 {
            self.put_rare_ones_together(found, &mut now, &mut resolved)?;
        }
        let Resolved { resolution, .. } = &mut resolved;
        for ((name, _), now) in found.iter().zip(&now) {
            if now.as_ref() != Some(name) {
                resolution.renames.insert(name.clone(), now.clone());
            }
        }
        resolution.merged = self.merge;
        if now.iter().all(Option::is_none) && !found.is_empty() {
            return Err(Error::request("no row is left: the rules for labels leave out every label")
                .hint("check --label-map and --min-rows-per-label"));
        }
        Ok(resolved)
    }

    fn put_rare_ones_together(
        &self,
        found: &[(String, u64)],
        now: &mut [Option<String>],
        resolved: &mut Resolved,
    ) -> Result<()> {
        let mut rows: BTreeMap<String, u64> = BTreeMap::new();
        for ((_, count), name) in found.iter().zip(now.iter()) {
            if let Some(name) = name {
                *rows.entry(name.clone()).or_default() += count;
            }
        }
        let other = self.other.as_deref().map(|other| self.class_of_rare_ones(other, &rows)).transpose()?;
        let is_rare = |name: &String| Some(name) != other.as_ref() && rows[name] < self.min_rows;
        let rare: Vec<(&String, u64)> =
            rows.iter().filter(|(name, _)| is_rare(name)).map(|(name, &rows)| (name, rows)).collect();
        for name in now.iter_mut() {
            if name.as_ref().is_some_and(is_rare) {
                name.clone_from(&other);
            }
        }
        resolved.resolution.rare = Some(match &other {
            Some(other) => Rare::Becomes(other.clone()),
            None => Rare::LeftOut,
        });
        let all: u64 = rare.iter().map(|(_, rows)| rows).sum();
        if let Some(other) = &other {
            self.warn_of_others(other, all + rows.get(other).copied().unwrap_or(0), &rare, &mut resolved.warnings);
        }
        if rare.is_empty() {
            return Ok(());
        }
        let verb = match (&other, rare.len()) {
            (Some(other), 1) => format!("becomes `{other}`"),
            (Some(other), _) => format!("become `{other}`"),
            (None, 1) => "is left out".to_owned(),
            (None, _) => "are left out".to_owned(),
        };
        resolved.notes.push(format!(
            "{} with fewer than {} ({} together) {verb}: {}",
            counted(rare.len() as u64, "label"),
            counted(self.min_rows, "row"),
            counted(all, "row"),
            shown(&rare)
        ));
        Ok(())
    }

    /// The class that rare labels become: `other`, or with merging the class that looks like it.
    ///
    /// # Errors
    /// There would be two classes that look alike.
    fn class_of_rare_ones(&self, other: &str, rows: &BTreeMap<String, u64>) -> Result<String> {
        let key = folded(other);
        let alike = rows.iter().find(|(name, rows)| **rows >= self.min_rows && folded(name) == key);
        let alike = alike.or_else(|| rows.iter().find(|(name, _)| self.merge && folded(name) == key));
        match alike {
            Some((name, _)) if self.merge => Ok(name.clone()),
            Some((name, count)) if !rows.contains_key(other) => Err(Error::request(format!(
                "--other {other} looks like the label `{name}` of {}",
                counted(*count, "row")
            ))
            .hint(format!(
                "--other \"{name}\" puts rare labels into that class; --merge-labels takes both spellings as \
                         one; or give another name"
            ))),
            _ => Ok(other.to_owned()),
        }
    }

    /// Warns of what is odd about the class of the rare labels: too few rows, and missing values in it.
    fn warn_of_others(&self, other: &str, rows: u64, rare: &[(&String, u64)], warnings: &mut Vec<String>) {
        let missing: Vec<(&String, u64)> = rare.iter().copied().filter(|(name, _)| looks_missing(name)).collect();
        if !missing.is_empty() {
            let verb = match missing.len() {
                1 => "looks like a missing value and becomes",
                _ => "look like missing values and become",
            };
            warnings.push(format!(
                "{} {verb} `{other}`; --label-map FILE with an empty new name (a line `{},`) leaves the rows out",
                shown(&missing),
                missing.first().map_or("", |(name, _)| name.as_str())
            ));
        }
        if rows > 0 && rows < self.min_rows {
            warnings.push(format!(
                "the class `{}` has {} itself, fewer than the {} of --min-rows-per-label",
                brief(other),
                counted(rows, "row"),
                self.min_rows
            ));
        }
    }
}

/// Gives labels their new names; with `merge`, those too that look like a label of the map.
fn rename(map: &LabelMap, merge: bool, found: &[(String, u64)], now: &mut [Option<String>], resolved: &mut Resolved) {
    let lookup = MapLookup::of(map);
    let (mut renamed, mut left_out) = (0, 0);
    let mut passed_over: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for ((name, rows), now) in found.iter().zip(now.iter_mut()) {
        let Some(target) = lookup.target(name, merge) else {
            match lookup.lookalike(name) {
                // It has the new name already.
                Some(from) if lookup.target(from, false).is_some_and(|to| to.as_ref() == Some(name)) => {}
                Some(from) => passed_over.entry(from).or_default().push((name, *rows)),
                None => {}
            }
            continue;
        };
        now.clone_from(target);
        match target {
            Some(target) if target != name => renamed += rows,
            Some(_) => {}
            None => left_out += rows,
        }
    }
    // Labels that other files may have.
    for (from, to) in &map.entries {
        resolved.resolution.renames.insert(from.clone(), to.clone());
    }
    let as_found = |name: &str| if merge { folded(name) } else { name.to_owned() };
    let found_forms: BTreeSet<String> = found.iter().map(|(name, _)| as_found(name)).collect();
    let is_found = |name: &str| found_forms.contains(&as_found(name));
    let unused: Vec<&str> = map.entries.iter().map(|(from, _)| from.as_str()).filter(|from| !is_found(from)).collect();
    let mut note = format!("{}: {} renamed", map.file.display(), counted(renamed, "row"));
    if left_out > 0 {
        note.push_str(&format!(", {} left out", counted(left_out, "row")));
    }
    resolved.notes.push(note);
    for (from, names) in passed_over {
        let verb = if names.len() == 1 { "looks like" } else { "look like" };
        let way = match merge {
            true => "whose spellings have different new names; give each spelling a line",
            false => "but other spellings are not renamed; --merge-labels renames them too",
        };
        resolved.warnings.push(format!(
            "{}: {} {verb} the mapped `{}`, {way}",
            map.file.display(),
            shown(&names),
            brief(from)
        ));
    }
    if let Some(first) = unused.first() {
        let near = nearest(first, found.iter().map(|(name, _)| name.as_str()));
        let near = near.map_or(String::new(), |near| format!(" (`{first}`: did you mean `{near}`?)"));
        let verb = if unused.len() == 1 { "appears" } else { "appear" };
        let more = if unused.len() > SHOWN { format!(" and {} more", unused.len() - SHOWN) } else { String::new() };
        resolved.warnings.push(format!(
            "{}: {}{more} never {verb} in the training data{near}",
            map.file.display(),
            listed(unused.iter().take(SHOWN))
        ));
    }
}

/// Gives labels that look alike the name of most rows.
fn merge(found: &[(String, u64)], now: &mut [Option<String>], resolved: &mut Resolved) {
    let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
    for ((_, count), name) in found.iter().zip(now.iter()) {
        if let Some(name) = name {
            *rows.entry(name).or_default() += count;
        }
    }
    let counted_names: Vec<(String, u64)> = rows.iter().map(|(name, &rows)| ((*name).to_owned(), rows)).collect();
    let mut winners: HashMap<String, String> = HashMap::new();
    for group in lookalikes(&counted_names) {
        let Some(((winner, most), others)) = group.split_first() else { continue };
        resolved.notes.push(format!("merged into `{}` ({}): {}", brief(winner), counted(*most, "row"), shown(others)));
        winners.extend(others.iter().map(|(name, _)| (name.clone(), winner.clone())));
    }
    for name in now.iter_mut().flatten().chain(resolved.resolution.renames.values_mut().flatten()) {
        if let Some(winner) = winners.get(name.as_str()) {
            name.clone_from(winner);
        }
    }
}

/// Groups of labels that look alike, in each the one with most rows first.
pub fn lookalikes(names: &[(String, u64)]) -> Vec<Vec<(String, u64)>> {
    let mut groups: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    for (name, rows) in names {
        groups.entry(folded(name)).or_default().push((name.clone(), *rows));
    }
    let mut groups: Vec<Vec<(String, u64)>> = groups.into_values().filter(|group| group.len() > 1).collect();
    for group in &mut groups {
        group.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    }
    groups
}

/// `` `a` 12, `b` 3 and 4 more ``.
pub fn shown(names: &[(impl AsRef<str>, u64)]) -> String {
    let mut text: Vec<String> =
        names.iter().take(SHOWN).map(|(name, rows)| format!("`{}` {rows}", brief(name.as_ref()))).collect();
    if names.len() > SHOWN {
        text.push(format!("and {} more", names.len() - SHOWN));
    }
    text.join(", ")
}

impl LabelResolution {
    /// Whether every label keeps its name.
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// What is done to the labels of other files, in a sentence; None where every label keeps its name.
    pub fn sentence(&self) -> Option<String> {
        let left_out = self.renames.values().filter(|now| now.is_none()).count() as u64;
        let renamed = self.renames.len() as u64 - left_out;
        let mut done = Vec::new();
        if renamed > 0 {
            done.push(format!("{} renamed", counted(renamed, "label")));
        }
        if left_out > 0 {
            done.push(format!("{} left out", counted(left_out, "label")));
        }
        if self.merged {
            done.push("spellings merged".to_owned());
        }
        match &self.rare {
            Some(Rare::LeftOut) => done.push("labels that training had too few rows of left out".to_owned()),
            Some(Rare::Becomes(other)) => done.push(format!("labels that training never saw count as `{other}`")),
            None => {}
        }
        (!done.is_empty()).then(|| format!("labels are treated as in training: {}", done.join(", ")))
    }

    /// What a label, trimmed, is to a model with these labels.
    pub fn meaning(&self, label: &str, known: &Labels) -> Meaning {
        let class = |name: &str| known.index_of(name);
        match self.renames.get(label) {
            Some(None) => return Meaning::LeftOut,
            Some(Some(name)) => return class(name).map_or_else(|| self.unseen(known), Meaning::Class),
            None => {}
        }
        if let Some(class) = class(label) {
            return Meaning::Class(class);
        }
        // Labels that look like this one, if they are all one class.
        let key = folded(label);
        let alike = known.names().iter().filter(|name| folded(name) == key).filter_map(|name| class(name));
        let renamed = self.renames.iter().filter(|(name, _)| folded(name) == key);
        let renamed: BTreeSet<Option<u32>> = renamed.map(|(_, now)| now.as_deref().and_then(class)).collect();
        // Merging was for the spellings of renamed labels too.
        let meant: BTreeSet<Option<u32>> = match self.merged && !renamed.is_empty() {
            true => renamed,
            false => alike.map(Some).chain(renamed).collect(),
        };
        match meant.into_iter().collect::<Vec<_>>().as_slice() {
            [Some(class)] => return Meaning::Variant(*class),
            [None] => return Meaning::LeftOut,
            _ => {}
        }
        // transformers' names of classes that have none.
        let unnamed = |index: &u32| known.name(*index) == format!("LABEL_{index}");
        if let Some(index) = label.parse().ok().filter(unnamed) {
            return Meaning::Variant(index);
        }
        self.unseen(known)
    }

    /// What a label is that training never saw.
    fn unseen(&self, known: &Labels) -> Meaning {
        match &self.rare {
            Some(Rare::LeftOut) => Meaning::Unseen(None),
            Some(Rare::Becomes(other)) => {
                known.index_of(other).map_or(Meaning::Unknown, |class| Meaning::Unseen(Some(class)))
            }
            None => Meaning::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[(&str, u64)]) -> Vec<(String, u64)> {
        given.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect()
    }

    #[test]
    fn mapped_then_merged_then_the_rare_together() {
        let map = LabelMap {
            file: "m.csv".into(),
            entries: vec![("defect".into(), Some("BUG".into())), ("junk".into(), None), ("absent".into(), None)],
        };
        let rules = LabelRules {
            map: Some(map),
            merge: true,
            min_rows: 3,
            other: Some("other".into()),
            ..LabelRules::default()
        };
        let found = names(&[("Bug", 5), ("bug", 2), ("defect", 1), ("junk", 9), ("rare", 2), ("ask", 3), ("Rare ", 0)]);
        let Resolved { resolution, notes, warnings } = rules.resolve(&found).unwrap();
        let renamed = |name: &str| resolution.renames.get(name).cloned();
        assert_eq!(renamed("Bug"), None);
        assert_eq!(renamed("bug"), Some(Some("Bug".into())));
        assert_eq!(renamed("defect"), Some(Some("Bug".into())));
        assert_eq!(renamed("junk"), Some(None));
        assert_eq!(renamed("rare"), Some(Some("other".into())));
        assert_eq!(renamed("ask"), None);
        assert!(notes.iter().any(|note| note == "m.csv: 1 row renamed, 9 rows left out"), "{notes:?}");
        assert!(notes.iter().any(|note| note == "merged into `Bug` (5 rows): `bug` 2, `BUG` 1"), "{notes:?}");
        assert!(notes.iter().any(|note| note.starts_with("1 label with fewer than 3 rows")), "{notes:?}");
        assert!(warnings[0].contains("`absent` never appears"), "{warnings:?}");
        // Another file, which has other labels too.
        let known = Labels::from_names(["Bug", "ask", "other"]).unwrap();
        let meaning = |label: &str| resolution.meaning(label, &known);
        assert_eq!(meaning("bug"), Meaning::Class(0));
        assert_eq!(meaning("b u g"), Meaning::Variant(0));
        assert_eq!(meaning("ASK"), Meaning::Variant(1));
        assert_eq!(meaning("junk"), Meaning::LeftOut);
        assert_eq!(meaning("never seen"), Meaning::Unseen(Some(2)));
        let json = serde_json::to_string(&resolution).unwrap();
        assert_eq!(serde_json::from_str::<LabelResolution>(&json).unwrap(), resolution);
    }

    #[test]
    fn variants_are_taken_where_one_class_is_meant() {
        let none = LabelResolution::default();
        assert!(none.is_identity());
        let known = Labels::from_names(["Bug", "ask", "a b", "a_b"]).unwrap();
        let class = |name: &str| known.index_of(name).unwrap();
        assert_eq!(none.meaning("bug", &known), Meaning::Variant(class("Bug")));
        assert_eq!(none.meaning("A-B", &known), Meaning::Unknown);
        assert_eq!(none.meaning("a_b", &known), Meaning::Class(class("a_b")));
        assert_eq!(none.meaning("0", &known), Meaning::Unknown);
        let unnamed = Labels::in_order(vec!["LABEL_0".into(), "LABEL_1".into()]).unwrap();
        assert_eq!(none.meaning("1", &unnamed), Meaning::Variant(1));
        assert_eq!(none.meaning("2", &unnamed), Meaning::Unknown);
    }
}
