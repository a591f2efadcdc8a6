//! Where the tokens of a text stand in it, and what stands for one that is left out: for showing what the network read.

use std::ops::Range;

use tokenizers::EncodeInput;

use super::guard::{guarded, in_bounded_time};
use super::text::TextTokenizer;
use crate::batch::ExampleSet;
use crate::config::LongText;
use crate::data::Input;
use crate::error::{Error, Result};

/// A token as the network reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its row in the embedding.
    pub id: u32,
    /// 0, or 1 in the second of two texts.
    pub segment: u32,
    /// Where it stands; nowhere where the tokenizer has added it.
    pub place: Option<Place>,
}

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which of two texts.
    pub text: usize,
    /// In bytes.
    pub bytes: Range<usize>,
    /// Neighbours of one number are of one word.
    pub word: Option<u32>,
}

impl TextTokenizer {
    /// The tokens of an input, as [`tokenize`](Self::tokenize) gives them, with their places.
    ///
    /// # Errors
    /// The input cannot be tokenised.
    pub fn spans(&self, input: &Input) -> Result<Vec<Span>> {
        let tokenized = self.tokenize([input])?;
        let set = tokenized.set;
        let read = self.long_texts().name();
        if read != LongText::Truncate && (set.len() > 1 || tokenized.unread.cut.texts > 0) {
            let most = self.max_length();
            return Err(Error::request(format!(
                "the tokens of a text with more than {most} are not shown where it is read by --long-text {read}"
            ))
            .key("long_text")
            .hint("--long-text truncate shows those of its beginning, as if the network read no more"));
        }
        let (ids, segments) = (set.ids(0), set.types(0));
        let given: EncodeInput = match input {
            Input::Text(text) => text.as_str().into(),
            Input::Pair(first, second) => (first.as_str(), second.as_str()).into(),
            Input::Image(path) => return Err(Error::request("this model reads text, not images").file(path)),
        };
        let encode = || guarded(|| self.files.tokenizer.encode(given, true));
        let encoding = in_bounded_time(input.bytes(), encode);
        let encoding = encoding
            .and_then(|encoding| encoding.map_err(|error| error.to_string()))
            .map_err(|why| Error::request(format!("the text cannot be tokenised: {why}")))?;
        if encoding.get_ids() != ids {
            return Err(Error::failure("the tokenizer gives other tokens when it is asked for their places"));
        }
        let span = |index: usize| {
            let (start, end) = encoding.get_offsets().get(index).copied().unwrap_or_default();
            let text = encoding.token_to_sequence(index).filter(|_| start < end);
            let word = encoding.get_word_ids().get(index).copied().flatten();
            let place = text.map(|text| Place { text, bytes: start..end, word });
            Span { id: ids[index], segment: u32::from(segments[index]), place }
        };
        Ok((0..ids.len()).map(span).collect())
    }

    /// A token that says nothing of a text, to stand for others: the one that training masked words with, else the one
    /// that fills up, else the one for what is not known.
    pub fn stand_in(&self) -> Option<u32> {
        let named = ["[MASK]", "<mask>", "[PAD]", "<pad>"];
        named.iter().find_map(|name| self.files.tokenizer.token_to_id(name)).or_else(|| self.files.unknown_token())
    }
}
