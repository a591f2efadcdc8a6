//! The file formats that examples are read from, one file each.

pub mod csv;
pub mod images;
