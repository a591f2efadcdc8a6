//! What a tokenizer's file may ask for, so that no text takes endless time or memory: the length of divided words, the
//! number of steps, and the table of a SentencePiece normalisation. That texts do not grow is `growth.rs`'s affair.

use serde::Deserialize;
use serde_json::Value;
use tokenizers::{ModelWrapper, Tokenizer};

use crate::error::{Error, Result};

/// Characters of a word that WordPiece divides, which takes it the cube of the length at the worst. Real files say 100.
const LONGEST_WORD: usize = 1000;
/// Steps of normalising and of dividing a text; real files have fewer than fifty.
const MOST_STEPS: usize = 1000;
/// Bytes that SentencePiece's table may put in a character's place; the most in real ones are 33.
const LONGEST_REPLACEMENT: usize = 400;

/// The parts of a `tokenizer.json` that are looked at before the library reads it.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
}

/// That the steps in a `tokenizer.json` are few and their tables sound. What is no JSON is left to the library.
///
/// # Errors
/// What is wrong.
pub fn check_steps(json: &[u8]) -> Result<(), String> {
    let Ok(parts) = serde_json::from_slice::<Parts>(json) else { return Ok(()) };
    for (name, part) in [("normalizer", parts.normalizer), ("pre_tokenizer", parts.pre_tokenizer)] {
        let steps = check_step(&part)?;
        if steps > MOST_STEPS {
            return Err(format!("its {name} has {steps} steps, and {MOST_STEPS} are the most"));
        }
    }
    Ok(())
}

/// How many steps there are in one.
fn check_step(step: &Value) -> Result<usize, String> {
    if let Some(table) = step.get("precompiled_charsmap").and_then(Value::as_str) {
        use base64::Engine;
        let table = base64::engine::general_purpose::STANDARD.decode(table).unwrap_or_default();
        check_table(&table)?;
    }
    let steps = ["normalizers", "pretokenizers"].into_iter().filter_map(|name| step.get(name)?.as_array()).flatten();
    steps.map(check_step).sum::<Result<usize, String>>().map(|steps| steps + 1)
}

/// That SentencePiece's table of replacements (`precompiled_charsmap`: the length of a trie, the trie, what is put in
/// place, each ended by a zero) has the trie that it says, and replaces nothing by a long text.
///
/// # Errors
/// What is wrong.
pub fn check_table(table: &[u8]) -> Result<(), String> {
    let Some((length, rest)) = table.split_first_chunk() else { return Ok(()) };
    let Some(replacements) = rest.get(u32::from_le_bytes(*length) as usize..) else {
        return Err("its precompiled_charsmap is damaged".to_owned());
    };
    match replacements.split(|&byte| byte == 0).map(<[u8]>::len).max() {
        Some(longest) if longest > LONGEST_REPLACEMENT => Err(format!(
            "its precompiled_charsmap replaces a character by {longest} bytes, and {LONGEST_REPLACEMENT} are the most"
        )),
        _ => Ok(()),
    }
}

/// That no word takes endless time.
///
/// # Errors
/// Its words may be too long.
pub fn check_word_length(tokenizer: &Tokenizer) -> Result<()> {
    match tokenizer.get_model() {
        ModelWrapper::WordPiece(model) if model.max_input_chars_per_word > LONGEST_WORD => {
            let found = model.max_input_chars_per_word;
            Err(Error::request(format!("found {found}, and at most {LONGEST_WORD} characters of a word are divided"))
                .key("model.max_input_chars_per_word")
                .hint("set it to 100, as usual: longer words are one unknown token then"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_endless_is_refused() {
        let table = |length: u32, replacements: &[u8]| [&length.to_le_bytes(), &[0; 8][..], replacements].concat();
        assert_eq!(check_table(&table(8, b"ffi\0ae\0")), Ok(()));
        assert_eq!(check_table(&[]), Ok(()));
        assert!(check_table(&table(u32::MAX, b"a\0")).is_err_and(|why| why.contains("damaged")));
        assert!(check_table(&table(8, &[b'a'; 5000])).is_err_and(|why| why.contains("5000 bytes")));

        let check = |part: &str, steps: Value| check_steps(json!({ part: steps }).to_string().as_bytes());
        let sequence =
            |steps: usize| json!({ "type": "Sequence", "pretokenizers": vec![json!({ "type": "Digits" }); steps] });
        assert_eq!(check("pre_tokenizer", sequence(900)), Ok(()));
        assert_eq!(check("pre_tokenizer", Value::Null), Ok(()));
        assert!(check("pre_tokenizer", sequence(1001)).is_err_and(|why| why.contains("1002 steps")));
        let precompiled = |table: &str| json!({ "type": "Precompiled", "precompiled_charsmap": table });
        let inside = json!({ "type": "Sequence", "normalizers": [precompiled("/////w==")] });
        assert!(check("normalizer", inside).is_err_and(|why| why.contains("damaged")));
        assert_eq!(check("normalizer", precompiled("AAAAAA==")), Ok(()));
    }
}
