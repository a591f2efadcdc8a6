//! Reads the layers of settings: the defaults of the table, a configuration file, `--set`.
//!
//! Every value is judged by its row of [`super::settings`], and every problem is gathered, so that one answer names
//! them all.

use std::path::Path;

use toml::de::DeTable;
use toml::{Table, Value};

use super::layer::{Given, Layer, Origin};
use super::settings;
use super::unknown::{outside_a_section, unknown_key, unknown_name, unknown_section};
use crate::error::Error;

/// The lowest layer: what holds when neither a file, nor `--set`, nor a flag says otherwise.
pub fn defaults(problems: &mut Vec<Error>) -> Layer {
    let mut layer = Layer::default();
    for setting in settings::SETTINGS {
        if let Some(value) = setting.default_value() {
            layer.set(Given { setting, value, origin: Origin::CommandLine("the defaults".to_owned()) }, problems);
        }
    }
    layer
}

/// Reads a configuration file. Paths in it are relative to the current directory, as those of flags are.
pub fn read_file(path: &Path, problems: &mut Vec<Error>) -> Layer {
    let text = std::fs::read(path).map_err(|error| Error::io(error, path)).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|error| {
            let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
            Error::request("the configuration is not UTF-8 text").file(path).line(line).hint("save it as UTF-8")
        })
    });
    match text {
        Ok(text) => read_text(text.trim_start_matches('\u{feff}'), path, problems),
        Err(problem) => {
            problems.push(problem);
            Layer::unreadable()
        }
    }
}

fn read_text(text: &str, path: &Path, problems: &mut Vec<Error>) -> Layer {
    // Parsed twice: once for where the keys are, once for plain values.
    let (spans, values) = match (DeTable::parse(text), text.parse::<Table>()) {
        (Ok(spans), Ok(values)) => (spans, values),
        (Err(error), _) | (_, Err(error)) => {
            problems.push(syntax_error(&error, text, path));
            return Layer::unreadable();
        }
    };
    let line = |offset: usize| Some(line_of(text.as_bytes(), offset));
    let mut layer = Layer::default();
    for (section_span, values_span) in spans.get_ref() {
        let section = section_span.get_ref().as_ref();
        let at = |line| Origin::File { path: path.to_owned(), line };
        let Some(Value::Table(values)) = values.get(section) else {
            problems.push(outside_a_section(section, &at(line(section_span.span().start))));
            continue;
        };
        if !settings::is_section(section) {
            problems.push(unknown_section(section, &at(line(section_span.span().start))));
            continue;
        }
        for (name_span, _) in values_span.get_ref().as_table().into_iter().flatten() {
            let name = name_span.get_ref().as_ref();
            let origin = at(line(name_span.span().start));
            match (settings::find(&format!("{section}.{name}")), values.get(name)) {
                (Some(setting), Some(value)) => layer.set(Given { setting, value: value.clone(), origin }, problems),
                _ => problems.push(unknown_key(section, name, &origin)),
            }
        }
    }
    layer
}

/// Reads the `key=value` of each `--set`.
pub fn read_set(set: &[String], problems: &mut Vec<Error>) -> Layer {
    let mut layer = Layer::default();
    for text in set {
        let origin = Origin::CommandLine(format!("--set {text}"));
        let Some((name, value)) = text.split_once('=').map(|(name, value)| (name.trim(), value.trim())) else {
            problems.push(
                Error::request(format!("--set {text}: there is no `=` in it"))
                    .hint("write --set key=value, as in --set lr=1e-4"),
            );
            continue;
        };
        match settings::find(name) {
            Some(setting) => {
                layer.set(Given { setting, value: setting.accepts.read_toml(value), origin }, problems);
            }
            None => problems.push(unknown_name(name, &origin)),
        }
    }
    layer
}

fn syntax_error(error: &toml::de::Error, text: &str, path: &Path) -> Error {
    let message = error.message().trim().replace('\n', "; ");
    let Some(span) = error.span() else {
        return Error::request(format!("not valid TOML: {message}")).file(path);
    };
    let before = text.get(..span.start).unwrap_or(text);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Error::request(format!("column {column}: not valid TOML: {message}"))
        .file(path)
        .line(line_of(text.as_bytes(), span.start))
}

/// The line of a byte of the text, counted from 1.
fn line_of(text: &[u8], offset: usize) -> u64 {
    1 + text.iter().take(offset).filter(|byte| **byte == b'\n').count() as u64
}
