//! Which of a pickle's values are the weights, and under which names.
//!
//! A state dict is a dict of tensors. A training checkpoint holds one among other things, under a name that people
//! commonly give it. What is left out is told.

use std::collections::BTreeMap;

use super::hints::WEIGHTS_ALONE;
use super::pickle::Pickle;
use super::value::{Id, Tensor, Value};
use crate::error::{Error, Result, listed};

/// Where training programs keep the weights, the most specific name first.
const USUAL: [&str; 8] =
    ["state_dict", "model_state_dict", "model_state", "model", "module", "network", "net", "backbone"];
/// What wrapping a network for several devices puts before each name, and what compiling it does.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];
/// How deep a checkpoint's dicts are looked into.
const DEEPEST: usize = 4;

/// The weights of a pickle by their names.
pub struct Contents<'a> {
    pub tensors: BTreeMap<String, &'a Tensor>,
    /// What a person should know of how they were chosen.
    pub notes: Vec<String>,
}

/// Finds the state dict.
///
/// # Errors
/// There is none, or several could be meant.
pub fn contents(pickle: &Pickle) -> Result<Contents<'_>> {
    let mut notes = Vec::new();
    let mut dict = entries(pickle, pickle.root).ok_or_else(|| {
        let what = match &pickle.values[pickle.root] {
            Value::Tensor(_) => "a single tensor",
            Value::List(_) | Value::Tuple(_) => "a list",
            _ => "no dict",
        };
        Error::request(format!("the file holds {what}, not a state dict: tensors by name")).hint(WEIGHTS_ALONE)
    })?;
    for _ in 0..DEEPEST {
        if dict.values().any(|&value| tensor(pickle, value).is_some()) {
            return Ok(named(pickle, &dict, notes));
        }
        let (name, inner) = inner(pickle, &dict)?;
        let others: Vec<&str> = dict.keys().filter(|key| **key != name).map(String::as_str).collect();
        notes.push(match others.is_empty() {
            true => format!("the weights are those in `{name}`"),
            false => format!("the weights are those in `{name}`; left out: {}", few(&others)),
        });
        dict = inner;
    }
    Err(Error::request(format!("no tensors in the first {DEEPEST} levels of the file")).hint(WEIGHTS_ALONE))
}

type Entries = BTreeMap<String, Id>;

/// The dict `id` by the names of its entries; of a name that is there twice, the last, as in Python.
fn entries(pickle: &Pickle, id: Id) -> Option<Entries> {
    let Value::Dict(entries) = pickle.values.get(id)? else { return None };
    let name = |key: Id| match pickle.values.get(key) {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Int(number)) => number.to_string(),
        _ => "(a key that is not a text)".to_owned(),
    };
    Some(entries.iter().map(|&(key, value)| (name(key), value)).collect())
}

fn tensor(pickle: &Pickle, id: Id) -> Option<&Tensor> {
    match pickle.values.get(id)? {
        Value::Tensor(tensor) => Some(tensor),
        _ => None,
    }
}

/// The dict inside `dict` that holds the weights.
fn inner(pickle: &Pickle, dict: &Entries) -> Result<(String, Entries)> {
    let dicts = || dict.iter().filter_map(|(name, &value)| Some((name, entries(pickle, value)?)));
    if let Some((name, found)) = USUAL.iter().find_map(|name| Some((name, entries(pickle, *dict.get(*name)?)?))) {
        return Ok(((*name).to_owned(), found));
    }
    let has_tensors = |entries: &Entries| entries.values().any(|&value| tensor(pickle, value).is_some());
    let mut found: Vec<(&String, Entries)> = dicts().filter(|(_, entries)| has_tensors(entries)).collect();
    match (found.pop(), found.is_empty()) {
        (Some((name, entries)), true) => Ok((name.clone(), entries)),
        (Some((name, _)), false) => {
            let names = found.iter().map(|(name, _)| name.as_str()).chain([name.as_str()]);
            let message = format!("several of its dicts hold tensors: {}", listed(names));
            Err(Error::request(message).hint(WEIGHTS_ALONE))
        }
        (None, _) => {
            let keys: Vec<&str> = dict.keys().map(String::as_str).collect();
            let message = format!("the file holds no tensors; it has {}", few(&keys));
            Err(Error::request(message).hint(WEIGHTS_ALONE))
        }
    }
}

fn named<'a>(pickle: &'a Pickle, dict: &Entries, mut notes: Vec<String>) -> Contents<'a> {
    let mut tensors: BTreeMap<String, &Tensor> =
        dict.iter().filter_map(|(name, &value)| Some((name.clone(), tensor(pickle, value)?))).collect();
    let others: Vec<&str> = dict.keys().filter(|name| !tensors.contains_key(*name)).map(String::as_str).collect();
    if !others.is_empty() {
        let entries = if others.len() == 1 { "1 entry is" } else { &format!("{} entries are", others.len()) };
        notes.push(format!("{entries} not tensors and left out: {}", few(&others)));
    }
    for prefix in PREFIXES {
        if !tensors.is_empty() && tensors.keys().all(|name| name.len() > prefix.len() && name.starts_with(prefix)) {
            notes.push(format!("all names begin with `{prefix}`, which is removed"));
            tensors = tensors.into_iter().map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect();
        }
    }
    Contents { tensors, notes }
}

/// The first few names, and how many more there are.
pub fn few<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 6;
    const LONGEST: usize = 80;
    let short = |name: &S| name.as_ref().chars().filter(|char| !char.is_control()).take(LONGEST).collect::<String>();
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{}`", short(name))).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => listed(names.iter().map(short)),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
