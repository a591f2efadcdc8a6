//! `rehead evaluate` as its users meet it: its figures are those that one counts in `label`'s output, and those that
//! training reported.

mod support;

use serde_json::{Value, json};
use support::{Scene, csv, fields, sentiment};

fn trained() -> Scene {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", csv(&sentiment(80, 1)));
    scene.write("valid.csv", csv(&sentiment(30, 2)));
    scene.write("test.csv", csv(&sentiment(37, 3)));
    scene
}

fn train(scene: &Scene, how: &str) {
    let words =
        "train --train train.csv --valid valid.csv --test test.csv --model bare --precision fp32 --threads 1 --out run";
    scene.rehead(&format!("{words} {how}")).ok();
}

fn near(a: &Value, b: f64, tolerance: f64) -> bool {
    a.as_f64().is_some_and(|a| (a - b).abs() <= tolerance)
}

#[test]
fn its_figures_are_those_that_label_gives() {
    let scene = trained();
    // Little training, so that there are mistakes to count.
    train(&scene, "--epochs 2 --batch-size 16 --lr 1e-3");
    let common = "--model run --precision fp32 --threads 1";
    let found = scene.rehead(&format!("evaluate {common} --data test.csv --json")).ok().json()["test"].clone();
    scene.rehead(&format!("label {common} --input test.csv --output out.csv --probabilities")).ok();

    let output = scene.text("out.csv");
    let rows = &fields(&output)[1..];
    let labels = ["negative", "positive"];
    let mut confusion = [[0u64; 2]; 2];
    let mut loss = 0.0;
    for row in rows {
        let index = |word: &str| labels.iter().position(|label| *label == word).unwrap();
        let (truth, predicted) = (index(row[1]), index(row[2]));
        confusion[truth][predicted] += 1;
        loss -= row[4 + truth].parse::<f64>().unwrap().ln() / rows.len() as f64;
    }
    assert_eq!(found["rows"], 37);
    assert_eq!(found["confusion"], json!(confusion));
    assert!(near(&found["accuracy"], (confusion[0][0] + confusion[1][1]) as f64 / 37.0, 1e-12), "{found:#}");
    // `label` writes six decimals.
    assert!(near(&found["loss"], loss, 1e-5), "{loss} in {found:#}");
    let mut sum = 0.0;
    for (class, label) in labels.iter().enumerate() {
        let right = confusion[class][class] as f64;
        let (support, predicted) =
            (confusion[class].iter().sum::<u64>(), confusion.iter().map(|row| row[class]).sum::<u64>());
        let share = |whole: u64| if whole == 0 { 0.0 } else { right / whole as f64 };
        let (precision, recall) = (share(predicted), share(support));
        let f1 = if right == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
        let per_class = &found["per_class"][label];
        assert_eq!(per_class["support"], support);
        assert!(near(&per_class["precision"], precision, 1e-12), "{label} in {found:#}");
        assert!(near(&per_class["recall"], recall, 1e-12), "{label} in {found:#}");
        assert!(near(&per_class["f1"], f1, 1e-12), "{label} in {found:#}");
        sum += f1;
    }
    assert!(near(&found["macro_f1"], sum / 2.0, 1e-12), "{found:#}");
}

#[test]
fn it_finds_what_training_reported() {
    for how in ["--strategy frozen", "--epochs 3 --batch-size 16 --lr 1e-3"] {
        let scene = trained();
        train(&scene, how);
        let reported = scene.json("run/metrics.json");
        for (split, file) in [("valid", "valid.csv"), ("test", "test.csv")] {
            let words = format!("evaluate --model run --data {file} --precision fp32 --threads 1 --json");
            let found = scene.rehead(&words).ok().json()["test"].clone();
            let reported = &reported[split];
            for key in ["rows", "accuracy", "macro_f1", "confusion", "per_class"] {
                assert_eq!(found[key], reported[key], "{how}: {split}.{key}");
            }
            for key in ["loss", "ece"] {
                assert!(
                    near(&found[key], reported[key].as_f64().unwrap(), 1e-6),
                    "{how}: {split}.{key}: {found:#} {reported:#}"
                );
            }
        }
    }
}

#[test]
fn the_result_goes_where_it_is_wanted() {
    let scene = trained();
    train(&scene, "--strategy frozen");
    let words = "evaluate --model run --data test.csv --threads 1";
    // For people on standard output, for programs with --json, and into a directory with --out.
    let outcome = scene.rehead(words).ok();
    assert!(outcome.stdout_text().contains("accuracy"), "{outcome}");
    let outcome = scene.rehead(&format!("{words} --out results/first --json")).ok();
    assert_eq!(outcome.json(), scene.json("results/first/metrics.json"));
    assert_eq!(outcome.json()["model"], "run");
    let outcome = scene.rehead(&format!("{words} --out second --quiet")).ok();
    assert!(outcome.stdout.is_empty() && outcome.stderr.is_empty(), "{outcome}");
    assert_eq!(scene.json("second/metrics.json")["test"]["rows"], 37);
    assert!(scene.text("second/report.html").contains("The most confident mistakes"));
    assert_eq!(scene.text("second/predictions/test.csv").lines().count(), 1 + 37);
}

/// A gap between confidence and accuracy is put down to chance where it is smaller than chance makes it, however few
/// rows there are; and the threshold that is recommended is one of those that are listed.
#[test]
fn chance_and_thresholds_are_judged_by_their_numbers() {
    let scene = trained();
    train(&scene, "--epochs 2 --batch-size 16 --lr 1e-3");
    let rows = sentiment(400, 4);
    let other = |label: &str| if label == "positive" { "negative" } else { "positive" };
    let flipped: Vec<_> = rows.iter().take(60).map(|(text, label)| (text.clone(), other(label))).collect();
    scene.write("flipped.csv", csv(&flipped));
    // Half of the texts may have either label.
    let unsure = |(row, (text, label)): (usize, (String, &'static str))| match row % 4 {
        0 | 1 => (format!("zebra {row}"), if row % 8 < 4 { "positive" } else { "negative" }),
        _ => (text, label),
    };
    let mixed: Vec<_> = rows.into_iter().enumerate().map(unsure).collect();
    scene.write("mixed.csv", csv(&mixed[..200]));
    scene.write("train.csv", csv(&mixed[200..]));
    let page = |name: &str| {
        scene.rehead(&format!("evaluate --model run --data {name}.csv --precision fp32 --threads 1 --out {name}")).ok();
        let rows = scene.text(&format!("{name}/predictions/test.csv"));
        let rows = fields(&rows);
        let column = |wanted: &str| rows[0].iter().position(|name| *name == wanted).unwrap();
        let [label, prediction, confidence] = ["label", "prediction", "confidence"].map(column);
        let count = (rows.len() - 1) as f64;
        let accuracy = rows[1..].iter().filter(|row| row[label] == row[prediction]).count() as f64 / count;
        let mean = rows[1..].iter().map(|row| row[confidence].parse::<f64>().unwrap()).sum::<f64>() / count;
        let (gap, chance) = ((mean - accuracy).abs(), 2.0 * (accuracy * (1.0 - accuracy) / count).sqrt());
        let text = scene.text(&format!("{name}/report.html"));
        assert_eq!(text.contains("may be due to chance"), gap >= 0.01 && gap < chance, "{name}: {gap} {chance}");
        (text, gap < chance)
    };
    assert!(!page("flipped").1);
    page("test");
    scene.remove("run");
    train(&scene, "--strategy frozen");
    let (mixed, _) = page("mixed");
    let (_, advice) = mixed.split_once("With <code>--min-confidence ").expect("a threshold");
    let threshold = advice.split_once('<').unwrap().0;
    assert!(mixed.contains(&format!("<td class=\"word\">{threshold} (recommended)</td>")), "{threshold}");
}

/// A pipe can be opened once: nothing of it may be lost in finding out what it is.
#[test]
fn labelled_rows_may_come_through_any_pipe() {
    let scene = trained();
    train(&scene, "--strategy frozen");
    let words = "evaluate --model run --threads 1 --json --quiet --data";
    let mut expected = scene.rehead(&format!("{words} test.csv")).ok().json()["test"].clone();
    for input in ["-", "/dev/stdin"] {
        let found = scene.rehead(&format!("{words} {input}")).input(scene.bytes("test.csv")).ok().json();
        assert_eq!(found["test"], expected, "{input}");
    }
    // Under the names of the training file, whatever else looks like a text.
    scene.write("other.csv", scene.text("test.csv").replacen("text,label", "content,class", 1));
    scene.write("trained.csv", scene.text("train.csv").replacen("text,label", "content,class", 1));
    scene.rehead("train --train trained.csv --model bare --threads 1 --strategy frozen --out named").ok();
    let words = "evaluate --model named --threads 1 --json --quiet --data";
    expected = scene.rehead(&format!("{words} other.csv")).ok().json()["test"].clone();
    let found = scene.rehead(&format!("{words} -")).input(scene.bytes("other.csv")).ok().json();
    assert_eq!(found["test"], expected);
}

#[test]
fn labels_must_be_the_models() {
    let scene = trained();
    train(&scene, "--strategy frozen");
    scene.write("test.csv", "text,label\ngood film,positive\nbad film,negativ\n");
    let outcome = scene.rehead("evaluate --model run --data test.csv --out results").refused();
    outcome.says(&["test.csv: row 2 (line 3): column `label`: the label `negativ` is unknown", "`negative`", "hint: "]);
    assert!(!scene.exists("results"));
}

#[test]
fn one_class_is_enough_to_measure_on() {
    let scene = trained();
    train(&scene, "--strategy frozen");
    scene.write("test.csv", "text,label\ngood film,positive\n");
    let found = scene.rehead("evaluate --model run --data test.csv --json").ok().json()["test"].clone();
    assert_eq!((&found["rows"], &found["per_class"]["negative"]["support"]), (&json!(1), &json!(0)));
}

#[test]
fn a_foreign_model_is_measured_by_its_own_names() {
    let scene = Scene::with_models(&["classifier"]);
    scene.write("test.csv", csv(&sentiment(20, 3)));
    let found = scene.rehead("evaluate --model classifier --data test.csv --json").ok().json()["test"].clone();
    let names: Vec<&str> = found["per_class"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((names, &found["rows"]), (vec!["negative", "positive"], &json!(20)));
}
