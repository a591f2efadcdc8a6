//! Features with their labels, as the measurements take them.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::inference::Rows;

/// The features of each row after one stage: the mean over the row's tokens of the activations there.
#[derive(Debug, Clone, PartialEq)]
pub struct StageFeatures {
    /// That of the stage, one of the backbone's.
    pub name: String,
    /// `[N, stage width]`, in the order of the labels.
    pub rows: Rows,
}

/// Features with their labels, checked.
pub struct FeatureMatrix {
    /// `[N, D]`, fp64.
    pub x: Tensor,
    /// `[N, C]`, fp64: one-hot.
    pub y: Tensor,
    /// Rows by class.
    pub counts: Vec<usize>,
}

impl FeatureMatrix {
    /// # Errors
    /// Fewer than two rows, a row without label, or features that are not finite.
    pub fn new(features: &Rows, labels: &[u32]) -> Result<Self> {
        check(features, labels)?;
        let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
        let mut counts = vec![0; classes];
        let mut y = vec![0f64; labels.len() * classes];
        for (row, &label) in y.chunks_exact_mut(classes.max(1)).zip(labels) {
            let label = label as usize;
            if let (Some(cell), Some(count)) = (row.get_mut(label), counts.get_mut(label)) {
                *cell = 1.0;
                *count += 1;
            }
        }
        let y = Tensor::f_from_slice(&y)?.f_view([labels.len() as i64, classes as i64])?;
        Ok(Self { x: features.to_tensor()?.f_to_kind(Kind::Double)?, y, counts })
    }
}

/// That there are features and a label for two rows or more, all finite.
pub fn check(features: &Rows, labels: &[u32]) -> Result<()> {
    if features.len() != labels.len() {
        return Err(Error::failure("features and labels do not belong together"));
    }
    if labels.len() < 2 {
        return Err(Error::request("one row cannot be measured").hint("advice needs at least two rows per class"));
    }
    if features.values.iter().any(|value| !value.is_finite()) {
        return Err(Error::failure("the network's features are not finite").hint("try again with --precision fp32"));
    }
    Ok(())
}

/// Features and labels for the tests of the scores.
#[cfg(test)]
pub mod samples {
    use super::*;
    use crate::advice::{hscore, logme, neighbours};

    /// Features and labels that the expectations' Python makes too:
    ///
    /// ```text
    /// i, j = np.arange(n)[:, None], np.arange(d)[None, :]
    /// y = np.arange(n) * 7 % 11 % c
    /// x = ((i * 37 + j * 101 + i * j * 7) % 97).astype(np.float32) / np.float32(97) + 0.5 * (j == y[:, None])
    /// x = x.astype(np.float32)
    /// ```
    pub fn sample(n: usize, d: usize, c: usize) -> (Rows, Vec<u32>) {
        let labels: Vec<u32> = (0..n).map(|i| (i * 7 % 11 % c) as u32).collect();
        let value = |i: usize, j: usize| {
            let pattern = ((i * 37 + j * 101 + i * j * 7) % 97) as f32 / 97.0;
            pattern + if j == labels[i] as usize { 0.5 } else { 0.0 }
        };
        let values = (0..n).flat_map(|i| (0..d).map(move |j| (i, j))).map(|(i, j)| value(i, j)).collect();
        (Rows { values, width: d }, labels)
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let rows = |values: &[f32]| Rows { values: values.to_vec(), width: 1 };
        for (features, labels, expected) in [
            (rows(&[1.0, 2.0]), vec![0], "do not belong together"),
            (rows(&[1.0]), vec![0], "one row"),
            (rows(&[1.0, f32::NAN]), vec![0, 1], "not finite"),
        ] {
            for error in [
                logme::logme(&features, &labels).unwrap_err(),
                hscore::hscore(&features, &labels).unwrap_err(),
                neighbours::leave_one_out(&features, &labels).unwrap_err(),
            ] {
                assert!(error.to_string().contains(expected), "{error}");
            }
        }
    }

    #[test]
    fn features_that_do_not_vary_say_nothing() -> Result<()> {
        let features = Rows { values: vec![1.0; 40], width: 2 };
        let labels: Vec<u32> = (0..20).map(|row| row % 2).collect();
        assert_eq!(hscore::hscore(&features, &labels)?, 0.0);
        assert!(logme::logme(&features, &labels)?.is_finite());
        let zero = Rows { values: vec![0.0; 40], width: 2 };
        assert_eq!(hscore::hscore(&zero, &labels)?, 0.0);
        assert!(logme::logme(&zero, &labels)?.is_finite());
        assert!(neighbours::leave_one_out(&zero, &labels)?.accuracy.is_finite());
        Ok(())
    }

    /// Two, three or five rows, one class, two or three inputs repeated, more features than rows: a number.
    #[test]
    fn few_distinct_rows_have_finite_scores() -> Result<()> {
        for (rows, distinct, classes) in
            [(2, 2, 2), (3, 3, 2), (5, 5, 2), (5, 5, 1), (40, 2, 2), (60, 3, 3), (40, 2, 1), (40, 20, 20)]
        {
            for width in [1, 3, 64] {
                let value = |row: usize, column: usize| ((row % distinct * 37 + column * 11) % 23) as f32 / 7.0;
                let values = (0..rows).flat_map(|row| (0..width).map(move |column| value(row, column))).collect();
                let features = Rows { values, width };
                let labels: Vec<u32> = (0..rows).map(|row| (row % classes) as u32).collect();
                let case = format!("{rows} rows, {distinct} distinct, {classes} classes, {width} features");
                assert!(hscore::hscore(&features, &labels)?.is_finite(), "{case}");
                assert!(logme::logme(&features, &labels)?.is_finite(), "{case}");
                assert!(neighbours::leave_one_out(&features, &labels)?.accuracy.is_finite(), "{case}");
            }
        }
        Ok(())
    }
}
