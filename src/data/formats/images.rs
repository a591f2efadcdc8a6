//! A folder of images as rows: a file a row, and its class where the folder has a folder for each class.

use std::path::Path;

use walkdir::WalkDir;

use crate::error::{Error, Result, listed};

/// The columns of a folder's rows.
pub const FILE_COLUMN: &str = "file";
pub const LABEL_COLUMN: &str = "label";

/// The extensions of the image files that are read.
pub const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "jpe", "png", "webp", "bmp", "gif", "tif", "tiff", "jfif"];

/// Folder names that stand for parts of a data set rather than for classes.
const SPLITS: [&str; 6] = ["train", "test", "val", "valid", "validation", "dev"];

/// The image files below `folder` with their paths in it, sorted; hidden files and folders, and files that are no images by
/// their extension, are passed over.
///
/// # Errors
/// The folder cannot be read, or holds no image.
pub fn files(folder: &Path) -> Result<Vec<String>> {
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
/// A file lies in no class folder, or the folders are parts of a data set.
pub fn classes(folder: &Path, files: &[String]) -> Result<Vec<String>> {
    let classes: Vec<String> = files
        .iter()
        .map(|file| {
            file.split_once('/').map(|(class, _)| class.to_owned()).ok_or_else(|| {
                Error::request("the image lies in no class folder")
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

/// Whether a file is an image by its extension.
pub fn is_image(path: &Path) -> bool {
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
    fn what_is_no_labelled_folder_is_refused() {
        let refusal = |names: &[&str]| {
            let folder = folder(names);
            let found = files(folder.path());
            found.and_then(|found| classes(folder.path(), &found)).unwrap_err().to_string()
        };
        assert!(refusal(&["x.txt"]).ends_with("there is no image in this folder"));
        assert!(refusal(&["a/1.jpg", "2.jpg"]).ends_with("2.jpg: the image lies in no class folder"));
        assert!(refusal(&["train/a/1.jpg", "test/b/1.jpg"]).ends_with("parts of a data set, not classes"));
    }
}
