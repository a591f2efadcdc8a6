//! Good files of each kind, and how they are spoiled: JSON by its structure, everything by its bytes.

use std::fs;
use std::io::Cursor;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use image::{DynamicImage, ImageFormat, RgbImage};
use rehead::random::Random;
use serde_json::{Value, json};

use super::targets::{Target, fixtures};

const ROWS: &str = "text,label,id\n\"a \"\"good\"\" film\",pos,1\n\"two\nlines\",neg,2\nplain,pos,3\nümlaut,neg,4\n";

/// What a target begins with.
pub fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        target.seeds.iter().map(|name| fs::read(fixtures().join(name)).expect("a fixture")).collect();
    match target.name {
        "csv" => seeds.extend([ROWS.into(), ROWS.replace(',', "\t").into(), ROWS.replace('\n', "\r\n").into()]),
        "jsonl" => {
            seeds.push("{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"\\u00fc\", \"label\": [1, {}]}\n".into());
        }
        "json" => seeds.push(json!([{ "text": "a", "label": "x" }, { "text": "b", "label": null }]).to_string().into()),
        "parquet" => seeds.push(parquet()),
        "arrow" => seeds.push(arrow()),
        "gzip" => {
            let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut file, ROWS.repeat(20).as_bytes()).expect("a file");
            seeds.push(file.finish().expect("a file"));
        }
        "zstd" => seeds.push(zstd::encode_all(ROWS.repeat(20).as_bytes(), 3).expect("a file")),
        "settings" => seeds.push(
            "[data]\ntrain = 'a.csv'\n[model]\nmodel = 'm'\n[training]\nlr = 1e-5\nepochs = 2\n[run]\nout = 'r'\n"
                .into(),
        ),
        "image" => seeds.extend(images()),
        "image_config" => seeds.extend(image_configs()),
        _ => {}
    }
    seeds
}

fn batch() -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("text", Arc::new(StringArray::from(vec![Some("a good film"), None, Some("bad"), Some("bad")]))),
        ("label", Arc::new(StringArray::from(vec!["pos", "neg", "neg", "neg"]))),
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
    ];
    RecordBatch::try_from_iter(columns).expect("a table")
}

fn parquet() -> Vec<u8> {
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch().schema(), None).expect("a file");
    writer.write(&batch()).expect("rows");
    writer.into_inner().expect("a file")
}

fn arrow() -> Vec<u8> {
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batch().schema()).expect("a file");
    writer.write(&batch()).expect("rows");
    writer.into_inner().expect("a file")
}

fn images() -> Vec<Vec<u8>> {
    let rgb = RgbImage::from_fn(23, 17, |x, y| image::Rgb([(11 * x) as u8, (15 * y) as u8, (x * y) as u8]));
    let image = DynamicImage::ImageRgb8(rgb);
    let saved = |image: &DynamicImage, format: ImageFormat| {
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, format).expect("an image");
        file.into_inner()
    };
    let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tiff];
    let mut images: Vec<Vec<u8>> = formats.into_iter().map(|format| saved(&image, format)).collect();
    images.push(saved(&image, ImageFormat::WebP));
    let deep = DynamicImage::ImageRgb16(image.to_rgb16());
    images.extend([saved(&deep, ImageFormat::Png), saved(&deep, ImageFormat::Tiff)]);
    images.push(saved(&DynamicImage::ImageRgba8(image.to_rgba8()), ImageFormat::Bmp));
    images
}

fn image_configs() -> [Vec<u8>; 2] {
    let timm = json!({
        "architecture": "resnet18",
        "pretrained_cfg": {
            "input_size": [3, 32, 32], "crop_pct": 1.0, "interpolation": "bilinear",
            "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
        },
    });
    let transformers = json!({
        "do_resize": true, "size": { "shortest_edge": 32 }, "resample": 3, "do_center_crop": true,
        "crop_size": { "height": 32, "width": 32 }, "do_rescale": true, "rescale_factor": 0.00392,
        "do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "image_processor_type": "ConvNextImageProcessor",
    });
    [timm.to_string().into(), transformers.to_string().into()]
}

/// One of the seeds, changed in a few places.
pub fn mutated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = any(random, seeds).clone();
    if random.below(3) > 0
        && let (Ok(mut value), Ok(other)) =
            (serde_json::from_slice::<Value>(&bytes), serde_json::from_slice::<Value>(any::<Vec<u8>>(random, seeds)))
    {
        for _ in 0..=random.below(3) {
            change_value(random, &mut value, &other);
        }
        return value.to_string().into_bytes();
    }
    for _ in 0..=random.below(6) {
        let other = any(random, seeds);
        change_bytes(random, &mut bytes, other);
    }
    bytes
}

fn any<'a, T>(random: &mut Random, of: &'a [T]) -> &'a T {
    &of[random.below(of.len() as u64) as usize]
}

/// Replaces, removes or adds a value somewhere in `value`; `other` is another file, of which parts are taken.
fn change_value(random: &mut Random, value: &mut Value, other: &Value) {
    let part = descended(random, value);
    match random.below(8) {
        0 => {
            let mut from = other.clone();
            *part = descended(random, &mut from).clone();
        }
        1 => match part {
            Value::Array(items) if !items.is_empty() => {
                drop(items.swap_remove(random.below(items.len() as u64) as usize));
            }
            Value::Object(members) if !members.is_empty() => {
                let key = any(random, &members.keys().cloned().collect::<Vec<_>>()).clone();
                members.shift_remove(&key);
            }
            other => *other = Value::Null,
        },
        2 => match part {
            Value::Array(items) if !items.is_empty() && items.len() < 5000 => {
                let again = any(random, items).clone();
                items.extend(vec![again; 1 + random.below(40) as usize]);
            }
            Value::Object(members) => drop(members.insert("another".to_owned(), strange(random))),
            Value::Number(number) => *part = json!(number.as_f64().unwrap_or(0.0) * -1000.5),
            Value::String(text) => *text = text.repeat(random.below(4) as usize),
            _ => *part = json!([strange(random)]),
        },
        _ => *part = strange(random),
    }
}

/// A part of `value`, at any depth.
fn descended<'a>(random: &mut Random, mut value: &'a mut Value) -> &'a mut Value {
    loop {
        let members = match &*value {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        };
        if members == 0 || random.below(6) == 0 {
            return value;
        }
        let at = random.below(members as u64) as usize;
        value = match value {
            Value::Array(items) => &mut items[at],
            Value::Object(members) => members.values_mut().nth(at).expect("a member"),
            other => return other,
        };
    }
}

fn strange(random: &mut Random) -> Value {
    const TEXTS: &[&str] = &[
        "",
        "[UNK]",
        "[CLS]",
        "<s>",
        "\u{0}",
        "a",
        " ",
        "\u{1b}[31m",
        "../../etc/passwd",
        "/etc/passwd",
        "Sequence",
        "Replace",
        "ByteLevel",
        "Metaspace",
        "BPE",
        "Unigram",
        "WordPiece",
        "WordLevel",
        "TemplateProcessing",
        "relu",
        "(x+x+)+y",
        "(a|aa)+$",
        "(?=(x+x+)+y)?.",
        "((((a{1,1000}){1,1000}){1,1000}){1,1000})b",
        "(?<n>x\\g<n>?x?)+y",
        "(",
        "\\p{L}+",
        "(?:)*",
        "A:0",
        "$B:1",
        "bert",
        "roberta",
        "float16",
        "NaN",
        "🙂",
        "##",
        "\u{2581}",
    ];
    match random.below(8) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(any(random, &[0_i64, 1, -1, 2, 255, 256, 65_535, 1 << 31, u32::MAX.into(), i64::MAX, i64::MIN])),
        3 => json!(u64::MAX),
        4 => json!(any(random, &[0.5, -0.5, 1e-300, 1e300, 1e19, 0.1])),
        5 => json!([]),
        6 => json!({}),
        _ => json!(any(random, TEXTS)),
    }
}

fn change_bytes(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let length = bytes.len() as u64;
    let at = random.below(length.max(1)) as usize;
    // What is wrong at the beginning matters most often.
    let at = if random.below(2) == 0 { at.min(random.below(64) as usize) } else { at };
    if at >= bytes.len() {
        return bytes.push(random.below(256) as u8);
    }
    match random.below(8) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.below(256) as u8,
        3 => bytes[at] = *any(random, &[0, 1, 0x7f, 0x80, 0xff, b'"', b',', b'\n', b'{', b'[', 0x1b]),
        4 => {
            let end = bytes.len().min(at + random.below(64) as usize);
            bytes.drain(at..end);
        }
        5 => {
            let again = bytes[at..bytes.len().min(at + 64)].to_vec();
            bytes.splice(at..at, again);
        }
        6 => {
            let width = *any(random, &[2, 4, 8]);
            let number = *any(random, &[0, 1, u64::MAX, 0x7fff_ffff, 0xffff_ffff, 0x1_0000, 13_300, length]);
            let number = if random.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
            let end = bytes.len().min(at + width);
            let start = if random.below(2) == 0 { 0 } else { 8 - width };
            bytes[at..end].copy_from_slice(&number[start..start + end - at]);
        }
        _ => {
            let from = random.below(other.len().max(1) as u64) as usize;
            let end = other.len().min(from + random.below(256) as usize);
            bytes.splice(at..at, other[from.min(end)..end].iter().copied());
        }
    }
}
