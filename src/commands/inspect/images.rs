//! What is in a folder of images, or in the files that a table names: the classes, the files that cannot be read, and
//! the images that appear more than once.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::console::units;
use crate::data::column_choice::LabelColumn;
use crate::data::inspect::DataReport;
use crate::data::inspect_rows::{ClassReport, size_problems};
use crate::data::{Input, LabelFindings, Modality, ReadOptions, Repeats, RowReader, repeats, resolve, trimmed};
use crate::error::Result;
use crate::image::Preprocessing;
use crate::transform::Purpose;
use crate::transform::images::ImageTransform;

/// Files that cannot be read are named up to this number.
const MOST_NAMED: usize = 100;
/// So many of the images that appear more than once are named.
const EXAMPLES: usize = 2;

/// What is in a folder of images.
#[derive(Serialize)]
pub struct ImagesReport {
    folder: String,
    /// Of a folder of class folders: each class and its number of images.
    classes: Vec<(String, u64)>,
    images: usize,
    /// What is not read, such as files that are no images.
    ignored: Vec<String>,
    /// Why the folder cannot be trained on, where it is neither one of class folders nor one of images to label.
    refusal: Option<String>,
    /// What looks wrong, the files that cannot be read first, each with the reason.
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
        let images: Vec<LabelledImage> = inputs
            .into_iter()
            .map(|input| LabelledImage { label: class_folder(&input, folder).map(|name| trimmed(name).into()), input })
            .collect();
        let is_nested = images.iter().any(|image| image.label.is_some());
        // A folder whose images all lie in itself is one to label.
        let refusal = RowReader::open(folder, &Self::options(true)).err().filter(|_| is_nested);
        let refusal = refusal.map(|error| match error.hint_text() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        });
        let mut problems = Found::in_images(&images)?.problems;
        if is_nested {
            problems.extend(class_problems(&images, folder));
        }
        let classes = classes(&images).into_iter().map(|class| (class.label, class.rows)).collect();
        Ok(Self { folder: folder.display().to_string(), classes, images: images.len(), ignored, refusal, problems })
    }
}

/// The name of the folder in `folder` that an image lies in.
fn class_folder<'i>(image: &'i Input, folder: &Path) -> Option<&'i str> {
    let Input::Image(path) = image else { return None };
    let mut parts = path.strip_prefix(folder).ok()?.iter();
    let first = parts.next()?;
    parts.next().and_then(|_| first.to_str())
}

fn classes(images: &[LabelledImage]) -> Vec<ClassReport> {
    let mut classes: HashMap<String, u64> = HashMap::new();
    images.iter().filter_map(|image| image.label.clone()).for_each(|label| *classes.entry(label).or_default() += 1);
    ClassReport::of(&classes, images.len() as u64)
}

/// What looks wrong about the class folders.
fn class_problems(images: &[LabelledImage], folder: &Path) -> Vec<String> {
    let classes = classes(images);
    let sizes: Vec<(String, u64)> = classes.iter().map(|class| (class.label.clone(), class.rows)).collect();
    let mut problems = LabelFindings::of(&sizes).of_folders(&sizes).sentences();
    let is_trimmed = |image: &&LabelledImage| class_folder(&image.input, folder) != image.label.as_deref();
    let trimmed = images.iter().filter(is_trimmed).count() as u64;
    if trimmed > 0 {
        let images = units::counted(trimmed, "image");
        problems.push(format!(
            "white space or invisible characters around the name of the class folder, which is taken off: {images}"
        ));
    }
    problems.extend(size_problems(&classes, images.len() as u64));
    problems
}

/// An image, and its label where it has one.
struct LabelledImage {
    input: Input,
    label: Option<String>,
}

/// What looks wrong about images once they are read.
struct Found {
    problems: Vec<String>,
    repeats: Repeats,
}

impl Found {
    /// Decodes the images.
    fn in_images(images: &[LabelledImage]) -> Result<Self> {
        let inputs: Vec<&Input> = images.iter().map(|image| &image.input).collect();
        let transform = ImageTransform::new(Preprocessing::imagenet(8), None, 0, 0, 0);
        let prepared = transform.prepare(&inputs, Purpose::Inference, &mut |_| {})?;
        let named = prepared.unusable.iter().take(MOST_NAMED);
        let mut problems: Vec<String> = named.map(|(_, error)| format!("cannot be read: {error}")).collect();
        if let Some(more) = prepared.unusable.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
            problems.push(format!("cannot be read: {more} more; --on-bad-input skip leaves all of them out"));
        }
        let readable: Vec<&LabelledImage> =
            prepared.usable(images.len()).into_iter().filter_map(|place| images.get(place)).collect();
        // Beside images with labels, one without contradicts nothing.
        let has_labels = images.iter().any(|image| image.label.is_some());
        let contents = readable.iter().enumerate().map(|(index, image)| {
            let is_judged = image.label.is_some() || !has_labels;
            (is_judged.then(|| prepared.set.content(index)).flatten().ok_or(index), &image.label)
        });
        let repeats = repeats(contents);
        let pairs = |pairs: &[(usize, usize)], and: &str| {
            let name = |row: usize| readable.get(row).map_or(String::new(), |image| format!("`{}`", image.input));
            let named = pairs.iter().take(EXAMPLES).map(|&(row, earlier)| name(row) + and + &name(earlier));
            named.collect::<Vec<_>>().join(", ")
        };
        let counted = |count| units::counted(count, "image");
        if repeats.contradictions > 0 {
            let (count, examples) = (counted(repeats.contradictions), pairs(&repeats.contradicting_rows, " against "));
            problems.push(format!("{count} repeated with another label: {examples}; correct the wrong ones"));
        }
        if repeats.duplicates > 0 {
            let (count, examples) = (counted(repeats.duplicates), pairs(&repeats.duplicate_rows, " as "));
            problems.push(format!("{count} repeated: {examples}"));
        }
        Ok(Self { problems, repeats })
    }
}

/// Reads the images that a table names, and adds what looks wrong about them to the report on its rows.
///
/// # Errors
/// Interrupted.
pub fn add_images(report: &mut DataReport, table: &Path, options: &ReadOptions) -> Result<()> {
    let options = &ReadOptions { skip_bad_rows: true, ..options.clone() };
    let reader = RowReader::open(table, options)?;
    let log = reader.log();
    // What cannot be read or found is in the report.
    let Ok(columns) = resolve(reader.layout(), options, LabelColumn::Optional) else { return Ok(()) };
    let rows = reader.map_while(Result::ok).filter(|row| !log.leaves_out(row));
    let images: Vec<LabelledImage> = rows
        .filter_map(|row| {
            let label = columns.label_of(&row).ok().flatten().map(|label| label.name.into_owned());
            let label = label.filter(|label| !label.is_empty());
            Some(LabelledImage { input: columns.input_of(&row).ok()?, label })
        })
        .collect();
    let Found { problems, repeats } = Found::in_images(&images)?;
    (report.duplicates, report.contradictions) = (repeats.duplicates, repeats.contradictions);
    report.problems.splice(0..0, problems);
    Ok(())
}

impl ImagesReport {
    /// Whether nothing looks wrong.
    pub fn is_fine(&self) -> bool {
        self.problems.is_empty() && self.refusal.is_none()
    }
}

impl fmt::Display for ImagesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.folder, units::counted(self.images as u64, "image"))?;
        for (class, images) in &self.classes {
            write!(f, "\n  {class}  {}", units::count(*images))?;
        }
        for ignored in &self.ignored {
            write!(f, "\n  {ignored}")?;
        }
        if let Some(refusal) = &self.refusal {
            write!(f, "\n  cannot be trained on: {refusal}")?;
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}
