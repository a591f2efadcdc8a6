//! From what was asked for to a [`RunConfig`]: defaults, then the configuration file, then `--set`, then flags.
//!
//! Every value is judged by the key's own rule in [`super::keys`] and every problem of every layer is gathered, so one
//! answer names them all. Paths in a configuration file are relative to the current directory, as those of flags are.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::de::DeTable;
use toml::{Table, Value};

use super::keys::{self, Key};
use super::{RunConfig, saved_settings};
use crate::error::{Error, Result, listed, nearest};

const DEFAULTS: &str = include_str!("defaults.toml");

/// Keys of which at most one may be set. A higher layer that sets one takes the other of a lower layer away.
const EXCLUSIVE: &[(&str, &str)] =
    &[("data.valid", "data.valid_fraction"), ("training.batch_tokens", "training.batch_size")];

/// Keys without which there is no run.
const REQUIRED: &[(&str, &str)] = &[
    ("data.train", "the training data is missing"),
    ("model.model", "the pretrained model is missing"),
    ("run.out", "the output directory is missing"),
];

/// What was asked for, unresolved.
#[derive(Debug, Default)]
pub struct Request {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// The `key=value` of each `--set`.
    pub set: Vec<String>,
    pub flags: Flags,
    /// `--resume`: the settings saved in the run directory, where there are any, stand above the defaults, so that a
    /// run is continued with nothing but `--resume --out RUN`.
    pub resume: bool,
}

/// The flags that were given, by the keys they set.
#[derive(Debug, Default)]
pub struct Flags(Vec<(&'static str, Result<Value, String>)>);

impl Flags {
    /// Notes the flag of `key` (with its section), if it was given.
    pub fn put<T: Serialize>(&mut self, key: &'static str, value: &Option<T>) {
        if let Some(value) = value {
            self.0.push((key, Value::try_from(value).map_err(|error| error.to_string())));
        }
    }
}

/// The run configuration that `request` describes.
///
/// # Errors
/// One error that lists everything that is wrong with the configuration file, `--set` and the flags.
pub fn resolve(request: &Request) -> Result<RunConfig> {
    let mut problems = Vec::new();
    let mut layers = vec![read_text(DEFAULTS, Path::new("the defaults"), &mut problems)];
    if let Some(path) = &request.config {
        layers.push(read_file(path, &mut problems));
    }
    layers.push(read_set(&request.set, &mut problems));
    layers.push(read_flags(&request.flags, &mut problems));
    if request.resume {
        let out = layers.iter().rev().find_map(|layer| layer.get("run.out")?.value.as_str());
        let saved = out.map(|out| saved_settings(Path::new(out))).filter(|saved| saved.is_file());
        if let Some(saved) = saved {
            layers.insert(1, read_file(&saved, &mut problems));
        }
    }
    finish(layers, problems)
}

/// The settings in one file over the defaults, such as those saved in a run directory.
pub fn load(path: &Path) -> Result<RunConfig> {
    resolve(&Request { config: Some(path.to_owned()), ..Request::default() })
}

/// Gathers problems into one error: none, the one there is, or a list of all.
pub fn gather(mut problems: Vec<Error>) -> Result<()> {
    if problems.len() <= 1 {
        let explained = |problem: Error| Err(problem.hint("`rehead train --help` explains every setting"));
        return problems.pop().map_or(Ok(()), explained);
    }
    let mut message = format!("{} problems:", problems.len());
    for problem in &problems {
        message.push_str(&format!("\n  - {problem}"));
        if let Some(hint) = problem.hint_text() {
            message.push_str(&format!(" ({hint})"));
        }
    }
    Err(Error::request(message).hint("all of them are listed: mend them and run the command again"))
}

/// Where a value comes from.
#[derive(Clone)]
enum Origin {
    File {
        path: PathBuf,
        line: Option<u64>,
    },
    /// The text of a `--set`, or a flag.
    CommandLine(String),
}

struct Setting {
    key: &'static Key,
    value: Value,
    origin: Origin,
}

/// The settings of one layer.
#[derive(Default)]
struct Layer {
    settings: Vec<Setting>,
    /// The layer could not be read as a whole: what is missing from it may have been in it.
    unreadable: bool,
}

impl Layer {
    fn get(&self, path: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key.path() == path)
    }

    /// Sets a key once its value is judged. A key set twice has its last value. A wrong value is kept: the key is set,
    /// and the problem prevents that anybody meets the value.
    fn set(&mut self, setting: Setting, problems: &mut Vec<Error>) {
        if let Err(message) = setting.key.check(&setting.value) {
            problems.push(setting.origin.problem(message).key(setting.key.path()));
        }
        self.settings.retain(|earlier| !std::ptr::eq(earlier.key, setting.key));
        self.settings.push(setting);
    }
}

impl Origin {
    fn problem(&self, message: impl fmt::Display) -> Error {
        match self {
            Self::File { path, line: Some(line) } => Error::request(message.to_string()).file(path).line(*line),
            Self::File { path, line: None } => Error::request(message.to_string()).file(path),
            Self::CommandLine(text) => Error::request(format!("{message} (from {text})")),
        }
    }
}

fn read_file(path: &Path, problems: &mut Vec<Error>) -> Layer {
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
            Layer { unreadable: true, ..Layer::default() }
        }
    }
}

fn read_text(text: &str, path: &Path, problems: &mut Vec<Error>) -> Layer {
    // The same text twice: once for the places of the keys, once for plain values.
    let (spans, values) = match (DeTable::parse(text), text.parse::<Table>()) {
        (Ok(spans), Ok(values)) => (spans, values),
        (Err(error), _) | (_, Err(error)) => {
            problems.push(syntax_error(&error, text, path));
            return Layer { unreadable: true, ..Layer::default() };
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
        if !keys::SECTIONS.contains(&section) {
            problems.push(unknown_section(section, &at(line(section_span.span().start))));
            continue;
        }
        for (name_span, _) in values_span.get_ref().as_table().into_iter().flatten() {
            let name = name_span.get_ref().as_ref();
            let origin = at(line(name_span.span().start));
            match (keys::find(&format!("{section}.{name}")), values.get(name)) {
                (Some(key), Some(value)) => layer.set(Setting { key, value: value.clone(), origin }, problems),
                _ => problems.push(unknown_key(section, name, &origin)),
            }
        }
    }
    layer
}

fn read_set(set: &[String], problems: &mut Vec<Error>) -> Layer {
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
        let Some(key) = keys::find(name) else {
            problems.push(match name.split_once('.') {
                Some((section, name)) if keys::SECTIONS.contains(&section) => unknown_key(section, name, &origin),
                Some((section, _)) => unknown_section(section, &origin),
                None => match keys::meant(None, name) {
                    Some(meant) => with_meant(origin.problem("unknown key").key(name), Some(meant), None),
                    None => {
                        let known = listed(keys::KEYS.iter().map(|key| key.name));
                        origin.problem(format!("unknown key; there are {known}")).key(name)
                    }
                },
            });
            continue;
        };
        let parsed = format!("value = {value}").parse::<Table>().ok().filter(|table| table.len() == 1);
        let parsed = parsed.and_then(|mut table| table.remove("value"));
        let value = match (&key.accepts, parsed) {
            (_, Some(Value::String(text))) => Value::String(text),
            (keys::Accepts::Columns, Some(Value::Array(names))) => Value::Array(names),
            // A text needs no quotes, even if it looks like a number.
            (keys::Accepts::Text(_) | keys::Accepts::Word(..) | keys::Accepts::Columns, _) | (_, None) => {
                Value::String(value.to_owned())
            }
            (_, Some(value)) => value,
        };
        layer.set(Setting { key, value, origin }, problems);
    }
    layer
}

fn read_flags(flags: &Flags, problems: &mut Vec<Error>) -> Layer {
    let mut layer = Layer::default();
    for (path, value) in &flags.0 {
        match (keys::find(path), value) {
            (Some(key), Ok(value)) => {
                let origin = Origin::CommandLine(key.flag());
                layer.set(Setting { key, value: value.clone(), origin }, problems);
            }
            (Some(key), Err(message)) => {
                problems.push(Error::request(format!("{}: {message}", key.flag())));
                layer.unreadable = true;
            }
            (None, _) => problems.push(Error::failure(format!("there is no setting `{path}`"))),
        }
    }
    layer
}

/// Puts the layers over one another, lowest first, and makes the typed configuration if there is no problem.
fn finish(layers: Vec<Layer>, mut problems: Vec<Error>) -> Result<RunConfig> {
    let unreadable = layers.iter().any(|layer| layer.unreadable);
    let mut merged = Layer::default();
    for layer in layers {
        for &(one, other) in EXCLUSIVE {
            match (layer.get(one), layer.get(other)) {
                (Some(first), Some(second)) => {
                    let message = format!("`{one}` and `{other}` exclude each other");
                    problems.push(
                        second
                            .origin
                            .problem(message)
                            .hint(format!("set `{}` or `{}`", first.key.name, second.key.name)),
                    );
                }
                (Some(_), None) => merged.settings.retain(|lower| lower.key.path() != other),
                (None, Some(_)) => merged.settings.retain(|lower| lower.key.path() != one),
                (None, None) => {}
            }
        }
        for setting in layer.settings {
            merged.settings.retain(|lower| !std::ptr::eq(lower.key, setting.key));
            merged.settings.push(setting);
        }
    }
    for &(path, missing) in REQUIRED {
        if let (None, false, Some(key)) = (merged.get(path), unreadable, keys::find(path)) {
            let hint =
                format!("give {} or set `{}` in section [{}] of the --config file", key.flag(), key.name, key.section);
            problems.push(Error::request(missing).hint(hint));
        }
    }
    gather(problems)?;

    let mut table = Table::new();
    for Setting { key, value, .. } in merged.settings {
        let section = table.entry(key.section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(section) = section {
            section.insert(key.name.to_owned(), value);
        }
    }
    // The keys' own rules were kept, so what fails here is a rule that a key lacks.
    serde_path_to_error::deserialize(Value::Table(table))
        .map_err(|error| Error::request(error.inner().message().to_owned()).key(error.path().to_string()))
}

fn syntax_error(error: &toml::de::Error, text: &str, path: &Path) -> Error {
    let message = error.message().trim().replace('\n', "; ");
    let Some(span) = error.span() else {
        return Error::request(format!("not TOML: {message}")).file(path);
    };
    let before = text.get(..span.start).unwrap_or(text);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Error::request(format!("column {column}: not TOML: {message}"))
        .file(path)
        .line(line_of(text.as_bytes(), span.start))
}

/// The line of a byte of the text, counted from 1.
fn line_of(text: &[u8], offset: usize) -> u64 {
    1 + text.iter().take(offset).filter(|byte| **byte == b'\n').count() as u64
}

fn unknown_key(section: &str, name: &str, origin: &Origin) -> Error {
    let message = format!("unknown key; section [{section}] knows {}", listed(keys::names(section)));
    let problem = origin.problem(message).key(format!("{section}.{name}"));
    with_meant(problem, keys::meant(Some(section), name), Some(section))
}

fn unknown_section(section: &str, origin: &Origin) -> Error {
    let problem = origin.problem(format!("unknown section [{section}]; there are {}", listed(keys::SECTIONS)));
    match nearest(section, keys::SECTIONS.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean [{near}]?")),
        None => problem,
    }
}

/// A key at the top of the file, above the first section.
fn outside_a_section(name: &str, origin: &Origin) -> Error {
    let problem = origin.problem("stands outside the sections").key(name);
    match keys::find(name) {
        None if keys::SECTIONS.contains(&name) => origin
            .problem(format!("`{name}` is a section"))
            .hint(format!("write [{name}] on a line of its own, and its keys below")),
        Some(key) => problem.hint(format!("write it as `{}` in section [{}]", key.name, key.section)),
        None => with_meant(problem, keys::meant(None, name), None),
    }
}

fn with_meant(problem: Error, meant: Option<&Key>, section: Option<&str>) -> Error {
    match meant {
        Some(key) if section == Some(key.section) => problem.hint(format!("did you mean `{}`?", key.name)),
        Some(key) if section.is_some() => {
            problem.hint(format!("did you mean `{}` in section [{}]?", key.name, key.section))
        }
        Some(key) => problem.hint(format!("did you mean `{}`?", key.path())),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Device, Strategy};

    const COMPLETE: &str = "[data]\ntrain = 'a.csv'\n[model]\nmodel = 'm'\n[run]\nout = 'o'\n";

    /// Resolves a configuration file of this text, `--set`s and flags.
    fn resolved(file: &str, set: &[&str], flags: Flags) -> Result<RunConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, file).unwrap();
        let set = set.iter().map(|text| text.to_string()).collect();
        resolve(&Request { config: Some(path), set, flags, resume: false })
    }

    fn refused(file: &str, set: &[&str]) -> String {
        let error = resolved(file, set, Flags::default()).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        format!("{error} | {}", error.hint_text().unwrap_or_default())
    }

    #[test]
    fn later_layers_win() {
        let file = format!("{COMPLETE}[training]\nlr = 1e-5\nseed = 1\nepochs = 1\n");
        let mut flags = Flags::default();
        flags.put("training.epochs", &Some(3));
        flags.put("training.batch_size", &None::<usize>);
        let config = resolved(&file, &["lr=1e-4", "training.epochs=2"], flags).unwrap();
        assert_eq!(config.training.seed, 1);
        assert_eq!(config.training.lr, Some(1e-4));
        assert_eq!(config.training.epochs, Some(3));
        assert_eq!(config.training.weight_decay, 0.01);
        assert_eq!(config.training.batch_size, None);
        assert_eq!(config.strategy.name, Strategy::Full);
    }

    #[test]
    fn the_forms_of_set() {
        let set = [
            "strategy=last:2",
            "label = sentiment",
            "text=[\"a\", \"b, c\"]",
            "device=\"cuda:1\"",
            "model=1e5",
            "run.threads=2",
        ];
        let config = resolved(COMPLETE, &set, Flags::default()).unwrap();
        assert_eq!(config.strategy.name, Strategy::Last(2));
        assert_eq!(config.data.label.as_deref(), Some("sentiment"));
        assert_eq!(config.data.text.unwrap().to_vec(), ["a", "b, c"]);
        assert_eq!(config.run.device, Device::Cuda(1));
        assert_eq!(config.model.model, "1e5");
        assert_eq!(config.run.threads, Some(2));

        assert!(refused(COMPLETE, &["lr"]).contains("no `=`"));
        assert!(refused(COMPLETE, &["learning_rate=1"]).contains("did you mean `training.lr`?"));
        assert!(refused(COMPLETE, &["zzz=1"]).contains("`max_length`"));
        assert!(refused(COMPLETE, &["trainng.lr=1"]).contains("did you mean [training]?"));
        assert!(
            refused(COMPLETE, &["lr="])
                .contains("`training.lr`: found the text \"\", expected a number above 0 (from --set lr=)")
        );
        assert!(refused(COMPLETE, &["lr=1\nepochs=2"]).contains("expected a number above 0"));
    }

    #[test]
    fn unknown_names_are_told_with_their_place() {
        let message = refused(&format!("{COMPLETE}[training]\nepoch = 3\n"), &[]);
        assert!(message.contains("run.toml: line 8: `training.epoch`: unknown key"), "{message}");
        assert!(message.contains("`epochs`, `lr`") && message.ends_with("did you mean `epochs`?"), "{message}");
        let message = refused(&format!("{COMPLETE}[training]\ndropout = 0.1\n"), &[]);
        assert!(message.ends_with("did you mean `dropout` in section [model]?"), "{message}");
        let message = refused(&format!("lr = 1\n{COMPLETE}"), &[]);
        assert!(message.contains("line 1: `lr`: stands outside"), "{message}");
        assert!(message.ends_with("write it as `lr` in section [training]"), "{message}");
        assert!(refused(&format!("{COMPLETE}[trainer]\nx = 1\n"), &[]).ends_with("did you mean [training]?"));
    }

    #[test]
    fn all_problems_are_in_one_answer() {
        let file = "[data]\nvalid_fraction = 2\n[model]\nmodel = 'm'\n[training]\nepochs = -3\nlr = 'fast'\n\
                    batch_tokens = 10\nbatch_size = 1\n";
        let message = refused(file, &["schedule=cosin", "warmup_ratio=nan"]);
        assert!(message.starts_with("8 problems:\n"), "{message}");
        for part in [
            "line 2: `data.valid_fraction`: found 2, expected a number above 0 and below 1",
            "line 6: `training.epochs`: found -3, expected a whole number from 0 to 10000",
            "line 7: `training.lr`: found the text \"fast\", expected a number above 0",
            "`training.schedule`: found the text \"cosin\"",
            "did you mean `cosine`?",
            "`training.warmup_ratio`: found nan",
            "line 9: `training.batch_tokens` and `training.batch_size` exclude each other",
            "the training data is missing (give --train or set `train` in section [data]",
            "the output directory is missing (give --out",
        ] {
            assert!(message.contains(part), "{part}\n{message}");
        }
    }

    #[test]
    fn what_is_no_toml_has_line_and_column() {
        let message = refused("[data]\ntrain = 'é' x\n", &[]);
        assert!(message.contains("run.toml: line 2: column 13: not TOML: "), "{message}");
        assert!(!message.contains("missing"), "{message}");
        assert!(refused("[data]\nmax_length = 99999999999999999999\n", &[]).contains("line 2"));
        assert!(refused("[data]\ntrain = 'a'\ntrain = 'b'\n", &[]).contains("line 3"));
        assert!(refused("[data.train]\nx = 1\n", &[]).contains("`data.train`: found a table"));
        assert!(refused("data = 3\n", &[]).contains("line 1: `data` is a section"));
        let error = load(Path::new("absent.toml")).unwrap_err();
        assert_eq!(error.to_string(), "absent.toml: no such file or directory");
        assert!(resolved(&format!("\u{feff}{COMPLETE}"), &[], Flags::default()).is_ok());
    }

    #[test]
    fn one_of_two_exclusive_settings_replaces_the_other_of_a_lower_layer() {
        let file = format!("{COMPLETE}[training]\nbatch_tokens = 4096\n");
        let mut flags = Flags::default();
        flags.put("training.batch_size", &Some(16));
        flags.put("data.valid", &Some("v.csv"));
        let config = resolved(&file, &["valid_fraction=0.2"], flags).unwrap();
        assert_eq!((config.training.batch_tokens, config.training.batch_size), (None, Some(16)));
        assert_eq!((config.data.valid_fraction, config.data.valid), (None, Some("v.csv".into())));
    }

    #[test]
    fn seeds_up_to_what_toml_holds() {
        let mut flags = Flags::default();
        flags.put("training.seed", &Some(i64::MAX as u64));
        assert_eq!(resolved(COMPLETE, &[], flags).unwrap().training.seed, i64::MAX as u64);
        assert!(refused(COMPLETE, &["seed=9223372036854775808"]).contains("`training.seed`"));
    }

    #[test]
    fn a_resumed_run_starts_from_its_saved_settings() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(saved_settings(folder.path()), format!("{COMPLETE}[training]\nlr = 1e-5\nepochs = 9\n"))
            .unwrap();
        let mut flags = Flags::default();
        flags.put("run.out", &Some(folder.path()));
        flags.put("training.epochs", &Some(2));
        let config = resolve(&Request { flags, resume: true, ..Request::default() }).unwrap();
        assert_eq!(config.data.train, Path::new("a.csv"));
        assert_eq!((config.training.lr, config.training.epochs), (Some(1e-5), Some(2)));
        assert_eq!(config.run.out, folder.path());
    }
}
