//! `--sort-into DIR --move`: what is checked before the first image moves, and the list of where each one went
//! (`DIR/sorted.csv`). An image is listed before it moves, so that a killed call can be continued for certain.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::console::units;
use crate::error::{Error, Result};
use crate::files::placing;

/// The name of the list.
pub const LIST: &str = "sorted.csv";
/// What it says of an image: its name in the output, where it lies below the folder of the list, its label, the folder
/// that it came from, and which labelling it is of.
const COLUMNS: [&str; 5] = ["file", "sorted_to", "label", "input", "labelling"];

/// Where images were moved to.
pub struct MoveList {
    into: PathBuf,
    /// The folder that the images come from.
    input: PathBuf,
    labelling: String,
    /// By the images' places in the input, where an earlier call of this labelling has moved them, or was about to.
    earlier: HashMap<PathBuf, PathBuf>,
    /// Where these are now. Sorting in place, that may be where another image was.
    places: HashSet<PathBuf>,
    /// The list, once something is added.
    file: Option<File>,
}

impl MoveList {
    /// Reads the list in the folder `into`, where there is one.
    ///
    /// # Errors
    /// The file of this name is something else.
    pub fn open(into: &Path, input: &Path, labelling: &str) -> Result<Self> {
        let (into, input, path) = (into.to_owned(), input.to_owned(), into.join(LIST));
        let (earlier, places) = (HashMap::new(), HashSet::new());
        let mut list = Self { into, input, labelling: labelling.to_owned(), earlier, places, file: None };
        if !path.exists() {
            return Ok(list);
        }
        let refused = || {
            Error::request("this is not the list of images that were moved here, which needs this name")
                .file(&path)
                .hint("give it another name")
        };
        let mut rows = csv::ReaderBuilder::new().flexible(true).from_path(&path).map_err(|_| refused())?;
        if rows.headers().map_err(|_| refused())? != &csv::StringRecord::from(COLUMNS.to_vec()) {
            return Err(refused());
        }
        // A torn row is none: the writer was killed.
        for row in rows.records().flatten().filter(|row| row.get(4) == Some(labelling)) {
            let place = |column: usize| row.get(column).unwrap_or_default();
            let image = placing::entry_of(&list.input.join(place(0)));
            list.earlier.insert(image, list.into.join(place(1)));
        }
        list.places = list.earlier.values().map(|place| placing::entry_of(place)).collect();
        Ok(list)
    }

    /// Whether an earlier call of this labelling has moved an image for certain.
    pub fn is_moved(&self, image: &Path) -> bool {
        self.earlier(image).is_some() && (image.symlink_metadata().is_err() || self.is_place(image))
    }

    /// Whether an image was moved to where this path leads.
    pub fn is_place(&self, path: &Path) -> bool {
        self.places.contains(&placing::entry_of(path))
    }

    /// Where an earlier call of this labelling has moved an image, or was about to.
    pub fn earlier(&self, image: &Path) -> Option<&PathBuf> {
        self.earlier.get(&placing::entry_of(image))
    }

    /// All such places.
    pub fn earlier_places(&self) -> impl Iterator<Item = &PathBuf> {
        self.earlier.values()
    }

    /// Adds an image that is about to move.
    ///
    /// # Errors
    /// The list cannot be written.
    pub fn add(&mut self, file: &str, place: &Path, label: &str) -> Result<()> {
        let path = self.into.join(LIST);
        let sorted_to = place.strip_prefix(&self.into).unwrap_or(place).to_string_lossy();
        let input = std::path::absolute(&self.input).unwrap_or_else(|_| self.input.clone());
        let mut text = match &self.file {
            None => begun(&path),
            Some(_) => Vec::new(),
        };
        let mut writer = csv::Writer::from_writer(&mut text);
        let row = [file, &sorted_to, label, &input.to_string_lossy(), &self.labelling];
        writer.write_record(row).map_err(|error| Error::failure(error.to_string()).file(&path))?;
        drop(writer);
        let opened = match self.file.take() {
            Some(file) => Ok(file),
            None => OpenOptions::new().create(true).append(true).open(&path),
        };
        let mut list = opened.map_err(|error| Error::io(error, &path))?;
        list.write_all(&text).map_err(|error| Error::io(error, &path))?;
        self.file = Some(list);
        Ok(())
    }
}

/// What comes before the first row that is added: the header of a new list, or the end of a torn row.
fn begun(path: &Path) -> Vec<u8> {
    match std::fs::read(path) {
        Ok(text) if text.ends_with(b"\n") => Vec::new(),
        Ok(text) if !text.is_empty() => b"\n".to_vec(),
        _ => format!("{}\n", COLUMNS.join(",")).into_bytes(),
    }
}

/// Images that are to be moved.
pub struct Moving<'a> {
    /// Their paths.
    pub images: Vec<PathBuf>,
    /// The folder that they are in.
    pub input: &'a Path,
    /// Whether they are what was found there, rather than paths that somebody wrote.
    pub is_listing: bool,
    /// Whether the whole folder is the input.
    pub is_folder: bool,
}

impl Moving<'_> {
    /// That nothing outside the input is moved and no link is left that leads nowhere. Returns what is moved otherwise
    /// than it may seem.
    ///
    /// # Errors
    /// Links lead out of the input, or to images that are moved too.
    pub fn check_links(&self) -> Result<Vec<String>> {
        let images = self.images.iter().map(PathBuf::as_path);
        let distinct: HashSet<&Path> = images.filter(|image| image.symlink_metadata().is_ok()).collect();
        let places: HashSet<PathBuf> = distinct.iter().map(|image| placing::entry_of(image)).collect();
        let root = self.input_folder().canonicalize().unwrap_or_else(|_| self.input.to_owned());
        let mut outside = Found::default();
        let mut within = Found::default();
        let mut links = 0;
        for &image in &distinct {
            if self.is_listing && !placing::entry_of(image).starts_with(&root) {
                outside.add(self.link_above(image));
            } else if image.is_symlink() {
                links += 1;
                if placing::hops(image).any(|hop| places.contains(&hop)) {
                    within.add(image.to_owned());
                }
            }
        }
        if self.is_folder {
            let walk = WalkDir::new(self.input).min_depth(1).into_iter().flatten();
            for link in walk.filter(|entry| entry.path_is_symlink() && !distinct.contains(entry.path())) {
                if placing::hops(link.path()).any(|hop| places.contains(&hop)) {
                    within.add(link.path().to_owned());
                }
            }
        }
        self.refuse(&outside, &within)?;
        let mut remarks = Vec::new();
        let twice = (distinct.len() - places.len()) as u64;
        if twice > 0 {
            let is = if twice == 1 { "is" } else { "are" };
            remarks.push(format!("{} {is} reached by two paths and moved once", units::counted(twice, "image")));
        }
        if links > 0 {
            let (lead, link) =
                if links == 1 { ("leads", "the link is moved") } else { ("lead", "the links are moved") };
            let links = units::counted(links, "link");
            remarks.push(format!("{links} {lead} to images that are not in the input: {link}, the images stay"));
        }
        Ok(remarks)
    }

    fn refuse(&self, outside: &Found, within: &Found) -> Result<()> {
        if outside.count > 0 {
            let (images, are) = (units::counted(outside.count, "image"), if outside.count == 1 { "is" } else { "are" });
            let message = format!("{images} {are} outside the input, reached by a link: {}", outside.shown());
            return Err(Error::request(message)
                .file(self.input_folder())
                .hint("copy the images, without --move; or remove the link and name the folder that it leads to"));
        }
        if within.count > 0 {
            let (links, lead) =
                (units::counted(within.count, "link"), if within.count == 1 { "leads" } else { "lead" });
            let message = format!("{links} {lead} to images that would be moved: {}", within.shown());
            return Err(Error::request(message)
                .file(self.input_folder())
                .hint("copy the images, without --move; or remove the links, which would lead nowhere"));
        }
        Ok(())
    }

    /// The first link on the way from the input to an image.
    fn link_above(&self, image: &Path) -> PathBuf {
        let above: Vec<&Path> = image.ancestors().skip(1).take_while(|above| *above != self.input).collect();
        above.into_iter().rev().find(|above| above.is_symlink()).unwrap_or(image).to_owned()
    }

    fn input_folder(&self) -> &Path {
        if self.input.as_os_str().is_empty() { Path::new(".") } else { self.input }
    }
}

/// That no link which an earlier sorting has left below `into` leads to an image that is moved elsewhere; `moved` has
/// the images with the folders that they are moved to, where they replace links to themselves.
///
/// # Errors
/// There is one.
pub fn check_earlier_links<'a>(into: &Path, moved: impl Iterator<Item = (&'a Path, PathBuf)>) -> Result<()> {
    let folders: HashMap<PathBuf, PathBuf> = moved.map(|(image, folder)| (placing::entry_of(image), folder)).collect();
    let mut found = Found::default();
    for link in WalkDir::new(into).min_depth(2).max_depth(2).into_iter().flatten().filter(DirEntry::path_is_symlink) {
        let is_replaced = |hop| folders.get(&hop).is_none_or(|folder| link.path().parent() == Some(folder));
        if !placing::hops(link.path()).all(is_replaced) {
            found.add(link.path().to_owned());
        }
    }
    if found.count == 0 {
        return Ok(());
    }
    let (links, lead) = (units::counted(found.count, "link"), if found.count == 1 { "leads" } else { "lead" });
    let message = format!("{links} of an earlier sorting {lead} to images that would be moved: {}", found.shown());
    Err(Error::request(message).file(into).hint("remove the links, or sort into another folder"))
}

/// What was found, counted and named.
#[derive(Default)]
struct Found {
    count: u64,
    names: BTreeSet<PathBuf>,
}

impl Found {
    fn add(&mut self, name: PathBuf) {
        self.count += 1;
        self.names.insert(name);
    }

    /// The first few names.
    fn shown(&self) -> String {
        const SHOWN: usize = 3;
        let names: Vec<String> = self.names.iter().take(SHOWN).map(|name| format!("`{}`", name.display())).collect();
        match self.names.len().saturating_sub(SHOWN) {
            0 => names.join(", "),
            more => format!("{} and {}", names.join(", "), units::counted(more as u64, "other")),
        }
    }
}
