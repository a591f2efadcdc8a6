//! The column of regression: the number that a row is given.

use crate::data::OutputValue;
use crate::task::contract::{Answer, OutputColumns};

/// The predicted number, with as many digits as tell it from all others.
pub struct ScoreColumns;

/// The column of the number.
pub const SCORE: &str = "predicted_score";

impl OutputColumns for ScoreColumns {
    fn names(&self) -> Vec<String> {
        vec![SCORE.to_owned()]
    }

    fn answer(&self, logits: &[f32]) -> Answer {
        let number = logits.first().copied().unwrap_or(f32::NAN);
        Answer { labels: vec![0], is_unusual: false, values: vec![OutputValue::Exact(number)] }
    }
}
