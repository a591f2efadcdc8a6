//! The disk fails, or the machine dies, at one operation after another of a command: what was there before is whole or
//! what is there now is, the message names a file, and the same command again ends with the identical result.
//!
//! A library that is preloaded (`support/faults.cpp`) makes the Nth operation that changes a file fail. The tests take a
//! few N; with `REHEAD_SOAK=1` every N of every kind of failure, until the command completes (`make soak`).

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{BASIC, LABEL, Lottery, Scene, csv, history, sentiment, training_scene};

const KINDS: [&str; 6] = ["ENOSPC", "EIO", "EINTR", "SHORT", "KILL", "TEAR"];

/// What the commands write is under names that begin so.
const MADE: &str = "made";

/// A command that is made to fail.
struct Job {
    name: &'static str,
    scene: Scene,
    words: String,
    /// The command that ends what it has begun.
    again: String,
    /// What is there before it; copied to where it writes.
    begun: Option<&'static str>,
}

/// What became of the command.
#[derive(Default)]
struct Counts {
    killed: usize,
    refused: usize,
    succeeded: usize,
}

/// Compiled once a test; it takes half a second.
fn library(folder: &Path) -> PathBuf {
    let (source, library) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/faults.cpp"), folder.join("f.so"));
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut command = Command::new(compiler);
    command.args(["-shared", "-fPIC", "-O1", "-std=c++17", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert!(command.status().unwrap().success(), "{command:?}");
    library
}

/// Every file that a command made, with what no clock decides of it.
fn made(scene: &Scene) -> BTreeMap<String, Vec<u8>> {
    let decided = [".safetensors", ".bin", "valid.csv", "mistakes.csv", "/config.json", "tokenizer.json", MADE];
    let of = |(name, content): (String, Option<Vec<u8>>)| {
        let content = content.unwrap_or_default();
        let timeless = match &name {
            // A write that was torn by death leaves half a line until the run is continued.
            name if name.ends_with("history.jsonl") && content.ends_with(b"}\n") => {
                let folder = name.strip_suffix("/history.jsonl").unwrap();
                format!("{:?}", history(scene, folder)).into_bytes()
            }
            name if decided.iter().any(|end| name.ends_with(end)) || name == "made.csv" => content,
            _ => Vec::new(),
        };
        (name, timeless)
    };
    // The note that --resume leaves beside a finished output is not part of it.
    let is_made = |name: &str| name.trim_start_matches('.').starts_with(MADE) && name != "made.csv.origin.json";
    scene.everything().into_iter().filter(|(name, _)| is_made(name)).map(of).collect()
}

fn remove_made(scene: &Scene) {
    for name in made(scene).into_keys().filter(|name| !name.contains('/')) {
        scene.remove(&name);
    }
    // Not listed: the lock of a process that was killed, and that note.
    for name in [".made.csv.rehead.lock", "made.csv.origin.json"] {
        let _ = std::fs::remove_file(scene.path(name));
    }
}

impl Job {
    fn prepare(&self) {
        remove_made(&self.scene);
        if let Some(begun) = self.begun {
            self.scene.copy(begun, MADE);
        }
    }

    /// Lets the operation `at` fail, and ends what was begun. Whether the command came so far.
    fn fail(
        &self,
        library: &Path,
        kind: &str,
        at: usize,
        whole: &BTreeMap<String, Vec<u8>>,
        counts: &mut Counts,
    ) -> bool {
        let Self { name, scene, .. } = self;
        self.prepare();
        let about = format!("{name}: {kind} at {at}");
        let log = scene.path("count");
        let _ = std::fs::remove_file(&log);
        let outcome = self.start(library).variable("FAULT_KIND", kind).variable("FAULT_AT", at.to_string()).run();
        let reached = std::fs::read_to_string(&log).is_ok_and(|count| count.parse::<usize>().unwrap() >= at);
        match outcome.status.code() {
            None => counts.killed += 1,
            Some(0) => counts.succeeded += 1,
            Some(code) => {
                counts.refused += 1;
                outcome.check((1..=2).contains(&code), &format!("{about}: exit status 1"));
                outcome.check(!["EINTR", "SHORT"].contains(&kind), &format!("{about}: to be tried again"));
                let message = outcome.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
                outcome.check(message.contains(MADE), &format!("{about}: a message that names a file: {message}"));
            }
        }
        // Killed at the very end there is nothing to continue; and what is removed then may stay, where that fails.
        if made(scene) == *whole {
            return reached;
        }
        outcome.check(!outcome.status.success() || ["ENOSPC", "EIO"].contains(&kind), &format!("{about}: the result"));
        let outcome = scene.rehead(&self.again).ok();
        let now = made(scene);
        let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&now), names(whole), "{about}\n{outcome}");
        for (file, content) in &now {
            assert!(content == &whole[file], "{about}: {file} is another\n{outcome}");
        }
        reached
    }

    fn start(&self, library: &Path) -> support::Call<'_> {
        let call = self
            .scene
            .rehead(&self.words)
            .variable("LD_PRELOAD", library)
            .variable("FAULT_LOG", self.scene.path("count"));
        call.variable("FAULT_DIR", self.scene.path(MADE)).variable("OMP_NUM_THREADS", "1")
    }

    /// Lets one operation fail in each of these ways, with those that are numbered from the end; in a soak all, or every
    /// so many of them, in all ways.
    fn sweep(&self, kinds: &[(&'static str, Option<usize>)]) {
        let library = library(&self.scene.path(""));
        self.prepare();
        self.start(&library).ok();
        let operations: usize = self.scene.text("count").parse().unwrap();
        let whole = made(&self.scene);
        assert!(operations > 5 && !whole.is_empty(), "{operations} operations, {:?}", whole.keys());
        let every = std::env::var("REHEAD_SOAK").ok().map(|every| every.parse::<usize>().unwrap());
        let all = KINDS.map(|kind| (kind, None));
        for (number, (kind, from_end)) in (if every.is_some() { &all } else { kinds }).iter().enumerate() {
            let mut counts = Counts::default();
            let random = Lottery(self.name.len() as u64 + number as u64).below(every.unwrap_or(operations));
            let mut at = from_end.map_or(1 + random, |from_end| operations - from_end);
            while self.fail(&library, kind, at, &whole, &mut counts) && every.is_some() {
                at += every.unwrap_or_default();
            }
            let Counts { killed, refused, succeeded } = counts;
            eprintln!(
                "{}: {kind}: {operations} operations; {} runs: {killed} killed, {refused} ended with a message, \
                 {succeeded} completed; all continued to the identical result",
                self.name,
                killed + refused + succeeded
            );
        }
    }
}

/// What a person or a machine does to a process: signals, with the milliseconds between them.
const SIGNALS: [&[(i32, u64)]; 6] = [
    &[(libc::SIGKILL, 0)],
    &[(libc::SIGINT, 0)],
    &[(libc::SIGINT, 0), (libc::SIGINT, 3)],
    &[(libc::SIGTERM, 0), (libc::SIGINT, 1), (libc::SIGINT, 1)],
    &[(libc::SIGHUP, 0), (libc::SIGKILL, 20)],
    &[(libc::SIGSTOP, 0), (libc::SIGCONT, 5), (libc::SIGKILL, 5)],
];

/// A run is killed or interrupted at random moments until it completes: `REHEAD_KILLS` signals for each of two commands.
#[test]
fn signals_at_random_moments_lose_nothing() {
    let wanted: usize = std::env::var("REHEAD_KILLS").map_or(3, |kills| kills.parse().unwrap());
    let trained = training_scene();
    let words =
        format!("{BASIC} --epochs 6 --batch-size 8 --lr 1e-3 --log-every 1 --snapshot-minutes 0.0005 --out {MADE}");
    let again = format!("{words} --resume");
    let train = Job { name: "train", scene: trained, words, again, begun: None };
    let labelled = support::labelling_scene();
    let mut lottery = Lottery(5);
    let rows: Vec<String> = (0..600).map(|row| format!("{row},{}\n", lottery.words(3, 9))).collect();
    labelled.write("in.csv", format!("id,text\n{}", rows.concat()));
    // What is finished under --resume is known as such.
    let words = format!("{LABEL} --input in.csv --window 10 --batch-tokens 64 --resume --output {MADE}.csv");
    let label = Job { name: "label", scene: labelled, again: words.clone(), words, begun: None };
    for Job { name, scene, words, again, .. } in [&train, &label] {
        let began = std::time::Instant::now();
        scene.rehead(words).ok();
        let (milliseconds, whole) = (began.elapsed().as_millis() as usize, made(scene));
        let (mut sent, mut ended) = (0, [0; 3]);
        while sent < wanted {
            remove_made(scene);
            let mut now = words;
            loop {
                let mut running = scene.rehead(now).start();
                let moment = lottery.below(milliseconds * 11 / 10);
                let began = std::time::Instant::now();
                running.wait_until(|_| began.elapsed().as_millis() as usize >= moment);
                for &(signal, after) in SIGNALS[lottery.below(SIGNALS.len())] {
                    std::thread::sleep(std::time::Duration::from_millis(after));
                    running.signal(signal);
                }
                sent += 1;
                let outcome = running.wait();
                let status = outcome.status.code();
                ended[status.map_or(0, |status| if status == 130 { 1 } else { 2 })] += 1;
                outcome.check(matches!(status, None | Some(130 | 0)), &format!("{name}: killed, 130 or 0"));
                let by = std::os::unix::process::ExitStatusExt::signal(&outcome.status);
                outcome.check(by != Some(libc::SIGSEGV) && by != Some(libc::SIGABRT), "no crash");
                now = again;
                if status == Some(0) || sent >= wanted {
                    break;
                }
            }
            let is_there = made(scene) == whole;
            let outcome = if is_there { None } else { Some(scene.rehead(again).ok()) };
            let now = made(scene);
            for (file, content) in &now {
                assert!(whole.get(file) == Some(content), "{name}: {file} is another: {}", outcome.unwrap());
            }
            assert_eq!(now.len(), whole.len(), "{name}: {:?}", now.keys());
        }
        let [killed, interrupted, completed] = ended;
        eprintln!(
            "{name}: {sent} times signals at random moments: {killed} killed, {interrupted} ended with 130, {completed} completed; all continued to the identical result"
        );
    }
}

#[test]
fn a_training_survives_every_fault() {
    let scene = training_scene();
    scene.write("train.csv", csv(&sentiment(24, 1)));
    let words = format!("{BASIC} --epochs 2 --batch-size 12 --lr 1e-3 --log-every 1 --snapshot-minutes 0 --out {MADE}");
    let again = format!("{words} --resume");
    Job { name: "train", scene, words, again, begun: None }.sweep(&[("ENOSPC", None), ("KILL", None), ("TEAR", None)]);
}

#[test]
fn a_resumed_training_survives_every_fault() {
    let scene = training_scene();
    scene.write("train.csv", csv(&sentiment(24, 1)));
    let words = format!("{BASIC} --epochs 3 --batch-size 12 --lr 1e-3 --log-every 1 --snapshot-minutes 0 --out");
    // Killed where it has a snapshot.
    let library = library(&scene.path(""));
    let killed = scene.rehead(&format!("{words} begun")).variable("LD_PRELOAD", &library);
    let killed = killed.variable("FAULT_DIR", scene.path("begun")).variable("FAULT_KIND", "KILL");
    assert!(killed.variable("FAULT_AT", "110").run().status.code().is_none());
    assert!(scene.everything_in("begun").keys().any(|name| name.ends_with("state.json")), "{}", scene.listing());
    let again = format!("{words} {MADE} --resume");
    Job { name: "train --resume", scene, words: again.clone(), again, begun: Some("begun") }
        .sweep(&[("EIO", None), ("TEAR", None)]);
}

#[test]
fn labelling_survives_every_fault() {
    let scene = support::labelling_scene();
    let mut lottery = Lottery(3);
    let rows: Vec<String> = (0..60).map(|row| format!("{row},{}\n", lottery.words(3, 9))).collect();
    scene.write("in.csv", format!("id,text\n{}", rows.concat()));
    let words = format!("{LABEL} --input in.csv --window 10 --output {MADE}.csv");
    let again = format!("{words} --resume");
    // Killed when the output has its name, and its note is still there.
    let late = KINDS.map(|kind| (kind, (kind == "KILL").then_some(1)));
    Job { name: "label", scene, words, again, begun: None }.sweep(&late);
}

#[test]
fn a_comparison_survives_every_fault() {
    let scene = training_scene();
    scene.write("train.csv", csv(&sentiment(24, 1)));
    let words = format!(
        "compare --train train.csv --valid valid.csv --model bare --strategies frozen --seeds 1 --device cpu \
         --precision fp32 --threads 1 --out {MADE}"
    );
    Job { name: "compare", scene, again: words.clone(), words, begun: None }.sweep(&[("ENOSPC", None), ("KILL", None)]);
}
