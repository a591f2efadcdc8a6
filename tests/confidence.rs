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
