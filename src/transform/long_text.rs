//! Where a long text may be cut before it is tokenised, so that the `tokenizers` crate, which needs about 150 bytes for
//! each byte of a text, is not given what truncation would throw away; and how long the whole text is.

use serde_json::Value;
use tokenizers::{Encoding, PostProcessor, Tokenizer};

use super::unread::Length;

/// More characters than a token has in most texts; of a text whose tokens are longer the crate is given more.
const CHARACTERS_PER_TOKEN: usize = 8;

/// What the tokenizer, which truncates to `max_length` tokens, makes of a text, special tokens included, and how long
/// the whole text is.
pub fn encode(
    tokenizer: &Tokenizer,
    splits_at_spaces: bool,
    text: &str,
    max_length: usize,
) -> tokenizers::Result<(Encoding, Length)> {
    let special = special_tokens(tokenizer, false);
    let length_of = |encoding: &Encoding, read: usize| {
        let parts = std::iter::once(encoding).chain(encoding.get_overflowing());
        let tokens = parts.map(|part| part.len().saturating_sub(special)).sum();
        Length::by_part(tokens, read, text.len()).and(Length::counted(special))
    };
    let mut length = max_length.saturating_mul(CHARACTERS_PER_TOKEN);
    while let Some(end) = splits_at_spaces.then(|| place_to_cut(text, length)).flatten() {
        let encoding = tokenizer.encode_fast(&text[..end], true)?;
        if !encoding.get_overflowing().is_empty() {
            let length = length_of(&encoding, end);
            return Ok((encoding, length));
        }
        length = end * 4;
    }
    let encoding = tokenizer.encode_fast(text, true)?;
    let length = length_of(&encoding, text.len());
    Ok((encoding, length))
}

/// The same of two texts, which share the tokens.
pub fn encode_pair(tokenizer: &Tokenizer, texts: [&str; 2]) -> tokenizers::Result<(Encoding, Length)> {
    // `encode_fast` would forget the segments.
    let encoding = tokenizer.encode((texts[0], texts[1]), true)?;
    if encoding.get_overflowing().is_empty() {
        let length = Length::counted(encoding.len());
        return Ok((encoding, length));
    }
    // What is left of each is there as often as there are parts of the other, so it is estimated by what is kept.
    let mut length = Length::counted(special_tokens(tokenizer, true));
    let sequences = encoding.get_sequence_ids();
    for (index, text) in texts.into_iter().enumerate() {
        let kept = encoding.get_offsets().iter().zip(&sequences).filter(|(_, sequence)| **sequence == Some(index));
        let kept: Vec<_> = kept.map(|(offsets, _)| *offsets).collect();
        let end = kept.iter().map(|(_, end)| *end).max().unwrap_or(0);
        let read = end.saturating_sub(kept.first().map_or(0, |(start, _)| *start));
        length = length.and(Length::by_part(kept.len(), read, text.len()));
    }
    Ok((encoding, length))
}

fn special_tokens(tokenizer: &Tokenizer, of_pair: bool) -> usize {
    tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(of_pair))
}

/// The first place after `length` bytes where a text may be cut without changing the tokens before it, for tokenizers
/// that split at spaces: before a lone space between ASCII letters or digits.
fn place_to_cut(text: &str, length: usize) -> Option<usize> {
    let place = |three: &[u8]| matches!(three, [a, b' ', b] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric());
    text.as_bytes().get(length..)?.windows(3).position(place).map(|ahead| length + ahead + 1)
}

/// Whether a tokenizer surely makes the same of what comes before a lone space, whatever comes after it.
pub fn splits_at_spaces(tokenizer: &Tokenizer) -> bool {
    let settings = (tokenizer.get_normalizer(), tokenizer.get_pre_tokenizer());
    let settings = serde_json::to_value(settings).unwrap_or_default();
    let normalizes_apart = |step: &Value| match step["type"].as_str() {
        Some("BertNormalizer" | "Lowercase" | "StripAccents" | "Strip" | "Prepend" | "Precompiled") => true,
        Some("NFC" | "NFD" | "NFKC" | "NFKD" | "Nmt") => true,
        Some("Replace") => match (&step["pattern"]["Regex"], &step["pattern"]["String"]) {
            (Value::String(pattern), _) => pattern == " {2,}",
            (_, Value::String(pattern)) => !pattern.contains(' '),
            _ => false,
        },
        _ => false,
    };
    let splits = |step: &Value| match step["type"].as_str() {
        Some("BertPreTokenizer" | "Whitespace" | "WhitespaceSplit") => true,
        Some("ByteLevel") => step["use_regex"] != false,
        Some("Metaspace") => step["split"] != false,
        _ => false,
    };
    let steps = |of: &Value, list: &str| match &of[list] {
        Value::Array(steps) => steps.clone(),
        _ => Some(of.clone()).filter(|step| !step.is_null()).into_iter().collect(),
    };
    let added = tokenizer.get_added_tokens_decoder();
    !added.values().any(|token| token.content.contains(' '))
        && steps(&settings[0], "normalizers").iter().all(normalizes_apart)
        && steps(&settings[1], "pretokenizers").first().is_some_and(splits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_looks_beyond_spaces_is_given_whole_texts() {
        let with = |pre_tokenizer: Value| {
            let model = json!({ "type": "WordLevel", "vocab": { "a": 0 }, "unk_token": "a" });
            let settings = json!({ "pre_tokenizer": pre_tokenizer, "model": model });
            splits_at_spaces(&Tokenizer::from_bytes(settings.to_string()).expect("a tokenizer"))
        };
        assert!(with(json!({ "type": "Whitespace" })));
        assert!(!with(Value::Null));
        assert!(!with(
            json!({ "type": "Split", "pattern": { "Regex": "a b" }, "behavior": "Isolated", "invert": false })
        ));
        assert_eq!(place_to_cut("ab cd  ef g", 0), Some(2));
        assert_eq!(place_to_cut("ab cd  ef g", 2), Some(9));
        assert_eq!(place_to_cut("ab cd", 9), None);
    }
}
