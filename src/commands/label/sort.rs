//! `--sort-into DIR`: labelled images are copied, linked or moved into a folder for each label.
//!
//! It happens when the output is complete, and reads from it which image has which label, so that a killed call can be
//! continued whatever it had done. Nothing is overwritten: what is there already under the same name stays.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::output::{WrittenRows, is_interrupted};
use crate::cli::{LabelArgs, is_stream};
use crate::commands::loaded_model::LoadedModel;
use crate::commands::output::check_writable;
use crate::console::{Console, units};
use crate::data::columns::LabelColumn;
use crate::data::label_findings::UNSURE;
use crate::data::{FileLayout, Modality, ReadOptions, RowReader, image_folder_layout, resolve};
use crate::error::{Error, Result};
use crate::files::{self, lock_directory, placing};
use crate::interrupt;

/// More folders than this are not counted one by one.
const MOST_FOLDERS_SHOWN: usize = 20;
/// Longer names of labels are cut; file systems have a limit of 255 bytes.
const LONGEST_NAME: usize = 100;

/// What is to be sorted where.
pub struct Sorting<'a> {
    args: &'a LabelArgs,
    into: &'a Path,
    /// The folder of each label.
    folders: HashMap<String, String>,
    /// That of images without a label.
    unsure: String,
    /// Images that are placed: one may be in several rows.
    placed: HashSet<PathBuf>,
    /// Folders of labels that were there before, with the label's name for them.
    earlier: Vec<(String, PathBuf)>,
    /// Folders that images were placed in.
    entered: HashSet<PathBuf>,
    /// Names that are given to files of this call.
    taken: HashSet<PathBuf>,
}

/// How many images were placed in each folder, and what became of the others.
#[derive(Default)]
struct Sorted {
    by_folder: HashMap<String, u64>,
    there_already: u64,
    /// Images that an earlier sorting has left in the folder of another label.
    elsewhere: u64,
    unreadable: u64,
}

impl<'a> Sorting<'a> {
    /// What `--sort-into` asks for, if it is given.
    ///
    /// # Errors
    /// The input has no images, the output cannot be read again, or the folder cannot be written.
    pub fn of(args: &'a LabelArgs, model: &LoadedModel) -> Result<Option<Self>> {
        let Some(into) = args.sort_into.as_deref() else { return Ok(None) };
        let refused = |message: &str| Error::request(message).key("sort-into");
        if model.modality != Modality::Image {
            return Err(refused("only images are sorted, and this model reads text").hint("leave it out"));
        }
        if is_stream(&args.output) {
            return Err(refused("images are sorted by the finished output, which must be a file")
                .hint("name one with --output"));
        }
        check_writable(into, "--sort-into", None)?;
        let is_within = |folder: &Path| match (into.canonicalize(), folder.canonicalize()) {
            (Ok(into), Ok(folder)) => into.starts_with(folder),
            (Err(_), Ok(folder)) => std::path::absolute(into).is_ok_and(|into| into.starts_with(folder)),
            _ => false,
        };
        if !args.move_images && args.input.is_dir() && is_within(&args.input) {
            return Err(Error::request("the folder lies within the input, which would have each image twice")
                .file(into)
                .hint("name a folder outside with --sort-into, or move the images with --move"));
        }
        let mut used = HashSet::new();
        let names = model.classifier.labels.names();
        let folders = names.iter().map(|label| (label.clone(), folder_name(label, &mut used))).collect();
        let unsure = folder_name(args.unknown_label.as_deref().unwrap_or(UNSURE), &mut used);
        Ok(Some(Self {
            args,
            into,
            folders,
            unsure,
            placed: HashSet::new(),
            earlier: Vec::new(),
            entered: HashSet::new(),
            taken: HashSet::new(),
        }))
    }

    /// Whether an earlier call has completed the output, so that sorting is all that is left to `--resume`.
    pub fn is_all_that_is_left(&self) -> bool {
        let output = &self.args.output;
        self.args.resume && output.is_file() && !is_interrupted(output)
    }

    /// Places every image that the output has a label for.
    ///
    /// # Errors
    /// The output cannot be read, an image is gone or cannot be placed, or interrupted.
    pub fn sort(&mut self, options: &ReadOptions, console: &Console) -> Result<()> {
        let _lock = lock_directory(self.into)?;
        let ImageColumn { layout, column, folder, is_listing } = image_column(self.args, options)?;
        let output = &self.args.output;
        let WrittenRows { rows, columns, label, confidence } = WrittenRows::open(output, &layout, self.args)?;
        let image = columns.index(&column)?;
        let folders = self.folders.values().chain([&self.unsure]).map(|name| (name.clone(), self.into.join(name)));
        self.earlier = folders.filter(|(_, folder)| folder.is_dir()).collect();
        let mut sorted = Sorted::default();
        for row in rows {
            let row = row?;
            let value = |index: usize| columns.value(&row, index).into_owned();
            if interrupt::requested() {
                let done = units::counted(sorted.by_folder.values().sum(), "image");
                return Err(Error::interrupted(format!("{done} sorted")).hint("--resume sorts the others"));
            }
            if value(confidence).is_empty() {
                sorted.unreadable += 1;
                continue;
            }
            let name = self.folder_of(&value(label)).map_err(|error| error.file(output).row(row.number))?;
            let path = value(image);
            let path = folder.join(if is_listing { &path } else { path.trim() });
            sorted.elsewhere += u64::from(!self.args.move_images && self.is_elsewhere(&path, &name));
            let is_new = self.place(&path, &name)?;
            *sorted.by_folder.entry(name).or_default() += 1;
            sorted.there_already += u64::from(!is_new);
        }
        self.print(&sorted, console);
        Ok(())
    }

    /// The folder of a label as the output has it.
    fn folder_of(&self, label: &str) -> Result<String> {
        if label.is_empty() || Some(label) == self.args.unknown_label.as_deref() {
            return Ok(self.unsure.clone());
        }
        self.folders.get(label).cloned().ok_or_else(|| {
            Error::request(format!("the label `{label}` is none of this model's"))
                .hint("sort with the model that the output was labelled with")
        })
    }

    /// Whether the image lies, by its own name or a numbered one, in the folder of another label.
    fn is_elsewhere(&self, image: &Path, folder: &str) -> bool {
        let is_image = |name: &Path| files::is_same(image, name) || placing::are_equal(image, name).unwrap_or(false);
        let in_folder = |other: &Path| {
            (1..)
                .map(|number| other.join(numbered(image, number)))
                .take_while(|name| name.symlink_metadata().is_ok())
                .any(|name| !self.taken.contains(&name) && is_image(&name))
        };
        self.earlier.iter().any(|(name, other)| name != folder && in_folder(other))
    }

    /// Places an image in a folder; false where it was there already.
    fn place(&mut self, image: &Path, folder: &str) -> Result<bool> {
        if self.placed.contains(image) {
            return Ok(false);
        }
        let folder = self.into.join(folder);
        if !folder.is_dir() {
            std::fs::create_dir_all(&folder).map_err(|error| Error::io(error, &folder))?;
        }
        if self.entered.insert(folder.clone()) {
            files::remove_temporaries(&folder);
        }
        let failed = |error| {
            let which = format!("{} cannot be placed here", image.display());
            Error::io(error, &folder).context(which).hint("--resume sorts the others once this is fixed")
        };
        for number in 1.. {
            let name = folder.join(numbered(image, number));
            if self.taken.contains(&name) {
                continue;
            }
            let is_new = match self.place_as(image, &name) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                placed => placed.map_err(failed)?,
            };
            self.taken.insert(name);
            self.placed.insert(image.to_owned());
            return Ok(is_new);
        }
        Ok(false)
    }

    /// Gives an image this name, unless another file has it; false where the image itself has it already.
    fn place_as(&self, image: &Path, name: &Path) -> std::io::Result<bool> {
        let is_there = name.symlink_metadata().is_ok();
        let is_equal = || is_there && placing::are_equal(image, name).unwrap_or(false);
        if self.args.move_images {
            let is_moved = name.exists() && image.symlink_metadata().is_err();
            if is_moved || placing::are_one_name(image, name) {
                return Ok(false);
            }
            // A link holds nothing: the image itself takes its place, and never goes for a link to something equal.
            if name.is_symlink() && files::is_same(image, name) {
                placing::move_over_link(image, name)?;
            } else if !name.is_symlink() && is_equal() {
                // An earlier call may have been killed between the two halves of a move.
                std::fs::remove_file(image)?;
                return Ok(false);
            } else {
                placing::move_to_new(image, name)?;
            }
        } else if self.args.link {
            if is_there && files::is_same(image, name) {
                return Ok(false);
            }
            placing::link_to_new(image, name)?;
        } else {
            if is_equal() {
                return Ok(false);
            }
            placing::copy_to_new(image, name)?;
        }
        Ok(true)
    }

    fn print(&self, sorted: &Sorted, console: &Console) {
        let mut folders: Vec<(&String, u64)> = sorted.by_folder.iter().map(|(name, &count)| (name, count)).collect();
        folders.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let all: u64 = folders.iter().map(|(_, count)| count).sum();
        let mut shown: Vec<String> = folders
            .iter()
            .take(MOST_FOLDERS_SHOWN)
            .map(|(name, count)| format!("{name} {}", units::count(*count)))
            .collect();
        if folders.len() > MOST_FOLDERS_SHOWN {
            shown.push(format!("… {} more folders", folders.len() - MOST_FOLDERS_SHOWN));
        }
        if sorted.elsewhere > 0 {
            let lie = if sorted.elsewhere == 1 { "lies" } else { "lie" };
            console.warn(format!(
                "{} {lie} in the folder of another label too, where an earlier sorting has put them: delete {} and \
                 sort again to have each image once",
                units::counted(sorted.elsewhere, "image"),
                self.into.display()
            ));
        }
        if sorted.unreadable > 0 {
            let verb = if sorted.unreadable == 1 { "stays where it is" } else { "stay where they are" };
            console.warn(format!("{} without a label {verb}", units::counted(sorted.unreadable, "image")));
        }
        let how = if self.args.move_images {
            "moved"
        } else if self.args.link {
            "linked"
        } else {
            "copied"
        };
        let into = self.into.display();
        let there = match sorted.there_already {
            0 => String::new(),
            count if count == all => " (all were there already)".to_owned(),
            count => format!(" ({} were there already)", units::count(count)),
        };
        console.summary(format!("{} {how} into {into}{there}: {}", units::counted(all, "image"), shown.join(", ")));
    }
}

/// Where the output names the images.
struct ImageColumn {
    /// The input's.
    layout: FileLayout,
    column: String,
    /// What the paths are relative to.
    folder: PathBuf,
    /// Whether the paths are those of a folder's files, rather than what somebody wrote.
    is_listing: bool,
}

fn image_column(args: &LabelArgs, options: &ReadOptions) -> Result<ImageColumn> {
    // The images may have been moved out of a folder already.
    let (layout, folder) = match args.input.is_dir() {
        true => (image_folder_layout(&args.input), args.input.as_path()),
        false => {
            let folder = args.input.parent().unwrap_or(Path::new(""));
            (RowReader::open(&args.input, options)?.layout().clone(), folder)
        }
    };
    let column = resolve(&layout, options, LabelColumn::Optional)?.text().to_string();
    Ok(ImageColumn { column, folder: folder.to_owned(), is_listing: layout.file.is_dir(), layout })
}

/// A name for the folder of a label that any file system takes and no other label has: what separates paths or is
/// special somewhere becomes `_`.
fn folder_name(label: &str, used: &mut HashSet<String>) -> String {
    let is_special = |char: char| char.is_control() || "/\\:*?\"<>|".contains(char);
    let plain: String = label.trim().chars().map(|char| if is_special(char) { '_' } else { char }).collect();
    let mut name = plain.trim_end_matches(['.', ' ']).to_owned();
    while name.len() > LONGEST_NAME {
        name.pop();
    }
    // Hidden folders are not read as classes.
    if name.starts_with('.') || name.is_empty() {
        name.insert(0, '_');
    }
    let free = (1..).map(|number| if number == 1 { name.clone() } else { format!("{name}-{number}") });
    // Some file systems do not tell capitals apart.
    free.into_iter().find(|name| used.insert(name.to_lowercase())).unwrap_or_default()
}

/// A file's name; from the second on with the number before its extension: `a.jpg`, `a-2.jpg`.
fn numbered(file: &Path, number: usize) -> OsString {
    let name = file.file_name().unwrap_or_default();
    if number == 1 {
        return name.to_owned();
    }
    let mut numbered = file.file_stem().unwrap_or_default().to_owned();
    numbered.push(format!("-{number}"));
    if let Some(extension) = file.extension() {
        numbered.push(".");
        numbered.push(extension);
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_safe_names_of_their_own() {
        let mut used = HashSet::new();
        let mut name = |label: &str| folder_name(label, &mut used);
        assert_eq!(name("cats"), "cats");
        assert_eq!(name("Cats"), "Cats-2");
        assert_eq!(name("a/b"), "a_b");
        assert_eq!(name("a_b"), "a_b-2");
        assert_eq!(name(".."), "_");
        assert_eq!(name(".hidden"), "_.hidden");
        assert_eq!(name("what?."), "what_");
        assert!(name(&"é".repeat(300)).len() <= LONGEST_NAME);
    }

    #[test]
    fn files_of_one_name_are_numbered() {
        assert_eq!(numbered(Path::new("x/a.jpg"), 1), "a.jpg");
        assert_eq!(numbered(Path::new("x/a.b.jpg"), 2), "a.b-2.jpg");
        assert_eq!(numbered(Path::new("a"), 3), "a-3");
    }
}
