//! `rehead compare` as its users meet it: every strategy and seed once, side by side, and nothing done twice.

mod support;

use support::{Scene, csv, sentiment};

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
