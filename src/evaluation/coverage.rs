//! Coverage against accuracy: what a confidence threshold (`--min-confidence`) does. Unit: fractions from 0 to 1. More
//! of both is better.
//!
//! The higher the threshold, the fewer rows are labelled and the more of the labels are correct (El-Yaniv and Wiener,
//! "On the Foundations of Noise-free Selective Classification" (2010), call it the risk-coverage trade-off).

/// What labelling only the rows of at least some confidence does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The least confidence of a labelled row.
    pub threshold: f64,
    /// Rows labelled.
    pub labelled: u64,
    /// Of these, those labelled correctly.
    pub correct: u64,
    /// Rows there are.
    pub rows: u64,
}

impl Point {
    /// The fraction of all rows that is labelled; 0 without rows.
    pub fn coverage(&self) -> f64 {
        ratio(self.labelled, self.rows).unwrap_or(0.0)
    }

    /// The fraction of the labelled rows that is correct; `None` where none is labelled.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.correct, self.labelled)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The trade-off of one set of predictions: a point for every confidence that occurs, the highest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Coverage {
    rows: u64,
    points: Vec<Point>,
}

impl Coverage {
    /// Of predictions made with `confidence`, of which those marked in `correct` were right.
    pub fn of(confidence: &[f64], correct: &[bool]) -> Self {
        let mut pairs: Vec<(f64, bool)> = confidence.iter().copied().zip(correct.iter().copied()).collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let rows = pairs.len() as u64;
        let (mut labelled, mut correct_rows) = (0, 0);
        let mut points: Vec<Point> = Vec::new();
        for (threshold, correct) in pairs {
            labelled += 1;
            correct_rows += u64::from(correct);
            let point = Point { threshold, labelled, correct: correct_rows, rows };
            match points.last_mut() {
                // Equal confidences are labelled together or not at all.
                Some(last) if last.threshold == threshold => *last = point,
                _ => points.push(point),
            }
        }
        Self { rows, points }
    }

    /// From the most confident rows alone to all rows.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// What `--min-confidence threshold` does.
    pub fn at(&self, threshold: f64) -> Point {
        let above = self.points.partition_point(|point| point.threshold >= threshold);
        let found = above.checked_sub(1).and_then(|last| self.points.get(last));
        Point { threshold, ..found.copied().unwrap_or(Point { threshold, labelled: 0, correct: 0, rows: self.rows }) }
    }

    /// The point that labels most rows with at least this accuracy.
    pub fn reaching(&self, accuracy: f64) -> Option<Point> {
        self.points.iter().rev().find(|point| point.accuracy().is_some_and(|reached| reached >= accuracy)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage() -> Coverage {
        Coverage::of(&[0.6, 0.9, 0.8, 0.9, 0.5], &[false, true, true, true, true])
    }

    #[test]
    fn the_most_confident_rows_are_labelled_first() {
        let found: Vec<_> =
            coverage().points().iter().map(|point| (point.threshold, point.labelled, point.correct)).collect();
        assert_eq!(found, [(0.9, 2, 2), (0.8, 3, 3), (0.6, 4, 3), (0.5, 5, 4)]);
    }

    #[test]
    fn a_threshold_labels_rows_of_at_least_that_confidence() {
        let coverage = coverage();
        let point = coverage.at(0.8);
        assert_eq!((point.coverage(), point.accuracy()), (0.6, Some(1.0)));
        let point = coverage.at(0.61);
        assert_eq!((point.threshold, point.labelled), (0.61, 3));
        assert_eq!(coverage.at(0.0).coverage(), 1.0);
        assert_eq!((coverage.at(0.95).coverage(), coverage.at(0.95).accuracy()), (0.0, None));
    }

    #[test]
    fn the_most_rows_at_an_accuracy() {
        let coverage = coverage();
        assert_eq!(coverage.reaching(0.8).map(|point| point.labelled), Some(5));
        assert_eq!(coverage.reaching(0.9).map(|point| point.threshold), Some(0.8));
        assert_eq!(Coverage::of(&[0.9], &[false]).reaching(0.5), None);
    }

    #[test]
    fn without_rows_there_are_no_points() {
        let coverage = Coverage::of(&[], &[]);
        assert!(coverage.points().is_empty());
        assert_eq!(coverage.at(0.5).coverage(), 0.0);
    }
}
