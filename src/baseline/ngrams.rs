//! Texts as counts of words and pairs of words, weighted as scikit-learn's
//! `TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)` does.
//!
//! A word is two or more letters, digits or underscores of any script in a row, in lower case. An n-gram's weight in a
//! text is `(1 + ln count) · (ln((1 + texts) / (1 + texts with it)) + 1)`; a text's weights are scaled to length 1. For
//! pairs of texts, the same word in the first and in the second is two n-grams, in one vector.

use std::cmp::Reverse;
use std::collections::HashMap;

use rayon::prelude::*;

use super::sparse::SparseRows;
use crate::data::Input;
use crate::error::{Error, Result};

/// The n-grams of a training set.
#[derive(Debug)]
pub struct Vocabulary {
    /// The number of a word, by the part of the input that it occurs in.
    words: [HashMap<String, u32>; 2],
    /// Column of a word (`(word, NONE)`) or of two in a row.
    columns: HashMap<(u32, u32), u32>,
    /// Inverse document frequency by column.
    idf: Vec<f64>,
}

const NONE: u32 = u32::MAX;

/// How many texts contain an n-gram.
struct GramCount {
    texts: u32,
    last: usize,
}

impl Vocabulary {
    /// The n-grams that occur in `least` texts or more; the `most` frequent of these.
    pub fn new(inputs: &[&Input], least: u32, most: usize) -> Result<Self> {
        let mut words: [HashMap<String, u32>; 2] = Default::default();
        let mut seen: HashMap<(u32, u32), GramCount> = HashMap::new();
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
                        let seen = seen.entry(gram).or_insert(GramCount { texts: 0, last: usize::MAX });
                        seen.texts += u32::from(seen.last != number);
                        seen.last = number;
                    }
                    before = word;
                }
            }
        }
        let mut kept: Vec<((u32, u32), u32)> =
            seen.into_iter().map(|(gram, seen)| (gram, seen.texts)).filter(|(_, texts)| *texts >= least).collect();
        // In order of frequency; of equals words before pairs, then by first occurrence. So a pair's words come before
        // it.
        kept.sort_unstable_by_key(|&(gram, texts)| (Reverse(texts), gram.1 != NONE, gram));
        kept.truncate(most);
        let idf_of = |texts: u32| ((1.0 + inputs.len() as f64) / (1.0 + f64::from(texts))).ln() + 1.0;
        let idf = kept.iter().map(|&(_, texts)| idf_of(texts)).collect();
        let columns: HashMap<(u32, u32), u32> = kept.into_iter().map(|(gram, _)| gram).zip(0..).collect();
        for words in &mut words {
            words.retain(|_, word| columns.contains_key(&(*word, NONE)));
            words.shrink_to_fit();
        }
        Ok(Self { words, columns, idf })
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
                // An unknown word separates its neighbours.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<Input> {
        let texts = [
            "The good, the GOOD film!",
            "A bad film_1 (naïve)",
            "영화 정말 좋다 good film",
            "x y",
            "bad bad bad plot",
            "Good plot: good film",
        ];
        texts.map(|text| Input::Text(text.to_owned())).to_vec()
    }

    /// The weights of an input's n-grams by name, rounded to 12 digits.
    fn weights(vocabulary: &Vocabulary, input: &Input) -> Vec<(String, f64)> {
        let mut names = HashMap::from([(NONE, String::new())]);
        for (part, words) in vocabulary.words.iter().enumerate() {
            let part = if matches!(input, Input::Pair(..)) { format!("{part} ") } else { String::new() };
            names.extend(words.iter().map(|(word, &number)| (number, format!("{part}{word}"))));
        }
        let name_of = |column: u32| {
            let (gram, _) = vocabulary.columns.iter().find(|(_, of)| **of == column).unwrap();
            format!("{} {}", names[&gram.0], names[&gram.1]).trim_end().to_owned()
        };
        let row = vocabulary.row(input).unwrap();
        let mut weights: Vec<(String, f64)> =
            row.into_iter().map(|(column, weight)| (name_of(column), (weight * 1e12).round() / 1e12)).collect();
        weights.sort_by(|a, b| a.0.cmp(&b.0));
        weights
    }

    fn equal(found: Vec<(String, f64)>, expected: &[(&str, f64)]) {
        let found: Vec<(&str, f64)> = found.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn weights_equal_scikit_learn() {
        // v = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True); x = v.fit_transform(texts)
        // x.shape, x.nnz
        // n = v.get_feature_names_out(); [{n[j]: x[i, j].round(12) for j in x[i].nonzero()[1]} for i in (0, 2, 3, 4)]
        let texts = texts();
        let inputs: Vec<&Input> = texts.iter().collect();
        let vocabulary = Vocabulary::new(&inputs, 1, 1000).unwrap();
        let rows = vocabulary.rows(&inputs).unwrap();
        assert_eq!((vocabulary.len(), rows.width(), (0..6).map(|row| rows.row(row).count()).sum()), (22, 22, 30));
        equal(
            weights(&vocabulary, &texts[0]),
            &[
                ("film", 0.229927882576),
                ("good", 0.389301746116),
                ("good film", 0.229927882576),
                ("good the", 0.332115783451),
                ("the", 0.562320902369),
                ("the good", 0.562320902369),
            ],
        );
        equal(
            weights(&vocabulary, &texts[2]),
            &[
                ("film", 0.253850056408),
                ("good", 0.253850056408),
                ("good film", 0.253850056408),
                ("영화", 0.366669798453),
                ("영화 정말", 0.366669798453),
                ("정말", 0.366669798453),
                ("정말 좋다", 0.366669798453),
                ("좋다", 0.366669798453),
                ("좋다 good", 0.366669798453),
            ],
        );
        equal(weights(&vocabulary, &texts[3]), &[]);
        equal(
            weights(&vocabulary, &texts[4]),
            &[
                ("bad", 0.628354119354),
                ("bad bad", 0.618223540543),
                ("bad plot", 0.3651327821),
                ("plot", 0.299414104619),
            ],
        );
        // The same with min_df=2, for i = 0
        let vocabulary = Vocabulary::new(&inputs, 2, 1000).unwrap();
        assert_eq!(vocabulary.len(), 5);
        equal(
            weights(&vocabulary, &texts[0]),
            &[("film", 0.453294655228), ("good", 0.767494567462), ("good film", 0.453294655228)],
        );
    }

    #[test]
    fn the_parts_of_a_pair_are_kept_apart() {
        // tok = re.compile(r"(?u)\b\w\w+\b").findall
        // def grams(pair):
        //     for part, text in enumerate(pair):
        //         t = [f"{part} {w}" for w in tok(text.lower())]; yield from t; yield from map(" ".join, zip(t, t[1:]))
        // v = TfidfVectorizer(analyzer=grams, sublinear_tf=True); x = v.fit_transform(pairs)
        // n = v.get_feature_names_out(); {n[j]: x[2, j].round(12) for j in x[2].nonzero()[1]}
        let pairs = [("Good film", "good plot"), ("bad film", "good film"), ("good", "bad film good film")]
            .map(|(a, b)| Input::Pair(a.to_owned(), b.to_owned()));
        let vocabulary = Vocabulary::new(&pairs.iter().collect::<Vec<_>>(), 1, 1000).unwrap();
        assert_eq!(vocabulary.len(), 13);
        equal(
            weights(&vocabulary, &pairs[2]),
            &[
                ("0 good", 0.30633130415),
                ("1 bad", 0.402788852182),
                ("1 bad 1 film", 0.402788852182),
                ("1 film", 0.518663983938),
                ("1 film 1 good", 0.402788852182),
                ("1 good", 0.237893584685),
                ("1 good 1 film", 0.30633130415),
            ],
        );
    }

    #[test]
    fn the_most_frequent_are_kept_and_nothing_else_is_known() {
        let texts = texts();
        let vocabulary = Vocabulary::new(&texts.iter().collect::<Vec<_>>(), 1, 2).unwrap();
        assert_eq!((vocabulary.len(), vocabulary.words[0].len()), (2, 2));
        let known: Vec<String> = weights(&vocabulary, &texts[0]).into_iter().map(|(name, _)| name).collect();
        assert_eq!(known, ["film", "good"]);
        // Separated by an unknown word.
        let vocabulary = Vocabulary::new(&[&Input::Text("good film".to_owned())], 1, 9).unwrap();
        assert_eq!(weights(&vocabulary, &Input::Text("good old film".to_owned())).len(), 2);
    }

    #[test]
    fn an_image_is_an_error() {
        assert!(Vocabulary::new(&[&Input::Image("a.jpg".into())], 1, 9).is_err());
    }
}
