//! What each fuzz target does with its bytes: a file of a stranger is read as the program reads it, and used once. An
//! error is a right answer; a panic, an abort, endless time or memory is a finding.
//!
//! `tests/mutations.rs` runs the same functions on mutated fixtures, without a fuzzer. A fuzzer begins with the same
//! files: `cargo +nightly fuzz run tokenizer_json fuzz/corpus/tokenizer_json tests/fixtures/tokenizers/unigram`.

use std::fs;
use std::path::{Path, PathBuf};

use rehead::batch::ExampleSet;
use rehead::config::load as load_settings;
use rehead::data::{Input, ReadOptions, RowReader};
use rehead::image::{Limits, Preprocessing, decode_bytes};
use rehead::model::{Classifier, HeadRequest, InputSpec, LoadRequest, Pass, pytorch};
use rehead::transform::text::TextTokenizer;
use tch::{Device, Kind};
use tempfile::TempDir;

/// A target: its name, what it does, and the files that it begins with (in `tests/fixtures` of the project).
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: &'static [&'static str],
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "tokenizer_json",
        run: |bytes| tokenizer("tokenizer.json", bytes),
        seeds: &[
            "tokenizers/word_pieces/tokenizer.json",
            "tokenizers/byte_level_bpe/tokenizer.json",
            "tokenizers/unigram/tokenizer.json",
            "bert/classifier/tokenizer.json",
            "roberta/classifier/tokenizer.json",
            "albert/classifier/tokenizer.json",
            "eurobert/classifier/tokenizer.json",
        ],
    },
    Target {
        name: "sentencepiece",
        run: |bytes| tokenizer("tokenizer.model", bytes),
        seeds: &["tokenizers/sentencepiece_bpe/tokenizer.model", "tokenizers/sentencepiece_deberta/spm.model"],
    },
    Target { name: "vocab_txt", run: |bytes| tokenizer("vocab.txt", bytes), seeds: &["bert/gamma_beta/vocab.txt"] },
    Target {
        name: "tokenizer_config",
        run: tokenizer_config,
        seeds: &["bert/classifier/tokenizer_config.json", "tokenizers/unigram/tokenizer_config.json"],
    },
    Target {
        name: "config_json",
        run: |bytes| model("config.json", bytes),
        seeds: &["bert/classifier/config.json", "bert/sharded/config.json"],
    },
    Target {
        name: "safetensors",
        run: |bytes| model("model.safetensors", bytes),
        seeds: &["bert/classifier/model.safetensors"],
    },
    Target {
        name: "safetensors_index",
        run: |bytes| sharded("model.safetensors.index.json", bytes),
        seeds: &["bert/sharded/model.safetensors.index.json"],
    },
    Target {
        name: "pytorch",
        run: |bytes| drop(pytorch::read(bytes)),
        seeds: &[
            "pytorch/zip.bin",
            "pytorch/legacy.bin",
            "pytorch/protocol4.pt",
            "pytorch/training.pth",
            "pytorch/malicious.bin",
        ],
    },
    Target { name: "csv", run: |bytes| rows("rows.csv", bytes), seeds: &["loss_curve/train.csv"] },
    Target { name: "jsonl", run: |bytes| rows("rows.jsonl", bytes), seeds: &[] },
    Target { name: "json", run: |bytes| rows("rows.json", bytes), seeds: &[] },
    Target { name: "xlsx", run: |bytes| rows("rows.xlsx", bytes), seeds: &["blank_texts.xlsx"] },
    Target { name: "parquet", run: |bytes| rows("rows.parquet", bytes), seeds: &[] },
    Target { name: "arrow", run: |bytes| rows("rows.arrow", bytes), seeds: &[] },
    Target { name: "gzip", run: |bytes| rows("rows.csv.gz", bytes), seeds: &[] },
    Target { name: "zstd", run: |bytes| rows("rows.csv.zst", bytes), seeds: &[] },
    Target { name: "settings", run: settings, seeds: &[] },
    Target { name: "image", run: image, seeds: &[] },
    Target { name: "image_config", run: image_config, seeds: &[] },
];

/// Does what the target of this name does.
pub fn run(name: &str, bytes: &[u8]) {
    TARGETS.iter().filter(|target| target.name == name).for_each(|target| (target.run)(bytes));
}

/// The project's fixtures.
pub fn fixtures() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    [here.join("tests/fixtures"), here.join("../tests/fixtures")].into_iter().find(|at| at.is_dir()).unwrap_or_default()
}

/// A folder with this one file, and copies of a fixture's others.
fn folder(file: &str, bytes: &[u8], beside: Option<&str>) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for entry in beside.iter().flat_map(|fixture| fs::read_dir(fixtures().join(fixture)).expect("a fixture")) {
        let entry = entry.expect("a file");
        if !entry.file_name().to_string_lossy().starts_with("expected") {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("a copy");
        }
    }
    fs::write(folder.path().join(file), bytes).expect("a file");
    folder
}

/// Texts of what tokenizers treat in ways of their own.
fn texts() -> Vec<Input> {
    let texts =
        ["a good film", "", " \t\r\n ", "ﬁlm, e\u{301}clair — it's 12,345.67 [SEP] <mask> ##ing", "한국어 中文字 👩‍🚀"];
    let long = "xaxbxx aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ((((((((((((((( 1111111111111 ".repeat(8);
    let single = texts.iter().map(|text| Input::Text((*text).to_owned())).chain([Input::Text(long)]);
    single.chain([Input::Pair("the plot".to_owned(), "was bad".to_owned())]).collect()
}

fn tokenizer(file: &str, bytes: &[u8]) {
    let folder = folder(file, bytes, None);
    use_tokenizer(folder.path());
}

fn use_tokenizer(folder: &Path) {
    let Ok(tokenizer) = TextTokenizer::load(folder, 2000, 64, 2, Some(32)) else { return };
    let texts = texts();
    let set = tokenizer.tokenize(&texts);
    for input in &texts {
        let _ = tokenizer.spans(input);
    }
    let _ = tokenizer.language_fit(&texts.iter().collect::<Vec<_>>());
    let _ = (tokenizer.kind(), tokenizer.vocabulary_size(), tokenizer.identity(), tokenizer.stand_in());
    if set.is_ok() {
        let saved = tempfile::tempdir().expect("a temporary folder");
        let _ = tokenizer.save(saved.path());
    }
}

fn tokenizer_config(bytes: &[u8]) {
    for fixture in ["bert/classifier", "tokenizers/unigram"] {
        let folder = folder("tokenizer_config.json", bytes, Some(fixture));
        use_tokenizer(folder.path());
    }
}

fn model(file: &str, bytes: &[u8]) {
    use_model(folder(file, bytes, Some("bert/classifier")).path());
}

fn sharded(file: &str, bytes: &[u8]) {
    use_model(folder(file, bytes, Some("bert/sharded")).path());
}

fn use_model(folder: &Path) {
    let request = LoadRequest::plain(HeadRequest::FromCheckpoint);
    let Ok((classifier, _)) = Classifier::load(folder, &request) else { return };
    let InputSpec::Text { vocabulary, positions, segments } = classifier.input else { return };
    let Ok(tokenizer) = TextTokenizer::load(folder, vocabulary, positions, segments, None) else { return };
    let Ok(tokens) = tokenizer.tokenize(&texts()) else { return };
    let all: Vec<usize> = (0..tokens.set.len()).collect();
    if let Ok(batch) = tokens.set.batch(&all, Device::Cpu) {
        let _ = tch::no_grad(|| classifier.logits(&batch, Pass::evaluation(Kind::Float)));
    }
}

/// A data file: its rows to the end, with bad ones left out, and as they are.
fn rows(name: &str, bytes: &[u8]) {
    let folder = folder(name, bytes, None);
    for skip_bad_rows in [false, true] {
        let options = ReadOptions { skip_bad_rows, ..ReadOptions::default() };
        if let Ok(reader) = RowReader::open(&folder.path().join(name), &options) {
            reader.take(10_000).for_each(drop);
        }
    }
}

fn settings(bytes: &[u8]) {
    let folder = folder("run.toml", bytes, None);
    let _ = load_settings(&folder.path().join("run.toml"));
}

fn image(bytes: &[u8]) {
    // Few pixels, so that the time goes into many files.
    let _ = decode_bytes(bytes, &Limits { pixels: 1 << 20, ..Limits::default() });
}

fn image_config(bytes: &[u8]) {
    for name in ["config.json", "preprocessor_config.json"] {
        let _ = Preprocessing::of_directory(folder(name, bytes, None).path());
    }
}
