//! `report.html` of a comparison: which strategy is best as far as the test rows and seeds can tell, and what each
//! costs. A file per section; `page` puts them together.

mod confusions;
mod costs;
mod coverage;
mod curves;
mod differences;
mod page;
mod reliability;
mod result;
mod standings;
mod view;

pub use page::page;
pub use view::{ComparisonReport, Contender, ContenderRun};
