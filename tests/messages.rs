//! What is said once is not said twice, and hints name flags that the command has.

mod support;

use image::{ImageFormat, Rgb, RgbImage};
use support::{Scene, csv, sentiment, training_scene};

const FROZEN: &str = "train --model bare --strategy frozen --device cpu --precision fp32 --threads 1 --out run";

fn times(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn half_characters_of_a_file_to_label_are_said_once() {
    let scene = training_scene();
    scene.rehead(&format!("{FROZEN} --train train.csv")).ok();
    scene.write("in.jsonl", "{\"text\": \"good \\ud83d\"}\n{\"text\": \"bad\"}\n");
    let words = "label --model run --input in.jsonl --output out.jsonl --quiet --device cpu --threads 1";
    let outcome = scene.rehead(words).ok().says(&["lone surrogate", "in 1 row"]);
    outcome.check(times(&outcome.stderr, "lone surrogate") == 1, "one warning");
}

#[test]
fn settings_without_effect_are_named_as_they_were_written() {
    let scene = training_scene();
    scene.write("run.toml", "[training]\nepochs = 3\n");
    let words = format!("{FROZEN} --train train.csv --config run.toml --set patience=2 --lr 0.1");
    let outcome = scene.rehead(&words).ok();
    let outcome = outcome.says(&["`training.epochs`, `training.patience` and `--lr` have no effect"]);
    outcome.check(!outcome.stderr.contains("--epochs"), "no flag that was not given");
}

/// A model of pairs cannot be given lines, whatever columns are named.
#[test]
fn a_model_of_pairs_asks_for_a_table() {
    let scene = Scene::with_models(&["bare"]);
    let rows = csv(&sentiment(40, 1)).replacen("text,", "premise,", 1);
    let pairs: String = rows
        .lines()
        .enumerate()
        .map(|(index, line)| format!("{},{line}\n", if index == 0 { "hypothesis" } else { "good" }))
        .collect();
    scene.write("pairs.csv", pairs);
    scene.rehead(&format!("{FROZEN} --train pairs.csv --text premise,hypothesis")).ok();
    let label = "label --model run --output out.csv --device cpu --threads 1 --input";
    let hint = "needs 2 columns: give a CSV whose first line is premise,hypothesis";
    let outcome = scene.rehead(&format!("{label} -")).input("good\nbad\n").refused().says(&[hint]);
    outcome.check(!outcome.stderr.contains("--text"), "no flag that does not help");
    scene.write("lines.txt", "good\nbad\n");
    scene.rehead(&format!("{label} lines.txt")).refused().says(&[hint]);
    // Where there are two columns, naming them helps.
    scene.write("other.csv", "a,b\ngood,bad\n");
    scene.rehead(&format!("{label} other.csv")).refused().says(&["--text COL,COL2"]);
}

fn images() -> Scene {
    let scene = Scene::new();
    std::fs::create_dir(scene.path("net")).unwrap();
    let net = r#"{"architecture": "resnet18", "num_classes": 2, "num_features": 16,
        "model_args": {"layers": [2, 1, 1, 1], "channels": [8, 8, 16, 16]},
        "pretrained_cfg": {"input_size": [32, 32]}}"#
        .replace("[32, 32]", "[3, 32, 32]");
    scene.write("net/config.json", net);
    for part in ["train", "test"] {
        for (class, shade) in [("dark", 40), ("light", 200)] {
            std::fs::create_dir_all(scene.path(format!("data/{part}/{class}"))).unwrap();
            for index in 0..8u8 {
                let picture = RgbImage::from_fn(32, 32, |x, y| Rgb([shade, index, (x * y) as u8]));
                let file = scene.path(format!("data/{part}/{class}/{index}.png"));
                picture.save_with_format(file, ImageFormat::Png).unwrap();
            }
        }
    }
    scene
}

#[test]
fn images_that_are_trained_on_too_are_said_once_and_folders_have_no_columns() {
    let scene = images();
    let train = "train --model net --init random --device cpu --precision fp32 --threads 1 --epochs 1 --out run";
    let outcome = scene.rehead(&format!("{train} --train data/train --valid data/train")).ok();
    let outcome = outcome.says(&["16 of the validation images are copies of training images"]);
    outcome.check(times(&outcome.stderr, "warning: 16 of the validation images") == 1, "one warning");
    let said =
        serde_json::json!(["16 of the validation images are copies of training images: scores are too optimistic"]);
    assert_eq!(scene.json("run/metrics.json")["data_warnings"], said);
    for words in ["evaluate --model run --data data/test", "advise --model run --train data/train"] {
        let outcome = scene.rehead(&format!("{words} --device cpu --threads 1")).ok();
        outcome.check(!outcome.stderr.contains("the usual name"), "nothing about columns");
    }
    for (words, flag) in [
        ("evaluate --model run --data data", "name one of them: --data data/test\n"),
        ("advise --model run --train data", "name one of them: --train data/train\n"),
    ] {
        scene.rehead(words).refused().says(&["are parts of a data set", flag]);
    }
    scene.rehead(&format!("{train}2 --train data")).refused().says(&["--train data/train --test data/test"]);
}

/// What training will do to labels and files can be seen before.
#[test]
fn inspect_shows_what_training_gets() {
    let scene = training_scene();
    let rows =
        |label: &str, count: usize| (0..count).map(|row| format!("{label} text {row},{label}\n")).collect::<String>();
    scene.write("a.csv", format!("text,label\n{}{}", rows("spam", 20), rows("ham", 20)));
    scene.write("b.csv", format!("text,label\n{}{}one,rare\nnone,\n", rows("Spam", 5), rows("Ham", 5)));
    let rules = "--merge-labels --min-rows-per-label 3 --other rest --on-empty-label skip";
    let json = scene.rehead(&format!("inspect a.csv b.csv {rules} --json")).ok().json();
    assert_eq!(json["files"].as_array().map(Vec::len), Some(2), "{json}");
    let trained = scene.rehead(&format!("{FROZEN} --train a.csv b.csv {rules} --json")).ok();
    assert_eq!(json["training"]["summary"]["rows"], 51, "{json}");
    assert_eq!(json["training"]["summary"]["classes"], serde_json::json!([["ham", 25], ["rest", 1], ["spam", 25]]));
    let shown = scene.rehead(&format!("inspect a.csv b.csv {rules}")).ok();
    for note in json["training"]["notes"].as_array().unwrap() {
        let note = note.as_str().unwrap();
        trained.check(trained.stderr.contains(note), note);
        shown.check(shown.stdout_text().contains(note), note);
    }
    // What training refuses is said as it says it.
    scene.rehead("inspect a.csv b.csv").ok().shows(&["`rehead train` refuses: ", "--on-empty-label skip"]);
    // Files that are fine, each by itself, are not where training takes them together and has something to say.
    scene.write("c.csv", format!("text,label\n{}{}", rows("Spam", 20), rows("Ham", 20)));
    let fine = scene.rehead("inspect a.csv").ok();
    fine.check(fine.stdout_text().ends_with("\nnothing looks wrong\n"), "the verdict at the end");
    let odd = scene.rehead("inspect a.csv c.csv").ok().shows(&["`rehead train` gets", "look alike"]);
    odd.check(!odd.stdout_text().contains("nothing looks wrong"), "no verdict beside what looks wrong");
    let refused = scene.rehead("inspect a.csv --min-rows-per-label 30").ok().shows(&["`rehead train` refuses: "]);
    refused.check(!refused.stdout_text().contains("nothing looks wrong"), "no verdict beside a refusal");
    let merged = scene.rehead("inspect a.csv c.csv --merge-labels").ok();
    merged.check(merged.stdout_text().ends_with("\nnothing looks wrong\n"), "the verdict after all");
    // Validation rows are held out where none are given.
    let held_out = "before validation rows were held out";
    scene.rehead(&format!("{} --train a.csv", FROZEN.replace("--out run", "--out split"))).ok();
    assert!(scene.text("split/report.html").contains(held_out));
    scene.rehead(&format!("{} --train a.csv --valid a.csv", FROZEN.replace("--out run", "--out given"))).ok();
    assert!(!scene.text("given/report.html").contains(held_out));
    scene.rehead("inspect a.csv --other rest").refused().says(&["--min-rows-per-label"]);
    scene.rehead("inspect bare --merge-labels").refused().says(&["bare: ", "hint: "]);
    let single = scene.rehead("inspect a.csv --json").ok().json();
    assert!(single["classes"].is_array(), "the report on one file is as ever");
}
