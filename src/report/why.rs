//! What speaks for an answer, as pages and files of explanations show it.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::image::Preprocessing;

/// What speaks for a label.
#[derive(Debug)]
pub enum Why {
    /// Of a text or of two.
    Texts(Vec<Vec<Piece>>),
    /// Of an image.
    Image(SeenImage),
}

/// A part of a text; all parts together are the text.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The part itself.
    pub text: String,
    /// What it adds to the log odds; nothing between the words, and where the network did not read it.
    pub score: Option<f64>,
}

/// An image with how much its places count, from 0 to 1, row by row.
#[derive(Debug)]
pub struct SeenImage {
    /// Where it is.
    pub file: PathBuf,
    /// Which part of it the network sees, and how large.
    pub preprocessing: Preprocessing,
    /// Places from the top down.
    pub rows: usize,
    /// Places from left to right.
    pub columns: usize,
    /// How much each place counts.
    pub values: Vec<f64>,
}

/// Why the network was wrong about some rows of a split.
#[derive(Debug, Default)]
pub struct Explained {
    /// What spoke for the predicted label and against the one in the data, by the row's index in the split.
    pub by_row: HashMap<usize, Why>,
    /// Why not all are explained that were to be, where something kept them from it.
    pub remark: Option<String>,
}
