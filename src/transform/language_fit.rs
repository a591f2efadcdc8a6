//! Whether a tokenizer knows the language of the texts: a tokenizer made for another one cuts every word into letters,
//! or knows it not at all, and the network behind it has learned nothing about such texts.
//!
//! Words are tokenised one by one, so that how long texts are and where they are cut plays no part.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::console::units::percent;
use crate::data::Input;
use crate::data::columns::BETWEEN_PARTS;
use crate::data::language::{Language, language_of};
use crate::error::listed;

/// Texts that are looked at, evenly spread.
const TEXTS: usize = 400;
/// Words of each, from its beginning.
const WORDS: usize = 12;
/// Characters of a word, or of what has no spaces.
const CHARACTERS: usize = 24;
/// Texts of a language that are worth a word: this share of all, and this many (or all).
const LEAST_SHARE: f64 = 0.05;
const LEAST_TEXTS: usize = 3;
/// The share of tokens that stand for what is unknown.
const UNKNOWN: f64 = 0.2;

/// What a tokenizer makes of texts in one language, where it does not know it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnknownLanguage {
    /// For people.
    pub language: &'static str,
    /// Of the texts that were looked at.
    pub share_of_texts: f64,
    /// Every text has a part in it, and another part in another language: a column of several.
    pub in_part: bool,
    /// How many tokens a word has on average; a word of English has about 1.2 in an English model.
    pub tokens_per_word: f64,
    /// Of the words.
    pub share_cut: f64,
    /// Of the tokens.
    pub share_unknown: f64,
    /// Models that know it.
    pub models: Vec<&'static str>,
}

/// What was measured of a data set's texts, and the languages among them that the tokenizer does not know.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LanguageFit {
    /// Texts that were looked at.
    pub texts: usize,
    /// How many tokens a word has on average.
    pub tokens_per_word: f64,
    /// Of the words: those that are more than one token.
    pub share_cut: f64,
    /// Of the tokens: those that stand for what is unknown.
    pub share_unknown: f64,
    /// The languages that enough texts are in, and that the tokenizer does not know.
    pub unknown_languages: Vec<UnknownLanguage>,
}

/// Counts over the words of texts.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    texts: usize,
    words: usize,
    letters: usize,
    tokens: usize,
    cut: usize,
    unknown: usize,
}

impl Counts {
    fn per_word(&self, count: usize) -> f64 {
        count as f64 / self.words.max(1) as f64
    }

    fn share_unknown(&self) -> f64 {
        self.unknown as f64 / self.tokens.max(1) as f64
    }

    fn add(&mut self, other: Self) {
        self.texts += other.texts;
        self.words += other.words;
        self.letters += other.letters;
        self.tokens += other.tokens;
        self.cut += other.cut;
        self.unknown += other.unknown;
    }
}

impl LanguageFit {
    /// Looks at some of the inputs. `tokens_of` counts the tokens of a word, and those of them that
    /// stand for what is unknown; `None` where it cannot.
    pub fn measure(inputs: &[&Input], tokens_of: impl Fn(&str) -> Option<(usize, usize)>) -> Self {
        let mut all = Counts::default();
        let mut languages: BTreeMap<&'static str, (&'static Language, Counts)> = BTreeMap::new();
        let step = inputs.len().div_ceil(TEXTS).max(1);
        for input in inputs.iter().step_by(step) {
            let texts: [&str; 2] = match input {
                Input::Text(text) => [text, ""],
                Input::Pair(first, second) => [first, second],
                Input::Image(_) => continue,
            };
            let mut of_text: BTreeMap<&'static str, (&'static Language, Counts)> = BTreeMap::new();
            let (mut rest, mut longest) = (Counts::default(), "");
            for part in texts.iter().flat_map(|text| text.split(BETWEEN_PARTS)) {
                let counts = count(part, &tokens_of);
                all.add(counts);
                // Letters tell the language of a short part, too; words only that of the longest one.
                match language_of(part).filter(|language| !language.is_latin()) {
                    Some(language) => {
                        of_text.entry(language.name).or_insert((language, Counts::default())).1.add(counts);
                    }
                    None => {
                        rest.add(counts);
                        longest = if part.len() > longest.len() { part } else { longest };
                    }
                }
            }
            if let Some(language) = language_of(longest) {
                of_text.entry(language.name).or_insert((language, Counts::default())).1.add(rest);
            }
            all.texts += 1;
            for (name, (language, counts)) in of_text {
                let sum = &mut languages.entry(name).or_insert((language, Counts::default())).1;
                sum.add(counts);
                sum.texts += 1;
            }
        }
        let in_part = |counts: &Counts| counts.texts == all.texts && counts.letters * 10 < all.letters * 9;
        let found = languages.into_values().filter_map(|(language, counts)| {
            Some(UnknownLanguage { in_part: in_part(&counts), ..unknown_language(language, counts, all.texts)? })
        });
        Self {
            texts: all.texts,
            tokens_per_word: all.per_word(all.tokens),
            share_cut: all.per_word(all.cut),
            share_unknown: all.share_unknown(),
            unknown_languages: found.collect(),
        }
    }

    /// What a person should know before trusting the model.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.unknown_languages.iter().map(ToString::to_string)
    }
}

/// Counts over the first words of a text.
fn count(text: &str, tokens_of: impl Fn(&str) -> Option<(usize, usize)>) -> Counts {
    let mut counts = Counts::default();
    for word in text.split_whitespace().take(WORDS) {
        let word = word.char_indices().nth(CHARACTERS).map_or(word, |(end, _)| &word[..end]);
        let letters = word.chars().filter(|letter| letter.is_alphabetic()).count();
        let is_word = letters > 0 || !word.is_ascii();
        let Some((tokens, unknown)) = is_word.then(|| tokens_of(word)).flatten() else { continue };
        // Commas and quotation marks are tokens of their own.
        let marks = word.chars().filter(char::is_ascii_punctuation).count();
        let tokens = tokens.saturating_sub(marks).max(1);
        counts.words += 1;
        counts.letters += letters;
        counts.tokens += tokens;
        counts.cut += usize::from(tokens > 1);
        counts.unknown += unknown;
    }
    counts
}

/// Whether texts of a language, of `texts` in all, are beyond the tokenizer.
fn unknown_language(language: &'static Language, counts: Counts, texts: usize) -> Option<UnknownLanguage> {
    let share_of_texts = counts.texts as f64 / texts.max(1) as f64;
    if share_of_texts < LEAST_SHARE || (counts.texts < LEAST_TEXTS && counts.texts < texts) || counts.words == 0 {
        return None;
    }
    let share_unknown = counts.share_unknown();
    let tokens_per_word = counts.per_word(counts.tokens);
    let measured = match language.is_latin() {
        true => tokens_per_word,
        false => counts.tokens as f64 / counts.letters.max(1) as f64,
    };
    let is_beyond = share_unknown >= UNKNOWN || measured >= language.most_tokens;
    is_beyond.then(|| UnknownLanguage {
        language: language.name,
        share_of_texts,
        in_part: false,
        tokens_per_word,
        share_cut: counts.per_word(counts.cut),
        share_unknown,
        models: language.models().collect(),
    })
}

impl fmt::Display for UnknownLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { language, share_of_texts, in_part, tokens_per_word, share_unknown, models, .. } = self;
        let of_texts = match share_of_texts {
            _ if *in_part => "a part of every text (a whole column?) is".to_owned(),
            0.995.. => "the texts are".to_owned(),
            // Short texts may be in it, too, without a word that tells.
            share => format!("at least {} of the texts are", percent(*share)),
        };
        let how = match (*share_unknown, *tokens_per_word) {
            (UNKNOWN.., _) => format!("{} of the tokens only say that something is unknown", percent(*share_unknown)),
            (_, tokens) => format!("it cuts a word into {tokens:.1} tokens on average (1.2 is usual for English)"),
        };
        write!(f, "{of_texts} in {language}, which this model's tokenizer does not know: {how}. ")?;
        write!(f, "Use a model that knows it, such as {}", listed(models))
    }
}
