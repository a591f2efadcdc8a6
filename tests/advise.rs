//! `rehead advise` as its users meet it: measurements of every stage, in a table or as JSON, and nothing written.

mod support;

use support::{Scene, csv, sentiment};

const ADVISE: &str = "advise --train train.csv --model bare --device cpu --precision fp32 --threads 1";

fn scene(rows: usize) -> Scene {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", csv(&sentiment(rows, 1)));
    scene
}

#[test]
fn every_stage_is_measured_and_nothing_is_written() {
    let scene = scene(80);
    let before = scene.everything();
    let outcome = scene.rehead(ADVISE).ok();
    for part in ["embeddings", "layer.0", "linear head", "A head on the frozen network is correct for"] {
        outcome.check(outcome.stdout_text().contains(part), part);
    }
    let json = scene.rehead(&format!("{ADVISE} --json --quiet")).ok().json();
    let stages = json["measurements"]["stages"].as_array().unwrap();
    assert!(stages.len() >= 3 && stages[0]["name"] == "embeddings");
    for stage in stages {
        let (correct, rows) = (stage["probe"]["correct"].as_u64().unwrap(), stage["probe"]["rows"].as_u64().unwrap());
        assert!(correct <= rows && rows == 80, "every row is tested once: {stage}");
        assert!(stage["logme"].is_number() && stage["hscore"].is_number());
    }
    // The fixture's words give its labels away.
    assert!(stages[0]["probe"]["correct"].as_u64().unwrap() > 48, "{}", stages[0]);
    assert!(scene.everything() == before, "advice wrote something");
}

#[test]
fn the_same_call_measures_the_same() {
    let scene = scene(60);
    let measured = || scene.rehead(&format!("{ADVISE} --json")).ok().json()["measurements"].clone();
    assert_eq!(measured(), measured());
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let scene = scene(60);
    scene.write("train.csv", "text,label\ngood,a\nbad,b\n");
    scene.rehead(ADVISE).refused().says(&["hint: "]);
    scene.write("train.csv", "text,label\n");
    scene.rehead(ADVISE).refused().says(&["train.csv", "hint: "]);
}
