//! The keys of the configuration: their sections, and what each accepts. The flags take their limits from here too.
//!
//! Only the form of single values is judged here; how layers meet and what excludes what is [`super::resolve`]'s.

use std::fmt;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::str::FromStr;

use toml::Value;

use super::values::{
    Augment, ClassWeights, Columns, Delimiter, Device, Engine, HeadInit, Init, OnBadInput, Pooling, Precision,
    Schedule, Strategy, Switch, Task, one_of,
};

/// The limits of a whole number, both included.
#[derive(Debug, Clone, Copy)]
pub struct Whole {
    pub min: u64,
    pub max: u64,
}

/// The limits of a finite number.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    pub min: Bound<f64>,
    pub max: Bound<f64>,
}

pub const EPOCHS: Whole = Whole { min: 0, max: 10_000 };
/// Room for a first and last special token and something between them, or for a pair's.
pub const MAX_LENGTH: Whole = Whole { min: 4, max: 1_000_000 };
/// Tokens of a batch, examples of a batch, steps, epochs to wait: counts that cannot be 0.
pub const COUNT: Whole = Whole { min: 1, max: 1_000_000_000 };
pub const THREADS: Whole = Whole { min: 1, max: 4096 };
/// TOML's integers are signed.
pub const SEED: Whole = Whole { min: 0, max: i64::MAX as u64 };
pub const POSITIVE: Number = Number { min: Excluded(0.0), max: Unbounded };
pub const NOT_NEGATIVE: Number = Number { min: Included(0.0), max: Unbounded };
/// A share of a whole that may be nothing or all.
pub const RATIO: Number = Number { min: Included(0.0), max: Included(1.0) };
/// A share that leaves something on either side.
pub const FRACTION: Number = Number { min: Excluded(0.0), max: Excluded(1.0) };
/// A share of which something is left.
pub const BELOW_ONE: Number = Number { min: Included(0.0), max: Excluded(1.0) };
/// A factor that keeps or makes smaller.
pub const DECAY: Number = Number { min: Excluded(0.0), max: Included(1.0) };
/// Up to a petabyte.
pub const MEGABYTES: Whole = Whole { min: 0, max: 1_000_000_000 };
/// Of images, in pixels.
pub const IMAGE_SIZE: Whole = Whole { min: 8, max: 4096 };
pub const STAGES: Whole = Whole { min: 1, max: 1000 };
/// How often an image is shown, each time otherwise.
pub const VIEWS: Whole = Whole { min: 1, max: 1000 };
pub const LAYERS: Whole = Whole { min: 0, max: 1000 };

impl Whole {
    /// Reads a flag's value.
    pub fn parser<T: TryFrom<u64>>(self) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
        move |text| {
            let number = text.parse().ok().filter(|number| self.contains(*number));
            number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| format!("expected {self}"))
        }
    }

    fn contains(self, number: u64) -> bool {
        (self.min..=self.max).contains(&number)
    }
}

impl Number {
    /// Reads a flag's value.
    pub fn parser(self) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
        move |text| text.parse().ok().filter(|number| self.contains(*number)).ok_or_else(|| format!("expected {self}"))
    }

    fn contains(self, number: f64) -> bool {
        use std::ops::RangeBounds;
        number.is_finite() && (self.min, self.max).contains(&number)
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            1_000_000_000.. => write!(f, "a whole number from {}", self.min),
            max => write!(f, "a whole number from {} to {max}", self.min),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let min = match self.min {
            Included(min) => format!(" from {min}"),
            Excluded(min) => format!(" above {min}"),
            Unbounded => String::new(),
        };
        let max = match self.max {
            Included(max) => format!(" up to {max}"),
            Excluded(max) => format!(" below {max}"),
            Unbounded => String::new(),
        };
        let both = if min.is_empty() || max.is_empty() { "" } else { " and" };
        write!(f, "a number{min}{both}{max}")
    }
}

/// What a key accepts.
pub enum Accepts {
    /// Any text that is not empty; says of what.
    Text(&'static str),
    Columns,
    Whole(Whole),
    Number(Number),
    /// Text of a fixed form: the forms, and the reader that knows them.
    Word(&'static [&'static str], fn(&str) -> Result<(), String>),
}

pub struct Key {
    pub section: &'static str,
    pub name: &'static str,
    pub accepts: Accepts,
}

const fn key(section: &'static str, name: &'static str, accepts: Accepts) -> Key {
    Key { section, name, accepts }
}

fn word<T: FromStr<Err = String>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop)
}

/// Every key, in the order in which they are saved.
pub const KEYS: &[Key] = &[
    key("data", "train", Accepts::Text("the path of the training data")),
    key("data", "valid", Accepts::Text("the path of the validation data")),
    key("data", "valid_fraction", Accepts::Number(FRACTION)),
    key("data", "test", Accepts::Text("the path of the test data")),
    key("data", "split_seed", Accepts::Whole(SEED)),
    key("data", "text", Accepts::Columns),
    key("data", "label", Accepts::Text("the name of a column")),
    key("data", "delimiter", Accepts::Word(&[";", "tab"], word::<Delimiter>)),
    key("data", "task", Accepts::Word(Task::WORDS, word::<Task>)),
    key("data", "max_length", Accepts::Whole(MAX_LENGTH)),
    key("data", "image_size", Accepts::Whole(IMAGE_SIZE)),
    key("data", "on_bad_input", Accepts::Word(OnBadInput::WORDS, word::<OnBadInput>)),
    key("model", "model", Accepts::Text("a model directory or a hub id")),
    key("model", "init", Accepts::Word(Init::WORDS, word::<Init>)),
    key("model", "stages", Accepts::Whole(STAGES)),
    key("model", "pooling", Accepts::Word(Pooling::WORDS, word::<Pooling>)),
    key("model", "engine", Accepts::Word(Engine::WORDS, word::<Engine>)),
    key("model", "dropout", Accepts::Number(BELOW_ONE)),
    key("model", "reinit_layers", Accepts::Whole(LAYERS)),
    key("strategy", "name", Accepts::Word(Strategy::FORMS, word::<Strategy>)),
    key("strategy", "head_init", Accepts::Word(HeadInit::WORDS, word::<HeadInit>)),
    key("training", "epochs", Accepts::Whole(EPOCHS)),
    key("training", "lr", Accepts::Number(POSITIVE)),
    key("training", "head_lr", Accepts::Number(POSITIVE)),
    key("training", "layer_decay", Accepts::Number(DECAY)),
    key("training", "batch_tokens", Accepts::Whole(COUNT)),
    key("training", "batch_size", Accepts::Whole(COUNT)),
    key("training", "micro_batch_tokens", Accepts::Whole(COUNT)),
    key("training", "weight_decay", Accepts::Number(NOT_NEGATIVE)),
    key("training", "label_smoothing", Accepts::Number(BELOW_ONE)),
    key("training", "class_weights", Accepts::Word(ClassWeights::WORDS, word::<ClassWeights>)),
    key("training", "augment", Accepts::Word(Augment::WORDS, word::<Augment>)),
    key("training", "mixup", Accepts::Number(NOT_NEGATIVE)),
    key("training", "cutmix", Accepts::Number(NOT_NEGATIVE)),
    key("training", "views", Accepts::Whole(VIEWS)),
    key("training", "warmup_ratio", Accepts::Number(RATIO)),
    key("training", "schedule", Accepts::Word(Schedule::WORDS, word::<Schedule>)),
    key("training", "max_grad_norm", Accepts::Number(POSITIVE)),
    key("training", "patience", Accepts::Whole(COUNT)),
    key("training", "snapshot_minutes", Accepts::Number(NOT_NEGATIVE)),
    key("training", "seed", Accepts::Whole(SEED)),
    key("training", "log_every", Accepts::Whole(COUNT)),
    key("run", "out", Accepts::Text("the path of the run directory")),
    key("run", "device", Accepts::Word(Device::FORMS, word::<Device>)),
    key("run", "precision", Accepts::Word(Precision::WORDS, word::<Precision>)),
    key("run", "threads", Accepts::Whole(THREADS)),
    key("run", "cache", Accepts::Word(Switch::WORDS, word::<Switch>)),
    key("run", "cache_memory", Accepts::Whole(MEGABYTES)),
    key("run", "cache_dir", Accepts::Text("the path of a folder")),
];

pub const SECTIONS: &[&str] = &["data", "model", "strategy", "training", "run"];

/// What other programs call a setting, for hints.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("learning_rate", "lr"),
    ("learningrate", "lr"),
    ("num_train_epochs", "epochs"),
    ("num_epochs", "epochs"),
    ("output_dir", "out"),
    ("output", "out"),
    ("train_file", "train"),
    ("validation", "valid"),
    ("validation_file", "valid"),
    ("test_file", "test"),
    ("max_seq_length", "max_length"),
    ("per_device_train_batch_size", "batch_size"),
    ("lr_scheduler_type", "schedule"),
    ("scheduler", "schedule"),
    ("label_smoothing_factor", "label_smoothing"),
    ("layerwise_lr_decay", "layer_decay"),
    ("llrd", "layer_decay"),
    ("model_name_or_path", "model"),
    ("early_stopping", "patience"),
    ("dtype", "precision"),
    ("bf16", "precision"),
    ("fp16", "precision"),
];

impl Key {
    /// The key with its section: `training.lr`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The flag that sets it: `--lr`.
    pub fn flag(&self) -> String {
        match (self.section, self.name) {
            ("strategy", "name") => "--strategy".to_owned(),
            (_, name) => format!("--{}", name.replace('_', "-")),
        }
    }

    /// Judges the form of a value; the error says what was found and what is expected.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let expected = match (&self.accepts, value) {
            (Accepts::Text(_), Value::String(text)) if !text.trim().is_empty() => return Ok(()),
            (Accepts::Text(what), _) => format!("{what}, a text that is not empty"),
            (Accepts::Columns, value) => match value.clone().try_into::<Columns>() {
                Ok(_) => return Ok(()),
                Err(_) => "the name of one column, or of two different ones as \"title,body\" or [\"title\", \"body\"]"
                    .to_owned(),
            },
            (Accepts::Whole(limits), Value::Integer(number))
                if u64::try_from(*number).is_ok_and(|n| limits.contains(n)) =>
            {
                return Ok(());
            }
            (Accepts::Whole(limits), _) => limits.to_string(),
            (Accepts::Number(limits), Value::Float(number)) if limits.contains(*number) => return Ok(()),
            (Accepts::Number(limits), Value::Integer(number)) if limits.contains(*number as f64) => return Ok(()),
            (Accepts::Number(limits), _) => limits.to_string(),
            (Accepts::Word(_, read), Value::String(text)) => match read(text) {
                Ok(()) => return Ok(()),
                Err(expected) => return Err(format!("found {}: {expected}", found(value))),
            },
            (Accepts::Word(forms, _), _) => format!("a text such as {}", one_of(forms)),
        };
        Err(format!("found {}, expected {expected}", found(value)))
    }
}

/// The key called `name`, with its section (`training.lr`) or, as no two sections share a name, without (`lr`).
/// `strategy` alone is `strategy.name`.
pub fn find(name: &str) -> Option<&'static Key> {
    match name.split_once('.') {
        Some((section, name)) => KEYS.iter().find(|key| key.section == section && key.name == name),
        None if name == "strategy" => find("strategy.name"),
        None => KEYS.iter().find(|key| key.name == name),
    }
}

/// The names of the keys of a section.
pub fn names(section: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(move |key| key.section == section).map(|key| key.name)
}

/// The key that somebody who wrote `name` in `section` most likely meant: rightly named but in another section, called
/// so by other programs, or misspelt.
pub fn meant(section: Option<&str>, name: &str) -> Option<&'static Key> {
    let name = name.to_lowercase().replace('-', "_");
    let other_name = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, ours)| *ours);
    if let Some(key) = KEYS.iter().find(|key| key.name == other_name.unwrap_or(&name)) {
        return Some(key);
    }
    let near = |section: Option<&str>| {
        let keys = || KEYS.iter().filter(|key| section.is_none_or(|section| key.section == section));
        let near = crate::error::nearest(&name, keys().map(|key| key.name))?;
        keys().find(|key| key.name == near)
    };
    section.and_then(|section| near(Some(section))).or_else(|| near(None))
}

/// A value as TOML on one line. Small numbers are written with an exponent, as learning rates are read.
pub fn toml_text(value: &Value) -> String {
    match value {
        Value::Float(number) if *number != 0.0 && number.is_finite() && number.abs() < 1e-4 => format!("{number:e}"),
        value => value.to_string(),
    }
}

/// A value as people are told it.
fn found(value: &Value) -> String {
    const SHOWN: usize = 60;
    match value {
        Value::Table(_) => "a table".to_owned(),
        Value::Array(_) if toml_text(value).chars().count() > SHOWN => "a list".to_owned(),
        Value::String(text) if text.chars().count() > SHOWN => {
            format!("a text that begins with {:?}", text.chars().take(SHOWN).collect::<String>())
        }
        Value::String(text) => format!("the text {text:?}"),
        _ => toml_text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Result<(), String> {
        let table: toml::Table = format!("value = {value}").parse().unwrap();
        find(name).unwrap().check(&table["value"])
    }

    #[test]
    fn short_names_are_unambiguous() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(KEYS.iter().skip(index + 1).all(|other| other.name != key.name), "{}", key.name);
            assert!(SECTIONS.contains(&key.section));
        }
        assert_eq!(find("lr").unwrap().path(), "training.lr");
        assert_eq!(find("model").unwrap().path(), "model.model");
        assert_eq!(find("strategy").unwrap().path(), "strategy.name");
        assert!(find("training.out").is_none());
    }

    #[test]
    fn values_are_judged() {
        for (name, value) in [
            ("lr", "1"),
            ("lr", "2e-5"),
            ("epochs", "0"),
            ("seed", "9223372036854775807"),
            ("dropout", "0"),
            ("warmup_ratio", "1.0"),
            ("text", "\"a,b\""),
            ("text", "[\"a, b\"]"),
            ("delimiter", "\"\\t\""),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name} {value}");
        }
        for (name, value) in [
            ("lr", "0.0"),
            ("lr", "nan"),
            ("lr", "inf"),
            ("lr", "\"fast\""),
            ("epochs", "2.5"),
            ("epochs", "-1"),
            ("epochs", "10_001"),
            ("seed", "-1"),
            ("dropout", "1.0"),
            ("warmup_ratio", "1.5"),
            ("valid_fraction", "0"),
            ("max_length", "3"),
            ("train", "\"\""),
            ("train", "3"),
            ("text", "[]"),
            ("text", "{}"),
            ("name", "3"),
        ] {
            assert!(check(name, value).is_err(), "{name} {value}");
        }
        assert_eq!(check("lr", "\"fast\""), Err("found the text \"fast\", expected a number above 0".into()));
        assert_eq!(check("epochs", "-1"), Err("found -1, expected a whole number from 0 to 10000".into()));
        assert_eq!(check("dropout", "1.5"), Err("found 1.5, expected a number from 0 and below 1".into()));
    }

    #[test]
    fn what_was_meant() {
        let meant = |section, name| super::meant(section, name).map(Key::path);
        assert_eq!(meant(Some("training"), "epoch").as_deref(), Some("training.epochs"));
        assert_eq!(meant(Some("training"), "batch-tokens").as_deref(), Some("training.batch_tokens"));
        assert_eq!(meant(Some("training"), "learning_rate").as_deref(), Some("training.lr"));
        assert_eq!(meant(Some("training"), "dropout").as_deref(), Some("model.dropout"));
        assert_eq!(meant(None, "xyz"), None);
    }
}
