//! Texts as counts of words and pairs of words, weighted as scikit-learn's
//! `TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)` does.
//!
//! A word is two or more letters, digits or underscores of any script in a row, in lower case. An n-gram's weight in a text is
//! `(1 + ln count) · (ln((1 + texts) / (1 + texts with it)) + 1)`; a text's weights are scaled to length 1. For pairs of texts,
//! the same word in the first and in the second is two n-grams, in one vector.

use std::collections::HashMap;

use rayon::prelude::*;

use super::sparse::SparseRows;
use crate::data::Input;
use crate::error::{Error, Result};

/// The n-grams of a training set.
#[derive(Debug)]
pub struct Vocabulary {
    /// The number of a word, by the part of the input that it stands in.
    words: [HashMap<String, u32>; 2],
    /// Column of a word (`(word, NONE)`) or of two in a row.
    columns: HashMap<(u32, u32), u32>,
    /// Inverse document frequency by column.
    idf: Vec<f64>,
}

const NONE: u32 = u32::MAX;

/// In how many texts an n-gram stands.
struct Seen {
    texts: u32,
    last: usize,
}

impl Vocabulary {
    /// The n-grams that stand in `least` texts or more; the `most` frequent of these.
    pub fn new(inputs: &[&Input], least: u32, most: usize) -> Result<Self> {
        let mut words: [HashMap<String, u32>; 2] = Default::default();
        let mut seen: HashMap<(u32, u32), Seen> = HashMap::new();
        let mut next = 0;
        for (number, input) in inputs.iter().enumerate() {
            for (text, words) in parts(input)?.into_iter().zip(&mut words) {
                let text = text.to_lowercase();
                let mut before = NONE;
                for word in tokens(&text) {
                    let word = *match words.get(word) {
                        Some(word) => word,
                        None => words.entry(word.to_owned()).or_insert_with(|| {
                            next += 1;
                            next - 1
                        }),
                    };
                    for gram in grams(before, word) {
                        let seen = seen.entry(gram).or_insert(Seen { texts: 0, last: usize::MAX });
                        seen.texts += u32::from(seen.last != number);
                        seen.last = number;
                    }
                    before = word;
                }
            }
        }
        let mut kept: Vec<((u32, u32), u32)> =
            seen.into_iter().map(|(gram, seen)| (gram, seen.texts)).filter(|(_, texts)| *texts >= least).collect();
        // In order of frequency, then of the words' first occurrence.
        kept.sort_unstable_by_key(|&(gram, texts)| (std::cmp::Reverse(texts), gram));
        kept.truncate(most);
        let idf = |texts: u32| ((1.0 + inputs.len() as f64) / (1.0 + f64::from(texts))).ln() + 1.0;
        let vocabulary = Self {
            words,
            idf: kept.iter().map(|&(_, texts)| idf(texts)).collect(),
            columns: kept.into_iter().map(|(gram, _)| gram).zip(0..).collect(),
        };
        Ok(vocabulary.without_unused_words())
    }

    /// A pair of words is never more frequent than either, so what is not kept alone can only stand in a pair at the very end
    /// of the most frequent.
    fn without_unused_words(mut self) -> Self {
        let used: std::collections::HashSet<u32> = self.columns.keys().flat_map(|&(a, b)| [a, b]).collect();
        for words in &mut self.words {
            words.retain(|_, word| used.contains(word));
            words.shrink_to_fit();
        }
        self
    }

    pub fn len(&self) -> usize {
        self.idf.len()
    }

    /// Inputs as rows of weights.
    pub fn rows(&self, inputs: &[&Input]) -> Result<SparseRows> {
        let rows: Vec<Vec<(u32, f64)>> = inputs.par_iter().map(|input| self.row(input)).collect::<Result<_>>()?;
        Ok(SparseRows::new(rows, self.len()))
    }

    fn row(&self, input: &Input) -> Result<Vec<(u32, f64)>> {
        let mut columns = Vec::new();
        for (text, words) in parts(input)?.into_iter().zip(&self.words) {
            let text = text.to_lowercase();
            let mut before = NONE;
            for word in tokens(&text) {
                // An unknown word parts its neighbours.
                let word = words.get(word).copied().unwrap_or(NONE);
                columns.extend(grams(before, word).filter_map(|gram| self.columns.get(&gram)));
                before = word;
            }
        }
        columns.sort_unstable();
        let mut row: Vec<(u32, f64)> = columns
            .chunk_by(|a, b| a == b)
            .filter_map(|same| {
                let column = *same.first()?;
                Some((column, (1.0 + (same.len() as f64).ln()) * self.idf.get(column as usize)?))
            })
            .collect();
        let length = row.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        row.iter_mut().for_each(|(_, weight)| *weight /= length);
        Ok(row)
    }
}

/// A word alone, and after the one before.
fn grams(before: u32, word: u32) -> impl Iterator<Item = (u32, u32)> {
    let alone = (word != NONE).then_some((word, NONE));
    alone.into_iter().chain((word != NONE && before != NONE).then_some((before, word)))
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_alphanumeric() && char != '_').filter(|word| word.chars().nth(1).is_some())
}

fn parts(input: &Input) -> Result<Vec<&str>> {
    match input {
        Input::Text(text) => Ok(vec![text]),
        Input::Pair(first, second) => Ok(vec![first, second]),
        Input::Image(file) => Err(Error::failure("an image has no words to count").file(file)),
    }
}
