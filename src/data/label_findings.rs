//! What looks wrong about the classes of a file, from their names and sizes alone: labels that look alike, that stand
//! for a missing value, that are scores or several labels in one, and classes of a single row.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::label_rules::{lookalikes, shown};
use super::label_text::{brief, difference, folded, in_latin_letters, looks_missing, whole_number};
use crate::console::units::counted;
use crate::error::{Error, listed};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LabelFindings {
    /// Groups of labels that look alike, in each the one with most rows first.
    pub lookalikes: Vec<Vec<(String, u64)>>,
    /// Labels that mean the same or look the same, and that no rule makes one: in what they differ, and the
    /// labels.
    pub twins: Vec<(&'static str, Vec<(String, u64)>)>,
    /// Labels that programs write for a missing value.
    pub missing: Vec<(String, u64)>,
    /// Classes with one row.
    pub single: Vec<String>,
    /// What the labels are rather than classes.
    pub other_task: Option<OtherTask>,
    /// Whether a class is the folder that sorting fills with what nobody has judged.
    pub unsure: bool,
}

/// The folder in which `rehead label --sort-into` puts images whose label is not known, where nobody names another.
pub const UNSURE: &str = "unsure";

/// Labels that look like those of another task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherTask {
    /// What they look like, as a sentence.
    pub what: String,
    /// What to do about it.
    pub hint: String,
    /// Whether there is hardly a doubt, so that training on them as classes must be asked for.
    pub sure: bool,
    /// Of several labels in one, what is between them; of lists nothing that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
}

/// Different decimals from which they count as scores.
const SCORES: usize = 6;
/// Different numbers from which there is hardly a doubt.
const MANY: usize = 20;
/// Different whole numbers from which they may be scores or keys.
const MANY_INTEGERS: usize = 30;

impl LabelFindings {
    /// Looks at classes with their numbers of rows.
    pub fn of(classes: &[(String, u64)]) -> Self {
        let present: Vec<(String, u64)> = classes.iter().filter(|(_, rows)| *rows > 0).cloned().collect();
        let with = |is: fn(&str) -> bool| present.iter().filter(|(name, _)| is(name)).cloned().collect();
        Self {
            lookalikes: lookalikes(&present),
            twins: twins(&present),
            missing: with(looks_missing),
            single: present.iter().filter(|(_, rows)| *rows == 1).map(|(name, _)| name.clone()).collect(),
            other_task: scores(&present).or_else(|| several_in_one(&present)),
            unsure: false,
        }
    }

    /// The same of classes that are folders, whatever their names look like otherwise.
    pub fn of_folders(self, classes: &[(String, u64)]) -> Self {
        let unsure = classes.iter().any(|(name, rows)| name == UNSURE && *rows > 0);
        Self { other_task: None, unsure, ..self }
    }

    /// What to say about them, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let mut said = Vec::new();
        if let Some(OtherTask { what, hint, .. }) = &self.other_task {
            said.push(format!("{what}; {hint}"));
        }
        for group in &self.lookalikes {
            said.push(format!(
                "labels that look alike are different classes: {} (they differ in {}); --merge-labels makes them one",
                shown(group),
                difference(group.iter().map(|(name, _)| name.as_str()))
            ));
        }
        if self.unsure {
            said.push(format!(
                "the class `{UNSURE}` is named as the folder in which `rehead label --sort-into` puts images below \
                 --min-confidence: sort them into the other classes, or move the folder away"
            ));
        }
        for (what, labels) in &self.twins {
            said.push(format!(
                "labels that look alike are different classes: {} (they differ in {what}); --label-map FILE makes them \
                 one",
                shown(labels)
            ));
        }
        if !self.missing.is_empty() {
            let (verb, stay) = match self.missing.len() {
                1 => ("looks like a missing value and is", "a class"),
                _ => ("look like missing values and are", "classes"),
            };
            said.push(format!(
                "{} {verb} taken as {stay}; --label-map FILE with an empty new name leaves the rows out",
                shown(&self.missing)
            ));
        }
        if let Some(first) = self.single.first() {
            let many = self.single.len() > 1;
            let (count, they) = match self.single.len() {
                1 => (format!("the class `{}` has one row", brief(first)), "it"),
                count => (format!("{count} classes have one row: {}", first_few(&self.single)), "they"),
            };
            let them = if many { "them" } else { "it" };
            said.push(format!(
                "{count}; {they} can be neither split nor measured; --min-rows-per-label 2 leaves {them} out (with \
                 --other NAME: puts {them} into one class)"
            ));
        }
        said
    }
}

impl OtherTask {
    /// Whether rows plainly have several labels.
    pub fn is_of_several_labels(&self) -> bool {
        self.sure && self.separator.is_some()
    }

    /// As the reason not to train on them.
    pub fn refusal(&self) -> Error {
        Error::request(self.what.clone())
            .hint(format!("{}; --task single-label takes every value as a class of its own", self.hint))
    }
}

/// Groups of labels that are one number, or one word in letters of two alphabets, though not to [`folded`].
fn twins(classes: &[(String, u64)]) -> Vec<(&'static str, Vec<(String, u64)>)> {
    let alike = |what: &'static str, form: fn(&str) -> Option<String>| {
        let mut groups: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
        for (name, rows) in classes {
            if let Some(form) = form(name) {
                groups.entry(form).or_default().push((name.clone(), *rows));
            }
        }
        groups.into_values().filter_map(move |mut group| {
            group.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let forms: BTreeSet<String> = group.iter().map(|(name, _)| folded(name)).collect();
            (forms.len() > 1).then_some((what, group))
        })
    };
    let numbers = alike("zeros and signs before a number", whole_number);
    let words = alike("letters of two alphabets", |name| Some(folded(&in_latin_letters(name))));
    numbers.chain(words).collect()
}

fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => listed(names.iter().map(|name| brief(name))),
        Some(more) => {
            let first: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{}`", brief(name))).collect();
            format!("{} and {more} more", first.join(", "))
        }
    }
}

/// Numbers that are measured rather than counted off.
fn scores(classes: &[(String, u64)]) -> Option<OtherTask> {
    let number = |name: &str| name.replace(',', ".").parse::<f64>().ok().filter(|number| number.is_finite());
    if classes.len() < 2 || !classes.iter().all(|(name, _)| number(name).is_some()) {
        return None;
    }
    let rows: u64 = classes.iter().map(|(_, rows)| rows).sum();
    let nearly_all_differ = rows >= 20 && classes.len() as u64 * 2 > rows;
    let examples = listed(classes.iter().take(3).map(|(name, _)| name));
    let whole = classes.iter().all(|(name, _)| number(name).is_some_and(|number| number.fract() == 0.0));
    let hint = "--task regression takes them as numbers; or name another column with --label COL";
    let found = match whole {
        true => classes.len() > MANY_INTEGERS || nearly_all_differ,
        false => classes.len() >= SCORES,
    };
    found.then(|| OtherTask {
        what: format!(
            "the labels are {} different {}, such as {examples}: these look like scores, not classes",
            classes.len(),
            if whole { "whole numbers" } else { "numbers" }
        ),
        hint: hint.to_owned(),
        sure: nearly_all_differ || !whole && classes.len() > MANY,
        separator: None,
    })
}

/// Labels that are lists: `a|b`, `a, b`, `['a', 'b']`.
fn several_in_one(classes: &[(String, u64)]) -> Option<OtherTask> {
    let hint = "--task multi-label with --label-separator \"SEPARATOR\" takes them apart";
    let listed_ones = classes.iter().filter(|(name, _)| {
        let is_list = |open, close| name.starts_with(open) && name.ends_with(close) && name.len() > 2;
        is_list('[', ']') || is_list('{', '}')
    });
    let lists: Vec<&(String, u64)> = listed_ones.collect();
    if lists.len() >= 2 && lists.len() == classes.len() {
        let examples = listed(lists.iter().take(2).map(|(name, _)| brief(name)));
        return Some(OtherTask {
            what: format!("the labels are lists, such as {examples}: these look like several labels per row"),
            hint: hint.to_owned(),
            sure: true,
            separator: Some("|".to_owned()),
        });
    }
    ["|", ";", ",", "/", " + ", "&"].into_iter().find_map(|separator| {
        // These stand in names of single things too.
        let may_be_a_name = ["/", " + ", "&"].contains(&separator);
        let parts_of = |name: &str| name.split(separator).map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        let joined: Vec<&(String, u64)> = classes.iter().filter(|(name, _)| name.contains(separator)).collect();
        let mut labels_with: BTreeMap<String, usize> = BTreeMap::new();
        for (name, _) in classes {
            for part in parts_of(name).into_iter().collect::<BTreeSet<_>>() {
                *labels_with.entry(part).or_default() += 1;
            }
        }
        let parts: BTreeSet<String> = joined.iter().flat_map(|(name, _)| parts_of(name)).collect();
        let recurring = parts.iter().filter(|part| labels_with.get(*part).is_some_and(|&count| count > 1)).count();
        if joined.len() < 2 || parts.contains("") || recurring < 2 || recurring * 2 < parts.len() {
            return None;
        }
        let is_label = |part: &String| classes.iter().any(|(name, _)| name == part);
        if may_be_a_name && !parts.iter().all(is_label) {
            return None;
        }
        let alone = !may_be_a_name && parts.iter().any(is_label);
        let rows: u64 = joined.iter().map(|(_, rows)| rows).sum();
        let examples = listed(joined.iter().take(2).map(|(name, _)| brief(name)));
        Some(OtherTask {
            what: format!(
                "{} hold labels such as {examples}, whose parts recur: these look like several labels per row",
                counted(rows, "row")
            ),
            hint: hint.replace("SEPARATOR", separator.trim()),
            sure: alone,
            separator: Some(separator.to_owned()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[(&str, u64)]) -> LabelFindings {
        LabelFindings::of(&names.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect::<Vec<_>>())
    }

    fn other_task(names: impl IntoIterator<Item = impl Into<String>>) -> Option<bool> {
        let classes: Vec<(String, u64)> = names.into_iter().map(|name| (name.into(), 9)).collect();
        LabelFindings::of(&classes).other_task.map(|task| task.sure)
    }

    #[test]
    fn labels_of_other_tasks_are_told() {
        assert_eq!(other_task((10..60).map(|tenth| format!("{:.1}", f64::from(tenth) / 10.0))), Some(true));
        assert_eq!(other_task(["1.0", "1.5", "2.0", "2.5", "3.0", "3.5"]), Some(false));
        assert_eq!(other_task(["1,5", "2", "2,5", "3", "3,5", "4"]), Some(false));
        assert_eq!(other_task(["0.0", "1.0"]), None);
        assert_eq!(other_task((0..20).map(|n| n.to_string())), None);
        assert_eq!(other_task((0..100).map(|n| n.to_string())), Some(false));
        let keys: Vec<(String, u64)> = (0..40).map(|n| (n.to_string(), 1)).collect();
        assert!(LabelFindings::of(&keys).other_task.unwrap().sure);
        assert_eq!(other_task(["a", "b", "a|b", "b|a|c"]), Some(true));
        assert_eq!(other_task(["a, b", "b, c", "c, a"]), Some(false));
        for joined in [["a/b", "b/c"], ["a + b", "b + c"], ["a & b", "b&c"]] {
            assert_eq!(other_task(joined.into_iter().chain(["a", "b", "c"])), Some(false), "{joined:?}");
            assert_eq!(other_task(joined.into_iter().chain(["a", "b"])), None, "{joined:?}");
        }
        assert_eq!(other_task(["['a', 'b']", "['b']"]), Some(true));
        for plain in [&["a, b", "c"][..], &["Paris, France", "Rome, Italy"], &["a", "b"], &["nlp|x", "cv|y"]] {
            assert_eq!(other_task(plain.to_vec()), None, "{plain:?}");
        }
    }

    #[test]
    fn sentences_name_the_classes_and_a_way_out() {
        let found = found(&[("Bug", 40), ("bug", 12), ("n/a", 3), ("x", 1), ("y", 1), ("z", 0)]);
        let said = found.sentences();
        assert_eq!(
            said[0],
            "labels that look alike are different classes: `Bug` 40, `bug` 12 (they differ in case); --merge-labels \
             makes them one"
        );
        assert!(said[1].starts_with("`n/a` 3 looks like a missing value and is taken as a class"), "{said:?}");
        assert!(said[2].starts_with("2 classes have one row: `x` and `y`; they can be neither split"), "{said:?}");
        assert_eq!(said.len(), 3);
        let names = ["a and b", "c", "d", "e", "f", "g"].map(str::to_owned);
        assert_eq!(first_few(&names), "`a and b`, `c`, `d`, `e`, `f` and 1 more");
    }
}
