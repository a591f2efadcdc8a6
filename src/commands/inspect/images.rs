//! What is in a folder of images: the classes, and the files that cannot be read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::console::units;
use crate::data::columns::LabelColumn;
use crate::data::{Input, Modality, ReadOptions, RowReader, resolve};
use crate::error::Result;
use crate::image::Preprocessing;
use crate::transform::Purpose;
use crate::transform::images::ImageTransform;

/// What is in a folder of images.
#[derive(Serialize)]
pub struct ImagesReport {
    folder: String,
    /// Of a folder of class folders: each class and its number of images.
    classes: Vec<(String, usize)>,
    images: usize,
    /// The files that cannot be read, each with the reason.
    problems: Vec<String>,
}

impl ImagesReport {
    /// How the rows of the folder are read; with or without a label from the class folder.
    pub fn options(classes: bool) -> ReadOptions {
        ReadOptions { modality: Modality::Image, classes, ..ReadOptions::default() }
    }

    /// Decodes every image.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn of(folder: &Path) -> Result<Self> {
        let reader = RowReader::open(folder, &Self::options(false))?;
        let columns = resolve(reader.layout(), &Self::options(false), LabelColumn::Optional)?;
        let inputs = reader.map(|row| columns.input_of(&row?)).collect::<Result<Vec<Input>>>()?;
        let transform = ImageTransform::new(Preprocessing::imagenet(8), None, 0, 0, 0);
        let prepared = transform.prepare(&inputs.iter().collect::<Vec<_>>(), Purpose::Inference, &mut |_| {})?;
        // A folder without class folders is one to label.
        let mut classes: BTreeMap<String, usize> = BTreeMap::new();
        for row in RowReader::open(folder, &Self::options(true)).into_iter().flatten().flatten() {
            *classes.entry(row.text("label", 1).unwrap_or_default().into_owned()).or_default() += 1;
        }
        Ok(Self {
            folder: folder.display().to_string(),
            classes: classes.into_iter().collect(),
            images: inputs.len(),
            problems: prepared.unusable.iter().map(|(_, error)| error.to_string()).collect(),
        })
    }
}

impl fmt::Display for ImagesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.folder, units::counted(self.images as u64, "image"))?;
        for (class, images) in &self.classes {
            write!(f, "\n  {class}  {}", units::count(*images as u64))?;
        }
        for problem in &self.problems {
            write!(f, "\n  cannot be read: {problem}")?;
        }
        Ok(())
    }
}
