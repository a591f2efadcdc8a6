//! From what a data file's rows hold to examples that a network reads: which columns, which transform, and what is done
//! about inputs that cannot be used.

use crate::cli::ColumnArgs;
use crate::config::{self, Columns, OnBadInput};
use crate::console::Console;
use crate::data::{Input, ReadOptions, TextColumns};
use crate::error::{Error, Result};
use crate::hardware::memory::available_bytes;
use crate::image::Augmentation;
use crate::model::{Classifier, InputSpec};
use crate::transform::images::ImageTransform;
use crate::transform::text::TextTokenizer;
use crate::transform::{Prepared, Purpose, Transform};

/// How inputs are to be seen, where that is not the model's own affair.
#[derive(Default)]
pub struct TransformOptions {
    pub max_length: Option<usize>,
    /// Of training images.
    pub augmentation: Option<Augmentation>,
    /// How many augmented views stand in for each image; 0: every epoch augments it again.
    pub views: usize,
    pub seed: u64,
}

pub fn transform_for(classifier: &Classifier, options: TransformOptions) -> Result<Transform> {
    match &classifier.input {
        &InputSpec::Text { vocabulary, positions, segments } => {
            TextTokenizer::load(&classifier.directory, vocabulary, positions, segments, options.max_length)
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

pub fn text_columns(columns: &Columns) -> Result<TextColumns> {
    match &columns[..] {
        [one] => Ok(TextColumns::One(one.clone())),
        [first, second] => Ok(TextColumns::Two(first.clone(), second.clone())),
        _ => Err(Error::request("one or two columns hold the text").key("text")),
    }
}

impl ColumnArgs {
    /// How to read a data file, as far as the command line says.
    pub fn read_options(&self) -> Result<ReadOptions> {
        read_options(self.text.as_ref(), self.label.as_deref(), self.delimiter)
    }
}

pub fn read_options(
    text: Option<&Columns>,
    label: Option<&str>,
    delimiter: Option<config::Delimiter>,
) -> Result<ReadOptions> {
    Ok(ReadOptions {
        text: text.map(text_columns).transpose()?,
        label: label.map(str::to_owned),
        delimiter: delimiter.map(config::Delimiter::byte),
        ..ReadOptions::default()
    })
}
