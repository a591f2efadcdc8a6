//! `rehead compare` as its users meet it: every strategy and seed once, side by side, and nothing done twice.

mod support;

use serde_json::Value;
use support::{Scene, csv, history, logged_steps, sentiment, weights};

const COMPARE: &str =
    "compare --train train.csv --test test.csv --model bare --threads 1 --epochs 1 --seeds 2 --out both";

fn scene() -> Scene {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", csv(&sentiment(40, 1)));
    scene.write("test.csv", csv(&sentiment(10, 2)));
    scene
}

#[test]
fn strategies_stand_side_by_side_and_nothing_is_done_twice() {
    let scene = scene();
    let first = scene.rehead(COMPARE).ok();
    for word in ["frozen", "full", "test accuracy", "±"] {
        first.check(first.stdout_text().contains(word), word);
    }
    assert_eq!(
        scene.text("both/compare.csv").lines().count(),
        1 + 2 * 2 + 2,
        "two runs of two strategies, two baselines"
    );
    for run in ["frozen/seed-42", "frozen/seed-43", "full/seed-42", "full/seed-43"] {
        assert!(scene.exists(&format!("both/{run}/metrics.json")), "{run}");
    }

    let before = scene.everything();
    let second = scene.rehead(COMPARE).ok();
    assert_eq!(second.stdout, first.stdout);
    second.says(&["both/full/seed-43 is finished"]);
    assert!(scene.everything() == before, "the second comparison changed files");

    // One more seed is one more run of each.
    let third = scene.rehead(&COMPARE.replace("--seeds 2", "--seeds 3")).arg("--json").ok().json();
    assert_eq!(third["contenders"][1]["seeds"], serde_json::json!([42, 43, 44]));
}

/// Results of other settings are never shown as those of these.
#[test]
fn a_comparison_is_not_gone_on_with_under_other_settings() {
    let scene = scene();
    scene.rehead(COMPARE).ok();
    let before = scene.everything();
    scene.rehead(&format!("{COMPARE} --lr 1e-3")).refused().says(&["`training.lr`", "hint: "]);
    scene.rehead(&COMPARE.replace("--epochs 1", "--epochs 2")).refused().says(&["`training.epochs`"]);
    assert!(scene.everything() == before, "a refusal changed files");
}

/// All that a comparison found, without what a clock says.
fn found(scene: &Scene, out: &str) -> (Vec<Value>, Value) {
    let mut result = scene.json(&format!("{out}/compare.json"));
    for contender in result["contenders"].as_array_mut().unwrap() {
        let contender = contender.as_object_mut().unwrap();
        for key in ["train_seconds", "peak_memory_bytes", "runs"] {
            assert!(contender.remove(key).is_some(), "{key}");
        }
    }
    (result["contenders"].as_array().unwrap().clone(), result["comparison"]["pairs"].clone())
}

#[test]
fn an_interrupted_comparison_ends_as_if_it_had_not_been() {
    const STEPS: &str = "--epochs 12 --batch-size 4 --lr 1e-3 --log-every 1 --seeds 2";
    let scene = scene();
    let command = |out: &str| COMPARE.replace("--epochs 1 --seeds 2 --out both", &format!("{STEPS} --out {out}"));
    scene.rehead(&command("whole")).ok();

    // The second run is `full` with the first seed; the one before it is finished.
    let mut running = scene.rehead(&command("both")).start();
    let met = running.wait_until(|_| logged_steps(&scene, "both/full/seed-42") >= 20);
    running.signal(libc::SIGINT);
    let outcome = running.wait();
    outcome.check(met && !outcome.status.success(), "an interruption in time");
    assert!(!scene.exists("both/compare.json") && scene.exists("both/frozen/seed-42/metrics.json"));
    assert!(!scene.exists("both/full/seed-42/metrics.json") && !scene.exists("both/frozen/seed-43"));
    outcome.says(&["interrupted: ", "hint: continue with the same command"]);

    let resumed = scene.rehead(&command("both")).ok();
    resumed.says(&["both/frozen/seed-42 is finished", "after step"]);
    assert_eq!(found(&scene, "both"), found(&scene, "whole"));
    for run in ["frozen/seed-42", "full/seed-42", "frozen/seed-43", "full/seed-43"] {
        assert!(weights(&scene, &format!("both/{run}")) == weights(&scene, &format!("whole/{run}")), "{run}");
        assert_eq!(history(&scene, &format!("both/{run}")), history(&scene, &format!("whole/{run}")), "{run}");
        let predictions = format!("{run}/predictions/test.csv");
        assert_eq!(scene.text(&format!("both/{predictions}")), scene.text(&format!("whole/{predictions}")), "{run}");
    }
}
