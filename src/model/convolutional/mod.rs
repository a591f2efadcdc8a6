//! Convolutional classifiers, ResNet, VGG and Inception-v3: from a checkpoint of torchvision, timm or transformers (or from
//! chance) to a [`Classifier`], and what a saved one needs for timm to load it.
//!
//! One [`ConvNet`] computes all three; each family is a description of its stages. Which family a checkpoint is of is found in
//! `architecture.rs`, and what its tensors are called in `names.rs`.

mod architecture;
mod inception;
mod layers;
mod names;
mod resnet;
mod source;
mod vgg;

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use self::architecture::Architecture;
pub use self::architecture::{pretrained_id, recognises};
use self::layers::{Block, Conv, ConvSpec, Extent, by_channel, by_pixel, forward_all};
use self::names::Naming;
use self::source::{Builder, Source};
use super::backbone::{Backbone, Pass, Pooling};
use super::checkpoint::{Checkpoint, LoadReport, Untaken, Weights, weight_files};
use super::head::{Head, NamedLinear, fresh_linear};
use super::parameters::{Linear, Parameter, Place, cast};
use super::{Classifier, Engine, Format, HeadRequest, InputSpec, LoadRequest, Saved, checkpoint_labels};
use crate::batch::{Batch, Inputs};
use crate::data::Labels;
use crate::error::{Error, Result};
use crate::image::Preprocessing;

/// A network without numbers.
struct Description {
    stages: Vec<StageSpec>,
    /// The name of the linear layer behind it.
    head: &'static str,
    /// The name of its first convolution.
    first: &'static str,
    /// Dropout before the head.
    dropout: f64,
}

struct StageSpec {
    name: String,
    blocks: Vec<Block<ConvSpec>>,
}

impl Description {
    /// Channels behind each number of stages, from 0 on.
    fn channels(&self) -> Vec<i64> {
        let mut channels = vec![3];
        for stage in &self.stages {
            let before = channels.last().copied().unwrap_or(3);
            channels.push(stage.blocks.iter().fold(before, |channels, block| block.channels(channels)));
        }
        channels
    }

    /// Extents behind each number of stages, from 0 on; none when the images are too small.
    fn extents(&self, image: Extent) -> Option<Vec<Extent>> {
        let mut extents = vec![image];
        for stage in &self.stages {
            let before = *extents.last()?;
            extents.push(stage.blocks.iter().try_fold(before, |extent, block| block.extent(extent))?);
        }
        Some(extents)
    }

    /// Height and width of the smallest images that it can take.
    fn smallest(&self) -> i64 {
        (1..1024).find(|&side| self.extents([side; 2]).is_some()).unwrap_or(1024)
    }
}

/// A convolutional network as a chain of stages. Activations between stages: `[N, C, H, W]`, channels last in memory, in the
/// pass's kind; features: the mean over all places, `[N, C]`, in fp32, whatever pooling is asked for.
pub struct ConvNet {
    architecture: Architecture,
    description: Description,
    names: Vec<String>,
    stages: Vec<Vec<Block<Conv>>>,
    parameters: Vec<Parameter>,
    statistics: Vec<Parameter>,
    /// By stage: the numbers of batches that its norms have seen.
    batches: Vec<Tensor>,
    /// By number of stages, from 0 on.
    channels: Vec<i64>,
    /// The same, for images of the size that was set last.
    extents: Vec<Extent>,
    smallest: i64,
}

impl ConvNet {
    fn build(architecture: Architecture, dropout: Option<f64>, source: Source, request: &LoadRequest) -> Result<Self> {
        let description = architecture.describe(dropout);
        let mut builder = Builder::new(source, request.device);
        let mut stages = Vec::with_capacity(description.stages.len());
        for (index, stage) in description.stages.iter().enumerate() {
            let mut make = |spec: &ConvSpec| builder.conv(spec, index);
            let blocks = stage.blocks.iter().map(|block| block.build(&mut make)).collect::<Result<Vec<_>>>()?;
            stages.push(blocks);
            builder.end_stage(index)?;
        }
        let Builder { parameters, statistics, batches, .. } = builder;
        Ok(Self {
            architecture,
            names: description.stages.iter().map(|stage| stage.name.clone()).collect(),
            stages,
            parameters,
            statistics,
            batches,
            channels: description.channels(),
            extents: Vec::new(),
            smallest: description.smallest(),
            description,
        })
    }

    fn too_small(&self, [height, width]: Extent) -> Error {
        let (name, smallest) = (&self.architecture.name, self.smallest);
        Error::request(format!("images of {height}×{width} pixels are too small for `{name}`"))
            .hint(format!("it takes {smallest}×{smallest} and larger"))
    }

    fn channels_behind(&self, stages: usize) -> i64 {
        self.channels.get(stages).copied().unwrap_or(0)
    }

    fn extent_behind(&self, stages: usize) -> Extent {
        self.extents.get(stages).copied().unwrap_or_default()
    }

    fn begin(&self, batch: &Batch, pass: Pass) -> Result<Tensor> {
        let pixels = batch.inputs.pixels()?;
        let (_, _, height, width) = pixels.size4()?;
        if height < self.smallest || width < self.smallest {
            return Err(self.too_small([height, width]));
        }
        cast(pixels, pass.compute)
    }
}

impl Backbone for ConvNet {
    fn family(&self) -> &str {
        self.architecture.family()
    }

    /// Folds the norms into the convolutions before them.
    fn fix(&mut self, stages: usize, compute: Kind) -> Result<()> {
        for (index, blocks) in self.stages.iter_mut().enumerate() {
            let mut change = |conv: &mut Conv| match index < stages {
                true => conv.fold(compute),
                false => {
                    conv.folded = None;
                    Ok(())
                }
            };
            tch::no_grad(|| blocks.iter_mut().try_for_each(|block| block.each_conv(&mut change)))?;
        }
        Ok(())
    }

    fn settings(&self) -> String {
        format!("{} {:?}", self.architecture.name, self.architecture.model_args)
    }

    fn stages(&self) -> &[String] {
        &self.names
    }

    fn feature_width(&self) -> i64 {
        self.channels.last().copied().unwrap_or(0)
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn statistics(&self) -> &[Parameter] {
        &self.statistics
    }

    fn stage_width(&self, stage: usize) -> i64 {
        self.channels_behind(stage + 1)
    }

    /// For images of the size that was set last.
    fn row_width(&self, stages: usize) -> i64 {
        self.channels_behind(stages) * self.extent_behind(stages).iter().product::<i64>()
    }

    /// A row an example: pixel by pixel its channels.
    fn to_rows(&self, activations: Tensor) -> Result<Tensor> {
        let rows = activations.size().first().copied().unwrap_or(0);
        Ok(by_pixel(&activations)?.f_reshape([rows, -1])?)
    }

    fn from_rows(&self, stages: usize, rows: Tensor) -> Result<Tensor> {
        let (count, width) = rows.size2()?;
        let ([height, across], channels) = (self.extent_behind(stages), self.channels_behind(stages));
        if width != channels * height * across {
            let message = format!("rows of {width} numbers, where {stages} stages give {channels}×{height}×{across}");
            return Err(Error::failure(message));
        }
        by_channel(&rows.f_view([count, height, across, channels])?)
    }

    fn set_image_size(&mut self, height: i64, width: i64) -> Result<()> {
        self.extents = self.description.extents([height, width]).ok_or_else(|| self.too_small([height, width]))?;
        Ok(())
    }

    fn run(&self, stages: Range<usize>, batch: &Batch, activations: Option<Tensor>, pass: Pass) -> Result<Tensor> {
        let mut x = match (stages.start, activations) {
            (0, _) => self.begin(batch, pass)?,
            (_, Some(x)) => cast(&x, pass.compute)?,
            (stage, None) => return Err(Error::failure(format!("stage {stage} needs activations to start from"))),
        };
        let first = stages.start;
        for index in stages {
            let none = || Error::failure(format!("the backbone has no stage {index}"));
            x = forward_all(self.stages.get(index).ok_or_else(none)?, &x, index > first, pass)?;
            if pass.dropout.is_some() {
                let _ = self.batches.get(index).ok_or_else(none)?.shallow_clone().f_add_scalar_(1)?;
            }
        }
        Ok(x)
    }

    /// In parts of a fixed number of images on the CPU, whose kernels differ in the last digits with that number.
    fn run_prefix(&self, stages: usize, batch: &Batch, compute: Kind) -> Result<Tensor> {
        let pixels = batch.inputs.pixels()?;
        let run = |pixels: Tensor| {
            let part = Batch { examples: Vec::new(), inputs: Inputs::Pixels(pixels) };
            tch::no_grad(|| self.run(0..stages, &part, None, Pass::evaluation(compute)))
        };
        if pixels.device() != Device::Cpu {
            return run(pixels.shallow_clone());
        }
        let images = pixels.size().first().copied().unwrap_or(0);
        let mut parts = Vec::new();
        for start in (0..images).step_by(PART as usize) {
            let count = PART.min(images - start);
            let part = pixels.f_narrow(0, start, count)?;
            let filled = part.f_constant_pad_nd([0, 0, 0, 0, 0, 0, 0, PART - count])?;
            parts.push(run(filled)?.f_narrow(0, 0, count)?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    fn pool(&self, activations: &Tensor, _batch: &Batch, _pooling: Pooling) -> Result<Tensor> {
        Ok(activations.f_mean_dim([2i64, 3].as_slice(), false, Kind::Float)?)
    }
}

/// The checkpoint of a safetensors file, or of a directory with one but without `config.json`: weights as torchvision's are
/// when they have been converted. None when `path` is neither, or holds another kind of network.
pub fn open_bare(path: &Path, device: Device) -> Result<Option<Checkpoint>> {
    let weights = if path.is_file() {
        Weights::open_file(path, device)?
    } else if path.join("config.json").exists() || weight_files(path).is_err() {
        return Ok(None);
    } else {
        Weights::open(path, device)?
    };
    let known = path.is_file() || architecture::has_known_names(&weights);
    Ok(known.then(|| Checkpoint { directory: path.to_owned(), config: Value::Object(Map::new()), weights }))
}

/// Loads a convolutional network from a checkpoint, with the requested head.
///
/// # Errors
/// A network or naming that is not supported, tensors that lack, are of another shape or have no place.
pub fn load(checkpoint: Checkpoint, request: &LoadRequest) -> Result<(Classifier, LoadReport)> {
    let architecture = Architecture::of(&checkpoint)?;
    let weights = &checkpoint.weights;
    let naming = Naming::of(weights);
    let source = Source::Checkpoint { weights, naming };
    let preprocessing = stated_preprocessing(&checkpoint, &architecture)?;
    let network = ConvNet::build(architecture, wanted_dropout(request), source, request)
        .map_err(|error| error.fallback_hint("config.json and the weights must be of the same model"))?;

    let mut report = LoadReport::default();
    let head = network.description.head;
    let [weight, bias] = ["weight", "bias"].map(|field| naming.stored(&format!("{head}.{field}")));
    let (labels, linear) = match &request.head {
        HeadRequest::FromCheckpoint => {
            let labels = stored_labels(&checkpoint, &weight)?;
            let classes = labels.len() as i64;
            let width = network.feature_width();
            let linear = Linear::new(weights.take(&weight, &[classes, width])?, weights.take(&bias, &[classes])?);
            (labels, linear)
        }
        HeadRequest::New { labels, seed, .. } => {
            report.missing.extend([format!("{head}.weight"), format!("{head}.bias")]);
            ((*labels).clone(), new_head(&network, labels, *seed, request.device)?)
        }
    };
    let of = format!("`{}`", network.architecture.name);
    report.account(&checkpoint, &of, |name| {
        match name == weight || name == bias || name.starts_with(inception::AUXILIARY) {
            true => Untaken::SetAside,
            false => Untaken::Unexpected,
        }
    })?;
    Ok((assemble(network, linear, labels, preprocessing, request, checkpoint.directory)?, report))
}

/// Images that a prefix is run on at once.
const PART: i64 = 16;

/// A network with random numbers, to be trained from nothing: `architecture` and `model_args` as timm's `create_model` has
/// them (`resnet18`, `{"channels": [16, 32, 64, 128]}`). Without `preprocessing` it sees images as ImageNet's networks do.
///
/// # Errors
/// A network or setting that is not supported, or a request for the checkpoint's head.
pub fn fresh(
    architecture: &str,
    model_args: &Map<String, Value>,
    preprocessing: Option<Preprocessing>,
    seed: u64,
    request: &LoadRequest,
) -> Result<Classifier> {
    let architecture = Architecture::named(architecture, model_args)?;
    let HeadRequest::New { labels, seed: head_seed, .. } = &request.head else {
        return Err(Error::request("a network with random weights has no labels yet").hint("train it first"));
    };
    let preprocessing = preprocessing.unwrap_or_else(|| architecture.preprocessing());
    let source = Source::Fresh { seed, device: request.device };
    let network = ConvNet::build(architecture, wanted_dropout(request), source, request)?;
    let linear = new_head(&network, labels, *head_seed, request.device)?;
    assemble(network, linear, (*labels).clone(), preprocessing, request, PathBuf::new())
}

/// What the checkpoint says of the images that it was made for, or what is usual for such a network.
fn stated_preprocessing(checkpoint: &Checkpoint, architecture: &Architecture) -> Result<Preprocessing> {
    let stated = match checkpoint.directory.is_dir() {
        true => Preprocessing::of_directory(&checkpoint.directory)?,
        false => None,
    };
    let preprocessing = stated.unwrap_or_else(|| architecture.preprocessing());
    // torchvision's Inception takes images normalised as ImageNet's and changes them into -1 to 1 itself.
    match checkpoint.config.get("transform_input") {
        Some(Value::Bool(true)) => Ok(Preprocessing { mean: [0.5; 3], std: [0.5; 3], ..preprocessing }),
        _ => Ok(preprocessing),
    }
}

fn wanted_dropout(request: &LoadRequest) -> Option<f64> {
    match request.head {
        HeadRequest::New { dropout, .. } => dropout,
        HeadRequest::FromCheckpoint => None,
    }
}

fn new_head(network: &ConvNet, labels: &Labels, seed: u64, device: Device) -> Result<Linear> {
    let width = network.feature_width();
    fresh_linear(width, labels.len() as i64, network.architecture.head_deviation(width), seed, device)
}

fn assemble(
    network: ConvNet,
    linear: Linear,
    labels: Labels,
    preprocessing: Preprocessing,
    request: &LoadRequest,
    directory: PathBuf,
) -> Result<Classifier> {
    if request.engine == Engine::RustBert {
        return Err(Error::request(format!("rust-bert computes no `{}`", network.architecture.name))
            .hint("leave the engine out"));
    }
    let output = NamedLinear { linear, name: network.description.head.to_owned(), place: Place::Head };
    let mut config = Map::new();
    config.insert("architecture".to_owned(), network.architecture.name.clone().into());
    if !network.architecture.model_args.is_empty() {
        config.insert("model_args".to_owned(), Value::Object(network.architecture.model_args.clone()));
    }
    let pretrained = json!({ "first_conv": network.description.first, "classifier": network.description.head });
    config.insert("pretrained_cfg".to_owned(), pretrained);
    let mut classifier = Classifier {
        head: Head::new(None, network.description.dropout, output),
        backbone: Box::new(network),
        pooling: Pooling::Mean,
        labels,
        input: InputSpec::Image(preprocessing),
        device: request.device,
        directory,
        format: Format::Timm,
        config: Value::Object(config),
    };
    classifier.set_preprocessing(preprocessing)?;
    Ok(classifier)
}

/// The class names of a checkpoint: timm's `label_names`, transformers' `id2label`, or `LABEL_0` and so on.
fn stored_labels(checkpoint: &Checkpoint, weight: &str) -> Result<Labels> {
    let config = &checkpoint.config;
    let of = |config: &Value| config.get("label_names").filter(|value| !value.is_null()).cloned();
    let stated = of(config).or_else(|| of(config.get("pretrained_cfg")?));
    let (Some(stated), Some(&[classes, _])) = (stated, checkpoint.weights.shape(weight)) else {
        return checkpoint_labels(checkpoint, weight);
    };
    let refused = |message: String| {
        Error::request(message)
            .file(checkpoint.config_file())
            .key("label_names")
            .hint("it must be a list that names every class of the head once")
    };
    let words: Option<Vec<String>> =
        stated.as_array().and_then(|list| list.iter().map(|word| word.as_str().map(str::to_owned)).collect());
    let words = words.ok_or_else(|| refused("must be a list of words".to_owned()))?;
    if words.len() != classes {
        return Err(refused(format!("{} names; the head has {classes} classes", words.len())));
    }
    Labels::in_order(words).map_err(|error| refused(error.to_string()))
}

/// What is saved beside the weights: timm's `config.json`, so that `timm.create_model('local-dir:RUN',
/// checkpoint_path='RUN/model.safetensors')` and transformers' `AutoModelForImageClassification` load it. (`pretrained=True`
/// with a folder wants a pickled file in timm 1.0.22.)
pub fn saved(classifier: &Classifier) -> Saved {
    let mut config = classifier.config.clone();
    let classes = classifier.labels.len();
    if let Value::Object(map) = &mut config {
        map.insert("num_classes".to_owned(), classes.into());
        map.insert("num_features".to_owned(), classifier.backbone.feature_width().into());
        map.insert("label_names".to_owned(), classifier.labels.names().to_vec().into());
        let mut pretrained = map.remove("pretrained_cfg").unwrap_or_default();
        if let (Value::Object(pretrained), InputSpec::Image(preprocessing)) = (&mut pretrained, &classifier.input) {
            pretrained.extend(preprocessing.to_timm());
            pretrained.insert("fixed_input_size".to_owned(), false.into());
            pretrained.insert("num_classes".to_owned(), classes.into());
        }
        map.insert("pretrained_cfg".to_owned(), pretrained);
    }
    Saved { config, files: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameters of each network with 1000 classes, as torchvision counts them; Inception's without the auxiliary classifier.
    #[test]
    fn every_network_has_as_many_parameters_as_torchvisions() {
        let counts = [
            ("resnet18", 11_689_512),
            ("resnet34", 21_797_672),
            ("resnet50", 25_557_032),
            ("resnet101", 44_549_160),
            ("resnet152", 60_192_808),
            ("vgg11", 132_863_336),
            ("vgg11_bn", 132_868_840),
            ("vgg13", 133_047_848),
            ("vgg13_bn", 133_053_736),
            ("vgg16", 138_357_544),
            ("vgg16_bn", 138_365_992),
            ("vgg19", 143_667_240),
            ("vgg19_bn", 143_678_248),
            ("inception_v3", 23_834_568),
        ];
        assert_eq!(counts.map(|(name, _)| name.to_owned()).to_vec(), architecture::names());
        for (name, count) in counts {
            let description = Architecture::named(name, &Map::new()).unwrap().describe(None);
            let mut sum = 0;
            for block in description.stages.iter().flat_map(|stage| &stage.blocks) {
                let mut add = |conv: &ConvSpec| {
                    let [height, width] = conv.kernel;
                    sum += conv.outputs * conv.inputs * height * width;
                    sum += conv.outputs * (i64::from(conv.bias) + 2 * i64::from(conv.norm.is_some()));
                    Ok(())
                };
                block.build(&mut add).unwrap();
            }
            let width = description.channels().pop().unwrap();
            assert_eq!(sum + 1000 * (width + 1), count, "{name}");
        }
    }

    #[test]
    fn extents_are_those_of_the_papers() {
        let last = |name: &str, side: i64| {
            let description = Architecture::named(name, &Map::new()).unwrap().describe(None);
            (description.extents([side; 2]).and_then(|mut extents| extents.pop()), description.smallest())
        };
        assert_eq!(last("resnet50", 224), (Some([7, 7]), 1));
        assert_eq!(last("inception_v3", 299), (Some([8, 8]), 75));
        assert_eq!(last("inception_v3", 74), (None, 75));
        assert_eq!(last("vgg16", 224), (Some([1, 1]), 32));
        assert_eq!(last("vgg16", 320), (Some([4, 4]), 32));
        assert_eq!(last("vgg16", 31), (None, 32));
    }

    #[test]
    fn settings_of_timm_are_taken_or_refused() {
        let named = |name: &str, model_args: Value| {
            let Value::Object(model_args) = model_args else { panic!("an object") };
            Architecture::named(name, &model_args)
        };
        let small = named("resnet18.tag", json!({ "layers": [1, 2], "channels": [16, 32], "in_chans": 3 })).unwrap();
        assert_eq!(small.describe(None).channels(), [3, 64, 16, 32, 32]);
        assert_eq!(Value::Object(small.model_args), json!({ "layers": [1, 2], "channels": [16, 32] }));
        assert_eq!(named("vgg16", json!({ "drop_rate": 0.25 })).unwrap().describe(None).dropout, 0.25);
        assert_eq!(named("vgg16", json!({})).unwrap().describe(Some(0.0)).dropout, 0.0);
        for (name, model_args) in [
            ("resnet18d", json!({})),
            ("resnet18", json!({ "layers": [2, 2] })),
            ("resnet18", json!({ "channels": [16, 32, 64, 0] })),
            ("resnet18", json!({ "channels": [16, 32, 64, 4e9] })),
            ("resnet18", json!({ "stem_type": "deep" })),
            ("vgg11", json!({ "layers": [1] })),
            ("vgg11", json!({ "drop_rate": 1 })),
            ("resnet18_bn", json!({})),
            ("", json!({})),
        ] {
            let error = named(name, model_args.clone()).unwrap_err();
            assert!(
                error.hint_text().is_some() || error.to_string().contains("model_args"),
                "{name} {model_args}: {error}"
            );
        }
    }
}
