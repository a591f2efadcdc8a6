//! The images of a data set as examples: each decoded once to see whether it can be, and kept in memory while there is room.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::batch::ExampleSet;
use crate::batch::pixels::{ImageFile, ImageSet, Kept, Views};
use crate::data::Input;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::image::{Augmentation, Limits, Preprocessing, decode_bytes, prepare};
use crate::interrupt;
use crate::transform::{Prepared, Purpose};

/// How images become examples.
pub struct ImageTransform {
    pub how: Preprocessing,
    /// Of those that are trained on.
    pub augmentation: Option<Augmentation>,
    /// How many varied views of an image take its place there; 0: every epoch has another.
    pub views: usize,
    /// Of what augmentation draws.
    pub seed: u64,
    pub limits: Limits,
    /// Bytes of memory that are left for images.
    room: Arc<AtomicU64>,
}

/// Memory that the images of a set take, given back with the set.
pub struct Room {
    left: Arc<AtomicU64>,
    taken: AtomicU64,
}

impl Room {
    /// Whether there is room for so many bytes; then they are taken.
    fn takes(&self, bytes: usize) -> bool {
        let left = |room: u64| room.checked_sub(bytes as u64);
        let fits = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok();
        if fits {
            self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        fits
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.left.fetch_add(*self.taken.get_mut(), Ordering::Relaxed);
    }
}

/// Images between two looks at whether the person wants to stop.
const STRETCH: usize = 256;

impl ImageTransform {
    /// `memory` bytes may be used to keep images.
    pub fn new(how: Preprocessing, augmentation: Option<Augmentation>, views: usize, seed: u64, memory: u64) -> Self {
        Self { how, augmentation, views, seed, limits: Limits::default(), room: Arc::new(AtomicU64::new(memory)) }
    }

    /// Changes when the same files would become other examples.
    pub fn identity(&self, purpose: Purpose) -> String {
        let drawn = self.augmentation.as_ref().filter(|_| purpose == Purpose::Training);
        format!("{:?} {:?}", self.how, drawn.map(|augmentation| (augmentation, self.views, self.seed)))
    }

    /// Decodes every image; `watch` is told how many each time. Those that cannot be decoded are unusable.
    pub fn prepare(&self, inputs: &[&Input], purpose: Purpose, watch: &mut dyn FnMut(usize)) -> Result<Prepared> {
        let augmentation = self.augmentation.clone().filter(|_| purpose == Purpose::Training);
        let room = Room { left: Arc::clone(&self.room), taken: AtomicU64::new(0) };
        let (mut files, mut unusable) = (Vec::with_capacity(inputs.len()), Vec::new());
        for (stretch, inputs) in inputs.chunks(STRETCH).enumerate() {
            if interrupt::requested() {
                return Err(Error::interrupted("while reading the images"));
            }
            let read: Vec<Result<ImageFile>> =
                inputs.par_iter().map(|input| self.read(input, augmentation.is_some(), &room)).collect();
            for (index, file) in read.into_iter().enumerate() {
                match file {
                    Ok(file) => files.push(file),
                    Err(error) => unusable.push((stretch * STRETCH + index, error)),
                }
            }
            watch(inputs.len());
        }
        let kept = files.iter().filter(|file| !matches!(file.kept, Kept::Nothing)).count();
        let (height, width) = self.how.output();
        let mut statistics = format!("{} images, seen as {height} × {width} pixels", files.len());
        if kept < files.len() {
            statistics.push_str(&format!("; {kept} of them kept in memory"));
        }
        let (how, seed, limits) = (self.how, self.seed, self.limits.clone());
        let varied = augmentation.is_some();
        let images = ImageSet { files, how, augmentation, seed, limits, _room: room };
        let set: Arc<dyn ExampleSet> = match self.views {
            views if varied && views > 0 => {
                statistics.push_str(&format!("; {views} views of each"));
                Arc::new(Views { images, views })
            }
            _ => Arc::new(images),
        };
        Ok(Prepared { set, unusable, statistics })
    }

    fn read(&self, input: &Input, augmented: bool, room: &Room) -> Result<ImageFile> {
        let Input::Image(path) = input else {
            return Err(Error::request("this model reads images, and this is a text"));
        };
        let bytes = std::fs::read(path).map_err(|error| Error::io(error, path))?;
        let mut hash = Fingerprint::default();
        hash.bytes(&bytes);
        let kept = self.kept(&bytes, path, augmented, room)?;
        Ok(ImageFile { path: path.clone(), hash: hash.finish(), kept })
    }

    fn kept(&self, bytes: &[u8], path: &Path, augmented: bool, room: &Room) -> Result<Kept> {
        let image = decode_bytes(bytes, &self.limits).map_err(|error| error.file(path))?;
        if augmented {
            return Ok(if room.takes(image.pixels.len()) { Kept::Decoded(image) } else { Kept::Nothing });
        }
        let pixels = prepare(&image, &self.how).map_err(|error| error.file(path))?;
        Ok(if room.takes(pixels.len()) { Kept::Prepared(pixels) } else { Kept::Nothing })
    }
}
