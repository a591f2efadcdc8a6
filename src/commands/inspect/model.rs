//! What is in a model directory, a run or a file of weights. It is loaded as every command loads it, so that what is
//! said of it is what would happen.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use tch::Device;

use super::super::inputs::{TransformOptions, transform_for};
use crate::config::{self, saved_settings};
use crate::console::units;
use crate::data::Labels;
use crate::error::{Error, Result, listed};
use crate::model::checkpoint::{Weights, read_config, weight_files};
use crate::model::{self, BaseCard, Classifier, Engine, HeadRequest, InputSpec, LoadRequest, Pooling};
use crate::transform::Transform;

/// Whether a model has a head.
#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum HeadState {
    /// A backbone without one.
    None,
    Usable,
    /// There is one that cannot be loaded; why is among the problems.
    Unusable,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is in a model directory.
#[derive(Serialize)]
pub struct ModelReport {
    directory: String,
    /// Of a model in the hub cache, as it was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// As its model card says.
    license: Option<String>,
    languages: Vec<String>,
    /// What `config.json` calls the network.
    model_type: Option<String>,
    architectures: Vec<String>,
    /// The family that loads it.
    family: Option<String>,
    reads: Option<&'static str>,
    files: Vec<String>,
    tensors: usize,
    /// Numbers in them.
    parameters: u64,
    /// Numbers in tensors that are not learned, such as the statistics of batch norms.
    #[serde(skip_serializing_if = "is_zero")]
    buffers: u64,
    /// Of the backbone, when rehead can run it.
    stages: Vec<String>,
    feature_width: Option<i64>,
    /// Of a network for texts: how words are divided, and into how many kinds of token.
    tokenizer: Option<&'static str>,
    vocabulary: Option<usize>,
    /// Of a network for texts.
    max_length: Option<usize>,
    /// Height and width of the images that the network sees.
    image_size: Option<[u32; 2]>,
    pooling: Option<Pooling>,
    /// `None` where the network cannot be loaded at all.
    head: Option<HeadState>,
    /// What a head of another job does.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_head: Option<String>,
    /// Of the head, where it can be used.
    labels: Vec<String>,
    /// Weights of other tasks' heads, and of parts that classification does not use.
    unused: Vec<String>,
    /// Weights that are not there, and that training would begin with newly.
    newly_initialised: Vec<String>,
    /// The settings of the run that made it.
    run: Option<String>,
    /// The strategy of that run.
    strategy: Option<String>,
    problems: Vec<String>,
}

impl ModelReport {
    /// Loads what is at `path`, a directory or a file of weights, and describes it.
    ///
    /// # Errors
    /// When `config.json` cannot be read; what else is wrong with a model is in `problems`.
    pub fn of(path: &Path) -> Result<Self> {
        let stated = path.join("config.json").exists();
        let config = if stated { read_config(path)? } else { Value::Null };
        let word = |key: &str| config.get(key).and_then(Value::as_str).map(str::to_owned);
        let settings = saved_settings(path);
        let names = config.get("architectures").and_then(Value::as_array);
        let card = BaseCard::read(path);
        let mut report = Self {
            directory: path.display().to_string(),
            id: None,
            license: card.license_name.or(card.license).or_else(|| word("license")),
            languages: card.languages,
            model_type: word("model_type").or_else(|| word("architecture")),
            architectures: names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            family: None,
            reads: None,
            files: Vec::new(),
            tensors: 0,
            parameters: 0,
            buffers: 0,
            stages: Vec::new(),
            feature_width: None,
            tokenizer: None,
            vocabulary: None,
            max_length: None,
            image_size: None,
            pooling: None,
            head: None,
            other_head: None,
            labels: Vec::new(),
            unused: Vec::new(),
            newly_initialised: Vec::new(),
            run: settings.is_file().then(|| settings.display().to_string()),
            strategy: None,
            problems: Vec::new(),
        };
        let described = [report.describe_run(&settings), report.describe_weights(path), report.describe_network(path)];
        for error in described.into_iter().filter_map(Result::err) {
            report.problem(&error);
        }
        Ok(report)
    }

    /// As [`ModelReport::of`], of a model in the hub cache.
    ///
    /// # Errors
    /// The same.
    pub fn of_id(id: &str, directory: &Path) -> Result<Self> {
        Ok(Self { id: Some(id.to_owned()), ..Self::of(directory)? })
    }

    fn problem(&mut self, error: &Error) {
        let problem = match error.hint_text() {
            Some(hint) => format!("{error} ({hint})"),
            None => error.to_string(),
        };
        // Weights that cannot be opened are in the way twice.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn describe_run(&mut self, settings: &Path) -> Result<()> {
        if self.run.is_some() {
            self.strategy = Some(config::load(settings)?.strategy.name.to_string());
        }
        Ok(())
    }

    fn describe_weights(&mut self, path: &Path) -> Result<()> {
        let files: Vec<PathBuf> = if path.is_file() { vec![path.to_owned()] } else { weight_files(path)? };
        let name = |file: &PathBuf| Some(file.file_name()?.to_string_lossy().into_owned());
        self.files = files.iter().filter_map(name).collect();
        let weights = match path.is_file() {
            true => Weights::open_file(path, Device::Cpu)?,
            false => Weights::open(path, Device::Cpu)?,
        };
        self.tensors = weights.names().count();
        (self.parameters, self.buffers) = weights.elements();
        Ok(())
    }

    fn describe_network(&mut self, path: &Path) -> Result<()> {
        let engine = model::engines(path)?.first().copied().unwrap_or(Engine::Packed);
        let placeholder = Labels::in_order(vec!["0".to_owned(), "1".to_owned()])?;
        let load = |head| Classifier::load(path, &LoadRequest { engine, ..LoadRequest::plain(head) });
        let (classifier, loaded, head) = match load(HeadRequest::Any { placeholder: &placeholder }) {
            Ok((classifier, loaded)) => {
                let head = if loaded.missing.is_empty() { HeadState::Usable } else { HeadState::None };
                (classifier, loaded, head)
            }
            // The head cannot be used; the backbone may be.
            Err(error) => {
                self.problem(&error);
                let new = HeadRequest::New { labels: &placeholder, pooling: None, dropout: None, seed: 0 };
                let (classifier, loaded) = load(new)?;
                (classifier, loaded, HeadState::Unusable)
            }
        };
        self.head = Some(head);
        if head == HeadState::Usable {
            self.labels = classifier.labels.names().to_vec();
        }
        let backbone = &classifier.backbone;
        self.family = Some(backbone.family().to_owned());
        self.stages = backbone.stages().to_vec();
        self.feature_width = Some(classifier.feature_width());
        self.pooling = Some(classifier.pooling);
        self.unused = loaded.unused;
        self.newly_initialised = loaded.missing;
        self.problems.extend(loaded.warnings);
        self.other_head = loaded.other_head;
        match &classifier.input {
            InputSpec::Image(preprocessing) => {
                let (height, width) = preprocessing.output();
                self.reads = Some("images");
                self.image_size = Some([height, width]);
            }
            InputSpec::Text { .. } => {
                self.reads = Some("text");
                if let Transform::Text(tokenizer) = transform_for(&classifier, TransformOptions::default())? {
                    self.problems.extend_from_slice(tokenizer.warnings());
                    self.tokenizer = Some(tokenizer.kind());
                    self.vocabulary = Some(tokenizer.vocabulary_size());
                    self.max_length = Some(tokenizer.max_length());
                }
            }
        }
        Ok(())
    }
}

impl ModelReport {
    /// Whether nothing looks wrong.
    pub fn is_fine(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for ModelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.run.is_some() { "a run" } else { "a model" };
        let name = self.id.as_ref().unwrap_or(&self.directory);
        writeln!(f, "{name}: {what}")?;
        if self.id.is_some() {
            writeln!(f, "  directory     {}", self.directory)?;
        }
        if let Some(architecture) = self.model_type.as_ref().or(self.family.as_ref()) {
            writeln!(f, "  architecture  {architecture}")?;
        }
        if !self.architectures.is_empty() {
            writeln!(f, "  class         {}", self.architectures.join(", "))?;
        }
        if let Some(license) = &self.license {
            writeln!(f, "  licence       {license}")?;
        }
        if !self.languages.is_empty() {
            writeln!(f, "  languages     {}", self.languages.join(", "))?;
        }
        let buffers = match self.buffers {
            0 => String::new(),
            buffers => format!(" and {} buffers (statistics of batch norms and the like)", units::count(buffers)),
        };
        writeln!(
            f,
            "  weights       {} tensors, {} parameters{buffers} ({})",
            self.tensors,
            units::count(self.parameters),
            self.files.join(", ")
        )?;
        match self.stages.as_slice() {
            [] => {}
            [only] => writeln!(f, "  stages        1: {only}")?,
            [first, .., last] => writeln!(f, "  stages        {}: {first} to {last}", self.stages.len())?,
        }
        if let Some(width) = self.feature_width {
            writeln!(f, "  features      {width} numbers")?;
        }
        if let (Some(kind), Some(vocabulary)) = (self.tokenizer, self.vocabulary) {
            writeln!(f, "  tokenizer     {kind}, {} tokens", units::count(vocabulary as u64))?;
        }
        if let Some(length) = self.max_length {
            writeln!(f, "  max length    {length} tokens")?;
        }
        if let Some([height, width]) = self.image_size {
            writeln!(f, "  images        {height} × {width} pixels")?;
        }
        match self.head {
            None => {}
            Some(HeadState::None) => {
                if let Some(other) = &self.other_head {
                    writeln!(f, "  its head      of {other}: not used")?;
                }
                writeln!(f, "  head          none: give it one with `rehead train --model {name}`")?;
                writeln!(f, "  new           {} (newly initialised)", listed(&self.newly_initialised))?;
            }
            Some(HeadState::Unusable) => writeln!(f, "  head          cannot be used, see below")?,
            Some(HeadState::Usable) => {
                writeln!(f, "  head          {} labels: {}", self.labels.len(), listed(self.labels.iter().take(20)))?;
            }
        }
        if !self.unused.is_empty() {
            writeln!(f, "  unused        {} (not needed for classification)", listed(&self.unused))?;
        }
        if let (Some(run), Some(strategy)) = (&self.run, &self.strategy) {
            writeln!(f, "  trained by    {strategy} ({run})")?;
        }
        if !self.problems.is_empty() {
            writeln!(f, "what looks wrong or odd:")?;
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "  - {problem}"))
    }
}
