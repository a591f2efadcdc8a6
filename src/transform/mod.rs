//! From an input as a person wrote it to what a backbone reads.

pub mod image;
pub mod tokenize;
mod wordpiece;
