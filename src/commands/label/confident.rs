//! Which rows get a label: from which confidence on, as given or as training chose for a target accuracy, and how
//! unusual they may be.

use crate::cli::{LabelArgs, MinConfidence};
use crate::commands::loaded_model::LoadedModel;
use crate::config;
use crate::console::Console;
use crate::error::{Error, Result};
use crate::task::Unknown;

/// Which rows get a label.
pub struct Confident {
    /// The least confidence of each label, of a model that gives one.
    pub by_label: Vec<f64>,
    /// The least probability at which each label is given, of a model that may give several; `None`: as it is usual.
    pub thresholds: Option<Vec<f64>>,
    /// Why a row has no label: `below 0.8`.
    pub below: String,
    /// How unusual a row may be.
    pub unknown: Option<Unknown>,
}

impl Confident {
    /// Those of a call; what the model's own thresholds promise is said.
    ///
    /// # Errors
    /// The model's own are asked for, and it has none.
    pub fn of(args: &LabelArgs, model: &LoadedModel, console: &Console) -> Result<Self> {
        let classes = model.classifier.labels.len();
        if model.gives_numbers() {
            return Self::of_numbers(args);
        }
        if model.task.name() == config::Task::MultiLabel {
            return Self::of_several(args, model, console);
        }
        let (by_label, below) = match args.min_confidence {
            None => (vec![0.0; classes], String::new()),
            Some(MinConfidence::Of(least)) => (vec![least; classes], format!("below {least}")),
            Some(MinConfidence::Auto) => thresholds(model, console)?,
        };
        let unknown = args.unknown.map(|share| unknown(model, share)).transpose()?;
        Ok(Self { by_label, thresholds: None, below, unknown })
    }

    /// A model that gives numbers gives every row one.
    fn of_numbers(args: &LabelArgs) -> Result<Self> {
        let of_labels = [
            ("min-confidence", args.min_confidence.is_some()),
            ("unknown", args.unknown.is_some()),
            ("unknown-label", args.unknown_label.is_some()),
            ("probabilities", args.probabilities),
            ("top", args.top.is_some()),
        ];
        match of_labels.into_iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(Error::request("this model gives each row a number, not a label with a confidence")
                .key(key)
                .hint(format!("leave out --{key}"))),
            None => Ok(Self { by_label: Vec::new(), thresholds: None, below: String::new(), unknown: None }),
        }
    }

    /// Those of a model that may give several labels, each from a threshold on.
    fn of_several(args: &LabelArgs, model: &LoadedModel, console: &Console) -> Result<Self> {
        let refused = |key: &str, message: &str, hint: &str| Err(Error::request(message).key(key).hint(hint));
        if args.unknown.is_some() {
            let message = "this model gives any number of labels: a row that it finds unusual is given none";
            return refused("unknown", message, "leave out --unknown");
        }
        let separator = model.label_separator(None).unwrap_or_default();
        if let Some(name) = model.classifier.labels.names().iter().find(|name| name.contains(&separator)) {
            console.warn(format!(
                "the label `{name}` holds `{separator}`, which also stands between the labels of a row: \
                 --probabilities tells them apart"
            ));
        }
        let labels = model.classifier.labels.len();
        let thresholds = match args.min_confidence {
            Some(MinConfidence::Auto) => {
                let message = "this model gives each label from a threshold of its own on already";
                return refused("min-confidence", message, "leave it out, or give one number for all labels");
            }
            Some(MinConfidence::Of(least)) => Some(vec![least; labels]),
            None => model.classifier.label_thresholds.clone(),
        };
        let below = "every label below its threshold".to_owned();
        Ok(Self { by_label: vec![0.0; labels], thresholds, below, unknown: None })
    }
}

/// The least confidence of each label that training chose, and why a row is below it.
fn thresholds(model: &LoadedModel, console: &Console) -> Result<(Vec<f64>, String)> {
    let refused = |message: String| {
        let hint = "train with --target-accuracy P, or give --min-confidence a number";
        Err(Error::request(message).key("min-confidence").hint(hint))
    };
    let Some(thresholds) = model.saved_confidence()?.thresholds else {
        return refused("the model has no confidence thresholds of its own".to_owned());
    };
    if thresholds.shown.is_empty() {
        return refused(thresholds.sentence());
    }
    console.note(thresholds.sentence());
    let below = match thresholds.shown.as_slice() {
        [one] if thresholds.without.is_empty() => format!("below {}", one.confidence),
        _ => "below the threshold of the label".to_owned(),
    };
    Ok((thresholds.by_label(model.classifier.labels.names()), below))
}

fn unknown(model: &LoadedModel, share: f64) -> Result<Unknown> {
    let refused = |message: String, hint: &str| Err(Error::request(message).key("unknown").hint(hint));
    match model.saved_confidence()?.typical {
        Some(typical) if typical.smallest() > share => refused(
            format!("the model was trained with too few validation rows to tell the most unusual {share} of rows"),
            &format!("give --unknown at least {:.3}, or train with more validation rows", typical.smallest() + 5e-4),
        ),
        Some(typical) if typical.is_known() => Ok(Unknown { typical, share }),
        _ => refused(
            "the model does not know which rows are unusual".to_owned(),
            "train it with this version of rehead, which keeps how unusual the validation rows are",
        ),
    }
}
