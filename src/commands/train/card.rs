//! The model card of a run, `README.md`: gathers what it says and writes it, unless a person has put another there.

use std::path::{Path, PathBuf};

use super::prepare::Run;
use crate::batch::Pooled;
use crate::commands::locate::hub_id;
use crate::commands::origin::Origin;
use crate::config::{RunConfig, given_settings};
use crate::error::Result;
use crate::files::write_atomically;
use crate::hub;
use crate::model::BaseCard;
use crate::model::checkpoint::read_config;
use crate::report::RunMetrics;
use crate::report::model_card::{Base, DataPart, Library, MARK, ModelCard};
use crate::transform::{LanguageFit, LongTexts, Transform};

const CARD: &str = "README.md";

/// Settings that name files or folders of this machine, or that the card tells in words.
const LEFT_OUT: [&str; 3] = ["model.model", "strategy.name", "training.seed"];

/// Writes the card. One that a person put there, or has made their own, stays.
pub fn write(run: &Run, metrics: &RunMetrics) -> Result<()> {
    let (out, file) = (run.out(), run.out().join(CARD));
    if std::fs::read_to_string(&file).is_ok_and(|text| !text.contains(MARK)) {
        run.console.note(format!("{}: kept as it is: it is not the card that rehead writes", file.display()));
        return Ok(());
    }
    let config = read_config(out)?;
    let name = name_of(out);
    let input_size = match &run.transform {
        Transform::Text(tokenizer) => {
            let longer = match tokenizer.long_texts() {
                LongTexts::Truncate => "cuts longer texts".to_owned(),
                LongTexts::HeadTail => "of longer texts the first quarter of them and the last three \
                                        (the code below truncates them)"
                    .to_owned(),
                LongTexts::Windows { stride, pooling, pooled } => format!(
                    "longer texts in windows that share {stride}, whose {} are pooled by their {pooling} (the code \
                     below truncates them)",
                    if pooled == Pooled::Features { "features" } else { "logits" }
                ),
            };
            format!("up to {} tokens, and {longer}", tokenizer.max_length())
        }
        Transform::Image(_) => match run.config.data.image_size {
            Some(size) => format!("images of {size} × {size} pixels"),
            None => "images".to_owned(),
        },
    };
    let card = ModelCard {
        name: &name,
        base: base(run),
        modality: run.transform.modality(),
        is_pair: run.config.data.text.as_ref().is_some_and(|columns| columns.len() == 2),
        // timm's configurations name an architecture, those of transformers a type.
        library: if config.get("architecture").is_some() { Library::Timm } else { Library::Transformers },
        has_module: config.get("auto_map").is_some(),
        labels: run.labels.names(),
        data: data(&run.config, metrics, out),
        settings: settings(run, metrics)?,
        input_size,
        warnings: run.language.iter().flat_map(LanguageFit::warnings).collect(),
        metrics,
    };
    write_atomically(file, card.to_string().as_bytes())
}

/// The network that the run began with.
fn base(run: &Run) -> Base {
    let Some(directory) = run.base_directory() else { return Base::default() };
    let card = BaseCard::read(directory);
    let id = hub::id_of(&hub_id(&run.config.model.model, &|_| {}));
    let name = Some(id.clone().unwrap_or_else(|| name_of(directory)));
    Base { id, name, license: card.license, license_name: card.license_name, languages: card.languages }
}

fn data(config: &RunConfig, metrics: &RunMetrics, out: &Path) -> Vec<DataPart> {
    let fingerprints = Origin::fingerprints(out);
    let data = &config.data;
    let names = |files: &[PathBuf]| files.iter().map(|file| name_of(file)).collect::<Vec<_>>();
    let part = |role, files: Option<&PathBuf>, rows| DataPart {
        role,
        files: files.map_or_else(|| names(&data.train), |file| names(std::slice::from_ref(file))),
        is_held_out: role == "validation" && files.is_none(),
        rows,
        fingerprint: match (role, files) {
            ("training", _) | (_, None) => fingerprints.get("the training data").cloned(),
            (role, Some(_)) => fingerprints.get(&format!("the {role} data")).cloned(),
        },
    };
    let valid = metrics.valid.as_ref().map(|valid| part("validation", data.valid.as_ref(), valid.rows()));
    let test = metrics.test.as_ref().map(|test| part("test", data.test.as_ref(), test.rows()));
    std::iter::once(part("training", None, metrics.train_rows)).chain(valid).chain(test).collect()
}

fn settings(run: &Run, metrics: &RunMetrics) -> Result<Vec<(String, String)>> {
    let mut told = vec![
        ("strategy".to_owned(), metrics.strategy.clone()),
        ("seed".to_owned(), metrics.seed.to_string()),
        ("epochs trained".to_owned(), metrics.epochs.to_string()),
    ];
    told.extend(metrics.best_epoch.map(|epoch| ("epoch kept".to_owned(), epoch.to_string())));
    for section in ["strategy", "training", "model", "data"] {
        for (setting, value) in given_settings(&run.config, section, &run.choices)? {
            let value = value.unwrap_or_else(|| "yes".to_owned());
            // A path is this machine's business.
            let is_path = section == "data" && ["train", "valid", "test", "label_map"].contains(&setting.name())
                || Path::new(&value).is_absolute();
            if !LEFT_OUT.contains(&setting.path) && !is_path {
                told.push((setting.name().replace('_', " "), value));
            }
        }
    }
    Ok(told)
}

/// The last part of a path, whatever way it was given.
fn name_of(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let whole = if path.file_name().is_none() { path.canonicalize().unwrap_or(whole) } else { whole };
    whole.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}
