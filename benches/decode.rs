//! Turns image files into the pixels that a network sees, on one thread, and compares the time with that of PIL and
//! torchvision's transforms. Both decode each file, resize the shorter side to 256 pixels and crop the middle 224. They
//! take turns; medians of the turns are compared. Prints JSON; a ratio says how many times as long PIL takes.
//!
//!     cargo bench --bench decode -- --input FOLDER

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Parser;
use rehead::image::{Interpolation, Limits, Preprocessing, Resize, decode_bytes, prepare};
use serde_json::{Map, Value, json};
use walkdir::WalkDir;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
struct Args {
    /// Folder of images
    #[arg(long)]
    input: PathBuf,
    /// Folder of Python packages; without PIL there, only rehead is measured
    #[arg(long, default_value = ".python")]
    packages: PathBuf,
    #[arg(long, default_value_t = 7)]
    repeats: usize,
    /// An option that cargo passes
    #[arg(long, hide = true)]
    bench: bool,
}

/// Seconds by part of the work.
type Seconds = BTreeMap<&'static str, f64>;

/// The file name extensions that the peer reads, too.
const ENDINGS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"];

const PARTS: [&str; 3] = ["decode", "prepare", "both"];

fn ours(files: &[Vec<u8>]) -> Result<Seconds, Failure> {
    let preprocessing = Preprocessing {
        resize: Resize::Shortest(256),
        crop: (224, 224),
        interpolation: Interpolation::Bilinear,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    let (mut decoding, mut preparing) = (0.0, 0.0);
    for bytes in files {
        let start = Instant::now();
        let image = decode_bytes(bytes, &Limits::default())?;
        let middle = Instant::now();
        black_box(prepare(&image, &preprocessing)?);
        decoding += (middle - start).as_secs_f64();
        preparing += middle.elapsed().as_secs_f64();
    }
    Ok(PARTS.into_iter().zip([decoding, preparing, decoding + preparing]).collect())
}

/// One repeat in its own process, which warms up first.
fn pil(args: &Args) -> Result<Seconds, Failure> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/decode.py");
    let done = Command::new("python3")
        .env("PYTHONPATH", &args.packages)
        .env("OMP_NUM_THREADS", "1")
        .arg(script)
        .arg("--input")
        .arg(&args.input)
        .args(["--repeats", "1"])
        .output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    let report: Value = serde_json::from_slice(&done.stdout)?;
    let seconds = |part| report["repeats"][0][part].as_f64().ok_or("the peer reports no seconds");
    PARTS.into_iter().map(|part| Ok((part, seconds(part)?))).collect()
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let is_image = |path: &Path| {
        path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
    };
    let paths: Vec<PathBuf> = WalkDir::new(&args.input)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.map(walkdir::DirEntry::into_path))
        .collect::<Result<_, _>>()?;
    let files: Vec<Vec<u8>> =
        paths.iter().filter(|path| is_image(path)).map(std::fs::read).collect::<Result<_, _>>()?;
    let with_pil = args.packages.join("PIL").is_dir();
    if !with_pil {
        eprintln!("PIL is not measured: {} does not exist", args.packages.join("PIL").display());
    }
    ours(&files)?;
    let (mut our_turns, mut their_turns) = (Vec::new(), Vec::new());
    for _ in 0..args.repeats.max(1) {
        our_turns.push(ours(&files)?);
        if with_pil {
            their_turns.push(pil(&args)?);
        }
    }
    let mut results = Map::new();
    for part in PARTS {
        let rate = |turns: &[Seconds]| files.len() as f64 / median(turns, part);
        let mut rates = json!({ "rehead_images_per_second": rate(&our_turns) });
        if with_pil {
            rates["pil_images_per_second"] = json!(rate(&their_turns));
            rates["ratio"] = json!(rate(&our_turns) / rate(&their_turns));
        }
        results.insert(part.to_owned(), rates);
    }
    let report = json!({ "input": args.input, "images": files.len(), "threads": 1, "results": results });
    println!("{report:#}");
    Ok(())
}

fn median(turns: &[Seconds], part: &str) -> f64 {
    let mut values: Vec<f64> = turns.iter().filter_map(|turn| turn.get(part).copied()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
