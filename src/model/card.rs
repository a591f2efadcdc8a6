//! What the model card beside a checkpoint (`README.md`) says of it: the licence and the languages.
//!
//! The card begins with YAML between two lines of `---`. Of YAML no more is read than what the hub's own pages write:
//! words and lists of words.

use std::path::Path;

/// What a card says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseCard {
    /// As the hub calls it, such as `apache-2.0`, or `other`.
    pub license: Option<String>,
    /// The name of a licence that the hub does not know.
    pub license_name: Option<String>,
    /// Codes, such as `en`.
    pub languages: Vec<String>,
}

impl BaseCard {
    /// Reads the card in a model's directory. Nothing is known of a model without one, or with one that says nothing.
    pub fn read(directory: &Path) -> Self {
        std::fs::read_to_string(directory.join("README.md")).map_or_else(|_| Self::default(), |text| Self::of(&text))
    }

    fn of(text: &str) -> Self {
        let is_code = |word: &String| word.len() <= 16 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        Self {
            license: words(text, "license").into_iter().next(),
            license_name: words(text, "license_name").into_iter().next(),
            languages: words(text, "language").into_iter().filter(is_code).collect(),
        }
    }
}

/// The value of a key of the front matter: one word, `[a, b]`, or the lines `- a` below it.
fn words(text: &str, key: &str) -> Vec<String> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    if lines.next().map(str::trim_end) != Some("---") {
        return Vec::new();
    }
    let front: Vec<&str> = lines.take_while(|line| line.trim_end() != "---").collect();
    let at_key = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
    let Some(at) = front.iter().position(at_key) else { return Vec::new() };
    let here = front[at][key.len() + 1..].trim();
    let word = |word: &str| word.trim().trim_matches(['"', '\'']).trim().to_owned();
    let found: Vec<String> = match here.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        Some(list) => list.split(',').map(word).collect(),
        None if here.is_empty() => {
            let items = front[at + 1..].iter().map_while(|line| line.trim_start().strip_prefix("- "));
            items.map(word).collect()
        }
        None => vec![word(here.split(" #").next().unwrap_or(here))],
    };
    found.into_iter().filter(|word| !word.is_empty() && word.chars().all(|c| !c.is_control())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_and_languages_of_the_cards_that_there_are() {
        let card = |front: &str| BaseCard::of(&format!("---\n{front}\n---\n# A model\nlicense: none\n"));
        let plain = card("language: en\ntags:\n- x\nlicense: apache-2.0");
        assert_eq!((plain.license.as_deref(), plain.languages), (Some("apache-2.0"), vec!["en".to_owned()]));
        let lists = card("language: \n- ko\n  - en\nlicense:\n- \"mit\"\nother: [a]");
        assert_eq!((lists.license.as_deref(), lists.languages.len()), (Some("mit"), 2));
        assert_eq!(card("language: [en, 'de']").languages, ["en", "de"]);
        let own = card("license: other\nlicense_name: gemma  # as its page says");
        assert_eq!((own.license.as_deref(), own.license_name.as_deref()), (Some("other"), Some("gemma")));
        for nothing in ["", "license: mit", "---\nlicense", "# A model\n---\nlicense: mit\n---"] {
            assert_eq!(BaseCard::of(nothing), BaseCard::default(), "{nothing}");
        }
    }
}
