//! The images that an output lists, and whether the input still has them as they were labelled.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::contents::{LabelledImage, check_images, recorded};
use super::finished::Finished;
use super::moves::MoveList;
use super::progress::SameRows;
use crate::cli::LabelArgs;
use crate::data::column_choice::LabelColumn;
use crate::data::{FileLayout, ReadOptions, RowReader, image_folder_layout, resolve};
use crate::error::{Error, ErrorKind, Result};

/// An image that the output lists.
pub struct ListedImage {
    pub row: u64,
    /// Its name there, and its path.
    pub file: String,
    pub path: PathBuf,
    pub label: String,
    /// The folder for it; none where it has no label because it could not be read.
    pub folder: Option<String>,
}

/// Where the output names the images.
pub struct ImageColumn {
    /// The input's.
    pub layout: FileLayout,
    pub column: String,
    /// What the paths are relative to.
    pub folder: PathBuf,
    /// Whether the paths are those of a folder's files, rather than what somebody wrote.
    pub is_listing: bool,
}

impl ImageColumn {
    /// As the input has them.
    ///
    /// # Errors
    /// The input cannot be read, or has no such column.
    pub fn of(args: &LabelArgs, options: &ReadOptions) -> Result<Self> {
        let input = args.first_input();
        // The images may have been moved out of a folder already.
        let (layout, folder) = match input.is_dir() {
            true => (image_folder_layout(input), input),
            false => {
                let folder = input.parent().unwrap_or(Path::new(""));
                (RowReader::open(input, options)?.layout().clone(), folder)
            }
        };
        let column = resolve(&layout, options, LabelColumn::Optional)?.text().to_string();
        Ok(Self { column, folder: folder.to_owned(), is_listing: layout.file.is_dir(), layout })
    }
}

/// That the input is what was labelled, but for images that are moved already.
///
/// # Errors
/// It is not, or cannot be read, or interrupted.
pub fn check_same(
    images: &[ListedImage],
    finished: &Finished,
    list: &MoveList,
    source: &ImageColumn,
    input: &Path,
    options: &ReadOptions,
) -> Result<()> {
    let changed = || Error::request("the rows are not those that were labelled").file(input).hint(finished.other_way());
    match RowReader::open(input, options) {
        // Nothing is left in the folder.
        Err(_) if source.is_listing && images.iter().all(|image| list.is_moved(&image.path)) => {}
        Err(error) => return Err(error),
        Ok(rows) if source.is_listing => {
            let known: HashSet<&Path> = images.iter().map(|image| image.path.as_path()).collect();
            for row in rows {
                let path = source.folder.join(&*row?.text(&source.column, 0).unwrap_or_default());
                if !known.contains(path.as_path()) && !list.is_place(&path) {
                    return Err(Error::request("this image is new: the output has no label for it")
                        .file(path)
                        .hint(format!("move it away, or {}", finished.other_way())));
                }
            }
        }
        Ok(rows) => {
            let mut same = SameRows::new(&finished.records);
            let mut count = 0;
            for row in rows {
                count += 1;
                same.take(&row?, input).map_err(|error| match error.kind() {
                    ErrorKind::Interrupted => error,
                    _ => changed(),
                })?;
            }
            if finished.records.last().map_or(0, |record| record.rows) != count {
                return Err(changed());
            }
        }
    }
    let contents: Vec<Option<&str>> = recorded(&finished.records).collect();
    let labelled = |image: &ListedImage| {
        let content = (*contents.get(usize::try_from(image.row).ok()?.checked_sub(1)?)?)?;
        Some(LabelledImage { row: image.row, file: image.path.clone(), content })
    };
    let labelled: Vec<_> = images.iter().filter(|image| !list.is_moved(&image.path)).filter_map(labelled).collect();
    check_images(&labelled, &format!("sort with the images as they were, or {}", finished.other_way()))
}
