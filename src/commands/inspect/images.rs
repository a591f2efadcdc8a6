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
    /// What is not read, such as files that are no images.
    ignored: Vec<String>,
    /// Why the folder cannot be trained on, where it is neither one of class folders nor one of images to label.
    refusal: Option<String>,
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
        let ignored = reader.layout().warnings.clone();
        let inputs = reader.map(|row| columns.input_of(&row?)).collect::<Result<Vec<Input>>>()?;
        let transform = ImageTransform::new(Preprocessing::imagenet(8), None, 0, 0, 0);
        let prepared = transform.prepare(&inputs.iter().collect::<Vec<_>>(), Purpose::Inference, &mut |_| {})?;
        let mut classes: BTreeMap<String, usize> = BTreeMap::new();
        // A folder whose images all lie in itself is one to label.
        let is_in_folder = |input: &Input| matches!(input, Input::Image(path) if path.parent() != Some(folder));
        let refusal = match RowReader::open(folder, &Self::options(true)) {
            Ok(rows) => {
                for row in rows.flatten() {
                    *classes.entry(row.text("label", 1).unwrap_or_default().into_owned()).or_default() += 1;
                }
                None
            }
            Err(error) if inputs.iter().any(is_in_folder) => Some(match error.hint_text() {
                Some(hint) => format!("{error}; {hint}"),
                None => error.to_string(),
            }),
            Err(_) => None,
        };
        Ok(Self {
            folder: folder.display().to_string(),
            classes: classes.into_iter().collect(),
            images: inputs.len(),
            ignored,
            refusal,
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
        for ignored in &self.ignored {
            write!(f, "\n  {ignored}")?;
        }
        if let Some(refusal) = &self.refusal {
            write!(f, "\n  cannot be trained on: {refusal}")?;
        }
        for problem in &self.problems {
            write!(f, "\n  cannot be read: {problem}")?;
        }
        Ok(())
    }
}
