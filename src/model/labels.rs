//! The labels of a classifier that comes from a checkpoint, and what kind of answer it gives.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::classifier::LABEL_THRESHOLDS;
use crate::data::Labels;
use crate::error::{Error, Result, listed};

/// The class names of a checkpoint, each with its own name and without blanks around it: timm's `label_names`,
/// transformers' `id2label`, or `LABEL_0` and so on as transformers calls them. `weight` names the weight of its head's
/// output layer. Names that had to be changed go into `warnings`.
///
/// # Errors
/// There is no head, or the names are not those of its classes.
pub fn stored_labels(checkpoint: &Checkpoint, weight: &str, warnings: &mut Vec<String>) -> Result<Labels> {
    let file = checkpoint.config_file();
    let Some(&[classes, _]) = checkpoint.weights.shape(weight) else {
        return Err(Error::request("this model has no classification head")
            .file(&checkpoint.directory)
            .key(weight)
            .hint("give it one first: rehead train --model … --train … --out RUN, then use --model RUN"));
    };
    let refused = |key: &str, message: String| {
        Error::request(message)
            .file(&file)
            .key(key)
            .hint("config.json must count and name every class of the head once")
    };
    if let Some(names) = listed_names(checkpoint) {
        return distinct(from_list(names, classes, &file)?, &file, warnings);
    }
    let given = |key: &str| checkpoint.config.get(key).filter(|value| !value.is_null());
    if let Some(count) = given("num_labels").filter(|count| count.as_u64() != Some(classes as u64)) {
        return Err(refused("num_labels", format!("{count} where the head has {classes} classes")));
    }
    let names = match given("id2label") {
        Some(Value::Object(names)) if !names.is_empty() => names,
        None | Some(Value::Object(_)) => {
            return Labels::in_order((0..classes).map(|index| format!("LABEL_{index}")).collect());
        }
        Some(_) => return Err(refused("id2label", "must be an object from numbers to names".to_owned())),
    };
    if names.len() > classes {
        return Err(refused("id2label", format!("names {} labels; the head has {classes} classes", names.len())));
    }
    let name = |index: usize| names.get(&index.to_string()).and_then(word);
    let names = (0..classes).map(|index| {
        name(index).ok_or_else(|| {
            refused("id2label", format!("names no label for class {index}; the head has {classes} classes"))
        })
    });
    distinct(names.collect::<Result<Vec<_>>>()?, &file, warnings)
}

/// A name as a file writes it: a text that is not blank, or a number.
fn word(name: &Value) -> Option<String> {
    match name {
        Value::String(name) if !name.trim().is_empty() => Some(name.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The names as labels. Classes that share a name get their index behind it, as in ImageNet, which has two kinds of
/// `crane`.
fn distinct(mut names: Vec<String>, file: &Path, warnings: &mut Vec<String>) -> Result<Labels> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for name in &names {
        *counts.entry(name.clone()).or_default() += 1;
    }
    let mut repeated: Vec<&str> = counts.iter().filter(|(_, count)| **count > 1).map(|(name, _)| &**name).collect();
    repeated.sort_unstable();
    if let [first, ..] = repeated[..] {
        let classes = names.iter().enumerate().filter(|(_, name)| *name == first);
        let made = classes.map(|(index, name)| format!("{name}_{index}"));
        let others = match repeated.len() - 1 {
            0 => String::new(),
            1 => ", and another name is shared too".to_owned(),
            count => format!(", and {count} other names are shared too"),
        };
        warnings.push(format!(
            "{}: several classes are called `{first}`: they become {}{others}",
            file.display(),
            listed(made.collect::<Vec<_>>())
        ));
    }
    for (index, name) in names.iter_mut().enumerate() {
        if counts.get(name).is_some_and(|count| *count > 1) {
            *name = format!("{name}_{index}");
        }
    }
    Labels::in_order(names).map_err(|error| error.file(file).key("id2label").hint("it must name every class once"))
}

/// What a head answers where nothing says otherwise.
pub const SINGLE_LABEL: &str = "single_label_classification";

/// What a checkpoint's head answers: as `config.json` says, else as transformers takes a head with so many outputs.
pub fn stored_problem_type(checkpoint: &Checkpoint, outputs: usize) -> String {
    match checkpoint.config.get("problem_type").and_then(Value::as_str) {
        Some(problem_type) => problem_type.to_owned(),
        None if outputs == 1 => "regression".to_owned(),
        None => SINGLE_LABEL.to_owned(),
    }
}

/// By label the least probability at which it is given, where a checkpoint says so.
///
/// # Errors
/// It does not say so of each label, with a number from 0 to 1.
pub fn stored_thresholds(checkpoint: &Checkpoint, labels: &Labels) -> Result<Option<Vec<f64>>> {
    let Some(stored) = checkpoint.config.get(LABEL_THRESHOLDS).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let of = |label: &String| stored.get(label)?.as_f64().filter(|threshold| (0.0..=1.0).contains(threshold));
    let thresholds: Option<Vec<f64>> = labels.names().iter().map(of).collect();
    thresholds.map(Some).ok_or_else(|| {
        Error::request("must be an object that gives every label a number from 0 to 1")
            .file(checkpoint.config_file())
            .key(LABEL_THRESHOLDS)
            .hint("without the key, labels are given from a probability of 0.5 on")
    })
}

/// timm's list of class names, when there is one.
fn listed_names(checkpoint: &Checkpoint) -> Option<&Value> {
    let of = |config: &'_ Value| config.get("label_names").is_some_and(|names| !names.is_null());
    let config = &checkpoint.config;
    [Some(config), config.get("pretrained_cfg")].into_iter().flatten().find(|config| of(config))?.get("label_names")
}

fn from_list(names: &Value, classes: usize, file: &Path) -> Result<Vec<String>> {
    let refused = |message: String| {
        Error::request(message)
            .file(file)
            .key("label_names")
            .hint("it must be a list that names every class of the head once")
    };
    let names: Option<Vec<String>> = names.as_array().and_then(|list| list.iter().map(word).collect());
    let names = names.ok_or_else(|| refused("must be a list of words".to_owned()))?;
    if names.len() != classes {
        return Err(refused(format!("{} names; the head has {classes} classes", names.len())));
    }
    Ok(names)
}
