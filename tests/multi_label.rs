//! Stories about rows that may have several labels, through the real binary: how labels are given, what is trained and
//! kept, what `label` and `evaluate` make of it, and what transformers says.

mod support;

use serde_json::{Value, json};
use support::python::{has_python, python};
use support::*;

/// Texts with their labels: each of three words brings its own, some texts have none. To give every row every label would
/// have a micro-F1 of about two thirds.
fn labelled(rows: usize, seed: u64) -> Vec<(String, Vec<&'static str>)> {
    const OTHERS: [&str; 11] = ["the", "it", "was", "and", "film", "movie", "act", "scene", "of", "to", "plot"];
    const OWN: [(&str, &str); 3] = [("good", "anger"), ("bore", "praise"), ("cafe", "story")];
    let mut lottery = Lottery(seed);
    let text = |lottery: &mut Lottery| {
        let mut words: Vec<&str> = (0..1 + lottery.below(2)).map(|_| lottery.pick(&OTHERS)).collect();
        let mut labels = Vec::new();
        for (word, label) in OWN {
            if lottery.below(2) == 0 {
                words.insert(lottery.below(words.len() + 1), word);
                labels.push(label);
            }
        }
        (words.join(" "), labels)
    };
    (0..rows).map(|_| text(&mut lottery)).collect()
}

/// `text,labels` with a bar between the labels.
fn joined(rows: &[(String, Vec<&str>)]) -> String {
    let lines: String = rows.iter().map(|(text, labels)| format!("{text},{}\n", labels.join("|"))).collect();
    format!("text,labels\n{lines}")
}

fn scene() -> Scene {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", joined(&labelled(160, 1)));
    scene.write("valid.csv", joined(&labelled(40, 2)));
    scene.write("test.csv", joined(&labelled(30, 3)));
    scene
}

const SEVERAL: &str = "train --train train.csv --valid valid.csv --model bare --label labels --task multi-label --device \
                       cpu --precision fp32 --threads 1";

fn scores(metrics: &Value) -> f64 {
    metrics["test"]["micro_f1"].as_f64().unwrap()
}

#[test]
fn labels_are_joined_or_listed_or_have_a_column_each() {
    let scene = scene();
    let frozen = format!("{SEVERAL} --strategy frozen");
    scene.rehead(&format!("{frozen} --out joined")).ok().says(&[
        "3 labels: ",
        "labels per row, 3 at most",
        "without any",
    ]);
    let object = |(text, labels): &(String, Vec<&str>)| format!("{}\n", json!({ "text": text, "labels": labels }));
    let columns = |(text, labels): &(String, Vec<&str>)| {
        let has = |label: &str| u8::from(labels.contains(&label));
        format!("{text},{},{},{}\n", has("anger"), has("praise"), has("story"))
    };
    for (split, rows) in [("train", labelled(160, 1)), ("valid", labelled(40, 2))] {
        scene.write(&format!("{split}.jsonl"), rows.iter().map(object).collect::<String>());
        let lines: String = rows.iter().map(columns).collect();
        scene.write(&format!("{split}_columns.csv"), format!("text,anger,praise,story\n{lines}"));
    }
    // Without a word about the task: it is plain.
    let found = |train: &str, valid: &str, label: &str, out: &str| {
        let words =
            format!("train --train {train} --valid {valid} --model bare --label {label} --strategy frozen --out {out}");
        scene
            .rehead(&format!("{words} --device cpu --precision fp32 --threads 1"))
            .ok()
            .says(&["task = multi-label ("]);
        assert!(weights(&scene, out) == weights(&scene, "joined"), "{out}: other weights");
        assert_eq!(
            scene.json(&format!("{out}/config.json"))["id2label"],
            json!({"0": "anger", "1": "praise", "2": "story"})
        );
    };
    found("train.jsonl", "valid.jsonl", "labels", "listed");
    found("train_columns.csv", "valid_columns.csv", "anger,praise,story", "columns");
    found("train.csv", "valid.csv", "labels", "found");
    // The model reads others as it was trained: by its columns, and by the separator.
    let evaluate =
        |model: &str, data: &str| scene.rehead(&format!("evaluate --model {model} --data {data} --json")).ok();
    let of = |report: Outcome| report.json()["test"].clone();
    assert_eq!(of(evaluate("columns", "valid_columns.csv")), of(evaluate("joined", "valid.csv")));
    scene.write("broken.csv", "text,anger,praise,story\na film,1,2,0\n");
    evaluate_refused(&scene, "columns", "broken.csv", &["row 1", "column `praise`", "`2` does not say", "1 or 0"]);
    scene.write("unknown.csv", "text,labels\na film,praise|joy\n");
    evaluate_refused(&scene, "joined", "unknown.csv", &["row 1", "`joy` is unknown"]);
}

fn evaluate_refused(scene: &Scene, model: &str, data: &str, says: &[&str]) {
    scene.rehead(&format!("evaluate --model {model} --data {data}")).refused().says(says);
}

#[test]
fn a_trained_model_labels_scores_and_is_interrupted_without_a_difference() {
    let scene = scene();
    let full = format!(
        "{SEVERAL} --strategy full --test test.csv --pooling mean --epochs 12 --batch-size 4 --lr 5e-3 --log-every 1"
    );
    scene.rehead(&format!("{full} --out whole")).ok().says(&["Micro-F1 on 30 test rows: ", "threshold"]);
    let metrics = scene.json("whole/metrics.json");
    assert!(scores(&metrics) > 0.78, "{metrics:#}");
    let outcome = interrupted(&scene, &format!("{full} --out run"), libc::SIGINT, 20);
    outcome.says(&["--resume --out run"]);
    scene.rehead("train --resume --out run").ok();
    assert_as_uninterrupted(&scene, "interrupted");

    let config = scene.json("whole/config.json");
    assert_eq!(config["problem_type"], "multi_label_classification");
    let thresholds = config["label_thresholds"].as_object().unwrap();
    assert_eq!(thresholds.keys().collect::<Vec<_>>(), ["anger", "praise", "story"]);
    for (label, threshold) in thresholds {
        assert_eq!(metrics["test"]["per_class"][label]["threshold"], *threshold, "{label}");
    }
    let report = scene.text("whole/report.html");
    assert!(
        report.contains("Exact match") && report.contains("threshold") && report.contains("Mean average precision")
    );

    // What is labelled is what is scored, alone as together, and as the saved predictions have it.
    let label = "label --model whole --device cpu --precision fp32 --threads 1";
    scene.rehead(&format!("{label} --input test.csv --output labelled.csv --probabilities --top 1")).ok();
    let text = scene.text("labelled.csv");
    let rows = fields(&text);
    assert_eq!(
        rows[0],
        ["text", "labels", "predicted_labels", "label_1", "confidence_1", "p_anger", "p_praise", "p_story"]
    );
    let saved = scene.text("whole/predictions/test.csv");
    let exact = rows[1..].iter().filter(|row| row[1] == row[2]).count();
    assert_eq!(metrics["test"]["exact_match"].as_f64().unwrap(), exact as f64 / 30.0);
    for (row, saved) in rows[1..].iter().zip(&fields(&saved)[1..]) {
        assert_eq!((row[1], row[2]), (saved[2], saved[3]));
    }
    for row in rows[1..].iter().step_by(8) {
        let alone = scene.rehead(&format!("{label} --input - --output - --probabilities --top 1"));
        let alone = alone.input(format!("text\n{}\n", row[0])).ok();
        assert_eq!(fields(alone.stdout_text())[1][1..], row[2..]);
    }
    // A threshold for all in place of their own; none that a row could reach leaves it without a label.
    scene
        .rehead(&format!("{label} --input test.csv --output none.csv --min-confidence 1 --unknown-label nothing"))
        .ok();
    assert!(fields(&scene.text("none.csv"))[1..].iter().all(|row| row[2] == "nothing"));
    let evaluated =
        scene.rehead("evaluate --model whole --data test.csv --device cpu --precision fp32 --json").ok().json();
    assert_eq!(evaluated["test"]["micro_f1"], metrics["test"]["micro_f1"]);
    scene.rehead("evaluate --model whole --data test.csv --out scored --device cpu").ok();
    assert!(scene.text("scored/report.html").contains("micro-F1"));
}

/// Every strategy learns, with weights for rare labels and thresholds as they are asked for.
#[test]
fn every_strategy_trains_rows_of_several_labels() {
    let scene = scene();
    for (how, least) in [
        ("--strategy last:1 --pooling mean --epochs 12 --batch-size 8 --lr 1e-2 --refit", 0.72),
        ("--strategy lora --pooling mean --epochs 20 --batch-size 8 --lr 3e-2", 0.69),
        ("--strategy frozen --class-weights balanced", 0.78),
        ("--strategy bitfit --pooling mean --epochs 12 --batch-size 8 --lr 5e-2 --folds 3", 0.72),
    ] {
        let basic = if how.contains("folds") { SEVERAL.replace("--valid valid.csv ", "") } else { SEVERAL.to_owned() };
        scene.rehead(&format!("{basic} {how} --test test.csv --label-thresholds 0.5 --out run")).ok();
        let metrics = scene.json("run/metrics.json");
        assert!(scores(&metrics) > least, "{how}: {}", scores(&metrics));
        assert_eq!(metrics["test"]["per_class"]["story"]["threshold"], 0.5, "{how}");
        scene.remove("run");
    }
}

#[test]
fn what_needs_one_label_per_row_is_refused() {
    let scene = scene();
    let refused = |words: &str, says: &[&str]| {
        scene.rehead(words).refused().says(says);
    };
    refused(&format!("{SEVERAL} --strategy full --loss focal --out run"), &["focal loss", "one label per row"]);
    refused(
        &format!("{SEVERAL} --strategy frozen --label-smoothing 0.1 --out run"),
        &["label smoothing", "one label per row"],
    );
    refused(&format!("{SEVERAL} --keep-best mcc --out run"), &["keep_best", "(mcc)", "one label per row"]);
    refused(&format!("{SEVERAL} --target-accuracy 0.9 --out run"), &["target_accuracy", "one label"]);
    let compare = SEVERAL.replacen("train ", "compare --strategies frozen ", 1);
    refused(&format!("{compare} --out both"), &["`rehead compare` is for rows of one label"]);
    let compare = compare.replace("--task multi-label ", "");
    refused(&format!("{compare} --out both"), &["`rehead compare` is for rows of one label"]);
    scene.rehead(&format!("{SEVERAL} --strategy frozen --out run")).ok();
    refused("label --model run --input test.csv --output o.csv --unknown 0.1", &["unknown"]);
    refused("label --model run --input test.csv --output o.csv --min-confidence auto", &["threshold of its own"]);
    refused("suggest --model run --input test.csv --count 3 --output s.csv", &["one label for each row"]);
    refused("explain --model run --input test.csv", &["one label a row"]);
    // A separate set of labels is read by its own separator.
    scene.write("other.csv", scene.text("test.csv").replace('|', ";"));
    scene.rehead("evaluate --model run --data other.csv --label-separator ;").ok();
}

/// A model of somebody else, which has no thresholds: from 0.5 on.
#[test]
fn a_checkpoint_of_several_labels_is_used() {
    let scene = Scene::with_models(&["classifier"]);
    scene.edit_json("classifier/config.json", |config| {
        config["problem_type"] = "multi_label_classification".into();
        config["id2label"] = json!({ "0": "a", "1": "b" });
    });
    let labelled = scene.rehead("label --model classifier --input - --output - --probabilities --device cpu --quiet");
    let labelled = labelled.input("text\na good film\nthe awful plot\n").ok();
    let text = labelled.stdout_text();
    let rows = fields(text);
    assert_eq!(rows[0], ["text", "predicted_labels", "p_a", "p_b"]);
    for row in &rows[1..] {
        let given: Vec<&str> = [("a", row[2]), ("b", row[3])]
            .into_iter()
            .filter(|(_, p)| p.parse::<f64>().unwrap() >= 0.5)
            .map(|(l, _)| l)
            .collect();
        assert_eq!(row[1], given.join("|"));
    }
    scene.edit_json("classifier/config.json", |config| config["id2label"] = json!({ "0": "a", "1": "b|c" }));
    let label = "label --model classifier --input - --output - --device cpu";
    scene.rehead(label).input("text\nx\n").ok().says(&["the label `b|c` holds `|`", "--probabilities"]);
    scene.edit_json("classifier/config.json", |config| config["id2label"] = json!({ "0": "a", "1": "b" }));
    scene.write("test.csv", "text,label\na good film,a|b\nthe awful plot,\n");
    scene.rehead("evaluate --model classifier --data test.csv --device cpu --out scored").ok();
    assert!(scene.text("scored/predictions/test.csv").lines().nth(1).unwrap().contains("a|b"));
    scene.edit_json("classifier/config.json", |config| config["label_thresholds"] = json!({ "a": 2 }));
    let refused =
        scene.rehead("label --model classifier --input - --output - --device cpu").input("text\nx\n").refused();
    refused.says(&["label_thresholds", "every label a number from 0 to 1"]);
}

#[test]
fn transformers_gives_the_same_labels() {
    if !has_python("transformers") {
        return;
    }
    let scene = scene();
    let mut checks = String::new();
    for (run, how, flags) in [
        ("full", "--strategy full --epochs 4 --batch-size 8 --lr 1e-3", &[][..]),
        ("frozen", "--strategy frozen", &["--trust-remote-code"]),
    ] {
        scene.rehead(&format!("{SEVERAL} {how} --out {run}")).ok();
        let label = format!("label --model {run} --input test.csv --output {run}.csv --probabilities --device cpu");
        scene.rehead(&format!("{label} --precision fp32 --threads 1")).ok();
        let files = [run.to_owned(), "test.csv".to_owned(), format!("{run}.csv")].map(|name| scene.path(&name));
        let files = files.iter().map(|file| file.to_str().unwrap());
        checks += &format!("{}\n", json!(files.chain(flags.iter().copied()).collect::<Vec<_>>()));
    }
    scene.write("checks.jsonl", checks);
    let list = ["--list".into(), scene.path("checks.jsonl").into_os_string()];
    println!("{}", python("transformers", "check_run.py", list).expect("Python is there"));
}
