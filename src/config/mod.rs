//! The configuration of a training run: every setting as a checked, typed value.
//!
//! [`resolve`] layers defaults, file, `--set` and flags into a [`RunConfig`] and answers with all problems at once;
//! [`keys`] says which keys there are and what each accepts; [`choices`] keeps what the program decided by itself, with
//! reasons. A `RunConfig` says what was asked for. Whether the data, the model and the machine allow it is found out by
//! those who open them: apart from [`RunConfig::check_paths`], nothing here touches more than the configuration file.

pub mod choices;
pub mod keys;
pub mod resolve;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use choices::{Choice, Choices};
pub use resolve::{Flags, Request, load, resolve};
pub use values::{
    Augment, ClassWeights, Columns, Delimiter, Device, Engine, HeadInit, Init, OnBadInput, Pooling, Precision,
    Schedule, Strategy, Switch, Task,
};

use crate::error::{Error, Result};

/// The file of a run directory that holds its resolved settings.
pub const SAVED_SETTINGS: &str = "rehead.toml";

/// Everything that describes one training run. An `Option` that is `None` and an `auto` are decided later by the
/// program, which writes its decision back here and records the reason in [`Choices`] before the settings are saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    pub data: DataConfig,
    pub model: ModelConfig,
    pub strategy: StrategyConfig,
    pub training: TrainingConfig,
    pub run: ExecutionConfig,
}

/// `[data]`: the labelled examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    pub train: PathBuf,
    pub valid: Option<PathBuf>,
    /// Share of the training rows held out for validation, in (0, 1). Never set together with `valid`.
    pub valid_fraction: Option<f64>,
    pub test: Option<PathBuf>,
    /// Decides which rows are held out; `None` means as `training.seed`.
    pub split_seed: Option<u64>,
    pub text: Option<Columns>,
    pub label: Option<String>,
    pub delimiter: Option<Delimiter>,
    pub task: Option<Task>,
    /// Tokens kept of each example, special tokens included.
    pub max_length: Option<usize>,
    /// Height and width in pixels at which images are seen.
    pub image_size: Option<usize>,
    pub on_bad_input: OnBadInput,
}

/// `[model]`: the pretrained network and its new head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// A directory in the Hugging Face layout, a hub id, or the name of an architecture: its trained network, or random numbers (`init`).
    pub model: String,
    pub init: Init,
    /// How many of the first stages are kept; the head is put on the last of them. `None`: all.
    pub stages: Option<usize>,
    pub pooling: Pooling,
    pub engine: Engine,
    /// Dropout before the head and inside trained stages; `None` keeps what the model's own configuration says.
    pub dropout: Option<f64>,
    /// How many of the last layers start anew from random weights.
    pub reinit_layers: usize,
}

/// `[strategy]`: which parameters are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyConfig {
    pub name: Strategy,
    /// What the head of a trained backbone starts from.
    pub head_init: HeadInit,
}

/// `[training]`: the optimisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the training data; 0 leaves the model untrained.
    pub epochs: Option<usize>,
    /// Peak learning rate.
    pub lr: Option<f64>,
    /// Peak learning rate of the head; `None` means as `lr`.
    pub head_lr: Option<f64>,
    /// The rate of each stage over that of the next; 1 gives all the same.
    pub layer_decay: f64,
    /// Tokens an optimiser step sees. Never set together with `batch_size`.
    pub batch_tokens: Option<usize>,
    /// Examples an optimiser step sees.
    pub batch_size: Option<usize>,
    /// Tokens of one forward and backward pass; a step accumulates as many of them as its batch needs.
    pub micro_batch_tokens: Option<usize>,
    pub weight_decay: f64,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    pub class_weights: ClassWeights,
    pub augment: Augment,
    /// Of Mixup and of CutMix, the parameter of the Beta distribution that shares are drawn from; 0 mixes nothing.
    pub mixup: f64,
    pub cutmix: f64,
    /// How many varied views of each image the head of a frozen network is trained on; 1 takes the image as it is.
    pub views: usize,
    /// Share of all steps over which the learning rate rises from 0 to its peak.
    pub warmup_ratio: f64,
    pub schedule: Schedule,
    /// Gradients are scaled down to this L2 norm when longer.
    pub max_grad_norm: f64,
    /// Epochs without improvement after which training stops; `None` never stops early.
    pub patience: Option<usize>,
    /// Minutes of training after which its state is saved, besides when it is interrupted.
    pub snapshot_minutes: f64,
    /// At most `i64::MAX`, which is what TOML can hold.
    pub seed: u64,
    /// Optimiser steps between two lines of the log.
    pub log_every: usize,
}

/// `[run]`: where the run goes and what it runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionConfig {
    pub out: PathBuf,
    pub device: Device,
    pub precision: Precision,
    pub threads: Option<usize>,
    /// Whether the activations behind the frozen stages are computed once and kept.
    pub cache: Switch,
    /// Megabytes of memory for them; what is more goes to a file. `None`: a quarter of what is free.
    pub cache_memory: Option<u64>,
    /// Where their files go, to be found again by later runs; `None`: into the run, and away when it is finished.
    pub cache_dir: Option<PathBuf>,
}

impl RunConfig {
    /// The settings as TOML that `--config` reads back to an equal `RunConfig`. A key the program chose by itself has
    /// its reason as a comment on its line; a choice that is no key, or whose key is unset, has a comment of its own.
    ///
    /// # Errors
    /// A path that is not UTF-8 cannot be written as TOML.
    pub fn to_toml(&self, choices: &Choices) -> Result<String> {
        use fmt::Write;
        let table = self.to_table()?;
        let mut text = format!(
            "# Settings of a run of rehead {}, resolved.\n\
             # To run it again: rehead train --config {SAVED_SETTINGS} --out NEW\n",
            env!("CARGO_PKG_VERSION")
        );
        // Writing into a String cannot fail.
        for (section, values) in &table {
            let _ = write!(text, "\n[{section}]\n");
            for (name, value) in values.as_table().into_iter().flatten() {
                let _ = write!(text, "{name} = {}", keys::toml_text(value));
                if let Some(choice) = choices.of_key(section, name) {
                    let _ = write!(text, "  # automatic: {}", one_line(&choice.reason));
                }
                text.push('\n');
            }
        }
        let is_written = |choice: &Choice| {
            let key = keys::find(&choice.key);
            key.is_some_and(|key| table.get(key.section).is_some_and(|section| section.get(key.name).is_some()))
        };
        let mut others = choices.iter().filter(|choice| !is_written(choice)).peekable();
        if others.peek().is_some() {
            text.push_str("\n# Also chosen automatically:\n");
        }
        for choice in others {
            let _ = writeln!(text, "# {}", one_line(&choice.to_string()));
        }
        Ok(text)
    }

    /// Looks at the paths of the run before anything is computed: the data files are there, and `out` is new, empty, or
    /// (with `resume`) a directory. Answers with everything that is wrong.
    pub fn check_paths(&self, resume: bool) -> Result<()> {
        let DataConfig { train, valid, test, .. } = &self.data;
        let mut problems = Vec::new();
        for (name, path) in [("data.train", Some(train)), ("data.valid", valid.as_ref()), ("data.test", test.as_ref())]
        {
            let Some(path) = path else { continue };
            if let Err(error) = path.metadata() {
                problems.push(Error::io(error, path).key(name));
            }
        }
        let out = &self.run.out;
        match out.read_dir().map(|mut entries| entries.next().is_none()) {
            Ok(is_empty) if is_empty || resume => {}
            Ok(_) => problems.push(
                Error::request("the output directory is not empty")
                    .file(out)
                    .hint("give a new directory to --out, or continue this run with --resume"),
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                problems.push(
                    Error::request("--out needs a directory, and this is a file")
                        .file(out)
                        .hint("give another directory to --out"),
                );
            }
            Err(error) => problems.push(Error::io(error, out).hint("give another directory to --out")),
        }
        resolve::gather(problems)
    }

    fn to_table(&self) -> Result<toml::Table> {
        toml::Table::try_from(self).map_err(|error| {
            Error::request(format!("the settings cannot be written as TOML: {}", error.to_string().trim()))
        })
    }
}

/// A setting that is not what it was, see [`differences`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key with its section, such as `training.lr`.
    pub key: String,
    /// Both values as TOML; `unset` where there is none.
    pub saved: String,
    pub asked: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` was {}, now {}", self.key, self.saved, self.asked)
    }
}

/// The settings in which a resumed run would differ from the `saved` one, in the order of the file. What does not touch
/// the result is not compared (`run.out`, `run.cache…`, `training.log_every`, `training.snapshot_minutes`); what `asked` leaves to the program (unset or `auto`)
/// agrees with any saved value, which then holds.
pub fn differences(saved: &RunConfig, asked: &RunConfig) -> Result<Vec<Difference>> {
    let (saved, asked) = (saved.to_table()?, asked.to_table()?);
    let mut differences = Vec::new();
    for key in keys::KEYS {
        if matches!(
            (key.section, key.name),
            ("run", "out" | "cache" | "cache_memory" | "cache_dir") | ("training", "log_every" | "snapshot_minutes")
        ) {
            continue;
        }
        let value = |table: &toml::Table| table.get(key.section).and_then(|section| section.get(key.name)).cloned();
        let (was, now) = (value(&saved), value(&asked));
        let left_open = now.as_ref().is_none_or(|now| now.as_str() == Some("auto"));
        if !left_open && was != now {
            let shown = |value: Option<toml::Value>| value.map_or("unset".to_owned(), |value| keys::toml_text(&value));
            differences.push(Difference { key: key.path(), saved: shown(was), asked: shown(now) });
        }
    }
    Ok(differences)
}

/// The file of resolved settings in the run directory `run`.
pub fn saved_settings(run: &Path) -> PathBuf {
    run.join(SAVED_SETTINGS)
}

/// A comment ends with its line, and TOML forbids control characters in it.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn example() -> RunConfig {
        let mut flags = Flags::default();
        flags.put("data.train", &Some("train.csv"));
        flags.put("model.model", &Some("some/model"));
        flags.put("run.out", &Some("out"));
        resolve(&Request { flags, ..Request::default() }).unwrap()
    }

    fn everything_set() -> RunConfig {
        let mut config = example();
        config.data = DataConfig {
            train: "a \"quoted\" name.csv".into(),
            valid: Some("valid.csv".into()),
            valid_fraction: None,
            test: Some("test.csv".into()),
            split_seed: Some(3),
            text: Some("title,body".parse().unwrap()),
            label: Some("label".into()),
            delimiter: Some("tab".parse().unwrap()),
            task: Some(Task::MultiLabel),
            max_length: Some(128),
            image_size: Some(224),
            on_bad_input: OnBadInput::Skip,
        };
        config.model.stages = Some(4);
        config.model.dropout = Some(0.0);
        config.strategy.name = Strategy::Lora { rank: 4 };
        config.training = TrainingConfig {
            epochs: Some(3),
            lr: Some(2e-5),
            head_lr: Some(1e-3),
            batch_tokens: Some(4096),
            batch_size: None,
            micro_batch_tokens: Some(1024),
            patience: Some(2),
            seed: i64::MAX as u64,
            ..config.training
        };
        config.run =
            ExecutionConfig { device: Device::Cuda(1), precision: Precision::Bf16, threads: Some(2), ..config.run };
        config.run.cache = Switch::Off;
        config.run.cache_memory = Some(512);
        config.run.cache_dir = Some("cache".into());
        config.strategy.head_init = HeadInit::Probe;
        config.training.class_weights = ClassWeights::Balanced;
        config
    }

    fn read_back(text: &str) -> RunConfig {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SAVED_SETTINGS);
        std::fs::write(&path, text).unwrap();
        load(&path).unwrap()
    }

    #[test]
    fn saved_settings_read_back_equal_with_reasons_beside_them() {
        let mut choices = Choices::default();
        choices.record("precision", "bf16", "this GPU multiplies bf16\nnatively");
        choices.record("labels", 4, "distinct values of column `label`");
        let config = everything_set();
        let text = config.to_toml(&choices).unwrap();
        assert!(text.contains("precision = \"bf16\"  # automatic: this GPU multiplies bf16 natively\n"), "{text}");
        assert!(text.contains("# labels = 4 (distinct values of column `label`)"), "{text}");
        assert!(text.contains("lr = 2e-5\n"), "{text}");
        assert_eq!(read_back(&text), config);
        assert_eq!(read_back(&example().to_toml(&choices).unwrap()), example());
    }

    #[test]
    fn the_list_of_keys_is_the_list_of_fields() {
        let mut config = everything_set();
        config.data.valid_fraction = Some(0.1);
        config.training.batch_size = Some(8);
        let table = config.to_table().unwrap();
        let fields = table.iter().flat_map(|(section, values)| {
            values.as_table().unwrap().keys().map(move |name| format!("{section}.{name}")).collect::<Vec<_>>()
        });
        assert_eq!(fields.collect::<Vec<_>>(), keys::KEYS.iter().map(|key| key.path()).collect::<Vec<_>>());
    }

    #[test]
    fn a_resumed_run_differs_where_it_was_asked_to() {
        let saved = everything_set();
        let mut asked = saved.clone();
        asked.run.out = "elsewhere".into();
        asked.training.log_every = 1;
        asked.run.device = Device::Auto;
        asked.training.batch_tokens = None;
        assert_eq!(differences(&saved, &asked).unwrap(), []);
        asked.training.lr = Some(1e-4);
        asked.data.valid_fraction = Some(0.1);
        let shown: Vec<String> = differences(&saved, &asked).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["`data.valid_fraction` was unset, now 0.1", "`training.lr` was 2e-5, now 0.0001"]);
    }

    #[test]
    fn paths_are_looked_at_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = example();
        config.data.train = folder.path().join("absent.csv");
        config.run.out = folder.path().to_owned();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let message = config.check_paths(false).unwrap_err().to_string();
        assert!(message.contains("absent.csv") && message.contains("not empty"), "{message}");
        config.data.train = folder.path().join("file");
        assert!(config.check_paths(true).is_ok());
        config.run.out = folder.path().join("new");
        assert!(config.check_paths(false).is_ok());
        config.run.out = folder.path().join("file");
        assert!(config.check_paths(false).is_err());
    }

    #[test]
    fn the_example_configurations_are_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let mut count = 0;
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            load(&path).unwrap_or_else(|error| panic!("{error}"));
            count += 1;
        }
        assert!(count >= 3);
    }
}
