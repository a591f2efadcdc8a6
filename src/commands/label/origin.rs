//! What an output is the output of: an interrupted one is only continued by the same call, and a finished one only
//! sorted by it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::Kind;

use crate::cli::{LabelArgs, MinConfidence};
use crate::commands::loaded_model::LoadedModel;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::model::Classifier;
use crate::transform::Transform;

/// What decides an output.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub struct Origin {
    input: String,
    /// The input's columns.
    columns: Vec<String>,
    model: String,
    added_columns: Vec<String>,
    min_confidence: f64,
    /// The model's own thresholds, where they decide.
    #[serde(default)]
    thresholds: Option<String>,
    /// Which rows are too unusual for a label.
    #[serde(default)]
    unknown: Option<String>,
    #[serde(default)]
    unknown_label: Option<String>,
    #[serde(default)]
    csv_safe: bool,
    /// How the rows are read.
    rows: String,
    precision: String,
    /// Decides no more than how sums are rounded.
    #[serde(default)]
    threads: Threads,
}

/// Threads that compute; unknown of what an earlier version has begun. Equal whatever they are: they decide no output.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Threads(Option<usize>);

impl PartialEq for Threads {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Origin {
    /// That of a call, with its input's columns and those that are added.
    ///
    /// # Errors
    /// The model's weights cannot be read.
    pub fn of(args: &LabelArgs, model: &LoadedModel, columns: &[String], added: &[String]) -> Result<Self> {
        Ok(Self {
            input: args.input_named(),
            columns: columns.to_vec(),
            model: fingerprint(&model.classifier, &model.transform)?,
            added_columns: added.to_vec(),
            min_confidence: match args.min_confidence {
                Some(MinConfidence::Of(least)) => least,
                Some(MinConfidence::Auto) | None => 0.0,
            },
            thresholds: match args.min_confidence {
                Some(MinConfidence::Auto) => Some(format!("{:?}", model.saved_confidence()?.thresholds)),
                _ => None,
            },
            unknown: args.unknown.map(|share| usual_rows(model, share)).transpose()?,
            unknown_label: args.unknown_label.clone(),
            csv_safe: args.csv_safe,
            rows: format!("{:?} {:?}", args.form, args.rows),
            precision: format!("{:?}", args.inference.precision),
            threads: Threads(Some(model.hardware.threads)),
        })
    }

    /// That `now` is the same. `what` this is the origin of is said, and `hint`.
    ///
    /// # Errors
    /// It is that of another call.
    pub fn check(&self, now: &Self, what: &str, file: &Path, hint: &str) -> Result<()> {
        let differs =
            |part: &str| Err(Error::request(format!("the {what} was made with another {part}")).file(file).hint(hint));
        if self.input != now.input {
            return differs(&format!("input: {}", self.input));
        }
        if self.columns != now.columns {
            return differs("input: its columns have changed");
        }
        if self.model != now.model {
            return differs("model");
        }
        let options = self.other_options(now);
        if !options.is_empty() {
            return differs(&format!("set of output options: {}", options.join("; ")));
        }
        Ok(())
    }

    /// The options that differ, with what they were and are.
    fn other_options(&self, now: &Self) -> Vec<String> {
        let name =
            |value: &Option<String>| value.as_ref().map_or_else(|| "none".to_owned(), |name| format!("`{name}`"));
        let least = |origin: &Self| match &origin.thresholds {
            Some(_) => "auto".to_owned(),
            None => origin.min_confidence.to_string(),
        };
        let columns = |origin: &Self| origin.added_columns.join(", ");
        let mut found = Vec::new();
        let mut add = |differs: bool, option: &str, before: String, now: String| {
            if differs {
                found.push(format!("{option} ({before}; now {now})"));
            }
        };
        add(self.added_columns != now.added_columns, "added columns", columns(self), columns(now));
        let is_auto = self.thresholds.is_some() && now.thresholds.is_some();
        add(
            !is_auto && (self.min_confidence != now.min_confidence || self.thresholds != now.thresholds),
            "--min-confidence",
            least(self),
            least(now),
        );
        add(
            self.unknown_label != now.unknown_label,
            "--unknown-label",
            name(&self.unknown_label),
            name(&now.unknown_label),
        );
        add(self.precision != now.precision, "--precision", self.precision.clone(), now.precision.clone());
        if is_auto && self.thresholds != now.thresholds {
            found.push("the model's own thresholds".to_owned());
        }
        let others = [(self.unknown != now.unknown, "--unknown"), (self.csv_safe != now.csv_safe, "--csv-safe")];
        found.extend(others.into_iter().filter(|(differs, _)| *differs).map(|(_, option)| option.to_owned()));
        if self.rows != now.rows {
            found.push(
                "how the rows are read (--text, --delimiter, --quote, --no-header, --encoding, --sheet, \
                        --on-bad-input)"
                    .to_owned(),
            );
        }
        found
    }

    /// What to say where `now` computes with another number of threads.
    pub fn other_threads(&self, now: &Self) -> Option<String> {
        let (Threads(Some(before)), Threads(Some(now))) = (&self.threads, &now.threads) else { return None };
        (before != now).then(|| {
            format!(
                "the output was begun with --threads {before} and is continued with {now}: probabilities may differ in \
                 their last digits from those of one call"
            )
        })
    }
}

/// A hash of which rows are too unusual.
fn usual_rows(model: &LoadedModel, share: f64) -> Result<String> {
    let mut hash = Fingerprint::default();
    hash.bytes(format!("{share} {:?}", model.saved_confidence()?.typical));
    Ok(hash.finish())
}

/// A hash by which models differ: labels, head, length limit, and a sample of every backbone tensor.
pub fn fingerprint(classifier: &Classifier, transform: &Transform) -> Result<String> {
    let mut hash = Fingerprint::default();
    hash.bytes(classifier.labels.names().join("\u{0}"));
    hash.bytes(transform.settings());
    for parameter in classifier.parameters() {
        let sample = parameter.tensor.f_flatten(0, -1)?.f_slice(0, 0, 64, 1)?;
        hash.tensor(&sample.f_to_kind(Kind::Float)?)?;
    }
    Ok(hash.finish())
}
