//! The command line: subcommands, flags, their limits and their help.
//!
//! What stands here is raw: flags as they were given. The settings of a training run become a checked [`RunConfig`] in
//! [`TrainArgs::resolve`] and [`CompareArgs::resolve`], where the configuration file and `--set` join them; the other
//! commands have no configuration file, and their flags are checked by clap as they are read.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::config::keys::{
    BELOW_ONE, COUNT, DECAY, EPOCHS, FRACTION, IMAGE_SIZE, LAYERS, MAX_LENGTH, MEGABYTES, NOT_NEGATIVE, POSITIVE,
    RATIO, SEED, STAGES, THREADS, VIEWS, Whole,
};
use crate::config::{
    self, Augment, ClassWeights, Columns, Delimiter, Device, Engine, Flags, HeadInit, Init, OnBadInput, Pooling,
    Precision, Request, RunConfig, Schedule, Strategy, Switch, Task,
};
use crate::error::{Error, Result};

/// Give a pretrained network a new head and fine-tune it.
#[derive(Debug, Parser)]
#[command(name = "rehead", version, max_term_width = 100, after_help = EXIT_STATUS)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fine-tune a pretrained network on labelled examples
    Train(Box<TrainArgs>),
    /// Label a file of texts
    Label(LabelArgs),
    /// Measure a model on labelled examples
    Evaluate(EvaluateArgs),
    /// Train with several strategies and seeds, and say which strategy to use
    Compare(Box<CompareArgs>),
    /// Measure how well the pretrained network separates the classes, before any of it is trained
    Advise(Box<AdviseArgs>),
    /// Say what is in a data file or a model directory, and what looks wrong
    Inspect(InspectArgs),
    /// Put a model from the hub into the standard hub cache
    Fetch(FetchArgs),
}

const EXIT_STATUS: &str = "\
Data goes to standard output, everything else to standard error.
Exit status: 0 done, 1 something failed, 2 the request was wrong, 130 interrupted, state saved.

Examples:
  rehead inspect reviews.csv
  rehead train --train reviews.csv --model bert-base-uncased --out runs/reviews
  rehead label --model runs/reviews --input new.csv --output labelled.csv

`rehead COMMAND --help` explains each command.";

const TRAIN_EXAMPLES: &str = "\
Settings come from the defaults, then --config, then --set, then the flags; the later wins. \
They are saved, with the reasons for what was chosen automatically, as rehead.toml in the run directory.

Examples:
  Fine-tune everything, holding out a tenth of the rows for validation:
    rehead train --train reviews.csv --valid-fraction 0.1 --model bert-base-uncased --out runs/a
  Train the head alone, the columns named:
    rehead train --train reviews.csv --text title,body --label stars --strategy frozen \\
                 --model .models/all-MiniLM-L6-v2 --out runs/frozen
  A run described by a file, with another learning rate:
    rehead train --config configs/reviews-full.toml --lr 1e-5 --out runs/slower
  Go on after an interruption:
    rehead train --resume --out runs/reviews";

const LABEL_EXAMPLES: &str = "\
Every row and column of the input is kept, in order; `predicted_label` and `confidence` are added.

Examples:
  rehead label --model runs/reviews --input new.csv --output labelled.csv
  rehead label --model runs/reviews --input new.jsonl.gz --output labelled.jsonl --probabilities
  rehead label --model runs/reviews --input big.csv --output out.csv --min-confidence 0.8 --resume
  cat texts.txt | rehead label --model runs/reviews --input - --output -";

const EVALUATE_EXAMPLES: &str = "\
Examples:
  rehead evaluate --model runs/reviews --data test.csv
  rehead evaluate --model runs/reviews --data test.csv --out results --json > metrics.json";

const COMPARE_EXAMPLES: &str = "\
Each strategy is trained once a seed, every run in a directory of its own below --out.

Examples:
  rehead compare --train reviews.csv --model bert-base-uncased --out runs/comparison
  rehead compare --config configs/reviews-full.toml --strategies frozen,full --seeds 5 --out runs/frozen-or-full";

const ADVISE_EXAMPLES: &str = "\
One forward pass over (a part of) the training data; nothing is trained and nothing written.

Examples:
  rehead advise --train reviews.csv --model bert-base-uncased
  rehead advise --train reviews.csv --model bert-base-uncased --json > advice.json";

const INSPECT_EXAMPLES: &str = "\
Examples:
  rehead inspect reviews.csv
  rehead inspect reviews.csv --text body --label stars
  rehead inspect .models/all-MiniLM-L6-v2 --json";

const FETCH_EXAMPLES: &str = "\
Examples:
  rehead fetch bert-base-uncased
  rehead fetch sentence-transformers/all-MiniLM-L6-v2 --revision main";

#[derive(Debug, Args)]
#[command(override_usage = "rehead train --train FILE|DIR --model ID|DIR --out RUN [OPTIONS]")]
#[command(after_help = TRAIN_EXAMPLES)]
pub struct TrainArgs {
    #[command(flatten)]
    pub run: RunArgs,

    /// What is trained besides the head: the whole backbone, nothing of it, its last N stages, ever more of it,
    /// low-rank additions, or the biases [default: full]
    #[arg(
        long,
        value_name = "full|frozen|last:N|gradual|lora[:RANK]|bitfit",
        help_heading = "Training",
        display_order = 0
    )]
    pub strategy: Option<Strategy>,

    /// Go on with the interrupted run in --out, with its saved settings
    #[arg(long, help_heading = "Output")]
    pub resume: bool,

    /// Print where the time of training goes (slower on a GPU, where every operation is then waited for)
    #[arg(long, help_heading = "Output")]
    pub profile: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "rehead compare --train FILE|DIR --model ID|DIR --out DIR [OPTIONS]")]
#[command(after_help = COMPARE_EXAMPLES)]
pub struct CompareArgs {
    #[command(flatten)]
    pub run: RunArgs,

    /// The strategies to compare, separated by commas
    #[arg(
        long,
        value_name = "STRATEGY,...",
        value_delimiter = ',',
        default_value = "frozen,full",
        help_heading = "Training",
        display_order = 0
    )]
    pub strategies: Vec<Strategy>,

    /// Runs of each strategy; run k takes the seed --seed + k
    #[arg(
        long,
        value_name = "K",
        default_value = "3",
        value_parser = Whole { min: 1, max: 1000 }.parser::<usize>(),
        allow_negative_numbers = true,
        help_heading = "Training",
        display_order = 0
    )]
    pub seeds: usize,
}

/// What describes a training run, whatever its strategy. All is optional here: the configuration file may say it.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub training: TrainingArgs,
    #[command(flatten)]
    pub output: RunOutputArgs,
    #[command(flatten)]
    pub hardware: HardwareArgs,
}

/// How a data file is read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub struct ColumnArgs {
    /// Column of the text (two for pairs of texts), or of the images' paths [default: found by name and content]
    #[arg(long, value_name = "COL[,COL2]", visible_alias = "image")]
    pub text: Option<Columns>,

    /// Column of the label [default: found by name and content]
    #[arg(long, value_name = "COL")]
    pub label: Option<String>,

    /// Character between two fields, or `tab` [default: by the file's extension]
    #[arg(long, value_name = "C", allow_hyphen_values = true)]
    pub delimiter: Option<Delimiter>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// Labelled examples to train on: .csv, .tsv or .jsonl (also .gz, .zst)
    #[arg(long, value_name = "FILE|DIR")]
    pub train: Option<PathBuf>,

    /// Labelled examples to validate on after each epoch
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "valid_fraction")]
    pub valid: Option<PathBuf>,

    /// Share of the training rows held out for validation instead, above 0 and below 1
    #[arg(long, value_name = "SHARE", value_parser = FRACTION.parser(), allow_negative_numbers = true)]
    pub valid_fraction: Option<f64>,

    /// Labelled examples to measure the finished model on
    #[arg(long, value_name = "FILE|DIR")]
    pub test: Option<PathBuf>,

    /// Seed of the choice of the rows held out [default: as --seed]
    #[arg(long, value_name = "N", value_parser = SEED.parser::<u64>(), allow_negative_numbers = true)]
    pub split_seed: Option<u64>,

    #[command(flatten)]
    pub columns: ColumnArgs,

    /// What a label is [default: found from the labels]
    #[arg(long, value_name = "single-label|multi-label|regression")]
    pub task: Option<Task>,

    /// Tokens kept of each text, special tokens included [default: from the data and the model]
    #[arg(long, value_name = "TOKENS", value_parser = MAX_LENGTH.parser::<usize>(), allow_negative_numbers = true)]
    pub max_length: Option<usize>,

    /// Height and width at which images are seen [default: the model's own]
    #[arg(long, value_name = "PIXELS", value_parser = IMAGE_SIZE.parser::<usize>(), allow_negative_numbers = true)]
    pub image_size: Option<usize>,

    /// Stop at an image that cannot be read, or leave it out and say so [default: fail]
    #[arg(long, value_name = "fail|skip")]
    pub on_bad_input: Option<OnBadInput>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// The pretrained network: a directory with config.json and model.safetensors, a hub id, or an architecture such as resnet50
    #[arg(long, value_name = "ID|DIR")]
    pub model: Option<String>,

    /// What the network starts from; random takes an architecture as --model, such as resnet18 [default: pretrained]
    #[arg(long, value_name = "pretrained|random")]
    pub init: Option<Init>,

    /// Keep only the first so many stages (the embeddings are one, every layer is one) and put the head on the last of
    /// them: smaller, faster, and better where the task is far from what the network learned [default: all]
    #[arg(long, value_name = "N", value_parser = STAGES.parser::<usize>(), allow_negative_numbers = true)]
    pub stages: Option<usize>,

    /// How a sequence becomes the one vector the head sees [default: auto, mean when frozen, else the family's own]
    #[arg(long, value_name = "auto|cls|mean")]
    pub pooling: Option<Pooling>,

    /// Implementation that runs a text network [default: auto, packed where it knows the family]
    #[arg(long, value_name = "auto|packed|rust-bert")]
    pub engine: Option<Engine>,

    /// Dropout probability, at least 0 and below 1 [default: the model's own]
    #[arg(long, value_name = "P", value_parser = BELOW_ONE.parser(), allow_negative_numbers = true)]
    pub dropout: Option<f64>,

    /// Start so many of the last layers anew from random weights [default: 0]
    #[arg(long, value_name = "N", value_parser = LAYERS.parser::<usize>(), allow_negative_numbers = true)]
    pub reinit_layers: Option<usize>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Training")]
pub struct TrainingArgs {
    /// Passes over the training data [default: by the strategy]
    #[arg(long, value_name = "N", value_parser = EPOCHS.parser::<usize>(), allow_negative_numbers = true)]
    pub epochs: Option<usize>,

    /// Tokens an optimiser step sees [default: by the data and the machine]
    #[arg(
        long,
        value_name = "TOKENS",
        value_parser = COUNT.parser::<usize>(),
        allow_negative_numbers = true,
        conflicts_with = "batch_size"
    )]
    pub batch_tokens: Option<usize>,

    /// Examples an optimiser step sees, instead of a number of tokens
    #[arg(long, value_name = "N", value_parser = COUNT.parser::<usize>(), allow_negative_numbers = true)]
    pub batch_size: Option<usize>,

    /// Tokens computed at once; a larger batch is accumulated over several passes [default: by the memory there is]
    #[arg(long, value_name = "TOKENS", value_parser = COUNT.parser::<usize>(), allow_negative_numbers = true)]
    pub micro_batch_tokens: Option<usize>,

    /// Peak learning rate [default: by the strategy]
    #[arg(long, value_name = "X", value_parser = POSITIVE.parser(), allow_negative_numbers = true)]
    pub lr: Option<f64>,

    /// Peak learning rate of the head [default: as --lr]
    #[arg(long, value_name = "X", value_parser = POSITIVE.parser(), allow_negative_numbers = true)]
    pub head_lr: Option<f64>,

    /// Rate of each layer over that of the layer above it, above 0; 1 gives all the same [default: 1.0]
    #[arg(long, value_name = "X", value_parser = DECAY.parser(), allow_negative_numbers = true)]
    pub layer_decay: Option<f64>,

    /// What the head starts from when more than the head is trained: the linear probe on frozen features, or small
    /// random numbers [default: auto]
    #[arg(long, value_name = "auto|probe|random")]
    pub head_init: Option<HeadInit>,

    /// Share of the target that is spread over all classes, below 1 [default: 0.0]
    #[arg(long, value_name = "SHARE", value_parser = BELOW_ONE.parser(), allow_negative_numbers = true)]
    pub label_smoothing: Option<f64>,

    /// How much an example weighs: all alike, or the more the rarer its class [default: none]
    #[arg(long, value_name = "none|balanced")]
    pub class_weights: Option<ClassWeights>,

    /// How images that are trained on are varied [default: auto, by their size, and not at all when frozen]
    #[arg(long, value_name = "auto|none|light|standard|strong")]
    pub augment: Option<Augment>,

    /// Mixes images in pairs (Mixup): parameter of the Beta distribution of the shares; 0.2 is usual [default: 0.0]
    #[arg(long, value_name = "ALPHA", value_parser = NOT_NEGATIVE.parser(), allow_negative_numbers = true)]
    pub mixup: Option<f64>,

    /// Puts a rectangle of another image into each (CutMix), by the same parameter; 1 is usual. With --mixup each batch
    /// takes either [default: 0.0]
    #[arg(long, value_name = "ALPHA", value_parser = NOT_NEGATIVE.parser(), allow_negative_numbers = true)]
    pub cutmix: Option<f64>,

    /// Frozen networks for images: train the head on K varied views of each image instead of the image as it is
    /// [default: 1]
    #[arg(long, value_name = "K", value_parser = VIEWS.parser::<usize>(), allow_negative_numbers = true)]
    pub views: Option<usize>,

    /// Course of the learning rate after its warm-up [default: linear]
    #[arg(long, value_name = "linear|cosine|constant")]
    pub schedule: Option<Schedule>,

    /// Share of all steps over which the learning rate rises from 0 [default: 0.1]
    #[arg(long, value_name = "SHARE", value_parser = RATIO.parser(), allow_negative_numbers = true)]
    pub warmup_ratio: Option<f64>,

    /// Decoupled weight decay of AdamW [default: 0.01]
    #[arg(long, value_name = "X", value_parser = NOT_NEGATIVE.parser(), allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,

    /// L2 norm to which longer gradients are scaled down [default: 1.0]
    #[arg(long, value_name = "X", value_parser = POSITIVE.parser(), allow_negative_numbers = true)]
    pub max_grad_norm: Option<f64>,

    /// Epochs without improvement on the validation data after which training stops [default: never]
    #[arg(long, value_name = "EPOCHS", value_parser = COUNT.parser::<usize>(), allow_negative_numbers = true)]
    pub patience: Option<usize>,

    /// Seed of everything that is drawn at random [default: 42]
    #[arg(long, value_name = "N", value_parser = SEED.parser::<u64>(), allow_negative_numbers = true)]
    pub seed: Option<u64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct RunOutputArgs {
    /// Directory for the results, new or empty
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,

    /// File of settings; `rehead.toml` of an earlier run is one
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,

    /// A setting by its name in the file, such as lr=1e-4 or training.lr=1e-4; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Steps between two lines of the log [default: 20]
    #[arg(long, value_name = "STEPS", value_parser = COUNT.parser::<usize>(), allow_negative_numbers = true)]
    pub log_every: Option<usize>,

    /// Minutes of training after which its state is saved, besides on Ctrl-C: what a crash may cost [default: 5.0]
    #[arg(long, value_name = "MIN", value_parser = NOT_NEGATIVE.parser(), allow_negative_numbers = true)]
    pub snapshot_minutes: Option<f64>,

    /// Print the metrics on standard output as JSON
    #[arg(long)]
    pub json: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Hardware")]
pub struct HardwareArgs {
    /// Where to compute [default: auto, a GPU if there is one]
    #[arg(long, value_name = "auto|cpu|cuda[:N]")]
    pub device: Option<Device>,

    /// Number format of matrix products [default: auto, bf16 where the device is fast in it]
    #[arg(long, value_name = "auto|fp32|bf16")]
    pub precision: Option<Precision>,

    /// Threads on the CPU [default: one a core]
    #[arg(long, value_name = "N", value_parser = THREADS.parser::<usize>(), allow_negative_numbers = true)]
    pub threads: Option<usize>,

    /// Whether what the frozen layers compute is computed once and kept [default: on]
    #[arg(long, value_name = "on|off")]
    pub cache: Option<Switch>,

    /// Memory for it in megabytes; what is more goes to a file [default: a quarter of what is free]
    #[arg(long, value_name = "MB", value_parser = MEGABYTES.parser::<u64>(), allow_negative_numbers = true)]
    pub cache_memory: Option<u64>,

    /// Folder of its files, kept for later runs [default: in --out, and away when the run is finished]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
}

/// How a finished model is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hardware")]
pub struct InferenceArgs {
    /// Where to compute; auto takes a GPU if there is one
    #[arg(long, value_name = "auto|cpu|cuda[:N]", default_value = "auto")]
    pub device: Device,

    /// Number format of matrix products; auto takes bf16 where the device is fast in it. int8 is faster still and costs a little
    /// accuracy
    #[arg(long, value_name = "auto|fp32|bf16|int8", default_value = "auto")]
    pub precision: Precision,

    /// Threads on the CPU [default: one a core]
    #[arg(long, value_name = "N", value_parser = THREADS.parser::<usize>(), allow_negative_numbers = true)]
    pub threads: Option<usize>,

    /// Implementation that runs a text network; auto takes packed where it knows the family
    #[arg(long, value_name = "auto|packed|rust-bert", default_value = "auto")]
    pub engine: Engine,

    /// Tokens computed at once [default: by the device]
    #[arg(
        long,
        value_name = "TOKENS",
        value_parser = COUNT.parser::<usize>(),
        allow_negative_numbers = true,
        conflicts_with = "batch_size"
    )]
    pub batch_tokens: Option<usize>,

    /// Examples computed at once, instead of a number of tokens
    #[arg(long, value_name = "N", value_parser = COUNT.parser::<usize>(), allow_negative_numbers = true)]
    pub batch_size: Option<usize>,

    /// Tokens kept of each text, special tokens included [default: as in training, else the model's limit]
    #[arg(long, value_name = "TOKENS", value_parser = MAX_LENGTH.parser::<usize>(), allow_negative_numbers = true)]
    pub max_length: Option<usize>,
}

#[derive(Debug, Args)]
#[command(after_help = LABEL_EXAMPLES)]
pub struct LabelArgs {
    /// Texts to label: .csv, .tsv, .jsonl or .txt (also .gz, .zst), or `-` for standard
    /// input, one text a line
    #[arg(long, value_name = "FILE|DIR|-", help_heading = "Data")]
    pub input: PathBuf,

    /// Column of the text (two for pairs of texts), or of the images' paths [default: as in training, else found by name
    /// and content]
    #[arg(long, value_name = "COL[,COL2]", visible_alias = "image", help_heading = "Data")]
    pub text: Option<Columns>,

    /// Character between two fields of the input, or `tab` [default: by the file's extension]
    #[arg(long, value_name = "C", allow_hyphen_values = true, help_heading = "Data")]
    pub delimiter: Option<Delimiter>,

    /// Stop at an image that cannot be read, or leave its label empty and say so
    #[arg(long, value_name = "fail|skip", default_value = "fail", help_heading = "Data")]
    pub on_bad_input: OnBadInput,

    /// The model: a run directory, any model directory with a classification head, or a hub id
    #[arg(long, value_name = "RUN|DIR|ID", help_heading = "Model")]
    pub model: String,

    /// File for the labelled rows, or `-` for standard output
    #[arg(long, value_name = "FILE|-", help_heading = "Output")]
    pub output: PathBuf,

    /// Add a column p_<label> with the probability of each label
    #[arg(long, help_heading = "Output")]
    pub probabilities: bool,

    /// Add the K most probable labels and their probabilities
    #[arg(
        long,
        value_name = "K",
        value_parser = Whole { min: 1, max: 10_000 }.parser::<usize>(),
        allow_negative_numbers = true,
        help_heading = "Output"
    )]
    pub top: Option<usize>,

    /// Leave the label of a row empty when its probability is below this, 0 to 1
    #[arg(
        long,
        value_name = "P",
        value_parser = RATIO.parser(),
        allow_negative_numbers = true,
        help_heading = "Output"
    )]
    pub min_confidence: Option<f64>,

    /// Go on with an interrupted output file behind its last complete row
    #[arg(long, help_heading = "Output")]
    pub resume: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,

    #[command(flatten)]
    pub inference: InferenceArgs,

    /// Rows read ahead, among which texts of like length are computed together; memory grows with it
    #[arg(
        long,
        value_name = "ROWS",
        default_value = "8192",
        value_parser = Whole { min: 1, max: 10_000_000 }.parser::<usize>(),
        allow_negative_numbers = true,
        help_heading = "Hardware"
    )]
    pub window: usize,
}

#[derive(Debug, Args)]
#[command(after_help = EVALUATE_EXAMPLES)]
pub struct EvaluateArgs {
    /// Labelled examples: .csv, .tsv or .jsonl (also .gz, .zst); columns named as in training are taken
    #[arg(long, value_name = "FILE|DIR", help_heading = "Data")]
    pub data: PathBuf,

    #[command(flatten)]
    pub columns: ColumnArgs,

    /// Stop at an image that cannot be read, or leave it out and say so
    #[arg(long, value_name = "fail|skip", default_value = "fail", help_heading = "Data")]
    pub on_bad_input: OnBadInput,

    /// The model: a run directory, any model directory with a classification head, or a hub id
    #[arg(long, value_name = "RUN|DIR|ID", help_heading = "Model")]
    pub model: String,

    /// Directory for metrics.json, report.html and every row's prediction [default: only printed]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,

    /// Print the metrics on standard output as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Print nothing but warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,

    #[command(flatten)]
    pub inference: InferenceArgs,
}

#[derive(Debug, Args)]
#[command(override_usage = "rehead advise --train FILE|DIR --model ID|DIR [OPTIONS]")]
#[command(after_help = ADVISE_EXAMPLES)]
pub struct AdviseArgs {
    /// Labelled examples to train on: .csv, .tsv or .jsonl (also .gz, .zst)
    #[arg(long, value_name = "FILE|DIR", help_heading = "Data")]
    pub train: PathBuf,

    #[command(flatten)]
    pub columns: ColumnArgs,

    /// Stop at an image that cannot be read, or leave it out and say so
    #[arg(long, value_name = "fail|skip", default_value = "fail", help_heading = "Data")]
    pub on_bad_input: OnBadInput,

    /// The pretrained network: a directory with config.json and model.safetensors, a hub id, or an architecture such as resnet50
    #[arg(long, value_name = "ID|DIR", help_heading = "Model")]
    pub model: String,

    /// Seed of the choice of rows and of their folds
    #[arg(
        long,
        value_name = "N",
        default_value = "42",
        value_parser = SEED.parser::<u64>(),
        allow_negative_numbers = true,
        help_heading = "Data"
    )]
    pub seed: u64,

    /// Print the measurements and the advice on standard output as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Print nothing but the advice, warnings and errors
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,

    #[command(flatten)]
    pub inference: InferenceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub struct InspectArgs {
    /// A data file, a folder of class folders, or a model directory
    #[arg(value_name = "FILE|DIR")]
    pub path: PathBuf,

    #[command(flatten)]
    pub columns: ColumnArgs,

    /// Print the findings on standard output as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = FETCH_EXAMPLES)]
pub struct FetchArgs {
    /// The model's id on the hub, such as bert-base-uncased or google/electra-small-discriminator, or an architecture such as resnet50
    #[arg(value_name = "ID")]
    pub id: String,

    /// Branch, tag or commit [default: main]
    #[arg(long, value_name = "REV")]
    pub revision: Option<String>,

    /// Print nothing but warnings and errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl TrainArgs {
    /// The checked settings of the run.
    pub fn resolve(&self) -> Result<RunConfig> {
        let mut request = self.run.request();
        request.flags.put("strategy.name", &self.strategy);
        request.resume = self.resume;
        config::resolve(&request)
    }
}

impl CompareArgs {
    /// The checked settings that all runs of the comparison share; its `run.out` is the comparison's directory.
    pub fn resolve(&self) -> Result<RunConfig> {
        for (index, strategy) in self.strategies.iter().enumerate() {
            if self.strategies.iter().take(index).any(|earlier| earlier == strategy) {
                return Err(Error::request(format!("--strategies names `{strategy}` twice"))
                    .hint("name each once; --seeds K repeats it"));
            }
        }
        config::resolve(&self.run.request())
    }

    /// The settings of every run, seed by seed and strategy by strategy, each with a directory of its own below the
    /// comparison's, such as `last-2/seed-42`. All hold out the same rows for validation.
    pub fn runs(&self, shared: &RunConfig) -> Vec<RunConfig> {
        let run = |strategy: Strategy, k: u64| {
            let mut run = shared.clone();
            run.strategy.name = strategy;
            run.data.split_seed.get_or_insert(shared.training.seed);
            // Seeds wrap around at the largest, so that they stay what TOML can hold.
            run.training.seed = shared.training.seed.wrapping_add(k) & SEED.max;
            run.run.out =
                shared.run.out.join(strategy.to_string().replace(':', "-")).join(format!("seed-{}", run.training.seed));
            run
        };
        (0..self.seeds as u64).flat_map(|k| self.strategies.iter().map(move |strategy| run(*strategy, k))).collect()
    }
}

impl RunArgs {
    fn request(&self) -> Request {
        let Self { data, model, training, output, hardware } = self;
        let mut flags = Flags::default();
        flags.put("data.train", &data.train);
        flags.put("data.valid", &data.valid);
        flags.put("data.valid_fraction", &data.valid_fraction);
        flags.put("data.test", &data.test);
        flags.put("data.split_seed", &data.split_seed);
        flags.put("data.text", &data.columns.text);
        flags.put("data.label", &data.columns.label);
        flags.put("data.delimiter", &data.columns.delimiter);
        flags.put("data.task", &data.task);
        flags.put("data.max_length", &data.max_length);
        flags.put("data.image_size", &data.image_size);
        flags.put("data.on_bad_input", &data.on_bad_input);
        flags.put("model.model", &model.model);
        flags.put("model.init", &model.init);
        flags.put("model.stages", &model.stages);
        flags.put("model.pooling", &model.pooling);
        flags.put("model.engine", &model.engine);
        flags.put("model.dropout", &model.dropout);
        flags.put("model.reinit_layers", &model.reinit_layers);
        flags.put("strategy.head_init", &training.head_init);
        flags.put("training.layer_decay", &training.layer_decay);
        flags.put("training.label_smoothing", &training.label_smoothing);
        flags.put("training.class_weights", &training.class_weights);
        flags.put("training.augment", &training.augment);
        flags.put("training.mixup", &training.mixup);
        flags.put("training.cutmix", &training.cutmix);
        flags.put("training.views", &training.views);
        flags.put("training.epochs", &training.epochs);
        flags.put("training.batch_tokens", &training.batch_tokens);
        flags.put("training.batch_size", &training.batch_size);
        flags.put("training.micro_batch_tokens", &training.micro_batch_tokens);
        flags.put("training.lr", &training.lr);
        flags.put("training.head_lr", &training.head_lr);
        flags.put("training.schedule", &training.schedule);
        flags.put("training.warmup_ratio", &training.warmup_ratio);
        flags.put("training.weight_decay", &training.weight_decay);
        flags.put("training.max_grad_norm", &training.max_grad_norm);
        flags.put("training.patience", &training.patience);
        flags.put("training.snapshot_minutes", &output.snapshot_minutes);
        flags.put("training.seed", &training.seed);
        flags.put("training.log_every", &output.log_every);
        flags.put("run.out", &output.out);
        flags.put("run.device", &hardware.device);
        flags.put("run.precision", &hardware.precision);
        flags.put("run.threads", &hardware.threads);
        flags.put("run.cache", &hardware.cache);
        flags.put("run.cache_memory", &hardware.cache_memory);
        flags.put("run.cache_dir", &hardware.cache_dir);
        Request { config: output.config.clone(), set: output.set.clone(), flags, resume: false }
    }
}

impl LabelArgs {
    /// What no single flag can tell: a stream cannot be resumed, and a file cannot be labelled onto itself.
    pub fn check(&self) -> Result<()> {
        if self.resume && (is_stream(&self.output) || is_stream(&self.input)) {
            return Err(Error::request("--resume needs files as --input and --output, not `-`")
                .hint("keep the input in a file, and name one with --output"));
        }
        let there = |path: &Path| path.canonicalize().ok();
        let same =
            self.input == self.output || there(&self.input).is_some_and(|input| there(&self.output) == Some(input));
        let same = same && !is_stream(&self.input);
        if same {
            return Err(Error::request("--input and --output are the same file")
                .file(&self.output)
                .hint("give another --output"));
        }
        Ok(())
    }
}

/// `-`: standard input or standard output.
pub fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.command)
    }

    fn refused(line: &str) -> String {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_settings() {
        let line = "rehead train --train a.csv --model m --out o --valid-fraction 0.1 --text t,u --strategy last:2 \
                    --lr 1e-4 --batch-size 16 --max-length 64 --device cuda:1 --precision bf16 --seed 7 \
                    --set patience=2 --delimiter ; --quiet";
        let Command::Train(args) = parse(line).unwrap() else { panic!() };
        assert!(args.run.output.quiet);
        let config = args.resolve().unwrap();
        assert_eq!(config.data.train, Path::new("a.csv"));
        assert_eq!(config.data.text.unwrap().to_vec(), ["t", "u"]);
        assert_eq!(config.data.delimiter.unwrap().byte(), b';');
        assert_eq!(config.strategy.name, Strategy::Last(2));
        assert_eq!(config.run.device, Device::Cuda(1));
        assert_eq!((config.training.seed, config.training.patience), (7, Some(2)));
    }

    #[test]
    fn every_setting_has_its_flag() {
        let command = Cli::command();
        let train = command.find_subcommand("train").unwrap();
        for key in config::keys::KEYS {
            assert!(
                train.get_arguments().any(|arg| arg.get_long().map(|long| format!("--{long}")) == Some(key.flag())),
                "{}",
                key.flag()
            );
        }
        // One value for every flag: what `request` forgets is not set.
        let line = "rehead train --train a --valid v --test t --text x --label y --delimiter tab --task regression \
                    --max-length 9 --model m --pooling cls --engine packed --dropout 0.5 --strategy bitfit --epochs 1 --lr 1 \
                    --head-lr 2 --batch-tokens 3 --micro-batch-tokens 2 --weight-decay 0.5 --warmup-ratio 0.5 --schedule cosine \
                    --max-grad-norm 0.5 --patience 1 --seed 1 --log-every 1 --out o \
                    --device cpu --precision fp32 --threads 1 --split-seed 1 --reinit-layers 1 --head-init probe \
                    --layer-decay 0.9 --label-smoothing 0.1 --class-weights balanced --image-size 64 --on-bad-input skip --stages 3 --init random --augment light --mixup 0.2 --cutmix 1 --views 2 --cache off --snapshot-minutes 1 --cache-memory 9 --cache-dir c";
        let Command::Train(args) = parse(line).unwrap() else { panic!() };
        let text = args.resolve().unwrap().to_toml(&config::Choices::default()).unwrap();
        for key in config::keys::KEYS.iter().filter(|key| !matches!(key.name, "valid_fraction" | "batch_size")) {
            assert!(text.contains(&format!("\n{} = ", key.name)), "{}", key.name);
        }
        assert!(!text.contains("auto\""), "{text}");
    }

    #[test]
    fn the_help_tells_the_defaults() {
        let mut command = Cli::command();
        let help = command.find_subcommand_mut("train").unwrap().render_help().to_string();
        let defaults: toml::Table = include_str!("../config/defaults.toml").parse().unwrap();
        for (section, values) in &defaults {
            for (name, value) in values.as_table().unwrap() {
                let key = config::keys::find(&format!("{section}.{name}")).unwrap();
                let after = help.split(&format!("{} <", key.flag())).nth(1).unwrap();
                let after: String =
                    after.split("\n      --").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
                let value = value.as_str().map_or(value.to_string(), str::to_owned);
                assert!(after.contains(&format!("[default: {value}")), "{}: {value}: {after}", key.flag());
            }
        }
    }

    #[test]
    fn wrong_flags_are_named() {
        for (line, part) in [
            ("rehead train --lr fast", "'--lr <X>': expected a number above 0"),
            ("rehead train --epochs -1", "'--epochs <N>': expected a whole number from 0 to 10000"),
            ("rehead train --valid-fraction 1", "'--valid-fraction <SHARE>': expected a number above 0 and below 1"),
            ("rehead train --valid a --valid-fraction 0.1", "cannot be used with"),
            ("rehead train --batch-size 1 --batch-tokens 1", "cannot be used with"),
            ("rehead train --precision bf17", "did you mean `bf16`?"),
            ("rehead train --seed 9223372036854775808", "'--seed <N>'"),
            ("rehead train --overwrite", "unexpected argument '--overwrite'"),
            ("rehead label --model m --input a", "--output"),
            (
                "rehead label --model m --input a --output b --min-confidence nan",
                "expected a number from 0 and up to 1",
            ),
            ("rehead compare --strategies frozen,last", "'--strategies"),
            ("rehead compare --seeds 0", "'--seeds <K>'"),
            ("rehead fetch", "<ID>"),
        ] {
            let message = refused(line);
            assert!(message.contains(part), "{line}\n{message}");
        }
    }

    #[test]
    fn a_comparison_is_a_run_for_each_strategy_and_seed() {
        let line = "rehead compare --train a --model m --out o --strategies frozen,last:2 --seeds 2 \
                    --seed 9223372036854775807";
        let Command::Compare(args) = parse(line).unwrap() else { panic!() };
        let runs = args.runs(&args.resolve().unwrap());
        let shown: Vec<_> = runs.iter().map(|run| format!("{} {}", run.strategy.name, run.run.out.display())).collect();
        assert_eq!(
            shown,
            [
                "frozen o/frozen/seed-9223372036854775807",
                "last:2 o/last-2/seed-9223372036854775807",
                "frozen o/frozen/seed-0",
                "last:2 o/last-2/seed-0"
            ]
        );
        let Command::Compare(twice) = parse("rehead compare --strategies full,full").unwrap() else { panic!() };
        assert!(twice.resolve().is_err());
    }

    #[test]
    fn labelling_refuses_what_it_cannot_do() {
        let check = |line| match parse(line).unwrap() {
            Command::Label(args) => args.check(),
            _ => panic!(),
        };
        assert!(check("rehead label --model m --input - --output -").is_ok());
        assert!(check("rehead label --model m --input a.csv --output - --resume").is_err());
        assert!(check("rehead label --model m --input a.csv --output a.csv").is_err());
    }
}
