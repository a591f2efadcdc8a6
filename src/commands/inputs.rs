//! From what a data file's rows hold to examples that a network reads: which columns, which transform, and what is done
//! about inputs that cannot be used.

use std::path::Path;

use crate::cli::{ColumnArgs, InferenceArgs, InputFormArgs};
use crate::config::{self, Columns, DataConfig, OnBadInput};
use crate::console::Console;
use crate::console::units::counted;
use crate::data::{Input, LabelMap, LabelRules, ReadOptions, TextColumns};
use crate::error::{Error, Result};
use crate::hardware::memory::available_bytes;
use crate::image::Augmentation;
use crate::model::{Classifier, InputSpec};
use crate::transform::images::ImageTransform;
use crate::transform::text::TextTokenizer;
use crate::transform::{LanguageFit, LongTextRequest, Prepared, Purpose, Transform};

/// How inputs are to be seen, where that is not the model's own affair.
#[derive(Default)]
pub struct TransformOptions {
    pub max_length: Option<usize>,
    pub long_text: LongTextRequest,
    /// Of training images.
    pub augmentation: Option<Augmentation>,
    /// How many augmented views stand in for each image; 0: every epoch augments it again.
    pub views: usize,
    pub seed: u64,
}

pub fn transform_for(classifier: &Classifier, options: TransformOptions) -> Result<Transform> {
    match &classifier.input {
        &InputSpec::Text { vocabulary, positions, segments } => {
            let TransformOptions { max_length, long_text, .. } = options;
            let directory = &classifier.directory;
            TextTokenizer::load_reading(directory, vocabulary, positions, segments, max_length, &long_text)
                .map(Transform::Text)
        }
        InputSpec::Image(preprocessing) => {
            let memory = available_bytes() / 4;
            Ok(Transform::Image(ImageTransform::new(
                *preprocessing,
                options.augmentation,
                options.views,
                options.seed,
                memory,
            )))
        }
    }
}

/// Prepares inputs and shows progress. An input that cannot be used is an error, or (`Skip`) is reported and left out.
pub fn prepare(
    transform: &Transform,
    inputs: &[&Input],
    purpose: Purpose,
    on_bad_input: OnBadInput,
    console: &Console,
) -> Result<Prepared> {
    let bar = matches!(transform, Transform::Image(_))
        .then(|| console.progress("reading", Some(inputs.len() as u64), "images"));
    let prepared = transform.prepare(inputs, purpose, &mut |count| {
        if let Some(bar) = &bar {
            bar.advance_with(count as u64, 0);
        }
    })?;
    let count = prepared.unusable.len();
    let all = count > 0 && count == inputs.len();
    let on_bad_input = if all { OnBadInput::Fail } else { on_bad_input };
    let prepared = handle_unusable(prepared, on_bad_input, console, &|_, error| error)?;
    if count > 0 {
        console.warn(format!("{count} of {} images cannot be read and are left out", inputs.len()));
    }
    Ok(prepared)
}

/// What to say of pairs of which one text is empty.
pub fn half_empty<'a>(inputs: impl IntoIterator<Item = &'a Input>) -> Option<String> {
    let pairs = inputs.into_iter().filter(|input| input.is_half_empty()).count() as u64;
    let (has, is) = if pairs == 1 { ("has", "is") } else { ("have", "are") };
    (pairs > 0).then(|| format!("{} {has} one empty text and {is} read by the other alone", counted(pairs, "pair")))
}

/// Measures whether the tokenizer knows the language of the inputs, and warns where it does not. `None` of images.
pub fn language_fit<'a>(
    transform: &Transform,
    inputs: impl IntoIterator<Item = &'a Input>,
    console: &Console,
) -> Option<LanguageFit> {
    let fit = transform.language_fit(&inputs.into_iter().collect::<Vec<_>>())?;
    fit.warnings().for_each(|warning| console.warn(warning));
    Some(fit)
}

/// Decides about inputs that cannot be used: the first becomes the error, or (`Skip`) all are reported. `at` adds an
/// input's row to its error.
pub fn handle_unusable(
    mut prepared: Prepared,
    on_bad_input: OnBadInput,
    console: &Console,
    at: &dyn Fn(usize, Error) -> Error,
) -> Result<Prepared> {
    let count = prepared.unusable.len();
    if on_bad_input == OnBadInput::Fail && count > 0 {
        let (place, error) = prepared.unusable.swap_remove(0);
        let which = if count > 1 { format!("the first of {count} images that") } else { "an image that".to_owned() };
        return Err(at(place, error.context(format!("{which} cannot be read")))
            .hint("fix or remove it, or leave such images out with --on-bad-input skip"));
    }
    for (_, error) in &prepared.unusable {
        console.warn(format!("left out: {error}"));
    }
    Ok(prepared)
}

/// What is asked for about labels: rows without one, new names, and labels that are to be one since they look alike
/// (`merge`) or are rare.
///
/// # Errors
/// The file of new names cannot be used.
pub fn label_rules(
    on_empty_label: OnBadInput,
    map: Option<&Path>,
    merge: bool,
    min_rows: Option<u64>,
    other: Option<&String>,
) -> Result<LabelRules> {
    Ok(LabelRules {
        skip_empty: on_empty_label == OnBadInput::Skip,
        map: map.map(LabelMap::read).transpose()?,
        merge,
        min_rows: min_rows.unwrap_or(0),
        other: other.cloned(),
    })
}

pub fn text_columns(columns: &Columns) -> TextColumns {
    TextColumns::new(columns.to_vec())
}

impl InferenceArgs {
    /// What is asked of long texts.
    pub fn long_text(&self) -> LongTextRequest {
        let Self { long_text, stride, window_pooling, .. } = *self;
        LongTextRequest { long_text, stride, window_pooling, ..LongTextRequest::default() }
    }
}

impl ColumnArgs {
    /// How to read a data file, as far as the command line says.
    pub fn read_options(&self, on_bad_input: OnBadInput) -> ReadOptions {
        let ColumnArgs { delimiter, quote, no_header, encoding, .. } = *self;
        let sheet = self.sheet.as_deref();
        let form = FileForm { delimiter, quote, no_header, encoding, sheet, on_bad_input };
        read_options(self.text.as_ref(), self.label.as_deref(), form)
    }
}

impl InputFormArgs {
    /// How to read an input that needs no labels, as far as the command line says.
    pub fn read_options(&self, on_bad_input: OnBadInput) -> ReadOptions {
        let InputFormArgs { delimiter, quote, no_header, encoding, .. } = *self;
        let sheet = self.sheet.as_deref();
        let form = FileForm { delimiter, quote, no_header, encoding, sheet, on_bad_input };
        ReadOptions { unlabelled: true, ..read_options(self.text.as_ref(), None, form) }
    }
}

/// How the files of a command are written, and what is done about rows that cannot be read.
#[derive(Debug, Clone, Copy)]
pub struct FileForm<'a> {
    pub delimiter: Option<config::Delimiter>,
    pub quote: config::Quote,
    pub no_header: bool,
    pub encoding: Option<config::Encoding>,
    pub sheet: Option<&'a str>,
    pub on_bad_input: OnBadInput,
}

impl<'a> FileForm<'a> {
    pub fn of_run(data: &'a DataConfig) -> Self {
        let DataConfig { delimiter, quote, no_header, encoding, on_bad_input, .. } = *data;
        Self { delimiter, quote, no_header, encoding, sheet: data.sheet.as_deref(), on_bad_input }
    }
}

pub fn read_options(text: Option<&Columns>, label: Option<&str>, form: FileForm<'_>) -> ReadOptions {
    ReadOptions {
        text: text.map(text_columns),
        label: label.map(str::to_owned),
        delimiter: form.delimiter.map(config::Delimiter::byte),
        quote: form.quote,
        no_header: form.no_header,
        encoding: form.encoding.map(config::Encoding::decoder),
        sheet: form.sheet.map(str::to_owned),
        skip_bad_rows: form.on_bad_input == OnBadInput::Skip,
        ..ReadOptions::default()
    }
}
