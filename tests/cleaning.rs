//! Labels and columns as exports have them: which columns are used, how labels are cleaned before they become classes,
//! and several files as one.

mod support;

use support::{BASIC, Scene, csv, sentiment, training_scene, weights};

/// A frozen run on tiny data, everything but the data fixed.
const FROZEN: &str = "train --model bare --strategy frozen --device cpu --precision fp32 --threads 1 --out run";

#[test]
fn several_training_files_are_read_as_one() {
    let scene = training_scene();
    let rows = sentiment(64, 1);
    scene.write("a.csv", csv(&rows[..40]));
    let lines: Vec<String> =
        rows[40..].iter().map(|(text, label)| format!("{{\"text\": {text:?}, \"label\": {label:?}}}")).collect();
    scene.write("b.jsonl", lines.join("\n"));
    scene.rehead(&format!("{BASIC} --strategy frozen --out whole")).ok();
    let parts = BASIC.replace("--train train.csv", "--train a.csv --train b.jsonl");
    scene.rehead(&format!("{parts} --strategy frozen --out run")).ok().says(&["64 rows (a.csv 40, b.jsonl 24)"]);
    assert_eq!(weights(&scene, "run"), weights(&scene, "whole"));
    // One flag with both, the file of settings, and what the run has saved say the same.
    assert!(scene.text("run/rehead.toml").contains("train = [\"a.csv\", \"b.jsonl\"]"));
    let parts = BASIC.replace("--train train.csv", "--train a.csv b.jsonl");
    scene.rehead(&format!("{parts} --strategy frozen --out one_flag")).ok();
    assert_eq!(weights(&scene, "one_flag"), weights(&scene, "whole"));
    scene.rehead("train --config run/rehead.toml --out again --quiet").ok();
    assert_eq!(weights(&scene, "again"), weights(&scene, "whole"));
    scene.rehead("advise --train a.csv b.jsonl --model bare").ok().says(&["64 rows (a.csv 40, b.jsonl 24)"]);
}

#[test]
fn training_files_must_agree_and_messages_name_the_file() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("a.csv", csv(&sentiment(20, 1)));
    scene.write("b.csv", "body,label\nfine film,positive\n");
    let two = |files: &str| scene.rehead(&format!("{FROZEN} --train {files}"));
    two("a.csv b.csv").refused().says(&["b.csv: column `text`: there is no such column, which a.csv has", "`body`"]);
    scene.write("b.csv", "text,label\nfine film,positive\ndull film,\n");
    two("a.csv b.csv").refused().says(&["b.csv: row 2 (line 3): column `label`"]);
    two("a.csv a.csv").refused().says(&["a.csv is given twice"]);
    scene.write("b.csv", "text,label\n");
    two("a.csv b.csv").refused().says(&["b.csv: ", "no rows"]);
}
