//! What a row of the table of settings says, and what follows from it for a key, a flag, a check and a default. The
//! rows are in [`super::settings`].

use std::path::Path;

use toml::Value;

use super::accepts::Accepts;
use super::lists::{first_repeated, given_twice};

/// One setting of a training run.
#[derive(Debug)]
pub struct Setting {
    /// The key with its section: `training.lr`.
    pub path: &'static str,
    /// The flag as help shows it: `--lr X`.
    flag: &'static str,
    /// Another name of the flag.
    pub alias: Option<&'static str>,
    /// What its value may be, the same for the file, `--set` and the flag.
    pub accepts: Accepts,
    /// What holds when no layer sets it.
    pub default: DefaultValue,
    /// What `--help` and docs/settings.md say about it; they add the default and the last full stop.
    pub help: &'static str,
    /// The heading above it in `--help`; by the section where the row says nothing.
    heading: Option<&'static str>,
    /// What other programs call it, for hints.
    pub(super) other_names: &'static [&'static str],
    /// Whether it can change the trained model. What cannot may differ when a run is resumed.
    pub changes_result: bool,
    /// Whether it steers the optimizer or only counts beside it, as dropout does: a head on frozen features does
    /// without, a solver fits it to the end.
    pub steers_optimizer: bool,
}

/// What holds when nobody says otherwise.
#[derive(Debug, Clone, Copy)]
pub enum DefaultValue {
    /// There is no run without the setting; the message that says that it is missing.
    Required(&'static str),
    /// A value.
    Fixed(&'static str),
    /// The value `auto`, and how the program then decides.
    Auto(&'static str),
    /// No value: how the program decides, or what it does without.
    Unset(&'static str),
    /// No value, and nothing to say about it.
    None,
}

/// A row of the table.
pub(super) const fn row(
    path: &'static str,
    flag: &'static str,
    accepts: Accepts,
    default: DefaultValue,
    help: &'static str,
) -> Setting {
    Setting {
        path,
        flag,
        alias: None,
        accepts,
        default,
        help,
        heading: None,
        other_names: &[],
        changes_result: true,
        steers_optimizer: false,
    }
}

/// A row of what steers the optimizer.
pub(super) const fn optimizer_row(
    path: &'static str,
    flag: &'static str,
    accepts: Accepts,
    default: DefaultValue,
    help: &'static str,
) -> Setting {
    Setting { steers_optimizer: true, ..row(path, flag, accepts, default, help) }
}

impl Setting {
    /// Another name of the flag.
    pub(super) const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// The heading of `--help` that it stands under, where that is not its section's.
    pub(super) const fn under(self, heading: &'static str) -> Self {
        Self { heading: Some(heading), ..self }
    }

    /// What other programs call it.
    pub(super) const fn elsewhere(self, other_names: &'static [&'static str]) -> Self {
        Self { other_names, ..self }
    }

    /// It cannot change the trained model.
    pub(super) const fn without_effect_on_the_result(self) -> Self {
        Self { changes_result: false, ..self }
    }
}

impl Setting {
    /// The section of the file that it stands in: `training`.
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section)
    }

    /// The key without its section: `lr`.
    pub fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The flag that sets it: `--lr`.
    pub fn flag(&self) -> &'static str {
        self.flag.split_once(' ').map_or(self.flag, |(flag, _)| flag)
    }

    /// What help shows for its value: `X`.
    pub fn value_name(&self) -> &'static str {
        self.flag.split_once(' ').map_or("", |(_, value)| value)
    }

    /// The flag with what help shows for its value: `--lr X`.
    pub fn flag_and_value(&self) -> &'static str {
        self.flag
    }

    /// The heading above it in `--help`.
    pub fn heading(&self) -> &'static str {
        self.heading.unwrap_or(match self.section() {
            "data" => "Data",
            "model" => "Model",
            "run" => "Hardware",
            _ => "Training",
        })
    }

    /// What it is when nobody says otherwise; `None` for a required setting, and where there is nothing to say.
    pub fn default_text(&self) -> Option<String> {
        match self.default {
            DefaultValue::Required(_) | DefaultValue::None => None,
            // Without the flag it is not so, which needs no word.
            DefaultValue::Fixed(_) if matches!(self.accepts, Accepts::YesNo) => None,
            DefaultValue::Fixed(value) => Some(value.to_owned()),
            DefaultValue::Auto(how) => Some(format!("auto, {how}")),
            DefaultValue::Unset(what) => Some(what.to_owned()),
        }
    }

    /// The value that holds when nobody says otherwise.
    pub fn default_value(&self) -> Option<Value> {
        match self.default {
            DefaultValue::Fixed(value) => Some(self.accepts.read(value)),
            DefaultValue::Auto(_) => Some(self.accepts.read("auto")),
            DefaultValue::Required(_) | DefaultValue::Unset(_) | DefaultValue::None => None,
        }
    }

    /// Judges the form of a value; the error says what was found and what is expected.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let separator = match (&self.accepts, value) {
            (Accepts::Word(..), Value::String(_)) => ':',
            _ => ',',
        };
        let twice = match (&self.accepts, value) {
            (Accepts::Paths(_), Value::Array(paths)) => first_repeated(paths).and_then(Value::as_str),
            _ => None,
        };
        match twice {
            Some(path) => Err(given_twice(Path::new(path))),
            None => {
                self.accepts.check(value).map_err(|expected| format!("found {}{separator} {expected}", found(value)))
            }
        }
    }
}

/// A value as TOML on one line. Small numbers are written with an exponent, as learning rates are read.
pub fn toml_text(value: &Value) -> String {
    match value {
        Value::Float(number) if *number != 0.0 && number.is_finite() && number.abs() < 1e-4 => format!("{number:e}"),
        value => value.to_string(),
    }
}

/// A value as messages show it.
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
    use crate::config::settings::find;

    fn check(name: &str, value: &str) -> Result<(), String> {
        let table: toml::Table = format!("value = {value}").parse().unwrap();
        find(name).unwrap().check(&table["value"])
    }

    #[test]
    fn values_are_judged() {
        for (name, value) in [
            ("lr", "1"),
            ("lr", "2e-5"),
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
            ("lr", "2e5"),
            ("weight_decay", "1e6"),
            ("epochs", "0"),
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
        assert_eq!(
            check("lr", "\"fast\""),
            Err("found the text \"fast\", expected a number above 0 and up to 1".into())
        );
        assert_eq!(check("epochs", "-1"), Err("found -1, expected a whole number from 1 to 10000".into()));
        assert_eq!(check("dropout", "1.5"), Err("found 1.5, expected a number from 0 and below 1".into()));
    }
}
