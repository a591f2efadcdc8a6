//! Flags made from the table of settings: those of a command that trains, with the configuration file below them, and
//! groups of typed flags for commands that have no configuration file.

use std::ffi::OsStr;
use std::marker::PhantomData;

use clap::builder::{BoolValueParser, PossibleValue, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Value;

use crate::config::Flags;
use crate::config::accepts::Accepts;
use crate::config::setting::{DefaultValue, Setting};
use crate::config::settings::{self, SETTINGS};

/// Which settings a command has flags for.
pub trait Selection {
    fn has(setting: &Setting) -> bool;
}

/// The flags of the settings that `S` selects. None is required: the configuration file may say it.
#[derive(Debug, Clone)]
pub struct SettingFlags<S> {
    pub given: Flags,
    selection: PhantomData<S>,
}

impl<S: Selection> SettingFlags<S> {
    fn settings() -> impl Iterator<Item = &'static Setting> {
        SETTINGS.iter().filter(|setting| S::has(setting))
    }
}

impl<S: Selection> Args for SettingFlags<S> {
    fn augment_args(command: Command) -> Command {
        command.args(Self::settings().map(|setting| flag(setting, FlagHelp::default())))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Selection> FromArgMatches for SettingFlags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = Self::settings().filter_map(|setting| Some((setting, value(matches, setting.path)?)));
        Ok(Self { given: Flags(given.collect()), selection: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What a command's help says of a setting where that is not what the table says. Everything else of the flag (its
/// name, what it accepts, its value without it) is the table's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FlagHelp {
    /// The heading above it.
    pub heading: Option<&'static str>,
    /// What help shows for its value.
    pub values: Option<&'static str>,
    /// What it does.
    pub help: Option<&'static str>,
    /// What holds without it.
    pub default: Option<&'static str>,
}

/// A struct of typed flags, each of which is a setting of the table: `field: Type = "its path"`, followed in braces by
/// the fields of [`FlagHelp`] that differ here. `under "Heading"` after the name is for all of them. A required setting
/// is a required flag.
macro_rules! setting_flags {
    ($(#[$doc:meta])* $name:ident $(under $heading:literal)? {
        $($field:ident: $type:ty = $path:literal $({ $($part:ident: $text:literal),+ $(,)? })?),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $(
                #[doc = concat!("The setting `", $path, "`: what its flag says, otherwise its default.")]
                pub $field: $type
            ),+
        }

        impl clap::Args for $name {
            fn augment_args(command: clap::Command) -> clap::Command {
                let common = $crate::cli::settings::FlagHelp {
                    $(heading: Some($heading),)?
                    ..Default::default()
                };
                let flags = [$((
                    $path,
                    $crate::cli::settings::FlagHelp { $($($part: Some($text),)+)? ..common },
                )),+];
                let flags = flags.into_iter().flat_map(|(path, help)| $crate::cli::settings::required_flag(path, help));
                command.args(flags)
            }

            fn augment_args_for_update(command: clap::Command) -> clap::Command {
                Self::augment_args(command)
            }
        }

        impl clap::FromArgMatches for $name {
            fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self { $($field: $crate::cli::settings::typed(matches, $path)?),+ })
            }

            fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}
pub(super) use setting_flags;

/// Reads and judges the text of a setting's flag.
#[derive(Debug, Clone)]
struct SettingParser(&'static Setting);

impl TypedValueParser for SettingParser {
    type Value = Value;

    fn parse_ref(&self, command: &Command, flag: Option<&Arg>, text: &OsStr) -> Result<Value, clap::Error> {
        let accepts = self.0.accepts;
        let read = move |text: &str| {
            let value = accepts.read(text);
            accepts.check(&value).map(|()| value)
        };
        if text.to_str().is_some() {
            return read.parse_ref(command, flag, text);
        }
        // A run's settings are saved as text, so names of files must be text too.
        let refuse = |_: &str| Err::<Value, _>("expected UTF-8 text".to_owned());
        refuse.parse_ref(command, flag, OsStr::new(text.to_string_lossy().as_ref()))
    }

    /// The words that a shell completes; of a form such as `last:N` what stands before its capitals. A form of capitals
    /// alone has nothing to complete.
    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let Accepts::Word(forms, _) = self.0.accepts else { return None };
        let words = forms.iter().map(|form| form.split(|char: char| char.is_ascii_uppercase()).next().unwrap_or(form));
        // A quote or semicolon would be one of the script.
        let is_plain = |word: &&str| word.chars().all(|char| char.is_ascii_alphanumeric() || "-_:".contains(char));
        let words = words.filter(|word| !word.is_empty()).filter(is_plain);
        Some(Box::new(words.map(PossibleValue::new)))
    }
}

/// The flag of a setting.
fn flag(setting: &'static Setting, differing: FlagHelp) -> Arg {
    let help = differing.help.unwrap_or(setting.help);
    let help = match differing.default.map(str::to_owned).or_else(|| setting.default_text()) {
        Some(default) => format!("{help} [default: {default}]"),
        None => help.to_owned(),
    };
    let mut flag = Arg::new(setting.path)
        .long(setting.flag().trim_start_matches('-'))
        .value_name(differing.values.unwrap_or(setting.value_name()))
        .help(help)
        .help_heading(differing.heading.unwrap_or(setting.heading()))
        .value_parser(SettingParser(setting))
        .hide_possible_values(true)
        .value_hint(if setting.accepts.is_path() { ValueHint::AnyPath } else { ValueHint::Other })
        .conflicts_with_all(settings::excluded_by(setting));
    if let Some(alias) = setting.alias {
        flag = flag.visible_alias(alias);
    }
    match setting.accepts {
        Accepts::YesNo => flag.action(ArgAction::SetTrue).value_parser(BoolValueParser::new().map(Value::Boolean)),
        // A minus sign belongs to the value, so that the message says what is expected instead.
        Accepts::Whole(_) | Accepts::Number(_) => flag.allow_negative_numbers(true),
        Accepts::Paths(_) => flag.num_args(1..).action(ArgAction::Append),
        Accepts::Columns => flag.action(ArgAction::Append),
        Accepts::Word(..) if setting.value_name() == "C" => flag.allow_hyphen_values(true),
        _ => flag,
    }
}

/// The flag of the setting at `path`, for a command without a configuration file.
pub(super) fn required_flag(path: &str, differing: FlagHelp) -> Option<Arg> {
    let setting = settings::find(path)?;
    Some(flag(setting, differing).required(matches!(setting.default, DefaultValue::Required(_))))
}

/// What was given for the setting at `path`, otherwise its default, as the type of its field.
pub(super) fn typed<T: for<'de> Deserialize<'de>>(matches: &ArgMatches, path: &str) -> Result<T, clap::Error> {
    let default = || settings::find(path).and_then(Setting::default_value);
    let typed = match value(matches, path).or_else(default) {
        Some(value) => value.try_into().map_err(|error: toml::de::Error| error.message().to_owned()),
        // `None` for a field that is an `Option`.
        None => T::deserialize(().into_deserializer()).map_err(|error: serde::de::value::Error| error.to_string()),
    };
    typed.map_err(|message| clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{path}: {message}\n")))
}

/// What was given for the setting at `path`: a list where the flag has several values or was given several times.
fn value(matches: &ArgMatches, path: &str) -> Option<Value> {
    // A flag without a value has one of its own where it is not given.
    let is_given = matches.try_contains_id(path).is_ok_and(|known| known)
        && matches.value_source(path) == Some(ValueSource::CommandLine);
    if !is_given {
        return None;
    }
    let mut values = matches.try_get_many::<Value>(path).ok().flatten()?.cloned();
    let first = values.next()?;
    let others: Vec<Value> = values.collect();
    if others.is_empty() { Some(first) } else { Some(Value::Array([vec![first], others].concat())) }
}
