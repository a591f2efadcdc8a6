//! Images decoded, resized, cropped and augmented as PIL, torchvision and timm do it (needs Python's packages: `make
//! test` puts them into .python); damaged files, and files that are no images.

#[path = "support/python.rs"]
mod support;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::{ImageFormat, Rgb, RgbImage};
use rehead::image::operations::Operation;
use rehead::image::{Area, Image, Interpolation, Limits, Preprocessing, Resize};
use rehead::image::{decode, decode_bytes, prepare, resize, resize_part};
use serde_json::{Value, json};
use support::python;

/// What tests/python/make_images.py makes.
struct Made {
    directory: PathBuf,
    index: Value,
}

impl Made {
    /// Made once for all tests.
    fn once() -> Option<&'static Self> {
        static MADE: OnceLock<Option<Made>> = OnceLock::new();
        MADE.get_or_init(Self::make).as_ref()
    }

    fn make() -> Option<Self> {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        python("timm", "make_images.py", [&directory])?;
        let index = std::fs::read(directory.join("index.json")).expect("an index");
        Some(Self { index: serde_json::from_slice(&index).expect("JSON"), directory })
    }

    fn entries(&self, kind: &str) -> &[Value] {
        let entries = self.index[kind].as_array().map_or(&[][..], Vec::as_slice);
        assert!(!entries.is_empty(), "{kind}");
        entries
    }

    fn file(&self, entry: &Value, key: &str) -> PathBuf {
        self.directory.join(entry[key].as_str().expect("a name"))
    }

    fn image(&self, entry: &Value) -> Image {
        let pixels = std::fs::read(self.file(entry, "pixels")).expect("pixels");
        Image { height: number(&entry["height"]), width: number(&entry["width"]), pixels }
    }
}

fn number(value: &Value) -> u32 {
    value.as_u64().expect("a number") as u32
}

/// The mean and the largest difference of levels.
fn differences(ours: &Image, theirs: &Image) -> (f64, u8) {
    assert_eq!((ours.height, ours.width, ours.pixels.len()), (theirs.height, theirs.width, theirs.pixels.len()));
    let differences = ours.pixels.iter().zip(&theirs.pixels).map(|(ours, theirs)| ours.abs_diff(*theirs));
    let sum: f64 = differences.clone().map(f64::from).sum();
    (sum / ours.pixels.len() as f64, differences.max().unwrap_or(0))
}

#[test]
fn every_kind_of_image_is_what_pil_makes_of_it() {
    let Some(made) = Made::once() else { return };
    let (mut mean, mut most) = (0.0f64, 0);
    for entry in made.entries("decoded") {
        let file = made.file(entry, "file");
        let ours = decode(&file, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
        let (mean_here, most_here) = differences(&ours, &made.image(entry));
        match entry["lossy"] == true {
            // Decoders of JPEG may round differently; measured: a mean of 0.45 and at most 9 levels.
            true => assert!(mean_here <= 0.6 && most_here <= 12, "{}: {mean_here} {most_here}", file.display()),
            false => assert_eq!(most_here, 0, "{}", file.display()),
        }
        (mean, most) = (mean.max(mean_here), most.max(most_here));
    }
    println!("lossy formats: mean difference at most {mean:.3}, largest {most}");
}

#[test]
fn resizing_is_pils() {
    let Some(made) = Made::once() else { return };
    for entry in made.entries("resized") {
        let source = made.image(&entry["source"]);
        let interpolation: Interpolation = serde_json::from_value(entry["interpolation"].clone()).expect("a filter");
        let edges = entry["box"].as_array().map(|edges| edges.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
        let from = match edges.as_deref() {
            Some(&[left, top, right, bottom]) => Area { top, left, height: bottom - top, width: right - left },
            _ => Area::all(&source),
        };
        let theirs = made.image(entry);
        let ours = resize(&source, (theirs.height, theirs.width), interpolation, from).expect("resized");
        assert_eq!(differences(&ours, &theirs).1, 0, "{entry}");
    }
}

#[test]
fn preparing_is_torchvisions_and_timms() {
    let Some(made) = Made::once() else { return };
    for entry in made.entries("prepared") {
        let mut settings = entry["preprocessing"].clone();
        settings["mean"] = json!([0.485, 0.456, 0.406]);
        settings["std"] = json!([0.229, 0.224, 0.225]);
        let preprocessing: Preprocessing = serde_json::from_value(settings).expect("settings");
        let theirs = made.image(entry);
        let pixels = prepare(&made.image(&entry["source"]), &preprocessing).expect("prepared");
        assert_eq!(preprocessing.output(), (theirs.height, theirs.width));
        assert_eq!(differences(&Image { pixels, ..theirs.clone() }, &theirs).1, 0, "{entry}");
    }
}

/// `RandomResizedCrop` resizes a part as if nothing lay around it.
#[test]
fn parts_are_resized_as_torchvision_does() {
    let Some(made) = Made::once() else { return };
    for entry in made.entries("parts") {
        let source = made.image(&entry["source"]);
        let interpolation: Interpolation = serde_json::from_value(entry["interpolation"].clone()).expect("a filter");
        let [top, left, height, width] = [0, 1, 2, 3].map(|at| number(&entry["window"][at]));
        let theirs = made.image(entry);
        let ours = resize_part(&source, (top, left), (height, width), (theirs.height, theirs.width), interpolation)
            .expect("resized");
        assert_eq!(differences(&ours, &theirs).1, 0, "{entry}");
    }
}

#[test]
fn operations_are_torchvisions() {
    let Some(made) = Made::once() else { return };
    for entry in made.entries("operations") {
        let operation: Operation = serde_json::from_value(entry["operation"].clone()).expect("an operation");
        let mut image = made.image(&entry["source"]);
        operation.apply(&mut image);
        assert_eq!(differences(&image, &made.image(entry)).1, 0, "{operation:?}");
    }
}

const FORMATS: [ImageFormat; 6] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff];

/// A picture in a format.
fn encoded(format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(61, 47, |x, y| Rgb([(x * 4) as u8, (y * 5) as u8, (x * y % 251) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("written");
    bytes.into_inner()
}

/// A decoder's answer to these bytes in a file: never a panic, and an error names the file and says what to do.
fn answer(bytes: &[u8], file: &Path) -> Option<Image> {
    std::fs::write(file, bytes).expect("written");
    match decode(file, &Limits::default()) {
        Ok(image) => {
            assert_eq!(image.pixels.len(), 3 * image.height as usize * image.width as usize);
            Some(image)
        }
        Err(error) => {
            assert!(error.to_string().starts_with(&format!("{}: ", file.display())), "{error}");
            assert!(error.hint_text().is_some(), "{error}");
            assert_eq!(error.exit_status(), 2, "{error}");
            None
        }
    }
}

#[test]
fn files_that_are_cut_short_are_errors() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("image");
    for format in FORMATS {
        let bytes = encoded(format);
        assert!(answer(&bytes, &file).is_some(), "{format:?}");
        for tenth in 0..10 {
            let cut = bytes.get(..bytes.len() * tenth / 10).expect("a part");
            assert!(answer(cut, &file).is_none(), "{format:?} {tenth}");
        }
    }
    // PIL wants the marker of the end.
    let jpeg = encoded(ImageFormat::Jpeg);
    assert!(answer(&jpeg[..jpeg.len() - 1], &file).is_none());
    assert!(answer(&[&jpeg[..], &[0; 40]].concat(), &file).is_some());
}

#[test]
fn damaged_files_are_errors_or_images() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("image");
    let mut random = rehead::random::Random::new(20);
    for format in FORMATS {
        let sound = encoded(format);
        let mut decoded = 0;
        for _ in 0..400 {
            let mut bytes = sound.clone();
            // Half of the time the header, where the sizes are.
            let reach = if random.below(2) == 0 { 64 } else { bytes.len() as u64 };
            for _ in 0..=random.below(6) {
                let at = random.below(reach) as usize;
                bytes[at] = random.next_u64() as u8;
            }
            decoded += usize::from(answer(&bytes, &file).is_some());
        }
        println!("{format:?}: {decoded} of 400 damaged files can still be decoded");
    }
}

#[test]
fn what_is_no_image_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("photo.jpg");
    for bytes in
        [&b""[..], b"text,label\n", &[0; 100], &[0xFF, 0xD8, 0xFF], b"GIF89a", b"BM", b"II*\0", b"RIFF    WEBP"]
    {
        assert!(answer(bytes, &file).is_none());
    }
    let error = decode(&directory.path().join("absent.png"), &Limits::default()).expect_err("absent");
    assert!(error.to_string().contains("absent.png"), "{error}");
    assert!(decode(directory.path(), &Limits::default()).is_err());
}

/// A header that claims more pixels than there is memory for, before a byte is allocated.
#[test]
fn absurd_sizes_are_refused_from_the_header() {
    let patched = |format, changes: &[(usize, &[u8])]| {
        let mut bytes = encoded(format);
        for (at, change) in changes {
            bytes[*at..at + change.len()].copy_from_slice(change);
        }
        bytes
    };
    let side = 100_000u32;
    let mut header = [&b"IHDR"[..], &side.to_be_bytes(), &side.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let mut checksum = flate2::Crc::new();
    checksum.update(&header);
    header.extend(checksum.sum().to_be_bytes());
    let png = patched(ImageFormat::Png, &[(12, &header)]);
    let side = 60_000u32.to_le_bytes();
    let bmp = patched(ImageFormat::Bmp, &[(18, &side), (22, &side)]);
    let gif = patched(ImageFormat::Gif, &[(6, &[0xFF; 4])]);
    let jpeg = encoded(ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("a frame");
    let jpeg = patched(ImageFormat::Jpeg, &[(frame + 5, &[0xFF; 4])]);
    for bytes in [png, bmp, gif, jpeg] {
        let error = decode_bytes(&bytes, &Limits::default()).expect_err("too large");
        assert!(error.to_string().contains(" × "), "{error}");
        assert!(error.hint_text().is_some());
    }
    // Within the number of pixels, and yet too much: eight bytes a pixel.
    let mut header = [&b"IHDR"[..], &13_300u32.to_be_bytes(), &13_300u32.to_be_bytes(), &[16, 6, 0, 0, 0]].concat();
    let mut checksum = flate2::Crc::new();
    checksum.update(&header);
    header.extend(checksum.sum().to_be_bytes());
    let error = decode_bytes(&patched(ImageFormat::Png, &[(12, &header)]), &Limits::default()).expect_err("too large");
    assert!(error.to_string().ends_with("13300 × 13300 pixels takes 1350 MB; 1024 MB are the most"), "{error}");
    let sound = encoded(ImageFormat::Png);
    assert!(decode_bytes(&sound, &Limits { pixels: 61 * 47, ..Limits::default() }).is_ok());
    assert!(decode_bytes(&sound, &Limits { pixels: 61 * 47 - 1, ..Limits::default() }).is_err());
}

/// A thin image may be resized to millions of columns of which the crop shows few.
#[test]
fn only_what_is_shown_is_resized() {
    let preprocessing = Preprocessing {
        resize: Resize::Shortest(256),
        crop: (224, 224),
        interpolation: Interpolation::Lanczos,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    let pixels = prepare(&Image::black(1, 60_000), &preprocessing).expect("prepared");
    assert_eq!(pixels.len(), 3 * 224 * 224);
}
