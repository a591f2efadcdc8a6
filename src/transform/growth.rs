//! Normalizers that make a text grow without bounds: a few replacements one after another, each by ten times as much,
//! make of a sentence more than a machine's memory holds.

use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

/// How many times as long a text may become; real normalizers stay below twice.
const MOST: usize = 100;
/// Bytes of the text that is tried.
const PROBE: usize = 2000;

/// Whether what the normalizer is made to replace becomes too long. Tried on a text of just that, unless a single
/// replacement is as long already: it might fill the memory at once.
pub fn grows_without_bounds(normalizer: &NormalizerWrapper) -> bool {
    let described = serde_json::to_value(normalizer).unwrap_or_default();
    let mut probe = "a b, the e\u{301}".to_owned();
    if add_replaced(&described, &mut probe) {
        return true;
    }
    let length = probe.len();
    let mut text = NormalizedString::from(probe);
    let mut steps = Vec::new();
    add_steps(normalizer, &mut steps);
    // Step by step, so that no one of them is given what has grown already.
    steps.into_iter().any(|step| step.normalize(&mut text).is_ok() && text.get().len() > MOST * length)
}

fn add_steps<'a>(normalizer: &'a NormalizerWrapper, steps: &mut Vec<&'a NormalizerWrapper>) {
    match normalizer {
        NormalizerWrapper::Sequence(inner) => inner.as_ref().iter().for_each(|step| add_steps(step, steps)),
        step => steps.push(step),
    }
}

/// Adds what is replaced, and by what; whether a replacement is by itself too long for what it replaces.
fn add_replaced(step: &Value, probe: &mut String) -> bool {
    let [pattern, content] = [&step["pattern"]["String"], &step["content"]].map(|text| text.as_str().unwrap_or(""));
    for text in [pattern, content].into_iter().filter(|text| text.len() < PROBE) {
        if probe.len() < PROBE {
            probe.push(' ');
            probe.push_str(text);
        }
    }
    content.len() > MOST * pattern.len().max(1)
        || step["normalizers"].as_array().into_iter().flatten().any(|step| add_replaced(step, probe))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_multiplies_is_refused() {
        let grows = |settings: Value| grows_without_bounds(&serde_json::from_value(settings).expect("a normalizer"));
        let replace =
            |pattern: Value, content: &str| json!({ "type": "Replace", "pattern": pattern, "content": content });
        let all = |steps: Vec<Value>| json!({ "type": "Sequence", "normalizers": steps });
        let tenfold = replace(json!({ "String": "a" }), "aaaaaaaaaa");
        assert!(grows(all(vec![tenfold.clone(); 10])));
        assert!(grows(all(vec![all(vec![tenfold.clone(); 5])])));
        assert!(grows(replace(json!({ "Regex": "[a-z]" }), &"x".repeat(5000))));
        // Whether or not it is there in what is tried.
        assert!(grows(replace(json!({ "Regex": "z" }), &"x".repeat(5000))));
        assert!(!grows(tenfold));
        assert!(!grows(all(vec![replace(json!({ "String": "``" }), "\""), json!({ "type": "NFKD" })])));
        assert!(!grows(replace(json!({ "Regex": " {2,}" }), " ")));
        assert!(!grows(replace(json!({ "String": "\n" }), "<newline>")));
    }
}
