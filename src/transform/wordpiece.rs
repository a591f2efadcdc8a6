//! BERT's WordPiece in one pass over a text's bytes: the ids that the `tokenizers` crate gives, without the alignments,
//! offsets and token strings that it keeps and nobody here reads.
//!
//! ASCII is cleaned, lower-cased and split here. Words with anything else in them are normalised and split by the
//! crate, and a text that spells out a special token is left to it whole, as is every other tokenizer.

use std::collections::HashMap;

use tokenizers::models::ModelWrapper;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    Encoding, Model, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType, PostProcessor, PreTokenizedString,
    PreTokenizer, Tokenizer, TruncationDirection,
};

type Pieces = HashMap<Box<[u8]>, u32>;

/// A BERT tokenizer's words to ids.
pub struct WordPieces {
    normalizer: BertNormalizer,
    classes: [Class; 256],
    /// Pieces that a word begins with, and those that it goes on with.
    first: Pieces,
    next: Pieces,
    /// Bytes of the longest piece.
    longest: usize,
    unknown: u32,
    /// Longer words are unknown.
    most_characters: usize,
    special: Vec<String>,
}

/// Bytes of a common ideograph, U+4E00 to U+9F7F.
const IDEOGRAPH: usize = 3;

/// What becomes of a byte.
#[derive(Clone, Copy)]
enum Class {
    /// Part of a word, as this byte.
    Word(u8),
    /// A word of its own.
    Punctuation,
    Space,
    Dropped,
    /// Part of a character beyond ASCII.
    Beyond,
}

impl WordPieces {
    /// None where the tokenizer does more than this can do.
    pub fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let (Some(NormalizerWrapper::BertNormalizer(normalizer)), ModelWrapper::WordPiece(model)) =
            (tokenizer.get_normalizer(), tokenizer.get_model())
        else {
            return None;
        };
        let plain = matches!(tokenizer.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)));
        let added = tokenizer.get_added_tokens_decoder();
        // Those that match normalised text could stand in it without being seen.
        if !plain
            || !normalizer.clean_text
            || tokenizer.get_encode_special_tokens()
            || added.values().any(|token| token.normalized)
        {
            return None;
        }
        Self::with(model, *normalizer, added.into_values().map(|token| token.content).collect())
    }

    fn with(model: &WordPiece, normalizer: BertNormalizer, special: Vec<String>) -> Option<Self> {
        let mut pieces = Self {
            normalizer,
            classes: std::array::from_fn(|byte| Class::of(byte as u8, normalizer.lowercase)),
            first: Pieces::default(),
            next: Pieces::default(),
            longest: 0,
            unknown: model.token_to_id(&model.unk_token)?,
            most_characters: model.max_input_chars_per_word,
            special,
        };
        for (piece, id) in model.get_vocab() {
            pieces.longest = pieces.longest.max(piece.len());
            if let Some(next) = piece.strip_prefix(&model.continuing_subword_prefix) {
                pieces.next.insert(next.as_bytes().into(), id);
            }
            pieces.first.insert(piece.into_bytes().into(), id);
        }
        Some(pieces)
    }

    /// Whether a text spells out a special token.
    pub fn is_plain(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        !self
            .special
            .iter()
            .any(|token| token.bytes().next().is_some_and(|first| bytes.contains(&first)) && text.contains(token))
    }

    /// Adds a plain text's ids to `ids`, and ends after the word with which they become more than `most`; returns how
    /// many of its bytes were read.
    pub fn read(&self, text: &str, most: usize, ids: &mut Vec<u32>) -> tokenizers::Result<usize> {
        let bytes = text.as_bytes();
        let mut word = Vec::with_capacity(32);
        // Where in the text the word begins.
        let mut begin = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match self.classes[usize::from(byte)] {
                Class::Word(byte) => {
                    word.push(byte);
                    continue;
                }
                Class::Dropped => continue,
                Class::Beyond if self.is_ideograph(&bytes[at - 1..]) => {
                    self.split(&word, ids);
                    at += IDEOGRAPH - 1;
                    self.split(&bytes[at - IDEOGRAPH..at], ids);
                }
                Class::Beyond => {
                    // Normalising never reaches across any of these.
                    let ends = |&at: &usize| {
                        let class = self.classes[usize::from(bytes[at])];
                        matches!(class, Class::Space | Class::Punctuation) || self.is_ideograph(&bytes[at..])
                    };
                    at = (at..bytes.len()).find(ends).unwrap_or(bytes.len());
                    self.read_normalized(&text[begin..at], ids)?;
                }
                Class::Space => self.split(&word, ids),
                Class::Punctuation => {
                    self.split(&word, ids);
                    self.split(&[byte], ids);
                }
            }
            word.clear();
            begin = at;
            if ids.len() > most {
                return Ok(at);
            }
        }
        self.split(&word, ids);
        Ok(bytes.len())
    }

    /// Whether a word of its own begins here: a common ideograph, which no step of normalising changes.
    fn is_ideograph(&self, bytes: &[u8]) -> bool {
        self.normalizer.handle_chinese_chars
            && matches!(bytes, [0xE4, 0xB8..=0xBF, _, ..] | [0xE5..=0xE8, _, _, ..] | [0xE9, 0x80..=0xBD, _, ..])
    }

    /// Words with characters beyond ASCII.
    fn read_normalized(&self, part: &str, ids: &mut Vec<u32>) -> tokenizers::Result<()> {
        let mut words = PreTokenizedString::from(part);
        words.normalize(|part| self.normalizer.normalize(part))?;
        BertPreTokenizer.pre_tokenize(&mut words)?;
        for (word, _, _) in words.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            self.split(word.as_bytes(), ids);
        }
        Ok(())
    }

    /// Adds the ids of a word's pieces: the longest that the rest begins with, again and again.
    fn split(&self, word: &[u8], ids: &mut Vec<u32>) {
        let continues = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
        if word.len() > self.most_characters
            && word.iter().filter(|byte| !continues(byte)).count() > self.most_characters
        {
            return ids.push(self.unknown);
        }
        let before = ids.len();
        let mut rest = word;
        let mut pieces = &self.first;
        while !rest.is_empty() {
            let longest = rest.len().min(self.longest);
            let found = (1..=longest).rev().find_map(|length| Some((pieces.get(&rest[..length])?, length)));
            let Some((&id, length)) = found else {
                ids.truncate(before);
                return ids.push(self.unknown);
            };
            ids.push(id);
            rest = &rest[length..];
            pieces = &self.next;
        }
    }
}

impl Class {
    fn of(byte: u8, lowercase: bool) -> Self {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => Self::Space,
            0x80.. => Self::Beyond,
            _ if byte.is_ascii_control() => Self::Dropped,
            _ if byte.is_ascii_punctuation() => Self::Punctuation,
            _ if lowercase => Self::Word(byte.to_ascii_lowercase()),
            _ => Self::Word(byte),
        }
    }
}

/// Where the ids of a text, or of a pair of texts, stand among the special tokens.
pub struct Template {
    /// Each with its segment.
    parts: Vec<(Part, u32)>,
    /// How many ids of texts there may be.
    pub room: usize,
}

enum Part {
    Special(u32),
    Text(usize),
}

impl Template {
    /// Found by having the tokenizer lay out stand-ins for `texts` texts. None where no room is left, and where it lays
    /// them out in a way that only the tokenizer itself can tell: a text twice or not at all.
    pub fn of(tokenizer: &Tokenizer, texts: usize, max_length: usize) -> Option<Self> {
        let stand_in = |text: usize| -> Encoding {
            [(u32::MAX - text as u32, String::new(), (0, 0), None, text as u32)].into_iter().collect()
        };
        let added = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(texts == 2));
        let room = max_length.checked_sub(added).filter(|&room| room >= texts)?;
        let encoding = tokenizer.post_process(stand_in(0), (texts == 2).then(|| stand_in(1)), true).ok()?;
        let part = |&id: &u32| match (u32::MAX - id) as usize {
            text if text < texts => Part::Text(text),
            _ => Part::Special(id),
        };
        let parts: Vec<(Part, u32)> =
            encoding.get_ids().iter().map(part).zip(encoding.get_type_ids().iter().copied()).collect();
        let once = |text: &usize| parts.iter().filter(|(part, _)| matches!(part, Part::Text(at) if at == text)).count();
        (0..texts).all(|text| once(&text) == 1).then_some(Self { parts, room })
    }

    /// The ids of the special tokens.
    pub fn special_ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.parts.iter().filter_map(|(part, _)| match part {
            Part::Special(id) => Some(*id),
            Part::Text(_) => None,
        })
    }

    /// Adds ids and segments of texts, cut at `side` to the room there is; returns how many ids of theirs had none.
    pub fn push(
        &self,
        texts: &[Vec<u32>; 2],
        side: TruncationDirection,
        ids: &mut Vec<u32>,
        segments: &mut Vec<u32>,
    ) -> usize {
        let lengths = texts.each_ref().map(Vec::len);
        let kept = longest_first(lengths, self.room);
        let part = |text: usize| match side {
            TruncationDirection::Right => &texts[text][..kept[text]],
            TruncationDirection::Left => &texts[text][texts[text].len() - kept[text]..],
        };
        self.lay_out([part(0), part(1)], ids, segments);
        lengths.iter().sum::<usize>() - kept.iter().sum::<usize>()
    }

    /// Adds ids and segments of texts that fit, among the special tokens.
    pub fn lay_out(&self, texts: [&[u32]; 2], ids: &mut Vec<u32>, segments: &mut Vec<u32>) {
        for (part, segment) in &self.parts {
            match *part {
                Part::Special(id) => ids.push(id),
                Part::Text(text) => ids.extend_from_slice(texts[text]),
            }
            segments.resize(ids.len(), *segment);
        }
    }
}

/// How much is kept of two texts that share `room`: as the crate does it, who is longer gives way.
pub fn longest_first([first, second]: [usize; 2], room: usize) -> [usize; 2] {
    if first + second <= room {
        return [first, second];
    }
    let mut short = first.min(second);
    let mut long = if short > room { short } else { short.max(room - short) };
    if short + long > room {
        short = room / 2;
        long = short + room % 2;
    }
    if first > second { [long, short] } else { [short, long] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_layout_that_only_the_tokenizer_can_tell_is_left_to_it() {
        let layout = |ids: Value, parts: &[&str]| {
            let part = |part: &&str| match *part {
                "[CLS]" => json!({ "SpecialToken": { "id": "[CLS]", "type_id": 0 } }),
                text => json!({ "Sequence": { "id": text, "type_id": 0 } }),
            };
            let parts: Vec<Value> = parts.iter().map(part).collect();
            let special = json!({ "[CLS]": { "id": "[CLS]", "ids": ids, "tokens": ["[CLS]"] } });
            let tokenizer = json!({
                "model": { "type": "WordLevel", "vocab": { "a": 0 }, "unk_token": "a" },
                "post_processor": {
                    "type": "TemplateProcessing", "single": parts, "pair": parts, "special_tokens": special
                },
            });
            Tokenizer::from_bytes(tokenizer.to_string()).expect("a tokenizer")
        };
        let usual = layout(json!([7]), &["[CLS]", "A"]);
        assert_eq!(Template::of(&usual, 1, 8).map(|layout| layout.room), Some(7));
        // A pair of which one text is not there.
        assert!(Template::of(&usual, 2, 8).is_none());
        assert!(Template::of(&layout(json!([7]), &["A", "[CLS]", "A"]), 1, 8).is_none());
        assert!(Template::of(&layout(json!([7]), &["[CLS]"]), 1, 8).is_none());
        // What stands for the text is an id that no vocabulary has.
        assert!(Template::of(&layout(json!([u32::MAX]), &["[CLS]", "A"]), 1, 8).is_none());
        assert!(Template::of(&usual, 1, 1).is_none());
    }
}
