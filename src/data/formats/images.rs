//! A folder of images as rows: one row per file, with its class where the folder has a folder for each class. A single
//! image file is a folder of one. Only read when the model reads images, and not written.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::console::units::counted;
use crate::data::Modality;
use crate::data::format::{FileLayout, Format, OpenedRows, RowSource};
use crate::data::options::ReadOptions;
use crate::data::row::{Record, Row};
use crate::error::{Error, Result, listed};
use crate::files;

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
            return opened(path, Listing::of(path)?, options).map(Some);
        }
        match path.file_name() {
            Some(name) if path.is_file() && is_image(path) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let listing = Listing { images: vec![name.to_string_lossy().into_owned()], ..Listing::default() };
                opened(folder, listing, options).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// The rows of the images in a folder.
fn opened(folder: &Path, listing: Listing, options: &ReadOptions) -> Result<OpenedRows> {
    let mut layout = image_folder_layout(folder);
    layout.warnings.extend(described(&listing.ignored));
    let rows: Vec<Vec<String>> = if options.classes {
        layout.columns.push(LABEL_COLUMN.to_owned());
        let classes = classes(folder, &listing, options.data_flag)?;
        listing.images.into_iter().zip(classes).map(|(file, class)| vec![file, class]).collect()
    } else {
        listing.images.into_iter().map(|file| vec![file]).collect()
    };
    Ok(OpenedRows { layout, rows: Box::new(ImageRows(rows.into_iter())), choices: Vec::new() })
}

/// A folder of images without classes: a row's only field is the path of its image there.
pub fn image_folder_layout(folder: &Path) -> FileLayout {
    FileLayout::new(folder, &ImageFolder, vec![FILE_COLUMN.to_owned()])
}

/// The fields of each row.
struct ImageRows(std::vec::IntoIter<Vec<String>>);

impl RowSource for ImageRows {
    fn next_row(&mut self, number: u64) -> Result<Option<Row>> {
        Ok(self.0.next().map(|fields| Row::new(number, number, Record::fields(fields))))
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }
}

/// Folder names that stand for parts of a data set rather than for classes, each with the flag that takes it.
const SPLITS: [(&str, &str); 11] = [
    ("train", "--train"),
    ("training", "--train"),
    ("valid", "--valid"),
    ("val", "--valid"),
    ("validation", "--valid"),
    ("dev", "--valid"),
    ("test", "--test"),
    ("testing", "--test"),
    ("eval", "--test"),
    ("evaluation", "--test"),
    ("holdout", "--test"),
];

/// Extensions of images that are not read.
const OTHER_IMAGES: [&str; 20] = [
    "heic", "heif", "avif", "ppm", "pgm", "pbm", "pnm", "jp2", "jxl", "svg", "psd", "cr2", "nef", "arw", "dng", "raw",
    "tga", "exr", "ico", "pdf",
];

/// What systems leave in folders, which nobody means as data.
const LEFTOVERS: [&str; 4] = ["thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"];

/// How many files there are of each extension.
type Counts = BTreeMap<String, u64>;

/// What is in a folder of images.
#[derive(Default)]
struct Listing {
    /// The images below it, by their paths in it, sorted. Names are taken as they are.
    images: Vec<String>,
    /// The files that are no images.
    ignored: Counts,
    /// The folders directly in it, each with its files that are no images.
    folders: BTreeMap<String, Counts>,
}

impl Listing {
    /// Lists a folder. Hidden files and folders are skipped, and so is what systems leave there.
    ///
    /// # Errors
    /// The folder cannot be read, or has no image in it.
    fn of(folder: &Path) -> Result<Self> {
        let mut listing = Self::default();
        let is_data = |name: &OsStr| {
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            !is_hidden && !LEFTOVERS.iter().any(|leftover| name.eq_ignore_ascii_case(leftover))
        };
        let walk = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || is_data(entry.file_name())) {
            match entry {
                Ok(entry) => listing.add(&entry, folder)?,
                Err(error) => match broken_link(&error, folder) {
                    // An image that cannot be read, like others.
                    Some(name) => listing.images.push(name),
                    None => return Err(unlistable(error, folder)),
                },
            }
        }
        if listing.images.is_empty() {
            let found = described(&listing.ignored).map_or_else(String::new, |ignored| format!(": {ignored}"));
            return Err(Error::request(format!("there is no image in this folder{found}"))
                .file(folder)
                .hint(format!("images are files that end in {}", listed(EXTENSIONS))));
        }
        Ok(listing)
    }

    fn add(&mut self, entry: &DirEntry, folder: &Path) -> Result<()> {
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let name = path
            .to_str()
            .ok_or_else(|| Error::request("the file's name is not UTF-8").file(entry.path()).hint("rename it"))?;
        if entry.file_type().is_dir() {
            if entry.depth() == 1 {
                self.folders.insert(name.to_owned(), Counts::new());
            }
        } else if entry.file_type().is_file() && is_image(entry.path()) {
            self.images.push(name.to_owned());
        } else if entry.file_type().is_file() {
            let kind = match path.extension() {
                Some(_) => format!(".{}", files::extension(path)),
                None => "without extension".to_owned(),
            };
            *self.ignored.entry(kind.clone()).or_default() += 1;
            if let Some(counts) = name.split_once('/').and_then(|(class, _)| self.folders.get_mut(class)) {
                *counts.entry(kind).or_default() += 1;
            }
        }
        Ok(())
    }
}

/// The name of an image that is a link to nothing, where that is the error.
fn broken_link(error: &walkdir::Error, folder: &Path) -> Option<String> {
    let path = error.path()?;
    let is_broken = path.symlink_metadata().is_ok_and(|found| found.is_symlink()) && !path.exists();
    let name = path.strip_prefix(folder).ok()?.to_str()?;
    (is_broken && error.loop_ancestor().is_none() && is_image(path)).then(|| name.to_owned())
}

fn unlistable(error: walkdir::Error, folder: &Path) -> Error {
    let path = error.path().unwrap_or(folder).to_owned();
    match error.into_io_error() {
        Some(error) => Error::io(error, path),
        None => Error::request("a link leads back to a folder that it is in").file(path).hint("remove the link"),
    }
}

/// `12 files ignored: 9 .heic, 3 .ppm; convert them to JPEG or PNG`; `None` for no files.
fn described(counts: &Counts) -> Option<String> {
    let count: u64 = counts.values().sum();
    let mut counts: Vec<(&String, &u64)> = counts.iter().collect();
    counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let kinds: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let is_picture = |kind: &str| kind.strip_prefix('.').is_some_and(|kind| OTHER_IMAGES.contains(&kind));
    let way = match counts.iter().any(|(kind, _)| is_picture(kind)) {
        true if count == 1 => "; convert it to JPEG or PNG",
        true => "; convert images to JPEG or PNG",
        false => "",
    };
    (count > 0).then(|| format!("{} ignored: {}{way}", counted(count, "file"), kinds.join(", ")))
}

/// The class of each image: the folder that it, or a folder around it, lies in.
///
/// # Errors
/// An image is not in a class folder, a class has none, or the folders are something else than classes.
fn classes(folder: &Path, listing: &Listing, data_flag: Option<&str>) -> Result<Vec<String>> {
    check_splits(folder, listing, data_flag)?;
    let class_of = |file: &String| file.split_once('/').map(|(class, _)| class.to_owned());
    let classes: Vec<Option<String>> = listing.images.iter().map(class_of).collect();
    let outside = classes.iter().filter(|class| class.is_none()).count();
    if outside == classes.len() {
        let around = std::path::absolute(folder).ok();
        let around = around.as_deref().and_then(Path::parent).unwrap_or(folder).display().to_string();
        return Err(Error::request("the images lie in this folder itself, not in a folder for each class")
            .file(folder)
            .hint(format!("if this folder is one of the classes, name the folder around it: {around}")));
    }
    if let Some(first) = classes.iter().position(Option::is_none).and_then(|index| listing.images.get(index)) {
        let what = match outside {
            1 => "this image is not in a class folder".to_owned(),
            more => format!("this image and {} are not in a class folder", counted(more as u64 - 1, "other")),
        };
        return Err(Error::request(what)
            .file(folder.join(first))
            .hint("a labelled folder has a folder for each class; move the image into one of them, or away"));
    }
    let classes: Vec<String> = classes.into_iter().flatten().collect();
    let filled: BTreeSet<&String> = classes.iter().collect();
    if let Some((empty, ignored)) = listing.folders.iter().find(|(name, _)| !filled.contains(name)) {
        let found = described(ignored).unwrap_or_else(|| "it is empty".to_owned());
        return Err(Error::request(format!("the class `{empty}` has no image that can be read: {found}"))
            .file(folder.join(empty))
            .hint("add images (JPEG or PNG, for example), or move the folder away if it is no class"));
    }
    check_depth(folder, listing, &filled)?;
    Ok(classes)
}

/// That the folders are not the parts of a data set.
fn check_splits(folder: &Path, listing: &Listing, data_flag: Option<&str>) -> Result<()> {
    let split_of = |name: &String| {
        let found = SPLITS.iter().find(|(split, _)| name.trim().eq_ignore_ascii_case(split))?;
        Some((found.1, folder.join(name)))
    };
    let splits: Vec<(&str, PathBuf)> = listing.folders.keys().filter_map(split_of).collect();
    if splits.len() < 2 {
        return Ok(());
    }
    let refused = Error::request("the folders in it are parts of a data set, not classes").file(folder);
    if let Some(flag) = data_flag {
        let wanted = if flag == "--train" { flag } else { "--test" };
        let part = splits.iter().find(|(of, _)| *of == wanted).or(splits.first());
        let part = part.map_or(folder, |(_, path)| path).display();
        return Err(refused.hint(format!("name one of them: {flag} {part}")));
    }
    let mut flags = Vec::new();
    for flag in ["--train", "--valid", "--test"] {
        let named = splits.iter().find(|(of, _)| *of == flag);
        flags.extend(named.map(|(_, path)| format!("{flag} {}", path.display())));
    }
    let others: Vec<&String> = listing.folders.keys().filter(|name| split_of(name).is_none()).collect();
    let rest = if others.is_empty() { String::new() } else { format!("; {} then stays unused", listed(&others)) };
    Err(refused.hint(format!("name each part: {}{rest}", flags.join(" "))))
}

/// That the classes are not one level deeper.
fn check_depth(folder: &Path, listing: &Listing, classes: &BTreeSet<&String>) -> Result<()> {
    let [only] = classes.iter().copied().collect::<Vec<_>>()[..] else { return Ok(()) };
    let inner = |file: &String| file.split('/').nth(1).filter(|_| file.split('/').count() > 2).map(str::to_owned);
    let inner: Option<BTreeSet<String>> = listing.images.iter().map(inner).collect();
    match inner {
        Some(inner) if inner.len() > 1 => {
            Err(Error::request(format!("there is one folder in it, `{only}`, which holds folders: {}", shown(&inner)))
                .file(folder)
                .hint(format!("if these are the classes, name that folder: {}", folder.join(only).display())))
        }
        _ => Ok(()),
    }
}

fn shown(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 4;
    let first = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{first}, …") } else { first }
}

/// Whether a file has an image's extension.
pub fn is_image(path: &Path) -> bool {
    EXTENSIONS.contains(&files::extension(path).as_str())
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
        let folder = folder(&[
            "dogs/2.JPG",
            "dogs/sub/1.png",
            "cats/b.webp",
            "cats/.hidden.jpg",
            "cats/ a.jpg",
            ".git/x.jpg",
            "__MACOSX/x.jpg",
            "Thumbs.db",
            "readme.txt",
        ]);
        let listing = Listing::of(folder.path()).unwrap();
        assert_eq!(listing.images, ["cats/ a.jpg", "cats/b.webp", "dogs/2.JPG", "dogs/sub/1.png"]);
        assert_eq!(classes(folder.path(), &listing, None).unwrap(), ["cats", "cats", "dogs", "dogs"]);
        assert_eq!(described(&listing.ignored).unwrap(), "1 file ignored: 1 .txt");
    }

    #[test]
    fn folders_without_classes_are_refused() {
        let refusal = |names: &[&str]| {
            let folder = folder(names);
            let found = Listing::of(folder.path());
            let error = found.and_then(|found| classes(folder.path(), &found, None)).unwrap_err();
            format!("{error} ({})", error.hint_text().unwrap())
        };
        assert!(refusal(&["x.txt"]).contains("there is no image in this folder: 1 file ignored: 1 .txt"));
        assert!(refusal(&["a/1.jpg", "2.jpg"]).contains("2.jpg: this image is not in a class folder"));
        assert!(refusal(&["1.jpg", "2.jpg"]).contains("the images lie in this folder itself"));
        assert!(refusal(&["train/a/1.jpg", "test/b/1.jpg"]).contains("parts of a data set, not classes"));
        let three = refusal(&["Train/a/1.jpg", "val/b/1.jpg", "extra/1.jpg"]);
        assert!(three.contains("--train") && three.contains("--valid") && three.contains("`extra` then stays unused"));
        assert!(
            refusal(&["a/1.jpg", "b/1.heic"]).contains("the class `b` has no image that can be read: 1 file ignored")
        );
        assert!(refusal(&["photos/a/1.jpg", "photos/b/1.jpg"]).contains("name that folder: "));
    }
}
