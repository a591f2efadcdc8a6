//! Regression as its users meet it: rows with a number in place of a label, from training to the number that `label`
//! writes. What Python makes of such a run, `tests/python.rs` has.

mod support;

use serde_json::{Value, json};
use support::{LONG, Lottery, Scene, assert_as_uninterrupted, fields, interrupted, tensors, weights};

const TRAIN: &str = "train --task regression --train train.csv --valid valid.csv --model bare --label score \
                     --device cpu --precision fp32 --threads 1";

/// Texts whose number follows from their words, far from 0 and with a deviation far from 1.
fn scored(rows: usize, seed: u64) -> String {
    let mut lottery = Lottery(seed);
    let mut lines = "text,score\n".to_owned();
    for row in 0..rows {
        let (word, points) = [("awful", 1), ("bad", 2), ("fine", 3), ("good", 4), ("great", 5)][row % 5];
        lines.push_str(&format!("{} {word} {},{}.5\n", lottery.words(1, 3), lottery.words(1, 3), 1000 + 40 * points));
    }
    lines
}

fn scene() -> Scene {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", scored(60, 1));
    scene.write("valid.csv", scored(25, 2));
    scene.write("test.csv", scored(20, 3));
    scene
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_head_fitted_on_features_gives_plain_numbers_everywhere() {
    let scene = scene();
    let said = scene.rehead(&format!("{TRAIN} --test test.csv --strategy frozen --out run")).ok();
    said.says(&[
        "ridge regression, l2 ",
        "60 rows, numbers from 1040.5 to 1200.5 (mean 1120",
        "RMSE on 20 test rows: ",
    ]);
    let metrics = scene.json("run/metrics.json");
    let test = &metrics["test"];
    assert!(number(&test["rmse"]) < number(&test["truth_deviation"]), "{test:#}");
    for key in ["mae", "r2", "pearson", "spearman", "rmse_interval", "mae_interval", "r2_interval"] {
        assert!(!test[key].is_null(), "{key} of {test:#}");
    }
    let config = scene.json("run/config.json");
    assert_eq!((&config["problem_type"], &config["id2label"]), (&json!("regression"), &json!({ "0": "score" })));

    // What `label` writes is what was scored, and the same from the weights that were saved.
    scene.rehead("label --model run --precision fp32 --threads 1 --input test.csv --output out.csv").ok();
    let (out, predictions) = (scene.text("out.csv"), scene.text("run/predictions/test.csv"));
    let (out, predictions) = (fields(&out), fields(&predictions));
    assert_eq!(out[0], ["text", "score", "predicted_score"]);
    assert_eq!(predictions[0], ["row", "text", "score", "label", "prediction", "error"]);
    let mut squares = 0.0;
    for (row, predicted) in out.iter().zip(&predictions).skip(1) {
        assert_eq!(row[2], predicted[4], "{row:?} {predicted:?}");
        // As the network gives it: its digits tell it from other numbers of single precision alone.
        let predicted = f64::from(row[2].parse::<f32>().unwrap());
        squares += (predicted - row[1].parse::<f64>().unwrap()).powi(2);
    }
    assert!(((squares / 20.0).sqrt() - number(&test["rmse"])).abs() < 1e-9, "{squares} {test:#}");
    let mistakes = scene.text("run/predictions/mistakes.csv");
    let errors: Vec<f64> = fields(&mistakes)[1..].iter().map(|row| row[5].parse::<f64>().unwrap().abs()).collect();
    assert!(errors.is_sorted_by(|a, b| a >= b) && errors.len() == 20, "{errors:?}");

    // Numbers have their type, and `evaluate` finds the same.
    scene.rehead("label --model run --precision fp32 --threads 1 --input test.csv --output out.jsonl").ok();
    let first: Value = serde_json::from_str(scene.text("out.jsonl").lines().next().unwrap()).unwrap();
    assert!(first["predicted_score"].is_f64(), "{first}");
    scene.rehead("evaluate --model run --precision fp32 --threads 1 --data test.csv --out scores").ok();
    let found = scene.json("scores/metrics.json")["test"].clone();
    assert_eq!(found, *test);
    for page in ["run/report.html", "scores/report.html"] {
        let page = scene.text(page);
        assert!(page.contains("Scatter plot") && page.contains("Residual plot") && !page.contains("NaN"), "{page}");
    }
    let card = scene.text("run/README.md");
    assert!(card.contains("gives texts a number, `score`") && card.contains("| data | rows | RMSE"), "{card}");
    assert!(card.contains("type: mse") && !card.contains("softmax") && !card.contains("NaN"), "{card}");
}

#[test]
fn a_trained_network_learns_numbers_and_an_interrupted_run_ends_as_another() {
    let scene = scene();
    let whole = format!("{TRAIN} {LONG} --loss huber --patience off");
    let said = scene.rehead(&format!("{whole} --out whole")).ok();
    said.says(&["RMSE on 25 validation rows: ", "weights kept: epoch "]);
    let valid = scene.json("whole/metrics.json")["valid"].clone();
    assert!(number(&valid["r2"]) > 0.2, "{valid:#}");
    let history = scene.text("whole/history.jsonl");
    assert!(history.contains("\"r2\":") && !history.contains("macro_f1"), "{history}");
    // The deviation and the mean are in the saved layer.
    let (_, bias) = &tensors(&weights(&scene, "whole"))["classifier.bias"];
    assert!(bias[0] > 900.0, "{bias:?}");
    interrupted(&scene, &format!("{whole} --snapshot-minutes 0 --out run"), libc::SIGINT, 40);
    scene.rehead("train --resume --out run --snapshot-minutes 5").ok();
    assert_as_uninterrupted(&scene, "a regression");
    // The validation rows were scored with the weights that are saved.
    scene.rehead("evaluate --model run --precision fp32 --threads 1 --data valid.csv --out scores").ok();
    assert_eq!(scene.json("scores/metrics.json")["test"], valid);
}

#[test]
fn pairs_are_scored_and_rows_held_out_of_small_and_large_numbers() {
    let scene = scene();
    let lines: Vec<String> = scored(60, 4).lines().skip(1).map(|line| line.replacen(' ', ",", 1)).collect();
    scene.write("pairs.csv", format!("text_a,text_b,score\n{}\n", lines.join("\n")));
    let words = "train --task regression --train pairs.csv --model bare --label score --strategy frozen --refit \
                 --precision fp32 --threads 1 --valid-fraction 0.2 --keep-best loss --out run";
    scene.rehead(words).ok().says(&["10 of the training rows held out", "training on all 60 rows"]);
    let valid = scene.text("run/predictions/valid.csv");
    for points in 1..=5 {
        let score = format!("{}.5", 1000 + 40 * points);
        assert!(valid.contains(&score), "no row with {score}:\n{valid}");
    }
    scene.rehead("label --model run --input pairs.csv --output out.csv --threads 1").ok().says(&["60 rows labelled"]);
}

/// A checkpoint from elsewhere that has one output: `problem_type` need not say it.
#[test]
fn models_of_others_give_numbers() {
    let scene = scene();
    scene.rehead(&format!("{TRAIN} --strategy frozen --out run")).ok();
    scene.rehead("evaluate --model run --data test.csv --precision fp32 --threads 1 --out before").ok();
    scene.edit_json("run/config.json", |config| {
        for key in ["problem_type", "id2label", "label2id"] {
            config.as_object_mut().unwrap().remove(key);
        }
    });
    for file in ["metrics.json", "rehead.toml", "confidence.json"] {
        scene.remove(&format!("run/{file}"));
    }
    scene.rehead("evaluate --model run --data test.csv --label score --precision fp32 --threads 1 --out after").ok();
    let scores = |run: &str| scene.json(&format!("{run}/metrics.json"))["test"]["rmse"].clone();
    assert_eq!(scores("after"), scores("before"));
}

#[test]
fn what_has_no_number_is_named_and_what_is_for_labels_refused() {
    let scene = scene();
    for (cell, says) in [
        ("four", "row 2 (line 3): column `score`: `four` is not a finite number"),
        ("\"1,234\"", "`1,234` may be 1.234 or 1234"),
        ("inf", "is not a finite number"),
        ("", "1 of 3 labels is empty: row 2"),
    ] {
        scene.write("odd.csv", format!("text,score\na,1\nb,{cell}\nc,2\n"));
        let words = TRAIN.replace("train.csv", "odd.csv");
        scene.rehead(&format!("{words} --strategy frozen --out odd")).refused().says(&[says, "hint: "]);
    }
    for (option, says) in [
        ("--loss cross_entropy", "regression takes --loss mse or --loss huber"),
        ("--loss huber", "ridge regression"),
        ("--keep-best macro_f1", "spearman"),
        ("--class-weights balanced", "weighs labels"),
        ("--target-accuracy 0.9", "is a share of right labels"),
    ] {
        scene.rehead(&format!("{TRAIN} --strategy frozen --out odd {option}")).refused().says(&[says, "hint: "]);
    }
    let folds = TRAIN.replace("--valid valid.csv", "--folds 3");
    scene.rehead(&format!("{folds} --out odd")).refused().says(&["folds are dealt by labels"]);
    let labels = TRAIN.replace("--task regression", "--task single-label");
    scene.rehead(&format!("{labels} --loss mse --out odd")).refused().says(&["--task regression"]);
    scene
        .rehead(&format!("{labels} --keep-best spearman --out odd"))
        .refused()
        .says(&["`spearman` is a score of numbers"]);
    let compare = TRAIN.replace("train --task", "compare --strategies frozen --task");
    scene.rehead(&format!("{compare} --out odd")).refused().says(&["comparisons count right and wrong labels"]);
    // Numbers are asked for, not guessed.
    let scores: String = (0..60).map(|row| format!("text {row},{}.{}\n", row % 7, row)).collect();
    scene.write("plain.csv", format!("text,score\n{scores}"));
    let plain = "train --train plain.csv --model bare --label score --strategy frozen --out odd";
    scene.rehead(plain).refused().says(&["look like scores", "--task regression"]);

    scene.rehead(&format!("{TRAIN} --strategy frozen --out run")).ok();
    for option in ["--min-confidence 0.5", "--unknown 0.05", "--probabilities", "--top 2"] {
        let words = format!("label --model run --input test.csv --output out.csv {option}");
        scene.rehead(&words).refused().says(&["gives each row a number"]);
    }
    for words in
        ["explain --model run --input test.csv --output why.csv", "evaluate --model run --data test.csv --label-map m"]
    {
        scene.rehead(words).refused();
    }
}
