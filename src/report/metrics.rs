//! `metrics.json`: what a run was and how good it is, for programs. Its top-level names are a contract.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter};

use crate::config::KeepBest;
use crate::console::units::{self, counted};
use crate::error::{Error, Result};
use crate::evaluation::Evaluation;
use crate::evaluation::thresholds::Thresholds;
use crate::files::write_atomically;
use crate::report::folds::FoldScores;
use crate::training::collapse::Restart;
use crate::training::stopping::Ended;

/// The content of `metrics.json`, in its order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunMetrics {
    /// The model from which the run began, as it was named.
    pub model: String,
    /// As `--strategy` takes it; of a baseline its name.
    pub strategy: String,
    /// Decides every random draw of the run.
    pub seed: u64,
    /// Rows trained on: without validation rows and unusable ones, and each once however many views it has.
    pub train_rows: u64,
    /// Images left out because they cannot be read, by `training`, `validation` and `test`; left out where all can be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreadable_images: BTreeMap<String, usize>,
    /// What a person should know of how the data were read, such as ignored files of a folder; left out where there is
    /// nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_warnings: Vec<String>,
    /// Wall-clock time of training, validation included.
    pub train_seconds: f64,
    /// Training tokens of all epochs divided by `train_seconds`; null where there are no tokens.
    pub tokens_per_second: Option<f64>,
    /// The same for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_per_second: Option<f64>,
    /// Numbers, not tensors, that the strategy changed, the head's included.
    pub trainable_parameters: u64,
    /// Numbers, not tensors, of backbone and head.
    pub total_parameters: u64,
    /// Peak memory of the process, with what it keeps for other runs of a comparison.
    pub peak_memory_bytes: u64,
    /// Scores on the validation data; left out where a baseline was scored on test data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<Evaluation>,
    /// Scores on the test data; left out where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Evaluation>,
    /// The epoch whose weights were kept, from 1; null without validation.
    #[serde(default)]
    pub best_epoch: Option<u32>,
    /// The validation score that chose it, as `--keep-best` takes it; left out where there were no epochs to choose
    /// from, and in files of versions that knew only `macro_f1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_best: Option<KeepBest>,
    /// What the output layer was divided by, so that the validation data's confidences fit; left out where nothing was
    /// fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Scores of all training rows, each predicted by the one of several models that had not seen it; the model is
    /// trained on all of them, and has no such score of its own. Left out where there were no folds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<FoldScores>,
    /// Whether nothing but the folds was trained (`compare --folds`), and the run has no model yet. Left out where it
    /// has one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_model: bool,
    /// The training on all rows that followed (`--refit`): the model is its result, and `test` its scores; `valid` is
    /// that of the model before. Left out where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refit: Option<Refit>,
    /// The confidence from which on a target accuracy is reached; left out where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
    /// γ of the focal loss that was minimised; left out for cross-entropy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_gamma: Option<f64>,
    /// Epochs trained; fewer than `epochs` of the settings after early stopping.
    #[serde(default)]
    pub epochs: u32,
    /// Why training ended where it did; left out where the head was fitted on features, and in files of versions that
    /// did not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// How the run was begun again with lower rates, where its training had collapsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Time that preparing the training and validation data took before training: tokenising texts, reading and
    /// decoding images. The same whether this run or an earlier one of a comparison did it.
    #[serde(default)]
    pub prepare_seconds: f64,
    /// What the tokenizer makes of the training texts (tokens per word, languages that it does not know); null for
    /// images, and in files of versions that did not measure it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub language: serde_json::Value,
    /// What was chosen automatically (device, precision, …), each with its reason.
    #[serde(default)]
    pub choices: serde_json::Value,
    /// The program that wrote the file, [`RunMetrics::VERSION`]; empty in files of versions that did not say it.
    #[serde(default)]
    pub rehead_version: String,
}

/// A training on training and validation rows together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refit {
    /// Rows that the model before was trained on.
    pub rows_before: u64,
    /// Epochs trained; 1 where the head was fitted on features.
    pub epochs: u32,
}

impl RunMetrics {
    /// The version to put into `rehead_version`.
    pub const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// The splits that were scored, the one that judges first, each with its name in running text.
    pub fn scored(&self) -> impl Iterator<Item = (&'static str, &Evaluation)> {
        let folds = self.folds.as_ref().map(|folds| &folds.all);
        let all = [("test", self.test.as_ref()), ("out-of-fold", folds), ("validation", self.valid.as_ref())];
        all.into_iter().filter_map(|(split, scores)| Some((split, scores?)))
    }

    /// What a person should know of the scores of rows that the final model was trained on.
    pub fn refitted(&self) -> Option<String> {
        if let Some(folds) = &self.folds {
            let (rows, count) = (counted(self.train_rows, "row"), folds.count);
            let epochs = self.best_epoch.map_or(String::new(), |epoch| {
                format!(
                    " for {} of {}, which the out-of-fold predictions chose",
                    epoch,
                    counted(self.epochs.into(), "epoch")
                )
            });
            if self.without_model {
                return Some(format!(
                    "no model is trained on all {rows} yet; the out-of-fold scores are those of {count} models, each \
                     trained on the rows of the other folds"
                ));
            }
            return Some(format!(
                "the model is trained on all {rows}{epochs}; the out-of-fold scores are those of {count} models, each \
                 trained on the rows of the other folds"
            ));
        }
        let Refit { rows_before, epochs } = self.refit?;
        let epochs = self.best_epoch.map_or(String::new(), |_| format!(" for {}", counted(epochs.into(), "epoch")));
        let rows = counted(self.train_rows, "row");
        Some(format!(
            "then trained again{epochs} on all {rows} (--refit): the validation scores are those of the model before, \
             trained on {}",
            units::count(rows_before)
        ))
    }

    /// Readable JSON without a newline at the end; a row of the confusion matrix stays on a line.
    pub fn to_json(&self) -> Result<String> {
        to_readable_json(self)
    }

    /// Saves to `path`, whole or not at all.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let text = self.to_json().map_err(|error| error.file(path))?;
        write_atomically(path, format!("{text}\n").as_bytes())
    }

    /// Reads what [`RunMetrics::write`] saved; names that are not known are passed over.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| Error::io(error, path))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::request(format!("is not the metrics of a run: {error}"))
                .file(path)
                .hint("name the metrics.json of a run directory that `rehead train` finished")
        })
    }
}

/// Indented JSON in which an array inside an array stays on one line. For what is printed by `--json` and saved for
/// people to read.
pub fn to_readable_json(value: &impl Serialize) -> Result<String> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Readable::default());
    value.serialize(&mut serializer).map_err(|error| Error::failure(format!("writing JSON: {error}")))?;
    String::from_utf8(bytes).map_err(|error| Error::failure(format!("writing JSON: {error}")))
}

/// serde_json's indentation, but for arrays in arrays. `depth` counts the arrays that are open since the last object.
#[derive(Default)]
struct Readable {
    pretty: PrettyFormatter<'static>,
    depths: Vec<usize>,
}

impl Readable {
    fn inline(&self) -> bool {
        self.depths.last().is_some_and(|&depth| depth > 1)
    }
}

impl Formatter for Readable {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        match self.depths.last_mut() {
            Some(depth) => *depth += 1,
            None => self.depths.push(1),
        }
        if self.inline() { writer.write_all(b"[") } else { self.pretty.begin_array(writer) }
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let inline = self.inline();
        if let Some(depth) = self.depths.last_mut() {
            *depth = depth.saturating_sub(1);
        }
        if inline { writer.write_all(b"]") } else { self.pretty.end_array(writer) }
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        match (self.inline(), first) {
            (true, true) => Ok(()),
            (true, false) => writer.write_all(b", "),
            (false, _) => self.pretty.begin_array_value(writer, first),
        }
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.inline() { Ok(()) } else { self.pretty.end_array_value(writer) }
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depths.push(0);
        self.pretty.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depths.pop();
        self.pretty.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::evaluation::evaluate;
    use crate::training::stopping::EndReason;

    fn metrics() -> RunMetrics {
        let labels = ["no", "yes"].map(str::to_owned);
        let evaluation = evaluate(&[2.0, 1.0, 0.5, 1.0, 0.0, 3.0], &[0, 1, 1], &labels).unwrap();
        RunMetrics {
            model: "bert-base-uncased".to_owned(),
            strategy: "last:2".to_owned(),
            seed: 7,
            train_rows: 6920,
            unreadable_images: BTreeMap::new(),
            data_warnings: Vec::new(),
            train_seconds: 99.5,
            prepare_seconds: 0.5,
            tokens_per_second: Some(7000.25),
            images_per_second: None,
            trainable_parameters: 770,
            total_parameters: 22_713_986,
            peak_memory_bytes: 1 << 30,
            valid: Some(evaluation.into()),
            test: None,
            best_epoch: Some(2),
            keep_best: Some(KeepBest::MacroF1),
            temperature: Some(1.25),
            folds: None,
            without_model: false,
            refit: None,
            thresholds: None,
            focal_gamma: None,
            epochs: 3,
            ended: Some(Ended { reason: EndReason::AllEpochs, planned_epochs: 3, training_loss: 0.5 }),
            restart: None,
            language: Value::Null,
            choices: json!({ "precision": { "value": "bf16", "because": "the CPU has avx512_bf16" } }),
            rehead_version: RunMetrics::VERSION.to_owned(),
        }
    }

    #[test]
    fn the_names_at_the_top_are_the_contract() {
        let json: Value = serde_json::from_str(&metrics().to_json().unwrap()).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let before = ["model", "strategy", "seed", "train_rows", "train_seconds", "tokens_per_second"];
        let after = ["trainable_parameters", "total_parameters", "peak_memory_bytes", "valid"];
        let more = ["best_epoch", "keep_best", "temperature", "epochs", "ended"];
        let last = ["prepare_seconds", "choices", "rehead_version"];
        assert_eq!(names, [&before[..], &after[..], &more[..], &last[..]].concat());
        let names: Vec<_> = json["valid"].as_object().unwrap().keys().map(String::as_str).collect();
        for name in ["rows", "accuracy", "macro_f1", "loss", "ece", "per_class", "confusion"] {
            assert!(names.contains(&name), "{name}");
        }
        assert_eq!(json["valid"]["per_class"]["yes"]["support"], 2);
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        metrics().write(&path).unwrap();
        assert_eq!(RunMetrics::read(&path).unwrap(), metrics());
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("}\n"));
    }

    #[test]
    fn an_unusable_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        std::fs::write(&path, "{}").unwrap();
        let error = RunMetrics::read(&path).unwrap_err().to_string();
        assert!(error.contains("metrics.json: is not the metrics of a run: missing field `model`"), "{error}");
    }

    #[test]
    fn matrices_are_readable() {
        let text =
            to_readable_json(&json!({ "m": [[1, 2], [3, 4]], "l": ["a"], "e": [], "o": [{ "x": [1] }] })).unwrap();
        assert!(text.contains("\"m\": [\n    [1, 2],\n    [3, 4]\n  ]"), "{text}");
        assert!(text.contains("\"l\": [\n    \"a\"\n  ]"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["o"][0]["x"][0], 1);
        assert_eq!(to_readable_json(&json!([[1, [2]], []])).unwrap(), "[\n  [1, [2]],\n  []\n]");
    }
}
