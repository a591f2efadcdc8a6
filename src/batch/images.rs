//! Images as examples: decoded and resized in parallel. A batch of them becomes a tensor in [`super::pixels`].
//!
//! What happens to a single image is decided by [`crate::image`]; which images are cached, by whoever builds the set.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::batch::contract::{Contents, ExampleSet, Loaded, View};
use crate::batch::memory_budget::Reservation;
use crate::batch::pixels::PixelArray;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::image::{self, Augmentation, Image, Limits, Preprocessing};
use crate::random::Random;

/// What is kept in memory of an image.
pub enum CachedImage {
    /// Nothing: the file is decoded each time.
    Absent,
    /// The decoded pixels, from which augmentation makes the network's input.
    Decoded(Image),
    /// What the network sees of it: `height · width · 3` bytes.
    Prepared(Vec<u8>),
}

/// One image of a set.
pub struct ImageFile {
    /// The file that is decoded whenever nothing of it is cached.
    pub path: PathBuf,
    /// A hash of the file's content.
    pub hash: String,
    /// What a load need not do again.
    pub cached: CachedImage,
}

/// The images of a split.
pub struct ImageSet {
    /// In the order of the examples.
    pub files: Vec<ImageFile>,
    /// The size that the network sees, and the mean and std that pixels are normalised with.
    pub preprocessing: Preprocessing,
    /// In training; `None` shows the images as they are.
    pub augmentation: Option<Augmentation>,
    /// Seed of the augmentation's random draws.
    pub seed: u64,
    /// Larger images are refused when a load decodes them.
    pub limits: Limits,
    /// The memory that the cached images take.
    pub reservation: Reservation,
}

impl ImageSet {
    /// What the network sees of image `index`: `height · width · 3` bytes.
    fn pixels(&self, index: usize, view: View) -> Result<Cow<'_, [u8]>> {
        let file = self.files.get(index).ok_or_else(|| Error::failure("the set has no such image"))?;
        let augmentation = match view {
            View::Training { epoch } => self.augmentation.as_ref().map(|augmentation| (augmentation, epoch)),
            View::Plain => None,
        };
        let shown = |image: &Image| match augmentation {
            Some((augmentation, epoch)) => {
                let mut random = Random::of(&[self.seed, epoch, index as u64]);
                image::augment(image, &self.preprocessing, augmentation, &mut random)
            }
            None => image::prepare(image, &self.preprocessing),
        };
        let pixels = match (&file.cached, augmentation) {
            (CachedImage::Prepared(pixels), None) => return Ok(Cow::Borrowed(pixels)),
            (CachedImage::Decoded(image), _) => shown(image),
            _ => image::decode_for(&file.path, &self.limits, |image| shown(&image)),
        };
        pixels.map(Cow::Owned).map_err(|error| error.file(&file.path))
    }
}

impl ImageSet {
    /// A batch of examples; `image_of` gives the image and the view of an example.
    fn load_each(&self, examples: &[usize], image_of: impl Fn(usize) -> (usize, View) + Sync) -> Result<Loaded> {
        let (height, width) = self.preprocessing.output();
        let size = 3 * height as usize * width as usize;
        let mut bytes = vec![0u8; size * examples.len()];
        bytes.par_chunks_exact_mut(size.max(1)).zip(examples).try_for_each(|(into, &example)| {
            let (index, view) = image_of(example);
            let pixels = self.pixels(index, view)?;
            if pixels.len() != size {
                return Err(Error::failure("an image was prepared for another size"));
            }
            into.copy_from_slice(&pixels);
            Ok(())
        })?;
        let Preprocessing { mean, std, .. } = self.preprocessing;
        let shape = [examples.len() as i64, i64::from(height), i64::from(width), 3];
        Ok(Loaded { examples: examples.to_vec(), contents: Contents::Pixels(PixelArray { bytes, shape, mean, std }) })
    }
}

impl ExampleSet for ImageSet {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn cost(&self, _index: usize) -> usize {
        1
    }

    fn unit(&self) -> &'static str {
        "images"
    }

    fn representatives(&self) -> Vec<usize> {
        let mut first_of = HashMap::with_capacity(self.len());
        self.files.iter().enumerate().map(|(index, file)| *first_of.entry(&file.hash).or_insert(index)).collect()
    }

    fn content(&self, index: usize) -> Option<&str> {
        self.files.get(index).map(|file| file.hash.as_str())
    }

    fn add_to(&self, hash: &mut Fingerprint) {
        hash.bytes(format!("{:?}", self.preprocessing));
        for file in &self.files {
            hash.bytes(&file.hash);
        }
    }

    fn load(&self, examples: &[usize], view: View) -> Result<Loaded> {
        self.load_each(examples, |example| (example, view))
    }

    fn is_slow_to_load(&self) -> bool {
        true
    }
}

/// Each image of a set in several augmented views that stay the same in every epoch: all images in their first view,
/// then all in their second, and so on.
pub struct FixedViews {
    /// What the views are made of; its augmentation draws them.
    pub images: ImageSet,
    /// Views of each image; the example of image `i` in view `v` is `v · images + i`.
    pub views: usize,
}

impl ExampleSet for FixedViews {
    fn len(&self) -> usize {
        self.images.len() * self.views
    }

    fn cost(&self, _index: usize) -> usize {
        1
    }

    fn unit(&self) -> &'static str {
        self.images.unit()
    }

    fn content(&self, index: usize) -> Option<&str> {
        self.images.content(index % self.images.len().max(1))
    }

    fn add_to(&self, hash: &mut Fingerprint) {
        hash.bytes(format!("{} {:?} {}", self.views, self.images.augmentation, self.images.seed));
        self.images.add_to(hash);
    }

    fn load(&self, examples: &[usize], _view: View) -> Result<Loaded> {
        let count = self.images.len().max(1);
        self.images.load_each(examples, |example| (example % count, View::Training { epoch: (example / count) as u64 }))
    }

    fn is_slow_to_load(&self) -> bool {
        true
    }
}
