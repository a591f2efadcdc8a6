//! Stories about small data used whole, through the real binary: a model trained again on all rows.

mod support;

use support::*;

/// Epochs that each lower the validation loss.
const FALLING: &str = "--keep-best loss --epochs 3 --batch-size 8 --lr 1e-3";

#[test]
fn refitting_trains_on_all_rows_for_the_chosen_epochs() {
    let scene = training_scene();
    let all = csv(&[sentiment(64, 1), sentiment(20, 2)].concat());
    scene.write("all.csv", all);
    // Of all rows no temperature could be fitted.
    let basic = format!("{BASIC} --calibrate off {FALLING}");
    scene.rehead(&format!("{basic} --refit --test test.csv --out refit")).ok().says(&[
        "chosen: epoch 3 of 3",
        "then trained again for 3 epochs on all 84 rows",
        "trained on 64",
    ]);
    scene.rehead(&format!("{basic} --test test.csv --out first")).ok();
    // The same network and head, the same order of steps as if all rows had been in the file.
    scene.rehead(&format!("{} --test test.csv --out whole", basic.replace("train.csv", "all.csv"))).ok();
    assert!(weights(&scene, "refit") == weights(&scene, "whole"), "other weights than of all rows");
    let [refit, first, whole] = ["refit", "first", "whole"].map(|run| scene.json(&format!("{run}/metrics.json")));
    assert_eq!(refit["train_rows"], 84);
    assert_eq!(refit["refit"], serde_json::json!({ "rows_before": 64, "epochs": 3 }));
    assert_eq!(refit["valid"], first["valid"], "of the model before");
    assert_eq!(refit["test"], whole["test"], "of the final model");
    assert_ne!(refit["test"], first["test"]);
    assert_eq!(history(&scene, "refit"), history(&scene, "first"));
    assert_eq!(scene.text("refit/predictions/valid.csv"), scene.text("first/predictions/valid.csv"));
    let names = |run: &str| scene.everything_in(run).into_keys().collect::<Vec<_>>();
    assert_eq!(names("refit"), names("first"), "nothing is left of the first model");
    assert!(scene.text("refit/report.html").contains("Then trained again for 3 epochs on all 84 rows"));
    // Rows that the final model was trained on are known as such.
    scene.rehead("evaluate --model refit --data valid.csv --device cpu").ok().says(&["was trained on"]);
}

#[test]
fn every_strategy_is_refitted() {
    let scene = training_scene();
    for how in [
        "--strategy frozen",
        "--strategy last:1",
        "--strategy lora",
        "--strategy gradual --head-init probe",
        "--strategy bitfit --valid-fraction 0.2",
    ] {
        let basic = if how.contains("fraction") { BASIC.replace("--valid valid.csv ", "") } else { BASIC.to_owned() };
        scene.rehead(&format!("{basic} {how} --epochs 2 --batch-size 16 --refit --test test.csv --out run")).ok();
        let metrics = scene.json("run/metrics.json");
        let rows = if how.contains("fraction") { 64 } else { 84 };
        assert_eq!(metrics["train_rows"], rows, "{how}");
        assert!(metrics["refit"]["rows_before"].as_u64().unwrap() < rows, "{how}");
        scene.rehead(&format!("{basic} {how} --epochs 2 --batch-size 16 --test test.csv --out plain")).ok();
        assert!(weights(&scene, "run") != weights(&scene, "plain"), "{how}");
        let plain = scene.json("plain/metrics.json");
        assert_eq!(metrics["valid"], plain["valid"], "{how}");
        assert!(metrics["temperature"].is_f64() && metrics["temperature"] == plain["temperature"], "{how}");
        scene.remove("run");
        scene.remove("plain");
    }
}

#[test]
fn an_interrupted_refit_continues_bit_identical() {
    let scene = training_scene();
    let words = format!("{BASIC} {LONG} --strategy full --head-init probe --refit");
    scene.rehead(&format!("{words} --out whole")).ok();
    let steps = |folder: &str| logged_steps(&scene, folder);
    // In the first training, and in the second.
    for (folder, step) in [("run", 20), ("run/checkpoints/refit", 7)] {
        let outcome = interrupted_when(&scene, &format!("{words} --out run"), 2, "run", || steps(folder) >= step);
        outcome.check(outcome.status.code() == Some(130), "exit status 130");
        scene.rehead("train --resume --out run").ok();
        assert_as_uninterrupted(&scene, folder);
        scene.remove("run");
    }
    // Another way of training is refused.
    let outcome = interrupted_when(&scene, &format!("{words} --out run"), 2, "run", || steps("run") >= 3);
    outcome.says(&["continue with: rehead train --resume --out run"]);
    scene.write("run/rehead.toml", scene.text("run/rehead.toml").replace("refit = true", "refit = false"));
    scene.rehead("train --resume --out run --refit").refused().says(&["`training.refit` was false, now true"]);
}
