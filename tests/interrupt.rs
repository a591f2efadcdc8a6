//! Ctrl-C as its users press it: once to save and end, twice to end at once, at any moment.

mod support;

use std::cell::OnceCell;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::Duration;

use support::{BASIC, Lottery, Scene, csv, logged_steps, training_scene};

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
