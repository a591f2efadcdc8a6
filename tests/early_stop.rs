//! When training ends before its last epoch, and what is said of it.

mod support;

use support::{BASIC, assert_as_uninterrupted, interrupted, training_scene};

/// Enough to learn every row, long before the last epoch.
const LEARNED: &str = "--epochs 40 --batch-size 8 --set model.dropout=0 --lr 4e-3 --log-every 1";

#[test]
fn training_stops_when_its_rows_are_learned_and_says_so() {
    let scene = training_scene();
    let outcome = scene.rehead(&format!("{BASIC} {LEARNED} --out run --json")).ok();
    let metrics = outcome.json();
    let epochs = metrics["epochs"].as_u64().unwrap();
    assert!(epochs < 40, "{epochs}");
    assert_eq!(metrics["ended"]["reason"], "fitted");
    assert_eq!(metrics["ended"]["planned_epochs"], 40);
    assert!(metrics["ended"]["training_loss"].as_f64().unwrap() < 0.01);
    let said = format!("raining stopped after epoch {epochs} of 40: the training rows are learned (training loss 0.00");
    outcome.says(&["the training rows are learned: stopping early", &format!("t{said}")]);
    assert!(scene.text("run/report.html").contains(&format!("T{said}")));

    // With `off` all epochs are trained.
    let all = scene.rehead(&format!("{BASIC} {LEARNED} --patience off --out all --json")).ok();
    let all = all.says(&["training took all 40 epochs that were planned; the training loss of the last is 0.00"]);
    assert_eq!((all.json()["epochs"].as_u64(), &all.json()["ended"]["reason"]), (Some(40), &"all_epochs".into()));

    // What is interrupted ends in the same epoch.
    scene.copy("run", "whole");
    scene.remove("run");
    interrupted(&scene, &format!("{BASIC} {LEARNED} --out run"), libc::SIGINT, 43);
    scene.rehead("train --resume --out run").ok();
    assert_as_uninterrupted(&scene, "stopped early");
}

#[test]
fn patience_may_be_a_number_or_a_word() {
    let scene = training_scene();
    for (words, expected) in [("--patience 2", "patience = 2"), ("--patience off", "patience = \"off\"")] {
        scene.rehead(&format!("{BASIC} --epochs 1 {words} --out {}", words.len())).ok();
        assert!(scene.text(&format!("{}/rehead.toml", words.len())).contains(expected), "{expected}");
    }
    scene.write("run.toml", "[training]\npatience = 3\n");
    scene.rehead(&format!("{BASIC} --epochs 1 --config run.toml --out toml")).ok();
    assert!(scene.text("toml/rehead.toml").contains("patience = 3"));
    for wrong in ["0", "often"] {
        scene.rehead(&format!("{BASIC} --epochs 1 --patience {wrong} --out wrong")).refused().says(&["--patience"]);
    }
}
