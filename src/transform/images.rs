//! The images of a data set as examples: each is decoded once, to find those that cannot be, and cached in memory as
//! far as the budget allows.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::batch::ExampleSet;
use crate::batch::images::{CachedImage, FixedViews, ImageFile, ImageSet};
use crate::batch::memory_budget::{MemoryBudget, Reservation};
use crate::console::units::counted;
use crate::data::Input;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::image::{Augmentation, Image, Limits, Preprocessing, decode_bytes_for, prepare};
use crate::interrupt;
use crate::transform::prepared::{Prepared, Purpose};
use crate::transform::unread::Unread;

/// How images become examples.
pub struct ImageTransform {
    /// How pixels become what the network sees: size, crop, mean and std.
    pub preprocessing: Preprocessing,
    /// Applied to the images that are trained on.
    pub augmentation: Option<Augmentation>,
    /// How many augmented views take the place of each training image; 0: every epoch has views of its own.
    pub views: usize,
    /// Seed of the augmentation's random draws.
    pub seed: u64,
    /// Larger images are unusable.
    pub limits: Limits,
    budget: MemoryBudget,
}

/// How many images are read between two checks for an interruption.
const CHUNK: usize = 256;

impl ImageTransform {
    /// At most `memory` bytes are used to cache images.
    pub fn new(
        preprocessing: Preprocessing,
        augmentation: Option<Augmentation>,
        views: usize,
        seed: u64,
        memory: u64,
    ) -> Self {
        let budget = MemoryBudget::of(memory);
        Self { preprocessing, augmentation, views, seed, limits: Limits::default(), budget }
    }

    /// Changes when the same files would become other examples.
    pub fn identity(&self, purpose: Purpose) -> String {
        let drawn = self.augmentation.as_ref().filter(|_| purpose == Purpose::Training);
        format!("{:?} {:?}", self.preprocessing, drawn.map(|augmentation| (augmentation, self.views, self.seed)))
    }

    /// Decodes every image; `watch` is called with how many each time. Those that cannot be decoded are unusable.
    pub fn prepare(&self, inputs: &[&Input], purpose: Purpose, watch: &mut dyn FnMut(usize)) -> Result<Prepared> {
        let augmentation = self.augmentation.clone().filter(|_| purpose == Purpose::Training);
        let reservation = self.budget.reservation();
        let (mut files, mut unusable) = (Vec::with_capacity(inputs.len()), Vec::new());
        for (chunk, inputs) in inputs.chunks(CHUNK).enumerate() {
            if interrupt::requested() {
                return Err(Error::interrupted("while reading the images"));
            }
            let read: Vec<Result<ImageFile>> =
                inputs.par_iter().map(|input| self.read(input, augmentation.is_some(), &reservation)).collect();
            for (index, file) in read.into_iter().enumerate() {
                match file {
                    Ok(file) => files.push(file),
                    Err(error) => unusable.push((chunk * CHUNK + index, error)),
                }
            }
            watch(inputs.len());
        }
        let cached = files.iter().filter(|file| !matches!(file.cached, CachedImage::Absent)).count();
        let (height, width) = self.preprocessing.output();
        let mut statistics = format!("{}, seen as {height} × {width} pixels", counted(files.len() as u64, "image"));
        if cached < files.len() {
            statistics.push_str(&format!("; {cached} of them cached in memory"));
        }
        if !unusable.is_empty() {
            statistics.push_str(&format!("; {} that cannot be read left out", unusable.len()));
        }
        let (preprocessing, seed, limits) = (self.preprocessing, self.seed, self.limits.clone());
        let augmented = augmentation.is_some();
        let images = ImageSet { files, preprocessing, augmentation, seed, limits, reservation };
        let set: Arc<dyn ExampleSet> = match self.views {
            views if augmented && views > 0 => {
                statistics.push_str(&format!("; {} of each", counted(views as u64, "view")));
                Arc::new(FixedViews { images, views })
            }
            _ => Arc::new(images),
        };
        Ok(Prepared { set, unusable, statistics, unread: Unread::default() })
    }

    fn read(&self, input: &Input, augmented: bool, reservation: &Reservation) -> Result<ImageFile> {
        let Input::Image(path) = input else {
            return Err(Error::request("this model reads images, and this is a text"));
        };
        let bytes = std::fs::read(path).map_err(|error| Error::io(error, path))?;
        let mut hash = Fingerprint::default();
        hash.bytes(&bytes);
        let cached = self.cached(&bytes, path, augmented, reservation)?;
        Ok(ImageFile { path: path.clone(), hash: hash.finish(), cached })
    }

    /// Decodes an image, and keeps of it what its set reads again and again, if the budget has room for that.
    fn cached(&self, bytes: &[u8], path: &Path, augmented: bool, reservation: &Reservation) -> Result<CachedImage> {
        let kept = |image: Image| {
            if augmented {
                let fits = reservation.try_take(image.pixels.len());
                return Ok(if fits { CachedImage::Decoded(image) } else { CachedImage::Absent });
            }
            let pixels = prepare(&image, &self.preprocessing)?;
            let fits = reservation.try_take(pixels.len());
            Ok(if fits { CachedImage::Prepared(pixels) } else { CachedImage::Absent })
        };
        decode_bytes_for(bytes, &self.limits, kept).map_err(|error| error.file(path))
    }
}
