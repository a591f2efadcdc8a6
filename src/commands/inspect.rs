//! `rehead inspect`: what is in a data file or a model directory, and what looks wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use tch::Device;

use super::inputs::{TransformOptions, transform_for};
use super::output::print;
use crate::cli::InspectArgs;
use crate::console::units;
use crate::data::columns::LabelColumn;
use crate::data::{self, Input, Modality, ReadOptions, RowReader, resolve};
use crate::error::{Result, listed};
use crate::image::Preprocessing;
use crate::model::checkpoint::{Weights, read_config, weight_files};
use crate::model::{Classifier, HeadRequest, LoadRequest};
use crate::report::metrics::to_readable_json;
use crate::transform::images::ImageTransform;
use crate::transform::{Purpose, Transform};

/// Prints what is in a data file, a folder of images or a model directory: which of them, the path tells.
///
/// # Errors
/// The path cannot be read as any of them.
pub fn run(args: &InspectArgs) -> Result<()> {
    let no_model = || !args.path.join("config.json").exists() && weight_files(&args.path).is_err();
    if args.path.is_dir() && no_model() && RowReader::open(&args.path, &ImagesReport::options(false)).is_ok() {
        let report = ImagesReport::of(&args.path)?;
        return if args.json { print(&to_readable_json(&report)?) } else { print(&report.to_string()) };
    }
    if args.path.is_dir() {
        let report = ModelReport::of(&args.path)?;
        return if args.json { print(&to_readable_json(&report)?) } else { print(&report.to_string()) };
    }
    let report = data::inspect::inspect(&args.path, &args.columns.read_options()?)?;
    if args.json { print(&to_readable_json(&report)?) } else { print(&report.to_string()) }
}

/// What is in a folder of images.
#[derive(Serialize)]
struct ImagesReport {
    folder: String,
    /// Of a folder of class folders: each class and its number of images.
    classes: Vec<(String, usize)>,
    images: usize,
    /// The files that cannot be read, each with the reason.
    problems: Vec<String>,
}

impl ImagesReport {
    fn options(classes: bool) -> ReadOptions {
        ReadOptions { modality: Modality::Image, classes, ..ReadOptions::default() }
    }

    fn of(folder: &Path) -> Result<Self> {
        let reader = RowReader::open(folder, &Self::options(false))?;
        let columns = resolve(reader.layout(), &Self::options(false), LabelColumn::Optional)?;
        let inputs = reader.map(|row| columns.input_of(&row?)).collect::<Result<Vec<Input>>>()?;
        let transform = ImageTransform::new(Preprocessing::imagenet(8), None, 0, 0, 0);
        let prepared = transform.prepare(&inputs.iter().collect::<Vec<_>>(), Purpose::Inference, &mut |_| {})?;
        // A folder without class folders is one to label.
        let mut classes: BTreeMap<String, usize> = BTreeMap::new();
        for row in RowReader::open(folder, &Self::options(true)).into_iter().flatten().flatten() {
            *classes.entry(row.text("label", 1).unwrap_or_default().into_owned()).or_default() += 1;
        }
        Ok(Self {
            folder: folder.display().to_string(),
            classes: classes.into_iter().collect(),
            images: inputs.len(),
            problems: prepared.unusable.iter().map(|(_, error)| error.to_string()).collect(),
        })
    }
}

impl fmt::Display for ImagesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} images", self.folder, units::count(self.images as u64))?;
        for (class, images) in &self.classes {
            write!(f, "\n  {class}  {}", units::count(*images as u64))?;
        }
        for problem in &self.problems {
            write!(f, "\n  cannot be read: {problem}")?;
        }
        Ok(())
    }
}

/// What is in a model directory.
#[derive(Serialize)]
struct ModelReport {
    directory: String,
    model_type: Option<String>,
    architectures: Vec<String>,
    files: Vec<String>,
    tensors: usize,
    parameters: u64,
    /// Of the backbone, when rehead can run it.
    stages: Vec<String>,
    feature_width: Option<i64>,
    max_length: Option<usize>,
    pooling: Option<crate::model::Pooling>,
    /// Of the head; empty for a backbone without one.
    labels: Vec<String>,
    /// The settings of the run that made it.
    run: Option<String>,
    problems: Vec<String>,
}

impl ModelReport {
    /// # Errors
    /// When the directory holds no model at all; what is wrong with one is in `problems`.
    fn of(directory: &Path) -> Result<Self> {
        let config = read_config(directory).map_err(|error| {
            let images = "a folder of class folders cannot be inspected yet";
            if directory.join("config.json").exists() { error } else { error.hint(images) }
        })?;
        let word = |key: &str| config.get(key).and_then(Value::as_str).map(str::to_owned);
        let settings = crate::config::saved_settings(directory);
        let mut report = Self {
            directory: directory.display().to_string(),
            model_type: word("model_type"),
            architectures: config
                .get("architectures")
                .and_then(Value::as_array)
                .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                .unwrap_or_default(),
            files: Vec::new(),
            tensors: 0,
            parameters: 0,
            stages: Vec::new(),
            feature_width: None,
            max_length: None,
            pooling: None,
            labels: Vec::new(),
            run: settings.is_file().then(|| settings.display().to_string()),
            problems: Vec::new(),
        };
        if let Err(error) = report.look_inside(directory) {
            report.problems.push(match error.hint_text() {
                Some(hint) => format!("{error} ({hint})"),
                None => error.to_string(),
            });
        }
        Ok(report)
    }

    fn look_inside(&mut self, directory: &Path) -> Result<()> {
        self.files = weight_files(directory)?
            .iter()
            .filter_map(|file| file.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        let weights = Weights::open(directory, Device::Cpu)?;
        self.tensors = weights.names().count();
        self.parameters = weights.elements();
        drop(weights);

        let placeholder = data::Labels::in_order(vec!["0".to_owned(), "1".to_owned()])?;
        let request = LoadRequest::plain(HeadRequest::Any { placeholder: &placeholder });
        let (classifier, loaded) = Classifier::load(directory, &request)?;
        self.stages = classifier.backbone.stages().to_vec();
        self.feature_width = Some(classifier.backbone.feature_width());
        self.pooling = Some(classifier.pooling);
        if loaded.missing.is_empty() {
            self.labels = classifier.labels.names().to_vec();
        }
        if !loaded.set_aside.is_empty() {
            self.problems.push(format!("unused weights: {}", listed(&loaded.set_aside)));
        }
        if let Transform::Text(tokenizer) = transform_for(&classifier, TransformOptions::default())? {
            self.max_length = Some(tokenizer.max_length());
        }
        Ok(())
    }
}

impl fmt::Display for ModelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "not said".to_owned();
        writeln!(f, "{}: a model directory", self.directory)?;
        writeln!(f, "  kind        {}", self.model_type.clone().unwrap_or_else(unknown))?;
        if !self.architectures.is_empty() {
            writeln!(f, "  made as     {}", self.architectures.join(", "))?;
        }
        writeln!(
            f,
            "  weights     {} tensors, {} parameters ({})",
            self.tensors,
            units::count(self.parameters),
            self.files.join(", ")
        )?;
        if let (Some(first), Some(last)) = (self.stages.first(), self.stages.last()) {
            writeln!(f, "  stages      {}: {first} to {last}", self.stages.len())?;
        }
        if let Some(width) = self.feature_width {
            writeln!(f, "  features    {width} wide")?;
        }
        if let Some(length) = self.max_length {
            writeln!(f, "  max length  {length} tokens")?;
        }
        match self.labels.as_slice() {
            [] => writeln!(f, "  head        none: give it one with `rehead train --model {}`", self.directory)?,
            labels => writeln!(f, "  head        {} labels: {}", labels.len(), listed(labels.iter().take(20)))?,
        }
        if let Some(run) = &self.run {
            writeln!(f, "  settings    {run}")?;
        }
        match self.problems.as_slice() {
            [] => write!(f, "nothing looks wrong"),
            problems => {
                write!(f, "what looks wrong or odd:")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_a_model_is_an_error_value() {
        let directory = std::env::temp_dir();
        assert!(ModelReport::of(&directory.join("no such directory")).is_err_and(|error| error.exit_status() == 2));
    }
}
