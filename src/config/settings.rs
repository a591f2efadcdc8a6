//! The table of settings, the one place that knows which there are. From a row come the key of the file and of `--set`,
//! the flag with its help, the checks of the value, the default, and the setting's part of docs/settings.md.
//!
//! To add a setting, add a row here and a field of the same name to [`super::RunConfig`]. What two settings may not say
//! at once is in [`EXCLUSIVE`]; how files, `--set` and flags are read is in [`super::read`].

use super::accepts::{
    Accepts, BELOW_ONE, COUNT, DECAY, EPOCHS, FOCUS, FOLDS, FRACTION, IMAGE_SIZE, LAYERS, LEARNING_RATE, MAX_LENGTH,
    MEGABYTES, MISTAKES, MIXING, NOT_NEGATIVE, POSITIVE, RATIO, SEED, STAGES, STRIDE, THREADS, VIEWS, WEIGHT_DECAY,
};
use super::keep_best::KeepBest;
use super::label_thresholds::LabelThresholds;
use super::patience::Patience;
use super::setting::{DefaultValue, Setting, optimizer_row, row};
use super::values::{
    Augment, Delimiter, Device, Encoding, Engine, HeadInit, Init, LongText, LossFunction, OnBadInput, PoolerInit,
    Pooling, Precision, Quote, Schedule, Strategy, Switch, Task, WindowPooling,
};

use DefaultValue::{Auto, Required, Unset};

/// Every setting, in the order of the saved file and of `--help`.
pub static SETTINGS: &[Setting] = &[
    row(
        "data.train",
        "--train FILE|DIR",
        Accepts::Paths("the path of the training data"),
        Required("the training data is missing"),
        "Labelled examples to train on: .csv, .tsv or .jsonl (also .gz, .zst), .xlsx, .parquet, or a folder of class \
         folders; several, or a quoted pattern such as 'part-*.csv', are read as one",
    )
    .elsewhere(&["train_file"]),
    row(
        "data.valid",
        "--valid FILE|DIR",
        Accepts::Path("the path of the validation data"),
        DefaultValue::None,
        "Labelled examples to validate on after each epoch",
    )
    .elsewhere(&["validation", "validation_file"]),
    row(
        "data.valid_fraction",
        "--valid-fraction FRACTION",
        Accepts::Number(FRACTION),
        DefaultValue::None,
        "Fraction of the training rows to hold out for validation instead, above 0 and below 1",
    ),
    row(
        "data.folds",
        "--folds K",
        Accepts::Whole(FOLDS),
        DefaultValue::None,
        "Validate by K folds instead: K models, each scored on the rows it has not seen; the final model is trained on \
         all rows",
    )
    .elsewhere(&["n_splits", "cv"]),
    row(
        "data.group",
        "--group COL",
        Accepts::Text("the name of a column"),
        DefaultValue::None,
        "Column whose equal values stay together, in one fold or on one side of the split, such as the author of a \
         text",
    )
    .elsewhere(&["groups"]),
    row(
        "data.test",
        "--test FILE|DIR",
        Accepts::Path("the path of the test data"),
        DefaultValue::None,
        "Labelled examples to evaluate the finished model on",
    )
    .elsewhere(&["test_file"]),
    row(
        "data.split_seed",
        "--split-seed N",
        Accepts::Whole(SEED),
        Unset("same as --seed"),
        "Random seed that decides which rows are held out",
    ),
    row(
        "data.text",
        "--text COL[,COL2,...]",
        Accepts::Columns,
        Unset("found by name and content"),
        "Column of the text, or of the image paths; two columns are a pair of texts, three and more are joined to one \
         text (also by giving the flag several times)",
    )
    .alias("image"),
    row(
        "data.label",
        "--label COL",
        Accepts::Text("the name of a column"),
        Unset("found by name and content"),
        "Column of the label",
    ),
    row(
        "data.delimiter",
        "--delimiter C",
        Accepts::words::<Delimiter>(),
        Unset("found by the first rows"),
        "Character between two fields, or `tab`; with `none` every line is a text",
    ),
    row(
        "data.quote",
        "--quote auto|none|C",
        Accepts::words::<Quote>(),
        Auto("the double quote, in tables with tabs only where it encloses whole fields"),
        "Character that encloses fields; with `none` quotes are text and every line is a row",
    ),
    row(
        "data.no_header",
        "--no-header",
        Accepts::YesNo,
        DefaultValue::Fixed("false"),
        "The first row is data too; columns then go by number: --text 2 --label 1",
    ),
    row(
        "data.encoding",
        "--encoding NAME",
        Accepts::words::<Encoding>(),
        Unset("UTF-8, or found by the file's beginning"),
        "Encoding of text files, such as cp1252, utf-16 or shift_jis",
    ),
    row(
        "data.sheet",
        "--sheet NAME|N",
        Accepts::Text("the name of a sheet, or its number"),
        Unset("the first one with data"),
        "Sheet of a spreadsheet that is read, by its name or its number from 1",
    ),
    row(
        "data.on_empty_label",
        "--on-empty-label fail|skip",
        Accepts::words::<OnBadInput>(),
        DefaultValue::Fixed("fail"),
        "Stop at rows without a label, or leave them out and say how many",
    ),
    row(
        "data.label_map",
        "--label-map FILE",
        Accepts::Path("the path of a file"),
        DefaultValue::None,
        "Rename labels before they become classes: a CSV or TSV with lines FROM,TO, or a JSON or TOML object; an empty \
         TO leaves the label's rows out",
    ),
    row(
        "data.merge_labels",
        "--merge-labels",
        Accepts::YesNo,
        DefaultValue::Fixed("false"),
        "Merge labels that differ only in case, blanks, underscores, hyphens or Unicode form; the most frequent \
         spelling is kept",
    ),
    row(
        "data.min_rows_per_label",
        "--min-rows-per-label N",
        Accepts::Whole(COUNT),
        DefaultValue::None,
        "Leave out labels with fewer training rows (or put them into one, see --other)",
    ),
    row(
        "data.other",
        "--other NAME",
        Accepts::Text("the name of a label"),
        DefaultValue::None,
        "Label that those with too few rows become, instead of being left out",
    ),
    row(
        "data.task",
        "--task single-label|multi-label|regression",
        Accepts::words::<Task>(),
        Unset("found from the labels"),
        "Kind of answer: one label for each row, any number of labels, or a number",
    ),
    row(
        "data.label_separator",
        "--label-separator TEXT",
        Accepts::Text("the text between two labels"),
        Unset("|"),
        "Text between the labels of a row that may have several (lists as in JSON need none)",
    ),
    row(
        "data.max_length",
        "--max-length TOKENS",
        Accepts::Whole(MAX_LENGTH),
        Unset("by the data and the model"),
        "Maximum tokens per text, special tokens included; of longer texts --long-text says what is read",
    )
    .elsewhere(&["max_seq_length"]),
    row(
        "data.long_text",
        "--long-text truncate|head-tail|windows",
        Accepts::words::<LongText>(),
        Unset("truncate"),
        "What is read of a text that is longer than --max-length: its beginning (truncate), its beginning and its end \
         (head-tail, a quarter and three quarters), or all of it in overlapping windows, whose results are pooled",
    )
    .elsewhere(&["truncation", "truncation_strategy"]),
    row(
        "data.stride",
        "--stride TOKENS",
        Accepts::Whole(STRIDE),
        Unset("a quarter of --max-length"),
        "Tokens that neighbouring windows share",
    )
    .elsewhere(&["doc_stride"]),
    row(
        "data.window_pooling",
        "--window-pooling mean|max",
        Accepts::words::<WindowPooling>(),
        Unset("mean"),
        "How the results of a text's windows become one: logits, or with --strategy frozen the features",
    ),
    row(
        "data.image_size",
        "--image-size PIXELS",
        Accepts::Whole(IMAGE_SIZE),
        Unset("the model's own"),
        "Height and width that images are resized to",
    ),
    row(
        "data.on_bad_input",
        "--on-bad-input fail|skip",
        Accepts::words::<OnBadInput>(),
        DefaultValue::Fixed("fail"),
        "Stop when a row or an image cannot be read, or leave it out and say so",
    ),
    row(
        "model.model",
        "--model ID|DIR",
        Accepts::Path("a model directory or a hub id"),
        Required("the pretrained model is missing"),
        "The pretrained network: a directory with config.json and model.safetensors, a hub id, or an architecture \
         such as resnet50",
    )
    .elsewhere(&["model_name_or_path"]),
    row(
        "model.init",
        "--init pretrained|random",
        Accepts::words::<Init>(),
        DefaultValue::Fixed("pretrained"),
        "Start from the pretrained weights, or from random ones; random takes an architecture as --model, such as \
         resnet18",
    ),
    row(
        "model.stages",
        "--stages N",
        Accepts::Whole(STAGES),
        Unset("all"),
        "Keep only the first N stages (the embeddings are one, every layer is one) and put the head on the last of \
         them: smaller, faster, and better where the task is far from what the network learned",
    ),
    row(
        "model.pooling",
        "--pooling auto|cls|mean|cls+mean",
        Accepts::words::<Pooling>(),
        Auto("mean when frozen, otherwise the model family's own"),
        "How token vectors are pooled",
    ),
    optimizer_row(
        "model.pooler_init",
        "--pooler-init auto|identity|checkpoint",
        Accepts::words::<PoolerInit>(),
        Auto("identity before a tanh, where the checkpoint's is close to zero or missing"),
        "What the hidden layer of a text network's head starts from (BERT's pooler): the identity, or the checkpoint's \
         weights (random ones where it has none)",
    )
    .under("Training"),
    row(
        "model.engine",
        "--engine auto|packed|rust-bert",
        Accepts::words::<Engine>(),
        Auto("packed where it supports the model family"),
        "Implementation that runs a text network",
    ),
    optimizer_row(
        "model.dropout",
        "--dropout P",
        Accepts::Number(BELOW_ONE),
        Unset("the model's own"),
        "Dropout probability, at least 0 and below 1",
    ),
    row(
        "model.reinit_layers",
        "--reinit-layers N",
        Accepts::Whole(LAYERS),
        DefaultValue::Fixed("0"),
        "Re-initialise the last N layers with random weights",
    ),
    row(
        "strategy.name",
        "--strategy NAME",
        Accepts::words::<Strategy>(),
        DefaultValue::Fixed("full"),
        "What is trained besides the head: the whole backbone (`full`), nothing (`frozen`), its last N stages \
         (`last:N`), everything, unfrozen stage by stage (`gradual`), LoRA adapters (`lora` or `lora:RANK`), or only \
         the biases (`bitfit`)",
    )
    .under("Training"),
    optimizer_row(
        "strategy.head_init",
        "--head-init auto|probe|random",
        Accepts::words::<HeadInit>(),
        Auto("the probe from 15 classes on"),
        "What the head starts from when more than the head is trained: a linear probe on frozen features, or small \
         random weights",
    )
    .under("Training"),
    optimizer_row(
        "training.epochs",
        "--epochs N",
        Accepts::Whole(EPOCHS),
        Unset("by the strategy"),
        "Passes over the training data",
    )
    .elsewhere(&["num_train_epochs", "num_epochs"]),
    optimizer_row(
        "training.lr",
        "--lr X",
        Accepts::Number(LEARNING_RATE),
        Unset("by the strategy"),
        "Peak learning rate",
    )
    .elsewhere(&["learning_rate", "learningrate"]),
    optimizer_row(
        "training.head_lr",
        "--head-lr X",
        Accepts::Number(LEARNING_RATE),
        Unset("same as --lr"),
        "Peak learning rate of the head",
    )
    .under("Optimisation"),
    optimizer_row(
        "training.layer_decay",
        "--layer-decay X",
        Accepts::Number(DECAY),
        DefaultValue::Fixed("1.0"),
        "Layer-wise learning-rate decay: each layer's rate is this factor times that of the layer above; 1 turns it \
         off",
    )
    .under("Optimisation")
    .elsewhere(&["layerwise_lr_decay", "llrd"]),
    optimizer_row(
        "training.batch_tokens",
        "--batch-tokens TOKENS",
        Accepts::Whole(COUNT),
        Unset("by the data and the machine"),
        "Batch size in tokens per optimizer step",
    )
    .under("Optimisation"),
    optimizer_row(
        "training.batch_size",
        "--batch-size N",
        Accepts::Whole(COUNT),
        DefaultValue::None,
        "Batch size in examples per optimizer step, instead of a number of tokens",
    )
    .under("Optimisation")
    .elsewhere(&["per_device_train_batch_size"]),
    optimizer_row(
        "training.micro_batch_tokens",
        "--micro-batch-tokens TOKENS",
        Accepts::Whole(COUNT),
        Unset("by the available memory"),
        "Tokens per forward and backward pass; gradients of larger batches are accumulated over several passes",
    )
    .under("Optimisation"),
    optimizer_row(
        "training.weight_decay",
        "--weight-decay X",
        Accepts::Number(WEIGHT_DECAY),
        DefaultValue::Fixed("0.01"),
        "Decoupled weight decay (AdamW)",
    )
    .under("Optimisation"),
    row(
        "training.loss",
        "--loss cross_entropy|focal|mse|huber",
        Accepts::words::<LossFunction>(),
        Unset("cross_entropy; of regression mse"),
        "What training minimises: cross-entropy, or the focal loss, in which rows that are predicted well already \
         count less (not with --strategy frozen). Of regression: the mean squared error, or huber, for which outliers \
         count less (not with --strategy frozen)",
    )
    .elsewhere(&["loss_function", "criterion"]),
    row(
        "training.focal_gamma",
        "--focal-gamma X",
        Accepts::Number(FOCUS),
        Unset("2"),
        "Focal loss: how much less rows count that are predicted well; 0 is cross-entropy",
    ),
    row(
        "training.label_smoothing",
        "--label-smoothing FRACTION",
        Accepts::Number(BELOW_ONE),
        DefaultValue::Fixed("0.0"),
        "Label smoothing: fraction of the target that is spread over all classes, below 1",
    )
    .elsewhere(&["label_smoothing_factor"]),
    row(
        "training.class_weights",
        "--class-weights none|balanced|FILE|a=2,b=0.5",
        Accepts::Weights,
        DefaultValue::Fixed("none"),
        "Class weights in the loss: none, inverse to each class's frequency (`balanced`), or a weight for each label \
         named, of a JSON object, a CSV file with lines LABEL,WEIGHT, or pairs; labels not named weigh 1",
    ),
    row(
        "training.augment",
        "--augment auto|none|light|standard|strong",
        Accepts::words::<Augment>(),
        Auto("by the size of the images; none when frozen"),
        "Augmentation of training images: small shifts and flips (light), random resized crops and flips (standard), \
         or RandAugment too (strong)",
    ),
    row(
        "training.mixup",
        "--mixup ALPHA",
        Accepts::Number(MIXING),
        DefaultValue::Fixed("0.0"),
        "Mixup: mix pairs of images; ALPHA is the parameter of the Beta distribution, 0.2 is usual, 0 turns it off",
    ),
    row(
        "training.cutmix",
        "--cutmix ALPHA",
        Accepts::Number(MIXING),
        DefaultValue::Fixed("0.0"),
        "CutMix: paste a rectangle of another image into each; ALPHA as for --mixup, 1 is usual. With both, each batch \
         uses one of them",
    ),
    row(
        "training.views",
        "--views K",
        Accepts::Whole(VIEWS),
        DefaultValue::Fixed("1"),
        "Frozen image networks: train the head on K augmented copies of each image instead of the image as it is",
    ),
    optimizer_row(
        "training.warmup_ratio",
        "--warmup-ratio FRACTION",
        Accepts::Number(RATIO),
        DefaultValue::Fixed("0.1"),
        "Fraction of all steps over which the learning rate warms up from 0",
    )
    .under("Optimisation"),
    optimizer_row(
        "training.schedule",
        "--schedule linear|cosine|constant",
        Accepts::words::<Schedule>(),
        DefaultValue::Fixed("linear"),
        "Learning-rate schedule after the warm-up",
    )
    .under("Optimisation")
    .elsewhere(&["lr_scheduler_type", "scheduler"]),
    optimizer_row(
        "training.max_grad_norm",
        "--max-grad-norm X",
        Accepts::Number(POSITIVE),
        DefaultValue::Fixed("1.0"),
        "Gradient clipping: maximum L2 norm of the gradients",
    )
    .under("Optimisation"),
    optimizer_row(
        "training.patience",
        "--patience auto|off|EPOCHS",
        Accepts::words::<Patience>(),
        DefaultValue::Fixed("auto"),
        "Early stopping: in the last third of the epochs, once the training rows are learned (auto), after so \
         many epochs without improvement on the validation data, or never",
    )
    .elsewhere(&["early_stopping"]),
    optimizer_row(
        "training.keep_best",
        "--keep-best latest|macro_f1|micro_f1|accuracy|loss|mcc|spearman|f1:LABEL",
        Accepts::words::<KeepBest>(),
        DefaultValue::Fixed("latest"),
        "Validation score that decides which epoch's weights are kept, and what counts as improvement for --patience. \
         latest: the last epoch whose macro-F1 (of several labels micro-F1, of regression R²) is within one standard \
         error of the best; the others: the best epoch",
    )
    .elsewhere(&["metric_for_best_model"]),
    row(
        "training.calibrate",
        "--calibrate on|off",
        Accepts::words::<Switch>(),
        DefaultValue::Fixed("on"),
        "Fit one temperature on the validation data and divide the output layer by it, so that confidences are as \
         often right as they say; predictions stay the same",
    )
    .elsewhere(&["temperature_scaling"]),
    row(
        "training.label_thresholds",
        "--label-thresholds f1|P",
        Accepts::words::<LabelThresholds>(),
        DefaultValue::Fixed("f1"),
        "Where rows may have several labels: give each from the probability on where its F1 on the validation data is \
         highest (labels with few rows share one), or all from P on",
    ),
    row(
        "training.refit",
        "--refit",
        Accepts::YesNo,
        DefaultValue::Fixed("false"),
        "Train once more on training and validation rows together, for as many epochs as the validation rows chose",
    ),
    row(
        "training.target_accuracy",
        "--target-accuracy P",
        Accepts::Number(FRACTION),
        DefaultValue::None,
        "Choose on the validation data the confidence from which on at least this share of the labels is right, with \
         95 % certainty; `rehead label --min-confidence auto` leaves out the others",
    ),
    row(
        "training.thresholds_per_label",
        "--thresholds-per-label",
        Accepts::YesNo,
        DefaultValue::Fixed("false"),
        "Choose such a confidence for each predicted label; labels with too few validation rows share one",
    ),
    row(
        "training.snapshot_minutes",
        "--snapshot-minutes MIN",
        Accepts::Number(NOT_NEGATIVE),
        DefaultValue::Fixed("5.0"),
        "Minutes between two snapshots of the training state (one is also saved on Ctrl-C)",
    )
    .under("Output")
    .without_effect_on_the_result(),
    row(
        "training.keep_snapshots",
        "--keep-snapshots N",
        Accepts::Whole(COUNT),
        DefaultValue::Fixed("2"),
        "How many of the newest snapshots are kept: should one be damaged, --resume uses the one before it",
    )
    .under("Output")
    .without_effect_on_the_result(),
    row(
        "training.seed",
        "--seed N",
        Accepts::Whole(SEED),
        DefaultValue::Fixed("42"),
        "Random seed of everything: held-out rows, shuffling, initial weights, dropout",
    ),
    optimizer_row(
        "training.log_every",
        "--log-every STEPS",
        Accepts::Whole(COUNT),
        DefaultValue::Fixed("20"),
        "Optimizer steps between two lines of the log",
    )
    .under("Output")
    .without_effect_on_the_result(),
    row(
        "run.out",
        "--out RUN",
        Accepts::Path("the path of the run directory"),
        Required("the output directory is missing"),
        "Directory for the results, new or empty",
    )
    .under("Output")
    .elsewhere(&["output_dir", "output"])
    .without_effect_on_the_result(),
    row(
        "run.device",
        "--device auto|cpu|cuda[:N]",
        Accepts::words::<Device>(),
        Auto("a GPU if there is one"),
        "Device to compute on",
    ),
    row(
        "run.precision",
        "--precision auto|fp32|bf16",
        Accepts::words::<Precision>(),
        Auto("bf16 where the device is fast in it"),
        "Number format of matrix products",
    )
    .elsewhere(&["dtype", "bf16", "fp16"]),
    row("run.threads", "--threads N", Accepts::Whole(THREADS), Unset("one per core"), "CPU threads"),
    row(
        "run.cache",
        "--cache on|off",
        Accepts::words::<Switch>(),
        DefaultValue::Fixed("on"),
        "Compute the outputs of the frozen layers once and keep them",
    )
    .without_effect_on_the_result(),
    row(
        "run.cache_memory",
        "--cache-memory MB",
        Accepts::Whole(MEGABYTES),
        Unset("a quarter of what is free"),
        "Memory for this cache in megabytes; the rest goes to a file",
    )
    .without_effect_on_the_result(),
    row(
        "run.cache_dir",
        "--cache-dir DIR",
        Accepts::Path("the path of a folder"),
        Unset("in --out, deleted at the end"),
        "Folder for the cache's files, kept for later runs",
    )
    .without_effect_on_the_result(),
    row(
        "run.explain_mistakes",
        "--explain-mistakes N",
        Accepts::Whole(MISTAKES),
        Unset("up to 10, as 3 seconds allow; in compare none"),
        "Show in report.html of so many of the most confident mistakes which words or places spoke for the answer",
    )
    .without_effect_on_the_result(),
];

/// The sections of the file, each with what it is about.
pub const SECTIONS: &[(&str, &str)] = &[
    ("data", "the labelled examples"),
    ("model", "the pretrained network and its new head"),
    ("strategy", "which parameters are trained"),
    ("training", "the optimisation"),
    ("run", "where the run goes and what it runs on"),
];

/// Settings of which at most one may be given. One from a higher layer replaces the other of a lower layer.
pub const EXCLUSIVE: &[(&str, &str)] =
    &[("data.valid", "data.valid_fraction"), ("training.batch_tokens", "training.batch_size")];

/// The settings that may not be given together with `setting`.
pub fn excluded_by(setting: &Setting) -> impl Iterator<Item = &'static str> {
    EXCLUSIVE.iter().filter_map(|&(one, other)| match setting.path {
        path if path == one => Some(other),
        path if path == other => Some(one),
        _ => None,
    })
}

/// The setting called `name`, with its section (`training.lr`) or, as no two sections share a name, without (`lr`).
/// `strategy` alone is `strategy.name`.
pub fn find(name: &str) -> Option<&'static Setting> {
    match name {
        "strategy" => find("strategy.name"),
        path if path.contains('.') => SETTINGS.iter().find(|setting| setting.path == path),
        name => SETTINGS.iter().find(|setting| setting.name() == name),
    }
}

/// The settings of a section.
pub fn of_section(section: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.section() == section)
}

/// Whether the file has a section of this name.
pub fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == name)
}

/// The setting that somebody who wrote `name` in `section` most likely meant: the right name in the wrong section,
/// another program's name for it, or a misspelling.
pub fn meant(section: Option<&str>, name: &str) -> Option<&'static Setting> {
    let name = name.to_lowercase().replace('-', "_");
    let known = |setting: &&Setting| setting.name() == name || setting.other_names.contains(&name.as_str());
    if let Some(setting) = SETTINGS.iter().find(known) {
        return Some(setting);
    }
    let near = |section: Option<&str>| {
        let settings = || SETTINGS.iter().filter(|setting| section.is_none_or(|section| setting.section() == section));
        let near = crate::error::nearest(&name, settings().map(Setting::name))?;
        settings().find(|setting| setting.name() == near)
    };
    section.and_then(|section| near(Some(section))).or_else(|| near(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sound() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            let path = setting.path;
            assert!(SETTINGS.iter().skip(index + 1).all(|other| other.name() != setting.name()), "{path}");
            assert!(is_section(setting.section()), "{path}");
            if let Some(value) = setting.default_value() {
                assert_eq!(setting.check(&value), Ok(()), "{path}");
            }
            if path != "strategy.name" {
                assert_eq!(setting.flag(), format!("--{}", setting.name().replace('_', "-")), "{path}");
            }
            let takes_value = !matches!(setting.accepts, Accepts::YesNo);
            assert!(setting.value_name().is_empty() != takes_value && !setting.help.ends_with('.'), "{path}");
        }
        assert_eq!(find("lr").unwrap().path, "training.lr");
        assert_eq!(find("model").unwrap().path, "model.model");
        assert_eq!(find("strategy").unwrap().path, "strategy.name");
        assert!(find("training.out").is_none());
    }

    #[test]
    fn what_was_meant() {
        let meant = |section, name| meant(section, name).map(|setting| setting.path);
        assert_eq!(meant(Some("training"), "epoch"), Some("training.epochs"));
        assert_eq!(meant(Some("training"), "batch-tokens"), Some("training.batch_tokens"));
        assert_eq!(meant(Some("training"), "learning_rate"), Some("training.lr"));
        assert_eq!(meant(Some("training"), "dropout"), Some("model.dropout"));
        assert_eq!(meant(None, "xyz"), None);
    }
}
