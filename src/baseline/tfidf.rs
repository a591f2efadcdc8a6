//! Weighted word counts with logistic regression: a few seconds on any machine, and hard to beat on small or plain
//! data.

use super::contract::{Baseline, BaselinePredictions, LabelledInputs, check};
use super::logistic::{Problem, SparseLinear};
use super::ngrams::Vocabulary;
use crate::data::Input;
use crate::error::{Error, Result};
use crate::evaluation::argmax;
use crate::linear::path;

/// The values of `C` that are tried, from the strongest penalty on.
const C: [f64; 8] = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0];
/// With this many rows or more, n-grams of a single text are left out.
const MANY_ROWS: usize = 2000;
/// Weights at most, by the choice of n-grams: a bound on time and memory (about 20 vectors of this size).
const MOST_WEIGHTS: usize = 6_000_000;

/// A fitted model.
pub struct Tfidf {
    vocabulary: Vocabulary,
    linear: SparseLinear,
    /// The label of each of the model's classes: those that occur in the training data.
    labels: Vec<u32>,
    /// All labels there are.
    classes: usize,
    /// See [`Tfidf::c`].
    c: f64,
}

impl Tfidf {
    /// Fits on `train` and chooses `C` by the loss on `valid`. `watch` is asked at every step of the way, and ends the
    /// fit with its error.
    ///
    /// # Errors
    ///
    /// When there are no rows, labels are out of range, an input is not text, or `watch` says so.
    pub fn fit(
        train: &LabelledInputs,
        valid: &LabelledInputs,
        classes: usize,
        watch: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        check(valid, classes, "validation")?;
        Self::fit_some(train, Some(valid), &C, classes, watch)
    }

    /// Fits on `train` with this `C`.
    ///
    /// # Errors
    ///
    /// Those of [`Tfidf::fit`].
    pub fn fit_with(
        train: &LabelledInputs,
        c: f64,
        classes: usize,
        watch: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        Self::fit_some(train, None, &[c], classes, watch)
    }

    /// The penalty's inverse, as scikit-learn calls it.
    pub fn c(&self) -> f64 {
        self.c
    }

    /// Fits with each of `penalties` and keeps the one with the lowest loss on `valid`; without, the first.
    fn fit_some(
        train: &LabelledInputs,
        valid: Option<&LabelledInputs>,
        penalties: &[f64],
        classes: usize,
        watch: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        check(train, classes, "training")?;
        let mut labels = train.labels.to_vec();
        labels.sort_unstable();
        labels.dedup();
        if let [only] = labels.as_slice() {
            return Err(Error::request(format!("every training row has the same label (number {only})"))
                .hint("at least two classes are needed"));
        }
        let class_of = |label: &u32| labels.binary_search(label).ok().map(|class| class as u32);
        let train_classes: Vec<u32> = train.labels.iter().filter_map(class_of).collect();

        let least = if train.inputs.len() < MANY_ROWS { 1 } else { 2 };
        let vocabulary = Vocabulary::new(train.inputs, least, MOST_WEIGHTS / labels.len())?;
        watch()?;
        let rows = vocabulary.rows(train.inputs)?;
        let valid = match valid {
            Some(valid) => {
                let classes: Vec<Option<u32>> = valid.labels.iter().map(class_of).collect();
                Some((vocabulary.rows(valid.inputs)?, classes))
            }
            None => None,
        };

        let problem = Problem::new(&rows, &train_classes, labels.len());
        let mut linear = SparseLinear::zero(rows.width(), labels.len());
        let best = path::choose(penalties, |c| {
            problem.solve(&mut linear, c, watch)?;
            let loss = valid.as_ref().map_or(0.0, |(rows, classes)| linear.mean_loss(rows, classes));
            Ok((loss, (c, linear.clone())))
        })?;
        let (c, linear) = best.ok_or_else(|| Error::failure("tf-idf: no solution has a finite loss"))?;
        Ok(Self { vocabulary, linear, labels, classes, c })
    }
}

impl Baseline for Tfidf {
    fn name(&self) -> &'static str {
        "tf-idf"
    }

    fn parameters(&self) -> u64 {
        self.linear.parameters() as u64
    }

    fn predict(&self, inputs: &[&Input]) -> Result<BaselinePredictions> {
        let rows = self.vocabulary.rows(inputs)?;
        let mut predictions = BaselinePredictions { classes: Vec::new(), probabilities: Vec::new() };
        for row in 0..rows.rows() {
            let mut probabilities = vec![0.0; self.classes];
            for (&label, probability) in self.labels.iter().zip(self.linear.probabilities(rows.row(row))) {
                if let Some(place) = probabilities.get_mut(label as usize) {
                    *place = probability as f32;
                }
            }
            predictions.classes.push(argmax(&probabilities) as u32);
            predictions.probabilities.extend(probabilities);
        }
        Ok(predictions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(texts: &[&str]) -> Vec<Input> {
        texts.iter().map(|text| Input::Text((*text).to_owned())).collect()
    }

    const TEXTS: [&str; 6] = [
        "The good, the GOOD film!",
        "A bad film_1 (naïve)",
        "영화 정말 좋다 good film",
        "x y",
        "bad bad bad plot",
        "Good plot: good film",
    ];

    /// The probabilities of three texts after fitting with one value of C.
    fn fitted(labels: &[u32], classes: usize, c: f64) -> Vec<f64> {
        let texts = inputs(&TEXTS);
        let texts: Vec<&Input> = texts.iter().collect();
        let vocabulary = Vocabulary::new(&texts, 1, 1000).unwrap();
        let rows = vocabulary.rows(&texts).unwrap();
        let mut linear = SparseLinear::zero(rows.width(), classes);
        let iterations = Problem::new(&rows, labels, classes).solve(&mut linear, c, &mut || Ok(())).unwrap();
        assert!(iterations < 100, "{iterations}");
        let asked = inputs(&["good bad plot", "film", "zzz"]);
        let rows = vocabulary.rows(&asked.iter().collect::<Vec<_>>()).unwrap();
        (0..3).flat_map(|row| linear.probabilities(rows.row(row))).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 2e-5, "{found} is not {expected}");
        }
    }

    #[test]
    fn probabilities_equal_scikit_learn() {
        // x = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(TEXTS)
        // lr = LogisticRegression(C=c, tol=1e-10, max_iter=10000).fit(x, labels)
        // lr.predict_proba(v.transform(["good bad plot", "film", "zzz"]))
        let labels = [0, 1, 2, 1, 1, 0];
        #[rustfmt::skip]
        close(
            &fitted(&labels, 3, 1.0),
            &[
                0.295675315, 0.570808031, 0.133516654, 0.364142285, 0.456765271, 0.179092445,
                0.282714239, 0.56427289, 0.153012871,
            ],
        );
        #[rustfmt::skip]
        close(
            &fitted(&labels, 3, 10.0),
            &[
                0.217927596, 0.722414923, 0.059657481, 0.380390805, 0.460804184, 0.158805011,
                0.135389935, 0.787291928, 0.077318137,
            ],
        );
        // Two classes are another model: one set of weights for the second.
        let expected = [0.316915442, 0.683084558, 0.594898234, 0.405101766, 0.284193413, 0.715806587];
        close(&fitted(&[0, 1, 0, 1, 1, 0], 2, 10.0), &expected);
    }

    #[test]
    fn absent_labels_get_nothing() {
        let texts = inputs(&TEXTS);
        let texts: Vec<&Input> = texts.iter().collect();
        // Of the labels 0 to 4 the training data have 1, 2 and 4.
        let train = LabelledInputs { inputs: &texts, labels: &[1, 2, 4, 2, 2, 1] };
        let valid = inputs(&["good film", "a bad one", "영화 정말 좋다", "neither"]);
        let valid: Vec<&Input> = valid.iter().collect();
        let held_out = LabelledInputs { inputs: &valid, labels: &[1, 2, 4, 0] };
        let model = Tfidf::fit(&train, &held_out, 5, &mut || Ok(())).unwrap();
        assert_eq!(model.parameters(), 3 * 23);
        let found = model.predict(&valid).unwrap();
        assert_eq!(found.classes[..3], [1, 2, 4]);
        for row in found.probabilities.chunks(5) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row[0] == 0.0 && row[3] == 0.0);
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_an_error() {
        let texts = inputs(&["good", "bad"]);
        let texts: Vec<&Input> = texts.iter().collect();
        let fit = |labels: &[u32], valid: &[&Input]| {
            let train = LabelledInputs { inputs: &texts, labels };
            let valid = LabelledInputs { inputs: valid, labels: &labels[..valid.len()] };
            Tfidf::fit(&train, &valid, 2, &mut || Ok(())).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(fit(&[0, 1], &texts), Ok(()));
        assert!(fit(&[1, 1], &texts).is_err_and(|error| error.contains("same label")));
        assert!(fit(&[0, 1], &[]).is_err_and(|error| error.contains("no validation rows")));
        assert!(fit(&[0, 2], &texts).is_err_and(|error| error.contains("beyond the 2")));
        let data = LabelledInputs { inputs: &texts, labels: &[0, 1] };
        assert!(Tfidf::fit(&data, &data, 2, &mut || Err(Error::interrupted("stopped"))).is_err());
    }

    #[test]
    fn texts_without_words_are_given_the_shares_of_the_labels() {
        let texts = inputs(&["a", "b", "", "?"]);
        let texts: Vec<&Input> = texts.iter().collect();
        let data = LabelledInputs { inputs: &texts, labels: &[0, 1, 1, 1] };
        let found = Tfidf::fit(&data, &data, 2, &mut || Ok(())).unwrap().predict(&texts).unwrap();
        assert!(found.probabilities.iter().zip([0.25, 0.75].iter().cycle()).all(|(a, b)| (a - b).abs() < 1e-4));
    }
}
