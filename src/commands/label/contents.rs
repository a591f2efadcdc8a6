//! The content of images that are labelled: an output is only continued, and only sorted by, where each labelled image
//! is still the one that was labelled.

use std::path::PathBuf;

use rayon::prelude::*;

use crate::commands::content::content_of;
use crate::commands::label::progress::{Record, SameRows};
use crate::data::{Input, InputColumns, InputRows, Row};
use crate::error::{Error, Result};
use crate::interrupt;

/// Images that are read between two looks at the flag.
const CHUNK: usize = 512;

/// The digest of each recorded row's image, where it was recorded.
pub fn recorded(records: &[Record]) -> impl Iterator<Item = Option<&str>> {
    let mut before = 0;
    records.iter().flat_map(move |record| {
        let rows = usize::try_from(record.rows.saturating_sub(std::mem::replace(&mut before, record.rows)));
        (0..rows.unwrap_or_default()).map(|row| record.contents.get(row).map(String::as_str))
    })
}

/// An image with the digest that it had.
pub struct LabelledImage<'r> {
    pub row: u64,
    pub file: PathBuf,
    pub content: &'r str,
}

/// That images are as they were.
///
/// # Errors
/// One has changed or is gone, or interrupted.
pub fn check_images(images: &[LabelledImage], hint: &str) -> Result<()> {
    for chunk in images.chunks(CHUNK) {
        if interrupt::requested() {
            return Err(Error::interrupted("while comparing the images with those that are labelled already"));
        }
        let changed = chunk.par_iter().find_first(|image| content_of(&image.file) != image.content);
        if let Some(LabelledImage { row, file, .. }) = changed {
            let what = if file.exists() { "has changed" } else { "is gone" };
            return Err(Error::request(format!("the image {what} since it was labelled"))
                .file(file)
                .row(*row)
                .hint(hint));
        }
    }
    Ok(())
}

/// Holds images, row after row, to what was recorded of them.
pub struct SameImages<'r> {
    recorded: Box<dyn Iterator<Item = Option<&'r str>> + 'r>,
    images: Vec<LabelledImage<'r>>,
}

impl<'r> SameImages<'r> {
    /// Nothing read yet.
    pub fn new(records: &'r [Record]) -> Self {
        Self { recorded: Box::new(recorded(records)), images: Vec::new() }
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// An image has changed or is gone, or interrupted.
    pub fn take(&mut self, row: &Row, columns: &InputColumns) -> Result<()> {
        let content = self.recorded.next().flatten();
        if let (Some(content), Ok(Input::Image(file))) = (content, columns.input_of(row)) {
            self.images.push(LabelledImage { row: row.number, file, content });
        }
        if self.images.len() < CHUNK { Ok(()) } else { self.finish() }
    }

    /// Compares those that were not compared yet.
    ///
    /// # Errors
    /// As for [`SameImages::take`].
    pub fn finish(&mut self) -> Result<()> {
        let images = std::mem::take(&mut self.images);
        check_images(&images, "resume with the images as they were, or delete the partial output to begin again")
    }
}

/// That an input, whose first row is read next, still begins with the rows and images that are recorded. Whether it has
/// no others.
///
/// # Errors
/// It does not, or interrupted.
pub fn check_rows(mut rows: InputRows, records: &[Record]) -> Result<bool> {
    let Some(last) = records.last() else { return Ok(false) };
    let columns = &rows.columns().clone();
    let mut same = SameRows::new(records);
    let mut images = SameImages::new(records);
    for row in rows.by_ref().take(usize::try_from(last.rows).unwrap_or(usize::MAX)) {
        let row = row?;
        same.take(&row, columns.file_of(&row))?;
        images.take(&row, columns)?;
    }
    images.finish()?;
    same.finish(&rows.layout().file)?;
    Ok(rows.next().is_none())
}
