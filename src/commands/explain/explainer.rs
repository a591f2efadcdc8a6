//! Why a network gives an input one answer rather than another: its words, or the places of an image, with what they
//! add. Which inputs and answers those are is the command's.

use super::words;
use crate::batch::ExampleSet;
use crate::data::Input;
use crate::error::{Error, Result};
use crate::explanation::{ActivationMap, Effort, Question, StandIns, activation_map, integrated_gradients};
use crate::model::{Classifier, InputSpec};
use crate::report::why::{SeenImage, Why};
use crate::transform::text::TextTokenizer;
use crate::transform::{Purpose, Transform};

/// What it takes to explain answers.
#[derive(Clone, Copy)]
pub struct Explainer<'a> {
    pub classifier: &'a Classifier,
    pub transform: &'a Transform,
    pub effort: Effort,
}

impl Explainer<'_> {
    /// Why an input gets an answer, and the share of the change that the scores leave unexplained.
    ///
    /// # Errors
    /// The input cannot be read, or the network not be explained.
    pub fn why(&self, input: &Input, question: Question) -> Result<(Why, f64)> {
        match self.transform {
            Transform::Text(tokenizer) => self.of_text(tokenizer, input, question),
            Transform::Image(_) => {
                let prepared = self.transform.prepare(&[input], Purpose::Inference, &mut |_| {})?;
                match prepared.unusable.into_iter().next() {
                    Some((_, error)) => Err(error),
                    None => self.of_image(&*prepared.set, input, question),
                }
            }
        }
    }

    /// The same of an input that is the first of `set`.
    ///
    /// # Errors
    /// As for [`Explainer::why`].
    pub fn why_prepared(&self, set: &dyn ExampleSet, input: &Input, question: Question) -> Result<(Why, f64)> {
        match self.transform {
            Transform::Text(tokenizer) => self.of_text(tokenizer, input, question),
            Transform::Image(_) => self.of_image(set, input, question),
        }
    }

    fn of_text(&self, tokenizer: &TextTokenizer, input: &Input, question: Question) -> Result<(Why, f64)> {
        let spans = tokenizer.spans(input)?;
        let stand_in = tokenizer.stand_in().ok_or_else(|| {
            Error::request("the tokenizer has no token that could stand for a word: no mask, padding or unknown one")
                .file(&self.classifier.directory)
        })?;
        let ids: Vec<u32> = spans.iter().map(|span| span.id).collect();
        let segments: Vec<u32> = spans.iter().map(|span| span.segment).collect();
        let without: Vec<u32> =
            spans.iter().map(|span| if span.place.is_some() { stand_in } else { span.id }).collect();
        let text = StandIns { ids: &ids, without_content: &without, segments: &segments };
        let found = integrated_gradients(self.classifier, &text, question, self.effort)?;
        let change = (found.log_odds - found.without_content).abs().max(1.0);
        let unexplained = found.unexplained().abs() / change;
        Ok((Why::Texts(words::pieces(input, &spans, &found.scores)), unexplained))
    }

    fn of_image(&self, set: &dyn ExampleSet, input: &Input, question: Question) -> Result<(Why, f64)> {
        let batch = set.batch(&[0], self.classifier.device)?;
        let ActivationMap { rows, columns, values } = activation_map(self.classifier, &batch, question)?;
        let (Input::Image(file), InputSpec::Image(preprocessing)) = (input, &self.classifier.input) else {
            return Err(Error::failure("no image where one was read"));
        };
        Ok((Why::Image(SeenImage { file: file.clone(), preprocessing: *preprocessing, rows, columns, values }), 0.0))
    }
}
