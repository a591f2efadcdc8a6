//! The confidence threshold that is worth recommending, if any: one that avoids a good part of the errors and still
//! labels a good part of the rows.

use crate::evaluation::coverage::{Coverage, Point};

/// A threshold that avoids a good part of the errors and leaves a good part of the rows labelled; `None` where there is
/// none, or too few rows to tell. `accuracy`: of all rows.
pub fn worthwhile(coverage: &Coverage, accuracy: f64) -> Option<Point> {
    const GOALS: [f64; 6] = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995];
    const FEWEST_LABELLED: u64 = 50;
    let goal = GOALS.into_iter().find(|goal| 1.0 - goal < 0.7 * (1.0 - accuracy))?;
    let reached = coverage.reaching(goal)?;
    let point = coverage.at((reached.threshold * 1000.0).ceil() / 1000.0);
    (point.labelled >= FEWEST_LABELLED && point.coverage() >= 0.2).then_some(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_recommended_where_it_pays() {
        let confidence: Vec<f64> = (0..200).map(|row| f64::from(row) / 200.0).collect();
        let correct: Vec<bool> = (0..200).map(|row| row > 100 || row % 2 == 0).collect();
        let coverage = Coverage::of(&confidence, &correct);
        let point = worthwhile(&coverage, 0.75).unwrap();
        assert!(point.accuracy().is_some_and(|accuracy| accuracy > 0.89) && point.coverage() > 0.5, "{point:?}");
        assert_eq!(worthwhile(&Coverage::of(&[0.9; 5], &[true; 5]), 0.75), None);
        // Of a hundred rows it would label 49, and of two hundred 99.
        let half = |rows: u32| {
            let confidence: Vec<f64> = (0..rows).map(|row| f64::from(row) / f64::from(rows)).collect();
            let correct: Vec<bool> = (0..rows).map(|row| row > rows / 2).collect();
            worthwhile(&Coverage::of(&confidence, &correct), 0.3).map(|point| point.labelled)
        };
        assert_eq!((half(60), half(200)), (None, Some(123)));
    }
}
