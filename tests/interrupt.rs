//! Ctrl-C as its users press it: once to save and end, twice to end at once, at any moment. And what a run that was
//! ended so is continued from: never from a damaged file.

mod support;

use std::cell::OnceCell;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::Duration;

use support::{
    BASIC, LONG, Lottery, Scene, assert_as_uninterrupted, csv, interrupted, interrupted_when, logged_steps, sentiment,
    training_scene,
};

/// More steps than there is time for.
const MANY: &str = "--epochs 400 --batch-size 4 --lr 1e-3 --log-every 1";

/// Neither a crash nor a word of libtorch's.
#[track_caller]
fn ended(outcome: &support::Outcome) {
    outcome.check(outcome.status.code() == Some(130), "exit status 130");
    for word in ["ASSERT", "terminate called", "libtorch", "Aborted"] {
        outcome.check(!outcome.stderr.contains(word), &format!("nothing of {word}"));
    }
}

/// Destructors of libtorch must not run beside its threads: about every fifth of these died of SIGSEGV once.
#[test]
fn two_at_once_end_at_once() {
    for repeat in 0..12 {
        let scene = training_scene();
        let mut running = scene.rehead(&format!("{BASIC} {MANY} --out run")).start();
        assert!(running.wait_until(|_| logged_steps(&scene, "run") > repeat % 3));
        running.signal(libc::SIGINT);
        std::thread::sleep(Duration::from_micros(700 * repeat as u64));
        running.signal(libc::SIGINT);
        ended(&running.wait());
    }
}

/// Before anything can be saved there is nothing to wait for.
#[test]
fn one_at_the_start_ends_at_once() {
    let scene = training_scene();
    for milliseconds in [0, 5, 20, 60, 120, 250] {
        let running = scene.rehead(&format!("{BASIC} {MANY} --out run{milliseconds}")).start();
        std::thread::sleep(Duration::from_millis(milliseconds));
        running.signal(libc::SIGINT);
        let outcome = running.wait();
        // Before `main` there is no handler, and the signal ends the process itself.
        outcome.check(matches!(outcome.status.code(), Some(130) | None), "exit status 130 or the signal");
        outcome.check(!outcome.stderr.contains("ASSERT"), "no assertion");
    }
    // A command that saves nothing ends too, while it waits for the first byte of a pipe that nobody fills.
    let pipe = scene.path("pipe.csv");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut waiting = scene.rehead("inspect pipe.csv").start();
    let end = OnceCell::new();
    // Only a pipe that is being read can be opened so.
    let open = || OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&pipe);
    assert!(waiting.wait_until(|_| open().is_ok_and(|file| end.set(file).is_ok())));
    waiting.signal(libc::SIGINT);
    ended(&waiting.wait());
}

/// A head on many classes takes minutes to fit: it can be stopped, and the features are kept.
#[test]
fn the_fit_of_a_head_can_be_interrupted_and_is_continued() {
    let scene = Scene::with_models(&["bare"]);
    let mut lottery = Lottery(1);
    let rows: Vec<(String, String)> =
        (0..6000).map(|row| (lottery.words(6, 9), format!("class{}", row % 300))).collect();
    let rows: Vec<(String, &str)> = rows.iter().map(|(text, label)| (text.clone(), label.as_str())).collect();
    scene.write("train.csv", csv(&rows));
    let command = "train --train train.csv --model bare --strategy frozen --device cpu --precision fp32 --threads 1 \
                   --out run";
    let mut running = scene.rehead(command).start();
    let met = running.wait_until(|running| running.stderr().contains("features: "));
    running.signal(libc::SIGINT);
    let outcome = running.wait();
    outcome.check(met, "an interruption in time");
    ended(&outcome);
    outcome
        .says(&["interrupted: the features of all examples are saved", "hint: continue with: rehead train --resume"]);
    let saved = scene.everything_in("run/checkpoints");
    assert!(saved.keys().any(|name| name.starts_with("features-")), "{saved:?}");
    assert!(!scene.exists("run/model.safetensors"));
    let file = saved.keys().find(|name| name.starts_with("features-")).unwrap();
    let bytes = scene.bytes(&format!("run/checkpoints/{file}"));
    let seconds = support::tensors(&bytes)["seconds"].1[0];
    assert!(seconds > 0.0, "the time that the features took counts when the run is resumed");

    // Of other data they are not used, and it is said: by a refusal, or, where the data of the run are not recorded, by a
    // warning.
    let other = csv(&rows).replacen("class0\n", "class1\n", 1);
    scene.write("train.csv", other);
    scene.rehead("train --resume --out run").refused().says(&["run: ", "the training data changed", "hint: "]);
    scene.remove("run/origin.json");
    let mut resumed = scene.rehead("train --resume --out run").start();
    let met = resumed.wait_until(|resumed| resumed.stderr().contains("of other data, another model"));
    resumed.signal(libc::SIGINT);
    resumed.wait().check(met, "a warning that the saved features are not used");
}

/// Errors end without destructors too, with everything said.
#[test]
fn an_error_is_said_whole() {
    let scene = training_scene();
    let outcome = scene.rehead("train --train nothing.csv --model bare --out run").refused();
    outcome.says(&["error: ", "nothing.csv"]);
}

/// Changes one bit in the middle of a file.
fn flip(scene: &Scene, file: &str) {
    let mut bytes = scene.bytes(file);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    scene.write(file, bytes);
}

/// Whole snapshots of a run, the oldest first.
fn snapshots(scene: &Scene, run: &str) -> Vec<String> {
    let files = scene.everything_in(&format!("{run}/checkpoints")).into_keys();
    let mut names: Vec<String> = files.filter_map(|name| Some(name.strip_suffix("/state.json")?.to_owned())).collect();
    names.sort();
    names
}

/// A snapshot a step would wait for the disk all the time.
const RESUME: &str = "train --resume --out run --snapshot-minutes 5";

#[test]
fn a_damaged_snapshot_is_named_and_the_one_before_it_is_used() {
    let scene = training_scene();
    scene.rehead(&format!("{BASIC} {LONG} --out whole")).ok();
    interrupted(&scene, &format!("{BASIC} {LONG} --snapshot-minutes 0 --out run"), libc::SIGKILL, 40);
    let names = snapshots(&scene, "run");
    assert!(names.len() >= 2, "{names:?}");
    scene.copy("run", "kept");
    let of_newest = |file: &str| format!("run/checkpoints/{}/{file}", names.last().unwrap());
    // Of the run's own history the snapshot has a copy.
    let weights = of_newest("weights.safetensors");
    flip(&scene, &weights);
    flip(&scene, "run/history.jsonl");
    let resumed = scene.rehead(RESUME).ok();
    resumed.says(&[
        &weights,
        "the snapshot before it is used",
        "run/history.jsonl was damaged",
        "continuing after step ",
    ]);
    assert_as_uninterrupted(&scene, "from the snapshot before");
    scene.remove("run");
    scene.copy("kept", "run");
    // Where no snapshot is whole, nothing is changed.
    let best = scene.everything_in("run/checkpoints").into_keys().find(|name| name.starts_with("best-")).unwrap();
    for name in &names {
        scene.remove(&format!("run/checkpoints/{name}"));
        if name == names.last().unwrap() {
            scene.copy(&format!("kept/checkpoints/{name}"), &format!("run/checkpoints/{name}"));
        }
    }
    let best = format!("run/checkpoints/{best}");
    for (file, content) in [
        (best.as_str(), None),
        (&of_newest("state.json"), None),
        (&of_newest("state.json"), Some(&b"{\"epoch\":"[..])),
        (&of_newest("state.json"), Some(b"{}")),
        (&of_newest("history.jsonl"), None),
        (&of_newest("optimizer.safetensors"), None),
        (&of_newest("weights.safetensors"), Some(b"1234567890")),
        (&of_newest("optimizer.safetensors"), Some(b"")),
    ] {
        let whole = scene.bytes(file);
        content.map_or_else(|| flip(&scene, file), |content| scene.write(file, content));
        let before = scene.everything();
        let refused = scene.rehead(RESUME).refused();
        refused.says(&[file, "hint: the snapshot is damaged; delete run/checkpoints, and --resume starts over"]);
        assert!(scene.everything() == before, "{file}: the refusal changed files");
        scene.write(file, whole);
    }
    // What writers that were killed have left goes away.
    for folder in ["run", "run/checkpoints", "run/predictions"] {
        std::fs::create_dir_all(scene.path(folder)).unwrap();
        scene.write(&format!("{folder}/.rehead-1-2-3.tmp"), "half");
    }
    scene.rehead(RESUME).ok();
    assert_as_uninterrupted(&scene, "after refusals");
}

#[test]
fn what_a_trained_model_left_is_not_used_damaged() {
    let scene = training_scene();
    scene.write("test.csv", csv(&sentiment(6_000, 3)));
    let words = format!("{BASIC} --epochs 2 --test test.csv --out");
    scene.rehead(&format!("{words} whole")).ok();
    let is_trained = || scene.exists("run/checkpoints/trained.json");
    interrupted_when(&scene, &format!("{words} run"), libc::SIGKILL, "run", is_trained);
    for file in ["config.json", "tokenizer.json", "model.safetensors", "predictions/valid.csv", "history.jsonl"] {
        let file = format!("run/{file}");
        if !scene.exists(&file) {
            assert!(file.contains("tokenizer"), "{}", scene.listing());
            continue;
        }
        let whole = scene.bytes(&file);
        flip(&scene, &file);
        let refused = scene.rehead("train --resume --out run").refused();
        refused.says(&[&file, "the file is damaged", "hint: put it back as it was; or delete run/checkpoints"]);
        scene.write(&file, whole);
    }
    let (record, origin) = ("run/checkpoints/trained.json", "run/origin.json");
    for file in [record, origin] {
        let whole = scene.bytes(file);
        flip(&scene, file);
        scene.rehead("train --resume --out run").refused().says(&[file, "the file is damaged", "hint: "]);
        scene.write(file, whole);
    }
    scene.rehead("train --resume --out run").ok();
    assert_as_uninterrupted(&scene, "after the training");
    // A finished run is its owner's: what nothing reads again may be edited.
    flip(&scene, "run/README.md");
    scene.rehead("train --resume --out run").ok().says(&["nothing to resume"]);
    flip(&scene, "run/metrics.json");
    scene.rehead("train --resume --out run").refused().says(&["run/metrics.json", "the file is damaged"]);

    let compare = "compare --train train.csv --valid valid.csv --model bare --strategies frozen --seeds 1 --device cpu \
                   --threads 1 --out both";
    scene.rehead(compare).ok();
    scene.rehead(compare).ok();
    let file = "both/frozen/seed-42/predictions/valid.csv";
    flip(&scene, file);
    scene.rehead(compare).refused().says(&[file, "the file is damaged", "hint: delete the run's folder"]);
}

/// A run begins with its settings; of one that was killed before nothing is in the way.
#[test]
fn a_run_that_was_killed_before_it_began_is_not_in_the_way() {
    let scene = training_scene();
    let words = format!("{BASIC} --strategy frozen --out run");
    scene.rehead(&format!("{BASIC} --strategy frozen --out whole")).ok();
    scene.rehead(&words).ok();
    let left = scene.everything_in("run");
    scene.remove("run");
    std::fs::create_dir_all(scene.path("run/checkpoints")).unwrap();
    scene.write("run/.rehead-1-2-3.tmp", "half");
    scene.write("run/.rehead.lock", "1");
    scene.write("run/checkpoints/choices.json", "{}");
    scene.write("run/label_rules.json", "{");
    scene.write("run/origin.json", left["origin.json"].as_ref().unwrap());
    scene.rehead(&words).ok();
    assert_as_uninterrupted(&scene, "a run that had not begun");
    // Of one that has begun, or of another's files, it is.
    scene.rehead(&words).refused().says(&["the output directory is not empty"]);
    std::fs::create_dir(scene.path("other")).unwrap();
    scene.write("other/origin.json", "{}");
    scene.write("other/notes.txt", "mine");
    scene.rehead(&format!("{BASIC} --out other")).refused().says(&["the output directory is not empty"]);
}
