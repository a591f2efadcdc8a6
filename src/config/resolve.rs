//! From what was asked for to a [`RunConfig`]: defaults, then the configuration file, then `--set`, then flags.
//!
//! The layers are read by [`super::read`]; here they meet. All problems of all layers are in one answer.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::layer::{Given, Layer, Origin};
use super::problems::all_problems;
use super::read;
use super::run::RunConfig;
use super::saved::{SAVED_SETTINGS, saved_settings};
use super::setting::{DefaultValue, Setting};
use super::settings::{self, EXCLUSIVE};
use crate::error::{Error, Result};
use crate::files;

/// What was asked for, unresolved.
#[derive(Debug, Default)]
pub struct Request {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// The `key=value` of each `--set`.
    pub set: Vec<String>,
    /// The flags of settings, which stand above every other layer.
    pub flags: Flags,
    /// `--resume`: the settings saved in the run directory, where there are any, stand above the defaults, so that a
    /// run is continued with nothing but `--resume --out RUN`.
    pub resume: bool,
}

/// The flags that were given, each with the value that its text stands for.
#[derive(Debug, Clone, Default)]
pub struct Flags(pub Vec<(&'static Setting, Value)>);

#[cfg(test)]
impl Flags {
    /// As if the flag of the setting at `path` was given with `text`.
    pub(super) fn give(&mut self, path: &str, text: impl std::fmt::Display) {
        let setting = settings::find(path).unwrap();
        self.0.push((setting, setting.accepts.read(&text.to_string())));
    }
}

/// The run configuration that `request` describes.
///
/// # Errors
/// One error that lists everything that is wrong with the configuration file, `--set` and the flags.
pub fn resolve(request: &Request) -> Result<RunConfig> {
    let mut problems = Vec::new();
    let mut layers = vec![read::defaults(&mut problems)];
    if let Some(path) = &request.config {
        layers.push(read::read_file(path, &mut problems));
    }
    layers.push(read::read_set(&request.set, &mut problems));
    layers.push(flag_layer(&request.flags, &mut problems));
    if request.resume {
        let given = |path: &str| layers.iter().rev().find_map(|layer| layer.get(path));
        let out = given("run.out").and_then(|out| out.value.as_str()).map(Path::new);
        let saved = out.map(saved_settings).filter(|saved| saved.is_file());
        // A call with all settings may begin the run that later calls continue.
        let may_begin = given("data.train").is_some();
        match (saved, out) {
            (Some(saved), _) => layers.insert(1, read::read_file(&saved, &mut problems)),
            (None, Some(out)) if !may_begin => return Err(no_such_run(out)),
            _ => {}
        }
    }
    merge(layers, problems)
}

/// The settings that somebody gave in `request`, whatever their values, each as it was written: a flag or a key. Not
/// the defaults, and not what an earlier run has saved, where also stands what was chosen automatically.
pub fn given(request: &Request) -> Vec<(&'static Setting, &'static str)> {
    // Problems are for `resolve` to answer with.
    let mut ignored = Vec::new();
    let written = request.config.iter().filter(|path| path.file_name().is_none_or(|name| name != SAVED_SETTINGS));
    let file = written.map(|path| read::read_file(path, &mut ignored)).collect::<Vec<_>>();
    let layers = file
        .into_iter()
        .chain([read::read_set(&request.set, &mut Vec::new()), flag_layer(&request.flags, &mut Vec::new())]);
    let written = |given: Given| match given.origin {
        Origin::CommandLine(text) if text == given.setting.flag() => (given.setting, given.setting.flag()),
        _ => (given.setting, given.setting.path),
    };
    layers.flat_map(Layer::into_given).map(written).collect()
}

fn no_such_run(out: &Path) -> Error {
    let error =
        Error::request(if out.is_dir() { "there is no run in this directory" } else { "no such run" }).file(out);
    match files::similar(out) {
        Some(near) => error.hint(format!("did you mean {}?", near.display())),
        None => error.hint("--resume continues the run in --out: give its directory, or all settings to begin it"),
    }
}

/// The settings in one file over the defaults, such as those saved in a run directory.
pub fn load(path: &Path) -> Result<RunConfig> {
    resolve(&Request { config: Some(path.to_owned()), ..Request::default() })
}

fn flag_layer(flags: &Flags, problems: &mut Vec<Error>) -> Layer {
    let mut layer = Layer::default();
    for (setting, value) in &flags.0 {
        let origin = Origin::CommandLine(setting.flag().to_owned());
        layer.set(Given { setting, value: value.clone(), origin }, problems);
    }
    layer
}

/// Puts the layers over one another, lowest first, and makes the typed configuration if there is no problem.
fn merge(layers: Vec<Layer>, mut problems: Vec<Error>) -> Result<RunConfig> {
    let unreadable = layers.iter().any(|layer| layer.unreadable);
    let mut merged = Layer::default();
    for layer in layers {
        for &(one, other) in EXCLUSIVE {
            if let (Some(first), Some(second)) = (layer.get(one), layer.get(other)) {
                problems.push(
                    second.origin.problem(format!("`{one}` and `{other}` exclude each other")).hint(format!(
                        "set `{}` or `{}`",
                        first.setting.name(),
                        second.setting.name()
                    )),
                );
            }
        }
        merged.cover(layer);
    }
    for setting in settings::SETTINGS {
        if let (DefaultValue::Required(missing), None, false) = (setting.default, merged.get(setting.path), unreadable)
        {
            problems.push(Error::request(missing).hint(format!(
                "give {} or set `{}` in section [{}] of the --config file",
                setting.flag(),
                setting.name(),
                setting.section()
            )));
        }
    }
    all_problems(problems)?;

    let mut table = Table::new();
    for Given { setting, value, .. } in merged.into_given() {
        let section = table.entry(setting.section()).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(section) = section {
            section.insert(setting.name().to_owned(), value);
        }
    }
    // Every value has passed its row's check, so an error here means that a row does not match its field.
    serde_path_to_error::deserialize(Value::Table(table))
        .map_err(|error| Error::request(error.inner().message().to_owned()).key(error.path().to_string()))
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
        let set = set.iter().map(ToString::to_string).collect();
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
        flags.give("training.epochs", 3);
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
                .contains("`training.lr`: found the text \"\", expected a number above 0 and up to 1 (from --set lr=)")
        );
        assert!(refused(COMPLETE, &["lr=1\nepochs=2"]).contains("expected a number above 0"));
    }

    #[test]
    fn unknown_names_are_reported_with_their_place() {
        let message = refused(&format!("{COMPLETE}[training]\nepoch = 3\n"), &[]);
        assert!(message.contains("run.toml: line 8: `training.epoch`: unknown key"), "{message}");
        assert!(message.contains("`epochs`, `lr`") && message.ends_with("did you mean `epochs`?"), "{message}");
        let message = refused(&format!("{COMPLETE}[training]\ndropout = 0.1\n"), &[]);
        assert!(message.ends_with("did you mean `dropout` in section [model]?"), "{message}");
        let message = refused(&format!("lr = 1\n{COMPLETE}"), &[]);
        assert!(message.contains("line 1: `lr`: is outside"), "{message}");
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
            "line 6: `training.epochs`: found -3, expected a whole number from 1 to 10000",
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
        assert!(message.contains("run.toml: line 2: column 13: not valid TOML: "), "{message}");
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
        flags.give("training.batch_size", 16);
        flags.give("data.valid", "v.csv");
        let config = resolved(&file, &["valid_fraction=0.2"], flags).unwrap();
        assert_eq!((config.training.batch_tokens, config.training.batch_size), (None, Some(16)));
        assert_eq!((config.data.valid_fraction, config.data.valid), (None, Some("v.csv".into())));
    }

    #[test]
    fn seeds_up_to_what_toml_holds() {
        let mut flags = Flags::default();
        flags.give("training.seed", i64::MAX as u64);
        assert_eq!(resolved(COMPLETE, &[], flags).unwrap().training.seed, i64::MAX as u64);
        assert!(refused(COMPLETE, &["seed=9223372036854775808"]).contains("`training.seed`"));
    }

    #[test]
    fn a_resumed_run_starts_from_its_saved_settings() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(saved_settings(folder.path()), format!("{COMPLETE}[training]\nlr = 1e-5\nepochs = 9\n"))
            .unwrap();
        let mut flags = Flags::default();
        flags.give("run.out", folder.path().display());
        flags.give("training.epochs", 2);
        let config = resolve(&Request { flags, resume: true, ..Request::default() }).unwrap();
        assert_eq!(config.data.train, Path::new("a.csv").into());
        assert_eq!((config.training.lr, config.training.epochs), (Some(1e-5), Some(2)));
        assert_eq!(config.run.out, folder.path());
    }
}
