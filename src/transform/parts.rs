//! Which of a text's tokens are read, among the special ones: its beginning, both its ends, or all in windows.
//!
//! What is decided of that for a run is `overlong.rs`'s affair; the tokens are looked at in `text.rs`.

use tokenizers::TruncationDirection;

use super::long_text;
use super::overlong::{LongTexts, no_layout};
use super::text::{Chunk, TextTokenizer};
use super::unread::Length;

impl TextTokenizer {
    /// Adds the ids and segments of a text, or of two, cut at the limit; returns how long they were before, and how
    /// many of their tokens are read.
    pub(super) fn push(&self, texts: &[&str], into: &mut Chunk) -> tokenizers::Result<(Length, usize)> {
        if self.long_texts != LongTexts::Truncate {
            return self.push_whole(texts, into);
        }
        let before = into.ids.len();
        let length = self.push_truncated(texts, into)?;
        into.ends.push(into.ids.len());
        Ok((length, into.ids.len() - before))
    }

    /// The same where what is read of a long text is not its beginning alone.
    fn push_whole(&self, texts: &[&str], into: &mut Chunk) -> tokenizers::Result<(Length, usize)> {
        let template = self.templates.get(texts.len() - 1).and_then(Option::as_ref);
        let template = template.ok_or_else(|| no_layout(&self.long_texts).to_string())?;
        let mut tokens = template.special_ids().count();
        for (index, ids) in into.texts.iter_mut().enumerate() {
            ids.clear();
            let Some(text) = texts.get(index) else { continue };
            match self.pieces.as_ref().filter(|pieces| pieces.is_plain(text)) {
                Some(pieces) => drop(pieces.read(text, usize::MAX, ids)?),
                None => ids.extend_from_slice(self.files.tokenizer.encode_fast(*text, false)?.get_ids()),
            }
            tokens += ids.len();
        }
        let Chunk { ids, segments, ends, texts: whole, .. } = into;
        let unread = self.long_texts.lay_out(whole, texts.len(), template, self.side, &mut |texts| {
            template.lay_out(texts, ids, segments);
            ends.push(ids.len());
        });
        Ok((Length::counted(tokens), tokens - unread))
    }

    fn push_truncated(&self, texts: &[&str], into: &mut Chunk) -> tokenizers::Result<Length> {
        let pieces = self.pieces.as_ref().filter(|pieces| texts.iter().all(|text| pieces.is_plain(text)));
        let template = self.templates.get(texts.len() - 1).and_then(Option::as_ref);
        let (Some(pieces), Some(template)) = (pieces, template) else {
            let tokenizer = &self.files.tokenizer;
            let (encoding, length) = match texts {
                [text] => long_text::encode(tokenizer, self.splits_at_spaces, text, self.max_length)?,
                _ => long_text::encode_pair(tokenizer, [texts[0], texts[1]])?,
            };
            into.ids.extend_from_slice(encoding.get_ids());
            into.segments.extend_from_slice(encoding.get_type_ids());
            return Ok(length);
        };
        // How two share the room depends on all that they have, and the end of a text on all of it.
        let is_cut_behind = texts.len() == 1 && self.side == TruncationDirection::Right;
        let most = if is_cut_behind { template.room } else { usize::MAX };
        let mut length = Length::counted(0);
        for (index, ids) in into.texts.iter_mut().enumerate() {
            ids.clear();
            let text = texts.get(index).unwrap_or(&"");
            let read = pieces.read(text, most, ids)?;
            length = length.and(Length::by_part(ids.len(), read, text.len()));
        }
        let before = into.ids.len();
        let left = template.push(&into.texts, self.side, &mut into.ids, &mut into.segments);
        let read: usize = into.texts.iter().map(Vec::len).sum();
        Ok(length.and(Length::counted(into.ids.len() - before + left - read)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use tokenizers::{Encoding, Tokenizer, TruncationParams, TruncationStrategy};

    use super::*;
    use crate::batch::ExampleSet;
    use crate::config::LongText;
    use crate::data::Input;
    use crate::random::Random;
    use crate::transform::{LongTextRequest, Tokenized};

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    fn load(name: &str, most: usize, long_text: LongText, stride: Option<usize>) -> TextTokenizer {
        let request = LongTextRequest { long_text: Some(long_text), stride, ..LongTextRequest::default() };
        TextTokenizer::load_reading(&fixture(name), 40_000, 512, 2, Some(most), &request).expect("a tokenizer")
    }

    /// The crate's own, which makes `return_overflowing_tokens` of transformers.
    fn reference(name: &str, truncation: Option<(usize, usize, TruncationStrategy)>) -> Tokenizer {
        let mut tokenizer = Tokenizer::from_file(fixture(name).join("tokenizer.json")).expect("a tokenizer");
        let truncation = truncation.map(|(max_length, stride, strategy)| TruncationParams {
            max_length,
            stride,
            strategy,
            direction: TruncationDirection::Right,
        });
        tokenizer.with_padding(None).with_truncation(truncation).expect("truncation");
        tokenizer
    }

    fn texts() -> Vec<String> {
        let mut random = Random::new(8);
        let words = ["the", "film", "was", "unbelievable", "good", "é", "plot,", "bad", "1999", "[SEP]", "x"];
        let text = |random: &mut Random, length: u64| {
            (0..length).map(|_| words[random.below(words.len() as u64) as usize]).collect::<Vec<_>>().join(" ")
        };
        (0..60).map(|length| text(&mut random, length)).collect()
    }

    /// The windows of text `text`.
    fn windows(found: &Tokenized, text: usize) -> Vec<Vec<u32>> {
        let start = if text == 0 { 0 } else { found.ends[text - 1] };
        (start..found.ends[text]).map(|window| found.set.ids(window).to_vec()).collect()
    }

    fn all_parts(encoding: &Encoding) -> Vec<Vec<u32>> {
        let parts = std::iter::once(encoding).chain(encoding.get_overflowing());
        parts.map(|part| part.get_ids().to_vec()).collect()
    }

    #[test]
    fn windows_are_those_of_transformers() {
        let texts = texts();
        for name in ["bert/bare", "roberta/bare", "camembert/classifier"] {
            for (most, stride) in [(12, 0), (12, 3), (31, 7)] {
                let tokenizer = load(name, most, LongText::Windows, Some(stride));
                let theirs = reference(name, Some((most, stride, TruncationStrategy::OnlyFirst)));
                let inputs: Vec<Input> = texts.iter().cloned().map(Input::Text).collect();
                let found = tokenizer.tokenize(&inputs).expect("tokens");
                assert_eq!((found.ends.len(), found.unread.cut.texts), (texts.len(), 0));
                for (index, text) in texts.iter().enumerate() {
                    let expected = theirs.encode(text.as_str(), true).expect("tokens");
                    assert_eq!(windows(&found, index), all_parts(&expected), "{name} {most} {stride} {text}");
                }
                // Of two texts the longer is divided.
                let short = "a good film";
                let pairs = texts.iter().flat_map(|text| {
                    [Input::Pair(short.to_owned(), text.clone()), Input::Pair(text.clone(), short.to_owned())]
                });
                let found = tokenizer.tokenize(&pairs.collect::<Vec<_>>()).expect("tokens");
                for (index, text) in texts.iter().enumerate().filter(|(length, _)| *length > 12) {
                    for (place, strategy, pair) in [
                        (0, TruncationStrategy::OnlySecond, (short, text.as_str())),
                        (1, TruncationStrategy::OnlyFirst, (text.as_str(), short)),
                    ] {
                        let room = most - reference(name, None).encode((short, ""), true).expect("tokens").len();
                        if room <= stride || room < most / 2 {
                            continue;
                        }
                        let theirs = reference(name, Some((most, stride, strategy)));
                        let expected = theirs.encode(pair, true).expect("tokens");
                        assert_eq!(windows(&found, 2 * index + place), all_parts(&expected), "{name} {most} {pair:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn of_head_and_tail_the_middle_is_missing() {
        for name in ["bert/bare", "roberta/bare"] {
            let (tokenizer, theirs) = (load(name, 22, LongText::HeadTail, None), reference(name, None));
            let texts = texts();
            let inputs: Vec<Input> = texts.iter().cloned().map(Input::Text).collect();
            let found = tokenizer.tokenize(&inputs).expect("tokens");
            let mut cut = 0;
            for (index, text) in texts.iter().enumerate() {
                let mut whole = theirs.encode(text.as_str(), true).expect("tokens").get_ids().to_vec();
                if whole.len() > 22 {
                    // The special token and 5 of 20 tokens before, 15 and the special one after.
                    whole.drain(6..whole.len() - 16);
                    cut += 1;
                }
                assert_eq!(found.set.ids(index), whole, "{text}");
            }
            assert_eq!((found.set.len(), found.unread.cut.texts), (texts.len(), cut));
        }
    }

    #[test]
    fn of_two_long_texts_the_shorter_has_half_of_a_window() {
        let tokenizer = load("bert/bare", 23, LongText::Windows, Some(2));
        let long = |words: usize| "good ".repeat(words);
        let found = tokenizer.tokenize([&Input::Pair(long(40), long(50))]).expect("tokens");
        assert!((0..found.set.len()).all(|window| found.set.cost(window) <= 23));
        // Of 20 tokens 10 are the first text's, and each window has 8 new ones of the second.
        assert_eq!((found.set.len(), found.unread.cut.texts), (6, 1));
        let said = found.unread.remarks();
        assert!(said[0].contains("cut in their shorter text: 32 % of its tokens are not read"), "{said:?}");
    }
}
