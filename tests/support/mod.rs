//! A stage for stories about the real binary: a fresh directory a test, the command run in it, and on failure all
//! that one wants to see. What the stories expect stands in the files beside this folder.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

pub mod pictures;
pub mod python;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// No command of these tests takes this long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(240);

/// A directory of its own, in which commands run and to which file names refer.
pub struct Scene {
    folder: TempDir,
}

impl Scene {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A scene with copies of fixture models, each a folder of the fixture's name.
    pub fn with_models(fixtures: &[&str]) -> Self {
        let scene = Self::new();
        for name in fixtures {
            scene.add_model(name);
        }
        scene
    }

    /// Another one. BERT's fixtures go by their names alone, those of other families by their folders.
    pub fn add_model(&self, name: &str) {
        let family = if name.contains('/') { "" } else { "bert" };
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let from = std::env::var_os("TEST_FIXTURES").map_or(ours, PathBuf::from).join(family).join(name);
        fs::create_dir_all(self.path(name)).unwrap();
        for entry in fs::read_dir(&from).unwrap() {
            let entry = entry.unwrap();
            // What Python computed is no part of the model.
            if !entry.file_name().to_string_lossy().starts_with("expected.") {
                fs::copy(entry.path(), self.path(name).join(entry.file_name())).unwrap();
            }
        }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.listing()))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// In bytes; 0 where there is no such file.
    pub fn size(&self, name: &str) -> u64 {
        self.path(name).metadata().map_or(0, |file| file.len())
    }

    pub fn remove(&self, name: &str) {
        let path = self.path(name);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    pub fn remove_link(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub fn copy(&self, from: &str, to: &str) {
        let path = self.path(from);
        if path.is_file() {
            fs::copy(path, self.path(to)).unwrap();
            return;
        }
        fs::create_dir_all(self.path(to)).unwrap();
        for entry in fs::read_dir(path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            self.copy(&format!("{from}/{name}"), &format!("{to}/{name}"));
        }
    }

    /// Changes a JSON file.
    pub fn edit_json(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut value = self.json(name);
        edit(&mut value);
        self.write(name, value.to_string());
    }

    /// Every file with its content and every folder, by name: what a refused command must leave as it was.
    pub fn everything(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        self.everything_in("")
    }

    pub fn everything_in(&self, folder: &str) -> BTreeMap<String, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        let root = self.path(folder);
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                // The lock of a killed process goes with the next command.
                if name.ends_with(".rehead.lock") {
                    continue;
                }
                let content = path.is_file().then(|| fs::read(&path).unwrap());
                // A link to nothing is listed as if it were an empty folder.
                if path.is_dir() {
                    folders.push(path);
                }
                found.insert(name, content);
            }
        }
        found
    }

    pub fn listing(&self) -> String {
        let mut text = String::new();
        for (name, content) in self.everything() {
            let size = content.map_or("folder".to_owned(), |content| format!("{} bytes", content.len()));
            let _ = writeln!(text, "  {name} ({size})");
        }
        text
    }

    /// A command of the program; its words are separated by spaces.
    pub fn rehead(&self, words: &str) -> Call<'_> {
        let mut call =
            Call { scene: self, words: Vec::new(), input: Vec::new(), folder: self.path(""), variables: Vec::new() };
        call.words.extend(words.split_whitespace().map(Into::into));
        call
    }
}

/// A command about to be run.
pub struct Call<'a> {
    scene: &'a Scene,
    words: Vec<std::ffi::OsString>,
    input: Vec<u8>,
    folder: PathBuf,
    variables: Vec<(String, std::ffi::OsString)>,
}

impl<'a> Call<'a> {
    /// A word that may hold spaces.
    pub fn arg(mut self, word: impl Into<std::ffi::OsString>) -> Self {
        self.words.push(word.into());
        self
    }

    /// A variable of the command's environment.
    pub fn variable(mut self, name: &str, value: impl Into<std::ffi::OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// What the command reads on standard input.
    pub fn input(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.input = bytes.as_ref().to_vec();
        self
    }

    /// Where the command runs, instead of in the scene.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = folder.to_owned();
        self
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rehead"));
        command.args(&self.words).current_dir(&self.folder);
        for name in ["HF_HOME", "HF_TOKEN", "HF_ENDPOINT", "HF_HUB_CACHE", "TERM"] {
            command.env_remove(name);
        }
        // Nothing is looked for outside; waiting threads do not keep the other tests from the cores.
        command.env("HF_HUB_OFFLINE", "1").env("OMP_WAIT_POLICY", "passive");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs to the end, whatever that is.
    pub fn run(self) -> Outcome {
        self.start().wait()
    }

    /// Runs; must succeed.
    pub fn ok(self) -> Outcome {
        let outcome = self.run();
        outcome.check(outcome.status.code() == Some(0), "exit status 0");
        outcome
    }

    /// Runs; must be refused as a wrong request, with one message, a hint and nothing on standard output.
    pub fn refused(self) -> Outcome {
        let outcome = self.run();
        outcome.check(outcome.status.code() == Some(2), "exit status 2");
        outcome.check(outcome.stderr.matches("error: ").count() == 1, "one message");
        outcome.check(outcome.stdout.is_empty(), "nothing on standard output");
        outcome
    }

    /// Starts, for tests that interfere.
    pub fn start(self) -> Running<'a> {
        let streams = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(streams.path().join(name)).unwrap();
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(file("stdout")).stderr(file("stderr"));
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = self.input.clone();
        std::thread::spawn(move || {
            // A command that reads nothing closes the pipe.
            let _ = stdin.write_all(&input);
        });
        let words: Vec<String> = self.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Running {
            scene: self.scene,
            shown: format!("rehead {}", words.join(" ")),
            child,
            streams,
            began: Instant::now(),
        }
    }
}

/// A command at work.
pub struct Running<'a> {
    scene: &'a Scene,
    shown: String,
    child: Child,
    streams: TempDir,
    began: Instant,
}

impl Running<'_> {
    /// What it has said so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.streams.path().join("stderr")).unwrap()).into_owned()
    }

    /// Waits until `ready`, or until the command has ended; false then.
    pub fn wait_until(&mut self, ready: impl Fn(&Self) -> bool) -> bool {
        loop {
            if ready(self) {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            self.lose_patience();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child of ours that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    pub fn wait(mut self) -> Outcome {
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
            self.lose_patience();
        };
        let outcome = Outcome {
            status,
            stdout: fs::read(self.streams.path().join("stdout")).unwrap(),
            stderr: self.stderr(),
            shown: self.shown.clone(),
            listing: self.scene.listing(),
        };
        outcome.check(!outcome.stderr.contains("panicked"), "no panic");
        outcome
    }

    /// Ends a command that hangs.
    fn lose_patience(&mut self) {
        if self.began.elapsed() > PATIENCE {
            let _ = self.child.kill();
            panic!("{} hangs; it said:\n{}", self.shown, self.stderr());
        }
    }
}

/// What a command did.
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
    shown: String,
    listing: String,
}

impl Outcome {
    #[track_caller]
    pub fn check(&self, holds: bool, expected: &str) {
        if !holds {
            panic!("expected {expected}\n{self}");
        }
    }

    /// Standard error holds each of these.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            self.check(self.stderr.contains(part), &format!("standard error to say: {part}"));
        }
        self
    }

    /// Standard output holds each of these.
    #[track_caller]
    pub fn shows(self, parts: &[&str]) -> Self {
        for part in parts {
            self.check(self.stdout_text().contains(part), &format!("standard output to show: {part}"));
        }
        self
    }

    pub fn stdout_text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, stdout, stderr, shown, listing } = self;
        let stdout = String::from_utf8_lossy(stdout);
        let line = "-".repeat(70);
        write!(
            f,
            "{line}\ncommand: {shown}\nstatus:  {status}\n{line}\nstdout:\n{stdout}\n{line}\n\
             stderr:\n{stderr}\n{line}\ndirectory:\n{listing}{line}"
        )
    }
}

/// Numbers that look random and are the same in every run.
pub struct Lottery(pub u64);

impl Lottery {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }

    pub fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// Between `least` and `most` words of the fixtures' vocabulary that say nothing for or against.
    pub fn words(&mut self, least: usize, most: usize) -> String {
        const WORDS: [&str; 16] = [
            "the", "it", "was", "and", "film", "movie", "plot", "act", "actor", "story", "scene", "of", "to", "a",
            "very", "cafe",
        ];
        let count = least + self.below(most - least + 1);
        (0..count).map(|_| self.pick(&WORDS)).collect::<Vec<_>>().join(" ")
    }
}

/// Texts of two classes that one word in each tells apart: `negative`, `positive`, `negative`, …
pub fn sentiment(rows: usize, seed: u64) -> Vec<(String, &'static str)> {
    let mut lottery = Lottery(seed);
    (0..rows)
        .map(|row| {
            let (label, words): (_, &[&str]) = match row % 2 {
                0 => ("negative", &["bad", "awful", "bore"]),
                _ => ("positive", &["good", "great", "fun"]),
            };
            let (before, word) = (lottery.words(1, 4), lottery.pick(words));
            (format!("{before} {word} {}", lottery.words(1, 4)), label)
        })
        .collect()
}

/// `text,label` as CSV. The texts must need no quotes.
pub fn csv(rows: &[(String, &str)]) -> String {
    let lines: String = rows.iter().map(|(text, label)| format!("{text},{label}\n")).collect();
    format!("text,label\n{lines}")
}

/// The fields of a file without quoted fields, header first.
pub fn fields(csv: &str) -> Vec<Vec<&str>> {
    csv.lines().map(|line| line.split(',').collect()).collect()
}

/// The tensors of a safetensors file: shape and numbers, which must be fp32.
pub fn tensors(bytes: &[u8]) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
    let read = |view: safetensors::tensor::TensorView| {
        assert_eq!(view.dtype(), safetensors::Dtype::F32);
        let numbers = view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        (view.shape().to_vec(), numbers.collect())
    };
    file.tensors().into_iter().map(|(name, view)| (name, read(view))).collect()
}

/// What a story of training begins with: data, a tiny backbone of three layers, and no choice left to the machine.
pub fn training_scene() -> Scene {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", csv(&sentiment(64, 1)));
    scene.write("valid.csv", csv(&sentiment(20, 2)));
    scene.write("test.csv", csv(&sentiment(20, 3)));
    scene
}

pub const BASIC: &str =
    "train --train train.csv --valid valid.csv --model bare --device cpu --precision fp32 --threads 1";

/// Long enough to be interrupted: 16 steps an epoch.
pub const LONG: &str = "--epochs 12 --batch-size 4 --lr 1e-3 --log-every 1";

pub fn weights(scene: &Scene, run: &str) -> Vec<u8> {
    scene.bytes(&format!("{run}/model.safetensors"))
}

/// `history.jsonl` without what a clock says.
pub fn history(scene: &Scene, run: &str) -> Vec<Value> {
    let text = scene.text(&format!("{run}/history.jsonl"));
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        let is_timed = line["kind"] != "restart";
        assert!(!is_timed || line.remove("seconds").is_some_and(|seconds| seconds.is_number()));
        line.remove("tokens_per_second");
        line.remove("images_per_second");
    }
    lines
}

pub fn logged_steps(scene: &Scene, run: &str) -> usize {
    let text = fs::read_to_string(scene.path(run).join("history.jsonl")).unwrap_or_default();
    text.matches("\"kind\":\"step\"").count()
}

/// Interrupts a long run into `run` once `steps` steps are logged.
pub fn interrupted(scene: &Scene, words: &str, signal: i32, steps: usize) -> Outcome {
    interrupted_when(scene, words, signal, "run", || logged_steps(scene, "run") >= steps)
}

/// Interrupts a command once it is `ready`. A machine that is faster than this test gets another chance, without what
/// the command has made.
pub fn interrupted_when(scene: &Scene, words: &str, signal: i32, made: &str, ready: impl Fn() -> bool) -> Outcome {
    for _ in 0..3 {
        let mut running = scene.rehead(words).start();
        if running.wait_until(|_| ready()) {
            running.signal(signal);
            let outcome = running.wait();
            if !outcome.status.success() {
                return outcome;
            }
        }
        scene.remove(made);
    }
    panic!("{words} is over before it can be interrupted");
}

/// What a story of labelling begins with: a model from elsewhere, with three classes, 32 positions, and weights so large
/// that texts get different answers.
pub fn labelling_scene() -> Scene {
    Scene::with_models(&["large_weights"])
}

pub const LABEL: &str = "label --model large_weights --device cpu --precision fp32 --threads 1";

/// `run`, whatever happened to it, is what `whole` is.
pub fn assert_as_uninterrupted(scene: &Scene, context: &str) {
    assert!(weights(scene, "run") == weights(scene, "whole"), "{context}: other weights");
    assert_eq!(history(scene, "run"), history(scene, "whole"), "{context}");
    let names = |run: &str| scene.everything_in(run).into_keys().collect::<Vec<_>>();
    assert_eq!(names("run"), names("whole"), "{context}");
    let metrics = |run: &str| {
        let mut metrics = scene.json(&format!("{run}/metrics.json"));
        let of_the_clock = ["train_seconds", "prepare_seconds", "tokens_per_second", "images_per_second"];
        for name in of_the_clock.into_iter().chain(["peak_memory_bytes"]) {
            metrics.as_object_mut().unwrap().remove(name);
        }
        // It follows the memory that is free at that moment.
        metrics["choices"].as_array_mut().unwrap().retain(|choice| choice["key"] != "cache_memory");
        metrics
    };
    assert!(!metrics("whole")["choices"].as_array().unwrap().is_empty(), "{context}");
    assert_eq!(metrics("run"), metrics("whole"), "{context}");
}
