//! Compares rehead's tokenising with the `tokenizers` crate, called directly: they take turns in the same process, with
//! the same texts and threads. Prints JSON. The crate's time is that of the call alone; rehead's includes putting the
//! ids into the flat array that batches are made from.
//!
//!     cargo bench --bench tokenise -- --input FILE
//!
//! With `--ids` it only writes rehead's ids, a line of JSON per text; `benches/token_ids` compares them with Python's.

use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use rehead::data::Input;
use rehead::transform::text::TextTokenizer;
use serde_json::{Map, Value, json};
use tokenizers::{Tokenizer, TruncationParams};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
struct Args {
    /// Model directory, with tokenizer.json
    #[arg(long, default_value = ".models/all-MiniLM-L6-v2")]
    model: PathBuf,
    #[arg(long, default_value = "data/reviews/train.csv")]
    input: PathBuf,
    /// Text column
    #[arg(long, default_value = "text")]
    text: String,
    #[arg(long, default_value_t = 128)]
    max_length: usize,
    /// Threads of the parallel runs [default: one per core]
    #[arg(long, default_value_t = 0)]
    threads: usize,
    #[arg(long, default_value_t = 7)]
    repeats: usize,
    /// Write the ids of the texts of --input (JSON Lines: a text or two in an array) to this file, and measure nothing
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// An option that cargo passes
    #[arg(long, hide = true)]
    bench: bool,
}

const NAMES: [&str; 3] = ["rehead", "encode_batch_fast", "encode_batch"];

struct Contenders {
    ours: TextTokenizer,
    crates: Tokenizer,
    inputs: Vec<Input>,
}

impl Contenders {
    fn texts<'a>(&'a self) -> Vec<&'a str> {
        let text = |input: &'a Input| match input {
            Input::Text(text) => Some(text.as_str()),
            _ => None,
        };
        self.inputs.iter().filter_map(text).collect()
    }

    fn time(&self, name: &str) -> Result<Duration, Failure> {
        let texts = self.texts();
        let start = Instant::now();
        let took = match name {
            "rehead" => {
                let tokenized = self.ours.tokenize(&self.inputs)?;
                let took = start.elapsed();
                black_box(tokenized.set.tokens());
                took
            }
            _ => {
                let encodings = match name {
                    "encode_batch" => self.crates.encode_batch(texts, true)?,
                    _ => self.crates.encode_batch_fast(texts, true)?,
                };
                let took = start.elapsed();
                black_box(encodings.len());
                took
            }
        };
        Ok(took)
    }

    /// Checks that every text has the same ids on both sides, and returns the number of all tokens.
    fn check(&self) -> Result<usize, Failure> {
        let ours = self.ours.tokenize(&self.inputs)?.set;
        let texts = self.texts();
        for (index, (text, theirs)) in texts.iter().zip(self.crates.encode_batch_fast(texts.clone(), true)?).enumerate()
        {
            if ours.ids(index) != theirs.get_ids() {
                return Err(format!("row {}: the ids differ from the crate's: {text}", index + 1).into());
            }
        }
        Ok(ours.tokens())
    }
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    if let Some(into) = &args.ids {
        return write_ids(&args, into);
    }
    let contenders = Contenders { ours: ours(&args)?, crates: crates(&args)?, inputs: read(&args.input, &args.text)? };
    let tokens = contenders.check()?;
    let mut results = Map::new();
    let pools =
        [rayon::ThreadPoolBuilder::new().num_threads(1), rayon::ThreadPoolBuilder::new().num_threads(args.threads)];
    for pool in pools {
        let pool = pool.build()?;
        let timings = pool.install(|| take_turns(&contenders, tokens, args.repeats))?;
        let threads = pool.current_num_threads();
        results.insert(format!("{threads} {}", if threads == 1 { "thread" } else { "threads" }), timings);
    }
    let texts = contenders.inputs.len();
    let report =
        json!({ "input": args.input, "texts": texts, "tokens": tokens, "ids": "identical", "results": results });
    println!("{report:#}");
    Ok(())
}

fn write_ids(args: &Args, into: &Path) -> Result<(), Failure> {
    let read = |line: &str| -> Result<Input, Failure> {
        Ok(match serde_json::from_str(line)? {
            Value::Array(pair) => {
                let text = |at: usize| pair.get(at).and_then(Value::as_str).unwrap_or_default().to_owned();
                Input::Pair(text(0), text(1))
            }
            text => Input::Text(text.as_str().ok_or("neither a text nor two")?.to_owned()),
        })
    };
    let inputs: Result<Vec<Input>, Failure> = std::fs::read_to_string(&args.input)?.lines().map(read).collect();
    let inputs = inputs?;
    let ids = ours(args)?.tokenize(&inputs)?.set;
    let mut out = BufWriter::new(std::fs::File::create(into)?);
    for index in 0..inputs.len() {
        writeln!(out, "{}", json!(ids.ids(index)))?;
    }
    Ok(out.flush()?)
}

/// Runs each contender once to warm up, then all in turns; another contender comes first each time.
fn take_turns(contenders: &Contenders, tokens: usize, repeats: usize) -> Result<Value, Failure> {
    for name in NAMES {
        contenders.time(name)?;
    }
    let mut timings = NAMES.map(|_| Vec::new());
    for repeat in 0..repeats.max(1) {
        for turn in 0..NAMES.len() {
            let at = (repeat + turn) % NAMES.len();
            timings[at].push(contenders.time(NAMES[at])?.as_secs_f64());
        }
    }
    let texts = contenders.inputs.len() as f64;
    let series = NAMES.iter().zip(&timings).map(|(name, timings)| {
        let seconds = median(timings);
        let rates = json!({
            "seconds": seconds, "repeats": timings,
            "texts_per_second": texts / seconds, "tokens_per_second": tokens as f64 / seconds,
        });
        (name.to_string(), rates)
    });
    Ok(Value::Object(series.collect()))
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn ours(args: &Args) -> Result<TextTokenizer, Failure> {
    // A tokenizer by itself has no such file.
    let config = std::fs::read(args.model.join("config.json")).unwrap_or_else(|_| b"{}".to_vec());
    let config: Value = serde_json::from_slice(&config)?;
    let number = |key: &str, otherwise: i64| config[key].as_i64().unwrap_or(otherwise);
    let (vocabulary, positions) = (number("vocab_size", 1 << 24), number("max_position_embeddings", 1 << 14));
    let segments = number("type_vocab_size", 2);
    Ok(TextTokenizer::load(&args.model, vocabulary, positions, segments, Some(args.max_length))?)
}

fn crates(args: &Args) -> Result<Tokenizer, Failure> {
    let mut tokenizer = Tokenizer::from_file(args.model.join("tokenizer.json"))?;
    let truncation = TruncationParams { max_length: args.max_length, ..TruncationParams::default() };
    tokenizer.with_padding(None).with_truncation(Some(truncation))?;
    Ok(tokenizer)
}

fn read(file: &Path, column: &str) -> Result<Vec<Input>, Failure> {
    let mut reader = csv::Reader::from_path(file)?;
    let at = reader.headers()?.iter().position(|name| name == column).ok_or(format!("no column {column}"))?;
    let texts: Result<Vec<_>, _> = reader.records().map(|record| record.map(|record| record[at].to_owned())).collect();
    Ok(texts?.into_iter().map(Input::Text).collect())
}
