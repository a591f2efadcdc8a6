//! From a data file to typed examples, and from labelled rows back to a file.
//!
//! In the order in which a file meets it: [`stream`] opens and decompresses it, [`reader`] finds out which of the
//! formats it has and gives its rows, `input_rows` those of several files, [`column_choice`] finds the columns of
//! text and label, [`columns`] takes both out of a row, [`labels`] numbers the classes, [`examples`] loads labelled
//! files, `summary` counts what is odd about them, `origins` finds their rows again, [`split`] sets rows aside for
//! validation and [`folds`] deals them, both keeping together what [`row_groups`] ties, [`inspect`] reports on a
//! file, [`language`] tells what texts are written in, and [`writer`] writes rows with added columns. What a format
//! is to all of these says [`mod@format`]; the formats themselves are a file each. Tokens, pixels and batches are
//! the business of later modules: nothing here knows a network.

mod arrow_values;
mod bounded_lines;
pub mod class_weights;
pub mod column_choice;
pub mod columns;
mod compression;
mod delimited;
mod delimited_output;
mod detected;
mod dialect;
mod encoding;
mod example;
pub mod examples;
pub mod folds;
pub mod format;
mod format_choice;
mod formats;
mod header;
mod input_columns;
pub mod input_log;
mod input_rows;
pub mod inspect;
pub mod inspect_rows;
mod inspect_text;
mod iterative_split;
mod json_array;
mod json_source;
pub mod label_findings;
mod label_lists;
pub mod label_map;
mod label_reading;
pub mod label_rules;
mod label_text;
pub mod labels;
pub mod language;
mod lookup;
mod names;
mod numbers;
pub mod options;
mod origins;
mod overlap;
mod pending_lines;
pub mod reader;
pub mod reading_log;
pub mod row;
pub mod row_groups;
mod row_labels;
mod sniffing;
pub mod split;
pub mod spreadsheet_safe;
pub mod stream;
mod summary;
mod trained_columns;
pub mod typed;
mod unsupported;
pub mod writer;

pub use class_weights::ClassWeighting;
pub use column_choice::resolve;
pub use columns::ResolvedColumns;
pub use detected::DetectedSetting;
pub use example::{Example, Input, Modality, Place, Truth};
pub use examples::{LabelledSet, load_labelled};
pub use folds::Folds;
pub use format::FileLayout;
pub use formats::image_folder_layout;
pub use input_columns::{InputColumns, Together};
pub use input_log::InputLog;
pub use input_rows::InputRows;
pub use label_findings::LabelFindings;
pub use label_lists::lists_of_labels;
pub use label_map::LabelMap;
pub use label_reading::KnownLabels;
pub use label_rules::{LabelResolution, LabelRules};
pub use label_text::trimmed;
pub use labels::Labels;
pub use numbers::{Number, NumberSummary, Scaling, quantile_bins};
pub use options::{ReadOptions, TextColumns, TrainedColumns, USUAL_SEPARATOR};
pub use origins::{Origins, Sources};
pub use overlap::{Overlap, Repeats, overlap, repeats};
pub use reader::RowReader;
pub use row::{Cell, OutputValue, Record, Row};
pub use summary::Summary;
pub use writer::RowWriter;
