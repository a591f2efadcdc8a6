//! `--sort-into DIR`: labelled images are copied, linked or moved into a folder for each label.
//!
//! It happens when the output is complete, and reads from it which image has which label, so that a killed call can be
//! continued whatever it had done, where the output is that of the same call over the same images
//! ([`super::finished`]). Nothing is overwritten: what is there already under the same name stays.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::finished::Finished;
use super::listed::{ImageColumn, ListedImage, check_same};
use super::moves::{LIST, MoveList, Moving, check_earlier_links};
use super::names::{folder_name, numbered};
use super::origin::Origin;
use super::output::is_interrupted;
use super::written::WrittenRows;
use crate::cli::{LabelArgs, is_stream};
use crate::commands::loaded_model::LoadedModel;
use crate::commands::output::check_writable;
use crate::console::{Console, units};
use crate::data::column_choice::LabelColumn;
use crate::data::label_findings::UNSURE;
use crate::data::{Input, Modality, ReadOptions, Row, RowReader, resolve};
use crate::error::{Error, Result};
use crate::files::{self, lock_directory, placing};
use crate::interrupt;

/// More folders than this are not counted one by one.
const MOST_FOLDERS_SHOWN: usize = 20;

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
    /// Names that are given to files of this labelling.
    taken: HashSet<PathBuf>,
}

/// What moving takes, and what earlier moves have left.
struct Moves {
    finished: Finished,
    list: MoveList,
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
        model.check_single_label("sorting images into folders", "sort-into")?;
        if model.modality != Modality::Image {
            return Err(refused("only images are sorted, and this model reads text").hint("leave it out"));
        }
        if is_stream(&args.output) {
            return Err(refused("images are sorted by the finished output, which must be a file")
                .hint("name one with --output"));
        }
        if args.has_stream() {
            return Err(refused("the list of images is read again for sorting, and standard input cannot be")
                .hint("write the list into a file"));
        }
        check_writable(into, "--sort-into", None)?;
        let is_within = |folder: &Path| match (into.canonicalize(), folder.canonicalize()) {
            (Ok(into), Ok(folder)) => into.starts_with(folder),
            (Err(_), Ok(folder)) => std::path::absolute(into).is_ok_and(|into| into.starts_with(folder)),
            _ => false,
        };
        if !args.move_images && args.first_input().is_dir() && is_within(args.first_input()) {
            return Err(Error::request("the folder lies within the input, which would have each image twice")
                .file(into)
                .hint("name a folder outside with --sort-into, or move the images with --move"));
        }
        let mut used = HashSet::from([LIST.to_owned()]);
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

    /// What is known before anything is labelled: that no links are in the way of moving.
    ///
    /// # Errors
    /// Links lead out of the input or to images that are moved too, or the input cannot be read.
    pub fn check_input(&self, options: &ReadOptions) -> Result<()> {
        if !self.args.move_images {
            return Ok(());
        }
        let source = ImageColumn::of(self.args, options)?;
        let rows = RowReader::open(self.args.first_input(), options)?;
        let columns = resolve(rows.layout(), options, LabelColumn::Optional)?;
        let mut images = Vec::new();
        for row in rows {
            // What cannot be read is said when it is labelled.
            if let Ok(Input::Image(image)) = columns.input_of(&row?) {
                images.push(image);
            }
        }
        self.moving(&source, images).check_links().map(drop)
    }

    fn moving<'s>(&self, source: &'s ImageColumn, images: Vec<PathBuf>) -> Moving<'s> {
        Moving {
            images,
            input: &source.folder,
            is_listing: source.is_listing,
            is_folder: self.args.first_input().is_dir(),
        }
    }

    /// Places every image that the output, which this call has written, has a label for.
    ///
    /// # Errors
    /// The output cannot be read, an image is gone or cannot be placed, links are in the way of moving, or interrupted.
    pub fn sort(&mut self, options: &ReadOptions, console: &Console) -> Result<()> {
        let source = ImageColumn::of(self.args, options)?;
        self.place_all(&source, None, console)
    }

    /// As [`Sorting::sort`], by an output that an earlier call has completed: one of this model, with these added
    /// columns.
    ///
    /// # Errors
    /// The output was made by another call, or of other images; otherwise as for [`Sorting::sort`].
    pub fn resume(
        &mut self,
        model: &LoadedModel,
        added: &[String],
        options: &ReadOptions,
        console: &Console,
    ) -> Result<()> {
        let output = files::followed(&self.args.output);
        let _lock = files::lock_file(&output)?;
        let finished = Finished::read(&output)?;
        let source = ImageColumn::of(self.args, options)?;
        finished.check_origin(&Origin::of(self.args, model, &source.layout.columns, added)?, &output)?;
        // Images that are in the input again may be moved anywhere.
        if self.listed(&source)?.iter().any(|image| image.path.symlink_metadata().is_err()) {
            finished.check_folder(self.into)?;
        }
        self.place_all(&source, Some(options), console)
    }

    /// With `earlier`, how the input is read, the output is an earlier call's, and the images must be as they were.
    fn place_all(&mut self, source: &ImageColumn, earlier: Option<&ReadOptions>, console: &Console) -> Result<()> {
        let _lock = lock_directory(self.into)?;
        let finished = Finished::read(&self.args.output)?;
        let images = self.listed(source)?;
        let list = MoveList::open(self.into, &source.folder, &finished.labelling)?;
        if let Some(options) = earlier {
            check_same(&images, &finished, &list, source, self.args.first_input(), options)?;
        }
        if self.args.move_images {
            let left = || images.iter().filter(|image| !list.is_moved(&image.path));
            let moved = || left().filter_map(|image| Some((image.path.as_path(), image.folder.as_ref()?)));
            let remarks = self.moving(source, moved().map(|(path, _)| path.to_owned()).collect()).check_links()?;
            check_earlier_links(self.into, moved().map(|(path, folder)| (path, self.into.join(folder))))?;
            remarks.iter().for_each(|remark| console.warn(remark));
        }
        self.taken.extend(list.earlier_places().cloned());
        let mut moves = Moves { finished, list };
        let folders = self.folders.values().chain([&self.unsure]).map(|name| (name.clone(), self.into.join(name)));
        self.earlier = folders.filter(|(_, folder)| folder.is_dir()).collect();
        let mut sorted = Sorted::default();
        for image in &images {
            if interrupt::requested() {
                let done = units::counted(sorted.by_folder.values().sum(), "image");
                return Err(Error::interrupted(format!("{done} sorted")).hint("--resume sorts the others"));
            }
            let Some(folder) = &image.folder else {
                sorted.unreadable += 1;
                continue;
            };
            // Rows may name one image.
            if !self.placed.insert(placing::entry_of(&image.path)) {
                continue;
            }
            sorted.elsewhere += u64::from(!self.args.move_images && self.is_elsewhere(&image.path, folder));
            let is_new = self.place(image, folder, &mut moves)?;
            *sorted.by_folder.entry(folder.clone()).or_default() += 1;
            sorted.there_already += u64::from(!is_new);
        }
        self.print(&sorted, console);
        if self.args.move_images && self.into.join(LIST).exists() {
            console.note(format!("which image went where: {}", self.into.join(LIST).display()));
        }
        Ok(())
    }

    /// The images that the output lists.
    fn listed(&self, source: &ImageColumn) -> Result<Vec<ListedImage>> {
        let output = &self.args.output;
        let written = WrittenRows::open(output, &source.layout, self.args)?;
        let WrittenRows { rows, columns, label, confidence, .. } = written;
        let image = columns.index(&source.column)?;
        let listed = |row: Result<Row>| {
            let row = row?;
            let value = |index: usize| columns.value(&row, index).into_owned();
            let (mut file, label) = (value(image), value(label));
            if !source.is_listing {
                file = file.trim().to_owned();
            }
            let folder = match value(confidence).is_empty() {
                true => None,
                false => Some(self.folder_of(&label).map_err(|error| error.file(output).row(row.number))?),
            };
            Ok(ListedImage { row: row.number, path: source.folder.join(&file), file, label, folder })
        };
        rows.map(listed).collect()
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
    fn place(&mut self, image: &ListedImage, folder: &str, moves: &mut Moves) -> Result<bool> {
        let path = &image.path;
        let folder = self.into.join(folder);
        let failed = |error| {
            let which = format!("{} cannot be placed here", path.display());
            Error::io(error, &folder).context(which).hint("--resume sorts the others once this is fixed")
        };
        if let Some(place) = moves.list.earlier(path) {
            let is_moved = moves.list.is_moved(path);
            if is_moved || self.args.move_images && placing::finish_move(path, place).map_err(failed)? {
                return Ok(false);
            }
            if place.symlink_metadata().is_err() {
                self.taken.remove(place);
            }
        }
        if !folder.is_dir() {
            std::fs::create_dir_all(&folder).map_err(failed)?;
        }
        if self.entered.insert(folder.clone()) {
            files::remove_temporaries(&folder);
        }
        for number in 1.. {
            let name = folder.join(numbered(path, number));
            if self.taken.contains(&name) {
                continue;
            }
            let placed = match self.args.move_images {
                true => move_as(image, &name, moves)?,
                false => self.place_as(path, &name),
            };
            let is_new = match placed {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                placed => placed.map_err(failed)?,
            };
            self.taken.insert(name);
            return Ok(is_new);
        }
        Ok(false)
    }

    /// Copies or links an image to this name, unless another file has it; false where the image itself has it already.
    fn place_as(&self, image: &Path, name: &Path) -> io::Result<bool> {
        let is_there = name.symlink_metadata().is_ok();
        if self.args.link {
            if is_there && files::is_same(image, name) {
                return Ok(false);
            }
            placing::link_to_new(image, name)?;
        } else {
            if is_there && placing::are_equal(image, name).unwrap_or(false) {
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
            1 => " (1 was there already)".to_owned(),
            count => format!(" ({} were there already)", units::count(count)),
        };
        console.summary(format!("{} {how} into {into}{there}: {}", units::counted(all, "image"), shown.join(", ")));
    }
}

/// Moves an image to this name, unless another file has it; false where the image itself has it already.
fn move_as(image: &ListedImage, name: &Path, moves: &mut Moves) -> Result<io::Result<bool>> {
    let path = &image.path;
    if placing::are_one_name(path, name) {
        return Ok(Ok(false));
    }
    // A link holds nothing: the image itself takes its place, and never goes for a link to something equal.
    let is_link_to_it = name.is_symlink() && !path.is_symlink() && files::is_same(path, name);
    let is_there = name.symlink_metadata().is_ok();
    if is_there && !is_link_to_it && !placing::are_one_file(path, name) {
        return Ok(Err(io::ErrorKind::AlreadyExists.into()));
    }
    // Below the folder of its label.
    moves.finished.begin_moving(name.ancestors().nth(2).unwrap_or(name))?;
    moves.list.add(&image.file, name, &image.label)?;
    Ok(match is_there {
        _ if is_link_to_it => placing::move_over_link(path, name).map(|()| true),
        true => placing::finish_move(path, name).map(|_| false),
        false => placing::move_to_new(path, name).map(|()| true),
    })
}
