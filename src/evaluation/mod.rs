//! How good predictions are: from the logits of a split and its true labels to the numbers in `metrics.json`.
//!
//! A metric per file; each says its unit and whether higher is better. Where scikit-learn has the metric, its
//! conventions hold and its numbers are the tests' expected values. Logits arrive as the network made them (f32);
//! everything after is computed in f64, so the loss is exact where a probability would have rounded to 0. This room
//! knows numbers and no tensors. How an [`Evaluation`] is shown to people is `report`'s business.

pub mod accuracy;
pub mod calibration;
pub mod classification;
pub mod comparison;
pub mod confusion;
pub mod coverage;
pub mod cross_entropy;
pub mod f1;
pub mod interval;
pub mod label_errors;
pub mod label_thresholds;
pub mod matthews;
pub mod multi_label;
mod object_in_order;
pub mod ranking;
pub mod regression;
pub mod scores;
pub mod selection;
pub mod temperature;
pub mod thresholds;
pub mod top_k;
pub mod typical;

pub use accuracy::{accuracy, argmax};
pub use calibration::{expected_calibration_error, reliability};
pub use classification::{Classification, NOT_FINITE, evaluate};
pub use cross_entropy::{cross_entropy, log_softmax, softmax};
pub use f1::{ClassScores, macro_f1};
pub use interval::{Interval, wilson};
pub use multi_label::{MultiLabel, evaluate_multi_label, is_given, sigmoid};
pub use regression::{Regression, evaluate_regression};
pub use scores::Evaluation;
pub use temperature::fit_temperature;
pub use typical::Typical;
