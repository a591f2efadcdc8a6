//! The model card of a run (`README.md`): what the hub reads in it, what people read, and that it works.

mod support;

use serde_json::{Value, json};
use support::Scene;
use support::python::python;

/// A label and a file with what Markdown and YAML would act on.
const ODD: &str = "po|s*it_ive: <x> #1";

fn scene() -> Scene {
    let scene = Scene::with_models(&["bare_no_pooler"]);
    scene.write("bare_no_pooler/README.md", "---\nlanguage: en\nlicense: mit\n---\n# Tiny\n");
    let rows: String = (0..40).map(|row| format!("word {row},{}\n", if row % 2 == 0 { ODD } else { "no" })).collect();
    scene.write("some: rows.csv", format!("text,label\n{rows}"));
    scene
}

const TRAIN: &str = "train --model bare_no_pooler --strategy frozen --out run --seed 3 --threads 1 --quiet --train";

#[test]
fn a_card_tells_programs_and_people_what_a_run_is() {
    let scene = scene();
    scene.rehead(TRAIN).arg("some: rows.csv").ok();
    let card = scene.text("run/README.md");
    for part in [
        "license: mit\nlanguage: en\nlibrary_name: transformers\npipeline_tag: text-classification\n",
        "name: \"some: rows.csv\"",
        "made from bare\\_no\\_pooler by rehead",
        "| po\\|s\\*it\\_ive: &lt;x\\> \\#1 |",
        "| training | some: rows.csv | 36 | `",
        "| validation | some: rows.csv (held out) | 4 | `",
        "rehead label --model run --input new.csv",
        "It was not scored on test data.",
    ] {
        assert!(card.contains(part), "{part}\n{card}");
    }
    let machine = scene.path("").display().to_string();
    assert!(!card.contains(machine.trim_end_matches('/')), "a path of this machine:\n{card}");
    let metrics = scene.json("run/metrics.json");
    let accuracy = metrics["valid"]["accuracy"].as_f64().expect("a number");
    assert!(card.contains(&format!("{:.1} %", 100.0 * accuracy)), "{card}");

    let Some(read) = python("transformers", "check_card.py", [scene.path("run")]) else { return };
    let read: Value = serde_json::from_str(read.lines().last().expect("a line")).expect("JSON");
    let expected = [
        ("license", json!("mit")),
        ("language", json!("en")),
        ("metrics", json!(["accuracy", "f1"])),
        ("name", json!("run")),
        ("dataset", json!("some: rows.csv")),
        ("split", json!("validation")),
    ];
    for (key, value) in expected {
        assert_eq!(read[key], value, "{read}");
    }
    assert!(read["accuracy"].as_f64().is_some_and(|found| (found - accuracy).abs() < 1e-6), "{read}");
    assert!([ODD, "no"].map(Value::from).contains(&read["label"]), "{read}");
}

#[test]
fn a_card_of_somebody_else_stays() {
    let scene = scene();
    std::fs::create_dir(scene.path("run")).expect("made");
    scene.write("run/README.md", "# Mine\n");
    let train = TRAIN.replace(" --quiet", " --resume");
    scene.rehead(&train).arg("some: rows.csv").ok().says(&["README.md: kept as it is"]);
    assert_eq!(scene.text("run/README.md"), "# Mine\n");
}
