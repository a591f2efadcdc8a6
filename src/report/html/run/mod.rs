//! `report.html` of a run: how good it is, how sure one can be of that, where it errs, and how it came about. A file
//! per section; `page` puts them together.

mod confidence;
mod confusions;
mod data;
mod examples;
mod folds;
mod label_errors;
mod label_sets;
mod labels;
mod mistakes;
mod numbers;
mod page;
mod result;
mod settings;
mod thresholds;
mod training;
mod view;

pub use numbers::{NumberSplit, numbers_evaluation_page, numbers_page};
pub use page::{evaluation_page, page, sets_page};
pub use view::RunReport;
