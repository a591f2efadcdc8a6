//! The file formats, a file each: what its extensions are, how it is recognised, how its rows are read and how they are
//! written. A new one is a file here that implements [`super::format::Format`], and a line in [`FORMATS`].

mod arrow;
mod batch_writer;
mod batches;
mod csv;
mod csv_encoder;
mod images;
mod jsonl;
mod lines;
mod parquet;
mod sheet_cells;
mod spreadsheet;
mod xlsx_writer;

use super::format::FileFormat;
pub use images::{image_folder_layout, is_image};

/// All formats. The order is that in which a stream without a telling name is sniffed: plain lines claim every stream,
/// so they come last among the formats that are sniffed.
pub static FORMATS: [FileFormat; 8] = [
    &jsonl::Jsonl,
    &csv::CSV,
    &csv::TSV,
    &lines::PlainLines,
    &spreadsheet::Spreadsheet,
    &parquet::Parquet,
    &arrow::Arrow,
    &images::ImageFolder,
];

/// The format of an output whose name does not say it, and whose input's format is not written.
pub const DEFAULT_OUTPUT: FileFormat = &csv::CSV;
