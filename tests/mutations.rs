//! Files of strangers, made by changing good ones at random: no parser panics, hangs, or takes memory out of
//! proportion. The same targets as in `fuzz/`, without a fuzzer; the seed makes every run the same.
//!
//!     cargo test --release --test mutations                                   # some hundred of each
//!     REHEAD_MUTATION_SECONDS=600 cargo test --release --test mutations -- --ignored --nocapture
//!
//! What fails is written to `target/mutations/`.

#[path = "support/mutation.rs"]
mod mutation;
#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "a crate of its own, of which this is one use")]
mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mutation::{mutated, seeds};
use rehead::data::Input;
use rehead::random::Random;
use rehead::transform::text::TextTokenizer;
use targets::{TARGETS, Target};

/// One file takes no longer, on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);
/// Bytes that reading a file may take beside twice its own.
const MEMORY: usize = 256 << 20;

/// Counts what is taken.
struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static MOST_TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is the system's allocator's doing; numbers are only counted beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST_TAKEN.fetch_max(TAKEN.fetch_add(layout.size(), Ordering::Relaxed) + layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        MOST_TAKEN.fetch_max(TAKEN.fetch_add(layout.size(), Ordering::Relaxed) + layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a run has found.
#[derive(Default)]
struct Findings {
    executions: usize,
    slowest: Duration,
    most: usize,
    lines: Vec<String>,
}

impl Findings {
    fn run(&mut self, target: &Target, bytes: &[u8], number: u64) {
        let keep = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("mutations");
        let file = keep.join(format!("{}-{number}", target.name));
        let watch = watch(file.clone(), bytes);
        let before = TAKEN.load(Ordering::Relaxed);
        MOST_TAKEN.store(before, Ordering::Relaxed);
        let began = Instant::now();
        let panic = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).err();
        let took = began.elapsed();
        drop(watch);
        let taken = MOST_TAKEN.load(Ordering::Relaxed).saturating_sub(before);
        self.executions += 1;
        self.slowest = self.slowest.max(took);
        self.most = self.most.max(taken);
        let finding = match panic {
            Some(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                Some(format!("panic: {}", text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?")))
            }
            None if took > LONGEST => Some(format!("{took:.1?}")),
            None if taken > 2 * bytes.len() + MEMORY => Some(format!("{} MB", taken >> 20)),
            None => None,
        };
        if let Some(finding) = finding {
            keep_input(&file, bytes);
            self.lines.push(format!("{} {number}: {finding} ({})", target.name, file.display()));
        }
    }

    fn check(&self, name: &str) {
        println!(
            "{name}: {} executions, the slowest {:.1?}, at most {} MB, {} findings",
            self.executions,
            self.slowest,
            self.most >> 20,
            self.lines.len()
        );
        std::io::stdout().flush().expect("output");
    }
}

fn keep_input(file: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, bytes).expect("a file");
}

/// Ends the program, and keeps the input, if what is returned is not dropped in time.
fn watch(file: PathBuf, bytes: &[u8]) -> mpsc::Sender<()> {
    let (stop, stopped) = mpsc::channel();
    let bytes = bytes.to_vec();
    std::thread::spawn(move || {
        if stopped.recv_timeout(3 * LONGEST) == Err(mpsc::RecvTimeoutError::Timeout) {
            keep_input(&file, &bytes);
            eprintln!("endless: {}", file.display());
            std::process::abort();
        }
    });
    stop
}

/// The `number`th file of a target: first the seeds themselves.
fn input(target: &Target, seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
    match seeds.get(number as usize) {
        Some(seed) => seed.clone(),
        None => mutated(&mut Random::of(&[20, number, target.name.len() as u64]), seeds),
    }
}

#[test]
fn changed_files_are_refused_or_read() {
    let mut lines = Vec::new();
    for target in TARGETS {
        let (seeds, mut findings) = (seeds(target), Findings::default());
        let began = Instant::now();
        let mut number = 0;
        while number < 20 || (number < 200 && began.elapsed() < Duration::from_millis(300)) {
            findings.run(target, &input(target, &seeds, number), number);
            number += 1;
        }
        findings.check(target.name);
        lines.append(&mut findings.lines);
    }
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// For as many seconds as `REHEAD_MUTATION_SECONDS` says, in all (600); `REHEAD_MUTATION_TARGET` names one target, and
/// `REHEAD_MUTATION_START` the first number of a file.
#[test]
#[ignore = "takes as long as it is told to"]
fn changed_files_are_refused_or_read_for_long() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seconds: u64 = number("REHEAD_MUTATION_SECONDS").unwrap_or(600);
    let only = std::env::var("REHEAD_MUTATION_TARGET").ok();
    let chosen: Vec<&Target> =
        TARGETS.iter().filter(|target| only.as_deref().is_none_or(|only| only == target.name)).collect();
    let mut lines = Vec::new();
    for target in &chosen {
        let (seeds, mut findings) = (seeds(target), Findings::default());
        let began = Instant::now();
        let mut at = number("REHEAD_MUTATION_START").unwrap_or(0);
        while began.elapsed().as_secs() < seconds / chosen.len() as u64 {
            findings.run(target, &input(target, &seeds, at), at);
            at += 1;
        }
        findings.check(target.name);
        lines.append(&mut findings.lines);
    }
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// Each search of this pattern is short enough, and one begins at every place of the text.
#[test]
fn patterns_that_need_endless_time_in_all_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokenizer = serde_json::json!({
        "model": { "type": "WordLevel", "vocab": { "x": 0, "[UNK]": 1 }, "unk_token": "[UNK]" },
        "pre_tokenizer": {
            "type": "Split", "pattern": { "Regex": "(?=(x+x+)+y)|." }, "behavior": "Isolated", "invert": false,
        },
    });
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).expect("a file");
    let tokenizer = TextTokenizer::load(folder.path(), 10, 512, 2, None).expect("a tokenizer");
    let began = Instant::now();
    let text = format!("{} ", "x".repeat(22)).repeat(1000);
    let error = tokenizer.tokenize(&[Input::Text(text)]).map(drop).expect_err("endless");
    assert!(error.to_string().contains("tokenizer.json: the text cannot be tokenised: a pattern"), "{error}");
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    // And others are not held to it afterwards.
    let short = tokenizer.tokenize(&[Input::Text("xxxxxxxxxxxxxxx xx".to_owned())]).expect("tokens");
    assert_eq!(short.set.ids(0).len(), 18);
}
