//! Stories about confidences that mean something, through the real binary: the temperature, accuracy that is promised,
//! and rows that are unlike the training data.

mod support;

use std::collections::BTreeMap;

use support::*;

/// Few epochs that move whatever is trained.
const SOME: &str = "--epochs 4 --batch-size 16 --lr 5e-3";

fn train(scene: &Scene, how: &str, out: &str) -> Outcome {
    scene.rehead(&format!("{BASIC} --test test.csv {how} --out {out}")).ok()
}

/// A column of a file of predictions.
fn column(scene: &Scene, file: &str, name: &str) -> Vec<String> {
    let text = scene.text(file);
    let rows = fields(&text);
    let place = rows[0].iter().position(|column| *column == name).unwrap();
    rows[1..].iter().map(|row| row[place].to_owned()).collect()
}

fn confidences(scene: &Scene, file: &str) -> Vec<f64> {
    column(scene, file, "confidence").iter().map(|confidence| confidence.parse().unwrap()).collect()
}

fn changed(before: &BTreeMap<String, (Vec<usize>, Vec<f32>)>, after: &[u8]) -> Vec<String> {
    let after = tensors(after);
    before.iter().filter(|(name, tensor)| after.get(*name) != Some(tensor)).map(|(name, _)| name.clone()).collect()
}

#[test]
fn a_temperature_is_folded_into_the_output_layer_of_every_strategy() {
    let scene = training_scene();
    for strategy in ["full", "frozen", "last:1", "lora", "bitfit"] {
        let how = format!("--strategy {strategy} {SOME}");
        let (plain, calibrated) = (format!("plain-{strategy}"), format!("calibrated-{strategy}"));
        train(&scene, &format!("{how} --calibrate off"), &plain);
        train(&scene, &how, &calibrated);
        let (before, after) =
            (scene.json(&format!("{plain}/metrics.json")), scene.json(&format!("{calibrated}/metrics.json")));
        let temperature = after["temperature"].as_f64().unwrap();
        assert!(temperature > 0.05 && (temperature - 1.0).abs() > 1e-4, "{strategy}: {temperature}");
        assert!(before.get("temperature").is_none() && before["valid"].get("ece_before").is_none());

        // The output layer is divided, and nothing else is another.
        let plain_weights = tensors(&weights(&scene, &plain));
        let calibrated_weights = weights(&scene, &calibrated);
        let names = changed(&plain_weights, &calibrated_weights);
        assert_eq!(names, ["classifier.bias", "classifier.weight"], "{strategy}");
        for name in &names {
            let divided = plain_weights[name].1.iter().map(|weight| f64::from(*weight) / temperature);
            let found = &tensors(&calibrated_weights)[name].1;
            assert!(divided.zip(found).all(|(a, &b)| (a - f64::from(b)).abs() < 1e-6), "{strategy}: {name}");
        }

        // Which label is predicted stays; the scores before are those of the other run.
        for split in ["valid", "test"] {
            let file = |run: &str| format!("{run}/predictions/{split}.csv");
            let predicted = |run: &str| column(&scene, &file(run), "prediction");
            assert_eq!(predicted(&plain), predicted(&calibrated), "{strategy}: {split}");
            for key in ["accuracy", "macro_f1", "confusion", "per_class", "roc_auc"] {
                assert_eq!(before[split][key], after[split][key], "{strategy}: {split}.{key}");
            }
            for (key, was) in [("ece", "ece_before"), ("loss", "loss_before")] {
                let (expected, found) = (&before[split][key], &after[split][was]);
                let distance = (expected.as_f64().unwrap() - found.as_f64().unwrap()).abs();
                assert!(distance < 1e-5, "{strategy}: {split}.{was} is {found}, and was {expected}");
            }
        }
        let loss = |key: &str| after["valid"][key].as_f64().unwrap();
        assert!(loss("loss") < loss("loss_before"), "{strategy}");

        // What labels later is what was scored.
        let words = format!("label --model {calibrated} --input test.csv --output {calibrated}.csv --threads 1");
        scene.rehead(&format!("{words} --precision fp32")).ok();
        let written = confidences(&scene, &format!("{calibrated}.csv"));
        let reported = confidences(&scene, &format!("{calibrated}/predictions/test.csv"));
        assert!(written.iter().zip(&reported).all(|(a, b)| (a - b).abs() < 2e-6), "{strategy}");
    }
}

#[test]
fn a_calibrated_run_that_is_interrupted_ends_as_one_that_is_not() {
    let scene = training_scene();
    let how = format!("{BASIC} --test test.csv {LONG}");
    scene.rehead(&format!("{how} --out whole")).ok();
    assert!(scene.json("whole/metrics.json")["temperature"].is_number());
    interrupted(&scene, &format!("{how} --out run"), libc::SIGINT, 20);
    scene.rehead("train --resume --out run").ok();
    assert_as_uninterrupted(&scene, "in training");

    // Once more, when the calibrated model is saved and the test data cannot be scored yet.
    scene.remove("run");
    interrupted_when(&scene, &format!("{how} --out run"), libc::SIGINT, "run", || {
        scene.exists("run/predictions/valid.csv")
    });
    scene.rehead("train --resume --out run").ok();
    assert_as_uninterrupted(&scene, "after saving");
}

/// A scene with validation rows enough to promise something.
fn promising() -> Scene {
    let scene = training_scene();
    scene.write("train.csv", csv(&sentiment(120, 1)));
    scene.write("valid.csv", csv(&sentiment(160, 2)));
    scene.write("test.csv", csv(&sentiment(160, 3)));
    scene
}

const PROMISING: &str = "--epochs 12 --batch-size 16 --lr 5e-3";

fn least(scene: &Scene, run: &str, threshold: usize) -> f64 {
    scene.json(&format!("{run}/metrics.json"))["thresholds"]["shown"][threshold]["confidence"].as_f64().unwrap()
}

#[test]
fn a_target_accuracy_chooses_the_threshold_that_label_uses() {
    let scene = promising();
    let outcome = train(&scene, &format!("{PROMISING} --target-accuracy 0.8"), "run");
    let metrics = scene.json("run/metrics.json");
    let thresholds = &metrics["thresholds"];
    assert_eq!((&thresholds["target_accuracy"], &thresholds["rows"]), (&0.8.into(), &160.into()), "{thresholds:#}");
    let shown = &thresholds["shown"][0];
    assert!(shown["accuracy_at_least"].as_f64().unwrap() >= 0.8, "{thresholds:#}");
    let confidence = least(&scene, "run", 0);
    outcome.says(&[&format!("from a confidence of {confidence} on"), "at least 80 % of the labels are correct"]);
    assert_eq!(scene.json("run/confidence.json")["thresholds"], *thresholds);

    // The rows at the threshold are among those that it counts, in every precision.
    let reported = confidences(&scene, "run/predictions/valid.csv");
    let above = reported.iter().filter(|&&found| found >= confidence).count();
    assert_eq!(shown["labelled"], above);
    let label = |name: &str, how: &str| {
        let words = format!("label --model run --input valid.csv --output {name}.csv --threads 1 {how}");
        scene.rehead(&words).ok()
    };
    label("fp32", "--precision fp32 --min-confidence auto").says(&["at least 80 % of the labels"]);
    let labels = column(&scene, "fp32.csv", "predicted_label");
    assert_eq!(labels.iter().filter(|label| !label.is_empty()).count(), above);
    for (label, confident) in labels.iter().zip(confidences(&scene, "fp32.csv")) {
        assert_eq!(label.is_empty(), confident < confidence, "{label} {confident}");
    }
    label("int8", "--precision int8 --min-confidence auto");
    let labelled = column(&scene, "int8.csv", "predicted_label").iter().filter(|label| !label.is_empty()).count();
    assert!(labelled.abs_diff(above) <= 8, "{labelled} and {above}");
    let named = label("named", "--precision fp32 --min-confidence auto --unknown-label unsure");
    if above < 160 {
        named.says(&[&format!("(written as unsure: below {confidence})")]);
    }

    // The report says whether other rows kept the promise.
    let report = scene.text("run/report.html");
    assert!(report.contains("--min-confidence auto") && report.contains("The thresholds were chosen on these rows"));
    assert!(report.contains("promised"), "of the test rows");
}

#[test]
fn thresholds_of_each_label_are_its_own() {
    let scene = promising();
    train(&scene, &format!("{PROMISING} --target-accuracy 0.75 --thresholds-per-label"), "run");
    let metrics = scene.json("run/metrics.json");
    let shown = metrics["thresholds"]["shown"].as_array().unwrap();
    let without = metrics["thresholds"]["without"].as_array().map_or(0, Vec::len);
    assert_eq!(shown.len() + without, 2, "{metrics:#}");
    assert!(!shown.is_empty());
    let words = "label --model run --input valid.csv --output out.csv --precision fp32 --threads 1";
    scene.rehead(&format!("{words} --min-confidence auto --top 1")).ok();
    let (written, best) = (column(&scene, "out.csv", "predicted_label"), column(&scene, "out.csv", "label_1"));
    let mut labelled = 0;
    for threshold in shown {
        let least = threshold["confidence"].as_f64().unwrap();
        let of_label = |row: &usize| best[*row] == threshold["labels"][0].as_str().unwrap();
        let found = confidences(&scene, "out.csv");
        for row in (0..160).filter(of_label) {
            assert_eq!(written[row].is_empty(), found[row] < least, "{row}");
            labelled += usize::from(!written[row].is_empty());
        }
    }
    assert_eq!(written.iter().filter(|label| !label.is_empty()).count(), labelled);
}

#[test]
fn a_promise_that_cannot_be_shown_is_not_made() {
    let scene = training_scene();
    let outcome = train(&scene, &format!("{SOME} --target-accuracy 0.95"), "run");
    outcome.says(&["no threshold was shown to reach an accuracy of 95 % on 20 validation rows"]);
    let thresholds = scene.json("run/metrics.json")["thresholds"].clone();
    assert_eq!(thresholds["shown"].as_array().map(Vec::len), Some(0));
    assert_eq!(thresholds["without"].as_array().map(Vec::len), Some(2));
    let label = |how: &str| scene.rehead(&format!("label --model run --input test.csv --output out.csv {how}"));
    label("--min-confidence auto").refused().says(&["min-confidence", "no threshold was shown", "--target-accuracy"]);
    train(&scene, &format!("{SOME} --seed 5"), "plain");
    assert!(scene.json("plain/confidence.json").get("thresholds").is_none());
    let words = "label --model plain --input test.csv --output out.csv --min-confidence";
    scene.rehead(&format!("{words} auto")).refused().says(&["no confidence thresholds", "--target-accuracy P"]);
    scene.rehead(&format!("{words} 1.5")).refused().says(&["expected a number from 0", "`auto`"]);
    scene.rehead(&format!("{BASIC} --thresholds-per-label --out other")).refused().says(&["--target-accuracy P"]);
    scene.rehead(&format!("{BASIC} --target-accuracy 1 --out other")).refused().says(&["target"]);

    // Of other weights, or torn, the file is refused; without `auto` it is not read.
    scene.copy("run/confidence.json", "plain/confidence.json");
    scene.rehead(&format!("{words} auto")).refused().says(&["confidence.json", "belongs to other weights"]);
    scene.write("plain/confidence.json", "{");
    scene.rehead(&format!("{words} auto")).refused().says(&["confidence.json", "not what a run keeps"]);
    scene.rehead(&format!("{words} 0.6")).ok();
}

#[test]
fn an_output_is_continued_with_the_thresholds_it_began_with() {
    let scene = promising();
    train(&scene, &format!("{PROMISING} --target-accuracy 0.75"), "run");
    scene.write("big.csv", csv(&sentiment(4000, 5)));
    let words = "label --model run --input big.csv --output out.csv --threads 1 --window 64 \
                 --batch-tokens 64 --min-confidence auto";
    interrupted_when(&scene, words, libc::SIGINT, "out.csv", || scene.size("out.partial.csv") > 8000);
    scene.edit_json("run/confidence.json", |saved| saved["thresholds"]["shown"][0]["confidence"] = 0.123.into());
    scene.rehead(&format!("{words} --resume")).refused().says(&["output options: the model's own thresholds"]);
    scene.edit_json("run/confidence.json", |saved| {
        saved["thresholds"] = scene.json("run/metrics.json")["thresholds"].clone();
    });
    scene.rehead(&format!("{words} --resume")).ok();
    assert_eq!(column(&scene, "out.csv", "predicted_label").len(), 4000);
}

#[test]
fn rows_unlike_the_validation_rows_get_no_label() {
    let scene = promising();
    train(&scene, PROMISING, "run");
    let label = |input: &str, name: &str, how: &str| {
        let words = format!("label --model run --input {input}.csv --output {name}.csv --precision fp32 --threads 1");
        scene.rehead(&format!("{words} {how}")).ok()
    };
    // Of rows of the same kind about the share that was asked for is unusual.
    let outcome = label("valid", "valid_labelled", "--unknown 0.1");
    let labels = column(&scene, "valid_labelled.csv", "predicted_label");
    let typicality = column(&scene, "valid_labelled.csv", "typicality");
    let unusual = labels.iter().filter(|label| label.is_empty()).count();
    assert!((8..=16).contains(&unusual), "{unusual} of 160");
    for (label, typicality) in labels.iter().zip(&typicality) {
        assert_eq!(label.is_empty(), typicality.parse::<f64>().unwrap() <= 0.1, "{label} {typicality}");
    }
    let line = outcome.stderr.lines().find(|line| line.contains("(left empty: too unusual)"));
    assert!(line.is_some_and(|line| line.contains(&format!(" {unusual} "))), "{outcome}");
    label("valid", "named", "--unknown 0.1 --unknown-label other").says(&["(written as other: too unusual)"]);
    assert_eq!(
        column(&scene, "named.csv", "predicted_label").iter().filter(|label| *label == "other").count(),
        unusual
    );
    // Both reasons at once, and neither.
    label("valid", "both", "--unknown 0.1 --min-confidence 0.999").says(&["below 0.999", "too unusual"]);
    label("valid", "plain", "");
    assert!(!scene.text("plain.csv").contains("typicality"));
    assert!(column(&scene, "plain.csv", "predicted_label").iter().all(|label| !label.is_empty()));

    // More than the validation rows can tell is refused, and a model that does not know it.
    let words = "label --input valid.csv --output x.csv --model";
    scene
        .rehead(&format!("{words} run --unknown 0.001"))
        .refused()
        .says(&["too few validation rows", "at least 0.007"]);
    scene.rehead(&format!("{words} run --unknown 0")).refused().says(&["--unknown", "above 0"]);
    scene.remove("run/confidence.json");
    scene.rehead(&format!("{words} run --unknown 0.1")).refused().says(&["does not know which rows are unusual"]);
}

#[test]
fn an_interrupted_output_keeps_what_was_unusual() {
    let scene = promising();
    train(&scene, PROMISING, "run");
    scene.write("big.csv", csv(&sentiment(4000, 5)));
    let words = "label --model run --input big.csv --threads 1 --window 64 --batch-tokens 64 --precision fp32";
    let whole = scene.rehead(&format!("{words} --unknown 0.2 --output whole.csv")).ok();
    let interrupted = format!("{words} --unknown 0.2 --output out.csv");
    interrupted_when(&scene, &interrupted, libc::SIGINT, "out.csv", || scene.size("out.partial.csv") > 8000);
    let other = format!("{words} --unknown 0.3 --output out.csv --resume");
    scene.rehead(&other).refused().says(&["another set of output options: --unknown\n"]);
    let resumed = scene.rehead(&format!("{interrupted} --resume")).ok();
    assert!(scene.text("out.csv") == scene.text("whole.csv"));
    let counted = |outcome: &Outcome| {
        let line = outcome.stderr.lines().find(|line| line.contains("too unusual")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{outcome}"))
    };
    assert_eq!(counted(&whole), counted(&resumed));
}
