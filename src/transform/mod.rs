//! From an input as a person wrote it to what a backbone reads: one [`Transform`] for all that a model sees.

mod bounds;
mod growth;
mod guard;
pub mod images;
mod language_fit;
mod lengths;
mod long_text;
mod overlong;
mod parts;
mod prepared;
mod sentencepiece;
mod spans;
pub mod text;
mod tokenizer_class;
mod tokenizer_files;
mod tokenizer_settings;
mod unread;
mod wordpiece;

use std::path::Path;

pub use self::language_fit::LanguageFit;
pub use self::lengths::{LengthStatistics, Tokenized};
pub use self::overlong::{LongTextRequest, LongTexts};
pub use self::prepared::{Prepared, Purpose};
pub use self::spans::{Place, Span};
pub use self::tokenizer_files::has_tokenizer;
pub use self::unread::{CutTexts, Unread};
use crate::data::{Input, Modality};
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::transform::images::ImageTransform;
use crate::transform::text::TextTokenizer;

/// How a model's inputs become its examples.
#[expect(clippy::large_enum_variant, reason = "there is one of them in a run")]
pub enum Transform {
    /// Texts and pairs of texts become tokens.
    Text(TextTokenizer),
    /// Files of images become pixels.
    Image(ImageTransform),
}

impl Transform {
    /// # Errors
    /// What concerns all inputs; one that cannot be used by itself is among [`Prepared::unusable`].
    pub fn prepare(&self, inputs: &[&Input], purpose: Purpose, watch: &mut dyn FnMut(usize)) -> Result<Prepared> {
        match self {
            Self::Text(tokenizer) => {
                let tokens = tokenizer.tokenize(inputs.iter().copied())?;
                let statistics = tokens.statistics().to_string();
                let unread = tokens.unread;
                Ok(Prepared { set: tokens.examples(tokenizer.long_texts())?, unusable: Vec::new(), statistics, unread })
            }
            Self::Image(images) => images.prepare(inputs, purpose, watch),
        }
    }

    /// What inputs it takes.
    pub fn modality(&self) -> Modality {
        match self {
            Self::Text(_) => Modality::Text,
            Self::Image(_) => Modality::Image,
        }
    }

    /// What a person should know before trusting what is made of the inputs.
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Text(tokenizer) => tokenizer.warnings(),
            Self::Image(_) => &[],
        }
    }

    /// Whether it knows the language of the inputs; `None` where they are no texts.
    pub fn language_fit(&self, inputs: &[&Input]) -> Option<LanguageFit> {
        match self {
            Self::Text(tokenizer) => Some(tokenizer.language_fit(inputs)),
            Self::Image(_) => None,
        }
    }

    /// Puts what is needed to do the same again beside a saved model.
    pub fn save(&self, into: &Path) -> Result<()> {
        match self {
            Self::Text(tokenizer) => tokenizer.save(into),
            // The model's own files say it.
            Self::Image(_) => Ok(()),
        }
    }

    /// Stands for what [`Self::prepare`] makes of these inputs: equal keys, equal examples.
    pub fn key(&self, inputs: &[&Input], purpose: Purpose) -> String {
        let mut hash = Fingerprint::default();
        hash.bytes(match self {
            Self::Text(tokenizer) => tokenizer.identity(),
            Self::Image(images) => images.identity(purpose),
        });
        for input in inputs {
            let parts: [&[u8]; 2] = match input {
                Input::Text(text) => [text.as_bytes(), b""],
                Input::Pair(first, second) => [first.as_bytes(), second.as_bytes()],
                Input::Image(path) => [path.as_os_str().as_encoded_bytes(), b""],
            };
            for part in parts {
                hash.bytes((part.len() as u64).to_le_bytes());
                hash.bytes(part);
            }
        }
        hash.finish()
    }

    /// Changes when an input would be seen otherwise.
    pub fn settings(&self) -> String {
        match self {
            Self::Text(tokenizer) => tokenizer.settings(),
            Self::Image(images) => format!("{:?}", images.preprocessing),
        }
    }
}
