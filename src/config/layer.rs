//! The settings that one source gives, each with where it was given, and how one layer lies over another.

use std::fmt;
use std::path::PathBuf;

use toml::Value;

use super::setting::Setting;
use super::settings::excluded_by;
use crate::error::Error;

/// Where a value comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A configuration file, and the line where it is known.
    File { path: PathBuf, line: Option<u64> },
    /// The text of a `--set`, or a flag.
    CommandLine(String),
}

/// A setting with the value that somebody gave it.
#[derive(Debug)]
pub struct Given {
    pub setting: &'static Setting,
    pub value: Value,
    pub origin: Origin,
}

/// The settings that one source gives: the defaults, a file, `--set`, the flags.
#[derive(Debug, Default)]
pub struct Layer {
    given: Vec<Given>,
    /// The source could not be read as a whole: what is missing from the layer may have been in it.
    pub unreadable: bool,
}

impl Layer {
    /// A layer of which nothing could be read.
    pub fn unreadable() -> Self {
        Self { unreadable: true, ..Self::default() }
    }

    pub fn get(&self, path: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.setting.path == path)
    }

    /// Sets a key and judges its value. A key set twice has its last value. A wrong value is kept, so that the setting
    /// does not count as missing; the problem keeps anybody from using it.
    pub fn set(&mut self, given: Given, problems: &mut Vec<Error>) {
        if let Err(message) = given.setting.check(&given.value) {
            problems.push(given.origin.problem(message).key(given.setting.path));
        }
        self.put(given);
    }

    /// Lays `upper` over this layer: what it gives replaces what is here, and takes away what it excludes.
    pub fn cover(&mut self, upper: Layer) {
        for given in upper.given {
            self.given.retain(|lower| !excluded_by(given.setting).any(|path| path == lower.setting.path));
            self.put(given);
        }
    }

    /// All that is given, in no particular order.
    pub fn into_given(self) -> Vec<Given> {
        self.given
    }

    fn put(&mut self, given: Given) {
        self.given.retain(|earlier| earlier.setting.path != given.setting.path);
        self.given.push(given);
    }
}

impl Origin {
    /// A problem with what came from here.
    pub fn problem(&self, message: impl fmt::Display) -> Error {
        match self {
            Self::File { path, line: Some(line) } => Error::request(message.to_string()).file(path).line(*line),
            Self::File { path, line: None } => Error::request(message.to_string()).file(path),
            Self::CommandLine(text) => Error::request(format!("{message} (from {text})")),
        }
    }
}
