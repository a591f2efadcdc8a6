//! Where a long text may be cut before it is tokenised, so that the `tokenizers` crate, which needs about 150 bytes for
//! each byte of a text, is not given what truncation would throw away.

use serde_json::Value;
use tokenizers::{Encoding, Tokenizer};

/// More characters than a token has in most texts; of a text whose tokens are longer the crate is given more.
const CHARACTERS_PER_TOKEN: usize = 8;

/// Texts up to this length are given to the tokenizer whole, whatever it is.
pub fn most_bytes(max_length: usize) -> usize {
    max_length.saturating_mul(CHARACTERS_PER_TOKEN)
}

/// What the tokenizer, which truncates to `max_length` tokens, makes of a text, special tokens included.
pub fn encode(
    tokenizer: &Tokenizer,
    splits_at_spaces: bool,
    text: &str,
    max_length: usize,
) -> tokenizers::Result<Encoding> {
    let mut length = most_bytes(max_length);
    while let Some(end) = splits_at_spaces.then(|| place_to_cut(text, length)).flatten() {
        let encoding = tokenizer.encode_fast(&text[..end], true)?;
        if !encoding.get_overflowing().is_empty() {
            return Ok(encoding);
        }
        length = end * 4;
    }
    tokenizer.encode_fast(text, true)
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
