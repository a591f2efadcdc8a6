//! The settings as they are saved in a run directory: written as TOML with the reasons for what the program chose, and
//! compared with what a resumed run asks for.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::choices::{Choice, Choices};
use super::run::RunConfig;
use super::setting::{DefaultValue, Setting, toml_text};
use super::settings;
use crate::error::{Error, Result};

/// The file of a run directory that holds its resolved settings.
pub const SAVED_SETTINGS: &str = "rehead.toml";

impl RunConfig {
    /// The settings as TOML that `--config` reads back to an equal `RunConfig`. A key the program chose by itself has
    /// its reason as a comment on its line; a choice that is no key, or whose key is unset, has a comment of its own.
    ///
    /// # Errors
    /// A path that is not UTF-8 cannot be written as TOML.
    pub fn to_toml(&self, choices: &Choices) -> Result<String> {
        use fmt::Write;
        let table = table_of(self)?;
        let mut text = format!(
            "# Settings of a run of rehead {}, resolved.\n\
             # To run it again, in the folder where it was run: rehead train --config {} --out NEW\n",
            env!("CARGO_PKG_VERSION"),
            self.run.out.join(SAVED_SETTINGS).display()
        );
        // Writing into a String cannot fail.
        for (section, values) in &table {
            let _ = write!(text, "\n[{section}]\n");
            for (name, value) in values.as_table().into_iter().flatten() {
                let _ = write!(text, "{name} = {}", toml_text(value));
                if let Some(choice) = choices.of_key(section, name) {
                    let _ = write!(text, "  # automatic: {}", one_line(&choice.reason));
                }
                text.push('\n');
            }
        }
        let is_written =
            |choice: &Choice| settings::find(&choice.key).is_some_and(|setting| value_in(&table, setting).is_some());
        let mut others = choices.iter().filter(|choice| !is_written(choice)).peekable();
        if others.peek().is_some() {
            text.push_str("\n# Also chosen automatically:\n");
        }
        for choice in others {
            let _ = writeln!(text, "# {}", one_line(&choice.to_string()));
        }
        Ok(text)
    }
}

/// The settings of a section that are not what they would be by themselves, each with its value; none of a switch, and
/// one for each of a list. What the program chose is left out, except columns: it chose them with the data at hand.
///
/// # Errors
/// A path that is not UTF-8 cannot be written as TOML.
pub fn given_settings(
    config: &RunConfig,
    section: &str,
    choices: &Choices,
) -> Result<Vec<(&'static Setting, Option<String>)>> {
    let table = table_of(config)?;
    let mut given = Vec::new();
    for setting in settings::SETTINGS.iter().filter(|setting| setting.section() == section) {
        let is_column = matches!(setting.name(), "text" | "label");
        let is_chosen = !is_column && choices.of_key(section, setting.name()).is_some();
        let Some(value) = value_in(&table, setting).filter(|_| !is_chosen) else { continue };
        let plain = |value: &toml::Value| value.as_str().map_or_else(|| toml_text(value), str::to_owned);
        let is_default = match setting.default {
            DefaultValue::Fixed(default) => plain(value) == default,
            DefaultValue::Auto(_) => plain(value) == "auto",
            _ => false,
        };
        match value {
            _ if is_default => {}
            toml::Value::Boolean(_) => given.push((setting, None)),
            toml::Value::Array(list) => given.extend(list.iter().map(|value| (setting, Some(plain(value))))),
            value => given.push((setting, Some(plain(value)))),
        }
    }
    Ok(given)
}

/// A setting that is not what it was, see [`differences`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key with its section, such as `training.lr`.
    pub key: String,
    /// Both values as TOML; `unset` where there is none.
    pub saved: String,
    /// What the resumed run asks for, as TOML; `unset` where there is nothing.
    pub asked: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` was {}, now {}", self.key, self.saved, self.asked)
    }
}

/// The settings in which a resumed run would differ from the `saved` one, in the order of the file. What cannot change
/// the result is not compared; what `asked` leaves to the program (unset or `auto`) agrees with any saved value, which
/// then holds.
pub fn differences(saved: &RunConfig, asked: &RunConfig) -> Result<Vec<Difference>> {
    let (saved, asked) = (table_of(saved)?, table_of(asked)?);
    let mut differences = Vec::new();
    for setting in settings::SETTINGS.iter().filter(|setting| setting.changes_result) {
        let (was, now) = (value_in(&saved, setting), value_in(&asked, setting));
        let left_open = now.is_none_or(|now| now.as_str() == Some("auto"));
        if !left_open && was != now {
            let shown = |value: Option<&toml::Value>| value.map_or("unset".to_owned(), toml_text);
            differences.push(Difference { key: setting.path.to_owned(), saved: shown(was), asked: shown(now) });
        }
    }
    Ok(differences)
}

/// The settings that decide a result, as they were asked for: by key the value as TOML, `unset` where it is left to the
/// program.
///
/// # Errors
/// A path that is not UTF-8 cannot be written as TOML.
pub fn decisive_settings(asked: &RunConfig) -> Result<BTreeMap<String, String>> {
    let table = table_of(asked)?;
    let text = |setting| value_in(&table, setting).map_or("unset".to_owned(), toml_text);
    let decisive = settings::SETTINGS.iter().filter(|setting| setting.changes_result);
    Ok(decisive.map(|setting| (setting.path.to_owned(), text(setting))).collect())
}

/// The file of resolved settings in the run directory `run`.
pub fn saved_settings(run: &Path) -> PathBuf {
    run.join(SAVED_SETTINGS)
}

fn table_of(config: &RunConfig) -> Result<toml::Table> {
    toml::Table::try_from(config).map_err(|error| {
        Error::request(format!("the settings cannot be written as TOML: {}", error.to_string().trim()))
    })
}

fn value_in<'t>(table: &'t toml::Table, setting: &Setting) -> Option<&'t toml::Value> {
    table.get(setting.section())?.get(setting.name())
}

/// A comment ends with its line, and TOML forbids control characters in it.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
