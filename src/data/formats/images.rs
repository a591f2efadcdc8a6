//! A folder of images as rows: one row per file, with its class where the folder has a folder for each class. A single
//! image file is a folder of one. Only read when the model reads images, and not written.

use std::path::Path;

use walkdir::WalkDir;

use crate::data::Modality;
use crate::data::format::{FileLayout, Format, OpenedRows, RowSource, TextStyle};
use crate::data::options::ReadOptions;
use crate::data::row::{Record, Row};
use crate::error::{Error, Result, listed};

/// The columns of a folder's rows.
const FILE_COLUMN: &str = "file";
const LABEL_COLUMN: &str = "label";

/// The extensions of the image files that are read.
const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "jpe", "png", "webp", "bmp", "gif", "tif", "tiff", "jfif"];

pub struct ImageFolder;

impl Format for ImageFolder {
    fn name(&self) -> &'static str {
        "images"
    }

    fn open_path(&self, path: &Path, options: &ReadOptions) -> Result<Option<OpenedRows>> {
        if options.modality != Modality::Image {
            return Ok(None);
        }
        if path.is_dir() {
            return opened(path, files(path)?, options).map(Some);
        }
        match path.file_name() {
            Some(name) if path.is_file() && is_image(path) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                opened(folder, vec![name.to_string_lossy().into_owned()], options).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// The rows of the image `files` in a folder.
fn opened(folder: &Path, files: Vec<String>, options: &ReadOptions) -> Result<OpenedRows> {
    let mut columns = vec![FILE_COLUMN.to_owned()];
    let rows: Vec<Vec<String>> = if options.classes {
        columns.push(LABEL_COLUMN.to_owned());
        let classes = classes(folder, &files)?;
        files.into_iter().zip(classes).map(|(file, class)| vec![file, class]).collect()
    } else {
        files.into_iter().map(|file| vec![file]).collect()
    };
    let layout = FileLayout {
        file: folder.to_owned(),
        format: &ImageFolder,
        delimiter: b',',
        columns,
        style: TextStyle::default(),
        schema: None,
    };
    Ok(OpenedRows { layout, rows: Box::new(ImageRows(rows.into_iter())), choices: Vec::new() })
}

/// The fields of each row.
struct ImageRows(std::vec::IntoIter<Vec<String>>);

impl RowSource for ImageRows {
    fn next_row(&mut self, number: u64) -> Result<Option<Row>> {
        Ok(self.0.next().map(|fields| Row { number, line: number, record: Record::Fields(fields) }))
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }
}

/// Folder names that stand for parts of a data set rather than for classes.
const SPLITS: [&str; 6] = ["train", "test", "val", "valid", "validation", "dev"];

/// The image files below `folder`, by their paths in it, sorted. Hidden files and folders are skipped, and so are files
/// whose extension is not an image's.
///
/// # Errors
/// The folder cannot be read, or has no image in it.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".");
    let walk = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name())) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_owned();
            match error.into_io_error() {
                Some(error) => Error::io(error, path),
                None => {
                    Error::request("a link leads back to a folder that it is in").file(path).hint("remove the link")
                }
            }
        })?;
        if !entry.file_type().is_file() || !is_image(entry.path()) {
            continue;
        }
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let name = path
            .to_str()
            .ok_or_else(|| Error::request("the file's name is not UTF-8").file(entry.path()).hint("rename it"))?;
        found.push(name.to_owned());
    }
    if found.is_empty() {
        return Err(Error::request("there is no image in this folder")
            .file(folder)
            .hint(format!("images are files that end in {}", listed(EXTENSIONS))));
    }
    Ok(found)
}

/// The class of each file: the folder that it, or a folder around it, lies in.
///
/// # Errors
/// A file is not in a class folder, or the folders are parts of a data set.
fn classes(folder: &Path, files: &[String]) -> Result<Vec<String>> {
    let classes: Vec<String> = files
        .iter()
        .map(|file| {
            file.split_once('/').map(|(class, _)| class.to_owned()).ok_or_else(|| {
                Error::request("the image is not in a class folder")
                    .file(folder.join(file))
                    .hint("a labelled folder has a folder for each class, with the images of the class in it")
            })
        })
        .collect::<Result<_>>()?;
    if classes.iter().all(|class| SPLITS.contains(&class.to_lowercase().as_str())) {
        return Err(Error::request("the folders in it are parts of a data set, not classes")
            .file(folder)
            .hint("name one of them: --train DIR/train --test DIR/test"));
    }
    Ok(classes)
}

/// Whether a file has an image's extension.
fn is_image(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.contains(&extension.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        folder
    }

    #[test]
    fn classes_are_folders_and_files_are_sorted() {
        let folder =
            folder(&["dogs/2.JPG", "dogs/sub/1.png", "cats/b.webp", "cats/.hidden.jpg", ".git/x.jpg", "readme.txt"]);
        let found = files(folder.path()).unwrap();
        assert_eq!(found, ["cats/b.webp", "dogs/2.JPG", "dogs/sub/1.png"]);
        assert_eq!(classes(folder.path(), &found).unwrap(), ["cats", "dogs", "dogs"]);
    }

    #[test]
    fn folders_without_classes_are_refused() {
        let refusal = |names: &[&str]| {
            let folder = folder(names);
            let found = files(folder.path());
            found.and_then(|found| classes(folder.path(), &found)).unwrap_err().to_string()
        };
        assert!(refusal(&["x.txt"]).ends_with("there is no image in this folder"));
        assert!(refusal(&["a/1.jpg", "2.jpg"]).ends_with("2.jpg: the image is not in a class folder"));
        assert!(refusal(&["train/a/1.jpg", "test/b/1.jpg"]).ends_with("parts of a data set, not classes"));
    }
}
