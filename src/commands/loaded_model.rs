//! A network as the commands use it that run one over an input: loaded in the kind it computes in, with its tokenizer
//! or image transform; and a trained model, which has a task besides.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use super::inputs::{TransformOptions, text_columns, transform_for};
use super::locate::locate_model;
use super::saved_confidence::SavedConfidence;
use super::saved_rules;
use crate::cli::InferenceArgs;
use crate::config::{self, Choices, Engine as EngineSetting};
use crate::console::Console;
use crate::data::{LabelResolution, Modality, ReadOptions, TrainedColumns, USUAL_SEPARATOR};
use crate::error::{Error, Result};
use crate::hardware::Hardware;
use crate::inference::Inference;
use crate::inference::budget::inference_budget;
use crate::model::checkpoint::LoadReport;
use crate::model::{self, Classifier, Engine, HeadRequest, InputSpec, LoadRequest, WeightDtype};
use crate::task::{self, Task};
use crate::transform::Transform;

/// A network ready to run: loaded in the kind it computes in, with its tokenizer or image transform.
pub struct LoadedNetwork {
    pub classifier: Classifier,
    pub transform: Transform,
    pub hardware: Hardware,
    /// Tokens, or images, of an inference batch.
    pub batch_tokens: usize,
    pub choices: Choices,
    /// The columns that the run was trained on; empty for a model that rehead did not train.
    trained_on: TrainedColumns,
    is_trained: bool,
    pub modality: Modality,
    /// What loading found besides.
    report: LoadReport,
}

/// A classifier ready to label.
pub struct LoadedModel {
    network: LoadedNetwork,
    pub task: &'static dyn Task,
    /// What training made of its labels.
    pub label_resolution: LabelResolution,
}

impl Deref for LoadedModel {
    type Target = LoadedNetwork;

    fn deref(&self) -> &LoadedNetwork {
        &self.network
    }
}

impl DerefMut for LoadedModel {
    fn deref_mut(&mut self) -> &mut LoadedNetwork {
        &mut self.network
    }
}

impl LoadedModel {
    pub fn load(model: &str, args: &InferenceArgs, quiet: bool, console: &Console) -> Result<Self> {
        let directory = locate_model(model, quiet)?;
        let network = LoadedNetwork::load(&directory, args, HeadRequest::FromCheckpoint, None, console)?;
        for line in network.report.lines() {
            console.note(format!("weights {line}"));
        }
        let directory = &network.classifier.directory;
        let label_resolution = saved_rules::read(directory)?;
        let task = task::task_of(&network.classifier.problem_type)
            .map_err(|error| error.file(directory.join("config.json")))?;
        Ok(Self { network, task, label_resolution })
    }

    /// That the model gives each row one label.
    ///
    /// # Errors
    /// It does not, and `what` needs that: `images are sorted by`.
    pub fn check_single_label(&self, what: &str, key: &str) -> Result<()> {
        match self.task.name() {
            config::Task::SingleLabel => Ok(()),
            task => Err(Error::request(format!("{what} needs one label for each row, and this is a {task} model"))
                .key(key)
                .hint("use a model that was trained with --task single-label")),
        }
    }

    /// Whether the model gives each row a number.
    pub fn gives_numbers(&self) -> bool {
        self.task.name() == config::Task::Regression
    }

    /// What is between the labels of a row, of a model that gives several: as given, else as in training. `None`: rows
    /// have one label.
    pub fn label_separator(&self, given: Option<&str>) -> Option<String> {
        let separator = given.map(str::to_owned).or_else(|| self.trained_on.label_separator.clone());
        (self.task.name() == config::Task::MultiLabel).then(|| separator.unwrap_or_else(|| USUAL_SEPARATOR.to_owned()))
    }

    /// What the run that trained the model knows of its confidences.
    pub fn saved_confidence(&self) -> Result<SavedConfidence> {
        SavedConfidence::read(&self.classifier)
    }
}

impl LoadedNetwork {
    /// The network in `directory`, with this head. Texts are cut at `usual_length` tokens, or the network's positions
    /// where these are fewer, unless an option says otherwise.
    ///
    /// # Errors
    /// It is not there or cannot be used, or an option does not fit it.
    pub fn load(
        directory: &Path,
        args: &InferenceArgs,
        head: HeadRequest<'_>,
        usual_length: Option<usize>,
        console: &Console,
    ) -> Result<Self> {
        let mut choices = Choices::default();
        let hardware = Hardware::choose(args.device, args.precision, args.threads, &mut choices)?;
        let engine = engine(args.engine, Some(directory), &mut choices)?;
        let hardware = hardware_of_engine(engine, hardware, &mut choices)?;
        let weight_dtype = if hardware.int8 { WeightDtype::Int8 } else { WeightDtype::Float(hardware.compute) };
        let modality = model::modality(directory)?;
        let request = LoadRequest { engine, device: hardware.device, weight_dtype, head, stages: None };
        let (mut classifier, report) = Classifier::load(directory, &request)?;
        classifier.freeze()?;
        report.warnings.iter().for_each(|warning| console.warn(warning));
        if let InputSpec::Image(_) = &classifier.input {
            refuse_lengths(args)?;
        }
        let usual_length = match classifier.input {
            InputSpec::Text { positions, .. } => usual_length.map(|length| length.min(positions.max(0) as usize)),
            InputSpec::Image(_) => None,
        };
        let max_length = args.max_length.or(usual_length);
        let options = TransformOptions { max_length, long_text: args.long_text(), ..TransformOptions::default() };
        let transform = transform_for(&classifier, options)?;
        transform.warnings().iter().for_each(|warning| console.warn(warning));
        let batch_tokens = match (args.batch_tokens, args.batch_size, &transform) {
            (Some(tokens), ..) => tokens,
            (None, Some(examples), Transform::Text(tokenizer)) => examples.saturating_mul(tokenizer.max_length()),
            (None, Some(images), Transform::Image(_)) => images,
            (None, None, _) => inference_budget(hardware.device, &classifier.input),
        };
        let settings = config::saved_settings(directory);
        let is_trained = settings.is_file();
        let trained_on = if is_trained {
            let saved = config::load(&settings)?;
            let text = saved.data.text.as_ref().map(text_columns);
            TrainedColumns { text, label: saved.data.label, label_separator: saved.data.label_separator }
        } else {
            TrainedColumns::default()
        };
        Ok(Self { classifier, transform, hardware, batch_tokens, choices, trained_on, is_trained, modality, report })
    }

    /// Whether rehead trained it.
    pub fn is_trained(&self) -> bool {
        self.is_trained
    }

    pub fn inference(&self) -> Inference<'_> {
        let Self { classifier, hardware, batch_tokens, .. } = self;
        Inference { classifier, compute: hardware.compute, batch_tokens: *batch_tokens, lower_layers: None }
    }

    /// How to read a data file: as given, else by the training file's columns.
    pub fn read_options(&self, given: ReadOptions) -> ReadOptions {
        ReadOptions { trained_on: self.trained_on.clone(), modality: self.modality, ..given }
    }
}

/// Images have no length.
fn refuse_lengths(args: &InferenceArgs) -> Result<()> {
    let given = [
        ("max_length", args.max_length.is_some()),
        ("long_text", args.long_text.is_some()),
        ("stride", args.stride.is_some()),
        ("window_pooling", args.window_pooling.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((key, _)) => Err(Error::request("this model reads images")
            .key(key)
            .hint(format!("leave --{} out", key.replace('_', "-")))),
        None => Ok(()),
    }
}

/// The engine that runs the network in `directory`; where the setting is `auto`, the choice is recorded. Without a
/// directory the network starts from random weights, and the packed engine runs it.
pub fn engine(setting: EngineSetting, directory: Option<&Path>, choices: &mut Choices) -> Result<Engine> {
    let engine = match (setting, directory) {
        (EngineSetting::Packed, _) => return Ok(Engine::Packed),
        (EngineSetting::RustBert, _) => return Ok(Engine::RustBert),
        (EngineSetting::Auto, Some(directory)) => model::engines(directory)?.first().copied().unwrap_or(Engine::Packed),
        (EngineSetting::Auto, None) => Engine::Packed,
    };
    match engine {
        Engine::Packed => choices.record("engine", "packed", "rehead's own layers support this family"),
        Engine::RustBert => choices.record("engine", "rust-bert", "only rust-bert's layers support this family"),
    }
    Ok(engine)
}

/// What `engine` computes on: rust-bert supports only fp32, which is recorded where another precision was asked for or
/// chosen.
///
/// # Errors
/// int8 with rust-bert.
pub fn hardware_of_engine(engine: Engine, hardware: Hardware, choices: &mut Choices) -> Result<Hardware> {
    if engine == Engine::Packed || (hardware.compute == tch::Kind::Float && !hardware.int8) {
        return Ok(hardware);
    }
    if hardware.int8 {
        return Err(Error::request("rust-bert, which runs this model, supports only fp32")
            .key("precision")
            .hint("leave out --precision int8"));
    }
    choices.record("precision", "fp32", "instead of bf16: rust-bert supports only fp32");
    Ok(Hardware { compute: tch::Kind::Float, ..hardware })
}
